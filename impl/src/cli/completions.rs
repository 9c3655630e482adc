//! `minissh completions`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Failure};

const EXAMPLES: &str = "\
Examples:
  source <(minissh completions bash)                                          for this shell
  minissh completions bash >~/.local/share/bash-completion/completions/minissh
  minissh completions zsh >~/.zfunc/_minissh                                  in $fpath
  minissh completions fish >~/.config/fish/completions/minissh.fish";

/// Print a script that completes commands and options in a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
