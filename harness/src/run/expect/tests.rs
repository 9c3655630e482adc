use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::fake;
use crate::peer::{Capabilities, Origin};

const FILE: &str = r#"
[[expected]]
scenario = "auth/*"
role = "server"
versions = "<2.0"
verdict = "fail"
reason = "it ends the connection"
link = "https://example.org/1"
"#;

fn expectations() -> Expectations {
    Expectations(parse(FILE, Path::new("mine.toml")).expect("it parses"))
}

fn case(scenario: &str, server: &str) -> Case {
    fake::case(fake::scenario(scenario), MINISSH, server)
}

/// `mine-old` has version 1.0, as all fake peers have.
fn peers() -> [PeerInfo; 2] {
    [MINISSH, "mine-old"].map(|id| fake::info(id, Capabilities::ALL))
}

fn compared(scenario: &str, server: &str, verdict: Verdict) -> Outcome {
    let outcome = Outcome::new(verdict, None);
    expectations().compare(&case(scenario, server), &peers(), outcome)
}

#[test]
fn a_known_failure_is_as_expected_and_a_pass_in_its_place_is_not() {
    assert!(compared("auth/x", "mine-old", Verdict::Fail).is_as_expected());
    let pass = compared("auth/x", "mine-old", Verdict::Pass);
    assert!(!pass.is_as_expected());
    let failure = pass.failure.expect("it is a surprise");
    assert_eq!(
        (&*failure.expected, &*failure.actual),
        (
            "fail: it ends the connection <https://example.org/1>",
            "pass"
        )
    );
    let hint = failure.hint;
    assert!(hint.is_some_and(|hint| hint.contains("`auth/*` out of mine.toml")));
}

#[test]
fn what_no_entry_is_about_must_pass() {
    for (scenario, server) in [("kex/x", "mine-old"), ("auth/x", MINISSH)] {
        assert!(compared(scenario, server, Verdict::Pass).is_as_expected());
        assert!(!compared(scenario, server, Verdict::Fail).is_as_expected());
    }
}

/// Theirs may be set up in another way, so that a pass against what is known is none.
#[test]
fn what_somebody_else_started_is_known_by_what_it_calls_itself() {
    let of_openssh = Expectations(parse(FILE, Path::new("openssh.toml")).expect("it parses"));
    let verdict = |ident: &str, verdict| {
        let live = PeerInfo {
            version: ident.to_owned(),
            origin: Origin::Live(([127, 0, 0, 1], 22).into()),
            ..fake::info("live", Capabilities::ALL)
        };
        let outcome = Outcome::new(verdict, None);
        of_openssh.compare(&case("auth/x", "live"), &[live], outcome)
    };
    assert!(verdict("OpenSSH_1.2 Debian", Verdict::Fail).is_as_expected());
    assert!(verdict("OpenSSH_1.2 Debian", Verdict::Pass).is_as_expected());
    assert!(!verdict("OpenSSH_2.0", Verdict::Fail).is_as_expected());
    assert!(!verdict("dropbear_1.0", Verdict::Fail).is_as_expected());
}

#[test]
fn an_entry_is_stale_when_its_peer_is_here_and_no_case_is() {
    let stale = |cases: &[Arc<Case>], peers: &[PeerInfo]| expectations().stale(cases, peers).len();
    let theirs = [Arc::new(case("auth/x", "mine-old"))];
    assert_eq!(stale(&theirs, &peers()), 0);
    assert_eq!(stale(&[], &peers()), 1);
    assert_eq!(stale(&[], &peers()[..1]), 0, "its peer is not here");
    let no_server = Capabilities {
        server: false,
        ..Capabilities::ALL
    };
    let client = fake::info("mine-old", no_server);
    assert_eq!(stale(&[], &[client]), 0, "its peer is no server");
}

#[test]
fn an_entry_that_is_about_no_scenario_is_found_without_a_peer() {
    let expectations = expectations();
    assert_eq!(expectations.of_no_scenario(&["kex/x", "auth/x"]), []);
    let lost = [("auth/*", Path::new("mine.toml"))];
    assert_eq!(expectations.of_no_scenario(&["kex/x"]), lost);
}

#[test]
fn a_slip_is_shown_at_its_place() {
    let wrong = FILE.replace("<2.0", "2.0");
    let error = parse(&wrong, Path::new("mine.toml")).expect_err("it is wrong");
    insta::assert_snapshot!(error.to_string(), @r#"
    mine.toml: TOML parse error at line 5, column 12
      |
    5 | versions = "2.0"
      |            ^^^^^
    `2.0` is no bound of a version; write `>=9.8` or `>=9.8, <10.4`
    "#);
}

#[test]
fn the_entries_of_this_project_parse() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/expected");
    assert!(
        !Expectations::load(&folder)
            .expect("they parse")
            .0
            .is_empty()
    );
}
