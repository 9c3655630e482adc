//! The real `ssh` and `sshd` at the other end. Where they are missing a test is skipped loudly, or
//! fails if `SSHDRILL_REQUIRE` names openssh.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use minissh::keyfile::{KeyFile, public_line};
use tempfile::TempDir;

use super::{PASSWORD, USER, soon, user_key};

/// Finds a program, also where only administrators look.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        let required = std::env::var("SSHDRILL_REQUIRE").unwrap_or_default();
        assert!(
            !required.split(',').any(|part| part.trim() == "openssh"),
            "{name} is required"
        );
        eprintln!("SKIPPED: {name} is not on this machine");
    }
    found
}

/// A folder with the fixture user's key in it.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile {
            key: user_key(),
            comment: String::new(),
        };
        file.write(&folder.path().join("key")).unwrap();
        let line = public_line(&user_key().public_key(), "") + "\n";
        fs::write(folder.path().join("authorized_keys"), line).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `ssh` as the fixture user with its key, which reads nothing of this machine's user.
    pub(crate) fn ssh(&self, port: u16) -> Option<Command> {
        self.ssh_as(USER, port)
    }

    /// The same as somebody else.
    pub(crate) fn ssh_as(&self, user: &str, port: u16) -> Option<Command> {
        let mut ssh = Self::bare_ssh(user, port)?;
        ssh.arg("-i")
            .arg(self.path("key"))
            .args(["-o", "BatchMode=yes"]);
        Some(ssh)
    }

    /// The same with the password.
    pub(crate) fn ssh_with_password(&self, port: u16) -> Option<Command> {
        use std::os::unix::fs::PermissionsExt as _;
        let ask = self.path("ask");
        fs::write(&ask, format!("#!/bin/sh\necho '{PASSWORD}'\n")).unwrap();
        fs::set_permissions(&ask, fs::Permissions::from_mode(0o700)).unwrap();
        let mut ssh = Self::bare_ssh(USER, port)?;
        ssh.args(["-o", "PreferredAuthentications=password"])
            .env("SSH_ASKPASS", &ask)
            .env("SSH_ASKPASS_REQUIRE", "force");
        Some(ssh)
    }

    /// `ssh` with no key and no password.
    pub(crate) fn bare_ssh(user: &str, port: u16) -> Option<Command> {
        let mut ssh = Command::new(program("ssh")?);
        let options = [
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "ConnectTimeout=20",
        ];
        ssh.args(["-F", "/dev/null", "-p", &port.to_string(), "-l", user]);
        for option in options {
            ssh.args(["-o", option]);
        }
        ssh.arg("127.0.0.1").stdin(Stdio::null());
        Some(ssh)
    }
}

/// Output and error output of a program that must succeed.
pub(crate) fn output(command: &mut Command) -> (String, String) {
    let output = command.output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    (out, err)
}

/// A server of ours as a program of its own, killed when dropped. Everything that it prints is
/// kept.
pub(crate) struct Program {
    child: Child,
    pub(crate) port: u16,
    said: Arc<Mutex<String>>,
}

impl Program {
    /// Starts it and waits until it says where it listens.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::<Mutex<String>>::default();
        keep(child.stdout.take().unwrap(), &said);
        keep(child.stderr.take().unwrap(), &said);
        let mut program = Self {
            child,
            port: 0,
            said,
        };
        program.hear("listening on 127.0.0.1:");
        let said = program.said();
        let port = said.split("127.0.0.1:").nth(1).unwrap();
        let digits: String = port.chars().take_while(char::is_ascii_digit).collect();
        program.port = digits.parse().unwrap();
        program
    }

    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said this.
    pub(crate) fn hear(&self, text: &str) {
        assert!(
            soon(|| self.said().contains(text)),
            "no {text:?} in:\n{}",
            self.said()
        );
    }
}

fn keep(stream: impl Read + Send + 'static, said: &Arc<Mutex<String>>) {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            said.lock().unwrap().push_str(&(line + "\n"));
        }
    });
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An sshd on loopback, in whose view of the machine the fixture user exists with the fixture
/// password and key. The machine itself is not touched. Needs to be root; `None` says so loudly.
pub(crate) struct Sshd {
    child: Child,
    pub(crate) port: u16,
}

/// `crypt` of "open sesame".
const PASSWORD_HASH: &str = "$6$minissh$iCvEVYpCrXZWONiFrBwEHYezjtCuYy/NRO4yWqlqKmsEYcLocPpmXSmhJsDsZJ.PBPgAuvNGaKMt4DSvkDeJR1";

/// `$1` is the fixture user's passwd line, `$2` the one for shadow, `$3` their authorized keys.
const OWN_VIEW: &str = r#"set -e
umask 022
keys=$(cat "$3")
passwd=$1 shadow=$2
shift 3
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -m 0755 /run/sshd
echo "$keys" >/run/sshd/authorized_keys
cp -p /etc/passwd /etc/shadow /run/
echo "$passwd" >>/run/passwd
echo "$shadow" >>/run/shadow
mount --bind /run/passwd /etc/passwd
mount --bind /run/shadow /etc/shadow
exec "$@""#;

impl Sshd {
    pub(crate) fn start(home: &Home) -> Option<Self> {
        let (sshd, unshare) = (program("sshd")?, program("unshare")?);
        if !is_root() {
            eprintln!("SKIPPED: only root can give sshd a user of its own");
            return None;
        }
        KeyFile {
            key: super::host_key(),
            comment: String::new(),
        }
        .write(&home.path("host_key"))
        .unwrap();
        let port = free_port();
        let mut command = Command::new(unshare);
        command
            .args([
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                OWN_VIEW,
                "sh",
            ])
            .arg(format!("{USER}:x:58739:58739::/:/bin/sh"))
            .arg(format!("{USER}:{PASSWORD_HASH}:19000:0:99999:7:::"))
            .arg(home.path("authorized_keys"))
            .arg(sshd)
            .args(["-D", "-e", "-f", "/dev/null", "-p", &port.to_string(), "-h"])
            .arg(home.path("host_key"));
        for option in [
            "ListenAddress=127.0.0.1",
            "PidFile=none",
            "UsePAM=no",
            "PasswordAuthentication=yes",
            "AuthorizedKeysFile=/run/sshd/authorized_keys",
        ] {
            command.args(["-o", option]);
        }
        let log = fs::File::create(home.path("sshd.log")).unwrap();
        let child = command.stdin(Stdio::null()).stderr(log).spawn().unwrap();
        let sshd = Self { child, port };
        let listens = soon(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        assert!(
            listens,
            "{}",
            fs::read_to_string(home.path("sshd.log")).unwrap()
        );
        Some(sshd)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// A program of ours that was built with the tests.
pub(crate) fn minissh() -> Command {
    Command::new(Path::new(env!("CARGO_BIN_EXE_minissh")))
}
