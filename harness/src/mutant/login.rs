//! Service and user authentication, of both roles.

use minissh::crypto::PublicKey;
use minissh::msg::names::{SSH_CONNECTION, SSH_ED25519, SSH_USERAUTH};
use minissh::wire::{Reader, Writer};

use super::machine::{Handled, Machine, Malformed, STRING_MAX};
use super::wrong::Wrong;

/// A server ends the connection at the next failure.
const FAILURES_MAX: u32 = 6;

/// How far the login is.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not a state"
)]
pub(super) struct Login {
    service: bool,
    requested: bool,
    pub(super) done: bool,
    failures: u32,
    /// User and service of the first request.
    who: Option<(Vec<u8>, Vec<u8>)>,
    /// A query was answered well.
    queried: bool,
}

impl Machine {
    pub(super) fn begin_login(&mut self) {
        let service = if self.is(Wrong::WantsAnotherService) {
            "ssh-other"
        } else {
            SSH_USERAUTH
        };
        let mut w = Writer::new();
        w.u8(5).string(service.as_bytes());
        self.send_now(&w.into_bytes());
    }

    pub(super) fn on_login_message(&mut self, id: u8, body: &[u8], payload: &[u8]) -> Handled {
        match (id, self.is_server) {
            (5, true) => self.on_service_request(body),
            (5, false) if self.is(Wrong::ServesAsClient) => {
                self.send(&[&[6][..], body].concat());
                Ok(())
            }
            (6, false) if self.is(Wrong::HangsAtOtherService) && !body.ends_with(b"userauth") => {
                self.hangs = true;
                Ok(())
            }
            (6, false) if !self.login.service => {
                self.on_service_accept();
                Ok(())
            }
            (7, _) => self.on_ext_info(body),
            (50, true) => self.on_request(body, payload),
            (51, false) if !self.login.done => {
                self.on_failure();
                Ok(())
            }
            (52, false) => self.on_success(),
            (53, false) => self.on_banner(),
            (60, false) if self.is(Wrong::SignsForAnyKey) && !self.login.done => {
                self.send_request();
                Ok(())
            }
            (60, false) if self.is(Wrong::BelievesChangeRequest) => self.on_success(),
            (60, false) if !self.login.done => Err(Malformed),
            (52, true) if self.is(Wrong::BelievesSuccessOfClient) => {
                self.login.done = true;
                Ok(())
            }
            (61, true) if self.is(Wrong::BelievesResponses) => {
                self.send(&[52]);
                Ok(())
            }
            (51..=61, true) if self.is(Wrong::TakesAnswersOfServers) => Ok(()),
            _ => {
                self.on_unknown();
                Ok(())
            }
        }
    }

    fn on_service_request(&mut self, body: &[u8]) -> Handled {
        let mut name = Reader::new(body).string("service", STRING_MAX)?;
        if self.is(Wrong::CutsServiceAtNul)
            && let Some(nul) = name.iter().position(|byte| *byte == 0)
        {
            name = &name[..nul];
        }
        if self.login.service && self.is(Wrong::HangsAtSecondService) {
            self.hangs = true;
        }
        if name != SSH_USERAUTH.as_bytes() && !self.is(Wrong::GivesAnyService) {
            self.end(7);
            return Ok(());
        }
        if self.is(Wrong::SendsExtInfoLate) && self.kex.wants_ext_info {
            self.send_ext_info();
        }
        self.login.service = true;
        let named: &[u8] = if self.is(Wrong::AcceptsOtherName) {
            b"ssh-other"
        } else {
            name
        };
        let mut w = Writer::new();
        w.u8(6).string(named);
        self.send(&w.into_bytes());
        Ok(())
    }

    fn on_ext_info(&mut self, body: &[u8]) -> Handled {
        let refuses =
            self.is(Wrong::EndsAtExtInfo) || self.login.done && self.is(Wrong::EndsAtLateExtInfo);
        if refuses {
            return Err(Malformed);
        }
        if self.is(Wrong::HangsAtLateExtInfo) && self.is_server && self.login.service {
            self.hangs = true;
        }
        let mut r = Reader::new(body);
        let count = r.u32("count")?;
        for _ in 0..count.min(1024) {
            let name = r.string("name", STRING_MAX)?;
            let value = r.string("value", STRING_MAX)?;
            let known = name == b"server-sig-algs";
            if !known && self.is(Wrong::EndsAtUnknownExtension) {
                return Err(Malformed);
            }
            if known && value == b"rsa-sha2-256" && self.is(Wrong::HangsWithoutScheme) {
                self.hangs = true;
            }
        }
        Ok(())
    }

    fn on_request(&mut self, body: &[u8], payload: &[u8]) -> Handled {
        if !self.login.service && !self.is(Wrong::LogsInWithoutService) {
            self.unimplemented();
            return Ok(());
        }
        if self.login.done {
            if self.is(Wrong::AnswersAfterSuccess) {
                self.send(&[52]);
            }
            return Ok(());
        }
        let mut r = Reader::new(body);
        let user = r.string("user", STRING_MAX)?.to_vec();
        let service = r.string("service", STRING_MAX)?.to_vec();
        let method = r.string("method", STRING_MAX)?.to_vec();
        let who = (user.clone(), service.clone());
        let changed = self.login.who.as_ref().is_some_and(|first| *first != who);
        if changed {
            if self.is(Wrong::LetsChangedUserIn) {
                self.succeed();
                return Ok(());
            }
            self.end(2);
            return Ok(());
        }
        self.login.who = Some(who);
        let granted = match &method[..] {
            b"none" => self.is(Wrong::LetsNoneIn),
            b"publickey" => match self.on_publickey(&user, &service, &mut r, payload)? {
                Some(granted) => granted,
                None => return Ok(()),
            },
            b"password" => self.takes_password(&user, &mut r)?,
            b"hostbased" => self.is(Wrong::BelievesHosts),
            b"keyboard-interactive" => self.is(Wrong::BelievesKeyboards),
            _ if self.is(Wrong::EndsAtUnknownMethod) => return Err(Malformed),
            _ => false,
        };
        if granted && !self.is(Wrong::LetsNobodyIn) {
            self.succeed();
        } else {
            self.fail(&method);
        }
        Ok(())
    }

    fn succeed(&mut self) {
        self.login.done = true;
        self.send(&[52]);
    }

    fn fail(&mut self, method: &[u8]) {
        if method != b"none" {
            self.login.failures += 1;
        }
        if self.login.failures >= FAILURES_MAX && !self.is(Wrong::CountsNoFailures) {
            self.end(2);
            return;
        }
        let methods: &[u8] = if self.is(Wrong::ListsNone) {
            b"none,publickey,password"
        } else if self.is(Wrong::ListsNothing) {
            b""
        } else {
            b"publickey,password"
        };
        let partial = self.is(Wrong::SaysPartialSuccess);
        let mut w = Writer::new();
        w.u8(51).string(methods).bool(partial);
        self.send(&w.into_bytes());
    }

    fn is_user(&self, user: &[u8]) -> bool {
        let user = match user.iter().position(|byte| *byte == 0) {
            Some(nul) if self.is(Wrong::CutsUserAtNul) => &user[..nul],
            _ => user,
        };
        user == self.secrets.user.as_bytes() || self.is(Wrong::LetsAnyUserIn)
    }

    /// Whether the user is let in; `None` when a query was answered.
    fn on_publickey(
        &mut self,
        user: &[u8],
        service: &[u8],
        r: &mut Reader<'_>,
        payload: &[u8],
    ) -> Result<Option<bool>, Malformed> {
        let signed = r.bool("signed")?;
        let algorithm = r.string("algorithm", STRING_MAX)?.to_vec();
        let blob = r.string("key", STRING_MAX)?.to_vec();
        let right = blob == self.secrets.user_key.public_key().to_blob();
        let parsed = PublicKey::from_blob(&blob);
        if parsed.is_err() && self.is(Wrong::HangsAtMalformedKey) {
            self.hangs = true;
        }
        let queried = self.is(Wrong::TrustsQueriedKey) && self.login.queried;
        let acceptable = (right || self.is(Wrong::AcceptsAnyKey) || queried)
            && self.is_user(user)
            && (algorithm == SSH_ED25519.as_bytes() || self.is(Wrong::AcceptsAnyAlgorithm))
            && (service == SSH_CONNECTION.as_bytes() || self.is(Wrong::LogsInToAnyService));
        if !signed {
            if !acceptable {
                return Ok(Some(false));
            }
            if self.is(Wrong::LetsQueriesIn) {
                return Ok(Some(true));
            }
            self.login.queried = true;
            let mut w = Writer::new();
            w.u8(60).string(&algorithm).string(&blob);
            self.send(&w.into_bytes());
            return Ok(None);
        }
        let covered = payload.len() - r.peek_rest().len();
        let signature = r.string("signature", STRING_MAX)?.to_vec();
        if !r.rest().is_empty() && !self.is(Wrong::TakesTrailingRequest) {
            return Err(Malformed);
        }
        let mut w = Writer::new();
        w.string(&self.kex.session_id.unwrap_or_default());
        w.raw(&payload[..covered]);
        let verified = self.is(Wrong::VerifiesNothing)
            || queried
            || parsed.is_ok_and(|key| key.verify(&w.into_bytes(), &signature).is_ok());
        Ok(Some(acceptable && verified))
    }

    fn takes_password(&self, user: &[u8], r: &mut Reader<'_>) -> Result<bool, Malformed> {
        let changes = r.bool("change")?;
        let password = r.string("password", STRING_MAX)?;
        if changes {
            return Ok(self.is(Wrong::TakesPasswordChange));
        }
        let ours = self.secrets.password.as_bytes();
        let cut = password.split(|byte| *byte == 0).next().unwrap_or_default();
        let right = password == ours
            || self.is(Wrong::TakesAnyPassword)
            || self.is(Wrong::TakesStartOfPassword) && ours.starts_with(cut);
        Ok(right && self.is_user(user))
    }

    // The client.

    fn on_service_accept(&mut self) {
        self.login.service = true;
        self.send_request();
    }

    fn send_request(&mut self) {
        self.login.requested = true;
        let key = &self.secrets.user_key;
        let mut w = Writer::new();
        w.u8(50).string(self.secrets.user.as_bytes());
        w.string(SSH_CONNECTION.as_bytes())
            .string(b"publickey")
            .bool(true);
        w.string(SSH_ED25519.as_bytes())
            .string(&key.public_key().to_blob());
        let request = w.into_bytes();
        let mut w = Writer::new();
        w.string(&self.kex.session_id.unwrap_or_default())
            .raw(&request);
        let signature = key.sign(&w.into_bytes());
        let mut w = Writer::appending_to(request);
        w.string(&signature);
        self.send(&w.into_bytes());
    }

    fn on_failure(&mut self) {
        if self.is(Wrong::AsksForEver) {
            self.send_request();
        } else if self.is(Wrong::HangsAtFailure) {
            self.hangs = true;
        } else {
            self.end(14);
        }
    }

    fn on_success(&mut self) -> Handled {
        if self.is(Wrong::IgnoresSuccess) {
            return Ok(());
        }
        if self.login.done {
            if self.is(Wrong::HangsAtSecondSuccess) {
                self.hangs = true;
            } else {
                self.on_unknown();
            }
            return Ok(());
        }
        if !self.login.requested && !self.is(Wrong::BelievesSuccessUnasked) {
            return Err(Malformed);
        }
        self.login.done = true;
        self.open_session();
        Ok(())
    }

    fn on_banner(&mut self) -> Handled {
        let late = self.login.done && self.is(Wrong::EndsAtLateBanner);
        if self.is(Wrong::EndsAtBanner) || late {
            return Err(Malformed);
        }
        Ok(())
    }
}
