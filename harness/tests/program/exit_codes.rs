//! Every exit code, and what is printed with it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use sshdrill::peer::catalogue::{Part, Required};

use crate::made_up::{FAILS, PASSES};
use crate::stage::{Stage, assert_code, assert_says, stderr, stdout};

/// Fails the first time and never again.
const FLAKY: &str = r#"# A command works only where it has worked before.
scenario  made-up/flaky
subject   pair
cites     rfc4254-6.5/exec

client login publickey
client exec "test -e BEEN_HERE || { touch BEEN_HERE; exit 1; }"
expect exit-status 0
"#;

const DOES_NOT_PARSE: &str = r#"# A slip of the keyboard.
scenario  made-up/does-not-parse
subject   pair
cites     rfc4254-6.5/exec

client exce "echo hello"
"#;

#[test]
fn zero_when_all_is_as_expected() {
    let stage = Stage::with("passes", PASSES);
    let (junit, json) = (stage.path("out.xml"), stage.path("out.json"));
    let output = stage.run(&["--junit", &junit, "--json", &json]);
    assert_code(&output, 0);
    assert!(
        stdout(&output).contains("1 case: 1 pass"),
        "{}",
        stdout(&output)
    );
    assert!(
        fs::read_to_string(junit)
            .expect("written")
            .contains("tests=\"1\"")
    );
    assert!(
        fs::read_to_string(json)
            .expect("written")
            .contains("\"schema\": 2")
    );
}

/// A report that looks whole although half of the peers were missing is worse than none.
#[test]
fn what_is_missing_is_said_and_does_no_harm() {
    let stage = Stage::with("passes", PASSES);
    let scenarios = stage.path("scenarios");
    let peers = ["--peer", "openssh-sid", "--peer", "minissh"];
    let json = stage.path("list.json");
    let list = ["run", "--scenarios", &scenarios, "--list", "--json", &json];
    let args = [&list[..], &peers].concat();
    let output = stage.sshdrill(&args);
    assert_code(&output, 0);
    let text = stdout(&output);
    assert!(
        text.contains("minissh→minissh") && text.contains("\n  containers\n"),
        "{text}"
    );
    let json = fs::read_to_string(json).expect("written");
    assert!(
        json.contains("made-up/passes") && !json.contains("verdict"),
        "{json}"
    );
}

#[test]
fn one_when_a_verdict_is_not_as_expected() {
    let stage = Stage::with("fails", FAILS);
    let output = stage.run(&[]);
    assert_code(&output, 1);
    let text = stdout(&output);
    for part in [
        "FAIL  made-up/fails  minissh→minissh",
        r#"▶    8  expect stdout "goodbye\n""#,
        r#"actual:      "hello\n""#,
        "RFC 4254 §6.5",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(Path::new(&stage.path("drill/made-up/fails/minissh-to-minissh/packets.txt")).exists());
}

#[test]
fn the_command_printed_under_a_failure_runs_that_case_again() {
    let stage = Stage::with("fails", FAILS);
    let first = stdout(&stage.run(&["--seed", "7"]));
    let again = first
        .lines()
        .find_map(|line| line.trim().strip_prefix("again:"));
    let again: Vec<&str> = again
        .expect("a failure has one")
        .split_whitespace()
        .collect();
    let ["cargo", "drill", args @ ..] = again.as_slice() else {
        panic!("{again:?}")
    };
    let second = stage.sshdrill(args);
    assert_code(&second, 1);
    assert!(
        stdout(&second).contains("1 case: 0 pass, 1 fail"),
        "{}",
        stdout(&second)
    );
    assert!(stdout(&second).contains("seed 0x7"));
}

#[test]
fn two_when_the_command_line_is_not_understood() {
    let stage = Stage::with("passes", PASSES);
    assert_code(&stage.run(&["--jbos", "2"]), 2);
    assert_code(&stage.run(&["--pairing", "minissh"]), 2);
    assert_code(&stage.run(&["--require", "opensh"]), 2);
    assert_code(
        &stage.run(&["--require", "containers", "--no-containers"]),
        2,
    );
    for (args, says) in [
        (["--timeout", "0"], "0 is not in 1.."),
        (["--seed", "zz"], "no number below 2^64"),
    ] {
        let output = stage.run(&args);
        assert_code(&output, 2);
        assert_says(&stderr(&output), &[says]);
    }
}

const DEVIATES: &str = r#"# A command prints something that nobody said, and only should not have.
scenario  made-up/deviates
subject   pair
cites     rfc4254-6.5/exec
level     should

client login publickey
client exec "echo hello"
expect stdout "goodbye\n"
"#;

/// An entry about minissh.
fn known(scenario: &str, verdict: &str) -> String {
    format!(
        "[[expected]]\nscenario = \"{scenario}\"\nverdict = \"{verdict}\"\nreason = \"made up\"\n"
    )
}

/// A folder of expectations about minissh.
fn expecting(stage: &Stage, entries: &[(&str, &str)]) -> String {
    let folder = stage.path("expected");
    fs::create_dir_all(&folder).expect("writable");
    let text: String = entries
        .iter()
        .map(|(name, verdict)| known(name, verdict))
        .collect();
    fs::write(stage.path("expected/minissh.toml"), text).expect("writable");
    folder
}

#[test]
fn zero_when_a_case_ends_as_is_known_of_it() {
    for (file, text, verdict) in [
        ("fails", FAILS, "fail"),
        ("deviates", DEVIATES, "deviation"),
    ] {
        let stage = Stage::with(file, text);
        let expected = expecting(&stage, &[(&format!("made-up/{file}"), verdict)]);
        let output = stage.run(&["--expected", &expected]);
        assert_code(&output, 0);
        let count = format!("1 {verdict} (1 of these as known)");
        let mark = format!("{verdict}, as known");
        assert_says(&stdout(&output), &[&count, &mark]);
    }
    // Nothing need be known of a deviation.
    let output = Stage::with("deviates", DEVIATES).run(&[]);
    assert_code(&output, 0);
    assert_says(&stdout(&output), &["1 case: 0 pass, 1 deviation, in"]);
}

#[test]
fn one_when_a_case_passes_or_fails_otherwise_than_is_known_of_it() {
    let pass = [
        "fail: made up",
        "+ pass, unlike known",
        "take `made-up/passes` out of",
    ];
    for (file, text, known, says) in [
        ("passes", PASSES, "fail", &pass[..]),
        ("fails", FAILS, "deviation", &["1 of these not as known"]),
    ] {
        let stage = Stage::with(file, text);
        let expected = expecting(&stage, &[(&format!("made-up/{file}"), known)]);
        let output = stage.run(&["--expected", &expected]);
        assert_code(&output, 1);
        assert_says(&stdout(&output), says);
    }
}

/// A run of everything, which is the only one that can know; the list of it is enough.
#[test]
fn one_when_nothing_is_what_an_expectation_is_about() {
    let stage = Stage::with("passes", PASSES);
    let list = |expected: &str| {
        stage.sshdrill(&["run", "--list", "--no-containers", "--expected", expected])
    };
    let of_nothing = expecting(&stage, &[("kex/no-such-scenario", "fail")]);
    let output = list(&of_nothing);
    assert_code(&output, 1);
    let says = [
        "error: an expectation is stale",
        "kex/no-such-scenario",
        "hint: take it out",
    ];
    assert_says(&stderr(&output), &says);
    let of_something = expecting(&stage, &[("kex/handshake", "fail")]);
    assert_code(&list(&of_something), 0);
}

/// A slip in a name is one however little is run; what another run of this repository knows is none
/// where the scenarios are somebody else's.
#[test]
fn one_when_an_expectation_is_about_no_scenario_also_in_a_narrowed_run() {
    let stage = Stage::with("passes", PASSES);
    let expected = expecting(&stage, &[("made-up/pases", "fail")]);
    let output = stage.run(&["made-up/passes", "--expected", &expected]);
    assert_code(&output, 1);
    let says = [
        "error: an expectation is stale",
        "`made-up/pases` in ",
        "no scenario is called so; did you mean `made-up/passes`?",
        "hint: take it out",
    ];
    assert_says(&stderr(&output), &says);
    assert_code(&stage.run(&["made-up/passes"]), 0);

    let narrow = ["run", "kex/handshake", "--pairing", "minissh:scripted"];
    let output = stage.sshdrill(&[&narrow[..], &["--list", "--expected", &expected]].concat());
    assert_code(&output, 1);
}

/// So many machines can share a run, and none is red because it had nothing to do.
#[test]
fn every_case_is_run_in_one_shard_and_an_empty_shard_is_fine() {
    let stage = Stage::with("passes", PASSES);
    let said: String = ["1/3", "2/3", "3/3"]
        .map(|shard| {
            let json = stage.path(&shard.replace('/', "-of-"));
            let output = stage.run(&["--shard", shard, "--json", &json]);
            assert_code(&output, 0);
            // Also an empty one, so that all can be merged.
            assert!(Path::new(&json).exists(), "{shard}");
            stdout(&output)
        })
        .concat();
    assert_eq!(said.matches("1 case: 1 pass").count(), 1, "{said}");
    assert_eq!(said.matches("0 cases: 0 pass").count(), 2, "{said}");
    assert!(said.contains("they are not in shard 2/3"), "{said}");
    assert_code(&stage.run(&["--shard", "4/3"]), 2);
}

#[test]
fn a_repeated_case_is_reported_once_and_as_flaky_when_it_is() {
    let stage = Stage::with("passes", PASSES);
    let output = stage.run(&["--repeat", "3", "--shuffle"]);
    assert_code(&output, 0);
    let text = stdout(&output);
    assert!(
        text.contains("1 case: 1 pass") && !text.contains("flaky"),
        "{text}"
    );

    let flaky = Stage::with("flaky", FLAKY);
    let here = flaky.path("been-here");
    let text = FLAKY.replace("BEEN_HERE", &here);
    fs::write(flaky.path("scenarios/made-up/flaky.scn"), text).expect("writable");
    let output = flaky.run(&["--repeat", "3", "--jobs", "1"]);
    assert_code(&output, 1);
    let line = "made-up/flaky minissh→minissh: 2 pass, 1 fail";
    assert!(stdout(&output).contains(line), "{}", stdout(&output));
}

#[test]
fn a_failure_that_another_try_does_not_show_is_flaky_and_told_of() {
    let stage = Stage::with("flaky", FLAKY);
    let here = stage.path("been-here");
    let text = FLAKY.replace("BEEN_HERE", &here);
    fs::write(stage.path("scenarios/made-up/flaky.scn"), text).expect("writable");
    let output = stage.run(&["--retries", "1"]);
    assert_code(&output, 0);
    let told = "made-up/flaky minissh→minissh: 1 pass, 1 fail\n    a try before ended in fail: \
                `expect exit-status 0`: expected exit status 0; actual: exit status 1\n";
    assert!(stdout(&output).contains(told), "{}", stdout(&output));

    assert_code(&Stage::with("fails", FAILS).run(&["--retries", "2"]), 1);
    assert_code(&stage.run(&["--retries", "1", "--repeat", "2"]), 2);
}

/// Deviations fail no run, but ours has none.
#[test]
fn minissh_passes_all_that_is_asked_of_it() {
    let stage = Stage::with("passes", PASSES);
    let pairings = ["scripted:minissh", "minissh:scripted", "minissh:minissh"];
    let asked: Vec<&str> = pairings.iter().flat_map(|it| ["--pairing", it]).collect();
    let output = stage.sshdrill(&[&["run", "--timeout", "180"], &asked[..]].concat());
    assert_code(&output, 0);
    let text = stdout(&output);
    let counts = text.lines().find(|line| line.contains(" cases: "));
    let all = counts.and_then(|line| line.split_once(" cases: "));
    let (cases, verdicts) = all.expect("they are counted");
    assert!(
        verdicts.starts_with(&format!("{cases} pass, in ")),
        "{text}"
    );
    assert!(cases.parse::<usize>().expect("a number") > 900, "{text}");
}

#[test]
fn a_scenario_can_be_tried_on_its_mutants_alone() {
    let stage = Stage::with("passes", PASSES);
    let output = stage.sshdrill(&["mutants", "session/signal"]);
    assert_code(&output, 0);
    let text = stdout(&output);
    let noticed = "ignores-signals                  noticed by 1\n    session/signal (server)\n";
    assert!(text.contains(noticed), "{text}");
    assert!(!text.contains("noticed by 0"), "{text}");
    assert_code(&stage.sshdrill(&["mutants", "no-such-name"]), 4);
}

#[test]
fn nothing_begins_after_a_failure_where_that_is_wanted() {
    let stage = Stage::with("fails", FAILS);
    fs::write(stage.path("scenarios/made-up/passes.scn"), PASSES).expect("writable");
    let output = stage.run(&["--fail-fast", "--jobs", "1"]);
    assert_code(&output, 1);
    let text = stdout(&output);
    assert!(
        text.contains("2 cases: 0 pass, 1 fail, 1 not run"),
        "{text}"
    );
}

#[test]
fn three_when_a_scenario_does_not_parse() {
    let output = Stage::with("does-not-parse", DOES_NOT_PARSE).run(&[]);
    assert_code(&output, 3);
    let text = stderr(&output);
    assert!(
        text.starts_with("error: ") && text.contains("does-not-parse.scn"),
        "{text}"
    );
    assert!(text.contains("did you mean `exec`"), "{text}");
}

#[test]
fn three_when_a_file_is_not_there() {
    let stage = Stage::with("passes", PASSES);
    let nowhere = stage.path("nowhere");
    for args in [
        &["check", "--scenarios", &*nowhere][..],
        &["replay", &nowhere],
        &["diff", &nowhere, &nowhere],
        &["learn", &nowhere],
    ] {
        let output = stage.sshdrill(args);
        assert_code(&output, 3);
        let says = [
            &*format!("cannot read {nowhere}: "),
            "hint: is it spelled right?",
        ];
        assert_says(&stderr(&output), &says);
    }
}

#[test]
fn four_when_nothing_is_selected() {
    let stage = Stage::with("passes", PASSES);
    let output = stage.run(&["made-up/pases"]);
    assert_code(&output, 4);
    assert!(
        stderr(&output).contains("hint: did you mean `made-up/passes`"),
        "{}",
        stderr(&output)
    );
    assert_code(&stage.run(&["--peer", "openssh-buster"]), 4);

    // A folder without scenarios is a folder of somebody else.
    let nothing = stage.path("nothing");
    fs::create_dir(&nothing).expect("writable");
    for command in ["run", "check", "coverage"] {
        let output = stage.sshdrill(&[command, "--scenarios", &nothing]);
        assert_code(&output, 4);
        let says = [&*format!("there is no scenario below {nothing}"), "hint:"];
        assert_says(&stderr(&output), &says);
    }
}

#[test]
fn four_when_a_pairing_cannot_be() {
    let stage = Stage::with("passes", PASSES);
    let output = stage.sshdrill(&["run", "--pairing", "minissh:openssh-sit"]);
    assert_code(&output, 4);
    let says = [
        "no peer is called `openssh-sit`",
        "did you mean `openssh-sid`",
    ];
    assert_says(&stderr(&output), &says);
}

#[test]
fn five_when_something_required_is_missing() {
    let stage = Stage::with("passes", PASSES);
    let scenarios = stage.path("scenarios");
    let required = ["--peer", "openssh-sid", "--require", "containers"];
    let output = stage.sshdrill(&[&["run", "--scenarios", &scenarios][..], &required].concat());
    assert_code(&output, 5);
    let text = stderr(&output);
    assert!(
        text.starts_with("error: something required is missing\n  containers"),
        "{text}"
    );
}

/// An engine that is there and not for us. Root may do all, so that it is told apart by its
/// capabilities.
#[test]
fn five_when_the_engine_may_not_be_used() {
    const NOBODY: u32 = 65534;

    let stage = Stage::with("passes", PASSES);
    let socket = stage.path("docker.sock");
    let _engine = UnixListener::bind(&socket).expect("a place for it");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).expect("ours");
    let scenarios = stage.path("scenarios");
    let args = ["run", "--scenarios", &scenarios, "--peer", "openssh-sid"];
    let prepared = stage.prepared(&[&args[..], &["--require", "containers"]].concat());
    let mut run = if chown(&socket, Some(NOBODY), Some(NOBODY)).is_ok() {
        let mut run = Command::new("setpriv");
        run.args(["--bounding-set=-dac_override,-dac_read_search", "--"])
            .arg(prepared.get_program())
            .args(prepared.get_args());
        run.env_remove(Required::VARIABLE);
        run
    } else {
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o000)).expect("ours");
        prepared
    };
    let output = run.env("DOCKER_HOST", format!("unix://{socket}")).output();
    let Ok(output) = output else {
        return eprintln!("SKIPPED: there is no setpriv here, without which root may do all");
    };
    assert_code(&output, 5);
    let tried =
        format!("cannot reach a container engine: tried unix://{socket}: Permission denied");
    let hint = "hint: add yourself to the `docker` group";
    assert_says(&stderr(&output), &[&tried, hint]);
}

/// Nothing can be run in an image that is made from nothing.
#[test]
fn five_when_an_image_cannot_be_built() {
    const MANIFEST: &str = r#"
name = "unbuildable"
driver = "openssh"
[container]
image = "openssh-old"
suites = ["nothing"]
bases = { nothing = "scratch" }
"#;
    let is_here = Command::new("docker").arg("version").output();
    if !is_here.is_ok_and(|output| output.status.success()) {
        let required = Required::from_env().expect("a list of parts");
        assert!(!required.has(Part::Containers), "an engine must be here");
        return eprintln!("SKIPPED: docker(1) cannot reach an engine");
    }
    let stage = Stage::with("passes", PASSES);
    let (scenarios, manifest) = (stage.path("scenarios"), stage.path("unbuildable.toml"));
    fs::write(&manifest, MANIFEST).expect("writable");
    let args = [
        "run",
        "--scenarios",
        &scenarios,
        "--peer-manifest",
        &manifest,
    ];
    let args = [&args[..], &["--peer", "unbuildable-nothing"]].concat();
    for (more, code) in [(&["--require", "containers"][..], 5), (&[], 4)] {
        let mut run = stage.prepared(&[&args[..], more].concat());
        let run = match std::env::var_os("DOCKER_HOST") {
            Some(host) => run.env("DOCKER_HOST", host),
            None => run.env_remove("DOCKER_HOST"),
        };
        let output = run.output().expect("our own program starts");
        assert_code(&output, code);
        let says = [
            "unbuildable-nothing",
            "cannot build sshdrill-openssh-old:nothing-",
            "docker build --build-arg SUITE=nothing --build-arg BASE=scratch docker/openssh-old",
        ];
        assert_says(&stderr(&output), &says);
    }
}

/// Without an engine the run says which peers it would have looked for, and only then.
#[test]
fn a_glob_asks_also_for_peers_that_a_run_usually_leaves_out() {
    let stage = Stage::with("passes", PASSES);
    let scenarios = stage.path("scenarios");
    let run = |peer: &str| {
        let args = ["run", "--scenarios", &scenarios, "--list", "--peer", peer];
        stage.sshdrill(&args)
    };
    for peer in ["dropbear-*", "dropbear", "dropbear-sid"] {
        let output = run(peer);
        assert_code(&output, 4);
        let text = stderr(&output);
        assert!(text.contains("cannot reach a container engine"), "{text}");
    }
    assert_code(&run("minissh"), 0);
}

/// What cannot be written is said with the file and with what to do, after everything has run.
#[test]
fn five_when_a_report_cannot_be_written() {
    let stage = Stage::with("passes", PASSES);
    for (flag, path, why) in [
        ("--json", "/dev/full", "No space left on device"),
        ("--junit", "/dev/full", "No space left on device"),
        ("--json", "/dev/null/out.json", "/dev/null/out.json"),
        ("--junit", "/proc/out.xml", "/proc/out.xml"),
        ("--out", "/dev/null/out", "Not a directory"),
    ] {
        let output = stage.run(&[flag, path]);
        // A case that simply passed may need no folder.
        if flag == "--out" && output.status.code() == Some(0) {
            continue;
        }
        assert_code(&output, 5);
        let text = stderr(&output);
        assert!(text.starts_with("error: cannot write a report: "), "{text}");
        assert!(text.contains(why) && text.contains("hint: "), "{text}");
        let told = stdout(&output);
        assert!(told.contains("1 case: 1 pass"), "{told}");
    }
}

/// A real one, of four kilobytes; needs root for a mount that nobody else sees.
#[test]
fn five_when_the_disk_is_full() {
    let stage = Stage::with("fails", FAILS);
    let (scenarios, disk) = (stage.path("scenarios"), stage.path("disk"));
    fs::create_dir(&disk).expect("writable");
    let script = r#"mount -t tmpfs -o size=4k,nr_inodes=100 none "$1" || exit 77
                    head -c 4096 /dev/zero >"$1/much"
                    exec "$2" run --scenarios "$3" --pairing minissh:minissh --out "$1/out""#;
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh", &disk])
        .args([env!("CARGO_BIN_EXE_sshdrill"), &scenarios])
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .env_remove("SSHDRILL_REQUIRE")
        .output();
    let mounted = |output: &Output| {
        !matches!(output.status.code(), Some(1 | 77)) || stdout(output).contains("cases")
    };
    let Some(output) = output.ok().filter(mounted) else {
        return eprintln!("SKIPPED: only root can mount a small disk");
    };
    assert_code(&output, 5);
    let text = stderr(&output);
    assert!(text.contains("No space left on device"), "{text}");
    assert!(text.contains("hint: make room"), "{text}");
}

/// As when a list is piped into `head`.
#[test]
fn nobody_has_to_read_to_the_end() {
    let stage = Stage::with("passes", PASSES);
    let scenarios = stage.path("scenarios");
    for more in [&["--list"][..], &[]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sshdrill"))
            .args([
                "run",
                "--scenarios",
                &scenarios,
                "--pairing",
                "minissh:minissh",
            ])
            .args(["--out", &stage.path("out")])
            .args(more)
            .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
            .env_remove("SSHDRILL_REQUIRE")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("our own program starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_code(&output, 0);
    }
}
