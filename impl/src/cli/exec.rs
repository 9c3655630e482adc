//! `minissh exec`.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use super::host_key::{self, HostKeyArgs};
use super::identity::{self, IdentityArgs};
use super::{Failure, OWN_FAILURE};
use crate::blocking::{Channel, Ssh};
use crate::engine::Config;
use crate::msg::ChannelExtendedData;
use crate::net::{Exit, Options};

/// How much of our input is read at once.
const READ_BYTES: usize = 32 << 10;

/// Run a command on another machine; its exit status becomes ours.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// What to run there.
    #[arg(required = true, trailing_var_arg = true)]
    command: Vec<String>,
}

/// Where to log in, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// Where, and as whom; without a user, as $USER.
    #[arg(value_name = "[USER@]HOST")]
    destination: String,
    /// The server's port.
    #[arg(short, long, default_value_t = 22)]
    port: u16,
    #[command(flatten)]
    identity: IdentityArgs,
    #[command(flatten)]
    host_key: HostKeyArgs,
}

impl Target {
    /// Connects, checks the server's key, and logs in.
    pub(super) fn log_in(&self) -> Result<Ssh, Failure> {
        let (user, host) = split_destination(&self.destination)?;
        let options = Options::new(Config::client());
        let ssh = host_key::connect(&self.host_key, &host, self.port, options)?;
        identity::log_in(&self.identity, &ssh, &user)?;
        Ok(ssh)
    }
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let ssh = args.target.log_in()?;
    let channel = ssh.channel_exec(&args.command.join(" "))?;
    let exit = converse(&channel)?;
    ssh.disconnect();
    exit_code(exit)
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

fn split_destination(destination: &str) -> Result<(String, String), Failure> {
    match destination.rsplit_once('@') {
        Some((user, host)) => Ok((user.to_owned(), host.to_owned())),
        None => {
            let user = std::env::var("USER")
                .or_else(|_| std::env::var("LOGNAME"))
                .map_err(|_| {
                    Failure::new("no user to log in as").hint("write user@host, or set USER")
                })?;
            Ok((user, destination.to_owned()))
        }
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
    let (mut stdout, mut stderr) = (std::io::stdout(), std::io::stderr());
    while let Some(data) = channel.read()? {
        match data.code {
            None => stdout.write_all(&data.bytes)?,
            Some(ChannelExtendedData::STDERR) => stderr.write_all(&data.bytes)?,
            Some(_) => {}
        }
    }
    stdout.flush()?;
    // EOF is not the end: the exit status may come between it and CLOSE.
    Ok(channel.wait())
}

fn send_input(channel: &Channel) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match std::io::stdin().read(&mut buffer) {
            Ok(0) | Err(_) => break,
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
