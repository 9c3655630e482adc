//! What the suite itself costs: reading the scenarios, planning a run, and a case beside what the
//! case waits for.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use sshdrill::peer::Peer;
use sshdrill::peer::minissh::Minissh;
use sshdrill::requirement::Catalogue;
use sshdrill::run::plan::{Again, Plan, Terms, plan};
use sshdrill::run::play::{Cast, play};
use sshdrill::run::selection::Selection;
use sshdrill::scenario::{Scenario, load_dir};
use sshdrill::verdict::Verdict;

const DEADLINE: Duration = Duration::from_secs(60);

fn in_workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn catalogue() -> Catalogue {
    Catalogue::load(&in_workspace("fixtures/requirements")).expect("it parses")
}

fn scenarios(catalogue: &Catalogue) -> Vec<Arc<Scenario>> {
    load_dir(&in_workspace("scenarios"), catalogue).expect("they parse")
}

fn cast() -> Cast {
    Cast::new(vec![Arc::new(Minissh::default())])
}

fn planned(scenarios: &[Arc<Scenario>], peers: &Cast) -> Plan {
    let infos: Vec<_> = peers
        .peers()
        .iter()
        .map(|peer: &Arc<dyn Peer>| peer.info().clone())
        .collect();
    let terms = Terms {
        seed: 1,
        again: Again::default(),
    };
    plan(scenarios, &infos, &Selection::default(), &terms)
}

fn files(c: &mut Criterion) {
    let catalogue = catalogue();
    let count = scenarios(&catalogue).len();
    c.bench_function(&format!("read and check all {count} scenarios"), |b| {
        b.iter(|| scenarios(black_box(&catalogue)));
    });
    let (scenarios, peers) = (scenarios(&catalogue), cast());
    let count = planned(&scenarios, &peers).cases.len();
    c.bench_function(&format!("plan {count} cases"), |b| {
        b.iter(|| planned(black_box(&scenarios), &peers));
    });
}

/// A handshake and nothing more, with minissh in either role, over loopback: what a case costs that
/// waits for nothing.
fn case(c: &mut Criterion) {
    let (scenarios, peers) = (scenarios(&catalogue()), cast());
    let plan = planned(&scenarios, &peers);
    for case in &plan.cases {
        if case.scenario.name != "kex/handshake" {
            continue;
        }
        c.bench_function(&format!("one case, kex/handshake {}", case.pairing), |b| {
            b.iter(|| {
                let outcome = play(case, &peers, DEADLINE);
                assert_eq!(outcome.verdict, Verdict::Pass, "{:?}", outcome.failure);
            });
        });
    }
}

criterion_group!(benches, files, case);
criterion_main!(benches);
