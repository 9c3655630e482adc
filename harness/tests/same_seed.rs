//! The same seed gives the same bytes from our side, case by case.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use minissh::trace::Direction;
use sshdrill::peer::Peer;
use sshdrill::peer::minissh::Minissh;
use sshdrill::requirement::Catalogue;
use sshdrill::run::event::SCRIPTED;
use sshdrill::run::plan::{Again, Plan, Terms, plan};
use sshdrill::run::play::{Cast, play};
use sshdrill::run::replay::replay;
use sshdrill::run::selection::Selection;
use sshdrill::scenario::load_dir;
use sshdrill::transcript::Transcript;
use sshdrill::verdict::Outcome;
use sshdrill::verdict::capture::Carried;

/// Areas whose cases say much and wait for little.
const AREAS: [&str; 4] = ["auth/", "ident/", "kex/", "strict-kex/"];

const DEADLINE: Duration = Duration::from_secs(180);

fn in_workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn planned(peers: &Cast, seed: u64) -> Plan {
    let catalogue = Catalogue::load(&in_workspace("fixtures/requirements")).expect("it parses");
    let scenarios = load_dir(&in_workspace("scenarios"), &catalogue).expect("they parse");
    let infos: Vec<_> = peers
        .peers()
        .iter()
        .map(|peer: &Arc<dyn Peer>| peer.info().clone())
        .collect();
    let terms = Terms {
        seed,
        again: Again::default(),
    };
    let mut plan = plan(&scenarios, &infos, &Selection::default(), &terms);
    plan.keep_only(|case| {
        let ours = [&case.pairing.client, &case.pairing.server];
        let name = &case.scenario.name;
        ours.iter().any(|id| *id == SCRIPTED) && AREAS.iter().any(|area| name.starts_with(area))
    });
    plan
}

/// What our endpoint sent.
fn sent(outcome: &Outcome) -> Vec<u8> {
    let mut sent = Vec::new();
    let segments = outcome
        .captures
        .iter()
        .flat_map(|capture| &capture.segments);
    for segment in segments {
        if let (Carried::Bytes(bytes), Direction::Outbound) = (&segment.what, segment.direction) {
            sent.extend_from_slice(bytes);
        }
    }
    sent
}

/// When the other side leaves, the last of what we say may or may not still be sent.
fn begin_alike(first: &[u8], second: &[u8]) -> bool {
    let common = first.len().min(second.len());
    common > 0 && first[..common] == second[..common]
}

/// With a server that only answers. A client says what it likes when it likes, and what we answer
/// follows that.
#[test]
fn a_case_that_is_run_twice_sends_the_same_bytes_twice() {
    let peers = Cast::new(vec![Arc::new(Minissh::default())]);
    let mut plan = planned(&peers, 7);
    plan.keep_only(|case| case.pairing.client == SCRIPTED);
    assert!(plan.cases.len() > 20, "{} cases", plan.cases.len());
    let mut wrong = Vec::new();
    for case in &plan.cases {
        let [first, second] = [(); 2].map(|()| play(case, &peers, DEADLINE));
        if first.verdict != second.verdict || !begin_alike(&sent(&first), &sent(&second)) {
            wrong.push(case.scenario.name.clone());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Also where it is a client: the same words of the other side and the same seed are all it takes.
#[test]
fn a_case_that_is_had_again_from_its_own_recording_sends_the_same_bytes() {
    let peers = Cast::new(vec![Arc::new(Minissh::default())]);
    let mut wrong = Vec::new();
    for case in &planned(&peers, 7).cases {
        let outcome = play(case, &peers, DEADLINE);
        let transcript = Transcript {
            scenario: case.scenario.name.clone(),
            client: case.pairing.client.clone(),
            server: case.pairing.server.clone(),
            peer: "minissh".to_owned(),
            seed: case.seed,
            user: outcome.user.clone().expect("our endpoint was in it"),
            verdict: outcome.verdict,
            capture: outcome.captures[0].clone(),
        };
        let replayed = replay(&transcript, &case.scenario);
        if !replayed.is_faithful(outcome.verdict) {
            let (name, pairing) = (&case.scenario.name, &case.pairing);
            let verdict = replayed.outcome.verdict;
            wrong.push(format!(
                "{name} {pairing}: {verdict:?}, {:?}",
                replayed.compared
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Else the first test would pass with a seed that is not used at all.
#[test]
fn another_seed_gives_other_bytes() {
    let peers = Cast::new(vec![Arc::new(Minissh::default())]);
    let (one, other) = (planned(&peers, 7), planned(&peers, 8));
    for (one, other) in one.cases.iter().zip(&other.cases) {
        if one.scenario.name == "kex/handshake" {
            let [one, other] = [one, other].map(|case| sent(&play(case, &peers, DEADLINE)));
            assert_ne!(one, other);
        }
    }
}
