//! EXT_INFO (RFC 8308) and PING (OpenSSH PROTOCOL §1.8), in both roles.

use crate::raw::{PLAIN, Raw, STRICT};
use minissh::crypto::SigningKey;
use minissh::engine::{Config, Credential};
use minissh::msg::{ExtInfo, Message, MessageId, Ping, Service};

fn server(kex: &str) -> Raw {
    Raw::after_kex(Config::server(SigningKey::from_seed(&[7; 32])), kex)
}

fn server_sig_algs(raw: &Raw) -> Option<Vec<String>> {
    raw.engine.status(raw.now).unwrap().server_sig_algs
}

#[test]
fn a_server_says_what_it_verifies_to_who_takes_it() {
    let mut raw = server("curve25519-sha256,ext-info-c");
    // The very next packet behind NEWKEYS (RFC 8308 §2.4).
    assert_eq!(raw.ids(), [MessageId::EXT_INFO]);
    let payload = raw.take(MessageId::EXT_INFO);
    let extensions = vec![
        ("server-sig-algs", &b"ssh-ed25519"[..]),
        ("ping@openssh.com", b"0"),
    ];
    assert_eq!(
        Message::decode(&payload),
        Ok(Message::ExtInfo(ExtInfo { extensions }))
    );
}

/// The marker counts in the first KEXINIT of the role that it is for, and nowhere else.
#[test]
fn a_server_says_nothing_to_who_did_not_ask() {
    for kex in [PLAIN, "curve25519-sha256,ext-info-s"] {
        assert!(!server(kex).ids().contains(&MessageId::EXT_INFO), "{kex}");
    }
    let mut raw = server(PLAIN);
    raw.log_in();
    raw.exchange_keys("curve25519-sha256,ext-info-c");
    assert!(!raw.ids().contains(&MessageId::EXT_INFO));
}

/// OpenSSH 7.2 verifies ssh-ed25519 and leaves it out.
#[test]
fn a_list_without_our_algorithm_keeps_no_client_from_trying() {
    let mut raw = Raw::after_kex(Config::client(), STRICT);
    assert_eq!(server_sig_algs(&raw), None);
    raw.send(&Message::ExtInfo(ExtInfo {
        extensions: vec![
            ("x@example.org", b"\xff"),
            ("server-sig-algs", b"rsa-sha2-256,rsa-sha2-512"),
        ],
    }));
    assert_eq!(
        server_sig_algs(&raw).unwrap(),
        ["rsa-sha2-256", "rsa-sha2-512"]
    );

    let key = Credential::Publickey(SigningKey::from_seed(&[9; 32]));
    raw.engine.authenticate(raw.now, "user", &key).unwrap();
    raw.send_bytes(&[]);
    raw.send(&Message::ServiceAccept(Service {
        name: "ssh-userauth",
    }));
    raw.take(MessageId::USERAUTH_REQUEST);
}

/// Clients have nothing to say that we would act on, and may say it.
#[test]
fn what_a_client_says_changes_nothing() {
    let mut raw = server(STRICT);
    raw.send(&Message::ExtInfo(ExtInfo {
        extensions: vec![("server-sig-algs", b"none")],
    }));
    assert_eq!(server_sig_algs(&raw), None);
    raw.log_in();
}

#[test]
fn both_roles_answer_a_ping_with_its_data_in_order() {
    for mut raw in [server(STRICT), Raw::after_kex(Config::client(), STRICT)] {
        for data in [&b"first"[..], b"", &[0xff; 1_000]] {
            raw.send(&Message::Ping(Ping { data }));
        }
        for data in [&b"first"[..], b"", &[0xff; 1_000]] {
            let payload = raw.take(MessageId::PONG);
            assert_eq!(Message::decode(&payload), Ok(Message::Pong(Ping { data })));
        }
    }
}

/// Nobody asked: no harm either (the flood of CVE-2025-26466 is of PINGs, and is bounded below).
#[test]
fn a_pong_is_passed_over() {
    let mut raw = server(STRICT);
    raw.send(&Message::Pong(Ping { data: b"?" }));
    raw.log_in();
}
