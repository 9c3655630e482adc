//! Parameters: one text into a text for each combination of their values, with a map back to where
//! everything was written. Knows nothing of what lines mean beyond `param`.

use std::ops::Range;

use super::diagnostic::Mistakes;
use super::lexer::{self, Line, Word};
use super::value::number;
use super::{names, suggest};

/// The word that begins a line of a parameter.
pub(super) const PARAM: &str = "param";

/// Most scenarios that one file may become; more is a slip in a range, not a test.
const VARIANTS_MAX: usize = 400;

/// One combination of values.
#[derive(Debug)]
pub(super) struct Variant {
    /// `@padding=0,form=any`; empty for a file without parameters.
    pub(super) suffix: String,
    /// The file's text with the values in place, line by line as before.
    pub(super) text: String,
    /// Where each piece of the text was written.
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    /// Its first byte in the variant's text.
    at: usize,
    /// What it stands for in the file.
    origin: Range<usize>,
    /// The bytes are those of the file, one for one.
    verbatim: bool,
}

impl Variant {
    /// A range of the variant's text as a range of the file.
    pub(super) fn origin(&self, range: &Range<usize>) -> Range<usize> {
        let piece_of = |at: usize| {
            let after = self.pieces.partition_point(|piece| piece.at <= at);
            self.pieces.get(after.saturating_sub(1))
        };
        let start = piece_of(range.start).map_or(range.start, |piece| match piece.verbatim {
            true => piece.origin.start + (range.start - piece.at),
            false => piece.origin.start,
        });
        if range.is_empty() {
            return start..start;
        }
        let last = range.end - 1;
        let end = piece_of(last).map_or(range.end, |piece| match piece.verbatim {
            true => piece.origin.start + (last - piece.at) + 1,
            false => piece.origin.end,
        });
        start..end.max(start)
    }
}

/// A parameter with its values.
#[derive(Debug)]
struct Param {
    name: String,
    at: Range<usize>,
    values: Vec<Value>,
}

#[derive(Debug)]
struct Value {
    /// What it is called in the variant's name.
    label: String,
    /// What is put in place of `$name`, quotes included.
    text: String,
}

/// Every combination of the file's parameters, in the order of their lines.
pub(super) fn expand(text: &str, mistakes: &mut Mistakes) -> Vec<Variant> {
    let lines = lexer::lines(text, mistakes);
    let params = read_params(&lines, mistakes);
    check_use(&lines, &params, mistakes);
    let count = params
        .iter()
        .map(|param| param.values.len().max(1))
        .fold(1, usize::saturating_mul);
    if count > VARIANTS_MAX {
        let at = params.last().map_or(0..0, |param| param.at.clone());
        let message =
            format!("this file would become {count} scenarios, and {VARIANTS_MAX} are the most");
        mistakes.add(at, message, None);
        return Vec::new();
    }
    (0..count)
        .map(|index| variant(text, &lines, &chosen(&params, index)))
        .collect()
}

/// The combination of that index; the last parameter changes fastest.
fn chosen(params: &[Param], mut index: usize) -> Vec<(&str, &Value)> {
    let mut chosen = Vec::with_capacity(params.len());
    for param in params.iter().rev() {
        if let Some(value) = param.values.get(index % param.values.len().max(1)) {
            chosen.push((param.name.as_str(), value));
        }
        index /= param.values.len().max(1);
    }
    chosen.reverse();
    chosen
}

fn variant(text: &str, lines: &[Line<'_>], chosen: &[(&str, &Value)]) -> Variant {
    let labels: Vec<String> = chosen
        .iter()
        .map(|(name, value)| format!("{name}={}", value.label))
        .collect();
    let mut variant = Variant {
        suffix: if labels.is_empty() {
            String::new()
        } else {
            format!("@{}", labels.join(","))
        },
        text: String::with_capacity(text.len()),
        pieces: Vec::new(),
    };
    let mut at = 0;
    let mut began = false;
    for (line, written) in lines.iter().zip(text.split_inclusive('\n')) {
        let is_param = is_param(line);
        // The title is prose, but shall name the values; later comments are left alone.
        let code = match (line.comment, began) {
            (Some(comment), true) => written.trim_end_matches('\n').len() - comment.len() - 1,
            _ => written.len(),
        };
        began |= !line.words.is_empty();
        if is_param {
            // The line stays, empty, so that the numbers of the others do not change.
            variant.copy(
                &written[written.trim_end_matches('\n').len()..],
                at + written.trim_end_matches('\n').len(),
            );
        } else {
            variant.fill(&written[..code], at, chosen);
            variant.copy(&written[code..], at + code);
        }
        at += written.len();
    }
    variant
}

impl Variant {
    fn copy(&mut self, text: &str, origin: usize) {
        self.push(text, origin..origin + text.len(), true);
    }

    fn push(&mut self, text: &str, origin: Range<usize>, verbatim: bool) {
        if text.is_empty() {
            return;
        }
        self.pieces.push(Piece {
            at: self.text.len(),
            origin,
            verbatim,
        });
        self.text.push_str(text);
    }

    /// Copies a line's code with the values in place of their names.
    fn fill(&mut self, code: &str, origin: usize, chosen: &[(&str, &Value)]) {
        let mut copied = 0;
        for reference in references(code) {
            let Some((_, value)) = chosen.iter().find(|(name, _)| *name == reference.name) else {
                continue;
            };
            self.copy(&code[copied..reference.at.start], origin + copied);
            let unquoted = value
                .text
                .strip_prefix('"')
                .and_then(|t| t.strip_suffix('"'));
            let text = unquoted.filter(|_| reference.quoted).unwrap_or(&value.text);
            let written = origin + reference.at.start..origin + reference.at.end;
            self.push(text, written, false);
            copied = reference.at.end;
        }
        self.copy(&code[copied..], origin + copied);
    }
}

/// A `$name` or `${name}` of a text.
#[derive(Debug)]
pub(super) struct Reference<'a> {
    pub(super) name: &'a str,
    pub(super) at: Range<usize>,
    pub(super) quoted: bool,
}

/// Every reference of a line, in order. A dollar after a backslash is only a dollar.
pub(super) fn references(code: &str) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    let mut quoted = false;
    let mut escaped = false;
    let mut past = 0;
    for (index, c) in code.char_indices() {
        match c {
            _ if index < past => {}
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '$' => {
                if let Some((name, len)) = reference(&code[index..]) {
                    past = index + len;
                    let at = index..past;
                    found.push(Reference { name, at, quoted });
                }
            }
            _ => {}
        }
    }
    found
}

/// The name of a text that begins with a dollar, and how long the reference is.
pub(super) fn reference(text: &str) -> Option<(&str, usize)> {
    let rest = text.strip_prefix('$')?;
    if let Some(braced) = rest.strip_prefix('{') {
        let name = braced.split('}').next()?;
        let whole = names::leading(name) == name && braced.len() > name.len();
        return (whole && !name.is_empty()).then_some((name, name.len() + 3));
    }
    let name = names::leading(rest);
    (!name.is_empty()).then_some((name, name.len() + 1))
}

fn is_param(line: &Line<'_>) -> bool {
    line.words.first().is_some_and(|word| word.text == PARAM)
}

fn read_params(lines: &[Line<'_>], mistakes: &mut Mistakes) -> Vec<Param> {
    let mut params: Vec<Param> = Vec::new();
    for line in lines.iter().filter(|line| is_param(line)) {
        let [first, rest @ ..] = line.words.as_slice() else {
            continue;
        };
        let [name, values @ ..] = rest else {
            let help = Some("`param padding 0 3`".to_owned());
            mistakes.add(
                first.span(),
                "after `param` there must be a name and values",
                help,
            );
            continue;
        };
        if names::leading(name.text) != name.text {
            let message = format!("`{}` is not a name: {}", name.text, names::RULE);
            mistakes.add(name.span(), message, None);
            continue;
        }
        let mut read = Vec::new();
        for value in values {
            read_value(*value, &mut read, mistakes);
        }
        if values.is_empty() {
            let message = format!("the parameter `{}` has no value", name.text);
            mistakes.add(name.span(), message, None);
        }
        // A second line of the same name goes on where the last ended.
        match params.last_mut().filter(|param| param.name == name.text) {
            Some(param) => param.values.extend(read),
            None => params.push(Param {
                name: name.text.to_owned(),
                at: name.span(),
                values: read,
            }),
        }
    }
    check_names(&params, mistakes);
    params
}

fn check_names(params: &[Param], mistakes: &mut Mistakes) {
    for (index, param) in params.iter().enumerate() {
        if params.iter().take(index).any(|p| p.name == param.name) {
            let message = format!(
                "`{}` has another `param` line that is not next to this one",
                param.name
            );
            mistakes.add(param.at.clone(), message, None);
        }
        for (index, value) in param.values.iter().enumerate() {
            if param
                .values
                .iter()
                .take(index)
                .any(|v| v.label == value.label)
            {
                let message = format!("`{}` has the value `{}` twice", param.name, value.label);
                mistakes.add(param.at.clone(), message, None);
            }
        }
    }
}

/// `value`, `label=value`, `{words of a line}` with or without a label, or `1..5`.
fn read_value(word: Word<'_>, values: &mut Vec<Value>, mistakes: &mut Mistakes) {
    if let Some((first, last)) = word.text.split_once("..")
        && let (Some(first), Some(last)) = (number(first), number(last))
    {
        // One more than are allowed is enough to be refused.
        let range = (first..=last).take(VARIANTS_MAX + 1);
        let numbers = range.map(|n| n.to_string()).map(|text| Value {
            label: text.clone(),
            text,
        });
        return values.extend(numbers);
    }
    let cut = word
        .cut_at(&['='])
        .filter(|(label, ..)| !label.text.starts_with('{'));
    let (label, text) = match cut {
        Some((label, _, value)) => (label, value),
        None => (word, word),
    };
    if !names::is_label(label.text) {
        let message = format!("`{}` cannot be part of a scenario's name", label.text);
        let help = format!("put a short name before it: `name={}`", text.text);
        return mistakes.add(label.span(), message, Some(help));
    }
    let fragment = text
        .text
        .strip_prefix('{')
        .and_then(|t| t.strip_suffix('}'));
    values.push(Value {
        label: label.text.to_owned(),
        text: fragment.unwrap_or(text.text).trim().to_owned(),
    });
}

/// A parameter that nothing uses would make the same case many times.
fn check_use(lines: &[Line<'_>], params: &[Param], mistakes: &mut Mistakes) {
    let code = lines.iter().filter(|line| !is_param(line));
    let used: Vec<&str> = code
        .flat_map(|line| references(line.source))
        .map(|reference| reference.name)
        .collect();
    for param in params.iter().filter(|p| !used.contains(&p.name.as_str())) {
        let message = format!("nothing uses the parameter `{}`", param.name);
        let meant = suggest::nearest(&param.name, used.iter().copied());
        let help = match meant {
            Some(meant) => format!("did you mean it by `${meant}`?"),
            None => format!("write `${}` where its value belongs", param.name),
        };
        mistakes.add(param.at.clone(), message, Some(help));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variants(text: &str) -> Vec<(String, String)> {
        let mut mistakes = Mistakes::default();
        let variants = expand(text, &mut mistakes);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        variants.into_iter().map(|v| (v.suffix, v.text)).collect()
    }

    #[test]
    fn every_combination_has_its_name_and_its_text() {
        let text =
            "# With $a.\nparam a 1..2\nparam b x={ignore data=\"q\"} y=debug\n> $b n=$a # $a\n";
        let made = variants(text);
        assert_eq!(made.len(), 4);
        let (suffix, text) = &made[0];
        assert_eq!(suffix, "@a=1,b=x");
        assert_eq!(text, "# With 1.\n\n\n> ignore data=\"q\" n=1 # $a\n");
        assert_eq!(made[3].0, "@a=2,b=y");
    }

    #[test]
    fn a_value_in_quotes_fits_into_quotes() {
        let made = variants("param w one=\"a b\"\n> ignore data=\"<$w> ${w}s \\$w\" text=$w");
        assert_eq!(
            made[0].1,
            "\n> ignore data=\"<a b> a bs \\$w\" text=\"a b\""
        );
    }

    #[test]
    fn a_place_in_a_variant_is_a_place_of_the_file() {
        let text = "param x 12345\n> a b=$x c=d";
        let variant = &expand(text, &mut Mistakes::default())[0];
        let of = |part: &str| {
            let at = variant.text.find(part).expect("it is there");
            &text[variant.origin(&(at..at + part.len()))]
        };
        assert_eq!(
            (of("b="), of("12345"), of("c=d"), of("=12345 c")),
            ("b=", "$x", "c=d", "=$x c")
        );
    }
}
