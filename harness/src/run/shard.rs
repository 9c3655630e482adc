//! A part of a plan for one of several machines.

use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::event::Case;

/// One of so many parts. Each case is in exactly one of them, and that depends on its name and
/// pairing alone: machines that have other peers still agree on the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Numbers")]
pub struct Shard {
    /// From 1.
    number: NonZeroU64,
    of: NonZeroU64,
}

/// What a file says, which may be no shard.
#[derive(Deserialize)]
struct Numbers {
    number: NonZeroU64,
    of: NonZeroU64,
}

impl Shard {
    /// Whether both are parts of a whole that was divided in the same way.
    #[must_use]
    pub fn is_beside(self, other: Self) -> bool {
        self.of == other.of
    }

    /// All parts of its whole, in order; they may be more than anybody can keep.
    pub fn all(self) -> impl Iterator<Item = Self> {
        let numbers = (1..=self.of.get()).filter_map(NonZeroU64::new);
        numbers.map(move |number| Self { number, ..self })
    }

    /// Whether the case is in this part.
    #[must_use]
    pub fn holds(&self, case: &Case) -> bool {
        let name = format!("{} {}", case.scenario.name, case.pairing);
        let digest = Sha256::digest(name);
        let folded = digest
            .iter()
            .take(8)
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        folded % self.of == self.number.get() - 1
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// Text that does not name a part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no part of a run; write 1/3, 2/3 or 3/3 for one of three")]
pub struct NotAShard(String);

impl FromStr for Shard {
    type Err = NotAShard;

    fn from_str(text: &str) -> Result<Self, NotAShard> {
        let parsed = text.split_once('/').and_then(|(number, of)| {
            let numbers = Numbers {
                number: number.parse().ok()?,
                of: of.parse().ok()?,
            };
            numbers.try_into().ok()
        });
        parsed.ok_or_else(|| NotAShard(text.to_owned()))
    }
}

impl TryFrom<Numbers> for Shard {
    type Error = NotAShard;

    fn try_from(Numbers { number, of }: Numbers) -> Result<Self, NotAShard> {
        if number <= of {
            Ok(Self { number, of })
        } else {
            Err(NotAShard(format!("{number}/{of}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    #[test]
    fn every_case_is_in_exactly_one_part_and_no_part_has_all() {
        let shards: Vec<Shard> = ["1/3", "2/3", "3/3"]
            .map(|text| text.parse().expect("a part"))
            .into();
        let mut held = [0; 3];
        for number in 0..300 {
            let scenario = fake::scenario(&format!("made-up/{number}"));
            let case = fake::case(scenario, "minissh", "other");
            let holders: Vec<usize> = (0..3).filter(|at| shards[*at].holds(&case)).collect();
            let [holder] = holders[..] else {
                panic!("{number} is in {holders:?}")
            };
            held[holder] += 1;
        }
        assert!(
            held.iter().all(|count| (60..140).contains(count)),
            "{held:?}"
        );
    }

    #[test]
    fn a_part_that_cannot_be_is_refused() {
        for text in ["0/3", "4/3", "1/0", "1", "a/b", "-1/2"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        assert_eq!("2/3".parse::<Shard>().expect("a part").to_string(), "2/3");
        let json = r#"{"number":4,"of":3}"#;
        let refused = serde_json::from_str::<Shard>(json).expect_err("there is no fourth");
        assert!(refused.to_string().starts_with("`4/3` is no part"));
    }

    #[test]
    fn a_part_knows_all_parts() {
        let part: Shard = "2/3".parse().expect("a part");
        let all: Vec<String> = part.all().map(|it| it.to_string()).collect();
        assert_eq!(all, ["1/3", "2/3", "3/3"]);
        let json = serde_json::to_string(&part).expect("plain data");
        assert_eq!(json, r#"{"number":2,"of":3}"#);
    }
}
