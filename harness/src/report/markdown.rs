//! The run as Markdown, for the summary page of a CI job: counts, the matrix of areas, and what did
//! not pass, with its clause and the command that runs it again.
//!
//! CI systems cut summaries at about a megabyte; what is not shown is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::causes::Cause;
use super::matrix::{columns, peers};
use super::record::{Case, Record};
use super::sign::Sign;
use super::summary::reasons;
use super::tint::harmless;
use super::{causes, explain, matrix};
use crate::run::event::Tally;
use crate::wording::count;

/// Cases that are told with their details.
const TOLD_MAX: usize = 50;

/// Cases that are named at least.
const NAMED_MAX: usize = 500;

/// Renders the run.
#[must_use]
pub fn render(record: &Record) -> String {
    let mut text = heading(record);
    areas(&mut text, record);
    in_common(&mut text, record);
    not_passed(&mut text, record);
    flaky(&mut text, record);
    participants(&mut text, record);
    left_out(&mut text, record);
    text
}

fn heading(record: &Record) -> String {
    let Record {
        cases,
        tally,
        seed,
        took_ms,
        ..
    } = record;
    let verdict = match tally {
        _ if Sign::Fail.count(cases) > 0 => "some cases failed",
        Tally { surprises: 1.., .. } => "some cases did not end as known",
        Tally { broken: 1.., .. } => "some cases could not be judged",
        _ if record.unfinished() > 0 => "stopped before the end",
        Tally { fail: 1.., .. } => "no case failed but as known",
        _ => "no case failed",
    };
    let counted = Sign::ALL.map(|sign| (sign, sign.count(cases)));
    let mut counts: Vec<String> = counted
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(sign, count)| format!("{} **{count}** {}", picture(sign), sign.words()))
        .collect();
    if record.unfinished() > 0 {
        counts.push(format!("❔ **{}** not run", record.unfinished()));
    }
    let (cases, counts, secs) = (
        count(cases.len(), "case"),
        counts.join(" · "),
        took_ms / 1000,
    );
    format!("## sshdrill: {verdict}\n\n{cases} in {secs} s, seed `{seed}`: {counts}\n")
}

/// Seen in a list; Markdown has no colours. What is known stands in a book.
fn picture(sign: Sign) -> &'static str {
    match sign {
        Sign::Pass => "✅",
        Sign::DeviationAsKnown => "📒",
        Sign::FailAsKnown => "📕",
        Sign::Deviation => "🟡",
        Sign::Unsupported => "➖",
        Sign::Broken => "💥",
        Sign::PassUnlikeKnown => "❗",
        Sign::Fail => "❌",
    }
}

/// Areas down, peers across, in each cell what did not pass.
fn areas(text: &mut String, record: &Record) {
    let mut cells: BTreeMap<(&str, &str), Vec<&Case>> = BTreeMap::new();
    let mut areas: Vec<&str> = Vec::new();
    for case in &record.cases {
        let area = matrix::area_of(&case.scenario);
        if !areas.contains(&area) {
            areas.push(area);
        }
        // A peer with itself is one case of its cell.
        let peers: BTreeSet<&str> = columns(case).iter().map(|column| column.peer).collect();
        for peer in peers {
            cells.entry((area, peer)).or_default().push(case);
        }
    }
    let peers = peers(record);
    let _ = writeln!(text, "\n| area | {} |", peers.join(" | "));
    let _ = writeln!(text, "|---|{}", ":-:|".repeat(peers.len()));
    for area in areas {
        let cells: Vec<String> = peers
            .iter()
            .map(|peer| {
                let cases = cells.get(&(area, *peer));
                cases.map_or_else(String::new, |cases| cell(cases))
            })
            .collect();
        let _ = writeln!(text, "| {area} | {} |", cells.join(" | "));
    }
}

fn cell(cases: &[&Case]) -> String {
    let count = |sign: Sign| sign.count(cases.iter().copied());
    let others = Sign::ALL.into_iter().filter(|sign| *sign != Sign::Pass);
    let others: Vec<String> = others
        .filter(|sign| count(*sign) > 0)
        .map(|sign| format!("{} {}", count(sign), picture(sign)))
        .collect();
    let ended = cases.iter().filter(|case| case.verdict.is_some()).count();
    match (others.is_empty(), ended) {
        (true, 0) => String::new(),
        (true, all) => format!("{all} ✅"),
        (false, all) => format!("{} of {all}", others.join(" ")),
    }
}

/// What many failures have in common: a mistake of the subject, more often than not.
fn in_common(text: &mut String, record: &Record) {
    for (number, Cause { actual, cases }) in causes::common(record).iter().enumerate() {
        if number == 0 {
            text.push_str("\n### What came instead, most often first\n\n");
        }
        let first = cases.first().map_or("", |case| &case.rerun);
        let _ = writeln!(
            text,
            "- **{}** × {}: `{first}`",
            cases.len(),
            quoted(actual)
        );
    }
}

/// What is news in full, and of what is known the reason.
fn not_passed(text: &mut String, record: &Record) {
    let mut told = 0;
    for sign in Sign::ALL.into_iter().rev() {
        let Some(title) = title(sign) else { continue };
        let has_it = |case: &&Case| Sign::of(case) == Some(sign);
        for (number, case) in record.cases.iter().filter(has_it).enumerate() {
            if number == 0 {
                let _ = writeln!(text, "\n### {} {title}\n", picture(sign));
            }
            told += 1;
            if told <= TOLD_MAX && !sign.is_as_known() {
                details(text, record, case);
            } else if told <= NAMED_MAX {
                let known = case.known.as_ref().map(|known| quoted(&known.reason));
                let known = known.map_or_else(String::new, |known| format!(": {known}"));
                let _ = writeln!(text, "- `{}` {}{known}", case.scenario, case.pairing());
            }
        }
    }
    if told > NAMED_MAX {
        let _ = writeln!(
            text,
            "\n… and {} more, all in the JSON report.",
            told - NAMED_MAX
        );
    }
}

/// Of those that have a section.
fn title(sign: Sign) -> Option<&'static str> {
    match sign {
        Sign::Broken => Some("Broken: our side or the environment, says nothing about the subject"),
        Sign::Deviation => Some("Deviations: a SHOULD was missed, or an alternative came"),
        Sign::DeviationAsKnown => Some("Deviations, as known"),
        Sign::Fail => Some("Failures: a clause was broken"),
        Sign::FailAsKnown => Some("Failures, as known"),
        Sign::PassUnlikeKnown => Some("Passes of cases that are known to end otherwise"),
        Sign::Pass | Sign::Unsupported => None,
    }
}

fn details(text: &mut String, record: &Record, case: &Case) {
    let Case {
        scenario, rerun, ..
    } = case;
    let pairing = case.pairing();
    let _ = writeln!(text, "<details>\n<summary><b>{scenario}</b> {pairing}");
    if let Some(failure) = &case.failure {
        let actual = harmless(&failure.actual);
        let line = actual.lines().next().unwrap_or_default();
        let _ = writeln!(text, "<br>{}", quoted(line));
    }
    let _ = writeln!(text, "</summary>\n");
    if let Some(known) = record.scenario_of(case) {
        for clause in known.cites.iter().filter_map(|id| record.clauses.get(id)) {
            let (source, says) = (quoted(&clause.source), quoted(&clause.says));
            let _ = writeln!(text, "> **{source}** {says}\n>");
        }
        if let Some(consequence) = record.consequence_of(case) {
            let _ = writeln!(text, "> {}", quoted(consequence));
        }
        text.push('\n');
    }
    let _ = writeln!(text, "```sh\n{rerun}\n```\n");
    let explained = explain::render(record, case);
    let plain = anstream::adapter::strip_str(&explained).to_string();
    let fence = fence(&plain);
    let _ = writeln!(
        text,
        "{fence}text\n{}\n{fence}\n\n</details>\n",
        plain.trim_end()
    );
}

/// A fence that nothing inside can close.
fn fence(text: &str) -> String {
    let mut longest = 2;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    "`".repeat(longest + 1)
}

/// Text of others, in which no markup works.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => quoted.push_str("&amp;"),
            '<' => quoted.push_str("&lt;"),
            '>' => quoted.push_str("&gt;"),
            '\n' => quoted.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '@' | '#' => {
                quoted.push('\\');
                quoted.push(c);
            }
            _ => quoted.push(c),
        }
    }
    quoted
}

fn flaky(text: &mut String, record: &Record) {
    for (number, case) in record
        .cases
        .iter()
        .filter(|case| case.is_flaky())
        .enumerate()
    {
        if number == 0 {
            text.push_str("\n### 🎲 Flaky\n\n");
        }
        let marks: String = case
            .runs
            .iter()
            .map(|verdict| Sign::from(*verdict).mark())
            .collect();
        let _ = writeln!(text, "- `{}` {} {marks}", case.scenario, case.pairing());
        for note in &case.notes {
            let _ = writeln!(text, "  - {}", quoted(note));
        }
    }
}

fn participants(text: &mut String, record: &Record) {
    text.push_str("\n<details>\n<summary>Who took part</summary>\n\n");
    for peer in &record.participants {
        let _ = writeln!(text, "- `{}` {}", peer.id, quoted(&peer.version));
    }
    text.push_str("\n</details>\n");
}

/// What is missing here and could be added, and how much had nothing to be tested.
fn left_out(text: &mut String, record: &Record) {
    if record.left_out.is_empty() {
        return;
    }
    text.push_str("\n<details>\n<summary>What was left out</summary>\n\n");
    for reason in reasons(&record.left_out) {
        let what = match reason.whats[..] {
            [what] => format!("`{what}`"),
            [first, ..] => format!("`{first}` and {} more", reason.whats.len() - 1),
            [] => continue,
        };
        let _ = writeln!(text, "- {what}: {}", quoted(reason.why));
        if let Some(hint) = reason.hint {
            let _ = writeln!(text, "  ({})", quoted(hint));
        }
    }
    text.push_str("\n</details>\n");
}
