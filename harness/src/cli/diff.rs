//! `sshdrill diff`: what changed from one run to another.

use super::args::DiffArgs;
use super::runs::read;
use super::{Exit, Stop};
use crate::report::diff::{Kind, compare};

/// Compares two JSON reports, and fails if something got worse.
pub(super) fn diff(args: &DiffArgs) -> Result<Exit, Stop> {
    let (old, new) = (read(&args.old)?, read(&args.new)?);
    let diff = compare(&old, &new);
    anstream::print!("{}", diff.render());
    Ok(match diff.count(Kind::Worse) {
        0 => Exit::AsExpected,
        _ => Exit::NotAsExpected,
    })
}
