//! A file into a [`Scenario`], or into all of its mistakes.

use std::ops::Range;
use std::path::Path;

use super::diagnostic::Mistakes;
use super::header::{self, Header};
use super::lexer::{self, Line};
use super::{acts, body, suggest};
use crate::requirement::{Catalogue, Level};
use crate::scenario::{Scenario, ScenarioErrors, Step, StepKind, Subject};

/// Reads one file. `name` is what the path says it must be called.
///
/// # Errors
/// Every mistake of the file: the lexer, the lines and the checks all go on after one.
pub fn parse(
    path: &Path,
    name: &str,
    bytes: &[u8],
    catalogue: &Catalogue,
) -> Result<Scenario, ScenarioErrors> {
    let text = String::from_utf8_lossy(bytes);
    let mut mistakes = Mistakes::default();
    if let Err(error) = std::str::from_utf8(bytes) {
        // The replacement character keeps everything before it where it was.
        let at = error.valid_up_to();
        mistakes.add(at..at, "this is not UTF-8", None);
    }
    let scenario = Reader::default()
        .read(&text, catalogue, &mut mistakes)
        .finish(name, &mut mistakes);
    match scenario {
        Some(scenario) if mistakes.is_empty() => Ok(Scenario {
            path: path.to_owned(),
            text: text.into_owned(),
            ..scenario
        }),
        _ => Err(ScenarioErrors(mistakes.in_file(path, &text))),
    }
}

/// What has been read so far.
#[derive(Default)]
struct Reader {
    title: Vec<String>,
    header: Header,
    steps: Vec<Step>,
    /// Where each step stands.
    spans: Vec<Range<usize>>,
    level: Option<Level>,
    consequence: Option<String>,
    began: bool,
}

impl Reader {
    fn read(mut self, text: &str, catalogue: &Catalogue, mistakes: &mut Mistakes) -> Self {
        for line in lexer::lines(text, mistakes) {
            if line.words.is_empty() {
                self.read_comment(&line);
            } else {
                self.began = true;
                self.read_line(&line, catalogue, mistakes);
            }
        }
        let first_clause = self.header.cites.first().and_then(|id| catalogue.get(id));
        self.level = self
            .header
            .level
            .or(first_clause.map(|clause| clause.level));
        self.consequence = self
            .header
            .consequence
            .take()
            .or(first_clause.map(|clause| clause.consequence.clone()));
        self
    }

    /// The comment above the first line is the title.
    fn read_comment(&mut self, line: &Line<'_>) {
        if let Some(comment) = line.comment.filter(|_| !self.began) {
            self.title.push(comment.trim().to_owned());
        }
    }

    fn read_line(&mut self, line: &Line<'_>, catalogue: &Catalogue, mistakes: &mut Mistakes) {
        let Some(first) = line.words.first() else {
            return;
        };
        if header::WORDS.contains(&first.text) {
            if !self.steps.is_empty() {
                mistakes.add(
                    first.span(),
                    "a header line must stand above the first step",
                    None,
                );
            }
            self.header.read(line, catalogue, mistakes);
            return;
        }
        let kind = match first.text {
            ">" | "<" => body::read(line, self.header.subject, mistakes),
            "client" | "expect" => acts::read(line, mistakes),
            word => match body::prelude(word) {
                Some(prelude) => {
                    body::alone(line, mistakes);
                    Some(prelude)
                }
                None => return refuse(line, mistakes),
            },
        };
        if let Some(kind) = kind {
            self.spans.push(first.at..first.at + line.source.len());
            self.steps.push(Step {
                line: line.number,
                source: line.source.to_owned(),
                kind,
            });
        }
    }

    fn finish(self, name: &str, mistakes: &mut Mistakes) -> Option<Scenario> {
        self.header.demand_all(0..0, mistakes);
        if self.title.iter().all(String::is_empty) {
            let help = "say in a comment above everything what must happen";
            mistakes.add(0..0, "there is no title", Some(help.to_owned()));
        }
        if self.steps.is_empty() {
            mistakes.add(0..0, "there is no step", None);
        }
        let called = self.header.name?;
        if called != name {
            let help = Some(format!("by its path it is `{name}`"));
            mistakes.add(
                self.header.name_at,
                format!("this file is not `{called}`"),
                help,
            );
        }
        let subject = self.header.subject?;
        check_kinds(subject, &self.steps, &self.spans, mistakes);
        Some(Scenario {
            name: called,
            title: self.title.join(" ").trim().to_owned(),
            subject,
            needs: self.header.needs,
            cites: self.header.cites,
            level: self.level?,
            consequence: self.consequence?,
            steps: self.steps,
            path: std::path::PathBuf::new(),
            text: String::new(),
        })
    }
}

/// Acts belong to pairs, and everything else to the scripted endpoint.
fn check_kinds(subject: Subject, steps: &[Step], spans: &[Range<usize>], mistakes: &mut Mistakes) {
    for (step, span) in steps.iter().zip(spans) {
        let is_act = matches!(step.kind, StepKind::Act(_));
        match (subject, is_act) {
            (Subject::Pair, false) => {
                let message = "a pair has no scripted endpoint that could do this";
                let help =
                    Some("name a `client`, a `server` or `either` as the subject".to_owned());
                mistakes.add(span.clone(), message, help);
            }
            (Subject::Server | Subject::Client | Subject::Either, true) => {
                let message = "only a pair has a whole client to act";
                mistakes.add(span.clone(), message, Some("`subject pair`".to_owned()));
            }
            _ => {}
        }
    }
    if subject == Subject::Pair {
        acts::check_order(steps, spans, mistakes);
    }
}

fn refuse(line: &Line<'_>, mistakes: &mut Mistakes) {
    let Some(first) = line.words.first() else {
        return;
    };
    let mut known = vec![">", "<", "client", "expect"];
    known.extend(header::WORDS);
    known.extend(body::PRELUDES.map(|(name, _)| name));
    let help = if first.text.starts_with(['>', '<']) {
        Some("after the arrow there must be a space".to_owned())
    } else {
        suggest::help(first.text, &known).or_else(|| {
            Some(format!(
                "a line begins with one of {}",
                suggest::quoted(known.iter().copied())
            ))
        })
    };
    mistakes.add(
        first.span(),
        format!("no line begins with `{}`", first.text),
        help,
    );
}
