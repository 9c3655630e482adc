//! What a step does, in a sentence for somebody who does not know the notation.

use std::time::Duration;

use super::verbs::Verb;
use crate::scenario::{
    Alternative, Expect, FieldPattern, FieldTest, Happening, MessagePattern, Prelude, Send, Step,
    StepKind, Subject,
};

impl Step {
    /// What it does, from the side of the scripted endpoint.
    #[must_use]
    pub fn in_words(&self) -> String {
        match &self.kind {
            StepKind::Send(send) => sending(send, &self.source),
            StepKind::Expect(expect) => expecting(expect),
            StepKind::Closed(closed) if closed.optional => {
                "From here on it may end the connection, which ends the scenario well.".to_owned()
            }
            StepKind::Closed(closed) => {
                let reasons: Vec<String> = closed.reasons.iter().map(u32::to_string).collect();
                let best = match reasons.as_slice() {
                    [] => String::new(),
                    reasons => format!("; best with DISCONNECT of reason {}", reasons.join(" or ")),
                };
                format!("It must end the connection{}{best}.", within(closed.within))
            }
            StepKind::Hold => "We hold back what we send from here on.".to_owned(),
            StepKind::Release => "What was held back leaves as one segment.".to_owned(),
            StepKind::Repeat(times) => format!("{times} times:"),
            StepKind::End => "(end of what is repeated)".to_owned(),
            StepKind::Pause(lasts) => format!("For {lasts:?} we send nothing and read nothing."),
            StepKind::Quiet(quiet) => {
                let but = if quiet.strict {
                    ""
                } else {
                    " but what peers send unasked"
                };
                format!("For {:?} it must send nothing{but}.", quiet.lasts)
            }
            StepKind::Rekeyed(times) => {
                format!("It must have begun {times} key exchanges by itself, or do so now.")
            }
            StepKind::Prelude(prelude, settings) if settings.is_empty() => {
                of_prelude(*prelude).to_owned()
            }
            StepKind::Prelude(prelude, _) => {
                let fields = self.source.split_once(char::is_whitespace);
                let fields = fields.map_or("", |(_, fields)| fields.trim());
                format!("{} With {fields}.", of_prelude(*prelude))
            }
            StepKind::Act(_) => format!("`{}`", self.source),
        }
    }
}

fn of_prelude(prelude: Prelude) -> &'static str {
    match prelude {
        Prelude::Handshake => "Both sides exchange keys, as is right.",
        Prelude::Rekey => "Both sides exchange keys once more, as is right.",
        Prelude::Login => "The user logs in, as is right.",
        Prelude::Session => "A command is started in a session, as is right.",
        Prelude::Live => "It must still answer, in order.",
    }
}

fn message(verb: &str) -> String {
    match Verb::named(verb).and_then(|verb| verb.message) {
        Some(id) => id.to_string(),
        None => verb.to_owned(),
    }
}

fn sending(send: &Send, source: &str) -> String {
    let what = match send.verb.as_str() {
        "fin" => return "We end our half of the stream.".to_owned(),
        "rst" => return "We tear the connection down.".to_owned(),
        "raw" => "a packet of our making".to_owned(),
        "bytes" => "bytes that are no packet".to_owned(),
        verb => message(verb),
    };
    let fields = source
        .split_whitespace()
        .skip(2)
        .collect::<Vec<_>>()
        .join(" ");
    let forgeries: Vec<&str> = send
        .fields
        .iter()
        .filter_map(|field| of_forgery(&field.name))
        .collect();
    let with = if fields.is_empty() {
        String::new()
    } else {
        format!(" with {fields}")
    };
    match forgeries.as_slice() {
        [] => format!("We send {what}{with}."),
        forgeries => format!("We send {what}{with}: {}.", forgeries.join(", ")),
    }
}

/// What a field of a forged packet is about.
fn of_forgery(field: &str) -> Option<&'static str> {
    Some(match field {
        "trim" => "its payload ends early",
        "append" => "its payload goes on too long",
        "patch" => "bytes of its payload are others",
        "padding" | "padding-fill" => "its padding is unusual",
        "padding-length" | "packet-length" => "it is not as long as it says",
        "sealed-as" => "it is sealed with another sequence number",
        "keys" => "it is sealed with other keys",
        "flip" => "bits of it are flipped on the wire",
        "cut" => "only a part of it leaves",
        "split" | "split-at" => "it leaves in pieces",
        _ => return None,
    })
}

fn expecting(expect: &Expect) -> String {
    let ways: Vec<String> = expect.alternatives.iter().map(way).collect();
    let ways = ways.join(", or ");
    let within = within(expect.within);
    match (expect.optional, expect.strict) {
        (true, _) => format!("It may {ways}{within}."),
        (false, true) => format!("It must {ways}{within}, and nothing before that."),
        (false, false) => format!("It must {ways}{within}."),
    }
}

fn way(alternative: &Alternative) -> String {
    let what = match &alternative.what {
        Happening::Message(pattern) => format!("send {}", demanded(pattern)),
        Happening::Closed(_) => "end the connection".to_owned(),
        Happening::Quiet(lasts) => format!("say nothing for {lasts:?}"),
    };
    if alternative.tolerated {
        format!("{what} (which is only tolerated)")
    } else {
        what
    }
}

fn demanded(pattern: &MessagePattern) -> String {
    let tests: Vec<String> = pattern.fields.iter().filter_map(demand).collect();
    match tests.as_slice() {
        [] => message(&pattern.verb),
        tests => format!("{} with {}", message(&pattern.verb), tests.join(" and ")),
    }
}

fn demand(field: &FieldPattern) -> Option<String> {
    let name = &field.name;
    match &field.test {
        FieldTest::Bind(_) => None,
        FieldTest::Contains(part) => Some(format!("`{part}` in its {name}")),
        FieldTest::Lacks(part) => Some(format!("no `{part}` in its {name}")),
        FieldTest::OneOf(_) => Some(format!("the right {name}")),
    }
}

fn within(limit: Option<Duration>) -> String {
    limit.map_or_else(String::new, |limit| format!(" within {limit:?}"))
}

impl Subject {
    /// Who can be tested, for a person.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Server => "a server; the scripted endpoint is the client",
            Self::Client => "a client; the scripted endpoint is the server",
            Self::Either => "a server and a client, each against the scripted endpoint",
            Self::Pair => "a client and a server together, one of which is minissh",
        }
    }
}
