//! A folder with scenarios of the test, in which the program is run.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

/// Three more exchanges in a session, with data before, between and after them.
pub(crate) const REKEYS: &str = r#"# A session goes on through three exchanges that the client begins.
scenario  made-up/rekeys
subject   server
needs     strict-kex
cites     rfc4253-9/rekey-again

session
> channel-data data="text one\n"
< channel-data data="text one\n"
> kexinit
< kexinit
> ecdh-init
< ecdh-reply
> newkeys
< newkeys
> channel-data data="text two\n"
< channel-data data="text two\n"
> kexinit
< kexinit
> ecdh-init
< ecdh-reply
> newkeys
< newkeys
> channel-data data="text three\n"
< channel-data data="text three\n"
> kexinit
< kexinit
> ecdh-init
< ecdh-reply
> newkeys
< newkeys
> channel-data data="text four\n"
< channel-data data="text four\n"
> channel-eof
< channel-request type=exit-status status=0
< channel-eof
< channel-close
"#;

pub(crate) struct Stage {
    folder: TempDir,
}

impl Stage {
    /// With these scenarios, whose names they say themselves.
    pub(crate) fn with(scenarios: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let stage = Self { folder };
        for text in scenarios {
            let name = text.lines().find_map(|line| line.strip_prefix("scenario"));
            let name = name.expect("it has one").trim();
            let file = stage.path("scenarios").join(format!("{name}.scn"));
            fs::create_dir_all(file.parent().expect("it has one")).expect("writable");
            fs::write(file, text).expect("writable");
        }
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// `sshdrill run` over the scenarios, in this process tree alone; words are separated by spaces.
    pub(crate) fn run(&self, words: &str) -> Output {
        self.sshdrill(&format!(
            "run --scenarios scenarios --no-containers --out out {words}"
        ))
    }

    pub(crate) fn sshdrill(&self, words: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_sshdrill"))
            .args(words.split_whitespace())
            .current_dir(self.folder.path())
            .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
            .env_remove("SSHDRILL_REQUIRE")
            .output()
            .expect("our own program starts")
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
