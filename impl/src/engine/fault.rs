//! What can go wrong, in two families: what the peer did, and what the caller did.

use thiserror::Error;

use super::channels::LocalChannelId;
use crate::crypto::{KeyFault, ShareFault, SignatureFault};
use crate::ident::IdentFault;
use crate::msg::{DisconnectReason, MessageId};
use crate::packet::PacketFault;
use crate::wire::DecodeError;

/// The peer broke the protocol. Always fatal to the connection.
///
/// One variant per rule, named for what the peer did, so that a scenario can assert on the exact
/// rule and a report can print the clause.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PeerFault {
    /// It would take a key, and not the one that it was asked about.
    #[error("said that another key would do than the one it was asked about")]
    AcceptedAnotherKey,
    /// It asked to be let in over and over, at no cost to it.
    #[error("sent more than {requests_max} requests before its login")]
    AskedForAuthTooOften {
        /// The limit.
        requests_max: u32,
    },
    /// It asked for a service other than `ssh-userauth`.
    #[error("asked for service {name:?}, which does not exist here")]
    AskedForUnknownService {
        /// The service.
        name: String,
    },
    /// It made us hold too many replies until the end of a key exchange.
    #[error("asked for more than {held_bytes_max} bytes of replies during a key exchange")]
    AskedTooMuchDuringKex {
        /// The limit in bytes.
        held_bytes_max: usize,
    },
    /// Its host key at a rekey is not the one of the first exchange.
    #[error("changed its host key in the middle of the connection")]
    ChangedHostKey,
    /// It failed to authenticate too often.
    #[error("failed to authenticate {attempts_max} times")]
    FailedAuthTooOften {
        /// The limit.
        attempts_max: u32,
    },
    /// It sent banners without end before its verdict.
    #[error("sent more than {banner_bytes_max} bytes of banners")]
    FloodedBanners {
        /// The limit in bytes.
        banner_bytes_max: usize,
    },
    /// It has more requests under way on one channel than we keep.
    #[error("sent more than {requests_max} requests on a channel without waiting for replies")]
    FloodedRequests {
        /// The limit.
        requests_max: usize,
    },
    /// No algorithm of ours is in one of its lists.
    #[error("offered no {list} that we have: {offered:?}")]
    OfferedNoCommon {
        /// Which list of KEXINIT.
        list: &'static str,
        /// Its list, cut.
        offered: String,
    },
    /// Data longer than the channel's maximum packet size.
    #[error("sent {sent_bytes} bytes in one message where {packet_bytes_max} are the most")]
    OverranPacketMax {
        /// Bytes in this message.
        sent_bytes: u32,
        /// What we announced.
        packet_bytes_max: u32,
    },
    /// More channel data than the window we granted.
    #[error("sent {sent_bytes} bytes into a window of {window_bytes}")]
    OverranWindow {
        /// Bytes in this message.
        sent_bytes: u32,
        /// Bytes we had granted.
        window_bytes: u32,
    },
    /// A window past 2^32 - 1.
    #[error("opened a window past 2^32 - 1 bytes: {window_bytes} and {added_bytes} more")]
    OverflowedWindow {
        /// The window before.
        window_bytes: u32,
        /// What was to be added.
        added_bytes: u32,
    },
    /// It named a channel that is not open.
    #[error("sent {got} for channel {channel}, which is not open")]
    ReferredToUnknownChannel {
        /// What arrived.
        got: MessageId,
        /// The number it named.
        channel: u32,
    },
    /// Data behind its own EOF.
    #[error("sent data on channel {channel} after its EOF")]
    SentAfterEof {
        /// Our number of the channel.
        channel: u32,
    },
    /// A connection message before the user was authenticated.
    #[error("sent {got} before the user was authenticated")]
    SentBeforeAuth {
        /// What arrived.
        got: MessageId,
    },
    /// Something other than key exchange between its KEXINIT and its NEWKEYS.
    #[error("sent {got} between its KEXINIT and its NEWKEYS")]
    SentDuringKex {
        /// What arrived.
        got: MessageId,
    },
    /// A message arrived before NEWKEYS that strict key exchange forbids.
    #[error("sent {got} before NEWKEYS although both sides offered strict key exchange")]
    SentDuringStrictKex {
        /// What arrived.
        got: MessageId,
    },
    /// Its identification is none.
    #[error("{0}")]
    SentBadIdent(#[from] IdentFault),
    /// Its packets are none.
    #[error("{0}")]
    SentBadPacket(#[from] PacketFault),
    /// Its share cannot be used.
    #[error("{0}")]
    SentBadShare(#[from] ShareFault),
    /// Its host key cannot be used.
    #[error("sent a host key that {0}")]
    SentBadHostKey(KeyFault),
    /// Its signature over the exchange hash does not count: it is not who it says, or the two
    /// sides have not seen the same exchange.
    #[error("sent a signature over the exchange hash that {0}")]
    SentBadHostSignature(SignatureFault),
    /// A payload that is not the message its number says.
    #[error("sent {message} that cannot be read: {error}")]
    SentMalformed {
        /// The message number.
        message: MessageId,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// A message arrived that this state does not accept.
    #[error("sent {got} where {} is allowed", allowed(expected))]
    SentOutOfTurn {
        /// What arrived.
        got: MessageId,
        /// What this state accepts.
        expected: &'static [MessageId],
    },
    /// A key exchange was not complete in time.
    #[error("did not complete a key exchange within {seconds} s")]
    TookTooLongToExchangeKeys {
        /// The limit in seconds.
        seconds: u64,
    },
    /// The user was not authenticated in time.
    #[error("did not authenticate within {seconds} s")]
    TookTooLongToAuthenticate {
        /// The limit in seconds.
        seconds: u64,
    },
}

/// `only [KEXINIT(20)]`, or `nothing of the kind`.
fn allowed(expected: &[MessageId]) -> String {
    match expected {
        [] => "nothing of the kind".to_owned(),
        expected => format!("only {expected:?}"),
    }
}

impl PeerFault {
    /// The clause that makes this a fault, as printed in reports.
    #[must_use]
    pub fn clause(&self) -> &'static str {
        match self {
            Self::AskedForUnknownService { .. } => "RFC 4253 §10",
            Self::AskedTooMuchDuringKex { .. }
            | Self::FloodedBanners { .. }
            | Self::FloodedRequests { .. }
            | Self::TookTooLongToExchangeKeys { .. } => "our limit",
            Self::ChangedHostKey => "our rule",
            Self::AskedForAuthTooOften { .. }
            | Self::FailedAuthTooOften { .. }
            | Self::TookTooLongToAuthenticate { .. } => "RFC 4252 §4",
            Self::AcceptedAnotherKey => "RFC 4252 §7",
            Self::OfferedNoCommon { .. }
            | Self::SentDuringKex { .. }
            | Self::SentOutOfTurn { .. } => "RFC 4253 §7.1",
            Self::OverranPacketMax { .. }
            | Self::OverranWindow { .. }
            | Self::OverflowedWindow { .. } => "RFC 4254 §5.2",
            Self::ReferredToUnknownChannel { .. } => "RFC 4254 §5",
            Self::SentAfterEof { .. } => "RFC 4254 §5.3",
            Self::SentBeforeAuth { .. } => "RFC 4252 §6",
            Self::SentDuringStrictKex { .. } => "OpenSSH PROTOCOL §1.9",
            Self::SentBadIdent(_) => "RFC 4253 §4.2",
            Self::SentBadPacket(_) => "RFC 4253 §6",
            Self::SentBadShare(_) => "RFC 8731 §3",
            Self::SentBadHostKey(_) => "RFC 8709 §4",
            Self::SentBadHostSignature(_) => "RFC 4253 §8",
            Self::SentMalformed { .. } => "RFC 4251 §5",
        }
    }

    // No `_` arm here or above: a new rule does not compile until it has a clause and a reason.
    /// What we tell the peer while closing.
    #[must_use]
    pub fn disconnect_reason(&self) -> DisconnectReason {
        match self {
            Self::AskedForUnknownService { .. } => DisconnectReason::SERVICE_NOT_AVAILABLE,
            Self::AskedForAuthTooOften { .. }
            | Self::FailedAuthTooOften { .. }
            | Self::TookTooLongToAuthenticate { .. } => {
                DisconnectReason::NO_MORE_AUTH_METHODS_AVAILABLE
            }
            Self::SentBadIdent(_) => DisconnectReason::PROTOCOL_VERSION_NOT_SUPPORTED,
            Self::SentBadPacket(PacketFault::SentWrongTag) => DisconnectReason::MAC_ERROR,
            Self::ChangedHostKey
            | Self::TookTooLongToExchangeKeys { .. }
            | Self::SentBadHostKey(_)
            | Self::SentBadHostSignature(_)
            | Self::SentBadShare(_)
            | Self::OfferedNoCommon { .. }
            | Self::SentDuringStrictKex { .. } => DisconnectReason::KEY_EXCHANGE_FAILED,
            Self::AcceptedAnotherKey
            | Self::AskedTooMuchDuringKex { .. }
            | Self::FloodedBanners { .. }
            | Self::FloodedRequests { .. }
            | Self::OverranPacketMax { .. }
            | Self::OverranWindow { .. }
            | Self::OverflowedWindow { .. }
            | Self::ReferredToUnknownChannel { .. }
            | Self::SentAfterEof { .. }
            | Self::SentBeforeAuth { .. }
            | Self::SentDuringKex { .. }
            | Self::SentBadPacket(_)
            | Self::SentMalformed { .. }
            | Self::SentOutOfTurn { .. } => DisconnectReason::PROTOCOL_ERROR,
        }
    }
}

/// The caller's mistake. Nothing was changed or sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApiMisuse {
    /// A request or a name that does not fit into a packet.
    #[error("asked for something of more than {bytes_max} bytes")]
    AskedTooMuch {
        /// The bound in bytes.
        bytes_max: usize,
    },
    /// An answer to a question that was not asked.
    #[error("answered a question that was not asked")]
    AnsweredNothing,
    /// Authentication while an earlier request is under way.
    #[error("asked to authenticate while an earlier request is under way")]
    AuthenticatedTwiceAtOnce,
    /// Authentication when a user is already set.
    #[error("asked to authenticate although a user is already set")]
    AuthenticatedAgain,
    /// A server called what only clients do, or the other way round.
    #[error("called on the wrong role: only a {0} does this")]
    CalledOnWrongRole(&'static str),
    /// Input while a question is open.
    #[error("handed in input while a question is open")]
    FedWhileAsking,
    /// A channel that is not open, or not any more.
    #[error("used channel {0}, which is not open")]
    UsedClosedChannel(LocalChannelId),
    /// Anything before keys are there, or a channel before the user is authenticated.
    #[error("called too early: {0}")]
    CalledTooEarly(&'static str),
    /// Anything after the connection ended.
    #[error("called after the connection ended")]
    CalledAfterEnd,
    /// Data behind our own EOF.
    #[error("wrote to channel {0} after its EOF")]
    WroteAfterEof(LocalChannelId),
}
