//! The protocol as a state machine: time and bytes come in, bytes and events come out.
//!
//! Nothing here blocks and nothing is read from the world: the clock and the randomness are
//! handed in, and the same seed with the same input gives the same bytes.
//!
//! # The drain rule
//!
//! Make one mutation (input, timeout, or any other `&mut self` call with a `now`), then call
//! [`Engine::poll_output`] until it says [`Output::Wait`]. An event that *asks* stops all input
//! until it is answered; [`Engine::wants_input`] says so.

mod auth;
mod channels;
mod config;
mod event;
mod fault;
mod kex;
mod negotiation;
mod outbox;
mod status;

use std::collections::VecDeque;
use std::time::Instant;

pub use auth::{AuthMethods, Credential, Refusal};
pub use channels::{
    DATA_PACKET_BYTES_MAX, LocalChannelId, WINDOW_BYTES_MAX, WINDOW_BYTES_MIN, WINDOW_BYTES_NARROW,
};
pub use config::{Config, Limits, RekeyPolicy, Role};
pub use event::{
    AuthAnswer, AuthQuestion, End, Event, Opaque, Output, Password, Proof, ReceivedRequest,
};
pub use fault::{ApiMisuse, PeerFault};
pub use status::{KeyUse, Status};

use auth::{AuthClient, AuthServer, Taken};
use channels::Channels;
pub(crate) use channels::restored_below;
use kex::{KeyExchange, Step};
use outbox::Outbox;

use crate::crypto::{ExchangeHash, PublicKey, Rng};
use crate::ident::{IdentRead, IdentReader};
use crate::keylog::KeyLog;
use crate::msg::names::{NO_MORE_SESSIONS_OPENSSH, SERVER_SIG_ALGS};
use crate::msg::{
    Disconnect, DisconnectReason, ExtInfo, GlobalRequest, Message, MessageId, Ping, Request,
    Unimplemented,
};
use crate::packet::{OpenedPacket, PacketReader};
use crate::trace::{Direction, Recorder};
use crate::wire::NameList;

/// One connection, either role.
pub struct Engine {
    reader: PacketReader,
    core: Core,
}

/// Everything but the reader, whose buffer lends out the payload that the rest looks at.
struct Core {
    out: Outbox,
    /// Until the peer's identification is read.
    ident: Option<IdentReader>,
    kex: KeyExchange,
    auth: Auth,
    channels: Channels,
    events: VecDeque<Event>,
    rekey: RekeyPolicy,
    limits: Limits,
    started: Instant,
    keys_since: Instant,
    inbound: KeyUse,
    /// As a client; see [`Status::server_sig_algs`].
    server_sig_algs: Option<Vec<String>>,
    has_ended: bool,
}

enum Auth {
    Client(AuthClient),
    Server(AuthServer),
}

impl Auth {
    fn is_done(&self) -> bool {
        match self {
            Self::Client(auth) => auth.is_done(),
            Self::Server(auth) => auth.is_done(),
        }
    }
}

impl Engine {
    /// Starts a connection: our identification and our KEXINIT are ready to transmit.
    #[must_use]
    pub fn new(
        config: Config,
        rng: Rng,
        recorder: Option<Box<dyn Recorder>>,
        now: Instant,
    ) -> Self {
        let is_server = matches!(config.role, Role::Server { .. });
        let mut out = Outbox::new(rng, recorder, now);
        let mut kex = KeyExchange::new(config.role, &config.ident);
        out.send_ident(&config.ident);
        kex.start(&mut out);
        Self {
            reader: PacketReader::default(),
            core: Core {
                out,
                ident: Some(match is_server {
                    true => IdentReader::of_client(),
                    false => IdentReader::of_server(),
                }),
                kex,
                auth: match is_server {
                    true => Auth::Server(AuthServer::new(&config.limits)),
                    false => Auth::Client(AuthClient::new(config.limits.banner_bytes_max)),
                },
                channels: Channels::new(config.accepts_sessions, is_server, config.limits),
                events: VecDeque::new(),
                rekey: config.rekey.clamped(),
                limits: config.limits,
                started: now,
                keys_since: now,
                inbound: KeyUse::default(),
                server_sig_algs: None,
                has_ended: false,
            },
        }
    }

    /// Logs the secret of every key exchange from now on; see [`crate::keylog`].
    pub fn log_keys_to(&mut self, key_log: Box<dyn KeyLog>) {
        self.core.out.key_log = Some(key_log);
    }

    // The network.

    /// Whether [`Self::handle_input`] may be called: no question is open, and what we have to send
    /// is not piling up.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.core.may_read()
    }

    /// Takes bytes as they came off the wire, in any split.
    ///
    /// # Errors
    /// [`ApiMisuse::FedWhileAsking`] while a question is open: the bytes were not taken.
    pub fn handle_input(&mut self, now: Instant, bytes: &[u8]) -> Result<(), ApiMisuse> {
        self.core.out.now = now;
        if self.core.is_asking() {
            return Err(ApiMisuse::FedWhileAsking);
        }
        if !self.core.has_ended {
            self.reader.push(bytes);
            self.advance();
        }
        Ok(())
    }

    /// The stream ended.
    pub fn handle_eof(&mut self, now: Instant) {
        self.core.out.now = now;
        if !self.core.has_ended {
            self.core.out.record_close(Direction::Inbound);
            self.core.end(End::PeerHungUp);
        }
    }

    /// The time that [`Output::Wait`] named has come. Too early a call is nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.core.out.now = now;
        self.core.check_times();
    }

    /// What to do next. `room_bytes` is how much the network can take now: with 0, only events
    /// come, else at most that and 64 KiB. Keep asking until it says [`Output::Wait`].
    pub fn poll_output(&mut self, room_bytes: usize) -> Output {
        if let Some(event) = self.core.events.pop_front() {
            return Output::Event(event);
        }
        self.core.check_rekey();
        if room_bytes > 0 {
            self.core.flush(room_bytes);
            if let Some(event) = self.core.events.pop_front() {
                return Output::Event(event);
            }
            if self.core.out.transmit_bytes() > 0 {
                let bytes = self.core.out.take_transmit(room_bytes);
                // What was not read because too much waited to be sent can be read now.
                self.advance();
                return Output::Transmit(bytes);
            }
        }
        Output::Wait(self.core.next_timeout())
    }

    // What the application says.

    /// Answers [`Event::HostKeyOffered`].
    ///
    /// # Errors
    /// [`ApiMisuse::AnsweredNothing`].
    pub fn answer_host_key(&mut self, now: Instant, accept: bool) -> Result<(), ApiMisuse> {
        self.core.out.now = now;
        if self.core.has_ended {
            return Err(ApiMisuse::CalledAfterEnd);
        }
        if !self.core.kex.is_asking() {
            return Err(ApiMisuse::AnsweredNothing);
        }
        if accept {
            self.core.kex.accept_host_key(&mut self.core.out);
            self.advance();
        } else {
            self.disconnect(
                now,
                DisconnectReason::HOST_KEY_NOT_VERIFIABLE,
                "host key refused",
            );
        }
        Ok(())
    }

    /// As a client, asks to be let in. [`Event::AuthSucceeded`] or [`Event::AuthFailed`] follows.
    ///
    /// # Errors
    /// [`ApiMisuse`], with nothing sent, as a server, before there are keys, while a request is
    /// under way, or when a user is already set.
    pub fn authenticate(
        &mut self,
        now: Instant,
        user: &str,
        credential: &Credential,
    ) -> Result<(), ApiMisuse> {
        let (auth, session_id, out) = self.as_client(now)?;
        auth.request(user, credential, &session_id, out)
    }

    /// As a client, asks whether a key would do. [`Event::KeyAccepted`] follows, and
    /// [`Self::authenticate`] with that key does not ask again; or [`Event::AuthFailed`], or from a
    /// server that lets everybody in [`Event::AuthSucceeded`].
    ///
    /// # Errors
    /// As of [`Self::authenticate`].
    pub fn probe_key(
        &mut self,
        now: Instant,
        user: &str,
        key: &PublicKey,
    ) -> Result<(), ApiMisuse> {
        let (auth, session_id, out) = self.as_client(now)?;
        auth.probe(user, key, &session_id, out)
    }

    /// Whether [`Self::authenticate`] may be called now.
    ///
    /// # Errors
    /// What it would say.
    pub fn may_authenticate(&mut self, now: Instant) -> Result<(), ApiMisuse> {
        self.as_client(now)?.0.may_request()
    }

    /// What a client needs to ask for anything before it is in.
    fn as_client(
        &mut self,
        now: Instant,
    ) -> Result<(&mut AuthClient, ExchangeHash, &mut Outbox), ApiMisuse> {
        let session_id = self.begin(now)?;
        match &mut self.core.auth {
            Auth::Client(auth) => Ok((auth, session_id, &mut self.core.out)),
            Auth::Server(_) => Err(ApiMisuse::CalledOnWrongRole("client")),
        }
    }

    /// As a server, says which methods can lead to a login; until then, both.
    pub fn set_auth_methods(&mut self, methods: AuthMethods) {
        if let Auth::Server(auth) = &mut self.core.auth {
            auth.methods = methods;
        }
    }

    /// Answers [`Event::AuthAsked`].
    ///
    /// # Errors
    /// [`ApiMisuse::AnsweredNothing`].
    pub fn answer_auth(&mut self, now: Instant, answer: &AuthAnswer) -> Result<(), ApiMisuse> {
        self.core.out.now = now;
        if self.core.has_ended {
            return Err(ApiMisuse::CalledAfterEnd);
        }
        let Auth::Server(auth) = &mut self.core.auth else {
            return Err(ApiMisuse::AnsweredNothing);
        };
        match auth.answer(answer, &mut self.core.out)? {
            Ok(()) => self.advance(),
            Err(fault) => self.core.fail(fault),
        }
        Ok(())
    }

    /// Opens a session channel. [`Event::ChannelOpened`] or [`Event::ChannelRefused`] follows.
    ///
    /// # Errors
    /// [`ApiMisuse::CalledTooEarly`] before the user is authenticated.
    pub fn open_session(&mut self, now: Instant) -> Result<LocalChannelId, ApiMisuse> {
        self.begin(now)?;
        if !self.core.auth.is_done() {
            return Err(ApiMisuse::CalledTooEarly("the user is not authenticated"));
        }
        Ok(self.core.channels.open_session(&mut self.core.out))
    }

    /// Asks something on a channel; with `want_reply`, [`Event::RequestAnswered`] follows.
    ///
    /// # Errors
    /// [`ApiMisuse::UsedClosedChannel`].
    pub fn request(
        &mut self,
        now: Instant,
        channel: LocalChannelId,
        request: Request<'_>,
        want_reply: bool,
    ) -> Result<(), ApiMisuse> {
        self.begin(now)?;
        self.core
            .channels
            .request(channel, request, want_reply, &mut self.core.out)
    }

    /// Answers the oldest [`Event::ChannelRequested`] that wants a reply on this channel.
    ///
    /// # Errors
    /// [`ApiMisuse::UsedClosedChannel`], [`ApiMisuse::AnsweredNothing`].
    pub fn answer_request(
        &mut self,
        now: Instant,
        channel: LocalChannelId,
        accept: bool,
    ) -> Result<(), ApiMisuse> {
        self.begin(now)?;
        self.core
            .channels
            .answer_request(channel, accept, &mut self.core.out)
    }

    /// Takes data for a channel, and returns how many bytes of it; when not all,
    /// [`Event::ChannelWritable`] says when to come again. Small writes are sent together.
    ///
    /// # Errors
    /// [`ApiMisuse::UsedClosedChannel`], [`ApiMisuse::WroteAfterEof`].
    pub fn write(
        &mut self,
        now: Instant,
        channel: LocalChannelId,
        code: Option<u32>,
        data: &[u8],
    ) -> Result<usize, ApiMisuse> {
        self.begin(now)?;
        self.core.channels.write(channel, code, data)
    }

    /// How much was taken from the application and has not left yet: data that waits for windows,
    /// and messages that wait for the end of a key exchange.
    #[must_use]
    pub fn unsent_bytes(&self) -> usize {
        self.core.out.held_bytes() + self.core.channels.staged_bytes()
    }

    /// Says that so much received data is used up, which opens the window again.
    pub fn consume(&mut self, now: Instant, channel: LocalChannelId, bytes: u32) {
        if self.begin(now).is_ok() {
            self.core
                .channels
                .consume(channel, bytes, &mut self.core.out);
        }
    }

    /// No more data from us, once what was taken is sent.
    ///
    /// # Errors
    /// [`ApiMisuse::UsedClosedChannel`].
    pub fn eof(&mut self, now: Instant, channel: LocalChannelId) -> Result<(), ApiMisuse> {
        self.begin(now)?;
        self.core.channels.eof(channel, &mut self.core.out)
    }

    /// Done with the channel, once what was taken is sent. A second close is nothing.
    pub fn close(&mut self, now: Instant, channel: LocalChannelId) {
        if self.begin(now).is_ok() {
            self.core.channels.close(channel, &mut self.core.out);
        }
    }

    /// The algorithms in use and what the current keys have served; `None` until there are keys.
    #[must_use]
    pub fn status(&self, now: Instant) -> Option<Status> {
        let core = &self.core;
        core.kex.is_established().then(|| Status {
            kex: core.kex.method(),
            is_strict: core.kex.is_strict(),
            key_exchanges: self.reader.key_epoch(),
            key_age: now.saturating_duration_since(core.keys_since),
            outbound: core.out.key_use(),
            inbound: core.inbound,
            server_sig_algs: core.server_sig_algs.clone(),
        })
    }

    /// Starts a key exchange, unless one is under way.
    ///
    /// # Errors
    /// [`ApiMisuse::CalledTooEarly`] before the user is authenticated: no OpenSSH answers that.
    pub fn start_kex(&mut self, now: Instant) -> Result<(), ApiMisuse> {
        self.begin(now)?;
        if !self.core.auth.is_done() {
            return Err(ApiMisuse::CalledTooEarly("the user is not authenticated"));
        }
        self.core.kex.start(&mut self.core.out);
        Ok(())
    }

    /// Leaves, and says why. [`Event::Ended`] follows.
    pub fn disconnect(&mut self, now: Instant, reason: DisconnectReason, description: &str) {
        self.core.out.now = now;
        if !self.core.has_ended {
            self.core.say_goodbye(reason, description);
            self.core.end(End::WeDisconnected);
        }
    }

    /// A call that needs keys and a connection.
    fn begin(&mut self, now: Instant) -> Result<ExchangeHash, ApiMisuse> {
        self.core.out.now = now;
        if self.core.has_ended {
            return Err(ApiMisuse::CalledAfterEnd);
        }
        self.core
            .kex
            .session_id()
            .filter(|_| self.core.kex.is_established())
            .ok_or(ApiMisuse::CalledTooEarly("there are no keys yet"))
    }

    /// Reads what has come, as far as it may be read now.
    fn advance(&mut self) {
        while self.core.may_read() {
            match self.step() {
                Ok(true) => {}
                Ok(false) => return,
                Err(fault) => return self.core.fail(fault),
            }
        }
    }

    /// Reads one thing; false when there is nothing whole to read.
    fn step(&mut self) -> Result<bool, PeerFault> {
        if let Some(ident) = &mut self.core.ident {
            return match ident.read(self.reader.unread())? {
                IdentRead::More { consumed } => {
                    self.reader.skip(consumed);
                    Ok(false)
                }
                IdentRead::Done { ident, consumed } => {
                    self.reader.skip(consumed);
                    self.core.on_ident(ident);
                    Ok(true)
                }
            };
        }
        let Some(packet) = self.reader.next_packet()? else {
            return Ok(false);
        };
        let may_hold_password = packet.payload.first() == Some(&MessageId::USERAUTH_REQUEST.0);
        let step = self.core.on_packet(&packet);
        if may_hold_password {
            self.reader.wipe_opened();
        }
        match step? {
            Step::ChangeInbound {
                key,
                resets_sequence_number,
            } => {
                self.reader.change_keys(key, resets_sequence_number);
            }
            Step::AskAbout(key) => self.core.events.push_back(Event::HostKeyOffered(key)),
            Step::None => {}
        }
        self.core.inbound = KeyUse {
            bytes: self.reader.epoch_bytes(),
            packets: self.reader.epoch_packets(),
        };
        Ok(true)
    }
}

impl Core {
    fn is_asking(&self) -> bool {
        self.kex.is_asking() || matches!(&self.auth, Auth::Server(auth) if auth.is_asking())
    }

    fn may_read(&self) -> bool {
        !self.has_ended
            && !self.is_asking()
            && self.out.transmit_bytes() < self.limits.transmit_bytes_max
    }

    fn on_ident(&mut self, ident: Vec<u8>) {
        self.out.record_ident(Direction::Inbound, &ident);
        self.kex.set_their_ident(ident);
        self.ident = None;
    }

    fn on_packet(&mut self, packet: &OpenedPacket<'_>) -> Result<Step, PeerFault> {
        let id = MessageId(packet.payload.first().copied().unwrap_or(0));
        let decoded = Message::decode(packet.payload);
        self.out.record_inbound(
            packet.sequence_number,
            packet.key_epoch,
            packet.payload,
            decoded.as_ref().ok(),
        );
        if self.kex.drops_as_guess(id) {
            return Ok(Step::None);
        }
        self.kex.admit(id)?;
        let message = decoded.map_err(|error| PeerFault::SentMalformed { message: id, error })?;
        self.out.is_answering = true;
        let step = self.on_message(&message, packet);
        self.out.is_answering = false;
        let step = step?;
        let held_bytes_max = self.limits.held_bytes_max;
        if self.out.owed_bytes() > held_bytes_max {
            return Err(PeerFault::AskedTooMuchDuringKex { held_bytes_max });
        }
        Ok(step)
    }

    fn on_message(
        &mut self,
        message: &Message<'_>,
        packet: &OpenedPacket<'_>,
    ) -> Result<Step, PeerFault> {
        match message {
            Message::Disconnect(m) => self.on_disconnect(m),
            Message::Ignore(_)
            | Message::Debug(_)
            | Message::Unimplemented(_)
            | Message::Pong(_) => {}
            Message::ExtInfo(m) => self.on_ext_info(m),
            Message::Ping(m) => self.out.send(&Message::Pong(Ping { data: m.data })),
            Message::KexInit(_)
            | Message::EcdhInit(_)
            | Message::EcdhReply(_)
            | Message::NewKeys => return self.on_kex_message(message, packet.payload),
            Message::ServiceRequest(_)
            | Message::ServiceAccept(_)
            | Message::UserauthRequest(_)
            | Message::UserauthFailure(_)
            | Message::UserauthSuccess
            | Message::UserauthBanner(_)
            | Message::UserauthPkOk(_) => self.on_auth_message(message, packet)?,
            Message::Unknown { .. } => self.send_unimplemented(packet),
            _ => self.on_connection_message(message, packet.payload)?,
        }
        Ok(Step::None)
    }

    /// Only what a server says it verifies is for us; nothing is refused for not being there.
    fn on_ext_info(&mut self, m: &ExtInfo<'_>) {
        let is_client = matches!(self.auth, Auth::Client(_));
        let algorithms = m
            .extensions
            .iter()
            .find(|(name, _)| *name == SERVER_SIG_ALGS);
        if let Some((_, algorithms)) = algorithms.filter(|_| is_client) {
            let algorithms = String::from_utf8_lossy(algorithms);
            let algorithms = NameList(&algorithms).iter().map(str::to_owned);
            self.server_sig_algs = Some(algorithms.collect());
        }
    }

    fn send_unimplemented(&mut self, packet: &OpenedPacket<'_>) {
        let sequence_number = packet.sequence_number;
        self.out
            .send(&Message::Unimplemented(Unimplemented { sequence_number }));
    }

    fn on_disconnect(&mut self, m: &Disconnect<'_>) {
        self.end(End::PeerDisconnected {
            reason: m.reason,
            description: String::from_utf8_lossy(m.description).into_owned(),
        });
    }

    fn on_kex_message(&mut self, message: &Message<'_>, payload: &[u8]) -> Result<Step, PeerFault> {
        let step = self.kex.on_message(message, payload, &mut self.out)?;
        if matches!(step, Step::ChangeInbound { .. }) {
            self.keys_since = self.out.now;
            self.events.push_back(Event::KeysChanged);
        }
        Ok(step)
    }

    fn on_auth_message(
        &mut self,
        message: &Message<'_>,
        packet: &OpenedPacket<'_>,
    ) -> Result<(), PeerFault> {
        let taken = match &mut self.auth {
            Auth::Client(auth) => auth.on_message(message, &mut self.out, &mut self.events)?,
            Auth::Server(auth) => {
                // Keys are there: the key exchange admits nothing of this before.
                let Some(session_id) = self.kex.session_id() else {
                    return Ok(());
                };
                auth.on_message(message, &session_id, &mut self.out, &mut self.events)?
            }
        };
        if taken == Taken::NotUnderstood {
            self.send_unimplemented(packet);
        }
        Ok(())
    }

    fn on_connection_message(
        &mut self,
        message: &Message<'_>,
        payload: &[u8],
    ) -> Result<(), PeerFault> {
        if !self.auth.is_done() {
            return Err(PeerFault::SentBeforeAuth { got: message.id() });
        }
        match message {
            Message::GlobalRequest(m) => {
                self.on_global_request(m);
                Ok(())
            }
            message => self
                .channels
                .on_message(message, payload, &mut self.out, &mut self.events),
        }
    }

    /// Whatever is asked, the reply is in order. `keepalive@openssh.com` wants any reply at all,
    /// and gets the one that unknown requests get.
    fn on_global_request(&mut self, m: &GlobalRequest<'_>) {
        let is_known = m.name == NO_MORE_SESSIONS_OPENSSH;
        if is_known {
            self.channels.accepts_sessions = false;
        }
        if m.want_reply {
            self.out.send(match is_known {
                true => &Message::RequestSuccess(b""),
                false => &Message::RequestFailure,
            });
        }
    }

    fn flush(&mut self, room_bytes: usize) {
        if self.has_ended {
            return;
        }
        let Self {
            out,
            channels,
            events,
            rekey,
            ..
        } = self;
        channels.flush(out, events, |out| {
            !out.is_holding() && out.transmit_bytes() < room_bytes && !is_due(out.key_use(), rekey)
        });
        self.check_rekey();
    }

    /// Starts a key exchange if the keys are too old and nothing speaks against it.
    fn check_rekey(&mut self) {
        if self.has_ended || !self.auth.is_done() || !self.kex.is_idle() {
            return;
        }
        let is_due = is_due(self.out.key_use(), &self.rekey)
            || is_due(self.inbound, &self.rekey)
            || self.out.now.saturating_duration_since(self.keys_since) >= self.rekey.age_max;
        if is_due {
            self.kex.start(&mut self.out);
        }
    }

    fn auth_deadline(&self) -> Option<Instant> {
        match &self.auth {
            Auth::Server(auth) if !auth.is_done() => {
                self.started.checked_add(self.limits.auth_time_max)
            }
            Auth::Server(_) | Auth::Client(_) => None,
        }
    }

    fn kex_deadline(&self) -> Option<Instant> {
        self.kex.began()?.checked_add(self.limits.kex_time_max)
    }

    fn check_times(&mut self) {
        if self
            .kex_deadline()
            .is_some_and(|deadline| self.out.now >= deadline)
        {
            let seconds = self.limits.kex_time_max.as_secs();
            self.fail(PeerFault::TookTooLongToExchangeKeys { seconds });
        }
        if self
            .auth_deadline()
            .is_some_and(|deadline| self.out.now >= deadline)
        {
            let seconds = self.limits.auth_time_max.as_secs();
            self.fail(PeerFault::TookTooLongToAuthenticate { seconds });
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        if self.has_ended {
            return None;
        }
        let rekey = (self.auth.is_done() && self.kex.is_idle())
            .then(|| self.keys_since.checked_add(self.rekey.age_max))
            .flatten();
        let deadlines = [self.auth_deadline(), self.kex_deadline(), rekey];
        deadlines.into_iter().flatten().min()
    }

    fn fail(&mut self, fault: PeerFault) {
        if !self.has_ended {
            self.say_goodbye(fault.disconnect_reason(), &fault.to_string());
            self.end(End::PeerBrokeProtocol(fault));
        }
    }

    fn say_goodbye(&mut self, reason: DisconnectReason, description: &str) {
        let description = description.as_bytes();
        self.out.send(&Message::Disconnect(Disconnect {
            reason,
            description,
            language: b"",
        }));
    }

    fn end(&mut self, end: End) {
        self.has_ended = true;
        self.events.push_back(Event::Ended(end));
    }
}

/// The keys of a direction have served long enough.
fn is_due(keys: KeyUse, rekey: &RekeyPolicy) -> bool {
    keys.bytes >= rekey.bytes_max || keys.packets >= rekey.packets_max
}
