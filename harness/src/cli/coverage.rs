//! `sshdrill coverage`.

use super::args::CoverageArgs;
use super::{Exit, Stop, places};
use crate::requirement::Catalogue;
use crate::requirement::coverage::Coverage;
use crate::scenario::load_dir;

/// Shows which clauses are shown by what.
pub(super) fn coverage(args: &CoverageArgs) -> Result<Exit, Stop> {
    let catalogue = Catalogue::load(&places::requirements())
        .map_err(|error| Stop::new(Exit::DoesNotParse, error.to_string()))?;
    let folder = args.scenarios.clone().unwrap_or_else(places::scenarios);
    let scenarios = load_dir(&folder, &catalogue).map_err(|errors| {
        let what = format!("the scenarios below {} do not parse", folder.display());
        Stop::new(Exit::DoesNotParse, format!("{what}\n\n{errors}"))
    })?;
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
