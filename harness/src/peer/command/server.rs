//! The server of a manifest: started, waited for, watched.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{ASKING_MAX, Door, UNSUPPORTED, manifest_folder, unsupported, variables};
use crate::peer::manifest::{LetIn, Manifest, ServerPart};
use crate::peer::place::{Background, Place, putting, quoted};
use crate::peer::{Broken, NotDone, Reach, RunningServer, ServerRecord, ServerSetup, keys, port};
use crate::verdict::Log;
use crate::wording;

/// How long a server may take until it accepts connections.
const START_MAX: Duration = Duration::from_secs(30);
/// How long between two tries to connect to a server that is starting.
const TRY_EVERY: Duration = Duration::from_millis(5);
/// After so many tries it is time to see whether it has ended.
const TRIES_BETWEEN_LOOKS: u32 = 10;

/// Runs the server beside a watch that notes how it ended.
const WATCHED: &str = r#"sh -c "$(cat start)" >log 2>&1 </dev/null &
echo $! >pid
trap "kill $!" TERM
wait $!
echo $? >ended.new
mv ended.new ended"#;

/// Prints the status of a server that has ended, or a dash. One whose process is gone, or on its way
/// out, is given time for the watch to note it: its connections end before it does. Linux says so of
/// a process by its state, and before that by a flag: the 4 of field 9 in proc(5).
const HOW_ENDED: &str = r#"pid=$(cat pid)
set -- $(sed 's/.*) //' "/proc/$pid/stat")
if [ "$pid" ] && { ! kill -0 "$pid" || [ "$1" = Z ] || [ $((${7:-0} & 4)) != 0 ]; }; then
    turn=0
    until [ -e ended ] || [ $turn = 1000 ]; do sleep 0.01; turn=$((turn + 1)); done
fi
cat ended || echo -"#;

/// How a server is run.
pub(super) struct Server {
    id: String,
    part: ServerPart,
    manifest_folder: (&'static str, String),
    place: Arc<dyn Place>,
    door: Door,
    user: String,
    /// The one that all cases share, where the door is fixed.
    shared: Mutex<Option<Arc<Instance>>>,
}

impl Server {
    pub(super) fn new(
        id: &str,
        manifest: &Manifest,
        part: &ServerPart,
        place: Arc<dyn Place>,
        door: Door,
    ) -> Result<Self, Broken> {
        let user = match part.user {
            LetIn::Anybody => keys::LOGIN.to_owned(),
            LetIn::Oneself => {
                let ran = place.run("id -un", b"", ASKING_MAX)?;
                String::from_utf8_lossy(&ran.stdout).trim().to_owned()
            }
        };
        Ok(Self {
            id: id.to_owned(),
            part: part.clone(),
            manifest_folder: manifest_folder(manifest),
            place,
            door,
            user,
            shared: Mutex::new(None),
        })
    }

    /// A fresh server, or the one that is up.
    pub(super) fn serve(&self, setup: &ServerSetup) -> Result<Box<dyn RunningServer>, NotDone> {
        let instance = match self.door {
            Door::Free => Arc::new(self.start(free(&setup.reachable_from)?, setup.seed)?),
            Door::Fixed(addr) => self.shared(addr, setup.seed)?,
        };
        let log_from = instance.log_bytes.load(Ordering::Relaxed);
        Ok(Box::new(InCase {
            instance,
            log_from,
            id: self.id.clone(),
            user: self.user.clone(),
        }))
    }

    /// The server that is up; a new one if it has died since.
    fn shared(&self, addr: SocketAddr, seed: u64) -> Result<Arc<Instance>, NotDone> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(instance) = shared.as_ref().filter(|instance| !instance.has_ended()) {
            return Ok(Arc::clone(instance));
        }
        let instance = Arc::new(self.start(addr, seed)?);
        *shared = Some(Arc::clone(&instance));
        Ok(instance)
    }

    fn start(&self, addr: SocketAddr, seed: u64) -> Result<Instance, NotDone> {
        static INSTANCES: AtomicU64 = AtomicU64::new(1);
        let number = INSTANCES.fetch_add(1, Ordering::Relaxed);
        let folder = format!("{}/{}-server-{number}", self.place.folder(), self.id);
        self.prepare(&folder, addr, seed)?;
        let script = format!(
            "cd {} && . ./parameters && {{\n{WATCHED}\n}}",
            quoted(&folder)
        );
        let instance = Instance {
            background: Some(self.place.start(&script)?),
            place: Arc::clone(&self.place),
            folder,
            addr,
            log_bytes: AtomicUsize::new(0),
            ended: Mutex::new(None),
        };
        self.listening(&instance)?;
        Ok(instance)
    }

    fn prepare(&self, folder: &str, addr: SocketAddr, seed: u64) -> Result<(), Broken> {
        // In a container it must be reached from without.
        let address = match self.door {
            Door::Free => addr.ip(),
            Door::Fixed(_) => Ipv4Addr::UNSPECIFIED.into(),
        };
        let values = [
            self.manifest_folder.clone(),
            ("ROLE", "server".to_owned()),
            ("ADDRESS", address.to_string()),
            ("PORT", addr.port().to_string()),
            ("HOST_KEY", format!("{folder}/host_ed25519")),
            ("AUTHORIZED_KEYS", format!("{folder}/authorized_keys")),
            ("USER", self.user.clone()),
            ("PASSWORD", keys::PASSWORD.to_owned()),
            ("SEED", seed.to_string()),
        ];
        let file = |name: &str, mode, content: &str| {
            (name.to_owned(), mode, content.as_bytes().to_vec().into())
        };
        // A server may read authorized_keys as the user who logs in.
        let (putting, stdin) = putting(&[
            file("parameters", "600", &variables(&values)),
            file("start", "600", &self.part.start),
            file("host_ed25519", "600", keys::HOST),
            file("authorized_keys", "644", keys::USER_PUBLIC),
        ]);
        let folder = quoted(folder);
        let script = format!("set -e; umask 022; mkdir {folder}; cd {folder}\n{putting}");
        let ran = self.place.run(&script, &stdin, ASKING_MAX)?;
        match ran.code {
            Some(0) => Ok(()),
            _ => {
                let what = format!("cannot prepare {folder}: {}", ran.stderr.trim());
                Err(Broken::new(what))
            }
        }
    }

    /// Waits until it accepts connections.
    fn listening(&self, instance: &Instance) -> Result<(), NotDone> {
        let begin = Instant::now();
        for turn in 1_u32.. {
            if TcpStream::connect_timeout(&instance.addr, START_MAX).is_ok() {
                return Ok(());
            }
            let is_late = begin.elapsed() > START_MAX;
            if is_late || turn % TRIES_BETWEEN_LOOKS == 0 {
                let log = instance.look(0)?;
                if let Some(status) = instance.how_ended() {
                    return Err(self.ended_at_once(status, &log));
                }
                if is_late {
                    return Err(self.never_listened(instance.addr, &log).into());
                }
            }
            std::thread::sleep(TRY_EVERY);
        }
        unreachable!("it counts to more than there is time for")
    }

    fn ended_at_once(&self, status: i32, log: &str) -> NotDone {
        if status == UNSUPPORTED {
            return unsupported(log);
        }
        let what = format!(
            "the server of {} ended with status {status} before it accepted a connection{}",
            self.id,
            end_of(log)
        );
        Broken::new(what)
            .hint("it must stay in the foreground and listen on $DRILL_ADDRESS:$DRILL_PORT")
            .into()
    }

    fn never_listened(&self, addr: SocketAddr, log: &str) -> Broken {
        let what = format!(
            "the server of {} does not accept connections on {addr} within {}{}",
            self.id,
            wording::time(START_MAX),
            end_of(log)
        );
        Broken::new(what).hint("it must listen on $DRILL_ADDRESS:$DRILL_PORT")
    }
}

/// The last lines of a log, for an error.
pub(super) fn end_of(log: &str) -> String {
    const LINES: usize = 8;
    let lines: Vec<&str> = log.trim().lines().collect();
    match lines.as_slice() {
        [] => "; it wrote nothing".to_owned(),
        lines => format!(
            "; its output ends:\n{}",
            lines[lines.len().saturating_sub(LINES)..].join("\n")
        ),
    }
}

/// A free port of this machine, where such clients reach it.
fn free(reach: &Reach) -> Result<SocketAddr, Broken> {
    let ip = match reach {
        Reach::Loopback => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Reach::Containers(ip) => *ip,
        Reach::At(addr) => addr.ip(),
    };
    port::free(ip).map_err(|e| {
        Broken::while_doing(&format!("cannot listen on {ip}"), e)
            .hint("container peers need an engine that runs on this machine")
    })
}

/// A server that was started.
struct Instance {
    /// Dropped before the folder goes.
    background: Option<Background>,
    place: Arc<dyn Place>,
    folder: String,
    addr: SocketAddr,
    /// How much of its log was there when it was last read: where the next case begins.
    log_bytes: AtomicUsize,
    /// The status that it ended with, when that was last looked at.
    ended: Mutex<Option<i32>>,
}

impl Instance {
    /// What it wrote from this byte on; notes whether it has ended, too.
    fn look(&self, from: usize) -> Result<String, Broken> {
        let script = format!(
            "cd {} && {{ {HOW_ENDED}\n}} 2>/dev/null && tail -c +{} log",
            quoted(&self.folder),
            from + 1
        );
        let said = self.place.run(&script, b"", ASKING_MAX)?.stdout;
        let at = said.iter().position(|&byte| byte == b'\n');
        let (ended, log) = said.split_at(at.map_or(said.len(), |at| at + 1));
        let ended = String::from_utf8_lossy(ended).trim().parse().ok();
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = ended;
        self.log_bytes
            .fetch_max(from + log.len(), Ordering::Relaxed);
        Ok(String::from_utf8_lossy(log).into_owned())
    }

    fn how_ended(&self) -> Option<i32> {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_ended(&self) -> bool {
        self.how_ended().is_some()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(Background::Here { .. }) = self.background.take() {
            // The peer's own folder goes at the end of the run in any case.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// A server during one case.
struct InCase {
    instance: Arc<Instance>,
    /// How long its log was when the case began.
    log_from: usize,
    id: String,
    user: String,
}

impl RunningServer for InCase {
    fn addr(&self) -> SocketAddr {
        self.instance.addr
    }

    fn user(&self) -> &str {
        &self.user
    }

    fn finish(self: Box<Self>) -> ServerRecord {
        let text = self.instance.look(self.log_from);
        let died = self
            .instance
            .how_ended()
            .map(|status| format!("its server ended with status {status} during the case"));
        ServerRecord {
            logs: vec![Log {
                name: format!("{} server", self.id),
                text: text.unwrap_or_else(|e| format!("(cannot read the log: {e})")),
            }],
            died,
            trace: Vec::new(),
            captures: Vec::new(),
        }
    }
}
