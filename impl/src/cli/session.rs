//! The session that a command or a shell runs in: its terminal, and our language.

use std::ffi::OsString;
use std::io::IsTerminal as _;

use super::{Failure, log};
use crate::blocking::{Channel, Ssh};
use crate::net::{Pty, TerminalSize};

/// What a terminal is called that has no name.
const NAMELESS_TERM: &str = "dumb";

/// Whether what runs there gets a terminal.
#[derive(Debug, clap::Args)]
pub(super) struct TtyArgs {
    /// Run it on a terminal, as an editor needs it; -tt also where our input is none.
    #[arg(short, long, action = clap::ArgAction::Count, overrides_with = "no_tty")]
    tty: u8,
    /// Run it without a terminal.
    #[arg(short = 'T', long)]
    no_tty: bool,
}

/// Which terminal runs with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tty {
    /// One that nobody sits at.
    Bare,
    None,
    /// That which our input comes from.
    Ours,
}

impl TtyArgs {
    /// What was asked for, or else whether it is `usual` to have ours.
    pub(super) fn choose(&self, usual: bool) -> Tty {
        match (self.tty, std::io::stdin().is_terminal()) {
            _ if self.no_tty => Tty::None,
            (0, _) if !usual => Tty::None,
            (_, true) => Tty::Ours,
            (0 | 1, false) => {
                log::note("warning: our input is no terminal, so there is none there either");
                Tty::None
            }
            (2.., false) => Tty::Bare,
        }
    }
}

impl Tty {
    /// The terminal to ask for where it is not ours: its size is not known.
    pub(super) fn bare(self) -> Option<Pty> {
        (self == Self::Bare).then(|| Pty::new(term(), TerminalSize::default()))
    }
}

/// What our terminal is called.
pub(super) fn term() -> String {
    std::env::var("TERM").unwrap_or_else(|_| NAMELESS_TERM.to_owned())
}

/// Runs a command, or else a shell, with our language if the server takes it.
pub(super) fn open(
    ssh: &Ssh,
    command: Option<&str>,
    pty: Option<&Pty>,
) -> Result<Channel, Failure> {
    let channel = ssh.channel_open()?;
    offer_language(&channel)?;
    if let Some(pty) = pty {
        channel.request_pty(pty)?;
    }
    match command {
        Some(command) => channel.exec(command.as_bytes())?,
        None => channel.shell()?,
    }
    Ok(channel)
}

/// Offers our language as ssh does: the server need not take any of it, and is not waited for.
fn offer_language(channel: &Channel) -> Result<(), Failure> {
    let is_language = |name: &str| name == "LANG" || name.starts_with("LC_");
    // What is not text cannot be said.
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let variables = std::env::vars_os().filter_map(text);
    for (name, value) in variables.filter(|(name, _)| is_language(name)) {
        channel.offer_env(&name, &value)?;
    }
    Ok(())
}
