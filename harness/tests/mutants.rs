//! The scenarios can fail: each notices a subject that is wrong on purpose, each such subject is
//! noticed, and a subject that is right passes them all.

use std::path::Path;

use sshdrill::mutant::Wrong;
use sshdrill::requirement::Catalogue;
use sshdrill::scenario::load_dir;
use sshdrill::trial::{self, Thoroughness};

#[test]
fn every_scenario_notices_a_mutant_and_every_mutant_is_noticed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let catalogue = Catalogue::load(&root.join("fixtures/requirements")).expect("it is ours");
    let scenarios = load_dir(&root.join("scenarios"), &catalogue).expect("they are ours");
    let findings = trial::run(&trial::trials(&scenarios), Thoroughness::Enough);

    let none: [String; 0] = [];
    assert_eq!(
        findings.false_alarms, none,
        "a subject that is right fails these"
    );
    assert_eq!(
        findings.unnoticed().collect::<Vec<_>>(),
        [],
        "nothing notices these"
    );
    assert_eq!(findings.blind, none, "these notice nothing");
}

#[test]
fn the_names_of_mutants_differ() {
    let mut names: Vec<&str> = Wrong::ALL.iter().map(|wrong| wrong.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Wrong::ALL.len());
    assert!(names.len() >= 80);
}
