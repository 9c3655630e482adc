//! Whether a client ended as a pair scenario demands, and if not, which line decided.

use super::output::{difference, quoted, quoted_end};
use super::pair::{ExecLine, Script};
use crate::peer::{ClientEnd, ExecOutcome, Signal};
use crate::scenario::{ExpectedEnd, ExpectedOutput, Step, numbered};
use crate::verdict::Failure;

/// Compares an end with what the script demands; the first line that is not met is the failure.
pub(super) fn judge(script: &Script<'_>, end: &ClientEnd) -> Result<(), Failure> {
    match (script.end, end) {
        (Some((_, ExpectedEnd::AuthFailed)), ClientEnd::AuthFailed)
        | (Some((_, ExpectedEnd::RefusedHostKey)), ClientEnd::RefusedHostKey) => Ok(()),
        (Some((step, expected)), end) => Err(missed_end(step, expected, end)),
        (None, ClientEnd::Done(outcomes)) => judge_sessions(&script.execs, outcomes),
        (None, end) => Err(ended_early(script, end)),
    }
}

fn missed_end(step: &Step, expected: ExpectedEnd, end: &ClientEnd) -> Failure {
    let expected = match expected {
        ExpectedEnd::AuthFailed => "the server refuses the login",
        ExpectedEnd::RefusedHostKey => "the client refuses the server's host key",
    };
    failure(step, expected.to_owned(), told(end))
}

/// The client should have run its sessions and did not; blames the line that it got stuck in.
fn ended_early(script: &Script<'_>, end: &ClientEnd) -> Failure {
    let first_exec = script.execs.first().map(|line| line.step);
    let step = match end {
        ClientEnd::RefusedHostKey => script.knows_step.or(script.login_step),
        ClientEnd::AuthFailed => script.login_step,
        ClientEnd::Failed(_) | ClientEnd::Done(_) => first_exec.or(script.login_step),
    };
    let expected = match end {
        ClientEnd::RefusedHostKey => "the client accepts the server's host key",
        ClientEnd::AuthFailed => "the server accepts the login",
        ClientEnd::Failed(_) | ClientEnd::Done(_) => "the client runs its sessions and leaves",
    };
    match step.or(first_exec) {
        Some(step) => failure(step, expected.to_owned(), told(end)),
        None => Failure {
            line: None,
            step: "connecting and logging in".to_owned(),
            expected: expected.to_owned(),
            actual: told(end),
            hint: None,
        },
    }
}

fn told(end: &ClientEnd) -> String {
    format!("the client {end}")
}

fn judge_sessions(lines: &[ExecLine<'_>], outcomes: &[ExecOutcome]) -> Result<(), Failure> {
    let mut outcomes = outcomes.iter();
    for line in lines {
        for channel in 1..=line.act.channels {
            let Some(outcome) = outcomes.next() else {
                return Err(failure(
                    line.step,
                    format!("{} sessions run", line.act.channels),
                    format!("the client reported {} of them", channel - 1),
                ));
            };
            for (step, demand) in &line.demands {
                judge_output(step, demand, outcome, channel, line.act.channels)?;
            }
        }
    }
    Ok(())
}

fn judge_output(
    step: &Step,
    demand: &ExpectedOutput,
    outcome: &ExecOutcome,
    channel: usize,
    channels: usize,
) -> Result<(), Failure> {
    let difference = match demand {
        ExpectedOutput::Stdout(stream) => difference(&stream.bytes(channel), &outcome.stdout),
        ExpectedOutput::Stderr(text) => missing_lines(&numbered(text, channel), &outcome.stderr),
        ExpectedOutput::ExitStatus(status) => (outcome.exit_status != Some(*status))
            .then(|| (format!("exit status {status}"), ended(outcome))),
        ExpectedOutput::ExitSignal(name) => {
            (!is_killed_by(name, outcome)).then(|| (format!("the signal {name}"), ended(outcome)))
        }
    };
    let Some((expected, mut actual)) = difference else {
        return Ok(());
    };
    if channels > 1 {
        actual = format!("{actual} (channel {channel} of {channels})");
    }
    let mut failure = failure(step, expected, actual);
    if !outcome.stderr.is_empty() && !matches!(demand, ExpectedOutput::Stderr(_)) {
        failure.hint = Some(format!("stderr ended with {}", quoted_end(&outcome.stderr)));
    }
    Err(failure)
}

/// Clients add warnings of their own, so the demanded lines only have to be among what came.
fn missing_lines(expected: &[u8], actual: &[u8]) -> Option<(String, String)> {
    let lines = |text: &[u8]| -> Vec<Vec<u8>> {
        let lines = text.split(|byte| *byte == b'\n');
        lines
            .map(|line| line.trim_ascii_end().to_vec())
            .filter(|line| !line.is_empty())
            .collect()
    };
    let came = lines(actual);
    let all_there = lines(expected).iter().all(|line| came.contains(line));
    (!all_there).then(|| (format!("stderr with {}", quoted(expected)), quoted(actual)))
}

/// Any signal will do for a client that does not say which.
fn is_killed_by(name: &str, outcome: &ExecOutcome) -> bool {
    match &outcome.exit_signal {
        Some(Signal::Named(actual)) => actual == name,
        Some(Signal::Unnamed) => true,
        None => false,
    }
}

fn ended(outcome: &ExecOutcome) -> String {
    match (&outcome.exit_signal, outcome.exit_status) {
        (Some(Signal::Named(name)), _) => format!("the signal {name}"),
        (Some(Signal::Unnamed), _) => "a signal".to_owned(),
        (None, Some(status)) => format!("exit status {status}"),
        (None, None) => "no exit status".to_owned(),
    }
}

fn failure(step: &Step, expected: String, actual: String) -> Failure {
    Failure {
        line: Some(step.line),
        step: step.source.clone(),
        expected,
        actual,
        hint: None,
    }
}
