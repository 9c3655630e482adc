//! The lines of the scripted endpoint: `>`, `<`, `< closed` and the preludes.

use std::ops::Range;
use std::time::Duration;

use super::diagnostic::Mistakes;
use super::lexer::{Line, Word};
use super::verbs::{Carrier, FieldSpec, Kind, Sender, VERBS, Verb};
use super::{names, suggest, value, verbs};
use crate::scenario::{
    Alternative, Closed, Expect, FieldPattern, FieldSetting, FieldTest, Happening, MessagePattern,
    Prelude, Quiet, Send, Step, StepKind, Subject, Value,
};

/// The preludes by name.
pub(super) const PRELUDES: [(&str, Prelude); 5] = [
    ("handshake", Prelude::Handshake),
    ("rekey", Prelude::Rekey),
    ("login", Prelude::Login),
    ("session", Prelude::Session),
    ("live", Prelude::Live),
];

/// What an alternative begins with that is taken without being right.
pub(super) const TOLERATED: &str = "tolerated";

/// What may stand on a `<` line beside the fields.
pub(super) const EXPECT_WORDS: [&str; 3] = ["optional", "strict", "within"];

/// The steps that need no arrow and are no prelude.
pub(super) const PLAIN: [&str; 7] = [
    "hold", "release", "pause", "quiet", "repeat", "end", "rekeyed",
];

/// Most rounds of a `repeat`; more would only take time.
const ROUNDS_MAX: u64 = 100_000;

/// A line that begins with one of [`PLAIN`].
pub(super) fn plain(line: &Line<'_>, mistakes: &mut Mistakes) -> Option<StepKind> {
    let (first, words) = line.words.split_first()?;
    match (first.text, words) {
        ("hold", []) => Some(StepKind::Hold),
        ("release", []) => Some(StepKind::Release),
        ("end", []) => Some(StepKind::End),
        ("repeat", [times]) => read_times(*times, mistakes).map(StepKind::Repeat),
        ("rekeyed", [times]) => read_times(*times, mistakes).map(StepKind::Rekeyed),
        (word @ ("repeat" | "rekeyed"), _) => {
            let message = format!("after `{word}` there must be one number");
            mistakes.add(first.span(), message, Some(format!("`{word} 10`")));
            None
        }
        ("pause", [lasts]) => read_duration(*lasts, mistakes).map(StepKind::Pause),
        ("quiet", words) => read_quiet(words, mistakes).map(StepKind::Quiet),
        ("pause", _) => {
            let message = "after `pause` there must be a length of time";
            mistakes.add(first.span(), message, Some("`pause 300ms`".to_owned()));
            None
        }
        (_, [extra, ..]) => {
            let message = format!("nothing may stand after `{}`", first.text);
            mistakes.add(extra.span(), message, None);
            None
        }
        _ => None,
    }
}

fn read_times(word: Word<'_>, mistakes: &mut Mistakes) -> Option<u64> {
    let times = value::number(word.text).filter(|n| (1..=ROUNDS_MAX).contains(n));
    if times.is_none() {
        let message = format!("`{}` is not a number from 1 to {ROUNDS_MAX}", word.text);
        mistakes.add(word.span(), message, None);
    }
    times
}

fn read_quiet(words: &[Word<'_>], mistakes: &mut Mistakes) -> Option<Quiet> {
    let mut quiet = Quiet {
        lasts: Quiet::LASTS,
        strict: false,
    };
    let is_strict = |word: &&Word<'_>| word.text == "strict";
    let (strict, lasts): (Vec<_>, Vec<_>) = words.iter().partition(is_strict);
    quiet.strict = !strict.is_empty();
    if let [_, again, ..] = strict.as_slice() {
        refuse_again(*again, ONCE, mistakes);
    }
    if let [_, again, ..] = lasts.as_slice() {
        let message = "it is quiet for one length of time, and this is another";
        mistakes.add(again.span(), message, Some(ONCE.to_owned()));
    }
    if let [word, ..] = lasts.as_slice() {
        quiet.lasts = read_duration(*word, mistakes)?;
    }
    Some(quiet)
}

/// What to do about two fields of one name.
pub(super) const ONCE: &str = "leave one of the two out";
const EITHER: &str = "`NAME=A|B` takes either; otherwise leave one of the two out";

/// Of a field that stands on a line twice, one would be lost without a word.
fn refuse_again(name: Word<'_>, help: &str, mistakes: &mut Mistakes) {
    let message = format!("`{}` is set a second time", name.text);
    mistakes.add(name.span(), message, Some(help.to_owned()));
}

/// What is before the `=` of a word, or the word.
fn name_of(word: Word<'_>) -> Word<'_> {
    word.cut_at(&['=']).map_or(word, |(name, ..)| name)
}

/// Refuses each word whose name another one had before it; those of `many` may come again.
pub(super) fn check_once(words: &[Word<'_>], many: &[&str], help: &str, mistakes: &mut Mistakes) {
    let names: Vec<Word<'_>> = words.iter().copied().map(name_of).collect();
    for (index, name) in names.iter().enumerate() {
        let mut before = names.iter().take(index);
        if before.any(|other| other.text == name.text) && !many.contains(&name.text) {
            refuse_again(*name, help, mistakes);
        }
    }
}

/// What can be said of a login, and of a session.
const LOGIN_FIELDS: [(&str, Kind); 2] = [("with", Kind::Names), ("user", Kind::Text)];
const SESSION_FIELDS: [(&str, Kind); 6] = [
    ("with", Kind::Names),
    ("user", Kind::Text),
    ("command", Kind::Text),
    ("sender", Kind::Uint32),
    ("window", Kind::Uint32),
    ("packet-max", Kind::Uint32),
];

/// The ways of a login that `with` can name.
const METHODS: [&str; 2] = ["publickey", "password"];

/// Whether a line that begins with this word is a prelude.
pub(super) fn is_prelude(word: &str) -> bool {
    PRELUDES.iter().any(|(name, _)| *name == word)
}

/// A line that begins with the name of a prelude.
pub(super) fn prelude(line: &Line<'_>, mistakes: &mut Mistakes) -> Option<StepKind> {
    let (first, words) = line.words.split_first()?;
    let (_, prelude) = PRELUDES.iter().find(|(name, _)| *name == first.text)?;
    let known: &[(&str, Kind)] = match prelude {
        Prelude::Login => &LOGIN_FIELDS,
        Prelude::Session => &SESSION_FIELDS,
        Prelude::Handshake | Prelude::Rekey | Prelude::Live => &[],
    };
    check_once(words, &[], ONCE, mistakes);
    let settings = words
        .iter()
        .filter_map(|word| read_prelude_setting(*word, first.text, known, mistakes));
    Some(StepKind::Prelude(*prelude, settings.collect()))
}

fn read_prelude_setting(
    word: Word<'_>,
    prelude: &str,
    known: &[(&str, Kind)],
    mistakes: &mut Mistakes,
) -> Option<FieldSetting> {
    let cut = word.cut_at(&['=']);
    let name = cut.map_or(word, |(name, ..)| name);
    let found = known.iter().find(|(known, _)| *known == name.text);
    let (Some((_, _, value)), Some((field, kind))) = (cut, found) else {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let message = match found {
            Some(_) => format!("`{}` needs a value", name.text),
            None if known.is_empty() => format!("nothing may stand after `{prelude}`"),
            None => format!("`{prelude}` has no field `{}`", name.text),
        };
        mistakes.add(name.span(), message, suggest::help(name.text, &names));
        return None;
    };
    if *field == "with" {
        for method in value.pieces(',') {
            if !METHODS.contains(&method.text) {
                let message = format!("nobody here logs in with `{}`", method.text);
                mistakes.add(method.span(), message, suggest::help(method.text, &METHODS));
            }
        }
    }
    Some(FieldSetting {
        name: (*field).to_owned(),
        value: value::parse(value, *kind, mistakes)?,
    })
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
        (_, [closed, words @ ..])
            if closed.text == "closed" && words.iter().all(|word| word.text != "|") =>
        {
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
        let all = verb
            .all_fields()
            .map(|field| field.name)
            .chain(more.iter().copied());
        let help = suggest::nearest(word.text, all)
            .map(|meant| format!("did you mean `{meant}`?"))
            .or_else(|| suggest::help(word.text, &known));
        let message = format!("`{}` has no field `{}`", verb.name, word.text);
        mistakes.add(word.span(), message, help);
    }
    field
}

fn read_send(verb: Word<'_>, words: &[Word<'_>], mistakes: &mut Mistakes) -> Option<StepKind> {
    let verb = find_verb(verb, &[], mistakes)?;
    let mut fields: Vec<FieldSetting> = Vec::new();
    let mut delay = None;
    for (index, &word) in words.iter().enumerate() {
        let Some(setting) = read_setting(verb, word, index == 0, mistakes) else {
            continue;
        };
        if fields.iter().any(|field| field.name == setting.name) {
            refuse_again(name_of(word), ONCE, mistakes);
        }
        if setting.name == "delay" {
            delay = Some(word);
        }
        fields.push(setting);
    }
    let leaves_in_pieces = fields
        .iter()
        .any(|field| matches!(&*field.name, "split" | "split-at"));
    if let (Some(delay), false) = (delay, leaves_in_pieces) {
        let message = "`delay` is between two pieces, and this leaves in one";
        let help = "`split=N` or `split-at=N` beside it, or `pause` on the line before";
        mistakes.add(delay.span(), message, Some(help.to_owned()));
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
    if field.name == verbs::ALL {
        let message = "`all` is what must have come; what is sent is `data`, `size` or `total`";
        mistakes.add(word.span(), message, None);
        return None;
    }
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
        let (tolerated, rest) = match alternative {
            [first, rest @ ..] if first.text == TOLERATED => (true, rest),
            _ => (false, alternative),
        };
        if let [first, words @ ..] = rest {
            let what = read_happening(*first, words, subject, &mut expect, mistakes);
            let what = what.map(|what| Alternative { what, tolerated });
            expect.alternatives.extend(what);
        } else {
            let at = words
                .iter()
                .find(|word| word.text == "|" || word.text == TOLERATED)
                .map_or(0..0, Word::span);
            mistakes.add(at, "on each side of `|` there must be a verb", None);
        }
    }
    if let [
        Alternative {
            tolerated: true, ..
        },
    ] = expect.alternatives.as_slice()
    {
        let at = words.first().map_or(0..0, Word::span);
        let message = "what is tolerated needs something beside it that is right";
        mistakes.add(at, message, None);
    }
    expect
}

fn read_happening(
    first: Word<'_>,
    words: &[Word<'_>],
    subject: Option<Subject>,
    expect: &mut Expect,
    mistakes: &mut Mistakes,
) -> Option<Happening> {
    match first.text {
        "closed" => Some(Happening::Closed(read_closed(words, mistakes))),
        "quiet" => read_quiet(words, mistakes).map(|quiet| Happening::Quiet(quiet.lasts)),
        _ => read_pattern(first, words, subject, expect, mistakes).map(Happening::Message),
    }
}

fn read_pattern(
    word: Word<'_>,
    words: &[Word<'_>],
    subject: Option<Subject>,
    expect: &mut Expect,
    mistakes: &mut Mistakes,
) -> Option<MessagePattern> {
    let verb = find_verb(word, &["closed", "quiet", TOLERATED], mistakes)?;
    if verb.carrier == Carrier::Stream {
        let message = format!("`{}` is what we do; it cannot be waited for", verb.name);
        mistakes.add(
            word.span(),
            message,
            Some("`closed`, or a message".to_owned()),
        );
        return None;
    }
    check_sender(verb, word, subject, mistakes);
    let is_modifier = |word: &Word<'_>| EXPECT_WORDS.contains(&name_of(*word).text);
    let modifiers: Vec<Word<'_>> = words.iter().copied().filter(is_modifier).collect();
    check_once(&modifiers, &[], ONCE, mistakes);
    let mut fields: Vec<FieldPattern> = Vec::new();
    for (index, &word) in words.iter().enumerate() {
        if !read_modifier(word, expect, mistakes)
            && let Some(field) = read_test(verb, word, index == 0, mistakes)
        {
            if fields.iter().any(|earlier| cannot_both_be(earlier, &field)) {
                refuse_again(name_of(word), EITHER, mistakes);
            }
            fields.push(field);
        }
    }
    Some(MessagePattern {
        verb: verb.name.to_owned(),
        fields,
    })
}

/// Whether two tests are of one field and make no sense together. Something can be in a list and
/// something else not, but nothing is equal to two values.
fn cannot_both_be(one: &FieldPattern, other: &FieldPattern) -> bool {
    let is_equal = |field: &FieldPattern| matches!(field.test, FieldTest::OneOf(_));
    one.name == other.name && (one == other || (is_equal(one) && is_equal(other)))
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
                expect.within = read_duration(value, mistakes);
            }
            _ => return false,
        },
    }
    true
}

fn read_duration(value: Word<'_>, mistakes: &mut Mistakes) -> Option<Duration> {
    let lasts = value::duration(value.text);
    let message = match lasts {
        Some(lasts) if lasts.is_zero() => format!("`{}` is no time at all", value.text),
        Some(lasts) => return Some(lasts),
        None => format!("`{}` is not a length of time", value.text),
    };
    let help = "such as `500ms`, `2s` or `1m`".to_owned();
    mistakes.add(value.span(), message, Some(help));
    None
}

fn read_test(
    verb: &Verb,
    word: Word<'_>,
    first: bool,
    mistakes: &mut Mistakes,
) -> Option<FieldPattern> {
    if let Some((name, variable)) = word.cut_arrow() {
        return read_binding(verb, name, variable, mistakes);
    }
    let (name, comparison, value) = match (cut_comparison(word), verb.unnamed_field()) {
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
    if !verb.can_expect(field) {
        let message = format!(
            "`{}` says how we make a message; it cannot be seen",
            field.name
        );
        mistakes.add(name.span(), message, None);
        return None;
    }
    let test = match comparison {
        Comparison::Equal => read_one_of(field.kind, value, mistakes)?,
        Comparison::Contains => FieldTest::Contains(read_part(field, value, mistakes)?),
        Comparison::Lacks => FieldTest::Lacks(read_part(field, value, mistakes)?),
    };
    Some(FieldPattern {
        name: field.name.to_owned(),
        test,
    })
}

/// How a word compares.
enum Comparison {
    Equal,
    Contains,
    Lacks,
}

/// `field=value`, `field~value` or `field!~value`: what is before and after, and how they compare.
fn cut_comparison(word: Word<'_>) -> Option<(Word<'_>, Comparison, Word<'_>)> {
    let (name, separator, value) = word.cut_at(&['=', '~'])?;
    Some(match (separator, name.text.strip_suffix('!')) {
        ('~', Some(bare)) => (name.split_at(bare.len()).0, Comparison::Lacks, value),
        ('~', None) => (name, Comparison::Contains, value),
        _ => (name, Comparison::Equal, value),
    })
}

/// `field->variable`.
fn read_binding(
    verb: &Verb,
    name: Word<'_>,
    variable: Word<'_>,
    mistakes: &mut Mistakes,
) -> Option<FieldPattern> {
    let field = find_field(verb, name, &EXPECT_WORDS, mistakes)?;
    if !field.kind.is_on_the_wire() {
        let message = format!("`{}` cannot be seen, and so cannot be kept", field.name);
        mistakes.add(name.span(), message, None);
        return None;
    }
    if names::leading(variable.text) != variable.text || variable.text.is_empty() {
        let message = format!("`{}` is not a name: {}", variable.text, names::RULE);
        mistakes.add(variable.span(), message, None);
        return None;
    }
    if KNOWN.contains(&variable.text) {
        let message = format!("`${}` has its own meaning", variable.text);
        mistakes.add(
            variable.span(),
            message,
            Some("choose another name".to_owned()),
        );
        return None;
    }
    Some(FieldPattern {
        name: field.name.to_owned(),
        test: FieldTest::Bind(variable.text.to_owned()),
    })
}

/// The variables that need no line to receive them.
pub(super) const KNOWN: [&str; 4] = ["last", "packet-max", "round", "window"];

/// What a variable refers to must have been received above it.
pub(super) fn check_variables(steps: &[Step], spans: &[Range<usize>], mistakes: &mut Mistakes) {
    let mut bound: Vec<&str> = KNOWN.to_vec();
    let mut depth = 0_usize;
    for (step, span) in steps.iter().zip(spans) {
        match &step.kind {
            StepKind::Repeat(_) => depth += 1,
            StepKind::End => depth = depth.saturating_sub(1),
            _ => {}
        }
        for name in uses(&step.kind) {
            if !bound.contains(&name) {
                let message = format!("nothing above this line gives `${name}` a value");
                let help = suggest::help(name, &bound);
                mistakes.add(span.clone(), message, help);
            } else if name == "round" && depth == 0 {
                mistakes.add(
                    span.clone(),
                    "`$round` counts the rounds of a `repeat`",
                    None,
                );
            }
        }
        bound.extend(binds(&step.kind));
    }
}

fn patterns(kind: &StepKind) -> impl Iterator<Item = &FieldPattern> {
    let alternatives: &[Alternative] = match kind {
        StepKind::Expect(expect) => &expect.alternatives,
        _ => &[],
    };
    alternatives
        .iter()
        .flat_map(|alternative| match &alternative.what {
            Happening::Message(pattern) => pattern.fields.as_slice(),
            _ => &[],
        })
}

fn binds(kind: &StepKind) -> impl Iterator<Item = &str> {
    patterns(kind).filter_map(|field| match &field.test {
        FieldTest::Bind(name) => Some(name.as_str()),
        _ => None,
    })
}

fn uses(kind: &StepKind) -> Vec<&str> {
    let sent: &[FieldSetting] = match kind {
        StepKind::Send(send) => &send.fields,
        StepKind::Prelude(_, settings) => settings,
        _ => &[],
    };
    let wanted = patterns(kind).flat_map(|field| match &field.test {
        FieldTest::OneOf(values) => values.as_slice(),
        _ => &[],
    });
    let values = sent.iter().map(|field| &field.value).chain(wanted);
    values
        .filter_map(|value| match value {
            Value::Variable { name, .. } => Some(name.as_str()),
            _ => None,
        })
        .collect()
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

fn read_part(field: &FieldSpec, value: Word<'_>, mistakes: &mut Mistakes) -> Option<String> {
    if !field.kind.has_contains() {
        let message = format!("`{}` can be compared with `=` only", field.name);
        mistakes.add(value.span(), message, None);
        return None;
    }
    text_of(value, mistakes)
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
        optional: false,
        within: None,
        reasons: Vec::new(),
    };
    check_once(words, &[], EITHER, mistakes);
    for word in words {
        match word.cut_at(&['=']) {
            Some((name, _, value)) if name.text == "within" => {
                closed.within = read_duration(value, mistakes);
            }
            Some((name, _, value)) if name.text == "reason" => {
                closed.reasons = read_reasons(value, mistakes);
            }
            None if word.text == "optional" => closed.optional = true,
            cut => {
                let name = cut.map_or(*word, |(name, ..)| name);
                let message = format!("`closed` has no field `{}`", name.text);
                mistakes.add(
                    name.span(),
                    message,
                    suggest::help(name.text, &["within", "reason", "optional"]),
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
