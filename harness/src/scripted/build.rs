//! What to send: the scenario's fields, and for all others what a well-behaved endpoint sends.

use minissh::crypto::SigningKey;
use minissh::msg::names::{
    CHACHA20_POLY1305_OPENSSH, CURVE25519_SHA256, CURVE25519_SHA256_LIBSSH, KEEPALIVE_OPENSSH,
    KEX_STRICT_C, KEX_STRICT_S, NONE, SESSION, SSH_CONNECTION, SSH_ED25519, SSH_USERAUTH,
};
use minissh::wire::Writer;
use rand_core::Rng as _;

use super::endpoint::Endpoint;
use super::exchange::{Exchange, SecretForm, grind};
use super::forge::{self, choice};
use super::message::{Message, bytes_of};
use super::{Role, Stop};
use crate::scenario::verbs::{FieldSpec, Kind, Verb};
use crate::scenario::{Send, Stream, Value};

/// The window we grant, in bytes: as much as OpenSSH does.
const WINDOW_BYTES: u64 = 2 * 1024 * 1024;

/// The longest data we take in one message, in bytes: as OpenSSH.
const DATA_BYTES_MAX: u64 = 32 * 1024;

/// Our number for the session channel. Not zero, so that a peer who mixes up the two is found out.
pub(super) const LOCAL_CHANNEL: u32 = 3;

impl Endpoint<'_> {
    /// The message of a `>` line.
    pub(super) fn build(&mut self, send: &Send) -> Result<Message, Stop> {
        let verb = Verb::named(&send.verb).ok_or_else(|| {
            Stop::broken(format!(
                "there is no verb `{}`, and the checker let it pass",
                send.verb
            ))
        })?;
        let mut message = Message::new(verb);
        for field in verb.fields {
            if !field.kind.is_on_the_wire() || !message.has(field) {
                continue;
            }
            let value = match send.fields.iter().find(|set| set.name == field.name) {
                Some(set) => {
                    if field.name == "share" {
                        // Nobody knows the key of a share that was made up.
                        self.ephemeral = None;
                    }
                    set.value.clone()
                }
                None => self.usual(field, &message, send)?,
            };
            self.note_built(field, &value, verb);
            message.fields.push((field, value));
        }
        Ok(message)
    }

    /// Shares and host keys enter the exchange hash as they are sent, forged or not.
    fn note_built(&mut self, field: &FieldSpec, value: &Value, verb: &Verb) {
        match (verb.name, field.name) {
            ("ecdh-init" | "ecdh-reply", "share") => {
                self.ours.share = Some(bytes_of(value).to_vec());
            }
            ("ecdh-reply", "host-key") => self.ours.host_key = bytes_of(value).to_vec(),
            _ => {}
        }
    }

    /// What belongs in a field of which the scenario says nothing.
    fn usual(&mut self, field: &FieldSpec, so_far: &Message, send: &Send) -> Result<Value, Stop> {
        let is_set = match so_far.verb.name {
            "userauth-request" => field.name == "user",
            "channel-open" | "channel-open-confirmation" => field.name != "recipient",
            "channel-request" => field.name == "command",
            _ => false,
        };
        let set = self
            .settings
            .iter()
            .find(|set| is_set && set.name == field.name);
        if let Some(set) = set {
            return Ok(self.value_of(&set.value, None)?.into_owned());
        }
        Ok(match (so_far.verb.name, field.name) {
            ("ident", "line") => text("SSH-2.0-scripted"),
            ("kexinit", name) => self.usual_of_kexinit(name, field.kind),
            ("ecdh-init" | "ecdh-reply", "share") => self.fresh_share(send)?,
            ("ecdh-reply", "host-key") => Value::Bytes(self.setup.host_key.public_key().to_blob()),
            ("ecdh-reply", "signature") => self.host_signature(send)?,
            ("userauth-request", name) => self.usual_of_userauth_request(name, so_far, send),
            ("userauth-pk-ok", "algorithm") => text(SSH_ED25519),
            ("userauth-pk-ok", "key") => Value::Bytes(self.setup.user_key.public_key().to_blob()),
            ("userauth-failure", "methods") => names(&["publickey", "password"]),
            ("service-request" | "service-accept", "service") => text(SSH_USERAUTH),
            ("global-request", "request") => text(KEEPALIVE_OPENSSH),
            ("global-request", "want-reply") => Value::Flag(true),
            ("channel-open", "type") => text(SESSION),
            (_, "sender") => Value::Number(LOCAL_CHANNEL.into()),
            (_, "recipient") => {
                let on = forge::number(send, "on");
                let flow = on.and_then(|on| self.flows.get(Some(on)));
                Value::Number(flow.map_or(self.channel.remote, |flow| flow.remote).into())
            }
            ("channel-data" | "channel-extended-data", "data") => {
                let size = forge::number(send, "size").unwrap_or_default();
                Value::Bytes(Stream::Seq(size).bytes(1))
            }
            (_, "window") => Value::Number(WINDOW_BYTES),
            (_, "packet-max") => Value::Number(DATA_BYTES_MAX),
            ("channel-request", "type") => text(if self.role == Role::Client {
                "exec"
            } else {
                "exit-status"
            }),
            // Reads until we say EOF, so that it runs as long as the scenario wants.
            ("channel-request", "command") => text("cat"),
            ("channel-request", "want-reply") => Value::Flag(self.role == Role::Client),
            // RFC 4254: stderr (§5.2), and administratively prohibited (§5.1).
            ("channel-extended-data", "code") | ("channel-open-failure", "reason") => {
                Value::Number(1)
            }
            // RFC 4253 §11.1: by application.
            ("disconnect", "reason") => Value::Number(11),
            (_, _) => empty(field.kind),
        })
    }

    fn usual_of_kexinit(&mut self, name: &str, kind: Kind) -> Value {
        let marker = if self.role == Role::Client {
            KEX_STRICT_C
        } else {
            KEX_STRICT_S
        };
        match name {
            "cookie" => {
                let mut cookie = [0; 16];
                self.rng.fill_bytes(&mut cookie);
                Value::Bytes(cookie.to_vec())
            }
            "kex" if self.session_id.is_some() => {
                names(&[CURVE25519_SHA256, CURVE25519_SHA256_LIBSSH])
            }
            "kex" => names(&[CURVE25519_SHA256, CURVE25519_SHA256_LIBSSH, marker]),
            "host-key" => names(&[SSH_ED25519]),
            "cipher-c2s" | "cipher-s2c" => names(&[CHACHA20_POLY1305_OPENSSH]),
            // Not used with this cipher; some implementations want a name all the same.
            "mac-c2s" | "mac-s2c" => names(&["hmac-sha2-256"]),
            "compression-c2s" | "compression-s2c" => names(&[NONE]),
            _ => empty(kind),
        }
    }

    /// A fresh ephemeral key; a server's may be chosen for the secret it leads to.
    fn fresh_share(&mut self, send: &Send) -> Result<Value, Stop> {
        let form = match choice(send, "shared-secret") {
            Some(b"leading-zero") => SecretForm::LeadingZero,
            Some(b"high-bit") => SecretForm::HighBit,
            Some(b"zero-and-high-bit") => SecretForm::ZeroAndHighBit,
            _ => SecretForm::Any,
        };
        // A client sends its share first; any that is not of low order will do to try with.
        let any_share = minissh::crypto::EphemeralKey::generate(&mut self.rng);
        let their_share = self.theirs.share.as_deref().unwrap_or(any_share.share());
        let key = grind(form, their_share, &mut self.rng).ok_or_else(|| {
            Stop::subject("a share that no key makes a usable secret with".to_owned())
        })?;
        let share = key.share().to_vec();
        self.guessed = self.ephemeral.replace(key);
        Ok(Value::Bytes(share))
    }

    /// As a server: finishes the exchange and signs its hash.
    fn host_signature(&mut self, send: &Send) -> Result<Value, Stop> {
        let exchange = match (&self.ephemeral, &self.theirs.share) {
            (Some(key), Some(share)) => {
                let secret = key
                    .agree(share)
                    .map_err(|fault| Stop::subject(fault.to_string()))?;
                self.finish_exchange(&secret)
            }
            // The share is the scenario's. Most likely it is of low order, and then the secret is
            // known to be zero; with any other the signature is a wrong one.
            _ => Exchange::with_zero_secret(&self.hashed()),
        };
        Ok(Value::Bytes(
            self.signer(send, &self.setup.host_key).sign(&exchange.hash),
        ))
    }

    fn usual_of_userauth_request(&self, name: &str, so_far: &Message, send: &Send) -> Value {
        let key = &self.setup.user_key;
        match name {
            "user" => text(&self.setup.user),
            "service" => text(SSH_CONNECTION),
            "method" => text(self.method_due().unwrap_or("publickey")),
            "signed" => Value::Flag(true),
            "algorithm" => text(SSH_ED25519),
            "key" => Value::Bytes(key.public_key().to_blob()),
            "signature" => Value::Bytes(self.signer(send, key).sign(&self.covered(so_far, send))),
            "password" => text(&self.setup.password),
            "change" => Value::Flag(false),
            _ => Value::Bytes(Vec::new()),
        }
    }

    /// What the signature of `request` covers: what it has to, or something that differs in one field.
    fn covered(&self, request: &Message, send: &Send) -> Vec<u8> {
        let with = |name: &str, other: Value| {
            let mut request = request.clone();
            let fields = request.fields.iter_mut();
            fields
                .filter(|(field, _)| field.name == name)
                .for_each(|(_, value)| *value = other.clone());
            self.signed_data(&request.encode())
        };
        match choice(send, "signed-over") {
            Some(b"another-user") => with("user", text("another")),
            Some(b"another-service") => with("service", text("another")),
            Some(b"query") => with("signed", Value::Flag(false)),
            Some(b"another-session") => signed_data(&[0x5a; 32], &request.encode()),
            _ => self.signed_data(&request.encode()),
        }
    }

    /// What a user's signature has to cover.
    pub(super) fn signed_data(&self, request: &[u8]) -> Vec<u8> {
        signed_data(self.session_id.as_ref().map_or(&[], |id| id), request)
    }

    fn signer<'k>(&'k self, send: &Send, right: &'k SigningKey) -> &'k SigningKey {
        match choice(send, "signed-by") {
            Some(b"other-key") => &self.setup.other_key,
            _ => right,
        }
    }
}

/// RFC 4252 §7: the session identifier, then the request up to the signature.
fn signed_data(session_id: &[u8], request: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.string(session_id).raw(request);
    writer.into_bytes()
}

fn text(text: &str) -> Value {
    Value::Text(text.as_bytes().to_vec())
}

fn names(names: &[&str]) -> Value {
    Value::Names(names.iter().map(|name| (*name).to_owned()).collect())
}

fn empty(kind: Kind) -> Value {
    match kind {
        Kind::Boolean => Value::Flag(false),
        Kind::Byte | Kind::Uint32 | Kind::SequenceNumber => Value::Number(0),
        Kind::Names => Value::Names(Vec::new()),
        Kind::Fixed(bytes) => Value::Bytes(vec![0; bytes]),
        _ => Value::Bytes(Vec::new()),
    }
}
