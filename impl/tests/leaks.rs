//! Nothing is left behind: no descriptor, no zombie, no thread. And connections that are silent hold
//! little. Alone in their program, because they count what the whole process has.

#[path = "all/facade.rs"]
#[allow(dead_code, reason = "this needs a part of it")]
mod facade;

use std::fs;
use std::io::Read as _;
use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError};

use facade::{PASSWORD, USER, host_key, log_in, policy, serve_programs, soon};
use minissh::blocking::Ssh;
use minissh::engine::Config;
use minissh::net::{self, Options, Pty, Session, TerminalSize};
use tokio::net::TcpListener;

fn count(folder: &str) -> usize {
    fs::read_dir(folder).unwrap().count()
}

fn children() -> String {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| fs::read_to_string(task.unwrap().path().join("children")).ok())
        .collect()
}

fn run_some(ssh: &Ssh) {
    let pty = Pty::new("dumb", TerminalSize::of(80, 24));
    for turn in 0..10 {
        let channel = ssh.channel_open().unwrap();
        if turn % 2 == 0 {
            channel.request_pty(&pty).unwrap();
        }
        // Some end by themselves, the others are hung up on.
        channel
            .exec(match turn % 4 {
                0 | 1 => b"echo x; sleep 60",
                _ => b"echo x",
            })
            .unwrap();
        channel.reader().read_exact(&mut [0]).unwrap();
        if turn % 3 == 0 {
            channel.close().unwrap();
        }
    }
}

/// One at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn nothing_is_left_behind() {
    let _alone = alone();
    let server = serve_programs();
    // What is started once and stays is there after this.
    run_some(&log_in(server.addr));
    assert!(soon(|| children().is_empty()), "{}", children());
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    let (descriptors, threads) = (count("/proc/self/fd"), count("/proc/self/task"));
    for _ in 0..5 {
        run_some(&log_in(server.addr));
    }
    assert!(soon(|| children().is_empty()), "{}", children());
    assert!(
        soon(|| count("/proc/self/fd") <= descriptors),
        "{descriptors} descriptors before, {} after",
        count("/proc/self/fd")
    );
    assert!(
        soon(|| count("/proc/self/task") <= threads + 2),
        "{threads} threads before, {} after",
        count("/proc/self/task")
    );
}

/// Silent clients, with both ends of each in this process and below its usual limit of descriptors.
const CONNECTIONS: usize = 300;

/// What one that says nothing may hold, before its login and after it, in bytes.
const SILENT_BYTES_MAX: usize = 16 << 10;
const IDLE_BYTES_MAX: usize = 16 << 10;

/// Memory of the process, in bytes.
fn resident_bytes() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let resident: usize = pages.split(' ').nth(1).unwrap().parse().unwrap();
    resident * 4_096
}

/// Bytes that each of `count` connections adds, and the connections.
async fn measure<T>(count: usize, mut open: impl AsyncFnMut() -> T) -> (usize, Vec<T>) {
    // The first ones pay for what all share.
    let mut opened = Vec::new();
    for _ in 0..count / 4 {
        opened.push(open().await);
    }
    let before = resident_bytes();
    for _ in 0..count {
        opened.push(open().await);
    }
    let bytes = resident_bytes().saturating_sub(before) / count;
    (bytes, opened)
}

async fn accept(listener: &TcpListener) -> Session {
    let (stream, _) = listener.accept().await.unwrap();
    let options = Options::new(Config::server(host_key()));
    let session = net::accept(stream, options).await.unwrap();
    session.userauth_accept(policy()).await.unwrap();
    session
}

async fn login(listener: &TcpListener) -> (Session, Session) {
    let addr = listener.local_addr().unwrap();
    let connect = async {
        let session = net::connect(addr, Options::new(Config::client()), |_| true)
            .await
            .unwrap();
        assert!(session.userauth_password(USER, PASSWORD).await.unwrap());
        session
    };
    tokio::join!(connect, accept(listener))
}

/// The bounds of the guide's page on limits.
#[test]
fn silent_connections_hold_little() {
    let _alone = alone();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (silent, pair) = runtime.block_on(measure_silence());
    let idle = pair / 2;
    println!("a silent client: {silent} B; an end of an idle login: {idle} B");
    assert!(silent <= SILENT_BYTES_MAX, "{silent}");
    assert!(idle <= IDLE_BYTES_MAX, "{idle}");
}

/// For a client that says nothing, and for both ends of a login.
async fn measure_silence() -> (usize, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (silent, _held) = measure(CONNECTIONS, async || {
        let mut client = TcpStream::connect(addr).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let options = Options::new(Config::server(host_key()));
        // Its task lives as long as the client says nothing.
        let waiting = tokio::spawn(net::accept(stream, options));
        // On another thread: it has begun once it has greeted.
        client.read_exact(&mut [0; 4]).unwrap();
        (client, waiting)
    })
    .await;
    let (pair, _held) = measure(CONNECTIONS / 4, async || login(&listener).await).await;
    (silent, pair)
}

/// Of a session that lives for days.
#[test]
fn key_exchanges_leave_nothing_behind() {
    const EXCHANGES: usize = 1_000;
    /// Less than the two lists of algorithms of one exchange.
    const LEFT_BYTES_MAX: usize = 256;
    let _alone = alone();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let left = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, _server) = login(&listener).await;
        let (left, _) = measure(EXCHANGES, async || client.rekey().await.unwrap()).await;
        left
    });
    println!("a key exchange leaves {left} B");
    assert!(left <= LEFT_BYTES_MAX, "{left}");
}
