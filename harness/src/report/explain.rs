//! One case that did not simply pass, with everything needed to understand it: the packets, the
//! step, what was expected and what came, the clause, what a breach does to the other side, and
//! the command that runs the case again.

use std::fmt::Write as _;

use owo_colors::OwoColorize;

use super::record::{Case, Packets, Record, Scenario};
use super::tint::{harmless, tinted, word};
use crate::run::event::SCRIPTED;
use crate::scenario::Level;
use crate::verdict::Failure;
use crate::wording::count;

/// Packets shown.
const PACKETS_MAX: usize = 24;

/// How many of them came after the verdict fell.
const PACKETS_AFTER: usize = 4;

/// How long the line of a packet may get; a KEXINIT is longer.
const PACKET_CHARS_MAX: usize = 160;

/// Lines of the scenario shown before and after the one that decided.
const CONTEXT_LINES: usize = 3;

/// Renders one case for people.
#[must_use]
pub fn render(record: &Record, case: &Case) -> String {
    let mut text = heading(record, case);
    packets(&mut text, case);
    let scenario = record.scenario_of(case);
    if let Some(failure) = &case.failure {
        step(&mut text, scenario, failure);
        item(&mut text, "expected", &failure.expected);
        item(&mut text, "actual", &failure.actual);
    }
    if let Some(scenario) = scenario {
        for id in &scenario.cites {
            item(&mut text, "clause", &clause(record, id, scenario.level));
        }
    }
    if let Some(consequence) = record.consequence_of(case) {
        item(&mut text, "consequence", consequence);
    }
    for note in &case.notes {
        item(&mut text, "note", note);
    }
    if let Some(known) = &case.known {
        item(&mut text, "known", &format!("as {known}"));
    }
    if let Some(hint) = case.failure.as_ref().and_then(|f| f.hint.as_ref()) {
        item(&mut text, "hint", hint);
    }
    footer(&mut text, case);
    text
}

/// The same in short, for the many that a common cause makes fail.
#[must_use]
pub fn brief(record: &Record, case: &Case) -> String {
    let mut text = heading(record, case);
    if let Some(failure) = &case.failure {
        item(&mut text, "step", &failure.step);
        item(&mut text, "actual", &failure.actual);
    }
    let scenario = record.scenario_of(case);
    if let Some((scenario, id)) = scenario.and_then(|it| Some((it, it.cites.first()?))) {
        item(&mut text, "clause", &clause(record, id, scenario.level));
    }
    footer(&mut text, case);
    text
}

/// The verdict, the case, and who took part.
fn heading(record: &Record, case: &Case) -> String {
    let verdict = case.verdict.map_or_else(String::new, |verdict| {
        tinted(&format!("{:<4}", word(verdict).to_uppercase()), verdict)
    });
    format!(
        "{verdict}  {}  {}  ({} → {})\n",
        case.scenario.bold(),
        case.pairing(),
        record.version(&case.client),
        record.version(&case.server),
    )
}

fn footer(text: &mut String, case: &Case) {
    item(text, "again", &case.rerun);
    if let Some(files) = &case.files {
        item(text, "files", files);
    }
}

fn packets(text: &mut String, case: &Case) {
    let Packets {
        before,
        shown,
        after,
        decided,
    } = &case.packets;
    if shown.is_empty() {
        return;
    }
    let witness = match case.witness() {
        SCRIPTED => "the scripted endpoint",
        id => id,
    };
    let until = shown
        .len()
        .min(decided.unwrap_or(shown.len()) + PACKETS_AFTER);
    let from = until.saturating_sub(PACKETS_MAX);
    let lines = shown.iter().map(ToString::to_string);
    let lines: Vec<String> = lines.take(until).skip(from).collect();
    let whole = match case.files {
        Some(_) if lines.iter().any(|line| cut(line) != *line) => "; packets.txt has them whole",
        _ => "",
    };
    let heading = format!("packets, as {witness} saw them{whole}");
    let _ = writeln!(text, "      {}", heading.dimmed());
    left_out(text, before + from as u64);
    for (number, line) in (from + 1..).zip(&lines) {
        let line = cut(line);
        let _ = if *decided == Some(number) {
            writeln!(text, "    ▶ {}", line.bold())
        } else {
            writeln!(text, "      {line}")
        };
    }
    left_out(text, after + (shown.len() - until) as u64);
}

fn left_out(text: &mut String, packets: u64) {
    if packets > 0 {
        let packets = count(usize::try_from(packets).unwrap_or(usize::MAX), "packet");
        let line = format!("… {packets} left out");
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

/// The lines around the one that decided, or what we were doing.
fn step(text: &mut String, scenario: Option<&Scenario>, failure: &Failure) {
    let found = scenario.and_then(|scenario| {
        let mut steps = scenario.steps.iter();
        let at = steps.position(|step| Some(step.line) == failure.line)?;
        Some((scenario, at))
    });
    let Some((scenario, at)) = found else {
        return item(text, "while", &failure.step);
    };
    let _ = writeln!(text, "      {}", scenario.path.dimmed());
    let first = at.saturating_sub(CONTEXT_LINES);
    let around = at - first + 1 + CONTEXT_LINES;
    for step in scenario.steps.iter().skip(first).take(around) {
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

fn clause(record: &Record, id: &str, level: Level) -> String {
    let level = match level {
        Level::May => "may",
        Level::Should => "should",
        Level::Must => "must",
        Level::Security => "must, for security",
    };
    match record.clauses.get(id) {
        Some(clause) => format!("{clause} [{id}, {level}]"),
        None => format!("{id} [{level}]"),
    }
}
