//! The one place that says which verdict has which word and colour.

use owo_colors::{AnsiColors, OwoColorize};

use crate::verdict::Verdict;

/// Every verdict, worst last.
pub(super) const VERDICTS: [Verdict; 5] = [
    Verdict::Pass,
    Verdict::Deviation,
    Verdict::Unsupported,
    Verdict::Broken,
    Verdict::Fail,
];

/// How bad a verdict is beside others; nothing is worse than a case that did not end.
pub(super) fn badness(verdict: Option<Verdict>) -> usize {
    let place = |verdict| VERDICTS.iter().position(|known| *known == verdict);
    verdict.and_then(place).unwrap_or(VERDICTS.len())
}

/// The verdict as a word.
pub(crate) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Deviation => "deviation",
        Verdict::Fail => "fail",
        Verdict::Unsupported => "unsupported",
        Verdict::Broken => "broken",
    }
}

/// `text` in the verdict's colour.
pub(super) fn tinted(text: &str, verdict: Verdict) -> String {
    let colour = match verdict {
        Verdict::Pass => AnsiColors::Green,
        Verdict::Deviation => AnsiColors::Yellow,
        Verdict::Fail => AnsiColors::Red,
        Verdict::Unsupported => AnsiColors::Blue,
        Verdict::Broken => AnsiColors::Magenta,
    };
    text.color(colour).to_string()
}

/// What another program said, with nothing in it that could steer a terminal.
pub(super) fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            harmless.extend(c.escape_default());
        } else {
            harmless.push(c);
        }
    }
    harmless
}
