//! Channels as a program sees them: both roles, many threads, the ends of things.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::{Barrier, mpsc};
use std::time::{Duration, Instant};

use crate::facade::{
    USER, host_key, log_in, policy, serve, serve_programs, serve_users, soon, user_key,
};
use minissh::blocking::{self, Channel, Ssh};
use minissh::engine::{ApiMisuse, Config, End, RekeyPolicy, WINDOW_BYTES_MAX};
use minissh::net::{ChannelEvent, Error, Exit, Options, Pty, TerminalSize};

const STDERR: u32 = 1;

/// How long a test waits for what must come.
const SOON: Duration = Duration::from_secs(60);

fn numbers(bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|i| u8::try_from(i * 31 % 251).unwrap())
        .collect()
}

/// Sends back what comes, each stream on its own, then EOF and an exit status.
fn echo(channel: &Channel) {
    while let Ok(Some(data)) = channel.read() {
        let sent = match data.code {
            None => channel.write(&data.bytes),
            Some(code) => channel.write_extended(code, &data.bytes),
        };
        if sent.is_err() {
            return;
        }
    }
    let _ = channel.send_exit(&Exit::Status(3));
    let _ = channel.eof();
    let _ = channel.close();
}

fn serve_echo() -> crate::facade::Running {
    serve_users(|ssh| {
        while let Ok(channel) = ssh.channel_accept() {
            std::thread::spawn(move || echo(&channel));
        }
    })
}

#[test]
fn a_command_runs_and_its_exit_status_arrives() {
    let server = serve_programs();
    let ssh = log_in(server.addr);
    let channel = ssh.channel_exec("cat; echo oops >&2; exit 7").unwrap();
    channel.write(b"hello").unwrap();
    channel.eof().unwrap();
    let (mut stdout, mut stderr) = (String::new(), String::new());
    channel.reader().read_to_string(&mut stdout).unwrap();
    channel.stderr_reader().read_to_string(&mut stderr).unwrap();
    assert_eq!((stdout.as_str(), stderr.as_str()), ("hello", "oops\n"));
    assert_eq!(channel.wait(), Some(Exit::Status(7)));
}

#[test]
fn a_server_sees_the_command_or_none_for_a_shell() {
    let (told, commands) = mpsc::channel();
    let server = serve_users(move |ssh| {
        while let Ok(channel) = ssh.channel_accept() {
            told.send(channel.command().map(<[u8]>::to_vec)).unwrap();
        }
    });
    let ssh = log_in(server.addr);
    let _exec = ssh.channel_exec("ls -l").unwrap();
    let _shell = ssh.channel_shell(None).unwrap();
    assert_eq!(commands.recv().unwrap().as_deref(), Some(&b"ls -l"[..]));
    assert_eq!(commands.recv().unwrap(), None);
}

/// A server may run things at a client, if the client's program asked to accept sessions.
#[test]
fn both_roles_open_and_accept() {
    let (told, said) = mpsc::channel();
    let server = serve_users(move |ssh| {
        let channel = ssh.channel_exec("who are you").unwrap();
        let mut text = String::new();
        channel.reader().read_to_string(&mut text).unwrap();
        told.send((text, channel.wait())).unwrap();
    });
    let mut config = Config::client();
    config.accepts_sessions = true;
    let ssh = blocking::connect_with(server.addr, Options::new(config), |_| true).unwrap();
    assert!(ssh.userauth_publickey(USER, &user_key()).unwrap());
    let channel = ssh.channel_accept().unwrap();
    assert_eq!(channel.command(), Some(&b"who are you"[..]));
    channel.write(b"a client").unwrap();
    channel.send_exit(&Exit::Status(0)).unwrap();
    channel.close().unwrap();
    assert_eq!(
        said.recv().unwrap(),
        ("a client".to_owned(), Some(Exit::Status(0)))
    );
}

#[test]
fn a_client_refuses_sessions_unless_asked_to_accept_them() {
    let (told, refused) = mpsc::channel();
    let server = serve_users(move |ssh| told.send(ssh.channel_exec("sh").map(drop)).unwrap());
    let ssh = log_in(server.addr);
    assert!(matches!(
        refused.recv().unwrap(),
        Err(Error::ChannelRefused { .. })
    ));
    let accept = ssh.channel_accept();
    assert!(matches!(
        accept,
        Err(Error::Misuse(ApiMisuse::CalledOnWrongRole(_)))
    ));
}

#[test]
fn eight_threads_write_and_read_one_channel() {
    const THREADS: usize = 8;
    const LINES: usize = 500;
    let server = serve_echo();
    let ssh = log_in(server.addr);
    let channel = ssh.channel_exec("echo").unwrap();
    let writers: Vec<_> = (0..THREADS)
        .map(|thread| {
            let channel = channel.clone();
            std::thread::spawn(move || {
                for line in 0..LINES {
                    // Each write is 8 bytes, so that no cut of ours can part them.
                    channel
                        .write(format!("{thread} {line:05}\n").as_bytes())
                        .unwrap();
                }
            })
        })
        .collect();
    let readers: Vec<_> = (0..THREADS)
        .map(|_| {
            let channel = channel.clone();
            std::thread::spawn(move || {
                let mut bytes = 0;
                while let Some(data) = channel.read().unwrap() {
                    bytes += data.bytes.len();
                }
                bytes
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    channel.eof().unwrap();
    let bytes: usize = readers
        .into_iter()
        .map(|reader| reader.join().unwrap())
        .sum();
    assert_eq!(bytes, THREADS * LINES * 8);
    assert_eq!(channel.wait(), Some(Exit::Status(3)));
}

/// What many readers get is all there is, and nothing twice.
#[test]
fn concurrent_readers_get_distinct_data() {
    const PIECES: u32 = 20_000;
    let server = serve_users(|ssh| {
        let channel = ssh.channel_accept().unwrap();
        for piece in 0..PIECES {
            channel.write(&piece.to_be_bytes()).unwrap();
        }
        channel.close().unwrap();
    });
    let channel = log_in(server.addr).channel_exec("count").unwrap();
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let channel = channel.clone();
            std::thread::spawn(move || {
                let mut seen = Vec::new();
                let mut room = [0; 4];
                // Nobody else may come between the parts of a piece: it is read at once or not.
                while let Ok(4) = channel.reader().read(&mut room) {
                    seen.push(u32::from_be_bytes(room));
                }
                seen
            })
        })
        .collect();
    let seen: Vec<u32> = readers
        .into_iter()
        .flat_map(|r| r.join().unwrap())
        .collect();
    let distinct: HashSet<u32> = seen.iter().copied().collect();
    assert_eq!(distinct.len(), seen.len());
    assert_eq!(seen.len(), PIECES as usize);
}

#[test]
fn eight_threads_run_commands_on_one_session() {
    let server = serve_programs();
    let ssh = log_in(server.addr);
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let ssh = ssh.clone();
            std::thread::spawn(move || {
                for turn in 0..3 {
                    let wanted = format!("{thread} {turn}\n");
                    let channel = ssh.channel_exec(&format!("echo {thread} {turn}")).unwrap();
                    let mut text = String::new();
                    channel.reader().read_to_string(&mut text).unwrap();
                    assert_eq!(text, wanted);
                    assert_eq!(channel.wait(), Some(Exit::Status(0)));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Several threads may wait for channels; each gets its own.
#[test]
fn concurrent_acceptors_get_distinct_channels() {
    let server = serve_users(|ssh| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let ssh = ssh.clone();
                std::thread::spawn(move || {
                    while let Ok(channel) = ssh.channel_accept() {
                        let name = channel.command().unwrap().to_vec();
                        channel.write(&name).unwrap();
                        channel.close().unwrap();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
    let ssh = log_in(server.addr);
    for number in 0..40 {
        let channel = ssh.channel_exec(&number.to_string()).unwrap();
        let mut text = String::new();
        channel.reader().read_to_string(&mut text).unwrap();
        assert_eq!(text, number.to_string());
    }
}

#[test]
fn extended_data_keeps_its_code() {
    let server = serve_echo();
    let channel = log_in(server.addr).channel_exec("echo").unwrap();
    channel.write_extended(7, b"seven").unwrap();
    channel.write_stderr(b"one").unwrap();
    channel.write(b"none").unwrap();
    channel.eof().unwrap();
    let mut got = Vec::new();
    while let Some(data) = channel.read().unwrap() {
        got.push((data.code, data.bytes));
    }
    let wanted = [
        (Some(7), b"seven".to_vec()),
        (Some(STDERR), b"one".to_vec()),
        (None, b"none".to_vec()),
    ];
    assert_eq!(got, wanted);
}

#[test]
fn writing_after_eof_or_close_is_misuse_and_a_second_close_is_nothing() {
    // It must not close the channel first.
    let server = serve_users(|ssh| {
        let channel = ssh.channel_accept().unwrap();
        let _ = ssh.wait();
        drop(channel);
    });
    let channel = log_in(server.addr).channel_exec("echo").unwrap();
    channel.eof().unwrap();
    let late = channel.write(b"late");
    assert!(matches!(
        late,
        Err(Error::Misuse(ApiMisuse::WroteAfterEof(_)))
    ));
    channel.close().unwrap();
    channel.close().unwrap();
    let later = channel.write(b"later");
    assert!(matches!(
        later,
        Err(Error::Misuse(ApiMisuse::UsedClosedChannel(_)))
    ));
    assert!(channel.eof().is_err());
    channel.close().unwrap();
}

#[test]
fn dropping_the_writer_sends_eof() {
    let server = serve_echo();
    let channel = log_in(server.addr).channel_exec("echo").unwrap();
    let data = numbers(5 << 20);
    let writer = std::thread::spawn({
        let (mut writer, data) = (channel.writer(), data.clone());
        move || writer.write_all(&data).unwrap()
    });
    let mut back = Vec::new();
    channel.reader().read_to_end(&mut back).unwrap();
    writer.join().unwrap();
    assert!(back == data);
}

/// 5 MiB on each stream, read on two threads: neither may starve the other.
#[test]
fn stdout_and_stderr_are_read_side_by_side() {
    let server = serve_users(|ssh| {
        let channel = ssh.channel_accept().unwrap();
        let errors = std::thread::spawn({
            let mut stderr = channel.stderr_writer();
            move || stderr.write_all(&numbers(5 << 20)).unwrap()
        });
        let mut stdout = channel.writer();
        stdout.write_all(&numbers(5 << 20)).unwrap();
        errors.join().unwrap();
        channel.close().unwrap();
    });
    let channel = log_in(server.addr).channel_exec("both").unwrap();
    let errors = std::thread::spawn({
        let mut stderr = channel.stderr_reader();
        move || {
            let mut bytes = Vec::new();
            stderr.read_to_end(&mut bytes).unwrap();
            bytes
        }
    });
    let mut bytes = Vec::new();
    channel.reader().read_to_end(&mut bytes).unwrap();
    assert!(bytes == numbers(5 << 20));
    assert!(errors.join().unwrap() == bytes);
}

/// Twice the window on a stream that nobody wants.
#[test]
fn a_discarded_stream_does_not_use_up_the_window() {
    let server = serve_users(|ssh| {
        let channel = ssh.channel_accept().unwrap();
        channel.write_stderr(&numbers(4 << 20)).unwrap();
        channel.write(b"done").unwrap();
        channel.close().unwrap();
    });
    let channel = log_in(server.addr).channel_exec("noisy").unwrap();
    channel.discard(Some(STDERR));
    let mut text = String::new();
    channel.reader().read_to_string(&mut text).unwrap();
    assert_eq!(text, "done");
}

#[test]
fn requests_around_the_program_reach_the_server() {
    let (told, seen) = mpsc::channel();
    let server = serve_users(move |ssh| {
        let channel = ssh.channel_accept().unwrap();
        told.send((channel.pty().cloned(), channel.env().to_vec()))
            .unwrap();
        let events = [
            channel.next_event(),
            channel.next_event(),
            channel.next_event(),
        ];
        channel.write(format!("{events:?}").as_bytes()).unwrap();
        let _ = channel.send_exit(&Exit::Signal("TERM".to_owned()));
        channel.close().unwrap();
    });
    let ssh = log_in(server.addr);
    let channel = ssh.channel_open().unwrap();
    channel.set_env("LC_ALL", "C.UTF-8").unwrap();
    let refused = channel.set_env("LD_PRELOAD", "evil.so");
    assert!(matches!(
        refused,
        Err(Error::RequestRefused { name: "env" })
    ));
    let mut pty = Pty::new("xterm-256color", TerminalSize::of(80, 24));
    pty.modes = vec![(53, 0), (3, 127)];
    channel.request_pty(&pty).unwrap();
    assert!(channel.request_pty(&pty).is_err(), "one terminal is enough");
    channel.shell().unwrap();
    assert!(channel.exec(b"ls").is_err(), "one program is enough");
    assert!(
        channel.set_env("LANG", "C").is_err(),
        "too late for the program"
    );
    let (seen_pty, env) = seen.recv().unwrap();
    assert_eq!(seen_pty, Some(pty));
    assert_eq!(env, [("LC_ALL".to_owned(), "C.UTF-8".to_owned())]);

    channel.signal("USR1").unwrap();
    channel.window_change(TerminalSize::of(132, 43)).unwrap();
    channel.signal("INT").unwrap();
    let wanted = [
        Some(ChannelEvent::Signalled("USR1".to_owned())),
        Some(ChannelEvent::Resized(TerminalSize::of(132, 43))),
        Some(ChannelEvent::Signalled("INT".to_owned())),
    ];
    let mut text = String::new();
    channel.reader().read_to_string(&mut text).unwrap();
    assert_eq!(text, format!("{wanted:?}"));
    assert_eq!(channel.wait(), Some(Exit::Signal("TERM".to_owned())));
}

#[test]
fn events_end_with_the_channel() {
    let (told, event) = mpsc::channel();
    let server = serve_users(move |ssh| {
        let channel = ssh.channel_accept().unwrap();
        channel.write(b"accepted").unwrap();
        told.send(channel.next_event()).unwrap();
    });
    let channel = log_in(server.addr).channel_exec("x").unwrap();
    // A channel that is closed before that is on offer no longer.
    channel.read().unwrap().unwrap();
    channel.close().unwrap();
    assert_eq!(channel.wait(), None);
    assert_eq!(event.recv_timeout(SOON), Ok(None));
}

#[test]
fn keys_change_on_request_while_data_flows() {
    let server = serve_echo();
    let ssh = log_in(server.addr);
    let channel = ssh.channel_exec("echo").unwrap();
    let writer = std::thread::spawn({
        let mut writer = channel.writer();
        move || writer.write_all(&numbers(8 << 20)).unwrap()
    });
    let rekeyer = std::thread::spawn({
        let ssh = ssh.clone();
        move || (0..20).for_each(|_| ssh.rekey().unwrap())
    });
    let mut back = Vec::new();
    channel.reader().read_to_end(&mut back).unwrap();
    writer.join().unwrap();
    rekeyer.join().unwrap();
    assert!(back == numbers(8 << 20));
    assert_eq!(ssh.status().unwrap().key_exchanges, 1 + 20);
}

#[test]
fn keys_change_by_themselves() {
    let server = serve_echo();
    let mut config = Config::client();
    config.rekey = RekeyPolicy {
        bytes_max: 64 << 10,
        ..RekeyPolicy::default()
    };
    let ssh = blocking::connect_with(server.addr, Options::new(config), |_| true).unwrap();
    assert!(ssh.userauth_publickey(USER, &user_key()).unwrap());
    let channel = ssh.channel_exec("echo").unwrap();
    std::thread::spawn({
        let mut writer = channel.writer();
        move || writer.write_all(&numbers(4 << 20)).unwrap()
    });
    let mut back = Vec::new();
    channel.reader().read_to_end(&mut back).unwrap();
    assert!(back == numbers(4 << 20));
    let exchanges = ssh.status().unwrap().key_exchanges;
    assert!(exchanges > 16, "only {exchanges} for 64 times the limit");
}

/// The least time after which what we leave behind may be lost: to a peer that takes nothing for two
/// seconds, or that has not taken our last words within one.
const LOSS: Duration = Duration::from_secs(1);

/// Tries until everything arrives; an attempt says whether it did, and how long the leaving took. On
/// a machine that is busy elsewhere a peer may stand still until it loses something; what is lost
/// sooner is our fault.
fn assert_arrives(mut attempt: impl FnMut() -> (bool, Duration)) {
    assert!(soon(|| {
        let (arrives, took) = attempt();
        assert!(arrives || took >= LOSS, "lost within {took:?}");
        arrives
    }));
}

/// What was written before a disconnect arrives, however much of it still waits for the window.
#[test]
fn a_disconnect_flushes() {
    let (told, received) = mpsc::channel();
    let server = serve_users(move |ssh| {
        let channel = ssh.channel_accept().unwrap();
        let mut bytes = Vec::new();
        // Slowly, so that the window is shut most of the time.
        while let Ok(Some(data)) = channel.read() {
            bytes.extend(data.bytes);
            std::thread::sleep(Duration::from_millis(5));
        }
        told.send((bytes, channel.eof().is_err())).unwrap();
    });
    assert_arrives(|| {
        let ssh = log_in(server.addr);
        let channel = ssh.channel_exec("sink").unwrap();
        channel.write(&numbers(6 << 20)).unwrap();
        let left = Instant::now();
        ssh.disconnect();
        let took = left.elapsed();
        assert!(matches!(
            channel.write(b"x"),
            Err(Error::Ended(End::WeDisconnected))
        ));
        (received.recv().unwrap().0 == numbers(6 << 20), took)
    });
}

/// The same without a word: the last handle goes.
#[test]
fn dropping_everything_flushes_and_disconnects() {
    let (told, received) = mpsc::channel();
    let server = serve(move |ssh| {
        ssh.userauth_accept(policy()).unwrap();
        let channel = ssh.channel_accept().unwrap();
        let mut bytes = Vec::new();
        while let Ok(Some(data)) = channel.read() {
            bytes.extend(data.bytes);
        }
        told.send((bytes, ssh.wait())).unwrap();
    });
    assert_arrives(|| {
        let ssh = log_in(server.addr);
        let channel = ssh.channel_exec("sink").unwrap();
        channel.writer().write_all(&numbers(3 << 20)).unwrap();
        let left = Instant::now();
        drop((channel, ssh));
        let (bytes, end) = received.recv().unwrap();
        let took = left.elapsed();
        let is_told = matches!(end, End::PeerDisconnected { .. });
        (is_told && bytes == numbers(3 << 20), took)
    });
}

/// A peer that takes nothing must not hold us up.
#[test]
fn leaving_a_peer_that_does_not_read_takes_seconds_at_most() {
    let server = serve_users(|ssh| {
        let channel = ssh.channel_accept().unwrap();
        let _ = ssh.wait();
        drop(channel);
    });
    let ssh = log_in(server.addr);
    let channel = ssh.channel_exec("deaf").unwrap();
    let stuck = std::thread::spawn({
        let channel = channel.clone();
        move || channel.write(&numbers(3 << 20))
    });
    // From here on the window is shut, and the rest of it waits.
    let window = u64::from(WINDOW_BYTES_MAX);
    assert!(soon(|| ssh.status().unwrap().outbound.bytes > window));
    let started = Instant::now();
    drop(channel);
    ssh.disconnect();
    // Three, and those of a machine that has much else to do; well below a minute, which one gets that
    // reads little.
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
    assert!(matches!(stuck.join().unwrap(), Err(Error::Ended(_))));
}

/// A reader that waits learns of an end that nobody announced on its channel.
#[test]
fn readers_learn_that_the_connection_ended() {
    let server = serve_users(|ssh| {
        let _channel = ssh.channel_accept().unwrap();
        ssh.disconnect();
    });
    let channel = log_in(server.addr).channel_exec("x").unwrap();
    assert!(matches!(channel.read(), Err(Error::Ended(_))));
    let error = channel.reader().read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionAborted);
    assert_eq!(channel.wait(), None);
}

/// Neither handler goes on before both have begun.
#[test]
fn a_server_runs_its_handler_for_each_connection_at_the_same_time() {
    // This process's own address: one of 127.0.0.1's free ports could be given to somebody else before
    // the server has it.
    let [.., high, low] = std::process::id().to_be_bytes();
    let addr = SocketAddr::from(([127, 1, high, low], blocking::SERVER_PORT));
    let both = Barrier::new(2);
    std::thread::spawn(move || {
        blocking::server(addr, host_key(), move |ssh: Ssh| {
            both.wait();
            let user = ssh.userauth_accept(policy()).unwrap();
            let channel = ssh.channel_accept().unwrap();
            channel.write(user.as_bytes()).unwrap();
            channel.close().unwrap();
            let _ = ssh.wait();
        })
    });
    let (told, greetings) = mpsc::channel();
    for _ in 0..2 {
        let told = told.clone();
        std::thread::spawn(move || {
            let mut ssh = None;
            soon(|| {
                ssh = blocking::connect(addr, |key| *key == host_key().public_key()).ok();
                ssh.is_some()
            });
            let ssh = ssh.expect("it listens");
            assert!(ssh.userauth_publickey(USER, &user_key()).unwrap());
            let mut greeting = String::new();
            let channel = ssh.channel_shell(None).unwrap();
            channel.reader().read_to_string(&mut greeting).unwrap();
            told.send(greeting).unwrap();
        });
    }
    for _ in 0..2 {
        assert_eq!(greetings.recv_timeout(SOON).as_deref(), Ok(USER));
    }
}

#[test]
fn the_default_port_is_a_promise_to_scripts() {
    assert_eq!(blocking::SERVER_PORT, 22_022);
}
