//! `chacha20-poly1305@openssh.com` for one direction.
//!
//! Two ChaCha20 keys: one for the four length bytes, so that they can be read before the packet is
//! whole, one for the rest and for the Poly1305 key. The nonce is the packet's sequence number as
//! a 64-bit big-endian number (OpenSSH's cipher description, now draft-ietf-sshm-chacha20-poly1305).

use std::fmt;

use chacha20::ChaCha20Legacy;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use poly1305::Poly1305;
use poly1305::universal_hash::{Block, KeyInit, UniversalHash};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroize;

use super::Secret;

/// Bytes of the tag behind every packet.
pub const TAG_BYTES: usize = 16;

/// Bytes of one ChaCha20 block; the first makes the Poly1305 key, the text starts at the second.
const BLOCK_BYTES: usize = 64;

/// Blocks of key stream that are made at once, as many as the widest backend makes in the time of
/// one. A packet of up to three blocks needs no more.
const FIRST_BLOCKS: usize = 4;

/// Bytes of the packet length, which has a key of its own.
const LENGTH_BYTES: usize = 4;

/// The packet is not what its sender sealed, or not the one that belongs here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the tag does not verify")]
pub struct TagMismatch;

/// The keys of one direction between two NEWKEYS.
#[derive(Clone)]
pub struct PacketKey {
    /// K_2 of the cipher description: payload and Poly1305 key.
    payload: Secret<32>,
    /// K_1: packet length.
    length: Secret<32>,
}

impl PacketKey {
    /// Splits the 64 derived bytes: the first half is K_2, the second K_1.
    #[must_use]
    pub fn new(bytes: &[u8; 64]) -> Self {
        let half = |at: usize| std::array::from_fn(|i| bytes.get(at + i).copied().unwrap_or(0));
        Self {
            payload: Secret::new(half(0)),
            length: Secret::new(half(32)),
        }
    }

    /// Decrypts the four length bytes. They are not authenticated yet: bound before use.
    #[must_use]
    pub fn open_length(&self, sequence_number: u32, mut length: [u8; 4]) -> u32 {
        self.length_cipher(sequence_number)
            .apply_keystream(&mut length);
        u32::from_be_bytes(length)
    }

    /// Seals `packet`, its four length bytes first, where it lies, and returns the tag.
    #[must_use]
    pub fn seal(&self, sequence_number: u32, packet: &mut [u8]) -> [u8; TAG_BYTES] {
        let mut stream = self.payload_stream(sequence_number);
        let (length, body) = packet.split_at_mut(LENGTH_BYTES.min(packet.len()));
        self.length_cipher(sequence_number).apply_keystream(length);
        stream.apply(body);
        tag(stream.poly_key(), packet)
    }

    /// Checks the tag over `packet` as it came, then opens what stands behind its length bytes
    /// where it lies.
    ///
    /// # Errors
    /// [`TagMismatch`]; the packet is then as it came.
    pub fn open(
        &self,
        sequence_number: u32,
        packet: &mut [u8],
        their_tag: &[u8],
    ) -> Result<(), TagMismatch> {
        let mut stream = self.payload_stream(sequence_number);
        if !bool::from(tag(stream.poly_key(), packet).ct_eq(their_tag)) {
            return Err(TagMismatch);
        }
        stream.apply(packet.get_mut(LENGTH_BYTES..).unwrap_or_default());
        Ok(())
    }

    fn length_cipher(&self, sequence_number: u32) -> ChaCha20Legacy {
        ChaCha20Legacy::new(self.length.expose().into(), &nonce(sequence_number).into())
    }

    fn payload_stream(&self, sequence_number: u32) -> PayloadStream {
        let mut rest =
            ChaCha20Legacy::new(self.payload.expose().into(), &nonce(sequence_number).into());
        let mut first = [0; FIRST_BLOCKS * BLOCK_BYTES];
        rest.apply_keystream(&mut first);
        PayloadStream { first, rest }
    }
}

/// The key stream of one payload: its first blocks, of which the first of all is the Poly1305 key's,
/// and what makes the rest.
struct PayloadStream {
    first: [u8; FIRST_BLOCKS * BLOCK_BYTES],
    rest: ChaCha20Legacy,
}

impl PayloadStream {
    fn poly_key(&self) -> &[u8; 32] {
        self.first.first_chunk().unwrap_or(&[0; 32])
    }

    fn apply(&mut self, body: &mut [u8]) {
        let ready = self.first.get(BLOCK_BYTES..).unwrap_or_default();
        for (byte, key) in body.iter_mut().zip(ready) {
            *byte ^= key;
        }
        if let Some(rest) = body.get_mut(ready.len()..) {
            self.rest.apply_keystream(rest);
        }
    }
}

impl Drop for PayloadStream {
    fn drop(&mut self) {
        self.first.zeroize();
    }
}

impl fmt::Debug for PacketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PacketKey([redacted])")
    }
}

fn nonce(sequence_number: u32) -> [u8; 8] {
    u64::from(sequence_number).to_be_bytes()
}

/// Poly1305 over the packet as it goes over the wire.
fn tag(key: &[u8; 32], packet: &[u8]) -> [u8; TAG_BYTES] {
    let mut poly = Poly1305::new(key.into());
    // Whole blocks go through the wide path of the backend; `compute_unpadded` alone would take
    // them one by one, at a third of the speed.
    let (blocks, rest) = Block::<Poly1305>::slice_as_chunks(packet);
    poly.update(blocks);
    poly.compute_unpadded(rest).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sealed(sequence_number: u32, packet: &[u8]) -> String {
        let key = PacketKey::new(&std::array::from_fn(|i| u8::try_from(i).unwrap()));
        let mut packet = packet.to_vec();
        let tag = key.seal(sequence_number, &mut packet);
        packet
            .iter()
            .chain(&tag)
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }

    /// Computed by an implementation of the cipher description that shares no code with ours and
    /// was checked against the vectors of RFC 8439: key bytes 0 to 63, IGNORE("").
    #[test]
    fn packets_are_sealed_as_another_implementation_seals_them() {
        let packet = b"\0\0\0\x10\x0a\x02\0\0\0\0ABCDEFGHIJ";
        assert_eq!(
            sealed(3, packet),
            "fb1a929a8a471cbb324ae533cb0bb94cfcafdf09\
             20557da2fd90ce6ed223f0dc993ea189"
        );
        assert_eq!(
            sealed(0xffff_ffff, packet),
            "b90ee4a003900c9bae0495a0d572eef435ce4be4\
             80782a96047261eba52bbe1ef6f6ce79"
        );
    }

    /// More than two blocks of either primitive.
    #[test]
    fn a_long_packet_is_sealed_as_another_implementation_seals_it() {
        let packet: Vec<u8> = [0, 0, 0, 200].into_iter().chain(0..200).collect();
        assert!(sealed(0, &packet).ends_with("9f6e2c4d114edc54faf90109136c876e"));
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_and_one_flipped_bit_does_not(
            key in prop::array::uniform32(any::<u8>()),
            sequence_number in any::<u32>(),
            body in prop::collection::vec(any::<u8>(), 8..600),
            flip in any::<prop::sample::Index>(),
        ) {
            let key = PacketKey::new(&std::array::from_fn(|i| key[i % 32] ^ u8::try_from(i).unwrap()));
            let length = u32::try_from(body.len()).unwrap().to_be_bytes();
            let mut packet = [&length[..], &body].concat();
            let mut tag = key.seal(sequence_number, &mut packet);
            let sealed_length = [packet[0], packet[1], packet[2], packet[3]];
            prop_assert_eq!(key.open_length(sequence_number, sealed_length), u32::from_be_bytes(length));

            let mut opened = packet.clone();
            prop_assert_eq!(key.open(sequence_number, &mut opened, &tag), Ok(()));
            prop_assert_eq!(&opened[4..], &body[..]);

            let bit = flip.index((packet.len() + TAG_BYTES) * 8);
            match packet.get_mut(bit / 8) {
                Some(byte) => *byte ^= 1 << (bit % 8),
                None => tag[bit / 8 - packet.len()] ^= 1 << (bit % 8),
            }
            prop_assert_eq!(key.open(sequence_number, &mut packet, &tag), Err(TagMismatch));
        }
    }
}
