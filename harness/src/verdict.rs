//! What a case concluded, and why: the vocabulary that running produces and reporting shows.

pub mod capture;

use std::fmt;
use std::time::Duration;

use minissh::trace::TraceEntry;
use serde::{Deserialize, Serialize};

pub use capture::Capture;

use crate::requirement::Level;

/// How a case ended for its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything the scenario demands came.
    Pass,
    /// A SHOULD was missed, or a tolerated alternative came (a bare close for a DISCONNECT).
    Deviation,
    /// The subject broke the clause.
    Fail,
    /// The subject said before the case ran that it lacks something the scenario needs.
    Unsupported,
    /// Our side or the environment failed; says nothing about the subject.
    Broken,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Deviation => "deviation",
            Self::Fail => "fail",
            Self::Unsupported => "unsupported",
            Self::Broken => "broken",
        })
    }
}

impl Verdict {
    /// What a missed demand amounts to, by how binding the requirement is.
    #[must_use]
    pub fn of_a_miss(level: Level) -> Self {
        match level {
            Level::May => Self::Pass,
            Level::Should => Self::Deviation,
            Level::Must | Level::Security => Self::Fail,
        }
    }
}

/// Why a case is not a plain pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// 1-based line in the scenario file of the step that decided, if one did.
    pub line: Option<usize>,
    /// The step as written, or what we were doing.
    pub step: String,
    /// What the scenario demanded.
    pub expected: String,
    /// What happened instead.
    pub actual: String,
    /// What the person at the keyboard could do about it, if we know.
    pub hint: Option<String>,
}

/// What is known of a case that does not simply pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The verdicts that are expected; several when it is not the same each time.
    pub verdicts: Vec<Verdict>,
    /// Why it ends so.
    pub reason: String,
    /// Where that is written down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// To be read after "it is known as".
impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdicts: Vec<String> = self.verdicts.iter().map(ToString::to_string).collect();
        write!(f, "{}: {}", verdicts.join(" or "), self.reason)?;
        match &self.link {
            Some(link) => write!(f, " <{link}>"),
            None => Ok(()),
        }
    }
}

/// Our side or the environment failed: what, where, and what a person could do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}")]
pub struct Broken {
    /// What failed, with the place and the operating system's or engine's words.
    pub what: String,
    /// What a person could do about it.
    pub hint: Option<String>,
}

impl Broken {
    /// Nothing that a person could do comes to mind.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: None,
        }
    }

    /// An error of something that we were doing.
    pub fn while_doing(doing: &str, error: impl fmt::Display) -> Self {
        Self::new(format!("{doing}: {error}"))
    }

    /// With what a person could do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// A named text collected while a case ran: a peer's log, a client's stderr.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// Where it came from, such as `sshd` or `ssh stderr`.
    pub name: String,
    /// The text, as lossy UTF-8.
    pub text: String,
}

/// Everything one case left behind.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, unless it is a plain pass.
    pub failure: Option<Failure>,
    /// Remarks that do not change the verdict, such as how a close was graded.
    pub notes: Vec<String>,
    /// The trace as recorded by our endpoint in this case.
    pub trace: Vec<TraceEntry>,
    /// The bytes of its connections, one for each that an end of ours had.
    pub captures: Vec<Capture>,
    /// How much of the trace there was when the verdict fell; `None` when all of it.
    pub decided_at: Option<usize>,
    /// Texts collected from the peers.
    pub logs: Vec<Log>,
    /// Whom the scripted endpoint logged in as or let in, where there was one.
    pub user: Option<String>,
    /// How each run of the case ended, when it was run by a plan; the rest is of the one that counts.
    pub runs: Vec<Verdict>,
    /// What was known of the case beforehand, if it does not simply pass.
    pub known: Option<Known>,
    /// Wall-clock time, for display only.
    pub took: Duration,
}

impl Outcome {
    /// A verdict with nothing collected yet.
    #[must_use]
    pub fn new(verdict: Verdict, failure: Option<Failure>) -> Self {
        Self {
            verdict,
            failure,
            notes: Vec::new(),
            trace: Vec::new(),
            captures: Vec::new(),
            decided_at: None,
            logs: Vec::new(),
            user: None,
            runs: Vec::new(),
            known: None,
            took: Duration::ZERO,
        }
    }

    /// Whether the case ended in one way and then in another, although nothing was changed.
    #[must_use]
    pub fn is_flaky(&self) -> bool {
        self.runs.iter().any(|verdict| *verdict != self.verdict)
    }

    /// Whether it ended as it should, or as was known before.
    #[must_use]
    pub fn is_as_expected(&self) -> bool {
        match &self.known {
            Some(known) => known.verdicts.contains(&self.verdict),
            None => !matches!(self.verdict, Verdict::Fail | Verdict::Broken),
        }
    }

    /// A plain pass.
    #[must_use]
    pub fn passed() -> Self {
        Self::new(Verdict::Pass, None)
    }

    /// A demand of that level was missed; of a MAY that is only noted.
    #[must_use]
    pub fn missed(level: Level, failure: Failure) -> Self {
        match Verdict::of_a_miss(level) {
            Verdict::Pass => Self {
                notes: vec![format!("`{}`: {}", failure.step, failure.actual)],
                ..Self::passed()
            },
            verdict => Self::new(verdict, Some(failure)),
        }
    }

    /// The subject said, before it tried, that it cannot.
    #[must_use]
    pub fn unsupported(step: &str, why: &str) -> Self {
        let failure = Failure {
            line: None,
            step: step.to_owned(),
            expected: "the subject to support this".to_owned(),
            actual: why.to_owned(),
            hint: None,
        };
        Self::new(Verdict::Unsupported, Some(failure))
    }

    /// Our side or the environment failed, which says nothing about the subject.
    #[must_use]
    pub fn broken(line: Option<usize>, step: &str, broken: &Broken) -> Self {
        let failure = Failure {
            line,
            step: step.to_owned(),
            expected: "our side and the environment to work".to_owned(),
            actual: broken.what.clone(),
            hint: broken.hint.clone(),
        };
        Self::new(Verdict::Broken, Some(failure))
    }
}
