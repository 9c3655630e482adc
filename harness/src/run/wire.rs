//! The scripted endpoint with a peer: makes the connection, and lets the scenario speak over it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use minissh::crypto::SigningKey;

use super::event::Case;
use super::judge::judge;
use super::pair::{Script, rekey_limit};
use super::redact::redact;
use super::{broken, not_done, note_death};
use crate::peer::accept::accept;
use crate::peer::{Broken, ClientRecord, NotDone, Peer, Reach, ServerSetup, keys};
use crate::scenario::Actor;
use crate::scripted::{NO_CREDENTIAL, Role, Setup, play};
use crate::verdict::{Outcome, Verdict};

/// Plays the client against a peer's server.
#[must_use]
pub fn against_server(case: &Case, server: &dyn Peer, deadline: Duration) -> Outcome {
    let started = Instant::now();
    let setup = ServerSetup {
        reachable_from: Reach::Loopback,
        rekey: rekey_limit(&case.scenario, Actor::Server),
        seed: case.seed,
    };
    let running = match server.serve(&setup) {
        Ok(running) => running,
        Err(why) => return not_done(&format!("starting the server {}", server.info().id), &why),
    };
    let secrets = [running.password().to_owned()];
    let mut outcome = match TcpStream::connect_timeout(&running.addr(), deadline) {
        Ok(stream) => {
            let left = deadline.saturating_sub(started.elapsed());
            let mut setup = endpoint_setup(case.seed, running.user(), running.password(), left);
            setup.user_key = running.user_key().unwrap_or(setup.user_key);
            setup.password_login = !server.info().capabilities.server_key;
            play(&case.scenario, Role::Client, stream, &setup)
        }
        Err(error) => broken(
            &format!(
                "connecting to the server {} at {}",
                server.info().id,
                running.addr()
            ),
            &Broken::new(error.to_string()),
        ),
    };
    let record = running.finish();
    outcome.logs.extend(record.logs);
    note_death(&mut outcome, &server.info().id, record.died);
    redact(&mut outcome, &secrets);
    outcome
}

/// Plays the server against a peer's client.
#[must_use]
pub fn against_client(case: &Case, client: &dyn Peer, deadline: Duration) -> Outcome {
    let listening = listen(&client.reach()).and_then(|listener| {
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    });
    let (listener, addr) = match listening {
        Ok(listening) => listening,
        Err(error) => {
            return broken("listening for the client", &Broken::new(error.to_string()));
        }
    };
    if client.comes_by_itself() {
        let accepted = one_of(&listener, deadline, || false);
        drop(listener);
        let setup = endpoint_setup(case.seed, keys::LOGIN, keys::PASSWORD, deadline);
        return match accepted {
            Ok(stream) => as_invited(play(&case.scenario, Role::Server, stream, &setup)),
            Err(error) => broken("waiting for a client", &Broken::new(error.to_string())),
        };
    }
    // What the scenario tells the client, or enough for every client to go all the way.
    let script = match Script::among(&case.scenario) {
        Ok(script) => script,
        Err(error) => return broken("reading the acts of the scenario", &error),
    };
    let job = script.job(case.seed, addr, [keys::LOGIN, keys::PASSWORD], deadline);
    thread::scope(|scope| {
        let name = thread::current().name().unwrap_or_default().to_owned();
        let connecting = thread::Builder::new()
            .name(name)
            .spawn_scoped(scope, || client.connect(&job));
        let connecting = match connecting {
            Ok(connecting) => connecting,
            Err(error) => {
                return broken(
                    "starting a thread for the client",
                    &Broken::new(error.to_string()),
                );
            }
        };
        let accepted = one_of(&listener, deadline, || connecting.is_finished());
        // From here on a client that tries once more is refused at once and does not hang.
        drop(listener);
        let setup = endpoint_setup(case.seed, keys::LOGIN, keys::PASSWORD, deadline);
        let played = accepted.map(|s| play(&case.scenario, Role::Server, s, &setup));
        let record = connecting
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let demanded = match &record {
            Ok(record) if script.demands_something() => judge(&script, &record.end),
            _ => Ok(()),
        };
        let outcome = concluded(played, record, &client.info().id);
        match demanded {
            Err(failure) if outcome.verdict == Verdict::Pass => {
                let missed = Outcome::missed(case.scenario.level, failure);
                Outcome {
                    verdict: missed.verdict,
                    failure: missed.failure,
                    notes: [outcome.notes, missed.notes].concat(),
                    ..outcome
                }
            }
            _ => outcome,
        }
    })
}

/// Who started a client without the key reads here how it is done.
fn as_invited(mut outcome: Outcome) -> Outcome {
    let hint = outcome.failure.as_mut().and_then(|it| it.hint.as_mut());
    if let Some(hint) = hint.filter(|hint| *hint == NO_CREDENTIAL) {
        hint.push_str(": start it as was printed for it");
    }
    outcome
}

/// What the endpoint is told beside the scenario.
pub(super) fn endpoint_setup(seed: u64, user: &str, password: &str, limit: Duration) -> Setup {
    let began = Instant::now();
    Setup {
        user: user.to_owned(),
        password: password.to_owned(),
        host_key: keys::signing_key(keys::HOST),
        user_key: keys::signing_key(keys::USER),
        password_login: false,
        // Made from no secret: anybody may sign with it, and it must never be accepted.
        other_key: SigningKey::from_seed(&[0x5a; 32]),
        seed,
        clock: Arc::new(move || began.elapsed()),
        step_limit: Setup::STEP_LIMIT.min(limit),
        case_limit: limit,
    }
}

/// Puts together what the endpoint saw and what the client said.
fn concluded(
    played: io::Result<Outcome>,
    record: Result<ClientRecord, NotDone>,
    client: &str,
) -> Outcome {
    match (played, record) {
        (Ok(mut outcome), Ok(record)) => {
            outcome.logs.extend(record.logs);
            if outcome.verdict != Verdict::Pass {
                outcome.notes.push(format!("the client {}", record.end));
            }
            note_death(&mut outcome, client, record.died);
            outcome
        }
        (Ok(outcome), Err(error)) if outcome.verdict == Verdict::Pass => {
            not_done(&format!("running the client {client}"), &error)
        }
        (Ok(outcome), Err(error)) => Outcome {
            notes: vec![format!("the client is broken: {error}")],
            ..outcome
        },
        (Err(_), Err(error)) => not_done(&format!("running the client {client}"), &error),
        (Err(error), Ok(record)) => {
            let what = format!("{error}; the client {}", record.end);
            let mut outcome = broken(
                &format!("waiting for the client {client} to connect"),
                &Broken::new(what),
            );
            outcome.logs = record.logs;
            outcome
        }
    }
}

fn listen(reach: &Reach) -> io::Result<TcpListener> {
    let addr = match reach {
        Reach::Loopback => (IpAddr::V4(Ipv4Addr::LOCALHOST), 0).into(),
        Reach::Containers(ip) => SocketAddr::new(*ip, 0),
        Reach::At(addr) => *addr,
    };
    TcpListener::bind(addr)
}

/// Waits for one connection, until the deadline or until nobody can connect any more.
fn one_of(
    listener: &TcpListener,
    deadline: Duration,
    is_hopeless: impl Fn() -> bool,
) -> io::Result<TcpStream> {
    let started = Instant::now();
    let came = accept(listener, || is_hopeless() || started.elapsed() >= deadline)?;
    came.map(|(stream, _)| stream)
        .ok_or_else(|| io::Error::new(io::ErrorKind::TimedOut, "no connection came"))
}
