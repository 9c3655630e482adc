//! The run as `JUnit` XML: a suite for each pairing, a test case for each scenario.
//!
//! What a peer cannot do by its nature is a property of the suite `left out`; what is merely
//! missing on this machine is a skipped test in it, so that a run with everything present has
//! none.

use std::time::Duration;

use quick_junit::{
    NonSuccessKind, Property, Report, SerializeError, TestCase, TestCaseStatus, TestSuite,
};

use super::record::Record;
use super::tint::harmless;
use super::{Clauses, ladder};
use crate::run::event::{Case, LeftOut, Pairing};
use crate::verdict::{Outcome, Verdict};

/// Renders the run. `files` says where the packets and logs of a case are.
///
/// # Errors
/// [`SerializeError`], which writing to memory does not give in practice.
pub fn render(
    record: &Record,
    clauses: &Clauses,
    files: &dyn Fn(&Case) -> std::path::PathBuf,
) -> Result<String, SerializeError> {
    let mut report = Report::new("sshdrill");
    report.set_time(record.time_in_cases());
    for pairing in pairings(record) {
        let mut suite = suite(record, pairing);
        let mut time = Duration::ZERO;
        for (case, outcome) in record
            .results()
            .filter(|(case, _)| case.pairing == *pairing)
        {
            let explain = |outcome: &Outcome| {
                let text = ladder::render(case, outcome, record, clauses, &files(case));
                anstream::adapter::strip_str(&text).to_string()
            };
            suite.add_test_case(test_case(case, outcome, &explain));
            time += outcome.map_or(Duration::ZERO, |outcome| outcome.took);
        }
        suite.set_time(time);
        report.add_test_suite(suite);
    }
    if !record.left_out.is_empty() {
        report.add_test_suite(left_out(&record.left_out));
    }
    report.to_string()
}

/// Every pairing once, in the order of the plan.
fn pairings(record: &Record) -> Vec<&Pairing> {
    let mut pairings: Vec<&Pairing> = Vec::new();
    for case in &record.cases {
        if !pairings.contains(&&case.pairing) {
            pairings.push(&case.pairing);
        }
    }
    pairings
}

fn suite(record: &Record, pairing: &Pairing) -> TestSuite {
    let mut suite = TestSuite::new(pairing.to_string());
    suite.add_property(Property::new("seed", format!("{:#x}", record.seed)));
    suite.add_property(Property::new("client", record.version(&pairing.client)));
    suite.add_property(Property::new("server", record.version(&pairing.server)));
    suite
}

fn test_case(
    case: &Case,
    outcome: Option<&Outcome>,
    explain: &dyn Fn(&Outcome) -> String,
) -> TestCase {
    let Some(outcome) = outcome else {
        let status = skipped("the run was stopped before this case ended");
        return named(case, status);
    };
    let status = match outcome.verdict {
        Verdict::Pass | Verdict::Deviation => TestCaseStatus::success(),
        Verdict::Unsupported => skipped(&message(outcome)),
        Verdict::Fail => missed(NonSuccessKind::Failure, outcome, explain),
        Verdict::Broken => missed(NonSuccessKind::Error, outcome, explain),
    };
    let mut test_case = named(case, status);
    test_case.set_time(outcome.took);
    if outcome.verdict == Verdict::Deviation {
        test_case.set_system_out(explain(outcome));
    }
    test_case
}

fn named(case: &Case, status: TestCaseStatus) -> TestCase {
    let mut test_case = TestCase::new(case.scenario.name.as_str(), status);
    test_case.set_classname(case.pairing.to_string());
    test_case
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(why);
    status
}

fn missed(
    kind: NonSuccessKind,
    outcome: &Outcome,
    explain: &dyn Fn(&Outcome) -> String,
) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message(outcome));
    status.set_description(explain(outcome));
    status
}

fn message(outcome: &Outcome) -> String {
    let failure = outcome.failure.as_ref();
    let line =
        |f: &crate::verdict::Failure| format!("expected {}; actual: {}", f.expected, f.actual);
    harmless(&failure.map_or_else(|| outcome.notes.join("; "), line))
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
