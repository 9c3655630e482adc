//! What an engine tells its driver.

use std::time::Instant;

use zeroize::Zeroizing;

use super::PeerFault;
use super::auth::Refusal;
use super::channels::LocalChannelId;
use crate::crypto::{PublicKey, Secret};
use crate::msg::{DisconnectReason, OpenFailureReason, Request};

/// What [`super::Engine::poll_output`] gives, one at a time.
#[derive(Debug)]
pub enum Output {
    /// Bytes for the network, in order.
    Transmit(Vec<u8>),
    /// Something happened.
    Event(Event),
    /// Nothing more until input, a call, or this time.
    Wait(Option<Instant>),
}

/// Something happened. Those marked *asks* stop all input until they are answered.
#[derive(Debug)]
pub enum Event {
    /// *Asks* ([`super::Engine::answer_host_key`]): the server proved to hold this key. Is it the
    /// right one?
    HostKeyOffered(PublicKey),
    /// Both directions use new keys. The first time: the connection is ready.
    KeysChanged,
    /// Text for the user before the verdict; print it escaped.
    BannerReceived(Vec<u8>),
    /// The server would take the key that it was asked about ([`super::Engine::probe_key`]).
    KeyAccepted,
    /// The server let us in.
    AuthSucceeded,
    /// The server did not, or not yet.
    AuthFailed(Refusal),
    /// *Asks* ([`super::Engine::answer_auth`]): may this user in?
    AuthAsked(AuthQuestion),
    /// The peer accepted the channel we opened.
    ChannelOpened(LocalChannelId),
    /// The peer refused it.
    ChannelRefused {
        /// Which; it is gone.
        channel: LocalChannelId,
        /// Why, for machines.
        reason: OpenFailureReason,
        /// Why, for people; print it escaped.
        description: Vec<u8>,
    },
    /// The peer opened a session channel, and we accepted.
    SessionOffered(LocalChannelId),
    /// The peer asks something on a channel. If it wants a reply, answer with
    /// [`super::Engine::answer_request`], in the order of these events.
    ChannelRequested {
        /// Where.
        channel: LocalChannelId,
        /// What.
        request: ReceivedRequest,
        /// A reply is owed.
        want_reply: bool,
    },
    /// The peer answered our oldest request on this channel.
    RequestAnswered {
        /// Where.
        channel: LocalChannelId,
        /// Yes or no.
        accepted: bool,
    },
    /// Data. Say so with [`super::Engine::consume`] once it is used up: that opens the window.
    DataReceived {
        /// Where.
        channel: LocalChannelId,
        /// `None` for the normal stream, else the extended data code; 1 is stderr.
        code: Option<u32>,
        /// The bytes.
        data: Opaque,
    },
    /// The peer has no more data.
    EofReceived(LocalChannelId),
    /// A channel that refused a write takes more.
    ChannelWritable(LocalChannelId),
    /// Both sides are done with the channel; its number is not used again.
    ChannelClosed(LocalChannelId),
    /// The connection is over. The last event.
    Ended(End),
}

/// May this user in?
#[derive(Debug)]
pub struct AuthQuestion {
    /// Who asks; print it escaped.
    pub user: String,
    /// What they show.
    pub proof: Proof,
}

/// What a user shows.
#[derive(Debug)]
pub enum Proof {
    /// Nothing, to learn which methods there are. Whatever the answer says, it is no; its banner
    /// is sent.
    None,
    /// A key of an algorithm that we do not speak. Whatever the answer says, it is no; its banner
    /// is sent.
    OtherKey {
        /// Which; print it escaped.
        algorithm: String,
    },
    /// A key.
    Publickey {
        /// Which.
        key: PublicKey,
        /// The signature was there and verified; without it this is only a probe whether the key
        /// would do.
        signed: bool,
    },
    /// A password.
    Password(Password),
}

/// A password on its way to whoever checks it. Wiped on drop, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<Secret<{ Password::BYTES_MAX }>>, usize);

impl Password {
    /// Longest password, in bytes.
    pub const BYTES_MAX: usize = crate::msg::UserauthRequest::PASSWORD_BYTES_MAX;

    /// Copies the bytes; `None` when there are more than [`Self::BYTES_MAX`].
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut padded = Zeroizing::new([0; Self::BYTES_MAX]);
        padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self(Box::new(Secret::new(*padded)), bytes.len()))
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose().get(..self.1).unwrap_or_default()
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The answer to an [`AuthQuestion`].
#[derive(Debug, Clone, Default)]
pub struct AuthAnswer {
    /// Let them in, or for a probe: that key would do.
    pub accept: bool,
    /// Text to show before the verdict.
    pub banner: Option<String>,
}

/// Bytes that may be keystrokes or worse: only their number prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Opaque(pub Vec<u8>);

impl std::fmt::Debug for Opaque {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// A channel request that outlives the packet it came in. It may hold a variable's value, and
/// prints no more than its type.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceivedRequest(pub(super) Vec<u8>);

impl std::fmt::Debug for ReceivedRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.get().name())
    }
}

impl ReceivedRequest {
    /// How long it is, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// The request. It was decoded once before, so that the second time cannot fail.
    #[must_use]
    pub fn get(&self) -> Request<'_> {
        crate::msg::ChannelRequest::decode(&self.0).map_or(
            Request::Other {
                name: "",
                body: &[],
            },
            |decoded| decoded.request,
        )
    }
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// We left.
    WeDisconnected,
    /// Our side came to an end by a panic, in a callback most likely.
    WeFailed,
    /// The peer said that it leaves.
    PeerDisconnected {
        /// Why, for machines.
        reason: DisconnectReason,
        /// Why, for people; print it escaped.
        description: String,
    },
    /// The stream ended without a word.
    PeerHungUp,
    /// The peer broke the protocol, and we told it so.
    PeerBrokeProtocol(PeerFault),
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::WeDisconnected => f.write_str("we disconnected"),
            Self::WeFailed => f.write_str("our side of the connection panicked"),
            Self::PeerDisconnected {
                reason,
                description,
            } => {
                write!(
                    f,
                    "peer disconnected (reason {}): {}",
                    reason.0,
                    description.escape_debug()
                )
            }
            Self::PeerHungUp => f.write_str("peer closed the connection without a word"),
            Self::PeerBrokeProtocol(fault) => write!(f, "peer {fault} ({})", fault.clause()),
        }
    }
}
