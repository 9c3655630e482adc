//! The procedural API and `minissh serve` with a real `ssh` at the other end.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::facade::{PASSWORD, Running, USER, serve, soon, user_key};
use crate::openssh::{Home, program};
use crate::program::{Program, output};
use crate::terminal::Person;
use minissh::keyfile::{KeyFile, fingerprint};
use minissh::net::AuthPolicy;

type Calls = Arc<Mutex<Vec<String>>>;

/// Lets in the fixture key and notes what the callbacks are given.
fn serve_with_banners() -> (Running, Calls) {
    let calls = Calls::default();
    let noted = Arc::clone(&calls);
    let server = serve(move |ssh| {
        let (keys, banners) = (Arc::clone(&noted), Arc::clone(&noted));
        let policy = AuthPolicy::publickey(move |user, key, signed| {
            keys.lock().unwrap().push(format!("{user} {signed}"));
            *key == user_key().public_key()
        })
        .with_banner(move |user, granted, _| {
            banners.lock().unwrap().push(format!("banner {granted}"));
            Some(format!("banner for {user}: {granted}\r\n"))
        });
        if ssh.userauth_accept(policy).is_ok() {
            while let Ok(channel) = ssh.channel_accept() {
                std::thread::spawn(move || channel.run_command());
            }
        }
    });
    (server, calls)
}

#[test]
fn ssh_probes_then_signs_and_shows_the_banner() {
    let (home, (server, calls)) = (Home::new(), serve_with_banners());
    let Some(mut ssh) = home.ssh(server.addr.port()) else {
        return;
    };
    let (out, err) = output(ssh.arg("echo in"));
    assert_eq!(out, "in\n");
    assert!(err.contains("banner for robin: true"), "{err}");
    assert_eq!(
        *calls.lock().unwrap(),
        ["robin false", "robin true", "banner true"]
    );
}

#[test]
fn ssh_shows_the_banner_of_a_refusal() {
    let (home, (server, calls)) = (Home::new(), serve_with_banners());
    let stranger = home.path("stranger");
    let key = minissh::blocking::keygen().unwrap();
    KeyFile {
        key,
        comment: String::new(),
    }
    .write(&stranger)
    .unwrap();
    let Some(mut ssh) = Home::bare_ssh(USER, server.addr.port()) else {
        return;
    };
    let ssh = ssh
        .args(["-o", "BatchMode=yes", "-i"])
        .arg(&stranger)
        .arg("true");
    let refused = ssh.output().unwrap();
    let err = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(255), "{err}");
    assert!(err.contains("banner for robin: false"), "{err}");
    assert_eq!(*calls.lock().unwrap(), ["robin false", "banner false"]);
}

#[test]
fn fifty_commands_run_over_one_login() {
    let home = Home::new();
    let server = home.serve(&[]);
    let control = home.path("control");
    let Some(mut master) = home.ssh(server.port) else {
        return;
    };
    let path = format!("ControlPath={}", control.display());
    output(master.args([
        "-o",
        &path,
        "-o",
        "ControlMaster=yes",
        "-o",
        "ControlPersist=yes",
        "-fN",
    ]));
    let runs: Vec<_> = (0..50)
        .map(|number| {
            let mut ssh = home.ssh(server.port).unwrap();
            ssh.args(["-o", &path])
                .arg(format!("echo {number}; exit {}", number % 7));
            std::thread::spawn(move || ssh.output().unwrap())
        })
        .collect();
    for (number, run) in runs.into_iter().enumerate() {
        let run = run.join().unwrap();
        assert_eq!(
            String::from_utf8(run.stdout).unwrap(),
            format!("{number}\n")
        );
        assert_eq!(run.status.code(), Some(i32::try_from(number % 7).unwrap()));
    }
    let mut exit = home.ssh(server.port).unwrap();
    output(exit.args(["-o", &path, "-O", "exit"]));
    server.hear("Disconnected from user robin");
    assert_eq!(
        server.said().matches("Accepted publickey").count(),
        1,
        "{}",
        server.said()
    );
}

#[test]
fn each_login_and_refusal_is_a_line() {
    let home = Home::new();
    let password = home.path("password");
    std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    std::fs::set_permissions(&password, Permissions::from_mode(0o600)).unwrap();
    let server = home.serve(&["--password-file", password.to_str().unwrap()]);
    let Some(mut by_key) = home.ssh(server.port) else {
        return;
    };
    output(by_key.arg("true"));
    let key = fingerprint(&user_key().public_key());
    server.hear("Accepted publickey for robin from 127.0.0.1 port ");
    server.hear(&format!(" ssh2: ED25519 {key}"));
    output(home.ssh_with_password(server.port).unwrap().arg("true"));
    server.hear("Accepted password for robin from 127.0.0.1 port ");
    let stranger = home.path("stranger");
    let key = minissh::blocking::keygen().unwrap();
    KeyFile {
        key: key.clone(),
        comment: String::new(),
    }
    .write(&stranger)
    .unwrap();
    let mut ssh = Home::bare_ssh("mallory", server.port).unwrap();
    let ssh = ssh
        .args(["-o", "BatchMode=yes", "-i"])
        .arg(stranger)
        .arg("true");
    assert_eq!(ssh.output().unwrap().status.code(), Some(255));
    server.hear("Failed publickey for mallory from 127.0.0.1 port ");
    server.hear(&fingerprint(&key.public_key()));
    server.hear("before login");
    assert!(!server.said().contains(PASSWORD));
}

/// Makes a key that we do not speak and tries to log in with it; what the user is told.
fn told_with(home: &Home, server: &Program, kind: &str) -> Option<String> {
    let key = home.path(kind);
    let keygen = program("ssh-keygen")?;
    if !key.exists() {
        output(
            Command::new(keygen)
                .args(["-q", "-t", kind, "-N", "", "-f"])
                .arg(&key),
        );
    }
    let mut ssh = Home::bare_ssh(USER, server.port)?;
    let ssh = ssh
        .args(["-o", "BatchMode=yes", "-i"])
        .arg(&key)
        .arg("true");
    let refused = ssh.output().unwrap();
    assert_eq!(refused.status.code(), Some(255));
    Some(String::from_utf8(refused.stderr).unwrap())
}

#[test]
fn who_shows_another_kind_of_key_is_told_what_would_do() {
    let home = Home::new();
    let server = home.serve(&[]);
    let Some(told) = told_with(&home, &server, "ecdsa") else {
        return;
    };
    assert!(
        told.contains("ecdsa-sha2-nistp256 keys are not supported here"),
        "{told}"
    );
    assert!(told.contains("ssh-ed25519 only"), "{told}");
    server.hear("ecdsa-sha2-nistp256 is not supported");
}

/// `ssh` does not show an RSA key to a server that lists what it verifies and leaves RSA out. It
/// leaves without a word, and is told when it comes again.
#[test]
fn who_has_only_rsa_keys_is_told_at_the_second_try() {
    let home = Home::new();
    let server = home.serve(&[]);
    let Some(first) = told_with(&home, &server, "rsa") else {
        return;
    };
    assert!(!first.contains("ssh-ed25519"), "{first}");
    server.hear("before login");
    let second = told_with(&home, &server, "rsa").unwrap();
    assert!(second.contains("ssh-ed25519 only"), "{second}");
    // Otherwise the server might take note of it only after what follows.
    let ended = || server.said().matches("before login").count();
    assert!(soon(|| ended() == 2), "{}", server.said());
    // Nobody who is let in is bothered again.
    let (_, err) = output(home.ssh(server.port).unwrap().arg("true"));
    assert!(err.contains("ssh-ed25519 only"), "{err}");
    let (_, err) = output(home.ssh(server.port).unwrap().arg("true"));
    assert!(!err.contains("ssh-ed25519 only"), "{err}");
}

#[test]
fn subsystems_agents_and_x11_are_refused_and_the_session_goes_on() {
    let home = Home::new();
    let server = home.serve(&[]);
    let Some(mut sftp) = home.ssh(server.port) else {
        return;
    };
    let refused = sftp.args(["-s", "sftp"]).output().unwrap();
    let err = String::from_utf8(refused.stderr).unwrap();
    assert!(err.contains("subsystem request failed"), "{err}");
    let mut ssh = home.ssh(server.port).unwrap();
    let ssh = ssh
        .env("DISPLAY", "127.0.0.1:9")
        .args(["-X", "-A", "echo on"]);
    assert_eq!(output(ssh).0, "on\n");
}

#[test]
fn ssh_gets_a_real_terminal() {
    let home = Home::new();
    let server = home.serve(&[]);
    let Some(mut ssh) = home.ssh(server.port) else {
        return;
    };
    ssh.env("TERM", "vt220").env("LC_TIME", "C");
    ssh.args(["-t", "-o", "SendEnv=LC_TIME"]);
    ssh.arg("trap 'stty size' WINCH; echo $TERM $LC_TIME; stty size; while :; do sleep 0.05; done");
    let mut person = Person::start(ssh);
    person.sees("vt220 C");
    person.sees("30 100");
    person.resizes(132, 43);
    person.sees("43 132");
    assert_eq!(
        person.interrupts().code(),
        Some(255),
        "killed by a signal, which ssh says so"
    );
}

#[test]
fn ssh_gets_a_shell() {
    let home = Home::new();
    let server = home.serve(&[]);
    let Some(mut ssh) = home.ssh(server.port) else {
        return;
    };
    ssh.env("TERM", "dumb").arg("-tt");
    let mut person = Person::start(ssh);
    person.types("echo $((6 * 7)) there\r");
    person.sees("42 there");
    person.types("exit 5\r");
    assert_eq!(person.ends().code(), Some(5));
}
