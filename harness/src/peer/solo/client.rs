//! The client of a conversation: does its job, one event after the other.

use std::time::Instant;

use minissh::crypto::PublicKey;
use minissh::engine::{ApiMisuse, Config, Credential, Engine, Event, LocalChannelId, Password};
use minissh::msg::{DisconnectReason, Request};

use super::{Application, Conversation, converse};
use crate::peer::{self, ClientEnd, ClientJob, Exec, ExecOutcome, KnownHost, Signal, TERM, keys};
use crate::transcript::Stream;

/// Does the job over the stream.
pub fn connect(job: &ClientJob, stream: &mut dyn Stream) -> (ClientEnd, Conversation) {
    let mut client = Client {
        job,
        is_asking: false,
        sessions: Vec::new(),
        end: None,
    };
    let conversation = converse(
        Config::client(),
        job.seed,
        stream,
        &mut client,
        job.deadline,
    );
    let end = match (&conversation.failure, client.end) {
        (Some(failure), _) => ClientEnd::Failed(failure.clone()),
        (None, Some(end)) => end,
        (None, None) => ClientEnd::Failed("the connection ended too early".to_owned()),
    };
    (end, conversation)
}

struct Client<'a> {
    job: &'a ClientJob,
    /// Asked to be let in.
    is_asking: bool,
    /// In the order of the job.
    sessions: Vec<Session>,
    end: Option<ClientEnd>,
}

struct Session {
    channel: LocalChannelId,
    /// What is still to be sent.
    stdin: Vec<u8>,
    outcome: ExecOutcome,
    is_over: bool,
}

impl Application for Client<'_> {
    fn on(&mut self, event: Event, engine: &mut Engine, now: Instant) -> Result<(), ApiMisuse> {
        match event {
            Event::HostKeyOffered(key) => {
                let accept = self.believes(&key);
                if !accept {
                    self.end = Some(ClientEnd::RefusedHostKey);
                }
                engine.answer_host_key(now, accept)?;
            }
            Event::KeysChanged if !self.is_asking => {
                self.is_asking = true;
                engine.authenticate(now, &self.job.user, &self.credential())?;
            }
            Event::AuthSucceeded => {
                for exec in &self.job.execs {
                    self.sessions.push(Session {
                        channel: engine.open_session(now)?,
                        stdin: exec.stdin.clone().unwrap_or_default(),
                        outcome: ExecOutcome::default(),
                        is_over: false,
                    });
                }
            }
            Event::AuthFailed { .. } => self.leave(ClientEnd::AuthFailed, engine, now),
            Event::ChannelOpened(channel) => {
                let at = self.sessions.iter().position(|s| s.channel == channel);
                if let Some(exec) = at.and_then(|at| self.job.execs.get(at)) {
                    ask(exec, channel, engine, now)?;
                }
            }
            Event::ChannelRefused { .. } => {
                let end = ClientEnd::Failed("a channel was refused".to_owned());
                self.leave(end, engine, now);
            }
            Event::RequestAnswered {
                accepted: false, ..
            } => {
                let end = ClientEnd::Failed("a command was refused".to_owned());
                self.leave(end, engine, now);
            }
            Event::RequestAnswered { channel, .. } | Event::ChannelWritable(channel) => {
                self.write(channel, engine, now)?;
            }
            Event::ChannelRequested {
                channel,
                request,
                want_reply,
            } => {
                if let Some(Session { outcome, .. }) = self.session(channel) {
                    match request.get() {
                        Request::ExitStatus { status } => outcome.exit_status = Some(status),
                        Request::ExitSignal { signal, .. } => {
                            let name = String::from_utf8_lossy(signal).into_owned();
                            outcome.exit_signal = Some(Signal::Named(name));
                        }
                        _ => {}
                    }
                }
                if want_reply {
                    engine.answer_request(now, channel, false)?;
                }
            }
            Event::DataReceived {
                channel,
                code,
                data,
            } => {
                if let Some(Session { outcome, .. }) = self.session(channel) {
                    let sink = match code {
                        None => &mut outcome.stdout,
                        Some(_) => &mut outcome.stderr,
                    };
                    sink.extend_from_slice(&data.0);
                }
                let count = u32::try_from(data.0.len()).unwrap_or(u32::MAX);
                engine.consume(now, channel, count);
            }
            Event::ChannelClosed(channel) => {
                if let Some(session) = self.session(channel) {
                    session.is_over = true;
                }
                if self.sessions.iter().all(|session| session.is_over) {
                    let sessions = std::mem::take(&mut self.sessions);
                    let outcomes = sessions.into_iter().map(|session| session.outcome);
                    self.leave(ClientEnd::Done(outcomes.collect()), engine, now);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Client<'_> {
    fn believes(&self, key: &PublicKey) -> bool {
        let known = match self.job.known_host {
            KnownHost::Right => keys::HOST,
            KnownHost::Other => keys::OTHER_HOST,
            KnownHost::Unknown => return false,
        };
        keys::signing_key(known).public_key() == *key
    }

    fn credential(&self) -> Credential {
        match &self.job.credential {
            peer::Credential::Publickey => Credential::Publickey(keys::signing_key(keys::USER)),
            peer::Credential::Password(password) => {
                let password = Password::new(password.as_bytes());
                Credential::Password(password.unwrap_or_else(empty))
            }
        }
    }

    fn session(&mut self, channel: LocalChannelId) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|s| s.channel == channel)
    }

    /// Sends as much of the input as is taken, and its end after the last of it.
    fn write(
        &mut self,
        channel: LocalChannelId,
        engine: &mut Engine,
        now: Instant,
    ) -> Result<(), ApiMisuse> {
        let Some(session) = self.session(channel) else {
            return Ok(());
        };
        let taken = engine.write(now, channel, None, &session.stdin)?;
        session.stdin.drain(..taken);
        if session.stdin.is_empty() {
            engine.eof(now, channel)?;
        }
        Ok(())
    }

    fn leave(&mut self, end: ClientEnd, engine: &mut Engine, now: Instant) {
        self.end.get_or_insert(end);
        engine.disconnect(now, DisconnectReason::BY_APPLICATION, "");
    }
}

/// Only the last of its requests wants a reply, so that the first reply says that it runs.
fn ask(
    exec: &Exec,
    channel: LocalChannelId,
    engine: &mut Engine,
    now: Instant,
) -> Result<(), ApiMisuse> {
    for (name, value) in &exec.env {
        let (name, value) = (name.as_bytes(), value.as_bytes());
        engine.request(now, channel, Request::Env { name, value }, false)?;
    }
    if exec.terminal {
        let term = TERM.as_bytes();
        // The modes are none: their list has nothing but its end.
        let (size, modes) = ([80, 24, 0, 0], &[0][..]);
        let request = Request::PtyReq { term, size, modes };
        engine.request(now, channel, request, false)?;
    }
    let request = match &exec.command {
        Some(command) => Request::Exec {
            command: command.as_bytes(),
        },
        None => Request::Shell,
    };
    engine.request(now, channel, request, true)?;
    Ok(())
}

/// Longer ones than can be sent do not occur.
fn empty() -> Password {
    Password::new(b"").expect("nothing is short enough")
}
