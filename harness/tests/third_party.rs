//! Implementations of strangers, plugged in by manifests: what works, and what is said when it does
//! not. Programs of `minissh` are the stranger's here, so nothing but a shell is needed.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use sshdrill::peer::catalogue::{Part, Required};
use tempfile::TempDir;

/// The `minissh` program, built if need be.
fn minissh() -> &'static Path {
    static MINISSH: OnceLock<PathBuf> = OnceLock::new();
    MINISSH.get_or_init(|| {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "minissh"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.is_ok_and(|status| status.success()), "minissh builds");
        let own = Path::new(env!("CARGO_BIN_EXE_sshdrill"));
        own.with_file_name("minissh")
    })
}

fn example(name: &str) -> String {
    format!("{}/examples/{name}.toml", env!("CARGO_MANIFEST_DIR"))
}

fn sshdrill(out: &TempDir, args: &[&str]) -> Output {
    prepared(out, args)
        .output()
        .expect("our own program starts")
}

fn prepared(out: &TempDir, args: &[&str]) -> Command {
    let mut sshdrill = Command::new(env!("CARGO_BIN_EXE_sshdrill"));
    sshdrill
        .args(args)
        .arg("--out")
        .arg(out.path().join("drill"))
        .env("MINISSH", minissh())
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .env("TMPDIR", out.path())
        .env_remove("SSHDRILL_REQUIRE");
    sshdrill
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", text(output));
}

/// A folder with a manifest.
fn manifest(text: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("mine.toml");
    fs::write(&path, text).expect("writable");
    let path = path.display().to_string();
    (folder, path)
}

/// Runs some scenarios with the manifest's peer, in all the roles that it has.
fn run_with(text: &str) -> Output {
    let (folder, path) = manifest(text);
    let args = ["run", "interop/exec*", "--peer-manifest", &path];
    let output = sshdrill(&folder, &[&args[..], &["--peer", "mine"]].concat());
    let left: Vec<_> = fs::read_dir(folder.path())
        .expect("readable")
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().starts_with("sshdrill-"))
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    output
}

const SERVES: &str = r#"
name = "mine"
version = "$MINISSH --version"
[server]
start = '''
exec $MINISSH serve --host-key "$DRILL_HOST_KEY" --authorized-keys "$DRILL_AUTHORIZED_KEYS" \
    --port "$DRILL_PORT"
'''
"#;

#[test]
fn the_programs_of_minissh_are_plugged_in_and_pass() {
    let out = tempfile::tempdir().expect("a temporary folder");
    let manifest = example("minissh-cli");
    let names = [
        "run",
        "auth/*",
        "interop/exec",
        "kex/*",
        "strict-kex/*",
        "host-key/*",
    ];
    let peer = ["--peer-manifest", &manifest, "--peer", "minissh-cli"];

    let output = sshdrill(&out, &[&names[..], &peer].concat());

    assert_code(&output, 0);
    let text = text(&output);
    assert!(text.contains("minissh-cli"), "{text}");
    assert!(!text.contains(" 0 pass"), "{text}");
}

/// Whether this machine has an OpenSSH; says so loudly if not, and fails where it is required.
fn has_openssh() -> bool {
    let required = Required::from_env().expect("a list of parts");
    let here = Path::new("/usr/sbin/sshd").exists() && which::which("ssh").is_ok();
    if !here {
        assert!(!required.has(Part::OpenSsh), "OpenSSH must be here");
        eprintln!("SKIPPED: there is no OpenSSH here (Debian: openssh-client openssh-server)");
    }
    here
}

#[test]
fn an_openssh_is_plugged_in_and_passes() {
    if !has_openssh() {
        return;
    }
    let out = tempfile::tempdir().expect("a temporary folder");
    let manifest = example("my-openssh");
    let names = ["run", "interop/exec", "kex/*", "host-key/*"];
    let peer = ["--peer-manifest", &manifest, "--peer", "my-openssh"];

    assert_code(&sshdrill(&out, &[&names[..], &peer].concat()), 0);
}

#[test]
fn a_manifest_that_does_not_parse_is_shown_with_a_caret() {
    let output = run_with("name = \"mine\"\n[server]\nstrat = \"x\"\n");
    assert_code(&output, 3);
    let text = text(&output);
    for part in [
        "mine.toml",
        "line 3",
        "^^^^^",
        "unknown field `strat`",
        "hint:",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn a_server_that_does_not_keep_the_contract_stops_the_run_with_its_words() {
    let start = |line: &str| format!("name = \"mine\"\n[server]\nstart = \"{line}\"\n");
    for (line, words) in [
        ("echo no licence; exit 3", "ended with status 3"),
        ("echo no licence; exit 3", "no licence"),
        ("exec no-such-sshd", "a command of the manifest is missing"),
        ("exec sleep 600", "does not accept connections"),
    ] {
        let output = run_with(&start(line));
        assert_code(&output, 5);
        assert!(
            text(&output).contains(words),
            "{words} in\n{}",
            text(&output)
        );
    }
}

#[test]
fn a_client_that_does_not_keep_the_contract_stops_the_run_with_its_words() {
    let start = |line: &str| format!("name = \"mine\"\n[client]\nstart = \"{line}\"\n");
    for (line, words) in [
        (
            "echo no display >&2; exit 255",
            "did not connect: it failed: no display",
        ),
        (
            "exec sleep 600",
            "did not connect: it failed: not done after",
        ),
    ] {
        let output = run_with(&start(line));
        assert_code(&output, 5);
        assert!(
            text(&output).contains(words),
            "{words} in\n{}",
            text(&output)
        );
    }
}

/// Status 127 is the peer's own word, and no failure.
#[test]
fn a_peer_that_says_it_is_unsupported_is_left_out_with_its_reason() {
    let start = "echo needs a newer kernel; exit 127";
    let output = run_with(&format!("name = \"mine\"\n[server]\nstart = \"{start}\"\n"));
    assert_code(&output, 4);
    assert!(
        text(&output).contains("needs a newer kernel"),
        "{}",
        text(&output)
    );
}

/// No case could begin with it, and so none is tried.
#[test]
fn a_peer_that_speaks_none_of_our_ciphers_is_left_out_with_what_it_lacks() {
    if !has_openssh() {
        return;
    }
    let start = "exec ssh -F /dev/null -c aes128-ctr -p $DRILL_PORT $DRILL_USER@$DRILL_HOST true";
    let output = run_with(&format!("name = \"mine\"\n[client]\nstart = \"{start}\"\n"));
    assert_code(&output, 4);
    assert!(
        text(&output).contains("its client offers no cipher chacha20-poly1305@openssh.com"),
        "{}",
        text(&output)
    );
}

/// Also of one that is named without a folder.
#[test]
fn commands_find_what_is_beside_their_manifest() {
    let (folder, _) = manifest(&SERVES.replace("$MINISSH serve", "\"$DRILL_MANIFEST_DIR/serve\""));
    let beside = format!("#!/bin/sh\nexec '{}' serve \"$@\"\n", minissh().display());
    fs::write(folder.path().join("serve"), beside).expect("writable");
    let executable = fs::Permissions::from_mode(0o700);
    fs::set_permissions(folder.path().join("serve"), executable).expect("ours");
    let args = [
        "run",
        "kex/handshake",
        "--peer-manifest",
        "mine.toml",
        "--peer",
        "mine",
    ];
    let mut run = prepared(&folder, &args);
    let output = run.current_dir(folder.path()).output();
    assert_code(&output.expect("our own program starts"), 0);
}

#[test]
fn a_port_that_is_taken_is_said_in_the_words_of_the_server() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let elsewhere = SERVES.replace("$DRILL_PORT", &port.to_string());
    let output = run_with(&elsewhere);
    assert_code(&output, 5);
    assert!(text(&output).contains("in use"), "{}", text(&output));
}

/// A run in which a command gives the server this signal, and then the steps go on so, fails and says
/// all of that.
fn assert_a_signalled_server_fails(signal: &str, steps: &str, wanted: &[&str]) {
    let scenario = format!(
        "\
# A command gives the server a signal.
scenario  made-up/signals
subject   server
cites     rfc4254-6.5/exec

session
> channel-open     type=session sender=9
< channel-open-confirmation
> channel-request  recipient=1 type=exec command=\"kill -{signal} $PPID\"
< channel-success  optional
{steps}
"
    );
    let (folder, path) = manifest(SERVES);
    let file = folder.path().join("scenarios/made-up/signals.scn");
    fs::create_dir_all(file.parent().expect("it has one")).expect("writable");
    fs::write(file, scenario).expect("writable");
    let scenarios = folder.path().join("scenarios").display().to_string();
    let args = ["run", "--scenarios", &scenarios, "--peer-manifest", &path];
    let more = ["--peer", "mine", "--timeout", "5"];

    let output = sshdrill(&folder, &[&args[..], &more].concat());

    assert_code(&output, 1);
    let text = text(&output);
    assert!(text.contains("FAIL  made-up/signals"), "{text}");
    for part in wanted {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

/// The connection ends as the scenario wants it, and the server is gone: that is no pass.
#[test]
fn a_server_that_dies_in_a_case_fails_it() {
    let said = [
        "ended with status 137 during the case",
        "its log is among the logs of the case",
    ];
    assert_a_signalled_server_fails("KILL", "< closed", &said);
}

#[test]
fn a_server_that_hangs_in_a_case_fails_it() {
    let said = ["nothing in time", "if it hangs, its log"];
    assert_a_signalled_server_fails("STOP", "pause 500ms\nlive", &said);
}

/// The connection ends as the scenario wants it, and the client has crashed: that is no pass.
#[test]
fn a_client_that_crashes_fails_the_case() {
    const CRASHES: &str = r#"
name = "mine"
version = "$MINISSH --version"
[client]
start = '''
$MINISSH scan -p "$DRILL_PORT" "$DRILL_HOST" >/dev/null 2>&1
kill -SEGV $$
'''
"#;
    let (folder, path) = manifest(CRASHES);
    let args = ["run", "kex/newer-methods-only", "--peer-manifest", &path];

    let output = sshdrill(&folder, &[&args[..], &["--peer", "mine"]].concat());

    assert_code(&output, 1);
    assert!(
        text(&output).contains("mine: ended by SIGSEGV"),
        "{}",
        text(&output)
    );
}

/// A program that is ended with the test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn fixture(name: &str) -> String {
    format!("{}/../fixtures/keys/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A port that nobody listens on, another one each time, below those that the system gives to who
/// asks for any: nobody gets it before it is used.
fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 8_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = u16::try_from(std::process::id() % u32::from(COUNT)).expect("it is below");
    let mut ports = std::iter::repeat_with(|| {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        FIRST + (begin + turn) % COUNT
    });
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.find(is_free).expect("one of them is")
}

/// Keys must not be readable by others, and a checkout does not know.
fn own_copy(folder: &TempDir, name: &str) -> String {
    let copy = folder.path().join(name);
    fs::copy(fixture(name), &copy).expect("writable");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).expect("ours");
    copy.display().to_string()
}

/// `minissh serve` on a free port, ready.
fn served(folder: &TempDir) -> (Ended, String) {
    let server = Command::new(minissh())
        .args(["serve", "--host-key", &own_copy(folder, "host_ed25519")])
        .args([
            "--authorized-keys",
            &fixture("user_ed25519.pub"),
            "--port",
            "0",
        ])
        .stderr(std::process::Stdio::piped())
        .spawn();
    let mut server = Ended(server.expect("it starts"));
    let stderr = server.0.stderr.take().expect("it is piped");
    let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
    let address = lines.find_map(|line| {
        let (address, _) = line.strip_prefix("listening on ")?.split_once(',')?;
        Some(address.to_owned())
    });
    // It goes on to talk, and shall not wait for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    (server, address.expect("it listens"))
}

#[test]
fn a_live_server_is_asked_what_needs_no_login_and_with_a_key_the_rest() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_server, address) = served(&folder);

    let output = sshdrill(&folder, &["probe", &address, "kex", "auth/probe-then-sign"]);
    assert_code(&output, 0);
    let without = text(&output);
    assert!(without.contains("minissh_"), "{without}");
    for part in [
        "was not asked to let anybody in with a key: there was none",
        "hint: add --user NAME and --identity FILE",
    ] {
        assert!(without.contains(part), "{part} in\n{without}");
    }

    let key = own_copy(&folder, "user_ed25519");
    let login = ["--user", "drill", "--identity", &key];
    let output = sshdrill(
        &folder,
        &[
            &["probe", &address, "kex", "auth/probe-then-sign"][..],
            &login,
        ]
        .concat(),
    );
    assert_code(&output, 0);
    let with = text(&output);
    assert!(with.contains("auth/probe-then-sign"), "{with}");
    assert!(!with.contains("was not asked"), "{with}");
}

/// Whether it can give a terminal is not declared anywhere, and so it is asked for one.
#[test]
fn a_live_server_that_gives_a_terminal_is_asked_for_shells_and_signals() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_server, address) = served(&folder);
    let key = own_copy(&folder, "user_ed25519");
    let login = ["--user", "drill", "--identity", &key];
    let cases = ["probe", &address, "session/shell", "session/window-change"];
    let output = sshdrill(&folder, &[&cases[..], &login].concat());
    assert_code(&output, 0);
    let said = text(&output);
    assert!(said.contains("2 cases: 2 pass"), "{said}");
}

/// `minissh serve` looks at the key alone, and says so: that it takes a made-up name is no failure.
#[test]
fn a_live_server_that_takes_any_name_is_not_asked_about_names() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_server, address) = served(&folder);
    let key = own_copy(&folder, "user_ed25519");
    let login = ["--user", "drill", "--identity", &key];
    let cases = [
        "probe",
        &address,
        "auth/*user*",
        "auth/large-requests",
        "auth/publickey",
    ];
    let output = sshdrill(&folder, &[&cases[..], &login].concat());
    assert_code(&output, 0);
    let said = text(&output);
    assert!(
        said.contains("lets in whoever has the key or the password, whatever the name"),
        "{said}"
    );
}

/// Cases without the right credentials, or with other algorithms, would blame the server for ours.
#[test]
fn a_live_server_that_no_case_can_begin_with_gets_no_verdict() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_server, address) = served(&folder);
    let wrong = own_copy(&folder, "other_host_ed25519");
    let login = ["--user", "drill", "--identity", &wrong];
    let output = sshdrill(&folder, &[&["probe", &address][..], &login].concat());
    assert_code(&output, 5);
    let refused = text(&output);
    assert!(
        refused.contains("does not let drill in with this key") && refused.contains("hint:"),
        "{refused}"
    );

    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let other = listener.local_addr().expect("it has one").to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody comes");
        // KEXINIT, cookie, ten lists of one name, no guess, zero; and padding.
        let list = [&[0, 0, 0, 5][..], b"other"].concat();
        let payload = [&[20; 17][..], &list.repeat(10), &[0; 5]].concat();
        let length = u32::try_from(1 + payload.len() + 8).expect("it is short");
        let packet = [&length.to_be_bytes()[..], &[8], &payload, &[0; 8]].concat();
        let _ = stream.write_all(&[&b"SSH-2.0-other\r\n"[..], &packet].concat());
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let output = sshdrill(&folder, &["probe", &other]);
    assert_code(&output, 5);
    let lacks = text(&output);
    assert!(
        lacks.contains("offers no key exchange curve25519-sha256"),
        "{lacks}"
    );
}

/// The wrong port is the likeliest slip, and nobody waits for what cannot come.
#[test]
fn a_web_server_is_told_from_an_ssh_server_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it has one").to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody comes");
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let began = std::time::Instant::now();
    let output = sshdrill(&folder, &["probe", &address]);
    assert_code(&output, 5);
    let said = text(&output);
    for part in [
        "it sent no identification",
        "`HTTP/1.1 400 Bad Request`",
        "hint: a web server answers there",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    assert!(
        began.elapsed() < std::time::Duration::from_secs(20),
        "{said}"
    );
}

/// Its user's password is a real one, and a capture can be read by whoever finds it.
#[test]
fn of_a_live_server_nothing_is_captured_unasked() {
    const FAILS: &str = r"# A server says that it is somebody whom nobody knows.
scenario  made-up/fails
subject   server
cites     rfc4253-4.2/ident-line

> ident  SSH-2.0-scripted
< ident  SSH-2.0-nobody
";
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_server, address) = served(&folder);
    let scenarios = folder.path().join("scenarios");
    fs::create_dir_all(scenarios.join("made-up")).expect("writable");
    fs::write(scenarios.join("made-up/fails.scn"), FAILS).expect("writable");
    let probe = |more: &[&str]| {
        let scenarios = scenarios.display().to_string();
        let args = ["probe", &address, "--scenarios", &scenarios];
        let output = sshdrill(&folder, &[&args[..], more].concat());
        assert_code(&output, 1);
        let again = format!("cargo drill probe {address} made-up/fails --seed 0x");
        assert!(text(&output).contains(&again), "{}", text(&output));
        folder.path().join("drill/made-up/fails").exists()
    };
    assert!(!probe(&[]), "nothing was asked for");
    assert!(probe(&["--captures", "failed"]), "it was asked for");
}

#[test]
fn a_live_server_that_is_not_there_is_no_verdict() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let nowhere = format!("127.0.0.1:{}", free_port());
    let output = sshdrill(&folder, &["probe", &nowhere]);
    assert_code(&output, 5);
    let text = text(&output);
    assert!(
        text.contains("cannot connect to") && text.contains("hint:"),
        "{text}"
    );
    assert_code(&sshdrill(&folder, &["probe", "no-port"]), 2);

    // Set for other probes, it is no wish to log in.
    let mut probe = prepared(&folder, &["probe", &nowhere]);
    let output = probe.env("SSHDRILL_PASSWORD", "fixture").output();
    assert_code(&output.expect("our own program starts"), 5);
}

#[test]
fn a_lure_that_cannot_be_laid_waits_for_nobody() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let output = sshdrill(&folder, &["lure", &port]);
    assert_code(&output, 5);
    let said = text(&output);
    assert!(
        said.contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{said}"
    );
    assert!(said.contains("hint: choose another port"), "{said}");

    for command in [["lure", "0"], ["probe", "127.0.0.1:1"]] {
        let output = sshdrill(&folder, &[&command[..], &["kex/handshale"]].concat());
        assert_code(&output, 4);
        let said = text(&output);
        assert!(said.contains("did you mean `kex/handshake`"), "{said}");
    }
}

/// Starts `client` over and over until the lure has had enough; gives what the lure said.
fn lured(folder: &TempDir, cases: &[&str], client: impl Fn(&str, &Path)) -> Output {
    let port = free_port().to_string();
    let out = folder.path().join("drill");
    let mut lure = Command::new(env!("CARGO_BIN_EXE_sshdrill"))
        .args(["lure", &port])
        .args(cases)
        .arg("--out")
        .arg(&out)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("our own program starts");
    while matches!(lure.try_wait(), Ok(None)) {
        client(&port, &out.join("lure"));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    lure.wait_with_output().expect("it ended")
}

#[test]
fn any_client_that_comes_is_asked_one_case_with_each_connection() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = lured(
        &folder,
        &["kex/handshake", "ident/longest-line"],
        |port, bait| {
            let _ = Command::new(minissh())
                .args(["exec", "-p", port, "-i"])
                .arg(bait.join("user_ed25519"))
                .arg("--known-hosts")
                .arg(bait.join("known_hosts"))
                .args(["drill@127.0.0.1", "true"])
                .output();
        },
    );
    assert_code(&output, 0);
    let text = text(&output);
    for part in [
        "ssh -F /dev/null",
        "plink -batch",
        "while test -e",
        "kex/handshake",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let key = folder.path().join("drill/lure/user_ed25519");
    assert!(!key.exists(), "the loop would go on");
}

/// Nothing may keep the printed loop going, and who asked for reports has them.
#[test]
fn a_lure_that_is_stopped_before_anybody_came_leaves_no_key() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("drill");
    let report = folder.path().join("out.json");
    let mut lure = Command::new(env!("CARGO_BIN_EXE_sshdrill"));
    lure.args(["lure", "0", "kex/handshake", "--out"]).arg(&out);
    lure.arg("--json").arg(&report);
    let piped = std::process::Stdio::piped;
    let lure = lure.stdout(piped()).stderr(piped()).spawn();
    let lure = lure.expect("our own program starts");
    let key = out.join("lure/user_ed25519");
    while !key.exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    // One that a test runner had us ignore would be ignored there, too; this one never is.
    kill_process(Pid::from_child(&lure), Signal::TERM).expect("it is ours");
    let output = lure.wait_with_output().expect("it ended");
    assert_code(&output, 130);
    assert!(text(&output).contains("stopping: "), "{}", text(&output));
    assert!(!key.exists(), "the loop would go on");
    let report = fs::read_to_string(report).expect("it was written");
    assert!(report.contains("before there was anybody"), "{report}");
}

/// It is not the fault of a client that nobody gave it the key.
#[test]
fn a_client_that_was_started_without_the_key_is_told_how_it_is_done() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let other = own_copy(&folder, "other_host_ed25519");
    let output = lured(&folder, &["auth/banner"], |port, bait| {
        let _ = Command::new(minissh())
            .args(["exec", "-p", port, "-i", &other, "--known-hosts"])
            .arg(bait.join("known_hosts"))
            .args(["drill@127.0.0.1", "true"])
            .output();
    });
    assert_code(&output, 1);
    let said = text(&output);
    let hint =
        "it offered neither the key nor the password that lets it in: start it as was printed";
    assert!(said.contains(hint), "{said}");
}

#[test]
fn ssh_comes_by_the_command_that_is_printed_for_it() {
    if which::which("ssh").is_err() {
        eprintln!("SKIPPED: there is no ssh here (Debian: openssh-client)");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = lured(
        &folder,
        &["kex/handshake", "ident/longest-line"],
        |port, bait| {
            let [key, known] = ["user_ed25519", "known_hosts"].map(|name| bait.join(name));
            let _ = Command::new("ssh")
                .args([
                    "-F",
                    "/dev/null",
                    "-o",
                    "BatchMode=yes",
                    "-o",
                    "IdentitiesOnly=yes",
                ])
                .arg("-i")
                .arg(key)
                .arg("-o")
                .arg(format!("UserKnownHostsFile={}", known.display()))
                .args([
                    "-o",
                    "StrictHostKeyChecking=yes",
                    "-p",
                    port,
                    "drill@127.0.0.1",
                    "true",
                ])
                .output();
        },
    );
    assert_code(&output, 0);
}

#[test]
fn the_doctor_says_what_is_missing_and_what_it_would_add() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = Command::new(env!("CARGO_BIN_EXE_sshdrill"))
        .arg("doctor")
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .env("TMPDIR", folder.path())
        .output()
        .expect("our own program starts");
    assert_code(&output, 0);
    let text = text(&output);
    for part in [
        "minissh",
        "container engine",
        "would add",
        "dropbear-sid",
        "how to get it",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

/// Whatever OpenSSH there is, as a folder; and what is said of a folder that holds none.
#[test]
fn an_openssh_in_a_folder_is_a_peer() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let nothing = folder.path().display().to_string();
    let output = sshdrill(
        &folder,
        &["run", "interop/exec-output", "--openssh-dir", &nothing],
    );
    assert_code(&output, 5);
    assert!(
        text(&output).contains("there is no OpenSSH in"),
        "{}",
        text(&output)
    );

    if !Path::new("/usr/sbin/sshd").exists() {
        eprintln!("SKIPPED: there is no OpenSSH here (Debian: openssh-client openssh-server)");
        return;
    }
    let build = folder.path().join("build");
    for (from, to) in [("/usr/bin/ssh", "bin/ssh"), ("/usr/sbin/sshd", "sbin/sshd")] {
        let to = build.join(to);
        fs::create_dir_all(to.parent().expect("it has one")).expect("writable");
        // A link, since sshd of 9.8 and later finds its other programs by where it was installed.
        std::os::unix::fs::symlink(from, to).expect("writable");
    }
    let path = build.display().to_string();
    let names = [
        "run",
        "interop/exec-output",
        "kex/handshake",
        "--no-containers",
    ];
    let peer = ["--openssh-dir", &path, "--peer", "openssh-build"];
    let output = sshdrill(&folder, &[&names[..], &peer].concat());
    assert_code(&output, 0);
    assert!(text(&output).contains("openssh-build"), "{}", text(&output));
}
