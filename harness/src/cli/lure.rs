//! `sshdrill lure`: the cases for clients with a client that somebody else starts, over and over.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::args::LureArgs;
use super::{Exit, Stop, places, run};
use crate::peer::live::LuredClient;
use crate::peer::{Broken, keys};
use crate::run::interrupt::Interrupt;

/// The key to log in with, which is there as long as cases are.
const KEY: &str = "user_ed25519";

/// Says how to come, waits for the first connection, and runs what the client can be asked.
pub(super) fn lure(args: &LureArgs) -> Result<Exit, Stop> {
    let ip = args.listen.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let addr = SocketAddr::new(ip, args.port);
    let out = args.run.reports.out.clone().unwrap_or_else(places::out);
    let mut run = args.run.clone();
    run.live = Some(words(args));
    let key = Arc::new(OnceLock::new());
    let find = |interrupt: &Interrupt| {
        let listening = LuredClient::listen(addr)?;
        let addr = listening.addr();
        let folder = bait(&out.join("lure"), addr).map_err(|e| {
            let what = format!("cannot write keys below {}", out.display());
            Broken::while_doing(&what, e).hint("--out names another folder")
        })?;
        key.get_or_init(|| folder.join(KEY));
        anstream::print!("{}", invitation(&folder, addr));
        listening.wait(|| interrupt.is_raised())
    };
    let in_haste = Arc::clone(&key);
    let ended = run::run_with(&run, find, move || call_off(&in_haste));
    call_off(&key);
    ended
}

/// Who comes as long as there is a key has nothing to come for any more.
fn call_off(key: &OnceLock<PathBuf>) {
    // It may be gone already, and then nobody comes for it.
    let _ = key.get().map(fs::remove_file);
}

/// What is typed to have these cases again.
fn words(args: &LureArgs) -> Vec<String> {
    let mut words = vec!["lure".to_owned(), args.port.to_string()];
    if let Some(ip) = args.listen {
        words.extend(["--listen".to_owned(), ip.to_string()]);
    }
    words
}

/// Writes what a client needs: the key to log in with, and what to know of the host.
fn bait(folder: &Path, addr: SocketAddr) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let folder = folder.canonicalize()?;
    let key = folder.join(KEY);
    let _ = fs::remove_file(&key);
    let mut options = fs::File::options();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&key)?;
    io::Write::write_all(&mut file, keys::USER.as_bytes())?;
    let (ip, port) = (addr.ip(), addr.port());
    let known = format!("{ip} {0}[{ip}]:{port} {0}", keys::HOST_PUBLIC);
    fs::write(folder.join("known_hosts"), known)?;
    Ok(folder)
}

/// The exact commands with which clients come.
fn invitation(folder: &Path, addr: SocketAddr) -> String {
    let (ip, port, user) = (addr.ip(), addr.port(), keys::LOGIN);
    let file = |name: &str| format!("'{}'", folder.join(name).display());
    let ssh = format!(
        "ssh -F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -i {} \\\n    \
         -o UserKnownHostsFile={} -o StrictHostKeyChecking=yes -p {port} {user}@{ip} true",
        file(KEY),
        file("known_hosts"),
    );
    let blob = keys::HOST_PUBLIC
        .split_whitespace()
        .nth(1)
        .unwrap_or_default();
    let plink = format!(
        "plink -batch -ssh -noagent -hostkey {blob} \\\n    -pw {} -P {port} {user}@{ip} true",
        keys::PASSWORD
    );
    let tries = format!(
        "while test -e {}; do\n    {}\n    sleep 0.1\ndone",
        file(KEY),
        ssh.replace('\n', "\n    ")
    );
    format!(
        "Each connection to {addr} is one case. Start your client over and over; it may log in as \
         {user}\nwith the key or with the password below, and has to know the host key.\n\n\
         OpenSSH\n    {}\n\nPuTTY\n    {}\n\nas long as there are cases\n    {}\n\n\
         waiting for the first connection, from which it is learned what the client can\n",
        ssh.replace('\n', "\n    "),
        plink.replace('\n', "\n    "),
        tries.replace('\n', "\n    "),
    )
}
