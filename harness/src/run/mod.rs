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

pub mod event;
pub mod executor;
pub mod interrupt;
mod judge;
mod output;
pub mod pair;
pub mod panics;
pub mod plan;
pub mod play;
mod redact;
pub mod selection;
mod stall;
pub mod wire;

use crate::peer::Broken;
use crate::verdict::{Failure, Outcome, Verdict};

/// The id of the implementation that is in this repository and takes part in every pair.
pub const MINISSH: &str = "minissh";

/// The id under which the scripted endpoint appears in pairings.
pub const SCRIPTED: &str = "scripted";

/// What our side or the environment failed at, as the outcome of a case.
#[must_use]
pub fn broken(step: &str, broken: &Broken) -> Outcome {
    let failure = Failure {
        line: None,
        step: step.to_owned(),
        expected: "our side and the environment to work".to_owned(),
        actual: broken.what.clone(),
        hint: broken.hint.clone(),
    };
    Outcome::new(Verdict::Broken, Some(failure))
}
