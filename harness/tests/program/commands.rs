//! What commands do that are not about one run and its reports.

use std::fs;
use std::path::{Path, PathBuf};

use crate::made_up::{FAILS, PASSES};
use crate::stage::{Stage, assert_code, assert_says, stderr, stdout};

/// A handshake, as somebody writes it who is in a hurry.
const UNTIDY: &str = "\
# The identification, and no more.
scenario made-up/untidy
subject either
cites rfc4253-4.2/ident-line
> ident SSH-2.0-scripted
< ident
";

#[test]
fn completions_are_for_every_shell() {
    let stage = Stage::with("untidy", UNTIDY);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = stage.sshdrill(&["completions", shell]);
        assert_code(&output, 0);
        assert_says(&stdout(&output), &["sshdrill", "pairing"]);
    }
}

#[test]
fn check_counts_what_is_right_and_shows_what_is_not() {
    let stage = Stage::with("untidy", UNTIDY);
    let scenarios = stage.path("scenarios");
    let output = stage.sshdrill(&["check", "--scenarios", &scenarios]);
    assert_code(&output, 0);
    assert_says(
        &stdout(&output),
        &["1 file, 1 scenario, 2 steps, 1 clause cited: all well-formed"],
    );

    let wrong = UNTIDY.replace("> ident SSH-2.0-scripted", "> ignore delay=1s");
    fs::write(stage.path("scenarios/made-up/untidy.scn"), wrong).expect("writable");
    let output = stage.sshdrill(&["check", "--scenarios", &scenarios]);
    assert_code(&output, 3);
    let says = [
        "untidy.scn:5:10",
        "`delay` is between two pieces",
        "`pause`",
    ];
    assert_says(&stderr(&output), &says);
}

#[test]
fn fmt_says_which_files_it_lays_out_and_does_so_once() {
    let stage = Stage::with("untidy", UNTIDY);
    let file = stage.path("scenarios/made-up/untidy.scn");
    let folder = stage.path("scenarios");

    let checked = stage.sshdrill(&["fmt", "--check", &folder]);
    assert_code(&checked, 1);
    assert_says(&stdout(&checked), &[&file]);
    assert_says(
        &stderr(&checked),
        &["1 of 1 file is laid out otherwise", "hint:"],
    );
    assert_eq!(fs::read_to_string(&file).expect("it stays"), UNTIDY);

    assert_code(&stage.sshdrill(&["fmt", &folder]), 0);
    let tidy = fs::read_to_string(&file).expect("it is there");
    assert!(tidy.contains("\nscenario  made-up/untidy\n"), "{tidy}");
    assert_code(&stage.sshdrill(&["fmt", "--check", &file]), 0);
}

#[test]
fn explain_tells_the_requirement_the_case_and_why_and_knows_slips() {
    let stage = Stage::with("passes", PASSES);
    let output = stage.sshdrill(&["explain", "kex/leading-zero-of-shared-secret"]);
    assert_code(&output, 0);
    let parts = [
        "requirement  RFC ",
        "\nlevel ",
        "\nwhy ",
        "\nclients ",
        "cargo drill run kex/",
    ];
    assert_says(&stdout(&output), &parts);

    let output = stage.sshdrill(&["explain", "kex/leading-zero-of-shard-secret"]);
    assert_code(&output, 4);
    let says = [
        "no scenario is called",
        "did you mean `kex/leading-zero-of-shared-secret`",
    ];
    assert_says(&stderr(&output), &says);
}

#[test]
fn coverage_shows_the_clauses_and_fails_where_nothing_speaks_for_one() {
    let stage = Stage::with("passes", PASSES);
    let output = stage.sshdrill(&["coverage"]);
    assert_code(&output, 0);
    assert_says(&stdout(&output), &["rfc4253-4.2/ident-line"]);

    let output = stage.sshdrill(&["coverage", "--scenarios", &stage.path("scenarios")]);
    assert_code(&output, 1);
    assert_says(
        &stderr(&output),
        &["nothing speaks for ", "hint: cite them"],
    );
}

#[test]
fn learn_proposes_an_entry_for_each_surprise_and_none_for_what_is_as_expected() {
    for (file, text, says) in [
        ("passes", PASSES, "# everything was as expected"),
        ("fails", FAILS, "scenario = \"made-up/fails\""),
    ] {
        let stage = Stage::with(file, text);
        let json = stage.path("run.json");
        stage.run(&["--json", &json]);
        let output = stage.sshdrill(&["learn", &json]);
        assert_code(&output, 0);
        assert_says(&stdout(&output), &[says]);
    }
}

#[test]
fn clean_without_an_engine_says_what_it_missed() {
    let stage = Stage::with("passes", PASSES);
    let output = stage.sshdrill(&["clean"]);
    assert_code(&output, 5);
    assert_says(
        &stderr(&output),
        &["cannot reach a container engine", "hint:"],
    );
}

/// Once to make a collection; then the command that makes all of it anew, and nothing else.
#[test]
fn record_makes_transcripts_that_replay_and_makes_a_collection_anew() {
    let stage = Stage::with("passes", PASSES);
    let into = stage.path("transcripts");
    let record = |more: &[&str]| {
        let args = ["record", "--into", &into, "--no-containers"];
        stage.sshdrill(&[&args[..], more].concat())
    };
    let output = record(&["kex/handshake", "--pairing", "scripted:minissh"]);
    assert_code(&output, 0);
    let made = files_below(Path::new(&into));
    let replays = || {
        let output = stage.sshdrill(&["replay", &into]);
        assert_code(&output, 0);
        assert_says(&stdout(&output), &["same", "kex/handshake"]);
    };
    replays();

    fs::write(&made[0], "lost").expect("writable");
    let output = record(&[]);
    assert_code(&output, 0);
    assert_says(&stdout(&output), &["1 case: 1 pass"]);
    assert_eq!(files_below(Path::new(&into)), made);
    replays();
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let each = entries.map(|entry| entry.path());
    each.flat_map(|path| match path.is_dir() {
        true => files_below(&path),
        false => vec![path],
    })
    .collect()
}
