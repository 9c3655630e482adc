//! Scenario files: what they say, and what is wrong with them.

mod acts;
mod ast;
mod body;
mod bytes;
mod diagnostic;
mod expand;
mod header;
mod layout;
mod lexer;
mod load;
mod names;
mod parse;
mod suggest;
mod value;
pub mod verbs;
mod words;

pub use crate::requirement::Level;
pub use acts::numbered;
pub use ast::*;
pub use diagnostic::{ScenarioError, ScenarioErrors};
pub use layout::format;
pub use load::{load_dir, scenario_files};
pub use parse::parse;

#[cfg(test)]
mod tests;
