//! However a run ends, it leaves nothing behind; one that is stopped by a signal still writes its
//! reports.
//!
//! What is not on this machine is skipped loudly, or fails if `SSHDRILL_REQUIRE` names it.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use minissh::process::is_ignored;
use rustix::process::{Pid, Signal, kill_process};

use sshdrill::peer::catalogue::{Part, Required};
use sshdrill::peer::container::{Engine, Image, leaving_none};
use sshdrill::peer::openssh::LocalOpenSsh;
use sshdrill::peer::{Peer, Reach, RekeyLimit, ServerSetup};
use tempfile::TempDir;

/// Longer than a start of containers on a busy machine.
const START_MAX: Duration = Duration::from_secs(300);

/// How long a stopped run may take to its end: the time that running cases get, and the engine.
const END_MAX: Duration = Duration::from_secs(120);

/// How long the system and the engine may take to be done with what was left.
const GONE_MAX: Duration = Duration::from_secs(60);

/// The file that a command makes when it begins, in the folder of the run.
const HERE: &str = "begun";
/// The same in a container, where there is no such folder.
const IN_CONTAINER: &str = "/tmp/begun";

/// A run in the middle of a case that would take long.
struct Run {
    folder: TempDir,
    child: Child,
}

impl Run {
    /// Starts one of minissh as the client with this server, and waits until its command runs,
    /// which makes the file `begun`, as far as `has_begun` can see.
    fn start(server: &str, begun: &str, has_begun: &dyn Fn(&Self) -> bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::create_dir_all(path("scenarios/made-up")).expect("writable");
        fs::write(path("scenarios/made-up/long.scn"), scenario(&path(begun))).expect("writable");
        let child = Command::new(env!("CARGO_BIN_EXE_sshdrill"))
            .args(["run", "--scenarios", &path("scenarios")])
            .args(["--pairing", &format!("minissh:{server}")])
            .args(["--junit", &path("out.xml"), "--json", &path("out.json")])
            .args(["--out", &path("out")])
            .env("TMPDIR", folder.path())
            .env_remove(Required::VARIABLE)
            .stdin(Stdio::null())
            .stdout(fs::File::create(path("stdout")).expect("writable"))
            .stderr(fs::File::create(path("stderr")).expect("writable"))
            .spawn()
            .expect("our own program starts");
        let mut run = Self { folder, child };
        let start = Instant::now();
        while !has_begun(&run) {
            let ended = run.child.try_wait().expect("it is ours");
            assert!(ended.is_none(), "it ended with {ended:?}: {}", run.said());
            assert!(start.elapsed() < START_MAX, "no case began: {}", run.said());
            thread::sleep(Duration::from_millis(20));
        }
        run
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    fn said(&self) -> String {
        self.read("stdout") + &self.read("stderr")
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is ours");
    }

    /// Waits for the end.
    fn status(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status;
            }
            assert!(start.elapsed() < END_MAX, "still there: {}", self.said());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the end, and checks what every stopped run owes that is not in haste.
    fn check_end(&mut self) {
        assert_eq!(self.status().code(), Some(130), "{}", self.said());
        let junit = self.read("out.xml");
        assert!(junit.contains("the run was stopped"), "{junit}");
        assert!(self.read("out.json").contains("made-up/long"));
        assert!(self.said().contains("1 not run"), "{}", self.said());
        assert!(self.said().contains("stopping: "), "{}", self.said());
        assert!(!self.said().contains("FAIL"), "{}", self.said());
        assert_eq!(self.temporary_folders(), Vec::<String>::new());
    }

    fn temporary_folders(&self) -> Vec<String> {
        let all = fs::read_dir(self.folder.path()).expect("it is ours");
        let names = all.flatten().map(|entry| entry.file_name());
        names
            .filter_map(|name| name.into_string().ok())
            .filter(|name| name.starts_with("sshdrill-"))
            .collect()
    }

    fn has_begun_here(&self) -> bool {
        self.folder.path().join(HERE).exists()
    }

    /// By the server's log: its user may not write to our folder.
    fn has_begun_beside(&self) -> bool {
        let folders = fs::read_dir(self.folder.path()).expect("it is ours");
        let logs = folders
            .flatten()
            .filter_map(|folder| fs::read_to_string(folder.path().join("sshd.log")).ok());
        logs.into_iter()
            .any(|log| log.contains("Starting session: command"))
    }

    fn has_begun_in_container(&self) -> bool {
        let has_file = |id: &String| printed("docker", &["exec", id, "test", "-e", IN_CONTAINER]);
        self.containers().iter().any(|id| has_file(id).is_some())
    }

    /// Processes that were started with files of this run, by their command lines.
    fn processes(&self) -> Vec<String> {
        processes_with(&self.folder.path().display().to_string())
    }

    fn containers(&self) -> Vec<String> {
        containers_of(self.child.id())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that makes a file where it can, and goes on for longer than anything is waited for.
fn scenario(begun: &str) -> String {
    format!(
        "# A command takes its time.
scenario  made-up/long
subject   pair
cites     rfc4254-6.5/exec

client login publickey
client exec \"echo yes >{begun}; exec sleep 300\"
expect exit-status 0
"
    )
}

/// Whether to go on without this part, having said so; fails when it is required.
fn skip(part: Part, why: &str) {
    eprintln!("SKIPPED: {why}");
    let required = Required::from_env().expect("a list of parts");
    assert!(!required.has(part), "{part} must be here: {why}");
}

/// Ctrl-C, or where that is ignored, as in the background of a shell, what is not.
fn interrupt() -> Signal {
    match is_ignored(Signal::INT.as_raw()) {
        true => Signal::TERM,
        false => Signal::INT,
    }
}

/// The standard output of a program, if it is there and content.
fn printed(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

/// The command lines that contain this.
fn processes_with(part: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").expect("Linux");
    all.flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(part))
        .collect()
}

/// The ids of the containers of a process, by their labels.
fn containers_of(process: u32) -> Vec<String> {
    const FORMAT: &str = r#"{{.ID}} {{.Label "sshdrill"}}"#;
    let args = ["ps", "-a", "--filter", "label=sshdrill", "--format", FORMAT];
    let all = printed("docker", &args).expect("the engine answered before");
    let label = format!("{process}-");
    all.lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(_, run)| run.starts_with(&label))
        .map(|(id, _)| id.to_owned())
        .collect()
}

#[test]
fn reports_are_written_after_each_of_the_signals() {
    for signal in [Signal::HUP, Signal::INT, Signal::TERM] {
        // Under nohup the run ignores what we ignore.
        if is_ignored(signal.as_raw()) {
            eprintln!("SKIPPED: {signal:?} is ignored here");
            continue;
        }
        let mut run = Run::start("minissh", HERE, &Run::has_begun_here);
        run.signal(signal);
        run.check_end();
    }
}

#[test]
fn no_server_is_left() {
    let is_here = Path::new("/usr/sbin/sshd").exists() && printed("ssh", &["-V"]).is_some();
    if !is_here {
        return skip(Part::OpenSsh, "there is no OpenSSH here");
    }
    let mut run = Run::start("openssh-local", HERE, &Run::has_begun_beside);
    assert!(run.processes().iter().any(|line| line.contains("sshd")));
    run.signal(interrupt());
    run.check_end();
    let start = Instant::now();
    while !run.processes().is_empty() {
        let left = run.processes();
        assert!(start.elapsed() < GONE_MAX, "left: {left:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The case is left behind when its time is over, and holds on to its container: that goes all the
/// same. So it does when somebody signals twice.
#[test]
fn no_container_is_left() {
    if printed("docker", &["version"]).is_none() {
        return skip(Part::Containers, "docker(1) cannot reach an engine");
    }
    let mut patient = Run::start(
        "openssh-bookworm",
        IN_CONTAINER,
        &Run::has_begun_in_container,
    );
    patient.signal(interrupt());
    patient.check_end();
    assert_eq!(patient.containers(), Vec::<String>::new());

    let mut hasty = Run::start(
        "openssh-bookworm",
        IN_CONTAINER,
        &Run::has_begun_in_container,
    );
    hasty.signal(interrupt());
    thread::sleep(Duration::from_secs(1));
    hasty.signal(interrupt());
    assert_eq!(hasty.status().code(), Some(130), "{}", hasty.said());
    // The engine may still be at what it was told, and somebody in haste does not wait for it.
    let start = Instant::now();
    while !hasty.containers().is_empty() {
        let left = hasty.containers();
        assert!(start.elapsed() < GONE_MAX, "left: {left:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A panic of ours takes the server with it that had begun.
#[test]
fn no_process_is_left_after_a_panic() {
    let found = LocalOpenSsh::find().expect("what is here can be started");
    let Some(peer) = found.filter(|peer| peer.info().capabilities.server) else {
        return skip(Part::OpenSsh, "there is no sshd here");
    };
    let setup = ServerSetup {
        reachable_from: Reach::Loopback,
        rekey: RekeyLimit::default(),
        seed: 0,
    };
    let mut port = String::new();
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
        let peer = peer;
        let server = peer.serve(&setup).expect("it starts");
        port = format!("Port={}", server.addr().port());
        assert_ne!(processes_with(&port), Vec::<String>::new());
        panic!("out of cheese");
    }));
    let words = panicked.expect_err("it is not swallowed");
    assert_eq!(words.downcast_ref(), Some(&"out of cheese"));
    let start = Instant::now();
    while !processes_with(&port).is_empty() {
        let left = processes_with(&port);
        assert!(start.elapsed() < GONE_MAX, "left: {left:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Also one that nobody drops, as a panic of ours may leave it.
#[test]
fn no_container_is_left_after_a_panic() {
    if printed("docker", &["version"]).is_none() {
        return skip(Part::Containers, "docker(1) cannot reach an engine");
    }
    let run = || {
        let engine = Engine::connect().expect("it answered before");
        let image = Image::new("openssh", "bookworm", None).expect("there is such a folder");
        let built = Image::build_all(&engine, std::slice::from_ref(&image), &|_| {});
        assert!(built.iter().all(Result::is_ok), "{built:?}");
        let container = engine.start(image.name_and_tag(), &[]);
        std::mem::forget(container.expect("it starts"));
        assert_eq!(containers_of(std::process::id()).len(), 1);
        panic!("out of cheese");
    };
    let panicked = panic::catch_unwind(|| leaving_none(run));
    let words = panicked.expect_err("it is not swallowed");
    assert_eq!(words.downcast_ref(), Some(&"out of cheese"));
    assert_eq!(containers_of(std::process::id()), Vec::<String>::new());
}
