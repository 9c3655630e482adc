//! What a scenario file says, after parsing and checking, before anything runs.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::requirement::Level;

/// A scenario file that parsed and checked, with one value for each of its parameters.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Area and name, equal to the path below the scenarios folder:
    /// `strict-kex/ignore-before-newkeys`; with parameters, their values follow:
    /// `packet/padding@bytes=0,fill=zeros`.
    pub name: String,
    /// The comment at the top of the file, as one paragraph.
    pub title: String,
    /// Who is tested.
    pub subject: Subject,
    /// What the subject (for [`Subject::Pair`]: the side named by the need) must be able to do.
    pub needs: Vec<Need>,
    /// The requirements it checks: `strict-kex-draft/terminate-on-unexpected`.
    pub cites: Vec<String>,
    /// How binding the requirement is.
    pub level: Level,
    /// What happens to the receiving side of the fault when the requirement is broken.
    pub consequence: String,
    /// What is done and demanded, in order.
    pub steps: Vec<Step>,
    /// The file.
    pub path: PathBuf,
    /// The file's text, for excerpts.
    pub text: String,
}

impl Scenario {
    /// The name without the values of parameters: that of the file.
    #[must_use]
    pub fn file_name(&self) -> &str {
        file_name(&self.name)
    }

    /// How long it waits, however quick the peer is.
    #[must_use]
    pub fn waits(&self) -> Duration {
        let mut rounds = 1;
        let waits = self.steps.iter().map(|step| match &step.kind {
            StepKind::Repeat(times) => {
                rounds = u32::try_from(*times).unwrap_or(u32::MAX);
                Duration::ZERO
            }
            StepKind::End => {
                rounds = 1;
                Duration::ZERO
            }
            StepKind::Pause(lasts) => lasts.saturating_mul(rounds),
            StepKind::Quiet(quiet) => quiet.lasts.saturating_mul(rounds),
            // What need not come is mostly waited for in vain.
            StepKind::Expect(expect) if expect.optional => expect.within.unwrap_or_default(),
            _ => Duration::ZERO,
        });
        waits.fold(Duration::ZERO, Duration::saturating_add)
    }
}

/// The name of the file of a scenario of that name.
#[must_use]
pub fn file_name(scenario: &str) -> &str {
    scenario.split('@').next().unwrap_or(scenario)
}

/// Who is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// A server; the scripted endpoint is the client.
    Server,
    /// A client; the scripted endpoint is the server.
    Client,
    /// Either, in two cases with the same steps.
    Either,
    /// A real client and a real server together; the steps are acts.
    Pair,
}

/// Something a peer must be able to do for the scenario to make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Strict key exchange.
    StrictKex,
    /// Curve25519 before every other key exchange.
    PrefersCurve25519,
    /// Password authentication in the roles taking part.
    Password,
    /// Several sessions over one connection, as a client.
    Multiplex,
    /// Sessions with a shell, a terminal, variables and the signal that ended them.
    SessionRequests,
    /// As a server: no login but of users that it knows.
    KnownUsers,
    /// As a client: windows that fill in the time that a case has.
    FillableWindow,
    /// Key exchanges of its own after as many bytes or seconds as it is told.
    RekeyLimit,
}

/// One line of the body.
#[derive(Debug, Clone)]
pub struct Step {
    /// 1-based line number.
    pub line: usize,
    /// The line as written, without its comment.
    pub source: String,
    /// What it means.
    pub kind: StepKind,
}

/// What a line of the body means.
#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// `>`: the scripted endpoint sends this.
    Send(Send),
    /// `<`: the subject must send this.
    Expect(Expect),
    /// `< closed`: the subject must end the connection.
    Closed(Closed),
    /// `hold`: what is sent from here on waits for [`Self::Release`], to leave as one segment.
    Hold,
    /// `release`.
    Release,
    /// `repeat 10`: the steps to the matching [`Self::End`], so often.
    Repeat(u64),
    /// `end` of a `repeat`.
    End,
    /// `pause 300ms`: nothing is sent and nothing is read.
    Pause(Duration),
    /// `quiet 300ms`: nothing but ambient messages may come.
    Quiet(Quiet),
    /// `rekeyed 2`: the subject must have begun so many key exchanges by itself, or do so now.
    Rekeyed(u64),
    /// A whole well-behaved stretch of the protocol, in the scripted endpoint's role.
    Prelude(Prelude, Vec<FieldSetting>),
    /// An act of a whole client, or a demand on what it reported.
    Act(Act),
}

/// What the scripted endpoint sends.
#[derive(Debug, Clone, PartialEq)]
pub struct Send {
    /// The message: `ident`, `kexinit`, `ignore`, ...
    pub verb: String,
    /// Fields that differ from a well-behaved message.
    pub fields: Vec<FieldSetting>,
}

/// `name=value` on a line with `>`.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldSetting {
    /// The field.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// A value as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Quoted text with escapes, or a bare word.
    Text(Vec<u8>),
    /// A whole number, decimal or 0x hex.
    Number(u64),
    /// `yes` or `no`.
    Flag(bool),
    /// Comma-separated names.
    Names(Vec<String>),
    /// `#0102ff`: bytes as hex.
    Bytes(Vec<u8>),
    /// `+1` or `-16`: so much more or less.
    Offset(i64),
    /// `20ms`.
    Duration(Duration),
    /// `$name`, `$name+1`: what an earlier line received, or what the endpoint knows.
    Variable {
        /// Which.
        name: String,
        /// So much more.
        plus: i64,
    },
    /// `tag:0`: bits to flip on the wire.
    Flips(Vec<Flip>),
    /// `4:#ffffffff`: bytes to write over those of the payload from there on.
    Patch(isize, Vec<u8>),
}

/// One bit of a packet on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flip {
    /// Where the bit is.
    pub part: PacketPart,
    /// Which bit: in a number the one that is worth 2 to the power of this; elsewhere those of the
    /// first byte come first.
    pub bit: usize,
}

/// A part of a packet, in the order of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketPart {
    /// `packet_length`.
    Length,
    /// `padding_length`.
    PaddingLength,
    /// The payload.
    Payload,
    /// The padding.
    Padding,
    /// The tag; there is none before NEWKEYS.
    Tag,
}

/// What the subject must send.
#[derive(Debug, Clone, PartialEq)]
pub struct Expect {
    /// The alternatives, any of which satisfies the step (`a | b`).
    pub alternatives: Vec<Alternative>,
    /// It may be missing.
    pub optional: bool,
    /// No ambient message may come first.
    pub strict: bool,
    /// How long to wait; the endpoint has a default.
    pub within: Option<Duration>,
}

/// One way to satisfy a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Alternative {
    /// What happens.
    pub what: Happening,
    /// It is taken, but it is a deviation.
    pub tolerated: bool,
}

/// What a subject can do.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// It sends a message.
    Message(MessagePattern),
    /// It ends the connection, and with it the scenario.
    Closed(Closed),
    /// It says nothing of its own for so long.
    Quiet(Duration),
}

/// How long a subject must be quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    /// So long.
    pub lasts: Duration,
    /// Not even ambient messages may come.
    pub strict: bool,
}

impl Quiet {
    /// How long, where a scenario does not say: enough for an answer over loopback, little enough
    /// to be waited for in many cases.
    pub const LASTS: Duration = Duration::from_millis(200);
}

/// A message and what its fields must be.
#[derive(Debug, Clone, PartialEq)]
pub struct MessagePattern {
    /// The message.
    pub verb: String,
    /// What its fields must be; fields not named may be anything.
    pub fields: Vec<FieldPattern>,
}

/// One demand on a field.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldPattern {
    /// The field.
    pub name: String,
    /// How it is compared.
    pub test: FieldTest,
}

/// How a field is compared.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldTest {
    /// `name=value`, or `name=a|b` for any of several.
    OneOf(Vec<Value>),
    /// `name->variable`: it is kept under that name, whatever it is.
    Bind(String),
    /// `name~value`: a name-list that has it, a text that contains it, or a glob for an ident.
    Contains(String),
    /// `name!~value`: neither has it.
    Lacks(String),
}

/// How the subject must end the connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    /// It may end from here on, which ends the scenario well.
    pub optional: bool,
    /// How long to wait.
    pub within: Option<Duration>,
    /// Disconnect reasons that satisfy fully; empty for any. A bare close also passes, with a note.
    pub reasons: Vec<u32>,
}

/// A well-behaved stretch of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prelude {
    /// `handshake`: idents, key exchange and NEWKEYS both ways.
    Handshake,
    /// `login`: after a handshake, the userauth service and a publickey login.
    Login,
    /// `session`: after a login, one session channel with a running command.
    Session,
    /// `rekey`: after a handshake, another key exchange; we begin unless one has begun.
    Rekey,
    /// `live`: a keepalive global request (before login: a service request) gets its single reply.
    Live,
}

/// An act of a pair scenario.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// `client knows right|other|unknown`: what the client believes of the host key.
    Knows(Belief),
    /// `client login publickey|password|wrong-password`.
    Login(LoginWith),
    /// `client rekeys-after BYTES`, `server rekeys-every 1s`: when it begins key exchanges.
    Rekeys(Actor, RekeyWhen),
    /// `client exec "COMMAND"` or `client shell`, `[stdin=...] [channels=N] [env="NAME=VALUE"]
    /// [terminal]`.
    Exec(ExecAct),
    /// `expect ...` about the end of the client.
    ExpectEnd(ExpectedEnd),
    /// `expect stdout ...`, about every exec of the line before.
    ExpectOutput(ExpectedOutput),
}

/// Whom an act is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// When a side begins a key exchange of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RekeyWhen {
    /// Whenever so many bytes went one way.
    Bytes(u64),
    /// Whenever the keys are so many seconds old.
    Seconds(u32),
}

/// What a client believes of the server's host key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belief {
    /// The right one.
    Right,
    /// Another one, under the server's name.
    Other,
    /// Nothing.
    Unknown,
}

/// How a pair scenario logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginWith {
    /// With the fixture key.
    Publickey,
    /// With the right password.
    Password,
    /// With a wrong one.
    WrongPassword,
}

/// Commands to run over one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecAct {
    /// The command, or nothing for a shell; `%N` is replaced by the channel's number, from 1.
    pub command: Option<String>,
    /// What to send.
    pub stdin: Option<Stream>,
    /// Variables to ask for, as name and value.
    pub env: Vec<(String, String)>,
    /// Whether it has a terminal.
    pub terminal: bool,
    /// On how many channels at once.
    pub channels: usize,
}

/// Bytes named by a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stream {
    /// Quoted text.
    Text(Vec<u8>),
    /// `seq:BYTES`: the decimal numbers from 1, a line each, cut at that many bytes; what
    /// `seq 1 9999999 | head -c BYTES` prints.
    Seq(usize),
}

/// How the client must have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedEnd {
    /// `expect login refused`.
    AuthFailed,
    /// `expect host-key refused`.
    RefusedHostKey,
}

/// What a session must have given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedOutput {
    /// `expect stdout "..."` (with `%N`) or `expect stdout seq:BYTES`, compared whole, by hash
    /// when long.
    Stdout(Stream),
    /// `expect stderr "..."`: its lines must be among what came, since clients add warnings.
    Stderr(Vec<u8>),
    /// `expect exit-status N`.
    ExitStatus(u32),
    /// `expect exit-signal NAME`, without `SIG`.
    ExitSignal(String),
}
