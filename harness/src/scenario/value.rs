//! Words into values, by the kind of the field they are for.

use std::time::Duration;

use super::diagnostic::Mistakes;
use super::expand::reference;
use super::lexer::Word;
use super::verbs::{Kind, PARTS};
use super::{bytes, suggest};
use crate::scenario::{Flip, Stream, Value};

/// The value of a field of that kind.
pub(super) fn parse(word: Word<'_>, kind: Kind, mistakes: &mut Mistakes) -> Option<Value> {
    if word.text.starts_with('$') {
        return variable(word, kind, mistakes);
    }
    let before = mistakes.len();
    let value = match kind {
        Kind::Text if word.text.starts_with('#') => pieces(word, mistakes).map(Value::Bytes),
        Kind::Line | Kind::Text => text_or_pieces(word, mistakes).map(Value::Text),
        Kind::Blob | Kind::Rest | Kind::Extra => pieces(word, mistakes).map(Value::Bytes),
        Kind::Fixed(bytes) => pieces(word, mistakes)
            .filter(|v| v.len() == bytes)
            .map(Value::Bytes),
        Kind::Boolean => match word.text {
            "yes" => Some(Value::Flag(true)),
            "no" => Some(Value::Flag(false)),
            _ => up_to(word, u8::MAX.into()),
        },
        Kind::SequenceNumber if word.text.starts_with("last") => {
            plus(word.text.trim_start_matches("last")).map(|plus| Value::Variable {
                name: "last".to_owned(),
                plus,
            })
        }
        Kind::Uint32 | Kind::SequenceNumber => up_to(word, u32::MAX),
        Kind::Byte => up_to(word, u8::MAX.into()),
        Kind::Count(max) => up_to(word, max),
        Kind::Amount => up_to(word, u32::MAX).filter(|amount| *amount != Value::Number(0)),
        Kind::Numbering | Kind::Ends => offset(word.text).or_else(|| up_to(word, u32::MAX)),
        Kind::Duration => duration(word.text).map(Value::Duration),
        Kind::Flips => flips(word, mistakes),
        Kind::Patch => patch(word, mistakes),
        Kind::Names => names(word, mistakes),
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

/// `$name`, and where it is a number `$name+1` and `$name-1`.
fn variable(word: Word<'_>, kind: Kind, mistakes: &mut Mistakes) -> Option<Value> {
    let is_number = matches!(
        kind,
        Kind::Uint32
            | Kind::SequenceNumber
            | Kind::Byte
            | Kind::Count(_)
            | Kind::Amount
            | Kind::Ends
    );
    let is_bytes = matches!(
        kind,
        Kind::Text | Kind::Blob | Kind::Rest | Kind::Fixed(_) | Kind::Names | Kind::Boolean
    );
    let value = reference(word.text).and_then(|(name, len)| {
        let plus = plus(word.text.get(len..)?)?;
        (is_number || (is_bytes && plus == 0)).then(|| Value::Variable {
            name: name.to_owned(),
            plus,
        })
    });
    if value.is_none() {
        let message = format!(
            "`{}` is neither a variable nor {}",
            word.text,
            kind.notation()
        );
        mistakes.add(word.span(), message, None);
    }
    value
}

/// Nothing, `+1`, `-16`.
fn plus(text: &str) -> Option<i64> {
    match offset(text) {
        _ if text.is_empty() => Some(0),
        Some(Value::Offset(plus)) => Some(plus),
        _ => None,
    }
}

fn refuse(word: Word<'_>, kind: Kind, mistakes: &mut Mistakes) {
    if word.open_quote().is_some() {
        // The lexer has said so.
        return;
    }
    let help = match kind {
        Kind::Choice(words) => suggest::help(word.text, words),
        Kind::Boolean => suggest::help(word.text, &["yes", "no"]),
        Kind::Amount => Some("without it everything leaves as one piece".to_owned()),
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
            '$' if inner
                .get(index..)
                .is_some_and(|rest| reference(rest).is_some()) =>
            {
                let help = "`param` lines name the parameters; `\\$` is a dollar";
                mistakes.add(
                    at..at + 1,
                    "there is no parameter of this name",
                    Some(help.to_owned()),
                );
                return None;
            }
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
        Some('$') => Some(b'$'),
        Some('x') => chars
            .as_str()
            .get(..2)
            .and_then(|two| u8::from_str_radix(two, 16).ok()),
        _ => None,
    };
    if byte.is_none() {
        let help = "write `\\n`, `\\r`, `\\t`, `\\\\`, `\\\"`, `\\$`, or `\\x` and two hex digits";
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
pub(super) fn hex(word: Word<'_>, mistakes: &mut Mistakes) -> Option<Vec<u8>> {
    let digits = word.text.strip_prefix('#')?.as_bytes();
    let pairs = digits.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?;
        pair.bytes()
            .all(|b| b.is_ascii_hexdigit())
            .then(|| u8::from_str_radix(pair, 16).ok())?
    });
    let bytes: Option<Vec<u8>> = pairs.collect();
    if bytes.is_none() {
        let help = Some("such as `#00ff`".to_owned());
        let message = "after `#` there must be pairs of hex digits";
        mistakes.add(word.span(), message, help);
    }
    bytes
}

/// Names with commas between; `""` for none. Odd names are not refused: somebody may want them.
fn names(word: Word<'_>, mistakes: &mut Mistakes) -> Option<Value> {
    let list = match String::from_utf8(text_or_pieces(word, mistakes)?) {
        Ok(list) => list,
        Err(error) => return Some(Value::Bytes(error.into_bytes())),
    };
    if list.is_empty() {
        return Some(Value::Names(Vec::new()));
    }
    Some(Value::Names(list.split(',').map(str::to_owned).collect()))
}

/// Bytes that must be made of pieces.
fn pieces(word: Word<'_>, mistakes: &mut Mistakes) -> Option<Vec<u8>> {
    bytes::is_made_of_pieces(word)
        .then(|| bytes::parse(word, mistakes))
        .flatten()
}

/// Text that may also be a bare word.
fn text_or_pieces(word: Word<'_>, mistakes: &mut Mistakes) -> Option<Vec<u8>> {
    if bytes::is_made_of_pieces(word) {
        return bytes::parse(word, mistakes);
    }
    text(word, mistakes)
}

fn up_to(word: Word<'_>, max: u32) -> Option<Value> {
    number(word.text)
        .filter(|n| *n <= max.into())
        .map(Value::Number)
}

/// `+1`, `-16`.
fn offset(text: &str) -> Option<Value> {
    let digits = text.strip_prefix(['+', '-'])?;
    let amount = i64::from(u32::try_from(number(digits)?).ok()?);
    let is_less = text.starts_with('-');
    Some(Value::Offset(if is_less { -amount } else { amount }))
}

/// `tag:0`, `length:3,padding:7`.
fn flips(word: Word<'_>, mistakes: &mut Mistakes) -> Option<Value> {
    let flip = |piece: Word<'_>| {
        let (part, _, bit) = piece.cut_at(&[':'])?;
        let bit = usize::try_from(number(bit.text)?).ok()?;
        let found = PARTS.iter().find(|(name, _)| *name == part.text);
        if found.is_none() {
            let names = PARTS.map(|(name, _)| name);
            let message = format!("a packet has no part `{}`", part.text);
            mistakes.add(part.span(), message, suggest::help(part.text, &names));
        }
        found.map(|(_, part)| Flip { part: *part, bit })
    };
    let flips: Option<Vec<Flip>> = word.pieces(',').into_iter().map(flip).collect();
    flips.map(Value::Flips)
}

/// `5:#ffffffff`, or `-5:#ffffffff` from the end.
fn patch(word: Word<'_>, mistakes: &mut Mistakes) -> Option<Value> {
    let (at, _, over) = word.cut_at(&[':'])?;
    let of = |digits| isize::try_from(number(digits)?).ok();
    let at = match at.text.strip_prefix('-') {
        Some(back) => -of(back)?,
        None => of(at.text)?,
    };
    bytes::parse(over, mistakes).map(|bytes| Value::Patch(at, bytes))
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
