//! The `minissh` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    minissh::cli::main()
}
