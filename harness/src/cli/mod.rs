//! The command line: what is asked, in which order things happen, and how it ends.
//!
//! Puts the other modules together and holds no logic of its own beyond that.

mod args;
mod bisect;
mod check;
mod clean;
mod completions;
mod coverage;
mod diff;
mod doctor;
mod exit;
mod explain;
mod fmt;
mod learn;
mod lure;
mod merge;
mod mutants;
mod places;
mod prepare;
mod probe;
mod record;
mod replay;
mod report;
mod run;
mod runs;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use owo_colors::OwoColorize;

pub use exit::Exit;

use crate::peer::Broken;
use args::{Cli, Command};

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    // Clap ends the program itself with exit code 2, which is ours for the command line.
    let cli = Cli::parse();
    let ended = match &cli.command {
        Command::Run(args) => run::run(args),
        Command::Replay(args) => replay::replay_all(args),
        Command::Record(args) => record::record(args),
        Command::Bisect(args) => bisect::bisect(args),
        Command::Check(args) => check::check(args),
        Command::Explain(args) => explain::explain(args),
        Command::Fmt(args) => fmt::fmt(args),
        Command::Coverage(args) => coverage::coverage(args),
        Command::Mutants(args) => mutants::mutants(args),
        Command::Report(args) => report::report(args),
        Command::Merge(args) => merge::merge(args),
        Command::Diff(args) => diff::diff(args),
        Command::Probe(args) => probe::probe(args),
        Command::Lure(args) => lure::lure(args),
        Command::Doctor => Ok(doctor::doctor()),
        Command::Learn(args) => learn::learn(args),
        Command::Clean(args) => clean::clean(args),
        Command::Completions(args) => completions::completions(args),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(stop) => {
            stop.print();
            stop.exit.into()
        }
    }
}

/// Why the program cannot go on: what happened and what a person can do.
#[derive(Debug)]
struct Stop {
    exit: Exit,
    what: String,
    hint: Option<String>,
}

impl Stop {
    fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            hint: None,
        }
    }

    fn because_of(exit: Exit, broken: Broken) -> Self {
        let Broken { what, hint } = broken;
        Self { exit, what, hint }
    }

    /// A report cannot be written; the error has the path in it, where there is one.
    fn unwritable(error: &io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "make room, or write elsewhere"
            }
            _ => "the folder of a file must be there and writable; --help says how it is named",
        };
        let what = format!("cannot write a report: {error}");
        Self::new(Exit::Environment, what).hint(hint)
    }

    /// A file or folder of the command line cannot be read.
    fn unreadable(path: &Path, error: &io::Error) -> Self {
        let stop = Self::new(
            Exit::DoesNotParse,
            format!("cannot read {}: {error}", path.display()),
        );
        match (error.kind(), std::env::current_dir()) {
            (io::ErrorKind::NotFound, Ok(here)) if path.is_relative() => {
                stop.hint(format!("it is looked for in {}", here.display()))
            }
            (io::ErrorKind::NotFound, _) => stop.hint("is it spelled right?"),
            (io::ErrorKind::PermissionDenied, _) => stop.hint("may this user read it?"),
            _ => stop,
        }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    fn print(&self) {
        let mut stderr = anstream::stderr().lock();
        // Nobody is left to tell when stderr is gone.
        let _ = writeln!(
            stderr,
            "{} {}",
            "error:".red().bold(),
            indented(&self.what, "  ")
        );
        if let Some(hint) = &self.hint {
            let _ = writeln!(
                stderr,
                "{} {}",
                "hint:".cyan().bold(),
                indented(hint, "      ")
            );
        }
    }
}

fn indented(text: &str, by: &str) -> String {
    text.trim_end().replace('\n', &format!("\n{by}"))
}
