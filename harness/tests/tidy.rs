//! What must never be in the suite's sources, checked by reading them.

use std::fs;
use std::path::{Path, PathBuf};

use sshdrill::peer::keys;

/// Each module, what it may import of the others, and of minissh.
const LAYERS: &[(&str, &[&str], &[&str])] = &[
    ("wording", &[], &[]),
    ("requirement", &[], &[]),
    ("scenario", &["requirement"], &["msg"]),
    ("verdict", &["requirement"], &["trace"]),
    ("transcript", &["verdict"], &["trace"]),
    ("mutant", &["peer"], &["crypto", "msg", "wire"]),
    (
        "trial",
        &[
            "mutant",
            "peer",
            "requirement",
            "run",
            "scenario",
            "verdict",
            "wording",
        ],
        &[],
    ),
    (
        "scripted",
        &["scenario", "transcript", "verdict", "wording"],
        &["wire", "msg", "crypto", "keylog", "packet", "trace"],
    ),
    (
        "peer",
        &["transcript", "verdict", "wording"],
        &["crypto", "trace"],
    ),
    (
        "run",
        &[
            "requirement",
            "scenario",
            "scripted",
            "peer",
            "transcript",
            "verdict",
        ],
        &["crypto", "msg", "trace"],
    ),
    (
        "report",
        &[
            "requirement",
            "run::event",
            "run::replay",
            "scenario",
            "transcript",
            "verdict",
            "wording",
        ],
        &["trace"],
    ),
    (
        "cli",
        &[
            "peer",
            "report",
            "requirement",
            "run",
            "scenario",
            "transcript",
            "verdict",
            "trial",
            "wording",
        ],
        &[],
    ),
];

/// The files that use minissh as an application would, and what they may use of it.
const APPLICATIONS: &[(&str, &[&str])] = &[
    (
        "peer/minissh.rs",
        &["blocking", "crypto", "engine", "net", "process", "trace"],
    ),
    ("peer/keys.rs", &["crypto", "keyfile"]),
    ("peer/live.rs", &["blocking", "crypto", "net"]),
    ("peer/solo/mod.rs", &["crypto", "engine", "keylog", "trace"]),
    ("peer/solo/client.rs", &["crypto", "engine", "msg"]),
    ("peer/solo/server.rs", &["engine", "msg"]),
    ("peer/tap.rs", &["crypto", "keylog", "trace"]),
    ("run/interrupt.rs", &["process"]),
];

/// Who may write to the terminal: nobody else has anything to say there.
const SPEAKERS: [&str; 17] = [
    "cli/bisect.rs",
    "cli/check.rs",
    "cli/clean.rs",
    "cli/completions.rs",
    "cli/doctor.rs",
    "cli/learn.rs",
    "cli/lure.rs",
    "cli/coverage.rs",
    "cli/diff.rs",
    "cli/explain.rs",
    "cli/fmt.rs",
    "cli/merge.rs",
    "cli/mod.rs",
    "cli/mutants.rs",
    "cli/replay.rs",
    "cli/run.rs",
    "report/terminal.rs",
];

/// What writing to the terminal looks like.
const SPEECH: [&str; 5] = ["print!(", "println!(", "dbg!(", "stdout()", "stderr()"];

/// What deciding looks like, which is not for reports.
const DECISIONS: [&str; 4] = ["ExitCode", "process::exit", "of_a_miss", "Outcome::"];

/// A source file without its tests and comments, in which anything may stand.
struct Source {
    path: PathBuf,
    code: String,
}

impl Source {
    /// The name of the top-level module that it belongs to.
    fn module(&self) -> String {
        let first = self.path.iter().next().expect("a path is not empty");
        first.to_string_lossy().trim_end_matches(".rs").to_owned()
    }

    fn is_any_of(&self, paths: &[&str]) -> bool {
        paths.iter().any(|path| self.path == Path::new(path))
    }

    /// What follows `prefix` in paths: `run::event::Case` for `crate::`. Braces after it count as
    /// one path for each name in them.
    fn paths_after(&self, prefix: &str) -> Vec<String> {
        let is_path = |c: char| c.is_alphanumeric() || "_:".contains(c);
        let starts_word = |at: usize| !self.code[..at].ends_with(|c| is_path(c) && c != ':');
        let found = self.code.match_indices(prefix);
        let mut paths = Vec::new();
        for (at, _) in found.filter(|(at, _)| starts_word(*at)) {
            let rest = &self.code[at + prefix.len()..];
            if let Some(names) = rest.strip_prefix('{') {
                let names = names.split('}').next().unwrap_or_default();
                paths.extend(names.split(',').map(|name| name.trim().to_owned()));
            } else {
                paths.push(rest.chars().take_while(|c| is_path(*c)).collect());
            }
        }
        paths.retain(|path| !path.is_empty());
        paths
    }
}

/// Every source of the program, without those that are tests as a whole.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("readable");
        let text = text
            .split("#[cfg(test)]\nmod tests")
            .next()
            .unwrap_or_default();
        let lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        Source {
            path: path.strip_prefix(&root).expect("below it").to_owned(),
            code: lines.collect::<Vec<_>>().join("\n"),
        }
    };
    let is_source = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "rs")
            && !path.ends_with("tests.rs")
            && !path.ends_with("fake.rs")
    };
    let found: Vec<Source> = files_below(&root)
        .iter()
        .filter(|p| is_source(p))
        .map(read)
        .collect();
    assert!(found.len() > 50, "the sources were found");
    found
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

fn is_below(path: &str, modules: &[&str]) -> bool {
    modules.iter().any(|module| {
        let rest = path.strip_prefix(module);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    })
}

/// Fails with everything that is wrong, not with the first.
fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_import_is_in_the_table_of_layers() {
    let mut wrong = Vec::new();
    for source in sources() {
        let module = source.module();
        if module == "lib" || module == "main" {
            continue;
        }
        let layer = LAYERS.iter().find(|(name, _, _)| *name == module);
        let (_, ours, minissh) = layer.unwrap_or_else(|| panic!("{module} is in no layer"));
        let application = APPLICATIONS
            .iter()
            .find(|(path, _)| source.is_any_of(&[path]));
        let minissh = application.map_or(minissh, |(_, allowed)| allowed);
        for path in source.paths_after("crate::") {
            if !is_below(&path, ours) && !is_below(&path, &[&module]) {
                wrong.push(format!("{} uses crate::{path}", source.path.display()));
            }
        }
        let foreign = source.paths_after("minissh::").into_iter();
        for path in foreign.filter(|path| path.starts_with(char::is_lowercase)) {
            if !is_below(&path, minissh) {
                wrong.push(format!("{} uses minissh::{path}", source.path.display()));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn only_reports_and_the_command_line_speak() {
    let sources = sources();
    let silent = sources.iter().filter(|source| !source.is_any_of(&SPEAKERS));
    let wrong: Vec<String> = silent
        .flat_map(|source| {
            let words = SPEECH.iter().filter(|word| source.code.contains(**word));
            words.map(|word| format!("{} has {word}", source.path.display()))
        })
        .collect();
    assert_none(&wrong);
}

#[test]
fn reports_decide_nothing() {
    let sources = sources();
    let reports = sources.iter().filter(|source| source.module() == "report");
    let wrong: Vec<String> = reports
        .flat_map(|source| {
            let words = DECISIONS.iter().filter(|word| source.code.contains(**word));
            words.map(|word| format!("{} has {word}", source.path.display()))
        })
        .collect();
    assert_none(&wrong);
}

/// Traces and logs end in snapshots, so a leak would be kept there for good.
#[test]
fn no_snapshot_has_a_secret() {
    let secret_keys = [keys::HOST, keys::OTHER_HOST, keys::USER];
    let key_lines = secret_keys.iter().flat_map(|file| file.lines());
    let secrets: Vec<&str> = key_lines
        .filter(|line| !line.starts_with("-----") && line.len() > 60)
        .chain([keys::PASSWORD])
        .collect();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut snapshots = Vec::new();
    for folder in ["harness/src", "harness/tests", "impl/src", "impl/tests"] {
        snapshots.extend(files_below(&workspace.join(folder)));
    }
    snapshots.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "snap")
    });
    assert!(snapshots.len() > 10, "the snapshots were found");
    let has_one = |path: &&PathBuf| {
        let text = fs::read_to_string(path).expect("readable");
        secrets.iter().any(|secret| text.contains(secret))
    };
    let wrong: Vec<String> = snapshots
        .iter()
        .filter(has_one)
        .map(|p| p.display().to_string())
        .collect();
    assert_none(&wrong);
}
