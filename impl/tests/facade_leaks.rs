//! Nothing is left behind: no descriptor, no zombie, no thread. Alone in its program, because it
//! counts those of the whole process.

mod facade;

use std::fs;
use std::io::Read as _;

use facade::{log_in, serve_programs, soon};
use minissh::blocking::Ssh;
use minissh::net::{Pty, TerminalSize};

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
        channel
            .exec(b"echo x; test $((RANDOM % 2)) = 0 || sleep 60")
            .unwrap();
        channel.reader().read_exact(&mut [0]).unwrap();
        if turn % 3 == 0 {
            channel.close().unwrap();
        }
    }
}

#[test]
fn nothing_is_left_behind() {
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
