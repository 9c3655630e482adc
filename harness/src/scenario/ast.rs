//! What a scenario file says, after parsing and checking, before anything runs.

use std::path::PathBuf;
use std::time::Duration;

use crate::requirement::Level;

/// A scenario file that parsed and checked.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Area and name, equal to the path below the scenarios folder: `strict-kex/ignore-before-newkeys`.
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

/// Who is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Password authentication in the roles taking part.
    Password,
    /// Several sessions over one connection, as a client.
    Multiplex,
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
    /// A whole well-behaved stretch of the protocol, in the scripted endpoint's role.
    Prelude(Prelude),
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
}

/// What the subject must send.
#[derive(Debug, Clone, PartialEq)]
pub struct Expect {
    /// The alternatives, any of which satisfies the step (`a | b`).
    pub alternatives: Vec<MessagePattern>,
    /// It may be missing.
    pub optional: bool,
    /// No ambient message may come first.
    pub strict: bool,
    /// How long to wait; the endpoint has a default.
    pub within: Option<Duration>,
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
    /// `name~value`: a name-list that has it, a text that contains it, or a glob for an ident.
    Contains(String),
}

/// How the subject must end the connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
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
    /// `client exec "COMMAND" [stdin=...] [channels=N]`.
    Exec(ExecAct),
    /// `expect ...` about the end of the client.
    ExpectEnd(ExpectedEnd),
    /// `expect stdout ...`, about every exec of the line before.
    ExpectOutput(ExpectedOutput),
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
    /// The command; `%N` is replaced by the channel's number, from 1.
    pub command: String,
    /// What to send.
    pub stdin: Option<Stream>,
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
}
