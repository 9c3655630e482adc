//! Logs in with a key, runs a command with our input, prints what it prints.
//!
//! Try it against any OpenSSH server that has the public half in its `authorized_keys`:
//!
//!     ssh-keygen -t ed25519 -N '' -f key
//!     echo hello | cargo run --example client-publickey -- 127.0.0.1:22 robin key 'tr a-z A-Z'

use std::error::Error;
use std::io::{copy, stderr, stdin, stdout};
use std::path::Path;
use std::thread;

use minissh::blocking;
use minissh::keyfile::{self, KeyFile};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [addr, user, key, command] = arguments.as_slice() else {
        return Err("usage: client-publickey HOST:PORT USER KEYFILE COMMAND".into());
    };
    let key = KeyFile::read(Path::new(key))?.key;
    let ssh = blocking::connect(addr.as_str(), |key| {
        // A program in earnest compares this with what it knows: see `minissh exec`.
        eprintln!("the server's key is {}", keyfile::fingerprint(key));
        true
    })?;
    if !ssh.userauth_publickey(user, &key)? {
        return Err("the server does not take that key".into());
    }
    let channel = ssh.channel_exec(command)?;
    // Each stream on a thread of its own, so that none waits for another. Dropping the writer
    // sends EOF; nobody waits for our input once the command has ended.
    let (mut input, mut errors) = (channel.writer(), channel.stderr_reader());
    thread::spawn(move || copy(&mut stdin(), &mut input));
    let errors = thread::spawn(move || copy(&mut errors, &mut stderr()));
    copy(&mut channel.reader(), &mut stdout())?;
    let _ = errors.join();
    eprintln!("{:?}", channel.wait());
    ssh.disconnect();
    Ok(())
}
