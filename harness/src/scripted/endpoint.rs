//! The scripted endpoint: what it has said and heard so far, and what follows from that.
//!
//! Sending and receiving change the state here and nowhere else; what to send is in `build`, what
//! to do unasked in `behave`, what to make of an answer in `judge`.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use minissh::crypto::{EphemeralKey, Rng, from_seed};

use super::exchange::Exchange;
use super::flow::{Flow, Flows};
use super::forge::{self, Delivery, Framing, reshaped};
use super::link::{Incoming, Link};
use super::message::Message;
use super::{Role, Setup, Stop};
use crate::scenario::verbs::Carrier;
use crate::scenario::{Expect, FieldSetting, Send, Value};
use crate::verdict::Broken;

/// One end of a connection under test.
pub(super) struct Endpoint<'a> {
    pub(super) role: Role,
    pub(super) setup: &'a Setup,
    pub(super) link: Link,
    pub(super) rng: Rng,
    /// When the whole case must be over.
    pub(super) deadline: Instant,
    /// The subject may end the connection: the scenario said so.
    pub(super) may_end: bool,
    /// It did.
    pub(super) has_ended: bool,
    /// What was read and not used, which comes first again.
    pub(super) unused: VecDeque<Incoming>,
    /// What may come before what the next steps want.
    pub(super) optional: Vec<Expect>,
    pub(super) ours: Said,
    pub(super) theirs: Said,
    pub(super) ephemeral: Option<EphemeralKey>,
    /// That of a share of ours in whose place another came: a guess that was wrong.
    pub(super) guessed: Option<EphemeralKey>,
    /// A guess of theirs that came before we said what we offer, so that nobody knows yet whether it is
    /// right.
    early_guess: Option<Incoming>,
    pub(super) exchange: Option<Exchange>,
    /// How many key exchanges after the first they began, and we did not at the same time.
    pub(super) begun_by_them: u64,
    pub(super) session_id: Option<[u8; 32]>,
    pub(super) auth: Auth,
    /// What the prelude that is going on says of itself.
    pub(super) settings: Vec<FieldSetting>,
    /// As a server: whether a request to log in had the key or the password that lets in, if there was one.
    pub(super) has_credential: Option<bool>,
    /// How many methods of its `with` have succeeded.
    pub(super) factors: usize,
    pub(super) channel: Channel,
    pub(super) flows: Flows,
    /// What lines kept of messages.
    pub(super) variables: HashMap<String, Value>,
    /// The round of each `repeat` that is going on, from 1.
    pub(super) rounds: Vec<u64>,
    /// Of the last packet that we sent.
    pub(super) last_sequence_number: u32,
}

/// What one side has said of the key exchange.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) ident: Option<Vec<u8>>,
    /// The payload.
    pub(super) kexinit: Option<Vec<u8>>,
    pub(super) kex_names: Vec<String>,
    /// The first key exchange and the first host key algorithm of the last offer.
    favourites: [Option<String>; 2],
    /// A packet of the favourite exchange follows the offer unasked.
    guesses: bool,
    pub(super) share: Option<Vec<u8>>,
    pub(super) host_key: Vec<u8>,
    pub(super) newkeys: bool,
}

/// How far the login is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Auth {
    /// Nothing was asked for.
    Nothing,
    /// The client asked for the service.
    Requested,
    /// The server accepted.
    Accepted,
    /// The user is logged in.
    Done,
}

/// The session channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Channel {
    /// Their number for it.
    pub(super) remote: u32,
    pub(super) stage: Stage,
}

/// How far the session is. Who does what follows from the role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Absent,
    /// The client asked for a channel.
    Asked,
    Open,
    /// The client asked for a command, and waits for the reply.
    Requested,
    /// The command runs.
    Running,
    /// We sent CLOSE.
    Closed,
}

impl<'a> Endpoint<'a> {
    pub(super) fn new(role: Role, setup: &'a Setup, link: Link) -> Self {
        Self {
            role,
            setup,
            link,
            rng: from_seed(setup.seed ^ role.salt()),
            deadline: Instant::now() + setup.case_limit,
            may_end: false,
            has_ended: false,
            unused: VecDeque::new(),
            optional: Vec::new(),
            ours: Said::default(),
            theirs: Said::default(),
            ephemeral: None,
            guessed: None,
            early_guess: None,
            exchange: None,
            begun_by_them: 0,
            session_id: None,
            auth: Auth::Nothing,
            settings: Vec::new(),
            has_credential: None,
            factors: 0,
            channel: Channel {
                remote: 0,
                stage: Stage::Absent,
            },
            flows: Flows::default(),
            variables: HashMap::new(),
            rounds: Vec::new(),
            last_sequence_number: 0,
        }
    }

    /// Sends a well-behaved message of that verb.
    pub(super) fn say(&mut self, verb: &str) -> Result<(), Stop> {
        self.send(&Send {
            verb: verb.to_owned(),
            fields: Vec::new(),
        })
    }

    /// Sends a message with the fields of a scenario.
    pub(super) fn send(&mut self, send: &Send) -> Result<(), Stop> {
        let send = &*self.resolved(send)?;
        match forge::number::<u32>(send, "total") {
            Some(total) => self.send_in_parts(send, total),
            None => self.send_one(send),
        }
    }

    /// Data in as many messages as it takes, each as long as they take it, whatever their window.
    fn send_in_parts(&mut self, send: &Send, total: u32) -> Result<(), Stop> {
        /// Where they named no length, or none that gets anywhere.
        const PART_BYTES: u32 = 32 * 1024;

        let flow = self.flows.get(forge::number(send, "on"));
        let most = flow.map_or(0, Flow::packet_bytes_max);
        let most = if most == 0 {
            PART_BYTES
        } else {
            most.min(PART_BYTES)
        };
        let mut left = total;
        while left > 0 {
            if Instant::now() >= self.deadline {
                return Err(Stop::subject(format!(
                    "{left} of {total} bytes were not yet taken when the case had to end"
                )));
            }
            let size = left.min(most);
            left -= size;
            let mut part = send.clone();
            part.fields.retain(|field| field.name != "total");
            part.fields.push(FieldSetting {
                name: "size".to_owned(),
                value: Value::Number(size.into()),
            });
            self.send_one(&part)?;
        }
        Ok(())
    }

    fn send_one(&mut self, send: &Send) -> Result<(), Stop> {
        let message = self.build(send)?;
        let delivery = Delivery::of(send);
        match message.verb.carrier {
            Carrier::Stream => Ok(self.link.send_raw(&message, delivery)?),
            Carrier::Line => {
                let text =
                    message.bytes(message.verb.fields.first().map_or("", |field| field.name));
                self.link.send_line(text, line_end(send), delivery)?;
                self.note_sent(&message, text);
                Ok(())
            }
            Carrier::Packet => {
                let payload = reshaped(message.encode(), send)?;
                let framing = Framing::of(send);
                self.last_sequence_number =
                    self.link
                        .send_payload(&payload, &framing, delivery, &mut self.rng)?;
                self.note_sent(&message, &payload);
                Ok(())
            }
        }
    }

    /// Neither sends nor reads for so long, or until the whole case must be over.
    pub(super) fn pause(&self, lasts: Duration) {
        let left = self.deadline.saturating_duration_since(Instant::now());
        std::thread::sleep(lasts.min(left));
    }

    /// The next thing that comes before the deadline, which the case's own may cut short.
    pub(super) fn receive(&mut self, deadline: Instant) -> Result<Option<Incoming>, Broken> {
        let incoming = match self.unused.pop_front() {
            Some(incoming) => Some(incoming),
            None => self.link.receive(deadline.min(self.deadline))?,
        };
        // Words in clear to a person who came through the wrong door; the end comes behind them.
        if self.may_end
            && matches!(incoming, Some(Incoming::Unreadable(_)))
            && !self.link.has_keys()
        {
            return self.receive(deadline);
        }
        if self.is_guess(incoming.as_ref()) {
            if self.ours.kexinit.is_none() {
                self.early_guess = incoming;
                return self.receive(deadline);
            }
            if !self.guessed_right() {
                return self.receive(deadline);
            }
        }
        self.has_ended |= self.may_end && incoming.as_ref().is_some_and(Incoming::is_end);
        Ok(incoming)
    }

    /// Whether this is the first packet of an exchange, sent before its sender could know which one is
    /// agreed on: Dropbear does so.
    fn is_guess(&mut self, incoming: Option<&Incoming>) -> bool {
        let (Some(Incoming::Message { message, .. }), true) = (incoming, self.theirs.guesses)
        else {
            return false;
        };
        self.theirs.guesses = false;
        message.is("ecdh-init")
    }

    /// Whether their guess counts; otherwise it must be passed over (RFC 4253 §7).
    fn guessed_right(&self) -> bool {
        self.ours.favourites == self.theirs.favourites
    }

    fn note_sent(&mut self, message: &Message, payload: &[u8]) {
        self.flows.note_sent(message);
        match message.verb.name {
            "ident" => self.ours.ident = Some(payload.to_vec()),
            "kexinit" => {
                self.begin_round();
                self.ours.note_kexinit(message, payload);
                let guess = self.early_guess.take();
                if let Some(guess) = guess.filter(|_| self.guessed_right()) {
                    self.unused.push_front(guess);
                }
            }
            "newkeys" => self.switch_outbound(),
            "channel-close" => self.channel.stage = Stage::Closed,
            _ => self.note_progress(message),
        }
    }

    /// Takes in what a message changes.
    ///
    /// An error says what is wrong with the message itself, whatever the scenario expected.
    pub(super) fn note_received(
        &mut self,
        message: &Message,
        payload: &[u8],
    ) -> Result<(), String> {
        self.flows.note_received(message)?;
        match message.verb.name {
            "ident" => self.theirs.ident = Some(payload.to_vec()),
            "kexinit" => {
                self.begin_round();
                if self.link.has_keys() && self.ours.kexinit.is_none() {
                    self.begun_by_them += 1;
                }
                self.theirs.note_kexinit(message, payload);
            }
            "ecdh-init" => self.theirs.share = Some(message.bytes("share").to_vec()),
            "ecdh-reply" => self.on_ecdh_reply(message)?,
            "newkeys" => self.switch_inbound(),
            _ => {
                self.note_progress(message);
                self.note_their_number(message);
            }
        }
        Ok(())
    }

    /// A KEXINIT begins a new exchange once the last is over.
    fn begin_round(&mut self) {
        if self.ours.newkeys && self.theirs.newkeys {
            self.ours.begin_round();
            self.theirs.begin_round();
            self.exchange = None;
            self.ephemeral = None;
            self.guessed = None;
        }
    }

    /// How far login and session are, whoever of the two sent the message.
    fn note_progress(&mut self, message: &Message) {
        let starts = matches!(message.bytes("type"), b"exec" | b"shell" | b"subsystem");
        let stage = &mut self.channel.stage;
        match message.verb.name {
            "service-request" => self.auth = self.auth.max(Auth::Requested),
            "service-accept" => self.auth = self.auth.max(Auth::Accepted),
            "userauth-success" => self.auth = Auth::Done,
            "channel-open" if opens_session(message) => *stage = (*stage).max(Stage::Asked),
            "channel-open-confirmation" => *stage = (*stage).max(Stage::Open),
            "channel-request" if starts && message.flag("want-reply") => {
                *stage = (*stage).max(Stage::Requested);
            }
            "channel-request" if starts => *stage = (*stage).max(Stage::Running),
            "channel-success" if *stage == Stage::Requested => *stage = Stage::Running,
            _ => {}
        }
    }

    fn note_their_number(&mut self, message: &Message) {
        if opens_session(message) || message.is("channel-open-confirmation") {
            self.channel.remote = message.number("sender").unwrap_or_default();
        }
    }
}

impl Said {
    fn note_kexinit(&mut self, message: &Message, payload: &[u8]) {
        // Markers count in the first exchange alone, and hold for all.
        if self.kex_names.is_empty() {
            self.kex_names = message.names("kex").to_vec();
        }
        self.favourites = ["kex", "host-key"].map(|list| message.names(list).first().cloned());
        self.guesses = message.flag("first-kex-packet-follows");
        self.kexinit = Some(payload.to_vec());
    }

    /// Forgets the key exchange that is over.
    fn begin_round(&mut self) {
        self.kexinit = None;
        self.share = None;
        self.host_key.clear();
        self.newkeys = false;
    }

    pub(super) fn offers(&self, name: &str) -> bool {
        self.kex_names.iter().any(|offered| offered == name)
    }
}

fn opens_session(message: &Message) -> bool {
    message.is("channel-open") && message.bytes("type") == b"session"
}

/// The end of a line as the scenario wants it.
fn line_end(send: &Send) -> &'static [u8] {
    let end = send.fields.iter().find(|field| field.name == "end");
    match end.map(|field| super::message::bytes_of(&field.value)) {
        Some(b"lf") => b"\n",
        Some(b"cr") => b"\r",
        Some(b"none") => b"",
        _ => b"\r\n",
    }
}
