//! Keys as OpenSSH keeps them: private key files, public lines, `authorized_keys`, `known_hosts`,
//! fingerprints. The `ssh-key` crate reads and writes the formats.

use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use ssh_key::known_hosts::HostPatterns;
use ssh_key::{Fingerprint, HashAlg, LineEnding, private, public};
use thiserror::Error;

use crate::crypto::{PublicKey, SigningKey};

/// Why a key file cannot be used.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not of the form that it should be.
    #[error("{}: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ssh_key::Error,
    },
    /// A key of a type that we do not have.
    #[error("{}: is a key of type {algorithm}, only ssh-ed25519 is supported", path.display())]
    OtherAlgorithm {
        /// The file.
        path: PathBuf,
        /// The type.
        algorithm: String,
    },
    /// The file is protected by a passphrase.
    #[error("{}: is encrypted; keys with a passphrase are not supported yet", path.display())]
    Encrypted {
        /// The file.
        path: PathBuf,
    },
}

/// A private key and the comment of its file.
#[derive(Debug, Clone)]
pub struct KeyFile {
    /// The key.
    pub key: SigningKey,
    /// The comment.
    pub comment: String,
}

impl KeyFile {
    /// Reads an OpenSSH private key file.
    ///
    /// # Errors
    /// [`KeyFileError`], naming the file.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        Self::parse(&read(path)?, path)
    }

    /// Reads the text of an OpenSSH private key file; `path` is for errors.
    ///
    /// # Errors
    /// [`KeyFileError`], naming the file.
    pub fn parse(text: &str, path: &Path) -> Result<Self, KeyFileError> {
        let malformed = |source| KeyFileError::Malformed {
            path: path.to_owned(),
            source,
        };
        let file = ssh_key::PrivateKey::from_openssh(text).map_err(malformed)?;
        if file.is_encrypted() {
            return Err(KeyFileError::Encrypted {
                path: path.to_owned(),
            });
        }
        let Some(pair) = file.key_data().ed25519() else {
            let algorithm = file.algorithm().to_string();
            return Err(KeyFileError::OtherAlgorithm {
                path: path.to_owned(),
                algorithm,
            });
        };
        let key = SigningKey::from_seed(&pair.private.to_bytes());
        Ok(Self {
            key,
            comment: file.comment().to_owned(),
        })
    }

    /// Writes the private key to `path`, readable by its owner alone, and the public line to
    /// `path.pub`. Never over an existing file.
    ///
    /// # Errors
    /// [`KeyFileError`], naming the file.
    pub fn write(&self, path: &Path) -> Result<(), KeyFileError> {
        let malformed = |source| KeyFileError::Malformed {
            path: path.to_owned(),
            source,
        };
        let public = public::Ed25519PublicKey(self.key.public_key().to_bytes());
        let private = private::Ed25519PrivateKey::from_bytes(self.key.expose_seed());
        let pair = private::KeypairData::Ed25519(private::Ed25519Keypair { public, private });
        let file = ssh_key::PrivateKey::new(pair, self.comment.as_str()).map_err(malformed)?;
        let text = file.to_openssh(LineEnding::LF).map_err(malformed)?;
        write_new(path, &text, 0o600)?;
        let line = public_line(&self.key.public_key(), &self.comment);
        write_new(&public_path(path), &format!("{line}\n"), 0o644)
    }
}

/// Where the public line of a private key file stands.
#[must_use]
pub fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

fn read(path: &Path) -> Result<String, KeyFileError> {
    std::fs::read_to_string(path).map_err(|source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    })
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), KeyFileError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| KeyFileError::Io {
            path: path.to_owned(),
            source,
        })
}

/// `ssh-ed25519 AAAA... comment`, as in `.pub` files and `authorized_keys`.
#[must_use]
pub fn public_line(key: &PublicKey, comment: &str) -> String {
    let key = ssh_key::PublicKey::new(foreign(key), comment);
    // Fixed length, so that encoding cannot fail.
    key.to_openssh().unwrap_or_default()
}

/// `SHA256:...`, as `ssh-keygen -l` prints it.
#[must_use]
pub fn fingerprint(key: &PublicKey) -> String {
    let fingerprint: Fingerprint = foreign(key).fingerprint(HashAlg::Sha256);
    fingerprint.to_string()
}

fn foreign(key: &PublicKey) -> public::KeyData {
    public::KeyData::Ed25519(public::Ed25519PublicKey(key.to_bytes()))
}

fn is_same(listed: &public::KeyData, key: &PublicKey) -> bool {
    listed
        .ed25519()
        .is_some_and(|listed| listed.0 == key.to_bytes())
}

/// The keys of an `authorized_keys` file.
#[derive(Debug, Clone, Default)]
pub struct AuthorizedKeys(Vec<public::KeyData>);

impl AuthorizedKeys {
    /// Reads a file. Keys of other types are skipped; so are, with a warning, lines with options,
    /// which would restrict what we cannot restrict.
    ///
    /// # Errors
    /// [`KeyFileError`], naming the file.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let text = read(path)?;
        let mut keys = Vec::new();
        for entry in ssh_key::AuthorizedKeys::new(&text) {
            let entry = entry.map_err(|source| KeyFileError::Malformed {
                path: path.to_owned(),
                source,
            })?;
            if entry.config_opts().is_empty() {
                keys.push(entry.public_key().key_data().clone());
            } else {
                tracing::warn!("{}: skipped a key with options", path.display());
            }
        }
        Ok(Self(keys))
    }

    /// Whether this key is listed.
    #[must_use]
    pub fn has(&self, key: &PublicKey) -> bool {
        self.0.iter().any(|listed| is_same(listed, key))
    }
}

/// What a `known_hosts` file says of a host's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// This host has this key.
    Right,
    /// This host has another key.
    Other,
    /// Nothing.
    Unknown,
}

/// The name of a host in `known_hosts`: plain on port 22, else `[host]:port`.
#[must_use]
pub fn known_host_name(host: &str, port: u16) -> String {
    match port {
        22 => host.to_owned(),
        port => format!("[{host}]:{port}"),
    }
}

/// Looks a host's key up in a `known_hosts` file; a file that is not there knows nothing. Plain
/// and hashed names are understood; patterns with wildcards are not and match nothing.
///
/// # Errors
/// [`KeyFileError`], naming the file.
pub fn look_up(path: &Path, host_name: &str, key: &PublicKey) -> Result<Known, KeyFileError> {
    let text = match read(path) {
        Err(KeyFileError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Known::Unknown);
        }
        text => text?,
    };
    let mut known = Known::Unknown;
    // Lines of other kinds (other key types, markers) are none of ours.
    for entry in ssh_key::KnownHosts::new(&text).flatten() {
        if !names(entry.host_patterns(), host_name)
            || entry.public_key().algorithm() != ssh_key::Algorithm::Ed25519
        {
            continue;
        }
        if is_same(entry.public_key().key_data(), key) {
            return Ok(Known::Right);
        }
        known = Known::Other;
    }
    Ok(known)
}

fn names(patterns: &HostPatterns, host_name: &str) -> bool {
    match patterns {
        HostPatterns::Patterns(names) => names.iter().any(|name| name == host_name),
        HostPatterns::HashedName { salt, hash } => Hmac::<sha1::Sha1>::new_from_slice(salt)
            .is_ok_and(|mac| mac.chain_update(host_name).verify_slice(hash).is_ok()),
    }
}

/// Adds a host's key to a `known_hosts` file, which is made if need be.
///
/// # Errors
/// [`KeyFileError`], naming the file.
pub fn remember(path: &Path, host_name: &str, key: &PublicKey) -> Result<(), KeyFileError> {
    use std::io::Write as _;
    let line = format!("{host_name} {}\n", public_line(key, ""));
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .map_err(|source| KeyFileError::Io {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../fixtures/keys")
            .join(name)
    }

    #[test]
    fn a_file_of_ssh_keygen_is_read() {
        let file = KeyFile::read(&fixture("host_ed25519")).unwrap();
        let line = std::fs::read_to_string(fixture("host_ed25519.pub")).unwrap();
        assert_eq!(
            public_line(&file.key.public_key(), &file.comment),
            line.trim_end()
        );
    }

    #[test]
    fn what_is_written_is_read_again_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let written = KeyFile {
            key: SigningKey::from_seed(&[3; 32]),
            comment: "a comment".to_owned(),
        };
        written.write(&path).unwrap();
        let read = KeyFile::read(&path).unwrap();
        assert_eq!(read.key.public_key(), written.key.public_key());
        assert_eq!(read.comment, written.comment);
        assert!(matches!(written.write(&path), Err(KeyFileError::Io { .. })));
    }

    #[test]
    fn a_host_is_right_other_or_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        let [key, other] = [1, 2].map(|seed| SigningKey::from_seed(&[seed; 32]).public_key());
        assert_eq!(look_up(&path, "host", &key).unwrap(), Known::Unknown);
        remember(&path, "host", &key).unwrap();
        assert_eq!(look_up(&path, "host", &key).unwrap(), Known::Right);
        assert_eq!(look_up(&path, "host", &other).unwrap(), Known::Other);
        assert_eq!(look_up(&path, "[host]:2222", &key).unwrap(), Known::Unknown);
    }
}
