//! `sshdrill probe`: the cases for servers against a server that somebody else started.

use std::io::ErrorKind;
use std::net::ToSocketAddrs;

use super::args::ProbeArgs;
use super::prepare::anywhere;
use super::{Exit, Stop, run};
use crate::peer::keys;
use crate::peer::live::{Credentials, LiveServer};
use crate::report::files::Keep;

/// Has the password, where no command line does.
const PASSWORD_VARIABLE: &str = "SSHDRILL_PASSWORD";

/// Asks the server what it is, and runs what it can be asked.
pub(super) fn probe(args: &ProbeArgs) -> Result<Exit, Stop> {
    let credentials = credentials(args)?;
    let unknown = |why: String| {
        Stop::new(
            Exit::CommandLine,
            format!("`{}` is no HOST:PORT: {why}", args.address),
        )
        .hint("for example: sshdrill probe 127.0.0.1:22, or [::1]:22")
    };
    let not_found = |e: std::io::Error| match e.kind() {
        ErrorKind::InvalidInput => unknown(e.to_string()),
        _ => {
            let what = format!("cannot find `{}`: {e}", args.address);
            Stop::new(Exit::Environment, what)
                .hint("is the name of the host right, and is there a network?")
        }
    };
    let addr = args
        .address
        .to_socket_addrs()
        .map_err(not_found)?
        .next()
        .ok_or_else(|| unknown("it has no address".to_owned()))?;
    let mut run = args.run.clone();
    // A capture has its keys in it, and these credentials are real.
    run.reports.captures.get_or_insert(Keep::None);
    run.live = Some(words(args));
    run::run_with(&run, |_| LiveServer::ask(addr, credentials), || {})
}

/// What is typed to have these cases again. A password is none of it: its variable is set still.
fn words(args: &ProbeArgs) -> Vec<String> {
    let mut words = vec!["probe".to_owned(), args.address.clone()];
    if let Some(user) = &args.user {
        words.extend(["--user".to_owned(), user.clone()]);
    }
    if let Some(identity) = &args.identity {
        words.extend(["--identity".to_owned(), anywhere(identity)]);
    }
    words
}

fn credentials(args: &ProbeArgs) -> Result<Credentials, Stop> {
    let read =
        |path| keys::read(path).map_err(|broken| Stop::because_of(Exit::CommandLine, broken));
    // One that is set for other probes is no wish to log in.
    let from_variable = || {
        std::env::var(PASSWORD_VARIABLE)
            .ok()
            .filter(|_| args.user.is_some())
    };
    Ok(Credentials {
        user: args.user.clone().unwrap_or_default(),
        password: args.password.clone().or_else(from_variable),
        key: args.identity.as_deref().map(read).transpose()?,
    })
}
