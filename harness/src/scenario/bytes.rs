//! Bytes as a scenario writes them: pieces joined by `+`, each as often as `*N` says.

use super::diagnostic::Mistakes;
use super::lexer::Word;
use super::value::{hex, number, quoted};
use crate::scenario::Stream;

/// Most bytes that one value may be: some packets of the longest kind.
pub(super) const BYTES_MAX: usize = 4 * 1024 * 1024;

/// How a value may begin for it to be made of pieces; any other is a plain word.
const OPENINGS: [&str; 6] = ["\"", "#", "string:", "uint32:", "byte:", "seq:"];

/// The forms of a piece, for errors.
pub(super) const FORMS: &str =
    "`\"text\"`, `#` and hex, `byte:N`, `uint32:N`, `string:PIECE` or `seq:N`";

/// Whether the word is made of pieces.
pub(super) fn is_made_of_pieces(word: Word<'_>) -> bool {
    OPENINGS
        .iter()
        .any(|opening| word.text.starts_with(opening))
}

/// `"SSH-2.0-"+"x"*247`, `#02+string:"a"`.
pub(super) fn parse(word: Word<'_>, mistakes: &mut Mistakes) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for piece in word.pieces('+') {
        let (piece, times) = match piece.cut_at(&['*']) {
            Some((piece, _, times)) => (piece, times_of(times, mistakes)?),
            None => (piece, 1),
        };
        let one = piece_of(piece, mistakes)?;
        let room = BYTES_MAX.saturating_sub(bytes.len());
        if one.len().saturating_mul(times) > room {
            let message = format!("this is more than the {BYTES_MAX} bytes that a value may have");
            mistakes.add(word.span(), message, None);
            return None;
        }
        bytes.extend(one.repeat(times));
    }
    Some(bytes)
}

fn times_of(word: Word<'_>, mistakes: &mut Mistakes) -> Option<usize> {
    let times = number(word.text).and_then(|n| usize::try_from(n).ok());
    if times.is_none() {
        let message = format!("`{}` is not a number of times", word.text);
        mistakes.add(word.span(), message, None);
    }
    times
}

fn piece_of(piece: Word<'_>, mistakes: &mut Mistakes) -> Option<Vec<u8>> {
    let before = mistakes.len();
    let value = piece.cut_at(&[':']);
    let bytes = match value {
        _ if piece.text.starts_with('"') => quoted(piece, mistakes),
        _ if piece.text.starts_with('#') => hex(piece, mistakes),
        Some((kind, _, value)) => match kind.text {
            "string" => piece_of(value, mistakes).map(|bytes| with_length(&bytes)),
            "byte" => number(value.text)
                .and_then(|n| u8::try_from(n).ok())
                .map(|n| vec![n]),
            "uint32" => number(value.text)
                .and_then(|n| u32::try_from(n).ok())
                .map(|n| n.to_be_bytes().to_vec()),
            "seq" => number(value.text)
                .and_then(|n| usize::try_from(n).ok())
                .filter(|n| *n <= BYTES_MAX)
                .map(|n| Stream::Seq(n).bytes(1)),
            _ => None,
        },
        None => None,
    };
    if bytes.is_none() && mistakes.len() == before && piece.open_quote().is_none() {
        let message = format!("`{}` is no piece of a value", piece.text);
        mistakes.add(piece.span(), message, Some(format!("a piece is {FORMS}")));
    }
    bytes
}

/// The bytes as the string of RFC 4251 §5.
fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<u8>, String> {
        let mut mistakes = Mistakes::default();
        let bytes = parse(Word { text, at: 0 }, &mut mistakes);
        bytes.ok_or_else(|| format!("{mistakes:?}"))
    }

    #[test]
    fn pieces_are_joined_and_repeated() {
        assert_eq!(read("\"a+b*2\"*2+#00+\"c\"").unwrap(), b"a+b*2a+b*2\0c");
        assert_eq!(read("byte:5+uint32:258").unwrap(), [5, 0, 0, 1, 2]);
        assert_eq!(
            read("string:\"ab\"*2").unwrap(),
            b"\0\0\0\x02ab\0\0\0\x02ab"
        );
        assert_eq!(read("seq:3").unwrap(), b"1\n2");
    }

    #[test]
    fn what_is_no_piece_is_refused() {
        for text in [
            "\"a\"+b", "\"a\"*x", "#1", "byte:256", "string:x", "\"\"+", "seq:-1",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("\"a\"*99999999999").unwrap_err().contains("more than"));
    }
}
