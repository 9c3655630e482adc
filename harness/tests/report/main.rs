//! Reports from outside: what other programs make of them.

mod capture;
mod commands;
#[path = "../common/made_up.rs"]
mod made_up;
mod page;
mod stage;
