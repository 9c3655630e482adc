//! Public keys as text: lines and fingerprints.

use std::path::Path;

use base64ct::{Base64, Base64Unpadded, Encoding as _};
use sha2::{Digest as _, Sha256};

use super::lines::{self, ListedKey};
use super::{KeyFileError, LineFault, store};
use crate::crypto::PublicKey;
use crate::msg::names::SSH_ED25519;

/// A key and what its line says after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedKey {
    /// The key.
    pub key: PublicKey,
    /// The comment; often empty.
    pub comment: String,
}

/// `ssh-ed25519 AAAA... comment`, as in `.pub` files and `authorized_keys`. Control characters of
/// the comment become spaces, so that a key is always one line.
#[must_use]
pub fn public_line(key: &PublicKey, comment: &str) -> String {
    let blob = Base64::encode_string(&key.to_blob());
    let line = format!("{SSH_ED25519} {blob} {}", one_line(comment));
    line.trim_end().to_owned()
}

/// Reads `ssh-ed25519 AAAA... comment`; `None` for a key of another type.
///
/// # Errors
/// A [`LineFault`].
pub fn parse_public_line(line: &str) -> Result<Option<NamedKey>, LineFault> {
    let (key, comment) = lines::parse_key(line.trim())?;
    let comment = comment.trim().to_owned();
    Ok(match key {
        ListedKey::Ed25519(key) => Some(NamedKey { key, comment }),
        ListedKey::Other { .. } => None,
    })
}

/// The Ed25519 keys of a file of public lines.
///
/// # Errors
/// [`KeyFileError`], naming the file: [`KeyFileError::OtherAlgorithm`] if it holds keys, but none
/// of ours, [`KeyFileError::Malformed`] for a line that is no key, naming the line.
pub fn read_public_file(path: &Path) -> Result<Vec<NamedKey>, KeyFileError> {
    let text = store::read(path)?;
    let mut keys = Vec::new();
    let mut other = None;
    for (number, line) in lines::numbered(&text) {
        let malformed =
            |fault| KeyFileError::malformed(path, format_args!("line {number} {fault}"));
        let (word, _) = lines::split_word(&line);
        if !lines::is_key_type(word) {
            return Err(malformed(LineFault::EndsBeforeKey));
        }
        match parse_public_line(&line).map_err(malformed)? {
            Some(key) => keys.push(key),
            None => other = Some(word.escape_debug().to_string()),
        }
    }
    match (keys.is_empty(), other) {
        (false, _) => Ok(keys),
        (true, Some(algorithm)) => Err(KeyFileError::OtherAlgorithm {
            path: path.to_owned(),
            algorithm,
        }),
        (true, None) => Err(KeyFileError::malformed(path, "holds no key")),
    }
}

/// `SHA256:...`, as OpenSSH prints it.
#[must_use]
pub fn fingerprint(key: &PublicKey) -> String {
    let digest = Sha256::digest(key.to_blob());
    format!("SHA256:{}", Base64Unpadded::encode_string(&digest))
}

/// `256 SHA256:... comment (ED25519)`, as `ssh-keygen -l` prints it.
#[must_use]
pub fn fingerprint_line(key: &PublicKey, comment: &str) -> String {
    let comment = match comment {
        "" => "no comment".to_owned(),
        comment => one_line(comment),
    };
    format!("256 {} {comment} (ED25519)", fingerprint(key))
}

fn one_line(comment: &str) -> String {
    comment
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SigningKey;
    use proptest::prelude::*;

    fn key(seed: u8) -> PublicKey {
        SigningKey::from_seed(&[seed; 32]).public_key()
    }

    #[test]
    fn a_comment_cannot_add_a_line() {
        let line = public_line(&key(1), "a\nssh-ed25519 AAAA\x1b[2J");
        assert!(!line.contains(char::is_control));
        assert_eq!(public_line(&key(1), "").split(' ').count(), 2);
    }

    #[test]
    fn a_file_of_other_keys_says_so_and_one_of_none_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, "ssh-rsa AAAAB3NzaC1yc2E= me\n").unwrap();
        let error = read_public_file(&path).unwrap_err();
        assert!(error.to_string().contains("ssh-rsa"), "{error}");
        std::fs::write(&path, "\n# nothing\n").unwrap();
        assert!(matches!(
            read_public_file(&path),
            Err(KeyFileError::Malformed { .. })
        ));
        std::fs::write(&path, "\nssh-ed25519 AAA\n").unwrap();
        let error = read_public_file(&path).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }

    proptest! {
        #[test]
        fn a_line_says_what_was_put_into_it(seed in any::<[u8; 32]>(), comment in "[a-z@. ]{0,20}") {
            let key = SigningKey::from_seed(&seed).public_key();
            let comment = comment.trim();
            let read = parse_public_line(&public_line(&key, comment)).unwrap().unwrap();
            prop_assert_eq!(read, NamedKey { key, comment: comment.to_owned() });
        }

        #[test]
        fn no_text_panics(line in ".{0,200}", tail in ".{0,60}") {
            let _ = parse_public_line(&line);
            let _ = parse_public_line(&format!("ssh-ed25519 {tail}"));
        }
    }
}
