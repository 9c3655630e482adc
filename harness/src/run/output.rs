//! What a session must have printed, and where what it printed departs from that.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::scenario::Stream;

/// Up to this many bytes an output is shown itself, above by its length and hash.
const SHOWN_BYTES_MAX: usize = 120;

/// Bytes shown from the first difference on.
const DIFFERENCE_BYTES: usize = 24;

/// The bytes that a scenario names, for the channel of this number.
pub(super) fn bytes(stream: &Stream, channel: usize) -> Vec<u8> {
    match stream {
        Stream::Text(text) => numbered(text, channel),
        Stream::Seq(bytes) => seq(*bytes),
    }
}

/// Replaces `%N` by the channel's number.
pub(super) fn numbered(text: &[u8], channel: usize) -> Vec<u8> {
    let mut numbered = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"%N") {
        numbered.extend_from_slice(&rest[..at]);
        numbered.extend_from_slice(channel.to_string().as_bytes());
        rest = &rest[at + 2..];
    }
    numbered.extend_from_slice(rest);
    numbered
}

/// The decimal numbers from 1, a line each, cut at that many bytes.
fn seq(bytes: usize) -> Vec<u8> {
    let mut text = String::with_capacity(bytes + 8);
    for number in 1.. {
        if text.len() >= bytes {
            break;
        }
        let _ = writeln!(text, "{number}");
    }
    text.truncate(bytes);
    text.into_bytes()
}

/// What was expected and what came, in words, unless they are equal.
pub(super) fn difference(expected: &[u8], actual: &[u8]) -> Option<(String, String)> {
    if expected == actual {
        return None;
    }
    if expected.len().max(actual.len()) <= SHOWN_BYTES_MAX {
        return Some((quoted(expected), quoted(actual)));
    }
    let at = expected
        .iter()
        .zip(actual)
        .take_while(|(a, b)| a == b)
        .count();
    Some((described(expected, at), described(actual, at)))
}

/// Length, hash, and what stands at the first difference.
fn described(bytes: &[u8], at: usize) -> String {
    let hash = Sha256::digest(bytes);
    let hex = hash.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let there = match bytes.get(at..(at + DIFFERENCE_BYTES).min(bytes.len())) {
        Some([]) | None => "the end".to_owned(),
        Some(bytes) => quoted(bytes),
    };
    format!(
        "{} bytes, SHA-256 {hex}; at offset {at}, the first difference: {there}",
        bytes.len()
    )
}

/// Bytes between quotes, escaped as in a scenario file; long ones cut with their length.
pub(super) fn quoted(bytes: &[u8]) -> String {
    match bytes.get(..SHOWN_BYTES_MAX) {
        Some(start) if bytes.len() > SHOWN_BYTES_MAX => {
            format!("\"{}\"… ({} bytes)", start.escape_ascii(), bytes.len())
        }
        _ => format!("\"{}\"", bytes.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seq_is_what_seq_piped_through_head_prints() {
        assert_eq!(seq(0), b"");
        assert_eq!(seq(5), b"1\n2\n3");
        assert_eq!(seq(22), b"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n1");
        assert_eq!(seq(100_000).len(), 100_000);
    }

    #[test]
    fn the_channel_number_replaces_its_mark() {
        assert_eq!(numbered(b"echo %N of %N", 12), b"echo 12 of 12");
        assert_eq!(numbered(b"100%", 1), b"100%");
    }

    #[test]
    fn long_outputs_are_told_apart_by_hash_and_offset() {
        let expected = seq(5_000);
        let mut actual = expected.clone();
        actual[4_000] = b'x';
        insta::assert_debug_snapshot!(difference(&expected, &actual));
        insta::assert_debug_snapshot!(difference(&expected, &expected[..4_990]));
        assert_eq!(difference(&expected, &expected), None);
    }
}
