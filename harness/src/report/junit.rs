//! The run as `JUnit` XML: a suite for each pairing, a test case for each scenario.
//!
//! What a peer cannot do by its nature is a property of the suite `left out`; what is merely
//! missing on this machine is a skipped test in it, so that a run with everything present has
//! none.

use std::collections::HashSet;
use std::time::Duration;

use quick_junit::{
    NonSuccessKind, Property, Report, SerializeError, TestCase, TestCaseStatus, TestRerun,
    TestSuite,
};

use super::record::{Case, Record};
use super::tint::harmless;
use super::{explain, ladder};
use crate::run::event::{LeftOut, Pairing};
use crate::verdict::Verdict;

/// Renders the run.
///
/// # Errors
/// [`SerializeError`], which writing to memory does not give in practice.
pub fn render(record: &Record) -> Result<String, SerializeError> {
    let mut report = Report::new("sshdrill");
    report.set_time(record.time_in_cases());
    for pairing in pairings(record) {
        let mut suite = suite(record, &pairing);
        let mut time = Duration::ZERO;
        for case in record.cases.iter().filter(|case| case.pairing() == pairing) {
            suite.add_test_case(test_case(record, case));
            time += Duration::from_millis(case.took_ms);
        }
        suite.set_time(time);
        report.add_test_suite(suite);
    }
    if !record.left_out.is_empty() {
        report.add_test_suite(left_out(&record.left_out));
    }
    report.to_string().map(without_skipped_of_all)
}

/// Jenkins' schema counts what was skipped in each suite and not in all of them.
fn without_skipped_of_all(text: String) -> String {
    let root = text
        .split_once("<testsuites")
        .and_then(|(_, rest)| rest.split_once('>'));
    let skipped = root.and_then(|(root, _)| root.split_once(" skipped=\""));
    match skipped.and_then(|(_, rest)| rest.split_once('"')) {
        Some((count, _)) => text.replacen(&format!(" skipped=\"{count}\""), "", 1),
        None => text,
    }
}

/// Every pairing once, in the order of the plan.
fn pairings(record: &Record) -> Vec<Pairing> {
    let mut seen = HashSet::new();
    let pairings = record.cases.iter().map(Case::pairing);
    pairings
        .filter(|pairing| seen.insert(pairing.clone()))
        .collect()
}

fn suite(record: &Record, pairing: &Pairing) -> TestSuite {
    let mut suite = TestSuite::new(pairing.to_string());
    suite.add_property(Property::new("seed", record.seed.to_string()));
    suite.add_property(Property::new("client", record.version(&pairing.client)));
    suite.add_property(Property::new("server", record.version(&pairing.server)));
    suite
}

fn test_case(record: &Record, case: &Case) -> TestCase {
    let Some(verdict) = case.verdict else {
        return named(case, skipped("the run was stopped before this case ended"));
    };
    let status = match verdict {
        _ if case.surprise && case.known.is_some() => missed(NonSuccessKind::Failure, record, case),
        // A deviation is no failure, and so has nothing that being known would excuse.
        Verdict::Pass | Verdict::Deviation => TestCaseStatus::success(),
        _ if case.known.is_some() => skipped(&known(case)),
        Verdict::Unsupported => skipped(&message(case)),
        Verdict::Fail => missed(NonSuccessKind::Failure, record, case),
        Verdict::Broken => missed(NonSuccessKind::Error, record, case),
    };
    let mut test_case = named(case, status);
    if matches!(verdict, Verdict::Pass | Verdict::Deviation) {
        test_case.status.add_reruns(disturbed(case));
    }
    test_case.set_time(Duration::from_millis(case.took_ms));
    match verdict {
        Verdict::Pass | Verdict::Unsupported => {}
        Verdict::Deviation => drop(test_case.set_system_out(explained(record, case))),
        Verdict::Broken | Verdict::Fail => {
            let ladder = ladder::render(record, case, &case.packets.shown);
            test_case.set_system_out(ladder);
        }
    }
    test_case
}

/// The runs that were tried again before the one that counts.
fn disturbed(case: &Case) -> impl Iterator<Item = TestRerun> {
    case.runs.iter().filter_map(|run| {
        let kind = match run {
            Verdict::Fail => NonSuccessKind::Failure,
            Verdict::Broken => NonSuccessKind::Error,
            Verdict::Pass | Verdict::Deviation | Verdict::Unsupported => return None,
        };
        let mut rerun = TestRerun::new(kind);
        rerun.set_type("retried");
        rerun.set_message(harmless(&case.notes.join("; ")));
        Some(rerun)
    })
}

fn known(case: &Case) -> String {
    let known = case.known.as_ref().map(ToString::to_string);
    harmless(&format!("known as {}", known.unwrap_or_default()))
}

fn explained(record: &Record, case: &Case) -> String {
    anstream::adapter::strip_str(&explain::render(record, case)).to_string()
}

fn named(case: &Case, status: TestCaseStatus) -> TestCase {
    let mut test_case = TestCase::new(case.scenario.as_str(), status);
    test_case.set_classname(case.pairing().to_string());
    test_case
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(why);
    status
}

fn missed(kind: NonSuccessKind, record: &Record, case: &Case) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message(case));
    if let Some(failure) = &case.failure {
        status.set_type(harmless(&failure.step));
    }
    status.set_description(explained(record, case));
    status
}

fn message(case: &Case) -> String {
    harmless(&match &case.failure {
        Some(failure) => format!("expected {}; actual: {}", failure.expected, failure.actual),
        None => case.notes.join("; "),
    })
}

fn left_out(left_out: &[LeftOut]) -> TestSuite {
    let mut suite = TestSuite::new("left out");
    for LeftOut { what, why, hint } in left_out {
        if let Some(hint) = hint {
            let status = skipped(&harmless(&format!("{why} (hint: {hint})")));
            suite.add_test_case(TestCase::new(what.as_str(), status));
        } else {
            suite.add_property(Property::new(what.as_str(), harmless(why)));
        }
    }
    suite
}
