//! A container as a place to run programs in.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::shell::Shell;
use super::{Engine, Running};
use crate::peer::place::{Background, Files, Input, Place, Worked, putting};
use crate::peer::process::Ran;
use crate::peer::{Broken, Reach};

/// How long a server may take from its start until it answers.
const START_MAX: Duration = Duration::from_secs(120);
/// How long bringing files may take; they are at most some tens of megabytes.
const BRINGING_MAX: Duration = Duration::from_secs(60);
/// How long bringing a program into the background may take.
const BEGIN_MAX: Duration = Duration::from_secs(60);

/// A running container that this machine and the container reach each other by address.
pub struct Inside {
    engine: Arc<Engine>,
    container: Running,
    /// The shells in it that wait for a script.
    shells: Mutex<Vec<Shell>>,
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
            shells: Mutex::default(),
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
        let shells = || self.shells.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = shells().pop();
        let (ran, shell) = self
            .engine
            .run(&self.container, idle, (script, stdin), limit)?;
        shells().push(shell);
        Ok(ran)
    }

    fn work(&self, inputs: &[Input<'_>], script: &str, limit: Duration) -> Result<Worked, Broken> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = format!("{}/work-{number}", self.folder());
        let (putting, stdin) = putting(inputs);
        let bringing = format!("{BRINGING}\ncd /; rm -rf {folder}; exit 0");
        let folders: BTreeSet<_> = inputs
            .iter()
            .filter_map(|(name, _, _)| Some(name.rsplit_once('/')?.0))
            .collect();
        let folders = Vec::from_iter(folders).join(" ");
        let script = format!(
            "set -e; umask 077; mkdir {folder}; cd {folder}; mkdir -p . {folders}\n{putting}set +e
             {{\n{script}\n}} >/dev/null 2>&1\n{bringing}"
        );
        let ran = self.run(&script, &stdin, limit)?;
        let stopped = match ran.code {
            Some(0) => None,
            Some(_) => {
                let what = format!(
                    "cannot use {folder} in {}: {}",
                    self.id(),
                    ran.stderr.trim()
                );
                return Err(Broken::new(what));
            }
            // What it wrote so far is there to be read.
            None => {
                let script = format!("cd {folder} || exit\n{bringing}");
                Some(self.run(&script, b"", BRINGING_MAX)?)
            }
        };
        Ok(Worked {
            in_time: stopped.is_none(),
            files: unpack(&stopped.unwrap_or(ran).stdout),
        })
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

/// Prints the files of the current folder: a line with size and name for each, an empty line, and then
/// what is in them.
const BRINGING: &str = r#"set --
for file in *; do
    [ ! -f "$file" ] || set -- "$@" "$file"
done
[ $# = 0 ] || wc -c "$@"
echo
[ $# = 0 ] || cat "$@""#;

/// The files that [`BRINGING`] printed.
fn unpack(printed: &[u8]) -> Files {
    let end = printed.windows(2).position(|two| two == b"\n\n");
    let (list, mut contents) = printed.split_at(end.map_or(0, |end| end + 2));
    let list = String::from_utf8_lossy(list);
    let mut lines: Vec<(usize, &str)> = list
        .lines()
        .filter_map(|line| {
            let (size, name) = line.trim_start().split_once(' ')?;
            Some((size.parse().ok()?, name))
        })
        .collect();
    if lines.len() > 1 {
        // The sum of them.
        lines.pop();
    }
    let mut files = Files::new();
    for (size, name) in lines {
        let content;
        (content, contents) = contents.split_at(size.min(contents.len()));
        files.insert(name.to_owned(), content.to_vec());
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_back_with_whatever_bytes_they_have() {
        let printed = b"  2 status.1\n  7 stdout.1\n  0 stdout.2\n  9 total\n\n0\na 1\nb\n\n";

        let files = unpack(printed);

        assert_eq!(files["stdout.1"], b"a 1\nb\n\n");
        assert_eq!(files["stdout.2"], b"");
        assert_eq!(files["status.1"], b"0\n");
        assert_eq!(files.len(), 3);
        assert_eq!(unpack(b"  1 log.1\n\nx")["log.1"], b"x");
        assert_eq!(unpack(b"\n"), Files::new());
    }
}
