//! The lines of the scripted endpoint: `>`, `<`, `< closed` and the preludes.

use std::time::Duration;

use super::diagnostic::Mistakes;
use super::lexer::{Line, Word};
use super::verbs::{FieldSpec, Kind, Sender, VERBS, Verb};
use super::{suggest, value};
use crate::scenario::{
    Closed, Expect, FieldPattern, FieldSetting, FieldTest, MessagePattern, Prelude, Send, StepKind,
    Subject,
};

/// The preludes by name.
pub(super) const PRELUDES: [(&str, Prelude); 4] = [
    ("handshake", Prelude::Handshake),
    ("login", Prelude::Login),
    ("session", Prelude::Session),
    ("live", Prelude::Live),
];

/// What may stand on a `<` line beside the fields.
const EXPECT_WORDS: [&str; 3] = ["optional", "strict", "within"];

/// The prelude of that name.
pub(super) fn prelude(word: &str) -> Option<StepKind> {
    PRELUDES
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, prelude)| StepKind::Prelude(*prelude))
}

/// A line that consists of its first word.
pub(super) fn alone(line: &Line<'_>, mistakes: &mut Mistakes) {
    if let Some(extra) = line.words.get(1) {
        mistakes.add(extra.span(), "nothing may stand after a prelude", None);
    }
}

/// A line that begins with an arrow.
pub(super) fn read(
    line: &Line<'_>,
    subject: Option<Subject>,
    mistakes: &mut Mistakes,
) -> Option<StepKind> {
    let (arrow, words) = line.words.split_first()?;
    match (arrow.text, words) {
        (_, []) => {
            mistakes.add(arrow.span(), "after the arrow there must be a verb", None);
            None
        }
        (">", [verb, fields @ ..]) => read_send(*verb, fields, mistakes),
        (_, [closed, words @ ..]) if closed.text == "closed" => {
            Some(StepKind::Closed(read_closed(words, mistakes)))
        }
        _ => Some(StepKind::Expect(read_expect(words, subject, mistakes))),
    }
}

/// The verb of a word, or a mistake with the nearest one.
fn find_verb(
    word: Word<'_>,
    more: &[&'static str],
    mistakes: &mut Mistakes,
) -> Option<&'static Verb> {
    let verb = Verb::named(word.text);
    if verb.is_none() {
        let known = VERBS
            .iter()
            .map(|verb| verb.name)
            .chain(more.iter().copied());
        let help = suggest::nearest(word.text, known)
            .map(|meant| format!("did you mean `{meant}`?"))
            .or(Some("scenarios/README.md lists the verbs".to_owned()));
        mistakes.add(
            word.span(),
            format!("there is no verb `{}`", word.text),
            help,
        );
    }
    verb
}

/// The field of a word, or a mistake with the nearest one.
fn find_field(
    verb: &Verb,
    word: Word<'_>,
    more: &[&'static str],
    mistakes: &mut Mistakes,
) -> Option<&'static FieldSpec> {
    let field = verb.field(word.text);
    if field.is_none() {
        let mut known: Vec<&str> = verb.fields.iter().map(|field| field.name).collect();
        known.extend(more);
        let message = format!("`{}` has no field `{}`", verb.name, word.text);
        mistakes.add(word.span(), message, suggest::help(word.text, &known));
    }
    field
}

fn read_send(verb: Word<'_>, words: &[Word<'_>], mistakes: &mut Mistakes) -> Option<StepKind> {
    let verb = find_verb(verb, &[], mistakes)?;
    let mut fields: Vec<FieldSetting> = Vec::new();
    for (index, &word) in words.iter().enumerate() {
        let Some(setting) = read_setting(verb, word, index == 0, mistakes) else {
            continue;
        };
        if fields.iter().any(|field| field.name == setting.name) {
            let message = format!("`{}` is set a second time", setting.name);
            mistakes.add(word.span(), message, None);
        }
        fields.push(setting);
    }
    Some(StepKind::Send(Send {
        verb: verb.name.to_owned(),
        fields,
    }))
}

fn read_setting(
    verb: &Verb,
    word: Word<'_>,
    first: bool,
    mistakes: &mut Mistakes,
) -> Option<FieldSetting> {
    let (field, value) = match (word.cut_at(&['=', '~']), verb.unnamed_field()) {
        (Some((name, '=', value)), _) if verb.field(name.text).is_some() => {
            (find_field(verb, name, &[], mistakes)?, value)
        }
        (_, Some(field)) if first => (field, word),
        (Some((name, '=', _)), _) => {
            find_field(verb, name, &[], mistakes);
            return None;
        }
        (Some(_), _) => {
            mistakes.add(
                word.span(),
                "`~` compares, and this line sends",
                Some("`name=value`".into()),
            );
            return None;
        }
        (None, _) => {
            find_field(verb, word, &[], mistakes)?;
            mistakes.add(
                word.span(),
                "a field needs a value",
                Some(format!("`{}=…`", word.text)),
            );
            return None;
        }
    };
    let value = value::parse(value, field.kind, mistakes)?;
    Some(FieldSetting {
        name: field.name.to_owned(),
        value,
    })
}

fn read_expect(words: &[Word<'_>], subject: Option<Subject>, mistakes: &mut Mistakes) -> Expect {
    let mut expect = Expect {
        alternatives: Vec::new(),
        optional: false,
        strict: false,
        within: None,
    };
    for alternative in words.split(|word| word.text == "|") {
        if let [verb, words @ ..] = alternative {
            let pattern = read_pattern(*verb, words, subject, &mut expect, mistakes);
            expect.alternatives.extend(pattern);
        } else {
            let at = words
                .iter()
                .find(|word| word.text == "|")
                .map_or(0..0, Word::span);
            mistakes.add(at, "on each side of `|` there must be a verb", None);
        }
    }
    expect
}

fn read_pattern(
    word: Word<'_>,
    words: &[Word<'_>],
    subject: Option<Subject>,
    expect: &mut Expect,
    mistakes: &mut Mistakes,
) -> Option<MessagePattern> {
    if word.text == "closed" {
        mistakes.add(word.span(), "`closed` must stand alone on its line", None);
        return None;
    }
    let verb = find_verb(word, &["closed"], mistakes)?;
    check_sender(verb, word, subject, mistakes);
    let mut fields = Vec::new();
    for (index, &word) in words.iter().enumerate() {
        if !read_modifier(word, expect, mistakes)
            && let Some(field) = read_test(verb, word, index == 0, mistakes)
        {
            fields.push(field);
        }
    }
    Some(MessagePattern {
        verb: verb.name.to_owned(),
        fields,
    })
}

/// A subject that behaves cannot send what only the other role sends.
fn check_sender(verb: &Verb, word: Word<'_>, subject: Option<Subject>, mistakes: &mut Mistakes) {
    let possible = match subject {
        Some(Subject::Server) => verb.sender != Sender::Client,
        Some(Subject::Client) => verb.sender != Sender::Server,
        Some(Subject::Either) => verb.sender == Sender::Either,
        Some(Subject::Pair) | None => true,
    };
    if !possible {
        let sender = if verb.sender == Sender::Client {
            "clients"
        } else {
            "servers"
        };
        let message = format!(
            "only {sender} send `{}`, and the subject need not be one",
            verb.name
        );
        mistakes.add(
            word.span(),
            message,
            Some("see the `subject` line".to_owned()),
        );
    }
}

/// `optional`, `strict` or `within=…`; false for any other word.
fn read_modifier(word: Word<'_>, expect: &mut Expect, mistakes: &mut Mistakes) -> bool {
    match word.text {
        "optional" => expect.optional = true,
        "strict" => expect.strict = true,
        _ => match word.cut_at(&['=']) {
            Some((name, _, value)) if name.text == "within" => {
                expect.within = read_within(value, mistakes);
            }
            _ => return false,
        },
    }
    true
}

fn read_within(value: Word<'_>, mistakes: &mut Mistakes) -> Option<Duration> {
    let within = value::duration(value.text);
    if within.is_none() {
        let help = Some("such as `500ms`, `2s` or `1m`".to_owned());
        mistakes.add(
            value.span(),
            format!("`{}` is not a length of time", value.text),
            help,
        );
    }
    within
}

fn read_test(
    verb: &Verb,
    word: Word<'_>,
    first: bool,
    mistakes: &mut Mistakes,
) -> Option<FieldPattern> {
    let (name, separator, value) = match (word.cut_at(&['=', '~']), verb.unnamed_field()) {
        (Some(cut), _) if verb.field(cut.0.text).is_some() => cut,
        (_, Some(field)) if first => {
            let glob = text_of(word, mistakes)?;
            return Some(FieldPattern {
                name: field.name.to_owned(),
                test: Verb::unnamed_test(glob),
            });
        }
        (Some(cut), _) => cut,
        (None, _) => {
            find_field(verb, word, &EXPECT_WORDS, mistakes)?;
            mistakes.add(
                word.span(),
                "a field needs a value",
                Some(format!("`{}=…`", word.text)),
            );
            return None;
        }
    };
    let field = find_field(verb, name, &EXPECT_WORDS, mistakes)?;
    if !field.kind.is_on_the_wire() {
        let message = format!(
            "`{}` says how we make a message; it cannot be seen",
            field.name
        );
        mistakes.add(name.span(), message, None);
        return None;
    }
    let test = if separator == '~' {
        read_contains(field, value, mistakes)?
    } else {
        read_one_of(field.kind, value, mistakes)?
    };
    Some(FieldPattern {
        name: field.name.to_owned(),
        test,
    })
}

fn read_one_of(kind: Kind, value: Word<'_>, mistakes: &mut Mistakes) -> Option<FieldTest> {
    let values = value
        .pieces('|')
        .into_iter()
        .map(|piece| value::parse(piece, kind, mistakes));
    // Collected before it is judged, so that every wrong piece is reported.
    let values: Vec<_> = values.collect();
    values
        .into_iter()
        .collect::<Option<_>>()
        .map(FieldTest::OneOf)
}

fn read_contains(field: &FieldSpec, value: Word<'_>, mistakes: &mut Mistakes) -> Option<FieldTest> {
    if !field.kind.has_contains() {
        let message = format!("`{}` can be compared with `=` only", field.name);
        mistakes.add(value.span(), message, None);
        return None;
    }
    text_of(value, mistakes).map(FieldTest::Contains)
}

fn text_of(word: Word<'_>, mistakes: &mut Mistakes) -> Option<String> {
    let before = mistakes.len();
    let text = value::text(word, mistakes).and_then(|bytes| String::from_utf8(bytes).ok());
    if text.is_none() && mistakes.len() == before {
        mistakes.add(word.span(), format!("`{}` is not text", word.text), None);
    }
    text
}

fn read_closed(words: &[Word<'_>], mistakes: &mut Mistakes) -> Closed {
    let mut closed = Closed {
        within: None,
        reasons: Vec::new(),
    };
    for word in words {
        match word.cut_at(&['=']) {
            Some((name, _, value)) if name.text == "within" => {
                closed.within = read_within(value, mistakes);
            }
            Some((name, _, value)) if name.text == "reason" => {
                closed.reasons = read_reasons(value, mistakes);
            }
            cut => {
                let name = cut.map_or(*word, |(name, ..)| name);
                let message = format!("`closed` has no field `{}`", name.text);
                mistakes.add(
                    name.span(),
                    message,
                    suggest::help(name.text, &["within", "reason"]),
                );
            }
        }
    }
    closed
}

fn read_reasons(value: Word<'_>, mistakes: &mut Mistakes) -> Vec<u32> {
    let pieces = value.pieces('|').into_iter();
    pieces
        .filter_map(|piece| {
            let reason = value::number(piece.text).and_then(|n| u32::try_from(n).ok());
            if reason.is_none() {
                let message = format!("`{}` is not a reason code", piece.text);
                mistakes.add(piece.span(), message, None);
            }
            reason
        })
        .collect()
}
