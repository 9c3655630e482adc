//! `known_hosts`: which host has which key.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};

use super::lines::{self, ListedKey};
use super::{KeyFileError, LineFault, Place, SkippedLine, pattern, public_line, store};
use crate::crypto::PublicKey;

/// The port that is not written.
const DEFAULT_PORT: u16 = 22;

/// How a hashed name begins.
const HASH_START: &str = "|1|";

/// Bytes of SHA-1, and of the salt that OpenSSH takes.
const HASH_BYTES: usize = 20;

/// The name of a host in `known_hosts`, in lower case: plain on port 22, else `[host]:port`.
#[must_use]
pub fn known_host_name(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    match port {
        DEFAULT_PORT => host,
        port => format!("[{host}]:{port}"),
    }
}

/// The line that says that this host has this key.
#[must_use]
pub fn known_host_line(host: &str, port: u16, key: &PublicKey) -> String {
    format!("{} {}", known_host_name(host, port), public_line(key, ""))
}

/// What `known_hosts` says of a host's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// This host has this key.
    Right(Place),
    /// This host has other Ed25519 keys, and not this one.
    Changed(Vec<Place>),
    /// This key is revoked.
    Revoked(Place),
    /// This host has other keys, all of types that we do not have. To be taken for a change, as
    /// OpenSSH takes it: somebody in between would offer just that, a key that nobody knows.
    OtherTypes(Vec<Place>),
    /// Nothing.
    Unknown,
}

/// What several files say of hosts: plain names, lists, `*`, `?`, `!`, hashed names, `[host]:port`,
/// `@revoked`.
///
/// Names are compared without regard to case. Lines of certificate authorities are skipped, for we
/// take no certificates. A line that is broken counts for nothing and is kept in
/// [`Self::skipped`].
#[derive(Debug, Clone, Default)]
pub struct KnownHosts {
    entries: Vec<Entry>,
    skipped: Vec<SkippedLine>,
}

#[derive(Debug, Clone)]
struct Entry {
    place: Place,
    names: Names,
    is_revoked: bool,
    key: ListedKey,
}

#[derive(Debug, Clone)]
enum Names {
    Patterns(String),
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

impl KnownHosts {
    /// Adds what a file says, and warns of each line that does not count. A file that is not there
    /// says nothing.
    ///
    /// # Errors
    /// [`KeyFileError`], naming the file, if it cannot be read; a broken line is no error.
    pub fn read(&mut self, path: &Path) -> Result<(), KeyFileError> {
        let before = self.skipped.len();
        self.parse(&store::read_if_there(path)?, path);
        for line in self.skipped.iter().skip(before) {
            tracing::warn!("{line}");
        }
        Ok(())
    }

    /// Adds what the text of a file says; `path` is for the names of lines.
    pub fn parse(&mut self, text: &[u8], path: &Path) {
        for (line, text) in lines::numbered(text) {
            let path = path.to_owned();
            let place = Place { path, line };
            match parse_line(&text, &place) {
                Ok(entry) => self.entries.extend(entry),
                Err(fault) => self.skipped.push(SkippedLine { place, fault }),
            }
        }
    }

    /// The lines that do not count, and why.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedLine] {
        &self.skipped
    }

    /// What is known of this key of this host. On another port than 22, a line for the host without
    /// a port vouches for the key if no line names the port, and revokes it in any case.
    #[must_use]
    pub fn look_up(&self, host: &str, port: u16, key: &PublicKey) -> Known {
        let [name, bare] = [port, DEFAULT_PORT].map(|port| known_host_name(host, port));
        let revoked = [&name, &bare]
            .into_iter()
            .find_map(|name| self.find_revoked(name, key));
        if let Some(place) = revoked {
            return Known::Revoked(place);
        }
        match (self.look_up_name(&name, key), self.look_up_name(&bare, key)) {
            (Known::Unknown, Known::Right(place)) => Known::Right(place),
            (known, _) => known,
        }
    }

    fn find_revoked(&self, name: &str, key: &PublicKey) -> Option<Place> {
        let revoked = self
            .entries
            .iter()
            .find(|entry| entry.is_revoked && entry.key.is(key) && entry.names.has(name));
        revoked.map(|entry| entry.place.clone())
    }

    fn look_up_name(&self, name: &str, key: &PublicKey) -> Known {
        let (mut others, mut other_types) = (Vec::new(), Vec::new());
        for entry in &self.entries {
            if entry.is_revoked || !entry.names.has(name) {
                continue;
            }
            match &entry.key {
                listed if listed.is(key) => return Known::Right(entry.place.clone()),
                ListedKey::Ed25519(_) => others.push(entry.place.clone()),
                ListedKey::Other { .. } => other_types.push(entry.place.clone()),
            }
        }
        match (others.is_empty(), other_types.is_empty()) {
            (false, _) => Known::Changed(others),
            (true, false) => Known::OtherTypes(other_types),
            (true, true) => Known::Unknown,
        }
    }
}

impl ListedKey {
    fn is(&self, key: &PublicKey) -> bool {
        matches!(self, Self::Ed25519(listed) if listed == key)
    }
}

impl Names {
    fn parse(text: &str) -> Result<Self, LineFault> {
        if !text.starts_with('|') {
            return Ok(Self::Patterns(text.to_owned()));
        }
        let decode = |text| {
            Base64::decode_vec(text)
                .ok()
                .filter(|bytes| bytes.len() == HASH_BYTES)
                .ok_or(LineFault::MisspellsHash)
        };
        let (salt, hash) = text
            .strip_prefix(HASH_START)
            .and_then(|rest| rest.split_once('|'))
            .ok_or(LineFault::MisspellsHash)?;
        Ok(Self::Hashed {
            salt: decode(salt)?,
            hash: decode(hash)?,
        })
    }

    /// Whether `name`, in lower case, is among these.
    fn has(&self, name: &str) -> bool {
        match self {
            Self::Patterns(list) => pattern::list_matches(list, name),
            Self::Hashed { salt, hash } => Hmac::<sha1::Sha1>::new_from_slice(salt)
                .is_ok_and(|mac| mac.chain_update(name).verify_slice(hash).is_ok()),
        }
    }
}

/// `None` for a line that is none of ours: of a certificate authority, or of protocol 1.
fn parse_line(line: &str, place: &Place) -> Result<Option<Entry>, LineFault> {
    let (first, after) = lines::split_word(line);
    let (marker, line) = match first.starts_with('@') {
        true => (Some(first), after),
        false => (None, line),
    };
    let (names, key) = lines::split_word(line);
    let is_revoked = match marker {
        None => false,
        Some("@revoked") => true,
        Some("@cert-authority") => return Ok(None),
        Some(marker) => {
            return Err(LineFault::HasOtherMarker {
                marker: marker.escape_debug().to_string(),
            });
        }
    };
    let names = Names::parse(names)?;
    let (word, _) = lines::split_word(key);
    // Protocol 1 wrote the number of bits where the type stands.
    if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    if !lines::is_key_type(word) {
        return Err(LineFault::EndsBeforeKey);
    }
    let (key, _) = lines::parse_key(key)?;
    Ok(Some(Entry {
        place: place.clone(),
        names,
        is_revoked,
        key,
    }))
}

/// Adds a host's key to a `known_hosts` file. File and folder are made if need be, for their owner
/// alone. A last line without its end gets one; what stands there is otherwise left as it is, and
/// the new line goes there in one write.
///
/// # Errors
/// [`KeyFileError`], naming the file.
pub fn remember(path: &Path, host: &str, port: u16, key: &PublicKey) -> Result<(), KeyFileError> {
    check_writable(path, host)?;
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(KeyFileError::io(folder))?;
    }
    let line = known_host_line(host, port, key);
    append_line(path, &line).map_err(KeyFileError::io(path))
}

fn append_line(path: &Path, line: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let before = if last == *b"\n" { "" } else { "\n" };
    file.write_all(format!("{before}{line}\n").as_bytes())
}

/// A name from elsewhere must stay one name: no pattern, no list, no marker, no second line.
fn check_writable(path: &Path, host: &str) -> Result<(), KeyFileError> {
    let is_special = |c: char| c.is_whitespace() || c.is_control() || ",*?!|#@\\\"".contains(c);
    match host.is_empty() || host.contains(is_special) {
        false => Ok(()),
        true => Err(KeyFileError::UnwritableHost {
            path: path.to_owned(),
            host_name: host.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SigningKey;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt as _;

    const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2E=";

    fn key(seed: u8) -> PublicKey {
        SigningKey::from_seed(&[seed; 32]).public_key()
    }

    fn line(names: &str, seed: u8) -> String {
        format!("{names} {}\n", public_line(&key(seed), ""))
    }

    fn place(line: usize) -> Place {
        let path = "hosts".into();
        Place { path, line }
    }

    fn hosts(text: &str) -> KnownHosts {
        let mut hosts = KnownHosts::default();
        hosts.parse(text.as_bytes(), Path::new("hosts"));
        hosts
    }

    fn look_up(text: &str, host: &str, port: u16) -> Known {
        hosts(text).look_up(host, port, &key(1))
    }

    #[test]
    fn one_of_several_keys_is_enough_and_none_is_a_change() {
        let text = line("host", 2) + &line("other,HOST", 1) + &line("host", 3);
        assert_eq!(look_up(&text, "Host", 22), Known::Right(place(2)));
        let changed = hosts(&text).look_up("host", 22, &key(4));
        assert_eq!(changed, Known::Changed(vec![place(1), place(2), place(3)]));
        assert_eq!(look_up(&text, "elsewhere", 22), Known::Unknown);
    }

    #[test]
    fn patterns_name_hosts_and_negations_unname_them() {
        let text = line("*.example.org,!bad.example.org", 1);
        assert_eq!(look_up(&text, "a.example.org", 22), Known::Right(place(1)));
        assert_eq!(look_up(&text, "bad.example.org", 22), Known::Unknown);
    }

    #[test]
    fn a_hashed_name_is_recognised() {
        let salt = [7; HASH_BYTES];
        let mac = Hmac::<sha1::Sha1>::new_from_slice(&salt).unwrap();
        let hash = mac.chain_update("[host]:2222").finalize().into_bytes();
        let [salt, hash] = [&salt[..], &hash[..]].map(Base64::encode_string);
        let text = line(&format!("|1|{salt}|{hash}"), 1);
        assert_eq!(look_up(&text, "HOST", 2222), Known::Right(place(1)));
        assert_eq!(look_up(&text, "host", 22), Known::Unknown);
    }

    #[test]
    fn a_line_without_port_vouches_for_other_ports_that_no_line_names() {
        let bare = line("host", 1);
        assert_eq!(look_up(&bare, "host", 2222), Known::Right(place(1)));
        let both = bare + &line("[host]:2222", 2);
        assert_eq!(look_up(&both, "host", 2222), Known::Changed(vec![place(2)]));
        assert_eq!(look_up(&both, "host", 2223), Known::Right(place(1)));
        // Another key without port is no change: there may be many servers on a host.
        assert_eq!(look_up(&line("host", 2), "host", 2222), Known::Unknown);
        assert_eq!(
            look_up(&line("[::1]:2222", 1), "::1", 2222),
            Known::Right(place(1))
        );
    }

    #[test]
    fn a_revoked_key_outweighs_every_other_line() {
        let text = line("host", 1) + &line("@revoked *", 1);
        assert_eq!(look_up(&text, "host", 22), Known::Revoked(place(2)));
        assert_eq!(
            look_up(&line("@revoked\thost", 1), "host", 2222),
            Known::Revoked(place(1))
        );
        // Another key of the host is not touched, nor is the host known by it.
        assert_eq!(
            look_up(&line("@revoked host", 2), "host", 22),
            Known::Unknown
        );
    }

    #[test]
    fn authorities_protocol_1_and_other_types_are_no_keys_of_ours() {
        let authority = line("@cert-authority *", 1);
        assert_eq!(look_up(&authority, "host", 22), Known::Unknown);
        assert_eq!(look_up("host 1024 35 1234\n", "host", 22), Known::Unknown);
        let text = format!("host {RSA}\nhost,b ecdsa-sha2-nistp256 AAAA\n");
        assert_eq!(
            look_up(&text, "host", 22),
            Known::OtherTypes(vec![place(1), place(2)])
        );
        assert_eq!(
            look_up(&(text + &line("host", 1)), "host", 22),
            Known::Right(place(3))
        );
    }

    #[test]
    fn a_broken_line_is_named_and_the_others_count() {
        let text = format!(
            "host\n@odd host {RSA}\n|1|AAAA|BBBB {RSA}\nhost ssh-ed25519 A\n# {RSA}\r\n{}",
            line("host", 1).trim_end()
        );
        assert_eq!(look_up(&text, "host", 22), Known::Right(place(6)));
        let faults: Vec<_> = hosts(&text)
            .skipped()
            .iter()
            .map(|line| (line.place.line, line.fault.clone()))
            .collect();
        let marker = "@odd".to_owned();
        assert_eq!(
            faults,
            [
                (1, LineFault::EndsBeforeKey),
                (2, LineFault::HasOtherMarker { marker }),
                (3, LineFault::MisspellsHash),
                (4, LineFault::NotBase64),
            ]
        );
    }

    #[test]
    fn what_is_remembered_goes_after_what_is_there_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".ssh/known_hosts");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        remember(&path, "Host", 22, &key(1)).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);

        let start = format!("# mine\r\nold {RSA}");
        std::fs::write(&path, &start).unwrap();
        remember(&path, "host", 2222, &key(1)).unwrap();
        remember(&path, "host", 22, &key(2)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let added = line("[host]:2222", 1) + &line("host", 2);
        assert_eq!(text, format!("{start}\n{added}"));
    }

    #[test]
    fn a_name_cannot_become_a_pattern_a_list_or_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        for host in ["*", "a,b", "a b", "a\nb", "", "@revoked", "|1|", "#", "!a"] {
            let error = remember(&path, host, 22, &key(1)).unwrap_err();
            assert!(
                matches!(error, KeyFileError::UnwritableHost { .. }),
                "{host}"
            );
        }
        assert!(!path.exists());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(text in prop::collection::vec(any::<u8>(), 0..400), names in "[|@!*?,a-z0-9=\\[\\]: ]{0,60}") {
            let mut hosts = KnownHosts::default();
            hosts.parse(&text, Path::new("hosts"));
            let _ = look_up(&line(&names, 1), "host", 2222);
        }

        /// Whatever stands in a file stays there, and the new line is a line of its own.
        #[test]
        fn remembering_only_adds(before in prop::collection::vec(any::<u8>(), 0..60)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("hosts");
            std::fs::write(&path, &before).unwrap();
            remember(&path, "host", 22, &key(1)).unwrap();
            let after = std::fs::read(&path).unwrap();
            let added = after.strip_prefix(&before[..]).unwrap();
            let added = added.strip_prefix(b"\n").unwrap_or(added);
            let wanted = line("host", 1);
            prop_assert_eq!(added, wanted.as_bytes());
            let starts_line = before.is_empty() || before.ends_with(b"\n");
            prop_assert_eq!(after.len() - before.len() - added.len(), usize::from(!starts_line));
        }

        /// What is written for a host is found for it, and for no other port.
        #[test]
        fn what_is_remembered_is_found(host in "[a-zA-Z0-9.:-]{1,30}", port in any::<u16>(), other in any::<u16>()) {
            let text = known_host_line(&host, port, &key(1));
            prop_assert_eq!(look_up(&text, &host, port), Known::Right(place(1)));
            prop_assume!(port != other && port != 22);
            prop_assert_eq!(look_up(&text, &host, other), Known::Unknown);
        }
    }
}
