//! What changed from one run to another: verdicts that are worse or better, cases that are new or
//! gone, and peers that are of another version.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use owo_colors::OwoColorize;

use super::record::{Case, Record};
use super::tint::{badness, harmless, tinted, word};
use crate::verdict::Verdict;
use crate::wording::count;

/// In which way a case changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Its verdict is worse than it was.
    Worse,
    /// Its verdict is better than it was.
    Better,
    /// Only the new run has it.
    New,
    /// Only the old run has it.
    Gone,
}

impl Kind {
    /// All of them, in the order in which they are told.
    const ALL: [Self; 4] = [Self::Worse, Self::Better, Self::New, Self::Gone];

    fn title(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Better => "better",
            Self::New => "new",
            Self::Gone => "gone",
        }
    }
}

/// A case that changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change<'a> {
    /// How.
    pub kind: Kind,
    /// As the new run has it, or the old one if that is the only one that does.
    pub case: &'a Case,
    /// The old verdict; none where there was none.
    pub old: Option<Verdict>,
}

/// Everything that changed between two runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Diff<'a> {
    /// The cases, in the order of the new run, then of the old one.
    pub changes: Vec<Change<'a>>,
    /// Peers of another version: id, old and new.
    pub versions: Vec<(&'a str, &'a str, &'a str)>,
    /// How many cases are in both runs.
    pub compared: usize,
}

/// Compares two runs, case by case.
#[must_use]
pub fn compare<'a>(old: &'a Record, new: &'a Record) -> Diff<'a> {
    let before: HashMap<_, _> = old.cases.iter().map(|case| (key(case), case)).collect();
    let after: BTreeSet<_> = new.cases.iter().map(key).collect();
    let changed = new.cases.iter().filter_map(|case| {
        let old = before.get(&key(case)).copied();
        let kind = match old.map(|old| badness(old.verdict)) {
            None => Kind::New,
            Some(old) if badness(case.verdict) > old => Kind::Worse,
            Some(old) if badness(case.verdict) < old => Kind::Better,
            Some(_) => return None,
        };
        let old = old.and_then(|old| old.verdict);
        Some(Change { kind, case, old })
    });
    let gone = old.cases.iter().filter(|case| !after.contains(&key(case)));
    let gone = gone.map(|case| Change {
        kind: Kind::Gone,
        case,
        old: case.verdict,
    });
    let versions = new.participants.iter().filter_map(|peer| {
        let was = old.version(&peer.id);
        let is_other = was != peer.id && was != peer.version;
        is_other.then_some((&*peer.id, was, &*peer.version))
    });
    Diff {
        changes: changed.chain(gone).collect(),
        versions: versions.collect(),
        compared: before.keys().filter(|key| after.contains(key)).count(),
    }
}

type Key<'a> = (&'a str, &'a str, &'a str);

fn key(case: &Case) -> Key<'_> {
    (&case.scenario, &case.client, &case.server)
}

impl Diff<'_> {
    /// How many cases changed in this way.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.changes
            .iter()
            .filter(|change| change.kind == kind)
            .count()
    }

    /// For people.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (id, was, is) in &self.versions {
            let _ = writeln!(text, "{id}: {} → {}", harmless(was), harmless(is));
        }
        for kind in Kind::ALL {
            let mut changes = self
                .changes
                .iter()
                .filter(|change| change.kind == kind)
                .peekable();
            if changes.peek().is_some() {
                let _ = writeln!(text, "\n{}", kind.title().bold());
            }
            for change in changes {
                change.render(&mut text);
            }
        }
        let counts = Kind::ALL.map(|kind| format!("{} {}", self.count(kind), kind.title()));
        let _ = writeln!(
            text,
            "\n{} compared: {}",
            count(self.compared, "case"),
            counts.join(", ")
        );
        text
    }
}

impl Change<'_> {
    fn render(&self, text: &mut String) {
        let (case, new) = (self.case, verdict(self.case.verdict));
        let verdicts = match self.kind {
            Kind::Worse | Kind::Better => format!("{} → {new}", verdict(self.old)),
            Kind::New | Kind::Gone => new,
        };
        let _ = writeln!(text, "  {} {}: {verdicts}", case.scenario, case.pairing());
        if self.kind == Kind::Worse {
            if let Some(failure) = &case.failure {
                let actual = harmless(failure.actual.trim_end()).replace('\n', "\n      ");
                let _ = writeln!(text, "      {actual}");
            }
            let _ = writeln!(text, "      {} {}", "again:".dimmed(), case.rerun);
        }
    }
}

fn verdict(verdict: Option<Verdict>) -> String {
    verdict.map_or("not run".to_owned(), |verdict| {
        tinted(word(verdict), verdict)
    })
}
