//! Who may log in: the callbacks of a server program.

use crate::crypto::PublicKey;
use crate::engine::{AuthAnswer, AuthQuestion, Password, Proof};

type OnPublickey = Box<dyn FnMut(&str, &PublicKey, bool) -> bool + Send>;
type OnPassword = Box<dyn FnMut(&str, &Password) -> bool + Send>;
type OnBanner = Box<dyn FnMut(&str, bool, Option<&PublicKey>) -> Option<String> + Send>;

/// Decides who may log in. Start from one method, add others: what is not there is refused, so
/// that there is always at least one way in.
pub struct AuthPolicy {
    publickey: Option<OnPublickey>,
    password: Option<OnPassword>,
    banner: Option<OnBanner>,
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
            password: None,
            banner: None,
        }
    }

    /// By password.
    #[must_use]
    pub fn password(callback: impl FnMut(&str, &Password) -> bool + Send + 'static) -> Self {
        Self {
            publickey: None,
            password: Some(Box::new(callback)),
            banner: None,
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

    /// The answer, and whether a yes means that the user is in.
    pub(super) fn judge(&mut self, question: &AuthQuestion) -> (AuthAnswer, bool) {
        let user = &question.user;
        let (accept, key, is_final) = match &question.proof {
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

impl std::fmt::Debug for AuthPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthPolicy")
            .field("publickey", &self.publickey.is_some())
            .field("password", &self.password.is_some())
            .finish_non_exhaustive()
    }
}
