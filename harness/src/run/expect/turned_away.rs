//! Servers that have had enough of us: what they send instead of an identification then. It depends on
//! what other cases did before, and says nothing about the clause of this one.

use serde::Deserialize;

use super::Versions;
use crate::verdict::capture::{Capture, Side};
use crate::verdict::{Broken, Outcome, Verdict};

/// What is said, by whom, and what can be done about it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TurnedAway {
    /// The beginning of all that the server sends.
    says: String,
    /// All versions, when it is not said.
    pub(super) versions: Option<Versions>,
    reason: String,
    pub(super) link: Option<String>,
}

impl TurnedAway {
    /// Whether it is about whatever is sent.
    pub(super) fn is_silent(&self) -> bool {
        self.says.is_empty()
    }

    /// Whether the case did not pass, and this is what it was told on one of its connections.
    pub(super) fn ended(&self, outcome: &Outcome) -> bool {
        let is_told = |capture: &Capture| {
            capture.recorder == Side::Client && capture.received_first(self.says.as_bytes())
        };
        outcome.verdict != Verdict::Pass && outcome.captures.iter().any(is_told)
    }

    /// The same case, which could not be run.
    pub(super) fn instead_of(&self, outcome: Outcome) -> Outcome {
        let link = self.link.iter().map(|link| format!(" <{link}>"));
        let broken = Broken::new(format!("the server turned us away: `{}`", self.says))
            .hint(format!("{}{}", self.reason, link.collect::<String>()));
        let Outcome {
            verdict, failure, ..
        } = Outcome::broken(None, "the connection of this case", &broken);
        Outcome {
            verdict,
            failure,
            ..outcome
        }
    }
}
