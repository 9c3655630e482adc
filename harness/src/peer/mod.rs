//! Implementations that a scenario can be run against, and how each is started.
//!
//! A [`Peer`] can serve, connect, or both. It knows nothing of scenarios: it is told what to
//! accept ([`ServerSetup`]) or what to do ([`ClientJob`]) and reports what happened. Whatever goes
//! wrong on our side or in the environment is [`Broken`] and is never held against the peer.

pub mod accept;
pub mod catalogue;
mod command;
pub mod container;
mod kexinit;
pub mod keys;
pub mod live;
pub mod manifest;
pub mod minissh;
pub mod openssh;
mod place;
mod port;
mod process;
pub mod solo;
pub mod survey;
mod tap;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use ::minissh::crypto::SigningKey;
use ::minissh::trace::TraceEntry;

use crate::verdict::{Capture, Log};

pub use crate::verdict::Broken;
pub use place::remove_folders;

/// The id under which the scripted endpoint appears beside peers, so that none may have it.
pub const SCRIPTED: &str = "scripted";

/// Why a peer did not do what it was asked to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotDone {
    /// Something on our side or in the environment failed.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The peer said, before it tried, that it cannot; in its words.
    #[error("{0}")]
    Unsupported(String),
}

/// Where an implementation comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Linked into this program.
    InProcess,
    /// A program on this machine.
    Local(PathBuf),
    /// A container of the named Debian suite.
    Container(String),
    /// Somebody else started it; where it is.
    Live(SocketAddr),
}

/// What a peer is called and what it can do.
#[derive(Debug, Clone)]
pub struct PeerInfo {
    /// Short id, unique in a run, as used by `--peer`: `minissh`, `openssh-local`, `openssh-trixie`.
    pub id: String,
    /// Product and version as shown in reports: `OpenSSH 9.2p1 Debian-2+deb12u10`.
    pub version: String,
    /// Where it comes from.
    pub origin: Origin,
    /// What it can do, known before any case runs.
    pub capabilities: Capabilities,
}

impl PeerInfo {
    /// Whether it is up already, and somebody else's.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.origin, Origin::Live(_))
    }
}

/// What a peer can do. Declared by its manifest or probed before the first case, never inferred
/// from a failed case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent abilities, not a state"
)]
pub struct Capabilities {
    /// Can act as an SSH server.
    pub server: bool,
    /// Can act as an SSH client.
    pub client: bool,
    /// As a server: somebody can log in here with a key.
    pub server_key: bool,
    /// As a server: can check a password here.
    pub server_password: bool,
    /// As a client: can send a password here.
    pub client_password: bool,
    /// Offers strict key exchange.
    pub strict_kex: bool,
    /// Prefers curve25519 to every other key exchange, so that a guess of it is right.
    pub prefers_curve25519: bool,
    /// As a client: can run several sessions over one connection.
    pub multiplex: bool,
    /// As a server: takes no second session on a connection.
    pub one_session: bool,
    /// As a server: gives a session a shell, a terminal, variables and signals, and says which of them ended it.
    pub server_session_requests: bool,
    /// As a server: lets in only users that it knows, whoever has the right key.
    pub server_known_users: bool,
    /// As a client: asks for a shell, a terminal and variables, and says which signal ended it.
    pub client_session_requests: bool,
    /// As a client: opens its sessions with a window that no case has the time to fill.
    pub client_vast_window: bool,
    /// Begins key exchanges of its own when a [`RekeyLimit`] says so.
    pub rekey_limit: bool,
}

impl Capabilities {
    /// Everything a peer can be able to do, and no restriction.
    pub const ALL: Self = Self {
        server: true,
        client: true,
        server_key: true,
        server_password: true,
        client_password: true,
        strict_kex: true,
        prefers_curve25519: true,
        multiplex: true,
        one_session: false,
        server_session_requests: true,
        server_known_users: true,
        client_session_requests: true,
        client_vast_window: false,
        rekey_limit: true,
    };
}

/// What a server has to accept. All servers use the fixture host key.
#[derive(Debug, Clone)]
pub struct ServerSetup {
    /// Accept clients that do not run on this machine's loopback, such as those in a container.
    pub reachable_from: Reach,
    /// When it begins key exchanges.
    pub rekey: RekeyLimit,
    /// Seed for an implementation whose randomness can be injected.
    pub seed: u64,
}

/// When a side begins a key exchange of its own. What is `None` is left to its judgement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct RekeyLimit {
    /// After about so many bytes in one direction.
    pub bytes: Option<u64>,
    /// When the keys are so many seconds old.
    pub seconds: Option<u32>,
}

/// Where the clients of a server run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// On this machine.
    Loopback,
    /// In a container; the address of this machine as the container sees it, if it is ours to bind.
    Containers(std::net::IpAddr),
    /// Where they were told that we are.
    At(SocketAddr),
}

/// A server that is up. Dropping it stops it and leaves nothing behind.
pub trait RunningServer: Send {
    /// Where to connect.
    fn addr(&self) -> SocketAddr;
    /// The user who can log in with the fixture user key, or with [`Self::password`].
    fn user(&self) -> &str {
        keys::LOGIN
    }
    /// The password of that user.
    fn password(&self) -> &str {
        keys::PASSWORD
    }
    /// The key of that user, if it is not the fixture user key.
    fn user_key(&self) -> Option<SigningKey> {
        None
    }
    /// What it logged and traced since it was started, for this case only.
    fn finish(self: Box<Self>) -> ServerRecord;
}

/// What a server left behind.
#[derive(Debug, Clone, Default)]
pub struct ServerRecord {
    /// Its logs.
    pub logs: Vec<Log>,
    /// How the whole server ended during the case, if it did, to be read after its name.
    pub died: Option<String>,
    /// Its trace, when the implementation is ours.
    pub trace: Vec<TraceEntry>,
    /// The bytes of its connections, when the implementation is ours.
    pub captures: Vec<Capture>,
}

/// How the client shall prove who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// With the fixture user key.
    Publickey,
    /// With this password.
    Password(String),
}

/// What the client shall believe about the server's host key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownHost {
    /// The fixture host key, which is the right one.
    Right,
    /// Another key under the same name: the connection must be refused.
    Other,
    /// Nothing, and nobody to ask: the connection must be refused.
    Unknown,
}

/// One command to run in one session channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exec {
    /// The command line; `None` for a shell.
    pub command: Option<String>,
    /// What to send on stdin; `None` sends EOF at once.
    pub stdin: Option<Vec<u8>>,
    /// Variables to ask for, as name and value.
    pub env: Vec<(String, String)>,
    /// Whether to ask for a terminal, of the type [`TERM`].
    pub terminal: bool,
}

/// The type of every terminal that a client asks for.
pub const TERM: &str = "vt100";

impl Exec {
    /// A command that does nothing, for when it does not matter: some clients do not even connect
    /// without anything to do.
    #[must_use]
    pub fn idle() -> Self {
        Self {
            command: Some("true".to_owned()),
            ..Self::default()
        }
    }
}

/// What a client has to do: connect, log in, run all sessions on that one connection, leave.
#[derive(Debug, Clone)]
pub struct ClientJob {
    /// Host as the client must reach it.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User to log in as.
    pub user: String,
    /// How to log in.
    pub credential: Credential,
    /// What it knows of the server's key.
    pub known_host: KnownHost,
    /// Sessions, run concurrently when there are several.
    pub execs: Vec<Exec>,
    /// When it begins key exchanges.
    pub rekey: RekeyLimit,
    /// Give up after this long.
    pub deadline: Duration,
    /// Seed for an implementation whose randomness can be injected.
    pub seed: u64,
}

impl ClientJob {
    /// The fixture user logs in at `addr`, as is right, and does nothing.
    #[must_use]
    pub fn idle(addr: SocketAddr, seed: u64, deadline: Duration) -> Self {
        Self {
            host: addr.ip().to_string(),
            port: addr.port(),
            user: keys::LOGIN.to_owned(),
            credential: Credential::Publickey,
            known_host: KnownHost::Right,
            execs: vec![Exec::idle()],
            rekey: RekeyLimit::default(),
            deadline,
            seed,
        }
    }
}

/// What became of a [`ClientJob`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEnd {
    /// Logged in and ran every session.
    Done(Vec<ExecOutcome>),
    /// Refused the server's host key.
    RefusedHostKey,
    /// Was refused by the server's authentication.
    AuthFailed,
    /// The connection failed in some other way; the client's own words.
    Failed(String),
}

/// To be read after "the client".
impl fmt::Display for ClientEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(outcomes) => write!(f, "logged in and ran {} sessions", outcomes.len()),
            Self::RefusedHostKey => f.write_str("refused the server's host key"),
            Self::AuthFailed => f.write_str("was refused at login"),
            Self::Failed(words) => write!(f, "failed: {words}"),
        }
    }
}

/// What one session gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecOutcome {
    /// Everything read from stdout.
    pub stdout: Vec<u8>,
    /// Everything read from stderr. OpenSSH may add warnings of its own.
    pub stderr: Vec<u8>,
    /// The exit status, unless the command ended otherwise.
    pub exit_status: Option<u32>,
    /// The signal that ended the command, if one did.
    pub exit_signal: Option<Signal>,
}

/// A signal that ended a command, as a client reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// By its name without `SIG`.
    Named(String),
    /// The client says no more than that there was one, as `ssh` does.
    Unnamed,
}

/// A client's end together with what it left behind.
#[derive(Debug, Clone)]
pub struct ClientRecord {
    /// What became of the job.
    pub end: ClientEnd,
    /// How it ended by a fault of its own, if it did, to be read after its name.
    pub died: Option<String>,
    /// Its logs.
    pub logs: Vec<Log>,
    /// Its trace, when the implementation is ours.
    pub trace: Vec<TraceEntry>,
    /// The bytes of its connections, when the implementation is ours.
    pub captures: Vec<Capture>,
}

/// An implementation under test or beside one.
pub trait Peer: Send + Sync {
    /// Its name and abilities.
    fn info(&self) -> &PeerInfo;

    /// Starts a server and returns once it accepts connections.
    ///
    /// # Errors
    /// [`NotDone`] when it cannot be started.
    fn serve(&self, setup: &ServerSetup) -> Result<Box<dyn RunningServer>, NotDone>;

    /// Runs a client to its end or to the job's deadline, whichever is first.
    ///
    /// # Errors
    /// [`NotDone`] when the client program could not be run at all.
    fn connect(&self, job: &ClientJob) -> Result<ClientRecord, NotDone>;

    /// Whether its client is started by somebody else and comes without [`Self::connect`].
    fn comes_by_itself(&self) -> bool {
        false
    }

    /// The address under which this peer's client reaches servers of ours, and where they must
    /// listen for it.
    fn reach(&self) -> Reach;

    /// In how many cases it can take part at once, if not in any number: in one, such as when it has
    /// one log for all, or in as many as it lets connections wait for a login.
    fn cases_at_a_time(&self) -> Option<NonZeroUsize> {
        None
    }
}
