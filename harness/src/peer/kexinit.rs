//! Reads the KEXINIT that an implementation sends unasked and in the clear, to learn what it offers
//! before the first case. Knows no more of the protocol than that.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::wording;

/// How long the other side may take for each read.
const READ_WAIT: Duration = Duration::from_secs(30);
/// Our bound on everything before KEXINIT and on KEXINIT itself.
const BYTES_MAX: usize = 35_000;
/// How the answer of a web server begins.
const HTTP: &[u8] = b"HTTP/";
/// `SSH_MSG_KEXINIT`.
const KEXINIT: u8 = 20;

/// What an implementation says of itself unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    /// Its identification string, without what is no printable ASCII.
    pub(super) ident: String,
    /// Its name-lists of key exchanges, host keys, and ciphers from the client to the server.
    lists: [Vec<String>; 3],
}

/// What the suite speaks: of each list at least one name must be there.
const OURS: [(&str, &[&str]); 3] = [
    (
        "key exchange",
        &["curve25519-sha256", "curve25519-sha256@libssh.org"],
    ),
    ("host key", &["ssh-ed25519"]),
    ("cipher", &["chacha20-poly1305@openssh.com"]),
];

impl Offer {
    /// Whether it offers strict key exchange, in either role.
    pub(super) fn strict_kex(&self) -> bool {
        let [kex, ..] = &self.lists;
        kex.iter().any(|name| {
            matches!(
                &**name,
                "kex-strict-s-v00@openssh.com" | "kex-strict-c-v00@openssh.com"
            )
        })
    }

    /// Whether the method and the host key that scenarios guess are the first of their lists. Under its
    /// older name it is another method: guesses are right by name (RFC 4253 §7).
    pub(super) fn prefers_curve25519(&self) -> bool {
        let [kex, host_key, _] = &self.lists;
        let first = |list: &[String], name| list.first().is_some_and(|first| first == name);
        first(kex, "curve25519-sha256") && first(host_key, "ssh-ed25519")
    }

    /// The first thing that the suite speaks and it does not: no case could begin.
    pub(super) fn lacks(&self) -> Option<String> {
        let mut lists = self.lists.iter().zip(OURS);
        let (_, (what, names)) = lists
            .find(|(list, (_, names))| !list.iter().any(|name| names.contains(&name.as_str())))?;
        Some(format!("{what} {}", names.join(" or ")))
    }
}

/// Why there is no offer: how far the other side came, and what it said until then.
#[derive(Debug, thiserror::Error)]
#[error("{missing}: {why}{}", after(.heard))]
struct NoOffer {
    missing: Missing,
    why: String,
    heard: Vec<u8>,
}

/// What did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Missing {
    #[error("it sent no identification")]
    Ident,
    #[error("it sent an identification and no KEXINIT")]
    Kexinit,
}

impl NoOffer {
    fn new(missing: Missing, error: &Error, heard: &[u8], wait: Duration) -> Self {
        let why = match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut if heard.is_empty() => {
                format!("nothing came within {}", wording::time(wait))
            }
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                format!("nothing more came within {}", wording::time(wait))
            }
            ErrorKind::UnexpectedEof => "the connection ended".to_owned(),
            _ => error.to_string(),
        };
        Self {
            missing,
            why,
            heard: heard.to_vec(),
        }
    }
}

fn no_offer(missing: Missing, error: &Error, heard: &[u8], wait: Duration) -> Error {
    Error::new(error.kind(), NoOffer::new(missing, error, heard, wait))
}

/// The first lines that came, as far as they can be shown.
fn after(heard: &[u8]) -> String {
    const LINES_MAX: usize = 3;
    const CHARS_MAX: usize = 80;

    let printable = |line: &[u8]| -> String {
        let bytes = line.iter().filter(|byte| (b' '..=b'~').contains(byte));
        bytes.take(CHARS_MAX).copied().map(char::from).collect()
    };
    let lines = heard.split(|byte| *byte == b'\n').map(printable);
    let lines = lines.filter(|line| !line.trim().is_empty());
    let lines: Vec<String> = lines
        .take(LINES_MAX)
        .map(|line| format!("`{line}`"))
        .collect();
    match lines.is_empty() {
        true => String::new(),
        false => format!(", after {}", lines.join(" and ")),
    }
}

/// What to do about a server that made no offer.
pub(super) fn hint(error: &Error) -> &'static str {
    let no_offer = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<NoOffer>());
    match no_offer {
        Some(no_offer) if no_offer.heard.starts_with(HTTP) => {
            "a web server answers there: is it the right port?"
        }
        Some(no_offer) if no_offer.missing == Missing::Kexinit => {
            "a server sends KEXINIT unasked (RFC 4253 §7.1); one that has had enough of us (OpenSSH's \
             PerSourcePenalties, fail2ban) may end here"
        }
        _ => {
            "is it an SSH server, and the right port? One that has had enough of us (OpenSSH's \
             PerSourcePenalties, fail2ban) also looks so"
        }
    }
}

/// Reads what the implementation at the other end says of itself.
///
/// # Errors
/// That of the stream, or one that says what did not come and what came instead.
pub(super) fn read(stream: TcpStream) -> Result<Offer> {
    read_within(stream, READ_WAIT)
}

fn read_within(mut stream: TcpStream, wait: Duration) -> Result<Offer> {
    stream.set_read_timeout(Some(wait))?;
    stream.write_all(b"SSH-2.0-sshdrill_probe\r\n")?;
    let mut stream = BufReader::new(stream);
    let mut heard = Vec::new();
    let ident = read_ident(&mut stream, &mut heard);
    let ident = ident.map_err(|e| no_offer(Missing::Ident, &e, &heard, wait))?;
    let payload = read_plain_packet(&mut stream);
    let payload = payload.map_err(|e| no_offer(Missing::Kexinit, &e, &heard, wait))?;
    // Byte 20, a cookie of 16 bytes, then the name-lists (RFC 4253 §7.1).
    let (Some(&KEXINIT), Some(mut rest)) = (payload.first(), payload.get(17..)) else {
        let other = Error::new(ErrorKind::InvalidData, "the first packet is another one");
        return Err(no_offer(Missing::Kexinit, &other, &heard, wait));
    };
    let lists = [(); 3].map(|()| read_names(&mut rest));
    Ok(Offer { ident, lists })
}

/// Takes a name-list from the front of what is left; an empty one where there is none.
fn read_names(rest: &mut &[u8]) -> Vec<String> {
    let Some((length, after)) = rest.split_first_chunk() else {
        return Vec::new();
    };
    let length = u32::from_be_bytes(*length) as usize;
    let Some((names, after)) = after.split_at_checked(length) else {
        return Vec::new();
    };
    *rest = after;
    let names = String::from_utf8_lossy(names);
    names.split(',').map(str::to_owned).collect()
}

/// Skips lines up to the identification string; all of them are in `heard`. Other lines may come
/// before it (RFC 4253 §4.2), but behind the status line of HTTP it does not come.
fn read_ident(stream: &mut impl BufRead, heard: &mut Vec<u8>) -> Result<String> {
    let mut start = 0;
    for byte in stream.bytes().take(BYTES_MAX) {
        let byte = byte?;
        heard.push(byte);
        if byte != b'\n' {
            continue;
        }
        let line = heard.get(start..).unwrap_or_default();
        if line.starts_with(b"SSH-") {
            let printable = |byte: &&u8| (b' '..=b'~').contains(*byte);
            let ident: Vec<u8> = line.iter().filter(printable).copied().collect();
            return Ok(String::from_utf8_lossy(&ident).into_owned());
        }
        if start == 0 && line.starts_with(HTTP) {
            return Err(Error::new(ErrorKind::InvalidData, "it speaks HTTP"));
        }
        start = heard.len();
    }
    if heard.len() < BYTES_MAX {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let much = format!("other lines of {BYTES_MAX} bytes came");
    Err(Error::new(ErrorKind::InvalidData, much))
}

/// Reads one packet as sent before any keys: length, padding length, payload, padding.
fn read_plain_packet(stream: &mut impl Read) -> Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > BYTES_MAX {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "the first packet is too long",
        ));
    }
    let mut packet = vec![0; length];
    stream.read_exact(&mut packet)?;
    Ok(packet.split_off(1.min(packet.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(kex: &str, host_key: &str, cipher: &str) -> Offer {
        let lists =
            [kex, host_key, cipher].map(|names| names.split(',').map(str::to_owned).collect());
        Offer {
            ident: String::new(),
            lists,
        }
    }

    #[test]
    fn what_is_lacking_is_named() {
        let chacha = "aes256-ctr,chacha20-poly1305@openssh.com";
        let old = "curve25519-sha256@libssh.org";
        assert_eq!(offer(old, "ssh-ed25519", chacha).lacks(), None);
        let lacks = |offer: Offer| offer.lacks().expect("it lacks something");
        assert_eq!(
            lacks(offer(old, "ssh-ed25519", "aes256-ctr")),
            "cipher chacha20-poly1305@openssh.com"
        );
        assert_eq!(lacks(offer(old, "ssh-rsa", chacha)), "host key ssh-ed25519");
        assert_eq!(
            lacks(offer("", "", "")),
            "key exchange curve25519-sha256 or curve25519-sha256@libssh.org"
        );
    }

    #[test]
    fn a_guess_is_right_by_the_first_names() {
        const BOTH: &str = "curve25519-sha256,curve25519-sha256@libssh.org";
        for (kex, host_key, is_right) in [
            (BOTH, "ssh-ed25519,ssh-rsa", true),
            (BOTH, "ssh-rsa,ssh-ed25519", false),
            (
                "curve25519-sha256@libssh.org,curve25519-sha256",
                "ssh-ed25519",
                false,
            ),
            (
                "sntrup761x25519-sha512,curve25519-sha256",
                "ssh-ed25519",
                false,
            ),
            ("", "", false),
        ] {
            let offer = offer(kex, host_key, "aes256-ctr");
            assert_eq!(offer.prefers_curve25519(), is_right, "{kex} {host_key}");
        }
    }

    /// What is said of who sends this, and then ends or waits.
    fn said_of(words: &'static [u8], ends: bool) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody comes");
            // Whoever ends with something unread tears the connection down.
            let mut greeting = [0; 24];
            stream.read_exact(&mut greeting).expect("our line");
            stream.write_all(words).expect("it is taken");
            if !ends {
                let _ = stream.read_to_end(&mut Vec::new());
            }
        });
        let stream = TcpStream::connect(addr).expect("somebody listens");
        let error = read_within(stream, Duration::from_millis(300)).expect_err("there is no offer");
        other.join().expect("it ends");
        format!("{error}\n{}", hint(&error))
    }

    #[test]
    fn who_is_no_ssh_server_is_told_by_what_it_sent() {
        insta::assert_snapshot!(said_of(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n", false), @r"
        it sent no identification: it speaks HTTP, after `HTTP/1.1 400 Bad Request`
        a web server answers there: is it the right port?
        ");
        insta::assert_snapshot!(said_of(b"", false), @r"
        it sent no identification: nothing came within 300 ms
        is it an SSH server, and the right port? One that has had enough of us (OpenSSH's PerSourcePenalties, fail2ban) also looks so
        ");
        insta::assert_snapshot!(said_of(b"Not allowed at this time\r\n", true), @r"
        it sent no identification: the connection ended, after `Not allowed at this time`
        is it an SSH server, and the right port? One that has had enough of us (OpenSSH's PerSourcePenalties, fail2ban) also looks so
        ");
        insta::assert_snapshot!(said_of(b"220 \x1b[2Jmail\r\nSSH-2.0-foo\r\n", false), @r"
        it sent an identification and no KEXINIT: nothing more came within 300 ms, after `220 [2Jmail` and `SSH-2.0-foo`
        a server sends KEXINIT unasked (RFC 4253 §7.1); one that has had enough of us (OpenSSH's PerSourcePenalties, fail2ban) may end here
        ");
    }

    #[test]
    fn name_lists_that_are_cut_off_are_empty() {
        let mut rest = &b"\0\0\0\x03a,b\0\0\0\x09c"[..];
        assert_eq!(read_names(&mut rest), ["a", "b"]);
        assert_eq!(read_names(&mut rest), Vec::<String>::new());
    }
}
