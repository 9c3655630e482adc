//! `minissh exec`.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;

use super::{Failure, OWN_FAILURE};
use crate::blocking::{self, Channel, Ssh};
use crate::crypto::PublicKey;
use crate::keyfile::{self, KeyFile, Known};
use crate::msg::ChannelExtendedData;
use crate::net::{Error, Exit};

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
    /// Log in with this private key; without it, a password is asked for.
    #[arg(short, long)]
    identity: Option<PathBuf>,
    /// Where host keys are remembered; without it, `~/.ssh/known_hosts`.
    #[arg(long)]
    known_hosts: Option<PathBuf>,
    /// Remember the key of a host that is not known yet. A changed key is refused all the same.
    #[arg(long)]
    accept_new: bool,
}

impl Target {
    /// Connects, checks the server's key, and logs in.
    pub(super) fn log_in(&self) -> Result<Ssh, Failure> {
        let (user, host) = split_destination(&self.destination)?;
        let ssh = connect(self, &host)?;
        log_in(self, &ssh, &user)?;
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

/// What the host key check found, for the message after the connection is refused.
enum Refused {
    Unknown(String),
    Other(String),
    Unreadable(String),
}

fn connect(args: &Target, host: &str) -> Result<Ssh, Failure> {
    let known_hosts = match &args.known_hosts {
        Some(path) => path.clone(),
        None => home()?.join(".ssh/known_hosts"),
    };
    let name = keyfile::known_host_name(host, args.port);
    let (refused, was_refused) = mpsc::channel();
    let (path, accept_new) = (known_hosts.clone(), args.accept_new);
    let connected = blocking::connect((host, args.port), {
        let name = name.clone();
        move |key| match check(&path, &name, key, accept_new) {
            Ok(()) => true,
            Err(why) => {
                let _ = refused.send(why);
                false
            }
        }
    });
    match (connected, was_refused.try_recv()) {
        (Err(Error::HostKeyRefused), Ok(why)) => Err(explain(why, &name, &known_hosts)),
        (connected, _) => Ok(connected?),
    }
}

fn check(path: &Path, name: &str, key: &PublicKey, accept_new: bool) -> Result<(), Refused> {
    let unreadable = |error: keyfile::KeyFileError| Refused::Unreadable(error.to_string());
    match keyfile::look_up(path, name, key).map_err(unreadable)? {
        Known::Right => Ok(()),
        Known::Other => Err(Refused::Other(keyfile::fingerprint(key))),
        Known::Unknown if accept_new => keyfile::remember(path, name, key).map_err(unreadable),
        Known::Unknown => Err(Refused::Unknown(keyfile::fingerprint(key))),
    }
}

fn explain(why: Refused, name: &str, path: &Path) -> Failure {
    let path = path.display();
    match why {
        Refused::Unknown(fingerprint) => {
            Failure::new(format!("{name} is not in {path}; its key is {fingerprint}"))
                .hint("compare the fingerprint, then add --accept-new to remember it")
        }
        Refused::Other(fingerprint) => Failure::new(format!(
            "{name} has another key than the one in {path}: {fingerprint}; \
             somebody may be in between"
        ))
        .hint(format!(
            "if the key was changed on purpose, remove the old one from {path}"
        )),
        Refused::Unreadable(error) => Failure::new(error),
    }
}

fn home() -> Result<PathBuf, Failure> {
    std::env::home_dir()
        .ok_or_else(|| Failure::new("no home directory").hint("set HOME, or use --known-hosts"))
}

fn log_in(args: &Target, ssh: &Ssh, user: &str) -> Result<(), Failure> {
    let (accepted, hint) = match &args.identity {
        Some(path) => {
            let key = KeyFile::read(path)?.key;
            (
                ssh.userauth_publickey(user, &key)?,
                "is the public key among the authorized ones?",
            )
        }
        None => {
            let password = rpassword::prompt_password(format!("{user}'s password: "))?;
            (
                ssh.userauth_password(user, &password)?,
                "a key is given with -i",
            )
        }
    };
    for banner in ssh.banners()? {
        eprintln!(
            "{}",
            banner
                .escape_ascii()
                .to_string()
                .replace("\\r", "")
                .replace("\\n", "\n")
        );
    }
    match accepted {
        true => Ok(()),
        false => Err(Failure::new(format!("{user} was not let in")).hint(hint)),
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
