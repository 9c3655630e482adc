//! What a run has told so far, in the order of its plan.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Reporter;
use crate::run::event::{Case, Event, LeftOut, Pairing, Participant, Tally};
use crate::verdict::Outcome;

/// Everything a run told.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// The seed of the run.
    pub seed: u64,
    /// Who takes part.
    pub participants: Vec<Participant>,
    /// Every case that was planned.
    pub cases: Vec<Arc<Case>>,
    /// What was left out, and why.
    pub left_out: Vec<LeftOut>,
    /// How many cases ended in each verdict, so far.
    pub tally: Tally,
    outcomes: HashMap<(String, Pairing), Arc<Outcome>>,
}

impl Record {
    /// How a case ended; `None` when it did not.
    #[must_use]
    pub fn outcome(&self, case: &Case) -> Option<&Outcome> {
        self.outcomes.get(&key(case)).map(|outcome| &**outcome)
    }

    /// Every case with how it ended, as planned and not as it came.
    pub fn results(&self) -> impl Iterator<Item = (&Case, Option<&Outcome>)> {
        self.cases.iter().map(|case| (&**case, self.outcome(case)))
    }

    /// How the cases of one scenario ended, once all have.
    #[must_use]
    pub fn tally_of(&self, scenario: &str) -> Option<Tally> {
        let mut tally = Tally::default();
        for case in self
            .cases
            .iter()
            .filter(|case| case.scenario.name == scenario)
        {
            tally.add(self.outcome(case)?.verdict);
        }
        Some(tally)
    }

    /// How many planned cases have not ended.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.cases.len() - self.outcomes.len()
    }

    /// The time spent in cases; more than went by when they ran side by side.
    #[must_use]
    pub fn time_in_cases(&self) -> Duration {
        self.outcomes.values().map(|outcome| outcome.took).sum()
    }

    /// Product and version of a participant, or the id itself when it has none.
    #[must_use]
    pub fn version<'a>(&'a self, id: &'a str) -> &'a str {
        let found = self
            .participants
            .iter()
            .find(|participant| participant.id == id);
        found.map_or(id, |participant| &participant.version)
    }
}

impl Reporter for Record {
    fn on(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Planned {
                seed,
                participants,
                cases,
                left_out,
            } => {
                self.seed = *seed;
                self.participants.clone_from(participants);
                self.cases.clone_from(cases);
                self.left_out.clone_from(left_out);
            }
            Event::CaseFinished { case, outcome } => {
                self.tally.add(outcome.verdict);
                self.outcomes.insert(key(case), Arc::clone(outcome));
            }
            Event::Preparing(_) | Event::CaseStarted(_) | Event::Finished(_) => {}
        }
        Ok(())
    }
}

fn key(case: &Case) -> (String, Pairing) {
    (case.scenario.name.clone(), case.pairing.clone())
}
