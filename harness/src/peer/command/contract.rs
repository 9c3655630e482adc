//! Whether a manifest's commands keep the contract, seen before the first case: a server accepts a
//! connection and identifies itself, a client connects and does so. The same connections tell what
//! the manifest does not say.

use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::CommandPeer;
use crate::peer::kexinit::{self, Offer};
use crate::peer::manifest::Manifest;
use crate::peer::{Broken, ClientJob, NotDone, Peer, Reach, RekeyLimit, ServerSetup};

/// How long a client may take until it connects.
const CONNECT_MAX: Duration = Duration::from_secs(30);
/// How often we look whether it did.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What is so in all the roles that there are.
pub(super) struct Offered {
    pub(super) strict_kex: bool,
    pub(super) prefers_curve25519: bool,
}

/// Tries both roles, and gives what they offer.
pub(super) fn check(peer: &CommandPeer, manifest: &Manifest) -> Result<Offered, NotDone> {
    let mut offered = Offered {
        strict_kex: true,
        prefers_curve25519: true,
    };
    if let Some(server) = &manifest.server {
        let offer = speaking_ours("server", ask_server(peer)?)?;
        offered.strict_kex &= server.strict_kex.unwrap_or(offer.strict_kex());
        offered.prefers_curve25519 &= offer.prefers_curve25519();
    }
    if let Some(client) = &manifest.client {
        let offer = speaking_ours("client", ask_client(peer)?)?;
        offered.strict_kex &= client.strict_kex.unwrap_or(offer.strict_kex());
        offered.prefers_curve25519 &= offer.prefers_curve25519();
    }
    Ok(offered)
}

/// Whether there can be a case with who offers this.
fn speaking_ours(role: &str, offer: Offer) -> Result<Offer, NotDone> {
    match offer.lacks() {
        Some(name) => Err(NotDone::Unsupported(format!("its {role} offers no {name}"))),
        None => Ok(offer),
    }
}

fn ask_server(peer: &CommandPeer) -> Result<Offer, NotDone> {
    let setup = ServerSetup {
        reachable_from: Reach::Loopback,
        rekey: RekeyLimit::default(),
        seed: 0,
    };
    let server = peer.serve(&setup)?;
    let offers = TcpStream::connect(server.addr()).and_then(kexinit::read);
    offers.map_err(|e| {
        let id = &peer.info.id;
        let log = server.finish().logs.pop().unwrap_or_default().text;
        let what = format!(
            "the server of {id} accepted a connection and did not begin as an SSH server does: \
             {e}{}",
            super::server::end_of(&log)
        );
        Broken::new(what)
            .hint("an identification string and KEXINIT must come unasked (RFC 4253 §4.2, §7.1)")
            .into()
    })
}

fn ask_client(peer: &CommandPeer) -> Result<Offer, NotDone> {
    let id = &peer.info.id;
    let ip = match peer.place.reach() {
        Reach::Loopback => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Reach::Containers(ip) => ip,
        Reach::At(addr) => addr.ip(),
    };
    let listening = |e| Broken::while_doing(&format!("cannot listen on {ip}"), e);
    let listener = TcpListener::bind((ip, 0)).map_err(listening)?;
    let addr = listener.local_addr().map_err(listening)?;
    listener.set_nonblocking(true).map_err(listening)?;
    let job = ClientJob::idle(addr, 0, CONNECT_MAX);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| peer.connect(&job));
        let stream = accept(&listener, || client.is_finished());
        // From here on it is refused if it tries again.
        drop(listener);
        let offers = stream.map(|stream| {
            stream.set_nonblocking(false)?;
            kexinit::read(stream)
        });
        let record = client.join().expect("running a client does not panic");
        match offers {
            Some(Ok(offers)) => Ok(offers),
            Some(Err(e)) => {
                let said = record.map(|record| record.end.to_string());
                let said = said.unwrap_or_else(|e| e.to_string());
                let what = format!(
                    "the client of {id} connected and did not begin as an SSH client does: {e}; \
                     it {said}"
                );
                Err(Broken::new(what).into())
            }
            None => {
                let what = format!("the client of {id} did not connect: it {}", record?.end);
                Err(Broken::new(what)
                    .hint("it must connect to $DRILL_HOST:$DRILL_PORT")
                    .into())
            }
        }
    })
}

/// The first connection, unless none can come any more.
fn accept(listener: &TcpListener, is_hopeless: impl Fn() -> bool) -> Option<TcpStream> {
    let begin = Instant::now();
    loop {
        // Asked before accepting, so that a client that came and left is not missed.
        let is_last = is_hopeless() || begin.elapsed() > CONNECT_MAX;
        match listener.accept() {
            Ok((stream, _)) => return Some(stream),
            Err(_) if is_last => return None,
            Err(_) => std::thread::sleep(LOOK_EVERY),
        }
    }
}
