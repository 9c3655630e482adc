//! A folder with a scenario of the test, for which the program is run.

use std::fs;
use std::process::{Command, Output};

use sshdrill::peer::catalogue::Required;
use tempfile::TempDir;

/// A folder with one scenario file, and room for reports.
pub(crate) struct Stage {
    folder: TempDir,
}

impl Stage {
    pub(crate) fn with(name: &str, text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder
            .path()
            .join("scenarios/made-up")
            .join(format!("{name}.scn"));
        fs::create_dir_all(file.parent().expect("it has one")).expect("writable");
        fs::write(file, text).expect("writable");
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// `sshdrill run` over the folder, for minissh with itself.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
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

    pub(crate) fn sshdrill(&self, args: &[&str]) -> Output {
        self.prepared(args)
            .output()
            .expect("our own program starts")
    }

    /// The same, not started yet.
    pub(crate) fn prepared(&self, args: &[&str]) -> Command {
        let mut sshdrill = Command::new(env!("CARGO_BIN_EXE_sshdrill"));
        sshdrill
            .args(args)
            .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
            .env("CARGO_TARGET_DIR", self.folder.path())
            .env_remove(Required::VARIABLE);
        sshdrill
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
pub(crate) fn assert_code(output: &Output, code: i32) {
    let (out, err) = (stdout(output), stderr(output));
    assert_eq!(
        output.status.code(),
        Some(code),
        "stdout:\n{out}\nstderr:\n{err}"
    );
}

/// Each of these must be said.
#[track_caller]
pub(crate) fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}
