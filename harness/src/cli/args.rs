//! The one table of commands and flags.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::peer::catalogue::Required;
use crate::run::selection::{Filter, PairingFilter};

/// How long one case may take unless `--timeout` says otherwise.
pub(super) const TIMEOUT_SECS: u64 = 60;

const EXAMPLES: &str = "\
Examples:
  sshdrill run                                  everything that can run here
  sshdrill run --list                           what that would be
  sshdrill run interop/exec-output              one scenario, with every peer
  sshdrill run 'auth/*' --peer openssh-sid      some scenarios, with one peer
  sshdrill run --pairing minissh:openssh-local  in one direction only
  sshdrill run --require openssh,containers --junit out.xml
  sshdrill clean                                what earlier runs left behind

Exit codes:
  0 all as expected     1 a verdict was not      2 command line
  3 a file does not parse    4 nothing was selected
  5 the environment is broken, or something required is missing
  130 a signal stopped it: the reports are written, what did not end counts as skipped";

/// Runs SSH scenarios against SSH implementations and gives verdicts.
#[derive(Debug, Parser)]
#[command(name = "sshdrill", version, after_help = EXAMPLES)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one of it in the program"
)]
pub(super) enum Command {
    /// Run scenarios with every peer that is here.
    #[command(after_help = EXAMPLES)]
    Run(RunArgs),
    /// Remove containers that earlier runs left behind.
    Clean(CleanArgs),
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Scenarios to run: a whole name, a part of one, or a glob [default: all].
    #[arg(value_name = "FILTER")]
    pub(super) names: Vec<Filter>,

    /// Only cases in which this peer takes part (a whole id, a part of one, or a glob).
    #[arg(long, value_name = "ID")]
    pub(super) peer: Vec<Filter>,

    /// Only this client with this server (whole ids or globs).
    #[arg(long, value_name = "CLIENT:SERVER")]
    pub(super) pairing: Vec<PairingFilter>,

    /// Say what would run, and run nothing; with --json, to programs too.
    #[arg(long)]
    pub(super) list: bool,

    #[expect(clippy::doc_markdown, reason = "the text is also the help of the flag")]
    /// Write a JUnit report.
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,

    /// Write a JSON report.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,

    /// Folder for the packets and logs of each case [default: drill in the target folder].
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,

    /// What must be here (openssh, containers); a missing one is an error.
    #[arg(long, value_name = "LIST", env = Required::VARIABLE, default_value = "", hide_default_value = true)]
    pub(super) require: Required,

    /// Seed of all randomness of our side, decimal or 0x hex [default: a new one].
    #[arg(long, value_name = "N", value_parser = parse_seed)]
    pub(super) seed: Option<u64>,

    /// Cases to run at a time [default: one for each processor].
    #[arg(long, value_name = "N")]
    pub(super) jobs: Option<NonZeroUsize>,

    /// How long one case may take.
    #[arg(long, value_name = "SECS", default_value_t = TIMEOUT_SECS)]
    pub(super) timeout: u64,

    /// Folder of the scenario files [default: the one of this repository].
    #[arg(long, value_name = "DIR")]
    pub(super) scenarios: Option<PathBuf>,

    /// Leave out the peers that run in containers.
    #[arg(long)]
    pub(super) no_containers: bool,

    /// A line for every case, and what the program itself logs.
    #[arg(short, long)]
    pub(super) verbose: bool,
}

#[derive(Debug, Args)]
pub(super) struct CleanArgs {
    /// Remove the images of the peers, too.
    #[arg(long)]
    pub(super) images: bool,
}

fn parse_seed(text: &str) -> Result<u64, std::num::ParseIntError> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_table_of_flags_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn seeds_are_read_as_they_are_printed() {
        assert_eq!(parse_seed("0x2a"), Ok(42));
        assert_eq!(parse_seed("42"), Ok(42));
        assert!(parse_seed("0xgg").is_err());
    }
}
