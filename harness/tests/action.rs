//! What the GitHub action runs, run here.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use sshdrill::peer::catalogue::{Part, Required};
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The script with these variables, in a folder of its own.
fn run(folder: &TempDir, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(format!("{ROOT}/harness/action/run.sh"));
    for variable in ["DRILL_MANIFEST", "DRILL_SERVER_START", "DRILL_CLIENT_START"] {
        command.env_remove(variable);
    }
    command
        .current_dir(folder.path())
        .env("DRILL_PROGRAM", env!("CARGO_BIN_EXE_sshdrill"))
        .env("GITHUB_STEP_SUMMARY", folder.path().join("summary.md"))
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .env_remove(Required::VARIABLE)
        .envs(variables.iter().copied())
        .output()
        .expect("bash is here")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Whether OpenSSH is here; if not, that is said or fails.
fn has_openssh() -> bool {
    let is_here = Path::new("/usr/sbin/sshd").exists() && Path::new("/usr/bin/ssh").exists();
    if !is_here {
        eprintln!("SKIPPED: there is no OpenSSH here");
        let required = Required::from_env().expect("a list of parts");
        assert!(!required.has(Part::OpenSsh), "OpenSSH must be here");
    }
    is_here
}

#[test]
fn a_manifest_is_tested_and_reported() {
    if !has_openssh() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let manifest = format!("{ROOT}/harness/examples/my-openssh.toml");
    let output = run(
        &folder,
        &[
            ("DRILL_MANIFEST", &manifest),
            ("DRILL_SCENARIOS", "kex/handshake interop/exec-output"),
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect(name);
    assert!(read("sshdrill-reports/drill.xml").contains("scripted→my-openssh"));
    assert!(read("sshdrill-reports/drill.json").contains("\"my-openssh\""));
    assert_eq!(read("summary.md"), read("sshdrill-reports/drill.md"));
    assert!(
        read("summary.md").contains("no case failed"),
        "{}",
        read("summary.md")
    );
}

/// The five lines of the README, with a client that runs nothing, so that a case fails.
#[test]
fn two_lines_are_enough_and_a_failure_is_the_exit_code() {
    if !has_openssh() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let client = r#"exec ssh -F /dev/null -o BatchMode=yes -i "$DRILL_USER_KEY" -o UserKnownHostsFile="$DRILL_KNOWN_HOSTS" -o StrictHostKeyChecking=yes -p "$DRILL_PORT" "$DRILL_USER@$DRILL_HOST" true"#;
    let output = run(
        &folder,
        &[
            ("DRILL_CLIENT_START", client),
            // As a block of lines in a workflow comes.
            ("DRILL_SCENARIOS", "kex/handshake\ninterop/exec-output\n"),
        ],
    );
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("2 cases: 1 pass, 1 fail"),
        "{}",
        said(&output)
    );
}

/// As the README writes them; the folder's name is one that a shell would take apart.
#[test]
fn programs_of_the_workspace_are_found_by_a_relative_path() {
    if !has_openssh() {
        return;
    }
    let folder = tempfile::Builder::new()
        .prefix(r#"it's "$HOME" "#)
        .tempdir()
        .expect("a temporary folder");
    let program = folder.path().join("my-ssh");
    let script = "#!/bin/sh\nexec ssh -F /dev/null -o BatchMode=yes \"$@\"\n";
    fs::write(&program, script).expect("writable");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("ours");
    let client = r#"exec ./my-ssh -i "$DRILL_USER_KEY" -o UserKnownHostsFile="$DRILL_KNOWN_HOSTS" -o StrictHostKeyChecking=yes -p "$DRILL_PORT" "$DRILL_USER@$DRILL_HOST" "$DRILL_COMMAND""#;
    let output = run(
        &folder,
        &[
            ("DRILL_CLIENT_START", client),
            ("DRILL_SCENARIOS", "kex/handshake interop/exec-output"),
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        said(&output).contains("2 cases: 2 pass"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_mistake_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (variables, part) in [
        (&[][..], "nothing to test"),
        (
            &[("DRILL_MANIFEST", "nowhere.toml")],
            "cannot read the manifest nowhere.toml",
        ),
        (&[("DRILL_CLIENT_START", "echo '''")], "three single quotes"),
    ] {
        let output = run(&folder, variables);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        let text = said(&output);
        assert!(text.contains(part) && text.contains("hint: "), "{text}");
    }
}
