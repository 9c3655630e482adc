//! Scenarios and peers made by hand, for the tests of running and reporting.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::peer::{
    Broken, Capabilities, ClientEnd, ClientJob, ClientRecord, ExecOutcome, NotDone, Origin, Peer,
    PeerInfo, Reach, RunningServer, ServerRecord, ServerSetup,
};
use crate::run::event::{Case, Pairing};
use crate::scenario::{
    Act, ExecAct, ExpectedOutput, Level, LoginWith, Scenario, Step, StepKind, Stream, Subject,
};
use crate::verdict::Log;

/// The password that every fake server has and that no report may show.
pub(crate) const PASSWORD: &str = "correct-horse-battery";

/// A pair scenario that runs `echo hi` and demands `hi` and status 0.
pub(crate) fn scenario(name: &str) -> Scenario {
    let exec = ExecAct {
        command: Some("echo hi %N".to_owned()),
        stdin: None,
        env: Vec::new(),
        terminal: false,
        channels: 2,
    };
    let acts = [
        ("client login password", Act::Login(LoginWith::Password)),
        (r#"client exec "echo hi %N" channels=2"#, Act::Exec(exec)),
        (
            r#"expect stdout "hi %N\n""#,
            Act::ExpectOutput(ExpectedOutput::Stdout(Stream::Text(b"hi %N\n".to_vec()))),
        ),
        (
            "expect exit-status 0",
            Act::ExpectOutput(ExpectedOutput::ExitStatus(0)),
        ),
    ];
    let steps = (6..).zip(acts).map(|(line, (source, act))| Step {
        line,
        source: source.to_owned(),
        kind: StepKind::Act(act),
    });
    Scenario {
        name: name.to_owned(),
        title: "A command runs and its output arrives.".to_owned(),
        subject: Subject::Pair,
        needs: Vec::new(),
        cites: vec!["rfc4254-6.5/exec".to_owned()],
        level: Level::Must,
        consequence: "nobody can run a command".to_owned(),
        steps: steps.collect(),
        path: PathBuf::from(format!("scenarios/{name}.scn")),
        text: String::new(),
    }
}

/// A case of a scenario between two peers.
pub(crate) fn case(scenario: Scenario, client: &str, server: &str) -> Case {
    Case {
        rerun: format!(
            "cargo drill run {} --pairing {client}:{server} --seed 0x7",
            scenario.name
        ),
        scenario: Arc::new(scenario),
        pairing: Pairing {
            client: client.to_owned(),
            server: server.to_owned(),
        },
        seed: 7,
    }
}

/// The name and abilities of a fake peer.
pub(crate) fn info(id: &str, capabilities: Capabilities) -> PeerInfo {
    let version = format!("{id} 1.0");
    PeerInfo {
        id: id.to_owned(),
        version,
        origin: Origin::InProcess,
        capabilities,
    }
}

/// How a fake client behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Does as it is told; commands are a toy `echo`.
    Proper,
    /// Prints something else on the second channel.
    Garbling,
    /// Is refused at login.
    Refused,
    /// Cannot be started.
    Unstartable,
}

/// A peer that opens no connection.
pub(crate) struct FakePeer {
    info: PeerInfo,
    manner: Manner,
}

impl FakePeer {
    pub(crate) fn new(id: &str, manner: Manner) -> Self {
        Self {
            info: info(id, Capabilities::ALL),
            manner,
        }
    }

    fn end(&self, job: &ClientJob) -> ClientEnd {
        let echo = |(at, exec): (usize, &crate::peer::Exec)| {
            let said = exec
                .command
                .as_deref()
                .and_then(|line| line.strip_prefix("echo "))
                .unwrap_or_default();
            let said = if self.manner == Manner::Garbling && at == 1 {
                "ho 2"
            } else {
                said
            };
            let stdout = format!("{said}\n").into_bytes();
            ExecOutcome {
                stdout,
                exit_status: Some(0),
                ..ExecOutcome::default()
            }
        };
        match self.manner {
            Manner::Refused => ClientEnd::AuthFailed,
            _ => ClientEnd::Done(job.execs.iter().enumerate().map(echo).collect()),
        }
    }
}

impl Peer for FakePeer {
    fn info(&self) -> &PeerInfo {
        &self.info
    }

    fn serve(&self, _: &ServerSetup) -> Result<Box<dyn RunningServer>, NotDone> {
        Ok(Box::new(FakeServer))
    }

    fn connect(&self, job: &ClientJob) -> Result<ClientRecord, NotDone> {
        if self.manner == Manner::Unstartable {
            return Err(Broken::new("no such program").hint("install it").into());
        }
        let logs = vec![Log {
            name: "client".to_owned(),
            text: format!("I sent {PASSWORD}"),
        }];
        Ok(ClientRecord {
            died: None,
            end: self.end(job),
            logs,
            trace: Vec::new(),
            captures: Vec::new(),
        })
    }

    fn reach(&self) -> Reach {
        Reach::Loopback
    }
}

struct FakeServer;

impl RunningServer for FakeServer {
    fn addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 1))
    }

    fn password(&self) -> &'static str {
        PASSWORD
    }

    fn finish(self: Box<Self>) -> ServerRecord {
        let log = Log {
            name: "server".to_owned(),
            text: format!("{PASSWORD} is right"),
        };
        ServerRecord {
            logs: vec![log],
            died: None,
            trace: Vec::new(),
            captures: Vec::new(),
        }
    }
}

/// A deadline that no test comes near.
pub(crate) const LONG: Duration = Duration::from_secs(60);
