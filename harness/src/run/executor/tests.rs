use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::fake;
use crate::verdict::Verdict;

fn plan_of(names: &[&str]) -> Plan {
    let case = |name: &&str| Arc::new(fake::case(fake::scenario(name), "minissh", "other"));
    Plan {
        seed: 1,
        participants: Vec::new(),
        cases: names.iter().map(case).collect(),
        left_out: Vec::new(),
    }
}

fn options() -> Options {
    Options {
        jobs: 3,
        deadline: fake::LONG,
        one_at_a_time: BTreeSet::new(),
        interrupt: Interrupt::default(),
    }
}

/// Runs the cases and returns the tally and the verdict of each, by name.
fn run(
    names: &[&str],
    options: &Options,
    play: impl Fn(&Case, Duration) -> Outcome + Send + Sync + 'static,
) -> (Tally, Vec<(String, Verdict)>) {
    let (tally, outcomes) = outcomes(names, options, play);
    let verdict = |(name, outcome): (String, Arc<Outcome>)| (name, outcome.verdict);
    (tally, outcomes.into_iter().map(verdict).collect())
}

/// Runs the cases and returns the tally and the outcome of each, by name.
fn outcomes(
    names: &[&str],
    options: &Options,
    play: impl Fn(&Case, Duration) -> Outcome + Send + Sync + 'static,
) -> (Tally, Vec<(String, Arc<Outcome>)>) {
    let (sender, events) = mpsc::channel();
    let play: Arc<Play> = Arc::new(play);
    let tally = execute(&plan_of(names), options, &play, &sender);
    drop(sender);
    let mut outcomes: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::CaseFinished { case, outcome } => Some((case.scenario.name.clone(), outcome)),
            _ => None,
        })
        .collect();
    outcomes.sort_by(|(a, _), (b, _)| a.cmp(b));
    (tally, outcomes)
}

#[test]
fn a_panic_breaks_its_case_and_no_other() {
    let (tally, verdicts) = run(&["a/calm", "b/panics", "c/calm"], &options(), |case, _| {
        assert!(case.scenario.name != "b/panics", "out of cheese");
        Outcome::passed()
    });
    let expected = [
        ("a/calm".to_owned(), Verdict::Pass),
        ("b/panics".to_owned(), Verdict::Broken),
        ("c/calm".to_owned(), Verdict::Pass),
    ];
    assert_eq!(verdicts, expected);
    assert_eq!(
        tally,
        Tally {
            pass: 2,
            broken: 1,
            ..Tally::default()
        }
    );
}

/// Also one on a thread beside it, which nobody else would hear of.
#[test]
fn a_panic_is_told_with_its_words_and_place() {
    super::super::panics::collect(false);
    let (_, outcomes) = outcomes(&["a/panics", "b/beside"], &options(), |case, _| {
        assert!(case.scenario.name != "a/panics", "out of cheese");
        let name = thread::current().name().expect("it has one").to_owned();
        let beside = thread::Builder::new().name(name);
        let beside = beside.spawn(|| panic!("out of wine")).expect("a thread");
        drop(beside.join());
        Outcome::passed()
    });
    for ((_, outcome), words) in outcomes.iter().zip(["out of cheese", "out of wine"]) {
        let actual = &outcome.failure.as_ref().expect("it is broken").actual;
        assert_eq!(outcome.verdict, Verdict::Broken);
        assert!(
            actual.contains(words) && actual.contains("tests.rs:"),
            "{actual}"
        );
    }
}

/// The grace is the executor's own; a hanging case costs it and the deadline and not more.
#[test]
fn a_case_that_hangs_is_left_behind() {
    let options = Options {
        deadline: Duration::ZERO,
        ..options()
    };
    let (tally, _) = run(&["a/hangs", "b/calm"], &options, |case, _| {
        if case.scenario.name == "a/hangs" {
            thread::sleep(fake::LONG);
        }
        Outcome::passed()
    });
    assert_eq!(
        tally,
        Tally {
            pass: 1,
            broken: 1,
            ..Tally::default()
        }
    );
}

#[test]
fn a_peer_that_takes_one_at_a_time_gets_one_at_a_time() {
    static PLAYING: AtomicUsize = AtomicUsize::new(0);
    let one_at_a_time = BTreeSet::from(["other".to_owned()]);
    let options = Options {
        one_at_a_time,
        ..options()
    };
    let (tally, _) = run(&["a/a", "b/b", "c/c", "d/d"], &options, |_, _| {
        assert_eq!(PLAYING.fetch_add(1, Ordering::SeqCst), 0);
        thread::sleep(Duration::from_millis(5));
        PLAYING.fetch_sub(1, Ordering::SeqCst);
        Outcome::passed()
    });
    assert_eq!(tally.pass, 4);
}

/// The case during which somebody pressed Ctrl-C still counts when it ends in time; the rest does not run.
#[test]
fn an_interrupted_run_ends_early_and_says_what_it_knows() {
    let options = Options {
        jobs: 1,
        ..options()
    };
    let interrupt = options.interrupt.clone();
    let (tally, verdicts) = run(&["a/a", "b/b", "c/c"], &options, move |_, _| {
        interrupt.raise();
        Outcome::passed()
    });
    assert_eq!((tally.total(), verdicts.len()), (1, 1));
}
