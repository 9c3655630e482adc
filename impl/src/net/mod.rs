//! The tokio driver: one task owns the socket and the engine, handles talk to it by a
//! mailbox, and back-pressure reaches TCP.
//!
//! # Who owns what
//!
//! ```text
//! Session, Channel, Reader, Writer ──jobs──▶ Driver ──▶ Engine ──▶ socket
//!        ▲                                     │
//!        └── inbox of a channel, offers, end ◀─┘
//! ```
//!
//! Handles hold the mailbox and nothing else of the driver; the driver holds no handle, so that a
//! connection that nobody holds comes to its end. After each read, write, timeout or batch of jobs
//! the driver drains the engine until it says wait. It never waits for a handle: what arrives goes
//! to an inbox that the window bounds, and what cannot be written yet is parked with the reply that
//! its caller waits for.
//!
//! Dropping is always quick and loses nothing that the peer takes: the last handle to a channel closes
//! it behind its data, and the last handle to a connection has it flushed for as long as the peer
//! takes some every two seconds, for a minute at most, then sends DISCONNECT. [`Session::disconnect`]
//! waits until that is done.

mod channel;
mod clock;
mod driver;
mod error;
mod inbox;
mod log;
mod policy;
mod stream;
mod terminal;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::sync::{mpsc, oneshot, watch};

pub use channel::Channel;
pub use error::Error;
pub use inbox::{Data, Exit};
pub use log::PacketLog;
pub use policy::AuthPolicy;
pub use stream::{Reader, Writer};
pub use terminal::{ChannelEvent, Pty, SessionPolicy, TerminalMode, TerminalSize};

use self::clock::now;
use crate::crypto::{self, PublicKey, Rng, SigningKey};
use crate::engine::{ApiMisuse, Config, Credential, End, Engine, Password, Refusal, Role, Status};
use crate::keylog::KeyLog;
use crate::trace::Recorder;
pub(crate) use driver::TcpPath;
use driver::{Driver, Job, Mailbox, Offers, Shared, Stage};
use inbox::Watched;

/// Says whether a host key is the right one. Called once, after the server's signature verified.
/// It runs on a thread for such work and may take its time, but must not wait for its connection.
pub type Verifier = Box<dyn FnOnce(&PublicKey) -> bool + Send>;

/// How a connection is made; [`Options::new`] for the usual.
pub struct Options {
    /// Role, identification, limits, rekey policy.
    pub config: Config,
    /// The connection's randomness; from the operating system when `None`.
    pub rng: Option<Rng>,
    /// How much of what crosses the wire is logged.
    pub packet_log: PacketLog,
    /// Who else records what crosses the wire.
    pub recorder: Option<Box<dyn Recorder>>,
    /// Who is told the secrets of the connection, for reading one's own captures. None unless asked
    /// for: whoever has them can read everything.
    pub key_log: Option<Box<dyn KeyLog>>,
    /// What the peer may have around the programs it runs on our side.
    pub sessions: SessionPolicy,
}

impl Options {
    /// The defaults for this configuration: randomness of the system, and as much of a packet log
    /// as somebody listens to.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            rng: None,
            packet_log: PacketLog::as_enabled(),
            recorder: None,
            key_log: None,
            sessions: SessionPolicy::default(),
        }
    }
}

/// A handle to one connection. All calls take `&self`, may be made from many tasks at once, and
/// clones are the same connection. When the last handle to it or to its channels goes, we
/// disconnect.
#[derive(Debug, Clone)]
pub struct Session {
    mailbox: Mailbox,
    shared: Arc<Shared>,
}

/// What a server says to an attempt to log in, or to a question about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No; [`Session::userauth_refusal`] says more.
    Refused,
    /// That key would do. Nobody is in yet.
    KeyAccepted,
    /// We are in. Some servers need no more than a name.
    LetIn,
}

fn randomness() -> Result<Rng, Error> {
    crypto::from_os()
        .map_err(|error| Error::io("cannot get randomness")(std::io::Error::other(error)))
}

/// A fresh key. Waits for nothing.
///
/// # Errors
/// [`Error::Io`] when the system has no randomness to give.
pub fn keygen() -> Result<SigningKey, Error> {
    Ok(SigningKey::generate(&mut randomness()?))
}

/// Connects to a server and exchanges keys.
///
/// # Errors
/// [`Error::Io`] when there is no connection, [`Error::HostKeyRefused`] when `verifier` says no,
/// [`Error::Ended`] when the key exchange fails.
pub async fn connect(
    addr: impl ToSocketAddrs,
    options: Options,
    verifier: impl FnOnce(&PublicKey) -> bool + Send + 'static,
) -> Result<Session, Error> {
    let resolved = tokio::net::lookup_host(addr).await;
    let addrs: Vec<SocketAddr> = resolved
        .map_err(Error::io("cannot resolve the address"))?
        .collect();
    let stream = TcpStream::connect(&addrs[..]).await;
    let doing = || format!("cannot connect to {}", list(&addrs));
    let stream = stream.map_err(|error| Error::io(doing())(error))?;
    start_tcp(stream, options, Some(Box::new(verifier))).await
}

/// Addresses as messages have them.
pub(crate) fn list(addrs: &[SocketAddr]) -> String {
    let addrs: Vec<String> = addrs.iter().map(ToString::to_string).collect();
    addrs.join(" and ")
}

/// Exchanges keys with a client that has connected.
///
/// # Errors
/// [`Error::Ended`] when the key exchange fails.
pub async fn accept(stream: TcpStream, options: Options) -> Result<Session, Error> {
    start_tcp(stream, options, None).await
}

async fn start_tcp(
    stream: TcpStream,
    options: Options,
    verifier: Option<Verifier>,
) -> Result<Session, Error> {
    // Packets are whole when they leave us; waiting for more would only delay them.
    stream
        .set_nodelay(true)
        .map_err(Error::io("cannot set TCP_NODELAY"))?;
    let ends = stream.local_addr().ok().zip(stream.peer_addr().ok());
    let path = ends.map(|(ours, theirs)| TcpPath { ours, theirs });
    start_from(stream, path, options, verifier).await
}

/// Exchanges keys over any stream, in the role that `options` says.
///
/// # Errors
/// As [`connect`] and [`accept`].
pub async fn start<S>(
    stream: S,
    options: Options,
    verifier: Option<Verifier>,
) -> Result<Session, Error>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    start_from(stream, None, options, verifier).await
}

async fn start_from<S>(
    stream: S,
    path: Option<TcpPath>,
    options: Options,
    verifier: Option<Verifier>,
) -> Result<Session, Error>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let rng = options.rng.map_or_else(randomness, Ok)?;
    let shared = Arc::new(Shared {
        end: OnceLock::new(),
        host_key_refused: OnceLock::new(),
        stage: watch::Sender::default(),
        offers: Watched::<Offers>::default(),
        path,
        is_server: matches!(options.config.role, Role::Server { .. }),
        accepts_sessions: options.config.accepts_sessions,
    });
    let recorder = options.packet_log.recorder(options.recorder);
    let mut engine = Engine::new(options.config, rng, recorder, now());
    if let Some(key_log) = options.key_log {
        engine.log_keys_to(key_log);
    }
    let (mailbox, jobs) = mpsc::unbounded_channel();
    let (ready, is_ready) = oneshot::channel();
    let driver = Driver::new(
        engine,
        Arc::clone(&shared),
        mailbox.downgrade(),
        options.sessions,
        verifier,
        ready,
    );
    tokio::spawn(driver.run(stream, jobs));
    match is_ready.await {
        Ok(()) => Ok(Session { mailbox, shared }),
        Err(_) => Err(ended(&shared)),
    }
}

impl Session {
    /// Where the peer connected from or was connected to; `None` where that was not by TCP.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.shared.path.map(|path| path.theirs)
    }

    /// Logs in with a key: whether the server let us in. The server is asked first whether the key
    /// would do, and is given a signature only if so. What else a no means, and what may be tried
    /// next, [`Self::userauth_refusal`] says.
    ///
    /// # Errors
    /// [`Error::Misuse`] when a user is already set, [`Error::Ended`].
    pub async fn userauth_publickey(&self, user: &str, key: &SigningKey) -> Result<bool, Error> {
        self.authenticate(user, Credential::Publickey(key.clone()))
            .await
    }

    /// Asks whether a key would do, for which its public half is enough: what keeps the private one
    /// locked need be asked for only then. [`Self::userauth_publickey`] with that key is the login,
    /// and does not ask the server again.
    ///
    /// # Errors
    /// [`Error::Misuse`] when a user is already set, [`Error::Ended`].
    pub async fn userauth_probe(&self, user: &str, key: &PublicKey) -> Result<Verdict, Error> {
        let (user, key) = (user.to_owned(), key.clone());
        self.request_login(move |engine| engine.probe_key(now(), &user, &key))
            .await
    }

    /// Logs in with a password: whether the server let us in. See [`Self::userauth_refusal`]. One of
    /// more than [`Password::BYTES_MAX`] is not sent: no server takes it.
    ///
    /// # Errors
    /// [`Error::Misuse`] when a user is already set, [`Error::Ended`].
    pub async fn userauth_password(&self, user: &str, password: &str) -> Result<bool, Error> {
        match Password::new(password.as_bytes()) {
            Some(password) => {
                self.authenticate(user, Credential::Password(password))
                    .await
            }
            None => {
                let misuse = self.ask(|driver, reply| {
                    let _ = reply.send(driver.engine.may_authenticate(now()));
                });
                Ok(misuse.await?.map(|()| false)?)
            }
        }
    }

    /// Logs in with nothing: whether the server let us in. Most do not, and
    /// [`Self::userauth_refusal`] says then with what they might.
    ///
    /// # Errors
    /// [`Error::Misuse`] when a user is already set, [`Error::Ended`].
    pub async fn userauth_none(&self, user: &str) -> Result<bool, Error> {
        self.authenticate(user, Credential::None).await
    }

    /// What the server said when it last refused to let us in: which methods can go on, whether
    /// what we showed was right and is not enough, whether the password has to be changed. `None`
    /// while it has not refused.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn userauth_refusal(&self) -> Result<Option<Refusal>, Error> {
        self.ask(|driver, reply| drop(reply.send(driver.refusal.clone())))
            .await
    }

    async fn authenticate(&self, user: &str, credential: Credential) -> Result<bool, Error> {
        let user = user.to_owned();
        let verdict = self
            .request_login(move |engine| engine.authenticate(now(), &user, &credential))
            .await?;
        Ok(verdict == Verdict::LetIn)
    }

    async fn request_login(
        &self,
        request: impl FnOnce(&mut Engine) -> Result<(), ApiMisuse> + Send + 'static,
    ) -> Result<Verdict, Error> {
        let asked = self
            .ask(move |driver, reply| {
                let (verdict, is_known) = oneshot::channel();
                let asked = request(&mut driver.engine);
                if asked.is_ok() {
                    driver.verdict = Some(verdict);
                }
                let _ = reply.send(asked.map(|()| is_known));
            })
            .await?;
        asked?.await.map_err(|_| ended(&self.shared))
    }

    /// What the server said before its verdict, oldest first; print it escaped.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn banners(&self) -> Result<Vec<Vec<u8>>, Error> {
        self.ask(|driver, reply| drop(reply.send(driver.take_banners())))
            .await
    }

    /// As a server, lets `policy` decide until a user is in, and returns who that is.
    ///
    /// # Errors
    /// [`Error::Misuse`] as a client, when a user is already in, or while an earlier call waits;
    /// [`Error::Ended`].
    pub async fn userauth_accept(&self, policy: AuthPolicy) -> Result<String, Error> {
        self.ask(move |driver, reply| driver.set_policy(policy, reply))
            .await?
    }

    /// Opens a session channel.
    ///
    /// # Errors
    /// [`Error::ChannelRefused`], [`Error::Misuse`] before a user is in, [`Error::Ended`].
    pub async fn channel_open(&self) -> Result<Channel, Error> {
        self.ask(Driver::open_session).await?
    }

    /// Opens a session channel and runs `command` in it.
    ///
    /// # Errors
    /// As [`Self::channel_open`], and [`Error::RequestRefused`].
    pub async fn channel_exec(&self, command: &str) -> Result<Channel, Error> {
        let channel = self.channel_open().await?;
        channel.exec(command.as_bytes()).await?;
        Ok(channel)
    }

    /// Opens a session channel and runs the login shell in it, on a terminal if one is named.
    ///
    /// # Errors
    /// As [`Self::channel_exec`].
    pub async fn channel_shell(&self, pty: Option<&Pty>) -> Result<Channel, Error> {
        let channel = self.channel_open().await?;
        if let Some(pty) = pty {
            channel.request_pty(pty).await?;
        }
        channel.shell().await?;
        Ok(channel)
    }

    /// Waits for the peer to open a session channel and say what it wants to run. Many tasks that
    /// wait get distinct channels, and a future that is dropped loses none.
    ///
    /// # Errors
    /// [`Error::Misuse`] as a client that does not accept sessions
    /// ([`Config::accepts_sessions`]), [`Error::Ended`].
    pub async fn channel_accept(&self) -> Result<Channel, Error> {
        if !self.shared.accepts_sessions {
            let who = "server, or a client that asked to accept sessions,";
            return Err(ApiMisuse::CalledOnWrongRole(who).into());
        }
        let offer = self
            .shared
            .offers
            .wait_for(|offers| match offers.queue.pop_front() {
                Some(offer) => Some(Some(offer)),
                None => offers.is_over.then_some(None),
            })
            .await;
        let offer = offer.ok_or_else(|| ended(&self.shared))?;
        Ok(Channel::new(
            offer,
            self.mailbox.clone(),
            Arc::clone(&self.shared),
        ))
    }

    /// Exchanges keys anew, and waits until that is complete. Other senders wait meanwhile. While
    /// an exchange is under way, no second one is started. No OpenSSH takes part before the user
    /// is authenticated.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn rekey(&self) -> Result<(), Error> {
        let is_rekeyed = self.ask(Driver::rekey).await??;
        is_rekeyed.await.map_err(|_| ended(&self.shared))
    }

    /// The algorithms in use, and how long the current keys have served.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn status(&self) -> Result<Status, Error> {
        self.ask(|driver, reply| drop(reply.send(driver.engine.status(now()))))
            .await?
            // Whoever has a session has keys.
            .ok_or(Error::Misuse(ApiMisuse::CalledTooEarly(
                "there are no keys yet",
            )))
    }

    /// Waits until the connection is over, and says how that came.
    pub async fn wait(&self) -> End {
        self.reach(Stage::Finished).await;
        self.shared.end.get().cloned().unwrap_or(End::PeerHungUp)
    }

    /// Waits, as a server, until a user is let in or the connection is over, and does not keep it
    /// alive meanwhile.
    pub(crate) fn before_login(&self) -> impl Future<Output = ()> + use<> {
        self.reach(Stage::LoggedIn)
    }

    fn reach(&self, stage: Stage) -> impl Future<Output = ()> + use<> {
        let shared = Arc::clone(&self.shared);
        async move {
            // The sender lives in what we hold, so that waiting cannot fail.
            let mut reached = shared.stage.subscribe();
            let _ = reached.wait_for(|reached| *reached >= stage).await;
        }
    }

    /// Leaves, and waits until what was written and our last words are on their way. A peer that
    /// takes no data for two seconds loses it, and so does one that needs more than a minute.
    pub async fn disconnect(&self) {
        let leave: Job = Box::new(Driver::leave);
        let _ = self.mailbox.send(leave);
        self.wait().await;
    }

    async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Driver, oneshot::Sender<T>) + Send + 'static,
    ) -> Result<T, Error> {
        ask(&self.mailbox, &self.shared, job).await
    }
}

/// Has the driver do something and waits for its reply. A reply that is dropped means the end.
async fn ask<T: Send + 'static>(
    mailbox: &Mailbox,
    shared: &Shared,
    job: impl FnOnce(&mut Driver, oneshot::Sender<T>) + Send + 'static,
) -> Result<T, Error> {
    let (reply, answer) = oneshot::channel();
    let job: Job = Box::new(move |driver| job(driver, reply));
    mailbox.send(job).map_err(|_| ended(shared))?;
    answer.await.map_err(|_| ended(shared))
}

fn ended(shared: &Shared) -> Error {
    if shared.host_key_refused.get().is_some() {
        return Error::HostKeyRefused;
    }
    match shared.end.get() {
        Some(end) => Error::Ended(end.clone()),
        // The reply was dropped while the connection lives: the channel is gone.
        None => Error::Misuse(ApiMisuse::CalledAfterEnd),
    }
}
