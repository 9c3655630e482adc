//! Recorded conversations with OpenSSH, played again without it.
//!
//! `cargo drill record` makes them anew; `cargo drill replay fixtures/transcripts` is the same as
//! this for people.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use sshdrill::requirement::Catalogue;
use sshdrill::run::replay::{Replayed, replay};
use sshdrill::scenario::{Scenario, load_dir};
use sshdrill::transcript::{Difference, Transcript};
use sshdrill::verdict::Verdict;

fn in_workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn scenarios() -> Vec<Arc<Scenario>> {
    let catalogue = Catalogue::load(&in_workspace("fixtures/requirements")).expect("it parses");
    load_dir(&in_workspace("scenarios"), &catalogue).expect("they parse")
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(below(&path)),
            path if path.extension().is_some_and(|e| e == Transcript::EXTENSION) => {
                found.push(path);
            }
            _ => {}
        }
    }
    found
}

fn recorded() -> Vec<(PathBuf, Transcript)> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("readable");
        let transcript = Transcript::parse(&text);
        let transcript = transcript.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        (path, transcript)
    };
    below(&in_workspace("fixtures/transcripts"))
        .into_iter()
        .map(read)
        .collect()
}

fn again(transcript: &Transcript, scenarios: &[Arc<Scenario>]) -> Replayed {
    let named = |scenario: &&Arc<Scenario>| scenario.name == transcript.scenario;
    let scenario = scenarios.iter().find(named).expect("it was not renamed");
    replay(transcript, scenario)
}

#[test]
fn every_recorded_conversation_is_had_again_byte_for_byte() {
    let scenarios = scenarios();
    let mut wrong = Vec::new();
    for (path, transcript) in recorded() {
        let replayed = again(&transcript, &scenarios);
        if !replayed.is_faithful(transcript.verdict) {
            let Replayed { outcome, compared } = replayed;
            let (path, failure) = (path.display(), outcome.failure);
            wrong.push(format!(
                "{path}: {:?}, {compared:?}, {failure:?}",
                outcome.verdict
            ));
        }
    }
    let hint = "if it is right now, record them anew: cargo drill record";
    assert!(wrong.is_empty(), "{}\n{hint}", wrong.join("\n"));
}

/// What they are worth: both roles of OpenSSH, several versions, what goes well and what does not.
#[test]
fn the_recordings_cover_what_conversations_are_made_of() {
    let all = recorded();
    let has = |what: &dyn Fn(&Transcript) -> bool| all.iter().any(|(_, one)| what(one));
    assert!(has(&|one| one.client == "scripted") && has(&|one| one.server == "scripted"));
    for version in ["8.4", "9.2", "10.0"] {
        assert!(has(&|one| one.peer.contains(version)), "{version}");
    }
    for area in ["strict-kex/", "auth/", "kex/", "packet/", "rekey/"] {
        assert!(has(&|one| one.scenario.starts_with(area)), "{area}");
    }
}

/// Else nothing here would be worth anything.
#[test]
fn one_other_byte_of_theirs_or_another_seed_is_noticed() {
    let scenarios = scenarios();
    let (_, transcript) = recorded()
        .into_iter()
        .find(|(_, one)| one.scenario == "kex/handshake" && one.client == "scripted")
        .expect("it is recorded");

    let other_seed = Transcript {
        seed: transcript.seed + 1,
        ..transcript.clone()
    };
    let replayed = again(&other_seed, &scenarios);
    let difference = replayed.compared.expect_err("another cookie");
    assert!(
        matches!(difference, Difference::Other { .. }),
        "{difference}"
    );

    // The last digit of the server's signature.
    let text = transcript.to_text().expect("it is short");
    let reply = text
        .lines()
        .filter(|line| line.contains("\"< ") && line.len() > 300)
        .nth(1)
        .expect("KEXINIT and ECDH_REPLY are long");
    let at = reply.find(
        "0000000b7373682d65643235353139000000 40"
            .replace(' ', "")
            .as_str(),
    );
    let at = at.expect("an ed25519 signature") + 36 + 20;
    let mut bent = reply.to_owned();
    let digit = if &bent[at..=at] == "0" { "1" } else { "0" };
    bent.replace_range(at..=at, digit);
    let bent = Transcript::parse(&text.replace(reply, &bent)).expect("it parses");
    let replayed = again(&bent, &scenarios);
    assert_eq!(replayed.outcome.verdict, Verdict::Fail);
    let failure = replayed.outcome.failure.expect("it failed");
    assert!(failure.actual.contains("signature"), "{}", failure.actual);
}

/// From the folder of a case, as the report of a failure suggests.
#[test]
fn a_failed_case_is_replayed_from_its_folder() {
    const FAILS: &str = "# A server that needs no login.
scenario  made-up/fails
subject   server
cites     rfc4254-6.5/exec

handshake
< userauth-success within=200ms
";
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::create_dir_all(path("scenarios/made-up")).expect("writable");
    fs::write(path("scenarios/made-up/fails.scn"), FAILS).expect("writable");
    let scenarios = ["--scenarios".to_owned(), path("scenarios")];
    let sshdrill = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_sshdrill"))
            .args(args)
            .args(&scenarios)
            .output()
            .expect("our own program starts")
    };
    let ran = sshdrill(&[
        "run",
        "--pairing",
        "scripted:minissh",
        "--out",
        &path("out"),
    ]);
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");

    let case = path("out/made-up/fails/scripted-to-minissh");
    let same = sshdrill(&["replay", &case]);
    let text = String::from_utf8_lossy(&same.stdout).into_owned();
    assert_eq!(same.status.code(), Some(0), "{text}");
    assert!(text.starts_with("same") && text.contains("fail"), "{text}");

    // The scenario asks for less now.
    let passes = FAILS.replace("< userauth-success within=200ms\n", "");
    fs::write(path("scenarios/made-up/fails.scn"), passes).expect("writable");
    let other = sshdrill(&["replay", &case]);
    let text = String::from_utf8_lossy(&other.stdout).into_owned();
    assert_eq!(other.status.code(), Some(1), "{text}");
    assert!(text.contains("recorded: fail"), "{text}");
}

#[test]
fn what_is_no_transcript_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("bad.transcript");
    fs::write(&path, "schema = 1\n").expect("writable");
    let path = path.display().to_string();
    let empty = tempfile::tempdir().expect("a temporary folder");
    let empty = empty.path().display().to_string();
    for (argument, code, part) in [
        (path.as_str(), 3, "bad.transcript: not a transcript"),
        ("/nowhere/at/all", 3, "cannot read /nowhere/at/all"),
        (empty.as_str(), 4, "there is no transcript below"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_sshdrill"))
            .args(["replay", argument])
            .output()
            .expect("our own program starts");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(part), "{text}");
    }
}
