//! Whole conversations between two engines in memory.

use crate::pair::{Pair, host_key};
use minissh::crypto::SigningKey;
use minissh::engine::{Config, Credential, Event, RekeyPolicy};
use minissh::msg::Request;
use proptest::prelude::*;

fn user_key() -> SigningKey {
    SigningKey::from_seed(&[9; 32])
}

fn log_in(pair: &mut Pair) {
    pair.run();
    let credential = Credential::Publickey(user_key());
    pair.client
        .engine
        .authenticate(pair.now, "user", &credential)
        .unwrap();
    pair.run();
    assert!(
        pair.client
            .events
            .iter()
            .any(|event| matches!(event, Event::AuthSucceeded))
    );
}

/// Sends `data` from client to server on a fresh channel and returns what arrived.
fn upload(pair: &mut Pair, data: &[u8]) -> Vec<u8> {
    let channel = pair.client.engine.open_session(pair.now).unwrap();
    pair.run();
    let (mut sent, mut arrived) = (0, Vec::new());
    let mut is_done = false;
    while !is_done {
        if sent < data.len() {
            sent += pair
                .client
                .engine
                .write(pair.now, channel, None, &data[sent..])
                .unwrap();
            if sent == data.len() {
                pair.client.engine.eof(pair.now, channel).unwrap();
            }
        }
        pair.run();
        for event in std::mem::take(&mut pair.server.events) {
            match event {
                Event::DataReceived { channel, data, .. } => {
                    let bytes = u32::try_from(data.0.len()).unwrap();
                    pair.server.engine.consume(pair.now, channel, bytes);
                    arrived.extend(data.0);
                }
                Event::EofReceived(_) => is_done = true,
                Event::Ended(end) => panic!("{end}"),
                _ => {}
            }
        }
    }
    arrived
}

fn numbers(bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|i| u8::try_from(i * 31 % 251).unwrap())
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let log = |seed| {
        let mut pair = Pair::with_defaults(seed);
        log_in(&mut pair);
        (pair.client.log(), pair.server.log())
    };
    assert_eq!(log(5), log(5));
    assert_ne!(log(5), log(6));
}

#[test]
fn data_larger_than_every_window_arrives_whole() {
    let mut pair = Pair::with_defaults(1);
    log_in(&mut pair);
    let data = numbers(5 << 20);
    assert!(upload(&mut pair, &data) == data);
}

#[test]
fn keys_change_by_themselves_and_nothing_is_lost() {
    let mut client = Config::client();
    client.rekey = RekeyPolicy {
        bytes_max: 64 << 10,
        ..RekeyPolicy::default()
    };
    let mut pair = Pair::new(client, Config::server(host_key()), 2);
    log_in(&mut pair);
    let data = numbers(2 << 20);
    assert!(upload(&mut pair, &data) == data);
    let exchanges = pair
        .client
        .events
        .iter()
        .filter(|event| matches!(event, Event::KeysChanged))
        .count();
    assert!(
        exchanges > 16,
        "only {exchanges} key exchanges for 32 times the limit"
    );
}

#[test]
fn both_sides_may_start_a_key_exchange_at_once() {
    let mut pair = Pair::with_defaults(3);
    log_in(&mut pair);
    pair.client.engine.start_kex(pair.now).unwrap();
    pair.server.engine.start_kex(pair.now).unwrap();
    pair.run();
    let data = numbers(100_000);
    assert!(upload(&mut pair, &data) == data);
}

#[test]
fn keys_change_when_they_are_an_hour_old() {
    let mut pair = Pair::with_defaults(4);
    log_in(&mut pair);
    let exchanges = |pair: &Pair| {
        pair.server
            .events
            .iter()
            .filter(|event| matches!(event, Event::KeysChanged))
            .count()
    };
    assert_eq!(exchanges(&pair), 1);
    pair.now += RekeyPolicy::default().age_max;
    pair.client.engine.handle_timeout(pair.now);
    pair.run();
    assert_eq!(exchanges(&pair), 2);
}

#[test]
fn a_request_is_answered_and_an_exit_status_arrives() {
    let mut pair = Pair::with_defaults(5);
    log_in(&mut pair);
    let channel = pair.client.engine.open_session(pair.now).unwrap();
    pair.run();
    let exec = Request::Exec { command: b"true" };
    pair.client
        .engine
        .request(pair.now, channel, exec, true)
        .unwrap();
    pair.run();
    let offered = pair.server.events.iter().find_map(|event| match event {
        Event::ChannelRequested {
            channel,
            request,
            want_reply: true,
        } => {
            assert_eq!(request.get(), Request::Exec { command: b"true" });
            Some(*channel)
        }
        _ => None,
    });
    let theirs = offered.expect("exec arrived");
    let server = &mut pair.server.engine;
    server.answer_request(pair.now, theirs, true).unwrap();
    server
        .request(pair.now, theirs, Request::ExitStatus { status: 3 }, false)
        .unwrap();
    server.close(pair.now, theirs);
    pair.run();
    let told: Vec<_> = pair.client.events.iter().rev().take(3).collect();
    assert!(matches!(
        told[2],
        Event::RequestAnswered { accepted: true, .. }
    ));
    assert!(matches!(told[1], Event::ChannelRequested { request, .. }
        if request.get() == Request::ExitStatus { status: 3 }));
    assert!(matches!(told[0], Event::ChannelClosed(_)));
}

/// OpenSSH sends EOF before the exit status; a client that closes at EOF must not lose it.
#[test]
fn an_exit_status_that_crosses_our_close_still_arrives() {
    let mut pair = Pair::with_defaults(7);
    log_in(&mut pair);
    let ours = pair.client.engine.open_session(pair.now).unwrap();
    pair.run();
    let theirs = pair
        .server
        .events
        .iter()
        .find_map(|event| match event {
            Event::SessionOffered(channel) => Some(*channel),
            _ => None,
        })
        .unwrap();
    pair.client.engine.close(pair.now, ours);
    let status = Request::ExitStatus { status: 7 };
    pair.server
        .engine
        .request(pair.now, theirs, status, false)
        .unwrap();
    pair.run();
    assert!(pair.client.events.iter().any(|event| matches!(event,
        Event::ChannelRequested { request, .. } if request.get() == status)));
}

/// The KEXINIT of the wire holds what we say we speak and nothing else.
#[test]
fn the_offer_is_one_of_each() {
    let mut pair = Pair::with_defaults(6);
    pair.run();
    let log = pair.client.log();
    assert!(log.contains(
        "cipher-c2s=chacha20-poly1305@openssh.com mac-c2s=hmac-sha2-256 compression-c2s=none"
    ));
    assert!(log.contains("host-key=ssh-ed25519"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However the network cuts the streams and however often keys change, data arrives as sent.
    #[test]
    fn data_survives_any_cut_and_any_rekey_limit(
        seed in any::<u64>(),
        chunk_bytes in 1_usize..3_000,
        rekey_bytes in 1_000_u64..40_000,
        bytes in 0_usize..60_000,
    ) {
        let mut server = Config::server(host_key());
        server.rekey = RekeyPolicy { bytes_max: rekey_bytes, ..RekeyPolicy::default() };
        let mut pair = Pair::new(Config::client(), server, seed);
        pair.chunk_bytes = chunk_bytes;
        log_in(&mut pair);
        let data = numbers(bytes);
        prop_assert!(upload(&mut pair, &data) == data);
    }

    /// An attacker's bytes instead of ours, at any point of the handshake, never panic.
    #[test]
    fn no_bytes_panic_the_engine(
        prefix in 0_usize..1_500,
        bytes in prop::collection::vec(any::<u8>(), 1..400),
    ) {
        let now = std::time::Instant::now();
        let mut client = crate::pair::Side::new(Config::client(), 1, now);
        let mut stream = Vec::new();
        while let minissh::engine::Output::Transmit(bytes) = client.engine.poll_output(1 << 20) {
            stream.extend(bytes);
        }
        stream.truncate(prefix);
        stream.extend(bytes);
        let mut server = crate::pair::Side::new(Config::server(host_key()), 2, now);
        let _ = server.engine.handle_input(now, &stream);
        while !matches!(server.engine.poll_output(1 << 20), minissh::engine::Output::Wait(_)) {}
    }
}
