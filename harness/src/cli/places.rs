//! Where the files of this repository are, and where ours go.

use std::path::{Path, PathBuf};

/// The repository that this program was built from.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The scenario files that come with this program.
pub(super) fn scenarios() -> PathBuf {
    in_workspace("scenarios")
}

/// The catalogue of requirements.
pub(super) fn requirements() -> PathBuf {
    in_workspace("fixtures/requirements")
}

/// The repository's top.
pub(super) fn workspace() -> PathBuf {
    in_workspace("")
}

/// Recorded conversations with OpenSSH.
pub(super) fn transcripts() -> PathBuf {
    in_workspace("fixtures/transcripts")
}

/// What is known of peers.
pub(super) fn expected() -> PathBuf {
    in_workspace("fixtures/expected")
}

/// Where the packets and logs of cases go.
pub(super) fn out() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => Path::new(&target).join("drill"),
        None => in_workspace("target/drill"),
    }
}

/// Short where possible: paths end in reports that people read.
fn in_workspace(path: &str) -> PathBuf {
    let workspace = Path::new(WORKSPACE)
        .canonicalize()
        .unwrap_or_else(|_| WORKSPACE.into());
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let is_here = here.is_ok_and(|here| here == workspace);
    if is_here {
        path.into()
    } else {
        workspace.join(path)
    }
}
