//! Words into values, by the kind of the field they are for.

use std::time::Duration;

use super::diagnostic::Mistakes;
use super::lexer::Word;
use super::suggest;
use super::verbs::Kind;
use crate::scenario::{Stream, Value};

/// The value of a field of that kind.
pub(super) fn parse(word: Word<'_>, kind: Kind, mistakes: &mut Mistakes) -> Option<Value> {
    let before = mistakes.len();
    let value = match kind {
        Kind::Line => text(word, mistakes).map(Value::Text),
        Kind::Text => hex(word, mistakes)
            .map(Value::Bytes)
            .or_else(|| text(word, mistakes).map(Value::Text)),
        Kind::Blob | Kind::Rest => hex(word, mistakes)
            .or_else(|| quoted(word, mistakes))
            .map(Value::Bytes),
        Kind::Fixed(bytes) => hex(word, mistakes)
            .filter(|v| v.len() == bytes)
            .map(Value::Bytes),
        Kind::Boolean => match word.text {
            "yes" => Some(Value::Flag(true)),
            "no" => Some(Value::Flag(false)),
            _ => None,
        },
        Kind::SequenceNumber if word.text == "last" => Some(Value::Text(b"last".to_vec())),
        Kind::Uint32 | Kind::SequenceNumber => number(word.text)
            .filter(|n| u32::try_from(*n).is_ok())
            .map(Value::Number),
        Kind::PaddingBytes => number(word.text)
            .filter(|n| u8::try_from(*n).is_ok())
            .map(Value::Number),
        Kind::Names => names(word, mistakes).map(Value::Names),
        Kind::Choice(words) => words
            .contains(&word.text)
            .then(|| Value::Text(word.text.as_bytes().to_vec())),
    };
    // Where a finer mistake was noted, the general one would only repeat it.
    if value.is_none() && mistakes.len() == before {
        refuse(word, kind, mistakes);
    }
    value
}

fn refuse(word: Word<'_>, kind: Kind, mistakes: &mut Mistakes) {
    if word.open_quote().is_some() {
        // The lexer has said so.
        return;
    }
    let help = match kind {
        Kind::Choice(words) => suggest::help(word.text, words),
        Kind::Boolean => suggest::help(word.text, &["yes", "no"]),
        _ => None,
    };
    let message = format!("`{}` is not {}", word.text, kind.notation());
    mistakes.add(word.span(), message, help);
}

/// Decimal, or hexadecimal after `0x`.
pub(super) fn number(text: &str) -> Option<u64> {
    let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |hex| (hex, 16));
    let plain = digits.bytes().all(|b| b.is_ascii_alphanumeric());
    plain
        .then(|| u64::from_str_radix(digits, radix).ok())
        .flatten()
}

/// `500ms`, `2s`, `1m`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let count = number(text.get(..digits)?)?;
    match text.get(digits..)? {
        "ms" => Some(Duration::from_millis(count)),
        "s" => Some(Duration::from_secs(count)),
        "m" => count.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}

/// Quoted text, or a bare word without quotes in it.
pub(super) fn text(word: Word<'_>, mistakes: &mut Mistakes) -> Option<Vec<u8>> {
    if word.text.starts_with('"') {
        return quoted(word, mistakes);
    }
    (!word.text.is_empty() && !word.text.contains('"')).then(|| word.text.as_bytes().to_vec())
}

/// Text in quotes, with its escapes resolved.
pub(super) fn quoted(word: Word<'_>, mistakes: &mut Mistakes) -> Option<Vec<u8>> {
    let inner = word.text.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.char_indices();
    while let Some((index, c)) = chars.next() {
        let at = word.at + 1 + index;
        match c {
            '"' => {
                mistakes.add(at..at + 1, "text goes on after its closing quote", None);
                return None;
            }
            '\\' => bytes.push(escape(at, &mut chars, mistakes)?),
            _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Some(bytes)
}

/// What comes after a backslash.
fn escape(at: usize, chars: &mut std::str::CharIndices<'_>, mistakes: &mut Mistakes) -> Option<u8> {
    let escaped = chars.next().map(|(_, c)| c);
    let byte = match escaped {
        Some('n') => Some(b'\n'),
        Some('r') => Some(b'\r'),
        Some('t') => Some(b'\t'),
        Some('\\') => Some(b'\\'),
        Some('"') => Some(b'"'),
        Some('x') => chars
            .as_str()
            .get(..2)
            .and_then(|two| u8::from_str_radix(two, 16).ok()),
        _ => None,
    };
    if byte.is_none() {
        let help = "write `\\n`, `\\r`, `\\t`, `\\\\`, `\\\"`, or `\\x` and two hex digits";
        mistakes.add(
            at..at + 1,
            "this escape is not known",
            Some(help.to_owned()),
        );
    } else if escaped == Some('x') {
        chars.nth(1);
    }
    byte
}

/// `#` and pairs of hex digits; `None` without a mistake for a word without `#`.
fn hex(word: Word<'_>, mistakes: &mut Mistakes) -> Option<Vec<u8>> {
    let digits = word.text.strip_prefix('#')?.as_bytes();
    let pairs = digits.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?;
        pair.bytes()
            .all(|b| b.is_ascii_hexdigit())
            .then(|| u8::from_str_radix(pair, 16).ok())?
    });
    let bytes: Option<Vec<u8>> = pairs.collect();
    if bytes.is_none() {
        mistakes.add(
            word.span(),
            "after `#` there must be pairs of hex digits",
            None,
        );
    }
    bytes
}

/// Names with commas between; `""` for none. Odd names are not refused: somebody may want them.
fn names(word: Word<'_>, mistakes: &mut Mistakes) -> Option<Vec<String>> {
    let list = String::from_utf8(text(word, mistakes)?).ok()?;
    if list.is_empty() {
        return Some(Vec::new());
    }
    Some(list.split(',').map(str::to_owned).collect())
}

/// Quoted text, or `seq:BYTES`.
pub(super) fn stream(word: Word<'_>, mistakes: &mut Mistakes) -> Option<Stream> {
    let before = mistakes.len();
    let stream = match word.text.strip_prefix("seq:") {
        Some(bytes) => number(bytes)
            .filter(|bytes| *bytes <= SEQ_BYTES_MAX)
            .and_then(|bytes| usize::try_from(bytes).ok())
            .map(Stream::Seq),
        None => quoted(word, mistakes).map(Stream::Text),
    };
    if stream.is_none() && mistakes.len() == before {
        let message = format!(
            "`{}` is neither quoted text nor `seq:` and a number of bytes up to {SEQ_BYTES_MAX}",
            word.text
        );
        mistakes.add(word.span(), message, None);
    }
    stream
}

/// What `seq 1 9999999` can give; a longer stream would not be portable.
const SEQ_BYTES_MAX: u64 = 64 * 1024 * 1024;
