//! One stream of a channel as a [`Read`] or a [`Write`].

use std::io::{self, Read, Write};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::runtime;
use crate::net;

/// Reads one stream of a channel; see [`net::Reader`].
#[derive(Debug)]
pub struct Reader {
    reader: net::Reader,
}

impl Reader {
    pub(super) fn new(reader: net::Reader) -> Self {
        Self { reader }
    }
}

impl Read for Reader {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        runtime().block_on(self.reader.read(room))
    }
}

/// Writes one stream of a channel; see [`net::Writer`]. A write waits until the window lets it
/// through.
#[derive(Debug)]
pub struct Writer {
    writer: net::Writer,
}

impl Writer {
    pub(super) fn new(writer: net::Writer) -> Self {
        Self { writer }
    }
}

impl Write for Writer {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        runtime().block_on(async {
            let count = self.writer.write(data).await?;
            self.writer.flush().await?;
            Ok(count)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        runtime().block_on(self.writer.flush())
    }
}
