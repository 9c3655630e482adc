//! From the events of a run to its record, keeping no more of what was said than reports can show.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::{Case, Clause, Log, Packet, Packets, Record, Scenario, Seed, Step};
use crate::report::files::Files;
use crate::requirement::Catalogue;
use crate::run::event::{self, Event, LeftOut, Participant, Shard, Tally};
use crate::verdict::{self, Outcome, Verdict};

/// Most packets kept of a case.
const PACKETS_MAX: usize = 200;

/// How many of them came after the verdict fell.
const PACKETS_AFTER: usize = 40;

/// Most characters kept of a packet; a KEXINIT has more than half of them.
const PACKET_CHARS_MAX: usize = 1000;

/// Most bytes kept of a log of a case that did not simply pass: the last ones, which say why.
const LOG_BYTES_MAX: usize = 64 * 1024;

/// Most bytes kept of a log of a case that passed.
const PASSED_LOG_BYTES_MAX: usize = 4 * 1024;

/// Most bytes kept of all the packets and logs of cases that passed, in a whole run. Those of the
/// other cases are worth their memory.
const PASSED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Follows a run and keeps what it told.
pub struct Gather {
    record: Record,
    catalogue: Catalogue,
    files: Files,
    /// Where a case is in the record.
    places: HashMap<(String, String, String), usize>,
    /// Cases of a scenario that have not ended, and how the others did.
    open: HashMap<String, (usize, Tally)>,
    passed_bytes: usize,
    began: Instant,
}

impl Gather {
    /// For a run that begins now. `files` knows where the files of cases go.
    #[must_use]
    pub fn new(catalogue: Catalogue, files: Files) -> Self {
        Self {
            record: Record::default(),
            catalogue,
            files,
            places: HashMap::new(),
            open: HashMap::new(),
            passed_bytes: 0,
            began: Instant::now(),
        }
    }

    /// What was told so far.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The same for good.
    #[must_use]
    pub fn into_record(self) -> Record {
        self.record
    }

    /// A case as it is in the record.
    #[must_use]
    pub fn find(&self, case: &event::Case) -> Option<&Case> {
        let place = self.places.get(&key(case))?;
        self.record.cases.get(*place)
    }

    /// How the cases of one scenario ended, once all have.
    #[must_use]
    pub fn tally_of(&self, scenario: &str) -> Option<Tally> {
        match self.open.get(scenario) {
            Some((0, tally)) => Some(*tally),
            _ => None,
        }
    }

    /// Takes in the next thing that happened.
    pub fn on(&mut self, event: &Event) {
        match event {
            Event::Planned {
                seed,
                shard,
                participants,
                cases,
                left_out,
            } => self.on_planned((*seed, *shard), participants, cases, left_out),
            Event::CaseFinished { case, outcome } => self.on_case_finished(case, outcome),
            Event::Finished(_) => {
                let took = self.began.elapsed().as_millis();
                self.record.took_ms = u64::try_from(took).unwrap_or(u64::MAX);
            }
            Event::Preparing(_) | Event::CaseStarted(_) => {}
        }
    }

    fn on_planned(
        &mut self,
        (seed, shard): (u64, Option<Shard>),
        participants: &[Participant],
        cases: &[Arc<event::Case>],
        left_out: &[LeftOut],
    ) {
        self.record.seed = Seed(seed);
        self.record.shard = shard;
        self.record.participants = participants.to_vec();
        self.record.left_out = left_out.to_vec();
        for case in cases {
            self.plan(case);
        }
    }

    fn plan(&mut self, case: &event::Case) {
        let scenario = &case.scenario;
        for id in &scenario.cites {
            if let Some(clause) = self.catalogue.get(id) {
                self.record.clauses.insert(id.clone(), clause_of(clause));
            }
        }
        let name = &scenario.name;
        if !self.record.scenarios.contains_key(name) {
            self.record
                .scenarios
                .insert(name.clone(), scenario_of(scenario));
        }
        self.open.entry(name.clone()).or_default().0 += 1;
        self.places.insert(key(case), self.record.cases.len());
        self.record.cases.push(Case {
            scenario: name.clone(),
            client: case.pairing.client.clone(),
            server: case.pairing.server.clone(),
            seed: Seed(case.seed),
            rerun: case.rerun.clone(),
            verdict: None,
            runs: Vec::new(),
            took_ms: 0,
            failure: None,
            known: None,
            surprise: false,
            notes: Vec::new(),
            packets: Packets::default(),
            logs: Vec::new(),
            files: None,
        });
    }

    fn on_case_finished(&mut self, case: &event::Case, outcome: &Outcome) {
        self.record.tally.add_outcome(outcome);
        if let Some((open, tally)) = self.open.get_mut(&case.scenario.name) {
            *open = open.saturating_sub(1);
            tally.add_outcome(outcome);
        }
        let (packets, logs) = self.texts_of(outcome);
        let files = self.files.keeps(outcome).then(|| self.files.of(case));
        let place = self.places.get(&key(case));
        let Some(kept) = place.and_then(|place| self.record.cases.get_mut(*place)) else {
            return;
        };
        kept.verdict = Some(outcome.verdict);
        if outcome.runs.len() > 1 {
            kept.runs.clone_from(&outcome.runs);
        }
        kept.took_ms = u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX);
        kept.failure.clone_from(&outcome.failure);
        kept.known.clone_from(&outcome.known);
        kept.surprise = !outcome.is_as_expected();
        kept.notes.clone_from(&outcome.notes);
        kept.packets = packets;
        kept.logs = logs;
        kept.files = files.map(|folder| folder.display().to_string());
    }

    /// What is kept of the packets and logs; of cases that passed, as long as there is room.
    fn texts_of(&mut self, outcome: &Outcome) -> (Packets, Vec<Log>) {
        let has_passed = outcome.verdict == Verdict::Pass;
        if has_passed && self.passed_bytes >= PASSED_BYTES_MAX {
            return (Packets::default(), Vec::new());
        }
        let log_bytes_max = if has_passed {
            PASSED_LOG_BYTES_MAX
        } else {
            LOG_BYTES_MAX
        };
        let packets = packets_of(outcome);
        let logs: Vec<Log> = outcome
            .logs
            .iter()
            .map(|log| end_of(log, log_bytes_max))
            .collect();
        if has_passed {
            let packets = packets.shown.iter().map(|packet| packet.text.len());
            let logs = logs.iter().map(|log| log.text.len());
            self.passed_bytes += packets.chain(logs).sum::<usize>();
        }
        (packets, logs)
    }
}

fn key(case: &event::Case) -> (String, String, String) {
    let (client, server) = (&case.pairing.client, &case.pairing.server);
    (case.scenario.name.clone(), client.clone(), server.clone())
}

fn clause_of(clause: &crate::requirement::Clause) -> Clause {
    Clause {
        source: clause.place(),
        says: clause.says.clone(),
        consequence: clause.consequence.clone(),
    }
}

fn scenario_of(scenario: &crate::scenario::Scenario) -> Scenario {
    let steps = scenario.steps.iter().map(|step| Step {
        line: step.line,
        source: step.source.clone(),
    });
    Scenario {
        title: scenario.title.clone(),
        subject: scenario.subject,
        level: scenario.level,
        cites: scenario.cites.clone(),
        consequence: scenario.consequence.clone(),
        path: scenario.path.display().to_string(),
        steps: steps.collect(),
    }
}

/// The packets around what decided.
fn packets_of(outcome: &Outcome) -> Packets {
    let all = outcome.trace.len();
    let decided = outcome.decided_at.unwrap_or(all);
    let until = all.min(decided + PACKETS_AFTER);
    let from = until.saturating_sub(PACKETS_MAX);
    let shown = outcome.trace.get(from..until).unwrap_or_default();
    let cut = |entry| {
        let mut packet = Packet::of(entry);
        if let Some((at, _)) = packet.text.char_indices().nth(PACKET_CHARS_MAX) {
            packet.text.truncate(at);
            packet.text.push('…');
        }
        packet
    };
    Packets {
        before: from as u64,
        shown: shown.iter().map(cut).collect(),
        after: (all - until) as u64,
        decided: outcome.decided_at.map(|at| at.saturating_sub(from)),
    }
}

/// The last lines of a log that fit.
fn end_of(log: &verdict::Log, bytes_max: usize) -> Log {
    let text = &log.text;
    let mut from = text.len().saturating_sub(bytes_max);
    if from > 0 {
        let line = text.as_bytes().get(from..).unwrap_or_default();
        from += line
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        while !text.is_char_boundary(from) {
            from += 1;
        }
    }
    Log {
        name: log.name.clone(),
        text: text.get(from..).unwrap_or_default().to_owned(),
        before: from as u64,
    }
}
