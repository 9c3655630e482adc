//! OpenSSH of a Debian suite in a container: one for the whole run, in which `sshd` stays up and in
//! which clients are run.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::dialect::Release;
use super::{client, product, rekey_option, version};
use crate::peer::container::{Engine, Inside};
use crate::peer::place::{Place, quoted};
use crate::peer::{
    Broken, Capabilities, ClientJob, ClientRecord, NotDone, Origin, Peer, PeerInfo, Reach,
    RekeyLimit, RunningServer, ServerRecord, ServerSetup, kexinit, keys,
};
use crate::verdict::Log;

/// How long reading a log may take.
const ASKING_MAX: Duration = Duration::from_secs(60);
/// Where the container's own `sshd` listens and logs, see `docker/openssh/Dockerfile`.
const PORT: u16 = 22;
const LOG: &str = "/drill/sshd.log";
/// From here on are the ports of further servers.
const FURTHER_PORTS: u16 = 2200;

/// OpenSSH in a container.
pub struct ContainerOpenSsh {
    info: PeerInfo,
    release: Release,
    shared: Arc<Shared>,
}

/// What all cases of the peer share.
struct Shared {
    place: Inside,
    /// The servers that were started so far: one for each limit that a case asked for.
    servers: Mutex<HashMap<RekeyLimit, Arc<Sshd>>>,
}

/// One `sshd` of the container.
struct Sshd {
    port: u16,
    log: String,
    /// How much of the log was there when it was last read: where the next case begins.
    log_bytes: AtomicUsize,
}

impl Sshd {
    fn new(port: u16, log: &str) -> Arc<Self> {
        Arc::new(Self {
            port,
            log: log.to_owned(),
            log_bytes: AtomicUsize::new(0),
        })
    }
}

impl ContainerOpenSsh {
    /// Starts a container from `image` and waits until its server answers.
    ///
    /// # Errors
    /// [`Broken`] when it does not start, or when its address cannot be reached from here.
    pub fn start(
        engine: &Arc<Engine>,
        id: &str,
        suite: &str,
        image: (&str, &str),
    ) -> Result<Self, Broken> {
        let files = [
            ("/drill/host_ed25519", 0o600, keys::HOST),
            ("/drill/authorized_keys", 0o644, keys::USER_PUBLIC),
        ];
        let place = Inside::start(engine, image, &files)?;
        let offer = place.ask(PORT, kexinit::read)?;
        let printed = place.run("ssh -V", b"", ASKING_MAX)?;
        let info = PeerInfo {
            id: id.to_owned(),
            version: product(&printed.stderr).unwrap_or_else(|| format!("OpenSSH of {suite}")),
            origin: Origin::Container(suite.to_owned()),
            capabilities: Capabilities {
                strict_kex: offer.strict_kex(),
                prefers_curve25519: offer.prefers_curve25519(),
                ..Capabilities::ALL
            },
        };
        Ok(Self {
            release: version(&info.version).unwrap_or((8, 4)),
            info,
            shared: Arc::new(Shared {
                place,
                servers: Mutex::new(HashMap::from([(
                    RekeyLimit::default(),
                    Sshd::new(PORT, LOG),
                )])),
            }),
        })
    }
}

impl Peer for ContainerOpenSsh {
    fn info(&self) -> &PeerInfo {
        &self.info
    }

    fn serve(&self, setup: &ServerSetup) -> Result<Box<dyn RunningServer>, NotDone> {
        let shared = Arc::clone(&self.shared);
        let sshd = shared.sshd(setup.rekey)?;
        let log_from = sshd.log_bytes.load(Ordering::Relaxed);
        Ok(Box::new(ContainerServer {
            shared,
            sshd,
            log_from,
        }))
    }

    fn connect(&self, job: &ClientJob) -> Result<ClientRecord, NotDone> {
        Ok(client::connect(
            &self.shared.place,
            "/usr/bin/ssh",
            self.release,
            job,
        )?)
    }

    fn reach(&self) -> Reach {
        self.shared.place.reach()
    }
}

impl Shared {
    /// The server with this limit, which is started if none has it yet.
    fn sshd(&self, rekey: RekeyLimit) -> Result<Arc<Sshd>, Broken> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sshd) = servers.get(&rekey) {
            return Ok(Arc::clone(sshd));
        }
        let further = u16::try_from(servers.len()).unwrap_or(u16::MAX);
        let port = FURTHER_PORTS.saturating_add(further);
        let sshd = Sshd::new(port, &format!("/drill/sshd-{port}.log"));
        let option = rekey_option(rekey).unwrap_or_default();
        self.place.start(&format!(
            "exec /usr/sbin/sshd -D -E {} -f /drill/sshd_config -o Port={port} \
             -o HostKey=/drill/host_ed25519 -o AuthorizedKeysFile=/drill/authorized_keys -o {}",
            sshd.log,
            quoted(&option)
        ))?;
        self.place.ask(port, kexinit::read)?;
        servers.insert(rekey, Arc::clone(&sshd));
        Ok(sshd)
    }

    /// A server's log from the given byte on.
    fn log(&self, sshd: &Sshd, from: usize) -> Result<String, Broken> {
        let script = format!("tail -c +{} {}", from + 1, sshd.log);
        let log = self.place.run(&script, b"", ASKING_MAX)?.stdout;
        sshd.log_bytes
            .fetch_max(from + log.len(), Ordering::Relaxed);
        Ok(String::from_utf8_lossy(&log).into_owned())
    }
}

/// The container's server during one case.
struct ContainerServer {
    shared: Arc<Shared>,
    sshd: Arc<Sshd>,
    /// How long its log was when the case began.
    log_from: usize,
}

impl RunningServer for ContainerServer {
    fn addr(&self) -> SocketAddr {
        SocketAddr::new(self.shared.place.address(), self.sshd.port)
    }

    fn finish(self: Box<Self>) -> ServerRecord {
        let text = self.shared.log(&self.sshd, self.log_from);
        let text = text.unwrap_or_else(|broken| format!("(cannot read the log: {broken})"));
        let name = format!("sshd in {}", self.shared.place.id());
        ServerRecord {
            logs: vec![Log { name, text }],
            died: None,
            trace: Vec::new(),
            captures: Vec::new(),
        }
    }
}
