//! What a run told, for people and for machines.
//!
//! Everything here is made from [`crate::run::event::Event`]s and decides nothing: whether a
//! verdict is good news is for the exit code to say. [`record::Record`] keeps what was told and is
//! all that the renderings see, so that they can be made again from the JSON of a run:
//!
//! ```text
//! Event ── gather ── Record ─┬─ explain, ladder, summary   for people at a terminal
//!                            ├─ markdown, html             for people in a browser
//!                            └─ json, junit                for programs
//! ```
//!
//! [`merge`] makes one record of several, and [`diff`] says what changed between two. None of these
//! touches clock, terminal or disk, but for the captures that the page takes in; [`mod@write`],
//! [`terminal`] and [`files`] put them where people look. What is for a terminal carries colours as
//! escape sequences always; whatever writes it to something else strips them.

mod causes;
pub mod diff;
pub mod explain;
pub mod files;
pub mod html;
pub mod json;
pub mod junit;
pub mod ladder;
pub mod markdown;
mod matrix;
pub mod merge;
pub mod pcapng;
pub mod record;
pub mod replayed;
mod sign;
pub mod summary;
pub mod terminal;
pub(crate) mod tint;
pub mod transcripts;
pub mod write;

#[cfg(test)]
mod tests;

pub use write::{Reports, Wanted};
