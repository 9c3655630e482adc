//! The byte stream of one connection: lines, then packets, each recorded in the trace.
//!
//! Knows nothing of what messages mean. Reads with deadlines and keeps a bounded amount.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use minissh::crypto::{CryptoRng, PacketKey};
use minissh::msg::MessageId;
use minissh::trace::{Direction, Field, TraceEntry, Traced};

use super::Clock;
use super::message::Message;
use super::packets::{Framing, Half, Unreadable};
use crate::scenario::verbs::Verb;
use crate::verdict::Broken;

/// Most bytes without a line end before the identification. RFC 4253 says 255 for the
/// identification itself; servers greet at more length.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// Most entries of a trace; a flood shall not fill the memory.
const TRACE_ENTRIES_MAX: usize = 10_000;

/// Something that came, or that will not come any more.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Incoming {
    /// A line before the packets, or a message that could be decoded.
    Message {
        message: Message,
        /// As it came; of a line, without its end.
        payload: Vec<u8>,
    },
    /// A packet whose payload is not the message its number says.
    Undecodable { id: MessageId, why: String },
    /// Bytes that are no packet.
    Unreadable(Unreadable),
    /// The end of the stream.
    Closed,
}

/// The connection.
pub(super) struct Link {
    stream: TcpStream,
    clock: Clock,
    unread: Vec<u8>,
    outbound: Half,
    inbound: Half,
    their_ident_came: bool,
    /// What came could not be read; only the end is still waited for.
    unreadable: bool,
    ended: bool,
    trace: Vec<TraceEntry>,
}

impl Link {
    pub(super) fn new(stream: TcpStream, clock: Clock) -> Result<Self, Broken> {
        stream
            .set_nodelay(true)
            .map_err(|e| Broken::while_doing("cannot set up the connection", e))?;
        stream
            .set_write_timeout(Some(Duration::from_secs(10)))
            .map_err(|e| Broken::while_doing("cannot set up the connection", e))?;
        Ok(Self {
            stream,
            clock,
            unread: Vec::new(),
            outbound: Half::default(),
            inbound: Half::default(),
            their_ident_came: false,
            unreadable: false,
            ended: false,
            trace: Vec::new(),
        })
    }

    /// How many entries the trace has so far.
    pub(super) fn trace_len(&self) -> usize {
        self.trace.len()
    }

    pub(super) fn into_trace(self) -> Vec<TraceEntry> {
        self.trace
    }

    pub(super) fn has_keys(&self) -> bool {
        self.outbound.has_key() && self.inbound.has_key()
    }

    pub(super) fn switch_outbound(&mut self, key: PacketKey, strict: bool) {
        self.outbound.switch(key, strict);
    }

    pub(super) fn switch_inbound(&mut self, key: PacketKey, strict: bool) {
        self.inbound.switch(key, strict);
    }

    /// Sends a line with the given end.
    pub(super) fn send_line(&mut self, text: &[u8], end: &[u8]) -> Result<(), Broken> {
        self.record(
            Direction::Outbound,
            Traced::Ident(text.escape_ascii().to_string()),
        );
        self.write(&[text, end].concat())
    }

    /// Sends a packet and returns its sequence number.
    pub(super) fn send_payload(
        &mut self,
        payload: &[u8],
        framing: Framing,
        rng: &mut impl CryptoRng,
    ) -> Result<u32, Broken> {
        let sequence_number = self.outbound.sequence_number();
        let key_epoch = self.outbound.key_epoch;
        self.record_packet(Direction::Outbound, sequence_number, key_epoch, payload);
        let packet = self.outbound.seal(payload, framing, rng);
        self.write(&packet)?;
        Ok(sequence_number)
    }

    /// A connection that the other side has closed takes what we write to nowhere: what that
    /// means is seen when reading, where everything it said before is still waiting.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        match self.stream.write_all(bytes) {
            Err(error) if !is_close(error.kind()) => {
                Err(Broken::while_doing("cannot write to the subject", error))
            }
            _ => Ok(()),
        }
    }

    /// The next thing that comes, or `None` at the deadline.
    pub(super) fn receive(&mut self, deadline: Instant) -> Result<Option<Incoming>, Broken> {
        loop {
            if let Some(incoming) = self.take_unread() {
                return Ok(Some(incoming));
            }
            if self.ended {
                return Ok(Some(Incoming::Closed));
            }
            if !self.fill(deadline)? {
                return Ok(None);
            }
        }
    }

    /// Reads more; false at the deadline.
    fn fill(&mut self, deadline: Instant) -> Result<bool, Broken> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        self.stream
            .set_read_timeout(Some(left))
            .map_err(|e| Broken::while_doing("cannot set a deadline", e))?;
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => self.end(),
            Ok(count) => self
                .unread
                .extend_from_slice(bytes.get(..count).unwrap_or_default()),
            Err(error) if is_close(error.kind()) => self.end(),
            Err(error) if is_pause(error.kind()) => {}
            Err(error) => return Err(Broken::while_doing("cannot read from the subject", error)),
        }
        Ok(true)
    }

    fn end(&mut self) {
        self.record(Direction::Inbound, Traced::Closed);
        self.ended = true;
    }

    /// What the bytes that came so far make up.
    fn take_unread(&mut self) -> Option<Incoming> {
        if self.unreadable {
            self.unread.clear();
            return None;
        }
        let taken = if self.their_ident_came {
            self.take_packet()
        } else {
            self.take_line()
        };
        taken.unwrap_or_else(|unreadable| {
            self.unreadable = true;
            let Unreadable(why) = &unreadable;
            self.record(
                Direction::Inbound,
                Traced::Ident(format!("[unreadable: {why}]")),
            );
            Some(Incoming::Unreadable(unreadable))
        })
    }

    fn take_packet(&mut self) -> Result<Option<Incoming>, Unreadable> {
        let (sequence_number, key_epoch) = (self.inbound.sequence_number(), self.inbound.key_epoch);
        let Some(payload) = self.inbound.open(&mut self.unread)? else {
            return Ok(None);
        };
        self.record_packet(Direction::Inbound, sequence_number, key_epoch, &payload);
        Ok(Some(match Message::decode(&payload) {
            Ok(message) => Incoming::Message { message, payload },
            Err(error) => {
                let id = MessageId(payload.first().copied().unwrap_or_default());
                Incoming::Undecodable {
                    id,
                    why: error.to_string(),
                }
            }
        }))
    }

    fn take_line(&mut self) -> Result<Option<Incoming>, Unreadable> {
        let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') else {
            let long = self.unread.len() > LINE_BYTES_MAX;
            return if long {
                Err(Unreadable("a line without end".to_owned()))
            } else {
                Ok(None)
            };
        };
        let line: Vec<u8> = self.unread.drain(..=end).collect();
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        self.record(
            Direction::Inbound,
            Traced::Ident(text.escape_ascii().to_string()),
        );
        self.their_ident_came = text.starts_with(b"SSH-");
        let name = if self.their_ident_came {
            "ident"
        } else {
            "line"
        };
        let verb = Verb::named(name).unwrap_or_else(Verb::raw);
        Ok(Some(Incoming::Message {
            message: Message::line(verb, text),
            payload: text.to_vec(),
        }))
    }

    fn record_packet(
        &mut self,
        direction: Direction,
        sequence_number: u32,
        key_epoch: u32,
        payload: &[u8],
    ) {
        let fields = Message::decode(payload).map_or_else(
            |error| {
                vec![Field {
                    name: "undecodable",
                    value: format!("\"{error}\""),
                }]
            },
            |message| message.describe(),
        );
        let message = MessageId(payload.first().copied().unwrap_or_default());
        let payload_bytes = payload.len();
        let packet = Traced::Packet {
            sequence_number,
            key_epoch,
            message,
            fields,
            payload_bytes,
        };
        self.record(direction, packet);
    }

    fn record(&mut self, direction: Direction, what: Traced) {
        if self.trace.len() < TRACE_ENTRIES_MAX {
            self.trace.push(TraceEntry {
                at: (self.clock)(),
                direction,
                what,
            });
        }
    }
}

/// The other side is gone. Which of these comes depends on what it had not read yet.
fn is_close(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
            | ErrorKind::UnexpectedEof
    )
}

fn is_pause(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
