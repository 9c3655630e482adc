//! Good behaviour: the preludes, the answers to what a peer asks by itself, and the farewell.

use std::time::{Duration, Instant};

use minissh::crypto::PublicKey;

use super::endpoint::{Auth, Endpoint, Stage};
use super::link::Incoming;
use super::message::Message;
use super::{Fault, NO_CREDENTIAL, Role, Stop};
use crate::scenario::{FieldSetting, Prelude, Send, Value};

/// How long a farewell may take; nothing is judged by it, and whoever leaves ends it.
const FAREWELL: Duration = Duration::from_secs(5);

impl Endpoint<'_> {
    /// Goes on, well-behaved, until the prelude's end is reached. What is already done stays done.
    pub(super) fn prelude(
        &mut self,
        prelude: Prelude,
        settings: &[FieldSetting],
    ) -> Result<(), Stop> {
        let deadline = Instant::now() + self.setup.step_limit;
        self.settings = settings.to_vec();
        let ended = self.go_on_to(prelude, deadline);
        self.settings.clear();
        ended
    }

    fn go_on_to(&mut self, prelude: Prelude, deadline: Instant) -> Result<(), Stop> {
        match prelude {
            Prelude::Handshake => self.handshake(deadline),
            Prelude::Rekey => self.rekey(deadline),
            Prelude::Login => self.login(deadline),
            Prelude::Session => self.session(deadline),
            Prelude::Live => self.live(deadline),
        }
    }

    /// Another key exchange: ours, or the one that has begun.
    fn rekey(&mut self, deadline: Instant) -> Result<(), Stop> {
        if !self.link.has_keys() {
            self.handshake(deadline)?;
        }
        if self.ours.newkeys && self.theirs.newkeys {
            self.say("kexinit")?;
        }
        self.finish_round(deadline)
    }

    /// Waits until they have begun so many key exchanges, and carries them out.
    pub(super) fn expect_rekeyed(&mut self, times: u64) -> Result<(), Stop> {
        let deadline = Instant::now() + self.setup.step_limit;
        while self.begun_by_them < times {
            self.hear(&["kexinit"], deadline)?;
            self.finish_round(deadline)?;
        }
        Ok(())
    }

    /// Carries a key exchange to its end while a session may be going on: what they sent before
    /// their KEXINIT and after their NEWKEYS is for the steps that come, and between the two they
    /// may send what belongs to the exchange and nothing of the session.
    pub(super) fn finish_round(&mut self, deadline: Instant) -> Result<(), Stop> {
        let mut early = Vec::new();
        while !(self.ours.newkeys && self.theirs.newkeys) {
            if let Some(verb) = self.next_of_handshake() {
                self.say(verb)?;
                continue;
            }
            let wanted = self.wanted_in_handshake();
            let incoming = self.receive(deadline)?;
            let Some(Incoming::Message { message, payload }) = &incoming else {
                return Err(Stop::instead(wanted, incoming.as_ref()));
            };
            if wanted.contains(&message.verb.name) {
                self.note_received(message, payload)
                    .map_err(Stop::subject)?;
            } else if self.theirs.kexinit.is_none() || self.theirs.newkeys {
                early.extend(incoming);
            } else if !message.goes_beside_kex() {
                return Err(Stop::unexpected(wanted, message));
            }
        }
        for incoming in early.into_iter().rev() {
            self.unused.push_front(incoming);
        }
        Ok(())
    }

    fn handshake(&mut self, deadline: Instant) -> Result<(), Stop> {
        if self.link.has_keys() {
            return self.finish_round(deadline);
        }
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
                (Role::Client, Auth::Accepted | Auth::Done) => self.offer_factor(deadline)?,
            }
        }
        Ok(())
    }

    fn ask_for_login(&mut self) -> Result<(), Stop> {
        if self.setup.password_login {
            let method = Value::Text(b"password".to_vec());
            return self.send(&with("userauth-request", "method", method));
        }
        self.say("userauth-request")
    }

    /// As a client: the next method of the login; all but the last succeed in part.
    fn offer_factor(&mut self, deadline: Instant) -> Result<(), Stop> {
        self.ask_for_login()?;
        if self.methods().len() <= self.factors + 1 {
            return self.hear(&["userauth-success"], deadline);
        }
        let answer = self.next_message(&["userauth-failure"], deadline)?;
        if !answer.is("userauth-failure") || !answer.flag("partial-success") {
            return Err(Stop::unexpected(&["userauth-failure"], &answer));
        }
        self.factors += 1;
        Ok(())
    }

    /// The methods of a login, in their order, where the scenario names them.
    fn methods(&self) -> &[String] {
        let with = self.settings.iter().find(|set| set.name == "with");
        match with.map(|set| &set.value) {
            Some(Value::Names(methods)) => methods,
            _ => &[],
        }
    }

    /// The method whose turn it is.
    pub(super) fn method_due(&self) -> Option<&str> {
        self.methods().get(self.factors).map(String::as_str)
    }

    /// As a server: a factor was right.
    fn grant(&mut self) -> Result<(), Stop> {
        let left = self.methods().get(self.factors + 1..).unwrap_or_default();
        if left.is_empty() {
            return self.say("userauth-success");
        }
        let methods = Value::Names(left.to_vec());
        self.factors += 1;
        let mut failure = with("userauth-failure", "methods", methods);
        failure.fields.push(FieldSetting {
            name: "partial-success".to_owned(),
            value: Value::Flag(true),
        });
        self.send(&failure)
    }

    /// As a server: a method was wrong, or not the one whose turn it is.
    fn deny(&mut self) -> Result<(), Stop> {
        match self.methods().get(self.factors..) {
            None | Some([]) => self.say("userauth-failure"),
            Some(left) => {
                let methods = Value::Names(left.to_vec());
                self.send(&with("userauth-failure", "methods", methods))
            }
        }
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
        let message = self.next_message(WANTED, deadline);
        let message = message.map_err(|stop| self.for_want_of_a_key(stop))?;
        match message.verb.name {
            "service-request" => self.say("service-accept"),
            "userauth-request" => self.answer_userauth(&message),
            _ => Err(self.for_want_of_a_key(Stop::unexpected(WANTED, &message))),
        }
    }

    /// Of a client that went away without what lets it in, a person is told so: it may be no fault of
    /// its own.
    fn for_want_of_a_key(&self, stop: Stop) -> Stop {
        match stop {
            Stop::Fault(fault) if fault.is_gone && self.has_credential == Some(false) => {
                Stop::Fault(Fault {
                    hint: Some(NO_CREDENTIAL),
                    ..fault
                })
            }
            other => other,
        }
    }

    fn answer_userauth(&mut self, request: &Message) -> Result<(), Stop> {
        let key_blob = request.bytes("key");
        let accepted = key_blob == self.setup.user_key.public_key().to_blob();
        let right_user = request.bytes("user") == self.setup.user.as_bytes();
        let method = request.bytes("method");
        let right_password = request.bytes("password") == self.setup.password.as_bytes();
        let is_one = match method {
            b"publickey" => accepted,
            b"password" => right_password,
            _ => false,
        };
        self.has_credential = Some(is_one || self.has_credential == Some(true));
        if self
            .method_due()
            .is_some_and(|due| due.as_bytes() != method)
        {
            return self.deny();
        }
        match method {
            b"publickey" if !accepted || !right_user => self.deny(),
            b"publickey" if !request.flag("signed") => self.say("userauth-pk-ok"),
            b"publickey" => {
                self.check_user_signature(request)?;
                self.grant()
            }
            b"password" if right_user && right_password => self.grant(),
            _ => self.deny(),
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
            let incoming = self.receive(deadline)?;
            let Some(incoming) = incoming else {
                return Err(Stop::instead(wanted, None));
            };
            let is_wanted = |message: &Message| wanted.contains(&message.verb.name);
            match incoming {
                Incoming::Message { message, payload } if is_wanted(&message) => {
                    self.note_received(&message, &payload)
                        .map_err(Stop::subject)?;
                    return Ok(message);
                }
                incoming if self.passes_over(&incoming, deadline)? => {}
                Incoming::Message { message, payload } => {
                    self.note_received(&message, &payload)
                        .map_err(Stop::subject)?;
                    return Ok(message);
                }
                incoming => return Err(Stop::instead(wanted, Some(&incoming))),
            }
        }
    }

    /// Ends what is still open in the way a real peer would, so that a subject is not left
    /// waiting. Nothing that happens here counts.
    pub(super) fn farewell(&mut self) {
        let _ = self.try_farewell();
    }

    fn try_farewell(&mut self) -> Result<(), Stop> {
        let stage = (self.role == Role::Server).then_some(self.channel.stage);
        if stage == Some(Stage::Running) {
            self.say("channel-request")?;
            self.say("channel-eof")?;
            self.say("channel-close")?;
        }
        // A client whose command is over leaves. One that is slow would take our leaving for a failure.
        if matches!(stage, Some(Stage::Running | Stage::Closed)) {
            let deadline = Instant::now() + FAREWELL;
            while let Some(incoming) = self.receive(deadline)? {
                if incoming.is_end() || !matches!(incoming, Incoming::Message { .. }) {
                    return Ok(());
                }
                // The keys may change yet.
                self.accept(&incoming)?;
            }
        }
        if self.ours.kexinit.is_some() {
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
