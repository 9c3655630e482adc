//! Packets of one direction: framing, padding, sequence number and key.
//!
//! Written from primitives and apart from the packet layer under test, since it must be able to
//! do what that one never would.

use minissh::crypto::{CryptoRng, PacketKey, TAG_BYTES};

use super::forge::{Fill, Framing, Keys, Layout, flip};
use crate::verdict::Broken;

/// Longest packet that is taken, in bytes without the tag. OpenSSH's own bound.
pub(super) const PACKET_BYTES_MAX: usize = 256 * 1024;

pub(super) const LENGTH_BYTES: usize = 4;

/// RFC 4253 §6: four bytes of padding are the least.
const PADDING_BYTES_MIN: usize = 4;

/// RFC 4253 §6: packets are multiples of eight, also for a stream cipher.
const BLOCK_BYTES: usize = 8;

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// Packets since the connection began: what the next one is numbered without strict key
    /// exchange.
    since_start: u32,
    /// Packets since the last NEWKEYS: what it is numbered with.
    since_newkeys: u32,
    is_strict: bool,
    /// How many key exchanges came before.
    pub(super) key_epoch: u32,
    pub(super) key: Option<PacketKey>,
    /// That of the epoch before.
    previous: Option<PacketKey>,
    /// That of an exchange that is not in force yet.
    pub(super) next: Option<PacketKey>,
}

/// Bytes that are no packet; nothing after them can be read either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) String);

impl Half {
    /// Of the next packet.
    pub(super) fn sequence_number(&self) -> u32 {
        if self.is_strict {
            self.since_newkeys
        } else {
            self.since_start
        }
    }

    /// What happens at NEWKEYS.
    pub(super) fn switch(&mut self, key: PacketKey, is_strict: bool) {
        self.previous = self.key.replace(key);
        self.next = None;
        self.key_epoch += 1;
        self.is_strict = is_strict;
        self.since_newkeys = 0;
    }

    fn count(&mut self) {
        self.since_start = self.since_start.wrapping_add(1);
        self.since_newkeys = self.since_newkeys.wrapping_add(1);
    }

    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// A packet around the payload, and what keeps it from being made.
    ///
    /// `theirs` is the key of the other direction.
    pub(super) fn seal(
        &mut self,
        payload: &[u8],
        framing: &Framing,
        theirs: Option<&PacketKey>,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, Broken> {
        let key = match framing.keys {
            Keys::Current => self.key.as_ref(),
            Keys::Previous => self.previous.as_ref(),
            Keys::Next => {
                let next = self.next.as_ref();
                Some(next.ok_or_else(|| Broken::new("there are no next keys"))?)
            }
            Keys::Theirs => theirs,
            Keys::None => None,
        };
        // Under the cipher the length field is outside of what must be a multiple of the block.
        let outside = if key.is_some() { 0 } else { LENGTH_BYTES };
        let padding_bytes = framing
            .padding_bytes
            .map_or_else(|| padding_bytes(outside + 1 + payload.len()), usize::from);
        let layout = Layout {
            payload_bytes: payload.len(),
            padding_bytes,
            is_sealed: key.is_some(),
        };
        let mut packet = plain(payload, padding_bytes, framing, rng);
        if let Some(key) = key {
            let due = self.sequence_number();
            let number = framing.sealed_as.map_or(due, |number| number.of(due));
            let tag = key.seal(number, &mut packet);
            packet.extend_from_slice(&tag);
        }
        flip(&mut packet, &framing.flips, &layout)?;
        self.count();
        Ok(packet)
    }

    /// The payload of the first packet in `bytes`, which is taken away from them; `None` while
    /// it is not whole.
    pub(super) fn open(&mut self, bytes: &mut Vec<u8>) -> Result<Option<Vec<u8>>, Unreadable> {
        let Some(&length) = bytes.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let packet_bytes = self.packet_bytes(length)?;
        let tag_bytes = if self.key.is_some() { TAG_BYTES } else { 0 };
        let end = LENGTH_BYTES + packet_bytes;
        if bytes.len() < end + tag_bytes {
            return Ok(None);
        }
        let mut packet: Vec<u8> = bytes.drain(..end + tag_bytes).collect();
        let tag = packet.split_off(end);
        if let Some(key) = &self.key {
            key.open(self.sequence_number(), &mut packet, &tag)
                .map_err(|_| {
                    Unreadable(format!(
                        "a packet whose tag is not that of number {}",
                        self.sequence_number()
                    ))
                })?;
        }
        let payload = unpad(&packet)?;
        self.count();
        Ok(Some(payload))
    }

    fn packet_bytes(&self, length: [u8; LENGTH_BYTES]) -> Result<usize, Unreadable> {
        let sequence_number = self.sequence_number();
        let announced = self.announced(length, sequence_number);
        self.plausible(announced).ok_or_else(|| match &self.key {
            Some(_) => self.explain_sealed(length, announced),
            None if length.iter().all(u8::is_ascii_graphic) => Unreadable(format!(
                "text that begins with \"{}\"",
                length.escape_ascii()
            )),
            None => Unreadable(format!("a packet of length {announced}")),
        })
    }

    fn announced(&self, length: [u8; LENGTH_BYTES], sequence_number: u32) -> u32 {
        match &self.key {
            Some(key) => key.open_length(sequence_number, length),
            None => u32::from_be_bytes(length),
        }
    }

    /// The length, if a packet may have it.
    fn plausible(&self, announced: u32) -> Option<usize> {
        let bytes = usize::try_from(announced).ok()?;
        let aligned = if self.key.is_some() {
            bytes
        } else {
            bytes.checked_add(LENGTH_BYTES)?
        };
        let holds = bytes > PADDING_BYTES_MIN && bytes <= PACKET_BYTES_MAX;
        (holds && aligned.is_multiple_of(BLOCK_BYTES)).then_some(bytes)
    }

    /// A sealed length that makes no sense was sealed with another key or another number, and of
    /// the numbers there is one that a peer may have taken for right.
    fn explain_sealed(&self, length: [u8; LENGTH_BYTES], announced: u32) -> Unreadable {
        let due = self.sequence_number();
        let other = if self.is_strict {
            self.since_start
        } else {
            self.since_newkeys
        };
        if self.plausible(self.announced(length, other)).is_none() {
            let why = format!("a packet of length {announced}, or one that these keys do not open");
            return Unreadable(why);
        }
        let rule = if self.is_strict {
            "starts again"
        } else {
            "goes on"
        };
        Unreadable(format!(
            "a packet sealed as number {other}, where number {due} is due: the count {rule} at NEWKEYS"
        ))
    }
}

/// The packet before it is sealed.
fn plain(
    payload: &[u8],
    padding_bytes: usize,
    framing: &Framing,
    rng: &mut impl CryptoRng,
) -> Vec<u8> {
    let mut padding = vec![0; padding_bytes];
    match framing.fill {
        Fill::Random => rng.fill_bytes(&mut padding),
        Fill::Zeros => {}
        Fill::Ones => padding.fill(0xff),
    }
    let packet_bytes = 1 + payload.len() + padding.len();
    let packet_length = framing
        .packet_length
        .unwrap_or_else(|| u32::try_from(packet_bytes).unwrap_or(u32::MAX));
    let padding_length = framing
        .padding_length
        .unwrap_or_else(|| u8::try_from(padding.len()).unwrap_or(u8::MAX));

    let mut packet = Vec::with_capacity(LENGTH_BYTES + packet_bytes + TAG_BYTES);
    packet.extend_from_slice(&packet_length.to_be_bytes());
    packet.push(padding_length);
    packet.extend_from_slice(payload);
    packet.extend_from_slice(&padding);
    packet
}

fn padding_bytes(aligned: usize) -> usize {
    let short = (BLOCK_BYTES - aligned % BLOCK_BYTES) % BLOCK_BYTES;
    if short < PADDING_BYTES_MIN {
        short + BLOCK_BYTES
    } else {
        short
    }
}

fn unpad(packet: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let body = packet.get(LENGTH_BYTES..).unwrap_or_default();
    let Some((&padding, rest)) = body.split_first() else {
        return Err(Unreadable("a packet without a padding length".to_owned()));
    };
    let end = rest
        .len()
        .checked_sub(padding.into())
        .filter(|end| *end > 0);
    match end.and_then(|end| rest.get(..end)) {
        Some(payload) if usize::from(padding) >= PADDING_BYTES_MIN => Ok(payload.to_vec()),
        _ => Err(Unreadable(format!(
            "a packet with {padding} bytes of padding in {}",
            body.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use minissh::crypto::from_seed;
    use proptest::prelude::*;

    use super::*;

    fn seal(half: &mut Half, payload: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
        let sealed = half.seal(payload, &Framing::default(), None, rng);
        sealed.expect("nothing is forged")
    }

    proptest! {
        /// Both ends of a self-test use this; it must at least agree with itself, in any pieces.
        #[test]
        fn what_is_sealed_opens(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 1..6),
            keyed in any::<bool>(),
        ) {
            let (mut ours, mut theirs) = (Half::default(), Half::default());
            if keyed {
                ours.switch(PacketKey::new(&[7; 64]), true);
                theirs.switch(PacketKey::new(&[7; 64]), true);
            }
            let mut rng = from_seed(1);
            let mut stream = Vec::new();
            let mut opened = Vec::new();
            for payload in &payloads {
                for byte in seal(&mut ours, payload, &mut rng) {
                    stream.push(byte);
                    opened.extend(theirs.open(&mut stream).expect("sealed by us"));
                }
            }
            prop_assert_eq!(opened, payloads);
        }

        /// It is the mistake that strict key exchange invites, and it should be called by its name.
        #[test]
        fn a_packet_of_the_other_count_is_explained(payload in prop::collection::vec(any::<u8>(), 1..50)) {
            let (mut ours, mut theirs) = (Half::default(), Half::default());
            let mut rng = from_seed(1);
            let mut stream = seal(&mut ours, &payload, &mut rng);
            prop_assert!(theirs.open(&mut stream).is_ok());
            ours.switch(PacketKey::new(&[7; 64]), false);
            theirs.switch(PacketKey::new(&[7; 64]), true);
            let mut stream = seal(&mut ours, &payload, &mut rng);
            let Err(Unreadable(why)) = theirs.open(&mut stream) else { panic!("it has another number") };
            prop_assert!(why.starts_with("a packet sealed as number 1, where number 0 is due"), "{why}");
        }

        #[test]
        fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), keyed in any::<bool>()) {
            let mut half = Half::default();
            if keyed {
                half.switch(PacketKey::new(&[7; 64]), true);
            }
            while let Ok(Some(_)) = half.open(&mut bytes) {}
        }
    }
}
