//! A peer made of the primitives, that sends whatever it is told to an engine.

use std::time::{Duration, Instant};

use minissh::crypto::{
    EphemeralKey, ExchangeHash, KeyLetter, PublicKey, Rng, SharedSecret, SigningKey, Transcript,
    from_seed, packet_key,
};
use minissh::engine::{AuthAnswer, Config, End, Engine, Event, Output, PeerFault, Role};
use minissh::msg::names::{SSH_CONNECTION, SSH_ED25519, SSH_USERAUTH};
use minissh::msg::{
    AuthMethod, EcdhInit, EcdhReply, KexInit, Message, MessageId, Service, UserauthRequest,
};
use minissh::packet::{PacketReader, PacketWriter};
use minissh::wire::{NameList, Writer};

/// Our identification.
const IDENT: &str = "SSH-2.0-raw";

/// What our KEXINIT says of key exchange: strict.
pub(crate) const STRICT: &str =
    "curve25519-sha256,kex-strict-c-v00@openssh.com,kex-strict-s-v00@openssh.com";
/// Not strict.
pub(crate) const PLAIN: &str = "curve25519-sha256";

/// The subject and the raw peer at its other end.
pub(crate) struct Raw {
    pub(crate) engine: Engine,
    pub(crate) events: Vec<Event>,
    /// What the subject sent and nobody took yet.
    pub(crate) received: Vec<Vec<u8>>,
    pub(crate) now: Instant,
    subject_is_server: bool,
    /// What the subject's questions are answered with.
    pub(crate) says_yes: bool,
    reader: PacketReader,
    writer: PacketWriter,
    rng: Rng,
    their_ident: Option<Vec<u8>>,
    pub(crate) session_id: Option<ExchangeHash>,
    strict: bool,
    pub(crate) host_key: SigningKey,
}

impl Raw {
    /// Nothing is sent yet but what the subject sends of itself.
    pub(crate) fn new(config: Config) -> Self {
        let now = Instant::now();
        let subject_is_server = matches!(config.role, Role::Server { .. });
        let mut raw = Self {
            engine: Engine::new(config, from_seed(1), None, now),
            events: Vec::new(),
            received: Vec::new(),
            now,
            subject_is_server,
            says_yes: true,
            reader: PacketReader::default(),
            writer: PacketWriter::default(),
            rng: from_seed(2),
            their_ident: None,
            session_id: None,
            strict: false,
            host_key: SigningKey::from_seed(&[7; 32]),
        };
        raw.drain();
        raw
    }

    /// A server as subject.
    pub(crate) fn server() -> Self {
        Self::new(Config::server(SigningKey::from_seed(&[7; 32])))
    }

    /// A subject after a key exchange.
    pub(crate) fn after_kex(config: Config, kex: &str) -> Self {
        let mut raw = Self::new(config);
        raw.send_ident();
        raw.exchange_keys(kex);
        raw
    }

    /// A server whose user is logged in.
    pub(crate) fn logged_in(config: Config) -> Self {
        let mut raw = Self::after_kex(config, STRICT);
        raw.log_in();
        raw
    }

    pub(crate) fn send_ident(&mut self) {
        self.send_bytes(format!("{IDENT}\r\n").as_bytes());
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.engine.handle_input(self.now, bytes);
        self.drain();
    }

    pub(crate) fn send(&mut self, message: &Message<'_>) {
        let bytes = self.seal(&message.to_payload());
        self.send_bytes(&bytes);
    }

    pub(crate) fn send_payload(&mut self, payload: &[u8]) {
        let bytes = self.seal(payload);
        self.send_bytes(&bytes);
    }

    pub(crate) fn seal(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.writer
            .seal(&mut self.rng, &mut bytes, |w: &mut Writer| {
                w.raw(payload);
            });
        bytes
    }

    /// How the subject's connection ended, if it did.
    pub(crate) fn end(&self) -> Option<&End> {
        self.events.iter().find_map(|event| match event {
            Event::Ended(end) => Some(end),
            _ => None,
        })
    }

    /// The rule that the subject says we broke.
    pub(crate) fn fault(&self) -> PeerFault {
        match self.end() {
            Some(End::PeerBrokeProtocol(fault)) => fault.clone(),
            end => panic!("the subject did not find a fault but {end:?}"),
        }
    }

    pub(crate) fn ids(&self) -> Vec<MessageId> {
        self.received
            .iter()
            .map(|payload| MessageId(payload[0]))
            .collect()
    }

    /// Takes the first message with this number.
    pub(crate) fn take(&mut self, id: MessageId) -> Vec<u8> {
        let at = self.ids().iter().position(|received| *received == id);
        let at = at.unwrap_or_else(|| panic!("no {id} among {:?}", self.ids()));
        self.received.remove(at)
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now += time;
        self.engine.handle_timeout(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.engine.poll_output(1 << 20) {
                Output::Transmit(bytes) => self.read(&bytes),
                Output::Event(event) => self.on_event(event),
                Output::Wait(_) => return,
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match &event {
            Event::HostKeyOffered(_) => {
                self.engine
                    .answer_host_key(self.now, self.says_yes)
                    .unwrap();
            }
            Event::AuthAsked(_) => {
                let answer = AuthAnswer {
                    accept: self.says_yes,
                    banner: None,
                };
                self.engine.answer_auth(self.now, &answer).unwrap();
            }
            _ => {}
        }
        self.events.push(event);
    }

    fn read(&mut self, bytes: &[u8]) {
        self.reader.push(bytes);
        if self.their_ident.is_none() {
            let line = self.reader.unread();
            let Some(end) = line.windows(2).position(|two| two == b"\r\n") else {
                return;
            };
            self.their_ident = Some(line[..end].to_vec());
            self.reader.skip(end + 2);
        }
        self.open_packets();
    }

    fn open_packets(&mut self) {
        while let Ok(Some(packet)) = self.reader.next_packet() {
            let payload = packet.payload.to_vec();
            let is_new_keys = payload[0] == MessageId::NEWKEYS.0;
            self.received.push(payload);
            if is_new_keys {
                // What follows is under keys that we change to in `exchange_keys`.
                return;
            }
        }
    }

    /// The whole exchange, in the subject's opposite role.
    pub(crate) fn exchange_keys(&mut self, kex: &str) {
        let (ours, theirs) = self.exchange_offers(kex);
        if self.subject_is_server {
            self.exchange_as_client(&ours, &theirs);
        } else {
            self.exchange_as_server(&ours, &theirs);
        }
    }

    /// Our KEXINIT and theirs.
    pub(crate) fn exchange_offers(&mut self, kex: &str) -> (Vec<u8>, Vec<u8>) {
        let ours = kex_init(kex).to_payload();
        if self.session_id.is_none() {
            self.strict = kex == STRICT;
        }
        self.send_payload(&ours);
        (ours, self.take(MessageId::KEXINIT))
    }

    fn exchange_as_client(&mut self, ours: &[u8], theirs: &[u8]) {
        let key = EphemeralKey::generate(&mut self.rng);
        self.send(&Message::EcdhInit(EcdhInit { share: key.share() }));
        let payload = self.take(MessageId::KEX_ECDH_REPLY);
        let Ok(Message::EcdhReply(reply)) = Message::decode(&payload) else {
            panic!("no reply")
        };
        let secret = key.agree(reply.share).unwrap();
        let their_ident = self.their_ident.clone().unwrap();
        let hash = Transcript {
            client_ident: IDENT.as_bytes(),
            server_ident: &their_ident,
            client_kex_init: ours,
            server_kex_init: theirs,
            host_key_blob: reply.host_key_blob,
            client_share: key.share(),
            server_share: reply.share,
        }
        .exchange_hash(&secret);
        let host_key = PublicKey::from_blob(reply.host_key_blob).unwrap();
        host_key.verify(&hash.0, reply.signature_blob).unwrap();
        self.change_keys(&secret, hash);
    }

    fn exchange_as_server(&mut self, ours: &[u8], theirs: &[u8]) {
        let key = EphemeralKey::generate(&mut self.rng);
        let (hash, secret) = self.hash_as_server(ours, theirs, &key);
        self.send(&Message::EcdhReply(EcdhReply {
            host_key_blob: &self.host_key.public_key().to_blob(),
            share: key.share(),
            signature_blob: &self.host_key.sign(&hash.0),
        }));
        self.change_keys(&secret, hash);
    }

    /// Takes the subject's share and computes what a server signs.
    pub(crate) fn hash_as_server(
        &mut self,
        ours: &[u8],
        theirs: &[u8],
        key: &EphemeralKey,
    ) -> (ExchangeHash, SharedSecret) {
        let payload = self.take(MessageId::KEX_ECDH_INIT);
        let Ok(Message::EcdhInit(init)) = Message::decode(&payload) else {
            panic!("no share")
        };
        let secret = key.agree(init.share).unwrap();
        let hash = Transcript {
            client_ident: &self.their_ident.clone().unwrap(),
            server_ident: IDENT.as_bytes(),
            client_kex_init: theirs,
            server_kex_init: ours,
            host_key_blob: &self.host_key.public_key().to_blob(),
            client_share: init.share,
            server_share: key.share(),
        }
        .exchange_hash(&secret);
        (hash, secret)
    }

    fn change_keys(&mut self, secret: &SharedSecret, hash: ExchangeHash) {
        let session_id = *self.session_id.get_or_insert(hash);
        let key = |letter| packet_key(secret, &hash, &session_id, letter);
        let (c2s, s2c) = (
            key(KeyLetter::ClientToServer),
            key(KeyLetter::ServerToClient),
        );
        let (inbound, outbound) = if self.subject_is_server {
            (s2c, c2s)
        } else {
            (c2s, s2c)
        };
        self.take(MessageId::NEWKEYS);
        self.reader.change_keys(inbound, self.strict);
        self.open_packets();
        let new_keys = self.seal(&Message::NewKeys.to_payload());
        self.writer.change_keys(outbound, self.strict);
        self.send_bytes(&new_keys);
    }

    pub(crate) fn request_service(&mut self) {
        self.send(&Message::ServiceRequest(Service { name: SSH_USERAUTH }));
        self.take(MessageId::SERVICE_ACCEPT);
    }

    pub(crate) fn log_in(&mut self) {
        self.request_service();
        self.send_auth(AuthMethod::Password {
            password: b"right",
            new_password: None,
        });
        self.take(MessageId::USERAUTH_SUCCESS);
    }

    pub(crate) fn send_auth(&mut self, method: AuthMethod<'_>) {
        let (user, service) = (&b"user"[..], SSH_CONNECTION);
        self.send(&Message::UserauthRequest(UserauthRequest {
            user,
            service,
            method,
        }));
    }
}

/// A KEXINIT that offers one of each.
pub(crate) fn kex_init(kex: &str) -> Message<'_> {
    let cipher = NameList("chacha20-poly1305@openssh.com");
    Message::KexInit(KexInit {
        kex: NameList(kex),
        host_key: NameList(SSH_ED25519),
        cipher_c2s: cipher,
        cipher_s2c: cipher,
        compression_c2s: NameList("none"),
        compression_s2c: NameList("none"),
        ..KexInit::default()
    })
}
