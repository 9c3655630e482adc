//! `sshdrill fmt`.

use std::path::{Path, PathBuf};

use super::args::FmtArgs;
use super::prepare::program;
use super::{Exit, Stop, places};
use crate::scenario::{format, scenario_files};
use crate::wording::{are, count};

/// Lays out scenario files as they should be, or says which are not.
pub(super) fn fmt(args: &FmtArgs) -> Result<Exit, Stop> {
    let mut wrong = 0;
    let files = files(args)?;
    for file in &files {
        let text = std::fs::read_to_string(file).map_err(|error| cannot("read", file, &error))?;
        let formatted = format(file, &text)
            .map_err(|errors| Stop::new(Exit::DoesNotParse, errors.to_string()))?;
        if formatted == text {
            continue;
        }
        wrong += 1;
        anstream::println!("{}", file.display());
        if !args.check {
            std::fs::write(file, formatted).map_err(|error| cannot("write", file, &error))?;
        }
    }
    if args.check && wrong > 0 {
        let what = format!(
            "{wrong} of {} {} laid out otherwise",
            count(files.len(), "file"),
            are(wrong)
        );
        let hint = format!("`{} fmt` lays them out", program());
        return Err(Stop::new(Exit::NotAsExpected, what).hint(hint));
    }
    Ok(Exit::AsExpected)
}

/// The files that were named, and all of the folders that were.
fn files(args: &FmtArgs) -> Result<Vec<PathBuf>, Stop> {
    let mut named = args.paths.clone();
    if named.is_empty() {
        named.push(places::scenarios());
    }
    let mut files = Vec::new();
    for path in named {
        if path.is_dir() {
            let found = scenario_files(&path)
                .map_err(|errors| Stop::new(Exit::DoesNotParse, errors.to_string()))?;
            files.extend(found);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

fn cannot(what: &str, file: &Path, error: &std::io::Error) -> Stop {
    Stop::new(
        Exit::DoesNotParse,
        format!("cannot {what} {}: {error}", file.display()),
    )
}
