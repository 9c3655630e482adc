//! How fast one packet is sealed and opened, by payload size, next to `ring` and `aws-lc-rs`.
//!
//! All three seal the same bytes with the same key, and are checked to agree before they are
//! measured.

use std::hint::black_box;

use aws_lc_rs::aead::chacha20_poly1305_openssh as aws_lc;
use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
    measurement::WallTime,
};
use minissh::crypto::{PacketKey, TAG_BYTES};
use ring::aead::chacha20_poly1305_openssh as ring_aead;

/// A keystroke, a short line, one full TCP segment, half and the whole of the largest data message
/// that OpenSSH sends.
const PAYLOAD_BYTES: [usize; 5] = [32, 256, 1_400, 16_384, 32_768];

/// Any number will do; what it is does not change the work.
const SEQUENCE_NUMBER: u32 = 7;

/// The 64 derived bytes of one direction.
fn key_bytes() -> [u8; 64] {
    std::array::from_fn(|i| u8::try_from(i).unwrap_or(0))
}

/// A packet around a payload, as the wire has it before it is sealed: length, padding length,
/// payload, and padding to a multiple of 8.
fn packet(payload_bytes: usize) -> Vec<u8> {
    let padding_bytes = 4 + (payload_bytes + 5).next_multiple_of(8) - (payload_bytes + 5);
    let length = 1 + payload_bytes + padding_bytes;
    let mut packet = u32::try_from(length).unwrap_or(0).to_be_bytes().to_vec();
    packet.push(u8::try_from(padding_bytes).unwrap_or(0));
    packet.resize(4 + length, 0x5a);
    packet
}

/// One library's way to seal and open.
trait Aead {
    const NAME: &str;
    fn new() -> Self;
    fn seal(&self, packet: &mut [u8]) -> [u8; TAG_BYTES];
    fn open(&self, packet: &mut [u8], tag: &[u8; TAG_BYTES]) -> bool;
}

struct Minissh(PacketKey);

impl Aead for Minissh {
    const NAME: &str = "minissh";

    fn new() -> Self {
        Self(PacketKey::new(&key_bytes()))
    }

    fn seal(&self, packet: &mut [u8]) -> [u8; TAG_BYTES] {
        self.0.seal(SEQUENCE_NUMBER, packet)
    }

    fn open(&self, packet: &mut [u8], tag: &[u8; TAG_BYTES]) -> bool {
        let length = packet.first_chunk().copied().unwrap_or_default();
        black_box(self.0.open_length(SEQUENCE_NUMBER, length));
        self.0.open(SEQUENCE_NUMBER, packet, tag).is_ok()
    }
}

/// The two have the same interface, and nothing in common that could be named.
macro_rules! ring_like {
    ($type:ident, $name:literal, $library:ident) => {
        struct $type($library::SealingKey, $library::OpeningKey);

        impl Aead for $type {
            const NAME: &str = $name;

            fn new() -> Self {
                Self(
                    $library::SealingKey::new(&key_bytes()),
                    $library::OpeningKey::new(&key_bytes()),
                )
            }

            fn seal(&self, packet: &mut [u8]) -> [u8; TAG_BYTES] {
                let mut tag = [0; TAG_BYTES];
                let _ = self.0.seal_in_place(SEQUENCE_NUMBER, packet, &mut tag);
                tag
            }

            fn open(&self, packet: &mut [u8], tag: &[u8; TAG_BYTES]) -> bool {
                let length = packet.first_chunk().copied().unwrap_or_default();
                let _ = black_box(self.1.decrypt_packet_length(SEQUENCE_NUMBER, length));
                self.1.open_in_place(SEQUENCE_NUMBER, packet, tag).is_ok()
            }
        }
    };
}

ring_like!(Ring, "ring", ring_aead);
ring_like!(AwsLc, "aws-lc-rs", aws_lc);

fn seal<A: Aead>(group: &mut BenchmarkGroup<'_, WallTime>, bytes: usize) {
    let (aead, mut packet) = (A::new(), packet(bytes));
    // Sealing what is sealed already costs the same, and saves a copy inside the timer.
    group.bench_function(BenchmarkId::new(A::NAME, bytes), |b| {
        b.iter(|| aead.seal(black_box(&mut packet)));
    });
}

fn open<A: Aead>(group: &mut BenchmarkGroup<'_, WallTime>, bytes: usize) {
    let (aead, mut sealed) = (A::new(), packet(bytes));
    let tag = aead.seal(&mut sealed);
    // A fresh packet each time: the one that was opened would fail its tag from then on.
    group.bench_function(BenchmarkId::new(A::NAME, bytes), |b| {
        b.iter_batched_ref(
            || sealed.clone(),
            |packet| assert!(aead.open(packet, &tag)),
            BatchSize::SmallInput,
        );
    });
}

fn sealed_by<A: Aead>() -> (Vec<u8>, [u8; TAG_BYTES]) {
    let mut packet = packet(1_400);
    let tag = A::new().seal(&mut packet);
    (packet, tag)
}

fn packets(c: &mut Criterion) {
    assert_eq!(sealed_by::<Minissh>(), sealed_by::<Ring>());
    assert_eq!(sealed_by::<Minissh>(), sealed_by::<AwsLc>());
    // Side by side for each size, so that a noisy moment hits all three alike.
    let mut group = c.benchmark_group("seal");
    for bytes in PAYLOAD_BYTES {
        group.throughput(Throughput::Bytes(bytes as u64));
        seal::<Minissh>(&mut group, bytes);
        seal::<Ring>(&mut group, bytes);
        seal::<AwsLc>(&mut group, bytes);
    }
    group.finish();
    let mut group = c.benchmark_group("open");
    for bytes in PAYLOAD_BYTES {
        group.throughput(Throughput::Bytes(bytes as u64));
        open::<Minissh>(&mut group, bytes);
        open::<Ring>(&mut group, bytes);
        open::<AwsLc>(&mut group, bytes);
    }
    group.finish();
}

criterion_group!(benches, packets);
criterion_main!(benches);
