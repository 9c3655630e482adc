//! Messages of the transport layer (RFC 4253 §10 and §11, RFC 8308, OpenSSH PROTOCOL §1.8).

use std::fmt;

use crate::wire::{DecodeError, Reader, Writer};

/// A disconnect reason as sent; unknown codes survive a round trip (RFC 4253 §11.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisconnectReason(pub u32);

impl DisconnectReason {
    /// The peer broke a rule of the protocol.
    pub const PROTOCOL_ERROR: Self = Self(2);
    /// No algorithm in common, or the exchange failed.
    pub const KEY_EXCHANGE_FAILED: Self = Self(3);
    /// A tag did not verify.
    pub const MAC_ERROR: Self = Self(5);
    /// A service was asked for that is not offered.
    pub const SERVICE_NOT_AVAILABLE: Self = Self(7);
    /// The peer speaks another version.
    pub const PROTOCOL_VERSION_NOT_SUPPORTED: Self = Self(8);
    /// The host key is not the one we know.
    pub const HOST_KEY_NOT_VERIFIABLE: Self = Self(9);
    /// Done.
    pub const BY_APPLICATION: Self = Self(11);
    /// The user could not be authenticated.
    pub const NO_MORE_AUTH_METHODS_AVAILABLE: Self = Self(14);
}

/// `SSH_MSG_DISCONNECT` (1): the sender is leaving, and why (RFC 4253 §11.1).
///
/// `description` is for people and comes from the peer: print it escaped, never raw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnect<'a> {
    /// The machine-readable cause.
    pub reason: DisconnectReason,
    /// UTF-8 by the RFC, arbitrary bytes in practice.
    pub description: &'a [u8],
    /// An RFC 3066 tag, usually empty.
    pub language: &'a [u8],
}

impl<'a> Disconnect<'a> {
    /// Our bound; the RFC sets none short of the packet limit.
    pub const DESCRIPTION_BYTES_MAX: usize = 32_768;
    /// Our bound; longer tags do not occur.
    pub const LANGUAGE_BYTES_MAX: usize = 64;

    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`], including bytes left after `language`.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let message = Self {
            reason: DisconnectReason(r.u32("reason code")?),
            description: r.string("description", Self::DESCRIPTION_BYTES_MAX)?,
            // Some leave it out, and their reason is worth more than the tag.
            language: match r.peek_rest() {
                [] => b"",
                _ => r.string("language tag", Self::LANGUAGE_BYTES_MAX)?,
            },
        };
        r.finish("DISCONNECT")?;
        Ok(message)
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.u32(self.reason.0)
            .string(self.description)
            .string(self.language);
    }
}

/// `SSH_MSG_IGNORE` (2): nothing, of some length (RFC 4253 §11.2).
///
/// What is inside is not looked at, so that a length that lies is ignored as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignore<'a> {
    /// The data, when its string is well formed.
    pub data: &'a [u8],
}

impl<'a> Ignore<'a> {
    /// Reads what there is; never fails.
    #[must_use]
    pub fn decode(body: &'a [u8]) -> Self {
        let data = Reader::new(body)
            .string("data", body.len())
            .unwrap_or_default();
        Self { data }
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.string(self.data);
    }
}

/// `SSH_MSG_UNIMPLEMENTED` (3): the packet with this sequence number was not understood
/// (RFC 4253 §11.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unimplemented {
    /// The packet's sequence number as its receiver counted.
    pub sequence_number: u32,
}

impl Unimplemented {
    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let message = Self {
            sequence_number: r.u32("packet sequence number")?,
        };
        r.finish("UNIMPLEMENTED")?;
        Ok(message)
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.u32(self.sequence_number);
    }
}

/// `SSH_MSG_DEBUG` (4): a remark (RFC 4253 §11.3).
///
/// `text` comes from the peer: print it escaped, never raw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debug<'a> {
    /// The sender wants it shown.
    pub always_display: bool,
    /// The remark.
    pub text: &'a [u8],
    /// An RFC 3066 tag, usually empty.
    pub language: &'a [u8],
}

impl<'a> Debug<'a> {
    /// Our bound; the RFC sets none short of the packet limit.
    pub const TEXT_BYTES_MAX: usize = 32_768;

    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let message = Self {
            always_display: r.bool("always display")?,
            text: r.string("message", Self::TEXT_BYTES_MAX)?,
            language: r.string("language tag", Disconnect::LANGUAGE_BYTES_MAX)?,
        };
        r.finish("DEBUG")?;
        Ok(message)
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.bool(self.always_display)
            .string(self.text)
            .string(self.language);
    }
}

/// `SSH_MSG_SERVICE_REQUEST` (5) and `SSH_MSG_SERVICE_ACCEPT` (6) carry the same field
/// (RFC 4253 §10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service<'a> {
    /// The service's name.
    pub name: &'a str,
}

impl<'a> Service<'a> {
    /// Our bound; registered names have at most 64 characters (RFC 4251 §6).
    pub const NAME_BYTES_MAX: usize = 256;

    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let message = Self {
            name: r.name("service name", Self::NAME_BYTES_MAX)?,
        };
        r.finish("SERVICE_REQUEST or SERVICE_ACCEPT")?;
        Ok(message)
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.string(self.name.as_bytes());
    }
}

/// `SSH_MSG_EXT_INFO` (7): extensions of the sender (RFC 8308 §2.3).
#[derive(Clone, PartialEq, Eq)]
pub struct ExtInfo<'a> {
    /// Names and values, in order.
    pub extensions: Vec<(&'a str, &'a [u8])>,
}

impl<'a> ExtInfo<'a> {
    /// Our bound; OpenSSH's is the same.
    pub const EXTENSIONS_MAX: u32 = 1_024;
    /// Our bound, in bytes.
    pub const VALUE_BYTES_MAX: usize = 32_768;

    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let count = r.u32("nr-extensions")?;
        if count > Self::EXTENSIONS_MAX {
            return Err(DecodeError::Unexpected {
                field: "nr-extensions",
                got: count.to_string(),
                expected: "at most 1024",
            });
        }
        let mut extensions = Vec::new();
        for _ in 0..count {
            let name = r.name("extension-name", Service::NAME_BYTES_MAX)?;
            extensions.push((name, r.string("extension-value", Self::VALUE_BYTES_MAX)?));
        }
        r.finish("EXT_INFO")?;
        Ok(Self { extensions })
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.u32(u32::try_from(self.extensions.len()).unwrap_or(u32::MAX));
        for (name, value) in &self.extensions {
            w.string(name.as_bytes()).string(value);
        }
    }
}

impl fmt::Debug for ExtInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.extensions
                    .iter()
                    .map(|(name, value)| (name, value.escape_ascii().to_string())),
            )
            .finish()
    }
}

/// `SSH_MSG_PING` (192) and `SSH_MSG_PONG` (193) carry the same field (OpenSSH PROTOCOL §1.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ping<'a> {
    /// What the reply must repeat.
    pub data: &'a [u8],
}

impl<'a> Ping<'a> {
    /// Our bound, in bytes.
    pub const DATA_BYTES_MAX: usize = 65_536;

    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let message = Self {
            data: r.string("data", Self::DATA_BYTES_MAX)?,
        };
        r.finish("PING or PONG")?;
        Ok(message)
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.string(self.data);
    }
}
