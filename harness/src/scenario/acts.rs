//! The lines of a pair scenario: what a whole client does, and what it must report.

use std::ops::Range;

use super::diagnostic::Mistakes;
use super::header::one;
use super::lexer::{Line, Word};
use super::{suggest, value};
use crate::scenario::{
    Act, Belief, ExecAct, ExpectedEnd, ExpectedOutput, LoginWith, Step, StepKind, Stream,
};

/// What a client can be told; in the order in which they may stand.
const CLIENT_WORDS: [(&str, ClientAct); 3] = [
    ("knows", ClientAct::Knows),
    ("login", ClientAct::Login),
    ("exec", ClientAct::Exec),
];

#[derive(Clone, Copy)]
enum ClientAct {
    Knows,
    Login,
    Exec,
}

/// What can be demanded.
const EXPECT_WORDS: [(&str, Demand); 5] = [
    ("login", Demand::Login),
    ("host-key", Demand::HostKey),
    ("stdout", Demand::Stdout),
    ("stderr", Demand::Stderr),
    ("exit-status", Demand::ExitStatus),
];

#[derive(Clone, Copy)]
enum Demand {
    Login,
    HostKey,
    Stdout,
    Stderr,
    ExitStatus,
}

const BELIEFS: [(&str, Belief); 3] = [
    ("right", Belief::Right),
    ("other", Belief::Other),
    ("unknown", Belief::Unknown),
];

const LOGINS: [(&str, LoginWith); 3] = [
    ("publickey", LoginWith::Publickey),
    ("password", LoginWith::Password),
    ("wrong-password", LoginWith::WrongPassword),
];

/// More channels than this test patience, not implementations.
const CHANNELS_MAX: u64 = 1000;

/// A line that begins with `client` or `expect`.
pub(super) fn read(line: &Line<'_>, mistakes: &mut Mistakes) -> Option<StepKind> {
    let (first, words) = line.words.split_first()?;
    let Some((&word, values)) = words.split_first() else {
        mistakes.add(
            first.span(),
            format!("after `{}` there must be more", first.text),
            None,
        );
        return None;
    };
    let act = if first.text == "client" {
        match one(word, &CLIENT_WORDS, "act", mistakes)? {
            ClientAct::Knows => Act::Knows(only(word, values, &BELIEFS, "belief", mistakes)?),
            ClientAct::Login => Act::Login(only(word, values, &LOGINS, "way to log in", mistakes)?),
            ClientAct::Exec => Act::Exec(read_exec(word, values, mistakes)?),
        }
    } else {
        let demand = one(word, &EXPECT_WORDS, "demand", mistakes)?;
        read_demand(demand, word, values, mistakes)?
    };
    Some(StepKind::Act(act))
}

fn read_demand(
    demand: Demand,
    word: Word<'_>,
    values: &[Word<'_>],
    mistakes: &mut Mistakes,
) -> Option<Act> {
    const REFUSED: [(&str, ()); 1] = [("refused", ())];
    let output = match demand {
        Demand::Login => {
            only(word, values, &REFUSED, "outcome", mistakes)?;
            return Some(Act::ExpectEnd(ExpectedEnd::AuthFailed));
        }
        Demand::HostKey => {
            only(word, values, &REFUSED, "outcome", mistakes)?;
            return Some(Act::ExpectEnd(ExpectedEnd::RefusedHostKey));
        }
        Demand::Stdout => {
            ExpectedOutput::Stdout(value::stream(single(word, values, mistakes)?, mistakes)?)
        }
        Demand::Stderr => {
            ExpectedOutput::Stderr(read_text(single(word, values, mistakes)?, mistakes)?)
        }
        Demand::ExitStatus => ExpectedOutput::ExitStatus(read_number(
            single(word, values, mistakes)?,
            0,
            255,
            mistakes,
        )?),
    };
    Some(Act::ExpectOutput(output))
}

fn read_exec(word: Word<'_>, values: &[Word<'_>], mistakes: &mut Mistakes) -> Option<ExecAct> {
    let Some((&command, settings)) = values.split_first() else {
        mistakes.add(
            word.span(),
            "after `exec` there must be a command in quotes",
            None,
        );
        return None;
    };
    let text = read_text(command, mistakes);
    let mut exec = ExecAct {
        command: String::new(),
        stdin: None,
        channels: 1,
    };
    for &setting in settings {
        read_exec_setting(setting, &mut exec, mistakes);
    }
    exec.command = String::from_utf8(text?)
        .map_err(|_| mistakes.add(command.span(), "a command must be UTF-8", None))
        .ok()?;
    Some(exec)
}

fn read_exec_setting(word: Word<'_>, exec: &mut ExecAct, mistakes: &mut Mistakes) {
    match word.cut_at(&['=']) {
        Some((name, _, value)) if name.text == "stdin" => {
            exec.stdin = value::stream(value, mistakes);
        }
        Some((name, _, value)) if name.text == "channels" => {
            let channels = read_number(value, 1, CHANNELS_MAX, mistakes);
            exec.channels = channels.and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
        }
        cut => {
            let name = cut.map_or(word, |(name, ..)| name);
            let message = format!("`exec` has no field `{}`", name.text);
            let help = suggest::help(name.text, &["stdin", "channels"]);
            mistakes.add(name.span(), message, help);
        }
    }
}

/// The one value after `word`.
fn single<'a>(word: Word<'a>, values: &[Word<'a>], mistakes: &mut Mistakes) -> Option<Word<'a>> {
    match values {
        [value] => Some(*value),
        [] => {
            mistakes.add(
                word.span(),
                format!("after `{}` there must be a value", word.text),
                None,
            );
            None
        }
        [_, extra, ..] => {
            mistakes.add(
                extra.span(),
                format!("after `{}` there must be one value", word.text),
                None,
            );
            None
        }
    }
}

fn only<T: Copy>(
    word: Word<'_>,
    values: &[Word<'_>],
    known: &[(&str, T)],
    what: &str,
    mistakes: &mut Mistakes,
) -> Option<T> {
    one(single(word, values, mistakes)?, known, what, mistakes)
}

fn read_text(word: Word<'_>, mistakes: &mut Mistakes) -> Option<Vec<u8>> {
    let before = mistakes.len();
    let text = value::quoted(word, mistakes);
    if text.is_none() && mistakes.len() == before {
        mistakes.add(
            word.span(),
            format!("`{}` is not text in quotes", word.text),
            None,
        );
    }
    text
}

fn read_number(word: Word<'_>, min: u64, max: u64, mistakes: &mut Mistakes) -> Option<u32> {
    let number = value::number(word.text).filter(|n| (min..=max).contains(n));
    if number.is_none() {
        let message = format!("`{}` is not a number from {min} to {max}", word.text);
        mistakes.add(word.span(), message, None);
    }
    number.and_then(|n| u32::try_from(n).ok())
}

/// A demand needs what it is about above it: a login, or an exec.
pub(super) fn check_order(steps: &[Step], spans: &[Range<usize>], mistakes: &mut Mistakes) {
    let (mut login, mut exec) = (false, false);
    for (step, span) in steps.iter().zip(spans) {
        let StepKind::Act(act) = &step.kind else {
            continue;
        };
        let missing = match act {
            Act::Knows(_) if login => Some("a client learns of host keys before it logs in"),
            Act::Login(_) if login => Some("a client logs in once"),
            Act::Exec(_) | Act::ExpectEnd(_) if !login => {
                Some("there is no `client login` above this")
            }
            Act::ExpectOutput(_) if !exec => Some("there is no `client exec` above this"),
            _ => None,
        };
        if let Some(message) = missing {
            mistakes.add(span.clone(), message, None);
        }
        login |= matches!(act, Act::Login(_));
        exec |= matches!(act, Act::Exec(_));
    }
}

impl Stream {
    /// The bytes it names. `%N` in quoted text is the number of the channel, from 1.
    #[must_use]
    pub fn bytes(&self, channel: usize) -> Vec<u8> {
        match self {
            Self::Text(text) => replace_channel(text, channel),
            Self::Seq(bytes) => seq(*bytes),
        }
    }
}

/// What `seq 1 9999999 | head -c BYTES` prints.
fn seq(bytes: usize) -> Vec<u8> {
    let mut stream = Vec::with_capacity(bytes + 8);
    let mut number: u32 = 1;
    while stream.len() < bytes {
        stream.extend_from_slice(number.to_string().as_bytes());
        stream.push(b'\n');
        number += 1;
    }
    stream.truncate(bytes);
    stream
}

/// Every `%N` by the channel's number.
fn replace_channel(text: &[u8], channel: usize) -> Vec<u8> {
    let number = channel.to_string();
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"%N") {
            replaced.extend_from_slice(number.as_bytes());
            rest = after;
        } else {
            replaced.push(byte);
            rest = after;
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// The hash that `seq 1 9999999 | head -c 16777216 | sha256sum` prints, and that the upload
    /// scenario expects of the other side.
    #[test]
    fn seq_is_what_the_command_of_that_name_prints() {
        let hash = Sha256::digest(Stream::Seq(16 * 1024 * 1024).bytes(1));
        let hex: Vec<String> = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex.concat(),
            "b58a985a2280d31732f24d3421a50ffda79ff6c747650ecaee350ff91cbce8f2"
        );
        assert_eq!(Stream::Seq(5).bytes(1), b"1\n2\n3");
    }

    #[test]
    fn each_channel_has_its_number() {
        assert_eq!(Stream::Text(b"%N of %N%".to_vec()).bytes(12), b"12 of 12%");
    }
}
