//! minissh as a peer, in this process. The only place where the harness uses its public API.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use minissh::crypto::{PublicKey, SigningKey, from_seed};
use minissh::engine::{Config, Password};
use minissh::net::{
    self, AuthPolicy, Channel, Error, Exit, Options, Pty, Session, TerminalSize, Verifier,
};
use minissh::process;
use minissh::trace::TraceEntry;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::catalogue::MINISSH;
use super::tap::{Captures, Tap};
use super::{
    Broken, Capabilities, ClientEnd, ClientJob, ClientRecord, Credential, Exec, ExecOutcome,
    KnownHost, NotDone, Origin, Peer, PeerInfo, Reach, RekeyLimit, RunningServer, ServerRecord,
    ServerSetup, Signal, TERM, keys,
};
use crate::verdict::Log;
use crate::verdict::capture::Side;
use crate::wording;

/// How long a connection's end may take to be written down once its case is over.
const WIND_UP: Duration = Duration::from_secs(10);

/// What a connection of ours recorded.
type Trace = Arc<Mutex<Vec<TraceEntry>>>;

/// minissh in this process.
pub struct Minissh {
    info: PeerInfo,
}

impl Default for Minissh {
    fn default() -> Self {
        Self {
            info: PeerInfo {
                id: MINISSH.to_owned(),
                version: format!("minissh {}", env!("CARGO_PKG_VERSION")),
                origin: Origin::InProcess,
                capabilities: Capabilities::ALL,
            },
        }
    }
}

impl Peer for Minissh {
    fn info(&self) -> &PeerInfo {
        &self.info
    }

    fn serve(&self, setup: &ServerSetup) -> Result<Box<dyn RunningServer>, NotDone> {
        let ip = match setup.reachable_from {
            Reach::Loopback => Ipv4Addr::LOCALHOST.into(),
            Reach::Containers(ip) => ip,
            Reach::At(addr) => addr.ip(),
        };
        Ok(Box::new(Server::start(ip, setup.seed, setup.rekey)?))
    }

    fn connect(&self, job: &ClientJob) -> Result<ClientRecord, NotDone> {
        let (trace, captures) = (Trace::default(), Captures::default());
        let runtime = runtime()?;
        // A timer belongs to a runtime, so it is made inside it.
        let work =
            async { tokio::time::timeout(job.deadline, run_job(job, &trace, &captures)).await };
        let end = match runtime.block_on(work) {
            Ok(end) => end,
            Err(_) => {
                ClientEnd::Failed(format!("still busy after {}", wording::time(job.deadline)))
            }
        };
        runtime.shutdown_background();
        Ok(ClientRecord {
            died: None,
            end,
            logs: Vec::new(),
            trace: taken(&trace),
            captures: captures.take(),
        })
    }

    fn reach(&self) -> Reach {
        Reach::Loopback
    }
}

fn runtime() -> Result<Runtime, Broken> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Broken::while_doing("cannot start a runtime", error))
}

fn taken(trace: &Trace) -> Vec<TraceEntry> {
    std::mem::take(&mut *trace.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Everything of ours that is random comes from the seed, and everything on the wire is recorded.
fn options(config: Config, seed: u64, trace: &Trace, tap: &Tap) -> Options {
    let trace = Arc::clone(trace);
    let record = move |entry| {
        trace
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(entry);
    };
    Options {
        rng: Some(from_seed(seed)),
        recorder: Some(Box::new(record)),
        key_log: Some(Box::new(tap.clone())),
        ..Options::new(config)
    }
}

fn rekeying(mut config: Config, limit: RekeyLimit) -> Config {
    if let Some(bytes) = limit.bytes {
        config.rekey.bytes_max = bytes;
    }
    if let Some(seconds) = limit.seconds {
        config.rekey.age_max = Duration::from_secs(seconds.into());
    }
    config
}

// The client.

async fn run_job(job: &ClientJob, trace: &Trace, captures: &Captures) -> ClientEnd {
    let believed = believed_host_key(job.known_host);
    let user_key = keys::signing_key(keys::USER);
    match log_in(job, believed, &user_key, trace, captures).await {
        Ok(Some(session)) => match run_execs(&session, &job.execs).await {
            Ok(outcomes) => {
                session.disconnect().await;
                ClientEnd::Done(outcomes)
            }
            Err(error) => ClientEnd::Failed(error.to_string()),
        },
        Ok(None) => ClientEnd::AuthFailed,
        Err(Error::HostKeyRefused) => ClientEnd::RefusedHostKey,
        Err(error) => ClientEnd::Failed(error.to_string()),
    }
}

fn believed_host_key(known: KnownHost) -> Option<PublicKey> {
    let file = match known {
        KnownHost::Right => keys::HOST,
        KnownHost::Other => keys::OTHER_HOST,
        KnownHost::Unknown => return None,
    };
    Some(keys::signing_key(file).public_key())
}

/// The session, or nothing if the server did not let us in.
async fn log_in(
    job: &ClientJob,
    believed: Option<PublicKey>,
    user_key: &SigningKey,
    trace: &Trace,
    captures: &Captures,
) -> Result<Option<Session>, Error> {
    let stream = dial(&job.host, job.port).await?;
    let tap = captures.begin(Side::Client);
    let config = rekeying(Config::client(), job.rekey);
    let options = options(config, job.seed, trace, &tap);
    let verifier: Verifier = Box::new(move |key| believed.is_some_and(|known| known == *key));
    let session = net::start(tap.on(stream), options, Some(verifier)).await?;
    let accepted = match &job.credential {
        Credential::Publickey => session.userauth_publickey(&job.user, user_key).await?,
        Credential::Password(password) => session.userauth_password(&job.user, password).await?,
    };
    if !accepted {
        session.disconnect().await;
    }
    Ok(accepted.then_some(session))
}

async fn dial(host: &str, port: u16) -> Result<TcpStream, Error> {
    let dialled = TcpStream::connect((host, port)).await;
    dialled
        .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
        .map_err(|source| Error::Io {
            doing: format!("cannot connect to {host} port {port}"),
            source,
        })
}

/// All at once, each on a channel of its own.
async fn run_execs(session: &Session, execs: &[Exec]) -> Result<Vec<ExecOutcome>, Error> {
    let mut running = JoinSet::new();
    for (at, exec) in execs.iter().cloned().enumerate() {
        let session = session.clone();
        running.spawn(async move { run_exec(&session, &exec).await.map(|outcome| (at, outcome)) });
    }
    let mut outcomes = Vec::new();
    while let Some(outcome) = running.join_next().await {
        outcomes
            .push(outcome.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?);
    }
    outcomes.sort_by_key(|(at, _)| *at);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

async fn run_exec(session: &Session, exec: &Exec) -> Result<ExecOutcome, Error> {
    let channel = session.channel_open().await?;
    for (name, value) in &exec.env {
        channel.set_env(name, value).await?;
    }
    if exec.terminal {
        let pty = Pty::new(TERM, TerminalSize::default());
        channel.request_pty(&pty).await?;
    }
    match &exec.command {
        Some(command) => channel.exec(command.as_bytes()).await?,
        None => channel.shell().await?,
    }
    let send = async {
        // The command may end before it has read everything.
        if let Some(stdin) = &exec.stdin
            && channel.write(stdin).await.is_err()
        {
            return;
        }
        let _ = channel.eof().await;
    };
    let ((), output) = tokio::join!(send, read_all(&channel));
    let (stdout, stderr) = output?;
    // EOF is not the end: the exit status may come between it and CLOSE.
    let (exit_status, exit_signal) = match channel.wait().await {
        Some(Exit::Status(status)) => (Some(status), None),
        Some(Exit::Signal(signal)) => (None, Some(Signal::Named(signal))),
        None => (None, None),
    };
    Ok(ExecOutcome {
        stdout,
        stderr,
        exit_status,
        exit_signal,
    })
}

async fn read_all(channel: &Channel) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(data) = channel.read().await? {
        match data.code {
            None => stdout.extend(data.bytes),
            Some(_) => stderr.extend(data.bytes),
        }
    }
    Ok((stdout, stderr))
}

// The server.

/// A server on a thread of its own; dropping it ends its connections and their programs.
struct Server {
    addr: SocketAddr,
    trace: Trace,
    captures: Captures,
    log: Arc<Mutex<String>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(ip: IpAddr, seed: u64, rekey: RekeyLimit) -> Result<Self, Broken> {
        let runtime = runtime()?;
        let listener = runtime
            .block_on(TcpListener::bind((ip, 0)))
            .map_err(|error| Broken::while_doing(&format!("cannot listen at {ip}"), error))?;
        let addr = listener
            .local_addr()
            .map_err(|error| Broken::while_doing("cannot tell where it listens", error))?;
        let (stop, is_stopped) = oneshot::channel();
        let (trace, log) = (Trace::default(), Arc::<Mutex<String>>::default());
        let captures = Captures::default();
        let shared = Shared {
            host_key: keys::signing_key(keys::HOST),
            user_key: keys::signing_key(keys::USER).public_key(),
            rekey,
            trace: Arc::clone(&trace),
            captures: captures.clone(),
            log: Arc::clone(&log),
        };
        // The name says whose panic it is.
        let thread = thread::Builder::new()
            .name(thread::current().name().unwrap_or_default().to_owned())
            .spawn(move || {
                runtime.block_on(shared.serve(&listener, seed, is_stopped));
                runtime.shutdown_background();
            })
            .map_err(|error| Broken::while_doing("cannot start a thread", error))?;
        Ok(Self {
            addr,
            trace,
            captures,
            log,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    fn wind_up(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server's thread was seen to when it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.wind_up();
    }
}

impl RunningServer for Server {
    fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn finish(mut self: Box<Self>) -> ServerRecord {
        self.wind_up();
        let text = std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner));
        ServerRecord {
            logs: vec![Log {
                name: "minissh server".to_owned(),
                text,
            }],
            died: None,
            trace: taken(&self.trace),
            captures: self.captures.take(),
        }
    }
}

/// What every connection of a server shares.
#[derive(Clone)]
struct Shared {
    host_key: SigningKey,
    user_key: PublicKey,
    rekey: RekeyLimit,
    trace: Trace,
    captures: Captures,
    log: Arc<Mutex<String>>,
}

impl Shared {
    async fn serve(&self, listener: &TcpListener, seed: u64, mut stop: oneshot::Receiver<()>) {
        let mut connections = JoinSet::new();
        let mut number = 0;
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let shared = self.clone();
                        let seed = seed.wrapping_add(number);
                        number += 1;
                        connections.spawn(async move {
                            let end = shared.attend(stream, seed).await;
                            shared.note(&format!("connection {number}: {end}"));
                        });
                    }
                    Err(error) => self.note(&format!("cannot accept: {error}")),
                },
                _ = &mut stop => break,
            }
        }
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(WIND_UP, all).await;
    }

    fn note(&self, line: &str) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(line);
        log.push('\n');
    }

    /// Serves one connection to its end, and says how it ended.
    async fn attend(&self, stream: TcpStream, seed: u64) -> Error {
        // What it costs to do without is speed alone.
        let _ = stream.set_nodelay(true);
        let tap = self.captures.begin(Side::Server);
        let config = rekeying(Config::server(self.host_key.clone()), self.rekey);
        let options = options(config, seed, &self.trace, &tap);
        let session = match net::start(tap.on(stream), options, None).await {
            Ok(session) => session,
            Err(error) => return error,
        };
        if let Err(error) = session.userauth_accept(self.policy()).await {
            return error;
        }
        loop {
            match session.channel_accept().await {
                // How a program ended is the client's to report.
                Ok(channel) => drop(tokio::spawn(async move { process::run_on(&channel).await })),
                Err(error) => return error,
            }
        }
    }

    fn policy(&self) -> AuthPolicy {
        let user_key = self.user_key.clone();
        AuthPolicy::publickey(move |user, key, _| user == keys::LOGIN && *key == user_key)
            .or_password(|user, password| {
                user == keys::LOGIN
                    && Password::new(keys::PASSWORD.as_bytes()).as_ref() == Some(password)
            })
    }
}
