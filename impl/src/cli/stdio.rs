//! Our standard streams. What shares a pipe or a terminal with us may have made them non-blocking, and
//! whoever reads our stderr may be gone.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _, stderr, stdin};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// Reads some of our input; 0 at its end.
pub(super) fn read(buffer: &mut [u8]) -> io::Result<usize> {
    let stdin = stdin();
    retried(&stdin, PollFlags::IN, || {
        rustix::io::read(&stdin, &mut *buffer)
    })
}

/// Writes all of it, past what Rust itself would hold back.
pub(super) fn write_all(to: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match retried(&to, PollFlags::OUT, || rustix::io::write(&to, bytes))? {
            0 => return Err(ErrorKind::WriteZero.into()),
            count => bytes = bytes.get(count..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// Tries once more each time that a stream which does not wait would have to.
fn retried<R>(
    stream: impl AsFd,
    until: PollFlags,
    mut attempt: impl FnMut() -> Result<R, Errno>,
) -> io::Result<R> {
    loop {
        match attempt() {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(&stream, until)], None);
            }
            tried => return Ok(tried?),
        }
    }
}

/// Says a line on stderr. That nobody hears it is no reason to end.
pub(super) fn say(line: impl Display) {
    let _ = writeln!(stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn all_is_written_to_a_stream_that_does_not_wait() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let bytes: Vec<u8> = (0..=250).cycle().take(1 << 20).collect();
        let reader = std::thread::spawn(move || {
            let mut read = Vec::new();
            io::Read::read_to_end(&mut &theirs, &mut read).map(|_| read)
        });
        write_all(&ours, &bytes).unwrap();
        drop(ours);
        assert!(reader.join().unwrap().unwrap() == bytes);
    }
}
