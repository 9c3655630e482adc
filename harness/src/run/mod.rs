//! From a selection of scenarios and peers to outcomes.

pub mod event;
