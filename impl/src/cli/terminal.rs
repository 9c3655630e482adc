//! Asking the person at the terminal, whatever standard input and output are.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};

use zeroize::Zeroizing;

use super::Failure;
use crate::keyfile::Passphrase;

/// How often a new passphrase may be mistyped.
const ATTEMPTS: usize = 3;

fn open() -> Option<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .ok()
}

/// Whether there is somebody to ask.
pub(super) fn is_there() -> bool {
    open().is_some()
}

/// Shows `question` and reads a line; `None` without a terminal or at its end.
pub(super) fn ask(question: &str) -> Option<String> {
    let mut terminal = open()?;
    terminal.write_all(question.as_bytes()).ok()?;
    let mut line = String::new();
    match BufReader::new(terminal).read_line(&mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line.trim().to_owned()),
    }
}

/// Reads a secret without showing it.
pub(super) fn ask_secret(question: &str) -> Result<Zeroizing<String>, Failure> {
    match rpassword::prompt_password(question) {
        Ok(secret) => Ok(Zeroizing::new(secret)),
        Err(error) => Err(Failure::new(format!(
            "cannot ask for {}: {error}",
            question.trim_end_matches([':', ' '])
        ))),
    }
}

/// Reads a passphrase without showing it; `None` for an empty one.
pub(super) fn ask_passphrase(question: &str) -> Result<Option<Passphrase>, Failure> {
    ask_secret(question).map(|mut text| Passphrase::new(std::mem::take(&mut *text)))
}

/// Reads a new passphrase twice, until both are the same.
pub(super) fn ask_new_passphrase() -> Result<Option<Passphrase>, Failure> {
    for _ in 0..ATTEMPTS {
        let passphrase = ask_passphrase("New passphrase (empty for none): ")?;
        if passphrase == ask_passphrase("The same passphrase again: ")? {
            return Ok(passphrase);
        }
        eprintln!("The passphrases are not the same.");
    }
    Err(Failure::new("no passphrase was given twice the same"))
}
