//! `minissh exec` and `shell` by the habits of those who know `ssh`.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::facade::PASSWORD;
use crate::openssh::{Home, Sshd};
use crate::program::{judge, minissh, minissh_at, output, send, without_terminal};
use crate::terminal::{Person, ending};
use rustix::process::Signal;

#[test]
fn variables_that_are_no_text_are_left_at_home() {
    let home = Home::new();
    let server = home.serve(&[]);
    let no_text = OsStr::from_bytes(b"\xff");
    let mut exec = home.minissh("exec", server.port);
    exec.env("WEIRD", no_text)
        .env("LC_TIME", no_text)
        .env("LC_PAPER", "C")
        .arg("echo \"[$LC_TIME$LC_PAPER]\"");
    assert_eq!(output(&mut exec).0, "[C]\n");
}

/// How long a client is silent when it waits for an answer.
const SILENCE: Duration = Duration::from_millis(50);

/// How often the client of one connection has to wait for its server, which is heard only when the
/// client has said all that it can say.
fn turns(server: u16, client: impl FnOnce(u16)) -> usize {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let turns = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let client = listener.accept().unwrap().0;
            let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).unwrap();
            take_turns(&client, &server, &turns);
        });
        client(port);
    });
    turns.into_inner()
}

fn take_turns(client: &TcpStream, server: &TcpStream, turns: &AtomicUsize) {
    let spoke = Mutex::new((Instant::now(), false));
    let pass_on = |mut from: &TcpStream, mut to: &TcpStream, before: &dyn Fn()| {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            before();
            let _ = to.write_all(&buffer[..count]);
        }
        let _ = to.shutdown(Shutdown::Write);
    };
    let on_client = || *spoke.lock().unwrap() = (Instant::now(), true);
    let on_server = || {
        while spoke.lock().unwrap().0.elapsed() < SILENCE {
            std::thread::sleep(SILENCE / 10);
        }
        let has_spoken = std::mem::take(&mut spoke.lock().unwrap().1);
        turns.fetch_add(has_spoken.into(), Ordering::Relaxed);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| pass_on(client, server, &on_client));
        pass_on(server, client, &on_server);
    });
}

/// On a slow line each turn is felt.
#[test]
fn no_variable_of_the_language_of_a_user_costs_a_turn() {
    const VARIABLES: usize = 12;
    let home = Home::new();
    let server = home.serve(&[]);
    let [without, with] = [0, VARIABLES].map(|count| {
        turns(server.port, |port| {
            let mut exec = home.minissh("exec", port);
            exec.env_clear().arg("env | grep -c ^LC_FIXTURE || true");
            exec.envs((0..count).map(|n| (format!("LC_FIXTURE_{n}"), "C")));
            assert_eq!(output(&mut exec).0, format!("{count}\n"));
        })
    });
    assert!(
        with < without + VARIABLES / 2,
        "{without} turns without variables, {with} with {VARIABLES}"
    );
}

/// What a server's log shows of `minissh` at a terminal.
#[test]
fn lines_of_the_log_begin_at_the_left_also_on_a_raw_terminal() {
    let home = Home::new();
    let server = home.serve(&[]);
    let mut shell = home.minissh("shell", server.port);
    shell.arg("-vv");
    let person = Person::start(shell);
    person.types("echo rea''dy; exit\r");
    let (code, shown) = ending(person);
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("ready") && shown.contains("DEBUG"),
        "{shown}"
    );
    let staircase: Vec<_> = shown
        .split('\n')
        .filter(|line| !line.ends_with('\r'))
        .collect();
    assert_eq!(staircase, [""], "{shown}");
}

#[test]
fn a_connection_that_is_dead_can_be_left_after_a_wish_for_new_keys() {
    let home = Home::new();
    let server = home.serve(&[]);
    let mut person = Person::start(home.minissh("shell", server.port));
    person.types("echo rea''dy\r");
    person.sees("ready");
    send(Signal::STOP, server.pid());
    person.types("\r~R~.");
    assert_eq!(person.ends().code(), Some(255));
}

#[test]
fn what_is_tried_is_said_where_that_is_wanted() {
    let home = Home::new();
    let server = home.serve(&[]);
    let mut exec = home.minissh("exec", server.port);
    // As with ssh, a key that is not there is one key less.
    exec.args(["-v", "-i"])
        .arg(home.path("missing"))
        .arg("true");
    let (_, said) = output(&mut exec);
    for words in [
        "connecting to 127.0.0.1 port",
        "trying the key",
        "the server takes that key",
        "logged in to 127.0.0.1 as robin",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let mut exec = home.minissh("exec", server.port);
    exec.args(["-v", "true"]);
    let stranger = key_of_a_stranger(&home);
    std::fs::rename(stranger, home.path("key")).unwrap();
    let refused = judge(exec.stdin(Stdio::null()).output().unwrap()).unwrap_err();
    assert!(
        refused.contains("refused; what can go on: publickey"),
        "{refused}"
    );
}

#[test]
fn a_host_that_there_is_not_is_named() {
    // No name has so many letters, so that nobody has to be asked.
    let host = "x".repeat(300);
    let failed = judge(without_terminal(Path::new("/"), &["exec", &host, "true"])).unwrap_err();
    assert!(
        failed.contains(&format!("error: {host}: cannot resolve the address")),
        "{failed}"
    );
}

/// A key that no server here knows.
fn key_of_a_stranger(home: &Home) -> PathBuf {
    let path = home.path("stranger");
    output(minissh().args(["keygen", "-q", "-N", ""]).arg(&path));
    path
}

#[test]
fn a_password_is_asked_for_only_by_who_takes_one() {
    let home = Home::new();
    let stranger = key_of_a_stranger(&home);
    let server = home.serve(&[]);
    let port = server.port.to_string();
    let exec = |more: &[&str]| {
        let mut exec = minissh_at(home.folder(), &["exec", "--accept-new", "-p", &port]);
        exec.args(more).args(["robin@127.0.0.1", "true"]);
        exec
    };
    let with_key = ["-i", stranger.to_str().unwrap()];
    for (more, hint) in [(&[][..], "given with -i"), (&with_key, "authorized ones")] {
        let (code, shown) = ending(Person::start(exec(more)));
        assert_eq!(code, 255, "{shown}");
        assert!(
            shown.contains("error: robin@127.0.0.1: Permission denied (publickey).")
                && shown.contains(hint),
            "{shown}"
        );
        assert!(!shown.contains("password:"), "{shown}");
    }

    let secret = home.path("secret");
    std::fs::write(&secret, PASSWORD).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let server = home.serve(&["--password-file", secret.to_str().unwrap()]);
    let port = server.port.to_string();
    let arguments = [
        "exec",
        "--accept-new",
        "-p",
        &port,
        "robin@127.0.0.1",
        "echo in",
    ];
    let person = Person::start(minissh_at(home.folder(), &arguments));
    person.sees("robin's password: ");
    person.says("wrong");
    person.sees("robin's password: ");
    person.says(PASSWORD);
    person.sees("in");
    assert_eq!(ending(person).0, 0);
    let person = Person::start(minissh_at(home.folder(), &arguments));
    for _ in 0..3 {
        person.sees("robin's password: ");
        person.says("wrong");
    }
    let (code, shown) = ending(person);
    assert_eq!(code, 255, "{shown}");
    assert!(
        shown.contains("Permission denied (publickey,password)."),
        "{shown}"
    );
    let said = judge(without_terminal(home.folder(), &arguments)).unwrap_err();
    assert!(said.contains("no terminal to ask for a password"), "{said}");
}

#[test]
fn who_wants_a_key_and_a_password_is_given_both() {
    let home = Home::new();
    for methods in ["publickey,password", "password,publickey"] {
        let option = format!("AuthenticationMethods={methods}");
        let Some(sshd) = Sshd::start_with_user_and(&home, &[&option]) else {
            return;
        };
        let mut exec = home.minissh("exec", sshd.port);
        exec.arg("echo in");
        let person = Person::start(exec);
        person.sees("robin's password: ");
        person.says(PASSWORD);
        person.sees("in\r\n");
        assert_eq!(ending(person).0, 0, "{methods}");
    }
}

#[test]
fn the_habits_of_ssh_are_understood() {
    let home = Home::new();
    let stranger = key_of_a_stranger(&home);
    let server = home.serve(&[]);
    let mut exec = minissh_at(home.folder(), &["exec", "-q", "--accept-new", "-i"]);
    exec.arg(&stranger).arg("-i").arg(home.path("key"));
    exec.args(["-p", &server.port.to_string(), "-T", "robin@127.0.0.1"]);
    let run = |more: &[&str]| {
        let mut command = Command::new(exec.get_program());
        let home = home.folder();
        let command = command.args(exec.get_args()).env("HOME", home).args(more);
        output(command.stdin(Stdio::null()))
    };
    assert_eq!(
        run(&["test -t 0 || echo none"]),
        ("none\n".into(), String::new())
    );

    let run = |command: &str, more: &[&str]| {
        let mut client = home.minissh(command, server.port);
        output(client.args(more).stdin(Stdio::null())).0
    };
    assert_eq!(
        run("exec", &["-tt", "tty >/dev/null && echo some"]),
        "some\r\n"
    );
    assert_eq!(
        run("exec", &["-t", "tty >/dev/null || echo none"]),
        "none\n"
    );
    assert_eq!(
        run("exec", &["-tt", "-T", "tty >/dev/null || echo none"]),
        "none\n"
    );

    let mut shell = home.minissh("shell", server.port);
    shell.arg("-T");
    let person = Person::start(shell);
    person.says("tty || echo no''ne");
    person.sees("none");
    person.says("exit");
    assert_eq!(ending(person).0, 0);
}
