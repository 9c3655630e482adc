//! A folder for each case with its whole packet log and the logs of both sides.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Reporter;
use crate::run::event::{Case, Event};
use crate::verdict::Outcome;

/// The packet log of a case.
pub(super) const PACKETS: &str = "packets.txt";

/// Writes `<folder>/<scenario>/<client>-to-<server>/`.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
}

impl Files {
    /// Below this folder.
    #[must_use]
    pub fn below(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Where the files of a case are.
    #[must_use]
    pub fn of(&self, case: &Case) -> PathBuf {
        let pairing = format!("{}-to-{}", case.pairing.client, case.pairing.server);
        self.folder.join(&case.scenario.name).join(pairing)
    }

    fn write(&self, case: &Case, outcome: &Outcome) -> io::Result<()> {
        let folder = self.of(case);
        // Logs of an earlier run would be taken for this one's.
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(&folder)?,
        }
        let mut packets = String::new();
        for entry in &outcome.trace {
            let _ = writeln!(packets, "{entry}");
        }
        fs::write(folder.join(PACKETS), packets)?;
        for (number, log) in (1..).zip(&outcome.logs) {
            fs::write(folder.join(file_name(number, &log.name)), &log.text)?;
        }
        Ok(())
    }
}

impl Reporter for Files {
    fn on(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::CaseFinished { case, outcome } => self.write(case, outcome),
            _ => Ok(()),
        }
    }
}

/// Numbered, since two logs may have one name.
fn file_name(number: usize, log: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!(
        "{number}-{}.log",
        log.chars().map(plain).collect::<String>()
    )
}
