//! Who may log in: the callbacks of a server program.

use crate::crypto::PublicKey;
use crate::engine::{AuthAnswer, AuthMethods, AuthQuestion, Password, Proof};

type OnPublickey = Box<dyn FnMut(&str, &PublicKey, bool) -> bool + Send>;
type OnPassword = Box<dyn FnMut(&str, &Password) -> bool + Send>;
type OnOtherKey = Box<dyn FnMut(&str, &str) -> Option<String> + Send>;
type OnNone = Box<dyn FnMut(&str) -> Option<String> + Send>;
type OnBanner = Box<dyn FnMut(&str, bool, Option<&PublicKey>) -> Option<String> + Send>;

/// Decides who may log in. Start from one method, add others: what is not there is refused, so
/// that there is always at least one way in.
pub struct AuthPolicy {
    publickey: Option<OnPublickey>,
    password: Option<OnPassword>,
    banner: Option<OnBanner>,
    other_key: Option<OnOtherKey>,
    none: Option<OnNone>,
}

impl AuthPolicy {
    /// By key. The callback is given user, key, and whether the signature is there and verified:
    /// `false` is a probe whether the key would do, `true` is the login itself.
    #[must_use]
    pub fn publickey(
        callback: impl FnMut(&str, &PublicKey, bool) -> bool + Send + 'static,
    ) -> Self {
        Self {
            publickey: Some(Box::new(callback)),
            ..Self::nothing()
        }
    }

    /// By password.
    #[must_use]
    pub fn password(callback: impl FnMut(&str, &Password) -> bool + Send + 'static) -> Self {
        Self {
            password: Some(Box::new(callback)),
            ..Self::nothing()
        }
    }

    fn nothing() -> Self {
        Self {
            publickey: None,
            password: None,
            banner: None,
            other_key: None,
            none: None,
        }
    }

    /// By password as well.
    #[must_use]
    pub fn or_password(
        mut self,
        callback: impl FnMut(&str, &Password) -> bool + Send + 'static,
    ) -> Self {
        self.password = Some(Box::new(callback));
        self
    }

    /// With a text before each verdict. The callback is given user, verdict, and the key if one
    /// was shown.
    #[must_use]
    pub fn with_banner(
        mut self,
        callback: impl FnMut(&str, bool, Option<&PublicKey>) -> Option<String> + Send + 'static,
    ) -> Self {
        self.banner = Some(Box::new(callback));
        self
    }

    /// With a text for those who show a key of an algorithm that we do not speak, before they are
    /// refused. The callback is given user and algorithm.
    ///
    /// An OpenSSH client that has read which algorithms we verify does not even show its RSA keys:
    /// it asks with `none` and leaves. See [`Self::on_none`].
    #[must_use]
    pub fn on_other_key(
        mut self,
        callback: impl FnMut(&str, &str) -> Option<String> + Send + 'static,
    ) -> Self {
        self.other_key = Some(Box::new(callback));
        self
    }

    /// With a text for those who ask which methods there are, as OpenSSH does first thing in every
    /// login. The callback is given the user.
    #[must_use]
    pub fn on_none(
        mut self,
        callback: impl FnMut(&str) -> Option<String> + Send + 'static,
    ) -> Self {
        self.none = Some(Box::new(callback));
        self
    }

    /// What may lead to a login.
    pub(super) fn methods(&self) -> AuthMethods {
        AuthMethods {
            publickey: self.publickey.is_some(),
            password: self.password.is_some(),
        }
    }

    /// The answer, and whether a yes means that the user is in.
    pub(super) fn judge(&mut self, question: &AuthQuestion) -> (AuthAnswer, bool) {
        let user = &question.user;
        let (accept, key, is_final) = match &question.proof {
            Proof::None => {
                let banner = self.none.as_mut().and_then(|say| say(user));
                return (refusal(banner), true);
            }
            Proof::OtherKey { algorithm } => {
                let banner = self.other_key.as_mut().and_then(|say| say(user, algorithm));
                return (refusal(banner), true);
            }
            Proof::Publickey { key, signed } => {
                let ask = self.publickey.as_mut();
                (
                    ask.is_some_and(|ask| ask(user, key, *signed)),
                    Some(key),
                    *signed,
                )
            }
            Proof::Password(password) => {
                let ask = self.password.as_mut();
                (ask.is_some_and(|ask| ask(user, password)), None, true)
            }
        };
        // A probe that would do has no verdict yet.
        let has_verdict = is_final || !accept;
        let banner = self
            .banner
            .as_mut()
            .filter(|_| has_verdict)
            .and_then(|ask| ask(user, accept, key));
        (AuthAnswer { accept, banner }, is_final)
    }
}

fn refusal(banner: Option<String>) -> AuthAnswer {
    AuthAnswer {
        accept: false,
        banner,
    }
}

impl std::fmt::Debug for AuthPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthPolicy")
            .field("publickey", &self.publickey.is_some())
            .field("password", &self.password.is_some())
            .finish_non_exhaustive()
    }
}
