//! Real peers against each other: what one OpenSSH says to another must come out as scenarios will
//! see it. What is not on this machine is skipped loudly, or fails if `SSHDRILL_REQUIRE` names it.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sshdrill::peer::catalogue::{Discovery, LOCAL_OPENSSH, Part, Required, Roster};
use sshdrill::peer::container;
use sshdrill::peer::{
    ClientEnd, ClientJob, ClientRecord, Credential, Exec, ExecOutcome, KnownHost, Peer, RekeyLimit,
    RunningServer, ServerSetup,
};

/// Long enough for 16 MiB between two containers on a busy machine.
const DEADLINE: Duration = Duration::from_secs(180);
/// As the scenarios move it; more than any window or buffer on the way.
const BIG_BYTES: usize = 16 << 20;

#[test]
fn local_openssh_talks_to_itself() {
    let found = Roster::default().discover(&|id| id == LOCAL_OPENSSH, &|what| eprintln!("{what}"));
    if skipped(&found, Part::OpenSsh) {
        return;
    }
    check_all(&found.peers, |_, _| true);
}

/// Also with the local one, in both roles: addresses differ then.
#[test]
fn openssh_in_containers_talks_to_itself_and_to_the_local_one() {
    let usual = Roster::default().ids(false);
    let wanted = |id: &str| id.starts_with("openssh") && usual.iter().any(|usual| usual == id);
    let found = Roster::default().discover(&wanted, &|what| eprintln!("{what}"));
    if skipped(&found, Part::Containers) {
        return;
    }
    let local = |peer: &dyn Peer| peer.info().id == LOCAL_OPENSSH;
    // Every server and every client takes part; not every pair adds something.
    check_all(&found.peers, |client, server| {
        match (local(client), local(server)) {
            (true, true) => false,
            (false, false) => {
                let ids = [client.info().id.as_str(), server.info().id.as_str()];
                ids == ["openssh-bullseye", "openssh-sid"]
                    || ids == ["openssh-sid", "openssh-bullseye"]
            }
            _ => true,
        }
    });
    clean_removes_what_a_dead_run_left_and_nothing_else();
}

/// Says why `part` is not here, or fails when it must be.
fn skipped(found: &Discovery, part: Part) -> bool {
    let missing: Vec<_> = found
        .missing
        .iter()
        .filter(|missing| missing.part == Some(part))
        .collect();
    for missing in &missing {
        let hint = missing.hint.as_deref().unwrap_or("none");
        eprintln!("SKIPPED: {}: {}\nhint: {hint}", missing.what, missing.why);
    }
    let required = Required::from_env().expect("a list of parts");
    assert!(
        missing.is_empty() || !required.has(part),
        "{part} must be here: {missing:?}"
    );
    !missing.is_empty()
}

/// Runs every check on every pair that `takes_part`, and fails with all that went wrong.
fn check_all(peers: &[Arc<dyn Peer>], takes_part: impl Fn(&dyn Peer, &dyn Peer) -> bool) {
    let mut wrong = BTreeSet::new();
    for client in peers.iter().filter(|peer| peer.info().capabilities.client) {
        for server in peers.iter().filter(|peer| peer.info().capabilities.server) {
            if !takes_part(client.as_ref(), server.as_ref()) {
                continue;
            }
            let pair = Pair {
                client: client.as_ref(),
                server: server.as_ref(),
            };
            for (name, check) in CHECKS {
                let started = Instant::now();
                let outcome = check(&pair);
                eprintln!("{pair}: {name}: {:?}", started.elapsed());
                if let Err(why) = outcome {
                    wrong.insert(format!("{pair}: {name}: {why}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

struct Pair<'a> {
    client: &'a dyn Peer,
    server: &'a dyn Peer,
}

impl std::fmt::Display for Pair<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [client, server] = [self.client, self.server].map(Peer::info);
        write!(
            f,
            "{} ({}) → {} ({})",
            client.id, client.version, server.id, server.version
        )
    }
}

type Check = fn(&Pair) -> Result<(), String>;

const CHECKS: &[(&str, Check)] = &[
    ("strict kex is offered", |pair| {
        let offers = pair.server.info().capabilities.strict_kex;
        offers.then_some(()).ok_or_else(|| "not offered".to_owned())
    }),
    ("an exec gives output, errors and status", |pair| {
        let record = pair.run(&["echo out; echo err >&2; exit 7"], |_, _| {})?;
        same(&done(&record)?[0], &outcome(b"out\n", b"err\n", 7))
    }),
    (
        "ssh's own status is not mistaken for the command's",
        |pair| {
            let record = pair.run(&["exit 255"], |_, _| {})?;
            same(&done(&record)?[0], &outcome(b"", b"", 255))
        },
    ),
    ("a command that is killed has no status", |pair| {
        let record = pair.run(&["kill -9 $$"], |_, _| {})?;
        same(&done(&record)?[0].exit_status, &None)
    }),
    ("sixteen mebibytes go up and come down", |pair| {
        let bytes: Vec<u8> = (0..BIG_BYTES)
            .map(|n| n.wrapping_mul(31).to_le_bytes()[1])
            .collect();
        let record = pair.run(&["cat"], |job, _| job.execs[0].stdin = Some(bytes.clone()))?;
        let got = &done(&record)?[0].stdout;
        (*got == bytes)
            .then_some(())
            .ok_or_else(|| format!("other bytes, {} of them", got.len()))
    }),
    ("many sessions share one connection", |pair| {
        let commands: Vec<String> = (1..=10).map(|n| format!("echo {n}; exit {n}")).collect();
        let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
        let (record, log) = pair.run_with_log(&commands, |_, _| {})?;
        let want: Vec<_> = (1..=10)
            .map(|n| outcome(format!("{n}\n").as_bytes(), b"", n))
            .collect();
        same(done(&record)?, &want)?;
        same(&log.matches("Accepted publickey for ").count(), &1)
    }),
    ("the right password logs in", |pair| {
        if !pair.server.info().capabilities.server_password {
            eprintln!(
                "SKIPPED: {} cannot check a password here",
                pair.server.info().id
            );
            return Ok(());
        }
        let record = pair.run(&["echo in"], |job, server| {
            job.credential = Credential::Password(server.password().to_owned());
        })?;
        same(&done(&record)?[0].stdout, &b"in\n".to_vec())?;
        let told = record
            .logs
            .iter()
            .any(|log| log.text.contains("drill-fixture-password"));
        (!told)
            .then_some(())
            .ok_or_else(|| "the password is in a log".to_owned())
    }),
    ("a wrong password is refused", |pair| {
        let record = pair.run(&["echo in"], |job, _| {
            job.credential = Credential::Password("no-such-password".to_owned());
        })?;
        same(&record.end, &ClientEnd::AuthFailed)
    }),
    ("an unknown user is refused", |pair| {
        let record = pair.run(&["echo in"], |job, _| {
            "nobody-of-this-name".clone_into(&mut job.user);
        })?;
        same(&record.end, &ClientEnd::AuthFailed)
    }),
    ("an unknown host key is refused", |pair| {
        let record = pair.run(&["echo in"], |job, _| job.known_host = KnownHost::Unknown)?;
        same(&record.end, &ClientEnd::RefusedHostKey)
    }),
    (
        "another host key is refused, also for many sessions",
        |pair| {
            let record = pair.run(&["echo 1", "echo 2"], |job, _| {
                job.known_host = KnownHost::Other;
            })?;
            same(&record.end, &ClientEnd::RefusedHostKey)
        },
    ),
    (
        "a command that does not end is stopped at the deadline",
        |pair| {
            let is_logged = |seconds| -> Result<bool, String> {
                let record = pair.run(&["sleep 600"], |job, _| {
                    job.deadline = Duration::from_secs(seconds);
                })?;
                let stopped = format!("not done after {seconds} s");
                match &record.end {
                    ClientEnd::Failed(why) if why.contains(&stopped) => {}
                    other => return Err(format!("{other:?}")),
                }
                let mut logs = record.logs.iter();
                Ok(logs.any(|log| log.text.contains("Authenticated to ")))
            };
            // On a busy machine the first may not be enough to log in.
            (is_logged(3)? || is_logged(60)?)
                .then_some(())
                .ok_or_else(|| "its log is missing".to_owned())
        },
    ),
    (
        "a server that is not there is a failure in the client's words",
        |pair| {
            // The discard port, where nobody listens.
            let record = pair.run(&["true"], |job, _| job.port = 9)?;
            match &record.end {
                ClientEnd::Failed(why) if why.contains("Connection refused") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        },
    ),
];

impl Pair<'_> {
    fn run(
        &self,
        commands: &[&str],
        change: impl FnOnce(&mut ClientJob, &dyn RunningServer),
    ) -> Result<ClientRecord, String> {
        self.run_with_log(commands, change)
            .map(|(record, _)| record)
    }

    /// The client's record and the server's log.
    fn run_with_log(
        &self,
        commands: &[&str],
        change: impl FnOnce(&mut ClientJob, &dyn RunningServer),
    ) -> Result<(ClientRecord, String), String> {
        let setup = ServerSetup {
            reachable_from: self.client.reach(),
            rekey: RekeyLimit::default(),
            seed: 0,
        };
        let server = self
            .server
            .serve(&setup)
            .map_err(|broken| broken.to_string())?;
        let exec = |command: &&str| Exec {
            command: Some((*command).to_owned()),
            ..Exec::default()
        };
        let mut job = ClientJob {
            host: server.addr().ip().to_string(),
            port: server.addr().port(),
            user: server.user().to_owned(),
            credential: Credential::Publickey,
            known_host: KnownHost::Right,
            execs: commands.iter().map(exec).collect(),
            rekey: RekeyLimit::default(),
            deadline: DEADLINE,
            seed: 0,
        };
        change(&mut job, server.as_ref());
        let record = self
            .client
            .connect(&job)
            .map_err(|broken| broken.to_string())?;
        let log = server
            .finish()
            .logs
            .into_iter()
            .map(|log| log.text)
            .collect();
        Ok((record, log))
    }
}

fn done(record: &ClientRecord) -> Result<&Vec<ExecOutcome>, String> {
    match &record.end {
        ClientEnd::Done(outcomes) => Ok(outcomes),
        other => Err(format!("{other:?}")),
    }
}

fn outcome(stdout: &[u8], stderr: &[u8], status: u32) -> ExecOutcome {
    ExecOutcome {
        stdout: stdout.into(),
        stderr: stderr.into(),
        exit_status: Some(status),
        exit_signal: None,
    }
}

fn same<T: PartialEq + std::fmt::Debug>(got: &T, want: &T) -> Result<(), String> {
    if got == want {
        Ok(())
    } else {
        Err(format!("got {got:?}, not {want:?}"))
    }
}

/// Part of the test with containers, so that an image is here. No process has the label's number.
fn clean_removes_what_a_dead_run_left_and_nothing_else() {
    let docker = |arguments: &[&str]| {
        let ran = Command::new("docker").args(arguments).output();
        ran.map(|ran| String::from_utf8_lossy(&ran.stdout).trim().to_owned())
            .unwrap_or_default()
    };
    let image = docker(&["images", "--quiet", "--filter", "label=sshdrill=image"]);
    let Some(image) = image.lines().next() else {
        eprintln!("SKIPPED: no docker program to leave a container behind with");
        return;
    };
    let left = docker(&["create", "--label", "sshdrill=0-0", image]);
    let format = "--format={{.ID}} {{.Label \"sshdrill\"}}";
    let run = format!(" {}-", std::process::id());
    let ours = docker(&["ps", "--no-trunc", "--filter", "label=sshdrill", format]);
    let ours: Vec<&str> = ours.lines().filter(|line| line.contains(&run)).collect();
    assert!(!ours.is_empty(), "this run has containers");

    let cleaned = container::clean(false).expect("an engine was here a moment ago");

    assert!(cleaned.containers >= 1, "{cleaned:?}");
    let all = docker(&[
        "ps",
        "--all",
        "--no-trunc",
        "--filter",
        "label=sshdrill",
        format,
    ]);
    assert!(!all.contains(&left), "{left} is still there");
    assert!(
        ours.iter().all(|line| all.contains(line)),
        "a running container is gone"
    );
}
