//! `sshdrill mutants`.

use super::args::MutantsArgs;
use super::{Exit, Stop, places};
use crate::requirement::Catalogue;
use crate::scenario::load_dir;
use crate::trial::{self, Thoroughness};

/// Shows which scenarios notice which mutant.
pub(super) fn mutants(args: &MutantsArgs) -> Result<Exit, Stop> {
    let catalogue = Catalogue::load(&places::requirements())
        .map_err(|error| Stop::new(Exit::DoesNotParse, error.to_string()))?;
    let folder = args.scenarios.clone().unwrap_or_else(places::scenarios);
    let scenarios = load_dir(&folder, &catalogue).map_err(|errors| {
        let what = format!("the scenarios below {} do not parse", folder.display());
        Stop::new(Exit::DoesNotParse, format!("{what}\n\n{errors}"))
    })?;
    let thoroughness = if args.all {
        Thoroughness::Everything
    } else {
        Thoroughness::Enough
    };
    let findings = trial::run(&trial::trials(&scenarios), thoroughness);
    anstream::print!("{findings}");
    let right = findings.false_alarms.is_empty()
        && findings.blind.is_empty()
        && findings.unnoticed().count() == 0;
    Ok(if right {
        Exit::AsExpected
    } else {
        Exit::NotAsExpected
    })
}
