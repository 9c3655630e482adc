//! The scripted endpoint: what it has said and heard so far, and what follows from that.
//!
//! Sending and receiving change the state here and nowhere else; what to send is in `build`, what
//! to do unasked in `behave`, what to make of an answer in `judge`.

use std::time::Instant;

use minissh::crypto::{EphemeralKey, Rng, from_seed};

use super::build::framing;
use super::exchange::Exchange;
use super::link::{Incoming, Link};
use super::message::Message;
use super::{Role, Setup, Stop};
use crate::scenario::Send;
use crate::verdict::Broken;

/// One end of a connection under test.
pub(super) struct Endpoint<'a> {
    pub(super) role: Role,
    pub(super) setup: &'a Setup,
    pub(super) link: Link,
    pub(super) rng: Rng,
    /// When the whole case must be over.
    pub(super) deadline: Instant,
    /// A thing that was read and not used, which comes first again.
    pub(super) unused: Option<Incoming>,
    pub(super) ours: Said,
    pub(super) theirs: Said,
    pub(super) ephemeral: Option<EphemeralKey>,
    pub(super) exchange: Option<Exchange>,
    pub(super) session_id: Option<[u8; 32]>,
    pub(super) auth: Auth,
    pub(super) channel: Channel,
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
            unused: None,
            ours: Said::default(),
            theirs: Said::default(),
            ephemeral: None,
            exchange: None,
            session_id: None,
            auth: Auth::Nothing,
            channel: Channel {
                remote: 0,
                stage: Stage::Absent,
            },
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
        let message = self.build(send)?;
        if !message.verb.is_packet() {
            let text = message.bytes(message.verb.fields.first().map_or("", |field| field.name));
            self.link.send_line(text, line_end(send))?;
            self.note_sent(&message, text);
            return Ok(());
        }
        let payload = message.encode();
        self.last_sequence_number =
            self.link
                .send_payload(&payload, framing(send), &mut self.rng)?;
        self.note_sent(&message, &payload);
        Ok(())
    }

    /// The next thing that comes before the deadline, which the case's own may cut short.
    pub(super) fn receive(&mut self, deadline: Instant) -> Result<Option<Incoming>, Broken> {
        match self.unused.take() {
            Some(incoming) => Ok(Some(incoming)),
            None => self.link.receive(deadline.min(self.deadline)),
        }
    }

    fn note_sent(&mut self, message: &Message, payload: &[u8]) {
        match message.verb.name {
            "ident" => self.ours.ident = Some(payload.to_vec()),
            "kexinit" => self.ours.note_kexinit(message, payload),
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
        match message.verb.name {
            "ident" => self.theirs.ident = Some(payload.to_vec()),
            "kexinit" => self.theirs.note_kexinit(message, payload),
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
        if self.kexinit.is_none() {
            self.kex_names = message.names("kex").to_vec();
        }
        self.kexinit = Some(payload.to_vec());
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
