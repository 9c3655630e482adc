//! What came against what a step demands.

use std::time::{Duration, Instant};

use super::endpoint::Endpoint;
use super::link::Incoming;
use super::message::{Message, bytes_of};
use super::{Fault, Stop};
use crate::scenario::verbs::{Kind, Verb};
use crate::scenario::{
    Alternative, Closed, Expect, FieldPattern, FieldTest, Happening, MessagePattern, Quiet, Value,
};
use crate::wording;

/// The hint of a case whose subject said nothing.
const HANGS: &str = "if it hangs, its log, among those of the case, may say where";

/// `DISCONNECT` names its reason in this field.
const REASON: &str = "reason";

/// How a step ended that did not fail.
#[derive(Debug, Default)]
pub(super) struct Came {
    /// What is to be said of it.
    pub(super) note: Option<String>,
    /// It was only tolerated.
    pub(super) tolerated: bool,
    /// The connection is over, and the scenario with it.
    pub(super) ended: bool,
}

impl Endpoint<'_> {
    /// A `<` line.
    pub(super) fn expect(&mut self, expect: &Expect) -> Result<Came, Stop> {
        if expect.optional && expect.within.is_none() {
            // It need not be waited for: whoever waits next will take it.
            self.optional.push(expect.clone());
            return Ok(Came::default());
        }
        let limit = expect.within.unwrap_or(self.setup.step_limit);
        if let Some(pattern) = summed(expect) {
            return self.expect_data(pattern, limit);
        }
        let quiet = expect
            .alternatives
            .iter()
            .find_map(|alternative| match alternative.what {
                Happening::Quiet(lasts) => Some((lasts, alternative)),
                _ => None,
            });
        let deadline = Instant::now() + quiet.map_or(limit, |(lasts, _)| lasts);
        loop {
            let Some(incoming) = self.receive(deadline)? else {
                return match quiet {
                    Some((_, alternative)) if Instant::now() < self.deadline => {
                        Ok(graded(alternative, "it was quiet"))
                    }
                    _ if expect.optional => Ok(Came::default()),
                    _ => Err(self.nothing_came(limit)),
                };
            };
            if let Some(alternative) = self.satisfied(&incoming, expect) {
                return self.take(&incoming, alternative);
            }
            let can_close = expect
                .alternatives
                .iter()
                .any(|alternative| matches!(alternative.what, Happening::Closed(_)));
            match incoming {
                incoming
                    if (!expect.strict || incoming.may_come_any_time())
                        && self.passes_over(&incoming, deadline)? => {}
                Incoming::Unreadable(_) if can_close => {}
                incoming if expect.optional => {
                    self.unused.push_front(incoming);
                    return Ok(Came::default());
                }
                incoming => return Err(Stop::subject(describe(&incoming))),
            }
        }
    }

    /// Data that comes in as many messages as the subject likes.
    fn expect_data(&mut self, pattern: &MessagePattern, limit: Duration) -> Result<Came, Stop> {
        let deadline = Instant::now() + limit;
        let (all, total) = self.wanted_of(pattern)?;
        let one = MessagePattern {
            fields: pattern
                .fields
                .iter()
                .filter(|field| !matches!(field.name.as_str(), "all" | "total"))
                .cloned()
                .collect(),
            ..pattern.clone()
        };
        let mut came = Vec::new();
        while came.len() < total {
            let incoming = self.receive(deadline)?;
            let so_far = came.len();
            let Some(incoming) = incoming else {
                let limit = wording::time(limit);
                let actual = format!("{so_far} of {total} bytes within {limit}");
                return Err(Stop::subject(actual));
            };
            match &incoming {
                Incoming::Message { message, payload } if self.matches(message, payload, &one) => {
                    self.accept(&incoming)?;
                    self.bind(message, &one);
                    came.extend_from_slice(message.bytes("data"));
                }
                _ if self.passes_over(&incoming, deadline)? => continue,
                _ => {
                    let what = describe(&incoming);
                    return Err(Stop::subject(format!(
                        "{what} after {so_far} of {total} bytes"
                    )));
                }
            }
            if came.len() > total {
                let actual = format!("{} bytes, where {total} are wanted", came.len());
                return Err(Stop::subject(actual));
            }
            if let Some(all) = all.as_deref()
                && !all.starts_with(&came)
            {
                let same = all.iter().zip(&came).take_while(|(a, b)| a == b).count();
                return Err(Stop::subject(format!("other bytes from byte {same} on")));
            }
        }
        Ok(Came::default())
    }

    /// What all data must be, if that is said, and how long it is.
    fn wanted_of(&self, pattern: &MessagePattern) -> Result<(Option<Vec<u8>>, usize), Stop> {
        let test = |name: &str| match &pattern.fields.iter().find(|f| f.name == name)?.test {
            FieldTest::OneOf(values) => values.first(),
            _ => None,
        };
        if let Some(all) = test("all") {
            let all = self.value_of(all, None)?;
            return Ok((Some(bytes_of(&all).to_vec()), bytes_of(&all).len()));
        }
        let total = test("total")
            .map(|total| self.value_of(total, None))
            .transpose()?;
        let total = total.as_deref().and_then(|total| match total {
            Value::Number(total) => usize::try_from(*total).ok(),
            _ => None,
        });
        Ok((None, total.unwrap_or_default()))
    }

    /// What came satisfied an alternative.
    fn take(&mut self, incoming: &Incoming, alternative: &Alternative) -> Result<Came, Stop> {
        let Happening::Closed(closed) = &alternative.what else {
            self.accept(incoming)?;
            if let (Happening::Message(pattern), Incoming::Message { message, .. }) =
                (&alternative.what, incoming)
            {
                self.bind(message, pattern);
            }
            return Ok(graded(alternative, &describe(incoming)));
        };
        let note = grade(reason_of(incoming), &closed.reasons);
        let came = graded(alternative, &describe(incoming));
        Ok(Came {
            note: came.note.or(note),
            ended: true,
            ..came
        })
    }

    /// A `< closed` line: notes how it was closed, if not as asked.
    pub(super) fn expect_closed(&mut self, closed: &Closed) -> Result<Came, Stop> {
        let limit = closed.within.unwrap_or(self.setup.step_limit);
        let deadline = Instant::now() + limit;
        loop {
            match self.receive(deadline)? {
                Some(incoming) if incoming.is_end() => {
                    return Ok(Came {
                        note: grade(reason_of(&incoming), &closed.reasons),
                        ..Came::default()
                    });
                }
                // Words to a person who came through the wrong door, such as OpenSSH's to a client
                // of the first version. What counts is that the end comes.
                Some(Incoming::Unreadable(_)) => {}
                Some(incoming) => {
                    if !self.passes_over(&incoming, deadline)? {
                        return Err(Stop::subject(describe(&incoming)));
                    }
                }
                None => return Err(self.nothing_came(limit)),
            }
        }
    }

    /// A `quiet` line.
    pub(super) fn expect_quiet(&mut self, quiet: Quiet) -> Result<(), Stop> {
        let deadline = Instant::now() + quiet.lasts;
        while let Some(incoming) = self.receive(deadline)? {
            if quiet.strict || !self.passes_over(&incoming, deadline)? {
                return Err(Stop::subject(describe(&incoming)));
            }
        }
        Ok(())
    }

    /// Takes what no step waits for and what may come all the same: ambient messages, what an
    /// `optional` line named, and the beginning of a key exchange, which is carried out.
    pub(super) fn passes_over(
        &mut self,
        incoming: &Incoming,
        deadline: Instant,
    ) -> Result<bool, Stop> {
        let named = self
            .optional
            .iter()
            .position(|expect| self.satisfied(incoming, expect).is_some());
        if let Some(named) = named {
            self.optional.remove(named);
            self.accept(incoming)?;
            return Ok(true);
        }
        let Incoming::Message { message, .. } = incoming else {
            return Ok(false);
        };
        let begins_rekey = message.is("kexinit") && self.link.has_keys();
        if !is_ambient(message) && !begins_rekey {
            return Ok(false);
        }
        self.accept(incoming)?;
        if begins_rekey {
            // The exchange has its own time, whatever was waited for.
            let deadline = deadline.max(Instant::now() + self.setup.step_limit);
            self.finish_round(deadline)?;
        } else {
            self.answer_ambient(message)?;
        }
        Ok(true)
    }

    pub(super) fn accept(&mut self, incoming: &Incoming) -> Result<(), Stop> {
        match incoming {
            Incoming::Message { message, payload } => {
                self.note_received(message, payload).map_err(Stop::subject)
            }
            _ => Ok(()),
        }
    }

    fn nothing_came(&self, limit: Duration) -> Stop {
        let (actual, hint) = if Instant::now() >= self.deadline {
            let limit = wording::time(self.setup.case_limit);
            let actual = format!("nothing, and the {limit} of the whole case are over");
            (actual, "--timeout gives it more time, if it does not hang")
        } else {
            let actual = format!("nothing within {}", wording::time(limit));
            (actual, HANGS)
        };
        Stop::Fault(Fault {
            hint: Some(hint),
            ..Fault::new(actual)
        })
    }

    /// The alternative that what came satisfies.
    fn satisfied<'e>(&self, incoming: &Incoming, expect: &'e Expect) -> Option<&'e Alternative> {
        expect
            .alternatives
            .iter()
            .find(|alternative| match (&alternative.what, incoming) {
                (Happening::Message(pattern), Incoming::Message { message, payload }) => {
                    self.matches(message, payload, pattern)
                }
                (Happening::Closed(_), incoming) => incoming.is_end(),
                _ => false,
            })
    }

    fn matches(&self, message: &Message, payload: &[u8], pattern: &MessagePattern) -> bool {
        let other = match pattern.verb.as_str() {
            "raw" => Some(Message::raw(payload)),
            "message" => Message::numbered(payload),
            _ => None,
        };
        let message = other.as_ref().unwrap_or(message);
        message.is(&pattern.verb) && pattern.fields.iter().all(|field| self.fits(message, field))
    }

    fn fits(&self, message: &Message, pattern: &FieldPattern) -> bool {
        let Some(value) = message.value(&pattern.name) else {
            return false;
        };
        let kind = message.verb.field(&pattern.name).map(|field| field.kind);
        match &pattern.test {
            FieldTest::Bind(_) => true,
            FieldTest::OneOf(wanted) => wanted.iter().any(|wanted| self.equal(value, wanted)),
            FieldTest::Contains(part) => contains(value, part, kind),
            FieldTest::Lacks(part) => !contains(value, part, kind),
        }
    }

    fn equal(&self, value: &Value, wanted: &Value) -> bool {
        // A variable without a value equals nothing; the checker lets none through.
        let Ok(wanted) = self.value_of(wanted, None) else {
            return false;
        };
        match (value, &*wanted) {
            (Value::Text(_) | Value::Bytes(_), Value::Text(_) | Value::Bytes(_)) => {
                bytes_of(value) == bytes_of(&wanted)
            }
            (value, wanted) => value == wanted,
        }
    }
}

/// What peers send unasked: messages that are always so, and requests of a channel that want no reply
/// and set a variable or are of an extension, as every OpenSSH has some of its own.
fn is_ambient(message: &Message) -> bool {
    let request = message.bytes("type");
    let is_aside = message.is("channel-request")
        && !message.flag("want-reply")
        && (request == b"env" || request.contains(&b'@'));
    message.verb.ambient || is_aside
}

/// The pattern of a line that sums up what comes.
fn summed(expect: &Expect) -> Option<&MessagePattern> {
    let patterns = expect
        .alternatives
        .iter()
        .filter_map(|alternative| match &alternative.what {
            Happening::Message(pattern) => Some(pattern),
            _ => None,
        });
    let is_sum = |field: &FieldPattern| matches!(field.name.as_str(), "all" | "total");
    let mut patterns = patterns.filter(|pattern| pattern.fields.iter().any(is_sum));
    patterns.next()
}

fn reason_of(incoming: &Incoming) -> Option<u32> {
    match incoming {
        Incoming::Message { message, .. } => message.number(REASON),
        _ => None,
    }
}

/// How an alternative is told of.
fn graded(alternative: &Alternative, came: &str) -> Came {
    Came {
        note: alternative
            .tolerated
            .then(|| format!("{came}, which is tolerated and no more")),
        tolerated: alternative.tolerated,
        ended: false,
    }
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
            is_gone: message.is("disconnect"),
            ..Fault::new(describe_message(message))
        })
    }

    /// No message at all.
    pub(super) fn instead(wanted: &[&str], incoming: Option<&Incoming>) -> Self {
        let actual = incoming.map_or("nothing in time".to_owned(), describe);
        Self::Fault(Fault {
            expected: Some(names(wanted)),
            is_gone: incoming.is_none_or(Incoming::is_end),
            hint: incoming.is_none().then_some(HANGS),
            ..Fault::new(actual)
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
