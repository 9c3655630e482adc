//! `sshdrill merge`: the shards of a run as one.

use super::args::MergeArgs;
use super::runs::read;
use super::{Exit, Stop};
use crate::report::Wanted;
use crate::report::merge::merge as join;

/// Joins JSON reports and writes what comes of it. The exit code is that of the whole run.
pub(super) fn merge(args: &MergeArgs) -> Result<Exit, Stop> {
    let records = args
        .runs
        .iter()
        .map(|path| read(path))
        .collect::<Result<Vec<_>, _>>()?;
    let merged = join(records).map_err(|conflict| {
        Stop::new(
            Exit::CommandLine,
            format!("these are not parts of one run: {conflict}"),
        )
        .hint("give the shards of one run, each once, all with the same peers")
    })?;
    let wanted = Wanted {
        json: Some(args.out.clone()),
        ..Wanted::default()
    };
    wanted
        .write(&merged)
        .map_err(|error| Stop::unwritable(&error))?;
    let (cases, shards) = (merged.cases.len(), args.runs.len());
    anstream::println!(
        "{cases} cases of {shards} runs are in {}",
        args.out.display()
    );
    Ok(Exit::of(&merged.tally))
}
