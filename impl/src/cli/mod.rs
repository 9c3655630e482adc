//! The command line: `minissh keygen`, `exec`, `scan`, `serve` and `shell`.
//!
//! Errors say what and where, and what to do if we know: `error:` and `hint:`, exit code 255 as
//! `ssh` has it, so that it cannot be taken for the remote command's.

mod exec;
mod host_key;
mod identity;
mod keygen;
mod scan;
mod serve;
mod shell;
mod terminal;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::filter::LevelFilter;

/// Exit code for what is our own failure and not the remote command's.
const OWN_FAILURE: u8 = 255;

/// A small SSH-2 client and server: curve25519-sha256, ssh-ed25519, chacha20-poly1305@openssh.com
/// and nothing else.
#[derive(Debug, Parser)]
#[command(name = "minissh", version, after_help = EXAMPLES)]
struct Cli {
    /// Say more on stderr: -v for events, -vv for every packet.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  minissh keygen host_key                                  make a host key
  minissh keygen ~/.ssh/id_ed25519 -C me@here              make a user key
  minissh keygen -l host_key                               show the fingerprint of a key
  minissh scan -p 22022 127.0.0.1                          show what a server is and offers
  minissh serve --host-key host_key --authorized-keys ~/.ssh/id_ed25519.pub
  ssh -p 22022 -i ~/.ssh/id_ed25519 me@127.0.0.1 'echo hi'
  minissh exec -i ~/.ssh/id_ed25519 -p 22022 me@127.0.0.1 'echo hi'
  minissh shell -i ~/.ssh/id_ed25519 -p 22022 me@127.0.0.1   ~. at line start leaves";

#[derive(Debug, Subcommand)]
enum Command {
    Keygen(keygen::Args),
    Exec(exec::Args),
    Scan(scan::Args),
    Serve(serve::Args),
    Shell(shell::Args),
}

/// What a command ends with instead of its result.
struct Failure {
    what: String,
    hint: Option<String>,
}

impl Failure {
    fn new(error: impl std::fmt::Display) -> Self {
        Self {
            what: error.to_string(),
            hint: None,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Lets `?` turn any error of the library into a message.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

/// Runs the command line.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.verbose);
    let result = match cli.command {
        Command::Keygen(args) => keygen::run(&args),
        Command::Exec(args) => exec::run(&args),
        Command::Scan(args) => scan::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Shell(args) => shell::run(&args),
    };
    result.unwrap_or_else(|failure| {
        eprintln!("error: {}", failure.what);
        if let Some(hint) = failure.hint {
            eprintln!("hint: {hint}");
        }
        ExitCode::from(OWN_FAILURE)
    })
}

fn log_to_stderr(verbose: u8) {
    use std::io::IsTerminal as _;
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .init();
}
