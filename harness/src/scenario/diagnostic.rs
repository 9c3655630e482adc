//! What is wrong with scenario files: every mistake with its file, line, caret and help.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, NamedSource, SourceSpan};

/// One mistake.
#[derive(Debug, Clone, thiserror::Error, Diagnostic)]
#[error("{message}")]
pub struct ScenarioError {
    /// What is wrong.
    message: String,
    /// What to do about it.
    #[help]
    help: Option<String>,
    /// The file; `None` when it could not be read.
    #[source_code]
    file: Option<Arc<NamedSource<String>>>,
    /// Where in the file.
    #[label]
    at: Option<SourceSpan>,
}

impl ScenarioError {
    /// A mistake that is not inside a file's text, such as a folder that cannot be read.
    pub(super) fn without_place(message: String, help: Option<String>) -> Self {
        Self {
            message,
            help,
            file: None,
            at: None,
        }
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// All mistakes of all files that were read; never empty.
#[derive(Debug, Clone, thiserror::Error)]
pub struct ScenarioErrors(pub(super) Vec<ScenarioError>);

impl ScenarioErrors {
    /// The mistakes in the order of the files and of the lines.
    pub fn iter(&self) -> impl Iterator<Item = &ScenarioError> {
        self.0.iter()
    }

    /// The text for a person: each mistake with its excerpt and caret.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let theme = if colour {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(100);
        let mut text = String::new();
        for error in &self.0 {
            if handler.render_report(&mut text, error).is_err() {
                // The excerpt could not be drawn; the sentence must still be seen.
                text.push_str(&error.message);
            }
            text.push('\n');
        }
        text
    }
}

impl fmt::Display for ScenarioErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// Collects the mistakes of one file, so that reading goes on after each.
#[derive(Debug, Default)]
pub(super) struct Mistakes(Vec<Mistake>);

#[derive(Debug)]
struct Mistake {
    at: Range<usize>,
    message: String,
    help: Option<String>,
}

impl Mistakes {
    /// Notes a mistake at a byte range of the file.
    pub(super) fn add(
        &mut self,
        at: Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.0.push(Mistake {
            at,
            message: message.into(),
            help,
        });
    }

    /// Takes in the mistakes of a variant of the file, each at the place that `origin` says. What
    /// an earlier variant was refused for at the same place would be said again and again.
    pub(super) fn add_variant(
        &mut self,
        variant: Self,
        origin: impl Fn(&Range<usize>) -> Range<usize>,
    ) {
        let known = self.0.len();
        for mistake in variant.0 {
            let at = origin(&mistake.at);
            if !self.0.iter().take(known).any(|earlier| earlier.at == at) {
                self.0.push(Mistake { at, ..mistake });
            }
        }
    }

    /// The mistakes of a text that was included at `at`, each with its line there.
    pub(super) fn add_included(
        &mut self,
        included: Self,
        name: &str,
        text: &str,
        at: &Range<usize>,
    ) {
        for mistake in included.0 {
            let before = text.get(..mistake.at.start).unwrap_or(text);
            let line = before.matches('\n').count() + 1;
            let message = format!("{name}, line {line}: {}", mistake.message);
            self.add(at.clone(), message, mistake.help);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mistakes with their file, in the order of the lines.
    pub(super) fn in_file(mut self, path: &Path, text: &str) -> Vec<ScenarioError> {
        self.0.sort_by_key(|mistake| mistake.at.start);
        let file = Arc::new(NamedSource::new(
            path.display().to_string(),
            text.to_owned(),
        ));
        self.0
            .into_iter()
            .map(|Mistake { at, message, help }| ScenarioError {
                message,
                help,
                file: Some(Arc::clone(&file)),
                at: Some(at.into()),
            })
            .collect()
    }
}
