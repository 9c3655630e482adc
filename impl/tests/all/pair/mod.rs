//! Two engines joined in memory, with a clock that moves only when told.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use minissh::crypto::{SigningKey, from_seed};
use minissh::engine::{AuthAnswer, Config, Engine, Event, Output};
use minissh::trace::TraceEntry;

/// What one side recorded, shared with the engine that records.
pub(crate) type Trace = Arc<Mutex<Vec<TraceEntry>>>;

/// One side and what it has told so far.
pub(crate) struct Side {
    pub(crate) engine: Engine,
    pub(crate) events: Vec<Event>,
    pub(crate) trace: Trace,
    outgoing: Vec<u8>,
}

impl Side {
    pub(crate) fn new(config: Config, seed: u64, now: Instant) -> Self {
        let trace = Trace::default();
        let shared = Arc::clone(&trace);
        let recorder = move |entry| shared.lock().unwrap().push(entry);
        Self {
            engine: Engine::new(config, from_seed(seed), Some(Box::new(recorder)), now),
            events: Vec::new(),
            trace,
            outgoing: Vec::new(),
        }
    }

    /// Drains the engine; true if anything came out. Questions are answered with yes.
    fn drain(&mut self, now: Instant) -> bool {
        let mut any = false;
        loop {
            match self.engine.poll_output(64 << 10) {
                Output::Transmit(bytes) => self.outgoing.extend(bytes),
                Output::Event(event) => self.on_event(event, now),
                Output::Wait(_) => return any,
            }
            any = true;
        }
    }

    fn on_event(&mut self, event: Event, now: Instant) {
        match &event {
            Event::HostKeyOffered(_) => self.engine.answer_host_key(now, true).unwrap(),
            Event::AuthAsked(_) => {
                let yes = AuthAnswer {
                    accept: true,
                    banner: None,
                };
                self.engine.answer_auth(now, &yes).unwrap();
            }
            _ => {}
        }
        self.events.push(event);
    }

    /// The packet log.
    pub(crate) fn log(&self) -> String {
        let entries = self.trace.lock().unwrap();
        entries
            .iter()
            .fold(String::new(), |log, entry| log + &format!("{entry}\n"))
    }
}

/// A client and a server.
pub(crate) struct Pair {
    pub(crate) client: Side,
    pub(crate) server: Side,
    pub(crate) now: Instant,
    /// How many bytes cross at a time.
    pub(crate) chunk_bytes: usize,
}

pub(crate) fn host_key() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

impl Pair {
    pub(crate) fn new(client: Config, server: Config, seed: u64) -> Self {
        let now = Instant::now();
        Self {
            client: Side::new(client, seed, now),
            server: Side::new(server, !seed, now),
            now,
            chunk_bytes: usize::MAX,
        }
    }

    pub(crate) fn with_defaults(seed: u64) -> Self {
        Self::new(Config::client(), Config::server(host_key()), seed)
    }

    /// Lets everything cross until nothing moves; each round takes a virtual millisecond.
    pub(crate) fn run(&mut self) {
        loop {
            let now = self.now;
            let moved = self.client.drain(now) | self.server.drain(now);
            let crossed = cross(&mut self.client, &mut self.server, self.chunk_bytes, now)
                | cross(&mut self.server, &mut self.client, self.chunk_bytes, now);
            if !moved && !crossed {
                return;
            }
            self.now += Duration::from_millis(1);
        }
    }
}

fn cross(from: &mut Side, to: &mut Side, chunk_bytes: usize, now: Instant) -> bool {
    if from.outgoing.is_empty() || !to.engine.wants_input() {
        return false;
    }
    let count = from.outgoing.len().min(chunk_bytes);
    let chunk: Vec<u8> = from.outgoing.drain(..count).collect();
    to.engine.handle_input(now, &chunk).unwrap();
    true
}
