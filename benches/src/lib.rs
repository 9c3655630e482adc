//! Benches of minissh, kept out of its own package so that no test build pays for criterion.
//!
//! Run them with `cargo bench -p minissh-benches`; every figure is to be read beside its
//! neighbours of the same run, never beside one of another machine or day.
