//! Trying the scenarios: whether they pass on a subject that is right, and which of them notice
//! each subject that is wrong.
//!
//! A scenario that no mutant fails has shown nothing yet, and neither has a mutant that no scenario
//! notices.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::mutant::{Mutant, Plays, Wrong};
use crate::peer::Peer;
use crate::peer::minissh::Minissh;
use crate::requirement::Level;
use crate::run::event::{Case, Pairing};
use crate::run::play::{Cast, play};
use crate::run::{MINISSH, SCRIPTED};
use crate::scenario::{Act, ExpectedEnd, Scenario, Step, StepKind, Subject};
use crate::verdict::{Outcome, Verdict};
use crate::wording::count;

/// How long a case may take on a mutant, beside its pauses and its waits for what need not come.
/// What else it waits for in vain it has noticed.
const PATIENCE: Duration = Duration::from_millis(1500);

/// How long a case may take on the subject that is right, on a machine with other things to do.
const PATIENCE_WITH_FLAWLESS: Duration = Duration::from_secs(120);

/// Cases at a time: most of them wait.
const THREADS: usize = 32;

/// One scenario with one role of its subject.
#[derive(Debug, Clone)]
pub struct Trial {
    scenario: Arc<Scenario>,
    subject_serves: bool,
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = if self.subject_serves {
            "server"
        } else {
            "client"
        };
        write!(f, "{} ({role})", self.scenario.name)
    }
}

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thoroughness {
    /// Each scenario until it has noticed one mutant, and each mutant until it was noticed.
    Enough,
    /// Each scenario with each mutant of its area.
    Everything,
}

/// What the trials gave.
#[derive(Debug, Default)]
pub struct Findings {
    /// Each mutant with the trials that noticed it.
    pub mutants: Vec<(Wrong, Vec<String>)>,
    /// Trials that failed on the subject that is right, and why.
    pub false_alarms: Vec<String>,
    /// Trials that noticed no mutant.
    pub blind: Vec<String>,
    /// How many trials there are.
    pub trials: usize,
}

impl Findings {
    /// Mutants that nothing noticed.
    pub fn unnoticed(&self) -> impl Iterator<Item = Wrong> {
        let unnoticed = self.mutants.iter().filter(|(_, by)| by.is_empty());
        unnoticed.map(|(wrong, _)| *wrong)
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (wrong, by) in &self.mutants {
            writeln!(f, "{:<32} noticed by {}", wrong.name(), by.len())?;
            for trial in by {
                writeln!(f, "    {trial}")?;
            }
        }
        for (title, trials) in [
            ("fail on a subject that is right", &self.false_alarms),
            ("notice no mutant", &self.blind),
        ] {
            if !trials.is_empty() {
                writeln!(f, "\n{title}")?;
            }
            for trial in trials {
                writeln!(f, "    {trial}")?;
            }
        }
        writeln!(
            f,
            "\n{}, {} of them unnoticed; {} by role, {} of them blind",
            count(self.mutants.len(), "mutant"),
            self.unnoticed().count(),
            count(self.trials, "scenario"),
            self.blind.len(),
        )
    }
}

/// Every scenario of the wire with each role of its subject, and of the pairs those in which one side
/// has to refuse the other.
#[must_use]
pub fn trials(scenarios: &[Arc<Scenario>]) -> Vec<Trial> {
    let of = |scenario: &Arc<Scenario>| {
        let scenario = Arc::clone(scenario);
        let roles = roles(&scenario).iter();
        roles.map(move |serves| Trial {
            scenario: Arc::clone(&scenario),
            subject_serves: *serves,
        })
    };
    scenarios.iter().flat_map(of).collect()
}

/// Whether the subject serves, for each of its roles.
fn roles(scenario: &Scenario) -> &'static [bool] {
    match scenario.subject {
        Subject::Server => &[true],
        Subject::Client => &[false],
        Subject::Either => &[true, false],
        Subject::Pair => {
            let mut ends = scenario.steps.iter().filter_map(|step| match &step.kind {
                StepKind::Act(Act::ExpectEnd(end)) => Some(end),
                _ => None,
            });
            match ends.next() {
                Some(ExpectedEnd::RefusedHostKey) => &[false],
                Some(ExpectedEnd::AuthFailed) => &[true],
                None => &[],
            }
        }
    }
}

/// Runs the trials.
#[must_use]
pub fn run(trials: &[Trial], thoroughness: Thoroughness) -> Findings {
    let alarms = Mutex::new(BTreeSet::new());
    side_by_side(trials.len(), |at| {
        let trial = &trials[at];
        let outcome = attempt(trial, None, PATIENCE_WITH_FLAWLESS);
        if remarks(&outcome) {
            let why = outcome.failure.map(|f| format!("{}: {}", f.step, f.actual));
            let why = why.unwrap_or_else(|| outcome.notes.join("; "));
            locked(&alarms).insert(format!("{trial}: {why}"));
        }
    });

    let noticed: Mutex<BTreeSet<(usize, usize)>> = Mutex::default();
    let try_all = |pairs: &[(usize, usize)]| {
        side_by_side(pairs.len(), |at| {
            let (mutant, trial) = pairs[at];
            let needless = thoroughness == Thoroughness::Enough && {
                let noticed = locked(&noticed);
                let mutant_is = noticed.range((mutant, 0)..(mutant + 1, 0)).next().is_some();
                mutant_is && noticed.iter().any(|(_, by)| *by == trial)
            };
            if needless {
                return;
            }
            let outcome = attempt(&trials[trial], Some(Wrong::ALL[mutant]), PATIENCE);
            if notices(&outcome, trials[trial].scenario.level) {
                locked(&noticed).insert((mutant, trial));
            }
        });
    };
    try_all(&pairs(trials));
    let in_museum = pairs_of_museum(trials, &locked(&noticed));
    try_all(&in_museum);

    let noticed = noticed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let by = |mutant: usize| {
        let by = noticed.range((mutant, 0)..(mutant + 1, 0));
        by.map(|(_, trial)| trials[*trial].to_string()).collect()
    };
    let seeing: BTreeSet<usize> = noticed.iter().map(|(_, trial)| *trial).collect();
    let blind = (0..trials.len()).filter(|at| !seeing.contains(at));
    Findings {
        mutants: Wrong::ALL
            .iter()
            .enumerate()
            .map(|(at, wrong)| (*wrong, by(at)))
            .collect(),
        false_alarms: alarms
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .into_iter()
            .collect(),
        blind: blind.map(|at| trials[at].to_string()).collect(),
        trials: trials.len(),
    }
}

/// Every mutant with every trial that could notice it.
fn pairs(trials: &[Trial]) -> Vec<(usize, usize)> {
    let fits = |wrong: Wrong, trial: &Trial| {
        let area = trial.scenario.name.split('/').next().unwrap_or_default();
        let role = match wrong.plays() {
            Plays::Both => true,
            Plays::Server => trial.subject_serves,
            Plays::Client => !trial.subject_serves,
        };
        role && wrong.areas().any(|of| of == area)
    };
    let mut pairs = Vec::new();
    for (mutant, wrong) in Wrong::ALL.iter().enumerate() {
        let fitting = (0..trials.len()).filter(|at| fits(*wrong, &trials[*at]));
        pairs.extend(fitting.map(|trial| (mutant, trial)));
    }
    pairs
}

/// An old bug is tried with the mutants that others found who cite the same clauses.
fn pairs_of_museum(trials: &[Trial], noticed: &BTreeSet<(usize, usize)>) -> Vec<(usize, usize)> {
    let cites_alike = |one: &Trial, other: &Trial| {
        one.subject_serves == other.subject_serves
            && one
                .scenario
                .cites
                .iter()
                .any(|id| other.scenario.cites.contains(id))
    };
    let mut pairs = BTreeSet::new();
    for (at, trial) in trials.iter().enumerate() {
        if trial.scenario.name.starts_with("museum/") {
            let alike = noticed
                .iter()
                .filter(|(_, by)| cites_alike(trial, &trials[*by]));
            pairs.extend(alike.map(|(mutant, _)| (*mutant, at)));
        }
    }
    pairs.into_iter().collect()
}

fn attempt(trial: &Trial, wrong: Option<Wrong>, patience: Duration) -> Outcome {
    let mutant = Mutant::new(wrong);
    let id = mutant.info().id.clone();
    let is_pair = trial.scenario.subject == Subject::Pair;
    let other = if is_pair { MINISSH } else { SCRIPTED }.to_owned();
    let (client, server) = match trial.subject_serves {
        true => (other, id),
        false => (id, other),
    };
    let pairing = Pairing { client, server };
    let case = Case {
        scenario: Arc::clone(&trial.scenario),
        pairing,
        seed: 1,
        rerun: String::new(),
    };
    let patience = patience + pauses(&trial.scenario) + rounds(&trial.scenario);
    let peers: Vec<Arc<dyn Peer>> = vec![Arc::new(mutant), Arc::new(Minissh::default())];
    play(&case, &Cast::new(peers), patience)
}

/// How long nothing need come.
fn pauses(scenario: &Scenario) -> Duration {
    let lasts = |step: &Step| match &step.kind {
        StepKind::Pause(lasts) => *lasts,
        StepKind::Expect(expect) if expect.optional => expect.within.unwrap_or_default(),
        _ => Duration::ZERO,
    };
    scenario.steps.iter().map(lasts).sum()
}

/// How long its rounds may take beside other cases: without it, many of them would be noticed for
/// their length alone.
fn rounds(scenario: &Scenario) -> Duration {
    const ROUND: Duration = Duration::from_millis(15);
    const ROUNDS_MAX: u32 = 1000;

    let times = scenario.steps.iter().filter_map(|step| match step.kind {
        StepKind::Repeat(times) => Some(times),
        _ => None,
    });
    let rounds = u32::try_from(times.sum::<u64>()).unwrap_or(ROUNDS_MAX);
    ROUND * rounds.min(ROUNDS_MAX)
}

/// Whether the scenario found something, be it only a MAY that is noted.
fn remarks(outcome: &Outcome) -> bool {
    outcome.verdict != Verdict::Pass || outcome.notes.iter().any(|note| note.starts_with('`'))
}

/// Whether the outcome is what somebody who breaks a clause of that level must get, and nothing else.
fn notices(outcome: &Outcome, level: Level) -> bool {
    outcome.verdict == Verdict::of_a_miss(level) && remarks(outcome)
}

/// Does this for every number below `count`, on some threads.
fn side_by_side(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        break;
                    }
                    work(at);
                }
            });
        }
    });
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
