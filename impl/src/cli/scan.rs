//! `minissh scan`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::ToSocketAddrs as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::Failure;
use crate::blocking;
use crate::crypto::PublicKey;
use crate::engine::Config;
use crate::keyfile::{fingerprint, known_host_line};
use crate::msg::MessageId;
use crate::msg::names::{
    CHACHA20_POLY1305_OPENSSH, CURVE25519_SHA256, CURVE25519_SHA256_LIBSSH, SSH_ED25519,
};
use crate::net::{Error, Options};
use crate::trace::{Direction, TraceEntry, Traced};
use crate::wire::NameList;

/// The lists of KEXINIT that are shown, in wire order: its name in the record, and what is written.
const LISTS: [(&str, &str); 6] = [
    ("kex", "kex"),
    ("host-key", "host key"),
    ("cipher", "cipher"),
    ("mac", "mac"),
    ("compression", "compression"),
    ("language", "language"),
];

const EXAMPLES: &str = "\
Examples:
  minissh scan example.org
  minissh scan -p 2222 -T 30 192.0.2.1
  minissh scan example.org >>~/.ssh/known_hosts    once the fingerprint is known to be right";

/// Print a server's host key as a line of `known_hosts`, and what the server offers.
///
/// All but the key stands in comments, so that the output may be appended to a `known_hosts` file.
/// Nothing vouches for the key: compare its fingerprint first.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Which server.
    #[arg(value_hint = clap::ValueHint::Hostname)]
    host: String,
    /// Its port.
    #[arg(short, long, default_value_t = 22)]
    port: u16,
    /// How long to wait for it, in seconds.
    #[arg(
        short = 'T',
        long = "timeout",
        value_name = "SECONDS",
        default_value_t = 5
    )]
    timeout_s: u64,
}

/// What was seen of the server.
#[derive(Debug, Default)]
struct Seen {
    ident: Option<String>,
    /// The fields of its KEXINIT.
    offer: Option<BTreeMap<&'static str, String>>,
    key: Option<PublicKey>,
}

type Shared = Arc<Mutex<Seen>>;

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let seen = Shared::default();
    let ended = look(args, &seen);
    let seen = std::mem::take(&mut *lock(&seen));
    std::io::stdout().write_all(report(args, &seen).as_bytes())?;
    if seen.key.is_some() {
        return Ok(ExitCode::SUCCESS);
    }
    let missing = seen.offer.as_ref().map(missing).unwrap_or_default();
    if !missing.is_empty() {
        let missing = missing.join(", no ");
        return Err(
            Failure::new(format!("no host key: the server offers no {missing}"))
                .hint("minissh has one algorithm for each purpose and cannot talk to this server"),
        );
    }
    Err(Failure::new(ended?))
}

/// Connects up to the host key, which is refused: nothing more is wanted. What came is in `seen`
/// whatever the result, which is how the connection ended.
fn look(args: &Args, seen: &Shared) -> Result<Error, Failure> {
    let limit = Duration::from_secs(args.timeout_s);
    let deadline = Instant::now() + limit;
    let (report, ended) = mpsc::channel();
    let (host, port, seen) = (args.host.clone(), args.port, Arc::clone(seen));
    // Not joined: a name server or a server that says nothing may hold it for longer than we wait.
    std::thread::spawn(move || {
        let _ = report.send(connect(&host, port, &seen));
    });
    ended
        .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        .map_err(|_| {
            Failure::new(format!(
                "{} port {} did not show a host key within {} s",
                args.host, args.port, args.timeout_s
            ))
            .hint("wait longer with -T SECONDS")
        })
}

fn connect(host: &str, port: u16, seen: &Shared) -> Error {
    let mut options = Options::new(Config::client());
    let recorded = Arc::clone(seen);
    options.recorder = Some(Box::new(move |entry: TraceEntry| {
        note(&mut lock(&recorded), &entry);
    }));
    let verified = Arc::clone(seen);
    let connected = match (host, port).to_socket_addrs() {
        Ok(addrs) => blocking::connect_with(&addrs.collect::<Vec<_>>()[..], options, move |key| {
            lock(&verified).key = Some(key.clone());
            false
        }),
        Err(error) => Err(Error::io(format!("cannot find {host}"))(error)),
    };
    match connected {
        Ok(_) => Error::HostKeyRefused,
        Err(error) => error,
    }
}

fn lock(seen: &Shared) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(seen: &mut Seen, entry: &TraceEntry) {
    if entry.direction == Direction::Outbound {
        return;
    }
    match &entry.what {
        Traced::Ident(ident) => seen.ident = Some(ident.clone()),
        Traced::Packet {
            message: MessageId::KEXINIT,
            fields,
            ..
        } => {
            let fields = fields.iter().map(|field| (field.name, field.value.clone()));
            seen.offer = Some(fields.collect());
        }
        Traced::Packet { .. } | Traced::Closed => {}
    }
}

fn report(args: &Args, seen: &Seen) -> String {
    let mut lines = Vec::new();
    if let Some(ident) = &seen.ident {
        lines.push(format!("# {}:{} {ident}", args.host, args.port));
    }
    if let Some(offer) = &seen.offer {
        lines.extend(offer_lines(offer));
    }
    if let Some(key) = &seen.key {
        lines.push(format!("# fingerprint: {}", fingerprint(key)));
        lines.push(known_host_line(&args.host, args.port, key));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// One line for each list; two where the directions differ.
fn offer_lines(offer: &BTreeMap<&'static str, String>) -> Vec<String> {
    let mut lines = Vec::new();
    for (field, name) in LISTS {
        let both = offer.get(field);
        let [c2s, s2c] = ["c2s", "s2c"].map(|way| offer.get(format!("{field}-{way}").as_str()));
        match (both.or(c2s), s2c) {
            (Some(names), None) => lines.push(format!("# {name}: {names}")),
            (c2s, Some(s2c)) => {
                let c2s = c2s.map_or("", String::as_str);
                lines.push(format!("# {name}, client to server: {c2s}"));
                lines.push(format!("# {name}, server to client: {s2c}"));
            }
            (None, None) => {}
        }
    }
    lines
}

/// What the server would have to offer and does not.
fn missing(offer: &BTreeMap<&'static str, String>) -> Vec<&'static str> {
    let cipher = [CHACHA20_POLY1305_OPENSSH].as_slice();
    let needs = [
        (
            "kex",
            [CURVE25519_SHA256, CURVE25519_SHA256_LIBSSH].as_slice(),
        ),
        ("host-key", &[SSH_ED25519]),
        ("cipher-c2s", cipher),
        ("cipher-s2c", cipher),
    ];
    let offers = |field: &str, name: &str| {
        // The record leaves out the second of two lists that are the same.
        let same = (field == "cipher-s2c").then(|| offer.get("cipher-c2s"));
        let names = offer.get(field).or(same.flatten());
        names.is_some_and(|names| NameList(names).has(name))
    };
    let mut missing: Vec<_> = needs
        .into_iter()
        .filter(|(field, names)| !names.iter().any(|name| offers(field, name)))
        .filter_map(|(_, names)| names.first().copied())
        .collect();
    missing.dedup();
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(fields: &[(&'static str, &str)]) -> BTreeMap<&'static str, String> {
        let fields = fields
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        fields.collect()
    }

    #[test]
    fn directions_are_shown_apart_only_where_they_differ() {
        let offer = offer(&[
            ("kex", "a,b"),
            ("cipher-c2s", "c"),
            ("mac-c2s", "d"),
            ("mac-s2c", "e"),
        ]);
        assert_eq!(
            offer_lines(&offer),
            [
                "# kex: a,b",
                "# cipher: c",
                "# mac, client to server: d",
                "# mac, server to client: e",
            ]
        );
    }

    #[test]
    fn what_a_server_lacks_is_named_once() {
        let all = [
            ("kex", "x,curve25519-sha256@libssh.org"),
            ("host-key", "ssh-ed25519"),
            ("cipher-c2s", "chacha20-poly1305@openssh.com"),
        ];
        assert!(missing(&offer(&all)).is_empty());
        let other = [("kex", "x"), ("host-key", "ssh-rsa"), ("cipher-c2s", "y")];
        assert_eq!(
            missing(&offer(&other)),
            [CURVE25519_SHA256, SSH_ED25519, CHACHA20_POLY1305_OPENSSH]
        );
    }
}
