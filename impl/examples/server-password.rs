//! A server that lets one user in by password and greets them.
//!
//! Try it with any OpenSSH client, from another terminal:
//!
//!     cargo run --example server-password -- 22022 robin 'open sesame'
//!     ssh -p 22022 robin@127.0.0.1 anything

use std::error::Error;

use minissh::blocking::{self, Server, Ssh};
use minissh::engine::{Config, Password};
use minissh::net::{self, AuthPolicy, Exit, Options};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, user, password] = arguments.as_slice() else {
        return Err("usage: server-password PORT USER PASSWORD".into());
    };
    let (user, password) = (user.clone(), password.clone());
    let host_key = blocking::keygen()?;
    let server = Server::bind(("127.0.0.1", port.parse()?))?;
    println!("listening on {}", server.local_addr()?);
    server.serve(
        move |_| Options::new(Config::server(host_key.clone())),
        move |ssh| {
            if let Err(end) = attend(&ssh, &user, &password) {
                println!("{end}");
            }
        },
    )?;
    Ok(())
}

fn attend(ssh: &Ssh, user: &str, password: &str) -> Result<(), net::Error> {
    let user = user.to_owned();
    let wanted = Password::new(password.as_bytes());
    // Passwords compare in constant time, and before the name, so that nothing tells which is wrong.
    let policy = AuthPolicy::password(move |name, given| {
        wanted.as_ref().is_some_and(|wanted| wanted == given) && name == user
    });
    let user = ssh.userauth_accept(policy)?;
    loop {
        let channel = ssh.channel_accept()?;
        let command = channel.command().map(String::from_utf8_lossy);
        let wish = command.map_or("a shell".into(), |command| format!("{command:?}"));
        channel.write(format!("Hello {user}, you asked for {wish}.\r\n").as_bytes())?;
        channel.send_exit(&Exit::Status(0))?;
        channel.close()?;
    }
}
