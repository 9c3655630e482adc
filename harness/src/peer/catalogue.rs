//! Which peers there are, and which of them are here. What is missing is said and never an error:
//! whether something is needed is for [`Required`] to say.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use super::command::{CommandPeer, Door};
use super::container::Engine;
use super::manifest::Manifest;
use super::minissh::Minissh;
use super::openssh::LocalOpenSsh;
use super::place::Here;
use super::{Broken, NotDone, Origin, Peer, PeerInfo};

mod containers;

/// Id of minissh, in this process.
pub const MINISSH: &str = "minissh";
/// Id of the `ssh` and `sshd` of this machine.
pub const LOCAL_OPENSSH: &str = "openssh-local";

/// A part of the environment that some machines lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Chromium and its driver, for the tests of the report's page.
    Chromium,
    /// Containers with OpenSSH of several Debian suites.
    Containers,
    /// A peer that the command line names by its manifest: whoever names it needs it.
    Named,
    /// OpenSSH of this machine.
    OpenSsh,
    /// The shells that minissh has completions for, for the tests of those.
    Shells,
}

impl Part {
    /// Every part that can be required, in the order of their names.
    pub const ALL: [Self; 4] = [
        Self::Chromium,
        Self::Containers,
        Self::OpenSsh,
        Self::Shells,
    ];

    /// Its name in `--require` and `SSHDRILL_REQUIRE`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Containers => "containers",
            Self::Named => "a named peer",
            Self::OpenSsh => "openssh",
            Self::Shells => "shells",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A peer that is not here, or not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What would have brought it; nothing would a peer that says itself that it cannot be here.
    pub part: Option<Part>,
    /// Which peers, for people: `local OpenSSH`, `openssh-sid`, `containers`.
    pub what: String,
    /// Why.
    pub why: String,
    /// What would bring it.
    pub hint: Option<String>,
}

impl Missing {
    fn new(part: Part, what: &str, broken: Broken) -> Self {
        Self {
            part: Some(part),
            what: what.to_owned(),
            why: broken.what,
            hint: broken.hint,
        }
    }
}

/// What was found.
#[derive(Default)]
pub struct Discovery {
    /// The peers that can take part, in the order of [`Roster::ids`].
    pub peers: Vec<Arc<dyn Peer>>,
    /// What was looked for and is not here.
    pub missing: Vec<Missing>,
}

/// The peers that there could be.
#[derive(Debug, Clone)]
pub struct Roster {
    known: Vec<Manifest>,
    named: Vec<Manifest>,
    /// Folders with an OpenSSH.
    builds: Vec<PathBuf>,
}

impl Default for Roster {
    fn default() -> Self {
        Self {
            known: Manifest::known(),
            named: Vec::new(),
            builds: Vec::new(),
        }
    }
}

impl Roster {
    /// The peers that the suite knows, those of more manifests, and OpenSSH in folders.
    ///
    /// # Errors
    /// An id that two of them have.
    pub fn with(named: Vec<Manifest>, builds: Vec<PathBuf>) -> Result<Self, String> {
        let roster = Self {
            named,
            builds,
            ..Self::default()
        };
        let mut ids = roster.ids(true);
        ids.push(crate::peer::SCRIPTED.to_owned());
        ids.sort();
        match ids.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(pair[0].clone()),
            None => Ok(roster),
        }
    }

    fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.named.iter().chain(&self.known)
    }

    /// The ids of all peers, or of those that are part of every run, in the order of reports.
    #[must_use]
    pub fn ids(&self, all: bool) -> Vec<String> {
        let fixed = [MINISSH, LOCAL_OPENSSH].map(str::to_owned);
        let builds = self.builds.iter().map(|folder| id_of_build(folder));
        let others = self.manifests().flat_map(|manifest| manifest.ids(all));
        fixed.into_iter().chain(builds).chain(others).collect()
    }

    /// What is known of all peers without starting any: our own, OpenSSH of this machine where it is
    /// here, and one for each manifest.
    #[must_use]
    pub fn declared(&self) -> Vec<PeerInfo> {
        let ours = Minissh::default().info().clone();
        let local = LocalOpenSsh::find().ok().flatten();
        let local = local.map(|peer| peer.info().clone());
        let manifests = self.manifests().map(Manifest::declared);
        [ours].into_iter().chain(local).chain(manifests).collect()
    }

    /// The ids of the peers that run in containers, usual or not.
    #[must_use]
    pub fn containers(&self) -> Vec<String> {
        let mut ids = self.ids(true);
        ids.retain(|id| self.is_in_container(id));
        ids
    }

    /// Whether the peer of this id runs in a container.
    #[must_use]
    pub fn is_in_container(&self, id: &str) -> bool {
        self.manifests()
            .filter(|manifest| manifest.container.is_some())
            .any(|manifest| manifest.ids(true).iter().any(|its| its == id))
    }

    /// Looks for every peer whose id `wanted` says yes to, and makes it ready: builds images, starts
    /// containers, checks contracts. Reports what takes long by `progress`. The containers stop when
    /// the last of the peers is dropped.
    #[must_use]
    pub fn discover(
        &self,
        wanted: &dyn Fn(&str) -> bool,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Discovery {
        let mut found = Discovery::default();
        if wanted(LOCAL_OPENSSH) {
            found.add_local();
        }
        for folder in &self.builds {
            let id = id_of_build(folder);
            if wanted(&id) {
                match LocalOpenSsh::in_folder(folder, &id) {
                    Ok(peer) => found.peers.push(Arc::new(peer)),
                    Err(why) => found.miss(Part::Named, &id, why),
                }
            }
        }
        for manifest in &self.named {
            if manifest.container.is_none() && wanted(&manifest.name) {
                found.add_here(manifest);
            }
        }
        let berths: Vec<Berth<'_>> = self
            .manifests()
            .flat_map(|manifest| berths(manifest, wanted))
            .collect();
        if !berths.is_empty() {
            found.add_containers(&berths, progress);
        }
        let ids = self.ids(true);
        found
            .peers
            .sort_by_key(|peer| ids.iter().position(|id| *id == peer.info().id));
        found
    }
}

/// The id of the OpenSSH in a folder, after the folder's name.
#[must_use]
pub fn id_of_build(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let name = name.trim_start_matches("openssh-");
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "._".contains(c) {
            c
        } else {
            '_'
        }
    };
    format!("openssh-{}", name.chars().map(plain).collect::<String>())
}

/// A peer that is to run in a container.
struct Berth<'a> {
    manifest: &'a Manifest,
    suite: &'a str,
    image: &'a str,
    base: Option<&'a str>,
}

impl Berth<'_> {
    fn id(&self) -> String {
        self.manifest.id_in(self.suite)
    }

    fn is_untested(&self) -> bool {
        let container = self.manifest.container.as_ref();
        container.is_some_and(|container| container.untested)
    }
}

fn berths<'a>(manifest: &'a Manifest, wanted: &dyn Fn(&str) -> bool) -> Vec<Berth<'a>> {
    let Some(container) = &manifest.container else {
        return Vec::new();
    };
    let suites = container.suites.iter();
    suites
        .filter(|suite| wanted(&manifest.id_in(suite)))
        .map(|suite| Berth {
            manifest,
            suite,
            image: &container.image,
            base: container.bases.get(suite).map(String::as_str),
        })
        .collect()
}

impl Discovery {
    fn add_local(&mut self) {
        const WHAT: &str = "local OpenSSH";
        match LocalOpenSsh::find() {
            Ok(Some(peer)) => {
                let can = &peer.info().capabilities;
                for (there, program, package) in [
                    (can.client, "ssh", "openssh-client"),
                    (can.server, "sshd", "openssh-server"),
                ] {
                    if !there {
                        self.missing.push(Missing::new(
                            Part::OpenSsh,
                            WHAT,
                            not_found(&format!("no {program}"), package),
                        ));
                    }
                }
                self.peers.push(Arc::new(peer));
            }
            Ok(None) => {
                let both = not_found("neither ssh nor sshd", "openssh-client openssh-server");
                self.missing.push(Missing::new(Part::OpenSsh, WHAT, both));
            }
            Err(why) => self.miss(Part::OpenSsh, WHAT, why),
        }
    }

    fn add_here(&mut self, manifest: &Manifest) {
        let tried = Here::new().map_err(NotDone::from).and_then(|here| {
            let origin = Origin::Local(manifest.folder.clone());
            CommandPeer::try_out(manifest, &manifest.name, origin, Arc::new(here), Door::Free)
        });
        match tried {
            Ok(peer) => self.peers.push(Arc::new(peer)),
            Err(why) => self.miss(Part::Named, &manifest.name, why),
        }
    }

    fn miss(&mut self, part: Part, what: &str, why: NotDone) {
        self.missing.push(match why {
            NotDone::Broken(broken) => Missing::new(part, what, broken),
            NotDone::Unsupported(why) => Missing {
                part: None,
                what: what.to_owned(),
                why,
                hint: None,
            },
        });
    }

    fn add_containers(&mut self, berths: &[Berth<'_>], progress: &(dyn Fn(&str) + Sync)) {
        let engine = match Engine::connect() {
            Ok(engine) => Arc::new(engine),
            Err(no) => {
                self.missing
                    .push(Missing::new(Part::Containers, "containers", no.into()));
                return;
            }
        };
        for (id, tried) in containers::start_all(&engine, berths, progress) {
            match tried {
                Ok(peer) => self.peers.push(peer),
                Err(why) => {
                    let is_untested = |berth: &Berth<'_>| berth.is_untested() && berth.id() == id;
                    let was_due = !berths.iter().any(is_untested);
                    self.miss_in_container(&id, was_due, why);
                }
            }
        }
    }

    /// Nobody can rely on a peer that nobody has ever run.
    fn miss_in_container(&mut self, id: &str, was_due: bool, why: NotDone) {
        self.miss(Part::Containers, id, why);
        if let Some(missing) = self.missing.last_mut().filter(|_| !was_due) {
            missing.part = None;
            missing.why = format!("untested, and so never required: {}", missing.why);
        }
    }
}

fn not_found(what: &str, package: &str) -> Broken {
    Broken::new(format!("{what} on PATH or where distributions put it"))
        .hint(format!("install it (Debian: apt-get install {package})"))
}

/// The parts that must be here, as `--require` and `SSHDRILL_REQUIRE` list them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Required(Vec<Part>);

/// A name in such a list that is no [`Part`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no part `{name}` that could be required; there are: {}", Part::ALL.map(Part::name).join(", "))]
pub struct UnknownPart {
    /// The name.
    pub name: String,
}

impl FromStr for Required {
    type Err = UnknownPart;

    fn from_str(list: &str) -> Result<Self, UnknownPart> {
        let names = list
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let part = |name: &str| {
            let found = Part::ALL.into_iter().find(|part| part.name() == name);
            found.ok_or_else(|| UnknownPart {
                name: name.to_owned(),
            })
        };
        names.map(part).collect::<Result<_, _>>().map(Self)
    }
}

impl Required {
    /// The environment variable that says it where no command line does.
    pub const VARIABLE: &str = "SSHDRILL_REQUIRE";

    /// What [`Self::VARIABLE`] says; nothing when it is not set.
    ///
    /// # Errors
    /// [`UnknownPart`] when it lists one.
    pub fn from_env() -> Result<Self, UnknownPart> {
        std::env::var(Self::VARIABLE).unwrap_or_default().parse()
    }

    /// Whether `part` must be here.
    #[must_use]
    pub fn has(&self, part: Part) -> bool {
        part == Part::Named || self.0.contains(&part)
    }

    /// What of `missing` must be here.
    #[must_use]
    pub fn unmet<'a>(&self, missing: &'a [Missing]) -> Vec<&'a Missing> {
        missing
            .iter()
            .filter(|missing| missing.part.is_some_and(|part| self.has(part)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_parts_are_read_from_a_list() {
        let both: Required = "openssh, containers".parse().unwrap();
        assert!(both.has(Part::OpenSsh) && both.has(Part::Containers));
        assert_eq!("".parse(), Ok(Required::default()));
        assert_eq!(
            "opensh".parse::<Required>(),
            Err(UnknownPart {
                name: "opensh".to_owned()
            })
        );
    }

    #[test]
    fn only_what_is_required_and_missing_is_unmet() {
        let broken = || Broken::new("x");
        let missing = [
            Missing::new(Part::OpenSsh, "a", broken()),
            Missing::new(Part::Containers, "b", broken()),
        ];
        let required: Required = "containers".parse().unwrap();
        assert_eq!(required.unmet(&missing), [&missing[1]]);
    }

    #[test]
    fn an_untested_peer_that_is_not_here_is_told_of_and_not_required() {
        let old = Manifest::known()
            .into_iter()
            .find(|manifest| manifest.name == "openssh-old");
        let old = old.expect("it is known");
        let berths = berths(&old, &|id| id == "openssh-old-buster");
        assert!(berths.iter().all(Berth::is_untested) && berths.len() == 1);

        let mut found = Discovery::default();
        let no_image = || NotDone::from(Broken::new("no base image").hint("a registry has it"));
        found.miss_in_container("openssh-old-buster", false, no_image());
        found.miss_in_container("openssh-sid", true, no_image());
        let required: Required = "containers".parse().unwrap();
        assert_eq!(required.unmet(&found.missing), [&found.missing[1]]);
        let told = &found.missing[0];
        assert_eq!(told.why, "untested, and so never required: no base image");
        assert_eq!(told.hint.as_deref(), Some("a registry has it"));
    }
}
