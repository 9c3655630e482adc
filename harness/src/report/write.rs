//! Everything that is told of a run, in one place: the terminal while it goes on, the files of each
//! case as it ends, the reports at the end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files::{Files, Keep};
use super::record::Record;
use super::record::gather::Gather;
use super::terminal::Terminal;
use super::transcripts::Transcripts;
use super::{html, json, junit, markdown};
use crate::requirement::Catalogue;
use crate::run::event::Event;

/// Which reports are wanted, and where.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The JSON report.
    pub json: Option<PathBuf>,
    /// The page.
    pub html: Option<PathBuf>,
    /// The Markdown report.
    pub markdown: Option<PathBuf>,
    /// The `JUnit` report.
    pub junit: Option<PathBuf>,
}

impl Wanted {
    /// Writes those that are wanted.
    ///
    /// # Errors
    /// The first that cannot be written, with its path; the others are written all the same.
    pub fn write(&self, record: &Record) -> io::Result<()> {
        let json = |_: &Path| json::render(record).map_err(io::Error::other);
        let html = |path: &Path| html::render(record, path);
        let markdown = |_: &Path| Ok(markdown::render(record));
        let junit = |_: &Path| junit::render(record).map_err(io::Error::other);
        let written = [
            write(self.json.as_deref(), json),
            write(self.html.as_deref(), html),
            write(self.markdown.as_deref(), markdown),
            write(self.junit.as_deref(), junit),
        ];
        written.into_iter().collect()
    }
}

fn write(path: Option<&Path>, render: impl FnOnce(&Path) -> io::Result<String>) -> io::Result<()> {
    let Some(path) = path else { return Ok(()) };
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    parent
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(path, render(path)?))
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// Follows a run and tells it.
pub struct Reports {
    gather: Gather,
    files: Files,
    transcripts: Transcripts,
    terminal: Terminal,
    wanted: Wanted,
    is_planned: bool,
    told: io::Result<()>,
}

impl Reports {
    /// For a run that begins now: files of cases go below `out`.
    #[must_use]
    pub fn new(
        catalogue: &Catalogue,
        out: &Path,
        keep: Keep,
        wanted: Wanted,
        verbose: bool,
    ) -> Self {
        let files = Files::below(out, keep);
        Self {
            gather: Gather::new(catalogue.clone(), files.clone()),
            transcripts: Transcripts::beside(files.clone()),
            files,
            terminal: Terminal::new(verbose),
            wanted,
            is_planned: false,
            told: Ok(()),
        }
    }

    /// Takes in the next thing that happened. What cannot be written is said at the end: the other
    /// reports still want to know.
    pub fn on(&mut self, event: &Event) {
        self.gather.on(event);
        self.is_planned |= matches!(event, Event::Planned { .. });
        let filed = match event {
            Event::CaseFinished { case, outcome } => match self.gather.find(case) {
                Some(told) => self.files.write(case, outcome, self.gather.record(), told),
                None => Ok(()),
            },
            _ => Ok(()),
        };
        let filed = filed.and(self.transcripts.on(event));
        let said = ignoring_closed_pipe(self.terminal.on(event, &self.gather));
        let told = std::mem::replace(&mut self.told, Ok(()));
        self.told = told.and(filed).and(said);
    }

    /// Writes the reports that are wanted, if anything was planned at all.
    ///
    /// # Errors
    /// The first thing that could not be written since the run began.
    pub fn finish(self) -> io::Result<()> {
        let record = self.gather.into_record();
        // A shard that has no case is a part of the run all the same.
        let written = match self.is_planned {
            true => self.wanted.write(&record),
            false => Ok(()),
        };
        self.told.and(written)
    }
}

/// Whoever closed our stdout does not want more of it; that is no reason to stop.
pub(crate) fn ignoring_closed_pipe(written: io::Result<()>) -> io::Result<()> {
    written.or_else(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    })
}
