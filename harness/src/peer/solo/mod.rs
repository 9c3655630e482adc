//! minissh's engine alone with a stream, on one thread: what it sends depends on the seed and on
//! what comes, and on nothing else. That is what can be recorded and had again byte for byte.
//!
//! Keys are used for a few packets only, so that each conversation has exchanges in its middle.

mod client;
mod peer;
mod server;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use minissh::crypto::{SharedSecret, from_seed};
use minissh::engine::{ApiMisuse, Config, Engine, Event, Output, RekeyPolicy};
use minissh::keylog::{self, KeyLog};
use minissh::trace::{Direction, TraceEntry};

use crate::transcript::Stream;
use crate::verdict::Capture;
use crate::verdict::capture::Side;

pub use client::connect;
pub use peer::Solo;
pub use server::{Answer, serve};

/// Packets in one direction under the same keys.
const PACKETS_MAX: u64 = 8;

/// Bytes that the network takes at a time, as far as the engine is concerned.
const ROOM_BYTES: usize = 64 * 1024;

/// What came of a conversation.
pub struct Conversation {
    /// Why it did not come to its own end, if it did not.
    pub failure: Option<String>,
    /// Its trace.
    pub trace: Vec<TraceEntry>,
    /// Its bytes and keys.
    pub capture: Capture,
}

/// Whoever uses the connection.
trait Application {
    fn on(&mut self, event: Event, engine: &mut Engine, now: Instant) -> Result<(), ApiMisuse>;
}

/// Shared with what the engine owns.
type Shared<T> = Arc<Mutex<T>>;

struct Keys(Shared<Vec<String>>);

impl KeyLog for Keys {
    fn shared_secret(&mut self, cookie: &[u8; 16], secret: &SharedSecret) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(keylog::line(cookie, secret).to_string());
    }
}

/// Has the conversation until it ends or the deadline has come.
fn converse(
    config: Config,
    seed: u64,
    stream: &mut dyn Stream,
    application: &mut dyn Application,
    limit: Duration,
) -> Conversation {
    let began = Instant::now();
    let side = match config.role {
        minissh::engine::Role::Client => Side::Client,
        minissh::engine::Role::Server { .. } => Side::Server,
    };
    let config = Config {
        rekey: RekeyPolicy {
            packets_max: PACKETS_MAX,
            ..config.rekey
        },
        ..config
    };
    let (trace, keys) = (Shared::<Vec<TraceEntry>>::default(), Shared::default());
    let entries = Arc::clone(&trace);
    let record = move |entry| {
        let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push(entry);
    };
    let mut engine = Engine::new(config, from_seed(seed), Some(Box::new(record)), began);
    engine.log_keys_to(Box::new(Keys(Arc::clone(&keys))));
    let mut line = Line {
        engine,
        stream,
        capture: Capture::by(side),
        began,
        now: began,
        deadline: began + limit,
    };
    let failure = line.run(application).err();
    let at = line.at();
    let mut capture = line.capture;
    capture.end(at, Direction::Outbound);
    let keys = std::mem::take(&mut *keys.lock().unwrap_or_else(PoisonError::into_inner));
    for key in &keys {
        capture.log_key(key);
    }
    let trace = std::mem::take(&mut *trace.lock().unwrap_or_else(PoisonError::into_inner));
    Conversation {
        failure,
        trace,
        capture,
    }
}

/// An engine on a stream.
struct Line<'a> {
    engine: Engine,
    stream: &'a mut dyn Stream,
    capture: Capture,
    began: Instant,
    /// What the engine takes for the time. A recorded stream does not wait for deadlines.
    now: Instant,
    deadline: Instant,
}

impl Line<'_> {
    fn run(&mut self, application: &mut dyn Application) -> Result<(), String> {
        let mut has_ended = false;
        loop {
            self.now = self.now.max(Instant::now());
            match self.engine.poll_output(ROOM_BYTES) {
                Output::Event(Event::Ended(_)) => has_ended = true,
                Output::Event(event) => {
                    match application.on(event, &mut self.engine, self.now) {
                        // The peer closed it after what this event is about.
                        Ok(()) | Err(ApiMisuse::UsedClosedChannel(_)) => {}
                        Err(misuse) => return Err(wrongly(&misuse)),
                    }
                }
                Output::Transmit(bytes) => self.transmit(&bytes),
                Output::Wait(_) if has_ended => return Ok(()),
                Output::Wait(until) => self.wait(until)?,
            }
        }
    }

    /// A side that is gone takes nothing; what that means is seen when reading.
    fn transmit(&mut self, bytes: &[u8]) {
        let at = self.at();
        if self.stream.send(bytes).is_ok() {
            self.capture.carry(at, Direction::Outbound, bytes);
        }
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), String> {
        let until = until.unwrap_or(self.deadline).min(self.deadline);
        let mut room = [0; 16 * 1024];
        let received = self.stream.receive(&mut room, until);
        let at = self.at();
        match received {
            Ok(None) => {
                self.now = self.now.max(until);
                if self.now >= self.deadline {
                    return Err("it was not done at the deadline".to_owned());
                }
                self.engine.handle_timeout(self.now);
            }
            Ok(Some(0)) => {
                self.capture.end(at, Direction::Inbound);
                self.engine.handle_eof(self.now);
            }
            Ok(Some(count)) => {
                let bytes = room.get(..count).unwrap_or_default();
                self.capture.carry(at, Direction::Inbound, bytes);
                self.engine
                    .handle_input(self.now, bytes)
                    .map_err(|misuse| wrongly(&misuse))?;
            }
            Err(_) => {
                self.capture.reset(at, Direction::Inbound);
                self.engine.handle_eof(self.now);
            }
        }
        Ok(())
    }

    fn at(&self) -> Duration {
        self.began.elapsed()
    }
}

fn wrongly(misuse: &ApiMisuse) -> String {
    format!("we used the engine wrongly: {misuse}")
}
