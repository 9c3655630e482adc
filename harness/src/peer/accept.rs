//! Waiting for a connection that may never come.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How often a waiting listener looks whether the wait is over.
const LOOK: Duration = Duration::from_millis(5);

/// The next connection; `None` when the wait for it is over.
///
/// # Errors
/// The system's.
pub fn accept(
    listener: &TcpListener,
    is_over: impl Fn() -> bool,
) -> io::Result<Option<(TcpStream, SocketAddr)>> {
    listener.set_nonblocking(true)?;
    loop {
        // Asked before accepting, so that a client that connected and left at once is not missed.
        let last_try = is_over();
        match listener.accept() {
            Ok((stream, from)) => {
                stream.set_nonblocking(false)?;
                return Ok(Some((stream, from)));
            }
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) if last_try => return Ok(None),
            Err(_) => wait_for_somebody(listener, LOOK),
        }
    }
}

/// Returns when somebody connects; most clients do in less than a sleep would take.
fn wait_for_somebody(listener: &TcpListener, at_most: Duration) {
    let limit = Timespec::try_from(at_most).ok();
    // What goes wrong here goes wrong in the accept that follows, too, and is told there.
    let _ = poll(&mut [PollFd::new(listener, PollFlags::IN)], limit.as_ref());
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::fake;

    #[test]
    fn a_client_that_comes_is_not_kept_waiting() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let _client = TcpStream::connect(addr).expect("somebody listens");
        let started = Instant::now();
        wait_for_somebody(&listener, fake::LONG);
        assert!(started.elapsed() < fake::LONG / 2);
    }

    #[test]
    fn whoever_came_before_the_wait_was_over_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        assert!(accept(&listener, || true).expect("it listens").is_none());
        let client = TcpStream::connect(addr).expect("somebody listens");
        let (_, from) = accept(&listener, || true)
            .expect("it listens")
            .expect("it came");
        assert_eq!(from, client.local_addr().expect("an address"));
    }
}
