//! The fields of a message as text, for traces: named as in scenario files, secrets redacted.
//!
//! What is not named here cannot reach a log. Passwords have no rendering at all.

use std::fmt::Write as _;

use super::{AuthMethod, KexInit, Message, Request, UserauthRequest};

/// Longest value of text or data that is shown, in bytes; the rest is counted.
const SHOWN_BYTES_MAX: usize = 64;

/// One named field of a message, already rendered and redacted.
///
/// Names are those of scenario files (`kex`, `service`, `recipient`). Values that a scenario would
/// quote are quoted and escaped here, and long ones are cut with their length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The field's name.
    pub name: &'static str,
    /// The field's value as a scenario file would write it.
    pub value: String,
}

impl Message<'_> {
    /// The fields in wire order.
    #[must_use]
    pub fn describe(&self) -> Vec<Field> {
        match self {
            Self::Disconnect(m) => vec![
                number("reason", m.reason.0),
                text("description", m.description),
            ],
            Self::Ignore(m) => vec![text("data", m.data)],
            Self::Unimplemented(m) => vec![number("sequence", m.sequence_number)],
            Self::Debug(m) => vec![flag("display", m.always_display), text("text", m.text)],
            Self::ServiceRequest(m) | Self::ServiceAccept(m) => vec![plain("service", m.name)],
            Self::ExtInfo(m) => m
                .extensions
                .iter()
                .map(|(name, value)| Field {
                    name: "extension",
                    value: format!("{}:{}", name.escape_debug(), shown(value)),
                })
                .collect(),
            Self::KexInit(m) => describe_kex_init(m),
            Self::EcdhInit(m) => vec![hex("share", m.share)],
            Self::EcdhReply(m) => vec![
                hex("host-key", m.host_key_blob),
                hex("share", m.share),
                hex("signature", m.signature_blob),
            ],
            Self::NewKeys | Self::UserauthSuccess | Self::RequestFailure => vec![],
            Self::UserauthRequest(m) => describe_userauth_request(m),
            Self::UserauthFailure(m) => vec![
                plain("methods", m.methods.0),
                flag("partial-success", m.partial_success),
            ],
            Self::UserauthBanner(m) => vec![text("text", m.text)],
            Self::UserauthPkOk(m) => {
                vec![text("algorithm", m.algorithm), hex("key", m.key_blob)]
            }
            Self::GlobalRequest(m) => {
                vec![plain("request", m.name), flag("want-reply", m.want_reply)]
            }
            Self::RequestSuccess(body) => vec![bytes("rest", body)],
            Self::ChannelOpen(m) => vec![
                plain("type", m.kind),
                number("sender", m.sender_channel),
                number("window", m.window_bytes),
                number("packet-max", m.packet_bytes_max),
            ],
            Self::ChannelOpenConfirmation(m) => vec![
                number("recipient", m.recipient_channel),
                number("sender", m.sender_channel),
                number("window", m.window_bytes),
                number("packet-max", m.packet_bytes_max),
            ],
            Self::ChannelOpenFailure(m) => vec![
                number("recipient", m.recipient_channel),
                number("reason", m.reason.0),
                text("description", m.description),
            ],
            Self::ChannelWindowAdjust(m) => vec![
                number("recipient", m.recipient_channel),
                number("add", m.bytes_to_add),
            ],
            Self::ChannelData(m) => {
                vec![
                    number("recipient", m.recipient_channel),
                    bytes("data", m.data),
                ]
            }
            Self::ChannelExtendedData(m) => vec![
                number("recipient", m.recipient_channel),
                number("code", m.code),
                bytes("data", m.data),
            ],
            Self::ChannelEof(m)
            | Self::ChannelClose(m)
            | Self::ChannelSuccess(m)
            | Self::ChannelFailure(m) => vec![number("recipient", m.recipient_channel)],
            Self::ChannelRequest(m) => {
                let mut fields = vec![
                    number("recipient", m.recipient_channel),
                    plain("type", m.request.name()),
                    flag("want-reply", m.want_reply),
                ];
                describe_request(&m.request, &mut fields);
                fields
            }
            Self::Ping(m) | Self::Pong(m) => vec![bytes("data", m.data)],
            Self::Unknown { id, body } => {
                vec![number("number", u32::from(id.0)), bytes("rest", body)]
            }
        }
    }
}

fn describe_kex_init(m: &KexInit<'_>) -> Vec<Field> {
    let mut fields = vec![
        hex("cookie", &m.cookie),
        plain("kex", m.kex.0),
        plain("host-key", m.host_key.0),
    ];
    let pairs = [
        ("cipher-c2s", m.cipher_c2s.0, "cipher-s2c", m.cipher_s2c.0),
        ("mac-c2s", m.mac_c2s.0, "mac-s2c", m.mac_s2c.0),
        (
            "compression-c2s",
            m.compression_c2s.0,
            "compression-s2c",
            m.compression_s2c.0,
        ),
        (
            "language-c2s",
            m.languages_c2s.0,
            "language-s2c",
            m.languages_s2c.0,
        ),
    ];
    for (name, c2s, s2c_name, s2c) in pairs {
        if !c2s.is_empty() {
            fields.push(plain(name, c2s));
        }
        // The two directions are alike nearly always; only a difference is worth the ink.
        if s2c != c2s {
            fields.push(plain(s2c_name, s2c));
        }
    }
    if m.first_kex_packet_follows {
        fields.push(flag("first-kex-packet-follows", true));
    }
    fields
}

fn describe_userauth_request(m: &UserauthRequest<'_>) -> Vec<Field> {
    let mut fields = vec![
        text("user", m.user),
        plain("service", m.service),
        plain("method", m.method.name()),
    ];
    if let AuthMethod::Publickey {
        algorithm,
        key_blob,
        signature_blob,
    } = &m.method
    {
        fields.push(plain("algorithm", algorithm));
        fields.push(hex("key", key_blob));
        fields.push(flag("signed", signature_blob.is_some()));
    }
    fields
}

fn describe_request(request: &Request<'_>, fields: &mut Vec<Field>) {
    match request {
        // The value may be a token or a password.
        Request::Env { name, .. } => fields.push(text("variable", name)),
        Request::Exec { command } => fields.push(text("command", command)),
        Request::ExitSignal { signal, .. } | Request::Signal { signal } => {
            fields.push(text("signal", signal));
        }
        Request::ExitStatus { status } => fields.push(number("status", *status)),
        Request::PtyReq { term, size, .. } => {
            fields.push(text("term", term));
            fields.push(describe_size(*size));
        }
        Request::Shell => {}
        Request::Subsystem { name } => fields.push(text("subsystem", name)),
        Request::WindowChange { size } => fields.push(describe_size(*size)),
        Request::Other { body, .. } => fields.push(bytes("rest", body)),
    }
}

fn describe_size([columns, rows, ..]: [u32; 4]) -> Field {
    plain("size", &format!("{columns}x{rows}"))
}

fn plain(name: &'static str, value: &str) -> Field {
    Field {
        name,
        value: value.escape_debug().to_string(),
    }
}

fn number(name: &'static str, value: u32) -> Field {
    Field {
        name,
        value: value.to_string(),
    }
}

fn flag(name: &'static str, value: bool) -> Field {
    Field {
        name,
        value: if value { "yes" } else { "no" }.to_owned(),
    }
}

/// Bytes that are meant to be read.
fn text(name: &'static str, value: &[u8]) -> Field {
    Field {
        name,
        value: shown(value),
    }
}

/// Bytes that may be anything, keystrokes and file contents included: only their number.
fn bytes(name: &'static str, value: &[u8]) -> Field {
    Field {
        name,
        value: format!("{} bytes", value.len()),
    }
}

/// Public binary values: the last eight bytes tell one from another.
fn hex(name: &'static str, value: &[u8]) -> Field {
    let mut shown = String::new();
    for byte in value
        .get(value.len().saturating_sub(8)..)
        .unwrap_or_default()
    {
        let _ = write!(shown, "{byte:02x}");
    }
    let cut = if value.len() > 8 { ".." } else { "" };
    Field {
        name,
        value: format!("#{cut}{shown}"),
    }
}

fn shown(value: &[u8]) -> String {
    match value.get(..SHOWN_BYTES_MAX) {
        Some(start) if value.len() > SHOWN_BYTES_MAX => {
            format!("\"{}\"..{}", start.escape_ascii(), value.len())
        }
        _ => format!("\"{}\"", value.escape_ascii()),
    }
}
