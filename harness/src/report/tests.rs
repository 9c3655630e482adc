use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use minissh::msg::MessageId;
use minissh::trace::{Direction, Field, TraceEntry, Traced};

use super::files::Files;
use super::record::Record;
use super::*;
use crate::fake::{self, FakePeer, Manner};
use crate::run::event::{Case, LeftOut, Participant, Tally};
use crate::run::pair;
use crate::scenario::{Scenario, Subject};
use crate::verdict::{Failure, Log, Outcome, Verdict};

fn trace() -> Vec<TraceEntry> {
    let entry = |ms, direction, what| TraceEntry {
        at: Duration::from_millis(ms),
        direction,
        what,
    };
    let packet = |sequence_number, message, fields| Traced::Packet {
        sequence_number,
        key_epoch: 0,
        message,
        fields,
        payload_bytes: 1,
    };
    let data = vec![Field {
        name: "data",
        value: r#""inserted""#.to_owned(),
    }];
    vec![
        entry(
            0,
            Direction::Outbound,
            Traced::Ident("SSH-2.0-scripted".to_owned()),
        ),
        entry(
            1,
            Direction::Inbound,
            Traced::Ident("SSH-2.0-other_1.0".to_owned()),
        ),
        entry(2, Direction::Outbound, packet(2, MessageId::IGNORE, data)),
        entry(7, Direction::Inbound, packet(1, MessageId::NEWKEYS, vec![])),
        entry(9, Direction::Inbound, Traced::Closed),
    ]
}

fn outcome(verdict: Verdict) -> Outcome {
    let failure = Failure {
        line: Some(8),
        step: r#"expect stdout "hi %N\n""#.to_owned(),
        expected: "DISCONNECT(1) reason 2 or 3, or end of stream".to_owned(),
        actual: "NEWKEYS(21) after 5 ms,\nand then \u{1b}[2J".to_owned(),
        hint: Some("look at the server".to_owned()),
    };
    Outcome {
        verdict,
        failure: (verdict != Verdict::Pass).then_some(failure),
        notes: Vec::new(),
        trace: trace(),
        decided_at: None,
        logs: vec![Log {
            name: "sshd (1)".to_owned(),
            text: "listening\n".to_owned(),
        }],
        took: Duration::from_millis(12),
    }
}

/// A run with every verdict, a case that was never reached, and things left out.
fn record() -> Record {
    let wire = Scenario {
        subject: Subject::Either,
        ..fake::scenario("strict-kex/ignore")
    };
    let results = [
        (
            fake::scenario("interop/exec"),
            "minissh",
            "minissh",
            Some(Verdict::Pass),
        ),
        (
            fake::scenario("interop/exec"),
            "minissh",
            "openssh-sid",
            Some(Verdict::Deviation),
        ),
        (
            fake::scenario("interop/exec"),
            "openssh-sid",
            "minissh",
            Some(Verdict::Broken),
        ),
        (wire.clone(), "scripted", "minissh", Some(Verdict::Pass)),
        (wire.clone(), "scripted", "openssh-sid", Some(Verdict::Fail)),
        (
            wire.clone(),
            "minissh",
            "scripted",
            Some(Verdict::Unsupported),
        ),
        (wire, "openssh-sid", "scripted", None),
    ];
    let left_out = |what: &str, why: &str, hint: Option<&str>| LeftOut {
        what: what.to_owned(),
        why: why.to_owned(),
        hint: hint.map(str::to_owned),
    };
    let cases: Vec<_> = results
        .into_iter()
        .map(|(scenario, client, server, verdict)| {
            (Arc::new(fake::case(scenario, client, server)), verdict)
        })
        .collect();
    let participant = |id: &str| Participant {
        id: id.to_owned(),
        version: format!("{id} 1.0"),
    };
    let mut events = vec![Event::Planned {
        seed: 7,
        participants: vec![participant("minissh"), participant("openssh-sid")],
        cases: cases.iter().map(|(case, _)| Arc::clone(case)).collect(),
        left_out: vec![
            left_out("containers", "cannot reach docker", Some("start it")),
            left_out("a/b with scripted→openssh-old", "too old", None),
            left_out("a/c with scripted→openssh-old", "too old", None),
        ],
    }];
    // In another order than planned, as threads would.
    events.extend(cases.iter().rev().filter_map(|(case, verdict)| {
        let outcome = Arc::new(outcome((*verdict)?));
        Some(Event::CaseFinished {
            case: Arc::clone(case),
            outcome,
        })
    }));
    events.push(Event::Finished(Tally::default()));
    told(&events)
}

fn told(events: &[Event]) -> Record {
    let mut record = Record::default();
    for event in events {
        record.on(event).expect("a record writes nowhere");
    }
    record
}

fn clauses(id: &str) -> Option<String> {
    (id == "rfc4254-6.5/exec").then(|| "RFC 4254 §6.5: A server may run a command.".to_owned())
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn files(case: &Case) -> PathBuf {
    Files::below(Path::new("target/drill")).of(case)
}

fn ladder_of(record: &Record, verdict: Verdict) -> String {
    let found = record
        .results()
        .find(|(_, outcome)| outcome.is_some_and(|o| o.verdict == verdict));
    let (case, outcome) = found.expect("the record has every verdict");
    plain(&ladder::render(
        case,
        outcome.expect("just found"),
        record,
        &clauses,
        &files(case),
    ))
}

#[test]
fn a_failure_explains_itself() {
    insta::assert_snapshot!(ladder_of(&record(), Verdict::Fail));
}

/// A trace of a large transfer must not bury the failure.
#[test]
fn a_long_trace_is_cut_to_what_decided() {
    let record = record();
    let mut outcome = outcome(Verdict::Fail);
    outcome.trace = trace().into_iter().cycle().take(300).collect();
    outcome.decided_at = Some(100);
    let case = &record.cases[0];
    let text = plain(&ladder::render(
        case,
        &outcome,
        &record,
        &clauses,
        &files(case),
    ));
    let folder = files(case);
    for packets in [80, 196] {
        let packets_txt = folder.join("packets.txt");
        let line = format!(
            "… {packets} packets left out, all in {}",
            packets_txt.display()
        );
        assert!(text.contains(&line), "{text}");
    }
    assert!(text.contains("▶     9.000ms <         closed"), "{text}");
    assert!(text.lines().count() < 50);
}

#[test]
fn the_summary_shows_every_case_and_every_reason() {
    insta::assert_snapshot!(plain(&summary::render(
        &record(),
        Duration::from_millis(1_234),
        usize::MAX
    )));
}

/// Half of the peers fit beside the names.
#[test]
fn a_narrow_terminal_gets_the_matrix_in_parts() {
    let text = plain(&summary::render(&record(), Duration::ZERO, 28));
    let matrix = text.split("\n✓ pass").next().unwrap_or_default();
    assert!(
        matrix.lines().all(|line| line.chars().count() <= 28),
        "{text}"
    );
    assert_eq!(matrix.matches("interop/exec").count(), 2, "{text}");
}

#[test]
fn junit_has_a_suite_for_each_pairing() {
    insta::assert_snapshot!(junit::render(&record(), &clauses, &files).expect("plain data"));
}

#[test]
fn json_has_everything_another_program_needs() {
    insta::assert_snapshot!(json::render(&record()).expect("plain data"));
}

#[test]
fn the_files_of_a_case_are_replaced_as_a_whole() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut files = Files::below(folder.path());
    let case = Arc::new(fake::case(
        fake::scenario("interop/exec"),
        "minissh",
        "openssh-sid",
    ));
    let stale = files.of(&case).join("9-old.log");
    std::fs::create_dir_all(files.of(&case)).expect("writable");
    std::fs::write(&stale, "old").expect("writable");

    let outcome = Arc::new(outcome(Verdict::Fail));
    files
        .on(&Event::CaseFinished {
            case: Arc::clone(&case),
            outcome,
        })
        .expect("writable");

    assert!(!stale.exists());
    let packets = std::fs::read_to_string(files.of(&case).join("packets.txt")).expect("written");
    assert_eq!(packets.lines().count(), trace().len());
    assert!(files.of(&case).join("1-sshd--1-.log").exists());
}

/// Peers write passwords into logs and errors; we may not pass them on.
#[test]
fn no_report_shows_a_password() {
    let case = Arc::new(fake::case(
        fake::scenario("interop/exec"),
        "minissh",
        "other",
    ));
    let client = FakePeer::new("minissh", Manner::Garbling);
    let server = FakePeer::new("other", Manner::Proper);
    let outcome = Arc::new(pair::run(&case, &client, &server, fake::LONG));
    let finished = Event::CaseFinished {
        case: Arc::clone(&case),
        outcome: Arc::clone(&outcome),
    };
    let planned = Event::Planned {
        seed: 7,
        participants: Vec::new(),
        cases: vec![Arc::clone(&case)],
        left_out: Vec::new(),
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    Files::below(folder.path()).on(&finished).expect("writable");
    let record = told(&[planned, finished]);

    let mut reports = vec![
        ladder::render(&case, &outcome, &record, &clauses, folder.path()),
        summary::render(&record, Duration::ZERO, usize::MAX),
        junit::render(&record, &clauses, &files).expect("plain data"),
        json::render(&record).expect("plain data"),
    ];
    for entry in std::fs::read_dir(Files::below(folder.path()).of(&case)).expect("written") {
        reports.push(std::fs::read_to_string(entry.expect("an entry").path()).expect("text"));
    }
    assert_eq!(reports.len(), 7);
    assert!(reports.iter().any(|report| report.contains("[redacted]")));
    assert!(
        reports
            .iter()
            .all(|report| !report.contains(fake::PASSWORD))
    );
}
