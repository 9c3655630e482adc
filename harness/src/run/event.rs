//! What a run tells the world, in order. Reports are made from these and from nothing else.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::scenario::Scenario;
use crate::verdict::capture::Side;
use crate::verdict::{Outcome, Verdict};

/// The id of the implementation that is in this repository.
pub use crate::peer::catalogue::MINISSH;

/// The id under which the scripted endpoint appears in pairings.
pub use crate::peer::SCRIPTED;

pub use super::shard::Shard;

/// Who plays which role in a case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pairing {
    /// Id of the client: a peer's, or `scripted`.
    pub client: String,
    /// Id of the server: a peer's, or `scripted`.
    pub server: String,
}

impl Pairing {
    /// Whether one side is from this repository.
    #[must_use]
    pub fn has_ours(&self) -> bool {
        let sides = [&self.client, &self.server];
        sides
            .iter()
            .any(|id| [MINISSH, SCRIPTED].contains(&id.as_str()))
    }
}

/// The sides that a case between these two is about: the one that is not ours, or both when neither is;
/// of two that are ours, the one that the scripted endpoint faces, and else the server.
#[must_use]
pub fn subjects<'a>(client: &'a str, server: &'a str) -> Vec<(Side, &'a str)> {
    let (as_client, as_server) = ((Side::Client, client), (Side::Server, server));
    match (client, server) {
        (SCRIPTED, _) => vec![as_server],
        (_, SCRIPTED) => vec![as_client],
        (MINISSH, _) => vec![as_server],
        (_, MINISSH) => vec![as_client],
        _ => vec![as_server, as_client],
    }
}

impl std::fmt::Display for Pairing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}→{}", self.client, self.server)
    }
}

/// One scenario with one pairing.
#[derive(Debug, Clone)]
pub struct Case {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// Who plays.
    pub pairing: Pairing,
    /// What all randomness of our side in this case is derived from.
    pub seed: u64,
    /// The command line that runs exactly this case again.
    pub rerun: String,
}

/// Something a first-time reader would expect to run here and that does not, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What is missing: `local OpenSSH`, `containers`, or a scenario with a pairing.
    pub what: String,
    /// Why.
    pub why: String,
    /// What would add it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl LeftOut {
    /// How the reason begins where other shards have the cases.
    pub const OTHER_SHARD: &str = "they are not in shard";
}

/// A peer that takes part, for the heading of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// Its id.
    pub id: String,
    /// Product and version.
    pub version: String,
}

/// What happened, in the order it happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// Something slow goes on before the first case, such as building an image.
    Preparing(String),
    /// The plan is made.
    Planned {
        /// The seed of the whole run.
        seed: u64,
        /// Which part of the whole run it is, if not all of it.
        shard: Option<Shard>,
        /// Who takes part.
        participants: Vec<Participant>,
        /// Every case that will run.
        cases: Vec<Arc<Case>>,
        /// What will not, and why.
        left_out: Vec<LeftOut>,
    },
    /// A case begins.
    CaseStarted(Arc<Case>),
    /// A case is over.
    CaseFinished {
        /// Which.
        case: Arc<Case>,
        /// How.
        outcome: Arc<Outcome>,
    },
    /// Nothing more will come.
    Finished(Tally),
}

/// How many cases ended in each verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// See [`Verdict::Pass`].
    pub pass: usize,
    /// See [`Verdict::Deviation`].
    pub deviation: usize,
    /// See [`Verdict::Fail`].
    pub fail: usize,
    /// See [`Verdict::Unsupported`].
    pub unsupported: usize,
    /// See [`Verdict::Broken`].
    pub broken: usize,
    /// Those of all these that did not simply pass and were known.
    #[serde(default)]
    pub known: usize,
    /// Those of all these that ended neither as they should nor as was known, but for the broken.
    #[serde(default)]
    pub surprises: usize,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Pass => &mut self.pass,
            Verdict::Deviation => &mut self.deviation,
            Verdict::Fail => &mut self.fail,
            Verdict::Unsupported => &mut self.unsupported,
            Verdict::Broken => &mut self.broken,
        } += 1;
    }

    /// Counts one more, with what was known of it.
    pub fn add_outcome(&mut self, outcome: &Outcome) {
        self.add_ended(
            outcome.verdict,
            outcome.known.is_some(),
            !outcome.is_as_expected(),
        );
    }

    /// Counts one more, of which something was known or not, and which was a surprise or not.
    pub fn add_ended(&mut self, verdict: Verdict, is_known: bool, is_surprise: bool) {
        self.add(verdict);
        self.known += usize::from(is_known && !is_surprise && verdict != Verdict::Pass);
        self.surprises += usize::from(is_surprise && verdict != Verdict::Broken);
    }

    /// How many ended in this one.
    #[must_use]
    pub fn of(&self, verdict: Verdict) -> usize {
        match verdict {
            Verdict::Pass => self.pass,
            Verdict::Deviation => self.deviation,
            Verdict::Fail => self.fail,
            Verdict::Unsupported => self.unsupported,
            Verdict::Broken => self.broken,
        }
    }

    /// All cases.
    #[must_use]
    pub fn total(&self) -> usize {
        self.pass + self.deviation + self.fail + self.unsupported + self.broken
    }
}
