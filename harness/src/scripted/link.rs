//! The byte stream of one connection: lines, then packets, each recorded in the trace.
//!
//! Knows nothing of what messages mean. Reads with deadlines and keeps a bounded amount.

use std::io::ErrorKind;
use std::time::Instant;

use minissh::crypto::{CryptoRng, PacketKey};
use minissh::msg::MessageId;
use minissh::trace::{Direction, Field, TraceEntry, Traced};

use super::Clock;
use super::forge::{Delivery, Framing};
use super::message::Message;
use super::packets::{Half, Unreadable};
use crate::scenario::verbs::Verb;
use crate::transcript::Stream;
use crate::verdict::capture::Side;
use crate::verdict::{Broken, Capture};

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

impl Incoming {
    /// Whether it ends the connection.
    pub(super) fn is_end(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::Message { message, .. } => message.is("disconnect"),
            Self::Undecodable { .. } | Self::Unreadable(_) => false,
        }
    }

    /// Whether it is one of the two that both sides may send at any time (RFC 4253 §11).
    pub(super) fn may_come_any_time(&self) -> bool {
        matches!(self, Self::Message { message, .. } if message.is("ignore") || message.is("debug"))
    }
}

/// The connection.
pub(super) struct Link {
    /// None once it was reset.
    stream: Option<Box<dyn Stream>>,
    /// What is written while it is held back, to leave as one segment.
    held: Option<Vec<u8>>,
    clock: Clock,
    unread: Vec<u8>,
    outbound: Half,
    inbound: Half,
    their_ident_came: bool,
    /// What came could not be read; only the end is still waited for.
    unreadable: bool,
    ended: bool,
    trace: Vec<TraceEntry>,
    pub(super) capture: Capture,
}

impl Link {
    pub(super) fn new(stream: Box<dyn Stream>, side: Side, clock: Clock) -> Self {
        Self {
            stream: Some(stream),
            held: None,
            clock,
            unread: Vec::new(),
            outbound: Half::default(),
            inbound: Half::default(),
            their_ident_came: false,
            unreadable: false,
            ended: false,
            trace: Vec::new(),
            capture: Capture::by(side),
        }
    }

    /// How many entries the trace has so far.
    pub(super) fn trace_len(&self) -> usize {
        self.trace.len()
    }

    /// What was recorded; the connection ends with this.
    pub(super) fn into_records(mut self) -> (Vec<TraceEntry>, Capture) {
        self.capture.end((self.clock)(), Direction::Outbound);
        (self.trace, self.capture)
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

    /// The key that our next NEWKEYS will put in force.
    pub(super) fn prepare_outbound(&mut self, key: PacketKey) {
        self.outbound.next = Some(key);
    }

    /// Sends a line with the given end.
    pub(super) fn send_line(
        &mut self,
        text: &[u8],
        end: &[u8],
        delivery: Delivery,
    ) -> Result<(), Broken> {
        self.note(text.escape_ascii().to_string());
        self.deliver(&[text, end].concat(), delivery)
    }

    /// Sends a packet and returns its sequence number.
    pub(super) fn send_payload(
        &mut self,
        payload: &[u8],
        framing: &Framing,
        delivery: Delivery,
        rng: &mut impl CryptoRng,
    ) -> Result<u32, Broken> {
        let sequence_number = self.outbound.sequence_number();
        let key_epoch = self.outbound.key_epoch;
        self.record_packet(Direction::Outbound, sequence_number, key_epoch, payload);
        let theirs = self.inbound.key.as_ref();
        let packet = self.outbound.seal(payload, framing, theirs, rng)?;
        self.deliver(&packet, delivery)?;
        Ok(sequence_number)
    }

    /// Does what is neither a line nor a packet.
    pub(super) fn send_raw(&mut self, what: &Message, delivery: Delivery) -> Result<(), Broken> {
        match what.verb.name {
            "fin" => self.finish_writing(),
            "rst" => self.reset(),
            _ => {
                let bytes = what.bytes("data");
                self.note(format!("[{} bytes]", bytes.len()));
                self.deliver(bytes, delivery)
            }
        }
    }

    /// From here on, nothing leaves until [`Self::release`].
    pub(super) fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// What was held back leaves, in one piece.
    pub(super) fn release(&mut self) -> Result<(), Broken> {
        match self.held.take() {
            Some(bytes) => self.write(&bytes),
            None => Ok(()),
        }
    }

    fn finish_writing(&mut self) -> Result<(), Broken> {
        self.release()?;
        self.note("[end of the stream]".to_owned());
        self.capture.end((self.clock)(), Direction::Outbound);
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        match stream.finish() {
            Err(error) if !is_close(error.kind()) => {
                Err(Broken::while_doing("cannot end the stream", error))
            }
            _ => Ok(()),
        }
    }

    fn reset(&mut self) -> Result<(), Broken> {
        self.release()?;
        self.note("[reset]".to_owned());
        self.capture.reset((self.clock)(), Direction::Outbound);
        self.ended = true;
        match self.stream.take().map(Stream::reset) {
            Some(Err(error)) => Err(Broken::while_doing("cannot reset the connection", error)),
            _ => Ok(()),
        }
    }

    fn note(&mut self, what: String) {
        self.record(Direction::Outbound, Traced::Ident(what));
    }

    fn deliver(&mut self, bytes: &[u8], delivery: Delivery) -> Result<(), Broken> {
        let (pieces, delay) = delivery.pieces(bytes);
        for (number, piece) in pieces.into_iter().enumerate() {
            if number > 0 && !delay.is_zero() {
                std::thread::sleep(delay);
            }
            self.write(piece)?;
        }
        Ok(())
    }

    /// A connection that the other side has closed takes what we write to nowhere: what that
    /// means is seen when reading, where everything it said before is still waiting.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        if let Some(held) = &mut self.held {
            held.extend_from_slice(bytes);
            return Ok(());
        }
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        let at = (self.clock)();
        match stream.send(bytes) {
            Ok(()) => self.capture.carry(at, Direction::Outbound, bytes),
            Err(error) if is_close(error.kind()) => {}
            Err(error) => return Err(Broken::while_doing("cannot write to the subject", error)),
        }
        Ok(())
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
        let mut bytes = [0; 16 * 1024];
        let Some(stream) = &mut self.stream else {
            return Ok(true);
        };
        match stream.receive(&mut bytes, deadline) {
            Ok(None) => return Ok(false),
            Ok(Some(0)) => self.end(),
            Ok(Some(count)) => self.take_in(bytes.get(..count).unwrap_or_default()),
            Err(error) if is_close(error.kind()) => {
                self.capture.reset((self.clock)(), Direction::Inbound);
                self.end();
            }
            Err(error) => return Err(Broken::while_doing("cannot read from the subject", error)),
        }
        Ok(true)
    }

    fn take_in(&mut self, bytes: &[u8]) {
        self.capture
            .carry((self.clock)(), Direction::Inbound, bytes);
        self.unread.extend_from_slice(bytes);
    }

    fn end(&mut self) {
        self.capture.end((self.clock)(), Direction::Inbound);
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
