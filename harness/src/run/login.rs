//! What a scenario for servers needs to log in: nothing, anything, or a certain thing. A server that
//! nobody gave us credentials for can still be asked everything else.

use crate::peer::Capabilities;
use crate::scenario::{Happening, Prelude, Scenario, StepKind, Value};

/// Which way in a scenario wants that the server does not have; `None` if it takes what is needed.
pub(super) fn lacking(scenario: &Scenario, server: &Capabilities) -> Option<Method> {
    let Capabilities {
        server_key: key,
        server_password: password,
        ..
    } = server;
    let methods = methods_that_succeed(scenario);
    if methods.contains(&Method::Publickey) && !key {
        Some(Method::Publickey)
    } else if methods.contains(&Method::Password) && !password {
        Some(Method::Password)
    } else if methods.contains(&Method::Any) && !key && !password {
        Some(Method::Any)
    } else {
        None
    }
}

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// Whichever there is.
    Any,
    /// A key.
    Publickey,
    /// A password.
    Password,
}

impl Method {
    /// That a server does not have it, to be read after its name.
    pub(super) fn refused(self) -> &'static str {
        match self {
            Self::Any => "lets nobody in here",
            Self::Publickey => "lets nobody in with a key here",
            Self::Password => "lets nobody in with a password here",
        }
    }

    /// That nobody tried, since whoever started the run gave us nothing to try with. To be read
    /// after the name of a live server.
    pub(super) fn not_tried(self) -> &'static str {
        match self {
            Self::Any => "was not asked to let anybody in: there was nothing to log in with",
            Self::Publickey => "was not asked to let anybody in with a key: there was none",
            Self::Password => "was not asked to let anybody in with a password: there was none",
        }
    }

    /// What to add to the command line so that it is tried.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::Any => {
                "add --user NAME, and --identity FILE or the password in the variable \
                 SSHDRILL_PASSWORD"
            }
            Self::Publickey => "add --user NAME and --identity FILE",
            Self::Password => "add --user NAME, and the password in the variable SSHDRILL_PASSWORD",
        }
    }
}

/// How somebody gets in: by a prelude, or by the request before the line that wants success.
fn methods_that_succeed(scenario: &Scenario) -> Vec<Method> {
    let mut found = Vec::new();
    let mut asked = None;
    for step in &scenario.steps {
        match &step.kind {
            StepKind::Prelude(Prelude::Login | Prelude::Session, _) => found.push(Method::Any),
            StepKind::Send(send) if send.verb == "userauth-request" => {
                let method = send.fields.iter().find(|field| field.name == "method");
                asked = match method.map(|field| &field.value) {
                    Some(Value::Text(name)) if name == b"password" => Some(Method::Password),
                    Some(Value::Text(name)) if name == b"none" => None,
                    _ => Some(Method::Publickey),
                };
            }
            StepKind::Expect(expect) => {
                let is_success = |happening: &Happening| {
                    matches!(happening, Happening::Message(message)
                        if matches!(&*message.verb, "userauth-success" | "userauth-pk-ok"))
                };
                if expect.alternatives.iter().any(|a| is_success(&a.what)) {
                    found.extend(asked);
                }
            }
            _ => {}
        }
    }
    found
}
