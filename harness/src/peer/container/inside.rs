//! A container as a place to run programs in.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Engine, Running};
use crate::peer::place::{Background, Place};
use crate::peer::process::Ran;
use crate::peer::{Broken, Reach};

/// How long a server may take from its start until it answers.
const START_MAX: Duration = Duration::from_secs(120);
/// How long bringing a program into the background may take.
const BEGIN_MAX: Duration = Duration::from_secs(60);

/// A running container that this machine and the container reach each other by address.
pub struct Inside {
    engine: Arc<Engine>,
    container: Running,
    /// This machine as the container sees it.
    gateway: IpAddr,
    /// The container as this machine and other containers see it.
    address: IpAddr,
}

impl Inside {
    /// Starts a container from `image` with `files` (path, mode, content) in it.
    ///
    /// # Errors
    /// [`Broken`] when it does not start, or has no address.
    pub fn start(
        engine: &Arc<Engine>,
        image: (&str, &str),
        files: &[(&str, u32, &str)],
    ) -> Result<Self, Broken> {
        let container = engine.start(image, files)?;
        let (address, gateway) = engine.addresses(&container)?;
        Ok(Self {
            engine: Arc::clone(engine),
            container,
            gateway,
            address,
        })
    }

    /// The container's short id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.container.id()
    }

    /// Where it is reached.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Tries `ask` on connections to `port` until it succeeds.
    ///
    /// # Errors
    /// [`Broken`] when nothing answers there, or the container has ended.
    pub fn ask<T>(
        &self,
        port: u16,
        ask: impl Fn(TcpStream) -> std::io::Result<T>,
    ) -> Result<T, Broken> {
        let start = Instant::now();
        let addr = SocketAddr::new(self.address, port);
        loop {
            let answer = TcpStream::connect_timeout(&addr, Duration::from_secs(2)).and_then(&ask);
            match answer {
                Ok(answer) => return Ok(answer),
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
        let id = self.id();
        Broken::new(format!(
            "the server in container {id} does not answer on {addr}: {e}"
        ))
        .hint(
            "the engine's bridge must be on this machine: Docker Desktop, rootless and remote \
             engines cannot be used yet",
        )
    }
}

impl Place for Inside {
    fn run(&self, script: &str, stdin: &[u8], limit: Duration) -> Result<Ran, Broken> {
        self.engine.run(&self.container, script, stdin, limit)
    }

    fn start(&self, script: &str) -> Result<Background, Broken> {
        let script = format!(
            "setsid sh -c {} </dev/null >/dev/null 2>&1 &",
            crate::peer::place::quoted(script)
        );
        self.run(&script, b"", BEGIN_MAX)?;
        Ok(Background::Container)
    }

    fn folder(&self) -> &'static str {
        "/drill"
    }

    fn reach(&self) -> Reach {
        Reach::Containers(self.gateway)
    }
}
