//! What leaves us: sealing, holding back during a key exchange, and the record of both directions.

use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::status::KeyUse;
use crate::crypto::{PacketKey, Rng};
use crate::keylog::KeyLog;
use crate::msg::{Message, MessageId};
use crate::packet::PacketWriter;
use crate::trace::{Direction, Field, Recorder, TraceEntry, Traced};
use crate::wire::Writer;

/// The most that a packet has around its payload: lengths, padding, tag; rounded up.
const PACKET_OVERHEAD_BYTES: usize = 64;

/// How much more than its room the network is given at once: cutting a packet in two costs a copy.
const ROOM_EXCESS_BYTES: usize = 64 << 10;

/// The way out.
pub(super) struct Outbox {
    writer: PacketWriter,
    /// The connection's one source of randomness.
    pub(super) rng: Rng,
    transmit: Vec<u8>,
    /// Our KEXINIT is out and our NEWKEYS is not: only key exchange may pass (RFC 4253 §7.1).
    holding: bool,
    held: Vec<Zeroizing<Vec<u8>>>,
    /// Of these, bytes that answer the peer; the rest is the application's own.
    owed_bytes: usize,
    /// What is sent now answers the peer.
    pub(super) is_answering: bool,
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
            owed_bytes: 0,
            is_answering: false,
            recorder,
            key_log: None,
            started: now,
            now,
        }
    }

    /// Sends the message, or keeps it until the key exchange under way is over.
    pub(super) fn send(&mut self, message: &Message<'_>) {
        if self.must_wait(message.id()) {
            self.keep(Zeroizing::new(message.to_payload()));
        } else {
            self.seal(message.id(), |w| message.encode(w), || message.describe());
        }
    }

    /// The same for a payload.
    pub(super) fn send_payload(&mut self, payload: Zeroizing<Vec<u8>>) {
        if self.must_wait(id_of(&payload)) {
            self.keep(payload);
        } else {
            self.seal_payload(&payload);
        }
    }

    /// RFC 4253 §7.1 lets generic messages pass as well. What we have of them at a rekey,
    /// UNIMPLEMENTED above all, can wait: since 10.4 OpenSSH takes as little as it may.
    fn must_wait(&self, id: MessageId) -> bool {
        let is_rekey = self.writer.key_epoch() > 0;
        let may_pass = id.is_kex() || id == MessageId::DISCONNECT || id.is_generic() && !is_rekey;
        self.holding && !may_pass
    }

    fn keep(&mut self, payload: Zeroizing<Vec<u8>>) {
        if self.is_answering {
            self.owed_bytes += payload.len();
        }
        self.held.push(payload);
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
        self.owed_bytes = 0;
        for payload in std::mem::take(&mut self.held) {
            self.seal_payload(&payload);
        }
    }

    pub(super) fn is_holding(&self) -> bool {
        self.holding
    }

    /// Bytes that wait for the end of a key exchange.
    pub(super) fn held_bytes(&self) -> usize {
        self.held.iter().map(|payload| payload.len()).sum()
    }

    /// Bytes that the peer made us hold.
    pub(super) fn owed_bytes(&self) -> usize {
        self.owed_bytes
    }

    pub(super) fn transmit_bytes(&self) -> usize {
        self.transmit.len()
    }

    /// As much as the network can take, or all that is finished if that is a packet more.
    pub(super) fn take_transmit(&mut self, room_bytes: usize) -> Vec<u8> {
        let rest = match self.transmit.len() > room_bytes.saturating_add(ROOM_EXCESS_BYTES) {
            true => self.transmit.split_off(room_bytes),
            false => Vec::new(),
        };
        std::mem::replace(&mut self.transmit, rest)
    }

    /// What the current keys have sealed.
    pub(super) fn key_use(&self) -> KeyUse {
        KeyUse {
            bytes: self.writer.epoch_bytes(),
            packets: self.writer.epoch_packets(),
        }
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
        let id = id_of(payload);
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

    fn seal_payload(&mut self, payload: &[u8]) {
        // A buffer that grew while the payload lies open in it would leave a copy of it behind, and
        // it may hold a password.
        self.transmit.reserve(payload.len() + PACKET_OVERHEAD_BYTES);
        let encode = |w: &mut Writer| {
            w.raw(payload);
        };
        // What is too long for a decoder of ours may be right for the peer's.
        let describe = || Message::decode(payload).map(|message| message.describe());
        self.seal(id_of(payload), encode, || describe().unwrap_or_default());
    }

    fn seal(
        &mut self,
        message: MessageId,
        encode: impl FnOnce(&mut Writer),
        describe: impl FnOnce() -> Vec<Field>,
    ) {
        let (sequence_number, key_epoch) = (self.writer.sequence_number(), self.writer.key_epoch());
        let payload_bytes = self.writer.seal(&mut self.rng, &mut self.transmit, encode);
        self.record(Direction::Outbound, || Traced::Packet {
            sequence_number,
            key_epoch,
            message,
            fields: describe(),
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

fn id_of(payload: &[u8]) -> MessageId {
    MessageId(payload.first().copied().unwrap_or(0))
}
