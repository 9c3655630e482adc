//! Lines into words. A word runs to the next blank; quotes may hold blanks; a word that begins
//! with `#` begins the comment. Knows nothing of what words mean.

use std::ops::Range;

use super::diagnostic::Mistakes;

/// A word as written, quotes and escapes included, and where it stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    /// Byte offset in the file.
    pub(super) at: usize,
}

impl Word<'_> {
    pub(super) fn span(&self) -> Range<usize> {
        self.at..self.at + self.text.len()
    }

    /// Cuts at byte `index` of the word, which must be a character boundary.
    pub(super) fn split_at(self, index: usize) -> (Self, Self) {
        let (head, tail) = self.text.split_at(index);
        (
            Self {
                text: head,
                at: self.at,
            },
            Self {
                text: tail,
                at: self.at + index,
            },
        )
    }

    /// Cuts at the first of `separators` that is outside quotes: what is before, the separator,
    /// what is after.
    pub(super) fn cut_at(self, separators: &[char]) -> Option<(Self, char, Self)> {
        let (index, separator) = unquoted(self.text).find(|(_, c)| separators.contains(c))?;
        let (head, rest) = self.split_at(index);
        let (_, tail) = rest.split_at(separator.len_utf8());
        Some((head, separator, tail))
    }

    /// Cuts at the first unquoted `->`: what is before and what is after.
    pub(super) fn cut_arrow(self) -> Option<(Self, Self)> {
        let (head, _, tail) = self.cut_at(&['>'])?;
        let name = head.text.strip_suffix('-')?;
        Some((head.split_at(name.len()).0, tail))
    }

    /// The pieces between unquoted `separator`s, at least one.
    pub(super) fn pieces(self, separator: char) -> Vec<Self> {
        let mut pieces = Vec::new();
        let mut rest = self;
        while let Some((head, _, tail)) = rest.cut_at(&[separator]) {
            pieces.push(head);
            rest = tail;
        }
        pieces.push(rest);
        pieces
    }

    /// Where in the word the quote begins that it does not close.
    pub(super) fn open_quote(self) -> Option<usize> {
        let mut open = None;
        let mut escaped = false;
        for (index, c) in self.text.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' if open.is_some() => escaped = true,
                '"' => open = if open.is_some() { None } else { Some(index) },
                _ => {}
            }
        }
        open
    }
}

/// One line of a file.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// 1-based.
    pub(super) number: usize,
    /// The words, without the comment.
    pub(super) words: Vec<Word<'a>>,
    /// The comment without its `#`, if there is one.
    pub(super) comment: Option<&'a str>,
    /// The text from the first word to the last.
    pub(super) source: &'a str,
}

/// Cuts a file into lines of words.
pub(super) fn lines<'a>(text: &'a str, mistakes: &mut Mistakes) -> Vec<Line<'a>> {
    lines_at(0, text, mistakes)
}

/// The same of a file whose places are counted from `at` on, so that they are not those of another.
pub(super) fn lines_at<'a>(mut at: usize, text: &'a str, mistakes: &mut Mistakes) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        lines.push(cut_line(index + 1, line, at, mistakes));
        at += line.len() + 1;
    }
    lines
}

fn cut_line<'a>(number: usize, line: &'a str, at: usize, mistakes: &mut Mistakes) -> Line<'a> {
    let mut words: Vec<Word<'a>> = Vec::new();
    let mut comment = None;
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        let start = line.len() - rest.len();
        if rest.is_empty() {
            break;
        }
        if let Some(after) = rest.strip_prefix('#') {
            comment = Some(after);
            break;
        }
        let has_braces = words
            .first()
            .is_some_and(|word| word.text == super::expand::PARAM);
        let bytes = word_end(rest, has_braces);
        let word = Word {
            text: &rest[..bytes],
            at: at + start,
        };
        if has_braces && word.text.contains('{') && !word.text.ends_with('}') {
            mistakes.add(word.span(), "this brace is never closed", None);
        }
        if let Some(quote) = word.open_quote() {
            mistakes.add(
                word.at + quote..word.span().end,
                "this quote is never closed",
                None,
            );
        }
        words.push(word);
        rest = &rest[bytes..];
    }
    let source = match (words.first(), words.last()) {
        (Some(first), Some(last)) => &line[first.at - at..last.span().end - at],
        _ => "",
    };
    Line {
        number,
        words,
        comment,
        source,
    }
}

/// Where the first word of a text ends. Between braces there may be blanks, where they mean
/// anything.
fn word_end(text: &str, has_braces: bool) -> usize {
    let mut depth = 0_usize;
    for (index, c) in unquoted(text) {
        match c {
            '{' if has_braces => depth += 1,
            '}' if has_braces => depth = depth.saturating_sub(1),
            _ if c.is_whitespace() && depth == 0 => return index,
            _ => {}
        }
    }
    text.len()
}

/// The characters outside quotes, with their byte offsets. The quotes themselves are left out.
fn unquoted(text: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    let mut quoted = false;
    let mut escaped = false;
    text.char_indices().filter(move |&(_, c)| {
        let was_quoted = quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        !was_quoted && c != '"'
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let mut mistakes = Mistakes::default();
        lines(text, &mut mistakes)
            .into_iter()
            .flat_map(|line| line.words)
            .map(|w| w.text)
            .collect()
    }

    #[test]
    fn a_comment_begins_with_a_word_and_hex_does_not() {
        assert_eq!(
            words("> raw payload=#0102 # the fault"),
            [">", "raw", "payload=#0102"]
        );
        assert_eq!(words("a \"b # c\\\" d\" e"), ["a", "\"b # c\\\" d\"", "e"]);
    }

    #[test]
    fn braces_hold_words_together_in_parameters_alone() {
        assert_eq!(
            words("param b x={> a \"}\" c} y\n> a={b c}"),
            ["param", "b", "x={> a \"}\" c}", "y", ">", "a={b", "c}"]
        );
    }

    #[test]
    fn a_separator_inside_quotes_does_not_cut() {
        let word = Word {
            text: "text=\"a|b\"|c",
            at: 3,
        };
        let (name, _, value) = word.cut_at(&['=']).expect("there is one");
        assert_eq!((name.text, value.at), ("text", 8));
        let pieces: Vec<_> = value.pieces('|').into_iter().map(|w| w.text).collect();
        assert_eq!(pieces, ["\"a|b\"", "c"]);
    }
}
