//! What running one case means: picks the peers of its pairing and the way its scenario is run.

use std::sync::Arc;
use std::time::Duration;

use super::event::Case;
use super::{SCRIPTED, wire};
use super::{broken, pair};
use crate::peer::{Broken, Peer};
use crate::scenario::Subject;
use crate::verdict::Outcome;

/// The peers of a run.
#[derive(Clone, Default)]
pub struct Cast(Vec<Arc<dyn Peer>>);

impl Cast {
    /// These peers, whose ids differ.
    #[must_use]
    pub fn new(peers: Vec<Arc<dyn Peer>>) -> Self {
        Self(peers)
    }

    /// All of them, in the order of the matrix.
    #[must_use]
    pub fn peers(&self) -> &[Arc<dyn Peer>] {
        &self.0
    }

    fn find(&self, id: &str) -> Result<&dyn Peer, Broken> {
        let found = self.0.iter().find(|peer| peer.info().id == id);
        found
            .map(|peer| &**peer)
            .ok_or_else(|| Broken::new(format!("no peer of this run is called {id}")))
    }
}

/// Runs one case to its end.
#[must_use]
pub fn play(case: &Case, peers: &Cast, deadline: Duration) -> Outcome {
    let played = if case.scenario.subject == Subject::Pair {
        play_pair(case, peers, deadline)
    } else if case.pairing.client == SCRIPTED {
        play_client(case, peers, deadline)
    } else {
        play_server(case, peers, deadline)
    };
    played.unwrap_or_else(|error| broken("casting the case", &error))
}

fn play_pair(case: &Case, peers: &Cast, deadline: Duration) -> Result<Outcome, Broken> {
    let client = peers.find(&case.pairing.client)?;
    let server = peers.find(&case.pairing.server)?;
    Ok(pair::run(case, client, server, deadline))
}

fn play_client(case: &Case, peers: &Cast, deadline: Duration) -> Result<Outcome, Broken> {
    let server = peers.find(&case.pairing.server)?;
    Ok(wire::against_server(case, server, deadline))
}

fn play_server(case: &Case, peers: &Cast, deadline: Duration) -> Result<Outcome, Broken> {
    let client = peers.find(&case.pairing.client)?;
    Ok(wire::against_client(case, client, deadline))
}
