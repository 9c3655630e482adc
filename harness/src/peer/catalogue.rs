//! Which peers there are, and which of them are here. What is missing is said and never an error:
//! whether something is needed is for [`Required`] to say.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::container::{Engine, Image};
use super::openssh::{ContainerOpenSsh, LocalOpenSsh, SSHD_CONFIG};
use super::{Broken, Peer};

/// Id of minissh, in this process.
pub const MINISSH: &str = "minissh";
/// Id of the `ssh` and `sshd` of this machine.
pub const LOCAL_OPENSSH: &str = "openssh-local";
/// The Debian suites whose OpenSSH is run in containers: 8.4, 9.2, 10.0 and the newest.
pub const SUITES: [&str; 4] = ["bullseye", "bookworm", "trixie", "sid"];

/// Id of the OpenSSH of a Debian suite in a container.
#[must_use]
pub fn container_id(suite: &str) -> String {
    format!("openssh-{suite}")
}

/// The ids of all peers that the suite knows, here or not, in the order of reports.
#[must_use]
pub fn ids() -> Vec<String> {
    let fixed = [MINISSH, LOCAL_OPENSSH].map(str::to_owned);
    fixed.into_iter().chain(SUITES.map(container_id)).collect()
}

/// A part of the environment that some machines lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Containers with OpenSSH of several Debian suites.
    Containers,
    /// OpenSSH of this machine.
    OpenSsh,
}

impl Part {
    /// Every part, in the order of their names.
    pub const ALL: [Self; 2] = [Self::Containers, Self::OpenSsh];

    /// Its name in `--require` and `SSHDRILL_REQUIRE`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Containers => "containers",
            Self::OpenSsh => "openssh",
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
    /// What would have brought it.
    pub part: Part,
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
            part,
            what: what.to_owned(),
            why: broken.what,
            hint: broken.hint,
        }
    }
}

/// What was found.
#[derive(Default)]
pub struct Discovery {
    /// The peers that can take part, in the order of [`ids`].
    pub peers: Vec<Arc<dyn Peer>>,
    /// What was looked for and is not here.
    pub missing: Vec<Missing>,
}

/// Looks for every peer whose id `wanted` says yes to, and makes it ready: builds images and starts
/// containers. Reports what takes long by `progress`. The containers stop when the last of the
/// peers is dropped.
pub fn discover(wanted: &dyn Fn(&str) -> bool, progress: &(dyn Fn(&str) + Sync)) -> Discovery {
    let mut found = Discovery::default();
    // Peers in this process come first and are never missing: `if wanted(MINISSH) { … }`.
    if wanted(LOCAL_OPENSSH) {
        found.add_local();
    }
    let suites: Vec<&str> = SUITES
        .into_iter()
        .filter(|suite| wanted(&container_id(suite)))
        .collect();
    if !suites.is_empty() {
        found.add_containers(&suites, progress);
    }
    found
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
            Err(broken) => self.missing.push(Missing::new(Part::OpenSsh, WHAT, broken)),
        }
    }

    fn add_containers(&mut self, suites: &[&str], progress: &(dyn Fn(&str) + Sync)) {
        let engine = match Engine::connect() {
            Ok(engine) => Arc::new(engine),
            Err(no) => {
                self.missing
                    .push(Missing::new(Part::Containers, "containers", no.into()));
                return;
            }
        };
        let images: Vec<Image> = suites.iter().map(|suite| openssh_image(suite)).collect();
        let built = Image::build_all(&engine, &images, progress);
        let started = std::thread::scope(|scope| {
            let starts: Vec<_> = (suites.iter().zip(&images).zip(built))
                .map(|((suite, image), built)| {
                    let engine = &engine;
                    scope.spawn(move || {
                        built.and_then(|()| {
                            ContainerOpenSsh::start(engine, suite, image.name_and_tag())
                        })
                    })
                })
                .collect();
            let join = |start: std::thread::ScopedJoinHandle<'_, _>| {
                start.join().expect("starting a container does not panic")
            };
            starts.into_iter().map(join).collect::<Vec<_>>()
        });
        for (suite, start) in suites.iter().zip(started) {
            match start {
                Ok(peer) => self.peers.push(Arc::new(peer)),
                Err(broken) => {
                    let missing = Missing::new(Part::Containers, &container_id(suite), broken);
                    self.missing.push(missing);
                }
            }
        }
    }
}

fn not_found(what: &str, package: &str) -> Broken {
    Broken::new(format!("{what} on PATH or where distributions put it"))
        .hint(format!("install it (Debian: apt-get install {package})"))
}

/// The image that `docker/openssh` makes of `suite`.
fn openssh_image(suite: &str) -> Image {
    const DOCKERFILE: &str = include_str!("../../../docker/openssh/Dockerfile");
    const FILES: &[(&str, &str)] = &[("sshd_config", SSHD_CONFIG)];
    Image::new("openssh", suite, DOCKERFILE, FILES)
}

/// The parts that must be here, as `--require` and `SSHDRILL_REQUIRE` list them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Required(Vec<Part>);

/// A name in such a list that is no [`Part`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no part `{0}` that could be required; there are: openssh, containers")]
pub struct UnknownPart(pub String);

impl FromStr for Required {
    type Err = UnknownPart;

    fn from_str(list: &str) -> Result<Self, UnknownPart> {
        let names = list
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let part = |name: &str| {
            let found = Part::ALL.into_iter().find(|part| part.name() == name);
            found.ok_or_else(|| UnknownPart(name.to_owned()))
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
        self.0.contains(&part)
    }

    /// What of `missing` must be here.
    #[must_use]
    pub fn unmet<'a>(&self, missing: &'a [Missing]) -> Vec<&'a Missing> {
        missing
            .iter()
            .filter(|missing| self.has(missing.part))
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
            Err(UnknownPart("opensh".to_owned()))
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
}
