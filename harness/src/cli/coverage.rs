//! `sshdrill coverage`.

use super::args::ScenariosArgs;
use super::{Exit, Stop, places, prepare};
use crate::requirement::coverage::Coverage;

/// Shows which clauses are shown by what.
pub(super) fn coverage(args: &ScenariosArgs) -> Result<Exit, Stop> {
    let (catalogue, scenarios) = prepare::files(args.scenarios.as_deref())?;
    let cited = scenarios.iter().map(|s| (s.name.as_str(), &s.cites[..]));
    let coverage = Coverage::of(&catalogue, cited);
    anstream::print!("{coverage}");
    stop_at_gaps(&coverage)
}

/// A binding clause that nothing speaks for is an error, and so is a test that is not there.
fn stop_at_gaps(coverage: &Coverage<'_>) -> Result<Exit, Stop> {
    let gaps: Vec<&str> = coverage.gaps().map(|row| row.clause.id.as_str()).collect();
    if !gaps.is_empty() {
        let what = format!("nothing speaks for {}", gaps.join(", "));
        return Err(Stop::new(Exit::NotAsExpected, what)
            .hint("cite them in a scenario, or name a test or a reason in fixtures/requirements"));
    }
    let missing = coverage.missing_tests(&places::workspace());
    if let Some((clause, test)) = missing.first() {
        let what = format!("{clause} names the test {test}, which is not there");
        return Err(Stop::new(Exit::NotAsExpected, what)
            .hint("a test is named FILE::FUNCTION, with the file from the top of the repository"));
    }
    Ok(Exit::AsExpected)
}
