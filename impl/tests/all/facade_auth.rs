//! Connecting and logging in, as a program sees them.

use std::sync::mpsc;
use std::time::Duration;

use crate::facade::{
    PASSWORD, USER, connect, host_key, log_in, policy, serve, serve_users, user_key,
};
use minissh::blocking;
use minissh::crypto::SigningKey;
use minissh::engine::{ApiMisuse, End, Password};
use minissh::net::{AuthPolicy, Error, Verdict};

#[test]
fn a_made_key_logs_in() {
    let key = blocking::keygen().unwrap();
    assert_ne!(key.public_key(), blocking::keygen().unwrap().public_key());
    let public = key.public_key();
    let server = serve(move |ssh| {
        let public = public.clone();
        ssh.userauth_accept(AuthPolicy::publickey(move |_, key, _| *key == public))
            .unwrap();
        let _ = ssh.wait();
    });
    let ssh = connect(server.addr);
    assert!(ssh.userauth_publickey(USER, &key).unwrap());
}

#[test]
fn the_verifier_sees_the_servers_key() {
    let server = serve_users(|_| {});
    let (seen, was_seen) = mpsc::channel();
    blocking::connect(server.addr, move |key| seen.send(key.clone()).is_ok()).unwrap();
    assert_eq!(was_seen.recv().unwrap(), host_key().public_key());
}

#[test]
fn a_refused_host_key_ends_the_connection() {
    let (told, ending) = mpsc::channel();
    let server = serve(move |ssh| {
        let _ = told.send(ssh.userauth_accept(policy()));
    });
    let refused = blocking::connect(server.addr, |_| false);
    assert!(matches!(refused, Err(Error::HostKeyRefused)));
    drop(server);
    // The server may see the end before its own key exchange is complete, and then has no session.
    if let Ok(ending) = ending.recv() {
        assert!(matches!(
            ending,
            Err(Error::Ended(End::PeerDisconnected { .. }))
        ));
    }
}

#[test]
fn a_login_is_true_or_false() {
    let server = serve_users(|_| {});
    let ssh = connect(server.addr);
    let wrong = SigningKey::from_seed(&[3; 32]);
    assert!(!ssh.userauth_password(USER, "wrong").unwrap());
    assert!(!ssh.userauth_publickey(USER, &wrong).unwrap());
    assert!(!ssh.userauth_password("nobody", PASSWORD).unwrap());
    assert!(ssh.userauth_password(USER, PASSWORD).unwrap());
    log_in(server.addr);
}

#[test]
fn a_refusal_says_what_may_be_tried_next() {
    let server = serve_users(|_| {});
    let ssh = connect(server.addr);
    assert_eq!(ssh.userauth_refusal().unwrap(), None);
    assert!(!ssh.userauth_none(USER).unwrap());
    let refusal = ssh.userauth_refusal().unwrap().unwrap();
    assert_eq!(refusal.methods, ["publickey", "password"]);
    assert!(!refusal.is_partial_success && !refusal.wants_new_password);
    assert!(ssh.userauth_password(USER, PASSWORD).unwrap());
    assert!(matches!(
        ssh.userauth_none(USER),
        Err(Error::Misuse(ApiMisuse::AuthenticatedAgain))
    ));
}

#[test]
fn a_user_that_there_is_not_is_refused_in_the_same_words() {
    let server = serve_users(|_| {});
    let stranger = SigningKey::from_seed(&[3; 32]);
    let refusals = |user: &str| {
        let ssh = connect(server.addr);
        let refused = |let_in: bool| {
            assert!(!let_in);
            (ssh.userauth_refusal().unwrap(), ssh.banners().unwrap())
        };
        [
            refused(ssh.userauth_none(user).unwrap()),
            refused(ssh.userauth_publickey(user, &stranger).unwrap()),
            refused(ssh.userauth_password(user, "wrong").unwrap()),
        ]
    };
    assert_eq!(refusals(USER), refusals("nobody"));
}

#[test]
fn what_is_in_use_is_counted_in_both_directions() {
    let server = serve_users(|_| {});
    let ssh = connect(server.addr);
    let before = ssh.status().unwrap();
    assert_eq!((before.kex, before.key_exchanges), ("curve25519-sha256", 1));
    assert!(before.is_strict);
    assert!(!ssh.userauth_none(USER).unwrap());
    let after = ssh.status().unwrap();
    // SERVICE_REQUEST and USERAUTH_REQUEST, and their answers: 4 bytes of length, whole blocks of 8,
    // and a tag of 16.
    assert_eq!(after.outbound.packets, before.outbound.packets + 2);
    assert_eq!(after.inbound.packets, before.inbound.packets + 2);
    for (before, after) in [
        (before.outbound, after.outbound),
        (before.inbound, after.inbound),
    ] {
        let bytes = after.bytes - before.bytes;
        assert!(bytes > 2 * (4 + 8 + 16) && bytes % 8 == 0, "{bytes}");
    }
    assert!(after.key_age >= before.key_age && after.key_age > Duration::ZERO);
    assert!(ssh.userauth_password(USER, PASSWORD).unwrap());
    ssh.rekey().unwrap();
    let renewed = ssh.status().unwrap();
    assert_eq!(renewed.key_exchanges, 2);
    assert_eq!(renewed.outbound.packets, 0);
}

#[test]
fn a_server_can_be_asked_whether_a_key_would_do() {
    let server = serve_users(|_| {});
    let ssh = connect(server.addr);
    let probe = |seed| {
        let key = SigningKey::from_seed(&[seed; 32]).public_key();
        ssh.userauth_probe(USER, &key).unwrap()
    };
    assert_eq!(probe(3), Verdict::Refused);
    let right = user_key().public_key();
    assert_eq!(
        ssh.userauth_probe(USER, &right).unwrap(),
        Verdict::KeyAccepted
    );
    // That was no login, and nothing has to follow from it.
    assert_eq!(probe(3), Verdict::Refused);
    assert_eq!(
        ssh.userauth_probe(USER, &right).unwrap(),
        Verdict::KeyAccepted
    );
    assert!(ssh.userauth_publickey(USER, &user_key()).unwrap());
    assert!(matches!(
        ssh.userauth_probe(USER, &right),
        Err(Error::Misuse(ApiMisuse::AuthenticatedAgain))
    ));
}

#[test]
fn logging_in_twice_is_misuse() {
    let (told, second) = mpsc::channel();
    let server = serve(move |ssh| {
        assert_eq!(ssh.userauth_accept(policy()).unwrap(), USER);
        told.send(ssh.userauth_accept(policy())).unwrap();
        let _ = ssh.wait();
    });
    let ssh = log_in(server.addr);
    let again = [
        ssh.userauth_password(USER, PASSWORD),
        ssh.userauth_publickey(USER, &user_key()),
    ];
    for again in again {
        assert!(matches!(
            again,
            Err(Error::Misuse(ApiMisuse::AuthenticatedAgain))
        ));
    }
    let second = second.recv().unwrap();
    assert!(matches!(
        second,
        Err(Error::Misuse(ApiMisuse::AuthenticatedAgain))
    ));
}

/// It is refused unsent; the mistakes of a caller are told all the same.
#[test]
fn a_password_longer_than_any_server_takes() {
    let long = "x".repeat(Password::BYTES_MAX + 1);
    let server = serve_users(|_| {});
    let ssh = connect(server.addr);
    assert!(!ssh.userauth_password(USER, &long).unwrap());
    assert!(ssh.userauth_publickey(USER, &user_key()).unwrap());
    assert!(matches!(
        ssh.userauth_password(USER, &long),
        Err(Error::Misuse(ApiMisuse::AuthenticatedAgain))
    ));
    ssh.disconnect();
    assert!(matches!(
        ssh.userauth_password(USER, &long),
        Err(Error::Ended(End::WeDisconnected))
    ));
}

#[test]
fn calls_of_the_other_role_are_misuse() {
    let (told, as_server) = mpsc::channel();
    let server = serve(move |ssh| {
        told.send(ssh.userauth_password(USER, PASSWORD)).unwrap();
        let _ = ssh.wait();
    });
    let ssh = connect(server.addr);
    let as_server = as_server.recv().unwrap();
    let as_client = ssh.userauth_accept(policy());
    assert!(matches!(
        as_server,
        Err(Error::Misuse(ApiMisuse::CalledOnWrongRole(_)))
    ));
    assert!(matches!(
        as_client,
        Err(Error::Misuse(ApiMisuse::CalledOnWrongRole(_)))
    ));
}

#[test]
fn a_channel_before_the_login_is_misuse() {
    let server = serve_users(|_| {});
    let ssh = connect(server.addr);
    let early = ssh.channel_exec("true");
    assert!(matches!(
        early,
        Err(Error::Misuse(ApiMisuse::CalledTooEarly(_)))
    ));
}

/// The client is shown each banner before the call that it belongs to returns.
#[test]
fn a_banner_comes_before_either_verdict() {
    let server = serve(|ssh| {
        let policy = policy().with_banner(|user, granted, key| {
            let with = if key.is_some() { "key" } else { "password" };
            Some(format!("{user}: {granted} by {with}"))
        });
        let _ = ssh.userauth_accept(policy);
        let _ = ssh.wait();
    });
    let ssh = connect(server.addr);
    assert!(!ssh.userauth_password(USER, "wrong").unwrap());
    assert_eq!(ssh.banners().unwrap(), [b"robin: false by password"]);
    assert!(ssh.userauth_publickey(USER, &user_key()).unwrap());
    assert_eq!(ssh.banners().unwrap(), [b"robin: true by key"]);
    assert!(ssh.banners().unwrap().is_empty());
}

#[test]
fn calls_after_the_end_say_how_it_came() {
    let server = serve(|ssh| ssh.disconnect());
    let ssh = connect(server.addr);
    assert!(matches!(ssh.wait(), End::PeerDisconnected { .. }));
    let late = ssh.userauth_password(USER, PASSWORD);
    assert!(matches!(
        late,
        Err(Error::Ended(End::PeerDisconnected { .. }))
    ));
    ssh.disconnect();
}
