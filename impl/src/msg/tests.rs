//! Properties of all messages, and the bound of every field that has one.

use proptest::prelude::*;

use super::*;

proptest! {
    /// A decoder fed by an attacker may refuse, but may not panic; what it takes, it gives back.
    #[test]
    fn what_decodes_encodes_to_a_message_that_decodes_alike(
        id in prop::sample::select(MessageId::KNOWN),
        body in prop::collection::vec(prop_oneof![Just(0), Just(1), any::<u8>()], 0..200),
    ) {
        let payload = [&[id.0], &body[..]].concat();
        if let Ok(message) = Message::decode(&payload) {
            let encoded = message.to_payload();
            prop_assert_eq!(Message::decode(&encoded), Ok(message.clone()));
            let _ = message.describe();
        }
    }
}

/// A payload one of whose fields has these bytes.
type Payload = fn(&[u8]) -> Vec<u8>;

/// A payload of these fields: pieces as they are, and strings behind their length.
fn payload(id: MessageId, before: &[u8], field: &[u8], after: &[u8]) -> Vec<u8> {
    let mut w = Writer::new();
    w.u8(id.0).raw(before).string(field).raw(after);
    w.into_bytes()
}

/// An empty string and a zero number look the same.
const EMPTY: [u8; 4] = [0; 4];

const CASES: &[(&str, usize, Payload)] = &[
    ("DISCONNECT description", 32_768, |x| {
        payload(MessageId::DISCONNECT, &EMPTY, x, &EMPTY)
    }),
    ("DISCONNECT language", 64, |x| {
        payload(MessageId::DISCONNECT, &[0; 8], x, b"")
    }),
    ("DEBUG text", 32_768, |x| {
        payload(MessageId::DEBUG, b"\0", x, &EMPTY)
    }),
    ("DEBUG language", 64, |x| {
        payload(MessageId::DEBUG, &[0; 5], x, b"")
    }),
    ("SERVICE_REQUEST name", 256, |x| {
        payload(MessageId::SERVICE_REQUEST, b"", x, b"")
    }),
    ("SERVICE_ACCEPT name", 256, |x| {
        payload(MessageId::SERVICE_ACCEPT, b"", x, b"")
    }),
    ("EXT_INFO name", 256, |x| {
        payload(MessageId::EXT_INFO, b"\0\0\0\x01", x, &EMPTY)
    }),
    ("EXT_INFO value", 32_768, |x| {
        payload(MessageId::EXT_INFO, b"\0\0\0\x01\0\0\0\0", x, b"")
    }),
    ("EXT_INFO extensions", 1_024, |x| {
        let mut w = Writer::new();
        w.u8(MessageId::EXT_INFO.0)
            .u32(u32::try_from(x.len()).unwrap());
        for _ in x {
            w.string(b"name").string(b"value");
        }
        w.into_bytes()
    }),
    ("KEXINIT first list", 65_536, |x| {
        payload(MessageId::KEXINIT, &[0; 16], x, &[0; 9 * 4 + 5])
    }),
    ("KEXINIT last list", 65_536, |x| {
        payload(MessageId::KEXINIT, &[0; 16 + 9 * 4], x, &[0; 5])
    }),
    ("KEX_ECDH_INIT share", 8_192, |x| {
        payload(MessageId::KEX_ECDH_INIT, b"", x, b"")
    }),
    ("KEX_ECDH_REPLY host key", 32_768, |x| {
        payload(MessageId::KEX_ECDH_REPLY, b"", x, &[0; 8])
    }),
    ("KEX_ECDH_REPLY share", 8_192, |x| {
        payload(MessageId::KEX_ECDH_REPLY, &EMPTY, x, &EMPTY)
    }),
    ("KEX_ECDH_REPLY signature", 32_768, |x| {
        payload(MessageId::KEX_ECDH_REPLY, &[0; 8], x, b"")
    }),
    ("USERAUTH_REQUEST user", 262_144, |x| {
        let none = b"\0\0\0\0\0\0\0\x04none";
        payload(MessageId::USERAUTH_REQUEST, b"", x, none)
    }),
    ("USERAUTH_REQUEST service", 256, |x| {
        let none = b"\0\0\0\x04none";
        payload(MessageId::USERAUTH_REQUEST, &EMPTY, x, none)
    }),
    ("USERAUTH_REQUEST method", 256, |x| {
        payload(MessageId::USERAUTH_REQUEST, &[0; 8], x, b"")
    }),
    ("USERAUTH_REQUEST algorithm", 256, |x| {
        payload(MessageId::USERAUTH_REQUEST, QUERY, x, &EMPTY)
    }),
    ("USERAUTH_REQUEST key", 32_768, |x| {
        let before = [QUERY, &EMPTY].concat();
        payload(MessageId::USERAUTH_REQUEST, &before, x, b"")
    }),
    ("USERAUTH_REQUEST signature", 32_768, |x| {
        let before = [LOGIN, &[0; 8]].concat();
        payload(MessageId::USERAUTH_REQUEST, &before, x, b"")
    }),
    ("USERAUTH_REQUEST password", 262_144, |x| {
        payload(MessageId::USERAUTH_REQUEST, PASSWORD, x, b"")
    }),
    ("USERAUTH_FAILURE methods", 4_096, |x| {
        payload(MessageId::USERAUTH_FAILURE, b"", x, b"\0")
    }),
    ("USERAUTH_BANNER text", 262_144, |x| {
        payload(MessageId::USERAUTH_BANNER, b"", x, &EMPTY)
    }),
    ("USERAUTH_BANNER language", 64, |x| {
        payload(MessageId::USERAUTH_BANNER, &EMPTY, x, b"")
    }),
    ("USERAUTH_PK_OK algorithm", 32_768, |x| {
        payload(MessageId::USERAUTH_PK_OK, b"", x, &EMPTY)
    }),
    ("USERAUTH_PK_OK key", 32_768, |x| {
        payload(MessageId::USERAUTH_PK_OK, &EMPTY, x, b"")
    }),
    ("GLOBAL_REQUEST name", 256, |x| {
        payload(MessageId::GLOBAL_REQUEST, b"", x, b"\0")
    }),
    ("CHANNEL_OPEN type", 256, |x| {
        payload(MessageId::CHANNEL_OPEN, b"", x, &[0; 12])
    }),
    ("CHANNEL_OPEN_FAILURE description", 32_768, |x| {
        payload(MessageId::CHANNEL_OPEN_FAILURE, &[0; 8], x, &EMPTY)
    }),
    ("CHANNEL_OPEN_FAILURE language", 64, |x| {
        payload(MessageId::CHANNEL_OPEN_FAILURE, &[0; 12], x, b"")
    }),
    ("CHANNEL_DATA data", 262_144, |x| {
        payload(MessageId::CHANNEL_DATA, &EMPTY, x, b"")
    }),
    ("CHANNEL_EXTENDED_DATA data", 262_144, |x| {
        payload(MessageId::CHANNEL_EXTENDED_DATA, &[0; 8], x, b"")
    }),
    ("CHANNEL_REQUEST type", 256, |x| {
        payload(MessageId::CHANNEL_REQUEST, &EMPTY, x, b"\0")
    }),
    ("CHANNEL_REQUEST command", 262_144, |x| {
        let before = b"\0\0\0\0\0\0\0\x04exec\0";
        payload(MessageId::CHANNEL_REQUEST, before, x, b"")
    }),
    ("PING data", 65_536, |x| {
        payload(MessageId::PING, b"", x, b"")
    }),
    ("PONG data", 65_536, |x| {
        payload(MessageId::PONG, b"", x, b"")
    }),
];

/// Nobody's request to use a key, without a signature and with one, up to the algorithm.
const QUERY: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\0\x09publickey\0";
const LOGIN: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\0\x09publickey\x01";
/// The same with a password.
const PASSWORD: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\0\x08password\0";

#[test]
fn every_field_is_taken_up_to_its_bound_and_not_past_it() {
    for (field, most, payload) in CASES {
        let decode = |bytes: usize| Message::decode(&payload(&vec![b'x'; bytes])).map(drop);
        assert_eq!(decode(*most), Ok(()), "{field}");
        let past = decode(most + 1);
        assert!(
            matches!(
                past,
                Err(DecodeError::TooLong { .. } | DecodeError::Unexpected { .. })
            ),
            "{field}: {past:?}"
        );
    }
}
