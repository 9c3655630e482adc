//! The structured record of a connection: what crossed the wire, message by message.
//!
//! Every log, ladder, snapshot and capture is a rendering of these entries. They are made from
//! decoded messages, never from buffers, and secrets are redacted where the fields are made, so
//! that no rendering can leak one. This module does not know who records or who reads.

use std::fmt;
use std::time::Duration;

pub use crate::msg::Field;
use crate::msg::MessageId;

/// Which way something went, as seen by the endpoint that recorded it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The other side sent it.
    Inbound,
    /// The recording endpoint sent it.
    Outbound,
}

impl Direction {
    /// The arrow of scenario files: `>` we send, `<` they send.
    #[must_use]
    pub fn arrow(self) -> char {
        match self {
            Self::Inbound => '<',
            Self::Outbound => '>',
        }
    }
}

/// One thing that crossed the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEntry {
    /// Time since the connection began, by the recorder's injected clock.
    pub at: Duration,
    /// Which way it went.
    pub direction: Direction,
    /// What it was.
    pub what: Traced,
}

/// What crossed the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Traced {
    /// The identification line, without its line end, escaped.
    Ident(String),
    /// A packet.
    Packet {
        /// The implicit sequence number of RFC 4253 §6.4.
        sequence_number: u32,
        /// How many key exchanges came before: 0 is cleartext.
        key_epoch: u32,
        /// The message number.
        message: MessageId,
        /// The decoded fields, in wire order.
        fields: Vec<Field>,
        /// Length of the payload in bytes.
        payload_bytes: usize,
    },
    /// The end of the stream.
    Closed,
}

impl TraceEntry {
    /// The channel that the message is about, by the number it names: the receiver's, and in
    /// `CHANNEL_OPEN`, which knows no other, the sender's.
    #[must_use]
    pub fn channel(&self) -> Option<&str> {
        let Traced::Packet { fields, .. } = &self.what else {
            return None;
        };
        let numbers = ["recipient", "sender"];
        let field = fields.iter().find(|field| numbers.contains(&field.name))?;
        Some(&field.value)
    }

    /// The entry without what its message says: time, arrow, epoch:sequence, message, channel, and
    /// the length of the payload, but for one that may hold a password.
    #[must_use]
    pub fn brief(&self) -> impl fmt::Display {
        Brief(self)
    }

    fn write_head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = self.direction.arrow();
        write!(f, "{:>9.3}ms {arrow} ", self.at.as_secs_f64() * 1e3)?;
        match &self.what {
            Traced::Ident(line) => write!(f, "        ident {line}"),
            Traced::Closed => write!(f, "        closed"),
            Traced::Packet {
                sequence_number,
                key_epoch,
                message,
                ..
            } => write!(f, "{key_epoch:>2}:{sequence_number:<4} {message}"),
        }
    }
}

impl fmt::Display for TraceEntry {
    /// One line of the packet log: time, arrow, epoch:sequence, message, fields.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        if let Traced::Packet { fields, .. } = &self.what {
            for field in fields {
                write!(f, " {}={}", field.name, field.value)?;
            }
        }
        Ok(())
    }
}

struct Brief<'a>(&'a TraceEntry);

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write_head(f)?;
        if let Some(channel) = self.0.channel() {
            write!(f, " channel={channel}")?;
        }
        match self.0.what {
            Traced::Packet {
                message,
                payload_bytes,
                ..
            } if message != MessageId::USERAUTH_REQUEST => write!(f, " bytes={payload_bytes}"),
            _ => Ok(()),
        }
    }
}

/// Takes the entries as they happen.
pub trait Recorder: Send {
    /// Takes one entry.
    fn record(&mut self, entry: TraceEntry);
}

impl<F: FnMut(TraceEntry) + Send> Recorder for F {
    fn record(&mut self, entry: TraceEntry) {
        self(entry);
    }
}
