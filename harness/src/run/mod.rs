//! From a selection of scenarios and peers to outcomes.
//!
//! ```text
//! Selection ─┐
//! scenarios ─┼─ plan ── Plan ── executor ── play ─┬─ pair   a real client with a real server
//! peers ─────┘            │        │              └─ wire   the scripted endpoint with a peer
//!                         └── Event ┴── Event ──▶ whoever listens
//! ```
//!
//! Nothing here prints, and nothing here knows what a report looks like: what happens is told as
//! [`event::Event`]s and in no other way.

pub mod bisect;
pub mod event;
pub mod executor;
pub mod expect;
pub mod interrupt;
mod judge;
mod login;
mod output;
pub mod pair;
pub mod panics;
pub mod plan;
pub mod play;
mod queue;
mod redact;
pub mod replay;
pub mod selection;
pub mod shard;
mod stall;
pub mod wire;

use crate::peer::{Broken, NotDone};
use crate::verdict::{Failure, Outcome, Verdict};

pub use event::{MINISSH, SCRIPTED};

/// What our side or the environment failed at, as the outcome of a case.
#[must_use]
pub fn broken(step: &str, broken: &Broken) -> Outcome {
    Outcome::broken(None, step, broken)
}

/// What a peer did not do, as the outcome of a case.
#[must_use]
pub fn not_done(step: &str, why: &NotDone) -> Outcome {
    match why {
        NotDone::Broken(why) => broken(step, why),
        NotDone::Unsupported(why) => Outcome::unsupported(step, why),
    }
}

/// A server that goes down with a connection has failed, and so has a client that crashes, whatever else
/// the scenario was about.
fn note_death(outcome: &mut Outcome, peer: &str, died: Option<String>) {
    const HINT: &str = "its log is among the logs of the case";
    let Some(died) = died else { return };
    let actual = format!("{peer}: {died}");
    if matches!(outcome.verdict, Verdict::Pass | Verdict::Deviation) {
        outcome.verdict = Verdict::Fail;
        outcome.failure = Some(Failure {
            line: None,
            step: "after the connection".to_owned(),
            expected: "no connection takes the program down".to_owned(),
            actual,
            hint: Some(HINT.to_owned()),
        });
    } else {
        outcome.notes.push(actual);
        if let Some(failure) = &mut outcome.failure {
            failure.hint.get_or_insert_with(|| HINT.to_owned());
        }
    }
}
