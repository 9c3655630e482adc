//! A server on loopback and clients of it, by the procedural API.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use minissh::blocking::{self, Server, Ssh, Stop};
use minissh::crypto::SigningKey;
use minissh::engine::Config;
use minissh::net::{AuthPolicy, Options};

pub(crate) const USER: &str = "robin";
pub(crate) const PASSWORD: &str = "open sesame";

pub(crate) fn host_key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

pub(crate) fn user_key() -> SigningKey {
    SigningKey::from_seed(&[2; 32])
}

/// Lets the fixture user in, by key or by password.
pub(crate) fn policy() -> AuthPolicy {
    AuthPolicy::publickey(|user, key, _| user == USER && *key == user_key().public_key())
        .or_password(|user, password| user == USER && password.expose() == PASSWORD.as_bytes())
}

/// Stops listening when dropped.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

pub(crate) fn serve(handler: impl Fn(Ssh) + Send + Sync + 'static) -> Running {
    serve_with(|| Options::new(Config::server(host_key())), handler)
}

pub(crate) fn serve_with(
    options: impl Fn() -> Options + Send + 'static,
    handler: impl Fn(Ssh) + Send + Sync + 'static,
) -> Running {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let (addr, stop) = (server.local_addr().unwrap(), server.stopper());
    let thread = std::thread::spawn(move || server.serve(|_| options(), handler).unwrap());
    Running {
        addr,
        stop,
        thread: Some(thread),
    }
}

/// A server that lets the fixture user in and then runs `handler`.
pub(crate) fn serve_users(handler: impl Fn(&Ssh) + Send + Sync + 'static) -> Running {
    serve(move |ssh| {
        if ssh.userauth_accept(policy()).is_ok() {
            handler(&ssh);
            // Whoever serves leaves last: what the client has not read yet would be lost.
            let _ = ssh.wait();
        }
    })
}

/// A server that runs the programs that its users ask for.
pub(crate) fn serve_programs() -> Running {
    serve_users(|ssh| {
        while let Ok(channel) = ssh.channel_accept() {
            std::thread::spawn(move || channel.run_command());
        }
    })
}

/// A client that believes any host key.
pub(crate) fn connect(addr: SocketAddr) -> Ssh {
    blocking::connect(addr, |_| true).unwrap()
}

pub(crate) fn log_in(addr: SocketAddr) -> Ssh {
    let ssh = connect(addr);
    assert!(ssh.userauth_publickey(USER, &user_key()).unwrap());
    ssh
}

/// Whether `is_so` becomes true soon, by the measure of a machine that has much else to do.
pub(crate) fn soon(mut is_so: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        if is_so() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}
