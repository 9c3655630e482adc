//! Key files held against the real ssh-keygen: theirs read by us, ours by them.

use std::fs;
use std::path::{Path, PathBuf};

use minissh::crypto::SigningKey;
use minissh::keyfile::{
    KeyFile, KeyFileError, Known, KnownHosts, Passphrase, StoredKey, fingerprint_line, public_line,
    public_path, read_public_file, remember,
};
use tempfile::TempDir;

/// Longer than a block of any cipher, and not ASCII.
const PASSPHRASE: &str = "correct horse, battery: stäple";

struct Keygen {
    program: PathBuf,
    folder: TempDir,
}

impl Keygen {
    /// `None` where there is no ssh-keygen, which was then said loudly.
    fn find() -> Option<Self> {
        Some(Self {
            program: crate::openssh::program("ssh-keygen")?,
            folder: tempfile::tempdir().unwrap(),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn try_run(&self, arguments: &[&str]) -> Result<String, String> {
        crate::openssh::run(&self.program, arguments)
    }

    fn run(&self, arguments: &[&str]) -> String {
        self.try_run(arguments)
            .unwrap_or_else(|error| panic!("ssh-keygen {arguments:?}: {error}"))
    }

    fn make(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let path = self.path(name);
        let start = ["-q", "-C", "me@here", "-f", text(&path)];
        self.run(&[&start[..], arguments].concat());
        path
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn passphrase(text: &str) -> Option<Passphrase> {
    Passphrase::new(text.to_owned())
}

fn sample(seed: u8) -> KeyFile {
    KeyFile {
        key: SigningKey::from_seed(&[seed; 32]),
        comment: "you@there".to_owned(),
    }
}

#[test]
fn their_files_are_read_under_every_cipher_that_they_offer() {
    let Some(keygen) = Keygen::find() else { return };
    let ciphers = [
        "aes256-ctr",
        "aes128-ctr",
        "aes192-ctr",
        "3des-cbc",
        "aes128-cbc",
        "aes192-cbc",
        "aes256-cbc",
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
    ];
    for cipher in ciphers {
        let arguments = ["-t", "ed25519", "-N", PASSPHRASE, "-Z", cipher];
        let path = keygen.make(cipher, &arguments);
        let stored = StoredKey::read(&path).unwrap();
        assert!(stored.is_encrypted());
        let file = stored.unlock(passphrase(PASSPHRASE).as_ref());
        let file = file.unwrap_or_else(|error| panic!("{cipher}: {error}"));
        let line = fs::read_to_string(public_path(&path)).unwrap();
        let ours = public_line(&file.key.public_key(), &file.comment);
        assert_eq!(ours, line.trim_end(), "{cipher}");
        let wrong = stored.unlock(passphrase("wrong").as_ref());
        assert!(
            matches!(wrong, Err(KeyFileError::WrongPassphrase { .. })),
            "{cipher}"
        );
    }
}

#[test]
fn their_files_without_passphrase_and_of_other_types_are_told_apart() {
    let Some(keygen) = Keygen::find() else { return };
    let path = keygen.make("plain", &["-t", "ed25519", "-N", ""]);
    assert_eq!(KeyFile::read(&path).unwrap().comment, "me@here");
    for (kind, name) in [("rsa", "ssh-rsa"), ("ecdsa", "ecdsa-sha2-nistp256")] {
        for passphrase in ["", PASSPHRASE] {
            let path = keygen.make(
                &format!("{kind}{passphrase}"),
                &["-t", kind, "-N", passphrase],
            );
            let error = KeyFile::read(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("of type {name}")), "{error}");
            let error = read_public_file(&public_path(&path))
                .unwrap_err()
                .to_string();
            assert!(error.contains(&format!("of type {name}")), "{error}");
        }
    }
    let pem = keygen.make("pem", &["-t", "rsa", "-m", "PEM", "-N", ""]);
    let error = KeyFile::read(&pem).unwrap_err();
    assert!(error.to_string().contains("RSA PRIVATE KEY"), "{error}");
}

#[test]
fn our_files_are_read_by_them_and_changed_and_read_again() {
    let Some(keygen) = Keygen::find() else { return };
    for (name, ours) in [("plain", ""), ("sealed", PASSPHRASE)] {
        let path = keygen.path(name);
        let written = sample(5);
        let given = passphrase(ours);
        written.write_protected(&path, given.as_ref()).unwrap();
        let line = keygen.run(&["-y", "-P", ours, "-f", text(&path)]);
        let key = written.key.public_key();
        assert_eq!(line.trim_end(), public_line(&key, &written.comment));

        let both = [path.clone(), public_path(&path)];
        for path in both {
            let shown = keygen.run(&["-l", "-f", text(&path)]);
            assert_eq!(shown.trim_end(), fingerprint_line(&key, &written.comment));
        }

        keygen.run(&["-p", "-P", ours, "-N", "another", "-f", text(&path)]);
        let stored = StoredKey::read(&path).unwrap();
        let file = stored.unlock(passphrase("another").as_ref()).unwrap();
        file.rewrite(&path, None).unwrap();
        keygen.run(&["-y", "-P", "", "-f", text(&path)]);
    }
    let wrong = keygen.path("wrong");
    sample(6)
        .write_protected(&wrong, passphrase(PASSPHRASE).as_ref())
        .unwrap();
    let said = keygen.try_run(&["-y", "-P", "wrong", "-f", text(&wrong)]);
    assert!(said.unwrap_err().contains("incorrect passphrase"));
}

#[test]
fn a_key_without_comment_has_the_same_fingerprint_line() {
    let Some(keygen) = Keygen::find() else { return };
    let path = keygen.path("key");
    let key = sample(7).key.public_key();
    fs::write(&path, public_line(&key, "")).unwrap();
    let shown = keygen.run(&["-l", "-f", text(&path)]);
    assert_eq!(shown.trim_end(), fingerprint_line(&key, ""));
}

#[test]
fn known_hosts_is_one_book_for_both() {
    let Some(keygen) = Keygen::find() else { return };
    let book = keygen.path("known_hosts");
    let hosts = [
        ("Example.ORG", 22),
        ("127.0.0.1", 2222),
        ("::1", 22),
        ("::1", 2222),
    ];
    for (seed, (host, port)) in (1..).zip(hosts) {
        remember(&book, host, port, &sample(seed).key.public_key()).unwrap();
    }
    let names = ["example.org", "[127.0.0.1]:2222", "::1", "[::1]:2222"];
    let find = |name: &str| keygen.run(&["-F", name, "-f", text(&book)]);
    let is_known = |seed: u8, (host, port): (&str, u16)| {
        let mut known = KnownHosts::default();
        known.read(&book).unwrap();
        assert_eq!(known.skipped(), []);
        let known = known.look_up(host, port, &sample(seed).key.public_key());
        matches!(known, Known::Right(place) if place.line == usize::from(seed))
    };
    // Plain as we write it, then as they hash it.
    for _ in 0..2 {
        for (seed, name) in (1..).zip(names) {
            let key = public_line(&sample(seed).key.public_key(), "");
            assert!(find(name).contains(&key), "{name}");
        }
        for (seed, host) in (1..).zip(hosts) {
            assert!(is_known(seed, host), "{host:?}");
        }
        keygen.run(&["-H", "-f", text(&book)]);
        let hashed = fs::read_to_string(&book).unwrap();
        assert!(
            hashed.lines().all(|line| line.starts_with("|1|")),
            "{hashed}"
        );
    }
    // What they take out is unknown to us.
    keygen.run(&["-R", "example.org", "-f", text(&book)]);
    assert!(!is_known(1, hosts[0]));
}

#[test]
fn their_authorized_keys_file_of_many_lines_shows_the_same_fingerprints() {
    let Some(keygen) = Keygen::find() else { return };
    let path = keygen.path("keys");
    let lines: Vec<_> = (1..5)
        .map(|seed| public_line(&sample(seed).key.public_key(), &format!("key {seed}")))
        .collect();
    fs::write(&path, lines.join("\n")).unwrap();
    let theirs = keygen.run(&["-l", "-f", text(&path)]);
    let ours = read_public_file(&path).unwrap();
    let ours: Vec<_> = ours
        .iter()
        .map(|named| fingerprint_line(&named.key, &named.comment))
        .collect();
    assert_eq!(ours.join("\n"), theirs.trim_end());
}
