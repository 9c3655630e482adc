//! `minissh` and other programs of ours, as a user has them.

use std::io::{BufRead as _, BufReader, Read};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};

use crate::facade::soon;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpSocket;

/// A program of ours that was built with the tests.
pub(crate) fn minissh() -> Command {
    Command::new(Path::new(env!("CARGO_BIN_EXE_minissh")))
}

/// `minissh` as somebody who lives in `home`.
pub(crate) fn minissh_at(home: &Path, arguments: &[&str]) -> Command {
    let mut command = minissh();
    command.args(arguments).env("HOME", home);
    command
}

/// Runs `minissh` to its end in a session of its own, so that it finds no terminal.
pub(crate) fn without_terminal(home: &Path, arguments: &[&str]) -> Output {
    Command::new("setsid")
        .arg(env!("CARGO_BIN_EXE_minissh"))
        .args(arguments)
        .env("HOME", home)
        .stdin(Stdio::null())
        .output()
        .expect("setsid of util-linux is here")
}

/// The output of a program that succeeded, else what it said.
pub(crate) fn judge(output: Output) -> Result<String, String> {
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    match output.status.success() {
        true => Ok(out),
        false => Err(format!("{}: {out}{err}", output.status)),
    }
}

/// Output and error output of a program that must succeed.
pub(crate) fn output(command: &mut Command) -> (String, String) {
    let output = command.output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    (out, err)
}

/// A server of ours as a program of its own, killed when dropped. Everything that it prints is
/// kept.
pub(crate) struct Program {
    child: Child,
    pub(crate) port: u16,
    said: Arc<Mutex<String>>,
}

impl Program {
    /// Starts `minissh serve` with these options, and with no signal ignored, whatever the tests were
    /// started with.
    pub(crate) fn serve(options: &[&str]) -> Self {
        let mut serve = Command::new("env");
        serve
            .arg("--default-signal")
            .arg(minissh().get_program())
            .args(["serve", "--port", "0"])
            .args(options);
        Self::start(&mut serve)
    }

    /// Starts it and waits until it says where it listens.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::<Mutex<String>>::default();
        keep(child.stdout.take().unwrap(), &said);
        keep(child.stderr.take().unwrap(), &said);
        let mut program = Self {
            child,
            port: 0,
            said,
        };
        program.hear("listening on 127.0.0.1:");
        let said = program.said();
        let port = said.split("127.0.0.1:").nth(1).unwrap();
        let digits: String = port.chars().take_while(char::is_ascii_digit).collect();
        program.port = digits.parse().unwrap();
        program
    }

    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for it to end.
    pub(crate) fn ends(&mut self) -> ExitStatus {
        let mut status = None;
        let ended = soon(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(ended, "still running, having said:\n{}", self.said());
        status.unwrap()
    }

    /// Waits until it has said this.
    pub(crate) fn hear(&self, text: &str) {
        assert!(
            soon(|| self.said().contains(text)),
            "no {text:?} in:\n{}",
            self.said()
        );
    }
}

fn keep(stream: impl Read + Send + 'static, said: &Arc<Mutex<String>>) {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            said.lock().unwrap().push_str(&(line + "\n"));
        }
    });
}

/// A port at which nobody listens for as long as the socket is held: one that is merely free may be
/// given to somebody else at any moment.
pub(crate) fn closed_port() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

/// Sends a signal to a program that a test has started.
pub(crate) fn send(signal: Signal, pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
