//! The endpoint against itself, over loopback: each scenario's well-behaved other half.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use minissh::crypto::{EphemeralKey, SigningKey};
use minissh::trace::Direction;

use super::exchange::{Exchange, Hashed, SecretForm, grind};
use super::message::Message;
use super::*;
use crate::requirement::Catalogue;
use crate::scenario::verbs::Verb;
use crate::scenario::{Value, parse};
use crate::verdict::Capture;
use crate::verdict::capture::{Carried, Segment};

fn setup() -> Setup {
    let key = |seed| SigningKey::from_seed(&[seed; 32]);
    Setup {
        user: "somebody".to_owned(),
        password: "a secret".to_owned(),
        host_key: key(1),
        password_login: false,
        user_key: key(2),
        other_key: key(3),
        seed: 1,
        clock: Arc::new(|| Duration::ZERO),
        step_limit: Duration::from_secs(30),
        case_limit: Duration::from_secs(120),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn catalogue() -> Catalogue {
    Catalogue::load(&root().join("fixtures/requirements")).expect("ours")
}

fn scenario(subject: &str, steps: &str) -> Scenario {
    let text = format!("# t\nscenario a/b\nsubject {subject}\ncites rfc4253-11.2/ignore\n{steps}");
    parse(Path::new("a/b.scn"), "a/b", text.as_bytes(), &catalogue())
        .unwrap_or_else(|errors| panic!("{errors}"))
        .remove(0)
}

/// A scenario of the tree, whose ends are awaited for an instant only.
fn impatient(name: &str) -> Scenario {
    let path = root().join("scenarios").join(name).with_extension("scn");
    let bytes = std::fs::read(&path).expect("it is in the tree");
    let mut scenario = parse(&path, name, &bytes, &catalogue())
        .unwrap_or_else(|e| panic!("{e}"))
        .remove(0);
    for step in &mut scenario.steps {
        if let StepKind::Closed(closed) = &mut step.kind {
            closed.within = Some(Duration::from_millis(200));
        }
    }
    scenario
}

fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("listening");
    (client, listener.accept().expect("connected").0)
}

/// Plays a client's steps against a server's.
fn play_both(client: &str, server: &str) -> (Outcome, Outcome) {
    meet(&scenario("server", client), scenario("client", server))
}

fn meet(client: &Scenario, server: Scenario) -> (Outcome, Outcome) {
    let (client_stream, server_stream) = sockets();
    let serving = thread::spawn(move || play(&server, Role::Server, server_stream, &setup()));
    let ours = play(client, Role::Client, client_stream, &setup());
    (ours, serving.join().expect("no panic"))
}

fn passes(outcome: &Outcome) {
    assert_eq!(
        outcome.verdict,
        Verdict::Pass,
        "{:?}\n{}",
        outcome.failure,
        ladder(outcome)
    );
}

fn ladder(outcome: &Outcome) -> String {
    outcome
        .trace
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn preludes_meet_in_every_depth() {
    for prelude in [
        "handshake",
        "login",
        "session",
        "handshake\nlive",
        "session\nlive",
    ] {
        let (client, server) = play_both(prelude, prelude);
        passes(&client);
        passes(&server);
    }
}

/// What one end wrote is what the other read, and both know the secret.
#[test]
fn both_ends_capture_the_same_connection() {
    let (client, server) = play_both("session", "session");
    let [client, server] = [&client, &server].map(|outcome| &outcome.captures[0]);
    let carried = |capture: &Capture, direction| -> Vec<u8> {
        let bytes = |segment: &Segment| match &segment.what {
            Carried::Bytes(bytes) if segment.direction == direction => bytes.clone(),
            _ => Vec::new(),
        };
        capture.segments.iter().flat_map(bytes).collect()
    };
    let up = carried(client, Direction::Outbound);
    assert!(up.starts_with(b"SSH-2.0-scripted\r\n"));
    assert_eq!(up, carried(server, Direction::Inbound));
    let down = carried(server, Direction::Outbound);
    assert!(down.starts_with(&carried(client, Direction::Inbound)));
    let secret = |capture: &Capture| capture.key_lines[0][32..].to_owned();
    assert_eq!(secret(client), secret(server));
    assert!(secret(client).starts_with(" SHARED_SECRET "));
}

#[test]
fn a_password_lets_in_only_when_it_is_right() {
    let ask = "handshake\n> service-request\n< service-accept\n> userauth-request method=password";
    let (client, server) = play_both(&format!("{ask}\n< userauth-success"), "login");
    passes(&client);
    passes(&server);
    let (client, _) = play_both(
        &format!("{ask} password=guess\n< userauth-failure methods~password"),
        "login",
    );
    passes(&client);
}

#[test]
fn a_signature_over_another_request_is_a_wrong_one() {
    for over in [
        "another-user",
        "another-service",
        "another-session",
        "query",
    ] {
        let client = format!(
            "handshake\n> service-request\n< service-accept\n> userauth-request signed-over={over}\n< userauth-failure"
        );
        let (_, server) = play_both(&client, "login");
        let actual = server.failure.expect("it is wrong").actual;
        assert!(
            actual.contains("a USERAUTH_REQUEST whose signature"),
            "{actual}"
        );
    }
}

/// What number 60 means is up to the method.
#[test]
fn a_question_of_another_method_is_told_by_its_number() {
    let ask = "handshake\n> service-request\n< service-accept\n> userauth-request method=keyboard-interactive\n";
    let question = "handshake\n< service-request\n> service-accept\n< userauth-request\n> raw payload=#3c+string:\"\"+string:\"\"+string:\"\"+uint32:0\n";
    passes(&play_both(&format!("{ask}< message number=60"), question).0);
    let (client, _) = play_both(&format!("{ask}< userauth-pk-ok"), question);
    assert_eq!(client.verdict, Verdict::Fail);
}

#[test]
fn a_list_may_be_asked_not_to_have_a_name() {
    let ask = "handshake\n> service-request\n< service-accept\n> userauth-request method=none";
    let server = "login";
    passes(&play_both(&format!("{ask}\n< userauth-failure methods!~none"), server).0);
    let lists_it = format!("{ask}\n< userauth-failure methods!~password");
    let (client, _) = play_both(&lists_it, server);
    assert_eq!(client.verdict, Verdict::Fail, "{}", ladder(&client));
}

#[test]
fn a_secret_of_any_form_gives_the_same_keys() {
    for form in ["any", "leading-zero", "high-bit", "zero-and-high-bit"] {
        let reply = format!(
            "> ident\n< ident\n> kexinit\n< kexinit\n< ecdh-init\n> ecdh-reply shared-secret={form}\nlogin"
        );
        let (client, server) = play_both("login", &reply);
        passes(&client);
        passes(&server);
    }
}

#[test]
fn a_wrong_host_signature_is_the_subjects_fault() {
    let (client, _) = play_both(
        "handshake",
        "> ident\n< ident\n> kexinit\n< kexinit\n< ecdh-init\n> ecdh-reply signed-by=other-key",
    );
    assert_eq!(client.verdict, Verdict::Fail);
    let failure = client.failure.expect("it failed");
    assert_eq!(
        (failure.line, failure.step.as_str()),
        (Some(5), "handshake")
    );
    insta::assert_snapshot!(
        failure.actual,
        @"an ECDH_REPLY whose signature of the exchange hash does not verify"
    );
}

#[test]
fn a_failure_names_its_line_and_what_came() {
    let (client, _) = play_both(
        "handshake\n> service-request\n< service-accept service=ssh-connection",
        "login",
    );
    let failure = client.failure.expect("it failed");
    insta::assert_debug_snapshot!(failure, @r#"
    Failure {
        line: Some(
            7,
        ),
        step: "< service-accept service=ssh-connection",
        expected: "service-accept service=ssh-connection",
        actual: "SERVICE_ACCEPT(6) service=\"ssh-userauth\"",
        hint: None,
    }
    "#);
}

#[test]
fn silence_is_a_failure_after_its_time_and_not_before() {
    let (client, _) = play_both(
        "handshake\n< disconnect within=50ms",
        "handshake\n< disconnect",
    );
    let failure = client.failure.expect("it failed");
    assert_eq!(failure.actual, "nothing within 50 ms");
}

#[test]
fn a_bare_close_passes_with_a_note_and_deviates_from_a_should() {
    let close = "> ident\n> disconnect reason=11";
    let steps = "> ident\n< ident\n< closed reason=2|3";
    let (client, _) = play_both(steps, close);
    passes(&client);
    assert_eq!(client.notes.len(), 1);
    let (client, _) = play_both(&format!("level should\n{steps}"), close);
    assert_eq!(client.verdict, Verdict::Deviation);
    let (client, _) = play_both(steps, "> ident\n> disconnect reason=3");
    assert!(client.notes.is_empty());
}

#[test]
fn ambient_messages_are_passed_over_unless_strict() {
    let server = "login\n> debug text=hello\n> ignore\n> disconnect";
    let banner = format!("login\n> userauth-banner text=late\n{}", &server[6..]);
    for steps in ["login\n< disconnect", "login\n< disconnect strict"] {
        passes(&play_both(steps, server).0);
    }
    passes(&play_both("login\n< disconnect", &banner).0);
    let (client, _) = play_both("login\n< disconnect strict", &banner);
    assert_eq!(client.verdict, Verdict::Fail);
    let (client, _) = play_both("login\n< debug text~ell\n< disconnect", server);
    passes(&client);
}

#[test]
fn requests_that_want_no_reply_and_are_of_a_client_s_own_are_passed_over() {
    let client = |request: &str| {
        format!(
            "login\n> channel-open type=session\n< channel-open-confirmation\n> channel-request {request}\n> disconnect"
        )
    };
    let server = "login\n< channel-open type=session\n> channel-open-confirmation\n< disconnect";
    for aside in ["type=env variable=A value=b", "type=own@example.com"] {
        passes(&play_both(&client(&format!("{aside} want-reply=no")), server).1);
        let (_, server) = play_both(&client(&format!("{aside} want-reply=yes")), server);
        assert_eq!(server.verdict, Verdict::Fail);
    }
    let (_, server) = play_both(&client("type=exec command=true want-reply=no"), server);
    assert_eq!(server.verdict, Verdict::Fail);
}

/// A subject that keeps the peace, with a KEXINIT that it sends while it is spoken to.
#[test]
fn keys_are_exchanged_again_by_either_side_in_the_middle_of_things() {
    let answer = "rekey\n< global-request\n> request-failure";
    let server = format!("session\n{answer}\n{answer}");
    let (client, server) = play_both("session\nrekey\nlive\nrekey\nlive", &server);
    passes(&client);
    passes(&server);
    let theirs = "session\n> channel-data data=one\n> kexinit\n< kexinit\nrekey\n> channel-data data=two\n> disconnect";
    let (client, _) = play_both(
        "session\n< channel-data data=one\n< channel-data data=two\n< disconnect",
        theirs,
    );
    passes(&client);
    let (client, _) = play_both(
        "session\nrekey\n< channel-data data=one\n< disconnect",
        "session\n> channel-data data=one\nrekey\n> disconnect",
    );
    passes(&client);
}

/// RFC 4253 §7.1: between its KEXINIT and its NEWKEYS a side sends nothing of the session.
#[test]
fn data_amid_a_key_exchange_is_a_fault() {
    let server = "session\n< kexinit\n> kexinit\n> channel-data data=x\nrekey";
    let (client, _) = play_both("session\nrekey", server);
    assert_eq!(client.verdict, Verdict::Fail);
}

#[test]
fn a_second_or_an_early_newkeys_changes_no_keys() {
    let (client, _) = play_both(
        "login\n< newkeys\n< ignore\n< disconnect",
        "login\n> newkeys\n> ignore\n> disconnect",
    );
    passes(&client);
}

#[test]
fn every_forgery_is_noticed_and_every_oddity_is_taken() {
    for fault in [
        "flip=tag:0",
        "flip=tag:127",
        "flip=payload:3",
        "flip=padding:0",
        "flip=padding-length:1",
        "flip=length:3",
        "sealed-as=-1",
        "sealed-as=77",
        "keys=theirs",
        "keys=none",
        "keys=previous",
        "padding=3",
        "padding-length=0",
        "packet-length=3",
        "packet-length=300000",
        "padding=5",
    ] {
        let server = format!(
            "login\n> ignore data=abc {fault}\n> ignore data=\"x\"*64\n> fin\nquiet strict"
        );
        let (client, _) = play_both("login\n< disconnect", &server);
        let actual = client.failure.expect("it cannot be read").actual;
        assert!(
            !actual.contains("nothing within") && !actual.contains("end of the stream"),
            "{fault}: {actual}"
        );
    }
    for oddity in [
        "padding=255",
        "padding-fill=ones",
        "padding-fill=zeros",
        "split=1",
        "split-at=4",
        "split-at=-1",
        "split=7 delay=1ms",
        "append=\"\"",
        "patch=5:\"A\"",
    ] {
        let server = format!("login\n> ignore data=abc {oddity}\n> disconnect");
        let (client, _) = play_both("login\n< ignore\n< disconnect", &server);
        passes(&client);
    }
}

#[test]
fn payloads_are_trimmed_appended_to_and_patched() {
    let server = "login\n> ignore data=abc trim=3 append=#ff patch=1:#01\n> disconnect";
    let (client, _) = play_both("login\n< raw payload=#020100ff\n< disconnect", server);
    assert_eq!(client.verdict, Verdict::Fail, "it does not decode");
    let server = "login\n> ignore data=abc trim=-1 patch=-3:#02\n> message number=101 body=#05\n> disconnect";
    let (client, _) = play_both(
        "login\n< raw payload=#02000000026162\n< message number=101|102 body=#05\n< disconnect",
        server,
    );
    passes(&client);
}

#[test]
fn what_is_held_back_comes_all_the_same_and_pauses_are_survived() {
    let server =
        "hold\n> ident\n> kexinit\nrelease\nlogin\npause 10ms\n> ignore split=1 delay=1ms\nlive";
    let (client, _) = play_both(
        "login\n< ignore\n< global-request\n> request-failure",
        server,
    );
    passes(&client);
}

#[test]
fn ends_of_every_kind_are_ends() {
    for end in [
        "> fin\nquiet",
        "> rst",
        "> disconnect reason=2",
        "> ignore cut=5\n> fin\nquiet",
        "> bytes data=#00",
    ] {
        let (client, _) = play_both("login\n< closed", &format!("login\n{end}"));
        passes(&client);
    }
}

#[test]
fn alternatives_end_a_scenario_or_are_graded() {
    let waits = |quiet: &str, answer: &str| {
        let steps = format!(
            "login\n> raw payload=#65\n< unimplemented | closed | tolerated quiet {quiet}\nlive"
        );
        play_both(&steps, &format!("login\n< raw payload=#65\n{answer}")).0
    };
    let with = |answer: &str| waits("30s", answer);
    passes(&with(
        "> unimplemented\n< global-request\n> request-failure",
    ));
    passes(&with("> fin\nquiet"));
    passes(&with("> disconnect"));
    let silent = waits("50ms", "< global-request\n> request-failure");
    assert_eq!(silent.verdict, Verdict::Deviation, "{:?}", silent.failure);
    assert_eq!(with("> debug\n> userauth-success").verdict, Verdict::Fail);
}

#[test]
fn an_optional_line_is_not_waited_for_and_may_be_satisfied_late() {
    let client = "login\n< channel-open optional\n> ignore\n< disconnect";
    for server in [
        "login\n> disconnect",
        "login\n< ignore\n> channel-open\n> disconnect",
    ] {
        let (client, _) = play_both(client, server);
        passes(&client);
        assert!(client.took < setup().step_limit);
    }
}

#[test]
fn quiet_is_broken_by_a_message_and_not_by_an_ambient_one() {
    let (client, _) = play_both("login\nquiet 50ms", "login\n> debug\n< disconnect");
    passes(&client);
    let (client, _) = play_both("login\nquiet 30s strict", "login\n> debug\n< disconnect");
    assert_eq!(client.verdict, Verdict::Fail);
    let (client, _) = play_both("login\nquiet 30s", "login\n> channel-open\n< disconnect");
    assert_eq!(client.verdict, Verdict::Fail);
}

#[test]
fn what_was_received_can_be_sent_again() {
    let client = "login\n> channel-open sender=7 window=100 packet-max=60\n\
                  < channel-open-confirmation recipient=7 sender->theirs window->w\n\
                  > channel-data recipient=$theirs size=$w-70\n> channel-data on=7 total=$packet-max+1\n\
                  < channel-data recipient=7 total=70\n< channel-data all=\"hello\"\nquiet 30s\n\
                  > channel-window-adjust on=7 add=1\n< channel-data data=!";
    let server = "login\n< channel-open sender->s window=100\n> channel-open-confirmation recipient=$s sender=9 window=100 packet-max=40\n\
                  < channel-data recipient=9 data=seq:30\n< channel-data total=41\n\
                  > channel-data size=40\n> channel-data on=9 size=30\n> channel-data data=hel\n> channel-data data=lo\n\
                  > channel-data size=25\n< channel-window-adjust recipient=9\n> disconnect";
    let (client_outcome, _) = play_both(client, server);
    // The server overruns nothing but sends what is not waited for.
    let failure = client_outcome
        .failure
        .expect("25 bytes come amid the quiet");
    assert_eq!(failure.step, "quiet 30s", "{failure:?}");
    let server = server
        .replace("> channel-data size=25\n", "")
        .replace("> disconnect", "> channel-data data=!\n< disconnect");
    let (client, server) = play_both(&client.replace("quiet 30s", "quiet 50ms"), &server);
    passes(&client);
    passes(&server);
}

/// RFC 4254 §5.2, wherever it happens.
#[test]
fn who_overruns_a_window_or_a_packet_fails() {
    for (size, why) in [
        (11, "where the window has 10 left"),
        (7, "where 6 are the most"),
    ] {
        let client =
            "login\n> channel-open window=10 packet-max=6\n< channel-open-confirmation\nlive";
        let server = format!(
            "login\n< channel-open\n> channel-open-confirmation\n> channel-data size={size}\n< global-request"
        );
        let failure = play_both(client, &server)
            .0
            .failure
            .expect("it is too much");
        assert!(failure.actual.ends_with(why), "{}", failure.actual);
    }
}

/// RFC 4254 §5.3, wherever it happens; a number that is used again begins anew.
#[test]
fn who_goes_on_behind_the_end_of_a_channel_fails() {
    let opens = "> channel-open\n< channel-open-confirmation\n";
    let confirms = "< channel-open\n> channel-open-confirmation\n";
    for (sent, why) in [
        (
            "> channel-eof\n> channel-data data=x",
            "behind the EOF of its channel",
        ),
        (
            "> channel-close\n> channel-data data=x",
            "behind the CLOSE of its channel",
        ),
        (
            "> channel-close\n> channel-eof",
            "behind the CLOSE of its channel",
        ),
        (
            "> channel-close\n> channel-close",
            "behind the CLOSE of its channel",
        ),
    ] {
        let server = format!("login\n{confirms}{sent}\n< global-request");
        let client = format!("login\n{opens}live");
        let failure = play_both(&client, &server).0.failure;
        let actual = failure.expect("it is too late").actual;
        assert!(actual.ends_with(why), "{actual}");
    }
    let client =
        format!("login\n{opens}< channel-close\n> channel-close\n{opens}< channel-close\nlive");
    let server = format!(
        "login\n{confirms}> channel-close\n< channel-close\n{confirms}> channel-close\nlive"
    );
    let (client, server) = play_both(&client, &server);
    passes(&client);
    passes(&server);
}

#[test]
fn rounds_are_counted_also_one_in_another() {
    let client = "login\nrepeat 2\nrepeat 3\n> unimplemented sequence=$round\nend\n> unimplemented sequence=$round+10\nend\n> disconnect";
    let server = "login\n< unimplemented sequence=1\n< unimplemented sequence=2\n< unimplemented sequence=3\n< unimplemented sequence=11\n\
                  < unimplemented sequence=1\n< unimplemented sequence=2\n< unimplemented sequence=3\n< unimplemented sequence=12\n< disconnect";
    let (_, server) = play_both(client, server);
    passes(&server);
}

#[test]
fn data_of_the_wrong_amount_or_content_is_told() {
    let told = |demand: &str| {
        // With the exchange behind them, all data are here when the wait for them begins.
        let client = format!("session\nrekey\n< channel-data {demand} within=100ms");
        let server = "session\n> channel-data data=abc\n> channel-data data=de\nrekey\n< ignore";
        play_both(&client, server)
            .0
            .failure
            .map(|failure| failure.actual)
    };
    assert_eq!(told("total=5"), None);
    assert_eq!(told("all=\"abcde\""), None);
    assert_eq!(
        told("total=4").as_deref(),
        Some("5 bytes, where 4 are wanted")
    );
    assert_eq!(
        told("total=6").as_deref(),
        Some("5 of 6 bytes within 100 ms")
    );
    assert_eq!(
        told("all=\"abcdX\"").as_deref(),
        Some("other bytes from byte 4 on")
    );
}

#[test]
fn a_login_takes_the_methods_that_it_is_told_in_their_order() {
    for methods in ["password", "publickey,password", "password,publickey"] {
        let login = format!("login with={methods}");
        let (client, server) = play_both(&login, &login);
        passes(&client);
        passes(&server);
        let (client, _) = play_both("login", &login);
        assert_eq!(client.verdict, Verdict::Fail, "{methods}");
    }
}

#[test]
fn a_session_has_the_command_and_the_windows_that_it_is_told() {
    let client = "session command=\"seq 9\" window=5 sender=8\n> ignore";
    let server = "login\n< channel-open window=5 sender=8\n> channel-open-confirmation\n\
                  < channel-request command=\"seq 9\"\n> channel-success\n< ignore";
    let (client, server) = play_both(client, server);
    passes(&client);
    passes(&server);
}

/// The same seed must give the same bytes, or no failure can be played again.
#[test]
fn the_trace_of_a_login_repeats_and_shows_no_secret() {
    let (client, _) = play_both(
        "handshake\n> service-request\n< service-accept\n> userauth-request method=password\n< userauth-success",
        "login",
    );
    let first = ladder(&client);
    assert!(!first.contains("a secret"), "{first}");
    insta::assert_snapshot!(first);
}

#[test]
fn no_garbage_hangs_or_panics() {
    use std::io::Write;
    for garbage in [
        &b"\n\n\n"[..],
        b"SSH-2.0-x\r\nGET / HTTP/1.0\r\n\r\n",
        b"SSH-2.0-x\n\0\0\0\x0c\x04\x14",
        &[0xff; 9000],
    ] {
        let (mut theirs, ours) = sockets();
        theirs.write_all(garbage).expect("it fits");
        drop(theirs);
        let outcome = play(&scenario("client", "login"), Role::Server, ours, &setup());
        assert_eq!(outcome.verdict, Verdict::Fail);
    }
}

/// A scenario that every subject passes tests nothing. The endpoint itself, which takes whatever
/// comes, makes a good bad subject.
#[test]
fn a_subject_that_swallows_the_fault_fails() {
    let swallow = |subject| scenario(subject, "login");
    for name in [
        "strict-kex/ignore-before-newkeys",
        "strict-kex/ignore-before-kexinit",
        "kex/nothing-in-common",
    ] {
        let (client, _) = meet(&impatient(name), swallow("client"));
        assert_eq!(client.verdict, Verdict::Fail, "{name}");
    }
    for name in [
        "strict-kex/ignore-before-newkeys-of-server",
        "strict-kex/ignore-before-kexinit",
        "kex/nothing-in-common",
    ] {
        let (_, server) = meet(&swallow("server"), impatient(name));
        assert_eq!(server.verdict, Verdict::Fail, "{name}");
    }
}

/// The bug of OpenSSH 6.5 and of many since: once in some hundred connections, and then hard to
/// tell from line noise.
#[test]
fn a_secret_hashed_as_a_string_is_called_by_its_name() {
    let setup = setup();
    let (stream, _theirs) = sockets();
    let mut endpoint = client(&setup, stream);
    endpoint.say("ecdh-init").expect("the socket is open");
    let our_share = endpoint.ours.share.clone().expect("it was sent");
    let key = grind(SecretForm::HighBit, &our_share, &mut endpoint.rng).expect("every second");
    let secret = key.agree(&our_share).expect("a good share");

    let reply = reply_over(&mut endpoint, &key, |hashed| {
        Exchange::with_plain_secret(hashed, &secret).hash
    });
    insta::assert_snapshot!(
        endpoint.on_ecdh_reply(&reply).expect_err("it is wrong"),
        @"an ECDH_REPLY whose signature of the exchange hash does not verify: it is over the 32 bytes of the shared secret and not over its mpint"
    );
}

/// Dropbear's client has guessed by the time that a server says what it offers.
#[test]
fn a_guess_is_judged_when_both_have_said_what_they_offer() {
    let server = "> ident\n< ident\n< kexinit\nquiet 100ms\nhandshake\nlive";
    let right = "> kexinit first-kex-packet-follows=yes\n> ecdh-init\n< kexinit";
    let wrong =
        "> kexinit first-kex-packet-follows=yes kex=curve25519-sha256@libssh.org,curve25519-sha256
> ecdh-init\n< kexinit\n> ecdh-init";
    for guess in [right, wrong] {
        let client = format!("> ident\n< ident\n{guess}\nhandshake\nlive");
        let (client, server) = play_both(&client, server);
        passes(&client);
        passes(&server);
    }
}

/// A server that does not pass it over looks as if it could not sign.
#[test]
fn a_guess_that_was_used_is_called_by_its_name() {
    let setup = setup();
    let (stream, _theirs) = sockets();
    let mut endpoint = client(&setup, stream);
    endpoint.say("ecdh-init").expect("the socket is open");
    let guess = endpoint.ours.share.clone().expect("it was sent");
    endpoint.say("ecdh-init").expect("the socket is open");
    let key = grind(SecretForm::Any, &guess, &mut endpoint.rng).expect("the first");
    let secret = key.agree(&guess).expect("a good share");

    let reply = reply_over(&mut endpoint, &key, |hashed| {
        let mut hashed = *hashed;
        hashed[5] = &guess;
        Exchange::new(&hashed, &secret).hash
    });
    insta::assert_snapshot!(endpoint.on_ecdh_reply(&reply).expect_err("it is wrong"));
}

fn client(setup: &Setup, stream: TcpStream) -> Endpoint<'_> {
    let link = Link::new(Box::new(stream), Side::Client, Arc::clone(&setup.clock));
    Endpoint::new(Role::Client, setup, link)
}

/// The reply of a server with this ephemeral key, which signs the hash that it makes of what was said.
fn reply_over(
    endpoint: &mut Endpoint<'_>,
    key: &EphemeralKey,
    hash: impl FnOnce(&Hashed<'_>) -> [u8; 32],
) -> Message {
    let host_key = &endpoint.setup.host_key;
    endpoint.theirs.share = Some(key.share().to_vec());
    endpoint.theirs.host_key = host_key.public_key().to_blob();
    let bytes = [
        endpoint.theirs.host_key.clone(),
        key.share().to_vec(),
        host_key.sign(&hash(&endpoint.hashed())),
    ];
    let mut reply = Message::new(Verb::named("ecdh-reply").expect("in the table"));
    reply.fields = reply
        .verb
        .fields
        .iter()
        .zip(bytes.map(Value::Bytes))
        .collect();
    reply
}

/// Whoever started such a client is told, and not only that the client failed.
#[test]
fn a_client_that_leaves_without_a_key_is_told_so() {
    const BANNER: &str = "handshake\n> userauth-banner text=hi\nlogin\n";
    for (client, hint) in [
        (
            "> service-request\n< service-accept\n> userauth-request method=none\n< userauth-failure\n> disconnect reason=14\n",
            Some(NO_CREDENTIAL),
        ),
        (
            "> service-request\n< service-accept\n> userauth-request signed=no\n< userauth-pk-ok\n> disconnect reason=14\n",
            None,
        ),
    ] {
        let (_, server) = play_both(&format!("handshake\n{client}"), BANNER);
        let failure = server.failure.expect("nobody logged in");
        assert_eq!(failure.step, "login");
        assert_eq!(failure.hint.as_deref(), hint, "{}", failure.actual);
    }
}
