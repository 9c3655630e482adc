//! A chat: every line that somebody types goes to everybody else, under their user name.
//!
//! Try it with any OpenSSH client, from several other terminals. Your own terminal edits the
//! lines, hence `-T`:
//!
//!     cargo run --example server-chat -- 22022
//!     ssh -T -p 22022 robin@127.0.0.1
//!     ssh -T -p 22022 marian@127.0.0.1

use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use minissh::blocking::{self, Channel, Server, Ssh};
use minissh::engine::Config;
use minissh::net::{self, AuthPolicy, Options, SessionPolicy};

/// Who listens. Each has a queue and a thread that writes from it, so that one who does not read
/// holds up nobody.
#[derive(Clone, Default)]
struct Room(Arc<Mutex<Vec<mpsc::SyncSender<String>>>>);

/// Lines that wait for one member; who lags further behind is dropped.
const QUEUE_LINES: usize = 1_000;

impl Room {
    fn join(&self) -> mpsc::Receiver<String> {
        let (member, lines) = mpsc::sync_channel(QUEUE_LINES);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(member);
        lines
    }

    fn say(&self, line: &str) {
        println!("{line}");
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|member| member.try_send(line.to_owned()).is_ok());
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(port) = std::env::args().nth(1) else {
        return Err("usage: server-chat PORT".into());
    };
    let (host_key, room) = (blocking::keygen()?, Room::default());
    let server = Server::bind(("127.0.0.1", port.parse()?))?;
    println!("listening on {}", server.local_addr()?);
    server.serve(
        move |_| Options {
            // No terminals, so that the client's own goes on to edit lines.
            sessions: SessionPolicy {
                takes_pty: false,
                ..SessionPolicy::default()
            },
            ..Options::new(Config::server(host_key.clone()))
        },
        move |ssh| {
            // How a visit ends is of no interest: the room is told that it did.
            let _ = attend(&ssh, &room);
        },
    )?;
    Ok(())
}

fn attend(ssh: &Ssh, room: &Room) -> Result<(), net::Error> {
    let user =
        ssh.userauth_accept(AuthPolicy::publickey(|_, _, _| true).or_password(|_, _| true))?;
    let user = user.escape_debug().to_string();
    loop {
        let channel = ssh.channel_accept()?;
        let (user, room) = (user.clone(), room.clone());
        thread::spawn(move || visit(&user, &room, &channel));
    }
}

fn visit(user: &str, room: &Room, channel: &Channel) {
    let lines = room.join();
    let mut writer = channel.writer();
    thread::spawn(move || {
        while let Ok(line) = lines.recv() {
            if writeln!(writer, "{line}").is_err() {
                return;
            }
        }
    });
    room.say(&format!("* {user} is here"));
    for line in BufReader::new(channel.reader()).split(b'\n') {
        let Ok(line) = line else { break };
        room.say(&format!(
            "{user}: {}",
            String::from_utf8_lossy(&line).escape_debug()
        ));
    }
    room.say(&format!("* {user} has left"));
    let _ = channel.close();
}
