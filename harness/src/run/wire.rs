//! The scripted endpoint with a peer: makes the connection, and lets the scenario speak over it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use minissh::crypto::SigningKey;

use super::broken;
use super::event::Case;
use super::redact::redact;
use crate::peer::{Broken, ClientJob, ClientRecord, Peer, Reach, ServerSetup, keys};
use crate::scripted::{Role, Setup, play};
use crate::verdict::{Outcome, Verdict};

/// How often a waiting listener looks whether a connection came; std has no accept with a limit.
const ACCEPT_POLL: Duration = Duration::from_millis(5);

/// Plays the client against a peer's server.
#[must_use]
pub fn against_server(case: &Case, server: &dyn Peer, deadline: Duration) -> Outcome {
    let started = Instant::now();
    let setup = ServerSetup {
        reachable_from: Reach::Loopback,
        seed: case.seed,
    };
    let running = match server.serve(&setup) {
        Ok(running) => running,
        Err(error) => return broken(&format!("starting the server {}", server.info().id), &error),
    };
    let secrets = [running.password().to_owned()];
    let mut outcome = match TcpStream::connect_timeout(&running.addr(), deadline) {
        Ok(stream) => {
            let left = deadline.saturating_sub(started.elapsed());
            let setup = endpoint_setup(case, running.user(), running.password(), left);
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
    outcome.logs.extend(running.finish().logs);
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
    // Enough for every client to go all the way.
    let job = ClientJob::idle(addr, case.seed, deadline);
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
        let accepted = accept(&listener, deadline, || connecting.is_finished());
        // From here on a client that tries once more is refused at once and does not hang.
        drop(listener);
        let setup = endpoint_setup(case, keys::LOGIN, keys::PASSWORD, deadline);
        let played = accepted.map(|s| play(&case.scenario, Role::Server, s, &setup));
        let record = connecting
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        concluded(played, record, &client.info().id)
    })
}

/// What the endpoint is told beside the scenario.
fn endpoint_setup(case: &Case, user: &str, password: &str, limit: Duration) -> Setup {
    let began = Instant::now();
    Setup {
        user: user.to_owned(),
        password: password.to_owned(),
        host_key: keys::signing_key(keys::HOST),
        user_key: keys::signing_key(keys::USER),
        // Made from no secret: anybody may sign with it, and it must never be accepted.
        other_key: SigningKey::from_seed(&[0x5a; 32]),
        seed: case.seed,
        clock: Arc::new(move || began.elapsed()),
        step_limit: Setup::STEP_LIMIT.min(limit),
        case_limit: limit,
    }
}

/// Puts together what the endpoint saw and what the client said.
fn concluded(
    played: io::Result<Outcome>,
    record: Result<ClientRecord, Broken>,
    client: &str,
) -> Outcome {
    match (played, record) {
        (Ok(mut outcome), Ok(record)) => {
            outcome.logs.extend(record.logs);
            if outcome.verdict != Verdict::Pass {
                outcome.notes.push(format!("the client {}", record.end));
            }
            outcome
        }
        (Ok(outcome), Err(error)) if outcome.verdict == Verdict::Pass => {
            broken(&format!("running the client {client}"), &error)
        }
        (Ok(outcome), Err(error)) => Outcome {
            notes: vec![format!("the client is broken: {error}")],
            ..outcome
        },
        (Err(_), Err(error)) => broken(&format!("running the client {client}"), &error),
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
    let ip = match reach {
        Reach::Loopback => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Reach::Containers(ip) => *ip,
    };
    TcpListener::bind(SocketAddr::new(ip, 0))
}

/// Waits for one connection, until the deadline or until nobody can connect any more.
fn accept(
    listener: &TcpListener,
    deadline: Duration,
    is_hopeless: impl Fn() -> bool,
) -> io::Result<TcpStream> {
    let started = Instant::now();
    listener.set_nonblocking(true)?;
    loop {
        // Asked before accepting, so that a client that connected and left at once is not missed.
        let last_try = is_hopeless() || started.elapsed() >= deadline;
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) if last_try => {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "no connection came",
                ));
            }
            Err(_) => thread::sleep(ACCEPT_POLL),
        }
    }
}
