//! The end of a run at a glance: scenarios by peers, counts, and what was left out.

use std::fmt::Write as _;

use owo_colors::OwoColorize;

use super::record::{Case, Record};
use super::tint::{VERDICTS, harmless, tinted, word};
use super::{causes, matrix};
use crate::run::event::{LeftOut, Tally};
use crate::verdict::Verdict;
use crate::wording::count;

/// Things left out for one reason that are named; a peer that lacks something lacks it in many
/// scenarios.
const NAMED_MAX: usize = 6;

/// Renders the whole summary for a terminal of so many columns.
#[must_use]
pub fn render(record: &Record, width: usize) -> String {
    let mut text = matrix::render(record, width);
    let _ = writeln!(text, "\n{}", counts(record));
    text.push_str(&causes::render(record));
    text.push_str(&flaky(record));
    text.push_str(&left_out(&record.left_out, NAMED_MAX));
    text
}

fn counts(record: &Record) -> String {
    let is_surprise = |case: &&Case| case.surprise && case.known.is_some();
    let surprises = record.cases.iter().filter(is_surprise).count();
    let mut verdicts = with_known(&record.tally, surprises);
    if record.unfinished() > 0 {
        let _ = write!(verdicts, ", {} not run", record.unfinished());
    }
    let (tenths, cases) = (record.took_ms / 100, record.cases.len());
    let (secs, tenth) = (tenths / 10, tenths % 10);
    format!(
        "{}: {verdicts}, in {secs}.{tenth} s (seed {})",
        count(cases, "case"),
        record.seed
    )
}

/// Every case that did not end the same way each time, by name.
fn flaky(record: &Record) -> String {
    let mut text = String::new();
    for case in record.cases.iter().filter(|case| case.is_flaky()) {
        if text.is_empty() {
            text.push_str("\nflaky\n");
        }
        let mut tally = Tally::default();
        case.runs.iter().for_each(|verdict| tally.add(*verdict));
        let _ = writeln!(
            text,
            "  {} {}: {}",
            case.scenario,
            case.pairing(),
            verdicts(&tally)
        );
        for note in &case.notes {
            let _ = writeln!(text, "    {}", harmless(note));
        }
        if let Some(files) = &case.files {
            let _ = writeln!(text, "    files: {}", harmless(files));
        }
    }
    text
}

/// How many ended in each verdict: `10 pass, 2 fail (1 of these as known)`.
#[must_use]
pub fn verdicts(tally: &Tally) -> String {
    with_known(tally, 0)
}

/// The same of cases so many of which ended otherwise than is known of them.
fn with_known(tally: &Tally, surprises: usize) -> String {
    let parts: Vec<String> = VERDICTS
        .into_iter()
        .filter(|verdict| tally.of(*verdict) > 0 || *verdict == Verdict::Pass)
        .map(|verdict| {
            let text = format!("{} {}", tally.of(verdict), word(verdict));
            tinted(&text, verdict)
        })
        .collect();
    let known: Vec<String> = [(tally.known, "as known"), (surprises, "not as known")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, how)| format!("{count} of these {how}"))
        .collect();
    match known.is_empty() {
        true => parts.join(", "),
        false => format!("{} ({})", parts.join(", "), known.join(", ")),
    }
}

/// What was left out, with one reason said once for all it applies to, of which at most so many are
/// named.
#[must_use]
pub fn left_out(left_out: &[LeftOut], named_max: usize) -> String {
    let mut text = String::new();
    let reasons = reasons(left_out);
    if !reasons.is_empty() {
        text.push_str("\nskipped\n");
    }
    for Reason { why, hint, whats } in reasons {
        for what in whats.iter().take(named_max) {
            let _ = writeln!(text, "  {what}");
        }
        if whats.len() > named_max {
            let _ = writeln!(
                text,
                "  … and {} more (`--list` names all)",
                whats.len() - named_max
            );
        }
        let indented = |text: &str| harmless(text.trim_end()).replace('\n', "\n      ");
        let _ = writeln!(text, "    {}", indented(why));
        if let Some(hint) = hint {
            let _ = writeln!(text, "    {} {}", "hint:".cyan(), indented(hint));
        }
    }
    text
}

/// Why things were left out, and which.
pub(super) struct Reason<'a> {
    pub(super) why: &'a str,
    pub(super) hint: Option<&'a str>,
    pub(super) whats: Vec<&'a str>,
}

/// Every reason once.
pub(super) fn reasons(left_out: &[LeftOut]) -> Vec<Reason<'_>> {
    let mut reasons: Vec<Reason<'_>> = Vec::new();
    for LeftOut { what, why, hint } in left_out {
        let hint = hint.as_deref();
        match reasons.iter_mut().find(|r| r.why == why && r.hint == hint) {
            Some(reason) => reason.whats.push(what),
            None => reasons.push(Reason {
                why,
                hint,
                whats: vec![what],
            }),
        }
    }
    reasons
}
