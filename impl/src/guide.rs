//! Pages to read: nothing here runs. That the tests and scenarios they name exist is tested.

#[doc = include_str!("guide/famous_bugs.md")]
pub mod famous_bugs {}

#[doc = include_str!("guide/limits.md")]
pub mod limits {}

#[doc = include_str!("guide/rows.md")]
pub mod rows {}

#[doc = include_str!("guide/scope.md")]
pub mod scope {}
