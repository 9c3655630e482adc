//! `sshdrill mutants`.

use std::sync::Arc;

use super::args::MutantsArgs;
use super::{Exit, Stop, prepare};
use crate::run::selection::Filter;
use crate::scenario::Scenario;
use crate::trial::{self, Thoroughness};

/// Shows which scenarios notice which mutant.
pub(super) fn mutants(args: &MutantsArgs) -> Result<Exit, Stop> {
    let (_, scenarios) = prepare::files(args.scenarios.scenarios.as_deref())?;
    let chosen = chosen(&scenarios, &args.names);
    let trials = trial::trials(&chosen);
    if trials.is_empty() {
        let what = "no scenario of the wire has such a name".to_owned();
        return Err(Stop::new(Exit::NothingSelected, what).hint("`sshdrill run --list` names them"));
    }
    let is_part = chosen.len() < scenarios.len();
    let thoroughness = if args.all || is_part {
        Thoroughness::Everything
    } else {
        Thoroughness::Enough
    };
    let mut findings = trial::run(&trials, thoroughness);
    if is_part {
        // The others are for other scenarios.
        findings.mutants.retain(|(_, by)| !by.is_empty());
    }
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

/// All, or those with such names. An old bug is noticed where others who cite its clauses notice
/// one, so these come with it.
fn chosen(scenarios: &[Arc<Scenario>], names: &[Filter]) -> Vec<Arc<Scenario>> {
    let all: Vec<&str> = scenarios.iter().map(|it| it.name.as_str()).collect();
    let is_named = |it: &&Arc<Scenario>| {
        names.is_empty() || names.iter().any(|name| name.selects(&it.name, &all))
    };
    let wanted: Vec<_> = scenarios.iter().filter(is_named).collect();
    let of_museum = wanted.iter().filter(|it| it.name.starts_with("museum/"));
    let cited: Vec<&String> = of_museum.flat_map(|it| &it.cites).collect();
    let goes_along =
        |it: &&Arc<Scenario>| is_named(it) || it.cites.iter().any(|clause| cited.contains(&clause));
    scenarios.iter().filter(goes_along).cloned().collect()
}
