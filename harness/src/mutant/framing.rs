//! Packets of one direction.

use minissh::crypto::{PacketKey, TAG_BYTES};

/// OpenSSH's bound for `packet_length`, and ours.
const LENGTH_MAX: u32 = 256 * 1024;

/// One direction: its count and its key.
#[derive(Default)]
pub(super) struct Half {
    pub(super) number: u32,
    pub(super) key: Option<PacketKey>,
}

/// Which of the rules of framing are not kept.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not a state"
)]
pub(super) struct Lenience {
    pub(super) any_tag: bool,
    pub(super) any_alignment: bool,
    pub(super) any_padding: bool,
    pub(super) padding_max: u8,
    /// Padding may be made of one byte.
    pub(super) even_padding: bool,
    pub(super) payload_min: usize,
}

/// The stream cannot be read on.
pub(super) struct Unreadable;

impl Half {
    /// Appends a packet around the payload to `out`.
    pub(super) fn seal(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        let outside = if self.key.is_some() { 0 } else { 4 };
        let mut padding = 8 - (outside + 1 + payload.len()) % 8;
        if padding < 4 {
            padding += 8;
        }
        let length = u32::try_from(1 + payload.len() + padding).unwrap_or(u32::MAX);
        let mut packet = length.to_be_bytes().to_vec();
        packet.push(u8::try_from(padding).unwrap_or(u8::MAX));
        packet.extend_from_slice(payload);
        packet.resize(packet.len() + padding, 0);
        if let Some(key) = &self.key {
            let tag = key.seal(self.number, &mut packet);
            packet.extend_from_slice(&tag);
        }
        out.extend_from_slice(&packet);
        self.number = self.number.wrapping_add(1);
    }

    /// Takes the first whole packet out of `bytes`, with its number.
    pub(super) fn open(
        &mut self,
        bytes: &mut Vec<u8>,
        lenience: Lenience,
    ) -> Result<Option<(u32, Vec<u8>)>, Unreadable> {
        let Some(&head) = bytes.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = match &self.key {
            Some(key) => key.open_length(self.number, head),
            None => u32::from_be_bytes(head),
        };
        let (outside, tag_bytes) = match self.key {
            Some(_) => (0, TAG_BYTES),
            None => (4, 0),
        };
        let aligned = (length.saturating_add(outside)).is_multiple_of(8);
        if !(5..=LENGTH_MAX).contains(&length) || !(aligned || lenience.any_alignment) {
            return Err(Unreadable);
        }
        let end = 4 + length as usize;
        if bytes.len() < end + tag_bytes {
            return Ok(None);
        }
        let mut packet: Vec<u8> = bytes.drain(..end + tag_bytes).collect();
        let tag = packet.split_off(end);
        if let Some(key) = &self.key {
            let sealed = packet.clone();
            if key.open(self.number, &mut packet, &tag).is_err() {
                if !lenience.any_tag {
                    return Err(Unreadable);
                }
                // What a receiver reads that does not look at the tag: sealing is its own inverse.
                packet = sealed;
                let _ = key.seal(self.number, &mut packet);
            }
        }
        let padding = packet[4];
        let short = padding < 4 && !lenience.any_padding;
        let payload_end = packet.len().saturating_sub(usize::from(padding));
        if short || padding > lenience.padding_max || payload_end < 5 + lenience.payload_min {
            return Err(Unreadable);
        }
        let filling = &packet[payload_end..];
        if !lenience.even_padding && filling.iter().all(|byte| *byte == filling[0]) {
            return Err(Unreadable);
        }
        let number = self.number;
        self.number = self.number.wrapping_add(1);
        Ok(Some((number, packet[5..payload_end].to_vec())))
    }
}
