//! A server that lets in whoever has one of the authorized keys, and runs their commands and
//! shells as the user who runs it.
//!
//! Try it with any OpenSSH client, from another terminal:
//!
//!     cargo run --example server-publickey -- 22022 ~/.ssh/id_ed25519.pub
//!     ssh -p 22022 -i ~/.ssh/id_ed25519 127.0.0.1

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use minissh::blocking::{self, Server, Ssh};
use minissh::engine::Config;
use minissh::keyfile::{AuthorizedKeys, fingerprint};
use minissh::net::{self, AuthPolicy, Options};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, keys] = arguments.as_slice() else {
        return Err("usage: server-publickey PORT AUTHORIZED_KEYS".into());
    };
    let keys = Arc::new(AuthorizedKeys::read(Path::new(keys))?);
    let host_key = blocking::keygen()?;
    let server = Server::bind(("127.0.0.1", port.parse()?))?;
    println!("listening on {}", server.local_addr()?);
    server.serve(
        move |_| Options::new(Config::server(host_key.clone())),
        move |ssh| {
            if let Err(end) = attend(&ssh, &keys) {
                println!("{end}");
            }
        },
    )?;
    Ok(())
}

fn attend(ssh: &Ssh, keys: &Arc<AuthorizedKeys>) -> Result<(), net::Error> {
    let keys = Arc::clone(keys);
    let policy = AuthPolicy::publickey(move |user, key, signed| {
        // Asked twice: whether the key would do, and again with a signature that verified.
        println!("{user:?} shows {}, signed: {signed}", fingerprint(key));
        keys.has(key)
    });
    ssh.userauth_accept(policy)?;
    loop {
        let channel = ssh.channel_accept()?;
        thread::spawn(move || channel.run_command());
    }
}
