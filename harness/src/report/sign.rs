//! What a case is at first sight: its verdict, and whether that is news.

use owo_colors::OwoColorize;
use serde::Serialize;

use super::record::Case;
use super::tint::{self, tinted};
use crate::verdict::Verdict;

/// A case in a matrix; the worst is the last, and what is known is less bad than any news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Sign {
    Pass,
    DeviationAsKnown,
    FailAsKnown,
    Deviation,
    Unsupported,
    Broken,
    /// It should not have: what is known of it is no longer so.
    PassUnlikeKnown,
    Fail,
}

impl Sign {
    pub(super) const ALL: [Self; 8] = [
        Self::Pass,
        Self::DeviationAsKnown,
        Self::FailAsKnown,
        Self::Deviation,
        Self::Unsupported,
        Self::Broken,
        Self::PassUnlikeKnown,
        Self::Fail,
    ];

    /// That of a case that ended.
    pub(super) fn of(case: &Case) -> Option<Self> {
        let is_as_known = case.known.is_some() && !case.surprise;
        Some(match case.verdict? {
            Verdict::Pass if case.surprise => Self::PassUnlikeKnown,
            Verdict::Deviation if is_as_known => Self::DeviationAsKnown,
            Verdict::Fail if is_as_known => Self::FailAsKnown,
            verdict => verdict.into(),
        })
    }

    /// How many of the cases have it.
    pub(super) fn count<'a>(self, cases: impl IntoIterator<Item = &'a Case>) -> usize {
        let cases = cases.into_iter();
        cases.filter(|case| Self::of(case) == Some(self)).count()
    }

    fn verdict(self) -> Verdict {
        match self {
            Self::Pass | Self::PassUnlikeKnown => Verdict::Pass,
            Self::Deviation | Self::DeviationAsKnown => Verdict::Deviation,
            Self::Fail | Self::FailAsKnown => Verdict::Fail,
            Self::Unsupported => Verdict::Unsupported,
            Self::Broken => Verdict::Broken,
        }
    }

    pub(super) fn is_as_known(self) -> bool {
        matches!(self, Self::DeviationAsKnown | Self::FailAsKnown)
    }

    /// In words.
    pub(super) fn words(self) -> String {
        let word = tint::word(self.verdict());
        match self {
            Self::PassUnlikeKnown => format!("{word}, unlike known"),
            _ if self.is_as_known() => format!("{word}, as known"),
            _ => word.to_owned(),
        }
    }

    /// As one character; told apart without colour too.
    pub(super) fn mark(self) -> char {
        match self {
            Self::Pass => '✓',
            Self::DeviationAsKnown => '≈',
            Self::FailAsKnown => '≠',
            Self::Deviation => '~',
            Self::Unsupported => '–',
            Self::Broken => '!',
            Self::PassUnlikeKnown => '+',
            Self::Fail => '✗',
        }
    }

    /// The character in its colour, which is faint where there is no news.
    pub(super) fn tinted_mark(self) -> String {
        let mark = self.mark().to_string();
        match self {
            Self::PassUnlikeKnown => tinted(&mark, Verdict::Fail),
            _ if self.is_as_known() => tinted(&mark, self.verdict()).dimmed().to_string(),
            _ => tinted(&mark, self.verdict()),
        }
    }
}

/// Of one run of several, or of a case of which nothing is known.
impl From<Verdict> for Sign {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Deviation => Self::Deviation,
            Verdict::Fail => Self::Fail,
            Verdict::Unsupported => Self::Unsupported,
            Verdict::Broken => Self::Broken,
        }
    }
}
