//! The record as JSON, for other programs and for all other reports: written, and read again.
//!
//! The form is published as a JSON schema in `harness/schema/report.json`.

use super::record::{Record, SCHEMA};

/// Why a file is not the JSON report of a run.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is no JSON, or not of this form.
    #[error("it is not the JSON report of a run: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It is of another version of the form.
    #[error("it has schema {found}, and this program reads {SCHEMA}")]
    OtherSchema {
        /// The version that it says.
        found: u64,
    },
}

/// Renders the run.
///
/// # Errors
/// `serde_json`'s, which plain data does not give in practice.
pub fn render(record: &Record) -> serde_json::Result<String> {
    serde_json::to_string_pretty(record).map(|text| text + "\n")
}

/// Reads what [`render`] wrote.
///
/// # Errors
/// [`Unreadable`].
pub fn parse(text: &str) -> Result<Record, Unreadable> {
    // Of another version, what does not fit says less than the version does.
    let value: serde_json::Value = serde_json::from_str(text)?;
    match value.get("schema").and_then(serde_json::Value::as_u64) {
        Some(found) if found != u64::from(SCHEMA) => Err(Unreadable::OtherSchema { found }),
        _ => Ok(serde_json::from_value(value)?),
    }
}
