//! Ranges of versions, over whatever peers print as theirs.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, de::Error as _};

/// Bounds that must all hold: `>=9.8, <10.4`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions(Vec<Bound>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Bound {
    relation: Relation,
    numbers: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    AtLeast,
    AtMost,
    Below,
    Above,
    Same,
}

/// How each relation is written; what another begins with comes after it.
const RELATIONS: [(&str, Relation); 5] = [
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    ("<", Relation::Below),
    (">", Relation::Above),
    ("=", Relation::Same),
];

impl Versions {
    /// Whether the first version number in what a peer prints is in the range. It is compared as
    /// far as a bound says: `9.2p1` is in `<=9.2`. A peer without a number is in no range.
    #[must_use]
    pub fn contain(&self, printed: &str) -> bool {
        let Some(numbers) = Self::numbers(printed) else {
            return false;
        };
        self.0.iter().all(|bound| bound.holds(&numbers))
    }

    /// The first version number in a text: `9.2p1` is 9, 2, 1.
    #[must_use]
    pub fn numbers(text: &str) -> Option<Vec<u64>> {
        let start = text.find(|c: char| c.is_ascii_digit())?;
        let rest = &text[start..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != 'p');
        let parts = rest[..end.unwrap_or(rest.len())].split(['.', 'p']);
        Some(parts.map_while(|part| part.parse().ok()).collect())
    }
}

impl Bound {
    fn holds(&self, numbers: &[u64]) -> bool {
        let known = &numbers[..numbers.len().min(self.numbers.len())];
        let order = known.cmp(&self.numbers);
        match self.relation {
            Relation::AtLeast => order.is_ge(),
            Relation::AtMost => order.is_le(),
            Relation::Below => order.is_lt(),
            Relation::Above => order.is_gt(),
            Relation::Same => order.is_eq(),
        }
    }
}

impl FromStr for Versions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bound = |text: &str| {
            let text = text.trim();
            let found = RELATIONS
                .iter()
                .find_map(|(word, relation)| Some((*relation, text.strip_prefix(word)?)));
            let parsed = found.and_then(|(relation, rest)| {
                let numbers = Self::numbers(rest.trim())?;
                Some(Bound { relation, numbers })
            });
            parsed.ok_or_else(|| {
                format!("`{text}` is no bound of a version; write `>=9.8` or `>=9.8, <10.4`")
            })
        };
        text.split(',')
            .map(bound)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl<'de> Deserialize<'de> for Versions {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contain(range: &str, printed: &str) -> bool {
        let range: Versions = range.parse().expect("a range");
        range.contain(printed)
    }

    #[test]
    fn versions_are_compared_as_numbers_and_as_far_as_the_bound_says() {
        assert!(contain("<=9.2", "OpenSSH 9.2p1 Debian-2+deb12u10"));
        assert!(contain(">=9.8, <10.4", "OpenSSH 10.0p2 Debian-7"));
        assert!(!contain(">=9.8, <10.4", "OpenSSH 10.4"));
        assert!(contain("<20250501", "tinysshd 20190101-1"));
        assert!(contain("=2020.81", "Dropbear v2020.81"));
        assert!(!contain(">=0", "a peer without a number"));
    }

    #[test]
    fn what_is_no_bound_is_refused() {
        assert!("9.8".parse::<Versions>().is_err());
        assert!(">=new".parse::<Versions>().is_err());
    }
}
