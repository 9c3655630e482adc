//! `sshdrill record`.

use std::path::PathBuf;

use super::args::RecordArgs;
use super::{Exit, Stop, places, replay, run};
use crate::report::transcripts::recording;
use crate::run::event::LeftOut;
use crate::run::plan::Plan;

/// What stays the same between recordings of ours, so that what differs is the peer's doing.
const SEED: u64 = 1;

/// Which cases become recordings, and where.
#[derive(Debug, Clone)]
pub(super) struct Recording {
    pub(super) folder: PathBuf,
    /// Only those that these files are of.
    only: Option<Vec<PathBuf>>,
}

/// Runs cases and keeps them for replays: those that are selected, or else those that the
/// collection has.
pub(super) fn record(args: &RecordArgs) -> Result<Exit, Stop> {
    let mut run_args = args.run.clone();
    let folder = args.into.clone().unwrap_or_else(places::transcripts);
    let selects_nothing =
        run_args.names.is_empty() && run_args.peer.is_empty() && run_args.pairing.is_empty();
    let only = selects_nothing.then(|| replay::transcripts_in(&folder));
    run_args.seed.get_or_insert(SEED);
    run_args.recording = Some(Recording {
        folder,
        only: only.transpose()?,
    });
    run::run(&run_args)
}

impl Recording {
    /// Leaves the cases that are wanted, and tells of those that are and cannot be had.
    pub(super) fn narrow(&self, plan: &mut Plan) {
        let Some(only) = &self.only else { return };
        plan.keep_only(|case| only.contains(&recording(&self.folder, case)));
        let planned: Vec<PathBuf> = plan
            .cases
            .iter()
            .map(|case| recording(&self.folder, case))
            .collect();
        let missing = only.iter().filter(|path| !planned.contains(path));
        plan.left_out.extend(missing.map(|path| {
            LeftOut {
                what: path
                    .strip_prefix(&self.folder)
                    .unwrap_or(path)
                    .display()
                    .to_string(),
                why: "its scenario or its peer is not here; the recording stays as it is"
                    .to_owned(),
                hint: None,
            }
        }));
    }
}
