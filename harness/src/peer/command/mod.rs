//! A peer that is run by the commands of its manifest, on this machine or in a container. The
//! contract is in `harness/PEERS.md`; it is checked once, before the first case.

mod client;
mod contract;
mod server;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::manifest::Manifest;
use super::place::{Place, quoted};
use super::{
    Broken, ClientJob, ClientRecord, NotDone, Origin, Peer, PeerInfo, Reach, RunningServer,
    ServerSetup,
};
use server::Server;

/// How long a command that only says something may take.
const ASKING_MAX: Duration = Duration::from_secs(60);
/// The exit status of a command that cannot do what it is asked to and has not tried.
const UNSUPPORTED: i32 = 127;

/// Where a peer's servers are reached.
#[derive(Debug, Clone, Copy)]
pub(super) enum Door {
    /// On a free port of this machine, a new one for each case.
    Free,
    /// On this port of its container, one server for the whole run.
    Fixed(std::net::SocketAddr),
}

/// An implementation run by commands.
pub(super) struct CommandPeer {
    info: PeerInfo,
    place: Arc<dyn Place>,
    client: Option<client::Client>,
    server: Option<Server>,
    cases_at_a_time: Option<NonZeroUsize>,
}

impl CommandPeer {
    /// Takes the manifest at its word, and then checks that it keeps the contract.
    pub(super) fn try_out(
        manifest: &Manifest,
        id: &str,
        origin: Origin,
        place: Arc<dyn Place>,
        door: Door,
    ) -> Result<Self, NotDone> {
        let server = manifest.server.as_ref();
        let client = manifest.client.as_ref();
        let info = PeerInfo {
            id: id.to_owned(),
            version: version(manifest, id, place.as_ref())?,
            origin,
            capabilities: manifest.capabilities(),
        };
        let server = server.map(|part| Server::new(id, manifest, part, Arc::clone(&place), door));
        let mut peer = Self {
            info,
            client: client.map(|part| client::Client::new(id, manifest, part)),
            server: server.transpose()?,
            cases_at_a_time: manifest
                .server
                .as_ref()
                .and_then(|part| part.cases_at_a_time),
            place,
        };
        let offered = contract::check(&peer, manifest)?;
        peer.info.capabilities.strict_kex = offered.strict_kex;
        peer.info.capabilities.prefers_curve25519 = offered.prefers_curve25519;
        Ok(peer)
    }
}

impl Peer for CommandPeer {
    fn info(&self) -> &PeerInfo {
        &self.info
    }

    fn serve(&self, setup: &ServerSetup) -> Result<Box<dyn RunningServer>, NotDone> {
        match &self.server {
            Some(server) => server.serve(setup),
            None => Err(Broken::new(format!("{} has no server", self.info.id)).into()),
        }
    }

    fn connect(&self, job: &ClientJob) -> Result<ClientRecord, NotDone> {
        match &self.client {
            Some(client) => client.connect(self.place.as_ref(), job),
            None => Err(Broken::new(format!("{} has no client", self.info.id)).into()),
        }
    }

    fn reach(&self) -> Reach {
        self.place.reach()
    }

    fn cases_at_a_time(&self) -> Option<NonZeroUsize> {
        self.cases_at_a_time
    }
}

/// What the manifest's version line prints, or the peer's id where there is none.
fn version(manifest: &Manifest, id: &str, place: &dyn Place) -> Result<String, NotDone> {
    let Some(line) = &manifest.version else {
        return Ok(id.to_owned());
    };
    let script = format!("{}\n{line}", variables(&[manifest_folder(manifest)]));
    let ran = place.run(&script, b"", ASKING_MAX)?;
    let said = String::from_utf8_lossy(&ran.stdout);
    let first = said.lines().map(str::trim).find(|line| !line.is_empty());
    match (ran.code, first) {
        (Some(0), Some(first)) => Ok(first.to_owned()),
        (Some(UNSUPPORTED), _) => Err(unsupported(&ran.stderr)),
        (code, _) => {
            let ended = ended(code);
            let what = format!("the version line of {id} {ended}: `{line}`\n{}", ran.stderr);
            Err(Broken::new(what.trim())
                .hint("it must print product and version and end with status 0")
                .into())
        }
    }
}

/// How a command ended, to be read after its name.
fn ended(code: Option<i32>) -> String {
    match code {
        Some(0) => "printed nothing".to_owned(),
        Some(code) => format!("ended with status {code}"),
        None => "was ended by a signal or took too long".to_owned(),
    }
}

/// A command ended with [`UNSUPPORTED`]: it said so, or the shell did not find it.
fn unsupported(said: &str) -> NotDone {
    let said = said.trim();
    if said.contains("not found") {
        let hint = "the commands of a manifest run in sh; $DRILL_MANIFEST_DIR is its folder";
        return Broken::new(format!("a command of the manifest is missing: {said}"))
            .hint(hint)
            .into();
    }
    let why = match said.lines().last() {
        Some(last) => format!("it says so by exit status {UNSUPPORTED}: {last}"),
        None => format!("it says so by exit status {UNSUPPORTED}"),
    };
    NotDone::Unsupported(why)
}

fn manifest_folder(manifest: &Manifest) -> (&'static str, String) {
    let folder = manifest.folder.to_string_lossy().into_owned();
    ("MANIFEST_DIR", folder)
}

/// Lines of shell that set the parameters of the contract.
fn variables(values: &[(&str, String)]) -> String {
    let line = |(name, value): &(&str, String)| format!("export DRILL_{name}={}\n", quoted(value));
    values.iter().map(line).collect()
}
