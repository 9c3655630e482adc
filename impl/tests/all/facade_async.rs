//! The asynchronous API: streams that compose with tokio's, and futures that may be dropped.

use std::time::Duration;

use minissh::crypto::SigningKey;
use minissh::engine::{ApiMisuse, Config, End};
use minissh::net::{self, AuthPolicy, Error, Exit, Options, Session};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufStream};

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

/// Whether `is_so` becomes true soon, by the measure of a machine that has much else to do.
async fn soon(is_so: impl Fn() -> bool) -> bool {
    for _ in 0..6_000 {
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

/// A stream may keep what is written until it is told to pass it on.
#[tokio::test]
async fn a_stream_with_a_buffer_of_its_own_is_flushed() {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let server = Options::new(Config::server(SigningKey::from_seed(&[1; 32])));
    let accept = net::start(BufStream::new(theirs), server, None);
    let connect = net::start(
        BufStream::new(ours),
        Options::new(Config::client()),
        Some(Box::new(|_| true)),
    );
    let (client, server) = tokio::join!(connect, accept);
    client.unwrap().disconnect().await;
    let end = server.unwrap().wait().await;
    assert!(matches!(end, End::PeerDisconnected { .. }), "{end:?}");
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

/// Many at once, so that their data, EOFs and CLOSEs wait together for the connection's task.
#[tokio::test(flavor = "multi_thread")]
async fn what_dropped_writers_took_arrives_before_the_channels_close() {
    const CHANNELS: usize = 200;
    let (client, server) = pair().await;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..CHANNELS {
        ours.push(client.channel_exec("x").await.unwrap());
        theirs.push(server.channel_accept().await.unwrap());
    }
    for channel in ours {
        tokio::spawn(async move { channel.writer().write_all(b"last words").await });
    }
    for channel in theirs {
        let mut came = String::new();
        channel.reader().read_to_string(&mut came).await.unwrap();
        assert_eq!(came, "last words");
    }
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
    assert!(matches!(closed, Err(Error::ChannelClosed)), "{closed:?}");
    drop(client);
}

/// A command may be over before its caller says that there is no input: that is no mistake of the
/// caller, and EOF has nothing to end. Data, on the other hand, is lost.
#[tokio::test]
async fn what_comes_after_the_peer_closed_is_no_misuse() {
    let (client, server) = pair().await;
    let channel = client.channel_exec("x").await.unwrap();
    server
        .channel_accept()
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
    channel.wait().await;
    channel.eof().await.unwrap();
    let written = channel.write(b"late").await;
    assert!(matches!(written, Err(Error::ChannelClosed)), "{written:?}");
    channel.close().await.unwrap();
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

/// All open at the same time, each with its own data both ways.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_channels_on_one_connection() {
    const CHANNELS: usize = 1_000;
    let (client, server) = pair().await;
    let serving = tokio::spawn(async move {
        while let Ok(channel) = server.channel_accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = (channel.reader(), channel.writer());
                tokio::io::copy(&mut reader, &mut writer).await.unwrap();
                drop(writer);
                channel.close().await.unwrap();
            });
        }
    });
    let mut channels = Vec::new();
    for i in 0..CHANNELS {
        let channel = client.channel_exec("echo").await.unwrap();
        channel
            .write(format!("first {i}\n").as_bytes())
            .await
            .unwrap();
        channels.push(channel);
    }
    let mut tasks = Vec::new();
    for (i, channel) in channels.into_iter().enumerate() {
        tasks.push(tokio::spawn(async move {
            channel
                .write(format!("second {i}\n").as_bytes())
                .await
                .unwrap();
            channel.eof().await.unwrap();
            let mut text = String::new();
            channel.reader().read_to_string(&mut text).await.unwrap();
            assert_eq!(text, format!("first {i}\nsecond {i}\n"));
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    client.disconnect().await;
    serving.await.unwrap();
}

/// A callback that takes its time holds up nobody but who asked, however few threads there are.
#[tokio::test(flavor = "current_thread")]
async fn a_slow_login_holds_up_no_other_connection() {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let (go_on, waits) = std::sync::mpsc::channel::<()>();
    let server = Options::new(Config::server(SigningKey::from_seed(&[1; 32])));
    tokio::spawn(async move {
        let server = net::start(theirs, server, None).await.unwrap();
        let policy = AuthPolicy::password(move |_, _| waits.recv().is_ok());
        server.userauth_accept(policy).await.unwrap();
        server.wait().await;
    });
    let client = Options::new(Config::client());
    let slow = net::start(ours, client, Some(Box::new(|_| true)))
        .await
        .unwrap();
    let login = tokio::spawn(async move { slow.userauth_password("robin", "x").await.unwrap() });
    tokio::task::yield_now().await;
    let _quick = pair().await;
    assert!(!login.is_finished());
    go_on.send(()).unwrap();
    assert!(login.await.unwrap());
}

/// A stream that a reset ended for writing still holds what the peer said before it left.
#[tokio::test]
async fn last_words_of_the_peer_survive_a_failed_write() {
    let (client, server) = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let accept = async {
            let (stream, _) = listener.accept().await.unwrap();
            let options = Options::new(Config::server(SigningKey::from_seed(&[1; 32])));
            let server = net::accept(stream, options).await.unwrap();
            server
                .userauth_accept(AuthPolicy::password(|_, _| true))
                .await
                .unwrap();
            server
        };
        let connect = async {
            let client = net::connect(addr, Options::new(Config::client()), |_| true)
                .await
                .unwrap();
            assert!(client.userauth_password("robin", "x").await.unwrap());
            client
        };
        tokio::join!(connect, accept)
    };
    // The server leaves while the client writes as fast as it can.
    let channel = client.channel_open().await.unwrap();
    let writing = tokio::spawn(async move { while channel.write(&[0; 10_000]).await.is_ok() {} });
    server.disconnect().await;
    assert!(matches!(client.wait().await, End::PeerDisconnected { .. }));
    writing.await.unwrap();
}
