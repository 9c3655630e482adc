//! The key exchange: what was said becomes a hash, a proof and keys.

use minissh::crypto::{PublicKey, SharedSecret};
use minissh::keylog;
use minissh::msg::names::{KEX_STRICT_C, KEX_STRICT_S};

use super::Role;
use super::endpoint::Endpoint;
use super::exchange::{Exchange, Hashed};
use super::message::Message;

impl Endpoint<'_> {
    /// Both sides said in their first KEXINIT that they are strict.
    fn is_strict(&self) -> bool {
        let (our_marker, their_marker) = match self.role {
            Role::Client => (KEX_STRICT_C, KEX_STRICT_S),
            Role::Server => (KEX_STRICT_S, KEX_STRICT_C),
        };
        self.ours.offers(our_marker) && self.theirs.offers(their_marker)
    }

    /// We sent NEWKEYS.
    pub(super) fn switch_outbound(&mut self) {
        // A second one changes nothing.
        if std::mem::replace(&mut self.ours.newkeys, true) {
            return;
        }
        if let (Some(exchange), Some(session_id)) = (&self.exchange, &self.session_id) {
            let key = exchange.key(session_id, self.role == Role::Client);
            self.link.switch_outbound(key, self.is_strict());
        }
    }

    /// They sent NEWKEYS. Without an exchange it changes nothing; the steps will find it out of
    /// place.
    pub(super) fn switch_inbound(&mut self) {
        if std::mem::replace(&mut self.theirs.newkeys, true) {
            return;
        }
        if let (Some(exchange), Some(session_id)) = (&self.exchange, &self.session_id) {
            let key = exchange.key(session_id, self.role == Role::Server);
            self.link.switch_inbound(key, self.is_strict());
        }
    }

    /// As a client: the server's share, and the proof that it has the host key.
    pub(super) fn on_ecdh_reply(&mut self, reply: &Message) -> Result<(), String> {
        self.theirs.share = Some(reply.bytes("share").to_vec());
        self.theirs.host_key = reply.bytes("host-key").to_vec();
        let Some(ephemeral) = &self.ephemeral else {
            return Ok(());
        };
        let secret = ephemeral
            .agree(reply.bytes("share"))
            .map_err(|fault| format!("an ECDH_REPLY that {fault}"))?;
        let host_key = PublicKey::from_blob(reply.bytes("host-key"))
            .map_err(|fault| format!("an ECDH_REPLY whose host key {fault}"))?;

        let hash = self.finish_exchange(&secret).hash;
        let verify = |hash: &[u8; 32]| host_key.verify(hash, reply.bytes("signature"));
        verify(&hash).map_err(|fault| {
            let mistake = self.mistake(&secret, |hash| verify(hash).is_ok());
            let mistake = mistake.map_or_else(String::new, |it| format!(": it is over {it}"));
            format!("an ECDH_REPLY whose signature of the exchange hash {fault}{mistake}")
        })
    }

    /// What the server hashed wrong, if it is a mistake that has a name.
    fn mistake(
        &self,
        secret: &SharedSecret,
        is_over: impl Fn(&[u8; 32]) -> bool,
    ) -> Option<&'static str> {
        if is_over(&Exchange::with_plain_secret(&self.hashed(), secret).hash) {
            return Some("the 32 bytes of the shared secret and not over its mpint");
        }
        let guessed = self.guessed.as_ref()?;
        let their_share = self.theirs.share.as_deref()?;
        let secret = guessed.agree(their_share).ok()?;
        let mut hashed = self.hashed();
        let [.., client_share, _] = &mut hashed;
        *client_share = guessed.share();
        is_over(&Exchange::new(&hashed, &secret).hash)
            .then_some("the share that was guessed wrong, which is to be passed over")
    }

    /// Hashes what was said and keeps the result.
    pub(super) fn finish_exchange(&mut self, secret: &SharedSecret) -> Exchange {
        let exchange = Exchange::new(&self.hashed(), secret);
        let session_id = *self.session_id.get_or_insert(exchange.hash);
        self.link
            .prepare_outbound(exchange.key(&session_id, self.role == Role::Client));
        self.exchange = Some(exchange.clone());
        self.log_key(secret);
        exchange
    }

    /// Under our cookie, which follows the message number of our KEXINIT.
    fn log_key(&mut self, secret: &SharedSecret) {
        let kexinit = self.ours.kexinit.as_deref().unwrap_or_default();
        let cookie = kexinit.get(1..).and_then(|rest| rest.first_chunk());
        if let Some(cookie) = cookie {
            self.link.capture.log_key(&keylog::line(cookie, secret));
        }
    }

    pub(super) fn hashed(&self) -> Hashed<'_> {
        let (client, server) = match self.role {
            Role::Client => (&self.ours, &self.theirs),
            Role::Server => (&self.theirs, &self.ours),
        };
        [
            client.ident.as_deref().unwrap_or_default(),
            server.ident.as_deref().unwrap_or_default(),
            client.kexinit.as_deref().unwrap_or_default(),
            server.kexinit.as_deref().unwrap_or_default(),
            &server.host_key,
            client.share.as_deref().unwrap_or_default(),
            server.share.as_deref().unwrap_or_default(),
        ]
    }
}
