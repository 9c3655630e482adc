//! `sshdrill clean`.

use super::args::CleanArgs;
use super::{Exit, Stop};
use crate::peer::container;
use crate::wording::count;

/// Removes what earlier runs left on the container engine.
pub(super) fn clean(args: &CleanArgs) -> Result<Exit, Stop> {
    let cleaned = container::clean(args.images)
        .map_err(|broken| Stop::because_of(Exit::Environment, broken))?;
    anstream::println!(
        "removed {}, {}",
        count(cleaned.containers, "container"),
        count(cleaned.images, "image")
    );
    Ok(Exit::AsExpected)
}
