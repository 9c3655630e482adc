//! Programs on this machine: run to their end or to a deadline, and ended with everything that they
//! started. Knows nothing of SSH.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};

/// What a program that ran to its end, or to the deadline, gave.
#[derive(Debug)]
pub(super) struct Ran {
    /// Everything it wrote to stdout.
    pub stdout: Vec<u8>,
    /// Everything it wrote to stderr, as lossy UTF-8.
    pub stderr: String,
    /// Its exit code; `None` if it was ended by a signal or by the deadline.
    pub code: Option<i32>,
}

/// Runs `command` with `stdin`, at most for `limit`. Then its whole process group is killed, so that
/// nothing that it started in the background stays.
pub(super) fn run(command: &mut Command, stdin: &[u8], limit: Duration) -> std::io::Result<Ran> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let group = pid(&child);
    let (mut to, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A program that does not read its input to the end is no fault of ours.
            to.take().map(|mut to| to.write_all(stdin))
        });
        let stdout = scope.spawn(|| read_to_end(out));
        let stderr = scope.spawn(|| read_to_end(err));
        let (ended, end) = mpsc::channel();
        let waiter = scope.spawn(move || {
            let status = child.wait();
            let _ = ended.send(());
            status
        });
        let in_time = end.recv_timeout(limit).is_ok();
        let _ = kill_process_group(group, Signal::KILL);
        let status = waiter.join().expect("waiting does not panic")?;
        Ok(Ran {
            stdout: stdout.join().expect("reading does not panic"),
            stderr: String::from_utf8_lossy(&stderr.join().expect("reading does not panic")).into(),
            code: status.code().filter(|_| in_time),
        })
    })
}

fn read_to_end(from: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        let _ = from.read_to_end(&mut bytes);
    }
    bytes
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// A program that runs until this is dropped, or until this process is gone in whatever way.
#[derive(Debug)]
pub(super) struct Daemon {
    guard: Child,
}

/// Runs the program given in its arguments beside itself and ends it when stdin ends, which is when
/// [`Daemon`] or the process that holds it goes away.
const GUARD: &str = r#""$@" </dev/null & cat >/dev/null; kill $!; wait $!"#;

/// How long the program may take to end by itself.
const END_MAX: Duration = Duration::from_secs(10);

impl Daemon {
    /// Starts `program`, with what it says on stderr going to `errors`.
    pub(super) fn start(program: &[String], errors: std::fs::File) -> std::io::Result<Self> {
        let guard = Command::new("sh")
            .args(["-c", GUARD, "sh"])
            .args(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(errors)
            .process_group(0)
            .spawn()?;
        Ok(Self { guard })
    }

    /// Whether the program has not ended.
    pub(super) fn is_running(&self) -> bool {
        /// The guard's children while it has: the program, and what waits for the end of stdin.
        const BOTH: usize = 2;
        children(pid(&self.guard)).len() >= BOTH
    }

    /// Ends what the program has started, and leaves the program be.
    pub(super) fn end_children(&self) {
        for program in children(pid(&self.guard)) {
            for process in descendants(program) {
                let _ = kill_process(process, Signal::KILL);
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let guard = pid(&self.guard);
        // A server puts each connection in a session of its own, which the end of the group does not
        // reach. They go first, while their parent is there to reap them: not every machine has an
        // init that does.
        let (own, others): (Vec<_>, Vec<_>) = descendants(guard)
            .into_iter()
            .partition(|process| getpgid(Some(*process)) == Ok(guard));
        for process in &others {
            let _ = kill_process(*process, Signal::KILL);
        }
        drop(self.guard.stdin.take());
        let start = Instant::now();
        while start.elapsed() < END_MAX && matches!(self.guard.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(1));
        }
        // Whatever did not listen. A number used anew by now is in another group.
        for process in own
            .into_iter()
            .filter(|process| getpgid(Some(*process)) == Ok(guard))
        {
            let _ = kill_process(process, Signal::KILL);
        }
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}

/// All processes below `root`. Empty where there is no Linux `/proc`.
fn descendants(root: Pid) -> Vec<Pid> {
    let mut found = children(root);
    let mut next = 0;
    while let Some(&above) = found.get(next) {
        found.extend(children(above));
        next += 1;
    }
    found
}

/// How a program ended whose exit status a shell gives as `code`, if a signal ended it that a program
/// gets for a fault of its own.
pub(super) fn crash(code: i32) -> Option<String> {
    let name = match code - 128 {
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        11 => "SIGSEGV",
        31 => "SIGSYS",
        _ => return None,
    };
    Some(format!("ended by {name}"))
}

/// The processes that `parent` started and that have not ended, or have and were not waited for.
fn children(parent: Pid) -> Vec<Pid> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", parent.as_raw_pid()));
    let threads = threads.into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let numbers = lists.flat_map(|list| {
        let numbers = list.split_whitespace().map(str::parse);
        numbers.flatten().collect::<Vec<i32>>()
    });
    numbers.filter_map(Pid::from_raw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_and_code_come_back_and_input_goes_in() {
        let ran = run(
            &mut sh("cat; echo no >&2; exit 3"),
            b"yes",
            Duration::from_secs(60),
        )
        .unwrap();

        assert_eq!(
            (ran.stdout.as_slice(), ran.stderr.as_str()),
            (&b"yes"[..], "no\n")
        );
        assert_eq!(ran.code, Some(3));
    }

    #[test]
    fn a_crash_is_told_from_other_ends() {
        let ran = run(
            &mut sh("sh -c 'kill -SEGV $$'; exit $?"),
            b"",
            Duration::from_secs(60),
        )
        .unwrap();

        assert_eq!(
            ran.code.and_then(crash).as_deref(),
            Some("ended by SIGSEGV")
        );
        for code in [0, 1, 127, 128 + 9, 128 + 15, 255] {
            assert_eq!(crash(code), None, "{code}");
        }
    }

    #[test]
    fn the_deadline_ends_the_program_and_what_it_started() {
        let ran = run(
            &mut sh("sleep 60 & sleep 60"),
            b"",
            Duration::from_millis(50),
        )
        .unwrap();

        // Reading its output to the end was possible, so nobody holds it any more.
        assert_eq!(ran.code, None);
    }

    #[test]
    fn the_children_of_a_daemon_end_and_it_does_not() {
        let script = "sleep 600 & wait; exec sleep 600".to_owned();
        let program = ["sh".into(), "-c".into(), script];
        let daemon = Daemon::start(&program, tempfile::tempfile().unwrap()).unwrap();
        let below = || descendants(pid(&daemon.guard)).len();
        let soon = |is_so: &dyn Fn() -> bool| {
            (0..12_000).any(|_| {
                std::thread::sleep(Duration::from_millis(5));
                is_so()
            })
        };
        // The program, its child, and what waits for the end of stdin.
        assert!(soon(&|| below() == 3), "{}", below());

        daemon.end_children();

        assert!(soon(&|| below() == 2), "{}", below());
        assert!(daemon.is_running());
    }

    #[test]
    fn a_dropped_daemon_takes_processes_of_other_sessions_along() {
        if which::which("setsid").is_err() {
            eprintln!("SKIPPED: there is no setsid here");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!(
            "setsid sh -c 'echo $$ >{0}.new; mv {0}.new {0}; exec sleep 600' & wait",
            file.display()
        );
        let daemon = Daemon::start(
            &["sh".into(), "-c".into(), script],
            tempfile::tempfile().unwrap(),
        )
        .unwrap();
        while !file.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let pid: i32 = std::fs::read_to_string(&file)
            .unwrap()
            .trim()
            .parse()
            .unwrap();

        drop(daemon);

        let gone = || rustix::process::test_kill_process(Pid::from_raw(pid).unwrap()).is_err();
        let zombie = || {
            std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| stat.contains(") Z "))
        };
        assert!((0..12_000).any(|_| gone() || zombie() || {
            std::thread::sleep(Duration::from_millis(5));
            false
        }));
    }
}
