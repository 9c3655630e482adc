//! Scenario files: what they say, and what is wrong with them.

mod ast;

pub use ast::*;
