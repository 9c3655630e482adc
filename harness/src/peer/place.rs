//! Where the programs of a peer are run: on this machine or in a container. What is run is the same
//! for both, so that peers know nothing of where they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::process::{self, Daemon, Ran};
use super::{Broken, Reach};

/// Where commands are run, and over which address they reach servers of ours.
pub(super) trait Place: Send + Sync {
    /// Runs a shell script with `stdin`, and kills it with all that it started after `limit`.
    fn run(&self, script: &str, stdin: &[u8], limit: Duration) -> Result<Ran, Broken>;

    /// Runs a shell script in a new folder with `inputs` in it, and brings the files that it left at
    /// the top of the folder, also when it was stopped after `limit`.
    fn work(&self, inputs: &[Input<'_>], script: &str, limit: Duration) -> Result<Worked, Broken>;

    /// Starts a shell script that goes on running until what is returned is dropped, or the place is.
    fn start(&self, script: &str) -> Result<Background, Broken>;

    /// A folder below which a script may make its own.
    fn folder(&self) -> &str;

    /// See [`super::Peer::reach`].
    fn reach(&self) -> Reach;
}

/// What keeps a script running.
#[derive(Debug)]
pub(super) enum Background {
    /// A program of this machine, which ends with this.
    Here {
        #[expect(dead_code, reason = "held for what happens when it is dropped")]
        daemon: Daemon,
    },
    /// The container, which ends by itself when nobody needs it any more.
    Container,
}

/// This machine as a [`Place`].
#[derive(Debug)]
pub(super) struct Here {
    folder: Folder,
    path: String,
}

impl Here {
    /// With a temporary folder of its own.
    pub(super) fn new() -> Result<Self, Broken> {
        let folder = Folder::new()?;
        let path = folder.path().to_string_lossy().into_owned();
        Ok(Self { folder, path })
    }
}

impl Place for Here {
    fn run(&self, script: &str, stdin: &[u8], limit: Duration) -> Result<Ran, Broken> {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).current_dir(self.folder.path());
        process::run(&mut shell, stdin, limit).map_err(|e| Broken::while_doing("cannot run sh", e))
    }

    fn work(&self, inputs: &[Input<'_>], script: &str, limit: Duration) -> Result<Worked, Broken> {
        let folder = tempfile::tempdir_in(self.folder.path()).map_err(preparing)?;
        for (name, mode, content) in inputs {
            write_input(&folder.path().join(name), mode, content).map_err(preparing)?;
        }
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).current_dir(folder.path());
        let ran = process::run(&mut shell, b"", limit);
        let ran = ran.map_err(|e| Broken::while_doing("cannot run sh", e))?;
        Ok(Worked {
            in_time: ran.code.is_some(),
            files: outputs(folder.path()).map_err(preparing)?,
        })
    }

    fn start(&self, script: &str) -> Result<Background, Broken> {
        let program = ["sh", "-c", script].map(str::to_owned);
        let nowhere = File::options().write(true).open("/dev/null");
        let daemon = nowhere.and_then(|nowhere| Daemon::start(&program, nowhere));
        let daemon = daemon.map_err(|e| Broken::while_doing("cannot run sh", e))?;
        Ok(Background::Here { daemon })
    }

    fn folder(&self) -> &str {
        &self.path
    }

    fn reach(&self) -> Reach {
        Reach::Loopback
    }
}

fn preparing(e: io::Error) -> Broken {
    Broken::while_doing("cannot use a folder for a client", e)
}

fn write_input(path: &Path, mode: &str, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mode = u32::from_str_radix(mode, 8).map_err(io::Error::other)?;
    let mut options = File::options();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)
}

/// The files at the top of a folder.
fn outputs(folder: &Path) -> io::Result<Files> {
    let mut files = Files::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            files.insert(name, std::fs::read(entry.path())?);
        }
    }
    Ok(files)
}

/// A temporary folder of ours, which goes when this is dropped, at the latest by [`remove_folders`].
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

/// The temporary folders that there are.
static FOLDERS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

impl Folder {
    pub(super) fn new() -> Result<Self, Broken> {
        let made = tempfile::Builder::new().prefix("sshdrill-").tempdir();
        let made = made.map_err(|e| {
            Broken::while_doing("cannot make a temporary folder", e)
                .hint("TMPDIR says where temporary folders go")
        })?;
        let path = made.keep();
        folders().insert(path.clone());
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // First it goes, and then it is forgotten.
        let _ = std::fs::remove_dir_all(&self.0);
        folders().remove(&self.0);
    }
}

fn folders() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the temporary folders of this process that are still there: a case that was left behind
/// holds on to its own.
pub fn remove_folders() {
    const TRIES: usize = 3;
    let left = std::mem::take(&mut *folders());
    for folder in left {
        // Whoever still runs there may write while it is emptied.
        let _ = (0..TRIES).find(|_| std::fs::remove_dir_all(&folder).is_ok() || !folder.exists());
    }
}

/// Files by their names.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// What came of a script's work.
#[derive(Debug)]
pub(super) struct Worked {
    /// Whether it ended by itself, in whatever way.
    pub(super) in_time: bool,
    pub(super) files: Files,
}

/// A file that a script shall find: name, which may begin with a folder's, mode, content.
pub(super) type Input<'a> = (String, &'static str, std::borrow::Cow<'a, [u8]>);

/// A script that writes files into the current folder, and the bytes on its stdin that it takes them
/// from. It starts as few programs as it can: where they are many, they take longer than SSH.
pub(super) fn putting(inputs: &[Input<'_>]) -> (String, Vec<u8>) {
    let mut script = "umask 077\n".to_owned();
    let mut bytes = Vec::new();
    for (name, mode, content) in inputs {
        let _ = match content.len() {
            0 => writeln!(script, ": >{name}"),
            length => writeln!(script, "head -c {length} >{name}"),
        };
        if *mode != "600" {
            let _ = writeln!(script, "chmod {mode} {name}");
        }
        bytes.extend_from_slice(content);
    }
    (script, bytes)
}

/// A word for the shell, whatever it holds.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_survives_the_shell() {
        let word = "it's $HOME; \"`x`\" \\ \n*";
        let printed = Command::new("sh")
            .args(["-c", &format!("printf %s {}", quoted(word))])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(printed.stdout).unwrap(), word);
    }

    #[test]
    fn work_finds_its_inputs_and_what_it_left_comes_back_also_when_it_was_stopped() {
        let here = Here::new().unwrap();
        let inputs = [("in/word".to_owned(), "600", b"a word"[..].into())];
        let script = "cat in/word >said; mkdir folder";
        let worked = here.work(&inputs, script, Duration::from_secs(60)).unwrap();
        assert!(worked.in_time);
        assert_eq!(
            worked.files,
            Files::from([("said".to_owned(), b"a word".to_vec())])
        );

        let script = "cat in/word >said; sleep 600";
        let worked = here.work(&inputs, script, Duration::from_secs(1)).unwrap();
        assert!(!worked.in_time);
        assert_eq!(worked.files.len(), 1);
    }

    #[test]
    fn what_was_started_ends_when_it_is_dropped() {
        let here = Here::new().unwrap();
        let script = format!(
            "cd {}; echo $$ >new; mv new pid; exec sleep 60",
            here.folder()
        );
        let background = here.start(&script).unwrap();
        let pid = here.folder.path().join("pid");
        while !pid.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let pid: i32 = std::fs::read_to_string(pid)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();

        drop(background);

        assert!(rustix::process::test_kill_process(pid).is_err());
    }
}
