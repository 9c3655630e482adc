//! OpenSSH's own programs at the other end. Where they are missing a test is skipped loudly, or fails
//! if `SSHDRILL_REQUIRE` names openssh.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::facade::{PASSWORD, USER, host_key, soon, user_key};
use crate::program::{Program, judge, minissh, output};
use minissh::keyfile::{KeyFile, public_line};
use tempfile::TempDir;

/// What must be there, as a comma-separated list; the same variable as for `sshdrill run`.
const REQUIRE: &str = "SSHDRILL_REQUIRE";

/// Where programs of administrators are that are not in everybody's PATH.
const ADMIN_FOLDERS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// Finds a program of OpenSSH. Without it: `None`, and a loud word, or a panic if it is required.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(ADMIN_FOLDERS.map(PathBuf::from));
    let found = folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        skip("openssh", &format!("{name} is not on this machine"));
    }
    found
}

/// Says loudly that a test is skipped for want of `what`, or panics if that is required.
pub(crate) fn skip(what: &str, why: &str) {
    let required = std::env::var(REQUIRE).unwrap_or_default();
    let is_required = required.split(',').any(|part| part.trim() == what);
    assert!(!is_required, "{REQUIRE} names {what}, and {why}");
    eprintln!("SKIPPED: {why}");
}

/// Runs a program without a terminal and with nothing to read; its output if it succeeded.
pub(crate) fn run(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    judge(output)
}

/// A folder with the fixture user's key in it, and the fixture host's.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, key) in [("key", user_key()), ("host_key", host_key())] {
            let comment = String::new();
            KeyFile { key, comment }
                .write(&folder.path().join(name))
                .unwrap();
        }
        let line = public_line(&user_key().public_key(), "") + "\n";
        fs::write(folder.path().join("authorized_keys"), line).unwrap();
        Self { folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `minissh serve` that lets in the fixture user's key.
    pub(crate) fn serve(&self, more: &[&str]) -> Program {
        let [host, keys] = ["host_key", "authorized_keys"].map(|name| self.path(name));
        let paths = [host.to_str().unwrap(), keys.to_str().unwrap()];
        let options = ["--host-key", paths[0], "--authorized-keys", paths[1]];
        Program::serve(&[&options, more].concat())
    }

    /// `minissh exec` or `shell` as the fixture user with its key.
    pub(crate) fn minissh(&self, command: &str, port: u16) -> Command {
        let mut client = minissh();
        client
            .args([command, "--accept-new", "--port", &port.to_string()])
            .arg("--known-hosts")
            .arg(self.path("known_hosts"))
            .arg("--identity")
            .arg(self.path("key"))
            .arg(format!("{USER}@127.0.0.1"));
        client
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
        let ask = self.path("ask");
        let script = format!("#!/bin/sh\necho '{PASSWORD}'\n");
        // Not by us: every program that another test starts meanwhile would hold the file open for
        // writing until it runs, and a script that is written to cannot be run.
        let write = "printf %s \"$1\" >\"$2\" && chmod 700 \"$2\"";
        let mut writer = Command::new("sh");
        output(writer.args(["-c", write, "sh", &script]).arg(&ask));
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
            "ConnectTimeout=60",
        ];
        ssh.args(["-F", "/dev/null", "-p", &port.to_string(), "-l", user]);
        for option in options {
            ssh.args(["-o", option]);
        }
        ssh.arg("127.0.0.1").stdin(Stdio::null());
        Some(ssh)
    }
}

/// An sshd on loopback, for as long as this lives.
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
    /// Starts one as the user who runs the tests, with these host keys and options.
    pub(crate) fn start(folder: &Path, host_keys: &[PathBuf], options: &[&str]) -> Option<Self> {
        // What the package's service makes when it starts; here it never did.
        if is_root() {
            fs::create_dir_all("/run/sshd").expect("root may make a folder");
        }
        let sshd = Command::new(program("sshd")?);
        Some(Self::listen(sshd, folder, host_keys, options))
    }

    /// Starts one in whose view of the machine the fixture user exists with the fixture password and
    /// key. The machine itself is not touched. Needs to be root; `None` says so loudly.
    pub(crate) fn start_with_user(home: &Home) -> Option<Self> {
        Self::start_with_user_and(home, &[])
    }

    /// The same with more options.
    pub(crate) fn start_with_user_and(home: &Home, more: &[&str]) -> Option<Self> {
        let (sshd, unshare) = (program("sshd")?, program("unshare")?);
        if !is_root() {
            skip("openssh", "only root can give sshd a user of its own");
            return None;
        }
        let mut command = Command::new(unshare);
        command
            .args(["--mount", "--propagation", "private"])
            .args(["sh", "-c", OWN_VIEW, "sh"])
            .arg(format!("{USER}:x:58739:58739::/:/bin/sh"))
            .arg(format!("{USER}:{PASSWORD_HASH}:19000:0:99999:7:::"))
            .arg(home.path("authorized_keys"))
            .arg(sshd);
        let options = [
            "UsePAM=no",
            "PasswordAuthentication=yes",
            "AuthorizedKeysFile=/run/sshd/authorized_keys",
        ];
        let folder = home.folder();
        Some(Self::listen(
            command,
            folder,
            &[home.path("host_key")],
            &[&options, more].concat(),
        ))
    }

    fn listen(mut sshd: Command, folder: &Path, host_keys: &[PathBuf], options: &[&str]) -> Self {
        sshd.args(["-D", "-e", "-f", "/dev/null"]);
        for key in host_keys {
            sshd.arg("-h").arg(key);
        }
        for option in ["ListenAddress=127.0.0.1", "PidFile=none"]
            .iter()
            .chain(options)
        {
            sshd.args(["-o", option]);
        }
        let mut started = None;
        let listens = soon(|| {
            started = Self::listen_at(free_port(), &sshd, folder);
            started.is_some()
        });
        assert!(listens, "every port is taken");
        started.unwrap()
    }

    /// `None` if somebody else took the port before.
    fn listen_at(port: u16, sshd: &Command, folder: &Path) -> Option<Self> {
        let log = folder.join(format!("sshd-{port}.log"));
        let mut command = Command::new(sshd.get_program());
        command
            .args(sshd.get_args())
            .args(["-p", &port.to_string()])
            .stdin(Stdio::null())
            .stderr(fs::File::create(&log).unwrap());
        let mut sshd = Self {
            child: command.spawn().expect("sshd starts"),
            port,
        };
        // By its own word, as it might be somebody else who answers at the port.
        let said = || fs::read_to_string(&log).unwrap();
        let listens = || said().contains("Server listening on ");
        let is_decided = soon(|| listens() || sshd.child.try_wait().unwrap().is_some());
        if listens() {
            return Some(sshd);
        }
        let is_taken = is_decided && said().contains("Address already in use");
        assert!(is_taken, "sshd does not listen: {}", said());
        None
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

/// Free a moment ago; somebody else may be given it at any moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
