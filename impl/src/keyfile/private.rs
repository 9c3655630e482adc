//! OpenSSH private key files (OpenSSH PROTOCOL.key), with and without passphrase.

use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding as _};
use rand_core::Rng as _;
use ssh_key::{Cipher, Kdf, LineEnding, private, public};
use zeroize::Zeroizing;

use super::{KeyFileError, Passphrase, public_line, store};
use crate::crypto::{KeyFault, PublicKey, SigningKey, from_os};
use crate::wire::{DecodeError, Reader};

const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &str = "-----END OPENSSH PRIVATE KEY-----";

/// What the decoded file begins with.
const MAGIC: &[u8] = b"openssh-key-v1\0";

/// Our bound for each field of the file, in bytes; an RSA key of 16 384 bits stays below.
const FIELD_BYTES_MAX: usize = 65_536;

/// The cost of a guess at a passphrase of ours. That of ssh-keygen since OpenSSH 9.4; before, 16.
pub const BCRYPT_ROUNDS: u32 = 24;

/// The most rounds that are taken, lest a file keep us busy for days: a few minutes' worth.
pub const BCRYPT_ROUNDS_MAX: u32 = 16_384;

/// Bytes of salt, as ssh-keygen takes.
const SALT_BYTES: usize = 16;

/// Where the public line of a private key file stands.
#[must_use]
pub fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// A private key file as it lies on the disk: its public half can be seen, its private half may
/// need a passphrase.
#[derive(Clone)]
pub struct StoredKey {
    path: PathBuf,
    public_key: PublicKey,
    file: ssh_key::PrivateKey,
}

impl StoredKey {
    /// Reads an OpenSSH private key file.
    ///
    /// # Errors
    /// [`KeyFileError`], naming the file.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let bytes = store::read(path)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| KeyFileError::NotPrivate {
            path: path.to_owned(),
            what: "is not a text file",
        })?;
        Self::parse(text, path)
    }

    /// Reads the text of an OpenSSH private key file; `path` is for errors.
    ///
    /// # Errors
    /// [`KeyFileError`], naming the file.
    pub fn parse(text: &str, path: &Path) -> Result<Self, KeyFileError> {
        let bytes = dearmor(text, path)?;
        let damaged = |error: DecodeError| KeyFileError::malformed(path, damage(&error));
        let envelope = Envelope::decode(&bytes).map_err(damaged)?;
        let public_key = envelope.public_key(path)?;
        envelope.check_rounds(path)?;
        let file = ssh_key::PrivateKey::from_bytes(&bytes).map_err(|error| match error {
            ssh_key::Error::AlgorithmUnknown | ssh_key::Error::AlgorithmUnsupported { .. } => {
                KeyFileError::malformed(
                    path,
                    format_args!(
                        "is encrypted with {:?} by {:?}, which are not supported",
                        envelope.cipher, envelope.kdf
                    ),
                )
            }
            error => KeyFileError::malformed(path, damage(&error)),
        })?;
        Ok(Self {
            path: path.to_owned(),
            public_key,
            file,
        })
    }

    /// The public half, which is never encrypted.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Whether a passphrase is needed.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.file.is_encrypted()
    }

    /// The private key. A passphrase that is not needed is not looked at.
    ///
    /// # Errors
    /// [`KeyFileError::Encrypted`] without the passphrase that is needed,
    /// [`KeyFileError::WrongPassphrase`], and [`KeyFileError::Malformed`] for a damaged file.
    pub fn unlock(&self, passphrase: Option<&Passphrase>) -> Result<KeyFile, KeyFileError> {
        let path = || self.path.clone();
        if !self.is_encrypted() {
            return self.open(&self.file);
        }
        let passphrase = passphrase.ok_or_else(|| KeyFileError::Encrypted { path: path() })?;
        let file = self
            .file
            .decrypt(passphrase.expose())
            .map_err(|error| match error {
                ssh_key::Error::Crypto => KeyFileError::WrongPassphrase { path: path() },
                error => KeyFileError::malformed(&self.path, damage(&error)),
            })?;
        self.open(&file)
    }

    fn open(&self, file: &ssh_key::PrivateKey) -> Result<KeyFile, KeyFileError> {
        let damaged = || KeyFileError::malformed(&self.path, damage(&"its halves do not match"));
        let pair = file.key_data().ed25519().ok_or_else(damaged)?;
        let seed = Zeroizing::new(pair.private.to_bytes());
        let key = SigningKey::from_seed(&seed);
        if key.public_key() != self.public_key {
            return Err(damaged());
        }
        Ok(KeyFile {
            key,
            comment: file.comment().to_owned(),
        })
    }
}

impl std::fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredKey")
            .field("path", &self.path)
            .field("public_key", &self.public_key)
            .field("is_encrypted", &self.is_encrypted())
            .finish_non_exhaustive()
    }
}

/// What stands before the private half.
struct Envelope<'a> {
    cipher: &'a str,
    kdf: &'a str,
    kdf_options: &'a [u8],
    public_blob: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        if r.bytes("magic", MAGIC.len())? != MAGIC {
            return Err(DecodeError::Unexpected {
                field: "magic",
                got: "something else".to_owned(),
                expected: "openssh-key-v1",
            });
        }
        let cipher = r.name("cipher name", FIELD_BYTES_MAX)?;
        let kdf = r.name("kdf name", FIELD_BYTES_MAX)?;
        let kdf_options = r.string("kdf options", FIELD_BYTES_MAX)?;
        let keys = r.u32("number of keys")?;
        if keys != 1 {
            return Err(DecodeError::Unexpected {
                field: "number of keys",
                got: keys.to_string(),
                expected: "1",
            });
        }
        Ok(Self {
            cipher,
            kdf,
            kdf_options,
            public_blob: r.string("public key", FIELD_BYTES_MAX)?,
        })
    }

    fn public_key(&self, path: &Path) -> Result<PublicKey, KeyFileError> {
        PublicKey::from_blob(self.public_blob).map_err(|fault| match fault {
            KeyFault::OtherAlgorithm { algorithm } => KeyFileError::OtherAlgorithm {
                path: path.to_owned(),
                algorithm: algorithm.escape_debug().to_string(),
            },
            fault => KeyFileError::malformed(path, damage(&fault)),
        })
    }

    fn check_rounds(&self, path: &Path) -> Result<(), KeyFileError> {
        if self.kdf != "bcrypt" {
            return Ok(());
        }
        let mut r = Reader::new(self.kdf_options);
        let rounds = r
            .string("salt", FIELD_BYTES_MAX)
            .and_then(|_| r.u32("rounds"))
            .map_err(|error| KeyFileError::malformed(path, damage(&error)))?;
        match rounds {
            1..=BCRYPT_ROUNDS_MAX => Ok(()),
            rounds => Err(KeyFileError::malformed(
                path,
                format_args!(
                    "asks for {rounds} rounds of bcrypt, 1 to {BCRYPT_ROUNDS_MAX} are taken"
                ),
            )),
        }
    }
}

fn damage(what: &dyn std::fmt::Display) -> String {
    format!("is damaged: {what}")
}

/// The bytes between the lines BEGIN and END, whatever the length of the lines.
fn dearmor(text: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    if first != BEGIN {
        return Err(name_other_form(first, path));
    }
    let mut base64 = Zeroizing::new(String::with_capacity(text.len()));
    for line in lines {
        if line == END {
            return Base64::decode_vec(&base64)
                .map(Zeroizing::new)
                .map_err(|_| KeyFileError::malformed(path, damage(&"is not base64")));
        }
        base64.push_str(line);
    }
    Err(KeyFileError::malformed(
        path,
        damage(&"its END line is missing"),
    ))
}

fn name_other_form(first_line: &str, path: &Path) -> KeyFileError {
    let pem = first_line
        .strip_prefix("-----BEGIN ")
        .and_then(|rest| rest.strip_suffix("-----"));
    let path = path.to_owned();
    let form = match pem {
        Some(label) => format!("a PEM file of {:?}", excerpt(label)),
        None if first_line.starts_with("PuTTY-User-Key-File") => "a key of PuTTY".to_owned(),
        None => {
            let what = match super::lines::is_key_type(first_line) {
                true => "is a public key, not a private one",
                false => "is not a private key file",
            };
            return KeyFileError::NotPrivate { path, what };
        }
    };
    KeyFileError::OtherForm { path, form }
}

fn excerpt(text: &str) -> String {
    text.chars().take(40).collect()
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
    /// Reads an OpenSSH private key file that needs no passphrase; for others see [`StoredKey`].
    ///
    /// # Errors
    /// [`KeyFileError`], naming the file.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        StoredKey::read(path)?.unlock(None)
    }

    /// Reads the text of an OpenSSH private key file that needs no passphrase; `path` is for
    /// errors.
    ///
    /// # Errors
    /// [`KeyFileError`], naming the file.
    pub fn parse(text: &str, path: &Path) -> Result<Self, KeyFileError> {
        StoredKey::parse(text, path)?.unlock(None)
    }

    /// Writes the private key to `path`, readable by its owner alone, and the public line to
    /// `path.pub`. Never over an existing file: then neither is written.
    ///
    /// # Errors
    /// [`KeyFileError`], naming the file.
    pub fn write(&self, path: &Path) -> Result<(), KeyFileError> {
        self.write_protected(path, None)
    }

    /// As [`Self::write`], protected by a passphrase if there is one.
    ///
    /// # Errors
    /// [`KeyFileError`], naming the file.
    pub fn write_protected(
        &self,
        path: &Path,
        passphrase: Option<&Passphrase>,
    ) -> Result<(), KeyFileError> {
        let text = self.to_text(path, passphrase)?;
        let line = public_line(&self.key.public_key(), &self.comment);
        store::write_new(path, &text, 0o600)?;
        store::write_new(&public_path(path), &format!("{line}\n"), 0o644).inspect_err(|_| {
            let _ = std::fs::remove_file(path);
        })
    }

    /// Replaces the private key file at `path` in one step, under another passphrase or none.
    ///
    /// # Errors
    /// [`KeyFileError`], naming the file, which is then as it was.
    pub fn rewrite(
        &self,
        path: &Path,
        passphrase: Option<&Passphrase>,
    ) -> Result<(), KeyFileError> {
        store::replace(path, &self.to_text(path, passphrase)?, 0o600)
    }

    /// The text of the file; `path` is for errors.
    ///
    /// # Errors
    /// [`KeyFileError::Io`] when the system has no randomness for the salt.
    pub fn to_text(
        &self,
        path: &Path,
        passphrase: Option<&Passphrase>,
    ) -> Result<Zeroizing<String>, KeyFileError> {
        let refused = |error: ssh_key::Error| KeyFileError::malformed(path, error);
        let public = public::Ed25519PublicKey(self.key.public_key().to_bytes());
        let private = private::Ed25519PrivateKey::from_bytes(self.key.expose_seed());
        let pair = private::KeypairData::Ed25519(private::Ed25519Keypair { public, private });
        let file = ssh_key::PrivateKey::new(pair, self.comment.as_str()).map_err(refused)?;
        let file = match passphrase {
            Some(passphrase) => encrypt(&file, passphrase, path)?,
            None => file,
        };
        file.to_openssh(LineEnding::LF).map_err(refused)
    }
}

/// As ssh-keygen does it: aes256-ctr under a key that bcrypt makes of the passphrase.
fn encrypt(
    file: &ssh_key::PrivateKey,
    passphrase: &Passphrase,
    path: &Path,
) -> Result<ssh_key::PrivateKey, KeyFileError> {
    let mut rng =
        from_os().map_err(|error| KeyFileError::io(path)(std::io::Error::other(error)))?;
    let mut salt = vec![0; SALT_BYTES];
    rng.fill_bytes(&mut salt);
    let kdf = Kdf::Bcrypt {
        salt,
        rounds: BCRYPT_ROUNDS,
    };
    file.encrypt_with(Cipher::Aes256Ctr, kdf, rng.next_u32(), passphrase.expose())
        .map_err(|error| KeyFileError::malformed(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../fixtures/keys")
            .join(name)
    }

    fn sample() -> KeyFile {
        KeyFile {
            key: SigningKey::from_seed(&[3; 32]),
            comment: "a comment".to_owned(),
        }
    }

    fn parse(text: &str) -> Result<StoredKey, KeyFileError> {
        StoredKey::parse(text, Path::new("key"))
    }

    fn passphrase(text: &str) -> Option<Passphrase> {
        Passphrase::new(text.to_owned())
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
        let written = sample();
        written.write(&path).unwrap();
        let read = KeyFile::read(&path).unwrap();
        assert_eq!(read.key.public_key(), written.key.public_key());
        assert_eq!(read.comment, written.comment);
        assert!(matches!(written.write(&path), Err(KeyFileError::Io { .. })));
        // Nor is half of a pair written where the other half is taken.
        std::fs::remove_file(&path).unwrap();
        assert!(written.write(&path).is_err());
        assert!(!path.exists());
    }

    #[test]
    fn a_passphrase_that_is_wrong_or_missing_is_told_apart_from_damage() {
        let text = sample()
            .to_text(Path::new("key"), passphrase("hunter2").as_ref())
            .unwrap();
        let stored = parse(&text).unwrap();
        assert!(stored.is_encrypted());
        assert_eq!(stored.public_key(), &sample().key.public_key());
        let unlock = |text| stored.unlock(passphrase(text).as_ref());
        let opened = unlock("hunter2").unwrap();
        assert_eq!(opened.key.public_key(), sample().key.public_key());
        assert_eq!(opened.comment, "a comment");
        assert!(matches!(
            unlock("hunter3"),
            Err(KeyFileError::WrongPassphrase { .. })
        ));
        assert!(matches!(unlock(""), Err(KeyFileError::Encrypted { .. })));
        let shown = format!("{stored:?}");
        assert!(!shown.contains("file"), "{shown}");
    }

    #[test]
    fn damage_is_named() {
        let text = sample().to_text(Path::new("key"), None).unwrap();
        let error = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(error(""), "key: is not a private key file");
        assert_eq!(error(BEGIN), "key: is damaged: its END line is missing");
        let crossed = text.replace("b3Bl", "b3B%");
        assert_eq!(error(&crossed), "key: is damaged: is not base64");
        let cut = format!("{BEGIN}\nb3BlbnNzaC1rZXktdjEA\n{END}\n");
        assert_eq!(error(&cut), "key: is damaged: ends inside cipher name");
        let pem = error("-----BEGIN RSA PRIVATE KEY-----\n");
        assert!(pem.contains("RSA PRIVATE KEY"), "{pem}");
        let public = error("ssh-ed25519 AAAA me");
        assert!(public.contains("is a public key"), "{public}");
    }

    #[test]
    fn line_ends_and_line_lengths_do_not_matter() {
        let text = sample().to_text(Path::new("key"), None).unwrap();
        assert!(parse(&text.replace('\n', "\r\n")).is_ok());
        let base64: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        assert!(parse(&format!("\n{BEGIN}\n{base64}\n{END}")).is_ok());
    }

    #[test]
    fn rounds_beyond_reason_are_refused_before_they_are_run() {
        let text = sample()
            .to_text(Path::new("key"), passphrase("x").as_ref())
            .unwrap();
        let mut bytes = dearmor(&text, Path::new("key")).unwrap().to_vec();
        // They follow 16 bytes of salt and stand before the number of keys, which is 1.
        let end = [BCRYPT_ROUNDS, 1].map(u32::to_be_bytes).concat();
        let at = bytes.windows(8).position(|window| window == end).unwrap();
        for (rounds, taken) in [
            (0, false),
            (1, true),
            (BCRYPT_ROUNDS_MAX, true),
            (BCRYPT_ROUNDS_MAX + 1, false),
        ] {
            bytes[at..at + 4].copy_from_slice(&rounds.to_be_bytes());
            let text = format!("{BEGIN}\n{}\n{END}\n", Base64::encode_string(&bytes));
            assert_eq!(parse(&text).is_ok(), taken, "{rounds}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,300}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = KeyFile::parse(&text, Path::new("key"));
            let bytes = [MAGIC, &bytes].concat();
            let text = format!("{BEGIN}\n{}\n{END}\n", Base64::encode_string(&bytes));
            let _ = KeyFile::parse(&text, Path::new("key"));
        }

        /// One wrong byte anywhere in a key: an error or the same key, never another or a panic.
        #[test]
        fn a_damaged_file_never_yields_another_key(at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
            let text = sample().to_text(Path::new("key"), None).unwrap();
            let mut bytes = dearmor(&text, Path::new("key")).unwrap().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let text = format!("{BEGIN}\n{}\n{END}\n", Base64::encode_string(&bytes));
            if let Ok(read) = KeyFile::parse(&text, Path::new("key")) {
                prop_assert_eq!(read.key.public_key(), sample().key.public_key());
            }
        }
    }
}
