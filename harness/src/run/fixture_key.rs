//! The fixture keys as the scripted endpoint needs them.
//!
//! Reads nothing but the fixtures: an ed25519 key without a passphrase has its seed at a fixed
//! place in the file, so that no parser stands between the scripted endpoint and its key.

use minissh::crypto::SigningKey;

/// Where the seed begins in OpenSSH's `openssh-key-v1` (PROTOCOL.key): the magic, the names of
/// cipher and KDF, the empty KDF options, the number of keys, the public key, the length and check
/// bytes of the private part, the algorithm, the public half, and the length of what follows.
const SEED_OFFSET: usize = 15 + 8 + 8 + 4 + 4 + 55 + 4 + 8 + 15 + 36 + 4;

/// The key in one of the files of `fixtures/keys`.
///
/// # Panics
/// When given anything else; the fixtures are part of this program.
pub(super) fn fixture_key(pem: &str) -> SigningKey {
    let body: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let bytes = base64_decoded(&body);
    let seed = bytes.get(SEED_OFFSET..).and_then(|rest| rest.first_chunk());
    SigningKey::from_seed(seed.expect("a fixture key is a whole ed25519 key"))
}

/// Plain base64; stops at the padding.
fn base64_decoded(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |byte: u8| ALPHABET.iter().position(|letter| *letter == byte);
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_usize, 0);
    for value in text.bytes().map_while(digit) {
        bits = (bits << 6 | value) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.extend(u8::try_from(bits >> held & 0xff));
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::keys;

    #[test]
    fn the_secret_halves_belong_to_the_public_ones() {
        for (secret, public) in [
            (keys::HOST, keys::HOST_PUBLIC),
            (keys::USER, keys::USER_PUBLIC),
        ] {
            let blob = public.split(' ').nth(1).expect("an OpenSSH line");
            assert_eq!(
                fixture_key(secret).public_key().to_blob(),
                base64_decoded(blob)
            );
        }
    }
}
