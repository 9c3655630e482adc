//! What carries the bytes of a connection.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// How long the other side may take none of what we write.
const WRITE_MAX: Duration = Duration::from_secs(30);

/// A byte stream in both directions: a socket, or what was recorded of one.
pub trait Stream: Send {
    /// Writes all of the bytes.
    ///
    /// # Errors
    /// The operating system's; that the other side is gone is one of them.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Reads what is there, or waits for it; no bytes are the end of the stream, and `None` says
    /// that nothing came until the deadline.
    ///
    /// # Errors
    /// As with [`Self::send`].
    fn receive(&mut self, room: &mut [u8], deadline: Instant) -> io::Result<Option<usize>>;

    /// Says that no more bytes come from us; theirs may go on.
    ///
    /// # Errors
    /// As with [`Self::send`].
    fn finish(&mut self) -> io::Result<()>;

    /// Tears the connection down without a farewell, in both directions.
    ///
    /// # Errors
    /// The operating system's.
    fn reset(self: Box<Self>) -> io::Result<()>;
}

/// A socket made ready for a conversation.
///
/// # Errors
/// The operating system's.
pub fn ready(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(WRITE_MAX))?;
    Ok(stream)
}

impl Stream for TcpStream {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn receive(&mut self, room: &mut [u8], deadline: Instant) -> io::Result<Option<usize>> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.set_read_timeout(Some(left))?;
            match self.read(room) {
                Err(error) if is_pause(error.kind()) => {}
                read => return read.map(Some),
            }
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn reset(self: Box<Self>) -> io::Result<()> {
        // Closing a socket that may not linger is what makes the system send RST.
        rustix::net::sockopt::set_socket_linger(&*self, Some(Duration::ZERO))?;
        Ok(())
    }
}

fn is_pause(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
