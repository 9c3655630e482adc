//! What a scenario for servers needs to log in: nothing, anything, or a certain thing. A server that
//! nobody gave us credentials for can still be asked everything else.

use crate::peer::Capabilities;
use crate::scenario::{Happening, Prelude, Scenario, StepKind, Value};

/// Which credential a server must take, in the words of a reason; `None` if it takes what is needed.
pub(super) fn lacking(scenario: &Scenario, server: &Capabilities) -> Option<&'static str> {
    let Capabilities {
        server_key: key,
        server_password: password,
        ..
    } = server;
    let methods = methods_that_succeed(scenario);
    if methods.contains(&Method::Publickey) && !key {
        Some("lets nobody in with a key here")
    } else if methods.contains(&Method::Password) && !password {
        Some("lets nobody in with a password here")
    } else if methods.contains(&Method::Any) && !key && !password {
        Some("lets nobody in here")
    } else {
        None
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Any,
    Publickey,
    Password,
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
