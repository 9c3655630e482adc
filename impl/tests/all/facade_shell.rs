//! `minissh shell` at a terminal, with `minissh serve` at the other end, and with sshd.

use std::process::Command;

use crate::facade::soon;
use crate::openssh::{Home, Sshd};
use crate::program::send;
use crate::terminal::Person;
use rustix::process::Signal;

fn shell(home: &Home, port: u16) -> Command {
    let mut shell = home.minissh("shell", port);
    shell.env("TERM", "dumb").env("LC_TIME", "C");
    shell
}

#[test]
fn a_shell_is_what_it_is_at_home() {
    let home = Home::new();
    let server = home.serve(&[]);
    let mut person = Person::start(shell(&home, server.port));
    person.types("echo $TERM $LC_TIME $((6 * 7)); stty size\r");
    person.sees("dumb C 42");
    person.sees("30 100");
    person.resizes(132, 43);
    // Keys may overtake the signal that tells of a new size.
    person.asks_until("stty size\r", "43 132");
    assert_ne!(person.modes(), person.modes_before, "keys pass as they are");
    person.types("exit 5\r");
    assert_eq!(person.ends().code(), Some(5));
    assert_eq!(person.modes(), person.modes_before);
}

#[test]
fn a_shell_on_sshd_works_too() {
    let home = Home::new();
    let Some(sshd) = Sshd::start_with_user(&home) else {
        return;
    };
    let mut person = Person::start(shell(&home, sshd.port));
    person.types("echo $USER $((6 * 7)); stty size\r");
    person.sees("robin 42");
    person.sees("30 100");
    person.types("exit 5\r");
    assert_eq!(person.ends().code(), Some(5));
}

#[test]
fn the_escapes_are_those_of_ssh() {
    let home = Home::new();
    let server = home.serve(&[]);
    let mut person = Person::start(shell(&home, server.port));
    person.types("echo a~.b; echo rea''dy\r");
    person.sees("ready");
    person.types("~?");
    person.sees("end the connection");
    person.types("\r~.");
    assert_eq!(person.ends().code(), Some(255));
    assert_eq!(person.modes(), person.modes_before);
    server.hear("Disconnected from user robin");
}

/// While we are stopped, only the shell that has the terminal then hears of a new size.
#[test]
fn a_size_that_changed_while_we_were_suspended_is_told_afterwards() {
    let home = Home::new();
    let server = home.serve(&[]);
    let mut local = Command::new("bash");
    let minissh = shell(&home, server.port);
    for (name, value) in minissh.get_envs() {
        local.env(name, value.unwrap_or_default());
    }
    // What it shall run are its own parameters, so that nothing has to be quoted.
    let interactive = "PS1='local> ' exec bash --norc --noprofile -i -s -- \"$@\"";
    local
        .args(["-c", interactive, "bash"])
        .arg(minissh.get_program());
    local.args(minissh.get_args());
    let person = Person::start(local);
    person.sees("local> ");
    person.types("\"$@\"\r");
    person.asks_until("where=there; echo rea''dy\r", "ready");
    person.types("\r~\x1a");
    person.sees("[suspended]");
    person.asks_until("echo lo''cal\r", "local\r\n");
    person.resizes(132, 43);
    person.types("fg\r");
    person.asks_until("echo $where $(stty size)\r", "there 43 132");
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let home = Home::new();
    let server = home.serve(&[]);
    let mut person = Person::start(shell(&home, server.port));
    person.types("echo rea''dy\r");
    person.sees("ready");
    assert!(soon(|| person.modes() != person.modes_before));
    send(Signal::TERM, person.pid());
    assert_eq!(person.ends().code(), Some(255));
    assert_eq!(person.modes(), person.modes_before);
}

#[test]
fn a_server_that_is_gone_leaves_the_terminal_as_it_was() {
    let home = Home::new();
    let server = home.serve(&[]);
    let mut person = Person::start(shell(&home, server.port));
    person.types("echo rea''dy\r");
    person.sees("ready");
    drop(server);
    assert_eq!(person.ends().code(), Some(255));
    assert_eq!(person.modes(), person.modes_before);
}

#[test]
fn a_script_needs_no_terminal() {
    let home = Home::new();
    let server = home.serve(&[]);
    let script = home.path("script");
    std::fs::write(&script, "echo hello\nexit 4\n").unwrap();
    let output = shell(&home, server.port)
        .stdin(std::fs::File::open(script).unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .ends_with("hello\n")
    );
}
