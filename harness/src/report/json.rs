//! The run as JSON, for other programs.
//!
//! `schema` grows by one when a field changes its meaning or goes; fields may be added without.

use serde::Serialize;

use super::record::Record;
use crate::run::event::{Case, LeftOut, Participant, Tally};
use crate::verdict::{Failure, Outcome, Verdict};

/// The version of what [`render`] writes.
pub const SCHEMA: u32 = 1;

/// Renders the run.
///
/// # Errors
/// `serde_json`'s, which plain data does not give in practice.
pub fn render(record: &Record) -> serde_json::Result<String> {
    let run = Run {
        schema: SCHEMA,
        tool: concat!("sshdrill ", env!("CARGO_PKG_VERSION")),
        seed: hex(record.seed),
        participants: record
            .participants
            .iter()
            .map(JsonParticipant::from)
            .collect(),
        tally: JsonTally::from(&record.tally),
        cases: record.results().map(JsonCase::from).collect(),
        left_out: record.left_out.iter().map(JsonLeftOut::from).collect(),
    };
    serde_json::to_string_pretty(&run).map(|text| text + "\n")
}

/// Seeds use all 64 bits, more than a JSON number keeps in most readers.
fn hex(seed: u64) -> String {
    format!("{seed:#x}")
}

#[derive(Serialize)]
struct Run<'a> {
    schema: u32,
    tool: &'static str,
    seed: String,
    participants: Vec<JsonParticipant<'a>>,
    tally: JsonTally,
    cases: Vec<JsonCase<'a>>,
    left_out: Vec<JsonLeftOut<'a>>,
}

#[derive(Serialize)]
struct JsonParticipant<'a> {
    id: &'a str,
    version: &'a str,
}

impl<'a> From<&'a Participant> for JsonParticipant<'a> {
    fn from(Participant { id, version }: &'a Participant) -> Self {
        Self { id, version }
    }
}

#[derive(Serialize)]
struct JsonTally {
    pass: usize,
    deviation: usize,
    fail: usize,
    unsupported: usize,
    broken: usize,
}

impl From<&Tally> for JsonTally {
    fn from(
        &Tally {
            pass,
            deviation,
            fail,
            unsupported,
            broken,
        }: &Tally,
    ) -> Self {
        Self {
            pass,
            deviation,
            fail,
            unsupported,
            broken,
        }
    }
}

#[derive(Serialize)]
struct JsonCase<'a> {
    scenario: &'a str,
    client: &'a str,
    server: &'a str,
    seed: String,
    cites: &'a [String],
    /// Missing when the run was stopped before the case ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<u128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a Failure>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
    /// The packet log, for cases that did not simply pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    packets: Vec<String>,
    rerun: &'a str,
}

impl<'a> From<(&'a Case, Option<&'a Outcome>)> for JsonCase<'a> {
    fn from((case, outcome): (&'a Case, Option<&'a Outcome>)) -> Self {
        let told = outcome.filter(|outcome| outcome.verdict != Verdict::Pass);
        Self {
            scenario: &case.scenario.name,
            client: &case.pairing.client,
            server: &case.pairing.server,
            seed: hex(case.seed),
            cites: &case.scenario.cites,
            verdict: outcome.map(|outcome| outcome.verdict),
            took_ms: outcome.map(|outcome| outcome.took.as_millis()),
            failure: outcome.and_then(|outcome| outcome.failure.as_ref()),
            notes: outcome.map_or(&[], |outcome| &outcome.notes),
            packets: told.map_or_else(Vec::new, |outcome| {
                outcome.trace.iter().map(ToString::to_string).collect()
            }),
            rerun: &case.rerun,
        }
    }
}

#[derive(Serialize)]
struct JsonLeftOut<'a> {
    what: &'a str,
    why: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl<'a> From<&'a LeftOut> for JsonLeftOut<'a> {
    fn from(LeftOut { what, why, hint }: &'a LeftOut) -> Self {
        Self {
            what,
            why,
            hint: hint.as_deref(),
        }
    }
}
