//! The engine alone as a peer, for recordings.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Answer, Conversation, connect, serve};
use crate::peer::accept::accept;
use crate::peer::catalogue::MINISSH;
use crate::peer::{
    Broken, Capabilities, ClientJob, ClientRecord, NotDone, Origin, Peer, PeerInfo, Reach,
    RunningServer, ServerRecord, ServerSetup,
};
use crate::transcript::ready;

/// How long one conversation may take.
const LIMIT: Duration = Duration::from_secs(60);

/// minissh's engine alone, under the name of minissh.
pub struct Solo {
    info: PeerInfo,
    answers: Arc<[Answer]>,
}

impl Solo {
    /// As a server, it knows these answers.
    #[must_use]
    pub fn new(answers: Vec<Answer>) -> Self {
        let info = PeerInfo {
            id: MINISSH.to_owned(),
            version: format!("minissh {}, its engine alone", env!("CARGO_PKG_VERSION")),
            origin: Origin::InProcess,
            capabilities: Capabilities::ALL,
        };
        Self {
            info,
            answers: answers.into(),
        }
    }
}

impl Peer for Solo {
    fn info(&self) -> &PeerInfo {
        &self.info
    }

    /// A server for one connection.
    fn serve(&self, setup: &ServerSetup) -> Result<Box<dyn RunningServer>, NotDone> {
        let ip = match setup.reachable_from {
            Reach::Loopback => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Reach::Containers(ip) => ip,
            Reach::At(addr) => addr.ip(),
        };
        let cannot =
            |error: io::Error| Broken::while_doing(&format!("cannot listen at {ip}"), error);
        let listener = TcpListener::bind((ip, 0)).map_err(cannot)?;
        let addr = listener.local_addr().map_err(cannot)?;
        let (answers, seed) = (Arc::clone(&self.answers), setup.seed);
        let is_stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&is_stopped);
        let thread = thread::Builder::new()
            .name(thread::current().name().unwrap_or_default().to_owned())
            .spawn(move || {
                let came = accept(&listener, || stop.load(Ordering::Relaxed));
                let mut stream = ready(came.ok().flatten()?.0).ok()?;
                drop(listener);
                Some(serve(&answers, seed, &mut stream, LIMIT))
            })
            .map_err(|error| Broken::while_doing("cannot start a thread", error))?;
        Ok(Box::new(Server {
            addr,
            is_stopped,
            thread: Some(thread),
        }))
    }

    fn connect(&self, job: &ClientJob) -> Result<ClientRecord, NotDone> {
        let stream = TcpStream::connect((job.host.as_str(), job.port)).and_then(ready);
        let mut stream = stream.map_err(|error| Broken::while_doing("cannot connect", error))?;
        let (end, conversation) = connect(job, &mut stream);
        Ok(ClientRecord {
            died: None,
            end,
            logs: Vec::new(),
            trace: conversation.trace,
            captures: vec![conversation.capture],
        })
    }

    fn reach(&self) -> Reach {
        Reach::Loopback
    }
}

struct Server {
    addr: SocketAddr,
    is_stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<Option<Conversation>>>,
}

impl Server {
    fn wind_up(&mut self) -> Option<Conversation> {
        self.is_stopped.store(true, Ordering::Relaxed);
        // A panic of the thread was seen to when it happened.
        self.thread.take()?.join().ok().flatten()
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
        let conversation = self.wind_up();
        let (trace, captures) =
            conversation.map_or_else(Default::default, |had| (had.trace, vec![had.capture]));
        ServerRecord {
            trace,
            captures,
            ..ServerRecord::default()
        }
    }
}
