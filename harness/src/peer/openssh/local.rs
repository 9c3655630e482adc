//! The `ssh` and `sshd` of this machine, wherever PATH or a distribution has them.

use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;

use super::build::{ASKING_MAX, Build};
use super::dialect::Release;
use super::sshd::Server;
use super::{client, product, version};
use crate::peer::place::{Here, Place, quoted};
use crate::peer::{
    Broken, Capabilities, ClientJob, ClientRecord, NotDone, Origin, Peer, PeerInfo, Reach,
    RekeyLimit, RunningServer, ServerSetup, kexinit,
};

/// What is assumed of a version that cannot be read.
const UNKNOWN: Release = (8, 4);
/// From 8.4 on a client takes a password from a program although it has no display.
const ASKPASS_SINCE: (u32, u32) = (8, 4);

/// OpenSSH of this machine.
#[derive(Debug)]
pub struct LocalOpenSsh {
    info: PeerInfo,
    place: Here,
    /// The words that run `ssh`, for a shell.
    ssh: String,
    release: Release,
    server: Option<Server>,
}

impl LocalOpenSsh {
    /// Looks for `ssh` and `sshd` and tries them. `None` when neither is here.
    ///
    /// # Errors
    /// [`NotDone`] when one is here but does not work.
    pub fn find() -> Result<Option<Self>, NotDone> {
        let build = Build::of_machine();
        if build.ssh.is_none() && build.sshd.is_none() {
            return Ok(None);
        }
        Self::try_out(super::super::catalogue::LOCAL_OPENSSH, &build).map(Some)
    }

    /// Tries what is in a folder: `bin/ssh`, `sbin/sshd`, what they need in `libexec` and `lib`.
    ///
    /// # Errors
    /// [`NotDone`] when neither is there, or one does not work.
    pub fn in_folder(folder: &Path, id: &str) -> Result<Self, NotDone> {
        Self::try_out(id, &Build::in_folder(folder)?)
    }

    fn try_out(id: &str, build: &Build) -> Result<Self, NotDone> {
        let any = build.ssh.as_deref().or(build.sshd.as_deref());
        let any = any.map(Path::to_owned).unwrap_or_default();
        let said = build.ask(&any, &["-V"])?;
        let Some(printed) = product(&said) else {
            let what = format!(
                "{} does not say its version: {}",
                any.display(),
                said.trim()
            );
            return Err(Broken::new(what)
                .hint("libraries that this machine lacks can be put into lib/ beside bin/")
                .into());
        };
        let known = version(&printed).unwrap_or(UNKNOWN);
        let has_ssh = build.ssh.is_some();
        let server = build.sshd.is_some().then(|| Server::new(build, known));
        let server = server.transpose()?;
        let info = PeerInfo {
            id: id.to_owned(),
            version: printed,
            origin: Origin::Local(any),
            capabilities: Capabilities {
                server: server.is_some(),
                client: has_ssh,
                server_key: true,
                server_password: server.as_ref().is_some_and(Server::checks_passwords),
                client_password: has_ssh && known >= ASKPASS_SINCE,
                strict_kex: false,
                prefers_curve25519: false,
                multiplex: has_ssh,
                one_session: false,
                server_session_requests: true,
                server_known_users: true,
                client_session_requests: true,
                client_vast_window: false,
                rekey_limit: true,
            },
        };
        let words = build.ssh.as_deref().map(|ssh| build.words(ssh));
        let words = words.unwrap_or_default();
        let mut peer = Self {
            info,
            place: Here::new()?,
            ssh: words
                .iter()
                .map(|word| quoted(word))
                .collect::<Vec<_>>()
                .join(" "),
            release: known,
            server,
        };
        let offer = peer.offer()?;
        peer.info.capabilities.strict_kex = offer.strict_kex();
        peer.info.capabilities.prefers_curve25519 = offer.prefers_curve25519();
        Ok(peer)
    }

    /// Asks the server, or where there is none the client; both are of one version.
    fn offer(&self) -> Result<kexinit::Offer, NotDone> {
        let asking =
            |e: std::io::Error| Broken::while_doing("cannot read the KEXINIT of local OpenSSH", e);
        if self.server.is_some() {
            let setup = ServerSetup {
                reachable_from: Reach::Loopback,
                rekey: RekeyLimit::default(),
                seed: 0,
            };
            let server = self.serve(&setup)?;
            let stream = TcpStream::connect(server.addr()).map_err(asking)?;
            return Ok(kexinit::read(stream).map_err(asking)?);
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(asking)?;
        let job = ClientJob::idle(listener.local_addr().map_err(asking)?, 0, ASKING_MAX);
        std::thread::scope(|scope| {
            let client = scope.spawn(|| self.connect(&job));
            let offer = listener.accept().and_then(|(s, _)| kexinit::read(s));
            client.join().expect("running a client does not panic")?;
            Ok(offer.map_err(asking)?)
        })
    }
}

impl Peer for LocalOpenSsh {
    fn info(&self) -> &PeerInfo {
        &self.info
    }

    fn serve(&self, setup: &ServerSetup) -> Result<Box<dyn RunningServer>, NotDone> {
        let server = self.server.as_ref().ok_or_else(|| {
            Broken::new("there is no sshd on this machine")
                .hint("install OpenSSH's server (Debian: openssh-server)")
        })?;
        let address = match setup.reachable_from {
            Reach::Loopback => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Reach::Containers(address) => address,
            Reach::At(addr) => addr.ip(),
        };
        Ok(Box::new(server.lend(address, setup.rekey)?))
    }

    fn connect(&self, job: &ClientJob) -> Result<ClientRecord, NotDone> {
        Ok(client::connect(&self.place, &self.ssh, self.release, job)?)
    }

    fn reach(&self) -> Reach {
        self.place.reach()
    }
}
