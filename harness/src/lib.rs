//! sshdrill: an interop and conformance suite for SSH implementations.

pub mod peer;
pub mod requirement;
pub mod run;
pub mod scenario;
pub mod scripted;
pub mod verdict;
