//! What a session must have printed, and where what it printed departs from that.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Up to this many bytes an output is shown itself, above by its length and hash.
const SHOWN_BYTES_MAX: usize = 120;

/// Bytes shown from the first difference on.
const DIFFERENCE_BYTES: usize = 24;

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

/// The end of a text, where programs say what is wrong.
pub(super) fn quoted_end(bytes: &[u8]) -> String {
    let bytes = bytes.trim_ascii_end();
    match bytes.len().checked_sub(SHOWN_BYTES_MAX) {
        None | Some(0) => quoted(bytes),
        Some(cut) => format!("…\"{}\"", bytes[cut..].escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Stream;

    #[test]
    fn the_end_of_a_long_text_is_shown() {
        let text = [b"x".repeat(500), b"\nKeyError\n".to_vec()].concat();
        let shown = quoted_end(&text);
        assert!(shown.ends_with("KeyError\""), "{shown}");
        assert_eq!(quoted_end(b"short\n"), "\"short\"");
    }

    #[test]
    fn long_outputs_are_told_apart_by_hash_and_offset() {
        let expected = Stream::Seq(5_000).bytes(1);
        let mut actual = expected.clone();
        actual[4_000] = b'x';
        insta::assert_debug_snapshot!(difference(&expected, &actual));
        insta::assert_debug_snapshot!(difference(&expected, &expected[..4_990]));
        assert_eq!(difference(&expected, &expected), None);
    }
}
