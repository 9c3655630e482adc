//! Panics of cases: kept for the case's own report instead of being printed into the middle of it.
//!
//! A case is known by the name of its threads: whatever starts one for a case gives it the name of
//! its own.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::collections::BTreeMap;
use std::panic::{self, PanicHookInfo};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// What panicked in each case that is watched, by the name of its threads.
static PANICS: Mutex<BTreeMap<String, Vec<String>>> = Mutex::new(BTreeMap::new());

/// From now on keeps the panics of watched cases. All others are printed as before, and so are
/// these with `print_too`.
pub fn collect(print_too: bool) {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !keep(info) || print_too {
            print(info);
        }
    }));
}

/// What a panic says.
pub(super) fn words(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("something that is not text")
}

/// Watches a case until this is asked what happened.
pub(super) struct Watch(String);

impl Watch {
    /// Watches the threads of this name.
    pub(super) fn of(name: &str) -> Self {
        panics().insert(name.to_owned(), Vec::new());
        Self(name.to_owned())
    }

    /// What panicked meanwhile, with its place.
    pub(super) fn ended(self) -> Vec<String> {
        panics().remove(&self.0).unwrap_or_default()
    }
}

/// Keeps a panic if it is one of a watched case.
fn keep(info: &PanicHookInfo<'_>) -> bool {
    let thread = thread::current();
    let mut panics = panics();
    let Some(of_case) = thread.name().and_then(|name| panics.get_mut(name)) else {
        return false;
    };
    let message = words(info.payload());
    let place = info.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    let mut told = format!("{message}\nat {}", place.unwrap_or_default());
    if backtrace.status() == BacktraceStatus::Captured {
        told = format!("{told}\n{backtrace}");
    }
    of_case.push(told);
    true
}

fn panics() -> MutexGuard<'static, BTreeMap<String, Vec<String>>> {
    PANICS.lock().unwrap_or_else(PoisonError::into_inner)
}
