//! The `ssh` and `sshd` of this machine: a fresh server with a throw-away configuration for every
//! case, as root or as anybody.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{PASSWORD, Place, SSHD_CONFIG, USER, client, kexinit, product, version};
use crate::peer::process::{self, Daemon, Ran};
use crate::peer::{
    Broken, Capabilities, ClientJob, ClientRecord, Credential, Exec, KnownHost, Origin, Peer,
    PeerInfo, Reach, RunningServer, ServerRecord, ServerSetup, keys,
};
use crate::verdict::Log;

/// Where distributions keep `sshd`, beside PATH.
const SERVER_FOLDERS: &[&str] = &["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/lib/ssh"];
/// How long a server may take until it listens.
const START_MAX: Duration = Duration::from_secs(15);
/// How long `ssh -V` and the like may take.
const ASKING_MAX: Duration = Duration::from_secs(10);
/// From 9.8 on a server locks clients out after a few refused logins; older ones refuse the option.
const PENALTIES_SINCE: (u32, u32) = (9, 8);
/// From 8.4 on a client takes a password from a program although it has no display.
const ASKPASS_SINCE: (u32, u32) = (8, 4);
/// Debian's directory for privilege separation; other systems install theirs.
const PRIVSEP: &str = "/run/sshd";

/// OpenSSH of this machine.
#[derive(Debug)]
pub struct LocalOpenSsh {
    info: PeerInfo,
    place: Here,
    server: Option<Server>,
}

/// This machine as a [`Place`].
#[derive(Debug)]
struct Here {
    ssh: String,
    folder: TempDir,
    path: String,
}

/// How this machine's `sshd` is started.
#[derive(Debug, Clone)]
struct Server {
    sshd: PathBuf,
    login: Login,
    takes_penalties: bool,
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

impl LocalOpenSsh {
    /// Looks for `ssh` and `sshd` and tries them. `None` when neither is here.
    ///
    /// # Errors
    /// [`Broken`] when one is here but does not work.
    pub fn find() -> Result<Option<Self>, Broken> {
        let ssh = which::which("ssh").ok();
        let sshd = which::which("sshd").ok().or_else(|| {
            let places = SERVER_FOLDERS
                .iter()
                .map(|folder| Path::new(folder).join("sshd"));
            places.into_iter().find(|path| path.is_file())
        });
        let Some(any) = ssh.as_deref().or(sshd.as_deref()) else {
            return Ok(None);
        };
        let printed = product(&asked(any, &["-V"])?);
        let known = printed.as_deref().and_then(version).unwrap_or_default();
        let server = sshd
            .clone()
            .map(|sshd| Server::new(sshd, known))
            .transpose()?;
        let info = PeerInfo {
            id: super::super::catalogue::LOCAL_OPENSSH.to_owned(),
            version: printed.unwrap_or_else(|| "OpenSSH of unknown version".to_owned()),
            origin: Origin::Local(any.to_owned()),
            capabilities: Capabilities {
                server: server.is_some(),
                client: ssh.is_some(),
                server_password: server.as_ref().is_some_and(|s| s.login == Login::Throwaway),
                client_password: ssh.is_some() && known >= ASKPASS_SINCE,
                strict_kex: false,
                multiplex: ssh.is_some(),
            },
        };
        let place = Here::new(ssh.as_deref())?;
        let mut peer = Self {
            info,
            place,
            server,
        };
        peer.info.capabilities.strict_kex = peer.offers_strict_kex()?;
        Ok(Some(peer))
    }

    /// Asks the server, or where there is none the client; both are of one version.
    fn offers_strict_kex(&self) -> Result<bool, Broken> {
        let asking = |e: std::io::Error| broken("cannot read the KEXINIT of local OpenSSH", e);
        if self.server.is_some() {
            let setup = ServerSetup {
                reachable_from: Reach::Loopback,
                seed: 0,
            };
            let server = self.serve(&setup)?;
            let stream = TcpStream::connect(server.addr()).map_err(asking)?;
            return kexinit::offers_strict_kex(stream).map_err(asking);
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(asking)?;
        let job = ClientJob {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: listener.local_addr().map_err(asking)?.port(),
            user: USER.to_owned(),
            credential: Credential::Publickey,
            known_host: KnownHost::Right,
            execs: vec![Exec {
                command: "true".to_owned(),
                stdin: None,
            }],
            deadline: ASKING_MAX,
            seed: 0,
        };
        std::thread::scope(|scope| {
            let client = scope.spawn(|| self.connect(&job));
            let offers = listener
                .accept()
                .and_then(|(s, _)| kexinit::offers_strict_kex(s));
            client.join().expect("running a client does not panic")?;
            offers.map_err(asking)
        })
    }
}

impl Peer for LocalOpenSsh {
    fn info(&self) -> &PeerInfo {
        &self.info
    }

    fn serve(&self, setup: &ServerSetup) -> Result<Box<dyn RunningServer>, Broken> {
        let server = self.server.as_ref().ok_or_else(|| Broken {
            what: "there is no sshd on this machine".to_owned(),
            hint: Some("install OpenSSH's server (Debian: openssh-server)".to_owned()),
        })?;
        let address = match setup.reachable_from {
            Reach::Loopback => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Reach::Containers(address) => address,
        };
        Ok(Box::new(server.start(address)?))
    }

    fn connect(&self, job: &ClientJob) -> Result<ClientRecord, Broken> {
        client::connect(&self.place, job)
    }

    fn reach(&self) -> Reach {
        self.place.reach()
    }
}

impl Here {
    fn new(ssh: Option<&Path>) -> Result<Self, Broken> {
        let folder = folder()?;
        let path = folder.path().to_string_lossy().into_owned();
        let ssh = ssh
            .map(|ssh| ssh.to_string_lossy().into_owned())
            .unwrap_or_default();
        Ok(Self { ssh, folder, path })
    }
}

impl Place for Here {
    fn run(&self, script: &str, stdin: &[u8], limit: Duration) -> Result<Ran, Broken> {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).current_dir(self.folder.path());
        process::run(&mut shell, stdin, limit).map_err(|e| broken("cannot run sh", e))
    }

    fn folder(&self) -> &str {
        &self.path
    }

    fn ssh(&self) -> &str {
        &self.ssh
    }

    fn reach(&self) -> Reach {
        Reach::Loopback
    }
}

impl Server {
    fn new(sshd: PathBuf, known: (u32, u32)) -> Result<Self, Broken> {
        let known = product(&asked(&sshd, &["-V"])?)
            .as_deref()
            .and_then(version)
            .unwrap_or(known);
        let me = asked(Path::new("id"), &["-un"])?.trim().to_owned();
        let login = if rustix::process::geteuid().is_root() && own_view_works() {
            Login::Throwaway
        } else {
            Login::Oneself(me)
        };
        Ok(Self {
            sshd,
            login,
            takes_penalties: known >= PENALTIES_SINCE,
        })
    }

    /// Starts a server on a free port of `address`. A port that was free may be taken by the time
    /// the server binds it, so this is tried a few times.
    fn start(&self, address: IpAddr) -> Result<LocalServer, Broken> {
        const TRIES: usize = 4;
        let mut last = None;
        for _ in 0..TRIES {
            match self.try_start(address)? {
                Ok(server) => return Ok(server),
                Err(log) if log.contains("Address already in use") => last = Some(log),
                Err(log) => return Err(not_started(&self.sshd, &log)),
            }
        }
        Err(not_started(&self.sshd, &last.unwrap_or_default()))
    }

    /// Starts a server once. The inner error is its log.
    fn try_start(&self, address: IpAddr) -> Result<Result<LocalServer, String>, Broken> {
        let folder = folder()?;
        let free = |e| Broken {
            hint: Some("container peers need an engine that runs on this machine".to_owned()),
            ..broken(&format!("cannot listen on {address}"), e)
        };
        let addr = TcpListener::bind((address, 0))
            .and_then(|l| l.local_addr())
            .map_err(free)?;
        let write = |name: &str, text: &str, mode| {
            write_file(&folder.path().join(name), text, mode)
                .map_err(|e| broken(&format!("cannot write {}", folder.path().display()), e))
        };
        write("sshd_config", SSHD_CONFIG, 0o600)?;
        write("host_ed25519", keys::HOST, 0o600)?;
        write("authorized_keys", keys::USER_PUBLIC, 0o644)?;
        write("sshd.log", "", 0o600)?;
        let daemon = Daemon::start(&self.command(folder.path(), addr))
            .map_err(|e| broken("cannot run sh", e))?;
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
            Login::Throwaway => USER,
            Login::Oneself(me) => me,
        }
    }

    /// The command line of a server with its files in `folder`.
    fn command(&self, folder: &Path, addr: SocketAddr) -> Vec<String> {
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
        let sshd = self.sshd.to_string_lossy().into_owned();
        command.extend([sshd, "-D".into(), "-f".into(), file("sshd_config")]);
        command.extend(["-E".into(), file("sshd.log")]);
        let mut options = vec![
            format!("Port={}", addr.port()),
            format!("ListenAddress={}", addr.ip()),
            format!("HostKey=\"{}\"", file("host_ed25519")),
            format!("AuthorizedKeysFile=\"{authorized_keys}\""),
        ];
        if self.takes_penalties {
            options.push("PerSourcePenalties=no".to_owned());
        }
        command.extend(
            options
                .into_iter()
                .flat_map(|option| ["-o".to_owned(), option]),
        );
        command
    }
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
    let passwd = format!("{USER}:x:{THROWAWAY_UID}:{THROWAWAY_UID}::/:/bin/sh");
    let shadow = format!("{USER}:{PASSWORD_HASH}:19000:0:99999:7:::");
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
struct LocalServer {
    daemon: Daemon,
    folder: TempDir,
    addr: SocketAddr,
    user: String,
}

impl LocalServer {
    fn log(&self) -> String {
        let log = std::fs::read(self.folder.path().join("sshd.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Waits until it listens. The error is its log.
    fn listening(&self) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let log = self.log();
            if log.contains("Server listening on ") {
                return Ok(());
            }
            // It logs these and ends, or, on a mistake in the configuration, logs nothing at all.
            let gave_up = [
                "Cannot bind any address",
                "fatal:",
                "Bad configuration option",
                "terminating",
            ];
            if gave_up.iter().any(|words| log.contains(words)) || start.elapsed() > START_MAX {
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
        PASSWORD
    }

    fn finish(self: Box<Self>) -> ServerRecord {
        let Self { daemon, folder, .. } = *self;
        drop(daemon);
        let log = std::fs::read(folder.path().join("sshd.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&log).into_owned();
        ServerRecord {
            logs: vec![Log {
                name: "sshd".to_owned(),
                text,
            }],
            trace: Vec::new(),
        }
    }
}

fn not_started(sshd: &Path, log: &str) -> Broken {
    let last: Vec<&str> = log.lines().rev().take(5).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Broken {
        what: format!(
            "{} did not start listening; its log ends:\n{}",
            sshd.display(),
            last.join("\n")
        ),
        hint: Some("run it by hand: sshd -ddd -p 2222".to_owned()),
    }
}

/// What a program prints, wherever it prints it.
fn asked(program: &Path, arguments: &[&str]) -> Result<String, Broken> {
    let ran = process::run(Command::new(program).args(arguments), b"", ASKING_MAX)
        .map_err(|e| broken(&format!("cannot run {}", program.display()), e))?;
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned() + &ran.stderr)
}

fn folder() -> Result<TempDir, Broken> {
    tempfile::Builder::new()
        .prefix("sshdrill-")
        .tempdir()
        .map_err(|e| Broken {
            hint: Some("TMPDIR says where temporary folders go".to_owned()),
            ..broken("cannot make a temporary folder", e)
        })
}

fn write_file(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?
        .write_all(text.as_bytes())
}

fn broken(what: &str, e: impl std::fmt::Display) -> Broken {
    Broken {
        what: format!("{what}: {e}"),
        hint: None,
    }
}
