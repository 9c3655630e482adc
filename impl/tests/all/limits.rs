//! Bounds that only the driver has, and a peer that takes but never gives.

use std::io::Read as _;
use std::net::TcpStream;
use std::time::Duration;

use minissh::blocking::{Server, Ssh};
use minissh::crypto::SigningKey;
use minissh::engine::{Config, Credential, Output};
use minissh::msg::{Message, Ping};
use minissh::net::{self, AuthPolicy, ChannelEvent, Error, Exit, Options, Session};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};

use crate::facade;
use crate::pair::{Pair, host_key};
use crate::raw::{Raw, STRICT};

async fn pair() -> (Session, Session) {
    pair_with(Options::new(Config::client())).await
}

/// A client that is logged in, and its server.
pub(crate) async fn pair_with(client: Options) -> (Session, Session) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    pair_over(client, ours, theirs).await
}

/// The same over two streams that are connected somehow.
async fn pair_over(
    client: Options,
    ours: DuplexStream,
    theirs: DuplexStream,
) -> (Session, Session) {
    let accept = async {
        let server = Options::new(Config::server(SigningKey::from_seed(&[1; 32])));
        let server = net::start(theirs, server, None).await.unwrap();
        let policy = AuthPolicy::password(|_, _| true);
        server.userauth_accept(policy).await.unwrap();
        server
    };
    let connect = async {
        let client = net::start(ours, client, Some(Box::new(|_| true)))
            .await
            .unwrap();
        assert!(client.userauth_password("robin", "x").await.unwrap());
        client
    };
    tokio::join!(connect, accept)
}

/// 4 MiB, of which each command takes its length and what is around it in the request.
#[tokio::test]
async fn commands_of_all_channels_together_up_to_the_limit_and_one_more() {
    const COMMANDS: usize = 32;
    const REQUEST_BYTES: usize = 17;
    let (client, _server) = pair().await;
    let command = "x".repeat((4 << 20) / COMMANDS - REQUEST_BYTES);
    let mut channels = Vec::new();
    for _ in 0..COMMANDS {
        channels.push(client.channel_exec(&command).await.unwrap());
    }
    let refused = client.channel_exec("").await;
    assert!(matches!(
        refused,
        Err(Error::RequestRefused { name: "exec" })
    ));

    // A channel that is closed makes room for another.
    let channel = channels.pop().unwrap();
    channel.close().await.unwrap();
    channel.wait().await;
    client.channel_exec(&command).await.unwrap();
}

/// Whoever is logged in, or has left, makes room for another.
#[test]
fn connections_before_their_login_up_to_the_limit_and_one_more() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = server.with_unauthenticated_max(2);
    let (addr, stop) = (server.local_addr().unwrap(), server.stopper());
    let serving = std::thread::spawn(move || {
        let options = |_| Options::new(Config::server(facade::host_key()));
        let handler = |ssh: Ssh| {
            if ssh.userauth_accept(facade::policy()).is_ok() {
                let _ = ssh.wait();
            }
        };
        server.serve(options, handler).unwrap();
    });
    let greets = |stream: &mut TcpStream| stream.read(&mut [0; 4]).unwrap() > 0;
    let connect = || TcpStream::connect(addr).unwrap();

    let mut silent = connect();
    assert!(greets(&mut silent));
    let user = facade::log_in(addr);
    // The client may know of its login before the server has counted it.
    let mut second = connect();
    let is_greeted = facade::soon(|| {
        greets(&mut second) || {
            second = connect();
            false
        }
    });
    assert!(is_greeted, "who is logged in does not count");
    assert!(!greets(&mut connect()));
    drop(silent);
    assert!(facade::soon(|| greets(&mut connect())));
    user.disconnect();
    stop.stop();
    serving.join().unwrap();
}

/// What the network has no room for stays with the engine, which reads no more when that is much.
#[test]
fn no_more_leaves_than_the_network_has_room_for() {
    const PING_BYTES: usize = 10_000;
    const ROOM_BYTES: usize = 100_000;
    const EXCESS_BYTES: usize = 64 << 10;
    let config = Config::server(host_key());
    let transmit_bytes_max = config.limits.transmit_bytes_max;
    let mut raw = Raw::after_kex(config, STRICT);
    let ping = Message::Ping(Ping {
        data: &[7; PING_BYTES],
    });
    while raw.engine.wants_input() {
        let bytes = raw.seal(&ping.to_payload());
        raw.engine.handle_input(raw.now, &bytes).unwrap();
    }
    let mut left = Vec::new();
    while let Output::Transmit(bytes) = raw.engine.poll_output(ROOM_BYTES) {
        assert!(bytes.len() <= ROOM_BYTES + EXCESS_BYTES, "{}", bytes.len());
        left.extend(bytes);
    }
    let held = transmit_bytes_max..transmit_bytes_max + PING_BYTES + 100;
    assert!(held.contains(&left.len()), "{}", left.len());
    assert!(raw.engine.wants_input());
}

/// Passes on so much in a second, and no more.
async fn trickle(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, bytes: usize) {
    let mut some = vec![0; bytes];
    while let Ok(count @ 1..) = from.read(&mut some).await {
        if to.write_all(&some[..count]).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Nobody waits: the clock is the test's.
#[tokio::test(start_paused = true)]
async fn leaving_a_peer_that_reads_little_up_to_the_limit_and_longer() {
    const BYTES_IN_A_SECOND: usize = 1_000;
    const SOON: Duration = Duration::from_secs(4);
    for (sent_bytes, takes_secs, arrives) in [(50_000, 50, true), (90_000, 60, false)] {
        let (ours, far) = tokio::io::duplex(BYTES_IN_A_SECOND);
        let (near, theirs) = tokio::io::duplex(64 << 10);
        let (from_us, mut to_us) = tokio::io::split(far);
        let (mut from_them, to_them) = tokio::io::split(near);
        tokio::spawn(trickle(from_us, to_them, BYTES_IN_A_SECOND));
        tokio::spawn(async move { tokio::io::copy(&mut from_them, &mut to_us).await });
        let (client, server) = pair_over(Options::new(Config::client()), ours, theirs).await;

        let channel = client.channel_exec("x").await.unwrap();
        let reader = server.channel_accept().await.unwrap();
        let sent = vec![7; sent_bytes];
        channel.write(&sent).await.unwrap();
        let began = tokio::time::Instant::now();
        client.disconnect().await;
        let took = began.elapsed();
        let mut received = 0;
        while let Ok(Some(data)) = reader.read().await {
            received += data.bytes.len();
        }
        let least = Duration::from_secs(takes_secs);
        assert!((least..least + SOON).contains(&took), "{took:?}");
        assert_eq!(received == sent.len(), arrives);
    }
}

fn is_refused(asked: &Result<(), Error>) -> bool {
    matches!(asked, Err(Error::RequestRefused { .. }))
}

/// Name and value count together.
#[tokio::test]
async fn variables_up_to_their_length_and_number_and_one_more() {
    const NAME: &str = "LC_ALL";
    let (client, server) = pair().await;
    let channel = client.channel_open().await.unwrap();
    let value = "x".repeat(4_096 - NAME.len());
    let too_long = channel.set_env(NAME, &format!("{value}x")).await;
    assert!(is_refused(&too_long), "{too_long:?}");
    for _ in 0..64 {
        channel.set_env(NAME, &value).await.unwrap();
    }
    let too_many = channel.set_env(NAME, "x").await;
    assert!(is_refused(&too_many), "{too_many:?}");
    channel.exec(b"env").await.unwrap();
    let theirs = server.channel_accept().await.unwrap();
    assert_eq!(theirs.env(), vec![(NAME.to_owned(), value); 64]);
}

/// Names of signals that are too long, and signals that nobody looks at, are dropped.
#[tokio::test]
async fn signals_up_to_their_length_and_number_and_one_more() {
    let (client, server) = pair().await;
    let channel = client.channel_exec("sleep").await.unwrap();
    let theirs = server.channel_accept().await.unwrap();
    let longest = "X".repeat(64);
    channel.signal(&format!("{longest}X")).await.unwrap();
    for _ in 0..64 {
        channel.signal(&longest).await.unwrap();
    }
    channel.signal("LAST").await.unwrap();
    channel.close().await.unwrap();
    channel.wait().await;
    for _ in 0..64 {
        let event = theirs.next_event().await;
        assert_eq!(event, Some(ChannelEvent::Signalled(longest.clone())));
    }
    assert_eq!(theirs.next_event().await, None);
}

/// The signal that a program is said to have died of.
#[tokio::test]
async fn the_name_of_an_exit_signal_up_to_its_length_and_one_more() {
    for (bytes, is_taken) in [(64, true), (65, false)] {
        let (client, server) = pair().await;
        let channel = client.channel_exec("x").await.unwrap();
        let theirs = server.channel_accept().await.unwrap();
        let exit = Exit::Signal("X".repeat(bytes));
        theirs.send_exit(&exit).await.unwrap();
        theirs.close().await.unwrap();
        assert_eq!(channel.wait().await, is_taken.then_some(exit));
    }
}

/// A client that asks and asks and takes no answer: the server stops to listen.
#[test]
fn a_peer_that_never_reads_is_not_read_from() {
    let mut server = Config::server(host_key());
    server.limits.transmit_bytes_max = 10_000;
    let mut pair = Pair::new(Config::client(), server, 1);
    pair.run();
    let password = minissh::engine::Password::new(b"x").unwrap();
    let credential = Credential::Password(password);
    let client = &mut pair.client.engine;
    client.authenticate(pair.now, "user", &credential).unwrap();
    pair.run();

    let mut asked = Vec::new();
    for _ in 0..1_000 {
        pair.client.engine.open_session(pair.now).unwrap();
    }
    while let minissh::engine::Output::Transmit(bytes) = pair.client.engine.poll_output(1 << 20) {
        asked.extend(bytes);
    }
    let server = &mut pair.server.engine;
    let mut taken = 0;
    for piece in asked.chunks(100) {
        if !server.wants_input() {
            break;
        }
        server.handle_input(pair.now, piece).unwrap();
        while !matches!(server.poll_output(0), minissh::engine::Output::Wait(_)) {}
        taken += piece.len();
    }
    assert!(taken < asked.len() / 2, "{taken} of {}", asked.len());
    // Once the peer reads, the server listens again.
    while !matches!(
        server.poll_output(1 << 20),
        minissh::engine::Output::Wait(_)
    ) {}
    assert!(server.wants_input());
    pair.now += Duration::from_secs(1);
    server.handle_input(pair.now, &asked[taken..]).unwrap();
}
