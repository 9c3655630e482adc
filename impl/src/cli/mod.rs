//! The command line: `minissh keygen`, `exec`, `scan`, `serve`, `shell` and `completions`.
//!
//! Errors say what and where, and what to do if we know: `error:` and `hint:`, exit code 255 as
//! `ssh` has it, so that it cannot be taken for the remote command's.

#![deny(
    clippy::print_stderr,
    reason = "it panics where nobody reads; see stdio::say"
)]

mod completions;
mod exec;
mod host_key;
mod identity;
mod keygen;
mod log;
mod scan;
mod serve;
mod session;
mod shell;
mod stdio;
mod target;
mod terminal;
mod transport;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit code for what is our own failure and not the remote command's.
const OWN_FAILURE: u8 = 255;

/// A small SSH-2 client and server: curve25519-sha256, ssh-ed25519, chacha20-poly1305@openssh.com
/// and nothing else.
#[derive(Debug, Parser)]
#[command(name = "minissh", version, after_help = EXAMPLES)]
struct Cli {
    /// Say more on stderr: -v for events, -vv for every packet, -vvv for what is in them, secrets
    /// excepted.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  minissh keygen ~/.ssh/id_ed25519                         make a user key
  minissh exec me@example.org 'echo hi'                    run a command
  minissh shell me@example.org                             log in
  minissh scan example.org                                 show what a server is and offers
  minissh keygen host_key                                  make a host key, and serve with it:
  minissh serve --host-key host_key --authorized-keys ~/.ssh/id_ed25519.pub
  source <(minissh completions bash)                       complete commands and options

`minissh COMMAND --help` has more of them. The exit status is that of the remote command; 255 if it
was killed, or if we failed.";

#[derive(Debug, Subcommand)]
enum Command {
    Completions(completions::Args),
    Keygen(keygen::Args),
    Exec(exec::Args),
    Scan(scan::Args),
    Serve(serve::Args),
    Shell(shell::Args),
}

impl Command {
    fn is_quiet(&self) -> bool {
        match self {
            Self::Exec(args) => args.is_quiet(),
            Self::Shell(args) => args.is_quiet(),
            Self::Completions(_) | Self::Keygen(_) | Self::Scan(_) | Self::Serve(_) => false,
        }
    }
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
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Where it cannot be shown, the exit code has to do.
            let _ = error.print();
            let is_mistake = error.use_stderr();
            return ExitCode::from(if is_mistake { OWN_FAILURE } else { 0 });
        }
    };
    log::begin(cli.verbose, cli.command.is_quiet());
    let result = match cli.command {
        Command::Completions(args) => completions::run(&args),
        Command::Keygen(args) => keygen::run(&args),
        Command::Exec(args) => exec::run(&args),
        Command::Scan(args) => scan::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Shell(args) => shell::run(&args),
    };
    result.unwrap_or_else(|failure| {
        stdio::say(format_args!("error: {}", failure.what));
        if let Some(hint) = failure.hint {
            stdio::say(format_args!("hint: {hint}"));
        }
        ExitCode::from(OWN_FAILURE)
    })
}
