//! `authorized_keys`: who may log in, and within which limits.

use std::path::Path;

use super::lines::{self, ListedKey};
use super::{KeyFileError, LineFault, Place, SkippedLine, store};
use crate::crypto::PublicKey;

/// Options about what we do not offer, in lower case; true for those that have a value.
const OPTIONS_WITHOUT_EFFECT: [(&str, bool); 12] = [
    ("agent-forwarding", false),
    ("no-agent-forwarding", false),
    ("no-port-forwarding", false),
    ("no-touch-required", false),
    ("no-user-rc", false),
    ("no-x11-forwarding", false),
    ("permitlisten", true),
    ("permitopen", true),
    ("port-forwarding", false),
    ("tunnel", true),
    ("user-rc", false),
    ("x11-forwarding", false),
];

/// A key that may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizedKey {
    /// The key.
    pub key: PublicKey,
    /// What its line says after it.
    pub comment: String,
    /// Whether its sessions may have a pty.
    pub allows_pty: bool,
}

/// The keys of an `authorized_keys` file. No line ever grants more than it says.
///
/// - Options that forbid what we do not offer, and those that allow it, change nothing: forwarding
///   of ports (`permitopen` and `permitlisten` too), of agents and of X11, tunnels, `~/.ssh/rc`,
///   touching a hardware key.
/// - `pty`, `no-pty` and `restrict` are kept with the key, for the server to honour.
/// - A line with any other option (`command`, `from`, `environment`, `expiry-time`,
///   `cert-authority`, one we never heard of) is refused with a warning that names file, line and
///   option.
///
/// The first line of a key decides, also when that line is refused: a second line without the option
/// would grant what the first one does not. (`sshd` goes on to the second where a `from` or an
/// `expiry-time` of the first does not fit.)
#[derive(Debug, Clone, Default)]
pub struct AuthorizedKeys {
    entries: Vec<Entry>,
    skipped: Vec<SkippedLine>,
}

/// What a line says of a key.
#[derive(Debug, Clone)]
enum Entry {
    Accepted(AuthorizedKey),
    Refused(PublicKey),
}

impl Entry {
    fn key(&self) -> &PublicKey {
        match self {
            Self::Accepted(entry) => &entry.key,
            Self::Refused(key) => key,
        }
    }
}

impl AuthorizedKeys {
    /// Reads a file, and warns of each line that does not count.
    ///
    /// # Errors
    /// [`KeyFileError`], naming the file, if it cannot be read; a broken line is no error.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let keys = Self::parse(&store::read(path)?, path);
        for line in &keys.skipped {
            tracing::warn!("{line}");
        }
        Ok(keys)
    }

    /// Reads the text of a file; `path` is for the names of lines. Keys of other types are skipped
    /// without a word.
    #[must_use]
    pub fn parse(text: &[u8], path: &Path) -> Self {
        let mut keys = Self::default();
        for (number, line) in lines::numbered(text) {
            if let Err(fault) = keys.take_line(&line) {
                let place = Place {
                    path: path.to_owned(),
                    line: number,
                };
                keys.skipped.push(SkippedLine { place, fault });
            }
        }
        keys
    }

    fn take_line(&mut self, line: &str) -> Result<(), LineFault> {
        let (first, _) = lines::split_word(line);
        let (options, key) = match lines::is_key_type(first) {
            true => ("", line),
            false => split_options(line)?,
        };
        let (first, _) = lines::split_word(key);
        if !lines::is_key_type(first) {
            return Err(LineFault::EndsBeforeKey);
        }
        let (ListedKey::Ed25519(key), comment) = lines::parse_key(key)? else {
            return Ok(());
        };
        match allows_pty(options) {
            Ok(allows_pty) => {
                self.entries.push(Entry::Accepted(AuthorizedKey {
                    key,
                    comment: comment.to_owned(),
                    allows_pty,
                }));
                Ok(())
            }
            Err(fault) => {
                self.entries.push(Entry::Refused(key));
                Err(fault)
            }
        }
    }

    /// The line that lets this key in, with its limits.
    #[must_use]
    pub fn find(&self, key: &PublicKey) -> Option<&AuthorizedKey> {
        match self.entries.iter().find(|entry| entry.key() == key)? {
            Entry::Accepted(entry) => Some(entry),
            Entry::Refused(_) => None,
        }
    }

    /// Whether this key is let in without limits. For servers that do not look at the limits of
    /// [`Self::find`]: a key that may have no pty is then not let in at all.
    #[must_use]
    pub fn has(&self, key: &PublicKey) -> bool {
        self.find(key).is_some_and(|entry| entry.allows_pty)
    }

    /// The keys that are let in.
    pub fn iter(&self) -> impl Iterator<Item = &AuthorizedKey> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Accepted(entry) if self.find(&entry.key) == Some(entry) => Some(entry),
            Entry::Accepted(_) | Entry::Refused(_) => None,
        })
    }

    /// The lines that do not count, and why.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedLine] {
        &self.skipped
    }
}

/// Parts a line at the first white space outside of quotation marks.
fn split_options(line: &str) -> Result<(&str, &str), LineFault> {
    let mut quotes = Quotes::default();
    for (index, c) in line.char_indices() {
        if quotes.is_outside(c) && matches!(c, ' ' | '\t') {
            return Ok(line.split_at(index));
        }
    }
    match quotes.is_open {
        true => Err(LineFault::OpensQuote),
        false => Err(LineFault::EndsBeforeKey),
    }
}

/// Follows the quotation marks of options; inside, `\"` does not close.
#[derive(Default)]
struct Quotes {
    is_open: bool,
    after_backslash: bool,
}

impl Quotes {
    /// Takes the next character; whether it stands outside of quotation marks.
    fn is_outside(&mut self, c: char) -> bool {
        if c == '"' && !self.after_backslash {
            self.is_open = !self.is_open;
        }
        self.after_backslash = c == '\\' && !self.after_backslash;
        !self.is_open
    }
}

/// Judges a comma-separated list of options, each in turn, as sshd does: `restrict,pty` allows.
fn allows_pty(options: &str) -> Result<bool, LineFault> {
    let mut quotes = Quotes::default();
    let mut allows_pty = true;
    for option in options.split(|c| quotes.is_outside(c) && c == ',') {
        if options.is_empty() {
            break;
        }
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        let lower = name.to_ascii_lowercase();
        match (lower.as_str(), value) {
            ("pty", None) => allows_pty = true,
            ("no-pty" | "restrict", None) => allows_pty = false,
            (name, value)
                if value.is_none_or(is_quoted)
                    && OPTIONS_WITHOUT_EFFECT.contains(&(name, value.is_some())) => {}
            _ => {
                let name = name.to_owned();
                return Err(LineFault::HasOption { name });
            }
        }
    }
    Ok(allows_pty)
}

fn is_quoted(value: &str) -> bool {
    value.len() >= 2 && value.starts_with('"') && value.ends_with('"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SigningKey;
    use crate::keyfile::public_line;
    use proptest::prelude::*;

    fn key(seed: u8) -> PublicKey {
        SigningKey::from_seed(&[seed; 32]).public_key()
    }

    fn line(seed: u8) -> String {
        public_line(&key(seed), "me@here")
    }

    fn parse(text: &str) -> AuthorizedKeys {
        AuthorizedKeys::parse(text.as_bytes(), Path::new("keys"))
    }

    #[test]
    fn comments_crlf_a_missing_line_end_and_other_types_do_no_harm() {
        let text = format!(
            "# ours\r\n\r\n  {}\r\nssh-rsa AAAAB3NzaC1yc2E= old\nsk-ssh-ed25519@openssh.com AAAA\n{}",
            line(1),
            line(2)
        );
        let keys = parse(&text);
        assert!(keys.has(&key(1)) && keys.has(&key(2)) && !keys.has(&key(3)));
        assert_eq!(keys.skipped(), []);
        assert_eq!(keys.iter().count(), 2);
        assert_eq!(keys.find(&key(1)).unwrap().comment, "me@here");
    }

    #[test]
    fn a_broken_line_is_named_and_the_others_count() {
        let broken = line(1).replace("AAAA", "A%AA");
        let keys = parse(&format!("{broken}\nssh-ed25519\n{}\nnonsense\n", line(2)));
        assert!(keys.has(&key(2)) && !keys.has(&key(1)));
        let skipped: Vec<_> = keys.skipped().iter().map(ToString::to_string).collect();
        assert_eq!(
            skipped,
            [
                "keys:1: holds a key that is not base64",
                "keys:2: ends before the key",
                "keys:4: ends before the key",
            ]
        );
    }

    #[test]
    fn options_about_what_we_do_not_offer_change_nothing() {
        let options = "no-port-forwarding,no-X11-forwarding,no-agent-forwarding,no-user-rc,\
                       permitopen=\"a, b:1\",permitlisten=\"8\",tunnel=\"1\"";
        assert!(parse(&format!("{options} {}", line(1))).has(&key(1)));
    }

    #[test]
    fn limits_on_ptys_are_kept_for_the_server() {
        for (options, allowed) in [
            ("restrict", false),
            ("no-pty", false),
            ("restrict,pty", true),
            ("pty,restrict", false),
            ("NO-PTY", false),
        ] {
            let keys = parse(&format!("{options}\t{}", line(1)));
            assert_eq!(keys.find(&key(1)).unwrap().allows_pty, allowed, "{options}");
            assert_eq!(keys.has(&key(1)), allowed, "{options}");
        }
    }

    #[test]
    fn what_would_have_to_be_enforced_keeps_the_key_out() {
        for options in [
            "command=\"echo \\\"hi, you\\\"\"",
            "from=\"10.0.0.0/8\"",
            "environment=\"A=b c\"",
            "expiry-time=\"20300101\"",
            "cert-authority",
            "verify-required",
            "no-port-forwarding,command=\"x\"",
            "restrict,command=\"x y\",pty",
            "pty=\"yes\"",
            "permitopen",
            "permitopen=host:1",
            "principals=\"me\"",
            "never-heard-of",
            "no-pty,",
            "no-pty,,restrict",
        ] {
            // On a line of its own later the key would have no limits: the first line decides.
            let keys = parse(&format!("{options} {}\n{}", line(1), line(1)));
            assert_eq!(keys.find(&key(1)), None, "{options}");
            assert_eq!(keys.iter().count(), 0, "{options}");
            let fault = &keys.skipped()[0].fault;
            assert!(matches!(fault, LineFault::HasOption { .. }), "{options}");
        }
        let warned = parse(&format!("command=\"x\" {}", line(1))).skipped()[0].to_string();
        assert!(
            warned.starts_with("keys:1: has the option \"command\","),
            "{warned}"
        );
    }

    #[test]
    fn a_quotation_mark_cannot_hide_the_rest_of_a_line() {
        let keys = parse(&format!("command=\"x {}\n{}", line(1), line(2)));
        assert!(!keys.has(&key(1)) && keys.has(&key(2)));
        assert_eq!(keys.skipped()[0].fault, LineFault::OpensQuote);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(text in prop::collection::vec(any::<u8>(), 0..400), line in "[a-z\",=\\\\ \t]{0,60}") {
            let _ = AuthorizedKeys::parse(&text, Path::new("keys"));
            let _ = parse(&format!("{line} {}", self::line(1)));
        }

        /// Every key of a file is found, whatever stands between.
        #[test]
        fn keys_that_are_written_are_found(seeds in prop::collection::vec(any::<u8>(), 0..6), gap in "(\n|# x\n|\r\n){0,3}") {
            let lines: Vec<_> = seeds.iter().map(|seed| line(*seed)).collect();
            let text = lines.join(&format!("\n{gap}"));
            let keys = parse(&text);
            prop_assert!(seeds.iter().all(|seed| keys.has(&key(*seed))));
            prop_assert_eq!(keys.skipped(), []);
        }
    }
}
