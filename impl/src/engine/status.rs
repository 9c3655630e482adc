//! What a connection uses now: algorithms, and how long the keys have served.

use std::time::Duration;

use crate::msg::names::{CHACHA20_POLY1305_OPENSSH, NONE, SSH_ED25519};

/// What a connection uses now, by [`super::Engine::status`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The key exchange method, under the name that was agreed.
    pub kex: &'static str,
    /// Both sides keep strict key exchange (OpenSSH PROTOCOL §1.9).
    pub is_strict: bool,
    /// Complete key exchanges so far.
    pub key_exchanges: u32,
    /// Since the last of them was complete.
    pub key_age: Duration,
    /// What we sent under the current keys.
    pub outbound: KeyUse,
    /// What the peer sent under the current keys.
    pub inbound: KeyUse,
    /// As a client, the signature algorithms that the server says it verifies, if it said so. Not
    /// to be believed to be all: OpenSSH 7.2 leaves `ssh-ed25519` out and verifies it.
    pub server_sig_algs: Option<Vec<String>>,
}

impl Status {
    /// The algorithm of the server's host key.
    pub const HOST_KEY: &'static str = SSH_ED25519;
    /// The cipher of both directions, which authenticates by itself.
    pub const CIPHER: &'static str = CHACHA20_POLY1305_OPENSSH;
    /// The compression of both directions.
    pub const COMPRESSION: &'static str = NONE;
}

/// What crossed in one direction under its current keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyUse {
    /// Bytes of whole packets, tags included.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
}
