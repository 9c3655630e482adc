//! A stream that keeps what goes through it: how a connection of ours is captured from outside.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use minissh::crypto::SharedSecret;
use minissh::keylog::{self, KeyLog};
use minissh::trace::Direction;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::verdict::Capture;
use crate::verdict::capture::Side;

/// Where the captures of a peer's connections gather, in the order in which these began.
#[derive(Clone, Default)]
pub(super) struct Captures(Arc<Mutex<Vec<Capture>>>);

impl Captures {
    /// Begins the capture of one more connection.
    pub(super) fn begin(&self, recorder: Side) -> Tap {
        let mut captures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        captures.push(Capture::by(recorder));
        Tap {
            captures: self.clone(),
            number: captures.len() - 1,
            began: Instant::now(),
        }
    }

    /// What was captured; what comes after this goes nowhere.
    pub(super) fn take(&self) -> Vec<Capture> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes to the capture of one connection.
#[derive(Clone)]
pub(super) struct Tap {
    captures: Captures,
    number: usize,
    began: Instant,
}

impl Tap {
    /// The stream, with everything that goes through it kept.
    pub(super) fn on<S>(&self, stream: S) -> Tapped<S> {
        Tapped {
            stream,
            tap: self.clone(),
        }
    }

    fn note(&self, note: impl FnOnce(&mut Capture)) {
        let mut captures = self
            .captures
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(capture) = captures.get_mut(self.number) {
            note(capture);
        }
    }

    /// Notes bytes, of which none are the end of the direction.
    fn note_bytes(&self, direction: Direction, bytes: &[u8]) {
        let at = self.began.elapsed();
        self.note(|capture| match bytes {
            [] => capture.end(at, direction),
            bytes => capture.carry(at, direction, bytes),
        });
    }

    fn note_error(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::ConnectionReset {
            let at = self.began.elapsed();
            self.note(|capture| capture.reset(at, Direction::Inbound));
        }
    }
}

impl KeyLog for Tap {
    fn shared_secret(&mut self, cookie: &[u8; 16], secret: &SharedSecret) {
        self.note(|capture| capture.log_key(&keylog::line(cookie, secret)));
    }
}

/// A stream with a tap.
pub(super) struct Tapped<S> {
    stream: S,
    tap: Tap,
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut this.stream).poll_read(context, buffer));
        match &read {
            Ok(()) => {
                let bytes = buffer.filled().get(before..).unwrap_or_default();
                this.tap.note_bytes(Direction::Inbound, bytes);
            }
            Err(error) => this.tap.note_error(error),
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(context, bytes));
        match &written {
            Ok(0) => {}
            Ok(count) => {
                let bytes = bytes.get(..*count).unwrap_or_default();
                this.tap.note_bytes(Direction::Outbound, bytes);
            }
            Err(error) => this.tap.note_error(error),
        }
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.tap.note_bytes(Direction::Outbound, &[]);
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}

/// Whoever drops a stream without a word has closed it all the same.
impl<S> Drop for Tapped<S> {
    fn drop(&mut self) {
        self.tap.note_bytes(Direction::Outbound, &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;
    use crate::peer::minissh::Minissh;
    use crate::peer::{ClientJob, Peer, Reach, RekeyLimit, ServerSetup};
    use crate::verdict::capture::Carried;

    /// Everything that one side sent, as this capture has it.
    fn sent(capture: &Capture, direction: Direction) -> Vec<u8> {
        let mut sent = Vec::new();
        for segment in &capture.segments {
            if let (Carried::Bytes(bytes), true) = (&segment.what, segment.direction == direction) {
                sent.extend_from_slice(bytes);
            }
        }
        sent
    }

    #[test]
    fn both_ends_of_ours_capture_the_same_connection() {
        let minissh = Minissh::default();
        let setup = ServerSetup {
            reachable_from: Reach::Loopback,
            rekey: RekeyLimit::default(),
            seed: 1,
        };
        let server = minissh.serve(&setup).expect("loopback");
        let job = ClientJob::idle(server.addr(), 2, fake::LONG);
        let client = minissh.connect(&job).expect("loopback");
        let server = server.finish();

        let [client, server] = [&client.captures, &server.captures].map(|captures| &captures[0]);
        assert_eq!(
            (client.recorder, server.recorder),
            (Side::Client, Side::Server)
        );
        let up = sent(client, Direction::Outbound);
        assert!(up.starts_with(b"SSH-2.0-minissh"));
        assert_eq!(up, sent(server, Direction::Inbound));
        assert_eq!(
            sent(client, Direction::Inbound),
            sent(server, Direction::Outbound)
        );
        assert_eq!(client.key_lines[0][32..], server.key_lines[0][32..]);
        let is_end = |direction| {
            let mut segments = client.segments.iter();
            segments.any(|s| s.what == Carried::End && s.direction == direction)
        };
        assert!(is_end(Direction::Outbound));
    }
}
