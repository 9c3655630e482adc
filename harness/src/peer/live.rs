//! Implementations that somebody else started: a server at an address, or a client that comes by
//! itself. What they are is learned from their first connection.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use minissh::crypto::SigningKey;

use super::{
    Broken, Capabilities, ClientJob, ClientRecord, NotDone, Origin, Peer, PeerInfo, Reach,
    RunningServer, ServerRecord, ServerSetup, kexinit,
};

/// How long a live server may take to accept a connection.
const CONNECT_MAX: Duration = Duration::from_secs(30);

/// Who can log in at a live server.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// With this password.
    pub password: Option<String>,
    /// With this key.
    pub key: Option<SigningKey>,
}

/// A server that somebody else started.
pub struct LiveServer {
    info: PeerInfo,
    addr: SocketAddr,
    credentials: Credentials,
}

impl LiveServer {
    /// The id of live peers in a run.
    pub const ID: &str = "live";

    /// Connects once, to learn what the server is.
    ///
    /// # Errors
    /// [`Broken`] when nothing answers there, or not as an SSH server.
    pub fn ask(addr: SocketAddr, credentials: Credentials) -> Result<Self, Broken> {
        let stream = TcpStream::connect_timeout(&addr, CONNECT_MAX).map_err(|e| {
            Broken::while_doing(&format!("cannot connect to {addr}"), e)
                .hint("is the server up, and does it listen there?")
        })?;
        let offer = kexinit::read(stream).map_err(|e| {
            Broken::while_doing(&format!("{addr} does not begin as an SSH server does"), e).hint(
                "a server that has had enough of us (OpenSSH's PerSourcePenalties, fail2ban) also \
                 looks so",
            )
        })?;
        let capabilities = Capabilities {
            client: false,
            server_key: credentials.key.is_some(),
            server_password: credentials.password.is_some(),
            strict_kex: offer.strict_kex(),
            prefers_curve25519: offer.prefers_curve25519(),
            server_session_requests: false,
            client_session_requests: false,
            rekey_limit: false,
            ..Capabilities::ALL
        };
        Ok(Self {
            info: live(offer.ident, addr, capabilities),
            addr,
            credentials,
        })
    }
}

fn live(ident: String, addr: SocketAddr, capabilities: Capabilities) -> PeerInfo {
    PeerInfo {
        id: LiveServer::ID.to_owned(),
        version: ident,
        origin: Origin::Live(addr),
        capabilities,
    }
}

impl Peer for LiveServer {
    fn info(&self) -> &PeerInfo {
        &self.info
    }

    fn serve(&self, _: &ServerSetup) -> Result<Box<dyn RunningServer>, NotDone> {
        Ok(Box::new(AtAddress {
            addr: self.addr,
            credentials: self.credentials.clone(),
        }))
    }

    fn connect(&self, _: &ClientJob) -> Result<ClientRecord, NotDone> {
        Err(Broken::new("a live server is no client").into())
    }

    fn reach(&self) -> Reach {
        Reach::Loopback
    }

    // It may be somebody's only one.
    fn takes_one_case_at_a_time(&self) -> bool {
        true
    }
}

/// The live server during a case.
struct AtAddress {
    addr: SocketAddr,
    credentials: Credentials,
}

impl RunningServer for AtAddress {
    fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn user(&self) -> &str {
        &self.credentials.user
    }

    fn password(&self) -> &str {
        self.credentials.password.as_deref().unwrap_or_default()
    }

    fn user_key(&self) -> Option<SigningKey> {
        self.credentials.key.clone()
    }

    fn finish(self: Box<Self>) -> ServerRecord {
        ServerRecord::default()
    }
}

/// A client that somebody else starts, over and over.
pub struct LuredClient {
    info: PeerInfo,
    addr: SocketAddr,
}

impl LuredClient {
    /// Waits for the first connection at the address, to learn what the client is.
    ///
    /// # Errors
    /// [`Broken`] when the port cannot be had, or what comes is no SSH client.
    pub fn wait(addr: SocketAddr) -> Result<Self, Broken> {
        let listening = |e| {
            Broken::while_doing(&format!("cannot listen on {addr}"), e)
                .hint("choose another port, or end what listens there")
        };
        let listener = TcpListener::bind(addr).map_err(listening)?;
        let addr = listener.local_addr().map_err(listening)?;
        let (stream, from) = listener.accept().map_err(listening)?;
        let offer = kexinit::read(stream).map_err(|e| {
            let what = format!("{from} came and did not begin as an SSH client does");
            Broken::while_doing(&what, e)
        })?;
        let capabilities = Capabilities {
            server: false,
            client_password: false,
            strict_kex: offer.strict_kex(),
            prefers_curve25519: offer.prefers_curve25519(),
            multiplex: false,
            server_session_requests: false,
            client_session_requests: false,
            rekey_limit: false,
            ..Capabilities::ALL
        };
        Ok(Self {
            info: live(offer.ident, addr, capabilities),
            addr,
        })
    }
}

impl Peer for LuredClient {
    fn info(&self) -> &PeerInfo {
        &self.info
    }

    fn serve(&self, _: &ServerSetup) -> Result<Box<dyn RunningServer>, NotDone> {
        Err(Broken::new("a lured client is no server").into())
    }

    fn connect(&self, _: &ClientJob) -> Result<ClientRecord, NotDone> {
        Err(Broken::new("a lured client comes by itself").into())
    }

    fn comes_by_itself(&self) -> bool {
        true
    }

    fn reach(&self) -> Reach {
        Reach::At(self.addr)
    }

    fn takes_one_case_at_a_time(&self) -> bool {
        true
    }
}
