//! What a person sees while a run goes on and when it ends.
//!
//! What is not a plain pass is told when it happens. Beside that a bar moves on a terminal, and
//! elsewhere each scenario is a line, so that the log of a job shows that it goes on. The bar goes
//! to stderr, the rest to stdout.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use owo_colors::OwoColorize;

use super::files::Files;
use super::record::Record;
use super::tint::{tinted, word};
use super::{Clauses, Reporter, ladder, summary};
use crate::run::event::{Case, Event};
use crate::verdict::{Outcome, Verdict};

/// How often the bar's clock moves while nothing else happens.
const TICK: Duration = Duration::from_millis(200);

/// Cases that are told in full; what comes after them has a common cause more often than not.
const TOLD_MAX: usize = 12;

/// The report for the person at the keyboard.
pub struct Terminal {
    record: Record,
    clauses: Box<Clauses>,
    files: Files,
    /// Every case gets a line.
    verbose: bool,
    /// How many cases were told in full.
    told: usize,
    bar: Option<ProgressBar>,
    started: Instant,
}

impl Terminal {
    /// Prints to stdout and stderr. `files` is where the rest of a case can be found.
    #[must_use]
    pub fn new(clauses: Box<Clauses>, files: Files, verbose: bool) -> Self {
        let bar = io::stderr().is_terminal().then(spinner);
        Self {
            record: Record::default(),
            clauses,
            files,
            verbose,
            told: 0,
            bar,
            started: Instant::now(),
        }
    }

    /// Prints without tearing the bar; colours go where colours are wanted.
    fn print(&self, text: &str) -> io::Result<()> {
        let print = || {
            let mut stdout = anstream::stdout().lock();
            stdout.write_all(text.as_bytes())?;
            stdout.flush()
        };
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn on_preparing(&self, what: &str) -> io::Result<()> {
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None => self.print(&format!("{what}\n"))?,
        }
        Ok(())
    }

    fn on_planned(&self) -> io::Result<()> {
        if let Some(bar) = &self.bar {
            bar.set_length(self.record.cases.len() as u64);
            bar.set_style(bar_style());
            bar.reset_elapsed();
        }
        let mut text = String::new();
        for participant in &self.record.participants {
            let _ = writeln!(text, "{:<18} {}", participant.id, participant.version);
        }
        self.print(&format!(
            "{text}{} cases, seed {:#x}\n\n",
            self.record.cases.len(),
            self.record.seed
        ))
    }

    fn on_case_started(&self, case: &Case) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} {}", case.scenario.name, case.pairing));
        }
    }

    fn on_case_finished(&mut self, case: &Case, outcome: &Outcome) -> io::Result<()> {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
        match outcome.verdict {
            Verdict::Pass | Verdict::Unsupported if self.verbose => {
                self.print(&line(case, outcome))?;
            }
            Verdict::Pass | Verdict::Unsupported => {}
            Verdict::Deviation | Verdict::Fail | Verdict::Broken => {
                let text = self.explain(case, outcome);
                self.print(&format!("\n{text}\n"))?;
            }
        }
        if self.bar.is_none() && !self.verbose {
            self.on_scenario_finished(&case.scenario.name)?;
        }
        Ok(())
    }

    /// In full, unless so many were that more would not help.
    fn explain(&mut self, case: &Case, outcome: &Outcome) -> String {
        let files = self.files.of(case);
        self.told += 1;
        if self.told > TOLD_MAX {
            return ladder::brief(case, outcome, &self.record, &files);
        }
        ladder::render(case, outcome, &self.record, &*self.clauses, &files)
    }

    /// A line for the scenario, if this was the last of its cases.
    fn on_scenario_finished(&self, name: &str) -> io::Result<()> {
        match self.record.tally_of(name) {
            Some(tally) => self.print(&format!("{name:<44} {}\n", summary::verdicts(&tally))),
            None => Ok(()),
        }
    }

    fn on_finished(&mut self) -> io::Result<()> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let text = summary::render(&self.record, self.started.elapsed(), width());
        self.print(&format!("\n{text}"))
    }
}

impl Reporter for Terminal {
    fn on(&mut self, event: &Event) -> io::Result<()> {
        self.record.on(event)?;
        match event {
            Event::Preparing(what) => self.on_preparing(what),
            Event::Planned { .. } => self.on_planned(),
            Event::CaseStarted(case) => {
                self.on_case_started(case);
                Ok(())
            }
            Event::CaseFinished { case, outcome } => self.on_case_finished(case, outcome),
            Event::Finished(_) => self.on_finished(),
        }
    }
}

/// How many columns there are, where that means something.
fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    match size {
        Ok(size) if size.ws_col > 0 => size.ws_col.into(),
        _ => usize::MAX,
    }
}

/// One case on one line.
fn line(case: &Case, outcome: &Outcome) -> String {
    let verdict = tinted(&format!("{:<6}", word(outcome.verdict)), outcome.verdict);
    let took = format!("{} ms", outcome.took.as_millis());
    format!(
        "{verdict}{:<42} {:<32} {}\n",
        case.scenario.name,
        case.pairing.to_string(),
        took.dimmed()
    )
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.set_message("looking for peers and starting them");
    bar.enable_steady_tick(TICK);
    bar
}

fn bar_style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
