//! One struct for each message, decode and encode side by side in the RFC's order of fields.
//!
//! A *payload* is the bytes inside a packet; a *message* is a payload decoded. Decoding borrows:
//! nothing is copied, every string has a bound, bytes left over are an error. What a message means
//! is for the engine to say.

mod connection;
mod describe;
mod id;
mod kex;
pub mod names;
mod transport;
mod userauth;

pub use connection::{
    ChannelData, ChannelExtendedData, ChannelOpen, ChannelOpenConfirmation, ChannelOpenFailure,
    ChannelRequest, ChannelWindowAdjust, DATA_BYTES_MAX, GlobalRequest, OnChannel,
    OpenFailureReason, Request,
};
pub use describe::Field;
pub use id::MessageId;
pub use kex::{EcdhInit, EcdhReply, KexInit};
pub use transport::{
    Debug, Disconnect, DisconnectReason, ExtInfo, Ignore, Ping, Service, Unimplemented,
};
pub use userauth::{AuthMethod, UserauthBanner, UserauthFailure, UserauthPkOk, UserauthRequest};

use crate::wire::{DecodeError, Reader, Writer};

/// Any message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// See [`Disconnect`].
    Disconnect(Disconnect<'a>),
    /// See [`Ignore`].
    Ignore(Ignore<'a>),
    /// See [`Unimplemented`].
    Unimplemented(Unimplemented),
    /// See [`struct@Debug`].
    Debug(Debug<'a>),
    /// See [`Service`].
    ServiceRequest(Service<'a>),
    /// See [`Service`].
    ServiceAccept(Service<'a>),
    /// See [`ExtInfo`].
    ExtInfo(ExtInfo<'a>),
    /// See [`KexInit`].
    KexInit(KexInit<'a>),
    /// `SSH_MSG_NEWKEYS` (21): from here on the new keys (RFC 4253 §7.3).
    NewKeys,
    /// See [`EcdhInit`].
    EcdhInit(EcdhInit<'a>),
    /// See [`EcdhReply`].
    EcdhReply(EcdhReply<'a>),
    /// See [`UserauthRequest`].
    UserauthRequest(UserauthRequest<'a>),
    /// See [`UserauthFailure`].
    UserauthFailure(UserauthFailure<'a>),
    /// `SSH_MSG_USERAUTH_SUCCESS` (52) (RFC 4252 §5.1).
    UserauthSuccess,
    /// See [`UserauthBanner`].
    UserauthBanner(UserauthBanner<'a>),
    /// See [`UserauthPkOk`].
    UserauthPkOk(UserauthPkOk<'a>),
    /// See [`GlobalRequest`].
    GlobalRequest(GlobalRequest<'a>),
    /// `SSH_MSG_REQUEST_SUCCESS` (81) with what belongs to the request (RFC 4254 §4).
    RequestSuccess(&'a [u8]),
    /// `SSH_MSG_REQUEST_FAILURE` (82) (RFC 4254 §4).
    RequestFailure,
    /// See [`ChannelOpen`].
    ChannelOpen(ChannelOpen<'a>),
    /// See [`ChannelOpenConfirmation`].
    ChannelOpenConfirmation(ChannelOpenConfirmation<'a>),
    /// See [`ChannelOpenFailure`].
    ChannelOpenFailure(ChannelOpenFailure<'a>),
    /// See [`ChannelWindowAdjust`].
    ChannelWindowAdjust(ChannelWindowAdjust),
    /// See [`ChannelData`].
    ChannelData(ChannelData<'a>),
    /// See [`ChannelExtendedData`].
    ChannelExtendedData(ChannelExtendedData<'a>),
    /// `SSH_MSG_CHANNEL_EOF` (96): the sender has no more data (RFC 4254 §5.3).
    ChannelEof(OnChannel),
    /// `SSH_MSG_CHANNEL_CLOSE` (97): the sender is done with the channel (RFC 4254 §5.3).
    ChannelClose(OnChannel),
    /// See [`ChannelRequest`].
    ChannelRequest(ChannelRequest<'a>),
    /// `SSH_MSG_CHANNEL_SUCCESS` (99) (RFC 4254 §5.4).
    ChannelSuccess(OnChannel),
    /// `SSH_MSG_CHANNEL_FAILURE` (100) (RFC 4254 §5.4).
    ChannelFailure(OnChannel),
    /// See [`Ping`].
    Ping(Ping<'a>),
    /// See [`Ping`].
    Pong(Ping<'a>),
    /// A number that we do not know, to be answered with UNIMPLEMENTED (RFC 4253 §11.4).
    Unknown {
        /// The number.
        id: MessageId,
        /// What followed, unread.
        body: &'a [u8],
    },
}

impl<'a> Message<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    /// Any [`DecodeError`] of the message that its first byte names.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(payload);
        let id = MessageId(r.u8("message number")?);
        let body = r.rest();
        let on_channel = |message| OnChannel::decode(body, message);
        Ok(match id {
            MessageId::DISCONNECT => Self::Disconnect(Disconnect::decode(body)?),
            MessageId::IGNORE => Self::Ignore(Ignore::decode(body)),
            MessageId::UNIMPLEMENTED => Self::Unimplemented(Unimplemented::decode(body)?),
            MessageId::DEBUG => Self::Debug(Debug::decode(body)?),
            MessageId::SERVICE_REQUEST => Self::ServiceRequest(Service::decode(body)?),
            MessageId::SERVICE_ACCEPT => Self::ServiceAccept(Service::decode(body)?),
            MessageId::EXT_INFO => Self::ExtInfo(ExtInfo::decode(body)?),
            MessageId::KEXINIT => Self::KexInit(KexInit::decode(body)?),
            MessageId::NEWKEYS => empty(body, "NEWKEYS", Self::NewKeys)?,
            MessageId::KEX_ECDH_INIT => Self::EcdhInit(EcdhInit::decode(body)?),
            MessageId::KEX_ECDH_REPLY => Self::EcdhReply(EcdhReply::decode(body)?),
            MessageId::USERAUTH_REQUEST => Self::UserauthRequest(UserauthRequest::decode(body)?),
            MessageId::USERAUTH_FAILURE => Self::UserauthFailure(UserauthFailure::decode(body)?),
            MessageId::USERAUTH_SUCCESS => empty(body, "USERAUTH_SUCCESS", Self::UserauthSuccess)?,
            MessageId::USERAUTH_BANNER => Self::UserauthBanner(UserauthBanner::decode(body)?),
            MessageId::USERAUTH_PK_OK => Self::UserauthPkOk(UserauthPkOk::decode(body)?),
            MessageId::GLOBAL_REQUEST => Self::GlobalRequest(GlobalRequest::decode(body)?),
            MessageId::REQUEST_SUCCESS => Self::RequestSuccess(body),
            MessageId::REQUEST_FAILURE => empty(body, "REQUEST_FAILURE", Self::RequestFailure)?,
            MessageId::CHANNEL_OPEN => Self::ChannelOpen(ChannelOpen::decode(body)?),
            MessageId::CHANNEL_OPEN_CONFIRMATION => {
                Self::ChannelOpenConfirmation(ChannelOpenConfirmation::decode(body)?)
            }
            MessageId::CHANNEL_OPEN_FAILURE => {
                Self::ChannelOpenFailure(ChannelOpenFailure::decode(body)?)
            }
            MessageId::CHANNEL_WINDOW_ADJUST => {
                Self::ChannelWindowAdjust(ChannelWindowAdjust::decode(body)?)
            }
            MessageId::CHANNEL_DATA => Self::ChannelData(ChannelData::decode(body)?),
            MessageId::CHANNEL_EXTENDED_DATA => {
                Self::ChannelExtendedData(ChannelExtendedData::decode(body)?)
            }
            MessageId::CHANNEL_EOF => Self::ChannelEof(on_channel("CHANNEL_EOF")?),
            MessageId::CHANNEL_CLOSE => Self::ChannelClose(on_channel("CHANNEL_CLOSE")?),
            MessageId::CHANNEL_REQUEST => Self::ChannelRequest(ChannelRequest::decode(body)?),
            MessageId::CHANNEL_SUCCESS => Self::ChannelSuccess(on_channel("CHANNEL_SUCCESS")?),
            MessageId::CHANNEL_FAILURE => Self::ChannelFailure(on_channel("CHANNEL_FAILURE")?),
            MessageId::PING => Self::Ping(Ping::decode(body)?),
            MessageId::PONG => Self::Pong(Ping::decode(body)?),
            id => Self::Unknown { id, body },
        })
    }

    /// The message number.
    #[must_use]
    pub fn id(&self) -> MessageId {
        match self {
            Self::Disconnect(_) => MessageId::DISCONNECT,
            Self::Ignore(_) => MessageId::IGNORE,
            Self::Unimplemented(_) => MessageId::UNIMPLEMENTED,
            Self::Debug(_) => MessageId::DEBUG,
            Self::ServiceRequest(_) => MessageId::SERVICE_REQUEST,
            Self::ServiceAccept(_) => MessageId::SERVICE_ACCEPT,
            Self::ExtInfo(_) => MessageId::EXT_INFO,
            Self::KexInit(_) => MessageId::KEXINIT,
            Self::NewKeys => MessageId::NEWKEYS,
            Self::EcdhInit(_) => MessageId::KEX_ECDH_INIT,
            Self::EcdhReply(_) => MessageId::KEX_ECDH_REPLY,
            Self::UserauthRequest(_) => MessageId::USERAUTH_REQUEST,
            Self::UserauthFailure(_) => MessageId::USERAUTH_FAILURE,
            Self::UserauthSuccess => MessageId::USERAUTH_SUCCESS,
            Self::UserauthBanner(_) => MessageId::USERAUTH_BANNER,
            Self::UserauthPkOk(_) => MessageId::USERAUTH_PK_OK,
            Self::GlobalRequest(_) => MessageId::GLOBAL_REQUEST,
            Self::RequestSuccess(_) => MessageId::REQUEST_SUCCESS,
            Self::RequestFailure => MessageId::REQUEST_FAILURE,
            Self::ChannelOpen(_) => MessageId::CHANNEL_OPEN,
            Self::ChannelOpenConfirmation(_) => MessageId::CHANNEL_OPEN_CONFIRMATION,
            Self::ChannelOpenFailure(_) => MessageId::CHANNEL_OPEN_FAILURE,
            Self::ChannelWindowAdjust(_) => MessageId::CHANNEL_WINDOW_ADJUST,
            Self::ChannelData(_) => MessageId::CHANNEL_DATA,
            Self::ChannelExtendedData(_) => MessageId::CHANNEL_EXTENDED_DATA,
            Self::ChannelEof(_) => MessageId::CHANNEL_EOF,
            Self::ChannelClose(_) => MessageId::CHANNEL_CLOSE,
            Self::ChannelRequest(_) => MessageId::CHANNEL_REQUEST,
            Self::ChannelSuccess(_) => MessageId::CHANNEL_SUCCESS,
            Self::ChannelFailure(_) => MessageId::CHANNEL_FAILURE,
            Self::Ping(_) => MessageId::PING,
            Self::Pong(_) => MessageId::PONG,
            Self::Unknown { id, .. } => *id,
        }
    }

    /// Appends the payload: the message number and the fields.
    pub fn encode(&self, w: &mut Writer) {
        w.u8(self.id().0);
        match self {
            Self::Disconnect(m) => m.encode(w),
            Self::Ignore(m) => m.encode(w),
            Self::Unimplemented(m) => m.encode(w),
            Self::Debug(m) => m.encode(w),
            Self::ServiceRequest(m) | Self::ServiceAccept(m) => m.encode(w),
            Self::ExtInfo(m) => m.encode(w),
            Self::KexInit(m) => m.encode(w),
            Self::EcdhInit(m) => m.encode(w),
            Self::EcdhReply(m) => m.encode(w),
            Self::NewKeys | Self::UserauthSuccess | Self::RequestFailure => {}
            Self::UserauthRequest(m) => m.encode(w),
            Self::UserauthFailure(m) => m.encode(w),
            Self::UserauthBanner(m) => m.encode(w),
            Self::UserauthPkOk(m) => m.encode(w),
            Self::GlobalRequest(m) => m.encode(w),
            Self::ChannelOpen(m) => m.encode(w),
            Self::ChannelOpenConfirmation(m) => m.encode(w),
            Self::ChannelOpenFailure(m) => m.encode(w),
            Self::ChannelWindowAdjust(m) => m.encode(w),
            Self::ChannelData(m) => m.encode(w),
            Self::ChannelExtendedData(m) => m.encode(w),
            Self::ChannelEof(m)
            | Self::ChannelClose(m)
            | Self::ChannelSuccess(m)
            | Self::ChannelFailure(m) => m.encode(w),
            Self::ChannelRequest(m) => m.encode(w),
            Self::Ping(m) | Self::Pong(m) => m.encode(w),
            Self::RequestSuccess(body) | Self::Unknown { body, .. } => {
                w.raw(body);
            }
        }
    }

    /// The payload as bytes of its own.
    #[must_use]
    pub fn to_payload(&self) -> Vec<u8> {
        let mut w = Writer::new();
        self.encode(&mut w);
        w.into_bytes()
    }
}

fn empty<'a>(
    body: &[u8],
    name: &'static str,
    message: Message<'a>,
) -> Result<Message<'a>, DecodeError> {
    Reader::new(body).finish(name)?;
    Ok(message)
}

#[cfg(test)]
mod tests;
