//! The exchange hash and the keys made from it.
//!
//! Here, and nowhere else, stand the letters of the RFCs: V the identification strings, I the
//! KEXINIT payloads, K_S the host key, Q the shares, K the shared secret, H the exchange hash.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{PacketKey, SharedSecret};
use crate::wire::Writer;

/// H: what the host key signs. The first of a connection is its session id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExchangeHash(pub [u8; 32]);

/// Everything both sides must have seen alike for their hashes to agree.
#[derive(Debug, Clone, Copy)]
pub struct Transcript<'a> {
    /// V_C: the client's identification, without CR and LF.
    pub client_ident: &'a [u8],
    /// V_S: the server's.
    pub server_ident: &'a [u8],
    /// I_C: the payload of the client's KEXINIT, byte for byte.
    pub client_kex_init: &'a [u8],
    /// I_S: the server's.
    pub server_kex_init: &'a [u8],
    /// K_S: the server's host key blob.
    pub host_key_blob: &'a [u8],
    /// Q_C: the client's share.
    pub client_share: &'a [u8],
    /// Q_S: the server's.
    pub server_share: &'a [u8],
}

impl Transcript<'_> {
    /// H is the hash over V_C, V_S, I_C, I_S, K_S, Q_C, Q_S and K, strings all but K, which is an
    /// mpint (RFC 5656 §4, RFC 8731 §3.1).
    #[must_use]
    pub fn exchange_hash(&self, shared_secret: &SharedSecret) -> ExchangeHash {
        let mut w = Writer::new();
        w.string(self.client_ident)
            .string(self.server_ident)
            .string(self.client_kex_init)
            .string(self.server_kex_init)
            .string(self.host_key_blob)
            .string(self.client_share)
            .string(self.server_share);
        shared_secret.encode(&mut w);
        let hashed = Zeroizing::new(w.into_bytes());
        ExchangeHash(Sha256::digest(&*hashed).into())
    }
}

/// Which key is derived (RFC 4253 §7.2). The AEAD needs no IV and no integrity key, so that only
/// C and D of the RFC's A to F are ever asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyLetter {
    /// C: what the client sends is sealed with.
    ClientToServer,
    /// D: what the server sends is sealed with.
    ServerToClient,
}

/// The 64 bytes of one direction: K1 = HASH(K || H || letter || session_id), and
/// K2 = HASH(K || H || K1) behind it (RFC 4253 §7.2).
#[must_use]
pub fn packet_key(
    shared_secret: &SharedSecret,
    exchange_hash: &ExchangeHash,
    session_id: &ExchangeHash,
    letter: KeyLetter,
) -> PacketKey {
    let mut w = Writer::new();
    shared_secret.encode(&mut w);
    let secret = Zeroizing::new(w.into_bytes());
    let hash_behind = |tail: &[&[u8]]| {
        let mut hasher = Sha256::new();
        hasher.update(&*secret);
        hasher.update(exchange_hash.0);
        for bytes in tail {
            hasher.update(bytes);
        }
        Zeroizing::new(<[u8; 32]>::from(hasher.finalize()))
    };
    let letter = match letter {
        KeyLetter::ClientToServer => b"C",
        KeyLetter::ServerToClient => b"D",
    };
    let first = hash_behind(&[letter, &session_id.0]);
    let second = hash_behind(&[&*first]);
    let mut key = Zeroizing::new([0; 64]);
    let (front, back) = key.split_at_mut(32);
    front.copy_from_slice(&*first);
    back.copy_from_slice(&*second);
    PacketKey::new(&key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{EphemeralKey, from_seed};

    const TRANSCRIPT: Transcript<'_> = Transcript {
        client_ident: b"c",
        server_ident: b"s",
        client_kex_init: b"ic",
        server_kex_init: b"is",
        host_key_blob: b"k",
        client_share: b"qc",
        server_share: b"qs",
    };

    /// The hash input spelled out by hand up to K, which the test supplies.
    fn hash_with_secret_encoded_as(secret: &[u8]) -> ExchangeHash {
        let mut hasher = Sha256::new();
        for string in ["c", "s", "ic", "is", "k", "qc", "qs"] {
            hasher.update(u32::try_from(string.len()).unwrap().to_be_bytes());
            hasher.update(string);
        }
        hasher.update(secret);
        ExchangeHash(hasher.finalize().into())
    }

    /// Grinds an ephemeral key until the shared secret begins as `wanted` says.
    fn ground_until(wanted: impl Fn(&[u8; 32]) -> bool) -> SharedSecret {
        let mut rng = from_seed(2);
        let theirs = EphemeralKey::generate(&mut rng);
        (0..100_000)
            .map(|_| {
                EphemeralKey::generate(&mut rng)
                    .agree(theirs.share())
                    .unwrap()
            })
            .find(|shared| wanted(shared.expose()))
            .expect("one in 512 has the shape")
    }

    /// One exchange in 512 has this shape, and OpenSSH 6.5 fails it.
    #[test]
    fn a_leading_zero_of_the_shared_secret_is_dropped() {
        let shared = ground_until(|bytes| bytes[0] == 0 && bytes[1] < 0x80 && bytes[1] != 0);
        let by_hand = [&[0, 0, 0, 31], &shared.expose()[1..]].concat();
        assert_eq!(
            TRANSCRIPT.exchange_hash(&shared),
            hash_with_secret_encoded_as(&by_hand)
        );
    }

    #[test]
    fn a_leading_zero_that_serves_as_sign_byte_stays() {
        let shared = ground_until(|bytes| bytes[0] == 0 && bytes[1] >= 0x80);
        let by_hand = [&[0, 0, 0, 32], &shared.expose()[..]].concat();
        assert_eq!(
            TRANSCRIPT.exchange_hash(&shared),
            hash_with_secret_encoded_as(&by_hand)
        );
    }

    #[test]
    fn a_high_bit_of_the_shared_secret_gets_a_sign_byte() {
        let shared = ground_until(|bytes| bytes[0] >= 0x80);
        let by_hand = [&[0, 0, 0, 33, 0], &shared.expose()[..]].concat();
        assert_eq!(
            TRANSCRIPT.exchange_hash(&shared),
            hash_with_secret_encoded_as(&by_hand)
        );
    }
}
