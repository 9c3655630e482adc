//! What a `>` line says of the packet around its message and of the way that its bytes leave.

use std::ops::Range;
use std::time::Duration;

use minissh::crypto::TAG_BYTES;

use super::Stop;
use super::message::bytes_of;
use super::packets::LENGTH_BYTES;
use crate::scenario::{Flip, PacketPart, Send, Value};
use crate::verdict::Broken;

/// How a packet differs from a good one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Framing {
    /// So much padding, whatever becomes of the alignment.
    pub(super) padding_bytes: Option<u8>,
    pub(super) fill: Fill,
    /// What the packet says of itself, whatever its length is.
    pub(super) packet_length: Option<u32>,
    pub(super) padding_length: Option<u8>,
    pub(super) sealed_as: Option<Numbering>,
    pub(super) keys: Keys,
    pub(super) flips: Vec<Flip>,
}

/// What the padding is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Fill {
    #[default]
    Random,
    Zeros,
    Ones,
}

/// A sequence number other than the due one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbering {
    Is(u32),
    Off(i64),
}

impl Numbering {
    pub(super) fn of(self, due: u32) -> u32 {
        match self {
            Self::Is(number) => number,
            // Numbers wrap, and an offset fits by its notation.
            Self::Off(by) => due.wrapping_add(u32::try_from(by.rem_euclid(1 << 32)).unwrap_or(0)),
        }
    }
}

/// Which keys a packet is sealed with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Keys {
    #[default]
    Current,
    /// Those before the last NEWKEYS.
    Previous,
    /// Those of an exchange that is finished and not in force yet.
    Next,
    /// Those of the other direction.
    Theirs,
    /// None: the packet is in the clear.
    None,
}

/// How bytes leave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Delivery {
    cut: Option<Ends>,
    piece_bytes: Option<usize>,
    split_at: Option<Ends>,
    delay: Option<Duration>,
}

/// A number of bytes from the beginning or from the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ends(i64);

impl Ends {
    fn at(self, len: usize) -> usize {
        let bytes = usize::try_from(self.0.unsigned_abs()).unwrap_or(usize::MAX);
        match self.0 {
            ..0 => len.saturating_sub(bytes),
            _ => bytes.min(len),
        }
    }
}

impl Framing {
    pub(super) fn of(send: &Send) -> Self {
        Self {
            padding_bytes: number(send, "padding"),
            fill: match choice(send, "padding-fill") {
                Some(b"zeros") => Fill::Zeros,
                Some(b"ones") => Fill::Ones,
                _ => Fill::Random,
            },
            packet_length: number(send, "packet-length"),
            padding_length: number(send, "padding-length"),
            sealed_as: match value(send, "sealed-as") {
                Some(Value::Offset(by)) => Some(Numbering::Off(*by)),
                _ => number(send, "sealed-as").map(Numbering::Is),
            },
            keys: match choice(send, "keys") {
                Some(b"previous") => Keys::Previous,
                Some(b"next") => Keys::Next,
                Some(b"theirs") => Keys::Theirs,
                Some(b"none") => Keys::None,
                _ => Keys::Current,
            },
            flips: match value(send, "flip") {
                Some(Value::Flips(flips)) => flips.clone(),
                _ => Vec::new(),
            },
        }
    }
}

impl Delivery {
    pub(super) fn of(send: &Send) -> Self {
        Self {
            cut: ends(send, "cut"),
            piece_bytes: number::<usize>(send, "split").map(|bytes| bytes.max(1)),
            split_at: ends(send, "split-at"),
            delay: match value(send, "delay") {
                Some(Value::Duration(delay)) => Some(*delay),
                _ => None,
            },
        }
    }

    /// The pieces in which the bytes leave, and the pause before each but the first.
    pub(super) fn pieces<'b>(&self, bytes: &'b [u8]) -> (Vec<&'b [u8]>, Duration) {
        let end = self.cut.map_or(bytes.len(), |cut| cut.at(bytes.len()));
        let bytes = bytes.get(..end).unwrap_or(bytes);
        let pieces = match (self.split_at, self.piece_bytes) {
            (Some(at), _) => {
                let (head, tail) = bytes.split_at(at.at(bytes.len()));
                vec![head, tail]
            }
            (None, Some(piece_bytes)) => bytes.chunks(piece_bytes).collect(),
            (None, None) => vec![bytes],
        };
        (pieces, self.delay.unwrap_or_default())
    }
}

/// The payload as the line changes it.
pub(super) fn reshaped(mut payload: Vec<u8>, send: &Send) -> Result<Vec<u8>, Stop> {
    if let Some(trim) = ends(send, "trim") {
        payload.truncate(trim.at(payload.len()));
    }
    if let Some(extra) = value(send, "append") {
        payload.extend_from_slice(bytes_of(extra));
    }
    if let Some(Value::Patch(at, over)) = value(send, "patch") {
        let len = payload.len();
        let start = match *at {
            ..0 => len.checked_sub(at.unsigned_abs()),
            at => usize::try_from(at).ok(),
        };
        let place =
            start.and_then(|start| payload.get_mut(start..start.saturating_add(over.len())));
        let place = place.ok_or_else(|| {
            Stop::broken(format!(
                "the patch does not lie within the {len} bytes of the payload"
            ))
        })?;
        place.copy_from_slice(over);
    }
    Ok(payload)
}

/// Flips bits of a packet that is otherwise ready to leave.
pub(super) fn flip(packet: &mut [u8], flips: &[Flip], layout: &Layout) -> Result<(), Broken> {
    for flip in flips {
        let place = layout.place(flip.part);
        // Of a number, bit 0 is in its last byte.
        let byte = match flip.part {
            PacketPart::Length => (LENGTH_BYTES - 1).checked_sub(flip.bit / 8),
            _ => Some(flip.bit / 8),
        };
        let byte = byte
            .filter(|byte| *byte < place.len())
            .and_then(|byte| packet.get_mut(place.start + byte));
        match byte {
            Some(byte) => *byte ^= 1 << (flip.bit % 8),
            None => return Err(no_such_bit(*flip, place.len())),
        }
    }
    Ok(())
}

/// How long a part is, is known only when the packet is made.
fn no_such_bit(Flip { part, bit }: Flip, bytes: usize) -> Broken {
    let what = format!("the {part} of this packet has {bytes} bytes and no bit {bit}");
    let hint = match (
        bytes.checked_mul(8).and_then(|bits| bits.checked_sub(1)),
        part,
    ) {
        (Some(last), _) => format!("its bits are `flip={part}:0` to `flip={part}:{last}`"),
        (None, PacketPart::Tag) => {
            "there is a tag once there are keys: flip it below `handshake`".to_owned()
        }
        (None, _) => "flip a bit of another part".to_owned(),
    };
    Broken::new(what).hint(hint)
}

/// How long the parts of a packet are.
pub(super) struct Layout {
    pub(super) payload_bytes: usize,
    pub(super) padding_bytes: usize,
    pub(super) is_sealed: bool,
}

impl Layout {
    fn place(&self, part: PacketPart) -> Range<usize> {
        let payload = LENGTH_BYTES + 1;
        let padding = payload + self.payload_bytes;
        let tag = padding + self.padding_bytes;
        let tag_bytes = if self.is_sealed { TAG_BYTES } else { 0 };
        match part {
            PacketPart::Length => 0..LENGTH_BYTES,
            PacketPart::PaddingLength => LENGTH_BYTES..payload,
            PacketPart::Payload => payload..padding,
            PacketPart::Padding => padding..tag,
            PacketPart::Tag => tag..tag + tag_bytes,
        }
    }
}

fn value<'s>(send: &'s Send, name: &str) -> Option<&'s Value> {
    let field = send.fields.iter().find(|field| field.name == name)?;
    Some(&field.value)
}

/// The word that a line chooses.
pub(super) fn choice<'s>(send: &'s Send, name: &str) -> Option<&'s [u8]> {
    value(send, name).map(bytes_of)
}

/// The number that a line says.
pub(super) fn number<N: TryFrom<u64>>(send: &Send, name: &str) -> Option<N> {
    match value(send, name)? {
        Value::Number(number) => N::try_from(*number).ok(),
        _ => None,
    }
}

fn ends(send: &Send, name: &str) -> Option<Ends> {
    match value(send, name)? {
        Value::Number(bytes) => i64::try_from(*bytes).ok().map(Ends),
        Value::Offset(bytes) => Some(Ends(*bytes)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap_in_both_directions() {
        assert_eq!(Numbering::Off(-1).of(0), u32::MAX);
        assert_eq!(Numbering::Off(2).of(u32::MAX), 1);
        assert_eq!(Numbering::Is(7).of(3), 7);
    }

    #[test]
    fn bytes_leave_whole_in_halves_or_in_pieces() {
        let pieces = |delivery: Delivery| delivery.pieces(b"abcde").0.concat().len();
        let whole = Delivery::default();
        assert_eq!(whole.pieces(b"abcde").0, [b"abcde"]);
        let cut = Delivery {
            cut: Some(Ends(-2)),
            ..whole
        };
        assert_eq!(cut.pieces(b"abcde").0, [b"abc"]);
        let halves = Delivery {
            split_at: Some(Ends(1)),
            ..whole
        };
        assert_eq!(halves.pieces(b"abcde").0, [&b"a"[..], b"bcde"]);
        let by_two = Delivery {
            piece_bytes: Some(2),
            ..whole
        };
        assert_eq!(by_two.pieces(b"abcde").0.len(), 3);
        assert_eq!(pieces(by_two), 5);
    }

    #[test]
    fn bits_of_a_length_are_counted_by_what_they_are_worth() {
        let layout = Layout {
            payload_bytes: 2,
            padding_bytes: 1,
            is_sealed: false,
        };
        let mut packet = [0; 8];
        let bit = |part, bit| Flip { part, bit };
        let flips = [bit(PacketPart::Length, 3), bit(PacketPart::Payload, 8)];
        flip(&mut packet, &flips, &layout).unwrap();
        assert_eq!(packet, [0, 0, 0, 8, 0, 0, 1, 0]);
        assert!(flip(&mut packet, &[bit(PacketPart::Tag, 0)], &layout).is_err());
        assert!(flip(&mut packet, &[bit(PacketPart::Length, 32)], &layout).is_err());
    }

    #[test]
    fn a_bit_that_is_not_there_is_told_as_scenarios_write_it() {
        let layout = Layout {
            payload_bytes: 6,
            padding_bytes: 4,
            is_sealed: false,
        };
        let told = |part, bit| {
            let broken = flip(&mut [0; 16], &[Flip { part, bit }], &layout).unwrap_err();
            format!("{}\n{}", broken.what, broken.hint.unwrap_or_default())
        };
        insta::assert_snapshot!(told(PacketPart::Payload, 900), @r"
        the payload of this packet has 6 bytes and no bit 900
        its bits are `flip=payload:0` to `flip=payload:47`
        ");
        insta::assert_snapshot!(told(PacketPart::Tag, 0), @r"
        the tag of this packet has 0 bytes and no bit 0
        there is a tag once there are keys: flip it below `handshake`
        ");
    }
}
