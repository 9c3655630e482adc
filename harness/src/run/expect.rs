//! Known behaviour: which cases do not simply pass, with whom, and why. It is data with reasons and
//! links, below `fixtures/expected`; what is expected and does not come is as bad as a failure that
//! was not expected.

mod turned_away;
mod versions;

use std::path::{Path, PathBuf};

use globset::{Glob, GlobMatcher};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::event::{Case, LeftOut, Pairing};
use super::{MINISSH, SCRIPTED};
use crate::peer::PeerInfo;
use crate::verdict::{Failure, Known, Outcome, Verdict};

use turned_away::TurnedAway;
pub use versions::Versions;

/// All entries of a folder.
#[derive(Debug, Clone, Default)]
pub struct Expectations {
    expected: Vec<Of<Entry>>,
    turned_away: Vec<Of<TurnedAway>>,
}

/// One entry, and the peer that its file is about.
#[derive(Debug, Clone)]
struct Of<T> {
    /// The file's name without `.toml`: an id, or the part of it before a dash.
    peer: String,
    path: PathBuf,
    entry: T,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    expected: Vec<Entry>,
    #[serde(default)]
    turned_away: Vec<TurnedAway>,
}

/// What an entry says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(deserialize_with = "glob")]
    scenario: GlobMatcher,
    /// Both roles, when it is not said.
    role: Option<Role>,
    /// All versions, when it is not said.
    versions: Option<Versions>,
    /// The ids that the other side may have; all, when it is not said.
    #[serde(default, deserialize_with = "some_glob")]
    with: Option<GlobMatcher>,
    verdict: OneOrMore,
    reason: String,
    link: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    Client,
    Server,
}

/// Several when it is not the same each time.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(Verdict),
    More(Vec<Verdict>),
}

fn glob<'de, D: Deserializer<'de>>(from: D) -> Result<GlobMatcher, D::Error> {
    let text = String::deserialize(from)?;
    let glob = Glob::new(&text).map_err(|e| D::Error::custom(e.kind()))?;
    Ok(glob.compile_matcher())
}

fn some_glob<'de, D: Deserializer<'de>>(from: D) -> Result<Option<GlobMatcher>, D::Error> {
    glob(from).map(Some)
}

/// A file that cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct ExpectError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, with the line and a caret where there is one.
    pub why: String,
}

impl Expectations {
    /// Reads every `*.toml` of a folder.
    ///
    /// # Errors
    /// [`ExpectError`] for the first that cannot be read or does not parse.
    pub fn load(folder: &Path) -> Result<Self, ExpectError> {
        let unreadable = |path: &Path, e: std::io::Error| ExpectError {
            path: path.to_owned(),
            why: e.to_string(),
        };
        let files = std::fs::read_dir(folder).map_err(|e| unreadable(folder, e))?;
        let mut paths: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
        paths.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        });
        paths.sort();
        let mut all = Self::default();
        for path in paths {
            let text = std::fs::read_to_string(&path).map_err(|e| unreadable(&path, e))?;
            all.add(&text, &path)?;
        }
        Ok(all)
    }

    /// Takes in the text of one file.
    fn add(&mut self, text: &str, path: &Path) -> Result<(), ExpectError> {
        let file: File = toml::from_str(text).map_err(|e| ExpectError {
            path: path.to_owned(),
            why: e.to_string(),
        })?;
        let expected = file.expected.into_iter();
        self.expected
            .extend(expected.map(|entry| Of::new(path, entry)));
        if file.turned_away.iter().any(TurnedAway::is_silent) {
            return Err(ExpectError {
                path: path.to_owned(),
                why: "`says` of a [[turned-away]] is empty, which all that is sent begins with"
                    .to_owned(),
            });
        }
        let turned_away = file.turned_away.into_iter();
        self.turned_away
            .extend(turned_away.map(|entry| Of::new(path, entry)));
        Ok(())
    }

    /// Whether anything is known of the case.
    #[must_use]
    pub fn know(&self, case: &Case, peers: &[PeerInfo]) -> bool {
        self.about(case, peers).is_some()
    }

    fn about(&self, case: &Case, peers: &[PeerInfo]) -> Option<&Of<Entry>> {
        let about = || {
            let all = self.expected.iter();
            all.filter(|each| each.is_about(case, peers))
        };
        // What is known of two that meet comes before what is known of one of them.
        let of_two = about().find(|each| each.entry.with.is_some());
        of_two.or_else(|| about().next())
    }

    /// Why the server did not let the case begin, if that is what ended it.
    fn turned_away(
        &self,
        case: &Case,
        peers: &[PeerInfo],
        outcome: &Outcome,
    ) -> Option<&TurnedAway> {
        let server = peers.iter().find(|peer| peer.id == case.pairing.server)?;
        let by_it = |each: &&Of<TurnedAway>| {
            each.is_of(server) && contain(each.entry.versions.as_ref(), server)
        };
        let mut entries = self.turned_away.iter().filter(by_it).map(|of| &of.entry);
        entries.find(|entry| entry.ended(outcome))
    }

    /// Adds what was known of the case to its outcome. A pass that was not expected gets a reason. One
    /// that the server did not let begin has not failed.
    #[must_use]
    pub fn compare(&self, case: &Case, peers: &[PeerInfo], outcome: Outcome) -> Outcome {
        if let Some(entry) = self.turned_away(case, peers, &outcome) {
            return entry.instead_of(outcome);
        }
        let Some(found) = self.about(case, peers) else {
            return outcome;
        };
        let known = found.known();
        // Another configuration than ours may be all that a pass shows.
        let is_elsewhere = peers.iter().any(PeerInfo::is_live);
        if is_elsewhere && outcome.verdict == Verdict::Pass {
            return outcome;
        }
        let failure = outcome.failure.clone();
        let failure = failure.or_else(|| {
            let is_surprise = !known.verdicts.contains(&outcome.verdict);
            is_surprise.then(|| found.surprise(&known, outcome.verdict))
        });
        Outcome {
            failure,
            known: Some(known),
            ..outcome
        }
    }

    /// The entries that are about none of all scenarios, whatever is run of them: the name or glob of
    /// each, and its file.
    #[must_use]
    pub fn of_no_scenario(&self, names: &[&str]) -> Vec<(&str, &Path)> {
        let is_lost = |each: &&Of<Entry>| {
            let matcher = &each.entry.scenario;
            !names.iter().any(|name| matcher.is_match(name))
        };
        let lost = self.expected.iter().filter(is_lost);
        lost.map(|each| (each.entry.scenario.glob().glob(), each.path.as_path()))
            .collect()
    }

    /// The entries that no case of a full selection is about, although a peer of theirs was there.
    /// One about two that meet may be of a run of every pair.
    #[must_use]
    pub fn stale(&self, cases: &[std::sync::Arc<Case>], peers: &[PeerInfo]) -> Vec<LeftOut> {
        let is_stale = |each: &&Of<Entry>| {
            let is_here = peers
                .iter()
                .any(|peer| !peer.is_live() && each.fits(peer) && each.can_be(peer));
            is_here
                && each.entry.with.is_none()
                && !cases.iter().any(|case| each.is_about(case, peers))
        };
        let told = |each: &Of<Entry>| LeftOut {
            what: format!("{} in {}", each.entry.scenario.glob(), each.path.display()),
            why: "no case is what this expectation is about".to_owned(),
            hint: Some("take it out, or correct its scenario, role or versions".to_owned()),
        };
        self.expected.iter().filter(is_stale).map(told).collect()
    }
}

/// How identification strings begin, behind the version of the protocol, and whose file that is.
const NAMES: [(&str, &str); 5] = [
    ("OpenSSH_", "openssh"),
    ("PuTTY_", "plink"),
    ("dropbear_", "dropbear"),
    ("libssh_", "libssh"),
    ("tinyssh_", "tinysshd"),
];

fn contain(versions: Option<&Versions>, peer: &PeerInfo) -> bool {
    versions.is_none_or(|versions| versions.contain(&peer.version))
}

impl<T> Of<T> {
    fn new(path: &Path, entry: T) -> Self {
        let peer = path.file_stem().unwrap_or_default().to_string_lossy();
        Self {
            peer: peer.into_owned(),
            path: path.to_owned(),
            entry,
        }
    }

    /// Whether its file is about this peer, in whatever version. One that somebody else started is
    /// known by what it calls itself.
    fn is_of(&self, peer: &PeerInfo) -> bool {
        if peer.is_live() {
            let name = NAMES.iter().find(|(_, file)| *file == self.peer);
            name.is_some_and(|(name, _)| peer.version.starts_with(name))
        } else {
            let rest = peer.id.strip_prefix(&self.peer);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        }
    }
}

impl Of<Entry> {
    fn is_about(&self, case: &Case, peers: &[PeerInfo]) -> bool {
        let Pairing { client, server } = &case.pairing;
        let sides = [
            (Role::Client, client, server),
            (Role::Server, server, client),
        ];
        let is_ours = |id: &String| [MINISSH, SCRIPTED].contains(&id.as_str()) && *id != self.peer;
        self.entry.scenario.is_match(&case.scenario.name)
            && sides.into_iter().any(|(role, id, other)| {
                let peer = peers.iter().find(|peer| peer.id == *id);
                !is_ours(id)
                    && self.entry.role.is_none_or(|wanted| wanted == role)
                    && self
                        .entry
                        .with
                        .as_ref()
                        .is_none_or(|with| with.is_match(other))
                    && peer.is_some_and(|peer| self.fits(peer))
            })
    }

    /// Whether it is about this peer, in whatever role.
    fn fits(&self, peer: &PeerInfo) -> bool {
        self.is_of(peer) && contain(self.entry.versions.as_ref(), peer)
    }

    /// Whether the peer has the role that it is about.
    fn can_be(&self, peer: &PeerInfo) -> bool {
        match self.entry.role {
            None => true,
            Some(Role::Client) => peer.capabilities.client,
            Some(Role::Server) => peer.capabilities.server,
        }
    }

    fn known(&self) -> Known {
        Known {
            verdicts: match &self.entry.verdict {
                OneOrMore::One(verdict) => vec![*verdict],
                OneOrMore::More(verdicts) => verdicts.clone(),
            },
            reason: self.entry.reason.clone(),
            link: self.entry.link.clone(),
        }
    }

    /// It ends otherwise than is known, and says nothing of why: it passes.
    fn surprise(&self, known: &Known, verdict: Verdict) -> Failure {
        Failure {
            line: None,
            step: "what is known of this case".to_owned(),
            expected: format!("{known}"),
            actual: verdict.to_string(),
            hint: Some(format!(
                "if this is good news, take `{}` out of {}",
                self.entry.scenario.glob(),
                self.path.display()
            )),
        }
    }
}

#[cfg(test)]
mod tests;
