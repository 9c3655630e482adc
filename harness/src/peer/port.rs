//! Ports for servers that must be told one before they listen.

use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that systems give out of their own accord (from 32768 on Linux), so that nobody
/// who asks for any port at all gets one of these before its server is up.
const FIRST: u16 = 20_000;

/// How many there are.
const COUNT: u16 = 12_000;

/// A port of `ip` that nobody listens on. Each call gives another one, until all were given.
///
/// # Errors
/// The system's, when none is free or `ip` is not this machine's.
pub(super) fn free(ip: IpAddr) -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Runs that go on side by side begin at different places.
    let begin = std::process::id().wrapping_mul(997) % u32::from(COUNT);
    let mut last = Error::from(ErrorKind::AddrInUse);
    for _ in 0..COUNT {
        let turn = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let offset = u16::try_from((begin + turn) % u32::from(COUNT)).unwrap_or_default();
        match TcpListener::bind((ip, FIRST + offset)).and_then(|l| l.local_addr()) {
            Ok(addr) => return Ok(addr),
            Err(error) if error.kind() == ErrorKind::AddrInUse => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}
