//! A fresh `sshd` of this machine in the foreground, with a throw-away configuration: as root with a
//! user of its own that exists nowhere else, or as anybody for oneself.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::build::{ASKING_MAX, Build};
use super::dialect::{self, Release};
use super::{SSHD_CONFIG, product, rekey_option, version};
use crate::peer::keys::{self, LOGIN};
use crate::peer::place::folder;
use crate::peer::process::{self, Daemon};
use crate::peer::{Broken, RekeyLimit, RunningServer, ServerRecord, port};
use crate::verdict::Log;

/// How long a server may take until it listens.
const START_MAX: Duration = Duration::from_secs(60);
/// What it says when it will not listen, so that nobody waits for it.
const GAVE_UP: &[&str] = &[
    "Bad configuration option",
    "Cannot bind any address",
    "Missing privilege separation directory",
    "fatal:",
    "no hostkeys available",
    "terminating,",
    "unshare failed",
];
/// The server's log, in its folder.
const LOG: &str = "sshd.log";
/// Debian's directory for privilege separation; other systems install theirs.
const PRIVSEP: &str = "/run/sshd";

/// How this machine's `sshd` is started.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// The words that run it.
    words: Vec<String>,
    login: Login,
    /// What is the same for each start.
    config: String,
    /// The `-o` options that are.
    options: Vec<String>,
}

/// Who can log in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Login {
    /// A user that exists only in the server's own view of this machine; needs root and mount
    /// namespaces. The only one whose password can be checked.
    Throwaway,
    /// The user who runs this program, by key.
    Oneself(String),
}

impl Server {
    /// `known` is the release to assume of a server that does not tell its own.
    pub(super) fn new(build: &Build, known: Release) -> Result<Self, Broken> {
        let sshd = build.sshd.as_deref().unwrap_or(Path::new("sshd"));
        let release = product(&build.ask(sshd, &["-V"])?)
            .as_deref()
            .and_then(version)
            .unwrap_or(known);
        let login = if rustix::process::geteuid().is_root() && own_view_works() {
            Login::Throwaway
        } else {
            Login::Oneself(me()?)
        };
        let options = [&["PerSourcePenalties=no".to_owned()], &*build.helpers].concat();
        let config = dialect::server_config(SSHD_CONFIG, release);
        Ok(Self {
            words: build.words(sshd),
            login,
            config: understood(build, sshd, config)?,
            options: dialect::server_options(options, release),
        })
    }

    /// Whether it can check the password of the user who can log in.
    pub(super) fn checks_passwords(&self) -> bool {
        self.login == Login::Throwaway
    }

    /// Starts a server on a free port of `address`, which begins key exchanges as `rekey` says. A
    /// port that was free may be taken by the time the server binds it, so this is tried a few times.
    pub(super) fn start(&self, address: IpAddr, rekey: RekeyLimit) -> Result<LocalServer, Broken> {
        const TRIES: usize = 4;
        let mut last = None;
        for _ in 0..TRIES {
            match self.try_start(address, rekey)? {
                Ok(server) => return Ok(server),
                Err(log) if log.contains("Address already in use") => last = Some(log),
                Err(log) => return Err(not_started(&self.words, &log)),
            }
        }
        Err(not_started(&self.words, &last.unwrap_or_default()))
    }

    /// Starts a server once. The inner error is its log.
    fn try_start(
        &self,
        address: IpAddr,
        rekey: RekeyLimit,
    ) -> Result<Result<LocalServer, String>, Broken> {
        let folder = folder()?;
        let free = |e| {
            Broken::while_doing(&format!("cannot listen on {address}"), e)
                .hint("container peers need an engine that runs on this machine")
        };
        let addr = port::free(address).map_err(free)?;
        let write = |name: &str, text: &str, mode| {
            write_file(&folder.path().join(name), text, mode).map_err(|e| {
                Broken::while_doing(&format!("cannot write {}", folder.path().display()), e)
            })
        };
        write("sshd_config", &self.config, 0o600)?;
        write("host_ed25519", keys::HOST, 0o600)?;
        write("authorized_keys", keys::USER_PUBLIC, 0o644)?;
        // What goes wrong before its log is open comes on stderr.
        let log = write(LOG, "", 0o600)?;
        let daemon = Daemon::start(&self.command(folder.path(), addr, rekey), log)
            .map_err(|e| Broken::while_doing("cannot run sh", e))?;
        let server = LocalServer {
            daemon,
            folder,
            addr,
            user: self.user().to_owned(),
        };
        Ok(server.listening().map(|()| server))
    }

    fn user(&self) -> &str {
        match &self.login {
            Login::Throwaway => LOGIN,
            Login::Oneself(me) => me,
        }
    }

    /// The command line of a server with its files in `folder`.
    fn command(&self, folder: &Path, addr: SocketAddr, rekey: RekeyLimit) -> Vec<String> {
        let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let authorized_keys = match self.login {
            Login::Throwaway => format!("{PRIVSEP}/authorized_keys"),
            Login::Oneself(_) => file("authorized_keys"),
        };
        let mut command = match self.login {
            Login::Throwaway => in_own_view(&file("")),
            // Root without namespaces has to make the folder on the machine; others do without.
            Login::Oneself(_) if rustix::process::geteuid().is_root() => {
                let _ = std::fs::create_dir(PRIVSEP);
                Vec::new()
            }
            Login::Oneself(_) => Vec::new(),
        };
        command.extend(self.words.iter().cloned());
        command.extend(["-D".into(), "-f".into(), file("sshd_config")]);
        command.extend(["-E".into(), file(LOG)]);
        let mut options = vec![
            format!("Port={}", addr.port()),
            format!("ListenAddress={}", addr.ip()),
            format!("HostKey=\"{}\"", file("host_ed25519")),
            format!("AuthorizedKeysFile=\"{authorized_keys}\""),
        ];
        options.extend(self.options.iter().cloned());
        options.extend(rekey_option(rekey));
        command.extend(
            options
                .into_iter()
                .flat_map(|option| ["-o".to_owned(), option]),
        );
        command
    }
}

/// The user who runs this program.
fn me() -> Result<String, Broken> {
    let ran = process::run(Command::new("id").arg("-un"), b"", ASKING_MAX)
        .map_err(|e| Broken::while_doing("cannot run id", e))?;
    Ok(String::from_utf8_lossy(&ran.stdout).trim().to_owned())
}

/// The configuration without what the server says it does not know: builds differ in more than
/// their release.
fn understood(build: &Build, sshd: &Path, mut config: String) -> Result<String, Broken> {
    /// More than this and it is no option that is wrong.
    const REFUSALS_MAX: usize = 8;
    let folder = folder()?;
    let (file, key) = (folder.path().join("sshd_config"), folder.path().join("key"));
    let writing = |e| Broken::while_doing("cannot write into a temporary folder", e);
    write_file(&key, keys::HOST, 0o600).map_err(writing)?;
    for _ in 0..REFUSALS_MAX {
        std::fs::write(&file, &config).map_err(writing)?;
        let words = [file.to_string_lossy(), key.to_string_lossy()];
        let said = build.ask(sshd, &["-t", "-f", &words[0], "-h", &words[1]])?;
        let Some(option) = dialect::refused(&said) else {
            break;
        };
        config = dialect::without(&config, option);
    }
    Ok(config)
}

/// Gives what follows a view of the machine of its own, in which `/run/sshd` and the throw-away
/// user exist. The machine itself is not touched. `$1` is a folder with `authorized_keys`.
///
/// An empty `/run` also keeps name service caches out of it, which do not know the user.
const OWN_VIEW: &str = r#"set -e
umask 022
keys=$1authorized_keys; shift
exec 3<"$keys"
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -m 0755 /run/sshd
cat <&3 >/run/sshd/authorized_keys
exec 3<&-
for file in passwd shadow; do
    cp -p /etc/$file /run/$file
done
echo "$DRILL_PASSWD" >>/run/passwd
echo "$DRILL_SHADOW" >>/run/shadow
unset DRILL_PASSWD DRILL_SHADOW
for file in passwd shadow; do
    mount --bind /run/$file /etc/$file
done
exec "$@""#;

/// A number that no system hands out by itself, so that the user is nobody else.
const THROWAWAY_UID: u32 = 58_739;
/// The password's hash as crypt(3) understands it everywhere.
const PASSWORD_HASH: &str = "$6$sshdrill$hNrZGmwgEsh9e131R7O9IVi/98Xj33WmtTOIzUdayAWNX/pA4GVNG5O0.zrmUcHAVYPiEWhln6aGpLwpLyX/t1";

/// The start of a command line whose rest runs in its own view of the machine.
fn in_own_view(folder: &str) -> Vec<String> {
    let passwd = format!("{LOGIN}:x:{THROWAWAY_UID}:{THROWAWAY_UID}::/:/bin/sh");
    let shadow = format!("{LOGIN}:{PASSWORD_HASH}:19000:0:99999:7:::");
    let environment = [
        format!("DRILL_PASSWD={passwd}"),
        format!("DRILL_SHADOW={shadow}"),
    ];
    let unshare = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        OWN_VIEW,
        "sh",
    ];
    ["env".to_owned()]
        .into_iter()
        .chain(environment)
        .chain(unshare.map(str::to_owned))
        .chain([folder.to_owned()])
        .collect()
}

/// Whether this machine lets us have such a view: as root in most containers, it does not.
fn own_view_works() -> bool {
    let Ok(folder) = folder() else { return false };
    let path = format!("{}/", folder.path().display());
    let _ = std::fs::write(folder.path().join("authorized_keys"), "");
    let mut command = in_own_view(&path);
    command.extend(["sh", "-c", "test -d /run/sshd && id drill"].map(str::to_owned));
    let mut run = Command::new(&command[0]);
    process::run(run.args(&command[1..]), b"", ASKING_MAX).is_ok_and(|ran| ran.code == Some(0))
}

/// A running `sshd` and its files.
pub(super) struct LocalServer {
    daemon: Daemon,
    folder: TempDir,
    addr: SocketAddr,
    user: String,
}

impl LocalServer {
    /// Waits until it listens. The error is its log.
    fn listening(&self) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let log = read_log(self.folder.path());
            if log.contains("Server listening on ") {
                return Ok(());
            }
            let gave_up = GAVE_UP.iter().any(|words| log.contains(words));
            if gave_up || start.elapsed() > START_MAX {
                return Err(log);
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

impl RunningServer for LocalServer {
    fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn user(&self) -> &str {
        &self.user
    }

    fn password(&self) -> &str {
        keys::PASSWORD
    }

    fn finish(self: Box<Self>) -> ServerRecord {
        let Self { daemon, folder, .. } = *self;
        // What its last words are is known when it is gone.
        drop(daemon);
        let name = "sshd".to_owned();
        let text = read_log(folder.path());
        ServerRecord {
            logs: vec![Log { name, text }],
            died: None,
            trace: Vec::new(),
            captures: Vec::new(),
        }
    }
}

fn read_log(folder: &Path) -> String {
    let log = std::fs::read(folder.join(LOG)).unwrap_or_default();
    String::from_utf8_lossy(&log).into_owned()
}

fn not_started(words: &[String], log: &str) -> Broken {
    let last: Vec<&str> = log.lines().rev().take(5).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Broken::new(format!(
        "{} did not start listening; its log ends:\n{}",
        words.join(" "),
        last.join("\n")
    ))
    .hint("run it by hand: sshd -ddd -p 2222")
}

/// Makes a file, and leaves it open for what else is to be appended.
fn write_file(path: &Path, text: &str, mode: u32) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = options
        .create_new(true)
        .append(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}
