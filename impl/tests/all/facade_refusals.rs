//! What must stay no, whatever a program answers: proved with a peer that says anything.

use crate::raw::{Raw, STRICT};
use minissh::engine::{Config, Event, Proof};
use minissh::msg::{AuthMethod, MessageId};

fn server() -> Raw {
    let host_key = minissh::crypto::SigningKey::from_seed(&[7; 32]);
    let mut raw = Raw::after_kex(Config::server(host_key), STRICT);
    raw.request_service();
    raw.says_yes = true;
    raw
}

/// A program that says yes to everything lets nobody in who showed nothing.
#[test]
fn a_yes_to_no_proof_is_no() {
    let mut raw = server();
    raw.send_auth(AuthMethod::None);
    assert!(raw.ids().contains(&MessageId::USERAUTH_FAILURE));
    assert!(!raw.ids().contains(&MessageId::USERAUTH_SUCCESS));
    let asked = raw.events.iter().any(
        |event| matches!(event, Event::AuthAsked(question) if matches!(question.proof, Proof::None)),
    );
    assert!(asked);
}

#[test]
fn a_yes_to_another_kind_of_key_is_no() {
    for signature_blob in [None, Some(&b"signature"[..])] {
        let mut raw = server();
        raw.send_auth(AuthMethod::Publickey {
            algorithm: "rsa-sha2-512",
            key_blob: b"key",
            signature_blob,
        });
        assert!(raw.ids().contains(&MessageId::USERAUTH_FAILURE));
        assert!(!raw.ids().contains(&MessageId::USERAUTH_SUCCESS));
        assert!(!raw.ids().contains(&MessageId::USERAUTH_PK_OK));
    }
}
