//! `sshdrill run`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::args::RunArgs;
use super::prepare::Request;
use super::{Exit, Stop};
use crate::peer::{Broken, Peer, PeerInfo, container, remove_folders};
use crate::report::files::Files;
use crate::report::record::gather::Gather;
use crate::report::transcripts::Transcripts;
use crate::report::write::ignoring_closed_pipe;
use crate::report::{json, summary};
use crate::requirement::Catalogue;
use crate::run::event::{Case, Event, LeftOut, Tally};
use crate::run::executor::{Options, Order, Play, Tries, execute};
use crate::run::expect::Expectations;
use crate::run::interrupt::Interrupt;
use crate::run::panics;
use crate::run::plan::Plan;
use crate::run::play::{Cast, play};
use crate::scenario::Subject;

/// Runs what is asked for and reports it.
pub(super) fn run(args: &RunArgs) -> Result<Exit, Stop> {
    let request = Request::read(args)?;
    run_requested(args, &request, &begin(args, || {})?)
}

/// Runs what is asked for with the one peer that is found, and with nobody else. What is asked for
/// is read first, as somebody may have to start that peer; and signals are heard from then on, as it
/// may never come. `in_haste` is done when the program is ended on the spot.
pub(super) fn run_with<P: Peer + 'static>(
    args: &RunArgs,
    find: impl FnOnce(&Interrupt) -> Result<P, Broken>,
    in_haste: impl FnOnce() + Send + 'static,
) -> Result<Exit, Stop> {
    let request = Request::read(args)?;
    let interrupt = begin(args, in_haste)?;
    match find(&interrupt) {
        Ok(peer) => run_requested(args, &request.with(Arc::new(peer)), &interrupt),
        Err(_) if interrupt.is_raised() => stopped_alone(args, &request),
        Err(broken) => Err(Stop::because_of(Exit::Environment, broken)),
    }
}

/// Before anything is started: from here on a signal stops the run.
fn begin(args: &RunArgs, in_haste: impl FnOnce() + Send + 'static) -> Result<Interrupt, Stop> {
    if args.reports.verbose {
        log_to_stderr();
    }
    panics::collect(args.reports.verbose);
    let in_haste = || {
        in_haste();
        drop(container::remove_own());
        remove_folders();
    };
    Interrupt::on_signals(say_what_happens, in_haste)
        .map_err(|e| Stop::new(Exit::Environment, format!("cannot listen for signals: {e}")))
}

/// The reports of a run that was stopped before there was anybody to run it with.
fn stopped_alone(args: &RunArgs, request: &Request) -> Result<Exit, Stop> {
    let left_out = LeftOut {
        what: "every case".to_owned(),
        why: "the run was stopped before there was anybody to run it with".to_owned(),
        hint: None,
    };
    let plan = Plan {
        seed: request.seed(),
        // It holds no case of its part, and merging must not take it for that.
        shard: None,
        participants: Vec::new(),
        cases: Vec::new(),
        left_out: vec![left_out],
    };
    let (sender, events) = mpsc::channel();
    // The one who listens is the next line.
    let _ = sender.send(plan.told());
    let _ = sender.send(Event::Finished(Tally::default()));
    drop(sender);
    listen(args, &request.catalogue, &events).map_err(|error| Stop::unwritable(&error))?;
    Ok(Exit::Interrupted)
}

fn run_requested(args: &RunArgs, request: &Request, interrupt: &Interrupt) -> Result<Exit, Stop> {
    let (sender, events) = mpsc::channel();
    let run = || {
        thread::scope(|scope| {
            let running = scope.spawn(|| conduct(args, request, interrupt, sender));
            let told = listen(args, &request.catalogue, &events);
            let ended = running
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            told.map_err(|error| Stop::unwritable(&error))?;
            // What goes wrong with a peer from then on says nothing.
            if interrupt.is_raised() {
                return Ok(Exit::Interrupted);
            }
            Ok(Exit::of(&ended?))
        })
    };
    let (ended, removed) = container::leaving_none(run);
    remove_folders();
    both(ended, removed)
}

/// Containers that stay are an error that hides no other.
fn both(ended: Result<Exit, Stop>, removed: Result<(), Broken>) -> Result<Exit, Stop> {
    let Err(broken) = removed else {
        return ended;
    };
    let exit = match ended? {
        Exit::AsExpected => Exit::Environment,
        worse => worse,
    };
    Err(Stop::because_of(exit, broken))
}

/// What is being built or run goes on for a while, and whoever asked it to end should know why.
fn say_what_happens() {
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(
        anstream::stderr(),
        "\nstopping: waits for what has begun, and writes the reports; once more ends it at once"
    );
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
            .map_err(|error| Stop::unwritable(&error))?;
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
        at_a_time: at_a_time(&cast),
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

/// Cases at a time where nobody says. They wait for sockets and sleeps more than for a processor: with
/// twelve for each, both processors of two rested in the first seconds.
pub(super) fn usual_jobs() -> NonZeroUsize {
    const FOR_EACH_PROCESSOR: NonZeroUsize = NonZeroUsize::new(16).expect("sixteen is not zero");
    let processors = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    processors.saturating_mul(FOR_EACH_PROCESSOR)
}

/// Pairs move megabytes, some scenarios wait for the clock, and what is known not to pass mostly waits
/// for something that does not come.
fn long(plan: &Plan, known: &Expectations, peers: &[PeerInfo]) -> BTreeSet<usize> {
    const LONG: Duration = Duration::from_secs(1);
    let is_long = |case: &Case| {
        let scenario = &case.scenario;
        scenario.subject == Subject::Pair || scenario.waits() >= LONG || known.know(case, peers)
    };
    let places = plan.cases.iter().enumerate();
    places
        .filter_map(|(at, case)| is_long(case).then_some(at))
        .collect()
}

fn at_a_time(cast: &Cast) -> BTreeMap<String, NonZeroUsize> {
    let limit = |peer: &Arc<dyn Peer>| Some((peer.info().id.clone(), peer.cases_at_a_time()?));
    cast.peers().iter().filter_map(limit).collect()
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
    use super::*;

    #[test]
    fn containers_that_stay_are_an_error_that_hides_no_other() {
        for (ended, code) in [
            (Exit::AsExpected, Exit::Environment),
            (Exit::NotAsExpected, Exit::NotAsExpected),
        ] {
            let stop = both(Ok(ended), Err(Broken::new("it stays"))).expect_err("it stays");
            assert_eq!((stop.exit, &*stop.what), (code, "it stays"));
        }
        assert_eq!(
            both(Ok(Exit::AsExpected), Ok(())).ok(),
            Some(Exit::AsExpected)
        );
    }
}
