//! The asynchronous API: streams that compose with tokio's, and futures that may be dropped.

use std::time::Duration;

use minissh::crypto::SigningKey;
use minissh::engine::{ApiMisuse, Config, End};
use minissh::net::{self, AuthPolicy, Error, Exit, Options, Session};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A client that is logged in, and its server, over a pipe in memory.
async fn pair() -> (Session, Session) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let server = Options::new(Config::server(SigningKey::from_seed(&[1; 32])));
    let accept = async {
        let server = net::start(theirs, server, None).await.unwrap();
        let policy = AuthPolicy::password(|_, _| true);
        assert_eq!(server.userauth_accept(policy).await.unwrap(), "robin");
        server
    };
    let connect = async {
        let client = Options::new(Config::client());
        let client = net::start(ours, client, Some(Box::new(|_| true)))
            .await
            .unwrap();
        assert!(client.userauth_password("robin", "x").await.unwrap());
        client
    };
    tokio::join!(connect, accept)
}

fn alive_tasks() -> usize {
    tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
}

/// Whether `is_so` becomes true soon.
async fn soon(is_so: impl Fn() -> bool) -> bool {
    for _ in 0..1_000 {
        if is_so() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn streams_compose_with_those_of_tokio() {
    let (client, server) = pair().await;
    let echo = tokio::spawn(async move {
        let channel = server.channel_accept().await.unwrap();
        tokio::io::copy(&mut channel.reader(), &mut channel.writer())
            .await
            .unwrap();
        channel.send_exit(&Exit::Status(0)).await.unwrap();
        channel.close().await.unwrap();
        server.wait().await
    });
    let channel = client.channel_exec("echo").await.unwrap();
    let data: Vec<u8> = (0..5_u32 << 20)
        .map(|i| u8::try_from(i % 251).unwrap())
        .collect();
    let (mut reader, mut writer, mut back) = (channel.reader(), channel.writer(), Vec::new());
    let send = async {
        writer.write_all(&data).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let ((), read) = tokio::join!(send, reader.read_to_end(&mut back));
    read.unwrap();
    assert!(back == data);
    assert_eq!(channel.wait().await, Some(Exit::Status(0)));
    client.disconnect().await;
    assert!(matches!(echo.await.unwrap(), End::PeerDisconnected { .. }));
}

/// As in a `select!` with something that is faster.
#[tokio::test]
async fn a_dropped_future_takes_nothing_with_it() {
    let (client, server) = pair().await;
    let short = Duration::from_millis(1);
    assert!(
        tokio::time::timeout(short, server.channel_accept())
            .await
            .is_err()
    );
    let channel = client.channel_exec("x").await.unwrap();
    let theirs = server.channel_accept().await.unwrap();
    assert!(tokio::time::timeout(short, channel.read()).await.is_err());
    assert!(
        tokio::time::timeout(short, channel.reader().read_u8())
            .await
            .is_err()
    );
    theirs.write(b"here").await.unwrap();
    let data = channel.read().await.unwrap().unwrap();
    assert_eq!(data.bytes, b"here");
}

/// What a writer has taken is sent although it is dropped before the window lets it through.
#[tokio::test]
async fn a_dropped_writer_has_its_data_sent_and_then_eof() {
    const BYTES: usize = 3 << 20;
    let (client, server) = pair().await;
    let channel = client.channel_exec("x").await.unwrap();
    let theirs = server.channel_accept().await.unwrap();
    let mut writer = channel.writer();
    let mut taken = 0;
    while let Ok(count) =
        tokio::time::timeout(Duration::from_millis(50), writer.write(&[7; 10_000])).await
    {
        taken += count.unwrap();
        assert!(taken < BYTES, "nobody reads, and still it takes more");
    }
    drop((writer, channel));
    let mut back = Vec::new();
    theirs.reader().read_to_end(&mut back).await.unwrap();
    assert_eq!(back.len(), taken);
    drop(client);
}

#[tokio::test]
async fn errors_keep_their_kind_as_those_of_std() {
    let (client, server) = pair().await;
    let channel = client.channel_exec("x").await.unwrap();
    let theirs = server.channel_accept().await.unwrap();
    channel.eof().await.unwrap();
    let mut writer = channel.writer();
    writer.write_all(b"late").await.unwrap();
    let error = writer.flush().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    assert!(matches!(
        inner,
        Some(Error::Misuse(ApiMisuse::WroteAfterEof(_)))
    ));
    assert_eq!(theirs.reader().read(&mut [0; 8]).await.unwrap(), 0);
}

/// A write that waits for the window learns that the peer has closed the channel.
#[tokio::test]
async fn a_waiting_write_learns_that_the_channel_is_closed() {
    let (client, server) = pair().await;
    let channel = client.channel_exec("x").await.unwrap();
    let theirs = server.channel_accept().await.unwrap();
    let waiting = tokio::spawn(async move { channel.write(&vec![7; 3 << 20]).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    theirs.close().await.unwrap();
    let closed = waiting.await.unwrap();
    assert!(matches!(
        closed,
        Err(Error::Misuse(ApiMisuse::UsedClosedChannel(_)))
    ));
    drop(client);
}

/// A peer that opens sessions, asks for things and leaves, while nobody accepts.
#[tokio::test]
async fn offers_go_with_their_channels() {
    let (client, server) = pair().await;
    for _ in 0..100 {
        let channel = client.channel_exec("x").await.unwrap();
        channel.close().await.unwrap();
        channel.wait().await;
    }
    let _last = client.channel_exec("last").await.unwrap();
    let accepted = server.channel_accept().await.unwrap();
    assert_eq!(accepted.command(), Some(&b"last"[..]));
}

#[tokio::test]
async fn handles_leave_no_task_behind() {
    let before = alive_tasks();
    for _ in 0..20 {
        let (client, server) = pair().await;
        let channel = client.channel_exec("x").await.unwrap();
        let theirs = server.channel_accept().await.unwrap();
        channel.write(b"hello").await.unwrap();
        let (reader, mut writer) = (channel.reader(), channel.stderr_writer());
        writer.write_all(b"oops").await.unwrap();
        drop((theirs, client, writer, reader, channel, server));
    }
    assert!(
        soon(|| alive_tasks() == before).await,
        "{} tasks",
        alive_tasks()
    );
}
