//! The command line as its users know it: help, mistakes, completions, exit codes, and how a server
//! ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::facade::soon;
use crate::openssh::{self, Home};
use crate::program::{Program, closed_port, minissh, output, send};
use crate::terminal::Person;
use rustix::process::Signal;

const COMMANDS: [&str; 6] = ["completions", "exec", "keygen", "scan", "serve", "shell"];

#[test]
fn every_command_has_help_with_examples() {
    for command in COMMANDS {
        let (help, _) = output(minissh().args([command, "--help"]));
        let example = format!("\n  minissh {command} ");
        assert!(
            help.contains("Examples:\n") && help.contains(&example),
            "{help}"
        );
    }
}

/// 2, as is usual, might be the remote command's.
#[test]
fn a_mistake_on_the_command_line_ends_with_255() {
    for mistake in [
        &["exec"][..],
        &["exec", "--rekey-limit", "12x", "host", "true"],
        &["exec", "ssh://host:port", "true"],
        &["serve", "--host-key", "key"],
        &["completions", "nosuchshell"],
        &["nosuchcommand"],
    ] {
        let output = minissh().args(mistake).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(255), "{mistake:?}: {said}");
        assert!(said.starts_with("error: "), "{mistake:?}: {said}");
    }
}

#[test]
fn a_server_whose_log_nobody_reads_goes_on_until_it_is_ended() {
    let home = Home::new();
    let [host, keys] = ["host_key", "authorized_keys"].map(|name| home.path(name));
    let mut serve = minissh();
    serve
        .args(["serve", "-v", "--port", "0", "--host-key"])
        .arg(host);
    serve.arg("--authorized-keys").arg(keys);
    let mut serve = serve.stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(serve.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    let port = line.split([':', ',']).nth(1).unwrap().parse().unwrap();
    drop(log);
    let (said, _) = output(home.minissh("exec", port).arg("echo in"));
    assert_eq!(said, "in\n");
    send(Signal::TERM, serve.id());
    let mut status = None;
    assert!(soon(|| {
        status = serve.try_wait().unwrap();
        status.is_some()
    }));
    assert!(status.unwrap().success(), "{status:?}");
}

#[test]
fn a_client_whose_words_nobody_hears_ends_as_it_would() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (_held, closed) = closed_port();
    for (port, code) in [(server.port, 7), (closed, 255)] {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let mut exec = home.minissh("exec", port);
        let exec = exec.args(["-vv", "exit 7"]).stderr(full.unwrap());
        assert_eq!(exec.status().unwrap().code(), Some(code));
    }
}

#[test]
fn input_and_output_may_be_streams_that_do_not_wait() {
    const BYTES: usize = 1 << 20;
    let home = Home::new();
    let server = home.serve(&[]);
    let [(ours, its), (out, seen)] = [(); 2].map(|()| UnixStream::pair().unwrap());
    for stream in [&its, &out] {
        stream.set_nonblocking(true).unwrap();
    }
    let mut exec = home.minissh("exec", server.port);
    exec.arg("cat")
        .stdin(OwnedFd::from(its))
        .stdout(OwnedFd::from(out));
    let mut running = exec.spawn().unwrap();
    // It holds ends of its own.
    drop(exec);
    let writer = std::thread::spawn(move || {
        // Late, so that there is nothing to read at first.
        std::thread::sleep(Duration::from_millis(300));
        (&ours).write_all(&vec![b'x'; BYTES])
    });
    let mut read = Vec::new();
    (&seen).read_to_end(&mut read).unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!(read.len(), BYTES);
    assert_eq!(running.wait().unwrap().code(), Some(0));
}

/// Shells that can check a script without running it, and how.
const SHELLS: [(&str, &str); 3] = [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")];

#[test]
fn completions_are_scripts_of_their_shells() {
    let home = Home::new();
    for (shell, check) in SHELLS {
        let (script, _) = output(minissh().args(["completions", shell]));
        for word in COMMANDS.iter().chain(&["rekey-limit", "known-hosts"]) {
            assert!(script.contains(word), "{word} is not in that of {shell}");
        }
        let path = home.path(shell);
        std::fs::write(&path, script).unwrap();
        match Command::new(shell).arg(check).arg(&path).output() {
            Ok(checked) => assert!(checked.status.success(), "{shell}: {checked:?}"),
            Err(_) => openssh::skip("shells", &format!("{shell} is not on this machine")),
        }
    }
}

#[test]
fn bash_completes_commands_and_options() {
    let (script, _) = output(minissh().args(["completions", "bash"]));
    let completed = |words: &str| {
        let count = words.split(' ').count();
        let ask = format!(
            "{script}\nCOMP_WORDS=({words} '') COMP_CWORD={count}
             _minissh minissh \"${{COMP_WORDS[COMP_CWORD]}}\"; echo \"${{COMPREPLY[*]}}\""
        );
        output(Command::new("bash").args(["--norc", "-c", &ask])).0
    };
    for command in COMMANDS {
        assert!(completed("minissh").contains(command));
    }
    let options = completed("minissh exec");
    for option in ["--identity", "--rekey-limit", "--accept-new", "--tty"] {
        assert!(options.contains(option), "{options}");
    }
}

#[test]
fn a_command_has_its_own_words_and_options() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ran = |words: &[&str]| output(home.minissh("exec", server.port).args(words)).0;
    assert_eq!(ran(&["printf", "'%s.'", "-l", "two"]), "-l.two.");
    assert_eq!(ran(&["--", "echo", "-n", "hi"]), "hi");
    let mut by_address = minissh();
    by_address
        .args(["exec", "--accept-new", "--login", "marian", "--known-hosts"])
        .arg(home.path("known_hosts"))
        .arg("--identity")
        .arg(home.path("key"))
        .arg(format!("ssh://robin@127.0.0.1:{}", server.port))
        .arg("echo hi");
    assert_eq!(output(&mut by_address).0, "hi\n");
    server.hear("Accepted publickey for marian");
}

#[test]
fn a_server_told_so_takes_one_user_name_and_no_other() {
    let home = Home::new();
    let server = home.serve(&["--user", "robin"]);
    let run = |more: &[&str]| {
        let mut exec = home.minissh("exec", server.port);
        exec.args(more).arg("true").output().unwrap().status.code()
    };
    assert_eq!(run(&[]), Some(0));
    assert_eq!(run(&["--login", "marian"]), Some(255));
    server.hear("Failed publickey for marian");
}

#[test]
fn the_end_of_a_command_is_ours() {
    let home = Home::new();
    let server = home.serve(&[]);
    let end = |port: u16, command: &str| {
        let mut exec = home.minissh("exec", port);
        let output = exec.arg(command).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(end(server.port, "exit 7").0, Some(7));
    assert_eq!(end(server.port, "exit 255").0, Some(255));
    let (code, said) = end(server.port, "kill -9 $$");
    assert_eq!(code, Some(255));
    assert!(said.contains("killed by signal \"KILL\""), "{said}");
    let (_held, nobodys) = closed_port();
    let (code, said) = end(nobodys, "true");
    assert_eq!(code, Some(255));
    assert!(said.contains("refused"), "{said}");
}

/// `| head`: neither a message nor a program that runs on.
#[test]
fn a_reader_that_leaves_ends_the_command_without_a_word() {
    let home = Home::new();
    let server = home.serve(&["-v"]);
    let mut exec = home.minissh("exec", server.port);
    let exec = exec
        .arg("yes")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = exec.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "y\n");
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(!said.contains("error"), "{said}");
    assert_eq!(child.wait().unwrap().code(), Some(255));
    server.hear("Close session: command for user robin");
}

#[test]
fn a_command_without_input_leaves_ours_alone() {
    let home = Home::new();
    let server = home.serve(&[]);
    let mut loop_over = Command::new("sh");
    let exec = home.minissh("exec", server.port);
    let list = home.path("list");
    std::fs::write(&list, "one\ntwo\nthree\n").unwrap();
    loop_over
        .args([
            "-c",
            "while read -r word; do \"$@\" -n \"echo $word\"; done",
            "sh",
        ])
        .arg(exec.get_program())
        .args(exec.get_args())
        .stdin(std::fs::File::open(list).unwrap());
    assert_eq!(output(&mut loop_over).0, "one\ntwo\nthree\n");
}

#[test]
fn a_command_may_have_our_terminal() {
    let home = Home::new();
    let server = home.serve(&[]);
    let mut exec = home.minissh("exec", server.port);
    exec.args(["-t", "stty size; read word; echo \"[$word]\"; exit 3"]);
    let mut person = Person::start(exec);
    person.sees("30 100");
    person.says("hello");
    person.sees("[hello]");
    assert_eq!(person.ends().code(), Some(3));
}

/// Both signals tell the client, hang up on its program, and end with 0.
#[test]
fn a_server_ends_in_good_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = Home::new();
        let mut server = home.serve(&[]);
        let mut exec = home.minissh("exec", server.port);
        let last_words = home.path("last-words");
        exec.arg(format!(
            "trap 'echo hup >{}; exit' HUP; echo ready; while :; do sleep 0.05; done",
            last_words.display()
        ));
        let mut client = exec
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(client.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        send(signal, server.pid());
        assert_eq!(server.ends().code(), Some(0), "{}", server.said());
        server.hear(&format!(
            "Received signal {}; terminating.",
            signal.as_raw()
        ));
        server.hear("Disconnected from user robin");
        // The program gets a second to say them, and need not be done by then.
        let has_said = || std::fs::read_to_string(&last_words).is_ok_and(|said| said == "hup\n");
        assert!(soon(has_said));
        let said = client.wait_with_output().unwrap();
        assert_eq!(said.status.code(), Some(255));
        let said = String::from_utf8(said.stderr).unwrap();
        assert!(said.contains("disconnected"), "{said}");
    }
}

/// As nohup and shells without job control start a server.
#[test]
fn a_server_that_is_to_ignore_signals_does() {
    let home = Home::new();
    let mut serve = Command::new("env");
    serve
        .args(["--ignore-signal=HUP,INT"])
        .arg(minissh().get_program())
        .args(["serve", "--port", "0", "--host-key"])
        .arg(home.path("host_key"))
        .arg("--authorized-keys")
        .arg(home.path("authorized_keys"));
    let server = Program::start(&mut serve);
    for signal in [Signal::HUP, Signal::INT] {
        send(signal, server.pid());
        let mut exec = home.minissh("exec", server.port);
        assert_eq!(output(exec.arg("echo on")).0, "on\n");
    }
    assert!(!server.said().contains("terminating"), "{}", server.said());
}

/// The first one waits for a program that does not hear, but no longer than a moment. So that the other
/// is not too late, both are sent while the server is stopped, and either may be the first.
#[test]
fn a_second_signal_ends_a_server_at_once() {
    let home = Home::new();
    let mut server = home.serve(&[]);
    let mut exec = home.minissh("exec", server.port);
    let mut client = exec
        .arg("trap '' HUP; echo $$; exec sleep 60")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(client.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    for signal in [Signal::STOP, Signal::INT, Signal::TERM, Signal::CONT] {
        send(signal, server.pid());
    }
    let status = server.ends();
    send(Signal::KILL, line.trim().parse().unwrap());
    server.hear("terminating");
    let codes = [Some(128 + 2), Some(128 + 15)];
    assert!(codes.contains(&status.code()), "{}", server.said());
    client.wait().unwrap();
}

/// What sshd sets, and nothing of the terminal and the connection that the server was started from.
#[test]
fn a_session_has_the_environment_of_a_login() {
    let home = Home::new();
    let mut serve = minissh();
    serve.args(["serve", "--port", "0", "--host-key"]);
    serve.arg(home.path("host_key")).arg("--authorized-keys");
    serve.arg(home.path("authorized_keys"));
    let ours = [
        "TERM",
        "SSH_TTY",
        "SSH_CONNECTION",
        "SSH_AUTH_SOCK",
        "OF_THE_SERVER",
    ];
    serve.envs(ours.map(|name| (name, "/ours")));
    serve.env("SSHKEYLOGFILE", home.path("keys"));
    serve.env("HOME", home.folder()).env("SHELL", "/bin/sh");
    let server = Program::start(&mut serve);
    let run = |more: &[&str]| {
        let mut exec = home.minissh("exec", server.port);
        exec.env("TERM", "theirs").args(more).arg("env");
        output(exec.stdin(Stdio::null())).0
    };
    let environment = run(&[]);
    let value = |name: &str| {
        let lines = environment.lines();
        let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        values.next_back().map(str::to_owned)
    };
    let name = output(Command::new("id").arg("-un")).0;
    for variable in ["USER", "LOGNAME"] {
        assert_eq!(value(variable).as_deref(), Some(name.trim()));
    }
    assert_eq!(value("HOME").as_deref(), home.folder().to_str());
    assert_eq!(value("SHELL").as_deref(), Some("/bin/sh"));
    assert!(value("PATH").is_some_and(|path| path.contains("/bin")));
    assert!(!environment.contains("/ours"), "{environment}");
    let [client, connection] = ["SSH_CLIENT", "SSH_CONNECTION"].map(|name| value(name).unwrap());
    let words: Vec<&str> = connection.split(' ').collect();
    let [theirs, their_port, ours, our_port] = words[..] else {
        panic!("{connection}")
    };
    assert_eq!((theirs, ours), ("127.0.0.1", "127.0.0.1"));
    assert_eq!(our_port, server.port.to_string());
    assert_eq!(client, format!("{theirs} {their_port} {our_port}"));
    for variable in ["TERM", "SSH_TTY", "SSHKEYLOGFILE"] {
        assert_eq!(value(variable), None, "{environment}");
    }
    let on_terminal = run(&["-tt"]);
    assert!(on_terminal.contains("TERM=theirs"), "{on_terminal}");
    assert!(on_terminal.contains("SSH_TTY=/dev/"), "{on_terminal}");
}

#[test]
fn keys_that_others_may_write_let_nobody_in() {
    let home = Home::new();
    let keys = home.path("authorized_keys");
    let allow = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let server = home.serve(&[]);
    for (path, usual) in [(keys.as_path(), 0o644), (home.folder(), 0o700)] {
        for wrong in [0o720, 0o702] {
            allow(path, wrong);
            let mut exec = home.minissh("exec", server.port);
            assert_eq!(exec.arg("true").output().unwrap().status.code(), Some(255));
            server.hear(&format!("that others may write (mode {wrong:04o})"));
            let refused = minissh()
                .args(["serve", "--port", "0", "--host-key"])
                .arg(home.path("host_key"))
                .arg("--authorized-keys")
                .arg(&keys)
                .output()
                .unwrap();
            let said = String::from_utf8(refused.stderr).unwrap();
            assert_eq!(refused.status.code(), Some(255), "{said}");
            assert!(said.contains("hint: chmod go-w "), "{said}");
        }
        allow(path, usual);
    }
    let mut exec = home.minissh("exec", server.port);
    assert_eq!(output(exec.arg("echo in")).0, "in\n");
}

#[test]
fn keys_are_authorized_as_soon_as_they_are_written() {
    let home = Home::new();
    let keys = home.path("authorized_keys");
    let line = std::fs::read_to_string(&keys).unwrap();
    std::fs::write(&keys, "").unwrap();
    let server = home.serve(&[]);
    let is_let_in = || {
        home.minissh("exec", server.port)
            .arg("true")
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(!is_let_in());
    std::fs::write(&keys, &line).unwrap();
    assert!(is_let_in());
    std::fs::write(&keys, format!("restrict {line}")).unwrap();
    assert!(!is_let_in());
    server.hear("its line forbids terminals");
    std::fs::remove_file(&keys).unwrap();
    assert!(!is_let_in());
    server.hear("no key is let in");
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn keys_are_logged_only_where_nobody_else_reads() {
    let home = Home::new();
    let server = home.serve(&[]);
    let log = home.path("keys");
    let run = |path: &str, by_option: bool| {
        let mut exec = home.minissh("exec", server.port);
        match by_option {
            true => exec.args(["--key-log", path]),
            false => exec.env("SSHKEYLOGFILE", path),
        };
        exec.arg("true").output().unwrap()
    };
    let path = log.to_str().unwrap();
    for by_option in [true, false] {
        let output = run(path, by_option);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        assert!(said.contains("warning: keys are logged to"), "{said}");
    }
    assert_eq!(mode(&log), 0o600);
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    assert_eq!(lines.len(), 2, "one exchange each, appended");
    for line in &lines {
        assert_eq!((line[0].len(), line[1]), (32, "SHARED_SECRET"), "{line:?}");
    }
    // An empty variable is none.
    let quiet = run("", false);
    assert!(
        quiet.status.success() && quiet.stderr.is_empty(),
        "{quiet:?}"
    );

    std::fs::set_permissions(&log, std::fs::Permissions::from_mode(0o640)).unwrap();
    for wrong in [path, "/nowhere/keys"] {
        let output = run(wrong, true);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(255));
        assert!(said.contains(wrong) && said.contains("hint: "), "{said}");
    }
    assert_eq!(std::fs::read_to_string(&log).unwrap(), text);
}
