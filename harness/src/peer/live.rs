//! Implementations that somebody else started: a server at an address, or a client that comes by
//! itself. What they are is learned from their first connection.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use minissh::crypto::SigningKey;
use minissh::net::{Pty, TerminalSize};
use minissh::{blocking, net};

use super::accept::accept;
use super::kexinit::Offer;
use super::{
    Broken, Capabilities, ClientJob, ClientRecord, NotDone, Origin, Peer, PeerInfo, Reach,
    RunningServer, ServerRecord, ServerSetup, TERM, kexinit,
};

/// How long a live server may take to accept a connection.
const CONNECT_MAX: Duration = Duration::from_secs(30);
/// How long it may take to give a terminal.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// A name that no server has a user of.
const STRANGER: &str = "sshdrill-made-up";

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
            let hint = kexinit::hint(&e);
            let what = format!("{addr} does not begin as an SSH server does");
            Broken::while_doing(&what, e).hint(hint)
        })?;
        speaking_ours(addr, &offer)?;
        let seen = log_in(addr, &credentials)?;
        let capabilities = Capabilities {
            client: false,
            server_key: credentials.key.is_some(),
            server_password: credentials.password.is_some(),
            strict_kex: offer.strict_kex(),
            prefers_curve25519: offer.prefers_curve25519(),
            server_session_requests: seen.gives_terminals,
            server_known_users: !seen.takes_any_name,
            client_session_requests: false,
            rekey_limit: false,
            ..Capabilities::ALL
        };
        Ok(Self {
            info: live(&offer.ident, addr, capabilities),
            addr,
            credentials,
        })
    }
}

/// Whether there can be a case with who offers this.
fn speaking_ours(addr: SocketAddr, offer: &Offer) -> Result<(), Broken> {
    offer.lacks().map_or(Ok(()), |name| {
        let what = format!("{addr} ({}) offers no {name}", offer.ident);
        Err(Broken::new(what).hint("the scenarios speak that and nothing else: let it be offered"))
    })
}

/// What a login shows of a server.
#[derive(Default)]
struct Seen {
    /// A session gets a terminal, so that it is a session for people, with all that belongs to it.
    gives_terminals: bool,
    /// It lets somebody in whom it cannot know.
    takes_any_name: bool,
}

/// Tries each of the credentials: a case that cannot log in for want of the right ones would say
/// nothing about the server.
fn log_in(addr: SocketAddr, credentials: &Credentials) -> Result<Seen, Broken> {
    let user = &credentials.user;
    let mut seen = Seen::default();
    // With the password first: the cases log in with the key where there is one.
    if let Some(password) = &credentials.password {
        let ssh = connect(addr)?;
        let tried = ssh.userauth_password(user, password);
        let_in(addr, user, "password", tried)?;
        seen.gives_terminals = gives_terminals(ssh);
        // To end the connection is a way to refuse.
        let stranger = connect(addr)?.userauth_password(STRANGER, password);
        seen.takes_any_name |= stranger.unwrap_or(false);
    }
    if let Some(key) = &credentials.key {
        let ssh = connect(addr)?;
        let tried = ssh.userauth_publickey(user, key);
        let_in(addr, user, "key", tried)?;
        seen.gives_terminals = gives_terminals(ssh);
        let stranger = connect(addr)?.userauth_publickey(STRANGER, key);
        seen.takes_any_name |= stranger.unwrap_or(false);
    }
    Ok(seen)
}

/// Asks for a terminal, in a session in which nothing runs. On a thread, since nothing else bounds
/// the wait for a server that does not answer; that one gives none.
fn gives_terminals(ssh: blocking::Ssh) -> bool {
    let (told, answer) = mpsc::channel();
    thread::spawn(move || {
        let terminal = Pty::new(TERM, TerminalSize::of(80, 24));
        let asked = ssh
            .channel_open()
            .and_then(|channel| channel.request_pty(&terminal));
        // Whoever does not wait any more knows what to think of it.
        let _ = told.send(asked.is_ok());
        ssh.disconnect();
    });
    answer.recv_timeout(ANSWER_MAX).unwrap_or(false)
}

fn let_in(
    addr: SocketAddr,
    user: &str,
    with: &str,
    tried: Result<bool, net::Error>,
) -> Result<(), Broken> {
    if tried.map_err(|e| not_tried(addr, &e))? {
        return Ok(());
    }
    let what = format!("{addr} does not let {user} in with this {with} alone");
    Err(Broken::new(what).hint("without --user, what needs no login is run"))
}

fn connect(addr: SocketAddr) -> Result<blocking::Ssh, Broken> {
    blocking::connect(addr, |_| true).map_err(|e| not_tried(addr, &e))
}

fn not_tried(addr: SocketAddr, e: &net::Error) -> Broken {
    Broken::new(format!("cannot try to log in at {addr}: {e}"))
}

fn live(ident: &str, addr: SocketAddr, capabilities: Capabilities) -> PeerInfo {
    PeerInfo {
        id: LiveServer::ID.to_owned(),
        // Where each writes its name and version.
        version: ident.strip_prefix("SSH-2.0-").unwrap_or(ident).to_owned(),
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
    fn cases_at_a_time(&self) -> Option<NonZeroUsize> {
        Some(NonZeroUsize::MIN)
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

/// A place for a client that is not here yet.
pub struct Listening {
    listener: TcpListener,
    addr: SocketAddr,
}

impl LuredClient {
    /// Listens at the address.
    ///
    /// # Errors
    /// [`Broken`] when the port cannot be had.
    pub fn listen(addr: SocketAddr) -> Result<Listening, Broken> {
        let no_port = |e| {
            Broken::while_doing(&format!("cannot listen on {addr}"), e)
                .hint("choose another port, or end what listens there")
        };
        let listener = TcpListener::bind(addr).map_err(no_port)?;
        let addr = listener.local_addr().map_err(no_port)?;
        Ok(Listening { listener, addr })
    }
}

impl Listening {
    /// The address, with the port that the system chose where none was asked for.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits for the first connection, to learn what the client is, unless somebody stops that.
    ///
    /// # Errors
    /// [`Broken`] when what comes is no SSH client, or when nothing comes any more.
    pub fn wait(self, is_stopped: impl Fn() -> bool) -> Result<LuredClient, Broken> {
        let Self { listener, addr } = self;
        let (stream, from) = accept(&listener, is_stopped)
            .map_err(|e| Broken::while_doing(&format!("cannot take what comes to {addr}"), e))?
            .ok_or_else(|| Broken::new("it was stopped before a client came"))?;
        let offer = kexinit::read(stream).map_err(|e| {
            let what = format!("{from} came and did not begin as an SSH client does");
            Broken::while_doing(&what, e)
        })?;
        speaking_ours(from, &offer)?;
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
        Ok(LuredClient {
            info: live(&offer.ident, addr, capabilities),
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

    fn cases_at_a_time(&self) -> Option<NonZeroUsize> {
        Some(NonZeroUsize::MIN)
    }
}
