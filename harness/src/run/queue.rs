//! Which case runs next, and what the runs of one case amount to.
//!
//! A peer that takes so many cases at a time is a lane that no more workers can be in. The fullest
//! free lane goes first, since the run is over when the longest of them is; cases that anybody can
//! run at any time fill the gaps.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::event::{Case, Tally};
use super::executor::{Options, Order, Tries};
use crate::verdict::{Outcome, Verdict};

/// One run of one case.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub(super) case: Arc<Case>,
    /// The case's place in the plan.
    at: usize,
    /// From 1; above it the case is run again.
    pub(super) number: usize,
}

/// The turns that are still to come, and what came of the others.
pub(super) struct Queue<'a> {
    state: Mutex<State>,
    freed: Condvar,
    options: &'a Options,
}

/// The peers of a case that cannot take part in any number of others meanwhile.
type Claims = Vec<String>;

struct State {
    lanes: BTreeMap<Claims, VecDeque<Turn>>,
    /// In how many cases such a peer takes part.
    taken: BTreeMap<String, usize>,
    /// By the cases' places in the plan.
    runs: Vec<Runs>,
    tally: Tally,
    stopped: bool,
}

/// What is known of a case so far.
#[derive(Default)]
struct Runs {
    verdicts: Vec<Verdict>,
    /// The one that counts.
    standing: Option<Outcome>,
}

impl<'a> Queue<'a> {
    pub(super) fn new(cases: &[Arc<Case>], options: &'a Options) -> Self {
        let mut order: Vec<(usize, &Arc<Case>)> = cases.iter().enumerate().collect();
        match options.order {
            Order::Planned => {
                let (long, others) = order
                    .into_iter()
                    .partition(|(at, _)| options.long.contains(at));
                order = [long, spread(others)].concat();
            }
            // Drawn from the run's seed and the case's name: as random as a draw of its own.
            Order::Shuffled => order.sort_by_key(|(_, case)| case.seed),
        }
        let mut lanes: BTreeMap<Claims, VecDeque<Turn>> = BTreeMap::new();
        for (at, case) in order {
            let lane = lanes.entry(claims(case, options)).or_default();
            let planned = match options.tries {
                Tries::Repeated(times) => times.get(),
                Tries::UntilExpected(_) => 1,
            };
            lane.extend((1..=planned).map(|number| Turn {
                case: Arc::clone(case),
                at,
                number,
            }));
        }
        let state = State {
            lanes,
            taken: BTreeMap::new(),
            runs: cases.iter().map(|_| Runs::default()).collect(),
            tally: Tally::default(),
            stopped: false,
        };
        Self {
            state: Mutex::new(state),
            freed: Condvar::new(),
            options,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next turn all of whose peers are free; waits for one if need be.
    pub(super) fn take(&self) -> Option<Turn> {
        let mut state = self.lock();
        loop {
            let is_over = state.lanes.values().all(VecDeque::is_empty);
            if is_over || state.stopped || self.options.interrupt.is_raised() {
                return None;
            }
            if let Some(turn) = state.take(&self.options.at_a_time) {
                return Some(turn);
            }
            state = self
                .freed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets others have the peers of a turn.
    pub(super) fn give_back(&self, turn: &Turn) {
        let mut state = self.lock();
        for id in claims(&turn.case, self.options) {
            if let Some(count) = state.taken.get_mut(&id) {
                *count -= 1;
            }
        }
        self.freed.notify_all();
    }

    /// Takes in how a turn ended, and returns how its case did if that was the last of them.
    pub(super) fn ended(&self, turn: &Turn, outcome: Outcome) -> Option<Outcome> {
        let mut state = self.lock();
        let is_as_expected = outcome.is_as_expected();
        let runs = state.runs.get_mut(turn.at)?;
        let is_last = match self.options.tries {
            Tries::Repeated(times) => {
                runs.add(outcome);
                runs.verdicts.len() == times.get()
            }
            Tries::UntilExpected(times) => {
                runs.add_try(outcome);
                is_as_expected || turn.number == times.get()
            }
        };
        let is_tried_again = !is_last && matches!(self.options.tries, Tries::UntilExpected(_));
        if is_tried_again {
            // Behind all others, when whatever disturbed it may be over.
            let lane = state.lanes.entry(claims(&turn.case, self.options));
            lane.or_default().push_back(Turn {
                number: turn.number + 1,
                ..turn.clone()
            });
        } else if self.options.fail_fast && !is_as_expected {
            state.stopped = true;
        }
        if !is_last {
            return None;
        }
        state.conclude(turn.at)
    }

    /// The cases that were run, but not as often as they should, when the run was stopped.
    pub(super) fn cut_short(&self, cases: &[Arc<Case>]) -> Vec<(Arc<Case>, Outcome)> {
        let mut state = self.lock();
        let each = cases.iter().enumerate();
        each.filter_map(|(at, case)| Some((Arc::clone(case), state.conclude(at)?)))
            .collect()
    }

    /// How many cases ended in each verdict.
    pub(super) fn tally(&self) -> Tally {
        self.lock().tally
    }
}

impl State {
    /// From the fullest lane that is free; those that are free always are the last resort.
    fn take(&mut self, at_a_time: &BTreeMap<String, NonZeroUsize>) -> Option<Turn> {
        let is_free = |id: &String| {
            let limit = at_a_time.get(id).map_or(usize::MAX, |limit| limit.get());
            self.taken.get(id).is_none_or(|count| *count < limit)
        };
        let free = self
            .lanes
            .iter_mut()
            .filter(|(claims, turns)| !turns.is_empty() && claims.iter().all(is_free));
        let (claims, turns) =
            free.max_by_key(|(claims, turns)| (!claims.is_empty(), turns.len()))?;
        let turn = turns.pop_front()?;
        for id in claims {
            *self.taken.entry(id.clone()).or_default() += 1;
        }
        Some(turn)
    }

    /// What the runs of a case amount to, once.
    fn conclude(&mut self, at: usize) -> Option<Outcome> {
        let Runs { verdicts, standing } = std::mem::take(self.runs.get_mut(at)?);
        let outcome = Outcome {
            runs: verdicts,
            ..standing?
        };
        self.tally.add_outcome(&outcome);
        Some(outcome)
    }
}

impl Runs {
    fn add(&mut self, outcome: Outcome) {
        self.verdicts.push(outcome.verdict);
        let is_worse = |worst: &Outcome| gravity(outcome.verdict) > gravity(worst.verdict);
        if self.standing.as_ref().is_none_or(is_worse) {
            self.standing = Some(outcome);
        }
    }

    /// One that ended as it should puts aside those before it, but neither what there is to say of them
    /// nor what was recorded: somebody will want to know what happened.
    fn add_try(&mut self, mut outcome: Outcome) {
        match self.standing.take() {
            Some(before) if outcome.is_as_expected() => {
                self.verdicts.push(outcome.verdict);
                outcome.notes.extend(before.failure.map(|failure| {
                    format!(
                        "a try before ended in {}: `{}`: expected {}; actual: {}",
                        before.verdict, failure.step, failure.expected, failure.actual
                    )
                }));
                self.standing = Some(Outcome {
                    trace: before.trace,
                    captures: before.captures,
                    decided_at: before.decided_at,
                    logs: before.logs,
                    ..outcome
                });
            }
            before => {
                self.standing = before;
                self.add(outcome);
            }
        }
    }
}

/// Cases that wait a while, spread evenly among those that do not: side by side they would leave the
/// processors idle.
fn spread(cases: Vec<(usize, &Arc<Case>)>) -> Vec<(usize, &Arc<Case>)> {
    const A_WHILE: Duration = Duration::from_millis(250);
    let waits = |(_, case): &(usize, &Arc<Case>)| case.scenario.waits() >= A_WHILE;
    let (waiting, quick): (Vec<_>, Vec<_>) = cases.into_iter().partition(waits);
    // How many quick ones come before each.
    let between = quick.len() / (waiting.len() + 1);
    let mut waiting = waiting.into_iter();
    let mut spread = Vec::new();
    for group in quick.chunks(between.max(1)) {
        spread.extend_from_slice(group);
        spread.extend(waiting.next());
    }
    spread.extend(waiting);
    spread
}

fn claims(case: &Case, options: &Options) -> Claims {
    let sides = [&case.pairing.client, &case.pairing.server];
    let claimed = sides
        .into_iter()
        .filter(|id| options.at_a_time.contains_key(*id));
    claimed.cloned().collect()
}

/// A failure says something about the subject, and outweighs what says nothing.
fn gravity(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => 0,
        Verdict::Unsupported => 1,
        Verdict::Deviation => 2,
        Verdict::Broken => 3,
        Verdict::Fail => 4,
    }
}
