//! Which clause is shown by what, for every clause: a reviewer sees what a change adds or loses.

use std::path::Path;

use globset::Glob;
use sshdrill::requirement::Catalogue;
use sshdrill::requirement::coverage::Coverage;
use sshdrill::scenario::{file_name, load_dir};

#[test]
fn every_binding_clause_is_shown_by_something() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let catalogue = Catalogue::load(&root.join("fixtures/requirements")).expect("it is ours");
    let scenarios = load_dir(&root.join("scenarios"), &catalogue).expect("they are ours");
    let cited = scenarios.iter().map(|s| (s.name.as_str(), &s.cites[..]));
    let coverage = Coverage::of(&catalogue, cited);

    let gaps: Vec<&str> = coverage.gaps().map(|row| row.clause.id.as_str()).collect();
    assert_eq!(
        gaps,
        Vec::<&str>::new(),
        "binding, and nothing speaks for it"
    );
    assert_eq!(coverage.missing_tests(&root), []);
    insta::assert_snapshot!(coverage);
}

/// A finding is seen again by running what it names.
#[test]
fn every_finding_names_scenarios_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let findings = std::fs::read_to_string(root.join("scenarios/FINDINGS.md")).expect("readable");
    let mut rows = 0;
    for row in findings.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let Some(named) = cells.get(2).filter(|cell| **cell != "scenario") else {
            continue;
        };
        let named: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{row}");
        for name in named {
            let file = root.join(format!("scenarios/{name}.scn"));
            assert!(file.is_file(), "no {} for\n{row}", file.display());
        }
        rows += 1;
    }
    assert!(rows > 5, "{rows} findings were read");
}

/// What the table of key exchanges names, scenarios and tests of minissh.
#[test]
fn every_moment_of_a_key_exchange_names_what_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let catalogue = Catalogue::load(&root.join("fixtures/requirements")).expect("it is ours");
    let scenarios = load_dir(&root.join("scenarios"), &catalogue).expect("they are ours");
    let is_scenario = |name: &str| {
        let name = if name.contains('/') {
            name.to_owned()
        } else {
            format!("rekey/{name}")
        };
        let glob = Glob::new(&name).expect("a glob").compile_matcher();
        let fits = |name: &str| glob.is_match(name) || glob.is_match(file_name(name));
        scenarios.iter().any(|scenario| fits(&scenario.name))
    };
    let is_test = |name: &str| {
        let (file, function) = name.split_once("::").unwrap_or_default();
        let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        text.contains(&format!("fn {function}("))
    };
    let table = std::fs::read_to_string(root.join("scenarios/rekey/README.md")).expect("readable");
    let cells = table.lines().filter(|line| line.starts_with("| "));
    let named: Vec<&str> = cells
        .flat_map(|row| row.split('`').skip(1).step_by(2))
        .collect();
    assert!(named.len() > 90, "{} names were read", named.len());
    for name in named {
        assert!(is_scenario(name) || is_test(name), "there is no {name}");
    }
}
