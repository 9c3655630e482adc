//! The program from outside: every exit code, and what is printed with it.
//!
//! Nothing here needs OpenSSH or containers.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const PASSES: &str = r#"# A command prints what it should.
scenario  made-up/passes
subject   pair
cites     rfc4254-6.5/exec

client login publickey
client exec "echo hello"
expect stdout "hello\n"
"#;

const FAILS: &str = r#"# A command prints something that nobody said.
scenario  made-up/fails
subject   pair
cites     rfc4254-6.5/exec

client login publickey
client exec "echo hello"
expect stdout "goodbye\n"
"#;

const DOES_NOT_PARSE: &str = r#"# A slip of the keyboard.
scenario  made-up/does-not-parse
subject   pair
cites     rfc4254-6.5/exec

client exce "echo hello"
"#;

/// A folder with one scenario file, and room for reports.
struct Stage {
    folder: TempDir,
}

impl Stage {
    fn with(name: &str, text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder
            .path()
            .join("scenarios/made-up")
            .join(format!("{name}.scn"));
        fs::create_dir_all(file.parent().expect("it has one")).expect("writable");
        fs::write(file, text).expect("writable");
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// `sshdrill run` over the folder, for minissh with itself.
    fn run(&self, args: &[&str]) -> Output {
        let scenarios = self.path("scenarios");
        let fixed = [
            "run",
            "--scenarios",
            &scenarios,
            "--pairing",
            "minissh:minissh",
        ];
        self.sshdrill(&[&fixed, args].concat())
    }

    fn sshdrill(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_sshdrill"))
            .args(args)
            .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
            .env("CARGO_TARGET_DIR", self.folder.path())
            .env_remove("SSHDRILL_REQUIRE")
            .output()
            .expect("our own program starts")
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    let (out, err) = (stdout(output), stderr(output));
    assert_eq!(
        output.status.code(),
        Some(code),
        "stdout:\n{out}\nstderr:\n{err}"
    );
}

#[test]
fn zero_when_all_is_as_expected() {
    let stage = Stage::with("passes", PASSES);
    let (junit, json) = (stage.path("out.xml"), stage.path("out.json"));
    let output = stage.run(&["--junit", &junit, "--json", &json]);
    assert_code(&output, 0);
    assert!(
        stdout(&output).contains("1 cases: 1 pass"),
        "{}",
        stdout(&output)
    );
    assert!(
        fs::read_to_string(junit)
            .expect("written")
            .contains("tests=\"1\"")
    );
    assert!(
        fs::read_to_string(json)
            .expect("written")
            .contains("\"schema\": 1")
    );
}

/// A report that looks whole although half of the peers were missing is worse than none.
#[test]
fn what_is_missing_is_said_and_does_no_harm() {
    let stage = Stage::with("passes", PASSES);
    let scenarios = stage.path("scenarios");
    let peers = ["--peer", "openssh-sid", "--peer", "minissh"];
    let json = stage.path("list.json");
    let list = ["run", "--scenarios", &scenarios, "--list", "--json", &json];
    let args = [&list[..], &peers].concat();
    let output = stage.sshdrill(&args);
    assert_code(&output, 0);
    let text = stdout(&output);
    assert!(
        text.contains("minissh→minissh") && text.contains("\n  containers\n"),
        "{text}"
    );
    let json = fs::read_to_string(json).expect("written");
    assert!(
        json.contains("made-up/passes") && !json.contains("verdict"),
        "{json}"
    );
}

#[test]
fn one_when_a_verdict_is_not_as_expected() {
    let stage = Stage::with("fails", FAILS);
    let output = stage.run(&[]);
    assert_code(&output, 1);
    let text = stdout(&output);
    for part in [
        "FAIL  made-up/fails  minissh→minissh",
        r#"▶    8  expect stdout "goodbye\n""#,
        r#"actual:      "hello\n""#,
        "RFC 4254 §6.5",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(Path::new(&stage.path("drill/made-up/fails/minissh-to-minissh/packets.txt")).exists());
}

#[test]
fn the_command_printed_under_a_failure_runs_that_case_again() {
    let stage = Stage::with("fails", FAILS);
    let first = stdout(&stage.run(&["--seed", "7"]));
    let again = first
        .lines()
        .find_map(|line| line.trim().strip_prefix("again:"));
    let again: Vec<&str> = again
        .expect("a failure has one")
        .split_whitespace()
        .collect();
    let ["cargo", "drill", args @ ..] = again.as_slice() else {
        panic!("{again:?}")
    };
    let second = stage.sshdrill(args);
    assert_code(&second, 1);
    assert!(
        stdout(&second).contains("1 cases: 0 pass, 1 fail"),
        "{}",
        stdout(&second)
    );
    assert!(stdout(&second).contains("seed 0x7"));
}

#[test]
fn two_when_the_command_line_is_not_understood() {
    let stage = Stage::with("passes", PASSES);
    assert_code(&stage.run(&["--jbos", "2"]), 2);
    assert_code(&stage.run(&["--pairing", "minissh"]), 2);
    assert_code(&stage.run(&["--require", "opensh"]), 2);
    assert_code(
        &stage.run(&["--require", "containers", "--no-containers"]),
        2,
    );
}

#[test]
fn three_when_a_scenario_does_not_parse() {
    let output = Stage::with("does-not-parse", DOES_NOT_PARSE).run(&[]);
    assert_code(&output, 3);
    let text = stderr(&output);
    assert!(
        text.starts_with("error: ") && text.contains("does-not-parse.scn"),
        "{text}"
    );
}

#[test]
fn four_when_nothing_is_selected() {
    let stage = Stage::with("passes", PASSES);
    let output = stage.run(&["made-up/pases"]);
    assert_code(&output, 4);
    assert!(
        stderr(&output).contains("hint: did you mean `made-up/passes`"),
        "{}",
        stderr(&output)
    );
    assert_code(&stage.run(&["--peer", "openssh-buster"]), 4);
}

#[test]
fn five_when_something_required_is_missing() {
    let stage = Stage::with("passes", PASSES);
    let scenarios = stage.path("scenarios");
    let required = ["--peer", "openssh-sid", "--require", "containers"];
    let output = stage.sshdrill(&[&["run", "--scenarios", &scenarios][..], &required].concat());
    assert_code(&output, 5);
    let text = stderr(&output);
    assert!(
        text.starts_with("error: something required is missing\n  containers"),
        "{text}"
    );
}
