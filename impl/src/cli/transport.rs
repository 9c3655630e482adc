//! What a connection is told whoever it is with: when keys are changed, and who may read along.

use std::ffi::OsString;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueHint;

use super::{Failure, identity, stdio};
use crate::engine::{Config, RekeyPolicy};
use crate::keylog::{KeyLog, KeyLogFile};
use crate::net::Options;

/// Fewest bytes under the same keys: below it a connection would do nothing but exchange keys.
const REKEY_BYTES_MIN: u64 = 1 << 10;

/// Most data in one message that Wireshark 4.6 is sure to decrypt, in bytes.
const READABLE_PACKET_BYTES: u32 = 16 << 10;

/// The options of every connection.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct TransportArgs {
    /// Change the keys after so many bytes in one direction and, if said, after so much time:
    /// '512M', '1G 30m', 'default none'. The same notation as `RekeyLimit` of ssh; 1G and 1h unless
    /// told otherwise.
    #[arg(long, value_name = "BYTES[ TIME]")]
    rekey_limit: Option<RekeyLimit>,
    /// Append the secret of every key exchange to FILE, for Wireshark to read a capture with; its 4.6
    /// stops at a later key exchange that the server begins.
    /// Whoever has FILE and a capture can read everything, passwords included.
    #[arg(long, value_name = "FILE", env = "SSHKEYLOGFILE", value_hint = ValueHint::FilePath)]
    key_log: Option<OsString>,
}

impl TransportArgs {
    /// Opens the key log, if there is to be one, and says so aloud.
    pub(super) fn prepare(&self) -> Result<Transport, Failure> {
        // An empty variable is an unset one.
        let path = self.key_log.as_deref().filter(|path| !path.is_empty());
        let key_log = path.map(|path| open_key_log(path.as_ref())).transpose()?;
        Ok(Transport {
            rekey: self.rekey_limit.unwrap_or_default().0,
            key_log,
        })
    }
}

/// The options of every connection, checked.
pub(super) struct Transport {
    rekey: RekeyPolicy,
    key_log: Option<KeyLogFile>,
}

impl Transport {
    /// For one connection.
    pub(super) fn options(&self, config: Config) -> Options {
        let mut config = Config {
            rekey: self.rekey,
            ..config
        };
        if self.key_log.is_some() {
            config.limits.data_packet_bytes_max = READABLE_PACKET_BYTES;
        }
        let mut options = Options::new(config);
        options.key_log = self
            .key_log
            .clone()
            .map(|log| Box::new(log) as Box<dyn KeyLog>);
        options
    }
}

fn open_key_log(path: &Path) -> Result<KeyLogFile, Failure> {
    let log = KeyLogFile::append_to(path).map_err(|error| {
        Failure::new(format!("cannot log keys to {}: {error}", path.display()))
            .hint("name another file with --key-log, or unset SSHKEYLOGFILE")
    })?;
    identity::check_permissions(path, "key log")?;
    stdio::say(format_args!(
        "warning: keys are logged to {}: whoever has it and a capture can read everything",
        path.display()
    ));
    Ok(log)
}

/// When keys are too old, as `RekeyLimit` of OpenSSH says it.
#[derive(Debug, Clone, Copy, Default)]
struct RekeyLimit(RekeyPolicy);

impl FromStr for RekeyLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut policy = RekeyPolicy::default();
        let mut words = text.split_whitespace();
        let bytes = words.next().unwrap_or_default();
        if !bytes.eq_ignore_ascii_case("default") {
            policy.bytes_max = parse_bytes(bytes)?;
        }
        match words.next() {
            None => {}
            Some(never) if never.eq_ignore_ascii_case("none") => policy.age_max = Duration::MAX,
            Some(time) => policy.age_max = parse_time(time)?,
        }
        match words.next() {
            None => Ok(Self(policy)),
            Some(word) => Err(format!("`{word}` follows the time; nothing may")),
        }
    }
}

/// `512M`: a number of bytes with K, M or G behind it.
fn parse_bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split_number(text);
    let factor = match unit.to_ascii_uppercase().as_str() {
        "" => Some(1),
        "K" => Some(1 << 10),
        "M" => Some(1 << 20),
        "G" => Some(1 << 30),
        _ => None,
    };
    let bytes = factor.and_then(|factor: u64| number?.checked_mul(factor));
    match bytes {
        Some(bytes) if bytes >= REKEY_BYTES_MIN => Ok(bytes),
        Some(_) => Err(format!("{text} is less than 1K")),
        None => Err(format!(
            "`{text}` is no number of bytes, such as 512M or 1G"
        )),
    }
}

/// `1h30m`: numbers with s, m, h, d or w behind them, seconds where nothing is.
fn parse_time(text: &str) -> Result<Duration, String> {
    let mut seconds = Some(0_u64);
    let mut rest = text;
    while !rest.is_empty() {
        let (number, unit) = split_number(rest);
        let mut after = unit.chars();
        let factor = match after.next().map(|unit| unit.to_ascii_lowercase()) {
            None | Some('s') => Some(1),
            Some('m') => Some(60),
            Some('h') => Some(3_600),
            Some('d') => Some(86_400),
            Some('w') => Some(604_800),
            Some(_) => None,
        };
        let part = factor.and_then(|factor: u64| number?.checked_mul(factor));
        seconds = seconds.and_then(|seconds| seconds.checked_add(part?));
        rest = after.as_str();
    }
    match seconds {
        Some(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
        Some(0) => Err(format!("{text} is less than a second")),
        None => Err(format!("`{text}` is no time, such as 90s, 30m or 1h30m")),
    }
}

/// The digits that a text begins with as a number, and what follows.
fn split_number(text: &str) -> (Option<u64>, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (digits.parse().ok(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(text: &str) -> Result<(u64, Duration), String> {
        text.parse()
            .map(|RekeyLimit(policy)| (policy.bytes_max, policy.age_max))
    }

    #[test]
    fn a_rekey_limit_reads_as_that_of_openssh() {
        const HOUR: Duration = Duration::from_secs(3_600);
        assert_eq!(limit("1G"), Ok((1 << 30, HOUR)));
        assert_eq!(limit("512m 90"), Ok((512 << 20, Duration::from_secs(90))));
        assert_eq!(limit("100K 1h30m"), Ok((100 << 10, HOUR * 3 / 2)));
        assert_eq!(limit("default none"), Ok((1 << 30, Duration::MAX)));
        assert_eq!(limit("4096 1W2d"), Ok((4_096, HOUR * 24 * 9)));
    }

    #[test]
    fn what_is_no_rekey_limit_is_refused_with_what_would_do() {
        for (text, wanted) in [
            ("", "such as 512M"),
            ("1X", "such as 512M"),
            ("99999999999G", "such as 512M"),
            ("1023", "less than 1K"),
            ("1G 0", "less than a second"),
            ("1G 1y", "such as 90s"),
            ("1G h", "such as 90s"),
            ("1G 1h 1h", "nothing may"),
        ] {
            let error = limit(text).unwrap_err();
            assert!(error.contains(wanted), "{text:?}: {error}");
        }
    }
}
