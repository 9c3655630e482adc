//! Who may log in, and what is said to those who may not.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueHint;
use rustix::process::geteuid;

use super::connections::{place, shown};
use crate::cli::stdio::say;
use crate::cli::{Failure, identity};
use crate::crypto::PublicKey;
use crate::engine::Password;
use crate::keyfile::{AuthorizedKeys, fingerprint};
use crate::net::AuthPolicy;

/// For those who come with a key that we cannot take.
const KEYS_TAKEN: &str = "This server takes keys of type ssh-ed25519 only. \
    To make one: ssh-keygen -t ed25519\r\n";

/// Who may log in; at least one of both.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub(super) struct AccessArgs {
    /// Public keys that may log in, a line each; read anew for every connection, unless others may
    /// write the file or its folder. A key with an option that we do not enforce (command, from,
    /// no-pty, restrict, ...) is not let in.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    authorized_keys: Option<PathBuf>,
    /// A file whose first line is a password that may log in, for its owner alone.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    password_file: Option<PathBuf>,
}

/// Who may log in.
pub(super) struct Access {
    /// The one name that may log in, where there is one.
    user: Option<String>,
    keys: Option<PathBuf>,
    password: Option<Password>,
    strangers: Strangers,
}

impl Access {
    pub(super) fn read(args: &AccessArgs, user: Option<String>) -> Result<Self, Failure> {
        if let Some(path) = &args.authorized_keys {
            // A mistake is better heard of now than at the first login.
            read_keys(path)?;
        }
        let password = args.password_file.as_deref().map(read_password);
        Ok(Self {
            user,
            keys: args.authorized_keys.clone(),
            password: password.transpose()?,
            strangers: Strangers::default(),
        })
    }

    /// The keys as they are now.
    fn keys(&self) -> AuthorizedKeys {
        let read = self.keys.as_deref().map(read_keys);
        read.unwrap_or_else(|| Ok(AuthorizedKeys::default()))
            .unwrap_or_else(|failure| {
                say(format_args!("error: {}: no key is let in", failure.what));
                AuthorizedKeys::default()
            })
    }

    fn takes(&self, user: &str) -> bool {
        self.user.as_deref().is_none_or(|name| name == user)
    }

    /// What a client at this address is let in for; every decision is a line of the log.
    pub(super) fn policy(self: &Arc<Self>, peer: SocketAddr) -> AuthPolicy {
        let (access, keys) = (Arc::clone(self), self.keys());
        let (by_key_for, by_password_for) = (Arc::clone(self), Arc::clone(self));
        let by_key = AuthPolicy::publickey(move |user, key, signed| {
            let has_key = keys.has(key);
            let accept = has_key && by_key_for.takes(user);
            if !has_key && keys.find(key).is_some() {
                say(format_args!(
                    "Key {} is not let in: its line forbids terminals, which is not enforced here",
                    fingerprint(key)
                ));
            }
            // A probe that would do is not a login yet.
            if signed || !accept {
                log(accept, "publickey", user, peer, Some(key));
            }
            accept
        });
        // What cannot lead to a login is not offered: a password typed in vain is a password given away.
        let policy = match self.password.clone() {
            None => by_key,
            Some(wanted) => by_key.or_password(move |user, given| {
                // In constant time, whatever their lengths.
                let is_right = wanted == *given;
                let accept = is_right && by_password_for.takes(user);
                log(accept, "password", user, peer, None);
                accept
            }),
        };
        policy
            .on_other_key(move |user, algorithm| Some(refuse_type(user, algorithm, peer)))
            .on_none(move |_| {
                let is_stranger = access.strangers.knows(peer.ip());
                is_stranger.then(|| KEYS_TAKEN.to_owned())
            })
    }

    pub(super) fn was_let_in(&self, peer: SocketAddr) {
        self.strangers
            .change(|strangers| strangers.remove(&peer.ip()));
    }

    pub(super) fn was_not_let_in(&self, peer: SocketAddr) {
        self.strangers.remember(peer.ip());
    }
}

/// Reads the keys, unless somebody else may have written them: what sshd calls strict modes.
fn read_keys(path: &Path) -> Result<AuthorizedKeys, Failure> {
    let file = std::fs::canonicalize(path)
        .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    check_writers(&file, "a list of keys")?;
    if let Some(folder) = file.parent() {
        check_writers(folder, "the folder of a list of keys")?;
    }
    Ok(AuthorizedKeys::read(path)?)
}

/// Refuses what somebody else than root and ourselves may write; `what` is what it is.
fn check_writers(path: &Path, what: &str) -> Result<(), Failure> {
    let data = std::fs::metadata(path).map_err(Failure::new)?;
    let (mode, owner, path) = (data.mode() & 0o7777, data.uid(), path.display());
    if owner != 0 && owner != geteuid().as_raw() {
        return Err(Failure::new(format!(
            "{path}: is {what} that belongs to another user ({owner})"
        ))
        .hint(format!("chown it, or serve as that user: {path}")));
    }
    // Whoever may write to a sticky folder, as /tmp is, may not put anything into the place of what
    // is another's.
    let is_shared = data.is_dir() && mode & 0o1000 != 0;
    match mode & 0o022 != 0 && !is_shared {
        false => Ok(()),
        true => Err(Failure::new(format!(
            "{path}: is {what} that others may write (mode {mode:04o})"
        ))
        .hint(format!("chmod go-w {path}"))),
    }
}

fn read_password(path: &Path) -> Result<Password, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    identity::check_permissions(path, "password")?;
    let line = text.lines().next().filter(|line| !line.is_empty());
    line.and_then(|line| Password::new(line.as_bytes()))
        .ok_or_else(|| Failure::new(format!("{}: no password on the first line", path.display())))
}

fn log(verdict: bool, method: &str, user: &str, peer: SocketAddr, key: Option<&PublicKey>) {
    let verdict = match verdict {
        true => "Accepted",
        false => "Failed",
    };
    let key = key.map(|key| format!(": ED25519 {}", fingerprint(key)));
    let (user, peer, key) = (shown(user), place(peer), key.unwrap_or_default());
    say(format_args!(
        "{verdict} {method} for {user} from {peer} ssh2{key}"
    ));
}

/// Logs that somebody came with a key that is no Ed25519 key; what they are told.
fn refuse_type(user: &str, algorithm: &str, peer: SocketAddr) -> String {
    let algorithm = algorithm.escape_debug();
    say(format_args!(
        "Failed publickey for {} from {} ssh2: {algorithm} is not supported",
        shown(user),
        place(peer)
    ));
    format!("{algorithm} keys are not supported here.\r\n{KEYS_TAKEN}")
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

    fn knows(&self, ip: IpAddr) -> bool {
        self.change(|strangers| strangers.contains(&ip))
    }
}
