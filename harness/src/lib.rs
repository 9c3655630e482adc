//! sshdrill: an interop and conformance suite for SSH implementations.

pub mod cli;
#[cfg(test)]
mod fake;
pub mod peer;
pub mod requirement;
pub mod report;
pub mod run;
pub mod scenario;
pub mod scripted;
pub mod verdict;
