//! Every rule that a peer can break, broken: the engine names the rule and ends the connection.
//!
//! The peer is made of the primitives, so that it can send what no engine would.

use std::time::Duration;

use crate::raw::{PLAIN, Raw, STRICT, kex_init};
use minissh::crypto::{EphemeralKey, SigningKey};
use minissh::engine::{
    ApiMisuse, Config, Credential, DATA_PACKET_BYTES_MAX, End, Event, Limits, Password, PeerFault,
    WINDOW_BYTES_MAX, WINDOW_BYTES_NARROW,
};
use minissh::ident::IdentFault;
use minissh::msg::names::SSH_CONNECTION;
use minissh::msg::{
    AuthMethod, ChannelData, ChannelOpen, ChannelRequest, ChannelWindowAdjust, Disconnect,
    DisconnectReason, EcdhInit, EcdhReply, ExtInfo, GlobalRequest, Ignore, Message, MessageId,
    OnChannel, Ping, Request, Service, UserauthBanner, UserauthPkOk, UserauthRequest,
};
use minissh::packet::PacketFault;

fn server_config() -> Config {
    Config::server(SigningKey::from_seed(&[7; 32]))
}

fn ignore() -> Message<'static> {
    Message::Ignore(Ignore { data: b"x" })
}

fn open_session(raw: &mut Raw, sender_channel: u32) {
    raw.send(&Message::ChannelOpen(ChannelOpen {
        kind: "session",
        sender_channel,
        window_bytes: 1 << 20,
        packet_bytes_max: 32_768,
        body: b"",
    }));
}

/// A server with one open channel, which it calls 0.
fn with_channel() -> Raw {
    let mut raw = Raw::logged_in(server_config());
    open_session(&mut raw, 5);
    raw.take(MessageId::CHANNEL_OPEN_CONFIRMATION);
    raw
}

fn data(bytes: &[u8]) -> Message<'_> {
    Message::ChannelData(ChannelData {
        recipient_channel: 0,
        data: bytes,
    })
}

/// The connection is over for this rule, and the peer was told its reason.
#[track_caller]
fn assert_fault(raw: &mut Raw, fault: &PeerFault) {
    assert_eq!(raw.fault(), *fault);
    let payload = raw.take(MessageId::DISCONNECT);
    let Ok(Message::Disconnect(told)) = Message::decode(&payload) else {
        panic!("DISCONNECT does not decode")
    };
    assert_eq!(told.reason, fault.disconnect_reason());
    assert!(!fault.clause().is_empty());
}

// Identification and packets.

#[test]
fn an_identification_of_another_version() {
    let mut raw = Raw::server();
    raw.send_bytes(b"SSH-1.5-old\r\n");
    let fault = IdentFault::SpeaksAnotherVersion {
        version: "1.5-old".to_owned(),
    };
    assert_fault(&mut raw, &PeerFault::SentBadIdent(fault));
}

#[test]
fn a_packet_too_long() {
    let mut raw = Raw::server();
    raw.send_ident();
    raw.send_bytes(&[0xff; 4]);
    let fault = PacketFault::SentTooLong {
        length: 0xffff_ffff,
    };
    assert_fault(&mut raw, &PeerFault::SentBadPacket(fault));
}

#[test]
fn a_flipped_tag() {
    let mut raw = Raw::after_kex(server_config(), STRICT);
    let mut bytes = raw.seal(&ignore().to_payload());
    *bytes.last_mut().unwrap() ^= 1;
    raw.send_bytes(&bytes);
    assert_fault(
        &mut raw,
        &PeerFault::SentBadPacket(PacketFault::SentWrongTag),
    );
}

/// The bounds of all fields are tested beside the decoders; these are of what may be long.
#[test]
fn fields_up_to_their_bounds_and_one_more() {
    let assert_malformed = |raw: &mut Raw, id| {
        let fault = raw.fault();
        assert!(matches!(fault, PeerFault::SentMalformed { message, .. } if message == id));
        assert_fault(raw, &fault);
    };

    let mut raw = Raw::after_kex(server_config(), STRICT);
    let ping = |bytes: usize| vec![0; bytes];
    raw.send(&Message::Ping(Ping {
        data: &ping(65_536),
    }));
    assert_eq!(raw.take(MessageId::PONG).len(), 1 + 4 + 65_536);
    raw.send(&Message::Ping(Ping {
        data: &ping(65_537),
    }));
    assert_malformed(&mut raw, MessageId::PING);

    let list = |bytes: usize| format!("{PLAIN},{}", "x".repeat(bytes - PLAIN.len() - 1));
    for bytes in [65_536, 65_537] {
        let mut raw = Raw::server();
        raw.send_ident();
        raw.send(&kex_init(&list(bytes)));
        match bytes {
            65_536 => assert!(raw.end().is_none()),
            _ => assert_malformed(&mut raw, MessageId::KEXINIT),
        }
    }

    let mut raw = Raw::after_kex(Config::client(), STRICT);
    let extensions = |count: usize| vec![("x@example.org", &b""[..]); count];
    raw.send(&Message::ExtInfo(ExtInfo {
        extensions: extensions(1_024),
    }));
    assert!(raw.end().is_none());
    raw.send(&Message::ExtInfo(ExtInfo {
        extensions: extensions(1_025),
    }));
    assert_malformed(&mut raw, MessageId::EXT_INFO);
}

#[test]
fn a_message_cut_short() {
    let mut raw = Raw::after_kex(server_config(), STRICT);
    raw.send_payload(&[MessageId::SERVICE_REQUEST.0, 0, 0, 0, 9]);
    assert!(matches!(
        raw.fault(),
        PeerFault::SentMalformed {
            message: MessageId::SERVICE_REQUEST,
            ..
        }
    ));
}

// Key exchange.

#[test]
fn nothing_in_common() {
    let mut raw = Raw::server();
    raw.send_ident();
    raw.send(&kex_init("diffie-hellman-group14-sha256"));
    let offered = "diffie-hellman-group14-sha256".to_owned();
    assert_fault(
        &mut raw,
        &PeerFault::OfferedNoCommon {
            list: "key exchange method",
            offered,
        },
    );
}

#[test]
fn ignore_before_or_after_the_kexinit_of_a_strict_exchange() {
    let fault = PeerFault::SentDuringStrictKex {
        got: MessageId::IGNORE,
    };

    let mut raw = Raw::server();
    raw.send_ident();
    raw.send(&ignore());
    assert!(
        raw.end().is_none(),
        "it is not known yet that the exchange will be strict"
    );
    raw.send(&kex_init(STRICT));
    assert_fault(&mut raw, &fault);

    let mut raw = Raw::server();
    raw.send_ident();
    raw.exchange_offers(STRICT);
    raw.send(&ignore());
    assert_fault(&mut raw, &fault);
}

#[test]
fn ignore_in_an_exchange_that_is_not_strict_is_no_fault() {
    let mut raw = Raw::server();
    raw.send_ident();
    raw.send(&ignore());
    raw.exchange_keys(PLAIN);
    assert!(raw.end().is_none());
    raw.log_in();
}

/// A number that some other key exchange method uses is no less unexpected.
#[test]
fn an_unknown_message_of_the_exchange() {
    for kex in [STRICT, PLAIN] {
        let mut raw = Raw::server();
        raw.send_ident();
        raw.exchange_offers(kex);
        raw.send_payload(&[34, 0]);
        if kex == STRICT {
            let got = MessageId(34);
            assert_fault(&mut raw, &PeerFault::SentDuringStrictKex { got });
        } else {
            raw.take(MessageId::UNIMPLEMENTED);
        }
    }
}

#[test]
fn messages_of_the_exchange_out_of_turn() {
    for strict in [STRICT, PLAIN] {
        let mut raw = Raw::server();
        raw.send_ident();
        raw.exchange_offers(strict);
        raw.send(&Message::NewKeys);
        let fault = match strict {
            STRICT => PeerFault::SentDuringStrictKex {
                got: MessageId::NEWKEYS,
            },
            _ => PeerFault::SentOutOfTurn {
                got: MessageId::NEWKEYS,
                expected: &[MessageId::KEX_ECDH_INIT],
            },
        };
        assert_fault(&mut raw, &fault);
    }
}

#[test]
fn a_second_newkeys() {
    let mut raw = Raw::after_kex(server_config(), STRICT);
    raw.send(&Message::NewKeys);
    let fault = PeerFault::SentOutOfTurn {
        got: MessageId::NEWKEYS,
        expected: &[MessageId::KEXINIT],
    };
    assert_fault(&mut raw, &fault);
}

#[test]
fn a_service_request_in_the_clear() {
    let mut raw = Raw::server();
    raw.send_ident();
    raw.exchange_offers(PLAIN);
    raw.send(&Message::ServiceRequest(Service {
        name: "ssh-userauth",
    }));
    let fault = PeerFault::SentOutOfTurn {
        got: MessageId::SERVICE_REQUEST,
        expected: &[MessageId::KEX_ECDH_INIT],
    };
    assert_fault(&mut raw, &fault);
}

/// All encodings of points of low order: 0, 1, the two of order 8, p - 1, p, p + 1 (RFC 7748 §6.1
/// has what follows from them).
fn low_order_points() -> [[u8; 32]; 7] {
    let number = |first: u8, rest: u8, last: u8| {
        let mut point = [rest; 32];
        (point[0], point[31]) = (first, last);
        point
    };
    [
        number(0, 0, 0),
        number(1, 0, 0),
        *b"\xe0\xeb\x7a\x7c\x3b\x41\xb8\xae\x16\x56\xe3\xfa\xf1\x9f\xc4\x6a\xda\x09\x8d\xeb\x9c\x32\xb1\xfd\x86\x62\x05\x16\x5f\x49\xb8\x00",
        *b"\x5f\x9c\x95\xbc\xa3\x50\x8c\x24\xb1\xd0\xb1\x55\x9c\x83\xef\x5b\x04\x44\x5c\xc4\x58\x1c\x8e\x86\xd8\x22\x4e\xdd\xd0\x9f\x11\x57",
        number(0xec, 0xff, 0x7f),
        number(0xed, 0xff, 0x7f),
        number(0xee, 0xff, 0x7f),
    ]
}

#[test]
fn shares_of_wrong_length_or_low_order() {
    let mut shares = vec![vec![9; 31], vec![9; 33], vec![]];
    shares.extend(low_order_points().map(Vec::from));
    for share in &shares {
        let mut raw = Raw::server();
        raw.send_ident();
        raw.exchange_offers(STRICT);
        raw.send(&Message::EcdhInit(EcdhInit { share }));
        assert!(
            matches!(raw.fault(), PeerFault::SentBadShare(_)),
            "{:?}",
            raw.fault()
        );
        assert!(!raw.ids().contains(&MessageId::KEX_ECDH_REPLY));
    }
}

#[test]
fn a_wrong_guess_is_dropped_unread() {
    let mut raw = Raw::server();
    raw.send_ident();
    let mut guessing = kex_init("some-other-kex,curve25519-sha256");
    if let Message::KexInit(init) = &mut guessing {
        init.first_kex_packet_follows = true;
    }
    raw.send(&guessing);
    raw.send_payload(&[MessageId::KEX_ECDH_INIT.0, 0xde, 0xad]);
    assert!(raw.end().is_none());
    raw.send(&Message::EcdhInit(EcdhInit {
        share: EphemeralKey::from_bytes([3; 32]).share(),
    }));
    raw.take(MessageId::KEX_ECDH_REPLY);
}

#[test]
fn a_right_guess_is_used() {
    let mut raw = Raw::server();
    raw.send_ident();
    let mut guessing = kex_init("curve25519-sha256,some-other-kex");
    if let Message::KexInit(init) = &mut guessing {
        init.first_kex_packet_follows = true;
    }
    raw.send(&guessing);
    raw.send(&Message::EcdhInit(EcdhInit {
        share: EphemeralKey::from_bytes([3; 32]).share(),
    }));
    raw.take(MessageId::KEX_ECDH_REPLY);
}

/// A server may guess as well, in any method's words.
#[test]
fn a_client_drops_a_wrong_guess_once() {
    let mut raw = Raw::new(Config::client());
    raw.send_ident();
    let mut guessing = kex_init("some-other-kex,curve25519-sha256");
    if let Message::KexInit(init) = &mut guessing {
        init.first_kex_packet_follows = true;
    }
    raw.send(&guessing);
    for is_fault in [false, true] {
        raw.send_payload(&[MessageId::KEX_ECDH_REPLY.0, 0xde, 0xad]);
        assert_eq!(raw.end().is_some(), is_fault);
    }
    assert!(matches!(raw.fault(), PeerFault::SentMalformed { .. }));
}

/// A client whose server answers with this reply.
fn client_answered(forge: impl FnOnce(&mut Raw, EcdhReply<'_>)) -> Raw {
    let mut raw = Raw::new(Config::client());
    raw.send_ident();
    let (ours, theirs) = raw.exchange_offers(STRICT);
    let key = EphemeralKey::from_bytes([5; 32]);
    let (hash, _) = raw.hash_as_server(&ours, &theirs, &key);
    let (blob, signature) = (
        raw.host_key.public_key().to_blob(),
        raw.host_key.sign(&hash.0),
    );
    forge(
        &mut raw,
        EcdhReply {
            host_key_blob: &blob,
            share: key.share(),
            signature_blob: &signature,
        },
    );
    raw
}

#[test]
fn host_keys_and_signatures_that_do_not_count() {
    let raw = client_answered(|raw, reply| {
        let mut signature = reply.signature_blob.to_vec();
        *signature.last_mut().unwrap() ^= 1;
        raw.send(&Message::EcdhReply(EcdhReply {
            signature_blob: &signature,
            ..reply
        }));
    });
    assert!(matches!(raw.fault(), PeerFault::SentBadHostSignature(_)));
    assert!(!raw.ids().contains(&MessageId::NEWKEYS));

    let raw = client_answered(|raw, reply| {
        let blob = b"\0\0\0\x07ssh-rsa";
        raw.send(&Message::EcdhReply(EcdhReply {
            host_key_blob: blob,
            ..reply
        }));
    });
    assert!(matches!(raw.fault(), PeerFault::SentBadHostKey(_)));
}

#[test]
fn a_refused_host_key_ends_the_connection_before_newkeys() {
    let mut raw = Raw::new(Config::client());
    raw.says_yes = false;
    raw.send_ident();
    let (ours, theirs) = raw.exchange_offers(STRICT);
    let key = EphemeralKey::from_bytes([5; 32]);
    let (hash, _) = raw.hash_as_server(&ours, &theirs, &key);
    raw.send(&Message::EcdhReply(EcdhReply {
        host_key_blob: &raw.host_key.public_key().to_blob(),
        share: key.share(),
        signature_blob: &raw.host_key.sign(&hash.0),
    }));
    assert_eq!(raw.end(), Some(&End::WeDisconnected));
    assert!(!raw.ids().contains(&MessageId::NEWKEYS));
    let payload = raw.take(MessageId::DISCONNECT);
    assert!(matches!(
        Message::decode(&payload),
        Ok(Message::Disconnect(Disconnect {
            reason: DisconnectReason::HOST_KEY_NOT_VERIFIABLE,
            ..
        }))
    ));
}

#[test]
fn another_host_key_at_a_rekey() {
    let mut raw = Raw::after_kex(Config::client(), STRICT);
    raw.host_key = SigningKey::from_seed(&[8; 32]);
    let (ours, theirs) = raw.exchange_offers(PLAIN);
    let key = EphemeralKey::from_bytes([5; 32]);
    let (hash, _) = raw.hash_as_server(&ours, &theirs, &key);
    raw.send(&Message::EcdhReply(EcdhReply {
        host_key_blob: &raw.host_key.public_key().to_blob(),
        share: key.share(),
        signature_blob: &raw.host_key.sign(&hash.0),
    }));
    assert_fault(&mut raw, &PeerFault::ChangedHostKey);
}

#[test]
fn data_between_kexinit_and_newkeys_of_a_rekey() {
    let mut raw = with_channel();
    raw.exchange_offers(PLAIN);
    raw.send(&data(b"too late"));
    let got = MessageId::CHANNEL_DATA;
    assert_fault(&mut raw, &PeerFault::SentDuringKex { got });
}

/// What was in flight when our KEXINIT left is none of the peer's fault.
#[test]
fn data_after_our_kexinit_and_before_theirs_is_taken() {
    let mut raw = with_channel();
    raw.engine.start_kex(raw.now).unwrap();
    raw.send(&data(b"in flight"));
    assert!(raw.end().is_none());
    assert!(
        raw.events
            .iter()
            .any(|event| matches!(event, Event::DataReceived { .. }))
    );
}

#[test]
fn more_replies_than_we_hold_during_a_rekey() {
    let mut config = server_config();
    config.limits.held_bytes_max = 1_000;
    let ask = |raw: &mut Raw, bytes: usize| {
        raw.send(&Message::Ping(Ping {
            data: &vec![0; bytes],
        }));
    };
    // A PONG has five bytes of its own: exactly the bound, then one more.
    for (bytes, is_fault) in [(995, false), (996, true)] {
        let mut raw = Raw::logged_in(config.clone());
        raw.engine.start_kex(raw.now).unwrap();
        ask(&mut raw, bytes);
        assert_eq!(raw.end().is_some(), is_fault);
        if is_fault {
            let fault = PeerFault::AskedTooMuchDuringKex {
                held_bytes_max: 1_000,
            };
            assert_eq!(raw.fault(), fault);
        }
    }
}

// Authentication.

#[test]
fn an_unknown_service() {
    let mut raw = Raw::after_kex(server_config(), STRICT);
    raw.send(&Message::ServiceRequest(Service {
        name: "ssh-connection",
    }));
    let name = "ssh-connection".to_owned();
    assert_fault(&mut raw, &PeerFault::AskedForUnknownService { name });
}

#[test]
fn connection_messages_before_the_user_is_in() {
    let mut raw = Raw::after_kex(server_config(), STRICT);
    raw.request_service();
    open_session(&mut raw, 0);
    let got = MessageId::CHANNEL_OPEN;
    assert_fault(&mut raw, &PeerFault::SentBeforeAuth { got });
}

/// CVE-2018-10933: a client that says it is in is not in.
#[test]
fn a_client_cannot_let_itself_in() {
    let mut raw = Raw::after_kex(server_config(), STRICT);
    raw.request_service();
    raw.send(&Message::UserauthSuccess);
    raw.take(MessageId::UNIMPLEMENTED);
    open_session(&mut raw, 0);
    let got = MessageId::CHANNEL_OPEN;
    assert_fault(&mut raw, &PeerFault::SentBeforeAuth { got });
}

#[test]
fn a_server_cannot_let_in_who_did_not_ask() {
    let mut raw = Raw::after_kex(Config::client(), STRICT);
    raw.send(&Message::UserauthSuccess);
    assert!(matches!(
        raw.fault(),
        PeerFault::SentOutOfTurn {
            got: MessageId::USERAUTH_SUCCESS,
            ..
        }
    ));
    assert!(
        !raw.events
            .iter()
            .any(|event| matches!(event, Event::AuthSucceeded))
    );
}

#[test]
fn failures_up_to_the_limit_and_one_more() {
    let mut config = server_config();
    config.limits.auth_attempts_max = 3;
    let mut raw = Raw::after_kex(config, STRICT);
    raw.says_yes = false;
    raw.request_service();
    // What shows nothing secret is free.
    raw.send_auth(AuthMethod::None);
    raw.take(MessageId::USERAUTH_FAILURE);
    for _ in 0..2 {
        raw.send_auth(AuthMethod::Password {
            password: b"wrong",
            new_password: None,
        });
        raw.take(MessageId::USERAUTH_FAILURE);
    }
    raw.send_auth(AuthMethod::Password {
        password: b"wrong",
        new_password: None,
    });
    assert_fault(&mut raw, &PeerFault::FailedAuthTooOften { attempts_max: 3 });
}

#[test]
fn requests_that_cost_nothing_up_to_the_limit_and_one_more() {
    let mut config = server_config();
    config.limits.auth_requests_max = 4;
    let mut raw = Raw::after_kex(config, STRICT);
    raw.says_yes = false;
    raw.request_service();
    for _ in 0..3 {
        raw.send_auth(AuthMethod::None);
        raw.take(MessageId::USERAUTH_FAILURE);
    }
    raw.send_auth(AuthMethod::None);
    assert_fault(
        &mut raw,
        &PeerFault::AskedForAuthTooOften { requests_max: 4 },
    );
}

#[test]
fn banners_up_to_the_limit_and_one_byte_more() {
    let mut config = Config::client();
    config.limits.banner_bytes_max = Limits::BYTES_OF_A_BANNER + 10;
    let mut raw = Raw::after_kex(config.clone(), STRICT);
    let banner = |text| {
        Message::UserauthBanner(UserauthBanner {
            text,
            language: b"",
        })
    };
    raw.send(&banner(b"0123456789"));
    assert!(raw.end().is_none());
    raw.send(&banner(b""));
    let banner_bytes_max = Limits::BYTES_OF_A_BANNER + 10;
    assert_fault(&mut raw, &PeerFault::FloodedBanners { banner_bytes_max });

    config.limits.banner_bytes_max -= 1;
    let mut raw = Raw::after_kex(config, STRICT);
    raw.send(&banner(b"0123456789"));
    assert!(raw.end().is_some());
}

/// Neither a user name nor a password that is too long ends the connection: they are refused, and
/// nobody is asked.
#[test]
fn names_and_passwords_up_to_their_bounds_and_one_byte_more() {
    for (user_bytes, password_bytes, is_in) in [
        (4_096, 1_024, true),
        (4_097, 1, false),
        (1, 1_025, false),
        (1, 20_000, false),
    ] {
        let mut raw = Raw::after_kex(server_config(), STRICT);
        raw.request_service();
        raw.send(&Message::UserauthRequest(UserauthRequest {
            user: &vec![b'x'; user_bytes],
            service: SSH_CONNECTION,
            method: AuthMethod::Password {
                password: &vec![b'x'; password_bytes],
                new_password: None,
            },
        }));
        raw.take(match is_in {
            true => MessageId::USERAUTH_SUCCESS,
            false => MessageId::USERAUTH_FAILURE,
        });
        let is_asked = |event: &Event| matches!(event, Event::AuthAsked(_));
        assert_eq!(raw.events.iter().any(is_asked), is_in);
        assert!(raw.end().is_none());
    }
}

#[test]
fn our_own_name_and_password_up_to_their_bounds_and_one_byte_more() {
    let password = |bytes: usize| Password::new(&vec![b'x'; bytes]);
    assert!(password(1_024).is_some() && password(1_025).is_none());

    let mut raw = Raw::after_kex(Config::client(), STRICT);
    let mut ask = |bytes: usize| {
        let user = "x".repeat(bytes);
        raw.engine.authenticate(raw.now, &user, &Credential::None)
    };
    let bytes_max = 4_096;
    assert_eq!(ask(4_097), Err(ApiMisuse::AskedTooMuch { bytes_max }));
    assert_eq!(ask(4_096), Ok(()));
}

#[test]
fn time_up_to_the_limit() {
    let mut raw = Raw::after_kex(server_config(), STRICT);
    raw.wait(Duration::from_secs(119));
    assert!(raw.end().is_none());
    raw.wait(Duration::from_secs(1));
    assert_fault(
        &mut raw,
        &PeerFault::TookTooLongToAuthenticate { seconds: 120 },
    );
}

#[test]
fn a_user_who_is_in_has_all_the_time_of_the_world() {
    let mut raw = Raw::logged_in(server_config());
    raw.wait(Duration::from_secs(600));
    assert!(raw.end().is_none());
}

#[test]
fn a_server_that_would_take_another_key() {
    let mut raw = Raw::after_kex(Config::client(), STRICT);
    let [asked, other] = [9, 10].map(|seed| SigningKey::from_seed(&[seed; 32]));
    raw.engine
        .authenticate(raw.now, "user", &Credential::Publickey(asked))
        .unwrap();
    raw.send_bytes(&[]);
    raw.send(&Message::ServiceAccept(Service {
        name: "ssh-userauth",
    }));
    raw.send(&Message::UserauthPkOk(UserauthPkOk {
        algorithm: b"ssh-ed25519",
        key_blob: &other.public_key().to_blob(),
    }));
    assert_fault(&mut raw, &PeerFault::AcceptedAnotherKey);
}

#[test]
fn a_client_that_is_asked_for_a_new_password_is_not_in() {
    let mut raw = Raw::after_kex(Config::client(), STRICT);
    let password = Credential::Password(Password::new(b"old").unwrap());
    raw.engine.authenticate(raw.now, "user", &password).unwrap();
    raw.send_bytes(&[]);
    raw.send(&Message::ServiceAccept(Service {
        name: "ssh-userauth",
    }));
    raw.take(MessageId::USERAUTH_REQUEST);
    raw.send_payload(b"\x3c\0\0\0\x06change\0\0\0\0");
    assert!(
        raw.events
            .iter()
            .any(|event| matches!(event, Event::AuthFailed(refusal) if refusal.wants_new_password))
    );
}

// Channels.

#[test]
fn a_window_filled_exactly_and_one_byte_more() {
    let mut raw = with_channel();
    let full = vec![0; DATA_PACKET_BYTES_MAX as usize];
    for _ in 0..WINDOW_BYTES_MAX / DATA_PACKET_BYTES_MAX {
        raw.send(&data(&full));
    }
    assert!(raw.end().is_none());
    raw.send(&data(b"x"));
    assert_fault(
        &mut raw,
        &PeerFault::OverranWindow {
            sent_bytes: 1,
            window_bytes: 0,
        },
    );
}

/// However many channels there are, what may come in unread stays bounded: once whole windows for
/// all would be too much, channels get narrow ones.
#[test]
fn windows_of_all_channels_together_up_to_the_limit_and_one_more() {
    let mut config = server_config();
    config.limits.unread_bytes_max = 2 * WINDOW_BYTES_MAX as usize;
    let mut raw = Raw::logged_in(config);
    let open = |raw: &mut Raw, number| {
        open_session(raw, number);
        let payload = raw.take(MessageId::CHANNEL_OPEN_CONFIRMATION);
        match Message::decode(&payload) {
            Ok(Message::ChannelOpenConfirmation(confirmed)) => confirmed.window_bytes,
            other => panic!("{other:?}"),
        }
    };
    let windows = [0, 1, 2, 3].map(|number| open(&mut raw, number));
    let (whole, narrow) = (WINDOW_BYTES_MAX, WINDOW_BYTES_NARROW);
    assert_eq!(windows, [whole, whole, narrow, narrow]);

    // A channel that is closed makes room for another.
    raw.send(&Message::ChannelClose(OnChannel {
        recipient_channel: 0,
    }));
    assert_eq!(open(&mut raw, 4), narrow);
    for recipient_channel in [2, 3, 4] {
        raw.send(&Message::ChannelClose(OnChannel { recipient_channel }));
    }
    assert_eq!([5, 6].map(|number| open(&mut raw, number)), [whole, narrow]);

    // A narrow window holds as well.
    for piece in [vec![0; 32_768], vec![0; 32_768], vec![0]] {
        assert!(raw.end().is_none());
        raw.send(&Message::ChannelData(ChannelData {
            recipient_channel: 6,
            data: &piece,
        }));
    }
    assert_fault(
        &mut raw,
        &PeerFault::OverranWindow {
            sent_bytes: 1,
            window_bytes: 0,
        },
    );
}

#[test]
fn a_data_message_of_exactly_the_maximum_and_one_byte_more() {
    let mut raw = with_channel();
    raw.send(&data(&vec![0; DATA_PACKET_BYTES_MAX as usize]));
    assert!(raw.end().is_none());
    raw.send(&data(&vec![0; DATA_PACKET_BYTES_MAX as usize + 1]));
    let fault = PeerFault::OverranPacketMax {
        sent_bytes: DATA_PACKET_BYTES_MAX + 1,
        packet_bytes_max: DATA_PACKET_BYTES_MAX,
    };
    assert_fault(&mut raw, &fault);
}

#[test]
fn a_window_of_exactly_the_largest_number_and_one_more() {
    let mut raw = with_channel();
    let adjust = |bytes_to_add| {
        Message::ChannelWindowAdjust(ChannelWindowAdjust {
            recipient_channel: 0,
            bytes_to_add,
        })
    };
    raw.send(&adjust(u32::MAX - (1 << 20)));
    assert!(raw.end().is_none());
    raw.send(&adjust(1));
    let fault = PeerFault::OverflowedWindow {
        window_bytes: u32::MAX,
        added_bytes: 1,
    };
    assert_fault(&mut raw, &fault);
}

#[test]
fn a_channel_that_is_not_open() {
    let mut raw = with_channel();
    raw.send(&Message::ChannelEof(OnChannel {
        recipient_channel: 77,
    }));
    let fault = PeerFault::ReferredToUnknownChannel {
        got: MessageId::CHANNEL_EOF,
        channel: 77,
    };
    assert_fault(&mut raw, &fault);
}

#[test]
fn data_after_eof() {
    let mut raw = with_channel();
    raw.send(&Message::ChannelEof(OnChannel {
        recipient_channel: 0,
    }));
    raw.send(&data(b"more"));
    assert_fault(&mut raw, &PeerFault::SentAfterEof { channel: 0 });
}

#[test]
fn requests_up_to_the_limit_and_one_more() {
    let mut config = server_config();
    config.limits.requests_in_flight_max = 3;
    let mut raw = Raw::logged_in(config);
    open_session(&mut raw, 5);
    let request = Message::ChannelRequest(ChannelRequest {
        recipient_channel: 0,
        want_reply: true,
        request: Request::Shell,
    });
    for _ in 0..3 {
        raw.send(&request);
    }
    assert!(raw.end().is_none());
    raw.send(&request);
    assert_fault(&mut raw, &PeerFault::FloodedRequests { requests_max: 3 });
}

#[test]
fn channels_up_to_the_limit_and_one_more() {
    let mut config = server_config();
    config.limits.channels_max = 2;
    let mut raw = Raw::logged_in(config);
    for number in 0..2 {
        open_session(&mut raw, number);
        raw.take(MessageId::CHANNEL_OPEN_CONFIRMATION);
    }
    open_session(&mut raw, 2);
    raw.take(MessageId::CHANNEL_OPEN_FAILURE);
    assert!(raw.end().is_none());
    // One closes, and there is room again.
    raw.send(&Message::ChannelClose(OnChannel {
        recipient_channel: 0,
    }));
    raw.take(MessageId::CHANNEL_CLOSE);
    open_session(&mut raw, 3);
    raw.take(MessageId::CHANNEL_OPEN_CONFIRMATION);
}

#[test]
fn requests_about_the_connection_are_answered_in_order() {
    let mut raw = Raw::logged_in(server_config());
    for name in [
        "keepalive@openssh.com",
        "no-more-sessions@openssh.com",
        "nonsense@example.org",
    ] {
        raw.send(&Message::GlobalRequest(GlobalRequest {
            name,
            want_reply: true,
            body: b"",
        }));
    }
    let replies: Vec<_> = raw
        .ids()
        .into_iter()
        .filter(|id| (81..=82).contains(&id.0))
        .collect();
    let expected = [
        MessageId::REQUEST_FAILURE,
        MessageId::REQUEST_SUCCESS,
        MessageId::REQUEST_FAILURE,
    ];
    assert_eq!(replies, expected);
    open_session(&mut raw, 0);
    raw.take(MessageId::CHANNEL_OPEN_FAILURE);
}

#[test]
fn unknown_messages_are_answered_with_their_sequence_numbers() {
    let mut raw = Raw::after_kex(server_config(), STRICT);
    for number in [8, 9, 19, 22, 34, 49, 54, 66, 101, 127, 128, 191, 194, 255] {
        raw.send_payload(&[number, 1, 2, 3]);
    }
    let told: Vec<u32> = raw
        .received
        .iter()
        .filter_map(|payload| match Message::decode(payload) {
            Ok(Message::Unimplemented(told)) => Some(told.sequence_number),
            _ => None,
        })
        .collect();
    assert_eq!(told, (0..14).collect::<Vec<_>>());
}

/// OpenSSH 10.4 takes nothing but key exchange once one has begun: also what RFC 4253 §7.1 would
/// allow waits, in order, for the new keys.
#[test]
fn nothing_but_key_exchange_leaves_between_our_kexinit_and_our_newkeys() {
    let mut raw = with_channel();
    raw.engine.start_kex(raw.now).unwrap();
    raw.received.clear();
    raw.send_payload(&[9, 1, 2, 3]);
    raw.send(&Message::Ping(Ping { data: b"?" }));
    raw.send(&Message::GlobalRequest(GlobalRequest {
        name: "keepalive@openssh.com",
        want_reply: true,
        body: b"",
    }));
    assert_eq!(raw.ids(), [MessageId::KEXINIT]);
    raw.exchange_keys(PLAIN);
    assert_eq!(
        raw.ids(),
        [
            MessageId::UNIMPLEMENTED,
            MessageId::PONG,
            MessageId::REQUEST_FAILURE
        ]
    );
}

// Time, and what follows the end.

#[test]
fn a_key_exchange_up_to_the_limit() {
    let mut raw = Raw::new(Config::client());
    raw.wait(Duration::from_secs(119));
    assert!(raw.end().is_none());
    raw.wait(Duration::from_secs(1));
    assert_fault(
        &mut raw,
        &PeerFault::TookTooLongToExchangeKeys { seconds: 120 },
    );
}

/// A program that is suspended, or a machine that sleeps, answers when it is back.
#[test]
fn a_rekey_may_be_answered_late_and_must_be_finished_in_time() {
    let mut raw = Raw::logged_in(server_config());
    raw.engine.start_kex(raw.now).unwrap();
    raw.wait(Duration::from_secs(86_400));
    assert!(raw.end().is_none());
    raw.exchange_offers(PLAIN);
    raw.wait(Duration::from_secs(119));
    assert!(raw.end().is_none());
    raw.wait(Duration::from_secs(1));
    assert_fault(
        &mut raw,
        &PeerFault::TookTooLongToExchangeKeys { seconds: 120 },
    );
}

/// OpenSSH does not answer a KEXINIT before the login, and a client of it would wait for ever.
#[test]
fn no_rekey_before_the_login() {
    let mut raw = Raw::after_kex(Config::client(), STRICT);
    assert!(matches!(
        raw.engine.start_kex(raw.now),
        Err(ApiMisuse::CalledTooEarly(_))
    ));
}

#[test]
fn nothing_follows_our_disconnect() {
    let mut raw = with_channel();
    let Some(Event::SessionOffered(channel)) = raw.events.last() else {
        panic!("no session")
    };
    let channel = *channel;
    raw.engine.write(raw.now, channel, None, b"staged").unwrap();
    raw.engine
        .disconnect(raw.now, DisconnectReason::BY_APPLICATION, "bye");
    raw.send_bytes(&[]);
    assert_eq!(raw.ids().last(), Some(&MessageId::DISCONNECT));
    assert!(matches!(
        raw.events.last(),
        Some(Event::Ended(End::WeDisconnected))
    ));
}

/// What the application itself asks for during a key exchange is not held against the peer.
#[test]
fn our_own_requests_during_a_rekey_are_no_fault_of_the_peer() {
    let mut config = server_config();
    config.limits.held_bytes_max = 100;
    let mut raw = Raw::logged_in(config);
    open_session(&mut raw, 5);
    let Some(Event::SessionOffered(channel)) = raw.events.last() else {
        panic!("no session")
    };
    let channel = *channel;
    raw.engine.start_kex(raw.now).unwrap();
    let command = vec![b'x'; 1_000];
    let exec = Request::Exec { command: &command };
    raw.engine.request(raw.now, channel, exec, false).unwrap();
    raw.send(&ignore());
    assert!(raw.end().is_none());
    raw.exchange_keys(PLAIN);
    raw.take(MessageId::CHANNEL_REQUEST);
}

/// What surrounds the command counts as well.
#[test]
fn our_own_request_up_to_the_longest_that_fits_a_packet_and_one_byte_more() {
    const BYTES_MAX: usize = 261_888;
    const AROUND: usize = "\x62....\0\0\0\x04exec\0....".len();
    let mut raw = with_channel();
    let Some(Event::SessionOffered(channel)) = raw.events.last() else {
        panic!("no session")
    };
    let channel = *channel;
    for (bytes, result) in [
        (BYTES_MAX, Ok(())),
        (
            BYTES_MAX + 1,
            Err(ApiMisuse::AskedTooMuch {
                bytes_max: BYTES_MAX,
            }),
        ),
    ] {
        let command = vec![b'x'; bytes - AROUND];
        let exec = Request::Exec { command: &command };
        let asked = raw.engine.request(raw.now, channel, exec, false);
        assert_eq!(asked, result);
    }
    raw.send_bytes(&[]);
    assert_eq!(raw.take(MessageId::CHANNEL_REQUEST).len(), BYTES_MAX);
}
