//! The table of verbs: every message a scenario can name, with its fields in wire order.
//!
//! The one place that knows them. The checker refuses what is not here, the scripted endpoint
//! encodes and decodes by it, and the reference in `scenarios/README.md` is compared with it.

use std::fmt;

use minissh::msg::MessageId;

use super::suggest::quoted;
use crate::scenario::{FieldTest, PacketPart};

/// A message as scenarios name it.
#[derive(Debug, PartialEq, Eq)]
pub struct Verb {
    /// `channel-open`.
    pub name: &'static str,
    /// Its number; `None` for what is not a message, or not a known one.
    pub message: Option<MessageId>,
    /// Who sends it when nobody misbehaves.
    pub sender: Sender,
    /// What it travels in.
    pub carrier: Carrier,
    /// Peers send it unasked, so it is passed over unless a step names it or is `strict`.
    pub ambient: bool,
    /// Its fields, in wire order, then those that are not on the wire.
    pub fields: &'static [FieldSpec],
}

/// What a verb's bytes travel in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// A line of text before the packets.
    Line,
    /// A packet.
    Packet,
    /// Nothing: they are on the wire as they are, or it is an act of TCP. Only we do it.
    Stream,
}

/// Who sends a message when nobody misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Only a client.
    Client,
    /// Only a server.
    Server,
    /// Both.
    Either,
}

/// One field of a message.
#[derive(Debug, PartialEq, Eq)]
pub struct FieldSpec {
    /// `recipient`.
    pub name: &'static str,
    /// What it is on the wire.
    pub kind: Kind,
    /// Present only under this condition.
    pub when: Option<When>,
    /// How much of it a trace shows.
    pub shown: Shown,
}

/// How much of a field a trace shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The value, cut when it is long.
    Value,
    /// Its length: it may be a keystroke or a file.
    Length,
    /// Nothing: it may be a password.
    Nothing,
}

/// A field is present when an earlier text field has one of these values, or an earlier boolean
/// is set (`yes`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    /// The earlier field.
    pub field: &'static str,
    /// Its values.
    pub is: &'static [&'static str],
}

/// What a field is, on the wire and in a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The identification line without its line end; may stand alone as the first word.
    Line,
    /// So many bytes without a length.
    Fixed(usize),
    /// A boolean: `yes` or `no`.
    Boolean,
    /// A uint32.
    Uint32,
    /// The uint32 of RFC 4253 §11.4, for which `last` is the last packet that we sent.
    SequenceNumber,
    /// A string shown as text.
    Text,
    /// A string shown as hex.
    Blob,
    /// A name-list.
    Names,
    /// Everything to the end of the payload.
    Rest,
    /// A byte without a length.
    Byte,
    /// Not on the wire: how many bytes, from 0 to this.
    Count(u32),
    /// Not on the wire: how many bytes, at least one.
    Amount,
    /// Not on the wire: how many bytes from the beginning or, with `-`, from the end.
    Ends,
    /// Not on the wire: a sequence number, or how far it is off.
    Numbering,
    /// Not on the wire: a length of time.
    Duration,
    /// Not on the wire: bits of the packet.
    Flips,
    /// Not on the wire: a place in the payload, and bytes.
    Patch,
    /// Not on the wire: bytes.
    Extra,
    /// Not on the wire: how the message is made.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// Whether it is in the payload, where a trace and a `<` line can see it.
    #[must_use]
    pub fn is_on_the_wire(self) -> bool {
        !matches!(
            self,
            Self::Amount
                | Self::Choice(_)
                | Self::Count(_)
                | Self::Duration
                | Self::Ends
                | Self::Extra
                | Self::Flips
                | Self::Numbering
                | Self::Patch
        )
    }

    /// What a scenario may write for it, for the reference and for errors.
    #[must_use]
    pub fn notation(self) -> String {
        match self {
            Self::Line => "text".to_owned(),
            Self::Fixed(bytes) => format!("{bytes} bytes as `#` and hex"),
            Self::Boolean => "`yes` or `no`, or a number to send for them".to_owned(),
            Self::Byte => "a number from 0 to 255".to_owned(),
            Self::Count(max) => format!("a number from 0 to {max}"),
            Self::Amount => "a number from 1 to 4294967295".to_owned(),
            Self::Duration => "a length of time, such as `20ms` or `2s`".to_owned(),
            Self::Ends => "a number of bytes, with `-` from the end".to_owned(),
            Self::Numbering => "a number, or `+N` or `-N` for how far it is off".to_owned(),
            Self::Flips => format!("`PART:BIT` of {}", quoted(PARTS.map(|(name, _)| name))),
            Self::Patch => "`AT:BYTES`, such as `5:#ffffffff`".to_owned(),
            Self::Uint32 => "a number from 0 to 4294967295".to_owned(),
            Self::SequenceNumber => "a number from 0 to 4294967295, or `last`".to_owned(),
            Self::Text => "text, or bytes as `#` and hex".to_owned(),
            Self::Blob | Self::Rest | Self::Extra => {
                "bytes as `#` and hex, or quoted text".to_owned()
            }
            Self::Names => "names with commas between".to_owned(),
            Self::Choice(words) => words
                .iter()
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(" or "),
        }
    }

    /// Whether `~` means something for it.
    #[must_use]
    pub fn has_contains(self) -> bool {
        matches!(self, Self::Line | Self::Text | Self::Names)
    }
}

impl Verb {
    /// The verb of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        VERBS.iter().copied().find(|verb| verb.name == name)
    }

    /// The verb for a message number; [`Verb::raw`] for one that no verb has.
    #[must_use]
    pub fn of(message: MessageId) -> &'static Self {
        VERBS
            .iter()
            .copied()
            .find(|verb| verb.message == Some(message))
            .unwrap_or_else(|| Self::raw())
    }

    /// A payload as bytes: what we write by hand, and what nobody can decode.
    #[must_use]
    pub fn raw() -> &'static Self {
        &RAW
    }

    /// The field of that name. A name may stand for several wire fields of which at most one is
    /// present in a message; all of them have the same kind.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static FieldSpec> {
        self.all_fields().find(|field| field.name == name)
    }

    /// Its fields, and what can be said of how it travels.
    pub fn all_fields(&self) -> impl Iterator<Item = &'static FieldSpec> {
        let framing: &[FieldSpec] = if self.is_packet() { &FRAMING } else { &[] };
        let is_tcp = self.carrier == Carrier::Stream && self.fields.is_empty();
        let delivery: &[FieldSpec] = if is_tcp { &[] } else { &DELIVERY };
        let has_recipient = self.fields.first() == Some(&RECIPIENT);
        let channel: &[FieldSpec] = if has_recipient { &CHANNEL } else { &[] };
        let has_data = has_recipient && self.fields.last().is_some_and(|f| f.name == "data");
        let data: &[FieldSpec] = if has_data { &DATA } else { &[] };
        self.fields
            .iter()
            .chain(channel)
            .chain(data)
            .chain(framing)
            .chain(delivery)
    }

    /// Whether it travels in a packet, as all but the lines before the packets do.
    #[must_use]
    pub fn is_packet(&self) -> bool {
        self.carrier == Carrier::Packet
    }

    /// Whether a `<` line may name the field: it is on the wire, or a sum of what is.
    #[must_use]
    pub fn can_expect(&self, field: &FieldSpec) -> bool {
        field.kind.is_on_the_wire() || matches!(field.name, "total" | ALL)
    }

    /// The field that may stand first on the line without its name.
    #[must_use]
    pub fn unnamed_field(&self) -> Option<&'static FieldSpec> {
        self.fields.first().filter(|field| field.kind == Kind::Line)
    }

    /// A default way to compare for a word that stands without `=`: an ident is a glob.
    pub(super) fn unnamed_test(text: String) -> FieldTest {
        FieldTest::Contains(text)
    }
}

const fn field(name: &'static str, kind: Kind) -> FieldSpec {
    FieldSpec {
        name,
        kind,
        when: None,
        shown: Shown::Value,
    }
}

impl FieldSpec {
    const fn when(self, field: &'static str, is: &'static [&'static str]) -> Self {
        Self {
            when: Some(When { field, is }),
            ..self
        }
    }

    const fn shown(self, shown: Shown) -> Self {
        Self { shown, ..self }
    }
}

const fn verb(
    name: &'static str,
    message: MessageId,
    sender: Sender,
    fields: &'static [FieldSpec],
) -> Verb {
    Verb {
        name,
        message: Some(message),
        sender,
        carrier: Carrier::Packet,
        ambient: false,
        fields,
    }
}

const fn ambient(name: &'static str, message: MessageId, fields: &'static [FieldSpec]) -> Verb {
    Verb {
        name,
        message: Some(message),
        sender: Sender::Either,
        carrier: Carrier::Packet,
        ambient: true,
        fields,
    }
}

/// Fields of messages about one channel begin with this.
const RECIPIENT: FieldSpec = field("recipient", Kind::Uint32);

/// What can be said of messages about a channel: whose recipient it is, by our number.
static CHANNEL: [FieldSpec; 1] = [field("on", Kind::Count(u32::MAX))];

/// What can be said of data: how long it is, in one message or in as many as it takes, and what all
/// of it must be.
static DATA: [FieldSpec; 3] = [
    field("size", Kind::Count(SIZE_BYTES_MAX)),
    field("total", Kind::Count(u32::MAX)),
    field(ALL, Kind::Extra),
];

/// The field of [`DATA`] that only a `<` line has.
pub(super) const ALL: &str = "all";

/// Longest data of one message: longer than any packet that anybody takes.
const SIZE_BYTES_MAX: u32 = 1024 * 1024;

/// Longest padding; its length is a byte.
const PADDING_BYTES_MAX: u32 = 255;

/// What can be said of the packet around any message: first of its payload, then of its framing.
static FRAMING: [FieldSpec; 10] = [
    field("trim", Kind::Ends),
    field("append", Kind::Extra),
    field("patch", Kind::Patch),
    field("padding", Kind::Count(PADDING_BYTES_MAX)),
    field("padding-fill", Kind::Choice(&["random", "zeros", "ones"])),
    field("padding-length", Kind::Count(PADDING_BYTES_MAX)),
    field("packet-length", Kind::Count(u32::MAX)),
    field("sealed-as", Kind::Numbering),
    field(
        "keys",
        Kind::Choice(&["current", "previous", "next", "theirs", "none"]),
    ),
    field("flip", Kind::Flips),
];

/// What can be said of how bytes leave.
static DELIVERY: [FieldSpec; 4] = [
    field("cut", Kind::Ends),
    field("split", Kind::Amount),
    field("split-at", Kind::Ends),
    field("delay", Kind::Duration),
];

/// The parts of a packet by name.
pub(super) const PARTS: [(&str, PacketPart); 5] = [
    ("length", PacketPart::Length),
    ("padding-length", PacketPart::PaddingLength),
    ("payload", PacketPart::Payload),
    ("padding", PacketPart::Padding),
    ("tag", PacketPart::Tag),
];

impl fmt::Display for PacketPart {
    /// As scenarios write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = PARTS.iter();
        let name = parts.find(|(_, part)| part == self);
        f.write_str(name.map_or("packet", |(name, _)| name))
    }
}

/// Whose signature a message carries; the fixture keys hold one more than is right.
const SIGNED_BY: FieldSpec = field("signed-by", Kind::Choice(&["right-key", "other-key"]));

/// What a user's signature is of. Where another request will do, whoever was given a signature by the
/// user elsewhere gets in with it.
const SIGNED_OVER: FieldSpec = field(
    "signed-over",
    Kind::Choice(&[
        "this-request",
        "another-user",
        "another-service",
        "another-session",
        "query",
    ]),
);

/// How a line of text ends.
const LINE_END: FieldSpec = field("end", Kind::Choice(&["crlf", "lf", "cr", "none"]));

/// A line before the identification, RFC 4253 §4.2.
static LINE: Verb = Verb {
    name: "line",
    message: None,
    sender: Sender::Server,
    carrier: Carrier::Line,
    ambient: true,
    fields: &[field("text", Kind::Line), LINE_END],
};

/// The identification line of RFC 4253 §4.2, which is not a packet.
static IDENT: Verb = Verb {
    name: "ident",
    message: None,
    sender: Sender::Either,
    carrier: Carrier::Line,
    ambient: false,
    fields: &[field("line", Kind::Line), LINE_END],
};

static RAW: Verb = Verb {
    name: "raw",
    message: None,
    sender: Sender::Either,
    carrier: Carrier::Packet,
    ambient: false,
    fields: &[field("payload", Kind::Rest)],
};

/// Any message by its number.
static MESSAGE: Verb = Verb {
    name: "message",
    message: None,
    sender: Sender::Either,
    carrier: Carrier::Packet,
    ambient: false,
    fields: &[field("number", Kind::Byte), field("body", Kind::Rest)],
};

const fn stream(name: &'static str, fields: &'static [FieldSpec]) -> Verb {
    Verb {
        name,
        message: None,
        sender: Sender::Either,
        carrier: Carrier::Stream,
        ambient: false,
        fields,
    }
}

/// Every verb, by message number, what is no message first and last.
pub static VERBS: [&Verb; 39] = [
    &LINE,
    &IDENT,
    &verb(
        "disconnect",
        MessageId::DISCONNECT,
        Sender::Either,
        &[
            field("reason", Kind::Uint32),
            field("description", Kind::Text),
            field("language", Kind::Text),
        ],
    ),
    &ambient("ignore", MessageId::IGNORE, &[field("data", Kind::Text)]),
    &verb(
        "unimplemented",
        MessageId::UNIMPLEMENTED,
        Sender::Either,
        &[field("sequence", Kind::SequenceNumber)],
    ),
    &ambient(
        "debug",
        MessageId::DEBUG,
        &[
            field("display", Kind::Boolean),
            field("text", Kind::Text),
            field("language", Kind::Text),
        ],
    ),
    &verb(
        "service-request",
        MessageId::SERVICE_REQUEST,
        Sender::Client,
        &[field("service", Kind::Text)],
    ),
    &verb(
        "service-accept",
        MessageId::SERVICE_ACCEPT,
        Sender::Server,
        &[field("service", Kind::Text)],
    ),
    &ambient(
        "ext-info",
        MessageId::EXT_INFO,
        &[
            field("count", Kind::Uint32),
            field("extensions", Kind::Rest),
        ],
    ),
    &verb(
        "kexinit",
        MessageId::KEXINIT,
        Sender::Either,
        &[
            field("cookie", Kind::Fixed(16)),
            field("kex", Kind::Names),
            field("host-key", Kind::Names),
            field("cipher-c2s", Kind::Names),
            field("cipher-s2c", Kind::Names),
            field("mac-c2s", Kind::Names),
            field("mac-s2c", Kind::Names),
            field("compression-c2s", Kind::Names),
            field("compression-s2c", Kind::Names),
            field("language-c2s", Kind::Names),
            field("language-s2c", Kind::Names),
            field("first-kex-packet-follows", Kind::Boolean),
            field("reserved", Kind::Uint32),
        ],
    ),
    &verb("newkeys", MessageId::NEWKEYS, Sender::Either, &[]),
    &verb(
        "ecdh-init",
        MessageId::KEX_ECDH_INIT,
        Sender::Client,
        &[field("share", Kind::Blob)],
    ),
    &verb(
        "ecdh-reply",
        MessageId::KEX_ECDH_REPLY,
        Sender::Server,
        &[
            field("host-key", Kind::Blob),
            field("share", Kind::Blob),
            field("signature", Kind::Blob),
            field(
                "shared-secret",
                Kind::Choice(&["any", "leading-zero", "high-bit", "zero-and-high-bit"]),
            ),
            SIGNED_BY,
        ],
    ),
    &verb(
        "userauth-request",
        MessageId::USERAUTH_REQUEST,
        Sender::Client,
        &[
            field("user", Kind::Text),
            field("service", Kind::Text),
            field("method", Kind::Text),
            field("signed", Kind::Boolean).when("method", &["publickey"]),
            field("algorithm", Kind::Text).when("method", &["publickey"]),
            field("key", Kind::Blob).when("method", &["publickey"]),
            field("signature", Kind::Blob).when("signed", &["yes"]),
            field("change", Kind::Boolean).when("method", &["password"]),
            field("password", Kind::Text)
                .when("method", &["password"])
                .shown(Shown::Nothing),
            field("new-password", Kind::Text)
                .when("change", &["yes"])
                .shown(Shown::Nothing),
            // Methods that nobody here knows carry whatever they carry.
            field("rest", Kind::Rest).shown(Shown::Nothing),
            SIGNED_BY,
            SIGNED_OVER,
        ],
    ),
    &verb(
        "userauth-failure",
        MessageId::USERAUTH_FAILURE,
        Sender::Server,
        &[
            field("methods", Kind::Names),
            field("partial-success", Kind::Boolean),
        ],
    ),
    &verb(
        "userauth-success",
        MessageId::USERAUTH_SUCCESS,
        Sender::Server,
        &[],
    ),
    &ambient(
        "userauth-banner",
        MessageId::USERAUTH_BANNER,
        &[field("text", Kind::Text), field("language", Kind::Text)],
    ),
    &verb(
        "userauth-pk-ok",
        MessageId::USERAUTH_PK_OK,
        Sender::Server,
        &[field("algorithm", Kind::Text), field("key", Kind::Blob)],
    ),
    &ambient(
        "global-request",
        MessageId::GLOBAL_REQUEST,
        &[
            field("request", Kind::Text),
            field("want-reply", Kind::Boolean),
            field("rest", Kind::Rest),
        ],
    ),
    &verb(
        "request-success",
        MessageId::REQUEST_SUCCESS,
        Sender::Either,
        &[field("rest", Kind::Rest)],
    ),
    &verb(
        "request-failure",
        MessageId::REQUEST_FAILURE,
        Sender::Either,
        &[],
    ),
    &verb(
        "channel-open",
        MessageId::CHANNEL_OPEN,
        Sender::Either,
        &[
            field("type", Kind::Text),
            field("sender", Kind::Uint32),
            field("window", Kind::Uint32),
            field("packet-max", Kind::Uint32),
            field("rest", Kind::Rest),
        ],
    ),
    &verb(
        "channel-open-confirmation",
        MessageId::CHANNEL_OPEN_CONFIRMATION,
        Sender::Either,
        &[
            RECIPIENT,
            field("sender", Kind::Uint32),
            field("window", Kind::Uint32),
            field("packet-max", Kind::Uint32),
            field("rest", Kind::Rest),
        ],
    ),
    &verb(
        "channel-open-failure",
        MessageId::CHANNEL_OPEN_FAILURE,
        Sender::Either,
        &[
            RECIPIENT,
            field("reason", Kind::Uint32),
            field("description", Kind::Text),
            field("language", Kind::Text),
        ],
    ),
    &ambient(
        "channel-window-adjust",
        MessageId::CHANNEL_WINDOW_ADJUST,
        &[RECIPIENT, field("add", Kind::Uint32)],
    ),
    &verb(
        "channel-data",
        MessageId::CHANNEL_DATA,
        Sender::Either,
        &[RECIPIENT, field("data", Kind::Text).shown(Shown::Length)],
    ),
    &verb(
        "channel-extended-data",
        MessageId::CHANNEL_EXTENDED_DATA,
        Sender::Either,
        &[
            RECIPIENT,
            field("code", Kind::Uint32),
            field("data", Kind::Text).shown(Shown::Length),
        ],
    ),
    &verb(
        "channel-eof",
        MessageId::CHANNEL_EOF,
        Sender::Either,
        &[RECIPIENT],
    ),
    &verb(
        "channel-close",
        MessageId::CHANNEL_CLOSE,
        Sender::Either,
        &[RECIPIENT],
    ),
    &verb(
        "channel-request",
        MessageId::CHANNEL_REQUEST,
        Sender::Either,
        &[
            RECIPIENT,
            field("type", Kind::Text),
            field("want-reply", Kind::Boolean),
            field("command", Kind::Text).when("type", &["exec"]),
            field("subsystem", Kind::Text).when("type", &["subsystem"]),
            field("status", Kind::Uint32).when("type", &["exit-status"]),
            field("signal", Kind::Text).when("type", &["signal", "exit-signal"]),
            field("core-dumped", Kind::Boolean).when("type", &["exit-signal"]),
            field("message", Kind::Text).when("type", &["exit-signal"]),
            field("language", Kind::Text).when("type", &["exit-signal"]),
            field("variable", Kind::Text).when("type", &["env"]),
            field("value", Kind::Text)
                .when("type", &["env"])
                .shown(Shown::Nothing),
            field("rest", Kind::Rest),
        ],
    ),
    &verb(
        "channel-success",
        MessageId::CHANNEL_SUCCESS,
        Sender::Either,
        &[RECIPIENT],
    ),
    &verb(
        "channel-failure",
        MessageId::CHANNEL_FAILURE,
        Sender::Either,
        &[RECIPIENT],
    ),
    &ambient("ping", MessageId::PING, &[field("data", Kind::Text)]),
    &verb(
        "pong",
        MessageId::PONG,
        Sender::Either,
        &[field("data", Kind::Text)],
    ),
    &MESSAGE,
    &RAW,
    &stream("bytes", &[field("data", Kind::Rest)]),
    &stream("fin", &[]),
    &stream("rst", &[]),
];
