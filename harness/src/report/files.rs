//! A folder for each case with everything about it: the packet log, the ladder, the trace as JSON
//! lines, the capture, and the logs of both sides.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::record::{Case, Packet, Record};
use super::{ladder, pcapng};
use crate::run::event;
use crate::verdict::{Outcome, Verdict};

/// The packet log of a case.
pub const PACKETS: &str = "packets.txt";

/// Who said what, side by side.
pub const LADDER: &str = "ladder.txt";

/// The packets, one JSON object to a line.
pub const LINES: &str = "packets.jsonl";

/// The connections as Wireshark opens them.
pub const CAPTURE: &str = "capture.pcapng";

/// Which cases get files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Keep {
    /// Every case.
    All,
    /// Those that did not simply pass, and of those that did so only once they were tried again, what
    /// they failed with.
    #[default]
    Failed,
    /// None.
    None,
}

/// Writes `<folder>/<scenario>/<client>-to-<server>/`.
#[derive(Debug, Clone, Default)]
pub struct Files {
    folder: PathBuf,
    keep: Keep,
}

impl Files {
    /// Below this folder, for these cases.
    #[must_use]
    pub fn below(folder: &Path, keep: Keep) -> Self {
        Self {
            folder: folder.to_owned(),
            keep,
        }
    }

    /// Whether a case that ended so gets files.
    #[must_use]
    pub fn keeps(&self, outcome: &Outcome) -> bool {
        match self.keep {
            Keep::All => true,
            Keep::Failed => {
                outcome.is_flaky()
                    || !matches!(outcome.verdict, Verdict::Pass | Verdict::Unsupported)
            }
            Keep::None => false,
        }
    }

    /// Where the files of a case are, if it has some.
    #[must_use]
    pub fn of(&self, case: &event::Case) -> PathBuf {
        let pairing = format!("{}-to-{}", case.pairing.client, case.pairing.server);
        self.folder.join(&case.scenario.name).join(pairing)
    }

    /// Writes the files of a case, `told` being what the record says of it.
    ///
    /// # Errors
    /// The system's, with the path.
    pub fn write(
        &self,
        case: &event::Case,
        outcome: &Outcome,
        record: &Record,
        told: &Case,
    ) -> io::Result<()> {
        let folder = self.of(case);
        // Files of an earlier run would be taken for this one's.
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(at(&folder, &error));
            }
            _ if !self.keeps(outcome) => return Ok(()),
            _ => fs::create_dir_all(&folder).map_err(|error| at(&folder, &error))?,
        }
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            fs::write(&path, bytes).map_err(|error| at(&path, &error))
        };
        let packets: Vec<Packet> = outcome.trace.iter().map(Packet::of).collect();
        let mut log = String::new();
        for entry in &outcome.trace {
            let _ = writeln!(log, "{entry}");
        }
        write(PACKETS, log.as_bytes())?;
        write(LADDER, ladder::render(record, told, &packets).as_bytes())?;
        let mut lines = String::new();
        for packet in &packets {
            let _ = writeln!(lines, "{}", serde_json::to_string(packet)?);
        }
        write(LINES, lines.as_bytes())?;
        if !outcome.captures.is_empty() {
            let about = format!("{} {} seed {}", told.scenario, told.pairing(), told.seed);
            let capture = pcapng::render(&outcome.captures, &about).map_err(io::Error::other)?;
            write(CAPTURE, &capture)?;
        }
        for (number, log) in (1..).zip(&outcome.logs) {
            write(&file_name(number, &log.name), log.text.as_bytes())?;
        }
        Ok(())
    }
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Numbered, since two logs may have one name.
fn file_name(number: usize, log: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!(
        "{number}-{}.log",
        log.chars().map(plain).collect::<String>()
    )
}
