//! `sshdrill check`.

use std::collections::BTreeSet;

use super::args::ScenariosArgs;
use super::{Exit, Stop, prepare};
use crate::wording::count;

/// Reads every scenario and says how many there are, or everything that is wrong.
pub(super) fn check(args: &ScenariosArgs) -> Result<Exit, Stop> {
    let (_, scenarios) = prepare::files(args.scenarios.as_deref())?;
    let files: BTreeSet<&str> = scenarios.iter().map(|s| s.file_name()).collect();
    let steps: usize = scenarios.iter().map(|scenario| scenario.steps.len()).sum();
    let cited: BTreeSet<&String> = scenarios.iter().flat_map(|s| &s.cites).collect();
    anstream::println!(
        "{}, {}, {}, {} cited: all well-formed",
        count(files.len(), "file"),
        count(scenarios.len(), "scenario"),
        count(steps, "step"),
        count(cited.len(), "clause")
    );
    Ok(Exit::AsExpected)
}
