//! Runs `minissh` with and without a terminal.

// Not `expect`: a test file that takes everything would not fulfil it.
#![allow(dead_code, reason = "each test file takes what it needs")]

use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

/// How long to wait for an expected word.
const WAIT_MAX: Duration = Duration::from_secs(20);

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

/// A `minissh` on a terminal of its own.
pub(crate) struct Terminal {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    writer: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    /// What has been shown and not yet expected.
    shown: String,
    /// Keeps the terminal open.
    _pair: Box<dyn portable_pty::MasterPty + Send>,
}

impl Terminal {
    pub(crate) fn start(home: &Path, arguments: &[&str]) -> Self {
        let pair = native_pty_system()
            .openpty(PtySize::default())
            .expect("the system has ptys");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_minissh"));
        command.args(arguments);
        command.env("HOME", home);
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, output) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let _ = sender.send(buffer[..count].to_vec());
            }
        });
        Self {
            child,
            writer: pair.master.take_writer().unwrap(),
            output,
            shown: String::new(),
            _pair: pair.master,
        }
    }

    /// Waits until this is shown, and returns what was shown up to its end.
    pub(crate) fn expect(&mut self, text: &str) -> String {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            if let Some(at) = self.shown.find(text) {
                let rest = self.shown.split_off(at + text.len());
                return std::mem::replace(&mut self.shown, rest);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.shown.push_str(&String::from_utf8_lossy(&bytes)),
                Err(error) => panic!("{text:?} was not shown ({error}), but {:?}", self.shown),
            }
        }
    }

    /// Types a line.
    pub(crate) fn say(&mut self, line: &str) {
        self.writer
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
    }

    /// Waits for the end: the exit code, and what was shown since.
    pub(crate) fn end(mut self) -> (u32, String) {
        let status = self.child.wait().unwrap();
        // What it wrote before its end is still on its way through the terminal.
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(300)) {
            self.shown.push_str(&String::from_utf8_lossy(&bytes));
        }
        (status.exit_code(), self.shown)
    }
}

/// A `minissh serve` on the loopback address, for as long as this lives.
pub(crate) struct Serve {
    child: Child,
    pub(crate) port: u16,
}

impl Serve {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_minissh"))
            .args(["serve", "--port", "0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let port = loop {
            let mut line = String::new();
            assert_ne!(
                lines.read_line(&mut line).unwrap(),
                0,
                "serve ended: {said}"
            );
            let rest = line.split_once("listening on 127.0.0.1:");
            if let Some((port, _)) = rest.and_then(|(_, rest)| rest.split_once(',')) {
                break port.parse().unwrap();
            }
            said.push_str(&line);
        };
        // Read on, lest it block on a full pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Self { child, port }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
