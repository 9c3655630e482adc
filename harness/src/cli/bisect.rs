//! `sshdrill bisect`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use owo_colors::OwoColorize;

use super::args::BisectArgs;
use super::run::usual_jobs;
use super::{Exit, Stop, prepare};
use crate::peer::minissh::Minissh;
use crate::peer::openssh::LocalOpenSsh;
use crate::peer::{NotDone, Peer, PeerInfo};
use crate::report::{summary, tint};
use crate::run::bisect::{Found, Way};
use crate::run::event::{Event, Pairing, Tally};
use crate::run::executor::{Options, Order, Play, Tries, execute};
use crate::run::interrupt::Interrupt;
use crate::run::panics;
use crate::run::plan::{Again, Plan, Terms, plan};
use crate::run::play::{Cast, play};
use crate::run::selection::{Filter, Selection};
use crate::scenario::Scenario;
use crate::verdict::Verdict;
use crate::wording::count;

/// A case, whatever build is in it.
type Name = (String, Pairing);

/// How the cases ended with one build; what it cannot do is unsupported.
type Verdicts = BTreeMap<Name, Verdict>;

/// Finds the first build in which each case ends otherwise than in the first.
pub(super) fn bisect(args: &BisectArgs) -> Result<Exit, Stop> {
    panics::collect(false);
    let interrupt = Interrupt::on_signals(|| {}, || {})
        .map_err(|e| Stop::new(Exit::Environment, format!("cannot listen for signals: {e}")))?;
    let mut builds = Builds::new(args, interrupt)?;
    let way = match args.linear {
        true => Way::Linear,
        false => Way::Halving,
    };
    if let Some(assumption) = way.assumption() {
        anstream::eprintln!("assuming that {assumption}; --linear assumes nothing");
    }
    let mut exit = Exit::NotAsExpected;
    let names = builds.names()?;
    let (mut unchanged, mut kept) = (0, Tally::default());
    for name in &names {
        let found = way.search(args.dirs.len(), |at| builds.look(at, name))?;
        match found {
            Found::Change { .. } => exit = Exit::AsExpected,
            // Of many cases, those that do not change would hide those that do.
            Found::Nothing(verdict) if names.len() > 1 => {
                unchanged += 1;
                kept.add(verdict);
                continue;
            }
            Found::Nothing(_) => {}
        }
        anstream::print!("{}", builds.told(name, &found));
    }
    if unchanged > 0 {
        anstream::println!(
            "the same all along, as far as was looked: {}, {}",
            count(unchanged, "case"),
            summary::verdicts(&kept)
        );
    }
    Ok(exit)
}

/// Refuses names that select nothing and folders that are not there, so that no build is looked at
/// because of a slip of the keyboard.
fn check(args: &BisectArgs, scenarios: &[Arc<Scenario>]) -> Result<(), Stop> {
    let names: Vec<&str> = scenarios.iter().map(|s| s.name.as_str()).collect();
    let selects_nothing = |filter: &&Filter| !names.iter().any(|name| filter.selects(name, &names));
    if let Some(filter) = args.names.iter().find(selects_nothing) {
        return Err(prepare::nothing("scenario", &[filter.text()], &names));
    }
    if let Some(dir) = args.dirs.iter().find(|dir| !dir.is_dir()) {
        let what = format!("there is no folder {}", dir.display());
        let hint = "--dirs takes the folders of the builds, from the oldest to the newest";
        return Err(Stop::new(Exit::Environment, what).hint(hint));
    }
    Ok(())
}

/// The builds, and what was seen of them.
struct Builds<'a> {
    args: &'a BisectArgs,
    scenarios: Vec<Arc<Scenario>>,
    terms: Terms,
    interrupt: Interrupt,
    /// By their places on the command line.
    seen: BTreeMap<usize, Seen>,
}

/// One build.
struct Seen {
    version: String,
    verdicts: Verdicts,
}

impl<'a> Builds<'a> {
    fn new(args: &'a BisectArgs, interrupt: Interrupt) -> Result<Self, Stop> {
        let (_, scenarios) = prepare::files(args.scenarios.as_deref())?;
        check(args, &scenarios)?;
        Ok(Self {
            args,
            scenarios,
            terms: Terms {
                seed: args.seed.unwrap_or(1),
                again: Again::default(),
            },
            interrupt,
            seen: BTreeMap::new(),
        })
    }

    /// The cases that the first and the last build have.
    fn names(&mut self) -> Result<Vec<Name>, Stop> {
        let mut names: Vec<Name> = Vec::new();
        for at in [0, self.args.dirs.len() - 1] {
            names.extend(self.run(at)?.verdicts.keys().cloned());
        }
        names.sort();
        names.dedup();
        if names.is_empty() {
            let what = "no case with these builds is selected";
            return Err(Stop::new(Exit::NothingSelected, what)
                .hint("`sshdrill run --list` shows all scenarios"));
        }
        Ok(names)
    }

    /// How a case ends with one of the builds.
    fn look(&mut self, at: usize, name: &Name) -> Result<Verdict, Stop> {
        let verdict = self.run(at)?.verdicts.get(name).copied();
        match verdict.unwrap_or(Verdict::Unsupported) {
            Verdict::Broken => {
                let dir = self.args.dirs[at].display();
                let what = format!("{} is broken with {dir}, which says nothing", name.0);
                Err(Stop::new(Exit::Environment, what).hint("try again, or leave this build out"))
            }
            verdict => Ok(verdict),
        }
    }

    /// Runs all cases with one of the builds, once.
    fn run(&mut self, at: usize) -> Result<&Seen, Stop> {
        if !self.seen.contains_key(&at) {
            let seen = self.run_anew(&self.args.dirs[at])?;
            self.seen.insert(at, seen);
        }
        Ok(&self.seen[&at])
    }

    fn run_anew(&self, dir: &Path) -> Result<Seen, Stop> {
        let build = LocalOpenSsh::in_folder(dir, &self.args.peer).map_err(|why| match why {
            NotDone::Broken(broken) => Stop::because_of(Exit::Environment, broken),
            NotDone::Unsupported(why) => Stop::new(Exit::Environment, why),
        })?;
        let version = build.info().version.clone();
        anstream::eprintln!("looking at {} ({version})", dir.display());
        let peers: Vec<Arc<dyn Peer>> = vec![Arc::new(Minissh::default()), Arc::new(build)];
        let plan = self.planned(&peers);
        let verdicts = self.verdicts(&plan, Cast::new(peers));
        if self.interrupt.is_raised() {
            return Err(Stop::new(Exit::Interrupted, "stopped by a signal"));
        }
        Ok(Seen { version, verdicts })
    }

    fn planned(&self, peers: &[Arc<dyn Peer>]) -> Plan {
        let infos: Vec<PeerInfo> = peers.iter().map(|peer| peer.info().clone()).collect();
        let selection = Selection {
            names: self.args.names.clone(),
            pairings: self.args.pairing.clone(),
            ..Selection::default()
        };
        let mut plan = plan(&self.scenarios, &infos, &selection, &self.terms);
        plan.keep_only(|case| {
            [&case.pairing.client, &case.pairing.server].contains(&&self.args.peer)
        });
        plan
    }

    fn verdicts(&self, plan: &Plan, peers: Cast) -> Verdicts {
        let options = Options {
            jobs: usual_jobs(),
            tries: Tries::ONE,
            order: Order::Planned,
            fail_fast: false,
            deadline: Duration::from_secs(self.args.timeout),
            at_a_time: BTreeMap::new(),
            long: BTreeSet::new(),
            interrupt: self.interrupt.clone(),
        };
        let (sender, events) = mpsc::channel();
        let run_case: Arc<Play> = Arc::new(move |case, deadline| play(case, &peers, deadline));
        execute(plan, &options, &run_case, &sender);
        drop(sender);
        let finished = events.iter().filter_map(|event| match event {
            Event::CaseFinished { case, outcome } => {
                let name = (case.scenario.name.clone(), case.pairing.clone());
                Some((name, outcome.verdict))
            }
            _ => None,
        });
        finished.collect()
    }

    /// Every build that was looked at, and which of them is the first.
    fn told(&self, name: &Name, found: &Found<Verdict>) -> String {
        let first = match found {
            Found::Change { at, .. } => Some(*at),
            Found::Nothing(_) => None,
        };
        let mut lines = vec![format!("{} {}", name.0, name.1)];
        for (at, seen) in &self.seen {
            let verdict = seen.verdicts.get(name).copied();
            let verdict = tint::word(verdict.unwrap_or(Verdict::Unsupported));
            let mark = match first == Some(*at) {
                true => "  <- the first".bold().to_string(),
                false => String::new(),
            };
            let dir = self.args.dirs[*at].display();
            lines.push(format!("  {verdict:<12}{dir} ({}){mark}", seen.version));
        }
        if let Found::Nothing(verdict) = found {
            let verdict = tint::word(*verdict);
            lines.push(format!("  {verdict} all along, as far as was looked"));
        }
        lines.join("\n") + "\n"
    }
}
