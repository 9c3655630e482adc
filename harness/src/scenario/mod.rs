//! Scenario files: what they say, and what is wrong with them.

mod acts;
mod ast;
mod body;
mod diagnostic;
mod header;
mod lexer;
mod load;
mod parse;
mod suggest;
mod value;
pub mod verbs;

pub use crate::requirement::Level;
pub use ast::*;
pub use diagnostic::{ScenarioError, ScenarioErrors};
pub use load::load_dir;
pub use parse::parse;

#[cfg(test)]
mod tests;
