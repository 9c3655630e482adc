//! The protocol without I/O: bytes in, bytes out, one message at a time.

use std::time::Instant;

use minissh::crypto::{PublicKey, Rng, SigningKey, from_seed};
use minissh::wire::{Reader, Writer};

use super::channels::Channels;
use super::framing::{Half, Lenience};
use super::kex::Kex;
use super::login::Login;
use super::wrong::Wrong;
use crate::peer::{ExecOutcome, RekeyLimit};

/// What a mutant knows of keys and users.
#[derive(Clone)]
pub(super) struct Secrets {
    pub(super) host_key: SigningKey,
    /// As a client: the server's key, if it knows one.
    pub(super) known_host: Option<PublicKey>,
    pub(super) user_key: SigningKey,
    pub(super) user: String,
    pub(super) password: String,
}

/// One end of a connection.
pub(super) struct Machine {
    pub(super) is_server: bool,
    pub(super) wrong: Option<Wrong>,
    pub(super) secrets: Secrets,
    pub(super) rng: Rng,
    unread: Vec<u8>,
    pub(super) out: Vec<u8>,
    pub(super) inbound: Half,
    pub(super) outbound: Half,
    pub(super) our_ident: Vec<u8>,
    pub(super) their_ident: Option<Vec<u8>>,
    lines_before: usize,
    /// When it begins key exchanges.
    pub(super) rekey: RekeyLimit,
    /// As a client: what it sends to the command, and what came of it.
    pub(super) stdin: Vec<u8>,
    pub(super) report: ExecOutcome,
    pub(super) kex: Kex,
    pub(super) login: Login,
    pub(super) channels: Channels,
    /// What waits for the end of a key exchange.
    queued: Vec<Vec<u8>>,
    /// The connection ends once `out` is written.
    pub(super) ended: bool,
    /// It takes everything and answers nothing any more.
    pub(super) hangs: bool,
    /// The number of the packet under way.
    pub(super) number: u32,
    pub(super) now: Instant,
}

/// A payload is not what it should be.
pub(super) struct Malformed;

impl From<minissh::wire::DecodeError> for Malformed {
    fn from(_: minissh::wire::DecodeError) -> Self {
        Self
    }
}

pub(super) type Handled = Result<(), Malformed>;

/// Longest string that is taken.
pub(super) const STRING_MAX: usize = 256 * 1024;

impl Machine {
    pub(super) fn new(is_server: bool, wrong: Option<Wrong>, secrets: Secrets, seed: u64) -> Self {
        let mut machine = Self {
            is_server,
            wrong,
            secrets,
            rng: from_seed(seed ^ 0x006d_7574_616e_7400),
            unread: Vec::new(),
            out: Vec::new(),
            inbound: Half::default(),
            outbound: Half::default(),
            our_ident: b"SSH-2.0-mutant".to_vec(),
            their_ident: None,
            lines_before: 0,
            rekey: RekeyLimit::default(),
            stdin: Vec::new(),
            report: ExecOutcome::default(),
            kex: Kex::default(),
            login: Login::default(),
            channels: Channels::default(),
            queued: Vec::new(),
            ended: false,
            hangs: false,
            number: 0,
            now: Instant::now(),
        };
        machine.out.extend_from_slice(b"SSH-2.0-mutant\r\n");
        machine.send_kexinit();
        machine
    }

    /// Whether this is the rule that it breaks.
    pub(super) fn is(&self, wrong: Wrong) -> bool {
        self.wrong == Some(wrong)
    }

    /// Takes bytes as they came.
    pub(super) fn input(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        while !self.ended && self.step() {
            if self.is(Wrong::DropsRestOfSegment) {
                break;
            }
        }
        if self.is(Wrong::DropsRestOfSegment) || self.is(Wrong::DropsPartialPackets) {
            self.unread.clear();
        }
    }

    /// Time passed.
    pub(super) fn tick(&mut self) {
        self.now = Instant::now();
        if !self.ended && !self.hangs {
            self.rekey_if_due();
            self.run_commands();
        }
    }

    fn step(&mut self) -> bool {
        if self.hangs {
            self.unread.clear();
            return false;
        }
        if self.their_ident.is_none() {
            return self.take_line();
        }
        let lenience = self.lenience();
        match self.inbound.open(&mut self.unread, lenience) {
            Ok(Some((number, payload))) => {
                self.number = number;
                self.on_payload(&payload);
                true
            }
            Ok(None) => false,
            Err(_) if self.is(Wrong::HangsAtUnreadable) => {
                self.hangs = true;
                false
            }
            Err(_) => {
                self.end(2);
                false
            }
        }
    }

    fn lenience(&self) -> Lenience {
        Lenience {
            any_tag: self.is(Wrong::TakesWrongTags),
            any_alignment: self.is(Wrong::TakesBrokenBlocks),
            any_padding: self.is(Wrong::TakesShortPadding),
            padding_max: if self.is(Wrong::RefusesLongPadding) {
                240
            } else {
                255
            },
            even_padding: !self.is(Wrong::RefusesEvenPadding),
            payload_min: if self.is(Wrong::RefusesShortPayloads) {
                4
            } else {
                1
            },
        }
    }

    fn take_line(&mut self) -> bool {
        let ends = |byte: &u8| {
            *byte == b'\n' || *byte == b'\r' && self.is(Wrong::TakesCarriageReturnForEnd)
        };
        let Some(end) = self.unread.iter().position(ends) else {
            if self.unread.len() > 8192 {
                self.end(2);
            }
            return false;
        };
        let line: Vec<u8> = self.unread.drain(..=end).collect();
        let line = &line[..line.len() - 1];
        if self.is(Wrong::WantsCarriageReturn) && !line.ends_with(b"\r") {
            self.hangs = true;
            return false;
        }
        let mut line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        let other_minor = line.starts_with(b"SSH-2.") && !line.starts_with(b"SSH-2.0");
        let odd = line.len() > 253 || line.contains(&b'\r') || other_minor;
        if odd && self.is(Wrong::HangsAtOddIdent)
            || line.iter().any(|byte| *byte >= 0x80) && self.is(Wrong::HangsAtUtf8)
        {
            self.hangs = true;
            return false;
        }
        if line.contains(&0) && !self.is(Wrong::TakesNulInIdent) {
            self.end(2);
            return false;
        }
        if !line.starts_with(b"SSH-") {
            return self.on_line_before(&line);
        }
        if !self.speaks_with(&line) {
            self.end(8);
            return false;
        }
        self.spoil_ident(&mut line);
        self.their_ident = Some(line);
        true
    }

    fn on_line_before(&mut self, line: &[u8]) -> bool {
        let tolerated = !self.is_server || self.is(Wrong::TakesLinesBeforeClient);
        let odd = self.is(Wrong::TakesAnyIdent) && self.is_server && !line.is_empty();
        if odd {
            self.their_ident = Some(line.to_vec());
            return true;
        }
        self.lines_before += 1;
        if !tolerated || self.is(Wrong::RefusesLinesBefore) || self.lines_before > 1024 {
            self.end(2);
        }
        !self.ended
    }

    fn speaks_with(&self, line: &[u8]) -> bool {
        let says = |part: &[u8]| line.windows(part.len()).any(|window| window == part);
        let named = says(b"PuTTY") || says(b"dropbear") || says(b"Cisco") || says(b"OpenSSH_5");
        if named && self.is(Wrong::RefusesByName)
            || says(b"OpenSSH_6") && self.is(Wrong::RefusesOldOpenssh)
            || line.len() > 252 && self.is(Wrong::RefusesLongIdent)
        {
            return false;
        }
        line.starts_with(b"SSH-2.") && line.iter().skip(4).any(|byte| *byte == b'-')
            || line.starts_with(b"SSH-1.99-") && !self.is(Wrong::RefusesVersion199)
            || line.starts_with(b"SSH-1.5") && self.is(Wrong::TakesVersion1)
            || line.starts_with(b"SSH-3") && self.is(Wrong::TakesVersion3)
            || line == b"SSH-2.0" && self.is(Wrong::TakesAnyIdent)
    }

    /// What ends up in the hash, when it is not what came.
    fn spoil_ident(&self, line: &mut Vec<u8>) {
        if self.is(Wrong::HashesIdentWithoutComment)
            && let Some(space) = line.iter().position(|byte| *byte == b' ')
        {
            line.truncate(space);
        }
        if self.is(Wrong::TrimsIdent) {
            while line.last() == Some(&b' ') {
                line.pop();
            }
        }
        if self.is(Wrong::DropsCarriageReturns) {
            line.retain(|byte| *byte != b'\r');
        }
        if self.is(Wrong::CutsLongIdent) {
            line.truncate(253);
        }
        if self.is(Wrong::CutsIdentAtDash)
            && let Some(dash) = line.iter().skip(8).position(|byte| *byte == b'-')
        {
            line.truncate(8 + dash);
        }
        if self.is(Wrong::HashesIdentAs20) && line.starts_with(b"SSH-1.99") {
            line.splice(..8, *b"SSH-2.0");
        }
        if self.is(Wrong::HashesIdentAs20) && line.starts_with(b"SSH-2.1") {
            line.splice(..7, *b"SSH-2.0");
        }
    }

    fn on_payload(&mut self, payload: &[u8]) {
        self.note_bytes(payload);
        let handled = match payload.first() {
            Some(_) if self.is(Wrong::HangsAtNumberZero) && payload[0] == 0 => {
                self.hangs = true;
                Ok(())
            }
            Some(&id) => self.on_message(id, &payload[1..], payload),
            None => Err(Malformed),
        };
        if handled.is_err() {
            if self.is(Wrong::HangsAtMalformed) {
                self.hangs = true;
            } else {
                self.end(2);
            }
        }
    }

    fn on_message(&mut self, id: u8, body: &[u8], payload: &[u8]) -> Handled {
        if !self.may_come(id) {
            return self.on_out_of_turn(id);
        }
        match id {
            1 => {
                self.on_disconnect(body);
                Ok(())
            }
            2 => self.on_ignore(body),
            3 => self.on_unimplemented(body),
            4 => self.on_debug(body),
            20..=49 => self.on_kex_message(id, body, payload),
            5..=7 | 50..=79 => self.on_login_message(id, body, payload),
            80..=100 => self.on_connection_message(id, body),
            192 => {
                self.hangs |= self.is(Wrong::HangsAtPing);
                if self.login.done && !self.is(Wrong::IgnoresPing) {
                    self.send(&[&[193], body].concat());
                }
                Ok(())
            }
            193 => {
                self.hangs |= self.is(Wrong::HangsAtPong);
                Ok(())
            }
            _ => {
                self.on_unknown();
                Ok(())
            }
        }
    }

    pub(super) fn on_out_of_turn(&mut self, id: u8) -> Handled {
        if self.is(Wrong::IgnoresOutOfTurn) {
            return Ok(());
        }
        if self.is(Wrong::StartsOver) {
            self.send_kexinit();
            return Ok(());
        }
        let served = match id {
            5 if self.is(Wrong::ServesInClear) => Some(&[6][..]),
            50 if self.is(Wrong::ServesInClear) => Some(&[52][..]),
            80 if self.is(Wrong::ServesInClear) => Some(&[82][..]),
            90 if self.is(Wrong::ServesInClear) => Some(&[91][..]),
            _ => None,
        };
        if let Some(answer) = served {
            self.send_now(answer);
            return Ok(());
        }
        if self.is(Wrong::AnswersInStrict) {
            self.unimplemented();
            return Ok(());
        }
        Err(Malformed)
    }

    pub(super) fn on_unknown(&mut self) {
        if self.is(Wrong::EndsAtUnknown) {
            self.end(2);
        } else if !self.is(Wrong::IgnoresUnknown) {
            self.unimplemented();
        }
    }

    pub(super) fn unimplemented(&mut self) {
        let off = u32::from(self.is(Wrong::MiscountsUnimplemented));
        let number = self.number.wrapping_add(off);
        self.send_now(&[&[3][..], &number.to_be_bytes()].concat());
    }

    fn on_disconnect(&mut self, body: &[u8]) {
        let odd = body.len() < 12 || body.starts_with(&[0xff; 4]);
        if self.is(Wrong::IgnoresDisconnect) || odd && self.is(Wrong::IgnoresOddDisconnect) {
            return;
        }
        self.ended = true;
    }

    fn on_ignore(&mut self, body: &[u8]) -> Handled {
        if self.inbound.key.is_some() && self.is(Wrong::DoesNotCountIgnore) {
            self.inbound.number = self.inbound.number.wrapping_sub(1);
        }
        if self.is(Wrong::EndsAtIgnore) {
            return Err(Malformed);
        }
        if self.is(Wrong::AnswersIgnore) {
            self.unimplemented();
        }
        if self.is(Wrong::HangsAtMalformed) {
            Reader::new(body).string("data", STRING_MAX)?;
        }
        Ok(())
    }

    fn on_unimplemented(&mut self, body: &[u8]) -> Handled {
        Reader::new(body).u32("number")?;
        if self.is(Wrong::AnswersUnimplemented) {
            self.unimplemented();
        }
        Ok(())
    }

    fn on_debug(&mut self, body: &[u8]) -> Handled {
        let mut r = Reader::new(body);
        r.bool("display")?;
        r.string("text", STRING_MAX)?;
        if self.is(Wrong::EndsAtDebug) {
            return Err(Malformed);
        }
        Ok(())
    }

    /// Sends a message, behind a key exchange that is under way.
    pub(super) fn send(&mut self, payload: &[u8]) {
        self.rekey_if_due();
        let held = self.kex.holds_output() && !self.is(Wrong::SendsInRekey);
        if held {
            if !self.is(Wrong::DropsInRekey) {
                self.queued.push(payload.to_vec());
            }
        } else {
            self.send_now(payload);
        }
    }

    /// Sends a message that belongs to the transport.
    pub(super) fn send_now(&mut self, payload: &[u8]) {
        if !self.hangs {
            self.note_bytes(payload);
            self.outbound.seal(payload, &mut self.out);
        }
    }

    /// What waited for the end of a key exchange.
    pub(super) fn flush(&mut self) {
        for payload in std::mem::take(&mut self.queued) {
            self.send_now(&payload);
        }
    }

    /// Ends the connection and says why.
    pub(super) fn end(&mut self, reason: u32) {
        if self.ended {
            return;
        }
        let mut w = Writer::new();
        w.u8(1).u32(reason).string(b"").string(b"");
        let bytes = w.into_bytes();
        self.send_now(&bytes);
        self.ended = true;
    }
}
