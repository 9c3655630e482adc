//! What came against what a step demands.

use std::time::{Duration, Instant};

use super::endpoint::Endpoint;
use super::link::Incoming;
use super::message::{Message, bytes_of};
use super::{Fault, Stop};
use crate::scenario::verbs::{Kind, Verb};
use crate::scenario::{Closed, Expect, FieldPattern, FieldTest, MessagePattern, Value};

/// `DISCONNECT` names its reason in this field.
const REASON: &str = "reason";

impl Endpoint<'_> {
    /// A `<` line.
    pub(super) fn expect(&mut self, expect: &Expect) -> Result<(), Stop> {
        let limit = expect.within.unwrap_or(self.setup.step_limit);
        let deadline = Instant::now() + limit;
        loop {
            let Some(incoming) = self.receive(deadline)? else {
                return if expect.optional {
                    Ok(())
                } else {
                    Err(self.nothing_came(limit))
                };
            };
            if self.satisfies(&incoming, expect) {
                return self.accept(&incoming);
            }
            match &incoming {
                Incoming::Message { message, .. } if message.verb.ambient && !expect.strict => {
                    self.accept(&incoming)?;
                    self.answer_ambient(message)?;
                }
                _ if expect.optional => {
                    self.unused = Some(incoming);
                    return Ok(());
                }
                _ => return Err(Stop::subject(describe(&incoming))),
            }
        }
    }

    /// A `< closed` line: notes how it was closed, if not as asked.
    pub(super) fn expect_closed(&mut self, closed: &Closed) -> Result<Option<String>, Stop> {
        let limit = closed.within.unwrap_or(self.setup.step_limit);
        let deadline = Instant::now() + limit;
        loop {
            match self.receive(deadline)? {
                Some(Incoming::Closed) => return Ok(grade(None, &closed.reasons)),
                Some(Incoming::Message { message, .. }) if message.is("disconnect") => {
                    return Ok(grade(message.number(REASON), &closed.reasons));
                }
                // Words to a person who came through the wrong door, such as OpenSSH's to a client
                // of the first version. What counts is that the end comes.
                Some(Incoming::Unreadable(_)) => {}
                Some(incoming @ Incoming::Message { .. }) if is_ambient(&incoming) => {
                    self.accept(&incoming)?;
                }
                Some(incoming) => return Err(Stop::subject(describe(&incoming))),
                None => return Err(self.nothing_came(limit)),
            }
        }
    }

    fn accept(&mut self, incoming: &Incoming) -> Result<(), Stop> {
        match incoming {
            Incoming::Message { message, payload } => {
                self.note_received(message, payload).map_err(Stop::subject)
            }
            _ => Ok(()),
        }
    }

    fn nothing_came(&self, limit: Duration) -> Stop {
        if Instant::now() >= self.deadline {
            let limit = self.setup.case_limit;
            return Stop::subject(format!(
                "nothing, and the {limit:?} of the whole case are over"
            ));
        }
        Stop::subject(format!("nothing within {limit:?}"))
    }

    fn satisfies(&self, incoming: &Incoming, expect: &Expect) -> bool {
        let Incoming::Message { message, payload } = incoming else {
            return false;
        };
        expect
            .alternatives
            .iter()
            .any(|pattern| self.matches(message, payload, pattern))
    }

    fn matches(&self, message: &Message, payload: &[u8], pattern: &MessagePattern) -> bool {
        let raw;
        let message = if pattern.verb == Verb::raw().name {
            raw = Message::raw(payload);
            &raw
        } else {
            message
        };
        message.is(&pattern.verb) && pattern.fields.iter().all(|field| self.fits(message, field))
    }

    fn fits(&self, message: &Message, pattern: &FieldPattern) -> bool {
        let Some(value) = message.value(&pattern.name) else {
            return false;
        };
        let kind = message.verb.field(&pattern.name).map(|field| field.kind);
        match &pattern.test {
            FieldTest::OneOf(wanted) => wanted.iter().any(|wanted| self.equal(value, wanted, kind)),
            FieldTest::Contains(part) => contains(value, part, kind),
        }
    }

    fn equal(&self, value: &Value, wanted: &Value, kind: Option<Kind>) -> bool {
        match (value, wanted) {
            (Value::Number(number), Value::Text(_)) if kind == Some(Kind::SequenceNumber) => {
                *number == u64::from(self.last_sequence_number)
            }
            (Value::Text(_) | Value::Bytes(_), Value::Text(_) | Value::Bytes(_)) => {
                bytes_of(value) == bytes_of(wanted)
            }
            _ => value == wanted,
        }
    }
}

fn is_ambient(incoming: &Incoming) -> bool {
    matches!(incoming, Incoming::Message { message, .. } if message.verb.ambient)
}

/// `~`: a name of a list, a glob for a line, a piece of a text.
fn contains(value: &Value, part: &str, kind: Option<Kind>) -> bool {
    match value {
        Value::Names(names) => names.iter().any(|name| name == part),
        _ if kind == Some(Kind::Line) => glob(part.as_bytes(), bytes_of(value)),
        _ => {
            part.is_empty()
                || bytes_of(value)
                    .windows(part.len())
                    .any(|w| w == part.as_bytes())
        }
    }
}

/// `*` stands for any bytes, everything else for itself.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let mut pieces = pattern.split(|byte| *byte == b'*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let found =
            (0..=rest.len()).find(|at| rest.get(*at..).is_some_and(|r| r.starts_with(piece)));
        let Some(at) = found else { return false };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    true
}

/// How a close falls short of what was asked, if it does.
fn grade(reason: Option<u32>, wanted: &[u32]) -> Option<String> {
    if wanted.is_empty() || reason.is_some_and(|reason| wanted.contains(&reason)) {
        return None;
    }
    let how = match reason {
        Some(reason) => format!("with DISCONNECT(1) of reason {reason}"),
        None => "without a DISCONNECT(1)".to_owned(),
    };
    let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    Some(format!(
        "closed {how}; reason {} says more",
        wanted.join(" or ")
    ))
}

/// What came, in a line.
pub(super) fn describe(incoming: &Incoming) -> String {
    match incoming {
        Incoming::Message { message, .. } => describe_message(message),
        Incoming::Undecodable { id, why } => format!("{id}, which {why}"),
        Incoming::Unreadable(unreadable) => unreadable.0.clone(),
        Incoming::Closed => "the end of the stream".to_owned(),
    }
}

pub(super) fn describe_message(message: &Message) -> String {
    let name = match message.verb.message {
        Some(id) => id.to_string(),
        None => message.verb.name.to_owned(),
    };
    let fields = message
        .describe()
        .into_iter()
        .map(|field| format!("{}={}", field.name, field.value));
    std::iter::once(name)
        .chain(fields)
        .collect::<Vec<_>>()
        .join(" ")
}

impl Stop {
    /// Another message than those of a prelude.
    pub(super) fn unexpected(wanted: &[&str], message: &Message) -> Self {
        Self::Fault(Fault {
            expected: Some(names(wanted)),
            actual: describe_message(message),
        })
    }

    /// No message at all.
    pub(super) fn instead(wanted: &[&str], incoming: Option<&Incoming>) -> Self {
        let actual = incoming.map_or("nothing in time".to_owned(), describe);
        Self::Fault(Fault {
            expected: Some(names(wanted)),
            actual,
        })
    }
}

/// The messages of these verbs as the RFC calls them.
fn names(verbs: &[&str]) -> String {
    let name = |verb: &&str| {
        let id = Verb::named(verb).and_then(|verb| verb.message);
        id.map_or_else(|| (*verb).to_owned(), |id| id.to_string())
    };
    verbs.iter().map(name).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_stands_for_the_whole_line() {
        for (pattern, text, fits) in [
            ("SSH-2.0-*", "SSH-2.0-OpenSSH_9.2", true),
            ("SSH-2.0-*", "SSH-1.99-x", false),
            ("SSH-*-Open*", "SSH-2.0-OpenSSH", true),
            ("SSH-*-Open*_9", "SSH-2.0-OpenSSH_9", true),
            ("SSH-*-Open*_9", "SSH-2.0-OpenSSH_9.2", false),
            ("SSH", "SSH", true),
            ("SSH", "SSH-2.0", false),
            ("*", "", true),
        ] {
            assert_eq!(
                glob(pattern.as_bytes(), text.as_bytes()),
                fits,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn a_close_is_graded_by_its_reason() {
        assert_eq!(grade(Some(2), &[2, 3]), None);
        assert_eq!(grade(None, &[]), None);
        insta::assert_snapshot!(grade(None, &[2, 3]).unwrap_or_default(), @"closed without a DISCONNECT(1); reason 2 or 3 says more");
        insta::assert_snapshot!(grade(Some(11), &[3]).unwrap_or_default(), @"closed with DISCONNECT(1) of reason 11; reason 3 says more");
    }
}
