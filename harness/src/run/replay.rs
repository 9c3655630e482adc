//! A recorded case once more, without the peer.
//!
//! The scripted endpoint plays the scenario, or minissh's engine its part in it, with the seed of the
//! recording and against what the peer said then. As long as nothing changed, our side sends the same
//! bytes and comes to the same verdict.

use std::net::SocketAddr;
use std::time::Duration;

use super::pair::{Script, answers, judged};
use super::{broken, wire};
use crate::peer::{keys, solo};
use crate::scenario::{Scenario, Subject};
use crate::scripted::{Role, Setup, play_over};
use crate::transcript::{Difference, Tape, Transcript};
use crate::verdict::capture::Side;
use crate::verdict::{Outcome, Verdict};

/// What came of a replay.
#[derive(Debug)]
pub struct Replayed {
    /// How the case ended this time.
    pub outcome: Outcome,
    /// How many bytes our side sent, if they are those of the recording.
    pub compared: Result<usize, Difference>,
}

impl Replayed {
    /// Whether everything is as it was: the bytes and the verdict.
    #[must_use]
    pub fn is_faithful(&self, recorded: Verdict) -> bool {
        self.compared.is_ok() && self.outcome.verdict == recorded
    }
}

/// Plays the scenario against the recording.
#[must_use]
pub fn replay(transcript: &Transcript, scenario: &Scenario) -> Replayed {
    let tape = Tape::of(&transcript.capture);
    let mut outcome = if scenario.subject == Subject::Pair {
        replay_pair(transcript, scenario, tape.clone())
    } else {
        let role = match transcript.capture.recorder {
            Side::Client => Role::Client,
            Side::Server => Role::Server,
        };
        let limit = Setup::CASE_LIMIT;
        let setup = wire::endpoint_setup(transcript.seed, &transcript.user, keys::PASSWORD, limit);
        play_over(scenario, role, tape.clone(), &setup)
    };
    outcome.took = Duration::ZERO;
    Replayed {
        outcome,
        compared: tape.compared(),
    }
}

/// minissh's engine alone has the conversation again.
fn replay_pair(transcript: &Transcript, scenario: &Scenario, mut tape: Tape) -> Outcome {
    let script = match Script::read(scenario) {
        Ok(script) => script,
        Err(error) => return broken("reading the acts of the scenario", &error),
    };
    let (mut outcome, conversation) = match transcript.capture.recorder {
        Side::Client => {
            let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
            let login = [transcript.user.as_str(), keys::PASSWORD];
            let job = script.job(transcript.seed, nowhere, login, Setup::CASE_LIMIT);
            let (end, conversation) = solo::connect(&job, &mut tape);
            (judged(&script, &end, scenario), conversation)
        }
        // The client judged it, and nobody knows what it would say now.
        Side::Server => {
            let answers = answers(scenario);
            let conversation = solo::serve(&answers, transcript.seed, &mut tape, Setup::CASE_LIMIT);
            (Outcome::new(transcript.verdict, None), conversation)
        }
    };
    outcome.notes.extend(conversation.failure);
    outcome.trace = conversation.trace;
    outcome.captures = vec![conversation.capture];
    outcome
}
