//! Logs in with a password, runs a command, prints what it prints.
//!
//! Try it against any OpenSSH server:
//!
//!     cargo run --example client-password -- 127.0.0.1:22 robin 'open sesame' 'uname -a'

use std::error::Error;
use std::io::Write as _;

use minissh::{blocking, keyfile};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [addr, user, password, command] = arguments.as_slice() else {
        return Err("usage: client-password HOST:PORT USER PASSWORD COMMAND".into());
    };
    let ssh = blocking::connect(addr.as_str(), |key| {
        // A program in earnest compares this with what it knows: see `minissh exec`.
        eprintln!("the server's key is {}", keyfile::fingerprint(key));
        true
    })?;
    if !ssh.userauth_password(user, password)? {
        return Err("that user or password is wrong".into());
    }
    let channel = ssh.channel_exec(command)?;
    channel.eof()?;
    // Both streams as they come: one that nobody reads would stop the other.
    while let Some(data) = channel.read()? {
        match data.code {
            None => std::io::stdout().write_all(&data.bytes)?,
            Some(_) => std::io::stderr().write_all(&data.bytes)?,
        }
    }
    eprintln!("{:?}", channel.wait());
    ssh.disconnect();
    Ok(())
}
