//! Programs that run for a peer: terminals, signals, and how they end.

mod facade;

use std::io::{Read as _, Write as _};
use std::path::Path;

use facade::{log_in, serve_programs, soon};
use minissh::blocking::{Channel, Ssh};
use minissh::net::{Exit, Pty, TerminalSize};

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
    // The key that was set as VINTR.
    channel.write(b"\x01").unwrap();
    assert_eq!(channel.wait(), Some(Exit::Signal("INT".to_owned())));
}

#[test]
fn a_program_on_pipes_gets_signals_with_its_children() {
    let server = serve_programs();
    let ssh = log_in(server.addr);
    let channel = ssh
        .channel_exec(
            "(trap 'echo child; exit' TERM; while :; do sleep 0.05; done) & \
            trap 'wait; echo parent; exit 9' TERM; echo ready; while :; do sleep 0.05; done",
        )
        .unwrap();
    read_until(&channel, "ready");
    std::thread::sleep(std::time::Duration::from_millis(100));
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

#[test]
fn a_program_that_ignores_being_hung_up_on_is_killed() {
    let server = serve_programs();
    let ssh = log_in(server.addr);
    let command = "trap '' HUP; echo $$; while :; do sleep 0.05; done";
    for channel in [
        exec_on_terminal(&ssh, command),
        ssh.channel_exec(command).unwrap(),
    ] {
        let pid = pid(&channel);
        // Without a word: the last handle goes.
        drop(channel);
        assert!(soon(|| is_gone(pid)), "{pid} still runs");
    }
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
