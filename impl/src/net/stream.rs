//! One stream of a channel as a reader or a writer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::channel::Channel;
use super::error::Error;

/// How much one write takes at most, in bytes.
const WRITE_BYTES_MAX: usize = 64 << 10;

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Reads one stream of a channel. Readers of the same stream get distinct data; what a dropped
/// reader has not read stays for the next one.
pub struct Reader {
    channel: Channel,
    code: Option<u32>,
    waiting: Option<Waiting>,
}

impl Reader {
    pub(super) fn new(channel: Channel, code: Option<u32>) -> Self {
        let waiting = None;
        Self {
            channel,
            code,
            waiting,
        }
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
            }
            if buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if let Some(filled) = self.channel.try_fill(self.code, buf.initialize_unfilled()) {
                return Poll::Ready(filled.map(|count| buf.advance(count)).map_err(Into::into));
            }
            let (channel, code) = (self.channel.clone(), self.code);
            self.waiting = Some(Box::pin(async move { channel.readable(code).await }));
        }
    }
}

/// Writes one stream of a channel. A write is taken before the window has let it through; errors
/// come with the next one, or with a flush. Dropping the writer of the normal stream, or shutting
/// it down, sends EOF behind what was written.
pub struct Writer {
    channel: Channel,
    code: Option<u32>,
    /// The write under way.
    written: Option<oneshot::Receiver<Result<(), Error>>>,
    is_shut: bool,
}

impl Writer {
    pub(super) fn new(channel: Channel, code: Option<u32>) -> Self {
        Self {
            channel,
            code,
            written: None,
            is_shut: false,
        }
    }

    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(written) = &mut self.written else {
            return Poll::Ready(Ok(()));
        };
        let result = ready!(Pin::new(written).poll(cx));
        self.written = None;
        Poll::Ready(match result {
            Ok(result) => result.map_err(|error| self.channel.explain(error).into()),
            Err(_) => Err(self.channel.ended().into()),
        })
    }

    fn begin(&mut self, data: &[u8]) {
        let (job, written) = self.channel.write_job(self.code, data.to_vec());
        self.written = Some(written);
        self.channel.post(job);
    }

    /// Sends EOF behind what was written.
    fn shut(&mut self) {
        if !std::mem::replace(&mut self.is_shut, true) && self.code.is_none() {
            self.channel.post(self.channel.eof_job());
        }
    }
}

impl AsyncWrite for Writer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_written(cx))?;
        let data = data.get(..WRITE_BYTES_MAX).unwrap_or(data);
        if !data.is_empty() {
            self.begin(data);
        }
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_written(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_written(cx))?;
        self.shut();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shut();
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}
