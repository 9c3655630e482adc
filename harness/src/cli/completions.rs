//! `sshdrill completions`.

use std::io::Write as _;

use clap::CommandFactory as _;

use super::args::{Cli, CompletionsArgs};
use super::{Exit, Stop};
use crate::report::write::ignoring_closed_pipe;

/// Prints what the shell has to read.
pub(super) fn completions(args: &CompletionsArgs) -> Result<Exit, Stop> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    let written = ignoring_closed_pipe(std::io::stdout().write_all(&script));
    written.map_err(|error| Stop::new(Exit::Environment, format!("cannot print it: {error}")))?;
    Ok(Exit::AsExpected)
}
