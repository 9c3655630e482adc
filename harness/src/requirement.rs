//! The catalogue of clauses: what the specifications ask, as data.
//!
//! Read from `fixtures/requirements/*.toml`, one file per document. Scenarios cite clauses by id;
//! failures quote them in short. Knows of scenarios only what they are called.

pub mod coverage;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How binding a requirement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// MAY: what comes is recorded.
    May,
    /// SHOULD: a miss is a deviation.
    Should,
    /// MUST: a miss is a failure.
    Must,
    /// A miss is a failure, and somebody can be hurt by it.
    Security,
}

/// Whom a clause binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Binds {
    /// Clients.
    Client,
    /// Servers.
    Server,
    /// Both.
    Both,
}

/// One thing that a specification asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// Readable and stable: `rfc4253-7.1/only-kex-messages`.
    pub id: String,
    /// The document as people call it: `RFC 4253`.
    pub document: String,
    /// The section's number in it, or its title where it has none.
    pub section: String,
    /// How binding it is.
    pub level: Level,
    /// Whom it binds.
    pub role: Binds,
    /// What it asks, in one sentence of ours.
    pub says: String,
    /// What happens on the receiving side when it is broken.
    pub consequence: String,
    /// Why no scenario can show it, if none can.
    pub exception: Option<String>,
    /// Tests of the engine that show it, as `impl/tests/faults.rs::name_of_the_function`.
    pub tested_by: Vec<String>,
}

impl Clause {
    /// Where it stands: `RFC 4253 §7.1`, `CVE-2025-26466`, `OpenSSH PROTOCOL, sshd_config`.
    #[must_use]
    pub fn place(&self) -> String {
        let Self {
            document, section, ..
        } = self;
        match document.as_str() {
            "CVE" => format!("CVE-{section}"),
            _ if section.starts_with(|c: char| c.is_ascii_digit()) => {
                format!("{document} §{section}")
            }
            _ => format!("{document}, {section}"),
        }
    }
}

impl fmt::Display for Clause {
    /// The clause in short, as failures quote it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.says)
    }
}

/// Every clause, by id.
#[derive(Debug, Clone, Default)]
pub struct Catalogue(BTreeMap<String, Clause>);

/// Why the catalogue could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The folder or a file in it cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// The operating system's words.
        error: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {error}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where and why.
        error: Box<toml::de::Error>,
    },
    /// Two clauses have one id.
    #[error("{}: `{id}` is already the id of another clause", path.display())]
    Repeated {
        /// The file with the second.
        path: PathBuf,
        /// The id.
        id: String,
    },
}

impl Catalogue {
    /// Reads every `*.toml` of a folder.
    ///
    /// # Errors
    /// The first [`CatalogueError`], in the order of the file names.
    pub fn load(folder: &Path) -> Result<Self, CatalogueError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |error| CatalogueError::Unreadable { path, error }
        };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable(folder))? {
            paths.push(entry.map_err(unreadable(folder))?.path());
        }
        paths.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        });
        paths.sort();

        let mut catalogue = Self::default();
        for path in paths {
            let text = std::fs::read_to_string(&path).map_err(unreadable(&path))?;
            catalogue.add_file(&path, &text)?;
        }
        Ok(catalogue)
    }

    fn add_file(&mut self, path: &Path, text: &str) -> Result<(), CatalogueError> {
        let file: File = toml::from_str(text).map_err(|error| CatalogueError::Malformed {
            path: path.to_owned(),
            error: Box::new(error),
        })?;
        for entry in file.clause {
            let clause = entry.of(&file.document);
            let id = clause.id.clone();
            if self.0.insert(id.clone(), clause).is_some() {
                return Err(CatalogueError::Repeated {
                    path: path.to_owned(),
                    id,
                });
            }
        }
        Ok(())
    }

    /// The clause of that id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Clause> {
        self.0.get(id)
    }

    /// Every clause, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Clause> {
        self.0.values()
    }
}

/// A file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    document: String,
    clause: Vec<Entry>,
}

/// A clause as written; the document is said once per file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    id: String,
    section: String,
    level: Level,
    role: Binds,
    says: String,
    consequence: String,
    exception: Option<String>,
    #[serde(default)]
    tested_by: Vec<String>,
}

impl Entry {
    fn of(self, document: &str) -> Clause {
        let Self {
            id,
            section,
            level,
            role,
            says,
            consequence,
            exception,
            tested_by,
        } = self;
        Clause {
            id,
            document: document.to_owned(),
            section,
            level,
            role,
            says,
            consequence,
            exception,
            tested_by,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_in_the_tree_loads() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/requirements");
        let catalogue = Catalogue::load(&folder).expect("it is ours");
        assert!(catalogue.iter().count() > 10);
        for clause in catalogue.iter() {
            assert!(
                clause.says.ends_with('.') && clause.consequence.ends_with('.'),
                "{}",
                clause.id
            );
        }
    }

    #[test]
    fn a_repeated_id_is_refused() {
        let text = r#"
            document = "RFC 1"
            [[clause]]
            id = "rfc1-1/be"
            section = "1"
            level = "must"
            role = "both"
            says = "Be."
            consequence = "None."
        "#;
        let mut catalogue = Catalogue::default();
        catalogue
            .add_file(Path::new("a.toml"), text)
            .expect("well-formed");
        let refused = catalogue.add_file(Path::new("b.toml"), text);
        assert!(matches!(refused, Err(CatalogueError::Repeated { .. })));
        assert_eq!(
            catalogue
                .get("rfc1-1/be")
                .map(ToString::to_string)
                .as_deref(),
            Some("RFC 1 §1: Be.")
        );
    }
}
