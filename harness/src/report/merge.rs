//! Several runs as one, such as the shards of several machines.

use std::collections::HashMap;
use std::fmt;

use super::record::{Case, Record, Seed};
use crate::run::event::{LeftOut, Shard, Tally};

/// Missing shards that are named.
const MISSING_MAX: usize = 8;

/// Why runs cannot be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// A case is in two of them, and ended differently.
    Case(String),
    /// A scenario is in two of them, and says something else in each.
    Scenario(String),
    /// A peer is in two of them, in different versions.
    Version {
        /// Its id.
        id: String,
        /// In the first that has it.
        first: String,
        /// In a later one.
        other: String,
    },
    /// Shards of two runs that were not divided in the same way.
    Division([Shard; 2]),
    /// Shards of two runs with seeds of their own.
    Seed([(Shard, Seed); 2]),
    /// A shard is there more than once.
    Doubled(Shard),
    /// Shards are not there: the first of them.
    Missing(Vec<Shard>),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Case(name) => write!(f, "the case {name} ended differently in two of them"),
            Self::Scenario(name) => write!(f, "the scenario {name} is not the same in all of them"),
            Self::Version { id, first, other } => {
                write!(f, "{id} is {first} in one of them and {other} in another")
            }
            Self::Division([first, other]) => {
                write!(f, "{first} and {other} are shards of different runs")
            }
            Self::Seed([(first, seed), (other, other_seed)]) => {
                write!(
                    f,
                    "shard {first} has the seed {seed}, and {other} has {other_seed}"
                )
            }
            Self::Doubled(shard) => write!(f, "shard {shard} is there more than once"),
            Self::Missing(shards) => {
                let named: Vec<String> = shards.iter().map(ToString::to_string).collect();
                write!(f, "no report of shard {} is there", named.join(", "))
            }
        }
    }
}

impl std::error::Error for Conflict {}

/// Joins them. What several have is there once. Those that say which shard they are must together be
/// a whole run; of others that cannot be told.
///
/// # Errors
/// [`Conflict`], when they are not parts of one run.
pub fn merge(records: Vec<Record>) -> Result<Record, Conflict> {
    check_shards(&records)?;
    let mut records = records.into_iter();
    let mut merged = records.next().unwrap_or_default();
    merged.shard = None;
    let mut places: HashMap<String, usize> = HashMap::new();
    for (place, case) in merged.cases.iter().enumerate() {
        places.insert(name(case), place);
    }
    for record in records {
        merged.took_ms = merged.took_ms.max(record.took_ms);
        take_participants(&mut merged, &record)?;
        take_texts(&mut merged, &record)?;
        for case in record.cases {
            take_case(&mut merged, &mut places, case)?;
        }
        for left_out in record.left_out {
            if !merged.left_out.contains(&left_out) {
                merged.left_out.push(left_out);
            }
        }
    }
    merged
        .left_out
        .retain(|left_out| !left_out.why.starts_with(LeftOut::OTHER_SHARD));
    // Shards have each a part of an area, and reports show them by area.
    merged.cases.sort_by(|a, b| a.scenario.cmp(&b.scenario));
    merged.tally = Tally::default();
    for case in &merged.cases {
        if let Some(verdict) = case.verdict {
            let is_known = case.known.is_some();
            merged.tally.add_ended(verdict, is_known, case.surprise);
        }
    }
    Ok(merged)
}

/// A shard that is not there would be missed by nobody: all other cases end as they should.
fn check_shards(records: &[Record]) -> Result<(), Conflict> {
    let shards = records
        .iter()
        .filter_map(|record| record.shard.zip(Some(record.seed)));
    let shards: Vec<(Shard, Seed)> = shards.collect();
    let Some(&first) = shards.first() else {
        return Ok(());
    };
    if let Some((other, _)) = shards.iter().find(|(shard, _)| !shard.is_beside(first.0)) {
        return Err(Conflict::Division([first.0, *other]));
    }
    if let Some(other) = shards.iter().find(|(_, seed)| *seed != first.1) {
        return Err(Conflict::Seed([first, *other]));
    }
    let count = |shard: Shard| shards.iter().filter(|(it, _)| *it == shard).count();
    if let Some((doubled, _)) = shards.iter().find(|(shard, _)| count(*shard) > 1) {
        return Err(Conflict::Doubled(*doubled));
    }
    let missing = first.0.all().filter(|shard| count(*shard) == 0);
    let missing: Vec<Shard> = missing.take(MISSING_MAX).collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Conflict::Missing(missing))
    }
}

fn name(case: &Case) -> String {
    format!("{} {}", case.scenario, case.pairing())
}

fn take_participants(merged: &mut Record, record: &Record) -> Result<(), Conflict> {
    for peer in &record.participants {
        match merged.participants.iter().find(|known| known.id == peer.id) {
            Some(known) if known.version != peer.version => {
                return Err(Conflict::Version {
                    id: peer.id.clone(),
                    first: known.version.clone(),
                    other: peer.version.clone(),
                });
            }
            Some(_) => {}
            None => merged.participants.push(peer.clone()),
        }
    }
    Ok(())
}

fn take_texts(merged: &mut Record, record: &Record) -> Result<(), Conflict> {
    for (id, clause) in &record.clauses {
        merged
            .clauses
            .entry(id.clone())
            .or_insert_with(|| clause.clone());
    }
    for (name, scenario) in &record.scenarios {
        match merged.scenarios.get(name) {
            Some(known) if known.steps != scenario.steps => {
                return Err(Conflict::Scenario(name.clone()));
            }
            Some(_) => {}
            None => drop(merged.scenarios.insert(name.clone(), scenario.clone())),
        }
    }
    Ok(())
}

/// One that ended counts more than one that did not.
fn take_case(
    merged: &mut Record,
    places: &mut HashMap<String, usize>,
    case: Case,
) -> Result<(), Conflict> {
    let name = name(&case);
    let known = places
        .get(&name)
        .and_then(|place| merged.cases.get_mut(*place));
    match known {
        None => {
            places.insert(name, merged.cases.len());
            merged.cases.push(case);
        }
        Some(known) if known.verdict.is_none() => *known = case,
        Some(known) if case.verdict.is_none() || known.verdict == case.verdict => {}
        Some(_) => return Err(Conflict::Case(name)),
    }
    Ok(())
}
