//! The header: what a scenario is called, whom it tests, what it cites.

use std::ops::Range;

use super::diagnostic::Mistakes;
use super::lexer::{Line, Word};
use super::suggest;
use crate::requirement::{Catalogue, Level};
use crate::scenario::{Need, Subject};

/// The words that begin a header line.
pub(super) const WORDS: [&str; 6] = [
    "scenario",
    "subject",
    "needs",
    "cites",
    "level",
    "consequence",
];

const SUBJECTS: [(&str, Subject); 4] = [
    ("server", Subject::Server),
    ("client", Subject::Client),
    ("either", Subject::Either),
    ("pair", Subject::Pair),
];

pub(super) const NEEDS: [(&str, Need); 8] = [
    ("strict-kex", Need::StrictKex),
    ("prefers-curve25519", Need::PrefersCurve25519),
    ("password", Need::Password),
    ("multiplex", Need::Multiplex),
    ("session-requests", Need::SessionRequests),
    ("known-users", Need::KnownUsers),
    ("fillable-window", Need::FillableWindow),
    ("rekey-limit", Need::RekeyLimit),
];

const LEVELS: [(&str, Level); 4] = [
    ("may", Level::May),
    ("should", Level::Should),
    ("must", Level::Must),
    ("security", Level::Security),
];

/// What the header lines said so far.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) name: Option<String>,
    /// Where the name stands, for the comparison with the path.
    pub(super) name_at: Range<usize>,
    pub(super) subject: Option<Subject>,
    pub(super) needs: Vec<Need>,
    pub(super) cites: Vec<String>,
    pub(super) level: Option<Level>,
    pub(super) consequence: Option<String>,
    seen: Vec<&'static str>,
}

impl Header {
    /// Takes in one line that begins with one of [`WORDS`].
    pub(super) fn read(&mut self, line: &Line<'_>, catalogue: &Catalogue, mistakes: &mut Mistakes) {
        let Some((first, values)) = line.words.split_first() else {
            return;
        };
        let Some(word) = WORDS.into_iter().find(|word| *word == first.text) else {
            return;
        };
        if self.seen.contains(&word) {
            mistakes.add(
                first.span(),
                format!("`{word}` stands here a second time"),
                None,
            );
        }
        self.seen.push(word);
        if values.is_empty() {
            mistakes.add(
                first.span(),
                format!("after `{word}` there must be a value"),
                None,
            );
        }
        match word {
            "needs" => self.needs = each(values, &NEEDS, "need", mistakes),
            "cites" => self.read_cites(values, catalogue, mistakes),
            "consequence" => self.consequence = rest_of(line),
            _ => self.read_single(word, values, mistakes),
        }
    }

    fn read_single(&mut self, word: &str, values: &[Word<'_>], mistakes: &mut Mistakes) {
        if let Some(extra) = values.get(1) {
            mistakes.add(
                extra.span(),
                format!("after `{word}` there must be one value"),
                None,
            );
        }
        let Some(&value) = values.first() else { return };
        match word {
            "subject" => self.subject = one(value, &SUBJECTS, "subject", mistakes),
            "level" => self.level = one(value, &LEVELS, "level", mistakes),
            _ => {
                self.name = Some(value.text.to_owned());
                self.name_at = value.span();
            }
        }
    }

    fn read_cites(&mut self, values: &[Word<'_>], catalogue: &Catalogue, mistakes: &mut Mistakes) {
        for value in values {
            if catalogue.get(value.text).is_none() {
                let known = catalogue.iter().map(|clause| clause.id.as_str());
                let help = suggest::nearest(value.text, known).map_or(
                    "the clauses are in fixtures/requirements".to_owned(),
                    |meant| format!("did you mean `{meant}`?"),
                );
                let message = format!("there is no clause `{}`", value.text);
                mistakes.add(value.span(), message, Some(help));
            }
            self.cites.push(value.text.to_owned());
        }
    }

    /// Notes what every scenario must say and this one does not.
    pub(super) fn demand_all(&self, at: Range<usize>, mistakes: &mut Mistakes) {
        for word in ["scenario", "subject", "cites"] {
            if !self.seen.contains(&word) {
                mistakes.add(at.clone(), format!("there is no `{word}` line"), None);
            }
        }
    }
}

/// The line's text after its first word.
fn rest_of(line: &Line<'_>) -> Option<String> {
    let rest = line.source.split_once(char::is_whitespace)?.1.trim();
    (!rest.is_empty()).then(|| rest.to_owned())
}

/// The meaning of a word of a closed list.
pub(super) fn one<T: Copy>(
    word: Word<'_>,
    known: &[(&str, T)],
    what: &str,
    mistakes: &mut Mistakes,
) -> Option<T> {
    let found = known
        .iter()
        .find(|(name, _)| *name == word.text)
        .map(|(_, meaning)| *meaning);
    if found.is_none() {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let message = format!("there is no {what} `{}`", word.text);
        mistakes.add(word.span(), message, suggest::help(word.text, &names));
    }
    found
}

fn each<T: Copy>(
    words: &[Word<'_>],
    known: &[(&str, T)],
    what: &str,
    mistakes: &mut Mistakes,
) -> Vec<T> {
    words
        .iter()
        .filter_map(|word| one(*word, known, what, mistakes))
        .collect()
}
