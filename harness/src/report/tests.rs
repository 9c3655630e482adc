use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use minissh::msg::MessageId;
use minissh::trace::{Direction, Field, TraceEntry, Traced};

use super::files::{Files, Keep};
use super::record::Record;
use super::record::gather::Gather;
use super::*;
use crate::fake::{self, FakePeer, Manner};
use crate::requirement::Catalogue;
use crate::run::event::{Event, LeftOut, Participant, Tally};
use crate::run::pair;
use crate::scenario::{Scenario, Subject};
use crate::verdict::capture::Side;
use crate::verdict::{Capture, Failure, Known, Log, Outcome, Verdict};

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
        captures: Vec::new(),
        decided_at: None,
        logs: vec![Log {
            name: "sshd (1)".to_owned(),
            text: "listening\n".to_owned(),
        }],
        user: None,
        runs: Vec::new(),
        known: None,
        took: Duration::from_millis(12),
    }
}

fn participant(id: &str) -> Participant {
    Participant {
        id: id.to_owned(),
        version: format!("{id} 1.0"),
    }
}

/// A run of a single case.
fn one(outcome: Outcome) -> Record {
    let case = Arc::new(fake::case(
        fake::scenario("interop/exec"),
        "minissh",
        "other",
    ));
    let planned = Event::Planned {
        seed: 7,
        shard: None,
        participants: Vec::new(),
        cases: vec![Arc::clone(&case)],
        left_out: Vec::new(),
    };
    let outcome = Arc::new(outcome);
    told(&[planned, Event::CaseFinished { case, outcome }])
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
    let mut events = vec![Event::Planned {
        seed: 7,
        shard: None,
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
    let files = Files::below(Path::new("target/drill"), Keep::Failed);
    let mut gather = Gather::new(catalogue(), files);
    for event in events {
        gather.on(event);
    }
    Record {
        took_ms: 1_234,
        ..gather.into_record()
    }
}

/// The clause that the scenarios made by hand cite.
fn catalogue() -> Catalogue {
    let text = r#"
        document = "RFC 4254"
        [[clause]]
        id = "rfc4254-6.5/exec"
        section = "6.5"
        level = "must"
        role = "server"
        says = "A server may run a command."
        consequence = "Nothing can be run."
    "#;
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("rfc4254.toml"), text).expect("writable");
    Catalogue::load(folder.path()).expect("well-formed")
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn find(record: &Record, verdict: Verdict) -> &record::Case {
    let mut cases = record.cases.iter();
    let found = cases.find(|case| case.verdict == Some(verdict));
    found.expect("the record has every verdict")
}

#[test]
fn a_failure_explains_itself() {
    let record = record();
    let case = find(&record, Verdict::Fail);
    insta::assert_snapshot!(plain(&explain::render(&record, case)));
}

#[test]
fn many_failures_explain_themselves_in_short() {
    let record = record();
    let case = find(&record, Verdict::Fail);
    insta::assert_snapshot!(plain(&explain::brief(&record, case)));
}

/// Good news must not read like a failure.
#[test]
fn a_pass_unlike_known_has_no_consequence() {
    let mut passed = outcome(Verdict::Pass);
    passed.failure = Some(Failure {
        line: None,
        step: "what is known of this case".to_owned(),
        expected: "fail: it is old".to_owned(),
        actual: "pass".to_owned(),
        hint: Some("take it out".to_owned()),
    });
    passed.known = Some(Known {
        verdicts: vec![Verdict::Fail],
        reason: "it is old".to_owned(),
        link: None,
    });
    let record = one(passed);
    insta::assert_snapshot!(plain(&explain::render(&record, &record.cases[0])), @r#"
    PASS  interop/exec  minissh→other  (minissh → other)
          packets, as minissh saw them
              0.000ms >         ident SSH-2.0-scripted
              1.000ms <         ident SSH-2.0-other_1.0
              2.000ms >  0:2    IGNORE(2) data="inserted"
              7.000ms <  0:1    NEWKEYS(21)
              9.000ms <         closed
          while:       what is known of this case
          expected:    fail: it is old
          actual:      pass
          clause:      RFC 4254 §6.5: A server may run a command. [rfc4254-6.5/exec, must]
          known:       as fail: it is old
          hint:        take it out
          again:       cargo drill run interop/exec --pairing minissh:other --seed 0x7
    "#);
    let told = markdown::render(&record);
    assert!(!told.contains("nobody can run a command"), "{told}");
}

/// A trace of a large transfer must not bury the failure.
#[test]
fn a_long_trace_is_cut_to_what_decided() {
    let mut outcome = outcome(Verdict::Fail);
    outcome.trace = trace().into_iter().cycle().take(3000).collect();
    outcome.decided_at = Some(1000);
    let record = one(outcome);
    let case = &record.cases[0];
    let packets = &case.packets;
    assert_eq!(
        (packets.before, packets.shown.len(), packets.after),
        (840, 200, 1960)
    );

    let text = plain(&explain::render(&record, case));
    assert!(text.contains("… 980 packets left out"), "{text}");
    assert!(text.contains("… 1996 packets left out"), "{text}");
    assert!(text.contains("▶     9.000ms <         closed"), "{text}");
    assert!(text.lines().count() < 50);
}

/// Of a log, its end says why; of a character, half says nothing.
#[test]
fn a_long_log_is_cut_at_its_beginning() {
    let line = "ä line that is repeated\n";
    let mut outcome = outcome(Verdict::Fail);
    outcome.logs[0].text = line.repeat(10_000);
    let record = one(outcome);
    let log = &record.cases[0].logs[0];
    assert!(log.text.len() <= 64 * 1024 && log.text.starts_with(line) && log.text.ends_with(line));
    assert_eq!(
        log.before + log.text.len() as u64,
        10_000 * line.len() as u64
    );
}

#[test]
fn a_ladder_has_the_client_at_the_left() {
    let record = record();
    let fail = find(&record, Verdict::Fail);
    let mut reversed = fail.clone();
    std::mem::swap(&mut reversed.client, &mut reversed.server);
    let [fail, reversed] =
        [fail, &reversed].map(|case| ladder::render(&record, case, &case.packets.shown));
    insta::assert_snapshot!(format!("{fail}\n{reversed}"));
}

#[test]
fn the_summary_shows_every_case_and_every_reason() {
    insta::assert_snapshot!(plain(&summary::render(&record(), usize::MAX)));
}

/// Neither is there anyway, so that both columns are about it.
#[test]
fn a_case_of_two_others_stands_in_the_columns_of_both() {
    let mut record = record();
    record.cases.retain(|case| case.server != "scripted");
    for case in &mut record.cases {
        case.client = "openssh-trixie".to_owned();
        case.server = "openssh-sid".to_owned();
        case.verdict = Some(Verdict::Fail);
    }
    let text = plain(&summary::render(&record, usize::MAX));
    let row = text.lines().find(|line| line.starts_with("interop/exec"));
    let cells: String = row
        .expect("it is shown")
        .split_whitespace()
        .skip(1)
        .collect();
    assert_eq!(cells, "✗✗", "{text}");
}

/// Half of the peers fit beside the names.
#[test]
fn a_narrow_terminal_gets_the_matrix_in_parts() {
    let text = plain(&summary::render(&record(), 30));
    let matrix = text.split("\n✓ pass").next().unwrap_or_default();
    assert!(
        matrix.lines().all(|line| line.chars().count() <= 30),
        "{text}"
    );
    assert_eq!(matrix.matches("interop/exec").count(), 2, "{text}");
}

/// Hundreds of scenarios and twenty peers are still read at a glance.
#[test]
fn a_large_matrix_shows_what_did_not_pass() {
    let peers: Vec<String> = (1..=20).map(|n| format!("openssh-release{n}")).collect();
    let mut cases = Vec::new();
    for number in 0..300 {
        let area = ["auth", "channels", "kex", "strict-kex"][number / 75];
        let name = format!("{area}/a-scenario@with-a-parameter={number},and-another=one");
        for peer in &peers {
            cases.push(Arc::new(fake::case(fake::scenario(&name), "minissh", peer)));
        }
    }
    let planned = Event::Planned {
        seed: 7,
        shard: None,
        participants: peers.iter().map(|id| participant(id)).collect(),
        cases: cases.clone(),
        left_out: Vec::new(),
    };
    let finished = cases.iter().enumerate().map(|(at, case)| {
        let verdict = match at {
            3007 => Verdict::Fail,
            3009 => Verdict::Broken,
            _ => Verdict::Pass,
        };
        let outcome = Arc::new(outcome(verdict));
        Event::CaseFinished {
            case: Arc::clone(case),
            outcome,
        }
    });
    let events: Vec<Event> = [planned].into_iter().chain(finished).collect();
    let text = plain(&summary::render(&told(&events), 80));
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    insta::assert_snapshot!(text);
}

/// A run that was stopped early still shows what it has.
#[test]
fn a_large_matrix_folds_what_did_not_run() {
    let names: Vec<String> = (0..60).map(|number| format!("kex/{number}")).collect();
    let ended = [Some(Verdict::Pass), Some(Verdict::Fail)];
    let ended = ended.into_iter().chain(std::iter::repeat(None));
    let cases: Vec<_> = names.iter().map(String::as_str).zip(ended).collect();
    let text = plain(&summary::render(&run_of(&cases), 80));
    for row in ["kex/  1 pass", "kex/  58 not run", "kex/1 "] {
        assert!(text.contains(row), "{text}");
    }
    assert!(text.lines().count() < 40, "{text}");
}

/// Each verdict as news and as known, and a pass of what is known to fail.
fn record_with_known() -> Record {
    let mut record = run_of(&[
        ("a/passes", Some(Verdict::Pass)),
        ("b/deviates", Some(Verdict::Deviation)),
        ("c/deviates-as-known", Some(Verdict::Deviation)),
        ("d/fails", Some(Verdict::Fail)),
        ("e/fails-as-known", Some(Verdict::Fail)),
        ("f/passes-unlike-known", Some(Verdict::Pass)),
    ]);
    for (at, verdict) in [
        (2, Verdict::Deviation),
        (4, Verdict::Fail),
        (5, Verdict::Fail),
    ] {
        let case = &mut record.cases[at];
        case.surprise = case.verdict != Some(verdict);
        case.known = Some(Known {
            verdicts: vec![verdict],
            reason: "it is *old*".to_owned(),
            link: None,
        });
    }
    record.tally.known = 2;
    record
}

#[test]
fn what_is_known_has_marks_of_its_own_in_the_summary() {
    let summary = plain(&summary::render(&record_with_known(), 80));
    insta::assert_snapshot!(summary, @"
                           other
                           s c
    a/passes               ✓
    b/deviates             ~
    c/deviates-as-known    ≈
    d/fails                ✗
    e/fails-as-known       ≠
    f/passes-unlike-known  +

    ✓ pass   ≈ deviation, as known   ≠ fail, as known   ~ deviation   + pass, unlike known   ✗ fail
    s the peer as server   c as client

    6 cases: 2 pass, 2 deviation, 2 fail (2 of these as known, 1 of these not as known), in 1.2 s (seed 0x7)
    ");
}

/// What is news comes first and in full.
#[test]
fn markdown_tells_of_what_is_known_the_reason_alone() {
    let text = markdown::render(&record_with_known());
    let has = |line: &str| assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
    has("## sshdrill: some cases failed");
    has("| e | 1 📕 of 1 |");
    has("- `e/fails-as-known` minissh→other: it is \\*old\\*");
    for count in [
        "📕 **1** fail, as known",
        "❗ **1** pass, unlike known",
        "❌ **1** fail\n",
    ] {
        assert!(text.contains(count), "{count} in\n{text}");
    }
    let place = |title: &str| {
        text.find(title)
            .unwrap_or_else(|| panic!("{title} in\n{text}"))
    };
    assert!(place("### ❌ Failures") < place("### ❗ Passes"));
    assert!(place("### 🟡 Deviations:") < place("### 📕 Failures, as known"));
    assert_eq!(text.matches("<b>e/fails-as-known</b>").count(), 0);

    let mut calm = record_with_known();
    calm.cases
        .retain(|case| case.known.is_some() && !case.surprise);
    calm.tally = Tally::default();
    for case in &calm.cases {
        calm.tally
            .add_ended(case.verdict.expect("it ended"), true, false);
    }
    let text = markdown::render(&calm);
    assert!(
        text.starts_with("## sshdrill: no case failed but as known\n"),
        "{text}"
    );
}

#[test]
fn junit_has_a_suite_for_each_pairing() {
    insta::assert_snapshot!(junit::render(&record()).expect("plain data"));
}

/// A known failure is neither red nor green; what is no failure is never skipped.
#[test]
fn junit_skips_known_failures_and_no_known_deviations() {
    let rendered = |verdict| {
        let known = Some(Known {
            verdicts: vec![verdict],
            reason: "it has always been so".to_owned(),
            link: None,
        });
        let outcome = Outcome {
            known,
            ..outcome(verdict)
        };
        junit::render(&one(outcome)).expect("plain data")
    };
    assert!(rendered(Verdict::Fail).contains("<skipped"));
    let deviation = rendered(Verdict::Deviation);
    assert!(
        !deviation.contains("<skipped") && !deviation.contains("<failure"),
        "{deviation}"
    );
}

#[test]
fn markdown_has_counts_areas_and_what_did_not_pass() {
    insta::assert_snapshot!(markdown::render(&record()));
}

/// One mistake makes many cases fail, with other figures each.
#[test]
fn failures_that_look_alike_are_told_together() {
    let names = ["a/a", "a/b", "a/c", "b/alone"];
    let mut record = run_of(&names.map(|name| (name, Some(Verdict::Fail))));
    for (number, case) in record.cases.iter_mut().enumerate() {
        let actual = match number {
            3 => "nothing".to_owned(),
            _ => format!("NEWKEYS(21) after {number} ms:\n\u{1b}[2J"),
        };
        case.failure = outcome(Verdict::Fail).failure;
        case.failure.as_mut().expect("it failed").actual = actual;
    }
    let text = plain(&summary::render(&record, usize::MAX));
    let told = "\nwhat came instead, most often first\n      \
                3 × NEWKEYS(21) after 0 ms: \\u{1b}[2J\n          \
                such as cargo drill run a/a --pairing minissh:other --seed 0x7\n";
    assert!(text.contains(told), "{text}");
    assert!(!text.contains("1 × nothing"), "{text}");
    let text = markdown::render(&record);
    assert!(text.contains("- **3** × NEWKEYS(21) after 0 ms"), "{text}");
}

/// What peers say must not become markup of the page that shows it.
#[test]
fn markdown_of_a_hostile_peer_is_text() {
    let mut outcome = outcome(Verdict::Fail);
    if let Some(failure) = &mut outcome.failure {
        failure.actual = "<img src=x> [link](x) ```\n</details>".to_owned();
    }
    let text = markdown::render(&one(outcome));
    let summary = r"&lt;img src=x&gt; \[link\](x) \`\`\`";
    assert!(text.contains(summary), "{text}");
    assert!(
        text.contains("\n````text\n") && text.contains("\n````\n"),
        "{text}"
    );
}

/// A run in which the cases ended so, by name.
fn run_of(verdicts: &[(&str, Option<Verdict>)]) -> Record {
    let cases: Vec<_> = verdicts
        .iter()
        .map(|(name, _)| Arc::new(fake::case(fake::scenario(name), "minissh", "other")))
        .collect();
    let planned = Event::Planned {
        seed: 7,
        shard: None,
        participants: vec![participant("other")],
        cases: cases.clone(),
        left_out: Vec::new(),
    };
    let finished = cases
        .iter()
        .zip(verdicts)
        .filter_map(|(case, (_, verdict))| {
            let outcome = Arc::new(outcome((*verdict)?));
            let case = Arc::clone(case);
            Some(Event::CaseFinished { case, outcome })
        });
    told(&[planned].into_iter().chain(finished).collect::<Vec<_>>())
}

#[test]
fn a_diff_tells_what_is_worse_first_and_no_more_than_changed() {
    let old = run_of(&[
        ("a/same", Some(Verdict::Fail)),
        ("a/better", Some(Verdict::Broken)),
        ("a/worse", Some(Verdict::Pass)),
        ("a/gone", Some(Verdict::Pass)),
        ("a/lost", Some(Verdict::Fail)),
    ]);
    let mut new = run_of(&[
        ("a/new", Some(Verdict::Fail)),
        ("a/same", Some(Verdict::Fail)),
        ("a/better", Some(Verdict::Pass)),
        ("a/worse", Some(Verdict::Deviation)),
        ("a/lost", None),
    ]);
    new.participants[0].version = "other 2.0".to_owned();
    let diff = diff::compare(&old, &new);
    assert_eq!(diff.count(diff::Kind::Worse), 2);
    insta::assert_snapshot!(plain(&diff.render()));
    assert_eq!(diff::compare(&old, &old).changes, []);
}

#[test]
fn shards_make_up_the_whole_run_again() {
    let whole = record();
    let part = |shard: &str, keeps: &dyn Fn(usize) -> bool| {
        let mut part = whole.clone();
        let cases = part.cases.into_iter().enumerate();
        part.cases = cases
            .filter(|(at, _)| keeps(*at))
            .map(|(_, case)| case)
            .collect();
        part.shard = Some(shard.parse().expect("a shard"));
        part.left_out.push(LeftOut {
            what: "some".to_owned(),
            why: format!("{} {shard}", LeftOut::OTHER_SHARD),
            hint: None,
        });
        part
    };
    let merged = merge::merge(vec![
        part("1/2", &|at| at % 2 == 0),
        part("2/2", &|at| at % 2 == 1),
    ]);
    let mut merged = merged.expect("they fit");
    assert_eq!(
        (merged.tally, &merged.left_out),
        (whole.tally, &whole.left_out)
    );
    let place = |case: &record::Case| whole.cases.iter().position(|known| known == case);
    merged.cases.sort_by_key(place);
    assert_eq!(merged, whole);
}

/// Else what nobody ran would look as if it had passed.
#[test]
fn shards_that_are_not_a_whole_run_are_refused() {
    let of = |shard: &str, seed| Record {
        shard: Some(shard.parse().expect("a shard")),
        seed: record::Seed(seed),
        ..run_of(&[("a/b", Some(Verdict::Pass))])
    };
    let all = "18446744073709551615";
    for (parts, why) in [
        (vec![of("1/2", 7)], "no report of shard 2/2 is there"),
        (
            vec![of("2/4", 7), of("3/4", 7)],
            "no report of shard 1/4, 4/4 is there",
        ),
        (
            vec![of("1/2", 7), of("2/2", 7), of("1/2", 7)],
            "shard 1/2 is there more than once",
        ),
        (
            vec![of("1/2", 7), of("2/2", 8)],
            "shard 1/2 has the seed 0x7, and 2/2 has 0x8",
        ),
        (
            vec![of("1/2", 7), of("2/3", 7)],
            "1/2 and 2/3 are shards of different runs",
        ),
        (
            vec![of(&format!("9/{all}"), 7)],
            &[1, 2, 3, 4, 5, 6, 7, 8]
                .map(|number| format!("{number}/{all}"))
                .join(", "),
        ),
    ] {
        let conflict = merge::merge(parts)
            .expect_err("they are no run")
            .to_string();
        assert!(conflict.contains(why), "{conflict}");
    }
    let merged = merge::merge(vec![of("2/2", 7), of("1/2", 7)]).expect("they are all");
    assert_eq!(merged.shard, None);
}

#[test]
fn runs_that_are_no_parts_of_one_are_refused() {
    let of = |verdict| run_of(&[("a/b", verdict)]);
    let (pass, fail) = (of(Some(Verdict::Pass)), of(Some(Verdict::Fail)));
    let conflict = merge::merge(vec![pass.clone(), fail]).expect_err("they differ");
    assert_eq!(
        conflict.to_string(),
        "the case a/b minissh→other ended differently in two of them"
    );
    let mut newer = pass.clone();
    newer.participants[0].version = "other 2.0".to_owned();
    let conflict = merge::merge(vec![pass.clone(), newer]).expect_err("they differ");
    assert_eq!(
        conflict.to_string(),
        "other is other 1.0 in one of them and other 2.0 in another"
    );
    // One that was stopped before the case counts less than one that ran it.
    let merged = merge::merge(vec![of(None), pass.clone(), of(None)]).expect("they fit");
    assert_eq!(merged.tally.pass, 1);
}

#[test]
fn json_has_everything_another_program_needs() {
    insta::assert_snapshot!(json::render(&record()).expect("plain data"));
}

#[test]
fn json_is_read_as_it_was_written() {
    let record = record();
    let text = json::render(&record).expect("plain data");
    assert_eq!(json::parse(&text).expect("ours"), record);
}

#[test]
fn json_of_another_form_is_refused_with_the_reason() {
    let refused = |text| json::parse(text).expect_err("not ours").to_string();
    assert_eq!(
        refused(r#"{"schema": 1, "tool": "sshdrill 0.0.1"}"#),
        "it has schema 1, and this program reads 2"
    );
    assert!(refused("{").starts_with("it is not the JSON report of a run: EOF"));
    assert!(refused(r#"{"schema": 2}"#).contains("missing field"));
}

fn files_of(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("written");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn the_files_of_a_case_are_replaced_as_a_whole() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let case = fake::case(fake::scenario("interop/exec"), "minissh", "openssh-sid");
    let stale = |files: &Files| {
        std::fs::create_dir_all(files.of(&case)).expect("writable");
        std::fs::write(files.of(&case).join("9-old.log"), "old").expect("writable");
    };
    let write = |files: &Files, verdict| {
        let mut outcome = outcome(verdict);
        outcome.captures = vec![Capture::by(Side::Client)];
        let record = one(outcome.clone());
        let written = files.write(&case, &outcome, &record, &record.cases[0]);
        written.expect("writable");
    };

    let files = Files::below(folder.path(), Keep::Failed);
    stale(&files);
    write(&files, Verdict::Fail);
    let all = [
        "1-sshd--1-.log",
        "capture.pcapng",
        "ladder.txt",
        "packets.jsonl",
        "packets.txt",
    ];
    assert_eq!(files_of(&files.of(&case)), all);
    let read = |name| std::fs::read_to_string(files.of(&case).join(name)).expect("written");
    assert_eq!(read("packets.txt").lines().count(), trace().len());
    insta::assert_snapshot!(read("packets.jsonl"));

    write(&files, Verdict::Pass);
    assert!(
        !files.of(&case).exists(),
        "what an earlier run left is gone"
    );

    let flaky = Outcome {
        runs: vec![Verdict::Fail, Verdict::Pass],
        ..outcome(Verdict::Pass)
    };
    assert!(files.keeps(&flaky));

    let files = Files::below(folder.path(), Keep::All);
    write(&files, Verdict::Pass);
    assert_eq!(files_of(&files.of(&case)), all);

    let files = Files::below(folder.path(), Keep::None);
    write(&files, Verdict::Fail);
    assert!(!files.of(&case).exists());
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
        shard: None,
        participants: Vec::new(),
        cases: vec![Arc::clone(&case)],
        left_out: Vec::new(),
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let record = told(&[planned, finished]);
    let told = &record.cases[0];
    let files = Files::below(folder.path(), Keep::All);
    files
        .write(&case, &outcome, &record, told)
        .expect("writable");

    let mut reports = vec![
        explain::render(&record, told),
        summary::render(&record, usize::MAX),
        junit::render(&record).expect("plain data"),
        json::render(&record).expect("plain data"),
        markdown::render(&record),
        html::render(&record, &folder.path().join("report.html")).expect("readable"),
    ];
    for name in files_of(&files.of(&case)) {
        reports.push(std::fs::read_to_string(files.of(&case).join(name)).expect("text"));
    }
    assert_eq!(reports.len(), 11);
    assert!(reports.iter().any(|report| report.contains("[redacted]")));
    assert!(
        reports
            .iter()
            .all(|report| !report.contains(fake::PASSWORD))
    );
}
