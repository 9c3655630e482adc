//! A raw terminal that is restored on every way out: return, panic, signal, exit.

use std::io::stdin;
use std::sync::{Mutex, Once, PoisonError};

use signal_hook::consts::SIGTSTP;

use crate::tty::{self, Cooked};

/// How the terminal was; the process has but one.
static COOKED: Mutex<Option<Cooked>> = Mutex::new(None);

/// The terminal is raw as long as this is there.
pub(super) struct Raw(());

impl Raw {
    pub(super) fn begin() -> std::io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let print = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                // Before the message, so that it can be read.
                restore();
                print(panic);
            }));
        });
        make()?;
        Ok(Self(()))
    }
}

fn make() -> std::io::Result<()> {
    let mut cooked = COOKED.lock().unwrap_or_else(PoisonError::into_inner);
    *cooked = Some(tty::make_raw(stdin())?);
    Ok(())
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    let mut cooked = COOKED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(cooked) = cooked.take() {
        let _ = tty::restore(stdin(), &cooked);
    }
}

/// Gives the terminal back to the shell that we were started from, until it goes on with us.
pub(super) fn suspend() {
    restore();
    let _ = signal_hook::low_level::raise(SIGTSTP);
    let _ = make();
}

/// Ends the process, with the terminal restored.
pub(super) fn leave(code: i32) -> ! {
    restore();
    std::process::exit(code)
}
