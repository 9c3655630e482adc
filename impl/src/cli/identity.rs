//! Who we are: private keys from files, and the login with them or with a password.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{Failure, terminal};
use crate::blocking::Ssh;
use crate::crypto::SigningKey;
use crate::keyfile::{KeyFile, KeyFileError, Passphrase, StoredKey};

/// How often a passphrase is asked for, and a password.
const ATTEMPTS: usize = 3;

/// The key that is tried when none is named, below the home directory.
const DEFAULT_KEY: &str = ".ssh/id_ed25519";

/// What to log in with.
#[derive(Debug, clap::Args)]
pub(super) struct IdentityArgs {
    /// Log in with this private key; without it, with `~/.ssh/id_ed25519` if it is there. A
    /// password is asked for if the key is not accepted.
    #[arg(short, long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

/// Says what is wrong with a key file, and what to do.
pub(super) fn explain(error: &KeyFileError) -> Failure {
    match error.hint() {
        Some(hint) => Failure::new(error).hint(hint),
        None => Failure::new(error),
    }
}

/// Logs in, by key if there is one, else by a password that is asked for.
pub(super) fn log_in(args: &IdentityArgs, ssh: &Ssh, user: &str) -> Result<(), Failure> {
    let key = choose_key(args)?;
    if let Some(key) = &key {
        let accepted = ssh.userauth_publickey(user, key);
        show_banners(ssh);
        if accepted? {
            return Ok(());
        }
    }
    let hint = match key {
        Some(_) => "is the public key among the authorized ones?",
        None => "a key is given with -i",
    };
    let refused = || Failure::new(format!("{user} was not let in")).hint(hint);
    if !terminal::is_there() {
        return Err(refused());
    }
    for _ in 0..ATTEMPTS {
        let password = terminal::ask_secret(&format!("{user}'s password: "))?;
        let accepted = ssh.userauth_password(user, &password);
        show_banners(ssh);
        if accepted? {
            return Ok(());
        }
    }
    Err(refused())
}

/// The key that was named, or the usual one. The usual one is left aside if it is of no use.
fn choose_key(args: &IdentityArgs) -> Result<Option<SigningKey>, Failure> {
    if let Some(path) = &args.identity {
        return read_key(path).map(|file| Some(file.key));
    }
    let Some(path) = std::env::home_dir().map(|home| home.join(DEFAULT_KEY)) else {
        return Ok(None);
    };
    if !path.exists() {
        return Ok(None);
    }
    match read_key(&path) {
        Ok(file) => Ok(Some(file.key)),
        Err(failure) => {
            eprintln!("warning: {}", failure.what);
            Ok(None)
        }
    }
}

/// Reads a private key that is for its owner alone; asks for its passphrase if it has one.
pub(super) fn read_key(path: &Path) -> Result<KeyFile, Failure> {
    let stored = StoredKey::read(path).map_err(|error| explain(&error))?;
    check_permissions(path)?;
    unlock(&stored, path, None)
}

/// Opens a key file with `given`, or with what the terminal says.
pub(super) fn unlock(
    stored: &StoredKey,
    path: &Path,
    given: Option<&Passphrase>,
) -> Result<KeyFile, Failure> {
    if given.is_some() || !stored.is_encrypted() || !terminal::is_there() {
        return stored.unlock(given).map_err(|error| explain(&error));
    }
    let question = format!("Passphrase of {}: ", path.display());
    for _ in 1..ATTEMPTS {
        let passphrase = terminal::ask_passphrase(&question)?;
        match stored.unlock(passphrase.as_ref()) {
            Err(KeyFileError::WrongPassphrase { .. }) => eprintln!("Wrong, try again."),
            unlocked => return unlocked.map_err(|error| explain(&error)),
        }
    }
    let passphrase = terminal::ask_passphrase(&question)?;
    stored
        .unlock(passphrase.as_ref())
        .map_err(|error| explain(&error))
}

/// Refuses a private key that others can read, as `ssh` does.
fn check_permissions(path: &Path) -> Result<(), Failure> {
    let data = std::fs::metadata(path).map_err(Failure::new)?;
    let mode = data.permissions().mode() & 0o777;
    match data.is_file() && mode & 0o077 != 0 {
        false => Ok(()),
        true => Err(Failure::new(format!(
            "{}: is a private key that others may read (mode {mode:04o})",
            path.display()
        ))
        .hint(format!("chmod 600 {}", path.display()))),
    }
}

/// What the server says to people, without the bytes that would command the terminal.
fn show_banners(ssh: &Ssh) {
    for banner in ssh.banners().unwrap_or_default() {
        let text = banner.escape_ascii().to_string();
        eprintln!("{}", text.replace("\\r", "").replace("\\n", "\n"));
    }
}
