//! What a run told, for people and for machines.
//!
//! Everything here is made from [`crate::run::event::Event`]s and decides nothing: whether a
//! verdict is good news is for the exit code to say. [`record::Record`] keeps what was told;
//! [`ladder`], [`summary`], [`json`] and [`junit`] are renderings of it that touch neither clock,
//! terminal nor disk; [`terminal`] and [`files`] put such renderings where people look.
//!
//! Renderings for people carry colours as escape sequences always; whatever writes them to
//! something that is no terminal strips them.

pub mod files;
pub mod json;
pub mod junit;
pub mod ladder;
pub mod record;
pub mod summary;
pub mod terminal;
mod tint;

#[cfg(test)]
mod tests;

use std::io;

use crate::run::event::Event;

/// Something that follows a run.
pub trait Reporter {
    /// Takes in the next thing that happened.
    ///
    /// # Errors
    /// When the report cannot be written where it goes.
    fn on(&mut self, event: &Event) -> io::Result<()>;
}

/// Quotes a clause in short by its id, if it is known.
pub type Clauses = dyn Fn(&str) -> Option<String>;
