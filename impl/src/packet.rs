//! The binary packet protocol (RFC 4253 §6): bytes to payloads and back.
//!
//! Owns lengths, padding, tags and sequence numbers of one direction each. Opens and seals in the
//! buffer where the bytes lie. Does not know messages: when keys change is for the engine to say.

use thiserror::Error;
use zeroize::Zeroize;

use crate::crypto::{CryptoRng, PacketKey, TAG_BYTES};
use crate::wire::Writer;

/// Largest `packet_length` that is taken, in bytes. Our bound, and OpenSSH's; the RFC asks for at
/// least 35 000 (§6.1).
pub const PACKET_LENGTH_MAX: u32 = 262_144;

/// Smallest `packet_length` in the clear: the packet with its length has at least 16 bytes (§6).
const CLEAR_LENGTH_MIN: u32 = 12;

/// Smallest `packet_length` under the AEAD, whose blocks do not count the length.
const SEALED_LENGTH_MIN: u32 = 8;

/// Bytes of `packet_length`.
const LENGTH_BYTES: usize = 4;

/// What lengths are a multiple of: the stream cipher's block of RFC 4253 §6.
const BLOCK_BYTES: usize = 8;

/// Least padding of a packet in bytes (§6).
const PADDING_BYTES_MIN: usize = 4;

/// What a peer did to its packets. Always the end: the stream cannot be found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PacketFault {
    /// A length below the smallest packet.
    #[error("sent a packet of length {length}, below the least of {length_min}")]
    SentTooShort {
        /// The announced length in bytes.
        length: u32,
        /// The least in bytes.
        length_min: u32,
    },
    /// A length above [`PACKET_LENGTH_MAX`].
    #[error("sent a packet of length {length}, above the most of {PACKET_LENGTH_MAX}")]
    SentTooLong {
        /// The announced length in bytes.
        length: u32,
    },
    /// A length that does not fill whole blocks.
    #[error("sent a packet of length {length}, which does not fill blocks of 8 bytes")]
    SentMisaligned {
        /// The announced length in bytes.
        length: u32,
    },
    /// Too little padding, or more than the packet holds.
    #[error("sent {padding} bytes of padding in a packet of length {length}")]
    SentWrongPadding {
        /// The announced padding in bytes.
        padding: u8,
        /// The packet's length in bytes.
        length: u32,
    },
    /// Nothing but padding: no message number.
    #[error("sent a packet without a payload")]
    SentNoPayload,
    /// Not what was sealed, or sealed under other keys or another sequence number.
    #[error("sent a packet whose tag does not verify")]
    SentWrongTag,
    /// 2^32 packets under one key, or before the first NEWKEYS.
    #[error("sent 2^32 packets without new keys")]
    SentTooManyPackets,
}

/// Counts and keys of one direction.
#[derive(Debug, Default)]
struct Epoch {
    sequence_number: u32,
    key: Option<PacketKey>,
    /// Key exchanges so far: 0 is cleartext.
    number: u32,
    packets: u64,
    bytes: u64,
}

impl Epoch {
    fn change_keys(&mut self, key: PacketKey, resets_sequence_number: bool) {
        self.key = Some(key);
        self.number += 1;
        self.packets = 0;
        self.bytes = 0;
        if resets_sequence_number {
            self.sequence_number = 0;
        }
    }

    fn count(&mut self, bytes: usize) {
        self.sequence_number = self.sequence_number.wrapping_add(1);
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}

/// Opens what the peer sends.
#[derive(Debug, Default)]
pub struct PacketReader {
    buffer: Vec<u8>,
    /// Where the packet under way begins in `buffer`.
    start: usize,
    /// Where the packet before it begins, as far as that is still there.
    opened_from: usize,
    /// Its length, once opened; a stream cipher must not open it twice.
    length: Option<u32>,
    epoch: Epoch,
}

/// One payload and where it came from.
#[derive(Debug, PartialEq, Eq)]
pub struct OpenedPacket<'a> {
    /// The packet's implicit sequence number (RFC 4253 §6.4).
    pub sequence_number: u32,
    /// Key exchanges before it: 0 is cleartext.
    pub key_epoch: u32,
    /// Message number and fields; never empty.
    pub payload: &'a [u8],
}

impl PacketReader {
    /// Takes bytes exactly as they came off the wire, in any split.
    ///
    /// They are kept until [`Self::next_packet`] has returned the packets they hold. Feed and drain
    /// by turns and the buffer holds one packet and one read at most.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
            self.opened_from = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// What has not been opened yet; before the first packet, where the identification stands.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Drops `count` bytes from the front that were read some other way.
    pub fn skip(&mut self, count: usize) {
        self.start = (self.start + count).min(self.buffer.len());
    }

    /// Opens the next packet if it is whole.
    ///
    /// # Errors
    /// A [`PacketFault`]; the reader is then useless.
    pub fn next_packet(&mut self) -> Result<Option<OpenedPacket<'_>>, PacketFault> {
        let Some(length) = self.open_length()? else {
            self.rest();
            return Ok(None);
        };
        let tag_bytes = if self.epoch.key.is_some() {
            TAG_BYTES
        } else {
            0
        };
        let packet_bytes = LENGTH_BYTES + length as usize;
        let end = self.start + packet_bytes;
        let Some(packet) = self.buffer.get_mut(self.start..end + tag_bytes) else {
            return Ok(None);
        };
        if self.epoch.packets > u64::from(u32::MAX) {
            return Err(PacketFault::SentTooManyPackets);
        }
        let (packet, tag) = packet.split_at_mut(packet_bytes);
        let sequence_number = self.epoch.sequence_number;
        if let Some(key) = &self.epoch.key {
            key.open(sequence_number, packet, tag)
                .map_err(|_| PacketFault::SentWrongTag)?;
        }
        self.opened_from = self.start;
        self.start = end + tag_bytes;
        self.length = None;
        self.epoch.count(packet_bytes + tag_bytes);
        let payload = payload(packet, length)?;
        Ok(Some(OpenedPacket {
            sequence_number,
            key_epoch: self.epoch.number,
            payload,
        }))
    }

    /// Overwrites the packet that was opened last, which may hold a password.
    pub fn wipe_opened(&mut self) {
        if let Some(opened) = self.buffer.get_mut(self.opened_from..self.start) {
            opened.zeroize();
        }
    }

    /// The peer sent NEWKEYS: what follows is under `key`. Strict key exchange also starts the
    /// sequence numbers anew (OpenSSH PROTOCOL §1.9).
    pub fn change_keys(&mut self, key: PacketKey, resets_sequence_number: bool) {
        self.epoch.change_keys(key, resets_sequence_number);
    }

    /// Key exchanges before the next packet: 0 is cleartext.
    #[must_use]
    pub fn key_epoch(&self) -> u32 {
        self.epoch.number
    }

    /// Packets opened under the current keys.
    #[must_use]
    pub fn epoch_packets(&self) -> u64 {
        self.epoch.packets
    }

    /// Bytes opened under the current keys.
    #[must_use]
    pub fn epoch_bytes(&self) -> u64 {
        self.epoch.bytes
    }

    /// A connection that has nothing to read holds no memory for it.
    fn rest(&mut self) {
        if self.start == self.buffer.len() {
            self.buffer = Vec::new();
            self.start = 0;
            self.opened_from = 0;
        }
    }

    /// The length of the packet under way, bounded before anything is done with it.
    fn open_length(&mut self) -> Result<Option<u32>, PacketFault> {
        if self.length.is_none() {
            let Some(bytes) = self.unread().first_chunk::<LENGTH_BYTES>().copied() else {
                return Ok(None);
            };
            let length = match &self.epoch.key {
                None => u32::from_be_bytes(bytes),
                Some(key) => key.open_length(self.epoch.sequence_number, bytes),
            };
            check_length(length, self.epoch.key.is_some())?;
            self.length = Some(length);
        }
        Ok(self.length)
    }
}

fn check_length(length: u32, sealed: bool) -> Result<(), PacketFault> {
    let length_min = if sealed {
        SEALED_LENGTH_MIN
    } else {
        CLEAR_LENGTH_MIN
    };
    if length < length_min {
        return Err(PacketFault::SentTooShort { length, length_min });
    }
    if length > PACKET_LENGTH_MAX {
        return Err(PacketFault::SentTooLong { length });
    }
    let counted = length as usize + if sealed { 0 } else { LENGTH_BYTES };
    if !counted.is_multiple_of(BLOCK_BYTES) {
        return Err(PacketFault::SentMisaligned { length });
    }
    Ok(())
}

/// What stands between the padding length and the padding.
fn payload(packet: &[u8], length: u32) -> Result<&[u8], PacketFault> {
    let body = packet.get(LENGTH_BYTES..).unwrap_or_default();
    let (&padding, rest) = body.split_first().ok_or(PacketFault::SentNoPayload)?;
    let payload_bytes = rest
        .len()
        .checked_sub(usize::from(padding))
        .filter(|_| usize::from(padding) >= PADDING_BYTES_MIN)
        .ok_or(PacketFault::SentWrongPadding { padding, length })?;
    rest.get(..payload_bytes)
        .filter(|payload| !payload.is_empty())
        .ok_or(PacketFault::SentNoPayload)
}

/// Seals what we send.
#[derive(Debug, Default)]
pub struct PacketWriter {
    epoch: Epoch,
}

impl PacketWriter {
    /// Appends the packet that holds the payload which `encode` writes, and returns the payload's
    /// length in bytes. The payload is written where it will be sealed.
    pub fn seal(
        &mut self,
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut Vec<u8>,
        encode: impl FnOnce(&mut Writer),
    ) -> usize {
        let start = out.len();
        let mut w = Writer::appending_to(std::mem::take(out));
        w.raw(&[0; LENGTH_BYTES + 1]);
        encode(&mut w);
        *out = w.into_bytes();

        let payload_bytes = out.len() - start - LENGTH_BYTES - 1;
        let padding_bytes = self.padding_bytes(payload_bytes);
        let mut padding = [0; BLOCK_BYTES + PADDING_BYTES_MIN];
        rng.fill_bytes(&mut padding);
        out.extend_from_slice(padding.get(..padding_bytes).unwrap_or_default());

        let packet = out.get_mut(start..).unwrap_or_default();
        write_header(packet, padding_bytes);
        if let Some(key) = &self.epoch.key {
            let tag = key.seal(self.epoch.sequence_number, packet);
            out.extend_from_slice(&tag);
        }
        self.epoch.count(out.len() - start);
        payload_bytes
    }

    /// Our NEWKEYS is sent: what follows is under `key`. See [`PacketReader::change_keys`].
    pub fn change_keys(&mut self, key: PacketKey, resets_sequence_number: bool) {
        self.epoch.change_keys(key, resets_sequence_number);
    }

    /// The sequence number of the next packet.
    #[must_use]
    pub fn sequence_number(&self) -> u32 {
        self.epoch.sequence_number
    }

    /// Key exchanges before the next packet: 0 is cleartext.
    #[must_use]
    pub fn key_epoch(&self) -> u32 {
        self.epoch.number
    }

    /// Packets sealed under the current keys.
    #[must_use]
    pub fn epoch_packets(&self) -> u64 {
        self.epoch.packets
    }

    /// Bytes sealed under the current keys.
    #[must_use]
    pub fn epoch_bytes(&self) -> u64 {
        self.epoch.bytes
    }

    /// The least padding, 4 to 11 bytes, that fills the last block. The AEAD does not count the
    /// length bytes.
    fn padding_bytes(&self, payload_bytes: usize) -> usize {
        let length_bytes = if self.epoch.key.is_some() {
            0
        } else {
            LENGTH_BYTES
        };
        let counted = length_bytes + 1 + payload_bytes + PADDING_BYTES_MIN;
        PADDING_BYTES_MIN + counted.next_multiple_of(BLOCK_BYTES) - counted
    }
}

/// Fills in `packet_length` and `padding_length`.
fn write_header(packet: &mut [u8], padding_bytes: usize) {
    let length = u32::try_from(packet.len() - LENGTH_BYTES).unwrap_or(u32::MAX);
    if let Some((header, rest)) = packet.split_first_chunk_mut::<LENGTH_BYTES>() {
        *header = length.to_be_bytes();
        if let Some(padding) = rest.first_mut() {
            *padding = u8::try_from(padding_bytes).unwrap_or(u8::MAX);
        }
    }
}

#[cfg(test)]
mod tests;
