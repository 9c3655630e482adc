//! Containers for peers: the engine, the images made from `docker/`, and what is left of earlier
//! runs. Knows nothing of SSH.

mod build;
mod engine;
mod image;
mod inside;
mod shell;

use std::panic::{self, AssertUnwindSafe};

pub use engine::{Cleaned, Engine, NoEngine, Running, clean, remove_own};
pub use image::Image;
pub use inside::Inside;

use super::Broken;

/// Label on everything that the suite makes: containers carry the run as its value, images `image`.
const LABEL: &str = "sshdrill";

/// Does something, and then removes the containers of this process: however it ends, be it by a
/// panic, which goes on from here. Gives both results.
///
/// # Errors
/// Of the removal: those of [`remove_own`].
pub fn leaving_none<T>(run: impl FnOnce() -> T) -> (T, Result<(), Broken>) {
    // Nothing of the run is looked at again after a panic.
    let ended = panic::catch_unwind(AssertUnwindSafe(run));
    let removed = remove_own();
    (
        ended.unwrap_or_else(|words| panic::resume_unwind(words)),
        removed,
    )
}

/// What this run's containers are labelled with: this process and when it started.
fn run_label() -> String {
    let pid = std::process::id();
    format!("{pid}-{}", process_start(pid).unwrap_or_default())
}

/// Whether the run that labelled a container so is still going on, on this machine.
fn is_going_on(label: &str) -> bool {
    let parts = label
        .split_once('-')
        .and_then(|(pid, start)| Some((pid.parse().ok()?, start)));
    parts.is_some_and(|(pid, start)| process_start(pid).is_some_and(|now| now == start))
}

/// When a process started, which tells it from a later one of the same number. `None` when there is
/// no such process, or no Linux `/proc`.
fn process_start(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // proc(5): field 22; the second may hold anything, but ends at the last parenthesis.
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_on_as_long_as_its_process() {
        assert!(is_going_on(&run_label()));
        assert!(
            !is_going_on(&format!("{}-1", std::process::id())),
            "another start"
        );
        assert!(!is_going_on("image"));
    }
}
