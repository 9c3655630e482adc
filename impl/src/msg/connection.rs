//! Messages of the connection protocol (RFC 4254).

use std::fmt;

use super::transport::Service;
use crate::wire::{DecodeError, Reader, Writer};

/// `SSH_MSG_GLOBAL_REQUEST` (80): about the connection as a whole (RFC 4254 §4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalRequest<'a> {
    /// What is asked.
    pub name: &'a str,
    /// `REQUEST_SUCCESS` or `REQUEST_FAILURE` must answer.
    pub want_reply: bool,
    /// What belongs to the request, unread.
    pub body: &'a [u8],
}

impl<'a> GlobalRequest<'a> {
    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        Ok(Self {
            name: r.name("request name", Service::NAME_BYTES_MAX)?,
            want_reply: r.bool("want reply")?,
            body: r.rest(),
        })
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.string(self.name.as_bytes())
            .bool(self.want_reply)
            .raw(self.body);
    }
}

/// `SSH_MSG_CHANNEL_OPEN` (90): the sender wants a channel (RFC 4254 §5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelOpen<'a> {
    /// The channel type.
    pub kind: &'a str,
    /// The sender's number for it.
    pub sender_channel: u32,
    /// How many bytes the sender will take.
    pub window_bytes: u32,
    /// The most data bytes the sender takes in one message.
    pub packet_bytes_max: u32,
    /// What belongs to the type, unread.
    pub body: &'a [u8],
}

impl<'a> ChannelOpen<'a> {
    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        Ok(Self {
            kind: r.name("channel type", Service::NAME_BYTES_MAX)?,
            sender_channel: r.u32("sender channel")?,
            window_bytes: r.u32("initial window size")?,
            packet_bytes_max: r.u32("maximum packet size")?,
            body: r.rest(),
        })
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.string(self.kind.as_bytes())
            .u32(self.sender_channel)
            .u32(self.window_bytes)
            .u32(self.packet_bytes_max)
            .raw(self.body);
    }
}

/// `SSH_MSG_CHANNEL_OPEN_CONFIRMATION` (91) (RFC 4254 §5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelOpenConfirmation<'a> {
    /// The opener's number.
    pub recipient_channel: u32,
    /// The confirmer's number.
    pub sender_channel: u32,
    /// How many bytes the confirmer will take.
    pub window_bytes: u32,
    /// The most data bytes the confirmer takes in one message.
    pub packet_bytes_max: u32,
    /// What belongs to the type, unread.
    pub body: &'a [u8],
}

impl<'a> ChannelOpenConfirmation<'a> {
    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        Ok(Self {
            recipient_channel: r.u32("recipient channel")?,
            sender_channel: r.u32("sender channel")?,
            window_bytes: r.u32("initial window size")?,
            packet_bytes_max: r.u32("maximum packet size")?,
            body: r.rest(),
        })
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.u32(self.recipient_channel)
            .u32(self.sender_channel)
            .u32(self.window_bytes)
            .u32(self.packet_bytes_max)
            .raw(self.body);
    }
}

/// Why a channel was not opened; unknown codes survive a round trip (RFC 4254 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFailureReason(pub u32);

impl OpenFailureReason {
    /// Not allowed.
    pub const ADMINISTRATIVELY_PROHIBITED: Self = Self(1);
    /// What should have been connected could not be.
    pub const CONNECT_FAILED: Self = Self(2);
    /// No such channel type.
    pub const UNKNOWN_CHANNEL_TYPE: Self = Self(3);
    /// Too many already.
    pub const RESOURCE_SHORTAGE: Self = Self(4);
}

/// `SSH_MSG_CHANNEL_OPEN_FAILURE` (92) (RFC 4254 §5.1).
///
/// `description` comes from the peer: print it escaped, never raw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelOpenFailure<'a> {
    /// The opener's number.
    pub recipient_channel: u32,
    /// The machine-readable cause.
    pub reason: OpenFailureReason,
    /// For people.
    pub description: &'a [u8],
    /// An RFC 3066 tag, usually empty.
    pub language: &'a [u8],
}

impl<'a> ChannelOpenFailure<'a> {
    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let message = Self {
            recipient_channel: r.u32("recipient channel")?,
            reason: OpenFailureReason(r.u32("reason code")?),
            description: r.string("description", super::Disconnect::DESCRIPTION_BYTES_MAX)?,
            language: r.string("language tag", super::Disconnect::LANGUAGE_BYTES_MAX)?,
        };
        r.finish("CHANNEL_OPEN_FAILURE")?;
        Ok(message)
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.u32(self.recipient_channel)
            .u32(self.reason.0)
            .string(self.description)
            .string(self.language);
    }
}

/// `SSH_MSG_CHANNEL_WINDOW_ADJUST` (93): the sender takes more (RFC 4254 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelWindowAdjust {
    /// The recipient's number.
    pub recipient_channel: u32,
    /// How many bytes more.
    pub bytes_to_add: u32,
}

impl ChannelWindowAdjust {
    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let message = Self {
            recipient_channel: r.u32("recipient channel")?,
            bytes_to_add: r.u32("bytes to add")?,
        };
        r.finish("CHANNEL_WINDOW_ADJUST")?;
        Ok(message)
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.u32(self.recipient_channel).u32(self.bytes_to_add);
    }
}

/// Most data bytes in one message that a decoder takes. Ours, above anything a channel grants:
/// which packets overran a channel's own maximum is for the channel to judge.
pub const DATA_BYTES_MAX: usize = 262_144;

/// `SSH_MSG_CHANNEL_DATA` (94) (RFC 4254 §5.2).
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelData<'a> {
    /// The recipient's number.
    pub recipient_channel: u32,
    /// The bytes.
    pub data: &'a [u8],
}

impl fmt::Debug for ChannelData<'_> {
    /// The bytes may be keystrokes: only their number prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (channel, bytes) = (self.recipient_channel, self.data.len());
        write!(f, "ChannelData({bytes} bytes on {channel})")
    }
}

impl<'a> ChannelData<'a> {
    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let message = Self {
            recipient_channel: r.u32("recipient channel")?,
            data: r.string("data", DATA_BYTES_MAX)?,
        };
        r.finish("CHANNEL_DATA")?;
        Ok(message)
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.u32(self.recipient_channel).string(self.data);
    }
}

/// `SSH_MSG_CHANNEL_EXTENDED_DATA` (95): data of another stream, 1 being stderr (RFC 4254 §5.2).
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelExtendedData<'a> {
    /// The recipient's number.
    pub recipient_channel: u32,
    /// Which stream.
    pub code: u32,
    /// The bytes.
    pub data: &'a [u8],
}

impl fmt::Debug for ChannelExtendedData<'_> {
    /// The bytes may be secret: only their number prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (channel, code, bytes) = (self.recipient_channel, self.code, self.data.len());
        write!(
            f,
            "ChannelExtendedData({bytes} bytes of stream {code} on {channel})"
        )
    }
}

impl<'a> ChannelExtendedData<'a> {
    /// `SSH_EXTENDED_DATA_STDERR`.
    pub const STDERR: u32 = 1;

    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let message = Self {
            recipient_channel: r.u32("recipient channel")?,
            code: r.u32("data type code")?,
            data: r.string("data", DATA_BYTES_MAX)?,
        };
        r.finish("CHANNEL_EXTENDED_DATA")?;
        Ok(message)
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.u32(self.recipient_channel)
            .u32(self.code)
            .string(self.data);
    }
}

/// `CHANNEL_EOF` (96), `CHANNEL_CLOSE` (97), `CHANNEL_SUCCESS` (99) and `CHANNEL_FAILURE` (100)
/// carry the channel alone (RFC 4254 §5.3 and §5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnChannel {
    /// The recipient's number.
    pub recipient_channel: u32,
}

impl OnChannel {
    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &[u8], message: &'static str) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let on_channel = Self {
            recipient_channel: r.u32("recipient channel")?,
        };
        r.finish(message)?;
        Ok(on_channel)
    }

    /// Appends the fields after the message number.
    pub fn encode(self, w: &mut Writer) {
        w.u32(self.recipient_channel);
    }
}

/// `SSH_MSG_CHANNEL_REQUEST` (98): about one channel (RFC 4254 §5.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRequest<'a> {
    /// The recipient's number.
    pub recipient_channel: u32,
    /// `CHANNEL_SUCCESS` or `CHANNEL_FAILURE` must answer.
    pub want_reply: bool,
    /// What is asked.
    pub request: Request<'a>,
}

/// The requests of a session channel (RFC 4254 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// `env`: a variable for the program to come (§6.4).
    Env {
        /// The variable.
        name: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// `exec`: run this (§6.5).
    Exec {
        /// The command line.
        command: &'a [u8],
    },
    /// `exit-signal`: the program was killed (§6.10).
    ExitSignal {
        /// The signal without `SIG`.
        signal: &'a [u8],
        /// It left a core dump.
        core_dumped: bool,
        /// For people.
        message: &'a [u8],
        /// An RFC 3066 tag, usually empty.
        language: &'a [u8],
    },
    /// `exit-status`: the program ended (§6.10).
    ExitStatus {
        /// Its exit status.
        status: u32,
    },
    /// `pty-req`: give the program to come a terminal (§6.2).
    PtyReq {
        /// `TERM`.
        term: &'a [u8],
        /// Width in characters, height in rows, width and height in pixels.
        size: [u32; 4],
        /// Encoded terminal modes (§8).
        modes: &'a [u8],
    },
    /// `shell`: run the login shell (§6.5).
    Shell,
    /// `signal`: send this to the program (§6.9).
    Signal {
        /// The signal without `SIG`.
        signal: &'a [u8],
    },
    /// `subsystem`: run the program that goes by this name (§6.5).
    Subsystem {
        /// The name.
        name: &'a [u8],
    },
    /// `window-change`: the terminal has another size (§6.7).
    WindowChange {
        /// Width in characters, height in rows, width and height in pixels.
        size: [u32; 4],
    },
    /// Some other request.
    Other {
        /// Its type.
        name: &'a str,
        /// What followed, unread.
        body: &'a [u8],
    },
}

impl<'a> ChannelRequest<'a> {
    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let recipient_channel = r.u32("recipient channel")?;
        let name = r.name("request type", Service::NAME_BYTES_MAX)?;
        let want_reply = r.bool("want reply")?;
        let request = Request::decode(name, &mut r)?;
        r.finish("CHANNEL_REQUEST")?;
        Ok(Self {
            recipient_channel,
            want_reply,
            request,
        })
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.u32(self.recipient_channel)
            .string(self.request.name().as_bytes())
            .bool(self.want_reply);
        self.request.encode(w);
    }
}

impl<'a> Request<'a> {
    /// Our bound for a command, a variable or a name, in bytes.
    pub const TEXT_BYTES_MAX: usize = 262_144;

    /// The request type.
    #[must_use]
    pub fn name(&self) -> &'a str {
        match self {
            Self::Env { .. } => "env",
            Self::Exec { .. } => "exec",
            Self::ExitSignal { .. } => "exit-signal",
            Self::ExitStatus { .. } => "exit-status",
            Self::PtyReq { .. } => "pty-req",
            Self::Shell => "shell",
            Self::Signal { .. } => "signal",
            Self::Subsystem { .. } => "subsystem",
            Self::WindowChange { .. } => "window-change",
            Self::Other { name, .. } => name,
        }
    }

    fn decode(name: &'a str, r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let text = |r: &mut Reader<'a>, field| r.string(field, Self::TEXT_BYTES_MAX);
        Ok(match name {
            "env" => Self::Env {
                name: text(r, "variable name")?,
                value: text(r, "variable value")?,
            },
            "exec" => Self::Exec {
                command: text(r, "command")?,
            },
            "exit-signal" => Self::ExitSignal {
                signal: text(r, "signal name")?,
                core_dumped: r.bool("core dumped")?,
                message: text(r, "error message")?,
                language: text(r, "language tag")?,
            },
            "exit-status" => Self::ExitStatus {
                status: r.u32("exit_status")?,
            },
            "pty-req" => Self::PtyReq {
                term: text(r, "TERM")?,
                size: decode_size(r)?,
                modes: text(r, "encoded terminal modes")?,
            },
            "shell" => Self::Shell,
            "signal" => Self::Signal {
                signal: text(r, "signal name")?,
            },
            "subsystem" => Self::Subsystem {
                name: text(r, "subsystem name")?,
            },
            "window-change" => Self::WindowChange {
                size: decode_size(r)?,
            },
            name => Self::Other {
                name,
                body: r.rest(),
            },
        })
    }

    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Env { name, value } => w.string(name).string(value),
            Self::Exec { command } => w.string(command),
            Self::ExitSignal {
                signal,
                core_dumped,
                message,
                language,
            } => w
                .string(signal)
                .bool(*core_dumped)
                .string(message)
                .string(language),
            Self::ExitStatus { status } => w.u32(*status),
            Self::PtyReq { term, size, modes } => encode_size(w.string(term), size).string(modes),
            Self::Shell => w,
            Self::Signal { signal } => w.string(signal),
            Self::Subsystem { name } => w.string(name),
            Self::WindowChange { size } => encode_size(w, size),
            Self::Other { body, .. } => w.raw(body),
        };
    }
}

fn decode_size(r: &mut Reader<'_>) -> Result<[u32; 4], DecodeError> {
    Ok([
        r.u32("terminal width, characters")?,
        r.u32("terminal height, rows")?,
        r.u32("terminal width, pixels")?,
        r.u32("terminal height, pixels")?,
    ])
}

fn encode_size<'w>(w: &'w mut Writer, size: &[u32; 4]) -> &'w mut Writer {
    size.iter().fold(w, |w, number| w.u32(*number))
}
