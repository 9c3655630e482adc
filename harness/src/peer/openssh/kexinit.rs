//! Reads the KEXINIT that an implementation sends unasked and in the clear, to learn what it offers
//! before the first case. Knows no more of the protocol than that.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long the other side may take for each read.
const READ_WAIT: Duration = Duration::from_secs(5);
/// Our bound on everything before KEXINIT and on KEXINIT itself.
const BYTES_MAX: usize = 35_000;
/// `SSH_MSG_KEXINIT`.
const KEXINIT: u8 = 20;

/// Whether the implementation at the other end offers strict key exchange, in either role.
pub(super) fn offers_strict_kex(mut stream: TcpStream) -> Result<bool> {
    stream.set_read_timeout(Some(READ_WAIT))?;
    stream.write_all(b"SSH-2.0-sshdrill_probe\r\n")?;
    let mut stream = BufReader::new(stream);
    read_ident(&mut stream)?;
    let payload = read_plain_packet(&mut stream)?;
    // Byte 20, a cookie of 16 bytes, then the name-list of key exchanges (RFC 4253 §7.1).
    let (Some(&KEXINIT), Some(length), Some(rest)) =
        (payload.first(), payload.get(17..21), payload.get(21..))
    else {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "the first packet is no KEXINIT",
        ));
    };
    let length = length.iter().fold(0, |n, &byte| n << 8 | usize::from(byte));
    let names = String::from_utf8_lossy(rest.get(..length).unwrap_or_default());
    Ok(names.split(',').any(|name| {
        matches!(
            name,
            "kex-strict-s-v00@openssh.com" | "kex-strict-c-v00@openssh.com"
        )
    }))
}

/// Skips lines up to and including the identification string.
fn read_ident(stream: &mut impl BufRead) -> Result<()> {
    let mut line = Vec::new();
    for byte in stream.bytes().take(BYTES_MAX) {
        match byte? {
            b'\n' if line.starts_with(b"SSH-") => return Ok(()),
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
