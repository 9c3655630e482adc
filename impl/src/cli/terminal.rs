//! Asking the person at the terminal, whatever standard input and output are.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use rustix::termios::{tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::{Failure, stdio};
use crate::keyfile::Passphrase;

/// Longest secret that is taken, in bytes; OpenSSH's too.
const SECRET_BYTES_MAX: usize = 1_023;

/// What Ctrl-C, Ctrl-D, Ctrl-U and the two kinds of backspace send.
mod keys {
    pub(super) const INTERRUPT: u8 = 3;
    pub(super) const END: u8 = 4;
    pub(super) const BACKSPACE: u8 = 8;
    pub(super) const ERASE_LINE: u8 = 21;
    pub(super) const DELETE: u8 = 127;
}

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
    let secret = match open() {
        None => Err(ErrorKind::NotFound.into()),
        Some(terminal) => Hidden::new(terminal).and_then(|mut hidden| hidden.ask(question)),
    };
    secret.map_err(|error: io::Error| {
        let what = question.trim_end_matches([':', ' ']);
        match error.kind() {
            ErrorKind::NotFound => Failure::new(format!("no terminal to ask on: {what}")),
            _ => Failure::new(format!("{what}: {error}")),
        }
    })
}

/// A terminal that does not show what is typed, until this is dropped. Keys that would end the
/// program are read as bytes, so that it cannot end and leave the terminal so.
struct Hidden {
    terminal: File,
    before: Termios,
}

impl Hidden {
    /// What was typed before is dropped: it was shown.
    fn new(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut hidden = before.clone();
        hidden.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&terminal, OptionalActions::Flush, &hidden)?;
        Ok(Self { terminal, before })
    }

    fn ask(&mut self, question: &str) -> io::Result<Zeroizing<String>> {
        self.terminal.write_all(question.as_bytes())?;
        let secret = self.read_line();
        self.terminal.write_all(b"\r\n")?;
        let secret = secret?;
        let text = std::str::from_utf8(&secret)
            .map_err(|_| io::Error::new(ErrorKind::InvalidData, "is not UTF-8"))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    fn read_line(&mut self) -> io::Result<Zeroizing<Vec<u8>>> {
        // In one piece, lest growing leave copies behind.
        let mut line = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX));
        loop {
            let mut byte = [0];
            self.terminal.read_exact(&mut byte)?;
            match byte[0] {
                b'\n' | b'\r' => return Ok(line),
                keys::INTERRUPT => return Err(io::Error::other("interrupted")),
                keys::END if line.is_empty() => return Err(ErrorKind::UnexpectedEof.into()),
                keys::ERASE_LINE => line.clear(),
                keys::BACKSPACE | keys::DELETE => drop_last_char(&mut line),
                _ if line.len() == SECRET_BYTES_MAX => {}
                byte => line.push(byte),
            }
        }
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// In UTF-8 the bytes after the first of a character begin with the bits 10.
fn drop_last_char(line: &mut Vec<u8>) {
    while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
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
        stdio::say("The passphrases are not the same.");
    }
    Err(Failure::new("no passphrase was given twice the same"))
}
