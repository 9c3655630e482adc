//! The `ssh` and `sshd` of this machine, wherever PATH or a distribution has them.

use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::sshd::Server;
use super::{Place, client, kexinit, product, version};
use crate::peer::process::{self, Ran};
use crate::peer::{
    Broken, Capabilities, ClientJob, ClientRecord, Origin, Peer, PeerInfo, Reach, RunningServer,
    ServerSetup,
};

/// Where distributions keep `sshd`, beside PATH.
const SERVER_FOLDERS: &[&str] = &["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/lib/ssh"];
/// How long `ssh -V` and the like may take.
pub(super) const ASKING_MAX: Duration = Duration::from_secs(10);
/// From 8.4 on a client takes a password from a program although it has no display.
const ASKPASS_SINCE: (u32, u32) = (8, 4);

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
                server_password: server.as_ref().is_some_and(Server::checks_passwords),
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
        let asking =
            |e: std::io::Error| Broken::while_doing("cannot read the KEXINIT of local OpenSSH", e);
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
        let job = ClientJob::idle(listener.local_addr().map_err(asking)?, 0, ASKING_MAX);
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
        let server = self.server.as_ref().ok_or_else(|| {
            Broken::new("there is no sshd on this machine")
                .hint("install OpenSSH's server (Debian: openssh-server)")
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
        process::run(&mut shell, stdin, limit).map_err(|e| Broken::while_doing("cannot run sh", e))
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

/// What a program prints, wherever it prints it.
pub(super) fn asked(program: &Path, arguments: &[&str]) -> Result<String, Broken> {
    let ran = process::run(Command::new(program).args(arguments), b"", ASKING_MAX)
        .map_err(|e| Broken::while_doing(&format!("cannot run {}", program.display()), e))?;
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned() + &ran.stderr)
}

pub(super) fn folder() -> Result<TempDir, Broken> {
    tempfile::Builder::new()
        .prefix("sshdrill-")
        .tempdir()
        .map_err(|e| {
            Broken::while_doing("cannot make a temporary folder", e)
                .hint("TMPDIR says where temporary folders go")
        })
}
