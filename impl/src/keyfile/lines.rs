//! What the line formats have in common: numbered lines, words, and `type base64 comment`.

use base64ct::{Base64, Encoding as _};

use super::LineFault;
use crate::crypto::PublicKey;
use crate::msg::names::SSH_ED25519;

/// How the names of key types begin: those of the RFCs, and the hardware keys of OpenSSH.
const KEY_TYPE_STARTS: [&str; 3] = ["ssh-", "ecdsa-sha2-", "sk-"];

/// The lines of a file with their numbers, from 1, without those that are empty or comments. Line
/// ends may be LF or CRLF, the last may lack its own, and what is not UTF-8 is replaced: names of
/// hosts, types and keys are ASCII.
pub(super) fn numbered(text: &[u8]) -> impl Iterator<Item = (usize, String)> {
    text.split(|byte| *byte == b'\n')
        .enumerate()
        .map(|(index, line)| (index + 1, String::from_utf8_lossy(line).trim().to_owned()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// The first word and the rest, without the white space between. Words are separated as in
/// OpenSSH's files, by spaces and tabs.
pub(super) fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches([' ', '\t']);
    match text.split_once([' ', '\t']) {
        Some((word, rest)) => (word, rest.trim_start_matches([' ', '\t'])),
        None => (text, ""),
    }
}

/// Whether this word names a type of key.
pub(super) fn is_key_type(word: &str) -> bool {
    KEY_TYPE_STARTS.iter().any(|start| word.starts_with(start))
}

/// A key as a line shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ListedKey {
    /// One of ours.
    Ed25519(PublicKey),
    /// One of another type, not looked into.
    Other {
        /// The type.
        algorithm: String,
    },
}

/// Reads `type base64 comment`; the comment is what is left.
pub(super) fn parse_key(text: &str) -> Result<(ListedKey, &str), LineFault> {
    let (algorithm, rest) = split_word(text);
    let (blob, comment) = split_word(rest);
    if algorithm.is_empty() || blob.is_empty() {
        return Err(LineFault::EndsBeforeKey);
    }
    if algorithm != SSH_ED25519 {
        let algorithm = algorithm.to_owned();
        return Ok((ListedKey::Other { algorithm }, comment));
    }
    let blob = Base64::decode_vec(blob).map_err(|_| LineFault::NotBase64)?;
    Ok((ListedKey::Ed25519(PublicKey::from_blob(&blob)?), comment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_with_those_that_are_left_out() {
        let lines: Vec<_> = numbered(b"# one\r\n\r\n  three \r\nfour").collect();
        assert_eq!(lines, [(3, "three".to_owned()), (4, "four".to_owned())]);
    }

    #[test]
    fn a_blob_of_another_type_than_its_line_is_refused() {
        // An RSA blob cut short under the name of an Ed25519 key.
        let fault = parse_key("ssh-ed25519 AAAAB3NzaC1yc2E=").unwrap_err();
        assert!(matches!(fault, LineFault::HoldsOtherKey(_)), "{fault}");
        assert_eq!(parse_key("ssh-ed25519 %"), Err(LineFault::NotBase64));
        assert_eq!(parse_key("ssh-ed25519"), Err(LineFault::EndsBeforeKey));
    }
}
