//! `minissh serve`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use subtle::ConstantTimeEq as _;

use super::Failure;
use crate::blocking::{SERVER_PORT, Server, Ssh};
use crate::engine::{Config, Password};
use crate::keyfile::{AuthorizedKeys, KeyFile, fingerprint};
use crate::net::{AuthPolicy, Error, Options};

/// Serve commands on this machine, with your own rights, in the foreground.
///
/// Whoever logs in acts as the user who runs this, whatever user name they give.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The private key that proves who we are; see `minissh keygen`.
    #[arg(long)]
    host_key: PathBuf,
    /// Public keys that may log in, a line each.
    #[arg(long, required_unless_present = "password_file")]
    authorized_keys: Option<PathBuf>,
    /// A file whose first line is a password that may log in.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1")]
    listen: String,
    /// The port; 0 takes a free one.
    #[arg(short, long, default_value_t = SERVER_PORT)]
    port: u16,
}

/// Who may log in.
struct Access {
    keys: AuthorizedKeys,
    password: Option<Password>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let host_key = KeyFile::read(&args.host_key).map_err(|error| {
        Failure::new(error).hint(format!(
            "make one: minissh keygen {}",
            args.host_key.display()
        ))
    })?;
    let access = Arc::new(read_access(args)?);
    let server = Server::bind((args.listen.as_str(), args.port))
        .map_err(|error| Failure::new(error).hint("choose another with --port"))?;
    eprintln!(
        "listening on {}, host key {}",
        server.local_addr()?,
        fingerprint(&host_key.key.public_key())
    );
    let key = host_key.key;
    server.serve(
        move |peer| {
            eprintln!("{peer}: connected");
            Options::new(Config::server(key.clone()))
        },
        move |ssh| {
            if let Err(error) = attend(&ssh, &access) {
                eprintln!("session over: {error}");
            }
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

fn read_access(args: &Args) -> Result<Access, Failure> {
    let keys = match &args.authorized_keys {
        Some(path) => AuthorizedKeys::read(path)?,
        None => AuthorizedKeys::default(),
    };
    let password = match &args.password_file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
            let line = text.lines().next().unwrap_or_default();
            Some(
                Password::new(line.as_bytes())
                    .filter(|_| !line.is_empty())
                    .ok_or_else(|| {
                        Failure::new(format!("{}: no password on the first line", path.display()))
                    })?,
            )
        }
        None => None,
    };
    Ok(Access { keys, password })
}

/// Serves one connection, its sessions side by side.
fn attend(ssh: &Ssh, access: &Arc<Access>) -> Result<(), Error> {
    let user = ssh.userauth_accept(policy(access))?;
    eprintln!("{user:?} logged in");
    loop {
        let channel = ssh.channel_accept()?;
        std::thread::spawn(move || {
            if let Err(error) = channel.run_command() {
                tracing::info!("command: {error}");
            }
        });
    }
}

fn policy(access: &Arc<Access>) -> AuthPolicy {
    let (keys, passwords) = (Arc::clone(access), Arc::clone(access));
    AuthPolicy::publickey(move |_, key, _| keys.keys.has(key)).or_password(move |_, given| {
        passwords
            .password
            .as_ref()
            .is_some_and(|wanted| wanted.expose().ct_eq(given.expose()).into())
    })
}
