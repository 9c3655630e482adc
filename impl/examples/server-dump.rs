//! A server that lets everybody in and prints everything that happens, packets included.
//!
//! Try it with any OpenSSH client, from another terminal, and type something:
//!
//!     cargo run --example server-dump -- 22022
//!     ssh -p 22022 127.0.0.1 anything

use std::error::Error;
use std::thread;

use minissh::blocking::{self, Channel, Server, Ssh};
use minissh::engine::Config;
use minissh::keyfile::fingerprint;
use minissh::net::{self, AuthPolicy, Exit, Options};

fn main() -> Result<(), Box<dyn Error>> {
    let Some(port) = std::env::args().nth(1) else {
        return Err("usage: server-dump PORT".into());
    };
    let host_key = blocking::keygen()?;
    let server = Server::bind(("127.0.0.1", port.parse()?))?;
    println!("listening on {}", server.local_addr()?);
    server.serve(
        move |peer| {
            println!("{peer} connected");
            Options {
                // Made from decoded messages, never from buffers: no password is in it.
                recorder: Some(Box::new(|entry| println!("{entry}"))),
                ..Options::new(Config::server(host_key.clone()))
            }
        },
        |ssh| {
            if let Err(end) = attend(&ssh) {
                println!("{end}");
            }
        },
    )?;
    Ok(())
}

fn attend(ssh: &Ssh) -> Result<(), net::Error> {
    let user = ssh.userauth_accept(everybody())?;
    println!("{user:?} is in");
    loop {
        let channel = ssh.channel_accept()?;
        println!(
            "a channel, command: {:?}",
            channel.command().map(String::from_utf8_lossy)
        );
        println!("  terminal: {:?}", channel.pty());
        println!("  environment: {:?}", channel.env());
        thread::spawn({
            let channel = channel.clone();
            move || {
                while let Some(event) = channel.next_event() {
                    println!("event: {event:?}");
                }
            }
        });
        thread::spawn(move || println!("channel over: {:?}", dump(&channel)));
    }
}

fn everybody() -> AuthPolicy {
    AuthPolicy::publickey(|user, key, signed| {
        println!("{user:?} shows key {}, signed: {signed}", fingerprint(key));
        true
    })
    .or_password(|user, password| {
        println!("{user:?} shows password {password:?}");
        true
    })
    .on_none(|user| {
        println!("{user:?} asks which methods there are");
        None
    })
    .on_other_key(|user, algorithm| {
        println!("{user:?} shows a key of algorithm {algorithm:?}");
        Some(format!("no {algorithm} here\r\n"))
    })
    .with_banner(|user, granted, _| Some(format!("{user}: {granted}\r\n")))
}

fn dump(channel: &Channel) -> Result<(), net::Error> {
    while let Some(data) = channel.read()? {
        println!(
            "data, stream {:?}: {}",
            data.code,
            data.bytes.escape_ascii()
        );
        if channel.pty().is_some() && data.bytes.contains(&0x04) {
            break;
        }
    }
    channel.send_exit(&Exit::Status(0))?;
    channel.close()
}
