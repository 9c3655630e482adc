//! The tokio driver: one task owns the socket and the engine, handles talk to it by a bounded
//! mailbox, and back-pressure reaches TCP.

mod channel;
mod driver;
mod error;
mod inbox;
mod policy;

use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::sync::{mpsc, oneshot};

pub use channel::Channel;
pub use error::Error;
pub use inbox::{Data, Exit};
pub use policy::AuthPolicy;

use crate::crypto::{self, PublicKey, Rng, SigningKey};
use crate::engine::{ApiMisuse, Config, Credential, Engine, Password};
use crate::trace::Recorder;
use driver::{Driver, Job, Shared};

/// Jobs that may wait for the driver; a caller past it waits in line.
const MAILBOX_JOBS_MAX: usize = 64;

/// Says whether a host key is the right one. Called once, after the server's signature verified.
/// It runs on the connection's task: it must not wait for that connection.
pub type Verifier = Box<dyn FnOnce(&PublicKey) -> bool + Send>;

/// How a connection is made; [`Options::new`] for the usual.
pub struct Options {
    /// Role, identification, limits, rekey policy.
    pub config: Config,
    /// The connection's randomness; from the operating system when `None`.
    pub rng: Option<Rng>,
    /// Who records what crosses the wire.
    pub recorder: Option<Box<dyn Recorder>>,
}

impl Options {
    /// The defaults for this configuration: randomness of the system, and a packet log through
    /// `tracing` where the target `minissh::packets` is enabled at debug level.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let recorder =
            tracing::enabled!(target: "minissh::packets", tracing::Level::DEBUG).then(|| {
                let log: Box<dyn Recorder> =
                    Box::new(|entry| tracing::debug!(target: "minissh::packets", "{entry}"));
                log
            });
        Self {
            config,
            rng: None,
            recorder,
        }
    }
}

/// A handle to one connection. All calls take `&self`, may be made from many tasks at once, and
/// clones are the same connection. When the last handle to it or to its channels goes, we
/// disconnect.
#[derive(Debug, Clone)]
pub struct Session {
    mailbox: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

/// Connects to a server and exchanges keys.
///
/// # Errors
/// [`Error::Io`] when there is no connection, [`Error::HostKeyRefused`] when `verifier` says no,
/// [`Error::Ended`] when the key exchange fails.
pub async fn connect(
    addr: impl ToSocketAddrs + std::fmt::Debug,
    options: Options,
    verifier: impl FnOnce(&PublicKey) -> bool + Send + 'static,
) -> Result<Session, Error> {
    let doing = format!("cannot connect to {addr:?}");
    let stream = TcpStream::connect(addr).await.map_err(Error::io(doing))?;
    start_tcp(stream, options, Some(Box::new(verifier))).await
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
    start(stream, options, verifier).await
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
    let rng = match options.rng {
        Some(rng) => rng,
        None => crypto::from_os()
            .map_err(|error| Error::io("cannot get randomness")(std::io::Error::other(error)))?,
    };
    let engine = Engine::new(options.config, rng, options.recorder, Instant::now());
    let (mailbox, jobs) = mpsc::channel(MAILBOX_JOBS_MAX);
    let shared = Arc::new(Shared::default());
    let (ready, is_ready) = oneshot::channel();
    let driver = Driver::new(
        engine,
        Arc::clone(&shared),
        mailbox.downgrade(),
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
    /// Logs in with a key: whether the server let us in.
    ///
    /// # Errors
    /// [`Error::Misuse`] when a user is already set, [`Error::Ended`].
    pub async fn userauth_publickey(&self, user: &str, key: &SigningKey) -> Result<bool, Error> {
        self.authenticate(user, Credential::Publickey(key.clone()))
            .await
    }

    /// Logs in with a password: whether the server let us in.
    ///
    /// # Errors
    /// [`Error::Misuse`] when a user is already set, [`Error::Ended`].
    pub async fn userauth_password(&self, user: &str, password: &str) -> Result<bool, Error> {
        match Password::new(password.as_bytes()) {
            Some(password) => {
                self.authenticate(user, Credential::Password(password))
                    .await
            }
            // No server takes one this long.
            None => Ok(false),
        }
    }

    async fn authenticate(&self, user: &str, credential: Credential) -> Result<bool, Error> {
        let user = user.to_owned();
        let asked = self
            .ask(move |driver, reply| {
                let (verdict, is_known) = oneshot::channel();
                let asked = driver
                    .engine
                    .authenticate(Instant::now(), &user, &credential);
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
    /// [`Error::Ended`].
    pub async fn userauth_accept(&self, policy: AuthPolicy) -> Result<String, Error> {
        self.ask(move |driver, reply| driver.set_policy(policy, reply))
            .await
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

    /// Waits for the peer to open a session channel and say what it wants to run.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn channel_accept(&self) -> Result<Channel, Error> {
        self.ask(Driver::accept_session).await
    }

    /// Starts a key exchange. Other senders wait until it is complete.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn rekey(&self) -> Result<(), Error> {
        self.ask(|driver, reply| drop(reply.send(driver.engine.start_kex(Instant::now()))))
            .await?
            .map_err(Error::from)
    }

    /// Leaves, and waits until our last words are on their way.
    pub async fn disconnect(&self) {
        let disconnect: Job = Box::new(Driver::disconnect);
        let _ = self.mailbox.send(disconnect).await;
        let mut is_finished = self.shared.is_finished.subscribe();
        // The sender lives in what we hold, so that waiting cannot fail.
        let _ = is_finished.wait_for(|is_finished| *is_finished).await;
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
    mailbox: &mpsc::Sender<Job>,
    shared: &Shared,
    job: impl FnOnce(&mut Driver, oneshot::Sender<T>) + Send + 'static,
) -> Result<T, Error> {
    let (reply, answer) = oneshot::channel();
    let job: Job = Box::new(move |driver| job(driver, reply));
    mailbox.send(job).await.map_err(|_| ended(shared))?;
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
