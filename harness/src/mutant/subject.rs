//! A mutant as a peer: its machine over sockets of this machine.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::machine::{Machine, Secrets};
use super::wrong::{Plays, Wrong};
use crate::peer::{
    Broken, Capabilities, ClientEnd, ClientJob, ClientRecord, KnownHost, NotDone, Origin, Peer,
    PeerInfo, Reach, RunningServer, ServerRecord, ServerSetup, keys,
};

/// How long a read may keep a mutant from looking at the clock.
const TICK: Duration = Duration::from_millis(25);

/// No mutant lives longer; its case is over long before, also on a busy machine.
const LIFE_MAX: Duration = Duration::from_secs(150);

/// A subject that breaks one rule, or none.
pub struct Mutant {
    info: PeerInfo,
    wrong: Option<Wrong>,
}

impl Mutant {
    /// A subject that breaks that rule; with `None` one that is right, to compare with.
    #[must_use]
    pub fn new(wrong: Option<Wrong>) -> Self {
        let plays = wrong.map_or(Plays::Both, Wrong::plays);
        let capabilities = Capabilities {
            server: plays != Plays::Client,
            client: plays != Plays::Server,
            ..Capabilities::ALL
        };
        let id = wrong.map_or("flawless", Wrong::name).to_owned();
        let info = PeerInfo {
            version: id.clone(),
            id,
            origin: Origin::InProcess,
            capabilities,
        };
        Self { info, wrong }
    }

    fn machine(&self, is_server: bool, known_host: KnownHost, seed: u64) -> Machine {
        let known_host = match known_host {
            KnownHost::Right => Some(keys::HOST),
            KnownHost::Other => Some(keys::OTHER_HOST),
            KnownHost::Unknown => None,
        };
        let secrets = Secrets {
            host_key: keys::signing_key(keys::HOST),
            known_host: known_host.map(|key| keys::signing_key(key).public_key()),
            user_key: keys::signing_key(keys::USER),
            user: keys::LOGIN.to_owned(),
            password: keys::PASSWORD.to_owned(),
        };
        Machine::new(is_server, self.wrong, secrets, seed)
    }
}

impl Peer for Mutant {
    fn info(&self) -> &PeerInfo {
        &self.info
    }

    fn serve(&self, setup: &ServerSetup) -> Result<Box<dyn RunningServer>, NotDone> {
        let broken = |error| Broken::while_doing("cannot listen for a mutant", error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(broken)?;
        let addr = listener.local_addr().map_err(broken)?;
        let mut machine = self.machine(true, KnownHost::Right, setup.seed);
        machine.rekey = setup.rekey;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let died = Arc::new(AtomicBool::new(false));
        let death = Arc::clone(&died);
        let thread = thread::spawn(move || {
            if let Ok((stream, _)) = listener.accept() {
                let broke = drive(&mut machine, &stream, &stopped, LIFE_MAX).is_err();
                death.store(broke && machine.is(Wrong::DiesOfReset), Ordering::Relaxed);
            }
        });
        Ok(Box::new(Server {
            addr,
            stop,
            died,
            thread: Some(thread),
        }))
    }

    fn connect(&self, job: &ClientJob) -> Result<ClientRecord, NotDone> {
        let stream = TcpStream::connect((job.host.as_str(), job.port))
            .map_err(|error| Broken::while_doing("cannot connect a mutant", error))?;
        let mut machine = self.machine(false, job.known_host, job.seed);
        machine.rekey = job.rekey;
        let stdin = job.execs.first().and_then(|exec| exec.stdin.clone());
        machine.stdin = stdin.unwrap_or_default();
        // One that stays must be seen to stay.
        let life = job.deadline + Duration::from_secs(1);
        // Whether the stream broke or ended is all the same to a client.
        let _ = drive(&mut machine, &stream, &AtomicBool::new(false), life);
        Ok(ClientRecord {
            died: None,
            end: match machine.kex.refused_host_key {
                true => ClientEnd::RefusedHostKey,
                false => ClientEnd::Done(vec![machine.report]),
            },
            logs: Vec::new(),
            trace: Vec::new(),
            captures: Vec::new(),
        })
    }

    fn reach(&self) -> Reach {
        Reach::Loopback
    }
}

/// Carries bytes until one side ends the connection. An error is one of the stream.
fn drive(
    machine: &mut Machine,
    stream: &TcpStream,
    stop: &AtomicBool,
    life: Duration,
) -> io::Result<()> {
    let began = Instant::now();
    let _ = stream.set_nodelay(true);
    let _ = stream.set_read_timeout(Some(TICK));
    let mut bytes = [0; 16 * 1024];
    while began.elapsed() < life.min(LIFE_MAX) && !stop.load(Ordering::Relaxed) {
        let out = std::mem::take(&mut machine.out);
        let mut writer = stream;
        let wrote = writer.write_all(&out);
        if machine.ended {
            break;
        }
        let mut reader = stream;
        let stays = machine.is(Wrong::IgnoresEndOfStream);
        match wrote.and_then(|()| reader.read(&mut bytes)) {
            Ok(0) | Err(_) if stays => thread::sleep(TICK),
            Ok(0) => break,
            Ok(count) => machine.input(&bytes[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
        machine.tick();
    }
    let _ = stream.shutdown(Shutdown::Both);
    Ok(())
}

/// A mutant that serves one connection.
struct Server {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    died: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RunningServer for Server {
    fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn finish(self: Box<Self>) -> ServerRecord {
        let died = self.died.load(Ordering::Relaxed);
        ServerRecord {
            died: died.then(|| "died of a connection that was torn down".to_owned()),
            ..ServerRecord::default()
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Whoever never connected leaves it waiting for a connection.
        let _ = TcpStream::connect(self.addr);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
