use super::*;
use crate::fake::{self, FakePeer, Manner};
use crate::scenario::{Level, Stream};
use crate::verdict::Verdict;

fn outcome(scenario: Scenario, manner: Manner) -> Outcome {
    let client = FakePeer::new("minissh", manner);
    let server = FakePeer::new("other", Manner::Proper);
    let case = fake::case(scenario, "minissh", "other");
    run(&case, &client, &server, fake::LONG)
}

#[test]
fn a_proper_client_passes() {
    let outcome = outcome(fake::scenario("interop/exec"), Manner::Proper);
    assert_eq!((outcome.verdict, outcome.failure), (Verdict::Pass, None));
}

#[test]
fn a_wrong_output_names_the_line_and_the_channel() {
    let outcome = outcome(fake::scenario("interop/exec"), Manner::Garbling);
    assert_eq!(outcome.verdict, Verdict::Fail);
    insta::assert_debug_snapshot!(outcome.failure.expect("it failed"));
}

#[test]
fn a_refused_login_is_the_failure_of_the_login_line() {
    let failure = outcome(fake::scenario("interop/exec"), Manner::Refused).failure;
    let failure = failure.expect("it failed");
    assert_eq!(failure.line, Some(6));
    assert_eq!(failure.actual, "the client was refused at login");
}

#[test]
fn a_demanded_refusal_passes_and_its_absence_fails() {
    let demand = |manner| {
        let mut scenario = fake::scenario("interop/wrong-password");
        scenario.steps.truncate(1);
        scenario.steps.push(Step {
            line: 7,
            source: "expect login refused".to_owned(),
            kind: StepKind::Act(Act::ExpectEnd(ExpectedEnd::AuthFailed)),
        });
        outcome(scenario, manner).verdict
    };
    assert_eq!(demand(Manner::Refused), Verdict::Pass);
    assert_eq!(demand(Manner::Proper), Verdict::Fail);
}

#[test]
fn how_binding_the_requirement_is_decides_what_a_miss_amounts_to() {
    let at = |level| {
        let scenario = Scenario {
            level,
            ..fake::scenario("interop/exec")
        };
        outcome(scenario, Manner::Garbling).verdict
    };
    assert_eq!(at(Level::Should), Verdict::Deviation);
    assert_eq!(at(Level::Must), Verdict::Fail);
    assert_eq!(at(Level::May), Verdict::Pass);
}

#[test]
fn a_client_that_cannot_be_started_is_broken_and_not_failed() {
    let outcome = outcome(fake::scenario("interop/exec"), Manner::Unstartable);
    assert_eq!(outcome.verdict, Verdict::Broken);
    let failure = outcome.failure.expect("it is broken");
    assert_eq!(failure.hint.as_deref(), Some("install it"));
}

#[test]
fn stdin_and_the_number_of_channels_reach_the_client() {
    let act = ExecAct {
        command: Some("cat > /tmp/%N".to_owned()),
        stdin: Some(Stream::Seq(4)),
        env: Vec::new(),
        terminal: false,
        channels: 2,
    };
    let execs: Vec<Exec> = execs(&act).collect();
    assert_eq!(
        execs[1],
        Exec {
            command: Some("cat > /tmp/2".into()),
            stdin: Some(b"1\n2\n".to_vec()),
            ..Exec::default()
        }
    );
}

#[test]
fn no_password_survives_in_what_a_case_leaves_behind() {
    let outcome = outcome(fake::scenario("interop/exec"), Manner::Garbling);
    assert_eq!(outcome.logs.len(), 2);
    let text = format!("{outcome:?}");
    assert!(
        !text.contains(fake::PASSWORD) && text.contains("[redacted]"),
        "{text}"
    );
}
