//! Where randomness comes from: the operating system in earnest, a seed when a run must repeat.

use chacha20::ChaCha20Rng;
use getrandom::SysRng;
use rand_core::{SeedableRng, TryRng};

/// The generator behind every random choice of a connection.
///
/// One per connection, seeded once: a system call for each packet's padding would cost more than
/// the packet.
pub type Rng = ChaCha20Rng;

/// A generator seeded by the operating system.
///
/// # Errors
/// The operating system's, when it has no randomness to give.
pub fn from_os() -> Result<Rng, getrandom::Error> {
    let mut seed = [0; 32];
    SysRng.try_fill_bytes(&mut seed)?;
    Ok(Rng::from_seed(seed))
}

/// A generator that repeats: the same seed gives the same connection. For tests and replays only.
#[must_use]
pub fn from_seed(seed: u64) -> Rng {
    Rng::seed_from_u64(seed)
}
