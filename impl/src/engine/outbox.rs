//! What leaves us: sealing, holding back during a key exchange, and the record of both directions.

use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::crypto::{PacketKey, Rng};
use crate::keylog::KeyLog;
use crate::msg::{Message, MessageId};
use crate::packet::PacketWriter;
use crate::trace::{Direction, Recorder, TraceEntry, Traced};

/// The way out.
pub(super) struct Outbox {
    writer: PacketWriter,
    /// The connection's one source of randomness.
    pub(super) rng: Rng,
    transmit: Vec<u8>,
    /// Our KEXINIT is out and our NEWKEYS is not: only key exchange may pass (RFC 4253 §7.1).
    holding: bool,
    held: Vec<Zeroizing<Vec<u8>>>,
    held_bytes: usize,
    recorder: Option<Box<dyn Recorder>>,
    pub(super) key_log: Option<Box<dyn KeyLog>>,
    started: Instant,
    /// The time of the call under way.
    pub(super) now: Instant,
}

impl Outbox {
    pub(super) fn new(rng: Rng, recorder: Option<Box<dyn Recorder>>, now: Instant) -> Self {
        Self {
            writer: PacketWriter::default(),
            rng,
            transmit: Vec::new(),
            holding: false,
            held: Vec::new(),
            held_bytes: 0,
            recorder,
            key_log: None,
            started: now,
            now,
        }
    }

    /// Sends the message, or keeps it until the key exchange under way is over.
    pub(super) fn send(&mut self, message: &Message<'_>) {
        let id = message.id();
        if self.holding && !id.is_kex() && !id.is_generic() {
            let payload = Zeroizing::new(message.to_payload());
            self.held_bytes += payload.len();
            self.held.push(payload);
        } else {
            self.seal(message);
        }
    }

    /// The identification line goes out as it is.
    pub(super) fn send_ident(&mut self, ident: &str) {
        self.transmit.extend_from_slice(ident.as_bytes());
        self.transmit.extend_from_slice(b"\r\n");
        self.record_ident(Direction::Outbound, ident.as_bytes());
    }

    /// From here on only key exchange passes.
    pub(super) fn hold(&mut self) {
        self.holding = true;
    }

    /// Our NEWKEYS is out: new keys, then what was held, in order.
    pub(super) fn change_keys(&mut self, key: PacketKey, resets_sequence_number: bool) {
        self.writer.change_keys(key, resets_sequence_number);
        self.holding = false;
        self.held_bytes = 0;
        for payload in std::mem::take(&mut self.held) {
            // Encoded by us, so that it decodes.
            if let Ok(message) = Message::decode(&payload) {
                self.seal(&message);
            }
        }
    }

    pub(super) fn is_holding(&self) -> bool {
        self.holding
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    pub(super) fn transmit_bytes(&self) -> usize {
        self.transmit.len()
    }

    pub(super) fn take_transmit(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.transmit)
    }

    pub(super) fn epoch_bytes(&self) -> u64 {
        self.writer.epoch_bytes()
    }

    pub(super) fn epoch_packets(&self) -> u64 {
        self.writer.epoch_packets()
    }

    pub(super) fn record_ident(&mut self, direction: Direction, ident: &[u8]) {
        self.record(direction, || {
            Traced::Ident(ident.escape_ascii().to_string())
        });
    }

    pub(super) fn record_inbound(
        &mut self,
        sequence_number: u32,
        key_epoch: u32,
        payload: &[u8],
        message: Option<&Message<'_>>,
    ) {
        let id = MessageId(payload.first().copied().unwrap_or(0));
        self.record(Direction::Inbound, || Traced::Packet {
            sequence_number,
            key_epoch,
            message: id,
            fields: message.map(Message::describe).unwrap_or_default(),
            payload_bytes: payload.len(),
        });
    }

    pub(super) fn record_close(&mut self, direction: Direction) {
        self.record(direction, || Traced::Closed);
    }

    fn seal(&mut self, message: &Message<'_>) {
        let (sequence_number, key_epoch) = (self.writer.sequence_number(), self.writer.key_epoch());
        let payload_bytes = self
            .writer
            .seal(&mut self.rng, &mut self.transmit, |w| message.encode(w));
        self.record(Direction::Outbound, || Traced::Packet {
            sequence_number,
            key_epoch,
            message: message.id(),
            fields: message.describe(),
            payload_bytes,
        });
    }

    fn record(&mut self, direction: Direction, what: impl FnOnce() -> Traced) {
        let at = self.elapsed();
        if let Some(recorder) = &mut self.recorder {
            recorder.record(TraceEntry {
                at,
                direction,
                what: what(),
            });
        }
    }

    fn elapsed(&self) -> Duration {
        self.now.saturating_duration_since(self.started)
    }
}
