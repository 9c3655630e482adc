//! Signals: the run stops, the reports are written, and the peers are taken down.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use minissh::process::is_ignored;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

/// The signals that ask a program to end; the first comes when its terminal is closed.
const SIGNALS: [i32; 3] = [SIGHUP, SIGINT, SIGTERM];

/// Signals so soon behind the first are the same wish: timeout(1) sends one to the program and one to
/// its group.
const SAME_WISH: Duration = Duration::from_millis(500);

/// Whether somebody asked the run to stop.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// The exit code of a run that was stopped: 128 and the number of SIGINT, as shells count.
    pub const EXIT_CODE: u8 = 130;

    /// Listens for SIGHUP, SIGINT and SIGTERM. The first asks the run to stop and does `at_first`;
    /// the second, unless it comes at the same time, does `in_haste` and ends the program; the third
    /// does not wait for that.
    ///
    /// # Errors
    /// The operating system's, when a signal handler or a thread cannot be had.
    pub fn on_signals(
        at_first: impl FnOnce() + Send + 'static,
        in_haste: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let interrupt = Self::default();
        let raised = interrupt.clone();
        // What nohup has us ignore stays ignored.
        let mut signals = Signals::new(SIGNALS.iter().filter(|signal| !is_ignored(**signal)))?;
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                let mut signals = signals.forever();
                signals.next();
                let first = Instant::now();
                raised.raise();
                at_first();
                signals.find(|_| first.elapsed() > SAME_WISH);
                end_on_signals();
                in_haste();
                process::exit(Self::EXIT_CODE.into());
            })?;
        Ok(interrupt)
    }

    /// Asks the run to stop.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the run was asked to stop.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// From here on a signal ends the program on the spot.
fn end_on_signals() {
    for signal in SIGNALS {
        let always = Arc::new(AtomicBool::new(true));
        // Without it a third signal does nothing, which is no reason not to go on.
        let _ = flag::register_conditional_shutdown(signal, Interrupt::EXIT_CODE.into(), always);
    }
}
