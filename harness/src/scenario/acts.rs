//! The lines of a pair scenario: what a whole client does, and what it must report.

use std::ops::Range;

use super::diagnostic::Mistakes;
use super::header::{NEEDS, one};
use super::lexer::{Line, Word};
use super::{body, suggest, value};
use crate::scenario::{
    Act, Actor, Belief, ExecAct, ExpectedEnd, ExpectedOutput, LoginWith, Need, RekeyWhen, Step,
    StepKind, Stream, Subject,
};

/// What either side can be told.
const REKEYS_AFTER: &str = "rekeys-after";
const REKEYS_EVERY: &str = "rekeys-every";

/// What a client can be told; in the order in which they may stand.
const CLIENT_WORDS: [(&str, ClientAct); 6] = [
    (REKEYS_AFTER, ClientAct::RekeysAfter),
    (REKEYS_EVERY, ClientAct::RekeysEvery),
    ("knows", ClientAct::Knows),
    ("login", ClientAct::Login),
    ("exec", ClientAct::Exec),
    ("shell", ClientAct::Shell),
];

#[derive(Clone, Copy)]
enum ClientAct {
    RekeysAfter,
    RekeysEvery,
    Knows,
    Login,
    Exec,
    Shell,
}

/// What a server can be told.
const SERVER_WORDS: [(&str, ServerAct); 2] = [
    (REKEYS_AFTER, ServerAct::RekeysAfter),
    (REKEYS_EVERY, ServerAct::RekeysEvery),
];

#[derive(Clone, Copy)]
enum ServerAct {
    RekeysAfter,
    RekeysEvery,
}

/// What can be demanded.
const EXPECT_WORDS: [(&str, Demand); 6] = [
    ("login", Demand::Login),
    ("host-key", Demand::HostKey),
    ("stdout", Demand::Stdout),
    ("stderr", Demand::Stderr),
    ("exit-status", Demand::ExitStatus),
    ("exit-signal", Demand::ExitSignal),
];

#[derive(Clone, Copy)]
enum Demand {
    Login,
    HostKey,
    Stdout,
    Stderr,
    ExitStatus,
    ExitSignal,
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

/// The signals of RFC 4254 §6.10, without `SIG`.
const SIGNALS: [(&str, &str); 13] = [
    ("ABRT", "ABRT"),
    ("ALRM", "ALRM"),
    ("FPE", "FPE"),
    ("HUP", "HUP"),
    ("ILL", "ILL"),
    ("INT", "INT"),
    ("KILL", "KILL"),
    ("PIPE", "PIPE"),
    ("QUIT", "QUIT"),
    ("SEGV", "SEGV"),
    ("TERM", "TERM"),
    ("USR1", "USR1"),
    ("USR2", "USR2"),
];

/// The least that OpenSSH takes for a limit.
const REKEY_BYTES_MIN: u64 = 16;

/// What the RFC suggests when nothing is said.
const REKEY_BYTES_MAX: u64 = 1 << 30;

/// More channels than this test patience, not implementations.
const CHANNELS_MAX: u64 = 1000;

/// The words that such lines begin with.
pub(super) const ACTORS: [&str; 3] = ["client", "server", "expect"];

/// A line that begins with one of [`ACTORS`].
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
            ClientAct::RekeysAfter => {
                Act::Rekeys(Actor::Client, read_bytes(word, values, mistakes)?)
            }
            ClientAct::RekeysEvery => Act::Rekeys(Actor::Client, read_age(word, values, mistakes)?),
            ClientAct::Knows => Act::Knows(only(word, values, &BELIEFS, "belief", mistakes)?),
            ClientAct::Login => Act::Login(only(word, values, &LOGINS, "way to log in", mistakes)?),
            ClientAct::Exec => Act::Exec(read_exec(word, values, mistakes)?),
            ClientAct::Shell => Act::Exec(read_session(None, values, mistakes)),
        }
    } else if first.text == "server" {
        let when = match one(word, &SERVER_WORDS, "act", mistakes)? {
            ServerAct::RekeysAfter => read_bytes(word, values, mistakes)?,
            ServerAct::RekeysEvery => read_age(word, values, mistakes)?,
        };
        Act::Rekeys(Actor::Server, when)
    } else {
        let demand = one(word, &EXPECT_WORDS, "demand", mistakes)?;
        read_demand(demand, word, values, mistakes)?
    };
    Some(StepKind::Act(act))
}

fn read_bytes(word: Word<'_>, values: &[Word<'_>], mistakes: &mut Mistakes) -> Option<RekeyWhen> {
    let bytes = single(word, values, mistakes)?;
    let bytes = read_number(bytes, REKEY_BYTES_MIN, REKEY_BYTES_MAX, mistakes)?;
    Some(RekeyWhen::Bytes(bytes.into()))
}

/// Whole seconds, since OpenSSH takes no others.
fn read_age(word: Word<'_>, values: &[Word<'_>], mistakes: &mut Mistakes) -> Option<RekeyWhen> {
    let age = single(word, values, mistakes)?;
    let seconds = value::duration(age.text)
        .filter(|age| !age.is_zero() && age.subsec_nanos() == 0)
        .and_then(|age| u32::try_from(age.as_secs()).ok());
    if seconds.is_none() {
        let message = format!("`{}` is not an age in whole seconds", age.text);
        mistakes.add(age.span(), message, Some("`rekeys-every 1s`".to_owned()));
    }
    seconds.map(RekeyWhen::Seconds)
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
        Demand::ExitSignal => {
            let name = only(word, values, &SIGNALS, "signal", mistakes)?;
            ExpectedOutput::ExitSignal(name.to_owned())
        }
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
    let line = read_utf8(command, mistakes);
    let exec = read_session(line, settings, mistakes);
    exec.command.is_some().then_some(exec)
}

fn read_session(
    command: Option<String>,
    settings: &[Word<'_>],
    mistakes: &mut Mistakes,
) -> ExecAct {
    let mut exec = ExecAct {
        command,
        stdin: None,
        env: Vec::new(),
        terminal: false,
        channels: 1,
    };
    body::check_once(settings, &["env"], body::ONCE, mistakes);
    for &setting in settings {
        read_session_setting(setting, &mut exec, mistakes);
    }
    exec
}

fn read_session_setting(word: Word<'_>, exec: &mut ExecAct, mistakes: &mut Mistakes) {
    match word.cut_at(&['=']) {
        None if word.text == "terminal" => exec.terminal = true,
        Some((name, _, value)) if name.text == "env" => {
            exec.env.extend(read_variable(value, mistakes));
        }
        Some((name, _, value)) if name.text == "stdin" => {
            exec.stdin = value::stream(value, mistakes);
        }
        Some((name, _, value)) if name.text == "channels" => {
            let channels = read_number(value, 1, CHANNELS_MAX, mistakes);
            exec.channels = channels.and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
        }
        cut => {
            let name = cut.map_or(word, |(name, ..)| name);
            let message = format!("a session has no field `{}`", name.text);
            let help = suggest::help(name.text, &["stdin", "channels", "env", "terminal"]);
            mistakes.add(name.span(), message, help);
        }
    }
}

/// `"NAME=VALUE"`. The name is such that a shell takes it as one.
fn read_variable(word: Word<'_>, mistakes: &mut Mistakes) -> Option<(String, String)> {
    let text = read_utf8(word, mistakes)?;
    let is_name = |name: &str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        name.starts_with(|c: char| !c.is_ascii_digit()) && name.chars().all(is_part)
    };
    match text.split_once('=') {
        Some((name, value)) if is_name(name) => Some((name.to_owned(), value.to_owned())),
        _ => {
            mistakes.add(word.span(), "a variable is `\"NAME=value\"`", None);
            None
        }
    }
}

fn read_utf8(word: Word<'_>, mistakes: &mut Mistakes) -> Option<String> {
    String::from_utf8(read_text(word, mistakes)?)
        .map_err(|_| mistakes.add(word.span(), "this must be UTF-8", None))
        .ok()
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
            Act::ExpectOutput(_) if !exec => {
                Some("there is no `client exec` or `client shell` above this")
            }
            _ => None,
        };
        if let Some(message) = missing {
            mistakes.add(span.clone(), message, None);
        }
        login |= matches!(act, Act::Login(_));
        exec |= matches!(act, Act::Exec(_));
    }
}

/// What an act asks of a peer is said in the header, so that nobody who cannot do it is tried.
pub(super) fn check_needs(
    needs: &[Need],
    steps: &[Step],
    spans: &[Range<usize>],
    mistakes: &mut Mistakes,
) {
    for (step, span) in steps.iter().zip(spans) {
        let StepKind::Act(act) = &step.kind else {
            continue;
        };
        for (name, need) in NEEDS {
            if takes(act, need) && !needs.contains(&need) {
                let help = format!("write `needs {name}` above");
                mistakes.add(span.clone(), "not every peer can do this", Some(help));
            }
        }
    }
}

/// Whether nobody can carry out the act who lacks this.
fn takes(act: &Act, need: Need) -> bool {
    match (need, act) {
        (Need::RekeyLimit, Act::Rekeys(..))
        | (Need::Password, Act::Login(LoginWith::Password | LoginWith::WrongPassword))
        | (Need::SessionRequests, Act::ExpectOutput(ExpectedOutput::ExitSignal(_))) => true,
        (Need::Multiplex, Act::Exec(exec)) => exec.channels > 1,
        (Need::SessionRequests, Act::Exec(exec)) => {
            exec.command.is_none() || exec.terminal || !exec.env.is_empty()
        }
        _ => false,
    }
}

/// Whether the side that this is about is not ours: of acts, a server knows but when it rekeys.
pub(super) fn concerns(act: &Act, subject: Subject) -> bool {
    match act {
        Act::Rekeys(Actor::Server, _) => subject != Subject::Client,
        Act::Rekeys(Actor::Client, _) => subject != Subject::Server,
        _ => matches!(subject, Subject::Client | Subject::Pair),
    }
}

/// Beside a scripted endpoint, the subject is told everything before it connects, and is asked when
/// the conversation is over.
pub(super) fn check_place(steps: &[Step], spans: &[Range<usize>], mistakes: &mut Mistakes) {
    let (mut exec, mut began, mut asked) = (false, false, false);
    for (step, span) in steps.iter().zip(spans) {
        let wrong = match &step.kind {
            StepKind::Act(Act::ExpectOutput(_)) if !exec => {
                Some("there is no `client exec` or `client shell` above this")
            }
            StepKind::Act(Act::ExpectOutput(_) | Act::ExpectEnd(_)) => {
                asked = true;
                None
            }
            StepKind::Act(_) if began => Some("this must be told before there is a connection"),
            StepKind::Act(act) => {
                exec |= matches!(act, Act::Exec(_));
                None
            }
            _ if asked => Some("what the client reports is known after the last step"),
            _ => {
                began = true;
                None
            }
        };
        if let Some(message) = wrong {
            mistakes.add(span.clone(), message, None);
        }
    }
}

impl Stream {
    /// The bytes it names. `%N` in quoted text is the number of the channel, from 1.
    #[must_use]
    pub fn bytes(&self, channel: usize) -> Vec<u8> {
        match self {
            Self::Text(text) => numbered(text, channel),
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

/// Every `%N` by the channel's number, from 1.
#[must_use]
pub fn numbered(text: &[u8], channel: usize) -> Vec<u8> {
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
