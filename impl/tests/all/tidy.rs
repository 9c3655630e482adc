//! What must never be in the library's sources, checked by reading them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module and what it may import of the others, in the order of the layers.
const LAYERS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("ident", &["wire"]),
    ("msg", &["wire"]),
    ("trace", &["msg"]),
    ("crypto", &["wire", "msg::names"]),
    ("keyfile", &["wire", "crypto", "msg::names"]),
    ("keylog", &["crypto"]),
    ("packet", &["wire", "crypto"]),
    (
        "engine",
        &[
            "wire", "ident", "msg", "trace", "crypto", "keylog", "packet",
        ],
    ),
    ("guide", &[]),
    ("net", &["msg", "trace", "crypto", "keylog", "engine"]),
    ("tty", &["net"]),
    ("process", &["msg", "net", "tty"]),
    ("blocking", &["crypto", "engine", "net", "process"]),
    (
        "cli",
        &[
            "wire", "blocking", "crypto", "engine", "keyfile", "keylog", "msg", "net", "process",
            "trace", "tty",
        ],
    ),
];

/// Layers that may not look at the world: time, network, randomness and environment are handed in.
const SANS_IO: [&str; 7] = [
    "wire", "ident", "msg", "trace", "packet", "engine", "crypto",
];

/// What looking at the world looks like.
const WORLDLY: [&str; 7] = [
    "Instant::now",
    "SystemTime",
    "std::net",
    "std::env",
    "std::fs",
    "tokio",
    "SysRng",
];

/// The one place where randomness comes from the operating system.
const RANDOMNESS: &str = "crypto/random.rs";

pub(crate) fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(found.len() > 30, "the sources were found");
    found
}

fn module(path: &Path) -> String {
    let first = path.iter().next().unwrap().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The code without its tests and comments, in which anything may stand.
pub(crate) fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]").unwrap_or(text.len());
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    text[..end]
        .lines()
        .filter(is_code)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn every_import_goes_down_the_layers() {
    let mut wrong = String::new();
    for (path, text) in sources() {
        let from = module(&path);
        if from == "lib" || from == "main" || path.ends_with("tests.rs") {
            continue;
        }
        let (_, allowed) = LAYERS
            .iter()
            .find(|(name, _)| *name == from)
            .unwrap_or_else(|| panic!("{from} is not in the table of layers"));
        for used in code(&text).split("crate::").skip(1) {
            let used: String = used
                .chars()
                .take_while(|c| c.is_alphanumeric() || "_:".contains(*c))
                .collect();
            let is_own = used.split(':').next() == Some(&from);
            let is_allowed = allowed
                .iter()
                .any(|allowed| used == *allowed || used.starts_with(&format!("{allowed}::")));
            if !is_own && !is_allowed {
                writeln!(wrong, "{} uses crate::{used}", path.display()).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "imports against the layers:\n{wrong}");
}

#[test]
fn the_protocol_does_not_look_at_the_world() {
    let mut wrong = String::new();
    for (path, text) in sources() {
        if !SANS_IO.contains(&module(&path).as_str()) || path == Path::new(RANDOMNESS) {
            continue;
        }
        let code = code(&text);
        for word in WORLDLY.iter().filter(|word| code.contains(**word)) {
            writeln!(wrong, "{} has {word}", path.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_protocol_cannot_panic_by_unwrapping() {
    let mut wrong = String::new();
    for (path, text) in sources() {
        if !SANS_IO.contains(&module(&path).as_str()) || path.ends_with("tests.rs") {
            continue;
        }
        let code = code(&text);
        for word in [".unwrap()", ".expect(", "panic!(", "unreachable!("] {
            if code.contains(word) {
                writeln!(wrong, "{} has {word}", path.display()).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The names in backquotes of the pages of the guide that are written like those of tests
/// (`file::name`, or `module::name` of a test beside the code) and scenarios (`area/name`).
fn named_in_guide() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide");
    let is_name = |word: &&str| {
        let is_plain =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.:/".contains(c);
        word.chars().all(is_plain) && (word.contains("::") || word.contains('/'))
    };
    let mut names = Vec::new();
    for page in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(page.unwrap().path()).unwrap();
        let quoted = text.split('`').skip(1).step_by(2);
        names.extend(quoted.filter(is_name).map(str::to_owned));
    }
    assert!(names.len() > 60, "the names were found");
    names
}

/// A page that names a proof that is not there is worse than none.
#[test]
fn tests_and_scenarios_that_the_guide_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let exists = |name: &str| match name.rsplit_once("::") {
        Some((module, test)) => {
            let module = module.replace("::", "/");
            let files = [
                format!("tests/all/{module}.rs"),
                format!("src/{module}.rs"),
                format!("src/{module}/tests.rs"),
            ];
            let declared = format!("fn {test}(");
            files.iter().any(|file| {
                fs::read_to_string(root.join(file)).is_ok_and(|text| text.contains(&declared))
            })
        }
        None => {
            let is_folder = name.ends_with('/');
            let path = format!("../scenarios/{name}.scn");
            is_folder || root.join(path).is_file()
        }
    };
    let missing: Vec<_> = named_in_guide()
        .into_iter()
        .filter(|name| !exists(name))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// A rule that nobody has seen broken may not be a rule at all.
#[test]
fn every_fault_is_named_by_a_test() {
    let sources = sources();
    let (_, faults) = sources
        .iter()
        .find(|(path, _)| path.ends_with("fault.rs"))
        .unwrap();
    let declared = faults.split("pub enum PeerFault {").nth(1).unwrap();
    let declared = declared.split("\n}\n").next().unwrap();
    let variants: Vec<&str> = declared
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.split([' ', '(', ',']).next())
        .filter(|word| word.starts_with(char::is_uppercase))
        .collect();
    assert!(variants.len() > 20, "the variants were found: {variants:?}");
    let tests = include_str!("faults.rs");
    let untested: Vec<_> = variants
        .iter()
        .filter(|name| !tests.contains(&format!("PeerFault::{name}")))
        .collect();
    assert!(untested.is_empty(), "no test breaks {untested:?}");
}
