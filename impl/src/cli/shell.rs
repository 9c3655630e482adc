//! `minissh shell`.

mod escape;
mod raw;

use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;

use super::exec::{self, Target};
use super::{Failure, OWN_FAILURE};
use crate::blocking::{Channel, Ssh};
use crate::net::Pty;
use crate::tty;
use escape::{Act, Escapes};

/// How much of our input is read at once.
const READ_BYTES: usize = 32 << 10;

/// What a terminal is called that has no name.
const NAMELESS_TERM: &str = "dumb";

/// Log in to another machine; the exit status of the shell there becomes ours.
///
/// At the start of a line, `~.` ends the connection and `~?` lists what else there is.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let ssh = args.target.log_in()?;
    // As `ssh` does: a script that is fed to us gets a shell without terminal.
    let exit = match std::io::stdin().is_terminal() {
        true => on_terminal(&ssh)?,
        false => exec::converse(&open(&ssh, None)?)?,
    };
    ssh.disconnect();
    exec::exit_code(exit)
}

/// A shell with our language, if the server takes it.
fn open(ssh: &Ssh, pty: Option<&Pty>) -> Result<Channel, Failure> {
    let channel = ssh.channel_open()?;
    let is_language = |name: &str| name == "LANG" || name.starts_with("LC_");
    for (name, value) in std::env::vars().filter(|(name, _)| is_language(name)) {
        // It need not take any.
        let _ = channel.set_env(&name, &value);
    }
    if let Some(pty) = pty {
        channel.request_pty(pty)?;
    }
    channel.shell()?;
    Ok(channel)
}

fn on_terminal(ssh: &Ssh) -> Result<Option<crate::net::Exit>, Failure> {
    let stdin = std::io::stdin();
    let pty = Pty {
        term: std::env::var("TERM").unwrap_or_else(|_| NAMELESS_TERM.to_owned()),
        size: tty::size(&stdin)?,
        modes: tty::modes(&stdin)?,
    };
    let channel = open(ssh, Some(&pty))?;
    // From here on every way out goes through the restoring of the terminal.
    let raw = raw::Raw::begin()?;
    watch_signals(channel.clone())?;
    // Not joined: it may sit in a read of our input that never returns.
    std::thread::spawn({
        let channel = channel.clone();
        move || send_keys(&channel)
    });
    let exit = exec::receive(&channel);
    drop(raw);
    exit
}

/// Passes on the size of the terminal; a signal that would end us restores it first.
fn watch_signals(channel: Channel) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH])?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if signal != SIGWINCH {
                raw::leave(128 + signal);
            }
            if let Ok(size) = tty::size(std::io::stdin()) {
                let _ = channel.window_change(size);
            }
        }
    });
    Ok(())
}

fn send_keys(channel: &Channel) {
    let (mut escapes, mut buffer) = (Escapes::default(), vec![0; READ_BYTES]);
    let mut stdin = std::io::stdin();
    while let Ok(count @ 1..) = stdin.read(&mut buffer) {
        for act in escapes.read(buffer.get(..count).unwrap_or_default()) {
            match act {
                Act::Send(bytes) => {
                    // The shell may end before our input does.
                    if channel.write(&bytes).is_err() {
                        return;
                    }
                }
                Act::Help => eprint!("{}", escape::HELP),
                Act::Leave => {
                    eprint!("~.\r\nConnection closed.\r\n");
                    raw::leave(OWN_FAILURE.into());
                }
            }
        }
    }
    let _ = channel.eof();
}
