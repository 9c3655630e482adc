//! Where to log in: what every command that does so is given.

use super::Failure;
use super::host_key::{self, HostKeyArgs};
use super::identity::{self, IdentityArgs};
use super::transport::TransportArgs;
use crate::blocking::Ssh;
use crate::engine::Config;
use crate::process;

/// The port of SSH.
const PORT: u16 = 22;

/// How a destination may begin.
const SCHEME: &str = "ssh://";

/// Where to log in, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// Where, and as whom; without a user, as ourselves. An address ssh://[USER@]HOST[:PORT] will do.
    #[arg(value_name = "[USER@]HOST", value_hint = clap::ValueHint::Hostname)]
    destination: String,
    /// The server's port; 22 unless told otherwise.
    #[arg(short, long)]
    port: Option<u16>,
    /// Log in as this user.
    #[arg(short, long, value_name = "USER")]
    login: Option<String>,
    /// Say nothing but errors: no warnings, no banner of the server.
    #[arg(short, long)]
    pub(super) quiet: bool,
    #[command(flatten)]
    identity: IdentityArgs,
    #[command(flatten)]
    host_key: HostKeyArgs,
    #[command(flatten)]
    transport: TransportArgs,
}

impl Target {
    /// Where, as the user wrote it.
    pub(super) fn destination(&self) -> &str {
        &self.destination
    }

    /// Connects, checks the server's key, and logs in.
    pub(super) fn log_in(&self) -> Result<Ssh, Failure> {
        let place = Destination::parse(&self.destination)?;
        let user = match self.login.clone().or(place.user) {
            Some(user) => user,
            None => process::user_name().ok_or_else(|| {
                Failure::new("no user to log in as").hint("write user@host, or set USER")
            })?,
        };
        let port = self.port.or(place.port).unwrap_or(PORT);
        let options = self.transport.prepare()?.options(Config::client());
        tracing::info!("connecting to {} port {port}", place.host);
        let ssh = host_key::connect(&self.host_key, &place.host, port, options)?;
        if let Some(addr) = ssh.peer_addr() {
            tracing::info!("connected to {} port {}", addr.ip(), addr.port());
        }
        identity::log_in(&self.identity, &ssh, &user, &place.host)?;
        tracing::info!("logged in to {} as {user}", place.host);
        Ok(ssh)
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Destination {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

impl Destination {
    fn parse(text: &str) -> Result<Self, Failure> {
        let (place, is_address) = match text.strip_prefix(SCHEME) {
            Some(address) => (address.trim_end_matches('/'), true),
            None => (text, false),
        };
        let (user, host) = match place.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, place),
        };
        // In brackets colons are the host's.
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if is_address && !port.ends_with(']') => {
                let wrong = || Failure::new(format!("`{port}` in {text} is no port"));
                (host, Some(port.parse().map_err(|_| wrong())?))
            }
            _ => (host, None),
        };
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host).to_owned();
        if host.is_empty() || user.as_deref() == Some("") {
            return Err(
                Failure::new(format!("`{text}` names no place to log in")).hint("write user@host")
            );
        }
        Ok(Self { user, host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(Option<String>, String, Option<u16>)> {
        let place = Destination::parse(text).ok()?;
        Some((place.user, place.host, place.port))
    }

    #[test]
    fn a_destination_is_what_ssh_takes_for_one() {
        let place = |user: Option<&str>, host: &str, port| {
            Some((user.map(str::to_owned), host.to_owned(), port))
        };
        assert_eq!(parsed("host"), place(None, "host", None));
        assert_eq!(parsed("me@host"), place(Some("me"), "host", None));
        assert_eq!(parsed("me@work@host"), place(Some("me@work"), "host", None));
        assert_eq!(parsed("me@::1"), place(Some("me"), "::1", None));
        assert_eq!(parsed("[::1]"), place(None, "::1", None));
        assert_eq!(parsed("ssh://host"), place(None, "host", None));
        assert_eq!(
            parsed("ssh://me@host:2222/"),
            place(Some("me"), "host", Some(2222))
        );
        assert_eq!(parsed("ssh://[::1]:2222"), place(None, "::1", Some(2222)));
        assert_eq!(parsed("ssh://[::1]"), place(None, "::1", None));
        for wrong in ["", "@host", "me@", "ssh://host:port", "ssh://"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
