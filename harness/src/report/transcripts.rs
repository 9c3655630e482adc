//! What it takes to play a case again without its peer, in a file for each.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files::Files;
use crate::run::event::{Case, Event, MINISSH, Pairing, Participant, SCRIPTED};
use crate::scenario::Subject;
use crate::transcript::Transcript;
use crate::verdict::{Outcome, Verdict};

/// The transcript in the folder of a case.
pub const TRANSCRIPT: &str = "case.transcript";

/// Writes transcripts.
pub struct Transcripts {
    place: Place,
    participants: Vec<Participant>,
}

/// Where they go.
enum Place {
    /// Beside the other files of a case, if it has some.
    Beside(Files),
    /// Into a collection of recordings: `<folder>/<scenario>/<client>-to-<server>.transcript`.
    Into(PathBuf),
}

impl Transcripts {
    /// Into the folders of those cases that have one.
    #[must_use]
    pub fn beside(files: Files) -> Self {
        Self::at(Place::Beside(files))
    }

    /// Into a collection, of every case that says something about its peer.
    #[must_use]
    pub fn into(folder: &Path) -> Self {
        Self::at(Place::Into(folder.to_owned()))
    }

    fn at(place: Place) -> Self {
        Self {
            place,
            participants: Vec::new(),
        }
    }

    /// Takes in the next thing that happened.
    ///
    /// # Errors
    /// When a file cannot be written, with its path.
    pub fn on(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Planned { participants, .. } => {
                self.participants.clone_from(participants);
                Ok(())
            }
            Event::CaseFinished { case, outcome } => self.write(case, outcome),
            _ => Ok(()),
        }
    }

    /// The file for a case, if it gets one.
    fn path(&self, case: &Case, outcome: &Outcome) -> Option<PathBuf> {
        match &self.place {
            Place::Beside(files) => {
                let folder = files.of(case);
                folder.is_dir().then(|| folder.join(TRANSCRIPT))
            }
            Place::Into(_) if outcome.verdict == Verdict::Broken => None,
            Place::Into(folder) => Some(recording(folder, case)),
        }
    }

    fn write(&self, case: &Case, outcome: &Outcome) -> io::Result<()> {
        let (Some(path), Some(transcript)) =
            (self.path(case, outcome), self.transcript(case, outcome))
        else {
            return Ok(());
        };
        // One that was cut cannot be played again, and the case has its capture.
        let Ok(text) = transcript.to_text() else {
            return Ok(());
        };
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .map_err(named)?;
        fs::write(&path, text).map_err(named)
    }

    /// What of a case is needed to play it again; nothing, if no end of ours that can was in it.
    /// Of minissh, only its engine alone can, which takes part in recordings.
    fn transcript(&self, case: &Case, outcome: &Outcome) -> Option<Transcript> {
        let Pairing { client, server } = &case.pairing;
        let ours = match self.place {
            Place::Into(_) if case.scenario.subject == Subject::Pair => MINISSH,
            Place::Beside(_) | Place::Into(_) => SCRIPTED,
        };
        let peer = match ours {
            ours if client == ours => server,
            ours if server == ours => client,
            _ => return None,
        };
        let found = self.participants.iter().find(|one| one.id == *peer);
        // What was recorded is of a try that failed, and what counts of another.
        if outcome.is_flaky() && outcome.is_as_expected() {
            return None;
        }
        Some(Transcript {
            scenario: case.scenario.name.clone(),
            client: client.clone(),
            server: server.clone(),
            peer: found.map_or(peer, |one| &one.version).clone(),
            seed: case.seed,
            user: outcome.user.clone()?,
            verdict: outcome.verdict,
            capture: outcome.captures.first()?.clone(),
        })
    }
}

/// Where the recording of a case is in a collection.
#[must_use]
pub fn recording(folder: &Path, case: &Case) -> PathBuf {
    let pairing = format!("{}-to-{}", case.pairing.client, case.pairing.server);
    let file = format!("{pairing}.{}", Transcript::EXTENSION);
    folder.join(&case.scenario.name).join(file)
}
