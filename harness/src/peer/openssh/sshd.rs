//! An `sshd` of this machine in the foreground, with a throw-away configuration: as root in a view of
//! the machine with a user that exists nowhere else, or as anybody for oneself. One case has it at a
//! time, so that what it logs is about that case.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::build::{ASKING_MAX, Build};
use super::dialect::{self, Release};
use super::view::{AUTHORIZED_KEYS, PRIVSEP, View};
use super::{SSHD_CONFIG, product, rekey_option, version};
use crate::peer::keys::{self, LOGIN};
use crate::peer::place::Folder;
use crate::peer::process::{self, Daemon};
use crate::peer::{Broken, RekeyLimit, RunningServer, ServerRecord, port};
use crate::verdict::Log;

/// How long a server may take until it listens.
const START_MAX: Duration = Duration::from_secs(60);
/// What it says when it will not listen, so that nobody waits for it.
const GAVE_UP: &[&str] = &[
    "Bad configuration option",
    "Cannot bind any address",
    "Missing privilege separation directory",
    "fatal:",
    "no hostkeys available",
    "terminating,",
    "unshare failed",
];
/// The server's log, in its folder.
const LOG: &str = "sshd.log";

/// How this machine's `sshd` is started.
#[derive(Debug)]
pub(super) struct Server {
    /// The words that run it.
    words: Vec<String>,
    login: Login,
    /// What is the same for each start.
    config: String,
    /// The `-o` options that are.
    options: Vec<String>,
    /// Those that run and that no case has now.
    idle: Arc<Mutex<Vec<Instance>>>,
}

/// Who can log in.
#[derive(Debug)]
enum Login {
    /// The user of the view. The only one whose password can be checked.
    Throwaway(View),
    /// The user who runs this program, by key.
    Oneself(String),
}

impl Server {
    /// `known` is the release to assume of a server that does not tell its own.
    pub(super) fn new(build: &Build, known: Release) -> Result<Self, Broken> {
        let sshd = build.sshd.as_deref().unwrap_or(Path::new("sshd"));
        let release = product(&build.ask(sshd, &["-V"])?)
            .as_deref()
            .and_then(version)
            .unwrap_or(known);
        let login = match View::open()? {
            Some(view) => Login::Throwaway(view),
            None => Login::Oneself(me()?),
        };
        let options = [&["PerSourcePenalties=no".to_owned()], &*build.helpers].concat();
        let config = dialect::server_config(SSHD_CONFIG, release);
        Ok(Self {
            words: [build.words(sshd), dialect::flags(release)].concat(),
            login,
            config: understood(build, sshd, config)?,
            options: dialect::server_options(options, release),
            idle: Arc::default(),
        })
    }

    /// Whether it can check the password of the user who can log in.
    pub(super) fn checks_passwords(&self) -> bool {
        matches!(self.login, Login::Throwaway(_))
    }

    /// A server on `address` that begins key exchanges as `rekey` says: one that is idle, or a new one.
    pub(super) fn lend(&self, address: IpAddr, rekey: RekeyLimit) -> Result<LocalServer, Broken> {
        let fits = |each: &Instance| each.addr.ip() == address && each.rekey == rekey;
        let idle = {
            let mut idle = lock(&self.idle);
            let at = idle.iter().position(fits);
            at.map(|at| idle.swap_remove(at))
        };
        let instance = match idle {
            Some(instance) if instance.daemon.is_running() => instance,
            _ => self.start(address, rekey)?,
        };
        Ok(LocalServer {
            instance,
            idle: Arc::clone(&self.idle),
            user: self.user().to_owned(),
        })
    }

    /// Starts a server on a free port. One that was free may be taken by the time the server binds
    /// it, so this is tried a few times.
    fn start(&self, address: IpAddr, rekey: RekeyLimit) -> Result<Instance, Broken> {
        const TRIES: usize = 4;
        let mut last = None;
        for _ in 0..TRIES {
            match self.try_start(address, rekey)? {
                Ok(server) => return Ok(server),
                Err(log) if log.contains("Address already in use") => last = Some(log),
                Err(log) => return Err(not_started(&self.words, &log)),
            }
        }
        Err(not_started(&self.words, &last.unwrap_or_default()))
    }

    /// Starts a server once. The inner error is its log.
    fn try_start(
        &self,
        address: IpAddr,
        rekey: RekeyLimit,
    ) -> Result<Result<Instance, String>, Broken> {
        let folder = Folder::new()?;
        let free = |e| {
            Broken::while_doing(&format!("cannot listen on {address}"), e)
                .hint("container peers need an engine that runs on this machine")
        };
        let addr = port::free(address).map_err(free)?;
        let write = |name: &str, text: &str, mode| {
            write_file(&folder.path().join(name), text, mode).map_err(|e| {
                Broken::while_doing(&format!("cannot write {}", folder.path().display()), e)
            })
        };
        write("sshd_config", &self.config, 0o600)?;
        write("host_ed25519", keys::HOST, 0o600)?;
        write("authorized_keys", keys::USER_PUBLIC, 0o644)?;
        // What goes wrong before its log is open comes on stderr.
        let log = write(LOG, "", 0o600)?;
        let daemon = Daemon::start(&self.command(folder.path(), addr, rekey), log)
            .map_err(|e| Broken::while_doing("cannot run sh", e))?;
        let server = Instance {
            daemon,
            folder,
            addr,
            rekey,
            log_bytes: 0,
        };
        Ok(server.listening().map(|()| server))
    }

    fn user(&self) -> &str {
        match &self.login {
            Login::Throwaway(_) => LOGIN,
            Login::Oneself(me) => me,
        }
    }

    /// The command line of a server with its files in `folder`.
    fn command(&self, folder: &Path, addr: SocketAddr, rekey: RekeyLimit) -> Vec<String> {
        let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let authorized_keys = match &self.login {
            Login::Throwaway(_) => AUTHORIZED_KEYS.to_owned(),
            Login::Oneself(_) => file("authorized_keys"),
        };
        let mut command = match &self.login {
            Login::Throwaway(view) => view.inside(),
            // Root without namespaces has to make the folder on the machine; others do without.
            Login::Oneself(_) if rustix::process::geteuid().is_root() => {
                let _ = std::fs::create_dir(PRIVSEP);
                Vec::new()
            }
            Login::Oneself(_) => Vec::new(),
        };
        command.extend(self.words.iter().cloned());
        command.extend(["-D".into(), "-f".into(), file("sshd_config")]);
        command.extend(["-E".into(), file(LOG)]);
        let mut options = vec![
            format!("Port={}", addr.port()),
            format!("ListenAddress={}", addr.ip()),
            format!("HostKey=\"{}\"", file("host_ed25519")),
            format!("AuthorizedKeysFile=\"{authorized_keys}\""),
        ];
        options.extend(self.options.iter().cloned());
        options.extend(rekey_option(rekey));
        command.extend(
            options
                .into_iter()
                .flat_map(|option| ["-o".to_owned(), option]),
        );
        command
    }
}

/// The user who runs this program.
fn me() -> Result<String, Broken> {
    let ran = process::run(Command::new("id").arg("-un"), b"", ASKING_MAX)
        .map_err(|e| Broken::while_doing("cannot run id", e))?;
    Ok(String::from_utf8_lossy(&ran.stdout).trim().to_owned())
}

/// The configuration without what the server says it does not know: builds differ in more than
/// their release.
fn understood(build: &Build, sshd: &Path, mut config: String) -> Result<String, Broken> {
    /// More than this and it is no option that is wrong.
    const REFUSALS_MAX: usize = 8;
    let folder = Folder::new()?;
    let (file, key) = (folder.path().join("sshd_config"), folder.path().join("key"));
    let writing = |e| Broken::while_doing("cannot write into a temporary folder", e);
    write_file(&key, keys::HOST, 0o600).map_err(writing)?;
    for _ in 0..REFUSALS_MAX {
        std::fs::write(&file, &config).map_err(writing)?;
        let words = [file.to_string_lossy(), key.to_string_lossy()];
        let said = build.ask(sshd, &["-t", "-f", &words[0], "-h", &words[1]])?;
        let Some(option) = dialect::refused(&said) else {
            break;
        };
        config = dialect::without(&config, option);
    }
    Ok(config)
}

/// A running `sshd` and its files.
#[derive(Debug)]
struct Instance {
    daemon: Daemon,
    folder: Folder,
    addr: SocketAddr,
    rekey: RekeyLimit,
    /// How much of its log belongs to cases that are over.
    log_bytes: u64,
}

impl Instance {
    /// Waits until it listens. The error is its log.
    fn listening(&self) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let log = String::from_utf8_lossy(&self.log()).into_owned();
            if log.contains("Server listening on ") {
                return Ok(());
            }
            let gave_up = GAVE_UP.iter().any(|words| log.contains(words));
            if gave_up || start.elapsed() > START_MAX {
                return Err(log);
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// What it said since its last case.
    fn log(&self) -> Vec<u8> {
        let mut log = Vec::new();
        let file = File::open(self.folder.path().join(LOG));
        let _ = file.and_then(|mut file| {
            file.seek(SeekFrom::Start(self.log_bytes))?;
            file.read_to_end(&mut log)
        });
        log
    }
}

/// An `sshd` while a case has it.
pub(super) struct LocalServer {
    instance: Instance,
    idle: Arc<Mutex<Vec<Instance>>>,
    user: String,
}

impl RunningServer for LocalServer {
    fn addr(&self) -> SocketAddr {
        self.instance.addr
    }

    fn user(&self) -> &str {
        &self.user
    }

    fn finish(self: Box<Self>) -> ServerRecord {
        let Self {
            mut instance, idle, ..
        } = *self;
        // What the last words of its connections are is known when they are gone.
        instance.daemon.end_children();
        let log = instance.log();
        instance.log_bytes += log.len() as u64;
        lock(&idle).push(instance);
        ServerRecord {
            logs: vec![Log {
                name: "sshd".to_owned(),
                text: String::from_utf8_lossy(&log).into_owned(),
            }],
            died: None,
            trace: Vec::new(),
            captures: Vec::new(),
        }
    }
}

fn lock(idle: &Mutex<Vec<Instance>>) -> MutexGuard<'_, Vec<Instance>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

fn not_started(words: &[String], log: &str) -> Broken {
    let last: Vec<&str> = log.lines().rev().take(5).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Broken::new(format!(
        "{} did not start listening; its log ends:\n{}",
        words.join(" "),
        last.join("\n")
    ))
    .hint("run it by hand: sshd -ddd -p 2222")
}

/// Makes a file, and leaves it open for what else is to be appended.
fn write_file(path: &Path, text: &str, mode: u32) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = options
        .create_new(true)
        .append(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}
