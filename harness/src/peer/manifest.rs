//! What a peer's manifest says: ten lines of TOML that plug an implementation in. The contract that
//! its commands keep is written down in `harness/PEERS.md`.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Capabilities, Origin, PeerInfo};

/// The manifests that come with this program, by file name.
const KNOWN: &[(&str, &str)] = &[
    known!("openssh"),
    known!("dropbear"),
    known!("tinysshd"),
    known!("plink"),
    known!("libssh"),
    known!("openssh-old"),
];

/// A manifest of `fixtures/peers`, linked in so that the program runs from any folder.
macro_rules! known {
    ($name:literal) => {
        (
            concat!("fixtures/peers/", $name, ".toml"),
            include_str!(concat!("../../../fixtures/peers/", $name, ".toml")),
        )
    };
}
use known;

/// An implementation, and how it is run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// Its id in a run; in containers the suite is appended.
    pub name: String,
    /// Who knows how to run it.
    #[serde(default)]
    pub driver: Driver,
    /// A shell line whose first line of output is product and version.
    pub version: Option<String>,
    /// Where it runs, unless on this machine.
    pub container: Option<InContainer>,
    /// Its server, if it has one.
    pub server: Option<ServerPart>,
    /// Its client, if it has one.
    pub client: Option<ClientPart>,
    /// The folder that its commands begin in, as `$DRILL_MANIFEST_DIR`.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// Who knows how to run a peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// The commands of the manifest, by the contract.
    #[default]
    Command,
    /// We do, as for any OpenSSH; there are no commands.
    Openssh,
}

/// The containers that a peer runs in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct InContainer {
    /// A folder of `docker/`.
    pub image: String,
    /// The releases of a distribution that it is made for: the image's build argument `SUITE`.
    pub suites: Vec<String>,
    /// Those of them that are part of every run; the others are with `--all-peers`.
    #[serde(default)]
    pub usual: Vec<String>,
    /// The build argument `BASE` for suites whose base is not `debian:SUITE-slim`.
    #[serde(default)]
    pub bases: BTreeMap<String, String>,
    /// Whether nobody has run it yet; that it cannot be built is then no error, whatever is required.
    #[serde(default)]
    pub untested: bool,
}

/// How a server is run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServerPart {
    /// The shell script that is the server.
    pub start: String,
    /// Whether it checks `$DRILL_PASSWORD`.
    #[serde(default)]
    pub password: bool,
    /// Whether it takes no second session on a connection.
    #[serde(default)]
    pub one_session: bool,
    /// Whether it gives sessions a shell, a terminal, variables and signals.
    #[serde(default)]
    pub session_requests: bool,
    /// In how many cases it can take part at once, if not in any number.
    pub cases_at_a_time: Option<NonZeroUsize>,
    /// Whether it offers strict key exchange; asked of it when not said.
    pub strict_kex: Option<bool>,
    /// Whom it can let in.
    #[serde(default)]
    pub user: LetIn,
}

/// Whom a server can let in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LetIn {
    /// Whoever `$DRILL_USER` names.
    #[default]
    Anybody,
    /// Only the user who runs this program.
    Oneself,
}

/// How a client is run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientPart {
    /// The shell script that is the client.
    pub start: String,
    /// Whether it opens its sessions with a window that no case has the time to fill.
    #[serde(default)]
    pub vast_window: bool,
    /// Whether it can send `$DRILL_PASSWORD`.
    #[serde(default)]
    pub password: bool,
    /// Whether it offers strict key exchange; asked of it when not said.
    pub strict_kex: Option<bool>,
    /// Words on its stderr when it refused the host key.
    #[serde(default)]
    pub host_key_refused: Vec<String>,
    /// Words on its stderr when it was refused at login.
    #[serde(default)]
    pub login_refused: Vec<String>,
    /// Words on its stderr when anything else went wrong; status 255 says so, too.
    #[serde(default)]
    pub failed: Vec<String>,
}

/// A manifest that cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct ManifestError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, with the line and a caret where there is one.
    pub why: String,
}

impl Manifest {
    /// The manifests that come with this program, in the order of reports.
    ///
    /// # Panics
    /// When one of them does not parse; they are part of this program.
    #[must_use]
    pub fn known() -> Vec<Self> {
        let parse = |(path, text): &(&str, &str)| Self::parse(text, Path::new(path));
        let parsed: Result<_, _> = KNOWN.iter().map(parse).collect();
        parsed.expect("the manifests of this program parse")
    }

    /// Reads the manifest at `path`.
    ///
    /// # Errors
    /// [`ManifestError`] when it cannot be read, or does not say what it must.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = std::fs::read_to_string(path).map_err(|e| ManifestError {
            path: path.to_owned(),
            why: e.to_string(),
        })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ManifestError> {
        let error = |why: String| ManifestError {
            path: path.to_owned(),
            why,
        };
        let mut manifest: Self = toml::from_str(text).map_err(|e| error(e.to_string()))?;
        manifest.check().map_err(error)?;
        // A bare name has an empty one, which is nowhere.
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        manifest.folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        Ok(manifest)
    }

    /// What the types do not say.
    fn check(&self) -> Result<(), String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || !self.name.chars().all(is_plain) {
            return Err(format!(
                "the name `{}` must have letters, digits, `-`, `_` and `.` only: it becomes part of \
                 paths and of command lines",
                self.name
            ));
        }
        let has_parts = self.server.is_some() || self.client.is_some();
        match self.driver {
            Driver::Command if !has_parts => {
                Err("it has neither [server] nor [client], so there is nothing to run".to_owned())
            }
            Driver::Openssh if has_parts || self.container.is_none() => Err(
                "with `driver = \"openssh\"` there is [container], and neither [server] nor [client]"
                    .to_owned(),
            ),
            _ => Ok(()),
        }
    }

    /// The ids of its peers, in the order of reports: all, or the usual ones.
    #[must_use]
    pub fn ids(&self, all: bool) -> Vec<String> {
        match &self.container {
            None => vec![self.name.clone()],
            Some(container) => {
                let suites = if all {
                    &container.suites
                } else {
                    &container.usual
                };
                suites.iter().map(|suite| self.id_in(suite)).collect()
            }
        }
    }

    /// What its peers can do in containers and here, as far as it is said before they are asked:
    /// what is not is taken to be there.
    #[must_use]
    pub fn declared(&self) -> PeerInfo {
        let (id, version, origin) = match &self.container {
            None => {
                let origin = Origin::Local(self.folder.clone());
                (self.name.clone(), "by its manifest".to_owned(), origin)
            }
            Some(container) => {
                let suites = container.suites.join(", ");
                let version = format!("in containers of {suites}");
                (self.id_in("*"), version, Origin::Container(suites))
            }
        };
        let capabilities = match self.driver {
            Driver::Openssh => Capabilities::ALL,
            Driver::Command => self.capabilities(),
        };
        PeerInfo {
            id,
            version,
            origin,
            capabilities,
        }
    }

    /// What its commands can do.
    pub(super) fn capabilities(&self) -> Capabilities {
        let (server, client) = (self.server.as_ref(), self.client.as_ref());
        let strict_kex = [
            server.and_then(|part| part.strict_kex),
            client.and_then(|part| part.strict_kex),
        ];
        Capabilities {
            server: server.is_some(),
            client: client.is_some(),
            server_key: true,
            server_password: server.is_some_and(|part| part.password),
            client_password: client.is_some_and(|part| part.password),
            strict_kex: !strict_kex.contains(&Some(false)),
            // It is asked.
            prefers_curve25519: true,
            multiplex: false,
            one_session: server.is_some_and(|part| part.one_session),
            server_session_requests: server.is_some_and(|part| part.session_requests),
            // The contract demands it.
            server_known_users: true,
            // What a manifest's variables have no word for.
            client_session_requests: false,
            client_vast_window: client.is_some_and(|part| part.vast_window),
            rekey_limit: false,
        }
    }

    /// The id of its peer in a suite.
    #[must_use]
    pub fn id_in(&self, suite: &str) -> String {
        format!("{}-{suite}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Manifest::parse(text, Path::new("my.toml"))
            .expect_err("it is wrong")
            .to_string()
    }

    #[test]
    fn the_known_manifests_name_each_peer_once() {
        let ids: Vec<String> = Manifest::known().iter().flat_map(|m| m.ids(true)).collect();
        let mut unique = ids.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), ids.len(), "{ids:?}");
        for manifest in Manifest::known() {
            for usual in manifest.ids(false) {
                assert!(ids.contains(&usual), "{usual}");
                let container = manifest.container.as_ref();
                assert!(container.is_some_and(|it| !it.untested), "{usual}");
            }
        }
    }

    #[test]
    fn a_slip_is_shown_at_its_place_with_what_there_is() {
        insta::assert_snapshot!(error("name = \"mine\"\n\n[server]\nstrat = \"x\"\n"), @r#"
        my.toml: TOML parse error at line 4, column 1
          |
        4 | strat = "x"
          | ^^^^^
        unknown field `strat`, expected one of `start`, `password`, `one-session`, `session-requests`, `cases-at-a-time`, `strict-kex`, `user`
        "#);
    }

    #[test]
    fn what_cannot_run_is_refused() {
        let nothing = error("name = \"mine\"");
        assert!(
            nothing.contains("neither [server] nor [client]"),
            "{nothing}"
        );
        let name = error("name = \"a/b\"\n[server]\nstart = \"x\"");
        assert!(name.contains("the name `a/b` must have"), "{name}");
    }
}
