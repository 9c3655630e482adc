//! Keys that change all the time, while data flows both ways: nothing is lost, doubled or out of
//! order.
//!
//! `MINISSH_REKEY_MIB` is how much crosses in each direction, 32 MiB unless it says otherwise:
//!
//! ```sh
//! MINISSH_REKEY_MIB=1024 cargo test --release -p minissh --test all rekey::
//! ```

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::mpsc::{self, Sender};

use minissh::blocking::{self, Channel, Ssh};
use minissh::crypto::from_seed;
use minissh::engine::{Config, Event, RekeyPolicy};
use minissh::net::{Exit, Options};
use rand_core::Rng as _;
use sha2::{Digest as _, Sha256};

use crate::facade::{Running, USER, host_key, policy, serve_with, user_key};
use crate::openssh::{Home, Sshd};
use crate::pair::{self, Pair};

const MIB: u64 = 1 << 20;

/// Channels at once.
const CHANNELS: u64 = 8;

/// Bytes in each direction.
fn volume() -> u64 {
    let mib = std::env::var("MINISSH_REKEY_MIB").map_or(32, |mib| mib.parse().unwrap());
    mib * MIB
}

fn every_mib() -> RekeyPolicy {
    RekeyPolicy {
        bytes_max: MIB,
        ..RekeyPolicy::default()
    }
}

/// Gives so many bytes that depend on nothing but the seed, and returns their hash.
fn generate(seed: u64, bytes: u64, mut give: impl FnMut(&[u8])) -> String {
    let (mut rng, mut hash, mut left) = (from_seed(seed), Sha256::new(), bytes);
    let mut piece = vec![0; 32 << 10];
    while left > 0 {
        let count = usize::try_from(left.min(piece.len() as u64)).unwrap();
        rng.fill_bytes(&mut piece);
        hash.update(&piece[..count]);
        give(&piece[..count]);
        left -= count as u64;
    }
    hex(hash)
}

fn write_all(mut writer: impl Write, seed: u64, bytes: u64) -> String {
    generate(seed, bytes, |piece| writer.write_all(piece).unwrap())
}

fn read_all(mut reader: impl Read) -> String {
    let (mut hash, mut room) = (Sha256::new(), vec![0; 64 << 10]);
    while let count @ 1.. = reader.read(&mut room).unwrap() {
        hash.update(&room[..count]);
    }
    hex(hash)
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// Sends back what comes, and then tells how often keys were exchanged.
fn echo(channel: &Channel, ssh: &Ssh, exchanges: &Sender<u32>) {
    let (mut reader, mut writer) = (channel.reader(), channel.writer());
    std::io::copy(&mut reader, &mut writer).unwrap();
    drop(writer);
    let _ = exchanges.send(ssh.status().unwrap().key_exchanges);
    channel.send_exit(&Exit::Status(0)).unwrap();
    let _ = channel.close();
}

fn serve_echo(exchanges: Sender<u32>) -> Running {
    let options = || {
        let mut config = Config::server(host_key());
        config.rekey = every_mib();
        Options::new(config)
    };
    serve_with(options, move |ssh| {
        if ssh.userauth_accept(policy()).is_ok() {
            while let Ok(channel) = ssh.channel_accept() {
                let (ssh, exchanges) = (ssh.clone(), exchanges.clone());
                std::thread::spawn(move || echo(&channel, &ssh, &exchanges));
            }
        }
    })
}

fn log_in(port: u16) -> Ssh {
    let mut config = Config::client();
    config.rekey = every_mib();
    let ssh = blocking::connect_with(("127.0.0.1", port), Options::new(config), |_| true).unwrap();
    assert!(ssh.userauth_publickey(USER, &user_key()).unwrap());
    ssh
}

/// Writes to `cat` and reads from it, on several channels at once, and compares the hashes.
fn assert_nothing_is_lost(ssh: &Ssh, channels: u64) {
    std::thread::scope(|scope| {
        for seed in 0..channels {
            let channel = ssh.channel_exec("cat").unwrap();
            let writer = channel.writer();
            let sent = scope.spawn(move || write_all(writer, seed, volume() / channels));
            scope.spawn(move || {
                let came = read_all(channel.reader());
                assert_eq!(came, sent.join().unwrap());
            });
        }
    });
    assert_keys_changed(ssh.status().unwrap().key_exchanges);
}

/// Once for each MiB of one direction.
fn assert_keys_changed(exchanges: u32) {
    assert!(
        u64::from(exchanges) >= volume() / MIB,
        "only {exchanges} key exchanges"
    );
}

#[test]
fn hashes_hold_while_both_sides_change_keys_every_mib() {
    let server = serve_echo(mpsc::channel().0);
    assert_nothing_is_lost(&log_in(server.addr.port()), CHANNELS);
}

#[test]
fn hashes_hold_on_sshd() {
    let home = Home::new();
    let Some(sshd) = Sshd::start_with_user(&home) else {
        return;
    };
    assert_nothing_is_lost(&log_in(sshd.port), CHANNELS);
}

/// `ssh` changes keys of its own accord as well.
#[test]
fn hashes_hold_with_ssh() {
    let (told, exchanges) = mpsc::channel();
    let (home, server) = (Home::new(), serve_echo(told));
    let Some(mut ssh) = home.ssh(server.addr.port()) else {
        return;
    };
    let mut ssh = ssh
        .args(["-o", "RekeyLimit=1M", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdin = ssh.stdin.take().unwrap();
    let sent = std::thread::spawn(move || write_all(stdin, 1, volume()));
    let came = read_all(ssh.stdout.take().unwrap());
    assert_eq!(came, sent.join().unwrap());
    assert!(ssh.wait().unwrap().success());
    assert_keys_changed(exchanges.recv().unwrap());
}

fn exchanges(side: &pair::Side) -> usize {
    let changed = |event: &&Event| matches!(event, Event::KeysChanged);
    side.events.iter().filter(changed).count()
}

fn log_in_pair(client: Config) -> Pair {
    let mut pair = Pair::new(client, Config::server(pair::host_key()), 1);
    pair.run();
    let credential = minissh::engine::Credential::Publickey(user_key());
    let client = &mut pair.client.engine;
    client.authenticate(pair.now, "user", &credential).unwrap();
    pair.run();
    pair
}

/// The client asks for everything at once, and the server asks for new keys at the same moment.
#[test]
fn keys_may_change_right_after_the_login_and_while_a_channel_opens_and_closes() {
    let mut pair = log_in_pair(Config::client());
    let now = pair.now;
    pair.server.engine.start_kex(now).unwrap();
    pair.client.engine.start_kex(now).unwrap();
    let channel = pair.client.engine.open_session(now).unwrap();
    pair.run();
    assert_eq!((exchanges(&pair.client), exchanges(&pair.server)), (2, 2));

    let now = pair.now;
    let client = &mut pair.client.engine;
    assert_eq!(client.write(now, channel, None, b"last words").unwrap(), 10);
    client.start_kex(now).unwrap();
    client.close(now, channel);
    pair.server.engine.start_kex(now).unwrap();
    pair.run();
    assert_eq!((exchanges(&pair.client), exchanges(&pair.server)), (3, 3));
    let told: Vec<String> = pair
        .server
        .events
        .iter()
        .map(|e| format!("{e:?}"))
        .collect();
    let [.., data, changed, closed] = &told[..] else {
        panic!("{told:?}")
    };
    assert!(
        data.contains("DataReceived") || changed.contains("DataReceived"),
        "{told:?}"
    );
    assert!(closed.contains("ChannelClosed"), "{told:?}");
}

/// Keys that are too old at once would leave no room for data.
#[test]
fn limits_below_the_least_count_as_the_least() {
    let mut client = Config::client();
    client.rekey = RekeyPolicy {
        bytes_max: 0,
        packets_max: 0,
        age_max: std::time::Duration::ZERO,
    };
    let mut pair = log_in_pair(client);
    let channel = pair.client.engine.open_session(pair.now).unwrap();
    pair.run();
    let before = exchanges(&pair.server);
    let mut sent = 0;
    while sent < 64 << 10 {
        let rest = vec![7; (64 << 10) - sent];
        let now = pair.now;
        sent += pair.client.engine.write(now, channel, None, &rest).unwrap();
        pair.run();
    }
    let came = pair.server.events.iter().map(|event| match event {
        Event::DataReceived { data, .. } => data.0.len(),
        _ => 0,
    });
    assert_eq!(came.sum::<usize>(), 64 << 10);
    // Each message is longer than the least, and takes new keys with it.
    assert!((2..=64).contains(&(exchanges(&pair.server) - before)));
    let wait = pair.client.engine.poll_output(1 << 20);
    let minissh::engine::Output::Wait(Some(until)) = wait else {
        panic!("{wait:?}")
    };
    assert!(until > pair.now && until <= pair.now + RekeyPolicy::AGE_MIN);
}

#[test]
fn keys_change_after_so_many_packets() {
    let mut client = Config::client();
    client.rekey.packets_max = 100;
    let mut pair = log_in_pair(client);
    let channel = pair.client.engine.open_session(pair.now).unwrap();
    pair.run();
    for _ in 0..1_000 {
        let now = pair.now;
        pair.client.engine.write(now, channel, None, b"x").unwrap();
        pair.run();
    }
    assert!((10..=12).contains(&exchanges(&pair.server)));
    let status = pair.client.engine.status(pair.now).unwrap();
    assert!(status.outbound.packets <= 100);
    assert_eq!(status.kex, "curve25519-sha256");
    assert!(status.is_strict);
    assert_eq!(status.key_exchanges as usize, exchanges(&pair.client));
}
