//! Keeps passwords out of everything a case leaves behind.
//!
//! Traces are made without secrets. Logs of foreign programs are made by others, and what a peer
//! says in an error ends in our reports too, so all of it passes through here.

use minissh::trace::Traced;

use crate::verdict::Outcome;

/// What stands in place of a secret.
const REDACTED: &str = "[redacted]";

/// Replaces the given secrets wherever they appear in an outcome.
pub(super) fn redact(outcome: &mut Outcome, secrets: &[String]) {
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        for text in texts(outcome) {
            if text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), REDACTED);
            }
        }
    }
}

/// Every text in an outcome.
fn texts(outcome: &mut Outcome) -> Vec<&mut String> {
    let mut texts: Vec<&mut String> = Vec::new();
    if let Some(failure) = &mut outcome.failure {
        texts.extend([
            &mut failure.step,
            &mut failure.expected,
            &mut failure.actual,
        ]);
        texts.extend(&mut failure.hint);
    }
    texts.extend(&mut outcome.notes);
    texts.extend(outcome.logs.iter_mut().map(|log| &mut log.text));
    for entry in &mut outcome.trace {
        match &mut entry.what {
            Traced::Ident(line) => texts.push(line),
            Traced::Packet { fields, .. } => texts.extend(fields.iter_mut().map(|f| &mut f.value)),
            Traced::Closed => {}
        }
    }
    texts
}
