//! What came of a replay, for people.

use std::fmt::Write as _;
use std::path::Path;

use super::tint::{harmless, tinted, word};
use crate::run::replay::Replayed;
use crate::transcript::Transcript;

/// One line where all is as it was, and else what is not; with all packets, where they are wanted.
#[must_use]
pub fn render(path: &Path, transcript: &Transcript, replayed: &Replayed, packets: bool) -> String {
    let Replayed { outcome, compared } = replayed;
    let is_faithful = replayed.is_faithful(transcript.verdict);
    let Transcript {
        scenario,
        client,
        server,
        peer,
        ..
    } = transcript;
    let mut text = format!(
        "{} {scenario} {client}→{server} ({}): {}",
        if is_faithful {
            "same     "
        } else {
            "DIFFERENT"
        },
        harmless(peer),
        tinted(word(outcome.verdict), outcome.verdict),
    );
    if let Ok(bytes) = compared {
        let _ = write!(text, ", {bytes} bytes as recorded");
    }
    text.push('\n');
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "    {name:<10}{}", harmless(value));
    };
    if packets {
        let entries = outcome.trace.iter();
        entries.for_each(|entry| line("", &entry.to_string()));
    }
    if let Some(failure) = &outcome.failure {
        line("at:", &failure.step);
        line("actual:", &failure.actual);
        line("expected:", &failure.expected);
    }
    if let Err(difference) = compared {
        line("bytes:", &difference.to_string());
    }
    if !is_faithful {
        line("recorded:", word(transcript.verdict));
        line("file:", &path.display().to_string());
    }
    text
}
