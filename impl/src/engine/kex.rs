//! The key exchange, the first and every later one (RFC 4253 §7 to §9, RFC 8731).
//!
//! States are values, named for what the peer must send next, and are consumed by a transition.
//! Keys come out of [`Exchange::finish`] alone, and an [`Exchange`] is made only where the shares
//! agreed and, as a client, the signature verified: holding keys proves that the exchange was.

use std::time::Instant;

use rand_core::Rng as _;

use super::PeerFault;
use super::config::Role;
use super::negotiation::{self, Agreement};
use super::outbox::Outbox;
use crate::crypto::{
    EphemeralKey, ExchangeHash, KeyLetter, PacketKey, PublicKey, SharedSecret, SigningKey,
    Transcript, packet_key,
};
use crate::msg::names::{CURVE25519_SHA256, PING_OPENSSH, SERVER_SIG_ALGS, SSH_ED25519};
use crate::msg::{EcdhInit, EcdhReply, ExtInfo, KexInit, Message, MessageId};

/// Where a key exchange stands.
#[derive(Debug, Default)]
enum State {
    /// None is under way.
    #[default]
    Idle,
    /// Our KEXINIT is out.
    ExpectKexInit(OurOffer),
    /// As a server.
    ExpectEcdhInit(Offers),
    /// As a client, our share is out.
    ExpectEcdhReply(Offers, EphemeralKey),
    /// As a client, in the first exchange: the application looks at the host key.
    ExpectAnswer(Exchange),
    /// Our NEWKEYS is out.
    ExpectNewKeys(PacketKey),
}

/// The messages that a state takes or refuses by itself.
const HANDLED: [MessageId; 4] = [
    MessageId::KEXINIT,
    MessageId::NEWKEYS,
    MessageId::KEX_ECDH_INIT,
    MessageId::KEX_ECDH_REPLY,
];

/// Our KEXINIT payload, as it enters the exchange hash.
#[derive(Debug)]
struct OurOffer(Vec<u8>);

/// Both KEXINIT payloads.
#[derive(Debug)]
struct Offers {
    ours: Vec<u8>,
    theirs: Vec<u8>,
    /// The peer's next key exchange packet was a wrong guess.
    drops_guess: bool,
}

/// A verified exchange, before its keys are used.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "the RFC's name for the hash")]
struct Exchange {
    shared_secret: SharedSecret,
    exchange_hash: ExchangeHash,
    host_key: PublicKey,
}

/// What the rest of the engine must do about a step.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing.
    None,
    /// Ask the application about this key.
    AskAbout(PublicKey),
    /// The peer's NEWKEYS came: its packets are under this key from the next on.
    ChangeInbound {
        /// The key.
        key: PacketKey,
        /// Strict key exchange: sequence numbers start anew.
        resets_sequence_number: bool,
    },
}

/// Key exchange of one connection.
#[derive(Debug)]
pub(super) struct KeyExchange {
    role: Role,
    our_ident: Vec<u8>,
    their_ident: Vec<u8>,
    state: State,
    /// That of our last KEXINIT.
    cookie: [u8; 16],
    session_id: Option<ExchangeHash>,
    host_key: Option<PublicKey>,
    /// The name of the method that was agreed last.
    method: &'static str,
    /// Both sides offered strict key exchange in their first KEXINIT.
    strict: bool,
    takes_ext_info: bool,
    /// What came before the peer's first KEXINIT, if anything did.
    came_first: Option<MessageId>,
    /// When the time for the exchange under way began to count: with the connection or, at a rekey,
    /// with the peer's KEXINIT. The application's time for thinking does not count.
    began: Option<Instant>,
    /// Inbound keys were changed at least once.
    is_established: bool,
}

impl KeyExchange {
    pub(super) fn new(role: Role, our_ident: &str) -> Self {
        Self {
            role,
            our_ident: our_ident.as_bytes().to_vec(),
            their_ident: Vec::new(),
            state: State::Idle,
            cookie: [0; 16],
            session_id: None,
            host_key: None,
            method: CURVE25519_SHA256,
            strict: false,
            takes_ext_info: false,
            came_first: None,
            began: None,
            is_established: false,
        }
    }

    pub(super) fn set_their_ident(&mut self, ident: Vec<u8>) {
        self.their_ident = ident;
    }

    /// The first exchange hash; it names the connection from then on (RFC 4253 §7.2).
    pub(super) fn session_id(&self) -> Option<ExchangeHash> {
        self.session_id
    }

    /// The key exchange method, under the name that was agreed last.
    pub(super) fn method(&self) -> &'static str {
        self.method
    }

    /// Both sides offered strict key exchange.
    pub(super) fn is_strict(&self) -> bool {
        self.strict
    }

    /// Both directions have keys.
    pub(super) fn is_established(&self) -> bool {
        self.is_established
    }

    /// No exchange is under way.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// The application was asked about the host key and has not answered.
    pub(super) fn is_asking(&self) -> bool {
        matches!(self.state, State::ExpectAnswer(_))
    }

    /// When the time for the exchange under way began to count, unless it waits for the application.
    pub(super) fn began(&self) -> Option<Instant> {
        self.began.filter(|_| !self.is_asking())
    }

    fn is_server(&self) -> bool {
        matches!(self.role, Role::Server { .. })
    }

    /// Sends our KEXINIT; from then on nothing but key exchange leaves us.
    pub(super) fn start(&mut self, out: &mut Outbox) {
        if !self.is_idle() {
            return;
        }
        out.rng.fill_bytes(&mut self.cookie);
        let kex = negotiation::our_kex(self.is_server(), self.session_id.is_none());
        let message = Message::KexInit(negotiation::our_kex_init(self.cookie, &kex));
        out.send(&message);
        out.hold();
        self.began = (!self.is_established).then_some(out.now);
        self.state = State::ExpectKexInit(OurOffer(message.to_payload()));
    }

    /// Whether this message may come now at all, before it is looked at.
    pub(super) fn admit(&mut self, id: MessageId) -> Result<(), PeerFault> {
        if id == MessageId::DISCONNECT || HANDLED.contains(&id) {
            return Ok(());
        }
        let theirs_is_open = !matches!(self.state, State::Idle | State::ExpectKexInit(_));
        if !self.is_established {
            if self.strict {
                return Err(PeerFault::SentDuringStrictKex { got: id });
            }
            if !id.is_generic() && !id.is_kex() {
                return Err(PeerFault::SentOutOfTurn {
                    got: id,
                    expected: self.expected(),
                });
            }
            // Whether it was allowed is known only once the peer's KEXINIT is read.
            self.came_first.get_or_insert(id);
        } else if theirs_is_open && !id.is_generic() && !id.is_kex() {
            return Err(PeerFault::SentDuringKex { got: id });
        }
        Ok(())
    }

    /// Takes a key exchange message.
    pub(super) fn on_message(
        &mut self,
        message: &Message<'_>,
        payload: &[u8],
        out: &mut Outbox,
    ) -> Result<Step, PeerFault> {
        match (std::mem::take(&mut self.state), message) {
            (State::Idle, Message::KexInit(theirs)) => {
                self.start(out);
                match std::mem::take(&mut self.state) {
                    State::ExpectKexInit(ours) => self.on_kex_init(ours, theirs, payload, out),
                    state => self.refuse(state, message.id()),
                }
            }
            (State::ExpectKexInit(ours), Message::KexInit(theirs)) => {
                self.on_kex_init(ours, theirs, payload, out)
            }
            (State::ExpectEcdhInit(offers), Message::EcdhInit(init)) => {
                self.on_ecdh_init(&offers, init, out)
            }
            (State::ExpectEcdhReply(offers, ours), Message::EcdhReply(reply)) => {
                self.on_ecdh_reply(&offers, &ours, reply, out)
            }
            (State::ExpectNewKeys(key), Message::NewKeys) => {
                self.is_established = true;
                self.began = None;
                Ok(Step::ChangeInbound {
                    key,
                    resets_sequence_number: self.strict,
                })
            }
            (state, message) => self.refuse(state, message.id()),
        }
    }

    /// The application accepts the host key it was asked about.
    pub(super) fn accept_host_key(&mut self, out: &mut Outbox) {
        match std::mem::take(&mut self.state) {
            State::ExpectAnswer(exchange) => {
                self.began = Some(out.now);
                self.finish(&exchange, out);
            }
            state => self.state = state,
        }
    }

    /// What the peer may send now, for errors.
    fn expected(&self) -> &'static [MessageId] {
        match &self.state {
            State::Idle | State::ExpectKexInit(_) => &[MessageId::KEXINIT],
            State::ExpectEcdhInit(_) => &[MessageId::KEX_ECDH_INIT],
            State::ExpectEcdhReply(..) => &[MessageId::KEX_ECDH_REPLY],
            State::ExpectAnswer(_) | State::ExpectNewKeys(_) => &[MessageId::NEWKEYS],
        }
    }

    fn refuse(&mut self, state: State, got: MessageId) -> Result<Step, PeerFault> {
        self.state = state;
        if self.strict && !self.is_established {
            return Err(PeerFault::SentDuringStrictKex { got });
        }
        Err(PeerFault::SentOutOfTurn {
            got,
            expected: self.expected(),
        })
    }

    /// Whether this is the peer's wrong guess, to be dropped unread whatever is in it
    /// (RFC 4253 §7).
    pub(super) fn drops_as_guess(&mut self, id: MessageId) -> bool {
        let (State::ExpectEcdhInit(offers) | State::ExpectEcdhReply(offers, _)) = &mut self.state
        else {
            return false;
        };
        id.is_kex()
            && id != MessageId::KEXINIT
            && id != MessageId::NEWKEYS
            && std::mem::take(&mut offers.drops_guess)
    }

    fn on_kex_init(
        &mut self,
        OurOffer(ours): OurOffer,
        theirs: &KexInit<'_>,
        payload: &[u8],
        out: &mut Outbox,
    ) -> Result<Step, PeerFault> {
        self.began.get_or_insert(out.now);
        let our_names = negotiation::our_kex(self.is_server(), self.session_id.is_none());
        let our_init = negotiation::our_kex_init([0; 16], &our_names);
        let agreement = negotiation::agree(&our_init, theirs, !self.is_server())?;
        self.method = agreement.kex;
        if self.session_id.is_none() {
            self.take_markers(agreement)?;
        }
        let offers = Offers {
            ours,
            theirs: payload.to_vec(),
            drops_guess: agreement.drops_guess,
        };
        self.state = if self.is_server() {
            State::ExpectEcdhInit(offers)
        } else {
            let key = EphemeralKey::generate(&mut out.rng);
            out.send(&Message::EcdhInit(EcdhInit { share: key.share() }));
            State::ExpectEcdhReply(offers, key)
        };
        Ok(Step::None)
    }

    /// Markers count in the first KEXINIT only. Strict key exchange then also forbids what has
    /// come before it.
    fn take_markers(&mut self, agreement: Agreement) -> Result<(), PeerFault> {
        self.strict = agreement.offers_strict;
        self.takes_ext_info = agreement.takes_ext_info;
        match self.came_first {
            Some(got) if self.strict => Err(PeerFault::SentDuringStrictKex { got }),
            _ => Ok(()),
        }
    }

    fn on_ecdh_init(
        &mut self,
        offers: &Offers,
        init: &EcdhInit<'_>,
        out: &mut Outbox,
    ) -> Result<Step, PeerFault> {
        let Role::Server { host_key } = &self.role else {
            return Err(PeerFault::SentOutOfTurn {
                got: MessageId::KEX_ECDH_INIT,
                expected: &[MessageId::KEX_ECDH_REPLY],
            });
        };
        let key = EphemeralKey::generate(&mut out.rng);
        let shared_secret = key.agree(init.share)?;
        let exchange = Exchange {
            exchange_hash: Transcript {
                client_ident: &self.their_ident,
                server_ident: &self.our_ident,
                client_kex_init: &offers.theirs,
                server_kex_init: &offers.ours,
                host_key_blob: &host_key.public_key().to_blob(),
                client_share: init.share,
                server_share: key.share(),
            }
            .exchange_hash(&shared_secret),
            shared_secret,
            host_key: host_key.public_key(),
        };
        send_ecdh_reply(host_key, &key, &exchange, out);
        self.finish(&exchange, out);
        Ok(Step::None)
    }

    fn on_ecdh_reply(
        &mut self,
        offers: &Offers,
        key: &EphemeralKey,
        reply: &EcdhReply<'_>,
        out: &mut Outbox,
    ) -> Result<Step, PeerFault> {
        let shared_secret = key.agree(reply.share)?;
        let host_key =
            PublicKey::from_blob(reply.host_key_blob).map_err(PeerFault::SentBadHostKey)?;
        let exchange_hash = Transcript {
            client_ident: &self.our_ident,
            server_ident: &self.their_ident,
            client_kex_init: &offers.ours,
            server_kex_init: &offers.theirs,
            host_key_blob: reply.host_key_blob,
            client_share: key.share(),
            server_share: reply.share,
        }
        .exchange_hash(&shared_secret);
        host_key
            .verify(&exchange_hash.0, reply.signature_blob)
            .map_err(PeerFault::SentBadHostSignature)?;

        let exchange = Exchange {
            shared_secret,
            exchange_hash,
            host_key,
        };
        match &self.host_key {
            None => {
                let host_key = exchange.host_key.clone();
                self.state = State::ExpectAnswer(exchange);
                Ok(Step::AskAbout(host_key))
            }
            Some(known) if *known != exchange.host_key => Err(PeerFault::ChangedHostKey),
            Some(_) => {
                self.finish(&exchange, out);
                Ok(Step::None)
            }
        }
    }

    /// Derives the keys, sends NEWKEYS, and seals with the new key from then on.
    fn finish(&mut self, exchange: &Exchange, out: &mut Outbox) {
        let is_first = self.session_id.is_none();
        let session_id = *self.session_id.get_or_insert(exchange.exchange_hash);
        if let Some(key_log) = &mut out.key_log {
            key_log.shared_secret(&self.cookie, &exchange.shared_secret);
        }
        let (outbound, inbound) = match self.role {
            Role::Client => (KeyLetter::ClientToServer, KeyLetter::ServerToClient),
            Role::Server { .. } => (KeyLetter::ServerToClient, KeyLetter::ClientToServer),
        };
        let key = |letter| {
            packet_key(
                &exchange.shared_secret,
                &exchange.exchange_hash,
                &session_id,
                letter,
            )
        };
        self.host_key = Some(exchange.host_key.clone());
        self.state = State::ExpectNewKeys(key(inbound));
        out.send(&Message::NewKeys);
        out.change_keys(key(outbound), self.strict);
        if is_first && self.is_server() && self.takes_ext_info {
            send_ext_info(out);
        }
    }
}

/// Our extensions, as a server, in the packet behind our first NEWKEYS (RFC 8308 §2.4).
fn send_ext_info(out: &mut Outbox) {
    out.send(&Message::ExtInfo(ExtInfo {
        extensions: vec![
            (SERVER_SIG_ALGS, SSH_ED25519.as_bytes()),
            (PING_OPENSSH, b"0"),
        ],
    }));
}

fn send_ecdh_reply(
    host_key: &SigningKey,
    key: &EphemeralKey,
    exchange: &Exchange,
    out: &mut Outbox,
) {
    out.send(&Message::EcdhReply(EcdhReply {
        host_key_blob: &exchange.host_key.to_blob(),
        share: key.share(),
        signature_blob: &host_key.sign(&exchange.exchange_hash.0),
    }));
}
