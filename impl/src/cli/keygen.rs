//! `minissh keygen`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::Failure;
use crate::blocking;
use crate::keyfile::{self, KeyFile, KeyFileError};

/// Make an Ed25519 key: FILE for yourself, FILE.pub for others.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the private key goes. Never over an existing file.
    file: PathBuf,
    /// What the key is for, at the end of its public line.
    #[arg(short = 'C', long, default_value = "")]
    comment: String,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let file = KeyFile {
        key: blocking::keygen()?,
        comment: args.comment.clone(),
    };
    file.write(&args.file).map_err(|error| {
        let exists = matches!(&error, KeyFileError::Io { source, .. }
            if source.kind() == std::io::ErrorKind::AlreadyExists);
        let failure = Failure::new(error);
        match exists {
            true => failure.hint("choose another name, or move the old key away first"),
            false => failure,
        }
    })?;
    println!("{}", keyfile::fingerprint(&file.key.public_key()));
    Ok(ExitCode::SUCCESS)
}
