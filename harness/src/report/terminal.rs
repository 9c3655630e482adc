//! What a person sees while a run goes on and when it ends.
//!
//! What is not a plain pass is told when it happens. Beside that a bar moves on a terminal, and
//! elsewhere each scenario is a line, so that the log of a job shows that it goes on. The bar goes
//! to stderr, the rest to stdout.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use owo_colors::OwoColorize;

use super::record::gather::Gather;
use super::record::{Case, Record};
use super::sign::Sign;
use super::tint::{tinted, word};
use super::{explain, summary};
use crate::run::event::{self, Event};
use crate::verdict::Verdict;
use crate::wording::count;

/// How often the bar's clock moves while nothing else happens.
const TICK: Duration = Duration::from_millis(200);

/// Cases that are told in full; what comes after them has a common cause more often than not.
const TOLD_MAX: usize = 12;

/// The report for the person at the keyboard.
pub struct Terminal {
    /// Every case gets a line.
    verbose: bool,
    /// How many cases were told in full.
    told: usize,
    bar: Option<ProgressBar>,
}

impl Terminal {
    /// Prints to stdout and stderr.
    #[must_use]
    pub fn new(verbose: bool) -> Self {
        let bar = io::stderr().is_terminal().then(spinner);
        Self {
            verbose,
            told: 0,
            bar,
        }
    }

    /// Tells the next thing that happened, which `gather` has taken in already.
    ///
    /// # Errors
    /// The system's.
    pub fn on(&mut self, event: &Event, gather: &Gather) -> io::Result<()> {
        match event {
            Event::Preparing(what) => self.on_preparing(what),
            Event::Planned { .. } => self.on_planned(gather.record()),
            Event::CaseStarted(case) => {
                self.on_case_started(case);
                Ok(())
            }
            Event::CaseFinished { case, .. } => match gather.find(case) {
                Some(case) => self.on_case_finished(case, gather),
                None => Ok(()),
            },
            Event::Finished(_) => self.on_finished(gather.record()),
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

    fn on_planned(&self, record: &Record) -> io::Result<()> {
        if let Some(bar) = &self.bar {
            bar.set_length(record.cases.len() as u64);
            bar.set_style(bar_style());
            bar.reset_elapsed();
        }
        let mut text = String::new();
        for participant in &record.participants {
            let _ = writeln!(text, "{:<18} {}", participant.id, participant.version);
        }
        let (cases, seed) = (count(record.cases.len(), "case"), record.seed);
        self.print(&format!("{text}{cases}, seed {seed}\n\n"))
    }

    fn on_case_started(&self, case: &event::Case) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} {}", case.scenario.name, case.pairing));
        }
    }

    fn on_case_finished(&mut self, case: &Case, gather: &Gather) -> io::Result<()> {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
        match case.verdict {
            _ if case.known.is_some() && case.surprise => {
                let text = self.explain(gather.record(), case);
                self.print(&format!("\n{text}\n"))?;
            }
            _ if case.known.is_some() && !self.verbose => {}
            Some(Verdict::Pass | Verdict::Unsupported) | None if self.verbose => {
                self.print(&line(case))?;
            }
            Some(Verdict::Pass | Verdict::Unsupported) | None => {}
            Some(Verdict::Deviation | Verdict::Fail | Verdict::Broken) => {
                let text = self.explain(gather.record(), case);
                self.print(&format!("\n{text}\n"))?;
            }
        }
        if self.bar.is_none() && !self.verbose {
            self.on_scenario_finished(&case.scenario, gather)?;
        }
        Ok(())
    }

    /// In full, unless so many were that more would not help.
    fn explain(&mut self, record: &Record, case: &Case) -> String {
        self.told += 1;
        let in_short = "(from here on in short; --markdown and --html have all in full)";
        match self.told.cmp(&(TOLD_MAX + 1)) {
            Ordering::Less => explain::render(record, case),
            Ordering::Equal => format!("{in_short}\n\n{}", explain::brief(record, case)),
            Ordering::Greater => explain::brief(record, case),
        }
    }

    /// A line for the scenario, if this was the last of its cases.
    fn on_scenario_finished(&self, name: &str, gather: &Gather) -> io::Result<()> {
        match gather.tally_of(name) {
            Some(tally) => self.print(&format!("{name:<44} {}\n", summary::verdicts(&tally))),
            None => Ok(()),
        }
    }

    fn on_finished(&mut self, record: &Record) -> io::Result<()> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.print(&format!("\n{}", summary::render(record, width())))
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
fn line(case: &Case) -> String {
    let verdict = case.verdict.map_or_else(String::new, |verdict| {
        tinted(&format!("{:<6}", word(verdict)), verdict)
    });
    let pairing = case.pairing().to_string();
    let known = match Sign::of(case) {
        Some(sign) if sign.is_as_known() => ", as known",
        _ => "",
    };
    let took = format!("{} ms{known}", case.took_ms);
    format!(
        "{verdict}{:<42} {pairing:<32} {}\n",
        case.scenario,
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
