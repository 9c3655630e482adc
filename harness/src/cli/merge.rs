//! `sshdrill merge`: the shards of a run as one.

use super::args::MergeArgs;
use super::runs::read;
use super::{Exit, Stop};
use crate::report::Wanted;
use crate::report::merge::merge as join;
use crate::report::record::Record;
use crate::wording::{are, count};

/// Joins JSON reports and writes what comes of it. The exit code is that of the whole run, which was
/// stopped where a part of it was.
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
        .hint("give all shards of one run, each once, run with the same --seed and the same peers")
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
        "{} of {} {} in {}",
        count(cases, "case"),
        count(shards, "run"),
        are(cases),
        args.out.display()
    );
    all_run(&merged)
}

/// Cases that nobody ran fail nothing, and so must be said. They hide nothing that is worse.
fn all_run(merged: &Record) -> Result<Exit, Stop> {
    let exit = Exit::of(&merged.tally);
    let mut not_run = merged.cases.iter().filter(|case| case.verdict.is_none());
    let Some(first) = not_run.next() else {
        return Ok(exit);
    };
    let exit = match exit {
        Exit::AsExpected => Exit::Interrupted,
        worse => worse,
    };
    let (scenario, pairing) = (&first.scenario, first.pairing());
    let what = format!(
        "{} of {} cases were not run, such as {scenario} {pairing}",
        merged.unfinished(),
        merged.cases.len()
    );
    Err(Stop::new(exit, what).hint(
        "a run was stopped before its end; run that one again, and merge what it then reports",
    ))
}
