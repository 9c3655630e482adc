//! The first of several builds of one implementation in which something is otherwise than before.

use std::fmt;

/// How the builds are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The middle of what is left, each time. Right if there is one change, and the least work.
    Halving,
    /// One after the other, from the first.
    Linear,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    /// This build is the first that differs from the first of all.
    Change {
        /// Its place.
        at: usize,
        /// How it was until then.
        before: T,
        /// How it is there.
        after: T,
    },
    /// None differs; with [`Way::Halving`], the last does not differ from the first.
    Nothing(T),
}

impl Way {
    /// What is taken for granted.
    #[must_use]
    pub fn assumption(self) -> Option<&'static str> {
        match self {
            Self::Halving => {
                Some("the verdict changes at most once on the way from the first to the last")
            }
            Self::Linear => None,
        }
    }

    /// Looks for the first change among so many builds, at least one, by asking what each is like.
    ///
    /// # Errors
    /// The first of `look`.
    pub fn search<T: PartialEq + fmt::Debug, E>(
        self,
        builds: usize,
        mut look: impl FnMut(usize) -> Result<T, E>,
    ) -> Result<Found<T>, E> {
        let before = look(0)?;
        match self {
            Self::Linear => {
                for at in 1..builds {
                    let after = look(at)?;
                    if after != before {
                        return Ok(Found::Change { at, before, after });
                    }
                }
                Ok(Found::Nothing(before))
            }
            Self::Halving => {
                let mut after = look(builds - 1)?;
                if after == before {
                    return Ok(Found::Nothing(before));
                }
                // The build at `same` is as the first, the one at `at` is not.
                let (mut same, mut at) = (0, builds - 1);
                while at - same > 1 {
                    let middle = same.midpoint(at);
                    let there = look(middle)?;
                    if there == before {
                        same = middle;
                    } else {
                        (at, after) = (middle, there);
                    }
                }
                Ok(Found::Change { at, before, after })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches, and says which builds were looked at.
    fn search(way: Way, builds: &str) -> (Found<char>, Vec<usize>) {
        let builds: Vec<char> = builds.chars().collect();
        let mut looked_at = Vec::new();
        let found = way.search(builds.len(), |at| {
            looked_at.push(at);
            Ok::<char, ()>(builds[at])
        });
        (found.expect("nothing is wrong"), looked_at)
    }

    fn change(at: usize, before: char, after: char) -> Found<char> {
        Found::Change { at, before, after }
    }

    #[test]
    fn every_change_is_found_wherever_it_is() {
        for at in 1..12 {
            let builds = "p".repeat(at) + &"f".repeat(12 - at);
            for way in [Way::Halving, Way::Linear] {
                assert_eq!(search(way, &builds).0, change(at, 'p', 'f'), "{builds}");
            }
        }
    }

    #[test]
    fn halving_looks_at_few_builds_and_no_build_twice() {
        let (_, mut looked_at) = search(Way::Halving, &("p".repeat(40) + &"f".repeat(60)));
        assert!(looked_at.len() <= 9, "{looked_at:?}");
        let all = looked_at.len();
        looked_at.sort_unstable();
        looked_at.dedup();
        assert_eq!(looked_at.len(), all);
    }

    /// A third verdict on the way is a change, too.
    #[test]
    fn the_change_is_the_first_departure_from_the_beginning() {
        assert_eq!(search(Way::Halving, "ppdff").0, change(2, 'p', 'd'));
        assert_eq!(search(Way::Linear, "ppdff").0, change(2, 'p', 'd'));
    }

    /// What halving cannot see is why it says what it assumes.
    #[test]
    fn a_passing_change_is_seen_by_the_linear_way_alone() {
        assert_eq!(search(Way::Halving, "pffp").0, Found::Nothing('p'));
        assert_eq!(search(Way::Linear, "pffp").0, change(1, 'p', 'f'));
        assert_eq!(search(Way::Linear, "p").0, Found::Nothing('p'));
        assert_eq!(search(Way::Halving, "p").0, Found::Nothing('p'));
    }
}
