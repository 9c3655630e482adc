//! Identification strings (RFC 4253 §4.2): ours, theirs, and the lines a server may say before.
//!
//! Knows bytes and limits; does not know who reads next.

use thiserror::Error;

/// What we call ourselves. Neutral: a name that begins `OpenSSH_` makes peers change behaviour.
pub const OUR_IDENT: &str = concat!("SSH-2.0-minissh_", env!("CARGO_PKG_VERSION"));

/// Longest identification line without its line end. The RFC allows 253; OpenSSH reads 8 192.
/// Ours is the RFC's, so that both sides of any conversation hash the same bytes.
pub const IDENT_BYTES_MAX: usize = 253;

/// Longest line before the identification line without its line end. Our bound, and OpenSSH's.
pub const PRELUDE_LINE_BYTES_MAX: usize = 8_192;

/// Most lines before the identification line. Our bound, and OpenSSH's: 1 023 are taken.
pub const PRELUDE_LINES_MAX: usize = 1_023;

/// How an identification went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdentFault {
    /// The line does not end within its bound.
    #[error("sent a line of more than {bytes_max} bytes, its identification or one before it")]
    SentEndlessLine {
        /// The bound in bytes.
        bytes_max: usize,
    },
    /// Too many lines before the identification.
    #[error("sent more than {lines_max} lines before its identification")]
    SentTooManyLines {
        /// The bound in lines.
        lines_max: usize,
    },
    /// A client said something before its identification; only servers may.
    #[error("sent {line:?} where only an identification may stand")]
    SentLineBeforeIdent {
        /// The line, escaped and cut.
        line: String,
    },
    /// A byte that an identification may not have: NUL, or a CR that does not end it.
    #[error("sent the byte 0x{byte:02x} inside its identification")]
    SentForbiddenByte {
        /// The byte.
        byte: u8,
    },
    /// A protocol version that we do not speak.
    #[error("speaks protocol {version:?}, not 2.0 or 1.99")]
    SpeaksAnotherVersion {
        /// The version, escaped and cut.
        version: String,
    },
}

/// Finds the peer's identification at the start of its stream.
#[derive(Debug)]
pub struct IdentReader {
    lines_allowed: usize,
    lines: usize,
}

/// What [`IdentReader::read`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum IdentRead {
    /// The line is not complete; `consumed` bytes of earlier lines are done with.
    More {
        /// Bytes to drop from the front.
        consumed: usize,
    },
    /// The identification, without its line end, as it enters the exchange hash.
    Done {
        /// The line.
        ident: Vec<u8>,
        /// Bytes to drop from the front.
        consumed: usize,
    },
}

impl IdentReader {
    /// For the stream of a server, which may say other lines first.
    #[must_use]
    pub fn of_server() -> Self {
        Self {
            lines_allowed: PRELUDE_LINES_MAX,
            lines: 0,
        }
    }

    /// For the stream of a client, whose first line is its identification.
    #[must_use]
    pub fn of_client() -> Self {
        Self {
            lines_allowed: 0,
            lines: 0,
        }
    }

    /// Looks for the identification in what has come so far.
    ///
    /// # Errors
    /// An [`IdentFault`]; the connection cannot go on.
    pub fn read(&mut self, bytes: &[u8]) -> Result<IdentRead, IdentFault> {
        let mut consumed = 0;
        loop {
            let rest = bytes.get(consumed..).unwrap_or_default();
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                self.bound(rest)?;
                return Ok(IdentRead::More { consumed });
            };
            let line = rest.get(..end).unwrap_or_default();
            self.bound(line)?;
            consumed += end + 1;
            if line.starts_with(b"SSH-") {
                let ident = checked(line.strip_suffix(b"\r").unwrap_or(line))?;
                return Ok(IdentRead::Done { ident, consumed });
            }
            self.on_other_line(line)?;
        }
    }

    fn bound(&self, line: &[u8]) -> Result<(), IdentFault> {
        let is_ident = line.starts_with(b"SSH-") || self.lines_allowed == 0;
        let bytes_max = if is_ident {
            IDENT_BYTES_MAX
        } else {
            PRELUDE_LINE_BYTES_MAX
        };
        // A CR is half a line end, also while the LF is not there yet.
        if line.strip_suffix(b"\r").unwrap_or(line).len() > bytes_max {
            return Err(IdentFault::SentEndlessLine { bytes_max });
        }
        Ok(())
    }

    fn on_other_line(&mut self, line: &[u8]) -> Result<(), IdentFault> {
        if self.lines_allowed == 0 {
            return Err(IdentFault::SentLineBeforeIdent {
                line: excerpt(line),
            });
        }
        self.lines += 1;
        if self.lines > self.lines_allowed {
            return Err(IdentFault::SentTooManyLines {
                lines_max: self.lines_allowed,
            });
        }
        Ok(())
    }
}

fn checked(ident: &[u8]) -> Result<Vec<u8>, IdentFault> {
    // A peer that keeps what we cut (or the other way) would compute another exchange hash.
    if let Some(byte) = ident.iter().copied().find(|byte| matches!(byte, 0 | b'\r')) {
        return Err(IdentFault::SentForbiddenByte { byte });
    }
    let version = ident.strip_prefix(b"SSH-").unwrap_or_default();
    if version.starts_with(b"2.0-") || version.starts_with(b"1.99-") {
        return Ok(ident.to_vec());
    }
    Err(IdentFault::SpeaksAnotherVersion {
        version: excerpt(version),
    })
}

fn excerpt(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(40)
        .copied()
        .flat_map(std::ascii::escape_default)
        .map(char::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ident(bytes: &[u8]) -> Result<IdentRead, IdentFault> {
        IdentReader::of_server().read(bytes)
    }

    #[test]
    fn bare_lf_and_1_99_are_taken() {
        for line in [&b"SSH-1.99-x\n"[..], b"SSH-1.99-x\r\n"] {
            let done = IdentRead::Done {
                ident: b"SSH-1.99-x".to_vec(),
                consumed: line.len(),
            };
            assert_eq!(ident(line), Ok(done));
        }
    }

    fn is_too_long(bytes: &[u8]) -> bool {
        matches!(ident(bytes), Err(IdentFault::SentEndlessLine { .. }))
    }

    #[test]
    fn the_longest_ident_is_taken_and_one_byte_more_is_not() {
        for line_end in ["\r\n", "\n", "\r", ""] {
            for (bytes, is_refused) in [(253, false), (254, true)] {
                let line = format!("SSH-2.0-{}{line_end}", "x".repeat(bytes - 8));
                assert_eq!(is_too_long(line.as_bytes()), is_refused, "{line:?}");
            }
        }
    }

    #[test]
    fn the_longest_line_before_an_ident_is_taken_and_one_byte_more_is_not() {
        for line_end in ["\r\n", "\n", "\r", ""] {
            for (bytes, is_refused) in [(8_192, false), (8_193, true)] {
                let line = "x".repeat(bytes) + line_end;
                assert_eq!(is_too_long(line.as_bytes()), is_refused, "{line_end:?}");
            }
        }
    }

    #[test]
    fn a_server_may_speak_first_but_not_forever_and_a_client_may_not() {
        let lines = |count: usize| [b"hi\n".repeat(count), b"SSH-2.0-x\n".to_vec()].concat();
        assert!(matches!(ident(&lines(1_023)), Ok(IdentRead::Done { .. })));
        assert!(matches!(
            ident(&lines(1_024)),
            Err(IdentFault::SentTooManyLines { .. })
        ));
        assert!(matches!(
            IdentReader::of_client().read(&lines(1)),
            Err(IdentFault::SentLineBeforeIdent { .. })
        ));
    }

    #[test]
    fn nul_and_a_lone_cr_are_refused() {
        for line in [&b"SSH-2.0-a\0b\r\n"[..], b"SSH-2.0-a\rb\r\n"] {
            assert!(matches!(
                ident(line),
                Err(IdentFault::SentForbiddenByte { .. })
            ));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = IdentReader::of_client().read(&bytes);
            let _ = IdentReader::of_server().read(&bytes);
        }
    }
}
