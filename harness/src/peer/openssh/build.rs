//! The programs that one OpenSSH is made of, on this machine or in a folder that somebody built or
//! unpacked.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::peer::{Broken, process};

/// Where distributions keep `sshd`, beside PATH.
const SERVER_FOLDERS: &[&str] = &["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/lib/ssh"];
/// Where `ssh` is in a folder that was installed or unpacked into.
const CLIENTS: &[&str] = &["bin/ssh", "usr/bin/ssh", "usr/local/bin/ssh", "ssh"];
/// Likewise `sshd`.
const SERVERS: &[&str] = &["sbin/sshd", "usr/sbin/sshd", "usr/local/sbin/sshd", "sshd"];
/// Likewise the programs that `sshd` runs since 9.8.
const HELPERS: &[&str] = &[
    "libexec",
    "usr/libexec",
    "usr/lib/openssh",
    "usr/lib/ssh",
    ".",
];
/// How long `ssh -V` and the like may take.
pub(super) const ASKING_MAX: Duration = Duration::from_secs(60);

/// The programs of one OpenSSH.
#[derive(Debug, Clone)]
pub(super) struct Build {
    pub(super) ssh: Option<PathBuf>,
    pub(super) sshd: Option<PathBuf>,
    /// Libraries that this machine lacks, or has in other versions.
    libraries: Option<PathBuf>,
    /// `-o` options that tell `sshd` where its own programs are.
    pub(super) helpers: Vec<String>,
}

impl Build {
    /// What this machine has on PATH and where distributions put it.
    pub(super) fn of_machine() -> Self {
        let elsewhere = || {
            let mut places = SERVER_FOLDERS.iter().map(|f| Path::new(f).join("sshd"));
            places.find(|path| path.is_file())
        };
        Self {
            ssh: which::which("ssh").ok(),
            sshd: which::which("sshd").ok().or_else(elsewhere),
            libraries: None,
            helpers: Vec::new(),
        }
    }

    /// What is in a folder.
    ///
    /// # Errors
    /// [`Broken`] when neither program is.
    pub(super) fn in_folder(folder: &Path) -> Result<Self, Broken> {
        let what = format!("there is no OpenSSH in {}", folder.display());
        let hint = "it must hold bin/ssh or sbin/sshd, as `make install` or `dpkg -x` put them";
        // sshd starts itself anew, for which it must know its place.
        let folder = folder
            .canonicalize()
            .map_err(|e| Broken::while_doing(&what, e).hint(hint))?;
        let first = |names: &[&str]| {
            let mut places = names.iter().map(|name| folder.join(name));
            places.find(|path| path.is_file())
        };
        let helper = |option: &str, name: &str| {
            let mut places = HELPERS.iter().map(|each| folder.join(each).join(name));
            let path = places.find(|path| path.is_file())?;
            Some(format!("{option}={}", path.display()))
        };
        let helpers = [
            helper("SshdSessionPath", "sshd-session"),
            helper("SshdAuthPath", "sshd-auth"),
        ];
        let build = Self {
            ssh: first(CLIENTS),
            sshd: first(SERVERS),
            libraries: Some(folder.join("lib")).filter(|lib| lib.is_dir()),
            helpers: helpers.into_iter().flatten().collect(),
        };
        match (&build.ssh, &build.sshd) {
            (None, None) => Err(Broken::new(what).hint(hint)),
            _ => Ok(build),
        }
    }

    /// The words that run one of its programs.
    pub(super) fn words(&self, program: &Path) -> Vec<String> {
        let program = program.to_string_lossy().into_owned();
        match &self.libraries {
            None => vec![program],
            Some(lib) => vec![
                "env".to_owned(),
                format!("LD_LIBRARY_PATH={}", lib.display()),
                program,
            ],
        }
    }

    /// What a program of it prints, wherever it prints it.
    pub(super) fn ask(&self, program: &Path, arguments: &[&str]) -> Result<String, Broken> {
        let words = self.words(program);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(arguments);
        let ran = process::run(&mut command, b"", ASKING_MAX)
            .map_err(|e| Broken::while_doing(&format!("cannot run {}", program.display()), e))?;
        Ok(String::from_utf8_lossy(&ran.stdout).into_owned() + &ran.stderr)
    }
}
