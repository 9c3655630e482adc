//! A real client with a real server: carries out the acts of a pair scenario.
//!
//! All acts together are one job, since a client program is started once and does everything on
//! one connection: what it believes, how it logs in, which sessions it runs. What then came of it
//! is judged in `judge`.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use minissh::trace::Direction;

use super::event::Case;
use super::judge::judge;
use super::redact::redact;
use super::{broken, not_done, note_death, stall};
use crate::peer::solo::Answer;
use crate::peer::{
    Broken, ClientEnd, ClientJob, ClientRecord, Credential, Exec, ExecOutcome, KnownHost, Peer,
    RekeyLimit, ServerRecord, ServerSetup, Signal,
};
use crate::scenario::{
    Act, Actor, Belief, ExecAct, ExpectedEnd, ExpectedOutput, LoginWith, RekeyWhen, Scenario, Step,
    StepKind, numbered,
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
        rekey: rekey_limit(&case.scenario, Actor::Server),
        seed: case.seed,
    };
    let running = match server.serve(&setup) {
        Ok(running) => running,
        Err(why) => return not_done(&format!("starting the server {}", server.info().id), &why),
    };

    let left = deadline
        .saturating_sub(started.elapsed())
        .max(CLIENT_DEADLINE_MIN);
    let login = [running.user(), running.password()];
    let job = script.job(case.seed, running.addr(), login, left);
    let user = running.user().to_owned();
    let secrets = [running.password().to_owned(), WRONG_PASSWORD.to_owned()];
    let mut client_record = client.connect(&job);
    let mut server_record = running.finish();
    let died = server_record.died.take();
    let client_died = client_record
        .as_mut()
        .ok()
        .and_then(|record| record.died.take());

    let mut outcome = match &client_record {
        Ok(record) => judged(&script, &record.end, &case.scenario),
        Err(why) => not_done(&format!("running the client {}", client.info().id), why),
    };
    let names = [client, server].map(|peer| peer.info().id.as_str());
    collect(&mut outcome, client_record.ok(), server_record, names);
    note_death(&mut outcome, &server.info().id, died);
    note_death(&mut outcome, &client.info().id, client_died);
    redact(&mut outcome, &secrets);
    outcome.user = Some(user);
    outcome
}

/// What the commands of a pair scenario give when all is right, as far as it says so.
#[must_use]
pub fn answers(scenario: &Scenario) -> Vec<Answer> {
    let Ok(script) = Script::read(scenario) else {
        return Vec::new();
    };
    let answer = |exec: Exec, demands: &[(&Step, &ExpectedOutput)], channel| {
        let mut outcome = ExecOutcome {
            exit_status: Some(0),
            ..ExecOutcome::default()
        };
        for (_, demand) in demands {
            match demand {
                ExpectedOutput::Stdout(stream) => outcome.stdout = stream.bytes(channel),
                ExpectedOutput::Stderr(text) => outcome.stderr = numbered(text, channel),
                ExpectedOutput::ExitStatus(status) => outcome.exit_status = Some(*status),
                ExpectedOutput::ExitSignal(name) => {
                    outcome.exit_status = None;
                    outcome.exit_signal = Some(Signal::Named(name.clone()));
                }
            }
        }
        Answer {
            command: exec.command,
            outcome,
        }
    };
    let mut all = vec![answer(Exec::idle(), &[], 1)];
    for line in &script.execs {
        let numbered = (1..).zip(execs(line.act));
        all.extend(numbered.map(|(channel, exec)| answer(exec, &line.demands, channel)));
    }
    all
}

pub(super) fn judged(script: &Script<'_>, end: &ClientEnd, scenario: &Scenario) -> Outcome {
    match judge(script, end) {
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
    outcome.captures = server.captures;
    outcome.logs = server.logs;
    let (mut recorder, mut other) = (server_name, client_name);
    let mut has_failed = false;
    if let Some(client) = client {
        outcome.logs.splice(0..0, client.logs);
        has_failed = matches!(client.end, ClientEnd::Failed(_));
        if !client.trace.is_empty() {
            outcome.trace = client.trace;
            outcome.captures = client.captures;
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
    pub(super) rekey: RekeyLimit,
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
    /// The acts among the steps of a wire scenario.
    pub(super) fn among(scenario: &'a Scenario) -> Result<Self, Broken> {
        let mut script = Self::of(scenario);
        for step in &scenario.steps {
            if let StepKind::Act(act) = &step.kind {
                script.take(step, act)?;
            }
        }
        Ok(script)
    }

    /// Whether anything is demanded of the client.
    pub(super) fn demands_something(&self) -> bool {
        self.end.is_some() || self.execs.iter().any(|line| !line.demands.is_empty())
    }

    /// With what is told of the client's key exchanges, and nothing else yet.
    fn of(scenario: &Scenario) -> Self {
        Self {
            known_host: KnownHost::Right,
            login: LoginWith::Publickey,
            rekey: rekey_limit(scenario, Actor::Client),
            knows_step: None,
            login_step: None,
            execs: Vec::new(),
            end: None,
        }
    }

    pub(super) fn read(scenario: &'a Scenario) -> Result<Self, Broken> {
        let mut script = Self::of(scenario);
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
            Act::Rekeys(..) => {}
            Act::Exec(act) => self.execs.push(ExecLine {
                step,
                act,
                demands: Vec::new(),
            }),
            Act::ExpectEnd(end) => self.end = Some((step, *end)),
            Act::ExpectOutput(demand) => match self.execs.last_mut() {
                Some(line) => line.demands.push((step, demand)),
                None => return Err(out_of_place(step, "comes before any session")),
            },
        }
        Ok(())
    }

    /// What the client is told: where it connects, and as whom with which password it may log in.
    pub(super) fn job(
        &self,
        seed: u64,
        at: SocketAddr,
        [user, password]: [&str; 2],
        deadline: Duration,
    ) -> ClientJob {
        ClientJob {
            host: at.ip().to_string(),
            port: at.port(),
            user: user.to_owned(),
            credential: match self.login {
                LoginWith::Publickey => Credential::Publickey,
                LoginWith::Password => Credential::Password(password.to_owned()),
                LoginWith::WrongPassword => Credential::Password(WRONG_PASSWORD.to_owned()),
            },
            known_host: self.known_host,
            execs: self.sessions(),
            rekey: self.rekey,
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

/// When the scenario has this side begin key exchanges.
pub(super) fn rekey_limit(scenario: &Scenario, whose: Actor) -> RekeyLimit {
    let mut limit = RekeyLimit::default();
    for step in &scenario.steps {
        match step.kind {
            StepKind::Act(Act::Rekeys(actor, when)) if actor == whose => match when {
                RekeyWhen::Bytes(bytes) => limit.bytes = Some(bytes),
                RekeyWhen::Seconds(seconds) => limit.seconds = Some(seconds),
            },
            _ => {}
        }
    }
    limit
}

/// The checker refuses such files; a scenario built by hand may still be one.
fn out_of_place(step: &Step, why: &str) -> Broken {
    Broken::new(format!("line {}: `{}` {why}", step.line, step.source))
}

fn execs(act: &ExecAct) -> impl Iterator<Item = Exec> + '_ {
    let text = |text: &str, n| String::from_utf8_lossy(&numbered(text.as_bytes(), n)).into_owned();
    (1..=act.channels).map(move |channel| Exec {
        command: act.command.as_deref().map(|line| text(line, channel)),
        stdin: act.stdin.as_ref().map(|stream| stream.bytes(channel)),
        env: act.env.clone(),
        terminal: act.terminal,
    })
}

#[cfg(test)]
mod tests;
