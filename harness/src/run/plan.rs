//! Which cases there are: the selection, the scenarios and the peers multiplied out, and a reason
//! for everything a reader would expect and that is not among them.
//!
//! A peer that has no client or no server at all is simply not in that half of the matrix. A peer
//! that has the role but lacks what a scenario needs is left out by name, with the reason: it is
//! not a skipped test, since with this peer there is nothing to test, and it is not hidden either.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::event::{Case, Event, LeftOut, Pairing, Participant};
use super::selection::Selection;
use super::{MINISSH, SCRIPTED};
use crate::peer::{Capabilities, PeerInfo};
use crate::scenario::{Need, Scenario, Subject};

/// What a run will do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed of the whole run.
    pub seed: u64,
    /// Who takes part.
    pub participants: Vec<Participant>,
    /// Every case, by scenario and then in the order of the peers.
    pub cases: Vec<Arc<Case>>,
    /// What is left out, and why.
    pub left_out: Vec<LeftOut>,
}

/// What all cases of a run share.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The seed of the whole run.
    pub seed: u64,
    /// Arguments that a case needs to run again as it ran, beside its name, pairing and seed.
    pub rerun_args: Vec<String>,
}

/// Multiplies scenarios with peers and keeps what is selected.
#[must_use]
pub fn plan(
    scenarios: &[Arc<Scenario>],
    peers: &[PeerInfo],
    selection: &Selection,
    terms: &Terms,
) -> Plan {
    let names: Vec<&str> = scenarios
        .iter()
        .map(|scenario| scenario.name.as_str())
        .collect();
    let ids: Vec<&str> = peers.iter().map(|peer| peer.id.as_str()).collect();
    let mut plan = Plan {
        seed: terms.seed,
        participants: Vec::new(),
        cases: Vec::new(),
        left_out: Vec::new(),
    };

    for scenario in scenarios
        .iter()
        .filter(|s| selection.wants_scenario(&s.name, &names))
    {
        for candidate in candidates(scenario.subject, peers) {
            let pairing = candidate.pairing();
            if !selection.wants_pairing(&pairing, &ids) {
                continue;
            }
            match scenario
                .needs
                .iter()
                .find_map(|need| candidate.lacks(*need))
            {
                None => plan.cases.push(Arc::new(case(scenario, pairing, terms))),
                Some(why) => plan.left_out.push(LeftOut {
                    what: format!("{} with {pairing}", scenario.name),
                    why,
                    hint: None,
                }),
            }
        }
    }
    plan.participants = peers
        .iter()
        .filter(|peer| plan.uses(&peer.id))
        .map(participant)
        .collect();
    plan
}

impl Plan {
    /// The plan as reports hear of it.
    #[must_use]
    pub fn told(&self) -> Event {
        Event::Planned {
            seed: self.seed,
            participants: self.participants.clone(),
            cases: self.cases.clone(),
            left_out: self.left_out.clone(),
        }
    }

    /// Whether a peer is in any case.
    fn uses(&self, id: &str) -> bool {
        self.cases
            .iter()
            .any(|case| case.pairing.client == id || case.pairing.server == id)
    }
}

fn participant(peer: &PeerInfo) -> Participant {
    Participant {
        id: peer.id.clone(),
        version: peer.version.clone(),
    }
}

/// A pairing that a scenario could have; a side without a peer is the scripted endpoint.
struct Candidate<'a> {
    client: Option<&'a PeerInfo>,
    server: Option<&'a PeerInfo>,
}

impl Candidate<'_> {
    fn pairing(&self) -> Pairing {
        let id = |side: Option<&PeerInfo>| side.map_or(SCRIPTED, |peer| &peer.id).to_owned();
        Pairing {
            client: id(self.client),
            server: id(self.server),
        }
    }

    /// Which side lacks what the need asks for, if one does.
    fn lacks(&self, need: Need) -> Option<String> {
        let client = self
            .client
            .filter(|peer| !client_can(&peer.capabilities, need));
        let server = self
            .server
            .filter(|peer| !server_can(&peer.capabilities, need));
        let (peer, role) = client
            .map(|peer| (peer, "client"))
            .or(server.map(|p| (p, "server")))?;
        Some(format!(
            "the {role} of {} ({}) {}",
            peer.id,
            peer.version,
            cannot(need)
        ))
    }
}

fn client_can(client: &Capabilities, need: Need) -> bool {
    match need {
        Need::StrictKex => client.strict_kex,
        Need::Password => client.client_password,
        Need::Multiplex => client.multiplex,
    }
}

fn server_can(server: &Capabilities, need: Need) -> bool {
    match need {
        Need::StrictKex => server.strict_kex,
        Need::Password => server.server_password,
        // Several sessions are a client's doing; every server takes them.
        Need::Multiplex => true,
    }
}

fn cannot(need: Need) -> &'static str {
    match need {
        Need::StrictKex => "does not offer strict key exchange",
        Need::Password => "cannot use a password here",
        Need::Multiplex => "cannot run several sessions over one connection",
    }
}

/// Every pairing a scenario with this subject makes sense for. Two foreign peers are never paired:
/// what they make of each other says nothing about the subject, and neither side leaves us a trace.
fn candidates(subject: Subject, peers: &[PeerInfo]) -> Vec<Candidate<'_>> {
    match subject {
        Subject::Server => against_servers(peers),
        Subject::Client => against_clients(peers),
        Subject::Either => against_servers(peers)
            .into_iter()
            .chain(against_clients(peers))
            .collect(),
        Subject::Pair => pairs(peers),
    }
}

fn against_servers(peers: &[PeerInfo]) -> Vec<Candidate<'_>> {
    let servers = peers.iter().filter(|peer| peer.capabilities.server);
    servers
        .map(|peer| Candidate {
            client: None,
            server: Some(peer),
        })
        .collect()
}

fn against_clients(peers: &[PeerInfo]) -> Vec<Candidate<'_>> {
    let clients = peers.iter().filter(|peer| peer.capabilities.client);
    clients
        .map(|peer| Candidate {
            client: Some(peer),
            server: None,
        })
        .collect()
}

fn pairs(peers: &[PeerInfo]) -> Vec<Candidate<'_>> {
    let Some(ours) = peers.iter().find(|peer| peer.id == MINISSH) else {
        return Vec::new();
    };
    let servers = peers.iter().filter(|peer| peer.capabilities.server);
    let clients = peers
        .iter()
        .filter(|peer| peer.capabilities.client && peer.id != MINISSH);
    servers
        .map(|peer| Candidate {
            client: Some(ours),
            server: Some(peer),
        })
        .chain(clients.map(|peer| Candidate {
            client: Some(peer),
            server: Some(ours),
        }))
        .collect()
}

fn case(scenario: &Arc<Scenario>, pairing: Pairing, terms: &Terms) -> Case {
    Case {
        seed: case_seed(terms.seed, &scenario.name, &pairing),
        rerun: rerun(&scenario.name, &pairing, terms),
        scenario: Arc::clone(scenario),
        pairing,
    }
}

/// Depends on the run's seed and the case's name alone, so that a case run by itself draws the
/// same numbers as in a full run.
fn case_seed(run_seed: u64, scenario: &str, pairing: &Pairing) -> u64 {
    let digest = Sha256::new()
        .chain_update(run_seed.to_be_bytes())
        .chain_update(format!("{scenario} {pairing}"))
        .finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

/// The command line that runs one case again, in ASCII so that it survives any paste.
fn rerun(scenario: &str, pairing: &Pairing, terms: &Terms) -> String {
    let mut command = format!(
        "cargo drill run {scenario} --pairing {}:{} --seed {:#x}",
        pairing.client, pairing.server, terms.seed
    );
    for arg in &terms.rerun_args {
        command.push(' ');
        command.push_str(&shell_quoted(arg));
    }
    command
}

fn shell_quoted(arg: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+".contains(c);
    if !arg.is_empty() && arg.chars().all(is_plain) {
        arg.to_owned()
    } else {
        format!("'{}'", arg.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests;
