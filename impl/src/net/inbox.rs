//! What has arrived on one channel and has not been read: filled by the driver, emptied by readers.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

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

/// Memory is bounded by the window that we grant: runs of one stream are kept as one.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) data: VecDeque<Data>,
    pub(super) is_finished: bool,
    pub(super) is_closed: bool,
    pub(super) exit: Option<Exit>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes every reader.
    pub(super) fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_waiters();
    }

    pub(super) fn push(&self, code: Option<u32>, bytes: Vec<u8>) {
        self.update(|state| match state.data.back_mut() {
            Some(last) if last.code == code => last.bytes.extend(bytes),
            _ => state.data.push_back(Data { code, bytes }),
        });
    }

    /// Waits until `look` finds something.
    pub(super) async fn wait_for<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
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
