//! Reads the KEXINIT that an implementation sends unasked and in the clear, to learn what it offers
//! before the first case. Knows no more of the protocol than that.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long the other side may take for each read.
const READ_WAIT: Duration = Duration::from_secs(30);
/// Our bound on everything before KEXINIT and on KEXINIT itself.
const BYTES_MAX: usize = 35_000;
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

/// Reads what the implementation at the other end says of itself.
pub(super) fn read(stream: TcpStream) -> Result<Offer> {
    read_offer(stream).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::new(
            ErrorKind::TimedOut,
            format!("nothing more came within {READ_WAIT:?}"),
        ),
        _ => error,
    })
}

fn read_offer(mut stream: TcpStream) -> Result<Offer> {
    stream.set_read_timeout(Some(READ_WAIT))?;
    stream.write_all(b"SSH-2.0-sshdrill_probe\r\n")?;
    let mut stream = BufReader::new(stream);
    let ident = read_ident(&mut stream)?;
    let payload = read_plain_packet(&mut stream)?;
    // Byte 20, a cookie of 16 bytes, then the name-lists (RFC 4253 §7.1).
    let (Some(&KEXINIT), Some(mut rest)) = (payload.first(), payload.get(17..)) else {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "the first packet is no KEXINIT",
        ));
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

/// Skips lines up to the identification string.
fn read_ident(stream: &mut impl BufRead) -> Result<String> {
    let mut line = Vec::new();
    for byte in stream.bytes().take(BYTES_MAX) {
        match byte? {
            b'\n' if line.starts_with(b"SSH-") => {
                line.retain(|byte| (b' '..=b'~').contains(byte));
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            b'\n' => line.clear(),
            other => line.push(other),
        }
    }
    Err(Error::new(
        ErrorKind::UnexpectedEof,
        "no identification string came",
    ))
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

    #[test]
    fn name_lists_that_are_cut_off_are_empty() {
        let mut rest = &b"\0\0\0\x03a,b\0\0\0\x09c"[..];
        assert_eq!(read_names(&mut rest), ["a", "b"]);
        assert_eq!(read_names(&mut rest), Vec::<String>::new());
    }
}
