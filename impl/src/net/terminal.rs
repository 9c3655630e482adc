//! What a session channel is told around its program: terminal, environment, sizes and signals.

use crate::msg::Request;

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TerminalSize {
    /// Width in characters.
    pub columns: u32,
    /// Height in rows.
    pub rows: u32,
    /// Width in pixels; 0 where it is not known.
    pub width_pixels: u32,
    /// Height in pixels; 0 where it is not known.
    pub height_pixels: u32,
}

impl TerminalSize {
    /// So many characters, pixels unknown.
    #[must_use]
    pub fn of(columns: u32, rows: u32) -> Self {
        Self {
            columns,
            rows,
            ..Self::default()
        }
    }

    pub(super) fn from_wire([columns, rows, width_pixels, height_pixels]: [u32; 4]) -> Self {
        Self {
            columns,
            rows,
            width_pixels,
            height_pixels,
        }
    }

    pub(super) fn to_wire(self) -> [u32; 4] {
        [
            self.columns,
            self.rows,
            self.width_pixels,
            self.height_pixels,
        ]
    }
}

/// A terminal mode by its opcode, and its argument (RFC 4254 §8).
pub type TerminalMode = (u8, u32);

/// Ends the modes.
const TTY_OP_END: u8 = 0;

/// Opcodes from here on have no argument that we know how to skip: parsing stops.
const TTY_OP_UNKNOWN: u8 = 160;

/// A terminal that a program is to run on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pty {
    /// `TERM`.
    pub term: String,
    /// Its first size.
    pub size: TerminalSize,
    /// Its modes, in the order they were given.
    pub modes: Vec<TerminalMode>,
}

impl Pty {
    /// A terminal with no modes said.
    #[must_use]
    pub fn new(term: impl Into<String>, size: TerminalSize) -> Self {
        Self {
            term: term.into(),
            size,
            modes: Vec::new(),
        }
    }

    /// The terminal that a `pty-req` asks for; `None` for another request, or a `TERM` that is not
    /// text.
    pub(super) fn from_request(request: &Request<'_>) -> Option<Self> {
        let Request::PtyReq { term, size, modes } = request else {
            return None;
        };
        Some(Self {
            term: std::str::from_utf8(term).ok()?.to_owned(),
            size: TerminalSize::from_wire(*size),
            modes: decode_modes(modes),
        })
    }

    pub(super) fn encoded_modes(&self) -> Vec<u8> {
        let mut encoded = Vec::new();
        for (opcode, argument) in &self.modes {
            encoded.push(*opcode);
            encoded.extend(argument.to_be_bytes());
        }
        encoded.push(TTY_OP_END);
        encoded
    }
}

fn decode_modes(mut encoded: &[u8]) -> Vec<TerminalMode> {
    let mut modes = Vec::new();
    while let [opcode, a, b, c, d, rest @ ..] = encoded
        && (TTY_OP_END + 1..TTY_OP_UNKNOWN).contains(opcode)
    {
        modes.push((*opcode, u32::from_be_bytes([*a, *b, *c, *d])));
        encoded = rest;
    }
    modes
}

/// What the peer tells a running program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelEvent {
    /// The terminal has another size.
    Resized(TerminalSize),
    /// A signal for the program, named without `SIG`.
    Signalled(String),
}

/// What a peer may have around the programs it runs on our side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPolicy {
    /// Environment variables that it may set; a `*` at the end stands for anything.
    pub env_names: Vec<String>,
    /// Whether it may ask for a terminal.
    pub takes_pty: bool,
}

impl Default for SessionPolicy {
    /// Terminals, and the variables that Debian's `sshd` accepts and its `ssh` sends.
    fn default() -> Self {
        Self {
            env_names: vec!["LANG".to_owned(), "LC_*".to_owned()],
            takes_pty: true,
        }
    }
}

impl SessionPolicy {
    pub(super) fn takes_env(&self, name: &str) -> bool {
        self.env_names
            .iter()
            .any(|pattern| match pattern.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => name == pattern,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_survive_a_round_trip_and_stop_at_what_is_not_known() {
        let mut pty = Pty::new("xterm", TerminalSize::of(80, 24));
        pty.modes = vec![(1, 3), (53, 1), (128, 38_400)];
        let mut encoded = pty.encoded_modes();
        assert_eq!(decode_modes(&encoded), pty.modes);
        encoded.pop();
        encoded.extend([200, 1, 2, 3, 4, 53, 0, 0, 0, 0]);
        assert_eq!(decode_modes(&encoded), pty.modes);
        assert_eq!(decode_modes(&[1, 0, 0]), vec![]);
    }

    #[test]
    fn only_named_variables_are_taken() {
        let policy = SessionPolicy::default();
        assert!(policy.takes_env("LANG") && policy.takes_env("LC_ALL"));
        assert!(!policy.takes_env("LANGUAGE") && !policy.takes_env("LD_PRELOAD"));
    }
}
