//! OpenSSH of a Debian suite in a container: one for the whole run, in which `sshd` stays up and in
//! which clients are run.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Place, client, kexinit, product};
use crate::peer::container::{Engine, Running};
use crate::peer::process::Ran;
use crate::peer::{
    Broken, Capabilities, ClientJob, ClientRecord, Origin, Peer, PeerInfo, Reach, RunningServer,
    ServerRecord, ServerSetup, keys,
};
use crate::verdict::Log;

/// How long a container may take from its start until `sshd` answers.
const START_MAX: Duration = Duration::from_secs(30);
/// How long reading a log may take.
const ASKING_MAX: Duration = Duration::from_secs(30);
/// Where `sshd` listens in the container.
const PORT: u16 = 22;
/// The server's log, see `docker/openssh/Dockerfile`.
const LOG: &str = "/drill/sshd.log";

/// OpenSSH in a container.
pub struct ContainerOpenSsh {
    info: PeerInfo,
    place: Arc<Inside>,
}

/// A container as a [`Place`].
struct Inside {
    engine: Arc<Engine>,
    container: Running,
    /// This machine as the container sees it.
    gateway: IpAddr,
    /// The container as this machine and other containers see it.
    address: IpAddr,
    /// How much of the server's log was there when it was last read: where the next case begins.
    log_bytes: AtomicUsize,
}

impl ContainerOpenSsh {
    /// Starts a container of `suite` from `image` and waits until its server answers.
    ///
    /// # Errors
    /// [`Broken`] when it does not start, or when its address cannot be reached from here.
    pub fn start(engine: &Arc<Engine>, suite: &str, image: (&str, &str)) -> Result<Self, Broken> {
        let files = [
            ("/drill/host_ed25519", 0o600, keys::HOST),
            ("/drill/authorized_keys", 0o644, keys::USER_PUBLIC),
        ];
        let container = engine.start(image, &files)?;
        let (address, gateway) = engine.addresses(&container)?;
        let inside = Inside {
            engine: engine.clone(),
            container,
            gateway,
            address,
            log_bytes: AtomicUsize::new(0),
        };
        let strict_kex = inside.offers_strict_kex()?;
        let printed = inside.run("ssh -V", b"", ASKING_MAX)?;
        let info = PeerInfo {
            id: super::super::catalogue::container_id(suite),
            version: product(&printed.stderr).unwrap_or_else(|| format!("OpenSSH of {suite}")),
            origin: Origin::Container(suite.to_owned()),
            capabilities: Capabilities {
                strict_kex,
                ..Capabilities::ALL
            },
        };
        Ok(Self {
            info,
            place: Arc::new(inside),
        })
    }
}

impl Peer for ContainerOpenSsh {
    fn info(&self) -> &PeerInfo {
        &self.info
    }

    fn serve(&self, _: &ServerSetup) -> Result<Box<dyn RunningServer>, Broken> {
        let place = self.place.clone();
        let log_from = place.log_bytes.load(Ordering::Relaxed);
        Ok(Box::new(ContainerServer { place, log_from }))
    }

    fn connect(&self, job: &ClientJob) -> Result<ClientRecord, Broken> {
        client::connect(self.place.as_ref(), job)
    }

    fn reach(&self) -> Reach {
        self.place.reach()
    }
}

impl Inside {
    /// Waits until the server answers, and reads what it offers.
    fn offers_strict_kex(&self) -> Result<bool, Broken> {
        let start = Instant::now();
        let addr = SocketAddr::new(self.address, PORT);
        loop {
            let offers = TcpStream::connect_timeout(&addr, Duration::from_secs(2))
                .and_then(kexinit::offers_strict_kex);
            match offers {
                Ok(offers) => return Ok(offers),
                Err(_)
                    if start.elapsed() < START_MAX && self.engine.is_running(&self.container) =>
                {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(e) => return Err(self.no_answer(addr, &e)),
            }
        }
    }

    fn no_answer(&self, addr: SocketAddr, e: &std::io::Error) -> Broken {
        let what = format!(
            "sshd in container {} does not answer on {addr}: {e}",
            self.container.id()
        );
        let hint = "the engine's bridge must be on this machine: Docker Desktop, rootless and \
                    remote engines cannot be used yet";
        Broken::new(what).hint(hint)
    }

    /// The server's log from the given byte on.
    fn log(&self, from: usize) -> Result<String, Broken> {
        let log = self
            .run(&format!("tail -c +{} {LOG}", from + 1), b"", ASKING_MAX)?
            .stdout;
        self.log_bytes
            .fetch_max(from + log.len(), Ordering::Relaxed);
        Ok(String::from_utf8_lossy(&log).into_owned())
    }
}

impl Place for Inside {
    fn run(&self, script: &str, stdin: &[u8], limit: Duration) -> Result<Ran, Broken> {
        self.engine.run(&self.container, script, stdin, limit)
    }

    fn folder(&self) -> &'static str {
        "/drill"
    }

    fn ssh(&self) -> &'static str {
        "/usr/bin/ssh"
    }

    fn reach(&self) -> Reach {
        Reach::Containers(self.gateway)
    }
}

/// The container's server during one case.
struct ContainerServer {
    place: Arc<Inside>,
    /// How long its log was when the case began.
    log_from: usize,
}

impl RunningServer for ContainerServer {
    fn addr(&self) -> SocketAddr {
        SocketAddr::new(self.place.address, PORT)
    }

    fn user(&self) -> &str {
        keys::LOGIN
    }

    fn password(&self) -> &str {
        keys::PASSWORD
    }

    fn finish(self: Box<Self>) -> ServerRecord {
        let text = self.place.log(self.log_from);
        let text = text.unwrap_or_else(|broken| format!("(cannot read the log: {broken})"));
        let name = format!("sshd in {}", self.place.container.id());
        ServerRecord {
            logs: vec![Log { name, text }],
            trace: Vec::new(),
        }
    }
}
