//! sshdrill: an interop and conformance suite for SSH implementations.
//!
//! A guide for readers. A scenario is a file; a peer is an implementation; a case is one scenario
//! with one client and one server, and ends in a verdict.
//!
//! ```text
//!            scenarios/*.scn    fixtures/requirements/*.toml
//!                   │                   │
//!                scenario ◀──────── requirement          what is asked
//!                   │
//!   scripted ───────┤        peer                        who answers
//!                   │         │
//!                  run ◀──────┘                          what happens
//!                   │ events
//!                 report                                 what is told
//!                   │
//!                  cli                                   what was wanted, and the exit code
//! ```
//!
//! | module | owns | knows nothing of |
//! |---|---|---|
//! | [`requirement`] | clauses of the specifications, by id | scenarios |
//! | [`scenario`] | what a scenario file says, and what is wrong with it | anything that runs |
//! | [`scripted`] | an endpoint that plays a scenario's lines and misbehaves where they say so | peers, reports, minissh's engine |
//! | [`peer`] | implementations: what they can do, how each is started and told what to do | scenarios, verdicts |
//! | [`transcript`] | recorded connections, and the streams that carry live and recorded ones | what is said over them |
//! | [`mutant`] | subjects that break one rule each, to be noticed | scenarios, verdicts |
//! | [`trial`] | which scenario notices which mutant | terminals |
//! | [`verdict`] | the words for how a case ended | – |
//! | [`wording`] | counts and times in sentences | what is counted |
//! | [`run`] | which cases there are, running them, judging pairs | terminals, files, formats |
//! | [`report`] | renderings of what a run told | whether it is good news |
//! | [`cli`] | flags, the order of things, exit codes | – |
//!
//! What holds everywhere:
//!
//! - `scenario` never runs, `run` never prints, `report` never decides. They meet in two types:
//!   [`scenario::Scenario`] and [`run::event::Event`].
//! - Misbehaviour lives in `scripted`, and in `mutant` on the side of subjects; no implementation
//!   under test has a switch for it.
//! - What is wrong on our side or in the environment is `broken` and is never held against a peer.
//! - What a peer cannot do is known before the first case and never concluded from a failed one.
//! - Modules import against no arrow of the table above; `tests/tidy.rs` reads the sources for it.
//! - No secret leaves a case: not in traces, not in logs, not in what a peer said.
//! - The same seed gives the same bytes from our side; every report says the seed.

pub mod cli;
#[cfg(test)]
mod fake;
pub mod mutant;
pub mod peer;
pub mod report;
pub mod requirement;
pub mod run;
pub mod scenario;
pub mod scripted;
pub mod transcript;
pub mod trial;
pub mod verdict;
pub mod wording;
