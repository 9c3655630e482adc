//! What channels grant and what they send: windows that are kept open, and small writes that leave
//! together.

use std::sync::{Arc, Mutex};

use minissh::crypto::SigningKey;
use minissh::engine::{Config, DATA_PACKET_BYTES_MAX, Event, Limits, LocalChannelId};
use minissh::msg::{
    ChannelData, ChannelExtendedData, ChannelOpen, ChannelWindowAdjust, Message, MessageId,
};
use minissh::net::Options;
use minissh::trace::{Direction, TraceEntry, Traced};

use crate::limits;
use crate::raw::Raw;

const MIB: u32 = 1 << 20;

fn logged_in() -> Raw {
    Raw::logged_in(Config::server(SigningKey::from_seed(&[7; 32])))
}

/// Opens a channel that takes so much; the subject's number for it, and what it takes.
fn open(raw: &mut Raw, window_bytes: u32) -> (LocalChannelId, u32) {
    raw.send(&Message::ChannelOpen(ChannelOpen {
        kind: "session",
        sender_channel: 5,
        window_bytes,
        packet_bytes_max: DATA_PACKET_BYTES_MAX,
        body: b"",
    }));
    let payload = raw.take(MessageId::CHANNEL_OPEN_CONFIRMATION);
    let Ok(Message::ChannelOpenConfirmation(confirmed)) = Message::decode(&payload) else {
        panic!("CHANNEL_OPEN_CONFIRMATION does not decode")
    };
    match raw.events.last() {
        Some(Event::SessionOffered(channel)) => (*channel, confirmed.window_bytes),
        event => panic!("{event:?}"),
    }
}

/// How much more the subject says that it takes.
fn take_adjusts(raw: &mut Raw) -> u32 {
    raw.send_bytes(&[]);
    let mut added = 0;
    raw.received
        .retain(|payload| match Message::decode(payload) {
            Ok(Message::ChannelWindowAdjust(adjust)) => {
                added += adjust.bytes_to_add;
                false
            }
            _ => true,
        });
    added
}

/// With all that comes used up at once, what is granted stays between 1 and 2 MiB, and few messages
/// say so.
#[test]
fn a_window_is_kept_between_1_and_2_mib() {
    let mut raw = logged_in();
    let (channel, mut window_bytes) = open(&mut raw, 0);
    assert_eq!(window_bytes, 2 * MIB);
    let data = vec![0; DATA_PACKET_BYTES_MAX as usize];
    let mut adjusts = 0;
    for _ in 0..320 {
        raw.send(&Message::ChannelData(ChannelData {
            recipient_channel: 0,
            data: &data,
        }));
        raw.engine.consume(raw.now, channel, DATA_PACKET_BYTES_MAX);
        let added = take_adjusts(&mut raw);
        adjusts += u32::from(added > 0);
        window_bytes = window_bytes - DATA_PACKET_BYTES_MAX + added;
        assert!((MIB..=2 * MIB).contains(&window_bytes), "{window_bytes}");
    }
    // 10 MiB came.
    assert!((1..=14).contains(&adjusts), "{adjusts} adjusts");
}

/// The engine hears of what a program has read in steps of 16 KiB.
#[test]
fn what_was_read_and_not_reported_keeps_no_window_below_1_mib() {
    const UNREPORTED: u32 = (16 << 10) - 1;
    let mut raw = logged_in();
    let (channel, mut window_bytes) = open(&mut raw, 0);
    let data = vec![0; DATA_PACKET_BYTES_MAX as usize];
    for round in 0..2_000_u32 {
        let reported = round * 977 % (DATA_PACKET_BYTES_MAX - 1) + 1;
        for size in [reported, UNREPORTED] {
            raw.send(&Message::ChannelData(ChannelData {
                recipient_channel: 0,
                data: &data[..size as usize],
            }));
            window_bytes -= size;
            if size == reported {
                raw.engine.consume(raw.now, channel, size);
            }
        }
        window_bytes += take_adjusts(&mut raw);
        assert!(window_bytes >= MIB, "{window_bytes}");
        raw.engine.consume(raw.now, channel, UNREPORTED);
        window_bytes += take_adjusts(&mut raw);
    }
}

/// What our program has not used up is not granted again.
#[test]
fn unread_and_granted_bytes_together_stay_below_2_mib() {
    let mut raw = logged_in();
    let (channel, mut window_bytes) = open(&mut raw, 0);
    let data = vec![0; DATA_PACKET_BYTES_MAX as usize];
    let mut unread = 0;
    for round in 0..1_000 {
        if window_bytes >= DATA_PACKET_BYTES_MAX {
            raw.send(&Message::ChannelData(ChannelData {
                recipient_channel: 0,
                data: &data,
            }));
            window_bytes -= DATA_PACKET_BYTES_MAX;
            unread += DATA_PACKET_BYTES_MAX;
        }
        // Slower than it comes.
        if round % 2 == 0 {
            let read = unread.min(DATA_PACKET_BYTES_MAX / 2);
            raw.engine.consume(raw.now, channel, read);
            unread -= read;
        }
        window_bytes += take_adjusts(&mut raw);
        assert!(window_bytes + unread <= 2 * MIB, "{window_bytes} {unread}");
    }
    assert!(raw.end().is_none());
}

#[test]
fn each_of_1024_channels_has_a_whole_window() {
    let mut raw = logged_in();
    for number in 0..1_024 {
        assert_eq!(open(&mut raw, number).1, 2 * MIB, "channel {number}");
    }
}

/// What waits for the window, from many writes, leaves in as few packets as it fits in, each stream
/// in packets of its own.
#[test]
fn small_writes_that_wait_for_the_window_are_sent_together() {
    let mut raw = logged_in();
    let (channel, _) = open(&mut raw, 0);
    for (code, writes) in [(None, 40_000), (Some(1), 100), (None, 1)] {
        for _ in 0..writes {
            raw.engine.write(raw.now, channel, code, b"x").unwrap();
            raw.send_bytes(&[]);
        }
    }
    raw.received.clear();
    raw.send(&Message::ChannelWindowAdjust(ChannelWindowAdjust {
        recipient_channel: 0,
        bytes_to_add: MIB,
    }));
    let sent: Vec<_> = raw
        .received
        .iter()
        .map(|payload| match Message::decode(payload) {
            Ok(Message::ChannelData(ChannelData { data, .. })) => (None, data.len()),
            Ok(Message::ChannelExtendedData(ChannelExtendedData { code, data, .. })) => {
                (Some(code), data.len())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let wanted = [(None, 32_768), (None, 7_232), (Some(1), 100), (None, 1)];
    assert!(
        sent == wanted,
        "{} packets: {:?}",
        sent.len(),
        sent.get(..4)
    );
}

/// Whoever said that no more comes, and then closed, said both.
#[test]
fn what_waits_for_the_window_is_followed_by_eof_and_close() {
    let mut raw = logged_in();
    for (recipient_channel, says_eof) in [(0, true), (1, false)] {
        let (channel, _) = open(&mut raw, 0);
        raw.engine.write(raw.now, channel, None, b"last").unwrap();
        if says_eof {
            raw.engine.eof(raw.now, channel).unwrap();
        }
        raw.engine.close(raw.now, channel);
        raw.received.clear();
        raw.send(&Message::ChannelWindowAdjust(ChannelWindowAdjust {
            recipient_channel,
            bytes_to_add: MIB,
        }));
        let eof = says_eof.then_some(MessageId::CHANNEL_EOF);
        let mut wanted = vec![MessageId::CHANNEL_DATA];
        wanted.extend(eof);
        wanted.push(MessageId::CHANNEL_CLOSE);
        assert_eq!(raw.ids(), wanted);
    }
}

/// What our own program may have waiting on one channel.
#[test]
fn writes_up_to_the_limit_and_one_byte_more() {
    let staged_bytes_max = Limits::default().staged_bytes_max;
    assert_eq!(staged_bytes_max, 128 << 10);
    let mut raw = logged_in();
    let (channel, _) = open(&mut raw, 0);
    let mut write = |bytes: usize| raw.engine.write(raw.now, channel, None, &vec![0; bytes]);
    assert_eq!(write(staged_bytes_max - 1), Ok(staged_bytes_max - 1));
    assert_eq!(write(2), Ok(1));
    assert_eq!(write(1), Ok(0));

    // Once half of it has left, the program is told to come again.
    let is_told = |raw: &Raw| matches!(raw.events.last(), Some(Event::ChannelWritable(_)));
    for (bytes_to_add, told) in [((64 << 10) - 1, false), (1, true)] {
        raw.send(&Message::ChannelWindowAdjust(ChannelWindowAdjust {
            recipient_channel: 0,
            bytes_to_add,
        }));
        assert_eq!(is_told(&raw), told);
    }
}

/// A thousand tasks that each write a byte, at a peer that takes everything.
#[tokio::test]
async fn small_writes_of_many_tasks_are_sent_together() {
    const WRITES: usize = 1_000;
    let packets = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&packets);
    let mut options = Options::new(Config::client());
    options.recorder = Some(Box::new(move |entry: TraceEntry| {
        let is_data = |what: &Traced| matches!(what, Traced::Packet { message, .. } if *message == MessageId::CHANNEL_DATA);
        if entry.direction == Direction::Outbound && is_data(&entry.what) {
            *counted.lock().unwrap() += 1;
        }
    }));
    let (client, server) = limits::pair_with(options).await;
    let channel = client.channel_exec("sink").await.unwrap();
    let theirs = server.channel_accept().await.unwrap();
    let mut writes = tokio::task::JoinSet::new();
    for _ in 0..WRITES {
        let channel = channel.clone();
        writes.spawn(async move { channel.write(b"x").await.unwrap() });
    }
    writes.join_all().await;
    channel.eof().await.unwrap();
    let mut bytes = 0;
    while let Some(data) = theirs.read().await.unwrap() {
        bytes += data.bytes.len();
    }
    assert_eq!(bytes, WRITES);
    let packets = *packets.lock().unwrap();
    assert!((1..=WRITES / 10).contains(&packets), "{packets} packets");
}
