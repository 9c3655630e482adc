//! `minissh exec`.

use std::io::{ErrorKind, stderr, stdout};
use std::process::ExitCode;

use super::session::{Tty, TtyArgs};
use super::target::Target;
use super::{Failure, OWN_FAILURE, log, session, shell, stdio};
use crate::blocking::{Channel, Ssh};
use crate::msg::ChannelExtendedData;
use crate::net::Exit;

/// How much of our input is read at once.
const READ_BYTES: usize = 32 << 10;

const EXAMPLES: &str = "\
Examples:
  minissh exec me@example.org uname -a
  minissh exec -p 2222 me@example.org 'cat >copy' <file         our input is the command's
  minissh exec -t me@example.org vi notes                       on a terminal
  minissh exec --rekey-limit 1M me@example.org 'cat big' >big   new keys every MiB

The exit status is that of the command; 255 if it was killed, or if we failed.";

/// Run a command on another machine; its exit status becomes ours.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    tty: TtyArgs,
    /// Give it no input, so that ours is left for others.
    #[arg(short, long)]
    no_input: bool,
    /// What to run there.
    #[arg(required = true, trailing_var_arg = true, value_hint = clap::ValueHint::CommandString)]
    command: Vec<String>,
}

impl Args {
    pub(super) fn is_quiet(&self) -> bool {
        self.target.quiet
    }
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let ssh = args.target.log_in()?;
    let exit = run_on(&ssh, args)?;
    ssh.disconnect();
    exit_code(exit)
}

fn run_on(ssh: &Ssh, args: &Args) -> Result<Option<Exit>, Failure> {
    let command = args.command.join(" ");
    let tty = args.tty.choose(false);
    if tty == Tty::Ours {
        return shell::on_terminal(ssh, Some(&command), &args.target);
    }
    let channel = session::open(ssh, Some(&command), tty.bare().as_ref())?;
    if args.no_input {
        channel.eof()?;
        return receive(&channel);
    }
    converse(&channel)
}

/// How the remote program ended, as our own exit code.
pub(super) fn exit_code(exit: Option<Exit>) -> Result<ExitCode, Failure> {
    match exit {
        Some(Exit::Status(status)) => {
            // As everywhere in POSIX, the low eight bits.
            Ok(ExitCode::from(
                u8::try_from(status & 0xff).unwrap_or(OWN_FAILURE),
            ))
        }
        Some(Exit::Signal(signal)) => Err(Failure::new(format!(
            "the command was killed by signal {signal:?}"
        ))),
        None => Err(Failure::new("the server did not say how the command ended")),
    }
}

/// Our input goes there, its output comes here, until the channel is closed.
pub(super) fn converse(channel: &Channel) -> Result<Option<Exit>, Failure> {
    // Not joined: it may sit in a read of our input that never returns.
    std::thread::spawn({
        let channel = channel.clone();
        move || send_input(&channel)
    });
    receive(channel)
}

/// Its output comes here, until the channel is closed.
pub(super) fn receive(channel: &Channel) -> Result<Option<Exit>, Failure> {
    while let Some(data) = channel.read()? {
        let written = match data.code {
            None => stdio::write_all(stdout(), &data.bytes),
            Some(ChannelExtendedData::STDERR) => stdio::write_all(stderr(), &data.bytes),
            Some(_) => Ok(()),
        };
        match written {
            // Nobody reads on, as in `| head`. Whoever cut us off knows: no word, as from `ssh`.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                channel.close()?;
                return Ok(Some(Exit::Status(OWN_FAILURE.into())));
            }
            written => written?,
        }
    }
    // EOF is not the end: the exit status may come between it and CLOSE.
    Ok(channel.wait())
}

fn send_input(channel: &Channel) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match stdio::read(&mut buffer) {
            Ok(0) => break,
            Err(error) => {
                log::note(format_args!("warning: our input ends: {error}"));
                break;
            }
            Ok(count) => {
                let bytes = buffer.get(..count).unwrap_or_default();
                // The command may end before our input does.
                if channel.write(bytes).is_err() {
                    return;
                }
            }
        }
    }
    let _ = channel.eof();
}
