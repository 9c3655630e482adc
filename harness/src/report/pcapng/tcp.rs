//! A connection as the IP packets that could have carried it.
//!
//! A capture holds what was read and written, not what the network made of it: addresses are those
//! set aside for documentation, each packet is acknowledged at once, and nothing is lost.

use std::time::Duration;

use etherparse::PacketBuilder;
use minissh::trace::Direction;

use crate::verdict::Capture;
use crate::verdict::capture::{Carried, Segment, Side};

/// The port at which readers expect SSH.
const SERVER_PORT: u16 = 22;

/// The port of the first connection's client.
const CLIENT_PORT: u16 = 40_000;

const CLIENT_ADDR: [u8; 4] = [192, 0, 2, 1];
const SERVER_ADDR: [u8; 4] = [192, 0, 2, 2];

/// What an Ethernet carries at once.
const PAYLOAD_BYTES_MAX: usize = 1460;

/// One IP packet.
pub(super) struct Frame {
    pub(super) at: Duration,
    pub(super) bytes: Vec<u8>,
}

/// What a packet says beside its data.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flag {
    Syn,
    Data,
    Ack,
    Fin,
    Reset,
}

/// The connection of that number in its file, from its first packet to its last.
pub(super) fn frames(capture: &Capture, number: u16) -> Vec<Frame> {
    let mut wire = Wire {
        client_port: CLIENT_PORT.wrapping_add(number),
        sent_by_client: 0,
        sent_by_server: 0,
        frames: Vec::new(),
    };
    let began = capture
        .segments
        .first()
        .map_or(Duration::ZERO, |first| first.at);
    wire.send(began, Side::Client, Flag::Syn, &[]);
    wire.send(began, Side::Server, Flag::Syn, &[]);
    wire.send(began, Side::Client, Flag::Ack, &[]);
    for segment in &capture.segments {
        wire.carry(segment, sender(segment.direction, capture.recorder));
    }
    wire.frames
}

fn sender(direction: Direction, recorder: Side) -> Side {
    match direction {
        Direction::Outbound => recorder,
        Direction::Inbound => other(recorder),
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    }
}

struct Wire {
    client_port: u16,
    /// Sequence numbers: bytes sent so far, SYN and FIN counting as one each.
    sent_by_client: u32,
    sent_by_server: u32,
    frames: Vec<Frame>,
}

impl Wire {
    fn carry(&mut self, segment: &Segment, sender: Side) {
        let at = segment.at;
        match &segment.what {
            Carried::Bytes(bytes) => {
                for chunk in bytes.chunks(PAYLOAD_BYTES_MAX) {
                    self.send(at, sender, Flag::Data, chunk);
                    self.send(at, other(sender), Flag::Ack, &[]);
                }
            }
            Carried::End => {
                self.send(at, sender, Flag::Fin, &[]);
                self.send(at, other(sender), Flag::Ack, &[]);
            }
            Carried::Reset => self.send(at, sender, Flag::Reset, &[]),
        }
    }

    fn send(&mut self, at: Duration, sender: Side, flag: Flag, data: &[u8]) {
        let ports = (self.client_port, SERVER_PORT);
        let counts = (self.sent_by_client, self.sent_by_server);
        let (from, to, ports, counts) = match sender {
            Side::Client => (CLIENT_ADDR, SERVER_ADDR, ports, counts),
            Side::Server => (SERVER_ADDR, CLIENT_ADDR, swapped(ports), swapped(counts)),
        };
        let (sequence_number, acknowledged) = counts;
        let builder =
            PacketBuilder::ipv4(from, to, 64).tcp(ports.0, ports.1, sequence_number, u16::MAX);
        let builder = match flag {
            Flag::Syn => builder.syn(),
            Flag::Data => builder.psh(),
            Flag::Ack => builder,
            Flag::Fin => builder.fin(),
            Flag::Reset => builder.rst(),
        };
        // Only the very first packet has nothing to acknowledge.
        let builder = if self.frames.is_empty() {
            builder
        } else {
            builder.ack(acknowledged)
        };
        let mut bytes = Vec::with_capacity(builder.size(data.len()));
        // Writing to memory does not fail, and the lengths are within their bounds.
        if builder.write(&mut bytes, data).is_ok() {
            self.frames.push(Frame { at, bytes });
        }
        let counted = data.len() + usize::from(matches!(flag, Flag::Syn | Flag::Fin));
        let sent = match sender {
            Side::Client => &mut self.sent_by_client,
            Side::Server => &mut self.sent_by_server,
        };
        *sent = sent.wrapping_add(u32::try_from(counted).unwrap_or(u32::MAX));
    }
}

fn swapped<T>((a, b): (T, T)) -> (T, T) {
    (b, a)
}
