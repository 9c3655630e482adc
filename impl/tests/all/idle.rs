//! What silent connections cost `minissh serve`, by the memory of its process.
//!
//! `MINISSH_CONNECTIONS` is how many are held at once, 1,000 unless it says otherwise:
//!
//! ```sh
//! MINISSH_CONNECTIONS=10000 cargo test --release -p minissh --test all idle:: -- --nocapture
//! ```

use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};

use crate::facade::log_in;
use crate::openssh::Home;
use crate::program::Program;

/// What a client that says nothing may cost; 13 KiB were measured.
const SILENT_BYTES_MAX: usize = 16 << 10;

/// What a user who is logged in and does nothing may cost, the thread included that serves them;
/// 23 KiB were measured.
const IDLE_BYTES_MAX: usize = 32 << 10;

fn connections() -> usize {
    std::env::var("MINISSH_CONNECTIONS").map_or(1_000, |count| count.parse().unwrap())
}

fn address(server: &Program) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], server.port))
}

/// The memory that a process holds, in bytes.
fn resident_bytes(server: &Program) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<usize>().unwrap() << 10
}

/// Opens connections, and holds the bytes that each of them adds to the server against a bound.
fn assert_they_hold_little<T>(what: &str, bytes_max: usize, mut open: impl FnMut(&Program) -> T) {
    let home = Home::new();
    let server = home.serve(&["--max-startups", "100000"]);
    let count = connections();
    // The first ones pay for what all share.
    let mut held: Vec<T> = (0..count / 4).map(|_| open(&server)).collect();
    let before = resident_bytes(&server);
    held.extend((0..count).map(|_| open(&server)));
    let bytes = resident_bytes(&server).saturating_sub(before) / count;
    println!("{what}: {bytes} B each, {} held", held.len());
    assert!((1..=bytes_max).contains(&bytes), "{bytes} B");
    // It is as well as before.
    log_in(address(&server));
}

#[test]
fn clients_that_say_nothing_hold_little() {
    assert_they_hold_little("a silent client", SILENT_BYTES_MAX, |server| {
        let mut client = TcpStream::connect(address(server)).unwrap();
        // Only who is greeted costs something: the kernel connects before the server does anything.
        client.read_exact(&mut [0; 4]).unwrap();
        client
    });
}

#[test]
fn users_who_do_nothing_hold_little() {
    assert_they_hold_little("an idle login", IDLE_BYTES_MAX, |server| {
        log_in(address(server))
    });
}
