//! What has arrived on one channel and has not been read: filled by the driver, emptied by readers.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::terminal::{ChannelEvent, Pty};
use crate::engine::{WINDOW_BYTES_MAX, WINDOW_BYTES_MIN, WINDOW_BYTES_NARROW, restored_below};

/// Runs of one stream grow to this before a new one is begun, in bytes.
const RUN_BYTES_MAX: usize = 64 << 10;

/// Runs that are kept apart. Past it, data joins the last run of its stream: a peer that changes
/// streams with each byte must not make us keep more than the bytes.
const RUNS_MAX: usize = 256;

/// How much may be read before the engine is told, in bytes: it saves a job for each small read.
const UNREPORTED_BYTES_MAX: u32 = 16 << 10;
// The engine restores a window early enough that this keeps none too small, and no narrow one shut.
const _: () = assert!(UNREPORTED_BYTES_MAX <= restored_below(WINDOW_BYTES_MAX) - WINDOW_BYTES_MIN);
const _: () = assert!(UNREPORTED_BYTES_MAX < restored_below(WINDOW_BYTES_NARROW));

/// Signals and sizes that wait to be looked at; past it, new ones are refused.
const EVENTS_MAX: usize = 64;

/// How the program at the other end of a channel ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// With this exit status.
    Status(u32),
    /// By this signal, named without `SIG`.
    Signal(String),
}

/// Bytes of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// `None` for the normal stream, else the extended data code; 1 is stderr.
    pub code: Option<u32>,
    /// The bytes; never empty.
    pub bytes: Vec<u8>,
}

/// A value that one side changes and others wait for.
#[derive(Debug, Default)]
pub(super) struct Watched<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T> Watched<T> {
    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the value and wakes everybody who waits.
    pub(super) fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_waiters();
        result
    }

    /// Waits until `look` finds something.
    pub(super) async fn wait_for<R>(&self, mut look: impl FnMut(&mut T) -> Option<R>) -> R {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that a change in between is not missed.
            changed.as_mut().enable();
            if let Some(found) = look(&mut self.lock()) {
                return found;
            }
            changed.await;
        }
    }
}

/// One channel's. Memory is bounded by the window that we grant.
pub(super) type Inbox = Watched<State>;

/// What the peer asked for before the program started.
#[derive(Debug, Clone, Default)]
pub(super) struct Start {
    pub(super) command: Option<Vec<u8>>,
    pub(super) pty: Option<Pty>,
    pub(super) env: Vec<(String, String)>,
}

#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "who ended what is several independent facts"
)]
pub(super) struct State {
    runs: VecDeque<Run>,
    /// Streams whose data is dropped as it arrives.
    discarded: Vec<Option<u32>>,
    unreported_bytes: u32,
    events: VecDeque<ChannelEvent>,
    /// The peer sends no more data.
    pub(super) is_finished: bool,
    /// The connection ended before the channel did.
    pub(super) is_cut: bool,
    pub(super) is_closed: bool,
    /// Our program closed the channel, and knows that it may not be used any more.
    pub(super) is_closed_by_us: bool,
    pub(super) exit: Option<Exit>,
}

/// Bytes of one stream that arrived in a row.
#[derive(Debug)]
struct Run {
    code: Option<u32>,
    bytes: Vec<u8>,
    taken: usize,
}

impl Run {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    /// Counts what was read, and lets go of it once it is more than what is left: so that a run that
    /// never ends does not keep all that ever came, and no byte is moved more than once on average.
    fn take(&mut self, count: usize) {
        self.taken += count;
        if self.taken > self.rest().len() {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
    }
}

impl State {
    /// Keeps what arrived; false when its stream is discarded, or one too many.
    pub(super) fn push(&mut self, code: Option<u32>, bytes: Vec<u8>) -> bool {
        if self.discarded.contains(&code) {
            return false;
        }
        let is_full = self.runs.len() >= RUNS_MAX;
        let joins =
            |run: &&mut Run| run.code == code && (is_full || run.bytes.len() < RUN_BYTES_MAX);
        let last = match is_full {
            true => self.runs.iter_mut().rfind(joins),
            false => self.runs.back_mut().filter(joins),
        };
        match last {
            Some(run) => run.bytes.extend(bytes),
            None if is_full => return false,
            None => self.runs.push_back(Run {
                code,
                bytes,
                taken: 0,
            }),
        }
        true
    }

    /// The next data of any stream.
    pub(super) fn pop(&mut self) -> Option<Data> {
        let mut run = self.runs.pop_front()?;
        Some(Data {
            code: run.code,
            bytes: run.bytes.split_off(run.taken),
        })
    }

    pub(super) fn has(&self, code: Option<u32>) -> bool {
        self.runs.iter().any(|run| run.code == code)
    }

    /// Moves data of one stream to `room`, and returns how much.
    pub(super) fn fill(&mut self, code: Option<u32>, room: &mut [u8]) -> usize {
        let Some(at) = self.runs.iter().position(|run| run.code == code) else {
            return 0;
        };
        let Some(run) = self.runs.get_mut(at) else {
            return 0;
        };
        let count = run.rest().len().min(room.len());
        if let (Some(to), Some(from)) = (room.get_mut(..count), run.rest().get(..count)) {
            to.copy_from_slice(from);
        }
        run.take(count);
        if run.rest().is_empty() {
            self.runs.remove(at);
        }
        count
    }

    /// Drops what is there of a stream, and from now on what comes; returns how much it was.
    pub(super) fn discard(&mut self, code: Option<u32>) -> usize {
        self.discarded.push(code);
        let (gone, kept) = std::mem::take(&mut self.runs)
            .into_iter()
            .partition(|run| run.code == code);
        self.runs = kept;
        let gone: VecDeque<Run> = gone;
        gone.iter().map(|run| run.rest().len()).sum()
    }

    /// Counts what was read; returns how much to tell the engine, if it is time to.
    pub(super) fn count_read(&mut self, bytes: usize) -> Option<u32> {
        self.unreported_bytes += u32::try_from(bytes).unwrap_or(u32::MAX);
        (self.unreported_bytes >= UNREPORTED_BYTES_MAX)
            .then(|| std::mem::take(&mut self.unreported_bytes))
    }

    /// Keeps what the peer tells the program; of sizes only the last counts. False when too much
    /// waits already.
    pub(super) fn push_event(&mut self, event: ChannelEvent) -> bool {
        if let (Some(ChannelEvent::Resized(last)), ChannelEvent::Resized(size)) =
            (self.events.back_mut(), &event)
        {
            *last = *size;
            return true;
        }
        if self.events.len() >= EVENTS_MAX {
            return false;
        }
        self.events.push_back(event);
        true
    }

    pub(super) fn pop_event(&mut self) -> Option<ChannelEvent> {
        self.events.pop_front()
    }

    /// Both sides are done.
    pub(super) fn close(&mut self) {
        self.is_finished = true;
        self.is_closed = true;
    }

    /// The connection is over.
    pub(super) fn cut(&mut self) {
        self.is_cut = !self.is_finished;
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_that_alternate_are_kept_whole_and_in_few_runs() {
        let mut state = State::default();
        for i in 0..100_000_u32 {
            let code = (i % 2 == 1).then_some(1);
            assert!(state.push(code, vec![u8::try_from(i % 251).unwrap()]));
        }
        assert!(state.runs.len() <= RUNS_MAX);
        for (code, first) in [(None, 0), (Some(1), 1)] {
            let mut room = vec![0; 60_000];
            let mut count = 0;
            while let more @ 1.. = state.fill(code, &mut room[count..]) {
                count += more;
            }
            assert_eq!(count, 50_000);
            for (i, byte) in (first..).step_by(2).zip(&room[..count]) {
                assert_eq!(u32::from(*byte), i % 251);
            }
        }
    }

    /// With as many runs as there may be, the data of a stream stay in one; its reader is never done.
    #[test]
    fn what_was_read_of_a_run_without_end_is_not_kept() {
        let mut state = State::default();
        for code in 1..RUNS_MAX {
            assert!(state.push(Some(u32::try_from(code).unwrap()), vec![0]));
        }
        for _ in 0..64 {
            state.push(None, vec![0; 32_768]);
        }
        let mut room = vec![0; 32_768];
        for _ in 0..1_000 {
            state.push(None, vec![0; 32_768]);
            assert_eq!(state.fill(None, &mut room), room.len());
            let held: usize = state.runs.iter().map(|run| run.bytes.len()).sum();
            assert!(held <= 2 * 65 * 32_768 + RUNS_MAX, "{held}");
        }
    }

    /// More streams than anybody has: the data of those past the bound goes, unread.
    #[test]
    fn streams_without_end_are_not_kept() {
        let mut state = State::default();
        let kept = (0..1_000).filter(|code| state.push(Some(*code), vec![0]));
        assert_eq!(kept.count(), RUNS_MAX);
    }
}
