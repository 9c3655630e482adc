//! `sshdrill replay`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::ReplayArgs;
use super::{Exit, Stop, prepare};
use crate::report::replayed;
use crate::report::transcripts::TRANSCRIPT;
use crate::run::replay::replay;
use crate::scenario::Scenario;
use crate::transcript::Transcript;

/// Plays recordings again and says whether all is as it was.
pub(super) fn replay_all(args: &ReplayArgs) -> Result<Exit, Stop> {
    let (_, scenarios) = prepare::files(args.scenarios.as_deref())?;
    let mut paths = Vec::new();
    for path in &args.paths {
        paths.extend(transcripts_in(path)?);
    }
    let mut exit = Exit::AsExpected;
    for path in &paths {
        let transcript = read(path)?;
        let named = |scenario: &&Arc<Scenario>| scenario.name == transcript.scenario;
        let scenario = scenarios.iter().find(named).ok_or_else(|| {
            let what = format!(
                "{}: no scenario is called {}",
                path.display(),
                transcript.scenario
            );
            Stop::new(Exit::NothingSelected, what)
                .hint("--scenarios says where the scenario files are")
        })?;
        let again = replay(&transcript, scenario);
        if !again.is_faithful(transcript.verdict) {
            exit = Exit::NotAsExpected;
        }
        anstream::print!(
            "{}",
            replayed::render(path, &transcript, &again, args.packets)
        );
    }
    Ok(exit)
}

/// The file itself, or every transcript below a folder.
pub(super) fn transcripts_in(path: &Path) -> Result<Vec<PathBuf>, Stop> {
    let unreadable = |error| Stop::unreadable(path, &error);
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = below(path).map_err(unreadable)?;
    if found.is_empty() {
        let what = format!("there is no transcript below {}", path.display());
        let hint = format!(
            "a case of the scripted endpoint has one in its folder, called {TRANSCRIPT}; \
             `sshdrill record` makes collections"
        );
        return Err(Stop::new(Exit::NothingSelected, what).hint(hint));
    }
    found.sort();
    Ok(found)
}

/// Every transcript below a folder.
pub(super) fn below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(below(&path)?);
        } else if path.extension().is_some_and(|e| e == Transcript::EXTENSION) {
            found.push(path);
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Transcript, Stop> {
    let text = fs::read_to_string(path).map_err(|error| Stop::unreadable(path, &error))?;
    Transcript::parse(&text).map_err(|error| {
        let what = format!("{}: not a transcript: {error}", path.display());
        Stop::new(Exit::DoesNotParse, what).hint("`sshdrill record` makes such files")
    })
}
