//! A real client with a real server: carries out the acts of a pair scenario.
//!
//! All acts together are one job, since a client program is started once and does everything on
//! one connection: what it believes, how it logs in, which sessions it runs. What then came of it
//! is judged in `judge`.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use minissh::trace::Direction;

use super::event::Case;
use super::judge::judge;
use super::output::{bytes, numbered};
use super::redact::redact;
use super::{broken, stall};
use crate::peer::{
    Broken, ClientEnd, ClientJob, ClientRecord, Credential, Exec, KnownHost, Peer, RunningServer,
    ServerRecord, ServerSetup,
};
use crate::scenario::{
    Act, Belief, ExecAct, ExpectedEnd, ExpectedOutput, LoginWith, Scenario, Step, StepKind,
};
use crate::verdict::Outcome;

/// What a client sends as the wrong password; contains nothing that a shell would touch.
const WRONG_PASSWORD: &str = "not-the-password";

/// The least time a client gets, however long the server took to start.
const CLIENT_DEADLINE_MIN: Duration = Duration::from_secs(1);

/// Runs a pair scenario with this client and this server.
#[must_use]
pub fn run(case: &Case, client: &dyn Peer, server: &dyn Peer, deadline: Duration) -> Outcome {
    let started = Instant::now();
    let script = match Script::read(&case.scenario) {
        Ok(script) => script,
        Err(error) => return broken("reading the acts of the scenario", &error),
    };
    let setup = ServerSetup {
        reachable_from: client.reach(),
        seed: case.seed,
    };
    let running = match server.serve(&setup) {
        Ok(running) => running,
        Err(error) => return broken(&format!("starting the server {}", server.info().id), &error),
    };

    let left = deadline
        .saturating_sub(started.elapsed())
        .max(CLIENT_DEADLINE_MIN);
    let job = script.job(case.seed, &*running, left);
    let secrets = [running.password().to_owned(), WRONG_PASSWORD.to_owned()];
    let client_record = client.connect(&job);
    let server_record = running.finish();

    let mut outcome = match &client_record {
        Ok(record) => judged(&script, record, &case.scenario),
        Err(error) => broken(&format!("running the client {}", client.info().id), error),
    };
    let names = [client, server].map(|peer| peer.info().id.as_str());
    collect(&mut outcome, client_record.ok(), server_record, names);
    redact(&mut outcome, &secrets);
    outcome
}

fn judged(script: &Script<'_>, record: &ClientRecord, scenario: &Scenario) -> Outcome {
    match judge(script, &record.end) {
        Ok(()) => Outcome::passed(),
        Err(failure) => Outcome::missed(scenario.level, failure),
    }
}

/// Keeps the logs of both sides and one trace: the client's, unless only the server is ours. If a
/// connection failed and the trace shows why it stood still, says so.
fn collect(
    outcome: &mut Outcome,
    client: Option<ClientRecord>,
    server: ServerRecord,
    [client_name, server_name]: [&str; 2],
) {
    outcome.trace = server.trace;
    outcome.logs = server.logs;
    let (mut recorder, mut other) = (server_name, client_name);
    let mut has_failed = false;
    if let Some(client) = client {
        outcome.logs.splice(0..0, client.logs);
        has_failed = matches!(client.end, ClientEnd::Failed(_));
        if !client.trace.is_empty() {
            outcome.trace = client.trace;
            (recorder, other) = (client_name, server_name);
        }
    }
    if let (true, Some(failure), Some(stall)) = (
        has_failed,
        &mut outcome.failure,
        stall::find(&outcome.trace),
    ) {
        let who = match stall.granted {
            Direction::Outbound => recorder,
            Direction::Inbound => other,
        };
        let (bytes, channel) = (stall.bytes, stall.channel);
        let _ = write!(
            failure.actual,
            "; {who} granted a window of {bytes} bytes on its channel {channel}, all of it is \
             used, and no WINDOW_ADJUST came"
        );
    }
}

/// The acts of a scenario, sorted into what a client is told and what is demanded of it.
pub(super) struct Script<'a> {
    pub(super) known_host: KnownHost,
    pub(super) login: LoginWith,
    /// The lines that say the two above, where the file has them.
    pub(super) knows_step: Option<&'a Step>,
    pub(super) login_step: Option<&'a Step>,
    pub(super) execs: Vec<ExecLine<'a>>,
    pub(super) end: Option<(&'a Step, ExpectedEnd)>,
}

/// A line that runs a command, and the lines that say what must come of it.
pub(super) struct ExecLine<'a> {
    pub(super) step: &'a Step,
    pub(super) act: &'a ExecAct,
    pub(super) demands: Vec<(&'a Step, &'a ExpectedOutput)>,
}

impl<'a> Script<'a> {
    fn read(scenario: &'a Scenario) -> Result<Self, Broken> {
        let mut script = Self {
            known_host: KnownHost::Right,
            login: LoginWith::Publickey,
            knows_step: None,
            login_step: None,
            execs: Vec::new(),
            end: None,
        };
        for step in &scenario.steps {
            let StepKind::Act(act) = &step.kind else {
                return Err(out_of_place(step, "is not an act of a client"));
            };
            script.take(step, act)?;
        }
        Ok(script)
    }

    fn take(&mut self, step: &'a Step, act: &'a Act) -> Result<(), Broken> {
        match act {
            Act::Knows(belief) => {
                self.known_host = match belief {
                    Belief::Right => KnownHost::Right,
                    Belief::Other => KnownHost::Other,
                    Belief::Unknown => KnownHost::Unknown,
                };
                self.knows_step = Some(step);
            }
            Act::Login(login) => {
                self.login = *login;
                self.login_step = Some(step);
            }
            Act::Exec(act) => self.execs.push(ExecLine {
                step,
                act,
                demands: Vec::new(),
            }),
            Act::ExpectEnd(end) => self.end = Some((step, *end)),
            Act::ExpectOutput(demand) => match self.execs.last_mut() {
                Some(line) => line.demands.push((step, demand)),
                None => return Err(out_of_place(step, "comes before any `client exec`")),
            },
        }
        Ok(())
    }

    fn job(&self, seed: u64, server: &dyn RunningServer, deadline: Duration) -> ClientJob {
        let addr = server.addr();
        ClientJob {
            host: addr.ip().to_string(),
            port: addr.port(),
            user: server.user().to_owned(),
            credential: match self.login {
                LoginWith::Publickey => Credential::Publickey,
                LoginWith::Password => Credential::Password(server.password().to_owned()),
                LoginWith::WrongPassword => Credential::Password(WRONG_PASSWORD.to_owned()),
            },
            known_host: self.known_host,
            execs: self.sessions(),
            deadline,
            seed,
        }
    }

    /// What the scenario names, or one session that does nothing.
    fn sessions(&self) -> Vec<Exec> {
        let named: Vec<Exec> = self.execs.iter().flat_map(|line| execs(line.act)).collect();
        if named.is_empty() {
            vec![Exec::idle()]
        } else {
            named
        }
    }
}

/// The checker refuses such files; a scenario built by hand may still be one.
fn out_of_place(step: &Step, why: &str) -> Broken {
    Broken::new(format!("line {}: `{}` {why}", step.line, step.source))
}

fn execs(act: &ExecAct) -> impl Iterator<Item = Exec> + '_ {
    (1..=act.channels).map(|channel| Exec {
        command: String::from_utf8_lossy(&numbered(act.command.as_bytes(), channel)).into_owned(),
        stdin: act.stdin.as_ref().map(|stream| bytes(stream, channel)),
    })
}

#[cfg(test)]
mod tests;
