//! `minissh serve`.

mod access;
mod connections;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::ValueHint;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::transport::TransportArgs;
use super::{Failure, identity, stdio};
use crate::blocking::{SERVER_PORT, Server, Stop, UNAUTHENTICATED_MAX};
use crate::crypto::SigningKey;
use crate::engine::Config;
use crate::keyfile::fingerprint;
use crate::process;
use access::{Access, AccessArgs};
use connections::{Connections, place};

const EXAMPLES: &str = "\
Examples:
  minissh keygen host_key
  minissh serve --host-key host_key --authorized-keys ~/.ssh/id_ed25519.pub
  ssh -p 22022 127.0.0.1                                      from another terminal

  minissh serve --host-key host_key --password-file secret --listen :: --port 2222
  minissh serve --host-key host_key --authorized-keys keys --rekey-limit '16M 1m' -vv

Ctrl-C, or SIGTERM, ends it: every connection is told, every program gets HUP, and what ignores it,
as under nohup, runs on. So it is when a connection is lost.";

/// Serve commands and shells on this machine, with your own rights, in the foreground.
///
/// Whoever logs in acts as the user who runs this, under whatever user name they give, or under the
/// one of --user alone. Each login, and each key and password that is refused, is a line on stderr, in
/// the words of OpenSSH's sshd; what is not offered at all is refused without a word.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The private key that proves who we are; see `minissh keygen`.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    host_key: PathBuf,
    #[command(flatten)]
    access: AccessArgs,
    /// The only user name that may log in [default: any].
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Where to listen: an address of this machine, or :: for all.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    listen: String,
    /// The port; 0 takes a free one.
    #[arg(short, long, default_value_t = SERVER_PORT)]
    port: u16,
    /// How many connections may wait for their login; what comes past it is closed at once, as by
    /// `MaxStartups` of sshd.
    #[arg(long, value_name = "COUNT", default_value_t = UNAUTHENTICATED_MAX)]
    max_startups: usize,
    #[command(flatten)]
    transport: TransportArgs,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let host_key = read_host_key(&args.host_key)?;
    let access = Arc::new(Access::read(&args.access, args.user.clone())?);
    let transport = args.transport.prepare()?;
    let server = Server::bind((args.listen.as_str(), args.port))
        .map_err(|error| Failure::new(error).hint("choose another with --port or --listen"))?
        .with_unauthenticated_max(args.max_startups);
    stop_on_signals(server.stopper())?;
    stdio::say(format_args!(
        "listening on {}, host key {}",
        server.local_addr()?,
        fingerprint(&host_key.public_key())
    ));
    let connections = Arc::new(Connections::default());
    server.serve(
        move |peer| {
            tracing::info!("Connection from {}", place(peer));
            transport.options(Config::server(host_key.clone()))
        },
        {
            let connections = Arc::clone(&connections);
            move |ssh| connections.attend(&ssh, &access)
        },
    )?;
    connections.end();
    Ok(ExitCode::SUCCESS)
}

fn read_host_key(path: &Path) -> Result<SigningKey, Failure> {
    if !path.exists() {
        return Err(
            Failure::new(format!("{}: there is no such file", path.display()))
                .hint(format!("make one: minissh keygen {}", path.display())),
        );
    }
    identity::read_key(path).map(|file| file.key)
}

/// The first signal ends the listening, and with it the server; a second one ends all at once.
fn stop_on_signals(stop: Stop) -> Result<(), Failure> {
    // What nohup, or a shell that starts us in the background, has us ignore stays ignored.
    let may_come = |signal: &i32| *signal == SIGTERM || !process::is_ignored(*signal);
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM].iter().filter(|s| may_come(s)))?;
    std::thread::spawn(move || {
        let mut signals = signals.forever();
        if let Some(signal) = signals.next() {
            stop.stop();
            stdio::say(format_args!("Received signal {signal}; terminating."));
        }
        if let Some(signal) = signals.next() {
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}
