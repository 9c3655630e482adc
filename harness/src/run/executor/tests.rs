use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::fake;
use crate::scenario::StepKind;
use crate::verdict::{Known, Log, Verdict};

fn plan_of(names: &[&str]) -> Plan {
    let case = |name: &&str| Arc::new(fake::case(fake::scenario(name), "minissh", "other"));
    Plan {
        seed: 1,
        shard: None,
        participants: Vec::new(),
        cases: names.iter().map(case).collect(),
        left_out: Vec::new(),
    }
}

fn options() -> Options {
    Options {
        jobs: NonZeroUsize::new(3).expect("not zero"),
        tries: Tries::ONE,
        order: Order::Planned,
        fail_fast: false,
        deadline: fake::LONG,
        at_a_time: BTreeMap::new(),
        long: BTreeSet::new(),
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
fn a_peer_that_takes_so_many_at_a_time_gets_no_more() {
    for limit in [1, 2] {
        let playing = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let (count, high) = (Arc::clone(&playing), Arc::clone(&most));
        let (tally, _) = run(
            &["a/a", "b/b", "c/c", "d/d"],
            &limited(limit),
            move |_, _| {
                let now = count.fetch_add(1, Ordering::SeqCst) + 1;
                high.fetch_max(now, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(5));
                count.fetch_sub(1, Ordering::SeqCst);
                Outcome::passed()
            },
        );
        assert_eq!(tally.pass, 4);
        assert!(most.load(Ordering::SeqCst) <= limit);
    }
}

/// The same in the queue, where it is not up to the threads who comes first.
#[test]
fn so_many_of_a_peer_are_out_and_the_next_comes_when_one_is_back() {
    let cases = ["a/a", "b/b", "c/c"]
        .map(|name| Arc::new(fake::case(fake::scenario(name), "minissh", "other")));
    let options = limited(2);
    let queue = Queue::new(&cases, &options);
    let turns = [queue.take(), queue.take()].map(|turn| turn.expect("there are three"));
    thread::scope(|scope| {
        let third = scope.spawn(|| queue.take());
        thread::sleep(Duration::from_millis(20));
        assert!(!third.is_finished(), "two are out");
        queue.give_back(&turns[1]);
        assert!(third.join().expect("it does not panic").is_some());
    });
}

fn limited(cases: usize) -> Options {
    let limit = NonZeroUsize::new(cases).expect("it is not zero");
    Options {
        at_a_time: [("other".to_owned(), limit)].into(),
        ..options()
    }
}

/// The case during which somebody pressed Ctrl-C still counts when it ends in time; the rest does not run.
#[test]
fn an_interrupted_run_ends_early_and_says_what_it_knows() {
    let options = Options {
        jobs: NonZeroUsize::MIN,
        ..options()
    };
    let interrupt = options.interrupt.clone();
    let (tally, verdicts) = run(&["a/a", "b/b", "c/c"], &options, move |_, _| {
        interrupt.raise();
        Outcome::passed()
    });
    assert_eq!((tally.total(), verdicts.len()), (1, 1));
}

/// A name for each turn in the order of their beginnings, with one job.
fn order_of(names: &[&str], options: &Options) -> Vec<String> {
    let began = Arc::new(std::sync::Mutex::new(Vec::new()));
    let list = Arc::clone(&began);
    let options = Options {
        jobs: NonZeroUsize::MIN,
        ..options.clone()
    };
    run(names, &options, move |case, _| {
        let name = case.scenario.name.clone();
        list.lock().expect("nobody panicked").push(name);
        Outcome::passed()
    });
    let began = began.lock().expect("nobody panicked");
    began.clone()
}

#[test]
fn what_takes_long_begins_first_and_the_rest_as_planned() {
    let options = Options {
        long: BTreeSet::from([2]),
        ..options()
    };
    assert_eq!(
        order_of(&["a/a", "b/b", "c/c"], &options),
        ["c/c", "a/a", "b/b"]
    );
}

#[test]
fn the_first_failure_is_the_last_case_that_begins_where_that_is_wanted() {
    let options = Options {
        jobs: NonZeroUsize::MIN,
        fail_fast: true,
        ..options()
    };
    let (tally, verdicts) = run(&["a/a", "b/fails", "c/c"], &options, |case, _| {
        match case.scenario.name.as_str() {
            "b/fails" => Outcome::new(Verdict::Fail, None),
            _ => Outcome::passed(),
        }
    });
    assert_eq!((tally.pass, tally.fail, verdicts.len()), (1, 1, 2));
}

/// Else a run with a peer of which a failure is known would end there each time.
#[test]
fn what_is_known_stops_no_run_and_a_pass_against_it_does() {
    let options = Options {
        jobs: NonZeroUsize::MIN,
        fail_fast: true,
        ..options()
    };
    let known = Known {
        verdicts: vec![Verdict::Fail],
        reason: "made up".to_owned(),
        link: None,
    };
    let names = ["a/fails-as-known", "b/passes-although", "c/c"];
    let (tally, verdicts) = run(&names, &options, move |case, _| Outcome {
        known: (case.scenario.name != "c/c").then(|| known.clone()),
        ..match case.scenario.name.as_str() {
            "a/fails-as-known" => Outcome::new(Verdict::Fail, None),
            _ => Outcome::passed(),
        }
    });
    assert_eq!((tally.known, tally.surprises), (1, 1));
    let last = ("b/passes-although".to_owned(), Verdict::Pass);
    assert_eq!(verdicts.last(), Some(&last));
}

#[test]
fn a_repeated_case_is_one_case_whose_worst_run_counts_and_all_are_known() {
    let options = Options {
        tries: Tries::Repeated(NonZeroUsize::new(5).expect("not zero")),
        ..options()
    };
    let runs = AtomicUsize::new(0);
    let (tally, outcomes) = outcomes(&["a/flaky", "b/firm"], &options, move |case, _| {
        let is_third = case.scenario.name == "a/flaky" && runs.fetch_add(1, Ordering::SeqCst) == 2;
        match is_third {
            true => Outcome::new(Verdict::Fail, None),
            false => Outcome::passed(),
        }
    });
    assert_eq!((tally.pass, tally.fail), (1, 1));
    let [(_, flaky), (_, firm)] = &outcomes[..] else {
        panic!("{} cases", outcomes.len())
    };
    assert!(flaky.is_flaky() && !firm.is_flaky());
    let failed = flaky.runs.iter().filter(|run| **run == Verdict::Fail);
    assert_eq!((flaky.runs.len(), failed.count()), (5, 1));
}

fn log(text: &str) -> Log {
    Log {
        name: "sshd".to_owned(),
        text: text.to_owned(),
    }
}

#[test]
fn a_case_is_tried_again_after_all_others_until_it_ends_as_it_should() {
    let options = Options {
        jobs: NonZeroUsize::MIN,
        tries: Tries::UntilExpected(NonZeroUsize::new(3).expect("not zero")),
        fail_fast: true,
        ..options()
    };
    let order = Arc::new(Mutex::new(Vec::new()));
    let played = Arc::clone(&order);
    let (tally, outcomes) = outcomes(&["a/flaky", "b/firm"], &options, move |case, _| {
        let mut played = played.lock().expect("nobody panics");
        played.push(case.scenario.name.clone());
        match played.len() {
            1 => Outcome {
                verdict: Verdict::Fail,
                logs: vec![log("of the first try")],
                ..Outcome::unsupported("looking", "it is dark")
            },
            _ => Outcome {
                logs: vec![log("of another try")],
                ..Outcome::passed()
            },
        }
    });
    assert_eq!(tally.pass, 2);
    let order = order.lock().expect("nobody panics");
    assert_eq!(*order, ["a/flaky", "b/firm", "a/flaky"]);
    let flaky = &outcomes[0].1;
    assert_eq!(flaky.runs, [Verdict::Fail, Verdict::Pass]);
    let note = "a try before ended in fail: `looking`: expected the subject to support this; \
                actual: it is dark";
    assert_eq!(flaky.notes, [note]);
    assert_eq!(flaky.logs, [log("of the first try")]);
}

#[test]
fn a_case_that_never_ends_as_it_should_is_tried_so_often_and_no_more() {
    let options = Options {
        tries: Tries::UntilExpected(NonZeroUsize::new(3).expect("not zero")),
        ..options()
    };
    let (tally, outcomes) = outcomes(&["a/fails"], &options, |_, _| {
        Outcome::new(Verdict::Fail, None)
    });
    assert_eq!((tally.fail, tally.total()), (1, 1));
    assert_eq!(outcomes[0].1.runs, [Verdict::Fail; 3]);
    assert!(!outcomes[0].1.is_flaky());
}

/// What is known of a case is told although it should have run more often.
#[test]
fn a_stopped_run_tells_of_repeated_cases_too() {
    let options = Options {
        jobs: NonZeroUsize::MIN,
        tries: Tries::Repeated(NonZeroUsize::new(100).expect("not zero")),
        fail_fast: true,
        ..options()
    };
    let runs = AtomicUsize::new(0);
    let (tally, outcomes) = outcomes(&["a/flaky", "b/b"], &options, move |_, _| {
        match runs.fetch_add(1, Ordering::SeqCst) {
            2 => Outcome::new(Verdict::Broken, None),
            _ => Outcome::passed(),
        }
    });
    assert_eq!((tally.total(), tally.broken), (1, 1));
    assert_eq!(outcomes[0].1.runs.len(), 3);
}

#[test]
fn cases_are_shuffled_by_the_seed_and_only_where_that_is_wanted() {
    const NAMES: [&str; 4] = ["a/a", "b/b", "c/c", "d/d"];
    assert_eq!(order_of(&NAMES, &options()), NAMES);
    let of_seeds = |seeds: [u64; 4]| {
        let mut plan = plan_of(&NAMES);
        for (case, seed) in plan.cases.iter_mut().zip(seeds) {
            Arc::make_mut(case).seed = seed;
        }
        let queue = Options {
            order: Order::Shuffled,
            ..options()
        };
        let queue = Queue::new(&plan.cases, &queue);
        let turns = std::iter::from_fn(|| queue.take());
        let names: Vec<String> = turns.map(|turn| turn.case.scenario.name.clone()).collect();
        names.join(" ")
    };
    assert_eq!(of_seeds([3, 1, 4, 2]), "b/b d/d a/a c/c");
}

/// Side by side they would leave the processors idle.
#[test]
fn cases_that_wait_are_spread_among_the_others() {
    const NAMES: [&str; 7] = ["a/a", "b/b", "c/waits", "d/waits", "e/e", "f/f", "g/g"];
    let mut plan = plan_of(&NAMES);
    for case in plan.cases.iter_mut().skip(2).take(2) {
        let scenario = Arc::make_mut(&mut Arc::make_mut(case).scenario);
        scenario.steps[0].kind = StepKind::Pause(Duration::from_millis(300));
    }
    let options = options();
    let queue = Queue::new(&plan.cases, &options);
    let turns = std::iter::from_fn(|| queue.take());
    let names: String = turns
        .map(|turn| turn.case.scenario.name[..1].to_owned())
        .collect();
    assert_eq!(names, "acbdefg");
}

/// Else the run would end with a long queue in front of one peer and idle workers.
#[test]
fn the_longest_queue_in_front_of_a_peer_goes_first_and_nobody_starves() {
    let with =
        |name: &str, server: &str| Arc::new(fake::case(fake::scenario(name), "minissh", server));
    let cases = [
        with("a/free", "free"),
        with("b/short", "short"),
        with("c/long", "long"),
        with("d/long", "long"),
    ];
    let options = Options {
        at_a_time: ["short", "long"]
            .map(|id| (id.to_owned(), NonZeroUsize::MIN))
            .into(),
        ..options()
    };
    let queue = Queue::new(&cases, &options);
    let taken = |turn: &Turn| turn.case.scenario.name.clone();
    let turns: Vec<Turn> = std::iter::from_fn(|| queue.take()).take(3).collect();
    let names: Vec<String> = turns.iter().map(taken).collect();
    assert_eq!(names, ["c/long", "b/short", "a/free"]);
    queue.give_back(&turns[0]);
    assert_eq!(queue.take().as_ref().map(taken), Some("d/long".to_owned()));
}
