//! `sshdrill learn`: proposes what could stand in `fixtures/expected`, from the report of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::args::LearnArgs;
use super::runs::read;
use super::{Exit, Stop};
use crate::report::record::{Case, Record};
use crate::run::{MINISSH, SCRIPTED};
use crate::verdict::Verdict;

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

/// Entries by the name of their file.
fn proposals(report: &Record) -> BTreeMap<String, Vec<String>> {
    let mut proposals: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for case in &report.cases {
        // What is broken says nothing of a peer, and nobody expects it.
        let verdict = case.verdict.filter(|verdict| *verdict != Verdict::Broken);
        let Some(verdict) = verdict.filter(|_| case.surprise) else {
            continue;
        };
        let (role, id) = foreign(case);
        let version = report.participants.iter().find(|each| each.id == id);
        let actual = case.failure.as_ref().map_or("", |f| f.actual.as_str());
        let mut entry = "[[expected]]\n".to_owned();
        let _ = writeln!(entry, "scenario = {}", quoted(&case.scenario));
        let _ = writeln!(entry, "role = {}", quoted(role));
        if let Some(number) = version.and_then(|each| number(&each.version)) {
            let _ = writeln!(entry, "versions = {}", quoted(&format!("={number}")));
        }
        let _ = writeln!(entry, "verdict = {}", quoted(&verdict.to_string()));
        let first = actual.lines().next().unwrap_or_default();
        let _ = writeln!(entry, "reason = {}", quoted(&format!("TODO: {first}")));
        // Where the peer's makers speak of it; there need not be such a place.
        entry.push_str("# link = \"https://…\"\n\n");
        let file = id.split('-').next().unwrap_or(id).to_owned();
        proposals.entry(file).or_default().push(entry);
    }
    proposals
}

/// The side of a case that is not ours, with its role; of our own, the subject.
fn foreign(case: &Case) -> (&'static str, &str) {
    let is_ours = |id: &str| id == MINISSH || id == SCRIPTED;
    if case.client == SCRIPTED || (is_ours(&case.client) && !is_ours(&case.server)) {
        ("server", &case.server)
    } else {
        ("client", &case.client)
    }
}

/// The first version number of what a peer prints.
fn number(version: &str) -> Option<&str> {
    let rest = &version[version.find(|c: char| c.is_ascii_digit())?..];
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
    Some(&rest[..end.unwrap_or(rest.len())])
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
        "#);
    }
}
