//! The scripted endpoint: plays the lines of a scenario against a subject, in either role, and
//! misbehaves where and only where a line says so.
//!
//! It has its own framing, exchange hash and codec, made from the library's primitives: a subject
//! that shares the library must not share its mistakes with its judge. The engine is not used at
//! all. It knows nothing of peers, containers or reports.

mod agree;
mod behave;
mod build;
mod endpoint;
mod exchange;
mod flow;
mod forge;
mod judge;
mod link;
mod message;
mod packets;
#[cfg(test)]
mod tests;
mod variables;

use std::fmt;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use minissh::crypto::SigningKey;

use crate::scenario::{Closed, Expect, Level, Scenario, Step, StepKind};
use crate::transcript::{Stream, ready};
use crate::verdict::capture::Side;
use crate::verdict::{Broken, Failure, Outcome, Verdict};
use endpoint::Endpoint;
use judge::Came;
use link::Link;

/// The role of the scripted endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It connected; the subject is a server.
    Client,
    /// It accepted; the subject is a client.
    Server,
}

impl Role {
    /// Mixed into the seed, lest two ends of one case draw the same keys.
    fn salt(self) -> u64 {
        u64::from_be_bytes(match self {
            Self::Client => *b"s-client",
            Self::Server => *b"s-server",
        })
    }

    fn side(self) -> Side {
        match self {
            Self::Client => Side::Client,
            Self::Server => Side::Server,
        }
    }
}

/// Time since the connection began, for the trace only.
pub type Clock = Arc<dyn Fn() -> Duration + std::marker::Send + Sync>;

/// What the endpoint is told beside the scenario.
#[derive(Clone)]
pub struct Setup {
    /// As a client: whom to log in as. As a server: who may log in.
    pub user: String,
    /// The user's password.
    pub password: String,
    /// As a server: our host key.
    pub host_key: SigningKey,
    /// As a client: our user key. As a server: the key that lets the user in.
    pub user_key: SigningKey,
    /// As a client: log in with the password where a scenario does not say how.
    pub password_login: bool,
    /// A key that is never right.
    pub other_key: SigningKey,
    /// What all randomness is derived from.
    pub seed: u64,
    /// Where the trace takes its times from.
    pub clock: Clock,
    /// How long a step may take that does not say.
    pub step_limit: Duration,
    /// How long the whole case may take.
    pub case_limit: Duration,
}

impl Setup {
    /// How long a step may take that does not say.
    pub const STEP_LIMIT: Duration = Duration::from_secs(10);
    /// How long the whole case may take.
    pub const CASE_LIMIT: Duration = Duration::from_secs(60);
}

/// Plays a scenario over a connection and says how the subject did.
///
/// Returns within [`Setup::case_limit`] and a little. The connection is closed afterwards; a
/// subject that did well has been bidden farewell.
#[must_use]
pub fn play(scenario: &Scenario, role: Role, stream: TcpStream, setup: &Setup) -> Outcome {
    match ready(stream) {
        Ok(stream) => play_over(scenario, role, stream, setup),
        Err(error) => {
            let broken = Broken::while_doing("cannot set up the connection", error);
            outcome_of_broken(&broken, None)
        }
    }
}

/// The same over whatever carries bytes.
#[must_use]
pub fn play_over(
    scenario: &Scenario,
    role: Role,
    stream: impl Stream + 'static,
    setup: &Setup,
) -> Outcome {
    let began = Instant::now();
    let link = Link::new(Box::new(stream), role.side(), Arc::clone(&setup.clock));
    let mut endpoint = Endpoint::new(role, setup, link);
    let mut notes = Vec::new();
    let mut outcome = match play_steps(&mut endpoint, scenario, &mut notes) {
        Ok(Missed::Nothing) => Outcome::passed(),
        Ok(Missed::Graded(failure)) => Outcome::new(Verdict::Deviation, Some(failure)),
        Err((step, Stop::Fault(fault))) => Outcome::missed(scenario.level, fault.at(step)),
        Err((step, Stop::Broken(broken))) => outcome_of_broken(&broken, Some(step)),
    };
    outcome.decided_at = Some(endpoint.link.trace_len());
    endpoint.farewell();
    outcome.notes.splice(0..0, notes);
    let (trace, capture) = endpoint.link.into_records();
    outcome.trace = trace;
    outcome.captures = vec![capture];
    outcome.user = Some(setup.user.clone());
    outcome.took = began.elapsed();
    outcome
}

/// What was missed without ending the case.
enum Missed {
    Nothing,
    /// What came is tolerated, or less than a SHOULD asks for.
    Graded(Failure),
}

fn play_steps<'s>(
    endpoint: &mut Endpoint<'_>,
    scenario: &'s Scenario,
    notes: &mut Vec<String>,
) -> Result<Missed, (&'s Step, Stop)> {
    let mut missed = Missed::Nothing;
    let mut loops: Vec<(usize, u64)> = Vec::new();
    let mut at = 0;
    while let Some(step) = scenario.steps.get(at) {
        at += 1;
        match (&step.kind, loops.last()) {
            (StepKind::Repeat(times), _) => {
                loops.push((at, *times));
                endpoint.rounds.push(1);
            }
            (StepKind::End, Some((start, times))) => match endpoint.rounds.last_mut() {
                Some(round) if *round < *times => {
                    *round += 1;
                    at = *start;
                }
                _ => {
                    loops.pop();
                    endpoint.rounds.pop();
                }
            },
            _ => {}
        }
        let came = match play_step(endpoint, step) {
            Err(Stop::Fault(_)) if endpoint.has_ended => {
                notes.push(format!("ended the connection at `{}`", step.source));
                break;
            }
            played => played.map_err(|stop| (step, stop))?,
        };
        match came.note {
            Some(note) if came.tolerated || scenario.level == Level::Should => {
                missed = Missed::Graded(Fault::new(note).at(step));
            }
            note => notes.extend(note),
        }
        if came.ended {
            break;
        }
    }
    Ok(missed)
}

fn play_step(endpoint: &mut Endpoint<'_>, step: &Step) -> Result<Came, Stop> {
    match &step.kind {
        StepKind::Send(send) => endpoint.send(send)?,
        StepKind::Expect(expect) => return endpoint.expect(expect),
        StepKind::Closed(closed) if closed.optional => endpoint.may_end = true,
        StepKind::Closed(closed) => return endpoint.expect_closed(closed),
        StepKind::Quiet(quiet) => endpoint.expect_quiet(*quiet)?,
        StepKind::Hold => endpoint.link.hold(),
        StepKind::Release => endpoint.link.release()?,
        StepKind::Pause(lasts) => endpoint.pause(*lasts),
        StepKind::Rekeyed(times) => endpoint.expect_rekeyed(*times)?,
        StepKind::Prelude(prelude, settings) => endpoint.prelude(*prelude, settings)?,
        // Whoever walks the steps repeats them, and the client acts by itself.
        StepKind::Act(_) | StepKind::End | StepKind::Repeat(_) => {}
    }
    Ok(Came::default())
}

/// The hint of a case whose client went away during the login and never used what lets it in.
pub const NO_CREDENTIAL: &str = "it offered neither the key nor the password that lets it in";

/// Why the steps do not go on.
#[derive(Debug)]
enum Stop {
    /// The subject broke the clause.
    Fault(Fault),
    /// We or the environment did.
    Broken(Broken),
}

impl Stop {
    fn subject(actual: String) -> Self {
        Self::Fault(Fault::new(actual))
    }

    fn broken(what: String) -> Self {
        Self::Broken(Broken::new(what))
    }
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// What the subject did.
#[derive(Debug)]
struct Fault {
    /// What was wanted, where the step itself does not say.
    expected: Option<String>,
    actual: String,
    /// It went away, or said nothing more.
    is_gone: bool,
    /// What a person could do about it.
    hint: Option<&'static str>,
}

impl Fault {
    fn new(actual: String) -> Self {
        Self {
            expected: None,
            actual,
            is_gone: false,
            hint: None,
        }
    }

    fn at(self, step: &Step) -> Failure {
        Failure {
            line: Some(step.line),
            step: step.source.clone(),
            expected: self.expected.unwrap_or_else(|| Demand(step).to_string()),
            actual: self.actual,
            hint: self.hint.map(str::to_owned),
        }
    }
}

/// What a step demands, for a person.
struct Demand<'a>(&'a Step);

impl fmt::Display for Demand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            StepKind::Closed(Closed { reasons, .. }) if !reasons.is_empty() => {
                let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                let reasons = reasons.join(" or ");
                write!(
                    f,
                    "DISCONNECT(1) with reason {reasons}, or the end of the stream"
                )
            }
            StepKind::Closed(_) => f.write_str("DISCONNECT(1) or the end of the stream"),
            StepKind::Expect(Expect { strict: true, .. }) => {
                write!(
                    f,
                    "{}, and nothing before it",
                    self.0.source.trim_start_matches("< ")
                )
            }
            _ => f.write_str(self.0.source.trim_start_matches(['<', '>', ' '])),
        }
    }
}

fn outcome_of_broken(broken: &Broken, step: Option<&Step>) -> Outcome {
    let doing = step.map_or("setting up the connection", |step| &step.source);
    Outcome::broken(step.map(|step| step.line), doing, broken)
}
