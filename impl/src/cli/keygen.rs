//! `minissh keygen`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueHint;

use super::identity::{explain, unlock};
use super::{Failure, terminal};
use crate::blocking;
use crate::keyfile::{
    self, KeyFile, KeyFileError, NamedKey, Passphrase, StoredKey, fingerprint_line, public_line,
};

const EXAMPLES: &str = "\
Examples:
  minissh keygen ~/.ssh/id_ed25519 -C me@here    make a key; asks for a passphrase
  minissh keygen -N '' host_key                  without passphrase, as a server needs it
  minissh keygen -l host_key                     show its fingerprint
  minissh keygen -y host_key                     show its public line
  minissh keygen -p ~/.ssh/id_ed25519            change its passphrase";

/// Make an Ed25519 key, or show or protect one: FILE for yourself, FILE.pub for others.
///
/// The options are those of ssh-keygen. A passphrase that is not given as an option is asked for on
/// the terminal; without a terminal a new key gets none. What is given as an option can be seen by
/// everybody on this machine for as long as the command runs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group(clap::ArgGroup::new("path").required(true)))]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of ssh-keygen"
)]
pub(super) struct Args {
    /// The private key file; with -l it may be a public one. A new key is never written over an
    /// existing file.
    #[arg(group = "path", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// The same, for the habits of ssh-keygen.
    #[arg(short = 'f', value_name = "FILE", group = "path", value_hint = ValueHint::FilePath)]
    file_option: Option<PathBuf>,
    /// Show the fingerprint of a private or public key file.
    #[arg(short = 'l', long, group = "action")]
    fingerprint: bool,
    /// Show the public line of a private key file.
    #[arg(short = 'y', long, group = "action")]
    public: bool,
    /// Change the passphrase of a private key file, or take it off.
    #[arg(short = 'p', long, group = "action")]
    change_passphrase: bool,
    /// What the key is for, at the end of its public line.
    #[arg(
        short = 'C',
        long,
        default_value = "",
        hide_default_value = true,
        conflicts_with = "action"
    )]
    comment: String,
    /// The new passphrase; '' for none.
    #[arg(short = 'N', long, value_name = "PASSPHRASE", conflicts_with_all = ["fingerprint", "public"])]
    new_passphrase: Option<Secret>,
    /// The passphrase that the file has.
    #[arg(
        short = 'P',
        long,
        value_name = "PASSPHRASE",
        conflicts_with = "fingerprint"
    )]
    passphrase: Option<Secret>,
    /// The type of key; there is only one.
    #[arg(short = 't', value_name = "TYPE", value_parser = ["ed25519"], conflicts_with = "action")]
    key_type: Option<String>,
    /// Say nothing when a key is made.
    #[arg(short, long)]
    quiet: bool,
}

/// A passphrase as an option, which must not be printed with the others; empty for none.
#[derive(Debug, Clone)]
struct Secret(Option<Passphrase>);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Passphrase::new(text))
    }
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let path = args.file.as_deref().or(args.file_option.as_deref());
    let path = path.ok_or_else(|| Failure::new("no file was given"))?;
    if args.fingerprint {
        show_fingerprints(path)?;
    } else if args.public {
        let file = read(path, args)?;
        print(&public_line(&file.key.public_key(), &file.comment))?;
    } else if args.change_passphrase {
        change_passphrase(path, args)?;
    } else {
        make(path, args)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(line: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

fn make(path: &Path, args: &Args) -> Result<(), Failure> {
    // Before anybody thinks of a passphrase.
    for path in [path, &keyfile::public_path(path)] {
        if path.symlink_metadata().is_ok() {
            let source = std::io::ErrorKind::AlreadyExists.into();
            let path = path.to_owned();
            return Err(explain(&KeyFileError::Io { path, source }));
        }
    }
    let passphrase = new_passphrase(args)?;
    let file = KeyFile {
        key: blocking::keygen()?,
        comment: args.comment.clone(),
    };
    file.write_protected(path, passphrase.as_ref())
        .map_err(|error| explain(&error))?;
    match args.quiet {
        true => Ok(()),
        false => print(&keyfile::fingerprint(&file.key.public_key())),
    }
}

fn new_passphrase(args: &Args) -> Result<Option<Passphrase>, Failure> {
    match &args.new_passphrase {
        Some(Secret(passphrase)) => Ok(passphrase.clone()),
        None if terminal::is_there() => terminal::ask_new_passphrase(),
        None if args.change_passphrase => {
            Err(Failure::new("no terminal to ask for the new passphrase on").hint("use -N"))
        }
        None => Ok(None),
    }
}

fn read(path: &Path, args: &Args) -> Result<KeyFile, Failure> {
    let stored = StoredKey::read(path).map_err(|error| explain(&error))?;
    let given = args.passphrase.as_ref();
    let failed = match unlock(
        &stored,
        path,
        given.and_then(|Secret(given)| given.as_ref()),
    ) {
        Ok(file) => return Ok(file),
        Err(failure) => failure,
    };
    match stored.is_encrypted() && given.is_none() && !terminal::is_there() {
        true => Err(failed.hint("give it with -P")),
        false => Err(failed),
    }
}

fn change_passphrase(path: &Path, args: &Args) -> Result<(), Failure> {
    let file = read(path, args)?;
    let passphrase = new_passphrase(args)?;
    file.rewrite(path, passphrase.as_ref())
        .map_err(|error| explain(&error))?;
    let now = match passphrase {
        Some(_) => "has a new passphrase",
        None => "has no passphrase",
    };
    print(&format!("{} {now} now", path.display()))
}

/// A private key file shows its public half without its passphrase; its comment is then that of the
/// public file, if there is one.
fn show_fingerprints(path: &Path) -> Result<(), Failure> {
    let keys = match StoredKey::read(path) {
        Ok(stored) => vec![name(&stored, path)],
        // So it may be a public one.
        Err(KeyFileError::NotPrivate { .. }) => public_keys(path)?,
        Err(error) => return Err(explain(&error)),
    };
    for NamedKey { key, comment } in &keys {
        print(&fingerprint_line(key, comment))?;
    }
    Ok(())
}

fn public_keys(path: &Path) -> Result<Vec<NamedKey>, Failure> {
    keyfile::read_public_file(path).map_err(|error| explain(&error))
}

fn name(stored: &StoredKey, path: &Path) -> NamedKey {
    let key = stored.public_key().clone();
    let comment = match stored.unlock(None) {
        Ok(file) => file.comment,
        Err(_) => keyfile::read_public_file(&keyfile::public_path(path))
            .unwrap_or_default()
            .into_iter()
            .find(|named| named.key == key)
            .map_or_else(String::new, |named| named.comment),
    };
    NamedKey { key, comment }
}
