//! `minissh serve`.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use super::Failure;
use crate::blocking::{SERVER_PORT, Server, Ssh};
use crate::crypto::PublicKey;
use crate::engine::{Config, End, Password};
use crate::keyfile::{AuthorizedKeys, KeyFile, fingerprint};
use crate::net::{AuthPolicy, Error, Options};

/// Serve commands and shells on this machine, with your own rights, in the foreground.
///
/// Whoever logs in acts as the user who runs this, whatever user name they give. Each login and each
/// refusal is a line on stderr, in the words of OpenSSH's sshd.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The private key that proves who we are; see `minissh keygen`.
    #[arg(long)]
    host_key: PathBuf,
    /// Public keys that may log in, a line each.
    #[arg(long, required_unless_present = "password_file")]
    authorized_keys: Option<PathBuf>,
    /// A file whose first line is a password that may log in.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1")]
    listen: String,
    /// The port; 0 takes a free one.
    #[arg(short, long, default_value_t = SERVER_PORT)]
    port: u16,
}

/// Who may log in.
struct Access {
    keys: AuthorizedKeys,
    password: Option<Password>,
    strangers: Strangers,
}

/// Addresses that have left without being let in. An OpenSSH client that has only keys of other
/// algorithms does not show them, so that we can tell it what we take only when it comes again.
#[derive(Default)]
struct Strangers(Mutex<HashSet<IpAddr>>);

impl Strangers {
    /// Past it, all are forgotten: this is a courtesy and may not grow.
    const MAX: usize = 1_024;

    fn change<R>(&self, change: impl FnOnce(&mut HashSet<IpAddr>) -> R) -> R {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn remember(&self, ip: IpAddr) {
        self.change(|strangers| {
            if strangers.len() >= Self::MAX {
                strangers.clear();
            }
            strangers.insert(ip);
        });
    }

    fn forget(&self, ip: IpAddr) {
        self.change(|strangers| strangers.remove(&ip));
    }

    fn knows(&self, ip: IpAddr) -> bool {
        self.change(|strangers| strangers.contains(&ip))
    }
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let host_key = KeyFile::read(&args.host_key).map_err(|error| {
        Failure::new(error).hint(format!(
            "make one: minissh keygen {}",
            args.host_key.display()
        ))
    })?;
    let access = Arc::new(read_access(args)?);
    let server = Server::bind((args.listen.as_str(), args.port))
        .map_err(|error| Failure::new(error).hint("choose another with --port"))?;
    eprintln!(
        "listening on {}, host key {}",
        server.local_addr()?,
        fingerprint(&host_key.key.public_key())
    );
    let key = host_key.key;
    server.serve(
        move |peer| {
            tracing::info!("Connection from {}", place(peer));
            Options::new(Config::server(key.clone()))
        },
        move |ssh| attend(&ssh, &access),
    )?;
    Ok(ExitCode::SUCCESS)
}

fn read_access(args: &Args) -> Result<Access, Failure> {
    let keys = match &args.authorized_keys {
        Some(path) => AuthorizedKeys::read(path)?,
        None => AuthorizedKeys::default(),
    };
    let password = match &args.password_file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
            let line = text.lines().next().unwrap_or_default();
            Some(
                Password::new(line.as_bytes())
                    .filter(|_| !line.is_empty())
                    .ok_or_else(|| {
                        Failure::new(format!("{}: no password on the first line", path.display()))
                    })?,
            )
        }
        None => None,
    };
    let strangers = Strangers::default();
    Ok(Access {
        keys,
        password,
        strangers,
    })
}

/// As `sshd` writes an address.
fn place(peer: SocketAddr) -> String {
    format!("{} port {}", peer.ip(), peer.port())
}

/// Serves one connection, its sessions side by side.
fn attend(ssh: &Ssh, access: &Arc<Access>) {
    // Every connection of a listener has an address, unless it is over already.
    let Some(peer) = ssh.peer_addr() else { return };
    let end = match ssh.userauth_accept(policy(access, peer)) {
        Ok(user) => {
            access.strangers.forget(peer.ip());
            let end = serve_sessions(ssh);
            format!("Disconnected from user {} {}", shown(&user), place(peer)) + &because(&end)
        }
        Err(end) => {
            access.strangers.remember(peer.ip());
            format!("Disconnected from {} before login", place(peer)) + &because(&end)
        }
    };
    eprintln!("{end}");
}

fn because(end: &Error) -> String {
    match end {
        Error::Ended(End::PeerHungUp) => String::new(),
        end => format!(": {end}"),
    }
}

fn serve_sessions(ssh: &Ssh) -> Error {
    loop {
        let channel = match ssh.channel_accept() {
            Ok(channel) => channel,
            Err(end) => return end,
        };
        std::thread::spawn(move || match channel.run_command() {
            Ok(exit) => tracing::info!("{exit:?}"),
            Err(error) => tracing::info!("{error}"),
        });
    }
}

/// A user name as it may be printed: it is the peer's.
fn shown(user: &str) -> String {
    user.escape_debug().to_string()
}

fn log(verdict: bool, method: &str, user: &str, peer: SocketAddr, key: Option<&PublicKey>) {
    let verdict = match verdict {
        true => "Accepted",
        false => "Failed",
    };
    let key = key.map(|key| format!(": ED25519 {}", fingerprint(key)));
    let (user, peer, key) = (shown(user), place(peer), key.unwrap_or_default());
    eprintln!("{verdict} {method} for {user} from {peer} ssh2{key}");
}

fn policy(access: &Arc<Access>, peer: SocketAddr) -> AuthPolicy {
    let (keys, strangers) = (access.clone(), access.clone());
    let by_key = AuthPolicy::publickey(move |user, key, signed| {
        let accept = keys.keys.has(key);
        // A probe that would do is not a login yet.
        if signed || !accept {
            log(accept, "publickey", user, peer, Some(key));
        }
        accept
    });
    // What cannot lead to a login is not offered: a password typed in vain is a password given away.
    let policy = match access.password.clone() {
        None => by_key,
        Some(wanted) => by_key.or_password(move |user, given| {
            // In constant time, whatever their lengths.
            let accept = wanted == *given;
            log(accept, "password", user, peer, None);
            accept
        }),
    };
    policy
        .on_other_key(move |user, algorithm| {
            let algorithm = algorithm.escape_debug();
            eprintln!(
                "Failed publickey for {} from {} ssh2: {algorithm} is not supported",
                shown(user),
                place(peer)
            );
            Some(format!(
                "{algorithm} keys are not supported here.\r\n{KEYS_TAKEN}"
            ))
        })
        .on_none(move |_| {
            strangers
                .strangers
                .knows(peer.ip())
                .then(|| KEYS_TAKEN.to_owned())
        })
}

/// For those who come with a key that we cannot take.
const KEYS_TAKEN: &str = "This server takes keys of type ssh-ed25519 only. \
    To make one: ssh-keygen -t ed25519\r\n";
