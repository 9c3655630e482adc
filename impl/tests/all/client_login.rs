//! How a client logs in: what it sends, and what it makes of the answers.

use crate::raw::{Raw, STRICT};
use minissh::crypto::SigningKey;
use minissh::engine::{Config, Credential, Event, Password, Refusal};
use minissh::msg::{AuthMethod, Message, MessageId, Service, UserauthFailure, UserauthPkOk};
use minissh::wire::NameList;

const ED25519: &[u8] = b"ssh-ed25519";

fn key() -> SigningKey {
    SigningKey::from_seed(&[9; 32])
}

/// A client that asked to be let in and whose request is out.
fn asking(credential: &Credential) -> Raw {
    let mut raw = Raw::after_kex(Config::client(), STRICT);
    raw.engine
        .authenticate(raw.now, "user", credential)
        .unwrap();
    accept_service(&mut raw);
    raw
}

fn accept_service(raw: &mut Raw) {
    raw.send_bytes(&[]);
    raw.take(MessageId::SERVICE_REQUEST);
    raw.send(&Message::ServiceAccept(Service {
        name: "ssh-userauth",
    }));
}

fn pk_ok(raw: &mut Raw, key: &SigningKey) {
    raw.send(&Message::UserauthPkOk(UserauthPkOk {
        algorithm: ED25519,
        key_blob: &key.public_key().to_blob(),
    }));
}

fn refuse(raw: &mut Raw, methods: &str, partial_success: bool) {
    raw.send(&Message::UserauthFailure(UserauthFailure {
        methods: NameList(methods),
        partial_success,
    }));
}

/// Takes the client's request: whether it has a signature.
fn take_signed(raw: &mut Raw) -> bool {
    let payload = raw.take(MessageId::USERAUTH_REQUEST);
    match Message::decode(&payload) {
        Ok(Message::UserauthRequest(request)) => match request.method {
            AuthMethod::Publickey {
                signature_blob,
                key_blob,
                ..
            } => {
                assert_eq!(key_blob, key().public_key().to_blob());
                signature_blob.is_some()
            }
            method => panic!("{}", method.name()),
        },
        other => panic!("{other:?}"),
    }
}

fn refusals(raw: &Raw) -> Vec<Refusal> {
    raw.events
        .iter()
        .filter_map(|event| match event {
            Event::AuthFailed(refusal) => Some(refusal.clone()),
            _ => None,
        })
        .collect()
}

fn refusal(methods: &[&str], is_partial_success: bool) -> Refusal {
    Refusal {
        methods: methods.iter().copied().map(str::to_owned).collect(),
        is_partial_success,
        wants_new_password: false,
    }
}

#[test]
fn a_key_is_offered_first_and_signed_for_who_would_take_it() {
    let mut raw = asking(&Credential::Publickey(key()));
    assert!(!take_signed(&mut raw), "a signature before anybody asked");
    pk_ok(&mut raw, &key());
    assert!(take_signed(&mut raw));
    raw.send(&Message::UserauthSuccess);
    assert!(matches!(raw.events.last(), Some(Event::AuthSucceeded)));
}

/// The signature would tell a server that does not know the key nothing it should have.
#[test]
fn nothing_is_signed_for_who_would_not_take_the_key() {
    let mut raw = asking(&Credential::Publickey(key()));
    assert!(!take_signed(&mut raw));
    refuse(&mut raw, "publickey,password", false);
    assert!(!raw.ids().contains(&MessageId::USERAUTH_REQUEST));
    assert_eq!(refusals(&raw), [refusal(&["publickey", "password"], false)]);
}

/// Who asks for a passphrase asks for it between the two, and the server is not asked twice.
#[test]
fn a_key_that_was_asked_about_is_signed_with_at_once_for_the_same_user() {
    let probed = || {
        let mut raw = Raw::after_kex(Config::client(), STRICT);
        let public_key = key().public_key();
        raw.engine.probe_key(raw.now, "user", &public_key).unwrap();
        accept_service(&mut raw);
        assert!(!take_signed(&mut raw));
        pk_ok(&mut raw, &key());
        assert!(matches!(raw.events.last(), Some(Event::KeyAccepted)));
        assert!(!raw.ids().contains(&MessageId::USERAUTH_REQUEST));
        raw
    };
    for (user, is_signed) in [("user", true), ("another", false)] {
        let mut raw = probed();
        let login = Credential::Publickey(key());
        raw.engine.authenticate(raw.now, user, &login).unwrap();
        raw.send_bytes(&[]);
        assert_eq!(take_signed(&mut raw), is_signed, "{user}");
    }
}

/// A server that lets everybody in does not wait for a signature.
#[test]
fn a_success_in_reply_to_an_offer_is_one() {
    let mut raw = asking(&Credential::Publickey(key()));
    raw.send(&Message::UserauthSuccess);
    assert!(matches!(raw.events.last(), Some(Event::AuthSucceeded)));
}

/// A key, and then a password as well.
#[test]
fn what_is_right_and_not_enough_is_told_apart_from_what_is_wrong() {
    let mut raw = asking(&Credential::Publickey(key()));
    pk_ok(&mut raw, &key());
    refuse(&mut raw, "password", true);
    let password = Credential::Password(Password::new(b"second").unwrap());
    raw.engine.authenticate(raw.now, "user", &password).unwrap();
    raw.send_bytes(&[]);
    raw.send(&Message::UserauthSuccess);
    assert_eq!(refusals(&raw), [refusal(&["password"], true)]);
    assert!(matches!(raw.events.last(), Some(Event::AuthSucceeded)));
}

/// The list of methods that a refusal gave still stands when a new password is wanted.
#[test]
fn a_wish_for_a_new_password_is_a_refusal_of_its_own() {
    let password = Credential::Password(Password::new(b"old").unwrap());
    let mut raw = asking(&Credential::None);
    refuse(&mut raw, "password", false);
    raw.engine.authenticate(raw.now, "user", &password).unwrap();
    raw.send_bytes(&[]);
    raw.send_payload(b"\x3c\0\0\0\x06change\0\0\0\0");
    let wish = Refusal {
        wants_new_password: true,
        ..refusal(&["password"], false)
    };
    assert_eq!(refusals(&raw), [refusal(&["password"], false), wish]);
    // The connection lives, and another way may be tried.
    raw.engine.authenticate(raw.now, "user", &password).unwrap();
}
