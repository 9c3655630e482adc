//! The key exchange.

use std::time::Instant;

use minissh::crypto::{EphemeralKey, PacketKey, PublicKey};
use minissh::msg::names::{
    CHACHA20_POLY1305_OPENSSH, CURVE25519_SHA256, CURVE25519_SHA256_LIBSSH, EXT_INFO_C, EXT_INFO_S,
    KEX_STRICT_C, KEX_STRICT_S, NONE, SSH_ED25519,
};
use minissh::wire::{Reader, Writer};
use rand_core::Rng as _;
use sha2::{Digest, Sha256};

use super::machine::{Handled, Machine, Malformed, STRING_MAX};
use super::wrong::Wrong;

/// Where an exchange stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// None is under way.
    #[default]
    Idle,
    /// We sent KEXINIT.
    AwaitInit,
    /// As a server.
    AwaitShare,
    /// As a client.
    AwaitReply,
    AwaitNewkeys,
}

/// The exchange and what stays of those before.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not a state"
)]
pub(super) struct Kex {
    /// As a client: the server's key is another one than it knows.
    pub(super) refused_host_key: bool,
    stage: Stage,
    ours: Vec<u8>,
    theirs: Vec<u8>,
    ephemeral: Option<EphemeralKey>,
    /// K as it is hashed, and H.
    agreed: Option<(Vec<u8>, [u8; 32])>,
    pub(super) session_id: Option<[u8; 32]>,
    strict: bool,
    /// Something other than KEXINIT came first.
    late: bool,
    skips_guess: bool,
    pub(super) wants_ext_info: bool,
    /// How many were finished.
    finished: u32,
    /// Bytes in both directions and when, since the last was finished.
    bytes: u64,
    since: Option<Instant>,
}

impl Kex {
    /// Whether only the transport may send.
    pub(super) fn holds_output(&self) -> bool {
        matches!(
            self.stage,
            Stage::AwaitInit | Stage::AwaitShare | Stage::AwaitReply
        )
    }

    fn expects(&self, id: u8) -> bool {
        match self.stage {
            Stage::Idle | Stage::AwaitInit => id == 20,
            Stage::AwaitShare => id == 30,
            Stage::AwaitReply => id == 31,
            Stage::AwaitNewkeys => id == 21,
        }
    }
}

/// What KEXINIT says, as far as it matters.
struct Offer {
    lists: Vec<Vec<u8>>,
    guesses: bool,
}

impl Offer {
    fn names(&self, list: usize) -> impl Iterator<Item = &[u8]> {
        let bytes = self.lists.get(list).map_or(&[][..], |list| list);
        bytes.split(|byte| *byte == b',')
    }

    fn has(&self, list: usize, name: &str) -> bool {
        self.names(list).any(|offered| offered == name.as_bytes())
    }
}

impl Machine {
    /// Begins a key exchange if it is time for one.
    pub(super) fn rekey_if_due(&mut self) {
        let old = |age: u32| {
            let since = self.kex.since;
            since.is_some_and(|since| since.elapsed().as_secs() >= age.into())
        };
        let used = |bytes| self.kex.bytes >= bytes;
        let due = self.rekey.bytes.is_some_and(used) || self.rekey.seconds.is_some_and(old);
        let can = self.login.done && self.kex.stage == Stage::Idle && !self.hangs;
        if due && can && !self.is(Wrong::NeverRekeys) {
            self.send_kexinit();
        }
    }

    /// Takes note of what went over the wire under these keys.
    pub(super) fn note_bytes(&mut self, payload: &[u8]) {
        self.kex.bytes += payload.len() as u64;
    }

    pub(super) fn send_kexinit(&mut self) {
        let first = self.kex.finished == 0;
        let mut names = vec![CURVE25519_SHA256, CURVE25519_SHA256_LIBSSH];
        if first {
            names.push(if self.is_server {
                EXT_INFO_S
            } else {
                EXT_INFO_C
            });
            if !self.is(Wrong::OffersNoMarker) {
                names.push(if self.is_server {
                    KEX_STRICT_S
                } else {
                    KEX_STRICT_C
                });
            }
        }
        let mut cookie = [0; 16];
        self.rng.fill_bytes(&mut cookie);
        let mut w = Writer::new();
        w.u8(20).raw(&cookie).string(names.join(",").as_bytes());
        w.string(SSH_ED25519.as_bytes());
        w.string(CHACHA20_POLY1305_OPENSSH.as_bytes());
        w.string(CHACHA20_POLY1305_OPENSSH.as_bytes());
        w.string(b"").string(b"");
        w.string(NONE.as_bytes()).string(NONE.as_bytes());
        w.string(b"").string(b"").bool(false).u32(0);
        self.kex.ours = w.into_bytes();
        let payload = self.kex.ours.clone();
        self.send_now(&payload);
        self.kex.stage = Stage::AwaitInit;
    }

    /// Whether a message of that number has its place here; takes note of what comes first.
    pub(super) fn may_come(&mut self, id: u8) -> bool {
        let in_clear = self.inbound.key.is_none();
        let under_way = !matches!(self.kex.stage, Stage::Idle | Stage::AwaitInit);
        if in_clear && self.kex.stage == Stage::AwaitInit && id != 20 {
            self.kex.late = true;
            if self.is(Wrong::ToleratesBeforeKexinit) {
                return true;
            }
        }
        if self.kex.skips_guess && (20..=49).contains(&id) {
            return true;
        }
        if in_clear {
            let generic = (1..=4).contains(&id);
            let tolerated =
                !(self.kex.strict && under_way) || self.is(Wrong::ToleratesInStrict) || id == 1;
            return self.kex.expects(id) || self.is_tolerated_kex(id) || generic && tolerated;
        }
        let generic = (1..=4).contains(&id) && !(under_way && self.is(Wrong::StrictAtRekey));
        let refuses = self.kex.stage == Stage::AwaitInit && self.is(Wrong::RefusesInFlight);
        !(under_way || refuses)
            || generic
            || (20..=49).contains(&id)
            || self.is(Wrong::TakesAllInRekey)
    }

    fn is_tolerated_kex(&self, id: u8) -> bool {
        match id {
            20 => self.is(Wrong::TakesSecondKexinit),
            21 => self.is(Wrong::IgnoresEarlyNewkeys) || self.is(Wrong::SkipsNewkeys),
            30 => self.is(Wrong::AnswersEarlyShare) || self.is(Wrong::AnswersSecondShare),
            52 => self.is(Wrong::BelievesSuccessUnasked),
            7 => self.is(Wrong::TakesExtInfoInClear),
            5 | 50 => self.is(Wrong::SkipsNewkeys) && self.kex.stage == Stage::AwaitNewkeys,
            _ => false,
        }
    }

    pub(super) fn on_kex_message(&mut self, id: u8, body: &[u8], payload: &[u8]) -> Handled {
        if self.kex.skips_guess && id != 20 {
            return self.skip_guess(body);
        }
        match id {
            20 if self.kex.expects(20) => self.on_kexinit(payload),
            20 if self.is(Wrong::TakesSecondKexinit) => Ok(()),
            20 => self.on_out_of_turn(id),
            30 if self.is_server && self.kex.expects(30) => self.on_share(body),
            30 if self.is(Wrong::AnswersEarlyShare) && self.is_server => self.on_share(body),
            30 if self.is(Wrong::AnswersSecondShare) && self.is_server => self.on_share(body),
            31 if self.kex.expects(31) => self.on_reply(body),
            21 if self.kex.expects(21) => self.on_newkeys(body),
            21 if self.is(Wrong::IgnoresEarlyNewkeys) => Ok(()),
            _ if self.kex.stage == Stage::Idle => {
                self.on_unknown();
                Ok(())
            }
            _ => self.on_out_of_turn(id),
        }
    }

    fn skip_guess(&mut self, body: &[u8]) -> Handled {
        self.kex.skips_guess = false;
        if self.is(Wrong::ParsesWrongGuess) {
            let share = Reader::new(body).string("share", STRING_MAX)?.len();
            if share != 32 {
                return Err(Malformed);
            }
        }
        if self.is(Wrong::DoesNotCountGuess) {
            self.inbound.number = self.inbound.number.wrapping_sub(1);
        }
        Ok(())
    }

    fn on_kexinit(&mut self, payload: &[u8]) -> Handled {
        let offer = self.parse_kexinit(&payload[1..])?;
        let first = self.kex.finished == 0;
        if self.kex.stage == Stage::Idle {
            if self.is(Wrong::IgnoresRekey)
                || self.is(Wrong::RekeyNeedsWindow) && self.channels.are_blocked()
            {
                self.hangs = true;
                return Ok(());
            }
            let worn_out = self.is(Wrong::RekeysOnce) && self.kex.finished > 1;
            if self.is(Wrong::EndsAtRekey) || worn_out {
                return Err(Malformed);
            }
            self.send_kexinit();
        } else if !first && self.is(Wrong::HangsAtCrossing) {
            self.hangs = true;
            return Ok(());
        }
        self.settle_strictness(&offer, first)?;
        if first {
            let asks = offer.has(
                0,
                if self.is_server {
                    EXT_INFO_C
                } else {
                    EXT_INFO_S
                },
            );
            self.kex.wants_ext_info = asks;
            self.hangs |= offer.has(0, EXT_INFO_C)
                && offer.has(0, EXT_INFO_S)
                && self.is(Wrong::HangsAtMarkers);
        }
        let by_old_name = offer.names(0).next() == Some(CURVE25519_SHA256_LIBSSH.as_bytes());
        self.hangs |= by_old_name
            && (self.is(Wrong::HangsAtOldName) || !first && self.is(Wrong::HangsAtOldNameInRekey));
        if !self.has_everything_in_common(&offer) && !self.is(Wrong::GoesOnWithNothingInCommon) {
            self.end(3);
            return Ok(());
        }
        self.kex.theirs = payload.to_vec();
        self.spoil_kexinit();
        self.kex.skips_guess = self.must_skip(&offer);
        if self.is_server {
            self.kex.stage = Stage::AwaitShare;
        } else {
            self.send_share();
            self.kex.stage = Stage::AwaitReply;
        }
        Ok(())
    }

    fn settle_strictness(&mut self, offer: &Offer, first: bool) -> Handled {
        let (right, other) = if self.is_server {
            (KEX_STRICT_C, KEX_STRICT_S)
        } else {
            (KEX_STRICT_S, KEX_STRICT_C)
        };
        let said =
            offer.has(0, right) || self.is(Wrong::TakesMarkerOfOtherRole) && offer.has(0, other);
        if first {
            self.kex.strict = said && !self.is(Wrong::OffersNoMarker);
            if self.kex.strict && self.kex.late && !self.is(Wrong::ToleratesBeforeKexinit) {
                return Err(Malformed);
            }
        } else if self.is(Wrong::TakesMarkerAtRekey) && said {
            self.kex.strict = true;
        } else if self.is(Wrong::ForgetsStrict) {
            self.kex.strict = said;
        }
        Ok(())
    }

    fn parse_kexinit(&mut self, body: &[u8]) -> Result<Offer, Malformed> {
        let mut r = Reader::new(body);
        r.bytes("cookie", 16)?;
        let mut lists = Vec::new();
        for _ in 0..10 {
            match r.string("names", STRING_MAX) {
                Ok(list) => lists.push(list.to_vec()),
                Err(_) if self.is(Wrong::TakesTruncatedKexinit) => {
                    return Ok(Offer {
                        lists: Vec::new(),
                        guesses: false,
                    });
                }
                Err(_) => return Err(Malformed),
            }
        }
        let ends = (r.bool("guess"), r.u32("reserved"));
        let (Ok(guesses), Ok(_)) = ends else {
            if self.is(Wrong::TakesTruncatedKexinit) {
                return Ok(Offer {
                    lists: Vec::new(),
                    guesses: false,
                });
            }
            return Err(Malformed);
        };
        let long_name = lists[0]
            .split(|byte| *byte == b',')
            .any(|name| name.len() > 64);
        let odd = !lists[8].is_empty() && self.is(Wrong::RefusesLanguages)
            || lists[4].is_empty() != lists[5].is_empty() && self.is(Wrong::RefusesAsymmetry)
            || lists[6] != lists[7] && self.is(Wrong::RefusesAsymmetry)
            || !r.rest().is_empty() && !self.is(Wrong::TakesTrailingKexinit);
        self.hangs |= long_name && self.is(Wrong::HangsAtOddNames);
        if odd {
            Err(Malformed)
        } else {
            Ok(Offer { lists, guesses })
        }
    }

    fn has_everything_in_common(&self, offer: &Offer) -> bool {
        if self.is(Wrong::TakesTruncatedKexinit) && offer.lists.is_empty() {
            return true;
        }
        let ours: [&[&str]; 8] = [
            &[CURVE25519_SHA256, CURVE25519_SHA256_LIBSSH],
            &[SSH_ED25519],
            &[CHACHA20_POLY1305_OPENSSH],
            &[CHACHA20_POLY1305_OPENSSH],
            &[],
            &[],
            &[NONE],
            &[NONE],
        ];
        ours.iter().enumerate().all(|(list, known)| {
            let macs = list == 4 || list == 5;
            if macs {
                return !self.is(Wrong::WantsMac)
                    || offer.names(list).any(|n| n == b"hmac-sha2-256");
            }
            offer.names(list).any(|name| self.knows(list, name, known))
        })
    }

    fn knows(&self, list: usize, name: &[u8], known: &[&str]) -> bool {
        let name = match name.iter().position(|byte| *byte == 0) {
            Some(nul) if self.is(Wrong::CutsNamesAtNul) => &name[..nul],
            _ => name,
        };
        let marker = [EXT_INFO_C, EXT_INFO_S, KEX_STRICT_C, KEX_STRICT_S];
        known.iter().any(|ours| ours.as_bytes() == name)
            || name.is_empty() && self.is(Wrong::TakesEmptyNames)
            || list == 0
                && self.is(Wrong::TakesMarkerForMethod)
                && marker.iter().any(|ours| ours.as_bytes() == name)
    }

    fn must_skip(&self, offer: &Offer) -> bool {
        if !offer.guesses || self.is(Wrong::UsesWrongGuess) {
            return false;
        }
        let first_kex = if self.is(Wrong::StripsNamesForGuess) {
            let known = [
                CURVE25519_SHA256.as_bytes(),
                CURVE25519_SHA256_LIBSSH.as_bytes(),
            ];
            offer.names(0).find(|name| known.contains(name))
        } else {
            offer.names(0).next()
        };
        let kex = first_kex == Some(CURVE25519_SHA256.as_bytes());
        let host_key = offer.names(1).next() == Some(SSH_ED25519.as_bytes())
            || self.is(Wrong::ForgetsHostKeyInGuess);
        !(kex && host_key) || self.is(Wrong::SkipsRightGuess)
    }

    fn spoil_kexinit(&mut self) {
        if self.is(Wrong::HashesNoCookie) {
            self.kex.theirs[1..17].fill(0x11);
        }
        if self.is(Wrong::HashesNoReserved) {
            let end = self.kex.theirs.len();
            self.kex.theirs[end - 4..].fill(0);
        }
    }

    fn send_share(&mut self) {
        let key = EphemeralKey::generate(&mut self.rng);
        let mut w = Writer::new();
        w.u8(30).string(key.share());
        self.kex.ephemeral = Some(key);
        self.send_now(&w.into_bytes());
    }

    fn on_share(&mut self, body: &[u8]) -> Handled {
        let mut r = Reader::new(body);
        let theirs = r.string("share", STRING_MAX)?.to_vec();
        if !r.rest().is_empty() && !self.is(Wrong::TakesTrailingShare) {
            return Err(Malformed);
        }
        let key = EphemeralKey::generate(&mut self.rng);
        let secret = self.agree(&key, &theirs)?;
        let host_key = self.secrets.host_key.public_key().to_blob();
        let hash = self.hash(&host_key, &theirs, key.share(), &secret);
        let mut w = Writer::new();
        w.u8(31).string(&host_key).string(key.share());
        w.string(&self.secrets.host_key.sign(&hash));
        self.send_now(&w.into_bytes());
        self.finish(secret, hash);
        Ok(())
    }

    fn agree(&self, key: &EphemeralKey, theirs: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut share = theirs.to_vec();
        if self.is(Wrong::TakesAnyShare) {
            share.resize(32, 9);
        }
        if is_above_prime(&share) && self.is(Wrong::RefusesShareAbovePrime) {
            return Err(Malformed);
        }
        match key.agree(&share) {
            Ok(secret) => Ok(self.as_hashed(secret.expose())),
            Err(_) if self.is(Wrong::TakesLowOrder) && share.len() == 32 => Ok(vec![0; 4]),
            Err(_) => Err(Malformed),
        }
    }

    /// K as it enters the hash.
    fn as_hashed(&self, secret: &[u8; 32]) -> Vec<u8> {
        let mut w = Writer::new();
        let high = secret[0] >= 0x80;
        if secret[0] == 0 && self.is(Wrong::KeepsLeadingZeros)
            || high && self.is(Wrong::AddsNoZero)
            || self.is(Wrong::HashesPlainSecret)
        {
            w.string(secret);
        } else if secret[0] == 0 && self.is(Wrong::StripsZeroOfSign) {
            let zeros = secret.iter().take_while(|byte| **byte == 0).count();
            w.string(&secret[zeros..]);
        } else {
            w.mpint(secret);
        }
        w.into_bytes()
    }

    fn hash(&self, host_key: &[u8], q_c: &[u8], q_s: &[u8], secret: &[u8]) -> [u8; 32] {
        let nothing = Vec::new();
        let theirs = self.their_ident.as_ref().unwrap_or(&nothing);
        let (v_c, v_s, i_c, i_s) = if self.is_server {
            (theirs, &self.our_ident, &self.kex.theirs, &self.kex.ours)
        } else {
            (&self.our_ident, theirs, &self.kex.ours, &self.kex.theirs)
        };
        let mut w = Writer::new();
        w.string(v_c).string(v_s).string(i_c).string(i_s);
        w.string(host_key).string(q_c).string(q_s).raw(secret);
        Sha256::digest(w.into_bytes()).into()
    }

    fn on_reply(&mut self, body: &[u8]) -> Handled {
        let mut r = Reader::new(body);
        let host_key = r.string("host key", STRING_MAX)?.to_vec();
        let mut theirs = r.string("share", STRING_MAX)?.to_vec();
        let signature = r.string("signature", STRING_MAX)?.to_vec();
        if !r.rest().is_empty() && !self.is(Wrong::TakesTrailingShare) {
            return Err(Malformed);
        }
        let Some(key) = self.kex.ephemeral.take() else {
            return Err(Malformed);
        };
        let secret = self.agree(&key, &theirs)?;
        if let Some(high) = theirs
            .last_mut()
            .filter(|_| self.is(Wrong::HashesMaskedShare))
        {
            *high &= 0x7f;
        }
        let hash = self.hash(&host_key, key.share(), &theirs, &secret);
        let again = self.kex.finished > 0 && self.is(Wrong::SkipsProofAtRekey);
        if !self.is(Wrong::TakesAnyHostKey) && !again {
            let offered = PublicKey::from_blob(&host_key).map_err(|_| Malformed)?;
            let proven =
                offered.verify(&hash, &signature).is_ok() || self.is(Wrong::TakesAnySignature);
            self.kex.refused_host_key = self.secrets.known_host.as_ref() != Some(&offered);
            if self.kex.refused_host_key || !proven {
                self.end(3);
                return Ok(());
            }
        }
        self.finish(secret, hash);
        Ok(())
    }

    /// Sends NEWKEYS.
    fn finish(&mut self, secret: Vec<u8>, hash: [u8; 32]) {
        self.send_now(&[21]);
        if self.kex.session_id.is_none() || self.is(Wrong::ChangesSessionId) {
            self.kex.session_id = Some(hash);
        }
        self.kex.agreed = Some((secret, hash));
        self.outbound.key = Some(self.key(self.is_server));
        if self.resets() {
            self.outbound.number = 0;
        }
        self.kex.stage = Stage::AwaitNewkeys;
        let asked = self.kex.wants_ext_info && self.kex.finished == 0;
        let again = self.kex.finished > 0 && self.is(Wrong::SendsExtInfoAgain);
        let due = self.is_server && asked && !self.is(Wrong::SendsExtInfoLate);
        if due || again || self.is(Wrong::SendsExtInfoUnasked) {
            self.send_ext_info();
        }
        self.kex.bytes = 0;
        self.flush();
    }

    pub(super) fn send_ext_info(&mut self) {
        let mut w = Writer::new();
        w.u8(7)
            .u32(1)
            .string(b"server-sig-algs")
            .string(SSH_ED25519.as_bytes());
        self.send_now(&w.into_bytes());
    }

    fn resets(&self) -> bool {
        self.kex.strict && !self.is(Wrong::DoesNotResetNumbers) || self.is(Wrong::ResetsAlways)
    }

    fn key(&self, of_server: bool) -> PacketKey {
        let (Some((secret, hash)), Some(id)) = (&self.kex.agreed, &self.kex.session_id) else {
            return PacketKey::new(&[0; 64]);
        };
        let letter = if of_server { b"D" } else { b"C" };
        let derive = |tail: &[&[u8]]| -> [u8; 32] {
            let mut sha = Sha256::new();
            sha.update(secret);
            sha.update(hash);
            for bytes in tail {
                sha.update(bytes);
            }
            sha.finalize().into()
        };
        let first = derive(&[letter, id]);
        let second = derive(&[&first]);
        let mut key = [0; 64];
        key[..32].copy_from_slice(&first);
        key[32..].copy_from_slice(&second);
        PacketKey::new(&key)
    }

    fn on_newkeys(&mut self, body: &[u8]) -> Handled {
        if !body.is_empty() && !self.is(Wrong::TakesNewkeysWithPayload) {
            return Err(Malformed);
        }
        self.inbound.key = Some(self.key(!self.is_server));
        if self.resets() {
            self.inbound.number = 0;
        }
        self.kex.stage = Stage::Idle;
        self.kex.finished += 1;
        self.kex.since = Some(Instant::now());
        if self.kex.finished == 1 && !self.is_server {
            self.begin_login();
        }
        Ok(())
    }
}

/// RFC 7748 §5: 2^255 - 19 and what is above it in 255 bits, in little-endian order.
fn is_above_prime(share: &[u8]) -> bool {
    match share {
        [low, middle @ .., high] if middle.len() == 30 => {
            *low >= 0xed && middle.iter().all(|byte| *byte == 0xff) && high & 0x7f == 0x7f
        }
        _ => false,
    }
}
