//! The server of a conversation: lets the fixture user in and gives to each command the answer that
//! it was told, once the client has said all it has to say. It runs nothing.

use std::time::{Duration, Instant};

use minissh::engine::{
    ApiMisuse, AuthAnswer, AuthQuestion, Config, Engine, Event, LocalChannelId, Password, Proof,
};
use minissh::msg::Request;

use super::{Application, Conversation, converse};
use crate::peer::{ExecOutcome, Signal, keys};
use crate::transcript::Stream;

/// What a command gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The command line; `None` for a shell.
    pub command: Option<String>,
    /// Its outputs and its end.
    pub outcome: ExecOutcome,
}

/// Serves one connection over the stream.
pub fn serve(
    answers: &[Answer],
    seed: u64,
    stream: &mut dyn Stream,
    limit: Duration,
) -> Conversation {
    let config = Config::server(keys::signing_key(keys::HOST));
    let mut server = Server {
        answers,
        sessions: Vec::new(),
    };
    converse(config, seed, stream, &mut server, limit)
}

struct Server<'a> {
    answers: &'a [Answer],
    sessions: Vec<Session<'a>>,
}

struct Session<'a> {
    channel: LocalChannelId,
    answer: Option<&'a Answer>,
    has_all_input: bool,
    /// How much of stdout and of stderr was taken.
    written: [usize; 2],
    is_over: bool,
}

impl Application for Server<'_> {
    fn on(&mut self, event: Event, engine: &mut Engine, now: Instant) -> Result<(), ApiMisuse> {
        match event {
            Event::AuthAsked(question) => {
                let answer = AuthAnswer {
                    accept: lets_in(&question),
                    banner: None,
                };
                engine.answer_auth(now, &answer)?;
            }
            Event::SessionOffered(channel) => self.sessions.push(Session {
                channel,
                answer: None,
                has_all_input: false,
                written: [0; 2],
                is_over: false,
            }),
            Event::ChannelRequested {
                channel,
                request,
                want_reply,
            } => {
                let accept = match request.get() {
                    Request::Exec { command } => self.begin(channel, Some(command)),
                    Request::Shell => self.begin(channel, None),
                    Request::Env { .. } | Request::PtyReq { .. } => true,
                    _ => false,
                };
                if want_reply {
                    engine.answer_request(now, channel, accept)?;
                }
                self.go_on(channel, engine, now)?;
            }
            Event::DataReceived { channel, data, .. } => {
                let count = u32::try_from(data.0.len()).unwrap_or(u32::MAX);
                engine.consume(now, channel, count);
            }
            Event::EofReceived(channel) => {
                if let Some(session) = self.session(channel) {
                    session.has_all_input = true;
                }
                self.go_on(channel, engine, now)?;
            }
            Event::ChannelWritable(channel) => self.go_on(channel, engine, now)?,
            _ => {}
        }
        Ok(())
    }
}

impl<'a> Server<'a> {
    fn session(&mut self, channel: LocalChannelId) -> Option<&mut Session<'a>> {
        self.sessions.iter_mut().find(|s| s.channel == channel)
    }

    /// Whether there is an answer to this command.
    fn begin(&mut self, channel: LocalChannelId, command: Option<&[u8]>) -> bool {
        let mut answers = self.answers.iter();
        let answer =
            answers.find(|answer| answer.command.as_ref().map(String::as_bytes) == command);
        if let Some(session) = self.session(channel) {
            session.answer = answer;
        }
        answer.is_some()
    }

    /// Writes as much of the answer as is taken, and ends the session after the last of it.
    fn go_on(
        &mut self,
        channel: LocalChannelId,
        engine: &mut Engine,
        now: Instant,
    ) -> Result<(), ApiMisuse> {
        let Some(session) = self.session(channel) else {
            return Ok(());
        };
        let (Some(answer), true, false) = (session.answer, session.has_all_input, session.is_over)
        else {
            return Ok(());
        };
        let ExecOutcome {
            stdout,
            stderr,
            exit_status,
            exit_signal,
        } = &answer.outcome;
        for (number, (code, text)) in [(None, stdout), (Some(1), stderr)].into_iter().enumerate() {
            let written = &mut session.written[number];
            let rest = text.get(*written..).unwrap_or_default();
            *written += engine.write(now, channel, code, rest)?;
            if *written < text.len() {
                return Ok(());
            }
        }
        session.is_over = true;
        let request = match exit_signal {
            Some(Signal::Named(name)) => Request::ExitSignal {
                signal: name.as_bytes(),
                core_dumped: false,
                message: b"",
                language: b"",
            },
            Some(Signal::Unnamed) | None => Request::ExitStatus {
                status: exit_status.unwrap_or_default(),
            },
        };
        engine.request(now, channel, request, false)?;
        engine.eof(now, channel)?;
        engine.close(now, channel);
        Ok(())
    }
}

fn lets_in(question: &AuthQuestion) -> bool {
    let shows_the_right_thing = match &question.proof {
        Proof::Publickey { key, .. } => *key == keys::signing_key(keys::USER).public_key(),
        Proof::Password(password) => {
            Password::new(keys::PASSWORD.as_bytes()).as_ref() == Some(password)
        }
        Proof::None | Proof::OtherKey { .. } => false,
    };
    question.user == keys::LOGIN && shows_the_right_thing
}
