//! The procedural API: the calls of [`crate::net`], each waiting for its result.
//!
//! Everything takes `&self` and may be called from many threads at once. One runtime, started on
//! first use, serves all connections. Not to be called from within an async runtime.

mod stream;

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, Semaphore};

use crate::crypto::{PublicKey, SigningKey};
use crate::engine::{Config, End, Refusal, Status};
use crate::net::{
    self, AuthPolicy, ChannelEvent, Data, Error, Exit, Options, Pty, TerminalSize, Verdict,
};
use crate::process;

pub use crate::net::keygen;
pub use stream::{Reader, Writer};

/// Where a server listens unless told otherwise.
pub const SERVER_PORT: u16 = 22_022;

/// How many connections a server takes on whose users are not logged in, unless it is told otherwise:
/// as many as OpenSSH by its `MaxStartups`.
pub const UNAUTHENTICATED_MAX: usize = 100;

/// How long a server waits after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_name("minissh")
            .build()
            .unwrap_or_else(|error| panic!("the system gives no threads: {error}"))
    })
}

/// Connects to a server and exchanges keys. `verifier` sees the server's key after its signature
/// verified; a refusal ends the connection.
///
/// # Errors
/// See [`net::connect`].
pub fn connect(
    addr: impl ToSocketAddrs,
    verifier: impl FnOnce(&PublicKey) -> bool + Send + 'static,
) -> Result<Ssh, Error> {
    connect_with(addr, Options::new(Config::client()), verifier)
}

/// As [`connect`], with options.
///
/// # Errors
/// See [`net::connect`].
pub fn connect_with(
    addr: impl ToSocketAddrs,
    options: Options,
    verifier: impl FnOnce(&PublicKey) -> bool + Send + 'static,
) -> Result<Ssh, Error> {
    let addrs: Vec<SocketAddr> = addr
        .to_socket_addrs()
        .map_err(Error::io("cannot resolve the address"))?
        .collect();
    let session = runtime().block_on(net::connect(&addrs[..], options, verifier))?;
    Ok(Ssh { session })
}

/// Listens at `addr` and runs `handler` on a thread of its own for each connection whose key
/// exchange succeeded. Returns only when listening fails.
///
/// # Errors
/// [`Error::Io`] when it cannot listen.
pub fn server(
    addr: impl ToSocketAddrs,
    host_key: SigningKey,
    handler: impl Fn(Ssh) + Send + Sync + 'static,
) -> Result<(), Error> {
    let server = Server::bind(addr)?;
    server.serve(
        move |_| Options::new(Config::server(host_key.clone())),
        handler,
    )
}

/// A listening socket.
pub struct Server {
    listener: TcpListener,
    stop: Arc<Notify>,
    /// A place for each connection before its login.
    places: Arc<Semaphore>,
}

/// Ends [`Server::serve`].
#[derive(Clone)]
pub struct Stop(Arc<Notify>);

impl Stop {
    /// No more connections; those that are there go on.
    pub fn stop(&self) {
        self.0.notify_one();
    }
}

impl Server {
    /// Listens at `addr`; port 0 takes a free one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn bind(addr: impl ToSocketAddrs) -> Result<Self, Error> {
        let addrs: Vec<SocketAddr> = addr
            .to_socket_addrs()
            .map_err(Error::io("cannot resolve the address"))?
            .collect();
        let listener = runtime()
            .block_on(TcpListener::bind(&addrs[..]))
            .map_err(Error::io(format!("cannot listen at {}", net::list(&addrs))))?;
        Ok(Self {
            listener,
            stop: Arc::default(),
            places: Arc::new(Semaphore::new(UNAUTHENTICATED_MAX)),
        })
    }

    /// Takes on at most so many connections whose users are not logged in; what comes past it is
    /// closed at once. Each may last as long as
    /// [`auth_time_max`](crate::engine::Limits::auth_time_max) says.
    #[must_use]
    pub fn with_unauthenticated_max(mut self, count: usize) -> Self {
        self.places = Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        self.listener
            .local_addr()
            .map_err(Error::io("cannot tell where it listens"))
    }

    /// What ends [`Self::serve`].
    #[must_use]
    pub fn stopper(&self) -> Stop {
        Stop(Arc::clone(&self.stop))
    }

    /// Runs `handler` on a thread of its own for each connection whose key exchange succeeded,
    /// with the options that `options` gives for the peer's address.
    ///
    /// # Errors
    /// None at present: what cannot be accepted is logged and waited out.
    pub fn serve(
        &self,
        options: impl Fn(SocketAddr) -> Options,
        handler: impl Fn(Ssh) + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let handler = Arc::new(handler);
        loop {
            let accepted = runtime().block_on(async {
                tokio::select! {
                    accepted = self.listener.accept() => Some(accepted),
                    () = self.stop.notified() => None,
                }
            });
            let Some(accepted) = accepted else {
                return Ok(());
            };
            match accepted {
                Ok((stream, peer)) => self.attend(stream, peer, options(peer), &handler),
                // Too many open files, or a client that left at once: it passes, and a server that
                // gave up over it could be ended by anybody.
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    std::thread::sleep(ACCEPT_PAUSE);
                }
            }
        }
    }

    /// Exchanges keys with a client, and gives it a thread only once that is done.
    fn attend(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        options: Options,
        handler: &Arc<impl Fn(Ssh) + Send + Sync + 'static>,
    ) {
        let handler = Arc::clone(handler);
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return tracing::warn!("{peer}: closed, too many connections wait for their login");
        };
        runtime().spawn(async move {
            let session = match net::accept(stream, options).await {
                Ok(session) => session,
                Err(error) => return tracing::info!("{peer}: {error}"),
            };
            let before_login = session.before_login();
            let thread = std::thread::Builder::new().spawn(move || handler(Ssh { session }));
            if let Err(error) = thread {
                tracing::warn!("{peer}: no thread for the connection: {error}");
            }
            before_login.await;
            drop(place);
        });
    }
}

/// A connection. Clones are the same connection.
#[derive(Debug, Clone)]
pub struct Ssh {
    session: net::Session,
}

impl Ssh {
    /// See [`net::Session::peer_addr`].
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.session.peer_addr()
    }

    /// See [`net::Session::userauth_publickey`].
    ///
    /// # Errors
    /// See there.
    pub fn userauth_publickey(&self, user: &str, key: &SigningKey) -> Result<bool, Error> {
        runtime().block_on(self.session.userauth_publickey(user, key))
    }

    /// See [`net::Session::userauth_probe`].
    ///
    /// # Errors
    /// See there.
    pub fn userauth_probe(&self, user: &str, key: &PublicKey) -> Result<Verdict, Error> {
        runtime().block_on(self.session.userauth_probe(user, key))
    }

    /// See [`net::Session::userauth_password`].
    ///
    /// # Errors
    /// See there.
    pub fn userauth_password(&self, user: &str, password: &str) -> Result<bool, Error> {
        runtime().block_on(self.session.userauth_password(user, password))
    }

    /// See [`net::Session::userauth_none`].
    ///
    /// # Errors
    /// See there.
    pub fn userauth_none(&self, user: &str) -> Result<bool, Error> {
        runtime().block_on(self.session.userauth_none(user))
    }

    /// See [`net::Session::userauth_refusal`].
    ///
    /// # Errors
    /// See there.
    pub fn userauth_refusal(&self) -> Result<Option<Refusal>, Error> {
        runtime().block_on(self.session.userauth_refusal())
    }

    /// See [`net::Session::banners`].
    ///
    /// # Errors
    /// See there.
    pub fn banners(&self) -> Result<Vec<Vec<u8>>, Error> {
        runtime().block_on(self.session.banners())
    }

    /// See [`net::Session::userauth_accept`].
    ///
    /// # Errors
    /// See there.
    pub fn userauth_accept(&self, policy: AuthPolicy) -> Result<String, Error> {
        runtime().block_on(self.session.userauth_accept(policy))
    }

    /// See [`net::Session::channel_open`].
    ///
    /// # Errors
    /// See there.
    pub fn channel_open(&self) -> Result<Channel, Error> {
        Channel::from(runtime().block_on(self.session.channel_open()))
    }

    /// See [`net::Session::channel_exec`].
    ///
    /// # Errors
    /// See there.
    pub fn channel_exec(&self, command: &str) -> Result<Channel, Error> {
        Channel::from(runtime().block_on(self.session.channel_exec(command)))
    }

    /// See [`net::Session::channel_shell`].
    ///
    /// # Errors
    /// See there.
    pub fn channel_shell(&self, pty: Option<&Pty>) -> Result<Channel, Error> {
        Channel::from(runtime().block_on(self.session.channel_shell(pty)))
    }

    /// See [`net::Session::channel_accept`].
    ///
    /// # Errors
    /// See there.
    pub fn channel_accept(&self) -> Result<Channel, Error> {
        Channel::from(runtime().block_on(self.session.channel_accept()))
    }

    /// See [`net::Session::rekey`].
    ///
    /// # Errors
    /// See there.
    pub fn rekey(&self) -> Result<(), Error> {
        runtime().block_on(self.session.rekey())
    }

    /// See [`net::Session::status`].
    ///
    /// # Errors
    /// See there.
    pub fn status(&self) -> Result<Status, Error> {
        runtime().block_on(self.session.status())
    }

    /// See [`net::Session::wait`].
    #[must_use]
    pub fn wait(&self) -> End {
        runtime().block_on(self.session.wait())
    }

    /// See [`net::Session::disconnect`].
    pub fn disconnect(&self) {
        runtime().block_on(self.session.disconnect());
    }
}

/// A session channel. Clones are the same channel; see [`net::Channel`] for what dropping the last
/// one does, and for the window that all streams share.
#[derive(Debug, Clone)]
pub struct Channel {
    channel: net::Channel,
}

impl Channel {
    fn from(opened: Result<net::Channel, Error>) -> Result<Self, Error> {
        opened.map(|channel| Self { channel })
    }

    /// See [`net::Channel::pty`].
    #[must_use]
    pub fn pty(&self) -> Option<&Pty> {
        self.channel.pty()
    }

    /// See [`net::Channel::env`].
    #[must_use]
    pub fn env(&self) -> &[(String, String)] {
        self.channel.env()
    }

    /// See [`net::Channel::next_event`].
    #[must_use]
    pub fn next_event(&self) -> Option<ChannelEvent> {
        runtime().block_on(self.channel.next_event())
    }

    /// The normal stream alone: stdout to a client, stdin to a server.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(self.channel.reader())
    }

    /// Stderr alone.
    #[must_use]
    pub fn stderr_reader(&self) -> Reader {
        Reader::new(self.channel.stderr_reader())
    }

    /// Into the normal stream: stdin from a client, stdout from a server. Dropping it sends EOF.
    #[must_use]
    pub fn writer(&self) -> Writer {
        Writer::new(self.channel.writer())
    }

    /// Into stderr. Dropping it sends nothing.
    #[must_use]
    pub fn stderr_writer(&self) -> Writer {
        Writer::new(self.channel.stderr_writer())
    }

    /// See [`net::Channel::discard`].
    pub fn discard(&self, code: Option<u32>) {
        self.channel.discard(code);
    }

    /// See [`net::Channel::set_env`].
    ///
    /// # Errors
    /// See there.
    pub fn set_env(&self, name: &str, value: &str) -> Result<(), Error> {
        runtime().block_on(self.channel.set_env(name, value))
    }

    /// See [`net::Channel::offer_env`].
    pub(crate) fn offer_env(&self, name: &str, value: &str) -> Result<(), Error> {
        runtime().block_on(self.channel.offer_env(name, value))
    }

    /// See [`net::Channel::request_pty`].
    ///
    /// # Errors
    /// See there.
    pub fn request_pty(&self, pty: &Pty) -> Result<(), Error> {
        runtime().block_on(self.channel.request_pty(pty))
    }

    /// See [`net::Channel::exec`].
    ///
    /// # Errors
    /// See there.
    pub fn exec(&self, command: &[u8]) -> Result<(), Error> {
        runtime().block_on(self.channel.exec(command))
    }

    /// See [`net::Channel::shell`].
    ///
    /// # Errors
    /// See there.
    pub fn shell(&self) -> Result<(), Error> {
        runtime().block_on(self.channel.shell())
    }

    /// See [`net::Channel::window_change`].
    ///
    /// # Errors
    /// See there.
    pub fn window_change(&self, size: TerminalSize) -> Result<(), Error> {
        runtime().block_on(self.channel.window_change(size))
    }

    /// See [`net::Channel::signal`].
    ///
    /// # Errors
    /// See there.
    pub fn signal(&self, signal: &str) -> Result<(), Error> {
        runtime().block_on(self.channel.signal(signal))
    }

    /// What the peer wants to run here; `None` for a shell.
    #[must_use]
    pub fn command(&self) -> Option<&[u8]> {
        self.channel.command()
    }

    /// See [`net::Channel::read`].
    ///
    /// # Errors
    /// See there.
    pub fn read(&self) -> Result<Option<Data>, Error> {
        runtime().block_on(self.channel.read())
    }

    /// See [`net::Channel::write`].
    ///
    /// # Errors
    /// See there.
    pub fn write(&self, data: &[u8]) -> Result<(), Error> {
        runtime().block_on(self.channel.write(data))
    }

    /// See [`net::Channel::write_stderr`].
    ///
    /// # Errors
    /// See there.
    pub fn write_stderr(&self, data: &[u8]) -> Result<(), Error> {
        runtime().block_on(self.channel.write_stderr(data))
    }

    /// See [`net::Channel::write_extended`].
    ///
    /// # Errors
    /// See there.
    pub fn write_extended(&self, code: u32, data: &[u8]) -> Result<(), Error> {
        runtime().block_on(self.channel.write_extended(code, data))
    }

    /// See [`net::Channel::eof`].
    ///
    /// # Errors
    /// See there.
    pub fn eof(&self) -> Result<(), Error> {
        runtime().block_on(self.channel.eof())
    }

    /// See [`net::Channel::close`].
    ///
    /// # Errors
    /// See there.
    pub fn close(&self) -> Result<(), Error> {
        runtime().block_on(self.channel.close())
    }

    /// See [`net::Channel::send_exit`].
    ///
    /// # Errors
    /// See there.
    pub fn send_exit(&self, exit: &Exit) -> Result<(), Error> {
        runtime().block_on(self.channel.send_exit(exit))
    }

    /// See [`net::Channel::wait`].
    #[must_use]
    pub fn wait(&self) -> Option<Exit> {
        runtime().block_on(self.channel.wait())
    }

    /// Runs what the peer asked for; see [`process::run_on`].
    ///
    /// # Errors
    /// See there.
    pub fn run_command(&self) -> Result<Exit, Error> {
        runtime().block_on(process::run_on(&self.channel))
    }
}
