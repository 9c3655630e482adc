//! The end of a run at a glance: scenarios by peers, counts, and what was left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use owo_colors::OwoColorize;

use super::record::Record;
use super::tint::{VERDICTS, harmless, mark, tinted, word};
use crate::run::event::{Case, LeftOut, Pairing, Tally};
use crate::run::{MINISSH, SCRIPTED};
use crate::verdict::Verdict;

/// A case that was planned and did not end.
const UNFINISHED: char = '?';

/// A column of the matrix: a peer in a role. What it faces follows from the scenario: minissh
/// when two whole implementations meet, else the scripted endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Column<'a> {
    peer: &'a str,
    role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Server,
    Client,
}

impl Role {
    const ALL: [Self; 2] = [Self::Server, Self::Client];

    fn letter(self) -> char {
        match self {
            Self::Server => 's',
            Self::Client => 'c',
        }
    }
}

/// Renders the whole summary. `took` is the time that went by.
#[must_use]
pub fn render(record: &Record, took: Duration) -> String {
    let mut text = matrix(record);
    let _ = writeln!(text, "\n{}", counts(record, took));
    text.push_str(&left_out(&record.left_out));
    text
}

/// Scenarios down, peers and their roles across.
fn matrix(record: &Record) -> String {
    let peers = peers(record);
    let cells: BTreeMap<(&str, Column<'_>), &Case> = record
        .cases
        .iter()
        .map(|case| {
            (
                (case.scenario.name.as_str(), column(&case.pairing)),
                &**case,
            )
        })
        .collect();
    let names: Vec<&str> = names(record);
    let name_width = names.iter().map(|name| name.len()).max().unwrap_or(0);

    let mut text = String::new();
    for heading in headings(&peers) {
        let _ = writeln!(text, "{:name_width$}  {heading}", "");
    }
    for name in names {
        let _ = write!(text, "{name:name_width$}");
        for peer in &peers {
            let _ = write!(text, "  ");
            let mut width = 0;
            for role in Role::ALL {
                let case = cells.get(&(name, Column { peer, role }));
                let _ = write!(
                    text,
                    "{} ",
                    case.map_or(" ".to_owned(), |case| cell(record, case))
                );
                width += 2;
            }
            let _ = write!(text, "{:1$}", "", column_width(peer) - width);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    let _ = writeln!(text, "\n{}", legend(record));
    text
}

fn cell(record: &Record, case: &Case) -> String {
    match record.outcome(case) {
        Some(outcome) => tinted(&mark(outcome.verdict).to_string(), outcome.verdict),
        None => UNFINISHED.to_string(),
    }
}

/// The side of a pairing that is not there anyway.
fn column(pairing: &Pairing) -> Column<'_> {
    let client_is_given =
        pairing.client == SCRIPTED || (pairing.client == MINISSH && pairing.server != SCRIPTED);
    if client_is_given {
        Column {
            peer: &pairing.server,
            role: Role::Server,
        }
    } else {
        Column {
            peer: &pairing.client,
            role: Role::Client,
        }
    }
}

/// The peers that have a column, in the order of the participants.
fn peers(record: &Record) -> Vec<&str> {
    let used: BTreeSet<&str> = record
        .cases
        .iter()
        .map(|case| column(&case.pairing).peer)
        .collect();
    let listed = record
        .participants
        .iter()
        .map(|participant| participant.id.as_str());
    let listed: Vec<&str> = listed.filter(|id| used.contains(id)).collect();
    let unlisted = used.iter().filter(|id| !listed.contains(*id)).copied();
    listed.iter().copied().chain(unlisted).collect()
}

fn names(record: &Record) -> Vec<&str> {
    let mut names: Vec<&str> = record
        .cases
        .iter()
        .map(|case| &*case.scenario.name)
        .collect();
    names.dedup();
    names
}

/// Two lines with the parts of the ids, and one with the roles.
fn headings(peers: &[&str]) -> [String; 3] {
    let line = |part: &dyn Fn(&str) -> String| {
        let cells = peers
            .iter()
            .map(|peer| format!("{:<1$}", part(peer), column_width(peer)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let roles = Role::ALL.map(Role::letter).map(String::from).join(" ");
    [
        line(&|peer| split(peer).0.to_owned()),
        line(&|peer| split(peer).1.to_owned()),
        line(&|_| roles.clone()),
    ]
}

/// An id is cut at its first dash, so that columns are narrow.
fn split(peer: &str) -> (&str, &str) {
    peer.split_once('-').unwrap_or((peer, ""))
}

fn column_width(peer: &str) -> usize {
    let (upper, lower) = split(peer);
    upper.len().max(lower.len()).max(2 * Role::ALL.len())
}

/// What the marks mean, those that appear.
fn legend(record: &Record) -> String {
    let mut parts: Vec<String> = VERDICTS
        .into_iter()
        .filter(|verdict| count(&record.tally, *verdict) > 0)
        .map(|verdict| {
            format!(
                "{} {}",
                tinted(&mark(verdict).to_string(), verdict),
                word(verdict)
            )
        })
        .collect();
    if record.unfinished() > 0 {
        parts.push(format!("{UNFINISHED} did not run to its end"));
    }
    parts.push("s the peer as server".to_owned());
    parts.push("c as client".to_owned());
    parts.join("   ")
}

fn counts(record: &Record, took: Duration) -> String {
    let mut parts: Vec<String> = VERDICTS
        .into_iter()
        .filter(|verdict| count(&record.tally, *verdict) > 0 || *verdict == Verdict::Pass)
        .map(|verdict| {
            let text = format!("{} {}", count(&record.tally, verdict), word(verdict));
            tinted(&text, verdict)
        })
        .collect();
    if record.unfinished() > 0 {
        parts.push(format!("{} not run", record.unfinished()));
    }
    format!(
        "{} cases: {}, in {:.1} s (seed {:#x})",
        record.cases.len(),
        parts.join(", "),
        took.as_secs_f64(),
        record.seed
    )
}

fn count(tally: &Tally, verdict: Verdict) -> usize {
    match verdict {
        Verdict::Pass => tally.pass,
        Verdict::Deviation => tally.deviation,
        Verdict::Fail => tally.fail,
        Verdict::Unsupported => tally.unsupported,
        Verdict::Broken => tally.broken,
    }
}

/// What was left out, with one reason said once for all it applies to.
#[must_use]
pub fn left_out(left_out: &[LeftOut]) -> String {
    let mut reasons: Vec<(&str, Option<&str>, Vec<&str>)> = Vec::new();
    for LeftOut { what, why, hint } in left_out {
        match reasons
            .iter_mut()
            .find(|(w, h, _)| w == why && *h == hint.as_deref())
        {
            Some((_, _, whats)) => whats.push(what),
            None => reasons.push((why, hint.as_deref(), vec![what])),
        }
    }
    let mut text = String::new();
    if !reasons.is_empty() {
        text.push_str("\nskipped\n");
    }
    for (why, hint, whats) in reasons {
        for what in whats {
            let _ = writeln!(text, "  {what}");
        }
        let indented = |text: &str| harmless(text.trim_end()).replace('\n', "\n      ");
        let _ = writeln!(text, "    {}", indented(why));
        if let Some(hint) = hint {
            let _ = writeln!(text, "    {} {}", "hint:".cyan(), indented(hint));
        }
    }
    text
}
