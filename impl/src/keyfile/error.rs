//! What can be wrong with a key file, and with one line of a file of keys.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::crypto::KeyFault;

/// Why a key file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file is protected by a passphrase, and none was given.
    #[error("{}: is protected by a passphrase, and none was given", path.display())]
    Encrypted {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not of the form that it should be.
    #[error("{}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Not a private key in any form that we know by name.
    #[error("{}: {what}", path.display())]
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// What it is, or that it is not.
        what: &'static str,
    },
    /// A key of a type that we do not have.
    #[error("{}: is a key of type {algorithm}, only ssh-ed25519 is supported", path.display())]
    OtherAlgorithm {
        /// The file.
        path: PathBuf,
        /// The type, escaped.
        algorithm: String,
    },
    /// A private key, but in another form than OpenSSH's own.
    #[error("{}: holds {form}, expected an OPENSSH PRIVATE KEY", path.display())]
    OtherForm {
        /// The file.
        path: PathBuf,
        /// What it holds.
        form: String,
    },
    /// A host name that a line of `known_hosts` cannot hold.
    #[error("{}: {host_name:?} cannot be written there as the name of a host", path.display())]
    UnwritableHost {
        /// The file.
        path: PathBuf,
        /// The name.
        host_name: String,
    },
    /// The passphrase does not open the file.
    #[error("{}: the passphrase is wrong", path.display())]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
}

impl KeyFileError {
    /// What a person can do about it, if we know.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Encrypted { path } => Some(format!(
                "take the passphrase off a copy: minissh keygen -p -N '' {}",
                path.display()
            )),
            Self::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    Some("choose another name, or move the old key away first".to_owned())
                }
                _ => None,
            },
            Self::OtherAlgorithm { .. } => Some("make one: minissh keygen FILE".to_owned()),
            Self::OtherForm { path, .. } => Some(format!(
                "if it is an Ed25519 key, convert a copy: ssh-keygen -p -f {}",
                path.display()
            )),
            Self::Malformed { .. } => {
                Some("restore it from a copy, or make a new key: minissh keygen FILE".to_owned())
            }
            Self::NotPrivate { .. }
            | Self::UnwritableHost { .. }
            | Self::WrongPassphrase { .. } => None,
        }
    }

    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(super) fn malformed(path: &Path, what: impl fmt::Display) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            what: what.to_string(),
        }
    }
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// Why one line of `authorized_keys`, `known_hosts` or a public key file does not count. The other
/// lines do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LineFault {
    /// Nothing stands where the key should.
    #[error("ends before the key")]
    EndsBeforeKey,
    /// An option that we could not enforce. The key is not let in: that would grant more than the
    /// line does.
    #[error("has the option {name:?}, which is not enforced here: the key is not let in")]
    HasOption {
        /// The option; empty where two commas meet.
        name: String,
    },
    /// A marker that is neither `@revoked` nor `@cert-authority`.
    #[error("has the marker {marker}, expected @revoked or @cert-authority")]
    HasOtherMarker {
        /// The marker, escaped.
        marker: String,
    },
    /// The blob is not the key that the line says it is.
    #[error("holds a key that {0}")]
    HoldsOtherKey(#[from] KeyFault),
    /// `|1|salt|hash` with something else than 20 bytes each.
    #[error("has a hashed host name that is not |1|salt|hash")]
    MisspellsHash,
    /// The key is not base64.
    #[error("holds a key that is not base64")]
    NotBase64,
    /// A quotation mark opens and none closes.
    #[error("has a quotation mark without its second")]
    OpensQuote,
}

/// A line that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place}: {fault}")]
pub struct SkippedLine {
    /// Which.
    pub place: Place,
    /// Why.
    pub fault: LineFault,
}
