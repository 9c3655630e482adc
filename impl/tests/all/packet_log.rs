//! The packet log of whole conversations: what a person reads when something goes wrong.
//!
//! Clock and randomness are injected, so that every line is the same on every machine.

use crate::pair::{Pair, Side, host_key};
use minissh::crypto::SigningKey;
use minissh::engine::{Config, Credential, Event, Password};
use minissh::msg::Request;

fn log_in(pair: &mut Pair, credential: &Credential) {
    pair.run();
    pair.client
        .engine
        .authenticate(pair.now, "user", credential)
        .unwrap();
    pair.run();
}

#[test]
fn a_handshake_a_login_and_a_command() {
    let mut pair = Pair::with_defaults(42);
    log_in(
        &mut pair,
        &Credential::Publickey(SigningKey::from_seed(&[9; 32])),
    );
    let channel = pair.client.engine.open_session(pair.now).unwrap();
    pair.run();
    let exec = Request::Exec {
        command: b"echo hi",
    };
    pair.client
        .engine
        .request(pair.now, channel, exec, true)
        .unwrap();
    pair.run();
    insta::assert_snapshot!("session_as_the_client_saw_it", pair.client.log());
    insta::assert_snapshot!("session_as_the_server_saw_it", pair.server.log());
}

#[test]
fn a_password_is_not_in_the_log() {
    let mut pair = Pair::with_defaults(43);
    log_in(
        &mut pair,
        &Credential::Password(Password::new(b"correct horse").unwrap()),
    );
    for log in [pair.client.log(), pair.server.log()] {
        assert!(log.contains("method=password"), "{log}");
        assert!(!log.contains("correct horse"), "{log}");
    }
}

#[test]
fn a_handshake_that_finds_nothing_in_common() {
    let now = std::time::Instant::now();
    let mut server = Side::new(Config::server(host_key()), 1, now);
    let kex_init = minissh::msg::KexInit {
        kex: minissh::wire::NameList("diffie-hellman-group14-sha256"),
        ..Default::default()
    };
    server.engine.handle_input(now, b"SSH-2.0-old\r\n").unwrap();
    let mut packet = Vec::new();
    minissh::packet::PacketWriter::default().seal(
        &mut minissh::crypto::from_seed(1),
        &mut packet,
        |w| minissh::msg::Message::KexInit(kex_init).encode(w),
    );
    server.engine.handle_input(now, &packet).unwrap();
    let mut end = None;
    loop {
        match server.engine.poll_output(1 << 20) {
            minissh::engine::Output::Event(Event::Ended(how)) => end = Some(how.to_string()),
            minissh::engine::Output::Wait(_) => break,
            _ => {}
        }
    }
    insta::assert_snapshot!(
        "handshake_that_failed",
        format!("{}{}\n", server.log(), end.unwrap_or_default())
    );
}
