//! `sshdrill doctor`: what this machine has, and what each missing thing would add.

use std::fmt::Write as _;

use owo_colors::OwoColorize;

use super::Exit;
use crate::peer::survey::{Finding, survey};

/// Prints what was found. That something is missing is no error.
pub(super) fn doctor() -> Exit {
    let findings = survey();
    for finding in &findings {
        anstream::print!("{}", told(finding));
    }
    let missing = findings.iter().filter(|f| f.found.is_err()).count();
    match missing {
        0 => anstream::println!("\nnothing is missing"),
        _ => anstream::println!("\n{missing} missing; all of it is optional"),
    }
    Exit::AsExpected
}

fn told(finding: &Finding) -> String {
    let Finding { what, found, adds } = finding;
    match found {
        Ok(here) => format!("{} {what:<18} {here}\n", "✓".green()),
        Err(broken) => {
            let indented = |text: &str| text.trim().replace('\n', "\n                     ");
            let mut text = format!("{} {what:<18} {}\n", "–".yellow(), indented(&broken.what));
            let _ = writeln!(text, "    would add        {}", indented(adds));
            if let Some(hint) = &broken.hint {
                let _ = writeln!(text, "    how to get it    {}", indented(hint));
            }
            text
        }
    }
}
