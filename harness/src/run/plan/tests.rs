use std::fmt::Write as _;
use std::sync::Arc;

use super::*;
use crate::fake;
use crate::peer::{Capabilities, Origin};
use crate::scenario::{Prelude, Step, StepKind};

fn scenarios() -> Vec<Arc<Scenario>> {
    let of = |name: &str, subject, needs: &[Need]| {
        Arc::new(Scenario {
            subject,
            needs: needs.to_vec(),
            ..fake::scenario(name)
        })
    };
    vec![
        of("interop/exec", Subject::Pair, &[]),
        of("interop/exec-channels", Subject::Pair, &[Need::Multiplex]),
        of(
            "strict-kex/ignore-before-newkeys",
            Subject::Server,
            &[Need::StrictKex],
        ),
        of("transport/unknown-message", Subject::Either, &[]),
    ]
}

/// One that can do everything, one from before strict key exchange, one without a server.
fn peers() -> Vec<PeerInfo> {
    let old = Capabilities {
        strict_kex: false,
        ..Capabilities::ALL
    };
    let client_only = Capabilities {
        server: false,
        multiplex: false,
        one_session: false,
        ..Capabilities::ALL
    };
    vec![
        fake::info("minissh", Capabilities::ALL),
        fake::info("openssh-old", old),
        fake::info("client-only", client_only),
    ]
}

fn planned(selection: &Selection) -> Plan {
    let terms = Terms {
        seed: 0x2a,
        again: Again::default(),
    };
    plan(&scenarios(), &peers(), selection, &terms)
}

/// A reviewer sees here what a run consists of, down to the last pairing.
#[test]
fn everything_is_either_a_case_or_left_out_with_a_reason() {
    let plan = planned(&Selection::default());
    let mut table = String::new();
    for case in &plan.cases {
        writeln!(table, "{:<34}{}", case.scenario.name, case.pairing).unwrap();
    }
    for left_out in &plan.left_out {
        writeln!(table, "- {}\n  {}", left_out.what, left_out.why).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn two_others_are_not_paired_unless_asked_for() {
    for case in &planned(&Selection::default()).cases {
        assert!(case.pairing.has_ours(), "{}", case.pairing);
    }
}

#[test]
fn two_others_that_meet_in_no_scenario_are_told_why() {
    let selection = Selection {
        names: vec!["strict-kex".parse().expect("a filter")],
        pairings: vec!["client-only:openssh-old".parse().expect("a pairing")],
        ..Selection::default()
    };
    let plan = planned(&selection);
    assert_eq!(plan.cases.len(), 0);
    let why: Vec<&str> = plan.left_out.iter().map(|out| &*out.why).collect();
    let pairs_alone = "two that are both not ours meet in scenarios of pairs alone";
    assert_eq!(why, [pairs_alone]);
}

/// The command printed under a failure must select that case, alone, with the same randomness.
#[test]
fn the_rerun_command_selects_exactly_its_case() {
    let every_pair = Selection {
        every_pair: true,
        ..Selection::default()
    };
    let cases = planned(&every_pair).cases;
    assert!(cases.iter().any(|case| !case.pairing.has_ours()));
    for case in &cases {
        let words: Vec<&str> = case.rerun.split(' ').collect();
        let [
            "cargo",
            "drill",
            "run",
            name,
            "--pairing",
            pairing,
            "--seed",
            "0x2a",
        ] = words[..]
        else {
            panic!("{}", case.rerun);
        };
        let selection = Selection {
            names: vec![name.parse().expect("a filter")],
            pairings: vec![pairing.parse().expect("a pairing")],
            ..Selection::default()
        };
        let again = planned(&selection).cases;
        assert_eq!(again.len(), 1, "{}", case.rerun);
        assert_eq!(
            (&again[0].pairing, again[0].seed),
            (&case.pairing, case.seed)
        );
    }
}

#[test]
fn seeds_differ_between_cases_and_between_runs() {
    let plan = planned(&Selection::default());
    let seeds: std::collections::BTreeSet<u64> = plan.cases.iter().map(|case| case.seed).collect();
    assert_eq!(seeds.len(), plan.cases.len());
    let pairing = &plan.cases[0].pairing;
    assert_ne!(case_seed(1, "a/b", pairing), case_seed(2, "a/b", pairing));
}

#[test]
fn arguments_with_spaces_are_quoted_for_a_shell() {
    let terms = Terms {
        seed: 1,
        again: Again {
            args: vec!["--scenarios".into(), "it's here".into()],
            ..Again::default()
        },
    };
    let plan = plan(&scenarios(), &peers(), &Selection::default(), &terms);
    assert!(plan.cases[0].rerun.ends_with(r"--scenarios 'it'\''s here'"));
}

/// Nobody tried, which says nothing about the server: it is told what to add.
#[test]
fn of_a_live_server_without_credentials_is_said_what_to_add() {
    let with = |name: &str, needs: &[Need], kind: Option<StepKind>| {
        let step = |kind| Step {
            line: 5,
            source: String::new(),
            kind,
        };
        Arc::new(Scenario {
            subject: Subject::Server,
            needs: needs.to_vec(),
            steps: kind.map(step).into_iter().collect(),
            ..fake::scenario(name)
        })
    };
    let login = StepKind::Prelude(Prelude::Login, Vec::new());
    let scenarios = [
        with("session/shell", &[Need::SessionRequests], Some(login)),
        with("auth/wrong-password", &[Need::Password], None),
    ];
    let capabilities = Capabilities {
        server_key: false,
        server_password: false,
        server_session_requests: false,
        ..Capabilities::ALL
    };
    let live = PeerInfo {
        origin: Origin::Live(([127, 0, 0, 1], 22).into()),
        ..fake::info("live", capabilities)
    };
    let terms = Terms {
        seed: 1,
        again: Again::default(),
    };
    let plan = plan(&scenarios, &[live], &Selection::default(), &terms);
    let told = plan.left_out.iter();
    let told: Vec<(&str, &str)> = told
        .map(|out| (&*out.why, out.hint.as_deref().unwrap_or_default()))
        .collect();
    insta::assert_debug_snapshot!(told, @r#"
    [
        (
            "live (live 1.0) was not asked to let anybody in: there was nothing to log in with",
            "add --user NAME, and --identity FILE or the password in the variable SSHDRILL_PASSWORD",
        ),
        (
            "live (live 1.0) was not asked to let anybody in with a password: there was none",
            "add --user NAME, and the password in the variable SSHDRILL_PASSWORD",
        ),
    ]
    "#);
}
