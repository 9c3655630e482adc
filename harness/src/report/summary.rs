//! The end of a run at a glance: scenarios by peers, counts, and what was left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use owo_colors::OwoColorize;

use super::record::Record;
use super::tint::{VERDICTS, harmless, mark, tinted, word};
use crate::run::event::{Case, LeftOut, MINISSH, Pairing, SCRIPTED, Tally};
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

/// Renders the whole summary. `took` is the time that went by, `width` the columns there are.
#[must_use]
pub fn render(record: &Record, took: Duration, width: usize) -> String {
    let mut text = matrix(record, width);
    let _ = writeln!(text, "\n{}", counts(record, took));
    text.push_str(&left_out(&record.left_out));
    text
}

/// Scenarios down, peers and their roles across; as often as it takes for all peers.
fn matrix(record: &Record, width: usize) -> String {
    let names = names(record);
    let name_width = names.iter().map(|name| name.len()).max().unwrap_or(0);
    let cells: Cells<'_> = record
        .cases
        .iter()
        .map(|case| ((&*case.scenario.name, column(&case.pairing)), &**case))
        .collect();
    let mut text = String::new();
    for peers in side_by_side(&peers(record), width.saturating_sub(name_width)) {
        for heading in headings(&peers) {
            let _ = writeln!(text, "{:name_width$}  {heading}", "");
        }
        for name in &names {
            let row = row(record, &cells, name, &peers);
            let _ = writeln!(text, "{}", format!("{name:name_width$}{row}").trim_end());
        }
        text.push('\n');
    }
    let _ = writeln!(text, "{}", legend(record));
    text
}

/// Cases by their place in the matrix.
type Cells<'a> = BTreeMap<(&'a str, Column<'a>), &'a Case>;

/// The cells of one scenario.
fn row(record: &Record, cells: &Cells<'_>, name: &str, peers: &[&str]) -> String {
    let mut text = String::new();
    for peer in peers {
        let mut cell_of = |role| {
            let case = cells.get(&(name, Column { peer, role }));
            case.map_or(" ".to_owned(), |case| cell(record, case))
        };
        // Colours count as characters, so that no padding of the format would be right.
        let roles = Role::ALL.map(&mut cell_of).join(" ");
        let padding = column_width(peer) + 1 - 2 * Role::ALL.len();
        let _ = write!(text, "  {roles}{:padding$}", "");
    }
    text
}

/// The peers in groups that fit into so many columns; at least one in each.
fn side_by_side<'a>(peers: &[&'a str], width: usize) -> Vec<Vec<&'a str>> {
    let mut groups: Vec<Vec<&str>> = Vec::new();
    let mut left = 0;
    for peer in peers {
        let wanted = column_width(peer) + 2;
        match groups.last_mut() {
            Some(group) if wanted <= left => group.push(peer),
            _ => {
                groups.push(vec![peer]);
                left = width;
            }
        }
        left = left.saturating_sub(wanted);
    }
    groups
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
    format!("{}\ns the peer as server   c as client", parts.join("   "))
}

fn counts(record: &Record, took: Duration) -> String {
    let mut verdicts = verdicts(&record.tally);
    if record.unfinished() > 0 {
        let _ = write!(verdicts, ", {} not run", record.unfinished());
    }
    format!(
        "{} cases: {verdicts}, in {:.1} s (seed {:#x})",
        record.cases.len(),
        took.as_secs_f64(),
        record.seed
    )
}

/// How many ended in each verdict: `10 pass, 1 fail`.
#[must_use]
pub fn verdicts(tally: &Tally) -> String {
    let parts: Vec<String> = VERDICTS
        .into_iter()
        .filter(|verdict| count(tally, *verdict) > 0 || *verdict == Verdict::Pass)
        .map(|verdict| {
            let text = format!("{} {}", count(tally, verdict), word(verdict));
            tinted(&text, verdict)
        })
        .collect();
    parts.join(", ")
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
