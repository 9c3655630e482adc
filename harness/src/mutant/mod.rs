//! Subjects that are wrong on purpose: each breaks one rule, so that the scenarios can be shown to
//! notice it.
//!
//! A small SSH, client and server, made from the library's primitives and right by default. It
//! knows nothing of scenarios, and no implementation that is under test knows anything of it.

mod channels;
mod command;
mod framing;
mod kex;
mod login;
mod machine;
mod subject;
mod wrong;

pub use subject::Mutant;
pub use wrong::{Plays, Wrong};
