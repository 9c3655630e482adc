//! What crossed the wire, byte by byte, and the keys to read it with.
//!
//! The trace says what was meant and shows no secret; this is the evidence, and shows everything.
//! An end of ours fills it, `report` makes a capture file of it, and a replay plays it again.

use std::fmt;
use std::time::Duration;

use minissh::trace::Direction;

/// Most bytes that one connection keeps; a transfer shall not fill the memory.
pub const CAPTURE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most reads and writes that one connection keeps; a trickle of single bytes is no way around
/// the limit of bytes.
pub const SEGMENTS_MAX: usize = 64 * 1024;

/// Most key exchanges whose secret one connection keeps.
pub const KEY_LINES_MAX: usize = 1024;

/// Which end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that connected.
    Client,
    /// The one that accepted.
    Server,
}

/// One connection as an end of ours saw it.
///
/// Holds everything that was sent, passwords included, and the keys that open it: it goes into
/// capture files only, and prints nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Capture {
    /// Which end recorded it; directions are as seen from there.
    pub recorder: Side,
    /// What came and went, in order.
    pub segments: Vec<Segment>,
    /// One line for each key exchange, as Wireshark reads them: `COOKIE SHARED_SECRET SECRET`.
    pub key_lines: Vec<String>,
    /// What came and went after the last segment is missing, since a limit was reached.
    pub is_cut: bool,
    bytes: usize,
}

/// One read or write, or an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Time since the connection began, by the recorder's clock.
    pub at: Duration,
    /// Which way it went, as seen by the recorder.
    pub direction: Direction,
    /// What it was.
    pub what: Carried,
}

/// What a segment carries.
#[derive(Clone, PartialEq, Eq)]
pub enum Carried {
    /// Bytes as they were read or written.
    Bytes(Vec<u8>),
    /// The end of what this direction carries.
    End,
    /// The end of both directions at once, with whatever was still under way lost.
    Reset,
}

impl Capture {
    /// Of a connection that begins now.
    #[must_use]
    pub fn by(recorder: Side) -> Self {
        Self {
            recorder,
            segments: Vec::new(),
            key_lines: Vec::new(),
            is_cut: false,
            bytes: 0,
        }
    }

    /// Takes in bytes that were read or written.
    pub fn carry(&mut self, at: Duration, direction: Direction, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let is_full = self.bytes + bytes.len() > CAPTURE_BYTES_MAX;
        self.is_cut |= is_full || self.segments.len() >= SEGMENTS_MAX;
        if !self.is_cut {
            self.bytes += bytes.len();
            self.push(at, direction, Carried::Bytes(bytes.to_vec()));
        }
    }

    /// Takes in that a direction has ended.
    pub fn end(&mut self, at: Duration, direction: Direction) {
        if !self.has_ended(direction) {
            self.push(at, direction, Carried::End);
        }
    }

    /// Takes in that the connection was reset by whose bytes go in this direction.
    pub fn reset(&mut self, at: Duration, direction: Direction) {
        if !self.was_reset() {
            self.push(at, direction, Carried::Reset);
        }
    }

    /// Takes in the line of a key exchange, with or without its line end.
    pub fn log_key(&mut self, line: &str) {
        if self.key_lines.len() < KEY_LINES_MAX {
            self.key_lines.push(line.trim_end().to_owned());
        }
    }

    /// How many bytes of both directions it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether all that came begins with these bytes.
    #[must_use]
    pub fn received_first(&self, bytes: &[u8]) -> bool {
        let came = self.segments.iter().filter_map(|segment| match segment {
            Segment {
                direction: Direction::Inbound,
                what: Carried::Bytes(bytes),
                ..
            } => Some(bytes),
            _ => None,
        });
        came.flatten().take(bytes.len()).eq(bytes)
    }

    fn has_ended(&self, direction: Direction) -> bool {
        let is_end = |s: &Segment| s.what == Carried::End && s.direction == direction;
        self.was_reset() || self.segments.iter().any(is_end)
    }

    fn was_reset(&self) -> bool {
        self.segments.iter().any(|s| s.what == Carried::Reset)
    }

    fn push(&mut self, at: Duration, direction: Direction, what: Carried) {
        self.segments.push(Segment {
            at,
            direction,
            what,
        });
    }
}

/// Says how much there is, and nothing of what.
impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::End => f.write_str("end"),
            Self::Reset => f.write_str("reset"),
        }
    }
}

/// Says how much there is, and nothing of what.
impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (segments, keys) = (self.segments.len(), self.key_lines.len());
        write!(
            f,
            "Capture({segments} segments, {} bytes, {keys} keys)",
            self.bytes
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    /// What is kept must be whole up to where it ends: a hole would be read as other bytes.
    #[test]
    fn what_does_not_fit_is_cut_and_so_is_everything_after_it() {
        let mut capture = Capture::by(Side::Client);
        capture.carry(NOW, Direction::Inbound, &vec![1; CAPTURE_BYTES_MAX - 1]);
        assert!(!capture.is_cut);
        capture.carry(NOW, Direction::Inbound, &[2; 2]);
        capture.carry(NOW, Direction::Inbound, &[3]);
        assert!(capture.is_cut);
        assert_eq!(
            (capture.segments.len(), capture.bytes()),
            (1, CAPTURE_BYTES_MAX - 1)
        );
    }

    #[test]
    fn a_trickle_is_cut_too() {
        let mut capture = Capture::by(Side::Server);
        for _ in 0..=SEGMENTS_MAX {
            capture.carry(NOW, Direction::Outbound, b"x");
        }
        assert_eq!(
            (capture.segments.len(), capture.is_cut),
            (SEGMENTS_MAX, true)
        );
    }

    #[test]
    fn what_came_first_is_found_in_any_pieces() {
        let mut capture = Capture::by(Side::Client);
        capture.carry(NOW, Direction::Outbound, b"SSH-2.0-us");
        capture.carry(NOW, Direction::Inbound, b"Not");
        capture.carry(NOW, Direction::Inbound, b" allowed");
        assert!(capture.received_first(b"Not allow"));
        assert!(!capture.received_first(b"Not allowed at"));
        assert!(!capture.received_first(b"SSH"));
    }

    #[test]
    fn an_end_comes_once_for_each_direction() {
        let mut capture = Capture::by(Side::Client);
        capture.end(NOW, Direction::Inbound);
        capture.end(NOW, Direction::Inbound);
        capture.end(NOW, Direction::Outbound);
        capture.reset(NOW, Direction::Inbound);
        capture.end(NOW, Direction::Inbound);
        let ends: Vec<_> = capture
            .segments
            .iter()
            .map(|s| (s.direction, &s.what))
            .collect();
        assert_eq!(
            ends,
            [
                (Direction::Inbound, &Carried::End),
                (Direction::Outbound, &Carried::End),
                (Direction::Inbound, &Carried::Reset),
            ]
        );
    }

    #[test]
    fn nothing_of_it_is_printed() {
        let mut capture = Capture::by(Side::Client);
        capture.carry(NOW, Direction::Outbound, b"secret");
        capture.log_key("0f SHARED_SECRET secret\n");
        assert_eq!(
            format!("{capture:?}"),
            "Capture(1 segments, 6 bytes, 1 keys)"
        );
    }
}
