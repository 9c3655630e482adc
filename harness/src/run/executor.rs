//! Runs the cases of a plan on several threads and tells what happens.
//!
//! A case cannot hurt the run: one that panics is `broken`, one that overstays its deadline is
//! `broken` and its thread is left behind. Knows nothing of what a case does; see
//! [`super::play`].

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::broken;
use super::event::{Case, Event, Tally};
use super::interrupt::Interrupt;
use super::panics::{Watch, words};
use super::plan::Plan;
use super::queue::{Queue, Turn};
use crate::peer::Broken;
use crate::verdict::{Outcome, Verdict};

/// How a plan is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Cases at a time.
    pub jobs: NonZeroUsize,
    /// How often each case is run.
    pub tries: Tries,
    /// Which case comes before which.
    pub order: Order,
    /// Whether to begin no case any more once one ended neither as it should nor as was known.
    pub fail_fast: bool,
    /// How long one case may take.
    pub deadline: Duration,
    /// In how many cases a peer can take part at a time, by the ids of those that have a limit.
    pub at_a_time: BTreeMap<String, NonZeroUsize>,
    /// Places in the plan of the cases that take long. Unless shuffled they begin first, lest
    /// everybody waits for one of them at the end.
    pub long: BTreeSet<usize>,
    /// Whether somebody wants the run to stop.
    pub interrupt: Interrupt,
}

/// How often a case is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tries {
    /// So often; the worst run counts.
    Repeated(NonZeroUsize),
    /// Until it ends as it should or as is known, at most so often; such a run counts.
    UntilExpected(NonZeroUsize),
}

impl Tries {
    /// Each case is run once.
    pub const ONE: Self = Self::Repeated(NonZeroUsize::MIN);
}

/// Which case comes before which, as far as peers that take one at a time leave a choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// As planned.
    #[default]
    Planned,
    /// As the seed of the run has it.
    Shuffled,
}

/// What running one case means.
pub type Play = dyn Fn(&Case, Duration) -> Outcome + Send + Sync;

/// Beyond the deadline that the case itself keeps; only a case that hangs needs it.
const DEADLINE_GRACE: Duration = Duration::from_secs(15);

/// How long cases that already run may take to end once the run shall stop.
const INTERRUPT_GRACE: Duration = Duration::from_secs(5);

/// How often a waiting worker looks whether the run shall stop.
const INTERRUPT_POLL: Duration = Duration::from_millis(50);

/// Runs every case and returns how they ended. Sends everything from [`Event::Planned`] to
/// [`Event::Finished`]; that nobody listens any more is no reason to stop.
#[expect(
    clippy::similar_names,
    reason = "a plan and what playing means are both needed"
)]
pub fn execute(plan: &Plan, options: &Options, play: &Arc<Play>, events: &Sender<Event>) -> Tally {
    let _ = events.send(plan.told());
    let queue = Queue::new(&plan.cases, options);
    thread::scope(|scope| {
        for _ in 0..options.jobs.get() {
            scope.spawn(|| work(&queue, options, play, events));
        }
    });
    for (case, outcome) in queue.cut_short(&plan.cases) {
        let outcome = Arc::new(outcome);
        let _ = events.send(Event::CaseFinished { case, outcome });
    }
    let tally = queue.tally();
    let _ = events.send(Event::Finished(tally));
    tally
}

/// One worker: takes turns until there are none.
fn work(queue: &Queue<'_>, options: &Options, play: &Arc<Play>, events: &Sender<Event>) {
    while let Some(turn) = queue.take() {
        if turn.number == 1 {
            let _ = events.send(Event::CaseStarted(Arc::clone(&turn.case)));
        }
        let outcome = run_watched(&turn, options, play);
        if let Some(outcome) = outcome.and_then(|outcome| queue.ended(&turn, outcome)) {
            let _ = events.send(Event::CaseFinished {
                case: Arc::clone(&turn.case),
                outcome: Arc::new(outcome),
            });
        }
        queue.give_back(&turn);
    }
}

/// Runs a case on a thread of its own, so that it can be left behind. `None` when the run was
/// stopped before the case ended: then nothing is known about it.
fn run_watched(turn: &Turn, options: &Options, play: &Arc<Play>) -> Option<Outcome> {
    let started = Instant::now();
    let (done, result) = mpsc::channel();
    let (turn, play, deadline) = (turn.clone(), Arc::clone(play), options.deadline);
    let spawned = thread::Builder::new()
        .name(thread_name(&turn))
        .spawn(move || {
            let outcome = run_caught(&turn, deadline, &*play);
            // The peers go with the last who can play with them, which must not be a thread that nobody
            // waits for.
            drop(play);
            drop(done.send(outcome));
        });
    let ended = match spawned {
        Ok(_) => wait(&result, options, started),
        Err(error) => Ended::With(broken(
            "starting a thread for the case",
            &Broken::new(error.to_string()).hint("run fewer cases at a time with --jobs"),
        )),
    };
    let mut outcome = match ended {
        Ended::With(outcome) => outcome,
        Ended::Stopped => return None,
        Ended::Never => overstayed(options.deadline + DEADLINE_GRACE),
    };
    outcome.took = started.elapsed();
    Some(outcome)
}

/// How waiting for a case ended.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives for a moment, once a case"
)]
enum Ended {
    With(Outcome),
    Never,
    Stopped,
}

fn wait(result: &mpsc::Receiver<Outcome>, options: &Options, started: Instant) -> Ended {
    let mut until = started + options.deadline + DEADLINE_GRACE;
    let mut stopping = false;
    loop {
        match result.recv_timeout(INTERRUPT_POLL) {
            // Ctrl-C reaches the programs of a case too: what goes wrong from then on says nothing.
            Ok(outcome) if options.interrupt.is_raised() && outcome.verdict != Verdict::Pass => {
                return Ended::Stopped;
            }
            Ok(outcome) => return Ended::With(outcome),
            Err(RecvTimeoutError::Timeout) => {}
            // The sender lives as long as the thread and panics are caught before it.
            Err(RecvTimeoutError::Disconnected) => return Ended::Never,
        }
        let now = Instant::now();
        if options.interrupt.is_raised() && !stopping {
            stopping = true;
            until = until.min(now + INTERRUPT_GRACE);
        }
        if now >= until {
            return if stopping {
                Ended::Stopped
            } else {
                Ended::Never
            };
        }
    }
}

fn run_caught(turn: &Turn, deadline: Duration, play: &Play) -> Outcome {
    let watch = Watch::of(&thread_name(turn));
    // Nothing the case touched is looked at again except through locks that tell of the panic.
    let caught = catch_unwind(AssertUnwindSafe(|| play(&turn.case, deadline)));
    let mut panics = watch.ended();
    match caught {
        Ok(outcome) if panics.is_empty() => outcome,
        // One of the threads beside this one.
        Ok(outcome) => {
            let Outcome {
                mut notes, failure, ..
            } = outcome;
            notes.extend(failure.map(|failure| format!("the case saw: {}", failure.actual)));
            Outcome {
                trace: outcome.trace,
                logs: outcome.logs,
                notes,
                ..panicked(&panics)
            }
        }
        Err(payload) => {
            if panics.is_empty() {
                panics.push(words(&*payload).to_owned());
            }
            panicked(&panics)
        }
    }
}

fn panicked(panics: &[String]) -> Outcome {
    let panics = panics.join("\nand: ");
    let what = format!("the harness or an implementation inside it panicked: {panics}");
    let hint = "RUST_BACKTRACE=1 with the command below shows the way there";
    broken("running the case", &Broken::new(what).hint(hint))
}

/// All threads of a run of a case are called so, and no others.
fn thread_name(turn: &Turn) -> String {
    let Turn { case, number, .. } = turn;
    format!("{} {} {number}", case.scenario.name, case.pairing)
}

fn overstayed(limit: Duration) -> Outcome {
    let limit = limit.as_secs();
    let what = format!("it did not end within {limit} s and was left behind");
    let hint = "give it more time with --timeout, or look for a peer that hangs";
    broken("waiting for the case to end", &Broken::new(what).hint(hint))
}

#[cfg(test)]
mod tests;
