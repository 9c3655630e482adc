//! `sshdrill run`.

use std::collections::BTreeSet;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::args::RunArgs;
use super::prepare::Request;
use super::{Exit, Stop, places};
use crate::peer::container;
use crate::report::files::Files;
use crate::report::record::Record;
use crate::report::terminal::Terminal;
use crate::report::{Clauses, Reporter, json, junit, summary};
use crate::requirement::Catalogue;
use crate::run::event::{Event, Tally};
use crate::run::executor::{Options, Play, execute};
use crate::run::interrupt::Interrupt;
use crate::run::panics;
use crate::run::plan::Plan;
use crate::run::play::{Cast, play};

/// Runs what is asked for and reports it.
pub(super) fn run(args: &RunArgs) -> Result<Exit, Stop> {
    if args.verbose {
        log_to_stderr();
    }
    panics::collect(args.verbose);
    let request = Request::read(args)?;
    let interrupt = Interrupt::on_signals(|| drop(container::remove_own()))
        .map_err(|e| Stop::new(Exit::Environment, format!("cannot listen for signals: {e}")))?;
    let (sender, events) = mpsc::channel();
    let ended = thread::scope(|scope| {
        let running = scope.spawn(|| conduct(args, &request, &interrupt, sender));
        let told = listen(args, &request.catalogue, &events);
        let tally = running
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        told.map_err(unwritable)?;
        Ok(if interrupt.is_raised() {
            Exit::Interrupted
        } else {
            Exit::of(&tally)
        })
    });
    leave_nothing_behind(ended)
}

/// Sees to it that no container outlives the run, however that ended.
fn leave_nothing_behind(ended: Result<Exit, Stop>) -> Result<Exit, Stop> {
    let Err(broken) = container::remove_own() else {
        return ended;
    };
    let exit = match ended? {
        Exit::AsExpected => Exit::Environment,
        worse => worse,
    };
    Err(Stop::because_of(exit, broken))
}

/// Everything that happens, told by events.
fn conduct(
    args: &RunArgs,
    request: &Request,
    interrupt: &Interrupt,
    events: Sender<Event>,
) -> Result<Tally, Stop> {
    let (plan, cast) = request.prepare(args, &events)?;
    if args.list {
        list(&plan, args.json.as_deref()).map_err(unwritable)?;
        return Ok(Tally::default());
    }
    let options = Options {
        jobs: args
            .jobs
            .or_else(|| thread::available_parallelism().ok())
            .map_or(1, NonZeroUsize::get),
        deadline: Duration::from_secs(args.timeout),
        one_at_a_time: one_at_a_time(&cast),
        interrupt: interrupt.clone(),
    };
    let run_case: Arc<Play> = Arc::new(move |case, deadline| play(case, &cast, deadline));
    let tally = execute(&plan, &options, &run_case, &events);
    // The reports are written while the peers go down, lest one that hangs keeps them from it.
    drop(events);
    Ok(tally)
}

fn one_at_a_time(cast: &Cast) -> BTreeSet<String> {
    let peers = cast
        .peers()
        .iter()
        .filter(|peer| peer.takes_one_case_at_a_time());
    peers.map(|peer| peer.info().id.clone()).collect()
}

/// Passes everything on to the reports until the run is over.
fn listen(args: &RunArgs, catalogue: &Catalogue, events: &Receiver<Event>) -> io::Result<()> {
    let files = Files::below(&args.out.clone().unwrap_or_else(places::out));
    let mut record = Record::default();
    let mut terminal = Terminal::new(clauses(catalogue), files.clone(), args.verbose);
    let mut written = Ok(());
    for event in events {
        record.on(&event)?;
        // The others still want to know when one report cannot be written.
        let now = files
            .clone()
            .on(&event)
            .and(ignoring_closed_pipe(terminal.on(&event)));
        written = written.and(now);
    }
    if let (Some(path), false) = (&args.junit, record.cases.is_empty()) {
        let of_case = |case: &_| files.of(case);
        let text =
            junit::render(&record, &*clauses(catalogue), &of_case).map_err(io::Error::other)?;
        write(path, &text)?;
    }
    if let (Some(path), false) = (&args.json, record.cases.is_empty()) {
        write(path, &json::render(&record)?)?;
    }
    written
}

/// Quotes clauses from the catalogue.
fn clauses(catalogue: &Catalogue) -> Box<Clauses> {
    let catalogue = catalogue.clone();
    Box::new(move |id| catalogue.get(id).map(ToString::to_string))
}

/// Whoever closed our stdout does not want more of it; that is no reason to stop.
fn ignoring_closed_pipe(written: io::Result<()>) -> io::Result<()> {
    written.or_else(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    })
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let name = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    std::fs::write(path, text).map_err(name)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that `map_err` wants"
)]
fn unwritable(error: io::Error) -> Stop {
    Stop::new(Exit::Environment, format!("cannot write a report: {error}"))
}

/// What would run, and what would not: for people, and for programs where they want it.
fn list(plan: &Plan, json: Option<&Path>) -> io::Result<()> {
    for case in &plan.cases {
        anstream::println!("{:<44} {}", case.scenario.name, case.pairing);
    }
    anstream::print!("{}", summary::left_out(&plan.left_out));
    let Some(path) = json else { return Ok(()) };
    let mut record = Record::default();
    record.on(&plan.told())?;
    write(path, &json::render(&record)?)
}

/// What the program itself logs; `RUST_LOG` can ask for more or less.
fn log_to_stderr() {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("sshdrill=debug"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
}
