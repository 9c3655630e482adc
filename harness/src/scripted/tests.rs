//! The endpoint against itself, over loopback: each scenario's well-behaved other half.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use minissh::crypto::SigningKey;

use super::exchange::{Exchange, SecretForm, grind};
use super::message::Message;
use super::*;
use crate::requirement::Catalogue;
use crate::scenario::verbs::Verb;
use crate::scenario::{Value, parse};

fn setup() -> Setup {
    let key = |seed| SigningKey::from_seed(&[seed; 32]);
    Setup {
        user: "somebody".to_owned(),
        password: "a secret".to_owned(),
        host_key: key(1),
        user_key: key(2),
        other_key: key(3),
        seed: 1,
        clock: Arc::new(|| Duration::ZERO),
        step_limit: Duration::from_secs(2),
        case_limit: Duration::from_secs(5),
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
}

/// A scenario of the tree, whose ends are awaited for an instant only.
fn impatient(name: &str) -> Scenario {
    let path = root().join("scenarios").join(name).with_extension("scn");
    let bytes = std::fs::read(&path).expect("it is in the tree");
    let mut scenario = parse(&path, name, &bytes, &catalogue()).unwrap_or_else(|e| panic!("{e}"));
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
fn a_secret_of_any_form_gives_the_same_keys() {
    for form in ["any", "leading-zero", "high-bit"] {
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
    assert_eq!(failure.actual, "nothing within 50ms");
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
    let (client, _) = play_both("login\n< disconnect", server);
    passes(&client);
    let (client, _) = play_both("login\n< disconnect strict", server);
    assert_eq!(client.verdict, Verdict::Fail);
    let (client, _) = play_both("login\n< debug text~ell\n< disconnect", server);
    passes(&client);
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
    let link = Link::new(stream, Arc::clone(&setup.clock)).expect("loopback");
    let mut endpoint = Endpoint::new(Role::Client, &setup, link);
    endpoint.say("ecdh-init").expect("the socket is open");
    let our_share = endpoint.ours.share.clone().expect("it was sent");
    let key = grind(SecretForm::HighBit, &our_share, &mut endpoint.rng).expect("every second");
    let secret = key.agree(&our_share).expect("a good share");

    endpoint.theirs.share = Some(key.share().to_vec());
    endpoint.theirs.host_key = setup.host_key.public_key().to_blob();
    let hash = Exchange::with_plain_secret(&endpoint.hashed(), &secret).hash;
    let bytes = [
        endpoint.theirs.host_key.clone(),
        key.share().to_vec(),
        setup.host_key.sign(&hash),
    ];
    let mut reply = Message::new(Verb::named("ecdh-reply").expect("in the table"));
    reply.fields = reply
        .verb
        .fields
        .iter()
        .zip(bytes.map(Value::Bytes))
        .collect();

    insta::assert_snapshot!(
        endpoint.on_ecdh_reply(&reply).expect_err("it is wrong"),
        @"an ECDH_REPLY whose signature of the exchange hash does not verify: it is over the 32 bytes of the shared secret and not over its mpint"
    );
}
