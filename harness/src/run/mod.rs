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
use crate::verdict::Outcome;

pub use event::{MINISSH, SCRIPTED};

/// What our side or the environment failed at, as the outcome of a case.
#[must_use]
pub fn broken(step: &str, broken: &Broken) -> Outcome {
    Outcome::broken(None, step, broken)
}
