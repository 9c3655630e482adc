//! How `minissh exec` checks host keys and logs in, and what `minissh scan` shows, from outside.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::openssh::{self, Sshd};
use crate::program::{Program, closed_port, judge, minissh_at, without_terminal};
use crate::terminal::{Person, ending};
use minissh::crypto::{PublicKey, SigningKey};
use minissh::keyfile::{
    KeyFile, Passphrase, fingerprint, known_host_line, public_line, public_path,
};
use tempfile::TempDir;

const PASSPHRASE: &str = "fixture passphrase 3";

/// A home directory with a user's key, and a server that lets that key in.
struct Place {
    home: TempDir,
    serve: Program,
    host_key: PublicKey,
}

fn write_key(path: &Path, seed: u8, passphrase: &str) -> PublicKey {
    let file = KeyFile {
        key: SigningKey::from_seed(&[seed; 32]),
        comment: String::new(),
    };
    let passphrase = Passphrase::new(passphrase.to_owned());
    file.write_protected(path, passphrase.as_ref()).unwrap();
    file.key.public_key()
}

impl Place {
    fn new(passphrase: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let [host_path, user_path] = ["host", "user"].map(|name| home.path().join(name));
        let host_key = write_key(&host_path, 1, "");
        write_key(&user_path, 2, passphrase);
        let authorized = public_path(&user_path);
        let serve = Program::serve(&[
            "--host-key",
            text(&host_path),
            "--authorized-keys",
            text(&authorized),
        ]);
        Self {
            home,
            serve,
            host_key,
        }
    }

    fn known_hosts(&self) -> PathBuf {
        self.home.path().join(".ssh/known_hosts")
    }

    /// Writes `known_hosts`, with `HOST` standing for the server's name.
    fn know(&self, lines: &str) {
        let path = self.known_hosts();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let name = format!("[127.0.0.1]:{}", self.serve.port);
        fs::write(path, lines.replace("HOST", &name)).unwrap();
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let user = self.home.path().join("user");
        let port = self.serve.port.to_string();
        let start = ["exec", "-p", &port, "-i", text(&user)];
        let end = ["me@127.0.0.1", "echo it ran"];
        let all = start.iter().chain(more).chain(&end);
        all.map(ToString::to_string).collect()
    }

    fn run(&self, more: &[&str]) -> Result<String, String> {
        let arguments = self.arguments(more);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        judge(without_terminal(self.home.path(), &arguments))
    }

    /// The same with `ssh`, which remembers new hosts too.
    fn run_ssh(&self, ssh: &Path) -> Result<String, String> {
        let known = format!("UserKnownHostsFile={}", self.known_hosts().display());
        let (user, port) = (self.home.path().join("user"), self.serve.port.to_string());
        let mut arguments = vec!["-F", "none", "-p", &port, "-i", text(&user)];
        for option in [
            &known,
            "GlobalKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=accept-new",
            "IdentitiesOnly=yes",
            "BatchMode=yes",
        ] {
            arguments.extend(["-o", option]);
        }
        arguments.extend(["me@127.0.0.1", "echo it ran"]);
        openssh::run(ssh, &arguments)
    }

    fn start(&self) -> Person {
        let arguments = self.arguments(&[]);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        Person::start(minissh_at(self.home.path(), &arguments))
    }

    fn line(&self) -> String {
        known_host_line("127.0.0.1", self.serve.port, &self.host_key)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn other_line() -> String {
    let key = SigningKey::from_seed(&[9; 32]).public_key();
    format!("HOST {}\n", public_line(&key, ""))
}

#[test]
fn an_unknown_host_is_asked_about_remembered_and_then_known() {
    let place = Place::new("");
    let person = place.start();
    let shown = person.sees("(yes/no/[fingerprint])? ");
    assert!(shown.contains(&fingerprint(&place.host_key)), "{shown}");
    assert!(shown.contains("ED25519"), "{shown}");
    person.says("y");
    person.sees("Write yes, no,");
    person.says("yes");
    person.sees("Added [127.0.0.1]:");
    person.sees("it ran");
    assert_eq!(ending(person).0, 0);

    let path = place.known_hosts();
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(written, format!("{}\n", place.line()));
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(place.run(&[]).unwrap(), "it ran\n");
}

#[test]
fn the_fingerprint_is_an_answer_and_no_is_one_too() {
    let place = Place::new("");
    let person = place.start();
    person.sees("? ");
    person.says("no");
    let (code, shown) = ending(person);
    assert_eq!(code, 255);
    assert!(shown.contains("was not accepted"), "{shown}");
    assert!(!place.known_hosts().exists());

    let person = place.start();
    person.sees("? ");
    person.says(&fingerprint(&SigningKey::from_seed(&[9; 32]).public_key()));
    person.sees("Write yes, no,");
    person.says(&fingerprint(&place.host_key));
    person.sees("it ran");
    assert_eq!(ending(person).0, 0);
}

#[test]
fn without_a_terminal_an_unknown_host_is_refused_unless_new_ones_are_accepted() {
    let place = Place::new("");
    let error = place.run(&[]).unwrap_err();
    assert!(error.contains(&fingerprint(&place.host_key)), "{error}");
    assert!(
        error.contains("hint: ") && error.contains("--accept-new"),
        "{error}"
    );
    assert!(!place.known_hosts().exists());
    assert_eq!(place.run(&["--accept-new"]).unwrap(), "it ran\n");
    assert_eq!(place.run(&[]).unwrap(), "it ran\n");
    let elsewhere = place.home.path().join("elsewhere");
    let error = place.run(&["--known-hosts", text(&elsewhere)]).unwrap_err();
    assert!(error.contains(text(&elsewhere)), "{error}");
}

#[test]
fn a_changed_key_is_refused_with_the_lines_that_say_otherwise() {
    let place = Place::new("");
    place.know(&format!("# mine\n{}", other_line()));
    let before = fs::read(place.known_hosts()).unwrap();
    for more in [&[][..], &["--accept-new"]] {
        let error = place.run(more).unwrap_err();
        assert!(
            error.contains("255") && error.contains("HAS CHANGED"),
            "{error}"
        );
        let at = format!("{}:2", place.known_hosts().display());
        assert!(error.contains(&at), "{error}");
        assert!(
            error.contains("hint: ") && error.contains("ssh-keygen -f"),
            "{error}"
        );
    }
    // Nobody is asked either.
    let (code, shown) = ending(place.start());
    assert_eq!(code, 255, "{shown}");
    assert!(shown.contains("HAS CHANGED"), "{shown}");
    assert_eq!(fs::read(place.known_hosts()).unwrap(), before);
}

#[test]
fn a_revoked_key_is_refused_though_another_line_knows_it() {
    let place = Place::new("");
    let key = public_line(&place.host_key, "");
    place.know(&format!("HOST {key}\n@revoked * {key}\n"));
    let error = place.run(&["--accept-new"]).unwrap_err();
    assert!(error.contains("IS REVOKED"), "{error}");
    assert!(error.contains("known_hosts:2"), "{error}");
}

#[test]
fn a_host_known_by_other_types_only_is_taken_for_changed() {
    let place = Place::new("");
    place.know("HOST ssh-rsa AAAAB3NzaC1yc2E=\n");
    let error = place.run(&["--accept-new"]).unwrap_err();
    assert!(error.contains("HAS CHANGED"), "{error}");
    assert!(error.contains("keys of other types"), "{error}");
    assert!(error.contains("known_hosts:1"), "{error}");
    // Nobody is asked either.
    let (code, shown) = ending(place.start());
    assert_eq!(code, 255, "{shown}");
    assert!(shown.contains("minissh scan"), "{shown}");
}

/// What `ssh` makes of a `known_hosts` file, `HOST` being the server, is what we make of it.
#[test]
fn a_host_is_known_new_or_changed_as_it_is_to_ssh() {
    let (Some(ssh), Some(keygen)) = (openssh::program("ssh"), openssh::program("ssh-keygen"))
    else {
        return;
    };
    let place = Place::new("");
    let key = public_line(&place.host_key, "");
    let other = public_line(&SigningKey::from_seed(&[9; 32]).public_key(), "");
    let rsa_path = place.home.path().join("rsa");
    let arguments = ["-q", "-t", "rsa", "-N", "", "-C", "", "-f", text(&rsa_path)];
    openssh::run(&keygen, &arguments).unwrap();
    let rsa = fs::read_to_string(public_path(&rsa_path)).unwrap();
    let rsa = rsa.trim();
    for (lines, is_let_on) in [
        (String::new(), true),
        (format!("HOST {key}\n"), true),
        (format!("HOST {other}\n"), false),
        (format!("HOST {other}\nHOST {key}\n"), true),
        (format!("HOST {rsa}\n"), false),
        (format!("HOST {rsa}\nHOST {key}\n"), true),
        (format!("HOST {rsa}\n127.0.0.1 {key}\n"), false),
        (format!("127.0.0.1 {rsa}\n"), true),
        (format!("127.0.0.1 {other}\n"), true),
        (format!("127.0.0.1 {key}\n"), true),
        (format!("@revoked * {key}\nHOST {key}\n"), false),
        (format!("@cert-authority HOST {rsa}\n"), true),
        (format!("*,!HOST {other}\n"), true),
        (format!("[127.0.0.*]:* {other}\n"), false),
    ] {
        place.know(&lines);
        let theirs = place.run_ssh(&ssh);
        place.know(&lines);
        let ours = place.run(&["--accept-new"]);
        assert_eq!(theirs.is_ok(), is_let_on, "ssh, with {lines}: {theirs:?}");
        assert_eq!(ours.is_ok(), is_let_on, "minissh, with {lines}: {ours:?}");
    }
}

#[test]
fn a_broken_line_is_warned_of_and_does_not_hide_the_others() {
    let place = Place::new("");
    place.know(&format!(
        "broken\nHOST {}",
        public_line(&place.host_key, "")
    ));
    assert_eq!(place.run(&[]).unwrap(), "it ran\n");
    place.know("broken\n");
    let error = place.run(&[]).unwrap_err();
    assert!(
        error.contains("known_hosts:1: ends before the key"),
        "{error}"
    );
}

#[test]
fn the_passphrase_of_a_key_is_asked_for_where_there_is_a_terminal() {
    let place = Place::new(PASSPHRASE);
    place.know(&format!("HOST {}\n", public_line(&place.host_key, "")));
    let error = place.run(&["-vv"]).unwrap_err();
    assert!(error.contains("protected by a passphrase"), "{error}");
    let person = place.start();
    person.sees("Passphrase of");
    person.says(PASSPHRASE);
    let shown = person.sees("it ran");
    assert!(!shown.contains(PASSPHRASE), "{shown}");
    assert_eq!(ending(person).0, 0);
}

/// As with ssh: the public half lies open in the file, and a server can be asked about that.
#[test]
fn no_passphrase_is_asked_for_a_key_that_the_server_does_not_take() {
    let place = Place::new("");
    place.know(&format!("HOST {}\n", public_line(&place.host_key, "")));
    let stranger = place.home.path().join("stranger");
    write_key(&stranger, 3, PASSPHRASE);
    fs::rename(stranger, place.home.path().join("user")).unwrap();
    let (status, shown) = ending(place.start());
    assert_eq!(status, 255, "{shown}");
    assert!(shown.contains("Permission denied (publickey)"), "{shown}");
    assert!(!shown.contains("Passphrase"), "{shown}");
}

#[test]
fn a_private_key_that_others_may_read_is_not_used() {
    let place = Place::new("");
    let user = place.home.path().join("user");
    fs::set_permissions(&user, fs::Permissions::from_mode(0o644)).unwrap();
    let error = place.run(&["--accept-new"]).unwrap_err();
    assert!(
        error.contains("mode 0644") && error.contains("chmod 600"),
        "{error}"
    );
}

#[test]
fn the_usual_key_is_tried_when_none_is_named() {
    let place = Place::new("");
    place.know(&format!("HOST {}\n", public_line(&place.host_key, "")));
    let usual = place.home.path().join(".ssh/id_ed25519");
    fs::rename(place.home.path().join("user"), usual).unwrap();
    let port = place.serve.port.to_string();
    let arguments = ["exec", "-p", &port, "me@127.0.0.1", "echo it ran"];
    let output = judge(without_terminal(place.home.path(), &arguments));
    assert_eq!(output.unwrap(), "it ran\n");
}

/// For a server on a machine that has much else to do.
const PATIENTLY: [&str; 2] = ["-T", "60"];

fn scan(port: u16, more: &[&str]) -> (String, String) {
    let port = port.to_string();
    let arguments = [&["scan", "127.0.0.1", "-p", &port], more].concat();
    let output = without_terminal(Path::new("/"), &arguments);
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(
        output.status.code(),
        Some(if err.is_empty() { 0 } else { 255 })
    );
    (out, err)
}

#[test]
fn a_scan_shows_key_ident_and_offer_as_lines_of_known_hosts() {
    let place = Place::new("");
    let (shown, _) = scan(place.serve.port, &PATIENTLY);
    assert!(shown.contains("SSH-2.0-minissh_"), "{shown}");
    assert!(shown.contains("\n# kex: curve25519-sha256,"), "{shown}");
    assert!(
        shown.contains("\n# cipher: chacha20-poly1305@openssh.com\n"),
        "{shown}"
    );
    assert!(shown.ends_with(&format!("{}\n", place.line())), "{shown}");
    place.know(&shown);
    assert_eq!(place.run(&[]).unwrap(), "it ran\n");
}

#[test]
fn a_scan_of_sshd_shows_what_it_offers_also_when_nothing_is_shared() {
    let Some(keygen) = openssh::program("ssh-keygen") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let keys = ["ed25519", "rsa"].map(|kind| {
        let path = folder.path().join(kind);
        let arguments = ["-q", "-t", kind, "-N", "", "-C", "", "-f", text(&path)];
        openssh::run(&keygen, &arguments).unwrap();
        path
    });
    let Some(server) = Sshd::start(folder.path(), &keys, &[]) else {
        return;
    };
    let (shown, _) = scan(server.port, &PATIENTLY);
    let line = fs::read_to_string(public_path(&keys[0])).unwrap();
    assert!(shown.contains("SSH-2.0-OpenSSH_"), "{shown}");
    assert!(shown.contains("\n# host key: "), "{shown}");
    let line = format!("[127.0.0.1]:{} {}\n", server.port, line.trim_end());
    assert!(shown.ends_with(&line), "{shown}");

    let options = [
        "KexAlgorithms=ecdh-sha2-nistp256",
        "Ciphers=aes128-ctr",
        "MACs=hmac-sha2-512",
    ];
    let server = Sshd::start(folder.path(), &keys[1..], &options).unwrap();
    let (shown, error) = scan(server.port, &PATIENTLY);
    assert!(shown.contains("\n# kex: ecdh-sha2-nistp256"), "{shown}");
    assert!(shown.contains("\n# cipher: aes128-ctr\n"), "{shown}");
    assert!(shown.contains("\n# mac: hmac-sha2-512\n"), "{shown}");
    assert!(shown.lines().all(|line| line.starts_with('#')), "{shown}");
    let missing = "offers no curve25519-sha256, no ssh-ed25519, no chacha20-poly1305@openssh.com";
    assert!(error.contains(missing), "{error}");
}

#[test]
fn a_scan_does_not_wait_forever() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let (shown, error) = scan(port, &["-T", "1"]);
    assert_eq!(shown, "");
    assert!(error.contains("within 1 s"), "{error}");
    let (_held, port) = closed_port();
    let (_, error) = scan(port, &PATIENTLY);
    assert!(error.contains("refused"), "{error}");
}
