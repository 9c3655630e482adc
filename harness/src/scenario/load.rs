//! A folder of scenario files into scenarios.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::ScenarioError;
use super::parse::parse;
use crate::requirement::Catalogue;
use crate::scenario::{Scenario, ScenarioErrors};

/// The extension of scenario files.
const EXTENSION: &str = "scn";

/// Reads every `*.scn` below `folder`, in the order of their names.
///
/// The name in a file must be its path below the folder without the extension; a file with
/// parameters is several scenarios.
///
/// # Errors
/// Every mistake of every file, so that one run shows them all.
pub fn load_dir(
    folder: &Path,
    catalogue: &Catalogue,
) -> Result<Vec<Arc<Scenario>>, ScenarioErrors> {
    let mut errors = Vec::new();
    let paths = found(folder, &mut errors);

    let mut scenarios = Vec::new();
    for path in paths {
        match std::fs::read(&path) {
            Ok(bytes) => match parse(&path, &name_below(folder, &path), &bytes, catalogue) {
                Ok(variants) => scenarios.extend(variants.into_iter().map(Arc::new)),
                Err(mistakes) => add_new(&mut errors, mistakes),
            },
            Err(error) => errors.push(unreadable(&path, &error)),
        }
    }
    if errors.is_empty() {
        Ok(scenarios)
    } else {
        Err(ScenarioErrors(errors))
    }
}

/// The scenario files below `folder`, in the order of their names.
///
/// # Errors
/// Every folder that cannot be read.
pub fn scenario_files(folder: &Path) -> Result<Vec<PathBuf>, ScenarioErrors> {
    let mut errors = Vec::new();
    let paths = found(folder, &mut errors);
    if errors.is_empty() {
        Ok(paths)
    } else {
        Err(ScenarioErrors(errors))
    }
}

fn found(folder: &Path, errors: &mut Vec<ScenarioError>) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    collect(folder, &mut paths, errors);
    paths.sort();
    paths
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>, errors: &mut Vec<ScenarioError>) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return errors.push(unreadable(folder, &error)),
    };
    for entry in entries {
        match entry.map(|entry| entry.path()) {
            Ok(path) if path.is_dir() => collect(&path, paths, errors),
            Ok(path) if path.extension().is_some_and(|e| e == EXTENSION) => paths.push(path),
            Ok(_) => {}
            Err(error) => errors.push(unreadable(folder, &error)),
        }
    }
}

/// What is wrong with a file that many include is told once.
fn add_new(errors: &mut Vec<ScenarioError>, mistakes: ScenarioErrors) {
    for mistake in mistakes.0 {
        if !errors.iter().any(|known| known.is_as(&mistake)) {
            errors.push(mistake);
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> ScenarioError {
    ScenarioError::without_place(format!("cannot read {}: {error}", path.display()), None)
}

/// `strict-kex/ignore-before-newkeys`, with `/` on every system.
fn name_below(folder: &Path, path: &Path) -> String {
    let below = path.strip_prefix(folder).unwrap_or(path).with_extension("");
    let parts: Vec<_> = below
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    parts.join("/")
}
