//! A key log that Wireshark reads, for looking into one's own connections.
//!
//! Whoever has such a log and a capture can read everything that was sent, passwords included. It
//! is written only where a program asks for it, and by nothing else here.
//!
//! Wireshark 4.6 finds the secret of an exchange by the first KEXINIT that it sees: of a later exchange
//! that the *server* begins, and of everything behind it, it reads nothing. Whoever wants to read a long
//! connection lets the client begin, or nobody.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::crypto::SharedSecret;

/// Takes the secret of every key exchange as it completes.
pub trait KeyLog: Send {
    /// `cookie` is that of our KEXINIT, by which a reader finds the exchange.
    fn shared_secret(&mut self, cookie: &[u8; 16], secret: &SharedSecret);
}

/// The line of one key exchange: `COOKIE SHARED_SECRET SECRET`, in hex.
///
/// The secret is written without leading zero bytes: Wireshark up to 4.6 hashes it as it stands in
/// the line, where an mpint has none.
#[must_use]
pub fn line(cookie: &[u8; 16], secret: &SharedSecret) -> Zeroizing<String> {
    let mut line = Zeroizing::new(String::new());
    push_hex(&mut line, cookie);
    line.push_str(" SHARED_SECRET ");
    let zeros = secret
        .expose()
        .iter()
        .take_while(|byte| **byte == 0)
        .count();
    push_hex(&mut line, secret.expose().get(zeros..).unwrap_or_default());
    line.push('\n');
    line
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    // Room first, so that no half-written copy is left behind in memory.
    text.reserve(2 * bytes.len() + 32);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('?'));
        }
    }
}

/// Appends to a file. Clones are the same file, for many connections to share.
#[derive(Debug, Clone)]
pub struct KeyLogFile(Arc<File>);

impl KeyLogFile {
    /// Opens the file, or makes it, readable by its owner alone.
    ///
    /// # Errors
    /// The system's.
    pub fn append_to(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt as _;
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map(|file| Self(Arc::new(file)))
    }
}

impl KeyLog for KeyLogFile {
    fn shared_secret(&mut self, cookie: &[u8; 16], secret: &SharedSecret) {
        // In one write, so that lines of several connections do not mix.
        if let Err(error) = (&*self.0).write_all(line(cookie, secret).as_bytes()) {
            tracing::warn!("cannot write the key log: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_secret_without_its_leading_zeros() {
        let mut secret = [0xab; 32];
        secret[..2].copy_from_slice(&[0, 0]);
        let line = line(&[0x0f; 16], &SharedSecret::from_bytes(secret));
        let expected = format!("{} SHARED_SECRET {}\n", "0f".repeat(16), "ab".repeat(30));
        assert_eq!(*line, expected);
    }
}
