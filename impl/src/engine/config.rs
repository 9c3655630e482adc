//! What an engine is told at its birth: role, keys, limits, when to rekey.

use std::time::Duration;

use super::{DATA_PACKET_BYTES_MAX, WINDOW_BYTES_MAX};
use crate::crypto::SigningKey;
use crate::ident::OUR_IDENT;

/// Everything an engine is told before it starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// Client or server.
    pub role: Role,
    /// Our identification, without line end.
    pub ident: String,
    /// Whether the peer may open session channels. Servers do; a client only if its program asks.
    pub accepts_sessions: bool,
    /// When keys are too old.
    pub rekey: RekeyPolicy,
    /// How much a peer may ask of us.
    pub limits: Limits,
}

impl Config {
    /// A client with the defaults.
    #[must_use]
    pub fn client() -> Self {
        Self::of(Role::Client, false)
    }

    /// A server with the defaults.
    #[must_use]
    pub fn server(host_key: SigningKey) -> Self {
        Self::of(Role::Server { host_key }, true)
    }

    fn of(role: Role, accepts_sessions: bool) -> Self {
        Self {
            role,
            ident: OUR_IDENT.to_owned(),
            accepts_sessions,
            rekey: RekeyPolicy::default(),
            limits: Limits::default(),
        }
    }
}

/// Which side of the conversation we are.
#[derive(Debug, Clone)]
pub enum Role {
    /// We opened the connection.
    Client,
    /// We were connected to.
    Server {
        /// What we prove our identity with.
        host_key: SigningKey,
    },
}

/// When we start a key exchange of our own accord, whichever comes first. Nothing is started
/// before the user is authenticated: no OpenSSH answers that. What is below the least or above the
/// most of a field counts as that: keys that are too old at once would leave no room for data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RekeyPolicy {
    /// Bytes in one direction under the same keys. RFC 4253 §9 suggests 1 GiB.
    pub bytes_max: u64,
    /// Packets in one direction under the same keys. RFC 4344 §3.1 suggests 2^31, and more are
    /// never used: at 2^32 the cipher's nonce would repeat.
    pub packets_max: u64,
    /// Age of the keys. RFC 4253 §9 suggests an hour.
    pub age_max: Duration,
}

impl RekeyPolicy {
    /// Least of `bytes_max`.
    pub const BYTES_MIN: u64 = 1 << 10;
    /// Least of `packets_max`.
    pub const PACKETS_MIN: u64 = 16;
    /// Most of `packets_max` (RFC 4344 §3.1).
    pub const PACKETS_MAX: u64 = 1 << 31;
    /// Least of `age_max`.
    pub const AGE_MIN: Duration = Duration::from_secs(1);

    /// Within the bounds of every field.
    pub(super) fn clamped(self) -> Self {
        Self {
            bytes_max: self.bytes_max.max(Self::BYTES_MIN),
            packets_max: self.packets_max.clamp(Self::PACKETS_MIN, Self::PACKETS_MAX),
            age_max: self.age_max.max(Self::AGE_MIN),
        }
    }
}

impl Default for RekeyPolicy {
    fn default() -> Self {
        Self {
            bytes_max: 1 << 30,
            packets_max: Self::PACKETS_MAX,
            age_max: Duration::from_secs(3_600),
        }
    }
}

/// How much a peer may ask of us. Past any of these the connection, or what was asked, is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Channels open at once.
    pub channels_max: usize,
    /// Bytes of data in one message of a channel, in either direction; never more than
    /// [`super::DATA_PACKET_BYTES_MAX`]. Wireshark 4.6 cannot decrypt messages that long: 16 KiB
    /// leave a capture readable.
    pub data_packet_bytes_max: u32,
    /// Bytes that the peer may send on all channels together before any of them is read: by default
    /// a whole window for each of 1,024 channels. A program that lets strangers in and may be slow to
    /// read can set less. Channels that are opened past it get [`super::WINDOW_BYTES_NARROW`]
    /// instead of a whole window.
    pub unread_bytes_max: usize,
    /// Requests on one channel that we have not answered yet.
    pub requests_in_flight_max: usize,
    /// Failed authentication requests. RFC 4252 §4 suggests 20.
    pub auth_attempts_max: u32,
    /// Requests for a service or a login before the login, those that cost nothing included.
    pub auth_requests_max: u32,
    /// Bytes of banners before the login, as a client; [`Self::BYTES_OF_A_BANNER`] are added to each.
    pub banner_bytes_max: usize,
    /// From the start of the connection to a successful authentication, as a server. RFC 4252 §4
    /// suggests 10 minutes; OpenSSH takes 2, and so do we.
    pub auth_time_max: Duration,
    /// From the first word of a key exchange to its end, not counting the time that the
    /// application thinks about a host key. After the first exchange, from the peer's KEXINIT on: a
    /// peer that is away, such as a suspended program, may answer ours when it comes back. Our bound:
    /// OpenSSH has none after the login.
    pub kex_time_max: Duration,
    /// Bytes of replies that wait for the end of a key exchange.
    pub held_bytes_max: usize,
    /// Bytes of finished packets that wait for the network; past it we stop reading.
    pub transmit_bytes_max: usize,
    /// Bytes written to one channel that wait for its window.
    pub staged_bytes_max: usize,
}

impl Limits {
    /// What a banner costs beside its text, so that many empty ones are not free.
    pub const BYTES_OF_A_BANNER: usize = 64;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            channels_max: 1_024,
            data_packet_bytes_max: DATA_PACKET_BYTES_MAX,
            unread_bytes_max: 1_024 * WINDOW_BYTES_MAX as usize,
            requests_in_flight_max: 256,
            auth_attempts_max: 20,
            auth_requests_max: 200,
            banner_bytes_max: 1 << 20,
            auth_time_max: Duration::from_secs(120),
            kex_time_max: Duration::from_secs(120),
            held_bytes_max: 1 << 20,
            transmit_bytes_max: 1 << 20,
            staged_bytes_max: 128 << 10,
        }
    }
}
