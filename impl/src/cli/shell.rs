//! `minissh shell`.

mod escape;
mod raw;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;

use super::session::{Tty, TtyArgs};
use super::target::Target;
use super::{Failure, OWN_FAILURE, exec, log, session, stdio};
use crate::blocking::{Channel, Ssh};
use crate::net::{Error, Exit, Pty};
use crate::tty;
use escape::{Act, Escapes};

/// How much of our input is read at once.
const READ_BYTES: usize = 32 << 10;

const EXAMPLES: &str = "\
Examples:
  minissh shell me@example.org
  minissh shell -p 2222 -i key me@example.org
  echo 'uname -a' | minissh shell me@example.org     a script needs no terminal

At the start of a line, ~. ends the connection, and ~? lists what else there is.";

/// Log in to another machine; the exit status of the shell there becomes ours.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    tty: TtyArgs,
}

impl Args {
    pub(super) fn is_quiet(&self) -> bool {
        self.target.quiet
    }
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let ssh = args.target.log_in()?;
    // As `ssh` does: a script that is fed to us gets a shell without terminal.
    let tty = args.tty.choose(std::io::stdin().is_terminal());
    let exit = match tty {
        Tty::Ours => on_terminal(&ssh, None, &args.target)?,
        tty => exec::converse(&session::open(&ssh, None, tty.bare().as_ref())?)?,
    };
    ssh.disconnect();
    exec::exit_code(exit)
}

/// Gives our terminal to a command, or else to a shell.
pub(super) fn on_terminal(
    ssh: &Ssh,
    command: Option<&str>,
    target: &Target,
) -> Result<Option<Exit>, Failure> {
    let stdin = std::io::stdin();
    let pty = Pty {
        term: session::term(),
        size: tty::size(&stdin)?,
        modes: tty::modes(&stdin)?,
    };
    let channel = session::open(ssh, command, Some(&pty))?;
    // From here on every way out goes through the restoring of the terminal.
    let raw = raw::Raw::begin()?;
    watch_signals(channel.clone())?;
    // Not joined: it may sit in a read of our input that never returns.
    std::thread::spawn({
        let (ssh, channel) = (ssh.clone(), channel.clone());
        move || send_keys(&ssh, &channel)
    });
    let exit = exec::receive(&channel);
    drop(raw);
    log::note(format_args!(
        "Connection to {} closed.",
        target.destination()
    ));
    exit
}

/// Passes on the size of the terminal; a signal that would end us restores it first.
fn watch_signals(channel: Channel) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH])?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if signal != SIGWINCH {
                // As ssh ends, since no remote status says it.
                stdio::say(format_args!("Killed by signal {signal}.\r"));
                raw::leave(OWN_FAILURE.into());
            }
            pass_on_size(&channel);
        }
    });
    Ok(())
}

fn pass_on_size(channel: &Channel) {
    if let Ok(size) = tty::size(std::io::stdin()) {
        let _ = channel.window_change(size);
    }
}

/// Shows a text on our terminal, which is raw.
fn show(text: &str) {
    let _ = stdio::write_all(std::io::stderr(), text.as_bytes());
}

fn send_keys(ssh: &Ssh, channel: &Channel) {
    let (mut escapes, mut buffer) = (Escapes::default(), vec![0; READ_BYTES]);
    while let Ok(count @ 1..) = stdio::read(&mut buffer) {
        for act in escapes.read(buffer.get(..count).unwrap_or_default()) {
            // The shell may end before our input does.
            if carry_out(act, ssh, channel).is_err() {
                return;
            }
        }
    }
    let _ = channel.eof();
}

fn carry_out(act: Act, ssh: &Ssh, channel: &Channel) -> Result<(), Error> {
    match act {
        Act::Send(bytes) => channel.write(&bytes)?,
        Act::Help => show(escape::HELP),
        Act::Rekey => {
            // Not waited for: on a connection that is dead, the next key must still be heard.
            let ssh = ssh.clone();
            let _ = std::thread::Builder::new().spawn(move || ssh.rekey());
        }
        Act::Suspend => {
            show("~^Z [suspended]\r\n");
            raw::suspend();
            // Another may have had the terminal when its size changed, and heard of it.
            pass_on_size(channel);
        }
        Act::Leave => {
            show("~.\r\nConnection closed.\r\n");
            raw::leave(OWN_FAILURE.into());
        }
    }
    Ok(())
}
