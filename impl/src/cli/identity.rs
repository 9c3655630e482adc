//! Who we are: private keys from files, and the login with them or with a password.

use std::collections::VecDeque;
use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use zeroize::Zeroizing;

use super::{Failure, log, stdio, terminal};
use crate::blocking::Ssh;
use crate::engine::Refusal;
use crate::keyfile::{KeyFile, KeyFileError, Passphrase, StoredKey, fingerprint};
use crate::msg::AuthMethod;
use crate::net::Verdict;

/// How often a passphrase is asked for, and a password.
const ATTEMPTS: usize = 3;

/// The key that is tried when none is named, below the home directory.
const DEFAULT_KEY: &str = ".ssh/id_ed25519";

/// What to log in with.
#[derive(Debug, clap::Args)]
pub(super) struct IdentityArgs {
    /// Log in with this private key; several are tried in their order, and without any
    /// `~/.ssh/id_ed25519` if it is there. A password is asked for if no key is accepted and the
    /// server takes passwords.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    identity: Vec<PathBuf>,
}

/// Says what is wrong with a key file, and what to do.
pub(super) fn explain(error: &KeyFileError) -> Failure {
    match error.hint() {
        Some(hint) => Failure::new(error).hint(hint),
        None => Failure::new(error),
    }
}

/// Logs in with what the server takes: the keys in their order, then a password that is asked for.
pub(super) fn log_in(
    args: &IdentityArgs,
    ssh: &Ssh,
    user: &str,
    host: &str,
) -> Result<(), Failure> {
    let mut attempts = Attempts::new(args, user, host);
    // What the server takes it says only when it has refused something.
    let mut refusal = None;
    loop {
        let attempt = attempts.next(refusal.as_ref())?;
        tracing::info!("trying {attempt}");
        let is_in = match &attempt {
            Attempt::Key(key) => match ssh.userauth_probe(user, key.stored.public_key())? {
                Verdict::LetIn => Ok(true),
                Verdict::Refused => Ok(false),
                // Only now is its passphrase worth asking for.
                Verdict::KeyAccepted => {
                    tracing::info!("the server takes that key");
                    show_banners(ssh);
                    let Some(key) = attempts.usable(key.open())? else {
                        continue;
                    };
                    ssh.userauth_publickey(user, &key.key)
                }
            },
            Attempt::Nothing => ssh.userauth_none(user),
            Attempt::Password(password) => ssh.userauth_password(user, password),
        };
        show_banners(ssh);
        if is_in? {
            return Ok(());
        }
        let refused = ssh.userauth_refusal()?.unwrap_or_default();
        tracing::info!("refused; what can go on: {}", methods(&refused));
        attempts.learn(attempt, &refused)?;
        refusal = Some(refused);
    }
}

/// What the server is shown next.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Attempt {
    Key(OwnKey),
    Nothing,
    Password(Zeroizing<String>),
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => {
                let fingerprint = fingerprint(key.stored.public_key());
                write!(f, "the key {} {fingerprint}", key.path.display())
            }
            Self::Nothing => f.write_str("no credential, to learn what the server takes"),
            Self::Password(_) => f.write_str("a password"),
        }
    }
}

/// A private key, locked as it lies on the disk.
struct OwnKey {
    path: PathBuf,
    stored: StoredKey,
}

impl OwnKey {
    /// Reads a private key that is for its owner alone.
    fn read(path: &Path) -> Result<Self, Failure> {
        let stored = StoredKey::read(path).map_err(|error| explain(&error))?;
        check_permissions(path, "private key")?;
        Ok(Self {
            path: path.to_owned(),
            stored,
        })
    }

    /// Asks for its passphrase if it has one.
    fn open(&self) -> Result<KeyFile, Failure> {
        unlock(&self.stored, &self.path, None)
    }
}

/// What there is to log in with, and what became of it.
struct Attempts {
    user: String,
    /// As messages have it.
    place: String,
    files: VecDeque<PathBuf>,
    /// Whether the files were named by the user.
    are_named: bool,
    /// Keys to be tried next, before those of the files.
    keys: VecDeque<OwnKey>,
    /// Keys that the server did not take. It may after something else that it wanted first.
    refused: Vec<OwnKey>,
    passwords_left: usize,
}

impl Attempts {
    fn new(args: &IdentityArgs, user: &str, host: &str) -> Self {
        let usual = std::env::home_dir().map(|home| home.join(DEFAULT_KEY));
        let usual = usual.filter(|path| path.exists());
        let are_named = !args.identity.is_empty();
        Self {
            user: user.to_owned(),
            place: format!("{user}@{host}"),
            files: match are_named {
                true => args.identity.iter().cloned().collect(),
                false => usual.into_iter().collect(),
            },
            are_named,
            keys: VecDeque::new(),
            refused: Vec::new(),
            passwords_left: ATTEMPTS,
        }
    }

    fn next(&mut self, refusal: Option<&Refusal>) -> Result<Attempt, Failure> {
        if refusal.is_none_or(|refusal| takes(refusal, AuthMethod::PUBLICKEY))
            && let Some(key) = self.next_key()?
        {
            return Ok(Attempt::Key(key));
        }
        let Some(refusal) = refusal else {
            // As ssh does. A password typed in vain is a password given away.
            return Ok(Attempt::Nothing);
        };
        if !takes(refusal, AuthMethod::PASSWORD)
            || self.passwords_left == 0
            || !terminal::is_there()
        {
            return Err(self.explain(refusal));
        }
        self.passwords_left -= 1;
        terminal::ask_secret(&format!("{}'s password: ", self.user)).map(Attempt::Password)
    }

    fn next_key(&mut self) -> Result<Option<OwnKey>, Failure> {
        while self.keys.is_empty()
            && let Some(path) = self.files.pop_front()
        {
            // As with ssh, a name that is no file's is one key less.
            if self.are_named && !path.exists() {
                log::note(format_args!(
                    "warning: {}: there is no such file",
                    path.display()
                ));
                continue;
            }
            let read = self.usable(OwnKey::read(&path))?;
            self.keys.extend(read);
        }
        Ok(self.keys.pop_front())
    }

    /// The usual key is left aside if it is of no use.
    fn usable<T>(&self, key: Result<T, Failure>) -> Result<Option<T>, Failure> {
        match key {
            Err(failure) if !self.are_named => {
                log::note(format_args!("warning: {}", failure.what));
                Ok(None)
            }
            key => key.map(Some),
        }
    }

    /// Takes note of why the server did not let us in.
    fn learn(&mut self, attempt: Attempt, refusal: &Refusal) -> Result<(), Failure> {
        if refusal.wants_new_password {
            return Err(Failure::new(format!(
                "{}: the password is right and has to be changed first",
                self.place
            ))
            .hint("change it on that machine, or with ssh: minissh cannot"));
        }
        if refusal.is_partial_success {
            log::note(format_args!(
                "{}: that was right and is not enough; what is wanted now: {}",
                self.place,
                methods(refusal)
            ));
            self.keys.extend(self.refused.drain(..));
        } else if let Attempt::Key(key) = attempt {
            self.refused.push(key);
        }
        Ok(())
    }

    /// In the words of ssh, which people know.
    fn explain(&self, refusal: &Refusal) -> Failure {
        let takes_passwords = takes(refusal, AuthMethod::PASSWORD);
        let failure = Failure::new(format!(
            "{}: Permission denied ({}).",
            self.place,
            methods(refusal)
        ));
        if takes_passwords && self.passwords_left > 0 {
            failure.hint("there is no terminal to ask for a password on")
        } else if takes_passwords {
            failure
        } else if self.refused.is_empty() {
            failure.hint("a key is given with -i")
        } else {
            failure.hint("is the public key among the authorized ones?")
        }
    }
}

/// Whether the server lets in by this method.
fn takes(refusal: &Refusal, method: &str) -> bool {
    refusal.methods.iter().any(|taken| taken == method)
}

/// The server's words, without what would command the terminal.
fn methods(refusal: &Refusal) -> String {
    refusal.methods.join(",").escape_debug().to_string()
}

/// Reads a private key that is for its owner alone; asks for its passphrase if it has one.
pub(super) fn read_key(path: &Path) -> Result<KeyFile, Failure> {
    OwnKey::read(path)?.open()
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
            Err(KeyFileError::WrongPassphrase { .. }) => stdio::say("Wrong, try again."),
            unlocked => return unlocked.map_err(|error| explain(&error)),
        }
    }
    let passphrase = terminal::ask_passphrase(&question)?;
    stored
        .unlock(passphrase.as_ref())
        .map_err(|error| explain(&error))
}

/// Refuses a file with secrets that others can read, as `ssh` does; `what` is what it is.
pub(super) fn check_permissions(path: &Path, what: &str) -> Result<(), Failure> {
    let data = std::fs::metadata(path).map_err(Failure::new)?;
    let mode = data.permissions().mode() & 0o777;
    match data.is_file() && mode & 0o077 != 0 {
        false => Ok(()),
        true => Err(Failure::new(format!(
            "{}: is a {what} that others may read (mode {mode:04o})",
            path.display()
        ))
        .hint(format!("chmod 600 {}", path.display()))),
    }
}

/// What the server says to people.
fn show_banners(ssh: &Ssh) {
    for banner in ssh.banners().unwrap_or_default() {
        log::note(readable(&banner).trim_end_matches('\n'));
    }
}

/// A text without what would command the terminal.
fn readable(text: &[u8]) -> String {
    let mut readable = String::new();
    for char in String::from_utf8_lossy(text).chars() {
        match char {
            '\r' => {}
            '\n' | '\t' => readable.push(char),
            char if char.is_control() => readable.extend(char.escape_default()),
            char => readable.push(char),
        }
    }
    readable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banner_stays_as_it_is_but_for_what_commands_the_terminal() {
        let text = "Don't enter: \"Zutritt für Befugte\"\tC:\\new\r\n";
        assert_eq!(readable(text.as_bytes()), text.replace('\r', ""));
        assert_eq!(
            readable(b"\x1b]0;title\x07\xff"),
            "\\u{1b}]0;title\\u{7}\u{fffd}"
        );
    }

    #[test]
    fn a_password_that_has_to_be_changed_is_not_asked_for_again() {
        let args = IdentityArgs { identity: vec![] };
        let mut attempts = Attempts::new(&args, "robin", "host");
        let refusal = Refusal {
            methods: vec!["password".to_owned()],
            is_partial_success: false,
            wants_new_password: true,
        };
        let learned = attempts.learn(Attempt::Password(Zeroizing::default()), &refusal);
        let what = learned.map_err(|failure| failure.what).unwrap_err();
        assert!(
            what.contains("robin@host") && what.contains("has to be changed"),
            "{what}"
        );
    }
}
