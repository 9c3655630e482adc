//! One case that did not simply pass, with everything needed to understand it: the packets, the
//! step, what was expected and what came, the clause, what a breach does to the other side, and
//! the command that runs the case again.

use std::fmt::Write as _;
use std::path::Path;

use owo_colors::OwoColorize;

use super::Clauses;
use super::files::PACKETS;
use super::record::Record;
use super::tint::{harmless, tinted, word};
use crate::run::event::{Case, MINISSH, SCRIPTED};
use crate::scenario::{Level, Scenario};
use crate::verdict::{Failure, Outcome};

/// Packets shown; the file has all of them.
const PACKETS_MAX: usize = 24;

/// How many of them came after the verdict fell.
const PACKETS_AFTER: usize = 4;

/// How long the line of a packet may get; a KEXINIT is longer.
const PACKET_CHARS_MAX: usize = 160;

/// Lines of the scenario shown before and after the one that decided.
const CONTEXT_LINES: usize = 3;

/// Renders one case for people. `files` is where its packets and logs are.
#[must_use]
pub fn render(
    case: &Case,
    outcome: &Outcome,
    record: &Record,
    clauses: &Clauses,
    files: &Path,
) -> String {
    let mut text = heading(case, outcome, record);
    packets(&mut text, case, outcome, files);
    if let Some(failure) = &outcome.failure {
        step(&mut text, &case.scenario, failure);
        item(&mut text, "expected", &failure.expected);
        item(&mut text, "actual", &failure.actual);
    }
    for id in &case.scenario.cites {
        item(
            &mut text,
            "clause",
            &clause(id, case.scenario.level, clauses),
        );
    }
    if !case.scenario.consequence.is_empty() {
        item(&mut text, "consequence", &case.scenario.consequence);
    }
    for note in &outcome.notes {
        item(&mut text, "note", note);
    }
    if let Some(hint) = outcome
        .failure
        .as_ref()
        .and_then(|failure| failure.hint.as_ref())
    {
        item(&mut text, "hint", hint);
    }
    item(&mut text, "again", &case.rerun);
    item(&mut text, "files", &files.display().to_string());
    text
}

/// The same in short, for the many that a common cause makes fail.
#[must_use]
pub fn brief(case: &Case, outcome: &Outcome, record: &Record, files: &Path) -> String {
    let mut text = heading(case, outcome, record);
    if let Some(failure) = &outcome.failure {
        item(&mut text, "step", &failure.step);
        item(&mut text, "actual", &failure.actual);
    }
    item(&mut text, "again", &case.rerun);
    item(&mut text, "files", &files.display().to_string());
    text
}

/// The verdict, the case, and who took part.
fn heading(case: &Case, outcome: &Outcome, record: &Record) -> String {
    let verdict = tinted(
        &format!("{:<4}", word(outcome.verdict).to_uppercase()),
        outcome.verdict,
    );
    let pairing = &case.pairing;
    format!(
        "{verdict}  {}  {pairing}  ({} → {})\n",
        case.scenario.name.bold(),
        record.version(&pairing.client),
        record.version(&pairing.server),
    )
}

fn packets(text: &mut String, case: &Case, outcome: &Outcome, files: &Path) {
    if outcome.trace.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "      {}",
        format!("packets, as {} saw them", witness(case)).dimmed()
    );
    let decided = outcome.decided_at.unwrap_or(outcome.trace.len());
    let until = outcome.trace.len().min(decided + PACKETS_AFTER);
    let from = until.saturating_sub(PACKETS_MAX);
    left_out(text, from, files);
    for (number, entry) in (1..).zip(&outcome.trace).take(until).skip(from) {
        let line = cut(&entry.to_string());
        let _ = if number == decided && outcome.decided_at.is_some() {
            writeln!(text, "    ▶ {}", line.bold())
        } else {
            writeln!(text, "      {line}")
        };
    }
    left_out(text, outcome.trace.len() - until, files);
}

fn left_out(text: &mut String, packets: usize, files: &Path) {
    if packets > 0 {
        let file = files.join(PACKETS);
        let line = format!("… {packets} packets left out, all in {}", file.display());
        let _ = writeln!(text, "        {}", line.dimmed());
    }
}

/// A line of a trace, at most so long that it is still read.
fn cut(line: &str) -> String {
    match line.char_indices().nth(PACKET_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

/// Whose trace a case has: the scripted endpoint's, else the one of minissh.
fn witness(case: &Case) -> &'static str {
    let scripted = [&case.pairing.client, &case.pairing.server]
        .into_iter()
        .any(|id| id == SCRIPTED);
    if scripted {
        "the scripted endpoint"
    } else {
        MINISSH
    }
}

/// The lines around the one that decided, or what we were doing.
fn step(text: &mut String, scenario: &Scenario, failure: &Failure) {
    let decided = scenario
        .steps
        .iter()
        .position(|step| Some(step.line) == failure.line);
    let Some(at) = decided else {
        return item(text, "while", &failure.step);
    };
    let _ = writeln!(text, "      {}", scenario.path.display().dimmed());
    let first = at.saturating_sub(CONTEXT_LINES);
    for step in scenario.steps[first..]
        .iter()
        .take(at - first + 1 + CONTEXT_LINES)
    {
        let line = format!("{:>4}  {}", step.line, step.source);
        let _ = if Some(step.line) == failure.line {
            writeln!(text, "    ▶ {}", line.bold())
        } else {
            writeln!(text, "      {line}")
        };
    }
}

/// `actual:   text`, further lines below the first.
fn item(text: &mut String, name: &str, value: &str) {
    let value = harmless(value.trim_end());
    let value = value.replace('\n', "\n                   ");
    let _ = writeln!(
        text,
        "      {} {value}",
        format!("{:<12}", format!("{name}:")).dimmed()
    );
}

fn clause(id: &str, level: Level, clauses: &Clauses) -> String {
    let level = match level {
        Level::May => "may",
        Level::Should => "should",
        Level::Must => "must",
        Level::Security => "must, for security",
    };
    match clauses(id) {
        Some(quoted) => format!("{quoted} [{id}, {level}]"),
        None => format!("{id} [{level}]"),
    }
}
