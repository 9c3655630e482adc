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

    /// Whether the other says the same of the same place, as of a file that both include.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let name = |error: &Self| error.file.as_ref().map(|file| file.name().to_owned());
        self.message == other.message && self.at == other.at && name(self) == name(other)
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
    /// Where it is in the file that is included at this place, if it is not in the file itself.
    inside: Option<Inside>,
}

/// A place in a file that another one includes.
#[derive(Debug)]
struct Inside {
    source: Arc<NamedSource<String>>,
    at: Range<usize>,
    /// The line that includes it.
    line: usize,
}

/// A file that another one includes, and which places are its own.
#[derive(Debug)]
pub(super) struct Included {
    /// The place of its first byte, which is behind all places of the file that includes it.
    pub(super) begins: usize,
    /// The first place that is not its own.
    pub(super) ends: usize,
    /// Where it is included, and in which line.
    pub(super) by: Range<usize>,
    pub(super) line: usize,
    pub(super) source: Arc<NamedSource<String>>,
}

impl Included {
    fn inside(&self, at: &Range<usize>) -> Inside {
        Inside {
            source: Arc::clone(&self.source),
            at: at.start - self.begins..at.end - self.begins,
            line: self.line,
        }
    }
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
            inside: None,
        });
    }

    /// Takes in the mistakes of a variant of the file, each at the place that `origin` says, or in
    /// the included file that it is in. What an earlier variant was refused for at the same place
    /// would be said again and again.
    pub(super) fn add_variant(
        &mut self,
        variant: Self,
        included: &[Included],
        origin: impl Fn(&Range<usize>) -> Range<usize>,
    ) {
        let known = self.0.len();
        for mistake in variant.0 {
            let file = included
                .iter()
                .find(|file| (file.begins..file.ends).contains(&mistake.at.start));
            let inside = file.map(|file| file.inside(&mistake.at));
            let at = origin(file.map_or(&mistake.at, |file| &file.by));
            let mistake = Mistake {
                at,
                inside,
                ..mistake
            };
            let mut earlier = self.0.iter().take(known);
            if !earlier.any(|earlier| earlier.place() == mistake.place()) {
                self.0.push(mistake);
            }
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
        self.0.sort_by_key(|mistake| {
            let (at, inside) = mistake.place();
            (at.start, inside.map(|inside| inside.start))
        });
        let file = Arc::new(NamedSource::new(
            path.display().to_string(),
            text.to_owned(),
        ));
        self.0
            .into_iter()
            .map(|mistake| mistake.in_file(path, &file))
            .collect()
    }
}

impl Mistake {
    /// Where it is in the file, and where in the one that is included there.
    fn place(&self) -> (&Range<usize>, Option<&Range<usize>>) {
        (&self.at, self.inside.as_ref().map(|inside| &inside.at))
    }

    fn in_file(self, path: &Path, file: &Arc<NamedSource<String>>) -> ScenarioError {
        let (file, at, help) = match self.inside {
            None => (file, self.at, self.help),
            Some(Inside {
                ref source,
                at,
                line,
            }) => {
                let by = format!("included in line {line} of {}", path.display());
                let help = self.help.map_or(by.clone(), |help| format!("{help}\n{by}"));
                (source, at, Some(help))
            }
        };
        ScenarioError {
            message: self.message,
            help,
            file: Some(Arc::clone(file)),
            at: Some(at.into()),
        }
    }
}
