//! Host and user keys: `ssh-ed25519` (RFC 8709).

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey as DalekKey, VerifyingKey};
use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::msg::names::SSH_ED25519;
use crate::wire::{DecodeError, Reader, Writer};

/// Longest key or signature blob that is looked at, in bytes. Our bound: an Ed25519 key takes 51
/// bytes, a signature 83; an RSA key of 16 384 bits, which we refuse by its name, about 2 100.
const BLOB_BYTES_MAX: usize = 8_192;

/// Why a key blob is not a key of ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyFault {
    /// Not an `ssh-ed25519` key.
    #[error("is of type {algorithm:?}, expected \"ssh-ed25519\"")]
    OtherAlgorithm {
        /// The type it names.
        algorithm: String,
    },
    /// Not 32 bytes, or not a point on the curve.
    #[error("does not hold the 32 bytes of a point on the curve")]
    NotAPoint,
    /// The blob is not of the form of RFC 8709 §4.
    #[error("{0}")]
    Malformed(#[from] DecodeError),
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignatureFault {
    /// Not an `ssh-ed25519` signature.
    #[error("is of type {algorithm:?}, expected \"ssh-ed25519\"")]
    OtherAlgorithm {
        /// The type it names.
        algorithm: String,
    },
    /// Well formed, and not made by this key over these bytes.
    #[error("does not verify")]
    DoesNotVerify,
    /// The blob is not of the form of RFC 8709 §6.
    #[error("{0}")]
    Malformed(#[from] DecodeError),
}

/// The public half of a host or user key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// From the 32 bytes of RFC 8032.
    ///
    /// # Errors
    /// [`KeyFault::NotAPoint`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyFault> {
        VerifyingKey::from_bytes(bytes)
            .map(Self)
            .map_err(|_| KeyFault::NotAPoint)
    }

    /// The 32 bytes of RFC 8032.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Reads `string "ssh-ed25519"`, `string key` (RFC 8709 §4).
    ///
    /// # Errors
    /// [`KeyFault`].
    pub fn from_blob(blob: &[u8]) -> Result<Self, KeyFault> {
        let mut r = Reader::new(blob);
        let algorithm = r.name("public key algorithm", BLOB_BYTES_MAX)?;
        if algorithm != SSH_ED25519 {
            return Err(KeyFault::OtherAlgorithm {
                algorithm: algorithm.to_owned(),
            });
        }
        let bytes = r.string("public key", BLOB_BYTES_MAX)?;
        r.finish("public key blob")?;
        Self::from_bytes(bytes.try_into().map_err(|_| KeyFault::NotAPoint)?)
    }

    /// The blob of RFC 8709 §4.
    #[must_use]
    pub fn to_blob(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.string(SSH_ED25519.as_bytes()).string(self.0.as_bytes());
        w.into_bytes()
    }

    /// Checks a signature blob (RFC 8709 §6) over `message`, strictly: no `S` past the group order
    /// and no key of small order, so that one message has one signature.
    ///
    /// # Errors
    /// [`SignatureFault`].
    pub fn verify(&self, message: &[u8], signature_blob: &[u8]) -> Result<(), SignatureFault> {
        let mut r = Reader::new(signature_blob);
        let algorithm = r.name("signature algorithm", BLOB_BYTES_MAX)?;
        if algorithm != SSH_ED25519 {
            return Err(SignatureFault::OtherAlgorithm {
                algorithm: algorithm.to_owned(),
            });
        }
        let signature = r.string("signature", BLOB_BYTES_MAX)?;
        r.finish("signature blob")?;
        let signature =
            Signature::from_slice(signature).map_err(|_| SignatureFault::DoesNotVerify)?;
        self.0
            .verify_strict(message, &signature)
            .map_err(|_| SignatureFault::DoesNotVerify)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        for byte in self.0.as_bytes() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// The secret half. Wiped on drop, never printed.
#[derive(Clone)]
pub struct SigningKey(Box<DalekKey>);

impl SigningKey {
    /// A fresh key.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        Self(Box::new(DalekKey::from_bytes(&seed)))
    }

    /// From the 32-byte seed of RFC 8032.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Box::new(DalekKey::from_bytes(seed)))
    }

    /// The 32-byte seed, for writing a key file.
    #[must_use]
    pub fn expose_seed(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// A signature blob over `message` (RFC 8709 §6).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut w = Writer::new();
        w.string(SSH_ED25519.as_bytes())
            .string(&self.0.sign(message).to_bytes());
        w.into_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::from_seed;
    use proptest::prelude::*;

    #[test]
    fn what_is_signed_verifies_and_nothing_else_does() {
        let key = SigningKey::generate(&mut from_seed(7));
        let signature = key.sign(b"message");
        assert_eq!(key.public_key().verify(b"message", &signature), Ok(()));
        assert_eq!(
            key.public_key().verify(b"massage", &signature),
            Err(SignatureFault::DoesNotVerify)
        );
        let mut flipped = signature.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert!(key.public_key().verify(b"message", &flipped).is_err());
    }

    #[test]
    fn the_blob_is_that_of_the_rfc() {
        let key = SigningKey::from_seed(&[7; 32]).public_key();
        let blob = key.to_blob();
        assert_eq!(blob[..19], *b"\0\0\0\x0bssh-ed25519\0\0\0\x20");
        assert_eq!(PublicKey::from_blob(&blob), Ok(key));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = PublicKey::from_blob(&bytes);
            let _ = SigningKey::from_seed(&[1; 32]).public_key().verify(b"", &bytes);
        }
    }
}
