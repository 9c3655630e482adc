//! Good behaviour: the preludes, the answers to what a peer asks by itself, and the farewell.

use std::time::{Duration, Instant};

use minissh::crypto::PublicKey;

use super::endpoint::{Auth, Endpoint, Stage};
use super::link::Incoming;
use super::message::Message;
use super::{Role, Stop};
use crate::scenario::{FieldSetting, Prelude, Send, Value};

/// How long a farewell may take; nothing is judged by it.
const FAREWELL: Duration = Duration::from_millis(500);

impl Endpoint<'_> {
    /// Goes on, well-behaved, until the prelude's end is reached. What is already done stays done.
    pub(super) fn prelude(&mut self, prelude: Prelude) -> Result<(), Stop> {
        let deadline = Instant::now() + self.setup.step_limit;
        match prelude {
            Prelude::Handshake => self.handshake(deadline),
            Prelude::Login => self.login(deadline),
            Prelude::Session => self.session(deadline),
            Prelude::Live => self.live(deadline),
        }
    }

    fn handshake(&mut self, deadline: Instant) -> Result<(), Stop> {
        while !(self.ours.newkeys && self.theirs.newkeys) {
            match self.next_of_handshake() {
                Some(verb) => self.say(verb)?,
                None => self.hear(self.wanted_in_handshake(), deadline)?,
            }
        }
        if self.link.has_keys() {
            return Ok(());
        }
        Err(Stop::subject(
            "NEWKEYS without a finished exchange".to_owned(),
        ))
    }

    /// What we owe the exchange, if the next move is ours.
    fn next_of_handshake(&self) -> Option<&'static str> {
        if self.ours.ident.is_none() {
            return Some("ident");
        }
        if self.ours.kexinit.is_none() {
            return Some("kexinit");
        }
        let begun = self.theirs.kexinit.is_some() && self.ours.share.is_none();
        match self.role {
            Role::Client if begun => Some("ecdh-init"),
            Role::Server if begun && self.theirs.share.is_some() => Some("ecdh-reply"),
            _ if self.exchange.is_some() && !self.ours.newkeys => Some("newkeys"),
            _ => None,
        }
    }

    fn wanted_in_handshake(&self) -> &'static [&'static str] {
        if self.theirs.ident.is_none() {
            return &["ident"];
        }
        if self.theirs.kexinit.is_none() {
            return &["kexinit"];
        }
        match self.role {
            Role::Client if self.exchange.is_none() => &["ecdh-reply"],
            Role::Server if self.theirs.share.is_none() => &["ecdh-init"],
            _ => &["newkeys"],
        }
    }

    fn login(&mut self, deadline: Instant) -> Result<(), Stop> {
        self.handshake(deadline)?;
        while self.auth != Auth::Done {
            match (self.role, self.auth) {
                (Role::Server, _) => self.serve_login(deadline)?,
                (Role::Client, Auth::Nothing) => self.say("service-request")?,
                (Role::Client, Auth::Requested) => self.hear(&["service-accept"], deadline)?,
                (Role::Client, Auth::Accepted | Auth::Done) => {
                    self.say("userauth-request")?;
                    self.hear(&["userauth-success"], deadline)?;
                }
            }
        }
        Ok(())
    }

    fn session(&mut self, deadline: Instant) -> Result<(), Stop> {
        self.login(deadline)?;
        while self.channel.stage < Stage::Running {
            match (self.role, self.channel.stage) {
                (Role::Server, _) => self.serve_session(deadline)?,
                (Role::Client, Stage::Absent) => self.say("channel-open")?,
                (Role::Client, Stage::Asked) => {
                    self.hear(&["channel-open-confirmation"], deadline)?;
                }
                (Role::Client, Stage::Open) => self.say("channel-request")?,
                (Role::Client, _) => self.hear(&["channel-success"], deadline)?,
            }
        }
        Ok(())
    }

    /// Proves that the connection answers, and answers in order.
    fn live(&mut self, deadline: Instant) -> Result<(), Stop> {
        self.handshake(deadline)?;
        match (self.role, self.auth) {
            (_, Auth::Done) => {
                self.say("global-request")?;
                self.hear_among_traffic(&["request-failure", "request-success"], deadline)
            }
            (Role::Server, _) => self.serve_login(deadline),
            (Role::Client, Auth::Nothing) => {
                self.say("service-request")?;
                self.hear(&["service-accept"], deadline)
            }
            (Role::Client, Auth::Requested) => self.hear(&["service-accept"], deadline),
            (Role::Client, Auth::Accepted) => {
                self.send(&with(
                    "userauth-request",
                    "method",
                    Value::Text(b"none".to_vec()),
                ))?;
                self.hear(&["userauth-failure"], deadline)
            }
        }
    }

    /// Waits for one of these messages, and for nothing else but ambient ones.
    fn hear(&mut self, wanted: &'static [&'static str], deadline: Instant) -> Result<(), Stop> {
        let message = self.next_message(wanted, deadline)?;
        if wanted.contains(&message.verb.name) {
            return Ok(());
        }
        Err(Stop::unexpected(wanted, &message))
    }

    /// Waits for one of these messages while a session may go on beside it.
    fn hear_among_traffic(
        &mut self,
        wanted: &'static [&'static str],
        deadline: Instant,
    ) -> Result<(), Stop> {
        loop {
            let message = self.next_message(wanted, deadline)?;
            if wanted.contains(&message.verb.name) {
                return Ok(());
            }
            if !self.answer_session(&message)? {
                return Err(Stop::unexpected(wanted, &message));
            }
        }
    }

    /// As a server: takes and answers the client's next request on its way in.
    fn serve_login(&mut self, deadline: Instant) -> Result<(), Stop> {
        const WANTED: &[&str] = &["service-request", "userauth-request"];
        let message = self.next_message(WANTED, deadline)?;
        match message.verb.name {
            "service-request" => self.say("service-accept"),
            "userauth-request" => self.answer_userauth(&message),
            _ => Err(Stop::unexpected(WANTED, &message)),
        }
    }

    fn answer_userauth(&mut self, request: &Message) -> Result<(), Stop> {
        let key_blob = request.bytes("key");
        let accepted = key_blob == self.setup.user_key.public_key().to_blob();
        let right_user = request.bytes("user") == self.setup.user.as_bytes();
        match request.bytes("method") {
            b"publickey" if !accepted || !right_user => self.say("userauth-failure"),
            b"publickey" if !request.flag("signed") => self.say("userauth-pk-ok"),
            b"publickey" => {
                self.check_user_signature(request)?;
                self.say("userauth-success")
            }
            b"password"
                if right_user && request.bytes("password") == self.setup.password.as_bytes() =>
            {
                self.say("userauth-success")
            }
            _ => self.say("userauth-failure"),
        }
    }

    fn check_user_signature(&self, request: &Message) -> Result<(), Stop> {
        let mut unsigned = request.clone();
        unsigned
            .fields
            .retain(|(field, _)| !matches!(field.name, "signature" | "rest"));
        let signed = self.signed_data(&unsigned.encode());
        PublicKey::from_blob(request.bytes("key"))
            .map_err(|fault| Stop::subject(format!("a USERAUTH_REQUEST whose key {fault}")))?
            .verify(&signed, request.bytes("signature"))
            .map_err(|fault| Stop::subject(format!("a USERAUTH_REQUEST whose signature {fault}")))
    }

    /// As a server: takes and answers the client's next move on its way to a session.
    fn serve_session(&mut self, deadline: Instant) -> Result<(), Stop> {
        const WANTED: &[&str] = &["channel-open", "channel-request"];
        let message = self.next_message(WANTED, deadline)?;
        if self.answer_session(&message)? {
            return Ok(());
        }
        Err(Stop::unexpected(WANTED, &message))
    }

    /// Answers what belongs to a session; false if the message is nothing of the kind.
    fn answer_session(&mut self, message: &Message) -> Result<bool, Stop> {
        match message.verb.name {
            "channel-open" => self.answer_open(message)?,
            "channel-request" => self.answer_request(message)?,
            "channel-close" if self.channel.stage != Stage::Closed => self.say("channel-close")?,
            "channel-data" | "channel-extended-data" | "channel-eof" | "channel-close" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn answer_open(&mut self, open: &Message) -> Result<(), Stop> {
        if self.role == Role::Server && open.bytes("type") == b"session" {
            return self.say("channel-open-confirmation");
        }
        let number = open.number("sender").unwrap_or_default();
        self.send(&with(
            "channel-open-failure",
            "recipient",
            Value::Number(number.into()),
        ))
    }

    fn answer_request(&mut self, request: &Message) -> Result<(), Stop> {
        let known = matches!(
            request.bytes("type"),
            b"exec" | b"shell" | b"env" | b"pty-req"
        );
        if !request.flag("want-reply") {
            return Ok(());
        }
        let good = self.role == Role::Server && known;
        self.say(if good {
            "channel-success"
        } else {
            "channel-failure"
        })
    }

    /// What peers send unasked gets its reply, if it wants one.
    pub(super) fn answer_ambient(&mut self, message: &Message) -> Result<(), Stop> {
        match message.verb.name {
            "global-request" if message.flag("want-reply") => self.say("request-failure"),
            "ping" => {
                let data = Value::Bytes(message.bytes("data").to_vec());
                self.send(&with("pong", "data", data))
            }
            _ => Ok(()),
        }
    }

    /// The next message that is not ambient.
    fn next_message(
        &mut self,
        wanted: &'static [&'static str],
        deadline: Instant,
    ) -> Result<Message, Stop> {
        loop {
            match self.receive(deadline)? {
                Some(Incoming::Message { message, payload }) => {
                    self.note_received(&message, &payload)
                        .map_err(Stop::subject)?;
                    if !message.verb.ambient {
                        return Ok(message);
                    }
                    self.answer_ambient(&message)?;
                }
                other => return Err(Stop::instead(wanted, other.as_ref())),
            }
        }
    }

    /// Ends what is still open in the way a real peer would, so that a subject is not left
    /// waiting. Nothing that happens here counts.
    pub(super) fn farewell(&mut self) {
        let _ = self.try_farewell();
    }

    fn try_farewell(&mut self) -> Result<(), Stop> {
        if self.role == Role::Server && self.channel.stage == Stage::Running {
            self.say("channel-request")?;
            self.say("channel-eof")?;
            self.say("channel-close")?;
            let deadline = Instant::now() + FAREWELL;
            while let Some(Incoming::Message { .. }) = self.receive(deadline)? {}
        } else if self.ours.kexinit.is_some() {
            self.say("disconnect")?;
        }
        Ok(())
    }
}

/// A message with one field set.
fn with(verb: &str, field: &str, value: Value) -> Send {
    let fields = vec![FieldSetting {
        name: field.to_owned(),
        value,
    }];
    Send {
        verb: verb.to_owned(),
        fields,
    }
}
