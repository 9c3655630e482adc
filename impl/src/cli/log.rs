//! What is said on stderr beside errors: the log, and warnings.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write, stderr};
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::filter::LevelFilter;

use super::stdio;

/// Whether warnings are left out.
static IS_QUIET: AtomicBool = AtomicBool::new(false);

/// Sends the log to stderr; more of it the more `verbose`, and none of it, and no warning, if
/// `is_quiet` and not verbose.
pub(super) fn begin(verbose: u8, is_quiet: bool) {
    let is_quiet = is_quiet && verbose == 0;
    let level = match verbose {
        0 if is_quiet => LevelFilter::ERROR,
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    IS_QUIET.store(is_quiet, Ordering::Relaxed);
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(|| Lines)
        .with_ansi(stderr().is_terminal())
        .without_time()
        .init();
}

/// Says what the user may do without.
pub(super) fn note(text: impl Display) {
    if !IS_QUIET.load(Ordering::Relaxed) {
        stdio::say(text);
    }
}

/// Whole lines for stderr, whether anybody hears them or not. A terminal may become raw at any moment, and does not return to the start of
/// a line by itself then; one that does takes no harm from being told, as OpenSSH tells it too.
struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = if stderr().is_terminal() {
            let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
            stderr().write_all(&lines.join(&b"\r\n"[..]))
        } else {
            stderr().write_all(bytes)
        };
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
