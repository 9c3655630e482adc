use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use minissh::trace::Direction;

use super::*;
use crate::fake;
use crate::peer::{Capabilities, Origin};
use crate::verdict::Capture;
use crate::verdict::capture::Side;

const FILE: &str = r#"
[[expected]]
scenario = "auth/*"
role = "server"
versions = "<2.0"
verdict = "fail"
reason = "it ends the connection"
link = "https://example.org/1"
"#;

fn read(text: &str, path: &str) -> Result<Expectations, ExpectError> {
    let mut read = Expectations::default();
    read.add(text, Path::new(path)).map(|()| read)
}

fn expectations() -> Expectations {
    read(FILE, "mine.toml").expect("it parses")
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

#[test]
fn an_entry_may_be_about_one_that_meets_another() {
    let with = FILE.replace("verdict", "with = \"scripted\"\nverdict");
    let verdict_with = |client: &str| {
        let known = read(&with, "mine.toml").expect("it parses");
        let case = fake::case(fake::scenario("auth/x"), client, "mine-old");
        let outcome = known.compare(&case, &peers(), Outcome::new(Verdict::Fail, None));
        outcome.is_as_expected()
    };
    assert!(verdict_with(SCRIPTED));
    assert!(!verdict_with(MINISSH));
    let known = read(&with, "mine.toml").expect("it parses");
    assert_eq!(
        known.stale(&[], &peers()).len(),
        0,
        "another run may have it"
    );
}

/// Theirs may be set up in another way, so that a pass against what is known is none.
#[test]
fn what_somebody_else_started_is_known_by_what_it_calls_itself() {
    let of_openssh = read(FILE, "openssh.toml").expect("it parses");
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
    let error = read(&wrong, "mine.toml").expect_err("it is wrong");
    insta::assert_snapshot!(error.to_string(), @r#"
    mine.toml: TOML parse error at line 5, column 12
      |
    5 | versions = "2.0"
      |            ^^^^^
    `2.0` is no bound of a version; write `>=9.8` or `>=9.8, <10.4`
    "#);
}

#[test]
fn who_is_turned_away_has_not_failed() {
    const SAYS: &str = r#"
[[turned-away]]
says = "Not now"
versions = "<2.0"
reason = "come back later"
link = "https://example.org/2"
"#;
    let told = |came: &[u8], server: &str| {
        let mut capture = Capture::by(Side::Client);
        capture.carry(Duration::ZERO, Direction::Inbound, came);
        let outcome = Outcome {
            captures: vec![capture],
            ..Outcome::new(Verdict::Fail, None)
        };
        let known = read(SAYS, "mine.toml").expect("it parses");
        known.compare(&case("auth/x", server), &peers(), outcome)
    };
    let turned_away = told(b"Not now\r\n", "mine-old");
    assert_eq!(turned_away.verdict, Verdict::Broken);
    assert!(!turned_away.is_as_expected());
    let failure = turned_away.failure.expect("it says why");
    assert_eq!(failure.actual, "the server turned us away: `Not now`");
    let hint = failure.hint.expect("it says what can be done");
    assert_eq!(hint, "come back later <https://example.org/2>");
    assert_eq!(told(b"SSH-2.0-x\r\n", "mine-old").verdict, Verdict::Fail);
    assert_eq!(told(b"Not now\r\n", MINISSH).verdict, Verdict::Fail);
}

#[test]
fn the_entries_of_this_project_say_since_when_and_where_it_can_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/expected");
    let known = Expectations::load(&folder).expect("they parse");
    assert!(!known.expected.is_empty());
    for Of { path, entry, .. } in &known.expected {
        let what = format!("{} in {}", entry.scenario.glob(), path.display());
        assert!(entry.versions.is_some(), "{what} has no versions");
        assert!(entry.link.is_some(), "{what} has no link");
    }
    for Of { path, entry, .. } in &known.turned_away {
        let says_all = entry.versions.is_some() && entry.link.is_some();
        assert!(says_all, "a [[turned-away]] in {}", path.display());
    }
}
