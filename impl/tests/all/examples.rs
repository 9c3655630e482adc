//! Every example with OpenSSH at the other end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::facade::{PASSWORD, USER};
use crate::openssh::{Home, Sshd};
use crate::program::{Program, output};
use crate::terminal::Person;

/// An example, built if this test alone was asked for.
fn example(name: &str) -> Command {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "minissh", "--examples"])
            .status();
        assert!(built.unwrap().success(), "the examples do not build");
        let program = Path::new(env!("CARGO_BIN_EXE_minissh"));
        program.parent().unwrap().join("examples")
    });
    Command::new(folder.join(name))
}

fn start(name: &str, arguments: &[&str]) -> Program {
    Program::start(example(name).arg("0").args(arguments))
}

#[test]
fn client_password_runs_a_command_on_sshd() {
    let home = Home::new();
    let Some(sshd) = Sshd::start_with_user(&home) else {
        return;
    };
    let addr = format!("127.0.0.1:{}", sshd.port);
    let mut client = example("client-password");
    let (out, err) = output(client.args([&addr, USER, PASSWORD, "echo hello; exit 3"]));
    assert_eq!(out, "hello\n");
    assert!(err.contains("Some(Status(3))"), "{err}");
    // More on stderr than a window holds, before anything else.
    let mut client = example("client-password");
    let command = "head -c 3000000 /dev/zero >&2; echo hello";
    let (out, err) = output(client.args([&addr, USER, PASSWORD, command]));
    assert_eq!((out.as_str(), err.len() > 3_000_000), ("hello\n", true));
    let refused = example("client-password")
        .args([&addr, USER, "wrong", "true"])
        .output();
    assert!(!refused.unwrap().status.success());
}

#[test]
fn client_publickey_runs_a_command_on_sshd() {
    let home = Home::new();
    let Some(sshd) = Sshd::start_with_user(&home) else {
        return;
    };
    let mut client = example("client-publickey")
        .args([&format!("127.0.0.1:{}", sshd.port), USER])
        .arg(home.path("key"))
        .arg("tr a-z A-Z; echo oops >&2")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    client.stdin.take().unwrap().write_all(b"hello").unwrap();
    let output = client.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"HELLO");
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.contains("oops\n") && err.contains("Some(Status(0))"),
        "{err}"
    );
}

#[test]
fn server_password_greets_ssh() {
    let (home, server) = (Home::new(), start("server-password", &[USER, PASSWORD]));
    let Some(mut ssh) = home.ssh_with_password(server.port) else {
        return;
    };
    let (out, _) = output(ssh.arg("ls"));
    assert_eq!(out, "Hello robin, you asked for \"ls\".\r\n");
}

#[test]
fn server_publickey_is_asked_twice_and_runs_what_ssh_asks_for() {
    let home = Home::new();
    let keys = home.path("authorized_keys");
    let server = start("server-publickey", &[keys.to_str().unwrap()]);
    let Some(mut ssh) = home.ssh(server.port) else {
        return;
    };
    let (out, _) = output(ssh.arg("echo $((6 * 7))"));
    assert_eq!(out, "42\n");
    server.hear("signed: true");
    let said = server.said();
    let probe = said.find("signed: false").expect("a probe");
    let login = said.find("signed: true").expect("a signature");
    assert!(probe < login, "{said}");
}

#[test]
fn server_dump_prints_everything_and_no_password() {
    let (home, server) = (Home::new(), start("server-dump", &[]));
    let Some(mut ssh) = home.ssh_with_password(server.port) else {
        return;
    };
    output(
        ssh.env("LC_TIME", "C")
            .args(["-o", "SendEnv=LC_TIME", "some command"]),
    );
    for text in [
        "KEXINIT",
        "\"robin\" asks which methods",
        "shows password [redacted]",
        "\"robin\" is in",
        "some command",
        "(\"LC_TIME\", \"C\")",
        "channel over: Ok(())",
    ] {
        server.hear(text);
    }
    assert!(!server.said().contains(PASSWORD));
}

/// Everything that is sent through the exchanges must come back unharmed.
fn echo_through(exchanges: u32, client: impl Fn(&Home, u16) -> Option<Command>) {
    let (home, server) = (Home::new(), start("server-kex", &[&exchanges.to_string()]));
    let Some(mut client) = client(&home, server.port) else {
        return;
    };
    let mut client = client
        .arg("echo")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let data: Vec<u8> = (0..4 << 20)
        .map(|i: u32| u8::try_from(i * 31 % 251).unwrap())
        .collect();
    let mut stdin = client.stdin.take().unwrap();
    let sender = std::thread::spawn({
        let data = data.clone();
        move || stdin.write_all(&data).unwrap()
    });
    let mut back = Vec::new();
    client
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut back)
        .unwrap();
    sender.join().unwrap();
    assert!(back == data);
    assert!(client.wait().unwrap().success());
    server.hear(&format!("{exchanges} key exchanges"));
}

/// Each costs OpenSSH some 5 ms, for the arithmetic of its own. More of them by hand: see the
/// example.
#[test]
fn server_kex_survives_many_exchanges_with_ssh() {
    echo_through(300, Home::ssh);
}

#[test]
fn server_kex_survives_ten_thousand_exchanges() {
    echo_through(10_000, |home, port| Some(home.minissh("exec", port)));
}

#[test]
fn server_repl_edits_its_line() {
    let (home, server) = (Home::new(), start("server-repl", &[]));
    let Some(mut ssh) = home.ssh(server.port) else {
        return;
    };
    ssh.arg("-tt").stdin(Stdio::inherit());
    let mut person = Person::start(ssh);
    person.sees("add> ");
    person.types("1 23\x7f\x7f2\r");
    person.sees("\n3\r\n");
    person.types("40 2\r");
    person.sees("\n42\r\n");
    // Twice up is the first line, once down the second.
    person.types("\x1b[A\x1b[A\x1b[B\r");
    person.sees("\n42\r\n");
    person.types("nonsense\x03");
    person.sees("^C");
    person.types("5\r");
    person.sees("\n5\r\n");
    person.types("\x04");
    person.sees("bye");
    assert!(person.ends().success());
}

/// Reads what a program prints until a line has this.
fn hears(program: &mut Child, text: &str) {
    let printed = BufReader::new(program.stdout.as_mut().unwrap());
    let mut lines = printed.lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains(text)), "no {text:?}");
}

#[test]
fn server_chat_tells_everybody() {
    let (home, server) = (Home::new(), start("server-chat", &[]));
    let Some(mut robin) = home.ssh(server.port) else {
        return;
    };
    let Some(mut marian) = home.ssh_as("marian", server.port) else {
        return;
    };
    let mut robin = robin
        .arg("-T")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    server.hear("robin is here");
    let mut marian = marian
        .arg("-T")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    server.hear("marian is here");
    let mut said = robin.stdin.take().unwrap();
    said.write_all(b"hello there\n").unwrap();
    server.hear("robin: hello there");
    // Before anybody leaves: what was said last need not reach who does.
    hears(&mut robin, "robin: hello there");
    hears(&mut marian, "robin: hello there");
    drop(said);
    server.hear("robin has left");
    drop(marian.stdin.take());
    robin.wait().unwrap();
    marian.wait().unwrap();
}
