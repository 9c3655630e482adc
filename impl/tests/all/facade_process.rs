//! Programs that run for a peer: terminals, signals, and how they end.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use crate::facade::{log_in, serve_programs, serve_users, soon};
use crate::program::send;
use minissh::blocking::{Channel, Ssh};
use minissh::net::{Exit, Pty, TerminalSize};
use rustix::process::Signal;

/// Runs `command` on a terminal of 100 columns and 30 rows.
fn exec_on_terminal(ssh: &Ssh, command: &str) -> Channel {
    let channel = ssh.channel_open().unwrap();
    channel.set_env("LC_ALL", "C").unwrap();
    let mut pty = Pty::new("vt100", TerminalSize::of(100, 30));
    // VINTR is Ctrl-A, ECHO is off.
    pty.modes = vec![(1, 1), (53, 0)];
    channel.request_pty(&pty).unwrap();
    channel.exec(command.as_bytes()).unwrap();
    channel
}

/// What is shown until `wanted` is.
fn read_until(channel: &Channel, wanted: &str) -> String {
    let (mut text, mut reader, mut buffer) = (String::new(), channel.reader(), [0; 4_096]);
    while !text.contains(wanted) {
        let count = reader.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "no {wanted:?} in {text:?}");
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    text
}

fn rest(channel: &Channel) -> String {
    let mut text = String::new();
    channel.reader().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_program_on_a_terminal_sees_what_was_asked_for() {
    let server = serve_programs();
    let ssh = log_in(server.addr);
    let channel = exec_on_terminal(
        &ssh,
        "tty; echo $SSH_TTY $TERM $LC_ALL; stty size; stty -a | grep -oE 'intr = ..|-echo ' ; exit 4",
    );
    let text = rest(&channel);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("/dev/"), "{text}");
    assert_eq!(lines[1], format!("{} vt100 C", lines[0]));
    assert_eq!(&lines[2..5], ["30 100", "intr = ^A", "-echo "], "{text}");
    assert_eq!(channel.wait(), Some(Exit::Status(4)));
}

#[test]
fn a_program_hears_of_a_new_size_and_of_signals() {
    let server = serve_programs();
    let ssh = log_in(server.addr);
    let channel = exec_on_terminal(
        &ssh,
        "trap 'stty size' WINCH; trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done",
    );
    read_until(&channel, "ready");
    channel.window_change(TerminalSize::of(132, 43)).unwrap();
    read_until(&channel, "43 132");
    channel.signal("USR1").unwrap();
    read_until(&channel, "usr1");
    // The key that was set as VINTR, until it is heard: a shell that is hit just as its `sleep` ends may
    // take the signal for that one's and go on.
    assert!(soon(|| channel.write(b"\x01").is_err()));
    assert_eq!(channel.wait(), Some(Exit::Signal("INT".to_owned())));
}

#[test]
fn a_program_on_pipes_gets_signals_with_its_children() {
    let server = serve_programs();
    let ssh = log_in(server.addr);
    let channel = ssh
        .channel_exec(
            "(trap 'echo child; exit' TERM; echo ready; while :; do sleep 0.05; done) & \
            trap 'wait; echo parent; exit 9' TERM; echo ready; while :; do sleep 0.05; done",
        )
        .unwrap();
    // Both of them.
    read_until(&channel, "ready\nready\n");
    channel.signal("TERM").unwrap();
    assert_eq!(rest(&channel), "child\nparent\n");
    assert_eq!(channel.wait(), Some(Exit::Status(9)));
}

#[test]
fn a_shell_is_a_login_shell() {
    let server = serve_programs();
    let pty = Pty::new("dumb", TerminalSize::of(80, 24));
    let channel = log_in(server.addr).channel_shell(Some(&pty)).unwrap();
    let mut writer = channel.writer();
    writer.write_all(b"echo name=$0\nexit 6\n").unwrap();
    let text = rest(&channel);
    assert!(text.contains("name=-"), "{text}");
    assert_eq!(channel.wait(), Some(Exit::Status(6)));
}

#[test]
fn a_shell_without_a_terminal_reads_a_script() {
    let server = serve_programs();
    let channel = log_in(server.addr).channel_shell(None).unwrap();
    channel
        .writer()
        .write_all(b"echo one\necho two\nexit 2\n")
        .unwrap();
    assert!(rest(&channel).ends_with("one\ntwo\n"));
    assert_eq!(channel.wait(), Some(Exit::Status(2)));
}

/// A program left behind keeps the terminal open; that must not keep the channel open.
#[test]
fn a_terminal_is_done_when_its_program_is() {
    let server = serve_programs();
    let ssh = log_in(server.addr);
    let channel = exec_on_terminal(&ssh, "trap '' HUP; sleep 30 & echo done");
    assert!(rest(&channel).contains("done"));
    assert_eq!(channel.wait(), Some(Exit::Status(0)));
}

/// One that prints must not either, though the terminal is never silent. It does for a minute at least,
/// which even a machine that has much else to do does not need for what comes before.
#[test]
fn a_terminal_is_done_though_a_program_left_behind_prints_on() {
    const LINES: usize = 3_000;
    let server = serve_programs();
    let ssh = log_in(server.addr);
    let command = format!(
        "trap '' HUP; n=0; while test $n -lt {LINES} && echo on; do n=$((n + 1)); sleep 0.02; done & \
        sleep 0.2; echo last words; exit 3"
    );
    let channel = exec_on_terminal(&ssh, &command);
    let text = rest(&channel);
    assert!(text.contains("last words"), "{text}");
    assert_eq!(channel.wait(), Some(Exit::Status(3)));
    let count = text.matches("on\r\n").count();
    assert!(count < LINES / 3, "{count} lines");
}

/// Nor does what holds the output of a program on pipes keep its status back, as with sshd; and what it
/// says afterwards arrives.
#[test]
fn a_status_does_not_wait_for_a_process_left_behind() {
    let server = serve_programs();
    let ssh = log_in(server.addr);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("go on");
    let waiting = format!("while ! test -e '{}'; do sleep 0.05; done", file.display());
    let exec = || {
        let command = format!("({waiting}; echo later) & echo now; exit 5");
        let channel = ssh.channel_exec(&command).unwrap();
        read_until(&channel, "now\n");
        channel
    };
    let channel = exec();
    let mut patience = Duration::from_millis(150);
    assert!(soon(|| {
        let impatient = exec();
        std::thread::sleep(patience);
        patience *= 2;
        impatient.close().unwrap();
        impatient.wait() == Some(Exit::Status(5))
    }));
    std::fs::write(file, "").unwrap();
    assert_eq!(rest(&channel), "later\n");
    assert_eq!(channel.wait(), Some(Exit::Status(5)));
}

#[test]
fn last_words_arrive_however_many_and_however_late_they_are_read() {
    const BYTES: usize = 100_000;
    let server = serve_programs();
    let ssh = log_in(server.addr);
    for left_behind in ["", "sleep 30 &"] {
        let command = format!("trap '' HUP; {left_behind} head -c {BYTES} /dev/zero | tr '\\0' x");
        let channel = exec_on_terminal(&ssh, &command);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(rest(&channel).len(), BYTES, "{left_behind}");
        assert_eq!(channel.wait(), Some(Exit::Status(0)));
    }
}

/// The pid that a program says first.
fn pid(channel: &Channel) -> u32 {
    let text = read_until(channel, "\n");
    text.lines().next().unwrap().trim().parse().unwrap()
}

fn is_gone(pid: u32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn closing_a_channel_hangs_up_on_its_program() {
    let server = serve_programs();
    let ssh = log_in(server.addr);
    let folder = tempfile::tempdir().unwrap();
    for (name, on_terminal) in [("terminal", true), ("pipes", false)] {
        let file = folder.path().join(name);
        let command = format!(
            "trap 'echo hup >{}; exit' HUP; echo $$; while :; do sleep 0.05; done",
            file.display()
        );
        let channel = match on_terminal {
            true => exec_on_terminal(&ssh, &command),
            false => ssh.channel_exec(&command).unwrap(),
        };
        let pid = pid(&channel);
        channel.close().unwrap();
        assert!(soon(|| is_gone(pid)), "{name}: {pid} still runs");
        let said = std::fs::read_to_string(file);
        assert_eq!(
            said.unwrap_or_else(|error| error.to_string()),
            "hup\n",
            "{name}"
        );
    }
}

fn kill(pid: u32) {
    send(Signal::KILL, pid);
    assert!(soon(|| is_gone(pid)), "{pid} was not waited for");
}

/// As with sshd: whoever says `nohup` means it.
#[test]
fn a_program_that_ignores_being_hung_up_on_runs_on() {
    let server = serve_programs();
    let ssh = log_in(server.addr);
    let deaf = "trap '' HUP; echo $$; exec sleep 60";
    // nohup itself does not ignore the signal from its first moment on, but what it starts does.
    let child = "nohup sh -c 'echo $$ >&3; exec sleep 60 3>&-' 3>&1 >/dev/null 2>&1 & wait";
    let started = [
        exec_on_terminal(&ssh, deaf),
        exec_on_terminal(&ssh, child),
        ssh.channel_exec(deaf).unwrap(),
        ssh.channel_exec(child).unwrap(),
    ];
    let pids = started.map(|channel| pid(&channel));
    // Without a word: the last handle of each has gone. Well past the time that programs get.
    std::thread::sleep(Duration::from_millis(1_500));
    let gone: Vec<_> = pids.map(is_gone).into();
    for pid in pids.into_iter().filter(|pid| !is_gone(*pid)) {
        kill(pid);
    }
    assert_eq!(gone, [false; 4]);
}

#[test]
fn a_lost_connection_ends_its_programs() {
    let server = serve_programs();
    let ssh = log_in(server.addr);
    let channel = exec_on_terminal(&ssh, "echo $$; exec sleep 60");
    let pid = pid(&channel);
    ssh.disconnect();
    assert!(soon(|| is_gone(pid)), "{pid} still runs");
}

/// Whatever the server is just doing then: writing, reading, or telling how its program ended.
#[test]
fn a_channel_closed_at_any_moment_is_no_error_of_the_server() {
    let (told, results) = mpsc::channel();
    let server = serve_users(move |ssh| {
        while let Ok(channel) = ssh.channel_accept() {
            let told = told.clone();
            std::thread::spawn(move || told.send(channel.run_command()).unwrap());
        }
    });
    let ssh = log_in(server.addr);
    for turn in 0..40 {
        let is_busy = turn % 2 == 0;
        let command = if is_busy { "yes" } else { "echo y" };
        let channel = ssh.channel_exec(command).unwrap();
        channel.reader().read_exact(&mut [0]).unwrap();
        if is_busy {
            // Its output waits for a window by then.
            std::thread::sleep(Duration::from_millis(50));
        }
        channel.close().unwrap();
        let result = results.recv_timeout(Duration::from_secs(60));
        assert!(matches!(result, Ok(Ok(_))), "{turn}: {result:?}");
    }
}
