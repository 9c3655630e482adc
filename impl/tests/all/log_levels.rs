//! What each level of the packet log shows, to both sides, when all goes well and when it does not.
//!
//! Randomness is seeded, and the time at the beginning of each line is cut off.

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};

use minissh::crypto::{SigningKey, from_seed};
use minissh::engine::Config;
use minissh::net::{self, AuthPolicy, Exit, Options, PacketLog, Session};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use crate::facade;
use crate::openssh::{Home, Sshd};

const PASSWORD: &str = "correct horse battery staple";

/// Characters of the time.
const TIME_CHARS: usize = 11;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Logs {
    Client,
    Server,
}

#[derive(Debug, Clone, Copy)]
enum Case {
    Success,
    WrongPassword,
    HostKeyRefused,
    Garbage,
}

fn options(side: Logs, logs: Logs, level: PacketLog) -> Options {
    let (config, seed) = match side {
        Logs::Client => (Config::client(), 1),
        Logs::Server => (Config::server(SigningKey::from_seed(&[1; 32])), 2),
    };
    Options {
        packet_log: if side == logs { level } else { PacketLog::Off },
        rng: Some(from_seed(seed)),
        ..Options::new(config)
    }
}

async fn serve(stream: DuplexStream, options: Options) {
    let Ok(session) = net::start(stream, options, None).await else {
        return;
    };
    let policy = AuthPolicy::password(|_, password| password.expose() == PASSWORD.as_bytes());
    if session.userauth_accept(policy).await.is_ok() {
        let channel = session.channel_accept().await.unwrap();
        channel.write(b"hi\n").await.unwrap();
        channel.send_exit(&Exit::Status(0)).await.unwrap();
        channel.close().await.unwrap();
        session.wait().await;
    }
}

async fn visit(session: &Session, password: &str) {
    if session.userauth_password("robin", password).await.unwrap() {
        let channel = session.channel_exec("greet").await.unwrap();
        channel.wait().await;
    }
    session.disconnect().await;
}

/// An identification, and then a packet of length 0.
async fn babble(mut stream: DuplexStream) {
    stream
        .write_all(b"SSH-2.0-babble\r\n\0\0\0\0\0\0\0\0")
        .await
        .unwrap();
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

async fn converse(case: Case, client: Options, server: Options, logs: Logs) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let accept = !matches!(case, Case::HostKeyRefused);
    match case {
        Case::Garbage if logs == Logs::Client => {
            let connect = net::start(ours, client, Some(Box::new(|_| true)));
            let _ = tokio::join!(connect, babble(theirs));
        }
        Case::Garbage => {
            let _ = tokio::join!(net::start(ours, server, None), babble(theirs));
        }
        _ => {
            let connect = async {
                let password = match case {
                    Case::WrongPassword => "wrong horse battery staple",
                    _ => PASSWORD,
                };
                let verifier = Box::new(move |_: &minissh::crypto::PublicKey| accept);
                if let Ok(session) = net::start(ours, client, Some(verifier)).await {
                    visit(&session, password).await;
                }
            };
            tokio::join!(connect, serve(theirs, server));
        }
    }
}

/// What is logged meanwhile, without the times.
fn logged(work: impl Future<Output = ()>) -> String {
    let lines = Lines::default();
    let written = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || written.clone())
        .without_time()
        .with_target(false)
        .with_level(false)
        .with_ansi(false)
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    // One thread, which is the one that the subscriber listens to.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work);
    drop(guard);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(!text.contains("horse"), "a password in {text}");
    text.lines().fold(String::new(), |cut, line| {
        cut + line.get(TIME_CHARS..).unwrap_or(line).trim_end() + "\n"
    })
}

/// What one side logs at one level.
fn log(case: Case, logs: Logs, level: PacketLog) -> String {
    let client = options(Logs::Client, logs, level);
    let server = options(Logs::Server, logs, level);
    logged(converse(case, client, server, logs))
}

fn logs_of(case: Case) -> String {
    let mut all = String::new();
    for logs in [Logs::Client, Logs::Server] {
        for level in [PacketLog::Packets, PacketLog::Payloads] {
            let text = log(case, logs, level);
            write!(all, "--- {logs:?}, {level:?}\n{text}").unwrap();
        }
    }
    all
}

#[test]
fn a_login_a_command_and_goodbye() {
    insta::assert_snapshot!("log_of_success", logs_of(Case::Success));
}

#[test]
fn a_wrong_password() {
    insta::assert_snapshot!("log_of_wrong_password", logs_of(Case::WrongPassword));
}

#[test]
fn a_refused_host_key() {
    insta::assert_snapshot!("log_of_refused_host_key", logs_of(Case::HostKeyRefused));
}

#[test]
fn a_peer_that_babbles() {
    insta::assert_snapshot!("log_of_garbage", logs_of(Case::Garbage));
}

#[test]
fn what_a_real_sshd_sends_and_gets_is_logged() {
    let home = Home::new();
    let Some(sshd) = Sshd::start_with_user(&home) else {
        return;
    };
    let options = Options {
        packet_log: PacketLog::Payloads,
        ..Options::new(Config::client())
    };
    let text = logged(async {
        let session = net::connect(("127.0.0.1", sshd.port), options, |_| true).await;
        visit(&session.unwrap(), facade::PASSWORD).await;
    });
    for part in [
        " <         ident SSH-2.0-OpenSSH_",
        " >  0:0    KEXINIT(20) cookie=",
        " <  0:2    NEWKEYS(21)",
        " >  1:0    SERVICE_REQUEST(5) service=ssh-userauth",
        " <  1:2    USERAUTH_SUCCESS(52)",
        "type=exec want-reply=yes command=\"greet\"",
        "type=exit-status want-reply=no status=127",
        "DISCONNECT(1) reason=11",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains(facade::PASSWORD), "{text}");
}

#[test]
fn off_is_silent() {
    for case in [
        Case::Success,
        Case::WrongPassword,
        Case::HostKeyRefused,
        Case::Garbage,
    ] {
        for logs in [Logs::Client, Logs::Server] {
            assert_eq!(log(case, logs, PacketLog::Off), "", "{case:?} {logs:?}");
        }
    }
}
