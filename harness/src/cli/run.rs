//! `sshdrill run`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::args::RunArgs;
use super::prepare::Request;
use super::{Exit, Stop};
use crate::peer::{Broken, Peer, PeerInfo, container};
use crate::report::files::Files;
use crate::report::record::gather::Gather;
use crate::report::transcripts::Transcripts;
use crate::report::write::ignoring_closed_pipe;
use crate::report::{json, summary};
use crate::requirement::Catalogue;
use crate::run::event::{Case, Event, Tally};
use crate::run::executor::{Options, Order, Play, Tries, execute};
use crate::run::expect::Expectations;
use crate::run::interrupt::Interrupt;
use crate::run::panics;
use crate::run::plan::Plan;
use crate::run::play::{Cast, play};
use crate::scenario::Subject;

/// Runs what is asked for and reports it.
pub(super) fn run(args: &RunArgs) -> Result<Exit, Stop> {
    run_peers(args, None)
}

/// Runs what is asked for with this one peer, and with nobody else.
pub(super) fn run_with(args: &RunArgs, peer: Arc<dyn Peer>) -> Result<Exit, Stop> {
    run_peers(args, Some(peer))
}

fn run_peers(args: &RunArgs, given: Option<Arc<dyn Peer>>) -> Result<Exit, Stop> {
    if args.reports.verbose {
        log_to_stderr();
    }
    panics::collect(args.reports.verbose);
    let request = Request::read(args, given)?;
    let interrupt = Interrupt::on_signals(|| drop(container::remove_own()))
        .map_err(|e| Stop::new(Exit::Environment, format!("cannot listen for signals: {e}")))?;
    let (sender, events) = mpsc::channel();
    let run = || {
        thread::scope(|scope| {
            let running = scope.spawn(|| conduct(args, &request, &interrupt, sender));
            let told = listen(args, &request.catalogue, &events);
            let tally = running
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            told.map_err(|error| unwritable(&error))?;
            Ok(if interrupt.is_raised() {
                Exit::Interrupted
            } else {
                Exit::of(&tally)
            })
        })
    };
    leave_nothing_behind(run, container::remove_own)
}

/// Sees to it that no container outlives the run, however that ends, be it by a panic of ours.
fn leave_nothing_behind(
    run: impl FnOnce() -> Result<Exit, Stop>,
    clean: impl FnOnce() -> Result<(), Broken>,
) -> Result<Exit, Stop> {
    // Nothing of the run is looked at again.
    let ended = panic::catch_unwind(AssertUnwindSafe(run));
    let cleaned = clean();
    let ended = ended.unwrap_or_else(|words| panic::resume_unwind(words));
    let Err(broken) = cleaned else {
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
    let (mut plan, cast) = request.prepare(args, &events)?;
    if let Some(recording) = &args.recording {
        recording.narrow(&mut plan);
    }
    if args.list {
        list(&plan, &request.catalogue, args.reports.json.as_deref())
            .map_err(|error| unwritable(&error))?;
        return Ok(Tally::default());
    }
    let peers: Vec<PeerInfo> = cast
        .peers()
        .iter()
        .map(|peer| peer.info().clone())
        .collect();
    let known = request.expectations();
    let options = Options {
        jobs: args.jobs.unwrap_or_else(usual_jobs),
        tries: match args.retries {
            0 => Tries::Repeated(args.repeat),
            retries => Tries::UntilExpected(NonZeroUsize::MIN.saturating_add(retries)),
        },
        order: if args.shuffle {
            Order::Shuffled
        } else {
            Order::Planned
        },
        fail_fast: args.fail_fast,
        deadline: Duration::from_secs(args.timeout),
        one_at_a_time: one_at_a_time(&cast),
        long: long(&plan, &known, &peers),
        interrupt: interrupt.clone(),
    };
    let run_case: Arc<Play> =
        Arc::new(move |case, deadline| known.compare(case, &peers, play(case, &cast, deadline)));
    let tally = execute(&plan, &options, &run_case, &events);
    // The reports are written while the peers go down, lest one that hangs keeps them from it.
    drop(events);
    Ok(tally)
}

/// Cases at a time where nobody says. They wait for sockets and sleeps more than for a processor.
pub(super) fn usual_jobs() -> NonZeroUsize {
    const FOR_EACH_PROCESSOR: NonZeroUsize = NonZeroUsize::new(8).expect("eight is not zero");
    let processors = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    processors.saturating_mul(FOR_EACH_PROCESSOR)
}

/// Pairs move megabytes, and what is known not to pass mostly waits for something that does not come.
fn long(plan: &Plan, known: &Expectations, peers: &[PeerInfo]) -> BTreeSet<usize> {
    let is_long = |case: &Case| case.scenario.subject == Subject::Pair || known.know(case, peers);
    let places = plan.cases.iter().enumerate();
    places
        .filter_map(|(at, case)| is_long(case).then_some(at))
        .collect()
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
    let mut reports = args.reports.begin(catalogue);
    let mut recorder = args
        .recording
        .as_ref()
        .map(|to| Transcripts::into(&to.folder));
    let mut written = Ok(());
    for event in events {
        reports.on(&event);
        if let Some(recorder) = &mut recorder {
            written = written.and(recorder.on(&event));
        }
    }
    written.and(reports.finish())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let name = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    std::fs::write(path, text).map_err(name)
}

/// The error has the path in it, where there is one.
fn unwritable(error: &io::Error) -> Stop {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room, or write elsewhere: --out, --junit and --json say where"
        }
        _ => "--out, --junit and --json say where; the folder of a file must be there and writable",
    };
    let what = format!("cannot write a report: {error}");
    Stop::new(Exit::Environment, what).hint(hint)
}

/// What would run, and what would not: for people, and for programs where they want it.
fn list(plan: &Plan, catalogue: &Catalogue, json: Option<&Path>) -> io::Result<()> {
    let mut text = String::new();
    for case in &plan.cases {
        let _ = writeln!(text, "{:<44} {}", case.scenario.name, case.pairing);
    }
    text.push_str(&summary::left_out(&plan.left_out, usize::MAX));
    ignoring_closed_pipe(anstream::stdout().lock().write_all(text.as_bytes()))?;
    let Some(path) = json else { return Ok(()) };
    let mut gather = Gather::new(catalogue.clone(), Files::default());
    gather.on(&plan.told());
    write(path, &json::render(gather.record())?)
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn containers_go_also_after_a_panic_and_the_panic_is_not_swallowed() {
        let cleaned = Cell::new(false);
        let clean = || {
            cleaned.set(true);
            Ok(())
        };
        let run = || leave_nothing_behind(|| panic!("out of cheese"), clean);
        let panicked = panic::catch_unwind(AssertUnwindSafe(run));
        assert!(panicked.is_err() && cleaned.get());
    }

    #[test]
    fn containers_that_stay_are_an_error_that_hides_no_other() {
        let clean = || Err(Broken::new("it stays"));
        let stop = leave_nothing_behind(|| Ok(Exit::AsExpected), clean).expect_err("it stays");
        assert_eq!((stop.exit, &*stop.what), (Exit::Environment, "it stays"));
        let stop = leave_nothing_behind(|| Ok(Exit::NotAsExpected), clean).expect_err("it stays");
        assert_eq!(stop.exit, Exit::NotAsExpected);
    }
}
