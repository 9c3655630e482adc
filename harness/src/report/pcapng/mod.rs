//! A case's connections as a capture file that Wireshark opens decrypted.
//!
//! The secrets are inside the file, in a block of their own, so that nothing has to be configured:
//! whoever has the file can read everything that was sent. It holds the keys of a single case and
//! the password of a user that exists for testing only.

mod tcp;

use std::borrow::Cow;
use std::time::Duration;

use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::pcapng::blocks::unknown::UnknownBlock;
use pcap_file::pcapng::{Block, PcapNgWriter};
use pcap_file::{DataLink, Endianness, PcapResult};

use crate::verdict::Capture;

/// The block of secrets, which the crate knows only as a number.
const DECRYPTION_SECRETS: u32 = 0x0a;

/// The form of the secrets in it: an SSH key log.
const SSH_KEY_LOG: u32 = 0x5353_484b;

/// Timestamps are in units of ten to the minus so many seconds. The crate writes nanoseconds.
const TIMESTAMP_RESOLUTION: u8 = 9;

/// What is said at the last packet of a connection that was not kept to its end.
const CUT: &str = "What came after this packet was not kept.";

/// Renders the connections of a case, one after the other as they began. `about` says in the
/// file's own words what it is.
///
/// # Errors
/// The crate's, which writing to memory does not give in practice.
pub fn render(captures: &[Capture], about: &str) -> PcapResult<Vec<u8>> {
    let mut writer = PcapNgWriter::with_section_header(Vec::new(), section(about))?;
    writer.write_pcapng_block(interface())?;
    let keys: Vec<&str> = captures
        .iter()
        .flat_map(|capture| capture.key_lines.iter().map(String::as_str))
        .collect();
    if !keys.is_empty() {
        writer.write_block(&secrets(&keys))?;
    }
    for (number, capture) in (0..).zip(captures) {
        let frames = tcp::frames(capture, number);
        let last = frames.len().saturating_sub(1);
        for (at, frame) in frames.into_iter().enumerate() {
            let comment = (capture.is_cut && at == last).then_some(CUT);
            writer.write_block(&packet(frame.at, frame.bytes, comment))?;
        }
    }
    Ok(writer.into_inner())
}

fn section(about: &str) -> SectionHeaderBlock<'static> {
    let tool = concat!("sshdrill ", env!("CARGO_PKG_VERSION"));
    SectionHeaderBlock {
        endianness: Endianness::Little,
        major_version: 1,
        minor_version: 0,
        section_length: -1,
        options: vec![
            SectionHeaderOption::UserApplication(Cow::Borrowed(tool)),
            SectionHeaderOption::Comment(Cow::Owned(about.to_owned())),
        ],
    }
}

/// IP packets without anything around them.
fn interface() -> InterfaceDescriptionBlock<'static> {
    InterfaceDescriptionBlock {
        linktype: DataLink::IPV4,
        snaplen: 0,
        options: vec![InterfaceDescriptionOption::IfTsResol(TIMESTAMP_RESOLUTION)],
    }
}

/// Readers want it before the first packet that it is for.
fn secrets(lines: &[&str]) -> Block<'static> {
    let log = lines.join("\n") + "\n";
    let bytes = u32::try_from(log.len()).unwrap_or(u32::MAX);
    let mut value = Vec::with_capacity(log.len() + 12);
    value.extend_from_slice(&SSH_KEY_LOG.to_le_bytes());
    value.extend_from_slice(&bytes.to_le_bytes());
    value.extend_from_slice(log.as_bytes());
    value.resize(value.len().next_multiple_of(4), 0);
    Block::Unknown(UnknownBlock {
        type_: DECRYPTION_SECRETS,
        length: 0,
        value: Cow::Owned(value),
    })
}

fn packet(at: Duration, bytes: Vec<u8>, comment: Option<&'static str>) -> Block<'static> {
    let comment = comment.map(|text| EnhancedPacketOption::Comment(Cow::Borrowed(text)));
    Block::EnhancedPacket(EnhancedPacketBlock {
        interface_id: 0,
        timestamp: at,
        original_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        data: Cow::Owned(bytes),
        options: comment.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use etherparse::{SlicedPacket, TransportSlice};
    use minissh::trace::Direction;
    use pcap_file::pcapng::PcapNgReader;
    use proptest::prelude::*;

    use super::*;
    use crate::verdict::capture::Side;

    /// What a reader of the file puts together: the bytes of each port, by sequence number.
    fn streams(file: &[u8]) -> BTreeMap<u16, Vec<u8>> {
        let mut reader = PcapNgReader::new(file).expect("a section");
        let mut streams: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
        while let Some(block) = reader.next_block() {
            let Block::EnhancedPacket(packet) = block.expect("whole") else {
                continue;
            };
            let packet = SlicedPacket::from_ip(&packet.data).expect("an IP packet");
            let Some(TransportSlice::Tcp(tcp)) = &packet.transport else {
                panic!("no TCP");
            };
            let stream = streams.entry(tcp.source_port()).or_default();
            // Of the two that count without being data, the first comes before all of it.
            let at = tcp.sequence_number().saturating_sub(1) as usize;
            assert!(at <= stream.len() + 1, "a hole before {at}");
            stream.truncate(at);
            stream.extend_from_slice(tcp.payload());
        }
        streams
    }

    proptest! {
        #[test]
        fn a_reader_gets_the_bytes_of_both_directions(
            pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 1..4000)), 0..12),
        ) {
            let mut capture = Capture::by(Side::Server);
            let (mut up, mut down) = (Vec::new(), Vec::new());
            for (is_ours, bytes) in &pieces {
                let (direction, sent) = match is_ours {
                    true => (Direction::Outbound, &mut down),
                    false => (Direction::Inbound, &mut up),
                };
                sent.extend_from_slice(bytes);
                capture.carry(Duration::from_millis(1), direction, bytes);
            }
            capture.end(Duration::from_millis(2), Direction::Inbound);
            capture.end(Duration::from_millis(2), Direction::Outbound);
            let streams = streams(&render(&[capture], "a test").expect("memory"));
            prop_assert_eq!(&streams[&40_000], &up);
            prop_assert_eq!(&streams[&22], &down);
        }
    }

    #[test]
    fn the_secrets_come_before_the_first_packet() {
        let mut capture = Capture::by(Side::Client);
        capture.log_key("0f SHARED_SECRET ab");
        capture.carry(Duration::ZERO, Direction::Outbound, b"SSH-2.0-x\r\n");
        let file = render(&[capture], "a test").expect("memory");
        let mut reader = PcapNgReader::new(&file[..]).expect("a section");
        let mut kinds = Vec::new();
        while let Some(block) = reader.next_block() {
            kinds.push(match block.expect("whole") {
                Block::InterfaceDescription(_) => "interface",
                Block::Unknown(secrets) => {
                    assert_eq!(secrets.type_, 10);
                    assert!(
                        secrets
                            .value
                            .starts_with(b"KHSS\x14\0\0\x000f SHARED_SECRET ab\n")
                    );
                    "secrets"
                }
                Block::EnhancedPacket(_) => "packet",
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(
            kinds,
            [
                "interface",
                "secrets",
                "packet",
                "packet",
                "packet",
                "packet",
                "packet"
            ]
        );
    }

    /// What was kept of a connection says that it is not all.
    #[test]
    fn a_capture_that_was_cut_says_so_at_its_end() {
        let mut capture = Capture::by(Side::Client);
        capture.carry(Duration::ZERO, Direction::Outbound, b"SSH-2.0-x\r\n");
        let has_comment = |capture: &Capture| {
            let file = render(std::slice::from_ref(capture), "a test").expect("memory");
            file.windows(CUT.len())
                .any(|window| window == CUT.as_bytes())
        };
        assert!(!has_comment(&capture));
        capture.is_cut = true;
        assert!(has_comment(&capture));
    }
}
