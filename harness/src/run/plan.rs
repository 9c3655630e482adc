//! Which cases there are: the selection, the scenarios and the peers multiplied out, and a reason
//! for everything a reader would expect and that is not among them.
//!
//! A peer that has no client or no server at all is simply not in that half of the matrix. A peer
//! that has the role but lacks what a scenario needs is left out by name, with the reason: it is
//! not a skipped test, since with this peer there is nothing to test, and it is not hidden either.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::event::{Case, Event, LeftOut, Pairing, Participant};
use super::selection::{PairingFilter, Selection};
use super::shard::Shard;
use super::{MINISSH, SCRIPTED, login};
use crate::peer::{Capabilities, PeerInfo};
use crate::scenario::{Need, Scenario, Subject};

/// What a run will do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed of the whole run.
    pub seed: u64,
    /// Which part of the whole run it is, if not all of it.
    pub shard: Option<Shard>,
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
    /// How a case is run again.
    pub again: Again,
}

/// What is typed to run a case again, beside its name, pairing and seed.
#[derive(Debug, Clone)]
pub struct Again {
    /// The words that begin this program.
    pub program: String,
    /// The words of the command that runs cases with a peer that only that command knows.
    pub live: Option<Vec<String>>,
    /// Further arguments that it needs to run as it ran.
    pub args: Vec<String>,
}

impl Default for Again {
    /// In a checkout, with nothing but what is usual.
    fn default() -> Self {
        Self {
            program: "cargo drill".to_owned(),
            live: None,
            args: Vec::new(),
        }
    }
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
        shard: None,
        participants: Vec::new(),
        cases: Vec::new(),
        left_out: Vec::new(),
    };

    for scenario in scenarios
        .iter()
        .filter(|s| selection.wants_scenario(&s.name, &names))
    {
        let candidates = candidates(scenario.subject, peers);
        if candidates.is_empty() && scenario.subject == Subject::Pair {
            plan.left_out.push(LeftOut {
                what: format!("{} with anybody", scenario.name),
                why: "it needs a client and a server, and one of them is not here".to_owned(),
                hint: None,
            });
        }
        for candidate in candidates {
            let pairing = candidate.pairing();
            if !selection.wants_pairing(&pairing, &ids) {
                continue;
            }
            match candidate.lacking(scenario) {
                None => plan.cases.push(Arc::new(case(scenario, pairing, terms))),
                Some(Lack { why, hint }) => plan.left_out.push(LeftOut {
                    what: format!("{} with {pairing}", scenario.name),
                    why,
                    hint,
                }),
            }
        }
    }
    if plan.cases.is_empty() && selection.pairings.iter().any(PairingFilter::is_foreign) {
        plan.left_out.push(LeftOut {
            what: "everything else of what was selected".to_owned(),
            why: "two that are both not ours meet in scenarios of pairs alone".to_owned(),
            hint: None,
        });
    }
    plan.participants = peers.iter().map(participant).collect();
    plan.drop_idle();
    plan
}

impl Plan {
    /// The plan as reports hear of it.
    #[must_use]
    pub fn told(&self) -> Event {
        Event::Planned {
            seed: self.seed,
            shard: self.shard,
            participants: self.participants.clone(),
            cases: self.cases.clone(),
            left_out: self.left_out.clone(),
        }
    }

    /// Leaves the cases of other shards to whoever runs those.
    pub fn keep(&mut self, shard: Shard) {
        let all = self.cases.len();
        self.keep_only(|case| shard.holds(case));
        self.shard = Some(shard);
        self.left_out.push(LeftOut {
            what: format!("{} of {all} cases", all - self.cases.len()),
            why: format!("{} {shard}", LeftOut::OTHER_SHARD),
            hint: None,
        });
    }

    /// Forgets all other cases.
    pub fn keep_only(&mut self, wanted: impl Fn(&Case) -> bool) {
        self.cases.retain(|case| wanted(case));
        self.drop_idle();
    }

    /// Forgets who is in no case.
    fn drop_idle(&mut self) {
        let sides = |case: &Arc<Case>| [case.pairing.client.clone(), case.pairing.server.clone()];
        let busy: BTreeSet<String> = self.cases.iter().flat_map(sides).collect();
        self.participants.retain(|one| busy.contains(&one.id));
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
    /// Our client with all servers, all clients with our server, and the rest.
    fn rank(&self) -> u8 {
        let is_ours = |side: Option<&PeerInfo>| side.is_some_and(|peer| peer.id == MINISSH);
        match (is_ours(self.client), is_ours(self.server)) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        }
    }

    fn pairing(&self) -> Pairing {
        let id = |side: Option<&PeerInfo>| side.map_or(SCRIPTED, |peer| &peer.id).to_owned();
        Pairing {
            client: id(self.client),
            server: id(self.server),
        }
    }

    /// What keeps it from the scenario, if something does. The login comes first: of who was not
    /// logged in to, the rest is not known.
    fn lacking(&self, scenario: &Scenario) -> Option<Lack> {
        let needs = scenario.needs.iter();
        self.refuses(scenario)
            .or_else(|| needs.map(|need| self.lacks(*need)).find(Option::is_some)?)
    }

    /// Why nobody gets in as the scenario wants, if the server is the subject and nobody does.
    fn refuses(&self, scenario: &Scenario) -> Option<Lack> {
        let server = self.server.filter(|_| self.client.is_none())?;
        let method = login::lacking(scenario, &server.capabilities)?;
        Some(Lack::of_login(server, method))
    }

    /// What the need asks for and one side lacks, if one does.
    fn lacks(&self, need: Need) -> Option<Lack> {
        let client = self
            .client
            .filter(|peer| !client_can(&peer.capabilities, need));
        let server = self
            .server
            .filter(|peer| !server_can(&peer.capabilities, need));
        let (peer, role) = client
            .map(|peer| (peer, "client"))
            .or(server.map(|p| (p, "server")))?;
        if need == Need::Password && role == "server" && peer.is_live() {
            return Some(Lack::of_login(peer, login::Method::Password));
        }
        let why = format!(
            "the {role} of {} ({}) {}",
            peer.id,
            peer.version,
            cannot(need)
        );
        Some(Lack { why, hint: None })
    }
}

/// Why there is no case with somebody.
struct Lack {
    why: String,
    /// What would add it.
    hint: Option<String>,
}

impl Lack {
    /// Nobody gets in this way. What a live server would do with what nobody gave us is not known.
    fn of_login(server: &PeerInfo, method: login::Method) -> Self {
        let (why, hint) = match server.is_live() {
            true => (method.not_tried(), Some(method.hint().to_owned())),
            false => (method.refused(), None),
        };
        let why = format!("{} ({}) {why}", server.id, server.version);
        Self { why, hint }
    }
}

fn client_can(client: &Capabilities, need: Need) -> bool {
    match need {
        Need::StrictKex => client.strict_kex,
        Need::PrefersCurve25519 => client.prefers_curve25519,
        Need::Password => client.client_password,
        Need::Multiplex => client.multiplex,
        Need::SessionRequests => client.client_session_requests,
        // Who lets users in is the other side.
        Need::KnownUsers => true,
        Need::FillableWindow => !client.client_vast_window,
        Need::RekeyLimit => client.rekey_limit,
    }
}

fn server_can(server: &Capabilities, need: Need) -> bool {
    match need {
        Need::StrictKex => server.strict_kex,
        Need::PrefersCurve25519 => server.prefers_curve25519,
        Need::Password => server.server_password,
        Need::Multiplex => !server.one_session,
        Need::SessionRequests => server.server_session_requests,
        Need::KnownUsers => server.server_known_users,
        // Commands read what they are sent, and how much a server takes before that is small.
        Need::FillableWindow => true,
        Need::RekeyLimit => server.rekey_limit,
    }
}

fn cannot(need: Need) -> &'static str {
    match need {
        Need::StrictKex => "does not offer strict key exchange",
        Need::PrefersCurve25519 => "prefers another key exchange, so that a guess would be wrong",
        Need::Password => "cannot use a password here",
        Need::Multiplex => "cannot have several sessions on one connection",
        Need::SessionRequests => "knows of no shells, terminals, variables and signals here",
        Need::KnownUsers => "lets in whoever has the key or the password, whatever the name",
        Need::FillableWindow => "opens windows that no case has the time to fill",
        Need::RekeyLimit => "cannot be told when to begin a key exchange",
    }
}

/// Every pairing a scenario with this subject makes sense for.
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

/// Every client with every server, those that are ours first.
fn pairs(peers: &[PeerInfo]) -> Vec<Candidate<'_>> {
    let clients = peers.iter().filter(|peer| peer.capabilities.client);
    let pair = |client| {
        let servers = peers.iter().filter(|peer| peer.capabilities.server);
        servers.map(move |server| Candidate {
            client: Some(client),
            server: Some(server),
        })
    };
    let mut pairs: Vec<_> = clients.flat_map(pair).collect();
    pairs.sort_by_key(Candidate::rank);
    pairs
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
    let mut command = terms.again.program.clone();
    match &terms.again.live {
        Some(words) => {
            for word in words {
                command.push(' ');
                command.push_str(&shell_quoted(word));
            }
            let _ = write!(command, " {scenario}");
        }
        None => {
            let Pairing { client, server } = pairing;
            let _ = write!(command, " run {scenario} --pairing {client}:{server}");
        }
    }
    let _ = write!(command, " --seed {:#x}", terms.seed);
    for arg in &terms.again.args {
        command.push(' ');
        command.push_str(&shell_quoted(arg));
    }
    command
}

/// A word as a POSIX shell reads it.
#[must_use]
pub fn shell_quoted(arg: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+".contains(c);
    if !arg.is_empty() && arg.chars().all(is_plain) {
        arg.to_owned()
    } else {
        format!("'{}'", arg.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests;
