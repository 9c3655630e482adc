//! A file into a [`Scenario`], or into all of its mistakes.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::NamedSource;

use super::diagnostic::{Included, Mistakes};
use super::expand::{self, expand};
use super::header::{self, Header};
use super::lexer::{self, Line, Word};
use super::{acts, body, names, suggest};
use crate::requirement::{Catalogue, Level};
use crate::scenario::{Scenario, ScenarioErrors, Step, StepKind, Subject};

/// Reads one file, which is one scenario for each combination of its parameters. `name` is what the
/// path says it must be called.
///
/// # Errors
/// Every mistake of the file: the lexer, the lines and the checks all go on after one.
pub fn parse(
    path: &Path,
    name: &str,
    bytes: &[u8],
    catalogue: &Catalogue,
) -> Result<Vec<Scenario>, ScenarioErrors> {
    let text = String::from_utf8_lossy(bytes);
    let mut mistakes = Mistakes::default();
    if let Err(error) = std::str::from_utf8(bytes) {
        // The replacement character keeps everything before it where it was.
        let at = error.valid_up_to();
        mistakes.add(at..at, "this is not UTF-8", None);
    }
    let mut scenarios = Vec::new();
    for variant in expand(&text, &mut mistakes) {
        let mut of_variant = Mistakes::default();
        let reader = Reader {
            folder: folder_of(path, name),
            ..Reader::default()
        };
        let mut reader = reader.read(&variant.text, catalogue, &mut of_variant);
        let included = std::mem::take(&mut reader.included);
        let scenario = reader.finish(name, &mut of_variant);
        mistakes.add_variant(of_variant, &included, |range| variant.origin(range));
        scenarios.extend(scenario.map(|scenario| Scenario {
            name: scenario.name + &variant.suffix,
            path: path.to_owned(),
            text: text.to_string(),
            ..scenario
        }));
    }
    if mistakes.is_empty() {
        Ok(scenarios)
    } else {
        Err(ScenarioErrors(mistakes.in_file(path, &text)))
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
    /// Where all scenarios are, for what is included.
    folder: PathBuf,
    /// The steps that are read are those of another file.
    is_including: bool,
    /// The files whose steps stand here, in the order of their places.
    included: Vec<Included>,
    /// The first place that is in no file yet.
    free: usize,
}

/// The word of a line that stands for the lines of another file.
pub(super) const INCLUDE: &str = "include";

/// The extension of files that are included.
const INCLUDED: &str = "steps";

/// The folder of all scenarios, of which `name` says how far the file at `path` is below it.
fn folder_of(path: &Path, name: &str) -> PathBuf {
    let depth = name.split('/').count();
    path.ancestors().nth(depth).unwrap_or(path).to_owned()
}

impl Reader {
    fn read(mut self, text: &str, catalogue: &Catalogue, mistakes: &mut Mistakes) -> Self {
        self.free = text.len() + 1;
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
        if first.text == INCLUDE {
            return self.include(line, catalogue, mistakes);
        }
        if header::WORDS.contains(&first.text) {
            if self.is_including {
                let message = "a header line belongs to a scenario, and this is included in many";
                return mistakes.add(first.span(), message, None);
            }
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
            word if acts::ACTORS.contains(&word) => acts::read(line, mistakes),
            word if body::PLAIN.contains(&word) => body::plain(line, mistakes),
            word if body::is_prelude(word) => body::prelude(line, mistakes),
            _ => return refuse(line, mistakes),
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

    /// `include common/name`: the steps of a file, each at the place of this line.
    fn include(&mut self, line: &Line<'_>, catalogue: &Catalogue, mistakes: &mut Mistakes) {
        let [first, name] = line.words.as_slice() else {
            let at = line.words.first().map_or(0..0, Word::span);
            let help = Some("`include common/name`".to_owned());
            return mistakes.add(at, "after `include` there must be one name", help);
        };
        let is_plain = |part: &str| names::is_label(part);
        if self.is_including || !name.text.split('/').all(is_plain) {
            let message = match self.is_including {
                true => "what is included cannot include in turn".to_owned(),
                false => format!("`{}` is not the name of a file to include", name.text),
            };
            return mistakes.add(name.span(), message, None);
        }
        let path = self.folder.join(format!("{}.{INCLUDED}", name.text));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("cannot read {}: {error}", path.display());
                return mistakes.add(name.span(), message, None);
            }
        };
        let known = self.steps.len();
        self.is_including = true;
        for line in lexer::lines_at(self.free, &text, mistakes) {
            if !line.words.is_empty() {
                self.read_line(&line, catalogue, mistakes);
            }
        }
        self.is_including = false;
        for step in self.steps.iter_mut().skip(known) {
            step.line = line.number;
        }
        let begins = self.free;
        self.free += text.len() + 1;
        self.included.push(Included {
            begins,
            ends: self.free,
            by: first.at..name.span().end,
            line: line.number,
            source: Arc::new(NamedSource::new(path.display().to_string(), text)),
        });
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
        acts::check_needs(&self.header.needs, &self.steps, &self.spans, mistakes);
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
        let act = match &step.kind {
            StepKind::Act(act) => Some(act),
            _ => None,
        };
        match (subject, act) {
            (Subject::Pair, None) => {
                let message = "a pair has no scripted endpoint that could do this";
                let help =
                    Some("name a `client`, a `server` or `either` as the subject".to_owned());
                mistakes.add(span.clone(), message, help);
            }
            (_, Some(act)) if !acts::concerns(act, subject) => {
                let message = "on this side is the scripted endpoint, and nobody to act";
                let help = "name another subject, or `pair`".to_owned();
                mistakes.add(span.clone(), message, Some(help));
            }
            _ => {}
        }
    }
    check_held(steps, spans, mistakes);
    check_repeats(steps, spans, mistakes);
    body::check_variables(steps, spans, mistakes);
    match subject {
        Subject::Pair => acts::check_order(steps, spans, mistakes),
        Subject::Client | Subject::Server | Subject::Either => {
            acts::check_place(steps, spans, mistakes);
        }
    }
}

/// Each `repeat` has its `end`.
fn check_repeats(steps: &[Step], spans: &[Range<usize>], mistakes: &mut Mistakes) {
    let mut open: Vec<&Range<usize>> = Vec::new();
    for (step, span) in steps.iter().zip(spans) {
        match step.kind {
            StepKind::Repeat(_) => open.push(span),
            StepKind::End if open.pop().is_none() => {
                mistakes.add(span.clone(), "there is no `repeat` above this", None);
            }
            _ => {}
        }
    }
    for span in open {
        mistakes.add(span.clone(), "there is no `end` below this", None);
    }
}

/// What is held back must leave, and what waits for an answer cannot be held back.
fn check_held(steps: &[Step], spans: &[Range<usize>], mistakes: &mut Mistakes) {
    let mut held: Option<&Range<usize>> = None;
    for (step, span) in steps.iter().zip(spans) {
        match (&step.kind, held) {
            (StepKind::Hold, None) => held = Some(span),
            (StepKind::Release, Some(_)) => held = None,
            (StepKind::Hold, Some(_)) => {
                mistakes.add(span.clone(), "it is held back already", None);
            }
            (StepKind::Release, None) => {
                mistakes.add(span.clone(), "there is no `hold` above this", None);
            }
            (StepKind::Prelude(..), Some(_)) => {
                let message = "this would wait for answers to what is held back";
                mistakes.add(span.clone(), message, Some("`release` first".to_owned()));
            }
            _ => {}
        }
    }
    if let Some(span) = held {
        mistakes.add(span.clone(), "there is no `release` below this", None);
    }
}

fn refuse(line: &Line<'_>, mistakes: &mut Mistakes) {
    let Some(first) = line.words.first() else {
        return;
    };
    let mut known = vec![">", "<", expand::PARAM, INCLUDE];
    known.extend(acts::ACTORS);
    known.extend(header::WORDS);
    known.extend(body::PRELUDES.map(|(name, _)| name));
    known.extend(body::PLAIN);
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
