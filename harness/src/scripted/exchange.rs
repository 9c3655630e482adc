//! The exchange hash and the keys, written a second time.
//!
//! With the library's own code a mistake in it would be made on both sides alike and go unseen
//! until a third implementation failed once in some hundred connections.
//!
//! The letters are those of RFC 4253 §7.2 and §8.

use minissh::crypto::{EphemeralKey, PacketKey, Rng, SharedSecret};
use sha2::{Digest, Sha256};

/// What is hashed, in the order of RFC 5656 §4: `V_C`, `V_S`, `I_C`, `I_S`, `K_S`, `Q_C`, `Q_S`.
pub(super) type Hashed<'a> = [&'a [u8]; 7];

/// A finished exchange.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    /// H.
    pub(super) hash: [u8; 32],
    /// K as an mpint.
    secret: Vec<u8>,
}

/// What the first bytes of the shared secret shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretForm {
    /// Whatever comes.
    Any,
    /// A zero byte, then one without its top bit: one in 512, and what OpenSSH 6.5 gets wrong.
    LeadingZero,
    /// The top bit set: every second one.
    HighBit,
    /// A zero byte, then one with its top bit, which needs that zero: one in 512.
    ZeroAndHighBit,
}

impl SecretForm {
    fn fits(self, secret: &[u8; 32]) -> bool {
        match self {
            Self::Any => true,
            Self::LeadingZero => secret[0] == 0 && secret[1] != 0 && secret[1] < 0x80,
            Self::HighBit => secret[0] >= 0x80,
            Self::ZeroAndHighBit => secret[0] == 0 && secret[1] >= 0x80,
        }
    }
}

/// An ephemeral key whose secret with `their_share` has the form; `None` if none turns up, as
/// with a share of low order.
pub(super) fn grind(form: SecretForm, their_share: &[u8], rng: &mut Rng) -> Option<EphemeralKey> {
    /// A form of one in 512 is missed by this many with a probability of 1 in e^195.
    const TRIES_MAX: usize = 100_000;

    for _ in 0..TRIES_MAX {
        let key = EphemeralKey::generate(rng);
        // What is wrong with their share is wrong with every key of ours.
        let secret = key.agree(their_share).ok()?;
        if form.fits(secret.expose()) {
            return Some(key);
        }
    }
    None
}

impl Exchange {
    pub(super) fn new(hashed: &Hashed<'_>, secret: &SharedSecret) -> Self {
        Self::over(hashed, mpint(secret.expose()))
    }

    /// The exchange of somebody who takes the secret for a string: the same as long as it begins
    /// with neither a zero byte nor a set bit. To name the mistake, not to make it.
    pub(super) fn with_plain_secret(hashed: &Hashed<'_>, secret: &SharedSecret) -> Self {
        let bytes = secret.expose();
        Self::over(hashed, [&length(bytes)[..], bytes].concat())
    }

    /// The exchange with a share of low order.
    pub(super) fn with_zero_secret(hashed: &Hashed<'_>) -> Self {
        Self::over(hashed, mpint(&[0; 32]))
    }

    fn over(hashed: &Hashed<'_>, secret: Vec<u8>) -> Self {
        let mut sha = Sha256::new();
        for string in hashed {
            sha.update(length(string));
            sha.update(string);
        }
        sha.update(&secret);
        let hash = sha.finalize().into();
        Self { hash, secret }
    }

    /// The key for what the client (`C`) or the server (`D`) sends.
    pub(super) fn key(&self, session_id: &[u8; 32], from_client: bool) -> PacketKey {
        let letter = if from_client { b"C" } else { b"D" };
        let first = self.derive(&[letter, session_id]);
        let second = self.derive(&[&first]);
        let mut key = [0; 64];
        key[..32].copy_from_slice(&first);
        key[32..].copy_from_slice(&second);
        PacketKey::new(&key)
    }

    fn derive(&self, tail: &[&[u8]]) -> [u8; 32] {
        let mut sha = Sha256::new();
        sha.update(&self.secret);
        sha.update(self.hash);
        for bytes in tail {
            sha.update(bytes);
        }
        sha.finalize().into()
    }
}

/// RFC 4251 §5: no leading zero bytes, but one before a set top bit.
fn mpint(number: &[u8; 32]) -> Vec<u8> {
    let start = number
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(number.len());
    let mut digits = number[start..].to_vec();
    if digits.first().is_some_and(|byte| *byte >= 0x80) {
        digits.insert(0, 0);
    }
    [&length(&digits)[..], &digits].concat()
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use minissh::crypto::from_seed;

    use super::*;

    #[test]
    fn an_mpint_has_no_needless_byte_and_every_needed_one() {
        let with = |head: &[u8]| {
            let mut number = [0x11; 32];
            number[..head.len()].copy_from_slice(head);
            mpint(&number)[..6].to_vec()
        };
        assert_eq!(with(&[0x7f]), [0, 0, 0, 32, 0x7f, 0x11]);
        assert_eq!(with(&[0x80]), [0, 0, 0, 33, 0, 0x80]);
        assert_eq!(with(&[0, 0x7f]), [0, 0, 0, 31, 0x7f, 0x11]);
        assert_eq!(with(&[0, 0x80]), [0, 0, 0, 32, 0, 0x80]);
        assert_eq!(mpint(&[0; 32]), [0, 0, 0, 0]);
    }

    #[test]
    fn a_wanted_form_of_the_secret_is_found() {
        let mut rng = from_seed(3);
        let theirs = EphemeralKey::generate(&mut rng);
        for form in [
            SecretForm::Any,
            SecretForm::LeadingZero,
            SecretForm::HighBit,
            SecretForm::ZeroAndHighBit,
        ] {
            let ours = grind(form, theirs.share(), &mut rng).expect("it turns up");
            assert!(form.fits(theirs.agree(ours.share()).expect("a good share").expose()));
        }
        assert!(grind(SecretForm::Any, &[0; 32], &mut rng).is_none());
    }
}
