//! How the program can end. The numbers are a promise to scripts.

use std::process::ExitCode;

use crate::run::event::Tally;
use crate::run::interrupt::Interrupt;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: everything as expected. Deviations are expected.
    AsExpected,
    /// 1: a verdict was not as expected.
    NotAsExpected,
    /// 2: the command line cannot be understood.
    CommandLine,
    /// 3: a scenario file or the catalogue of requirements does not parse.
    DoesNotParse,
    /// 4: nothing was selected.
    NothingSelected,
    /// 5: the environment is broken, or something required is missing.
    Environment,
    /// 130: somebody stopped the run, as shells count it.
    Interrupted,
}

impl Exit {
    /// What the verdicts of a whole run amount to. A failure says something about a subject and
    /// outweighs what is broken, which does not.
    #[must_use]
    pub fn of(tally: &Tally) -> Self {
        match tally {
            Tally { surprises: 1.., .. } => Self::NotAsExpected,
            Tally { broken: 1.., .. } => Self::Environment,
            _ => Self::AsExpected,
        }
    }

    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::AsExpected => 0,
            Self::NotAsExpected => 1,
            Self::CommandLine => 2,
            Self::DoesNotParse => 3,
            Self::NothingSelected => 4,
            Self::Environment => 5,
            Self::Interrupted => Interrupt::EXIT_CODE,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_outweigh_what_is_broken_and_deviations_are_expected() {
        let of = |fail, broken, deviation| {
            Exit::of(&Tally {
                deviation,
                fail,
                surprises: fail,
                broken,
                ..Tally::default()
            })
            .code()
        };
        assert_eq!(of(0, 0, 3), 0);
        assert_eq!(of(1, 1, 0), 1);
        assert_eq!(of(0, 1, 0), 5);
    }
}
