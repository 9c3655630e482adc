//! Every case as a test of the standard runner, so that its filters, partitions, retries and
//! reports work for cases too:
//!
//! ```sh
//! cargo test -p sshdrill --test drill strict-kex
//! cargo nextest run -p sshdrill --test drill --partition count:1/2
//! ```
//!
//! A test is called as the folder of its case: `auth/password/minissh-to-minissh`. `SSHDRILL_TESTS`
//! says which peers take part; containers are for `cargo drill run`, which starts each of them
//! once and not once a test.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};

use sshdrill::peer::catalogue::{LOCAL_OPENSSH, Part, Required, Roster};
use sshdrill::peer::minissh::Minissh;
use sshdrill::peer::{Peer, PeerInfo};
use sshdrill::report::explain;
use sshdrill::report::files::{Files, Keep};
use sshdrill::report::record::gather::Gather;
use sshdrill::requirement::Catalogue;
use sshdrill::run::event::{Case, Event};
use sshdrill::run::expect::Expectations;
use sshdrill::run::plan::{Again, Plan, Terms, plan};
use sshdrill::run::play::{Cast, play};
use sshdrill::run::selection::Selection;
use sshdrill::scenario::load_dir;
use sshdrill::verdict::Outcome;

/// The environment variable that says which peers take part.
const VARIABLE: &str = "SSHDRILL_TESTS";

/// How long a case may take.
const DEADLINE: Duration = Duration::from_secs(180);

/// Each test may be a process of its own, and all must mean the same cases.
const SEED: u64 = 1;

/// Which peers take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tier {
    /// None: every test is ignored. For who runs the same cases in another way.
    Nobody,
    /// Those in this process.
    InProcess,
    /// OpenSSH of this machine as well.
    Local,
}

impl Tier {
    fn from_env() -> Self {
        let text = std::env::var(VARIABLE).unwrap_or_default();
        match text.as_str() {
            "none" => Self::Nobody,
            "" | "in-process" => Self::InProcess,
            "local" => Self::Local,
            _ => {
                panic!("{VARIABLE} is `{text}`; it may be none, in-process (or nothing), or local")
            }
        }
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let tier = Tier::from_env();
    // The list is for programs to read.
    if !arguments.list {
        tell_what_is_left_out(tier);
    }
    let catalogue = Catalogue::load(&in_workspace("fixtures/requirements"));
    let catalogue = Arc::new(catalogue.unwrap_or_else(|error| panic!("{error}")));
    let expectations = Expectations::load(&in_workspace("fixtures/expected"));
    let expectations = Arc::new(expectations.unwrap_or_else(|error| panic!("{error}")));
    let peers = peers(tier);
    let plan = Arc::new(planned(&catalogue, &peers));
    let trials = plan.cases.iter().map(|each| {
        let (plan, peers, catalogue) = (Arc::clone(&plan), peers.clone(), Arc::clone(&catalogue));
        let (case, expectations) = (Arc::clone(each), Arc::clone(&expectations));
        let test = move || judge(&plan, &case, &peers, &catalogue, &expectations);
        Trial::test(name(each), test).with_ignored_flag(tier == Tier::Nobody)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn tell_what_is_left_out(tier: Tier) {
    let left_out = match tier {
        Tier::Nobody => "every case",
        Tier::InProcess => "cases with OpenSSH of this machine and with containers",
        Tier::Local => "cases with containers",
    };
    eprintln!("SKIPPED: {left_out}; {VARIABLE}=local or `cargo drill run` runs them");
}

fn peers(tier: Tier) -> Cast {
    let mut found = Roster::default().discover(
        &|id| tier == Tier::Local && id == LOCAL_OPENSSH,
        &|_: &str| {},
    );
    let required = Required::from_env().expect("a list of parts");
    for missing in &found.missing {
        eprintln!("SKIPPED: {}: {}", missing.what, missing.why);
        let is_required = missing.part.is_some_and(|part| required.has(part));
        assert!(!is_required, "{} must be here", Part::OpenSsh);
    }
    found.peers.insert(0, Arc::new(Minissh::default()));
    Cast::new(found.peers)
}

fn planned(catalogue: &Catalogue, peers: &Cast) -> Plan {
    let scenarios = load_dir(&in_workspace("scenarios"), catalogue);
    let scenarios = scenarios.unwrap_or_else(|errors| panic!("{errors}"));
    let terms = Terms {
        seed: SEED,
        again: Again::default(),
    };
    plan(&scenarios, &infos(peers), &Selection::default(), &terms)
}

fn infos(peers: &Cast) -> Vec<PeerInfo> {
    let info = |peer: &Arc<dyn Peer>| peer.info().clone();
    peers.peers().iter().map(info).collect()
}

fn name(case: &Case) -> String {
    let folder = Files::below(Path::new(""), Keep::None).of(case);
    folder.to_string_lossy().into_owned()
}

/// Runs the case and fails with all that was seen, unless it ends as it should or as is known of it.
fn judge(
    plan: &Plan,
    case: &Arc<Case>,
    peers: &Cast,
    catalogue: &Catalogue,
    expectations: &Expectations,
) -> Result<(), Failed> {
    let infos = infos(peers);
    let outcome = expectations.compare(case, &infos, play(case, peers, DEADLINE));
    match outcome.is_as_expected() {
        true => Ok(()),
        false => Err(told(plan, case, &outcome, catalogue).into()),
    }
}

fn told(plan: &Plan, case: &Arc<Case>, outcome: &Outcome, catalogue: &Catalogue) -> String {
    let finished = Event::CaseFinished {
        case: Arc::clone(case),
        outcome: Arc::new(outcome.clone()),
    };
    // What a test leaves behind is its message.
    let mut gather = Gather::new(catalogue.clone(), Files::below(Path::new(""), Keep::None));
    for event in [plan.told(), finished] {
        gather.on(&event);
    }
    let told = gather.find(case).expect("it is in the plan");
    let text = explain::render(gather.record(), told);
    anstream::adapter::strip_str(&text).to_string()
}

fn in_workspace(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
