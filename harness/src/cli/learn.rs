//! `sshdrill learn`: proposes what could stand in `fixtures/expected`, from the report of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::args::LearnArgs;
use super::runs::read;
use super::{Exit, Stop};
use crate::report::record::Record;
use crate::run::event::subjects;
use crate::run::expect::Versions;
use crate::verdict::Verdict;
use crate::verdict::capture::Side;

/// Prints an entry for each case that was not as expected, by the file that it belongs in. What is
/// proposed is for a person to judge: the reason is to be written.
pub(super) fn learn(args: &LearnArgs) -> Result<Exit, Stop> {
    let report = read(&args.report)?;
    let proposals = proposals(&report);
    if proposals.is_empty() {
        anstream::println!("# everything was as expected");
    }
    for (file, entries) in proposals {
        anstream::print!("# fixtures/expected/{file}.toml\n\n{}", entries.concat());
    }
    Ok(Exit::AsExpected)
}

/// What an entry says beside its versions and its reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Behaviour<'a> {
    /// The file that it belongs in: an id up to its first dash.
    file: &'a str,
    scenario: &'a str,
    role: &'static str,
    /// Several, when it was not the same each time.
    verdicts: BTreeSet<Verdict>,
}

/// Entries by the name of their file.
fn proposals(report: &Record) -> BTreeMap<String, Vec<String>> {
    // What was as expected is wanted, too: there a range of versions ends.
    let mut tried: BTreeMap<_, BTreeSet<Vec<u64>>> = BTreeMap::new();
    let mut found: BTreeMap<Behaviour, Found> = BTreeMap::new();
    for case in &report.cases {
        // What is broken says nothing of a peer, and nobody expects it.
        let verdict = case.verdict.filter(|verdict| *verdict != Verdict::Broken);
        let Some(verdict) = verdict else {
            continue;
        };
        // Whose doing it is when two others meet is for a person to find out.
        let [(side, id)] = subjects(&case.client, &case.server)[..] else {
            continue;
        };
        let role = match side {
            Side::Client => "client",
            Side::Server => "server",
        };
        let participant = report.participants.iter().find(|each| each.id == id);
        let version = participant.and_then(|each| Versions::numbers(&each.version));
        let behaviour = Behaviour {
            file: id.split('-').next().unwrap_or(id),
            scenario: &case.scenario,
            role,
            verdicts: case.runs.iter().copied().chain([verdict]).collect(),
        };
        tried
            .entry((behaviour.file, behaviour.scenario, role))
            .or_default()
            .extend(version.clone());
        if case.surprise {
            let found = found.entry(behaviour).or_default();
            found.versions.extend(version);
            let actual = case.failure.as_ref().map_or("", |f| f.actual.as_str());
            found.reason = actual.lines().next().unwrap_or_default();
            found.known = case.known.as_ref().map(|known| known.reason.as_str());
        }
    }

    let mut proposals: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (behaviour, found) in found {
        let Behaviour {
            file,
            scenario,
            role,
            verdicts,
        } = behaviour;
        let tried = &tried[&(file, scenario, role)];
        for versions in ranges(&found.versions, tried) {
            let mut entry = String::new();
            if let Some(known) = found.known {
                let _ = writeln!(entry, "# An entry says otherwise, and comes first: {known}");
            }
            entry.push_str("[[expected]]\n");
            let _ = writeln!(entry, "scenario = {}", quoted(scenario));
            let _ = writeln!(entry, "role = {}", quoted(role));
            if let Some(versions) = versions {
                let _ = writeln!(entry, "versions = {}", quoted(&versions));
            }
            let quoted_verdict = |verdict: &Verdict| quoted(&verdict.to_string());
            let each: Vec<String> = verdicts.iter().map(quoted_verdict).collect();
            let _ = match &each[..] {
                [only] => writeln!(entry, "verdict = {only}"),
                several => writeln!(entry, "verdict = [{}]", several.join(", ")),
            };
            let reason = format!("TODO: {}", found.reason);
            let _ = writeln!(entry, "reason = {}", quoted(&reason));
            // Where the peer's makers speak of it, or the lines that do it.
            entry.push_str("# link = \"https://…\"\n\n");
            proposals.entry(file.to_owned()).or_default().push(entry);
        }
    }
    proposals
}

/// Where a behaviour was seen.
#[derive(Default)]
struct Found<'a> {
    versions: BTreeSet<Vec<u64>>,
    /// What was seen there, the last time.
    reason: &'a str,
    /// The reason of an entry that says otherwise.
    known: Option<&'a str>,
}

/// Ranges that hold `seen` and nothing else of what was tried, lowest first; none where no version is
/// known.
/// What lies between a version that does it and the next that does not is taken in: somebody who
/// knows better will say where it ends.
fn ranges(seen: &BTreeSet<Vec<u64>>, tried: &BTreeSet<Vec<u64>>) -> Vec<Option<String>> {
    let tried: Vec<_> = tried.iter().collect();
    match &tried[..] {
        // Without a version, no range can be said.
        [] => return vec![None],
        // One says nothing of any other.
        [only] => return vec![Some(format!("={}", dotted(only)))],
        _ => {}
    }
    let mut ranges = Vec::new();
    let mut below = None;
    for run in tried.chunk_by(|a, b| seen.contains(*a) == seen.contains(*b)) {
        let above = run
            .last()
            .and_then(|last| tried.iter().find(|each| *each > last));
        if seen.contains(run[0]) {
            // Where all do it, older ones that nobody tried may do it, too; and yet it needs a bound.
            let begins = below.is_some() || above.is_none();
            let from = begins.then(|| format!(">={}", dotted(run[0])));
            let to = above.map(|above| format!("<{}", dotted(above)));
            let bounds: Vec<_> = from.into_iter().chain(to).collect();
            ranges.push(Some(bounds.join(", ")));
        }
        below = run.last();
    }
    ranges
}

fn dotted(version: &[u64]) -> String {
    let numbers: Vec<_> = version.iter().map(u64::to_string).collect();
    numbers.join(".")
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{
        "schema": 2, "tool": "sshdrill", "seed": "0x7", "took_ms": 1, "left_out": [],
        "tally": {"pass": 0, "deviation": 0, "fail": 2, "unsupported": 0, "broken": 1},
        "clauses": {}, "scenarios": {},
        "participants": [{"id": "dropbear-sid", "version": "Dropbear v2026.94"}],
        "cases": [
            {"scenario": "a/b", "client": "scripted", "server": "dropbear-sid", "seed": "0x1",
             "rerun": "", "verdict": "fail", "surprise": true,
             "failure": {"line": null, "step": "", "expected": "", "actual": "nothing in 10s",
                         "hint": null}},
            {"scenario": "a/racy", "client": "scripted", "server": "dropbear-sid", "seed": "0x1",
             "rerun": "", "verdict": "pass", "surprise": true, "runs": ["pass", "fail"],
             "failure": {"line": null, "step": "", "expected": "", "actual": "pass", "hint": null},
             "known": {"verdicts": ["fail"], "reason": "it may come too late"}},
            {"scenario": "a/known", "client": "scripted", "server": "dropbear-sid", "seed": "0x1",
             "rerun": "", "verdict": "fail"},
            {"scenario": "a/broken", "client": "scripted", "server": "dropbear-sid", "seed": "0x1",
             "rerun": "", "verdict": "broken", "surprise": true}
        ]
    }"#;

    #[test]
    fn an_entry_is_proposed_for_what_was_not_as_expected_and_for_nothing_else() {
        let report: Record = serde_json::from_str(REPORT).expect("a report");

        let proposals = proposals(&report);

        assert_eq!(proposals.len(), 1);
        insta::assert_snapshot!(proposals["dropbear"].concat(), @r#"
        [[expected]]
        scenario = "a/b"
        role = "server"
        versions = "=2026.94"
        verdict = "fail"
        reason = "TODO: nothing in 10s"
        # link = "https://…"

        # An entry says otherwise, and comes first: it may come too late
        [[expected]]
        scenario = "a/racy"
        role = "server"
        versions = "=2026.94"
        verdict = ["pass", "fail"]
        reason = "TODO: pass"
        # link = "https://…"
        "#);
    }

    #[test]
    fn a_range_reaches_to_the_next_version_that_was_tried_and_does_not_do_it() {
        let set = |versions: &[u64]| versions.iter().map(|each| vec![9, *each]).collect();
        let ranges = |seen: &[u64], tried: &[u64]| -> Vec<String> {
            let ranges = ranges(&set(seen), &set(tried)).into_iter();
            ranges
                .map(|each| each.unwrap_or_else(|| "all".to_owned()))
                .collect()
        };
        assert_eq!(ranges(&[], &[]), ["all"]);
        assert_eq!(ranges(&[2], &[2]), ["=9.2"]);
        assert_eq!(ranges(&[2, 4], &[2, 4]), [">=9.2"]);
        assert_eq!(ranges(&[2], &[2, 4, 6]), ["<9.4"]);
        assert_eq!(ranges(&[4], &[2, 4, 6]), [">=9.4, <9.6"]);
        assert_eq!(ranges(&[2, 6], &[2, 4, 6]), ["<9.4", ">=9.6"]);
    }
}
