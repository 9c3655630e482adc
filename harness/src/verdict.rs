//! What a case concluded, and why: the vocabulary that running produces and reporting shows.

use std::fmt;
use std::time::Duration;

use minissh::trace::TraceEntry;
use serde::{Deserialize, Serialize};

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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// How much of the trace there was when the verdict fell; `None` when all of it.
    pub decided_at: Option<usize>,
    /// Texts collected from the peers.
    pub logs: Vec<Log>,
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
            decided_at: None,
            logs: Vec::new(),
            took: Duration::ZERO,
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
