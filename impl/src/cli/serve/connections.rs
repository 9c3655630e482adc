//! The connections that are there: each served by threads of its own, all ended together.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::access::Access;
use crate::blocking::{Channel, Ssh};
use crate::cli::stdio::say;
use crate::engine::End;
use crate::net::Error;

/// How long connections and programs get to end: two seconds for a peer that takes no data, one for
/// a program that does not end by HUP, and some.
const END_MAX: Duration = Duration::from_secs(5);

/// All connections, by where they come from.
#[derive(Default)]
pub(super) struct Connections {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    open: HashMap<SocketAddr, Ssh>,
    /// Threads that serve a connection or a session.
    at_work: usize,
    /// Nobody is served any more.
    is_over: bool,
}

impl Connections {
    /// Serves one connection, its sessions side by side.
    pub(super) fn attend(self: &Arc<Self>, ssh: &Ssh, access: &Arc<Access>) {
        // Every connection of a listener has an address, unless it is over already.
        let Some(peer) = ssh.peer_addr() else { return };
        let _work = Work::begin(self);
        if !self.enter(peer, ssh) {
            return;
        }
        let (who, end) = match ssh.userauth_accept(access.policy(peer)) {
            Ok(user) => {
                access.was_let_in(peer);
                let user = format!("user {} {}", shown(&user), place(peer));
                let end = self.serve_sessions(ssh, &user);
                (user, end)
            }
            Err(end) => {
                access.was_not_let_in(peer);
                (format!("{} before login", place(peer)), end)
            }
        };
        self.state().open.remove(&peer);
        match end {
            Error::Ended(End::PeerHungUp) => say(format_args!("Disconnected from {who}")),
            end => say(format_args!("Disconnected from {who}: {end}")),
        }
    }

    /// Whether the connection may begin.
    fn enter(&self, peer: SocketAddr, ssh: &Ssh) -> bool {
        let mut state = self.state();
        if !state.is_over {
            state.open.insert(peer, ssh.clone());
        }
        !state.is_over
    }

    fn serve_sessions(self: &Arc<Self>, ssh: &Ssh, user: &str) -> Error {
        loop {
            let channel = match ssh.channel_accept() {
                Ok(channel) => channel,
                Err(end) => return end,
            };
            let (work, user) = (Work::begin(self), user.to_owned());
            let session = std::thread::Builder::new().spawn(move || {
                run(&channel, &user);
                drop(work);
            });
            // The channel went with what was to run, and is closed.
            if let Err(error) = session {
                say(format_args!("error: no thread for a session: {error}"));
            }
        }
    }

    /// Ends all connections, and waits until their programs are gone too.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.is_over = true;
        for ssh in state.open.values() {
            let ssh = ssh.clone();
            // Side by side: a peer that takes no data takes its time.
            std::thread::spawn(move || ssh.disconnect());
        }
        // Whatever is left then ends with us.
        let at_work = |state: &mut State| state.at_work > 0;
        drop(self.changed.wait_timeout_while(state, END_MAX, at_work));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(channel: &Channel, user: &str) {
    let what = match (channel.command(), channel.pty()) {
        (Some(_), None) => "command",
        (Some(_), Some(_)) => "command on a terminal",
        (None, None) => "shell",
        (None, Some(_)) => "shell on a terminal",
    };
    tracing::info!("Starting session: {what} for {user}");
    match channel.run_command() {
        Ok(exit) => tracing::info!("Close session: {what} for {user}: {exit:?}"),
        Err(error) => tracing::info!("Close session: {what} for {user}: {error}"),
    }
}

/// A thread's work for a connection, until this is dropped.
struct Work(Arc<Connections>);

impl Work {
    fn begin(connections: &Arc<Connections>) -> Self {
        connections.state().at_work += 1;
        Self(Arc::clone(connections))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.state().at_work -= 1;
        self.0.changed.notify_all();
    }
}

/// As `sshd` writes an address: one of IPv4 that comes to a socket of IPv6, too.
pub(super) fn place(peer: SocketAddr) -> String {
    format!("{} port {}", peer.ip().to_canonical(), peer.port())
}

/// A user name as it may be printed: it is the peer's.
pub(super) fn shown(user: &str) -> String {
    user.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ipv4_is_written_as_one() {
        let peer = |text: &str| place(text.parse().unwrap());
        assert_eq!(peer("[::ffff:127.0.0.1]:5"), "127.0.0.1 port 5");
        assert_eq!(peer("[::1]:5"), "::1 port 5");
    }
}
