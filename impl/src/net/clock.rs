//! The time that connections live by.

use std::time::Instant;

/// Now, as the runtime has it: a test may hold that clock, and let hours pass at once.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
