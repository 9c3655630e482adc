//! JSON reports of runs that are over, as the commands that work on them take them in.

use std::fs;
use std::path::Path;

use super::{Exit, Stop};
use crate::report::json;
use crate::report::record::Record;

/// Reads a JSON report.
pub(super) fn read(path: &Path) -> Result<Record, Stop> {
    let text = fs::read_to_string(path).map_err(|error| Stop::unreadable(path, &error))?;
    json::parse(&text).map_err(|error| {
        Stop::new(Exit::DoesNotParse, format!("{}: {error}", path.display()))
            .hint("`sshdrill run --json FILE` writes one")
    })
}
