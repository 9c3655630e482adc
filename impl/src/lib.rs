//! minissh: an SSH-2 client and server with exactly one choice of each algorithm.
//!
//! | what | the one choice |
//! |---|---|
//! | key exchange | `curve25519-sha256`, also under its older name `curve25519-sha256@libssh.org` |
//! | host and user keys | `ssh-ed25519` |
//! | encryption and integrity | `chacha20-poly1305@openssh.com` |
//! | compression | none |
//!
//! Every OpenSSH from 6.5 on speaks these. What you most likely want is [`blocking`], or its async
//! twin [`net`]; what makes them small is [`engine`], which you can drive over anything that
//! carries bytes.
//!
//! To read on: the procedural API [row by row](guide::rows), the [limits](guide::limits) and what
//! they bound, what is [not here](guide::scope) and why, and what rules out the
//! [famous bugs](guide::famous_bugs).
//!
//! # The layers
//!
//! Each may use what stands above it, and nothing below; a test reads the sources to hold it.
//!
//! ```text
//! wire        uint32, string, mpint, name-list
//! ident       the identification line
//! msg         one struct for each message
//! trace       what crossed the wire, as data
//! crypto      x25519, ed25519, key derivation, the cipher for one direction
//! keyfile     key files, known_hosts, authorized_keys
//! keylog      a log of secrets for Wireshark, where a program asks for one
//! packet      length, padding, tag, sequence number
//! engine      the protocol: key exchange, authentication, channels      no I/O up to here
//! ─────────────────────────────────────────────────────────────────────────────────────
//! net         tokio: a task owns socket and engine, handles talk to it
//! tty         terminals of this machine
//! process     programs of this machine on channels
//! blocking    the same calls, waiting for their results
//! cli         the `minissh` command
//! ```
//!
//! # A client
//!
//! ```no_run
//! use minissh::{blocking, keyfile::KeyFile};
//!
//! let key = KeyFile::read("user_key".as_ref())?.key;
//! let ssh = blocking::connect(("127.0.0.1", 22022), |host_key| {
//!     minissh::keyfile::fingerprint(host_key) == "SHA256:GBJxhCfeVk/bBiKjuA3QAVKTc+vs6F7RRt4gSOx0u6s"
//! })?;
//! if ssh.userauth_publickey("user", &key)? {
//!     let channel = ssh.channel_exec("echo hi")?;
//!     while let Some(data) = channel.read()? {
//!         print!("{}", String::from_utf8_lossy(&data.bytes));
//!     }
//! }
//! ssh.disconnect();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A server
//!
//! ```no_run
//! use minissh::blocking::{self, Ssh};
//! use minissh::engine::Password;
//! use minissh::net::{AuthPolicy, Error, Exit};
//!
//! fn greet(ssh: &Ssh) -> Result<(), Error> {
//!     let wanted = Password::new(b"guest").expect("it is short");
//!     // Passwords compare in constant time.
//!     let user = ssh.userauth_accept(AuthPolicy::password(move |user, password| {
//!         *password == wanted && user == "guest"
//!     }))?;
//!     let channel = ssh.channel_accept()?;
//!     channel.write(format!("hello {user}\n").as_bytes())?;
//!     channel.send_exit(&Exit::Status(0))?;
//!     channel.close()
//! }
//!
//! blocking::server(("127.0.0.1", blocking::SERVER_PORT), blocking::keygen()?, |ssh| {
//!     if let Err(error) = greet(&ssh) {
//!         eprintln!("{error}");
//!     }
//! })?;
//! # Ok::<(), Error>(())
//! ```
//!
//! # The engine alone
//!
//! ```
//! use std::time::Instant;
//! use minissh::crypto::from_seed;
//! use minissh::engine::{Config, Engine, Output};
//!
//! let now = Instant::now();
//! let mut engine = Engine::new(Config::client(), from_seed(1), None, now);
//! // The drain rule: after every call, poll until it says wait.
//! let mut sent = Vec::new();
//! loop {
//!     match engine.poll_output(64 * 1024) {
//!         Output::Transmit(bytes) => sent.extend(bytes),
//!         Output::Event(event) => println!("{event:?}"),
//!         Output::Wait(_until) => break,
//!     }
//! }
//! assert!(sent.starts_with(b"SSH-2.0-minissh_"));
//! engine.handle_input(now, b"SSH-2.0-somebody\r\n")?;
//! # Ok::<(), minissh::engine::ApiMisuse>(())
//! ```

pub mod blocking;
pub mod cli;
pub mod crypto;
pub mod engine;
pub mod guide;
pub mod ident;
pub mod keyfile;
pub mod keylog;
pub mod msg;
pub mod net;
pub mod packet;
pub mod process;
pub mod trace;
pub mod tty;
pub mod wire;

/// The examples of the README are compiled as well.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
