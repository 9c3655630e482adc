//! The first of several builds with another verdict. The builds are OpenSSH of this machine behind
//! scripts, some of which make it say more in its identification.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use sshdrill::peer::catalogue::{Part, Required};
use tempfile::TempDir;

const SSHD: &str = "/usr/sbin/sshd";

const SCENARIO: &str = "# The server is marked.
scenario  made-up/marked
subject   server
cites     rfc4253-4.2/ident-has-software
level     must

> ident  SSH-2.0-scripted
< ident  SSH-2.0-*marked
";

/// A folder with scenarios and builds.
struct Stage(TempDir);

impl Stage {
    /// Nothing where this machine has no server, which is said loudly.
    fn new() -> Option<Self> {
        if !Path::new(SSHD).exists() {
            eprintln!("SKIPPED: there is no {SSHD} here");
            let required = Required::from_env().expect("a list of parts");
            assert!(!required.has(Part::OpenSsh), "OpenSSH must be here");
            return None;
        }
        let stage = Self(tempfile::tempdir().expect("a temporary folder"));
        fs::create_dir_all(stage.path("scenarios/made-up")).expect("writable");
        fs::write(stage.path("scenarios/made-up/marked.scn"), SCENARIO).expect("writable");
        Some(stage)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// A build that starts its server with these options beside those of the suite.
    fn build(&self, name: &str, options: &str) -> String {
        let sshd = self.path(&format!("{name}/sbin/sshd"));
        fs::create_dir_all(self.path(&format!("{name}/sbin"))).expect("writable");
        let script = format!("#!/bin/sh\nexec {SSHD} {options} \"$@\"\n");
        fs::write(&sshd, script).expect("writable");
        fs::set_permissions(&sshd, fs::Permissions::from_mode(0o755)).expect("it is ours");
        self.path(name)
    }

    fn bisect(&self, dirs: &[String], more: &[&str]) -> Output {
        self.bisect_of("made-up/marked", dirs, more)
    }

    fn bisect_of(&self, scenario: &str, dirs: &[String], more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_sshdrill"))
            .args(["bisect", scenario, "--scenarios"])
            .arg(self.path("scenarios"))
            .args(more)
            .arg("--dirs")
            .args(dirs)
            .output()
            .expect("our own program starts")
    }
}

fn text(output: &Output) -> (Option<i32>, String, String) {
    let [out, err] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    (output.status.code(), out, err)
}

const MARKED: &str = "-o VersionAddendum=marked";

#[test]
fn the_first_build_with_another_verdict_is_found_by_looking_at_few() {
    let Some(stage) = Stage::new() else { return };
    let builds = [
        ("old-1", ""),
        ("old-2", ""),
        ("old-3", ""),
        ("new-1", MARKED),
        ("new-2", MARKED),
    ];
    let dirs = builds.map(|(name, options)| stage.build(name, options));
    let (code, out, err) = text(&stage.bisect(&dirs, &[]));
    assert_eq!(code, Some(0), "{out}{err}");
    let line_of = |name: &str| out.lines().find(|line| line.contains(name));
    let first = line_of("new-1").expect("it was looked at");
    assert!(
        first.contains("pass") && first.ends_with("<- the first"),
        "{out}"
    );
    assert!(
        line_of("old-3").is_some_and(|line| line.contains("fail")),
        "{out}"
    );
    assert!(line_of("old-2").is_none(), "{out}");
    assert!(
        err.contains("assuming that the verdict changes at most once"),
        "{err}"
    );
}

#[test]
fn a_change_that_went_away_is_found_by_looking_at_all() {
    let Some(stage) = Stage::new() else { return };
    let builds = [("a", MARKED), ("b", ""), ("c", MARKED)];
    let dirs = builds.map(|(name, options)| stage.build(name, options));
    let (code, out, _) = text(&stage.bisect(&dirs, &[]));
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("pass all along"), "{out}");
    let (code, out, err) = text(&stage.bisect(&dirs, &["--linear"]));
    assert_eq!(code, Some(0), "{out}");
    let first = out.lines().find(|line| line.ends_with("<- the first"));
    assert!(first.is_some_and(|line| line.contains("/b ")), "{out}");
    assert!(!err.contains("assuming"), "{err}");
}

#[test]
fn what_is_no_build_is_said() {
    let Some(stage) = Stage::new() else { return };
    let dirs = [stage.build("a", ""), stage.path("scenarios")];
    let (code, _, err) = text(&stage.bisect(&dirs, &[]));
    assert_eq!(code, Some(5), "{err}");
    assert!(
        err.contains("there is no OpenSSH in") && err.contains("hint: "),
        "{err}"
    );
}

#[test]
fn what_many_cases_keep_is_said() {
    let Some(stage) = Stage::new() else { return };
    let again = SCENARIO.replace("made-up/marked", "made-up/marked-again");
    fs::write(stage.path("scenarios/made-up/marked-again.scn"), again).expect("writable");
    let dirs = ["a", "b"].map(|name| stage.build(name, ""));
    let (code, out, err) = text(&stage.bisect_of("made-up/*", &dirs, &[]));
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(
        out.contains("the same all along, as far as was looked: 2 cases, 0 pass, 2 fail"),
        "{out}"
    );
}

/// Before any build is looked at, however many there are.
#[test]
fn slips_of_the_keyboard_are_told_at_once() {
    let Some(stage) = Stage::new() else { return };
    let build = stage.build("a", "");
    let there = [build.clone(), stage.build("b", "")];
    let (code, _, err) = text(&stage.bisect_of("made-up/markd", &there, &[]));
    assert_eq!(code, Some(4), "{err}");
    assert!(err.contains("did you mean `made-up/marked`?"), "{err}");
    assert!(!err.contains("looking at"), "{err}");
    let (code, _, err) = text(&stage.bisect(&[build, stage.path("none")], &[]));
    assert_eq!(code, Some(5), "{err}");
    assert!(err.contains("there is no folder"), "{err}");
    assert!(!err.contains("looking at"), "{err}");
}
