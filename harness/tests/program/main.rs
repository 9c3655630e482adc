//! The program from outside. Nothing here needs OpenSSH, and but for what says so, no containers.

mod commands;
mod exit_codes;
#[path = "../common/made_up.rs"]
mod made_up;
mod stage;
