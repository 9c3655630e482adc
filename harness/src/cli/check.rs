//! `sshdrill check`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::args::ScenariosArgs;
use super::{Exit, Stop, places};
use crate::requirement::Catalogue;
use crate::scenario::{Scenario, load_dir};

/// Reads every scenario and says how many there are, or everything that is wrong.
pub(super) fn check(args: &ScenariosArgs) -> Result<Exit, Stop> {
    let (_, scenarios) = load(args)?;
    let files: BTreeSet<&str> = scenarios.iter().map(|s| s.file_name()).collect();
    let steps: usize = scenarios.iter().map(|scenario| scenario.steps.len()).sum();
    let cited: BTreeSet<&String> = scenarios.iter().flat_map(|s| &s.cites).collect();
    anstream::println!(
        "{} files, {} scenarios, {steps} steps, {} clauses cited: all well-formed",
        files.len(),
        scenarios.len(),
        cited.len()
    );
    Ok(Exit::AsExpected)
}

/// The catalogue, and the scenarios that cite it.
pub(super) fn load(args: &ScenariosArgs) -> Result<(Catalogue, Vec<Arc<Scenario>>), Stop> {
    let catalogue = Catalogue::load(&places::requirements())
        .map_err(|error| Stop::new(Exit::DoesNotParse, error.to_string()))?;
    let folder = args.scenarios.clone().unwrap_or_else(places::scenarios);
    let scenarios = load_dir(&folder, &catalogue).map_err(|errors| {
        let what = format!("the scenarios below {} do not parse", folder.display());
        Stop::new(Exit::DoesNotParse, format!("{what}\n\n{errors}"))
    })?;
    Ok((catalogue, scenarios))
}
