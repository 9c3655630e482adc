//! Properties of the framing, in the clear and sealed.

use proptest::prelude::*;

use super::*;
use crate::crypto::from_seed;

fn key() -> PacketKey {
    PacketKey::new(&std::array::from_fn(|i| u8::try_from(i).unwrap()))
}

/// A writer and a reader that share keys, or have none.
fn pair(sealed: bool) -> (PacketWriter, PacketReader) {
    let (mut writer, mut reader) = (PacketWriter::default(), PacketReader::default());
    if sealed {
        writer.change_keys(key(), true);
        reader.change_keys(key(), true);
    }
    (writer, reader)
}

fn seal_all(writer: &mut PacketWriter, payloads: &[Vec<u8>]) -> Vec<u8> {
    let (mut rng, mut stream) = (from_seed(1), Vec::new());
    for payload in payloads {
        writer.seal(&mut rng, &mut stream, |w| {
            w.raw(payload);
        });
    }
    stream
}

/// Cuts `stream` at the given points, in order; how TCP might have delivered it.
fn cut(stream: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut at: Vec<usize> = cuts.iter().map(|c| c.index(stream.len() + 1)).collect();
    at.extend([0, stream.len()]);
    at.sort_unstable();
    at.windows(2).map(|w| stream[w[0]..w[1]].to_vec()).collect()
}

proptest! {
    /// TCP may split a stream anywhere; what we read must not depend on where.
    #[test]
    fn payloads_do_not_depend_on_how_the_stream_was_cut(
        sealed in any::<bool>(),
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..400), 0..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let (mut writer, mut reader) = pair(sealed);
        let stream = seal_all(&mut writer, &payloads);

        let mut read = Vec::new();
        for piece in cut(&stream, &cuts) {
            reader.push(&piece);
            while let Some(packet) = reader.next_packet().expect("sealed by us") {
                prop_assert_eq!(packet.sequence_number as usize, read.len());
                read.push(packet.payload.to_vec());
            }
        }
        prop_assert_eq!(read, payloads);
        prop_assert_eq!(reader.unread(), &[][..]);
    }

    /// Every packet obeys RFC 4253 §6, whatever is in it.
    #[test]
    fn what_we_seal_is_aligned_and_padded_as_the_rfc_says(
        payload in prop::collection::vec(any::<u8>(), 1..2_000),
    ) {
        let (mut writer, _) = pair(false);
        let stream = seal_all(&mut writer, &[payload]);
        prop_assert!(stream.len() >= 16);
        prop_assert_eq!(stream.len() % 8, 0);
        prop_assert!((4..=11).contains(&stream[4]));
    }

    /// A reader fed by an attacker may refuse, but may not panic or hold what it need not.
    #[test]
    fn no_bytes_panic(
        sealed in any::<bool>(),
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..10),
    ) {
        let (_, mut reader) = pair(sealed);
        for piece in pieces {
            reader.push(&piece);
            loop {
                match reader.next_packet() {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => return Ok(()),
                }
            }
        }
    }
}

/// A cleartext packet with the header as given.
fn clear(length: u32, padding: u8, body_bytes: usize) -> Vec<u8> {
    let mut packet = length.to_be_bytes().to_vec();
    packet.push(padding);
    packet.resize(4 + 1 + body_bytes, 2);
    packet
}

fn read(bytes: &[u8]) -> Result<Option<usize>, PacketFault> {
    let mut reader = PacketReader::default();
    reader.push(bytes);
    Ok(reader.next_packet()?.map(|packet| packet.payload.len()))
}

#[test]
fn lengths_are_taken_up_to_their_bounds_and_not_past_them() {
    assert_eq!(read(&clear(12, 4, 11)), Ok(Some(7)));
    assert_eq!(
        read(&clear(4, 4, 3)),
        Err(PacketFault::SentTooShort {
            length: 4,
            length_min: 12
        })
    );
    let most = PACKET_LENGTH_MAX - 4;
    assert_eq!(
        read(&clear(most, 4, most as usize - 1)),
        Ok(Some(most as usize - 5))
    );
    let length = PACKET_LENGTH_MAX + 4;
    assert_eq!(
        read(&clear(length, 4, 0)),
        Err(PacketFault::SentTooLong { length })
    );
    assert_eq!(
        read(&clear(13, 4, 12)),
        Err(PacketFault::SentMisaligned { length: 13 })
    );
}

/// Of sealed packets, whose blocks begin behind the length, the bound itself is a length.
#[test]
fn the_longest_packet_is_taken_and_one_byte_more_is_not() {
    assert_eq!(check_length(262_144, true), Ok(()));
    let length = 262_145;
    let too_long = PacketFault::SentTooLong { length };
    assert_eq!(check_length(length, true), Err(too_long));
}

/// The cipher's nonce is the sequence number, and may not repeat.
#[test]
fn the_last_packet_under_the_same_keys_is_taken_and_one_more_is_not() {
    let (mut writer, mut reader) = pair(true);
    let last = (1 << 32) - 1;
    for epoch in [&mut writer.epoch, &mut reader.epoch] {
        epoch.packets = last;
        epoch.sequence_number = u32::MAX;
    }
    reader.push(&seal_all(&mut writer, &[vec![2], vec![3]]));
    let packet = reader.next_packet().unwrap().unwrap();
    assert_eq!(packet.sequence_number, u32::MAX);
    assert_eq!(reader.next_packet(), Err(PacketFault::SentTooManyPackets));
}

#[test]
fn padding_is_taken_from_4_bytes_on_and_never_past_the_packet() {
    assert_eq!(read(&clear(268, 255, 267)), Ok(Some(12)));
    for padding in [0, 3, 12, 255] {
        assert_eq!(
            read(&clear(12, padding, 11)),
            Err(PacketFault::SentWrongPadding {
                padding,
                length: 12
            })
        );
    }
    assert_eq!(read(&clear(12, 11, 11)), Err(PacketFault::SentNoPayload));
}

#[test]
fn a_length_past_the_bound_is_refused_before_its_bytes_are_waited_for() {
    assert!(matches!(
        read(&[0xff; 4]),
        Err(PacketFault::SentTooLong { .. })
    ));
}

#[test]
fn keys_reset_the_sequence_number_only_under_strict_key_exchange() {
    for (strict, expected) in [(true, 0), (false, 2)] {
        let (mut writer, mut reader) = pair(false);
        reader.push(&seal_all(&mut writer, &[vec![20], vec![21]]));
        while reader.next_packet().unwrap().is_some() {}
        writer.change_keys(key(), strict);
        reader.change_keys(key(), strict);
        reader.push(&seal_all(&mut writer, &[vec![5]]));
        let packet = reader.next_packet().unwrap().unwrap();
        assert_eq!((packet.sequence_number, packet.key_epoch), (expected, 1));
    }
}

/// Three sealed packets, each on its own, and a reader of them.
fn sealed_apart() -> (Vec<Vec<u8>>, PacketReader) {
    let (mut writer, reader) = pair(true);
    let packets = [vec![2], vec![3], vec![4]].map(|payload| seal_all(&mut writer, &[payload]));
    (packets.to_vec(), reader)
}

fn next_after(reader: &mut PacketReader, packets: &[&[u8]]) -> Result<(), PacketFault> {
    for packet in packets {
        reader.push(packet);
        reader.next_packet()?;
    }
    Ok(())
}

/// The number is in the nonce, so that nobody on the wire can repeat, swap or drop a packet.
#[test]
fn a_packet_played_back_or_out_of_order_is_refused() {
    for order in [[0, 0], [1, 0], [0, 2]] {
        let (packets, mut reader) = sealed_apart();
        let came: Vec<&[u8]> = order.iter().map(|at| packets[*at].as_slice()).collect();
        assert!(next_after(&mut reader, &came).is_err(), "{order:?}");
    }
    let (packets, mut reader) = sealed_apart();
    let came: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
    assert!(next_after(&mut reader, &came).is_ok());
}

/// Neither the keys before a rekey nor those of the other direction open anything.
#[test]
fn a_packet_under_other_keys_is_refused() {
    let (packets, mut reader) = sealed_apart();
    reader.change_keys(PacketKey::new(&[0x5a; 64]), true);
    assert!(next_after(&mut reader, &[&packets[0]]).is_err());
}

/// A length that somebody changed on the wire, up or down, leads to a tag that does not verify.
#[test]
fn a_changed_length_is_refused() {
    for bit in 0..32 {
        let (packets, mut reader) = sealed_apart();
        let mut changed = packets[0].clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        // What a longer packet waits for.
        changed.resize(
            changed.len() + usize::try_from(PACKET_LENGTH_MAX).unwrap(),
            0,
        );
        assert!(next_after(&mut reader, &[&changed]).is_err(), "bit {bit}");
    }
}
