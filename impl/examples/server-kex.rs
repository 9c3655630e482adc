//! A server that exchanges keys again and again while it echoes what its user sends.
//!
//! Try it with any OpenSSH client, from another terminal; everything typed must come back
//! unharmed, however many exchanges it passes through:
//!
//!     cargo run --release --example server-kex -- 22022 10000
//!     ssh -p 22022 127.0.0.1 echo < some-big-file | cmp - some-big-file
//!
//! An exchange costs us half a millisecond and OpenSSH 9.2 five, so that this takes a minute; with
//! `minissh exec --accept-new` instead of `ssh`, a few seconds.

use std::error::Error;
use std::thread;

use minissh::blocking::{self, Channel, Server, Ssh};
use minissh::engine::Config;
use minissh::net::{self, AuthPolicy, Exit, Options};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, count] = arguments.as_slice() else {
        return Err("usage: server-kex PORT COUNT".into());
    };
    let count: u32 = count.parse()?;
    let host_key = blocking::keygen()?;
    let server = Server::bind(("127.0.0.1", port.parse()?))?;
    println!("listening on {}", server.local_addr()?);
    server.serve(
        move |_| Options::new(Config::server(host_key.clone())),
        move |ssh| {
            if let Err(end) = attend(&ssh, count) {
                println!("{end}");
            }
        },
    )?;
    Ok(())
}

fn attend(ssh: &Ssh, count: u32) -> Result<(), net::Error> {
    ssh.userauth_accept(AuthPolicy::publickey(|_, _, _| true).or_password(|_, _| true))?;
    let channel = ssh.channel_accept()?;
    let echo = thread::spawn({
        let channel = channel.clone();
        move || echo(&channel)
    });
    for _ in 0..count {
        // Waits until the exchange is complete.
        ssh.rekey()?;
    }
    println!("{count} key exchanges");
    let echoed = echo.join().unwrap_or(Ok(()));
    channel.send_exit(&Exit::Status(u32::from(echoed.is_err())))?;
    channel.close()?;
    println!("{}", ssh.wait());
    Ok(())
}

fn echo(channel: &Channel) -> Result<(), net::Error> {
    while let Some(data) = channel.read()? {
        channel.write(&data.bytes)?;
    }
    channel.eof()
}
