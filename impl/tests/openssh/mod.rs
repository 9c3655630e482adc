//! OpenSSH's own programs, for tests that hold ours against them. Where they are missing such a
//! test is skipped loudly, or fails if `SSHDRILL_REQUIRE` names openssh.

// Not `expect`: a test file that takes everything would not fulfil it.
#![allow(dead_code, reason = "each test file takes what it needs")]

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What must be there, as a comma-separated list; the same variable as for `sshdrill run`.
const REQUIRE: &str = "SSHDRILL_REQUIRE";

/// Where programs of administrators are that are not in everybody's PATH.
const ADMIN_FOLDERS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// How long sshd may take to listen.
const START_MAX: Duration = Duration::from_secs(10);

/// Finds a program of OpenSSH. Without it: `None`, and a loud word, or a panic if it is required.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(ADMIN_FOLDERS.map(PathBuf::from));
    let found = folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        let required = std::env::var(REQUIRE).unwrap_or_default();
        assert!(
            !required.split(',').any(|part| part.trim() == "openssh"),
            "{REQUIRE} names openssh, and {name} is not on this machine"
        );
        eprintln!("SKIPPED: {name} of OpenSSH is not on this machine");
    }
    found
}

/// Runs a program without a terminal and with nothing to read; its output if it succeeded.
pub(crate) fn run(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    judge(output)
}

/// The output if the program succeeded, else what it said.
pub(crate) fn judge(output: Output) -> Result<String, String> {
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    match output.status.success() {
        true => Ok(out),
        false => Err(format!("{}: {out}{err}", output.status)),
    }
}

/// An sshd on the loopback address, for as long as this lives.
pub(crate) struct Sshd {
    child: Child,
    pub(crate) port: u16,
}

impl Sshd {
    /// Starts one with these host keys and options.
    pub(crate) fn start(
        sshd: &Path,
        folder: &Path,
        host_keys: &[PathBuf],
        options: &[&str],
    ) -> Self {
        let port = free_port();
        let log = fs::File::create(folder.join("sshd.log")).unwrap();
        let mut command = Command::new(sshd);
        command.args(["-D", "-e", "-f", "/dev/null", "-p", &port.to_string()]);
        for key in host_keys {
            command.arg("-h").arg(key);
        }
        for option in ["ListenAddress=127.0.0.1", "PidFile=none"]
            .iter()
            .chain(options)
        {
            command.args(["-o", option]);
        }
        let child = command.stderr(log).spawn().expect("sshd starts");
        let started = Self { child, port };
        let deadline = Instant::now() + START_MAX;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let log = fs::read_to_string(folder.join("sshd.log")).unwrap();
            assert!(Instant::now() < deadline, "sshd does not listen: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        started
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
