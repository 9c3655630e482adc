//! Failures that look alike, together: one mistake of a subject makes many cases fail.

use std::collections::HashMap;
use std::fmt::Write as _;

use owo_colors::OwoColorize;

use super::record::{Case, Record};
use super::sign::Sign;
use super::tint::harmless;

/// From so many cases on there is something in common to speak of.
const ALIKE_MIN: usize = 3;

/// Most causes that are named.
const NAMED_MAX: usize = 8;

/// Most characters of what came that are shown.
const CHARS_MAX: usize = 240;

/// What came instead, and of which cases it is told.
pub(super) struct Cause<'a> {
    pub(super) actual: String,
    pub(super) cases: Vec<&'a Case>,
}

/// What many failures have in common, the most frequent first.
pub(super) fn common(record: &Record) -> Vec<Cause<'_>> {
    let mut causes: Vec<Cause<'_>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let news = |case: &&Case| matches!(Sign::of(case), Some(Sign::Fail | Sign::Broken));
    for case in record.cases.iter().filter(news) {
        let Some(failure) = &case.failure else {
            continue;
        };
        let place = *places.entry(gist(&failure.actual)).or_insert_with(|| {
            causes.push(Cause {
                actual: one_line(&failure.actual),
                cases: Vec::new(),
            });
            causes.len() - 1
        });
        causes[place].cases.push(case);
    }
    causes.retain(|cause| cause.cases.len() >= ALIKE_MIN);
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.cases.len()));
    causes.truncate(NAMED_MAX);
    causes
}

/// Renders them for a terminal; nothing where failures have nothing in common.
pub(super) fn render(record: &Record) -> String {
    let mut text = String::new();
    for Cause { actual, cases } in common(record) {
        if text.is_empty() {
            text.push_str("\nwhat came instead, most often first\n");
        }
        let _ = writeln!(text, "  {:>5} × {actual}", cases.len());
        if let Some(first) = cases.first() {
            let _ = writeln!(text, "          {} {}", "such as".dimmed(), first.rerun);
        }
    }
    text
}

/// What is alike in texts that differ in their figures only.
fn gist(actual: &str) -> String {
    let words = actual.split(|c: char| !c.is_alphanumeric());
    let gist: Vec<&str> = words
        .filter(|word| !word.is_empty())
        .map(|word| match word.contains(|c: char| c.is_ascii_digit()) {
            true => "#",
            false => word,
        })
        .collect();
    gist.join(" ")
}

fn one_line(actual: &str) -> String {
    let line = harmless(actual).replace('\n', " ");
    match line.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
