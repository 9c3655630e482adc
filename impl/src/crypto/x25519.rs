//! Key agreement on Curve25519 (RFC 7748, as RFC 8731 uses it).

use std::fmt;

use rand_core::CryptoRng;
use thiserror::Error;
use x25519_dalek::{PublicKey, StaticSecret};

use super::Secret;
use crate::wire::Writer;

/// Why the peer's share cannot be used. Both end the exchange (RFC 8731 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ShareFault {
    /// Not 32 bytes.
    #[error("sent a share of {bytes} bytes, expected 32")]
    SentWrongLength {
        /// Its length in bytes.
        bytes: usize,
    },
    /// A point of small order, which makes the shared secret zero whatever our key is.
    #[error("sent a share of low order, which makes the shared secret zero")]
    SentLowOrderPoint,
}

/// One side's key for one exchange. Wiped on drop.
pub struct EphemeralKey {
    secret: StaticSecret,
    share: [u8; 32],
}

impl EphemeralKey {
    /// A fresh key.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let secret = StaticSecret::random_from_rng(rng);
        let share = PublicKey::from(&secret).to_bytes();
        Self { secret, share }
    }

    /// The key of known bytes, for test vectors.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let secret = StaticSecret::from(bytes);
        let share = PublicKey::from(&secret).to_bytes();
        Self { secret, share }
    }

    /// What goes to the peer.
    #[must_use]
    pub fn share(&self) -> &[u8; 32] {
        &self.share
    }

    /// Agrees with the peer's share.
    ///
    /// # Errors
    /// [`ShareFault`] when the share has not 32 bytes or is of low order.
    pub fn agree(&self, their_share: &[u8]) -> Result<SharedSecret, ShareFault> {
        let their_share: [u8; 32] =
            their_share
                .try_into()
                .map_err(|_| ShareFault::SentWrongLength {
                    bytes: their_share.len(),
                })?;
        let shared = self.secret.diffie_hellman(&PublicKey::from(their_share));
        if !shared.was_contributory() {
            return Err(ShareFault::SentLowOrderPoint);
        }
        Ok(SharedSecret(Secret::new(shared.to_bytes())))
    }
}

impl fmt::Debug for EphemeralKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EphemeralKey([redacted])")
    }
}

/// What both sides know after the exchange and nobody else does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedSecret(Secret<32>);

impl SharedSecret {
    /// From the 32 bytes of X25519, for test vectors.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The 32 bytes as X25519 gives them, for a key log.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// Appends the secret as it enters the exchange hash and the key derivation: the 32 bytes
    /// read as a big-endian number and encoded as an `mpint` (RFC 8731 §3.1).
    pub fn encode(&self, w: &mut Writer) {
        w.mpint(self.0.expose());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::from_seed;

    /// RFC 7748 §6.1.
    #[test]
    fn agreement_gives_the_rfc_vector() {
        let alice = EphemeralKey::from_bytes(hex(
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        ));
        let bob_share: [u8; 32] =
            hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        let shared = alice.agree(&bob_share).unwrap();
        assert_eq!(
            *shared.expose(),
            hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
        );
    }

    #[test]
    fn a_share_of_wrong_length_or_low_order_is_refused() {
        let key = EphemeralKey::generate(&mut from_seed(1));
        for bytes in [0, 31, 33, 64] {
            assert_eq!(
                key.agree(&vec![9; bytes]),
                Err(ShareFault::SentWrongLength { bytes })
            );
        }
        let mut one = [0; 32];
        one[0] = 1;
        for share in [[0; 32], one] {
            assert_eq!(key.agree(&share), Err(ShareFault::SentLowOrderPoint));
        }
    }

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    }
}
