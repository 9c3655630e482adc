//! What a run told, as data: everything that every rendering needs, and no more than fits.
//!
//! This is what the JSON report holds, so that all other reports can be made from it later and
//! elsewhere. What a long run says is bounded here, by the limits of [`gather`].

pub mod gather;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use minissh::trace::{Direction, TraceEntry, Traced};
use serde::{Deserialize, Serialize};

use crate::requirement::Level;
use crate::run::event::{LeftOut, MINISSH, Pairing, Participant, SCRIPTED, Shard, Tally};
use crate::scenario::Subject;
use crate::verdict::{Failure, Known, Verdict};

/// The version of this form. It grows by one when a field changes its meaning or goes; fields may
/// be added without.
pub const SCHEMA: u32 = 2;

/// Everything a run told, in the order of its plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA`] of the program that wrote it.
    pub schema: u32,
    /// That program and its version.
    pub tool: String,
    /// The seed of the run.
    pub seed: Seed,
    /// Which part of a run it is, if not all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Who takes part.
    pub participants: Vec<Participant>,
    /// How many cases ended in each verdict.
    pub tally: Tally,
    /// The clauses that the scenarios cite, by id.
    pub clauses: BTreeMap<String, Clause>,
    /// The scenarios that were planned, by name.
    pub scenarios: BTreeMap<String, Scenario>,
    /// Every case that was planned.
    pub cases: Vec<Case>,
    /// What was left out, and why.
    pub left_out: Vec<LeftOut>,
}

/// A seed; as text, since JSON numbers keep only 53 of its bits in most readers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Seed(pub u64);

/// One thing that a specification asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clause {
    /// Document and section: `RFC 4253 §7.1`.
    pub source: String,
    /// What it asks, in one sentence.
    pub says: String,
    /// What happens on the receiving side when it is broken.
    pub consequence: String,
}

/// One scenario, as far as reports show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scenario {
    /// What it is about, in a sentence or two.
    pub title: String,
    /// Who is tested.
    pub subject: Subject,
    /// How binding what it checks is.
    pub level: Level,
    /// Ids of the clauses that it checks.
    pub cites: Vec<String>,
    /// What a miss does to the other side.
    pub consequence: String,
    /// Its file.
    pub path: String,
    /// What is done and demanded.
    pub steps: Vec<Step>,
}

/// One line of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// 1-based, in the file.
    pub line: usize,
    /// As written.
    pub source: String,
}

/// One scenario with one client and one server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The scenario's name.
    pub scenario: String,
    /// Id of the client.
    pub client: String,
    /// Id of the server.
    pub server: String,
    /// What all randomness of our side in it is derived from.
    pub seed: Seed,
    /// The command line that runs it again.
    pub rerun: String,
    /// How it ended; none when the run was stopped before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// How each of its runs ended, when there were several; the rest is of the one that counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<Verdict>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub took_ms: u64,
    /// Why, unless it is a plain pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What was known of it beforehand, if it does not simply pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
    /// Whether it ended neither as it should nor as was known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub surprise: bool,
    /// Remarks that do not change the verdict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What crossed the wire around what decided.
    #[serde(default, skip_serializing_if = "Packets::is_empty")]
    pub packets: Packets,
    /// What both sides said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<Log>,
    /// The folder with everything, if one was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<String>,
}

/// What crossed the wire, as one end of ours saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packets {
    /// How many came before the first of these.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub before: u64,
    /// In order.
    pub shown: Vec<Packet>,
    /// How many came after the last of these.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub after: u64,
    /// How many of those shown there were when the verdict fell; none when it fell at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<usize>,
}

/// One thing that crossed the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// Microseconds since the connection began.
    pub at_us: u64,
    /// Who sent it: the end that recorded, or the other.
    pub from: Sender,
    /// Which packet, if it was one.
    #[serde(flatten)]
    pub number: Option<Number>,
    /// The message and its fields.
    pub text: String,
}

/// Which packet something was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    /// How many key exchanges came before: 0 is cleartext.
    pub epoch: u32,
    /// The implicit sequence number.
    pub sequence: u32,
}

/// Who sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sender {
    /// The end of ours that recorded it.
    Us,
    /// The other end.
    Them,
}

/// A text collected while a case ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// Where it came from.
    pub name: String,
    /// Its last lines.
    pub text: String,
    /// How many bytes before them were left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub before: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde wants"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Default for Record {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            tool: concat!("sshdrill ", env!("CARGO_PKG_VERSION")).to_owned(),
            seed: Seed::default(),
            shard: None,
            took_ms: 0,
            participants: Vec::new(),
            tally: Tally::default(),
            clauses: BTreeMap::new(),
            scenarios: BTreeMap::new(),
            cases: Vec::new(),
            left_out: Vec::new(),
        }
    }
}

impl Record {
    /// How many planned cases have not ended.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.cases
            .iter()
            .filter(|case| case.verdict.is_none())
            .count()
    }

    /// The time spent in cases; more than went by when they ran side by side.
    #[must_use]
    pub fn time_in_cases(&self) -> Duration {
        Duration::from_millis(self.cases.iter().map(|case| case.took_ms).sum())
    }

    /// Product and version of a participant, or the id itself when it has none.
    #[must_use]
    pub fn version<'a>(&'a self, id: &'a str) -> &'a str {
        let mut participants = self.participants.iter();
        let found = participants.find(|participant| participant.id == id);
        found.map_or(id, |participant| &participant.version)
    }

    /// The scenario of a case; a record that was put together by hand may lack it.
    #[must_use]
    pub fn scenario_of(&self, case: &Case) -> Option<&Scenario> {
        self.scenarios.get(&case.scenario)
    }

    /// What a miss does to the other side. Of a case that passed there is nothing to say, also when the
    /// pass is a surprise.
    #[must_use]
    pub fn consequence_of(&self, case: &Case) -> Option<&str> {
        let scenario = self.scenario_of(case)?;
        let was_missed = case.verdict != Some(Verdict::Pass);
        (was_missed && !scenario.consequence.is_empty()).then_some(&*scenario.consequence)
    }
}

impl Case {
    /// Who plays.
    #[must_use]
    pub fn pairing(&self) -> Pairing {
        Pairing {
            client: self.client.clone(),
            server: self.server.clone(),
        }
    }

    /// Whether it passed, as it should.
    #[must_use]
    pub fn is_plain_pass(&self) -> bool {
        self.verdict == Some(Verdict::Pass) && !self.surprise
    }

    /// Whether it ended in one way and then in another, although nothing was changed.
    #[must_use]
    pub fn is_flaky(&self) -> bool {
        self.runs
            .iter()
            .any(|verdict| Some(*verdict) != self.verdict)
    }

    /// The id of whose packets these are: the scripted endpoint's, else those of minissh.
    #[must_use]
    pub fn witness(&self) -> &str {
        let ends = [&self.client, &self.server];
        let found = [SCRIPTED, MINISSH]
            .into_iter()
            .find(|id| ends.iter().any(|end| end == id));
        found.unwrap_or(&self.client)
    }

    /// Whether the end that recorded is the client.
    #[must_use]
    pub fn client_recorded(&self) -> bool {
        self.witness() == self.client
    }
}

impl Packets {
    fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }
}

impl Packet {
    /// From an entry of a trace.
    #[must_use]
    pub fn of(entry: &TraceEntry) -> Self {
        let (number, text) = match &entry.what {
            Traced::Ident(line) => (None, format!("ident {line}")),
            Traced::Closed => (None, "closed".to_owned()),
            Traced::Packet {
                sequence_number,
                key_epoch,
                message,
                fields,
                ..
            } => {
                let fields = fields.iter().map(|f| format!(" {}={}", f.name, f.value));
                let text = format!("{message}{}", fields.collect::<String>());
                let number = Number {
                    epoch: *key_epoch,
                    sequence: *sequence_number,
                };
                (Some(number), text)
            }
        };
        Self {
            at_us: u64::try_from(entry.at.as_micros()).unwrap_or(u64::MAX),
            from: match entry.direction {
                Direction::Outbound => Sender::Us,
                Direction::Inbound => Sender::Them,
            },
            number,
            text,
        }
    }
}

impl fmt::Display for Packet {
    /// As a line of the packet log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = match self.from {
            Sender::Us => '>',
            Sender::Them => '<',
        };
        let at = Duration::from_micros(self.at_us).as_secs_f64() * 1e3;
        write!(f, "{at:>9.3}ms {arrow} ")?;
        match self.number {
            Some(Number { epoch, sequence }) => {
                write!(f, "{epoch:>2}:{sequence:<4} {}", self.text)
            }
            None => write!(f, "        {}", self.text),
        }
    }
}

impl fmt::Display for Clause {
    /// As failures quote it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.says)
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl From<Seed> for String {
    fn from(seed: Seed) -> Self {
        seed.to_string()
    }
}

impl TryFrom<String> for Seed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let hex = text.strip_prefix("0x").unwrap_or_default();
        u64::from_str_radix(hex, 16)
            .map(Self)
            .map_err(|_| format!("`{text}` is no seed: one is written as 0x2a"))
    }
}
