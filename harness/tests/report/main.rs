//! Reports from outside: what other programs make of them.

mod capture;
mod commands;
mod page;
mod stage;
