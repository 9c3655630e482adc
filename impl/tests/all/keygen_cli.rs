//! `minissh keygen` from outside, with and without a terminal.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::openssh;
use crate::program::{judge, minissh_at, without_terminal};
use crate::terminal::{Person, ending};
use tempfile::TempDir;

const PASSPHRASE: &str = "fixture passphrase 1";
const OTHER: &str = "fixture passphrase 2";

struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn try_run(&self, arguments: &[&str]) -> Result<String, String> {
        let arguments = [&["keygen"], arguments].concat();
        judge(without_terminal(self.0.path(), &arguments))
    }

    fn run(&self, arguments: &[&str]) -> String {
        self.try_run(arguments)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    fn start(&self, arguments: &[&str]) -> Person {
        Person::start(minissh_at(
            self.0.path(),
            &[&["keygen"], arguments].concat(),
        ))
    }
}

fn mode(path: &str) -> u32 {
    Path::new(path).metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn a_key_is_made_shown_and_never_overwritten() {
    let home = Home::new();
    let path = home.path("key");
    let fingerprint = home.run(&[&path, "-C", "me@here"]);
    assert!(fingerprint.starts_with("SHA256:"), "{fingerprint}");
    assert_eq!(mode(&path), 0o600);
    let public = fs::read_to_string(format!("{path}.pub")).unwrap();
    assert_eq!(home.run(&["-y", &path]), public);
    let shown = format!("256 {} me@here (ED25519)\n", fingerprint.trim_end());
    for file in [path.clone(), format!("{path}.pub")] {
        assert_eq!(home.run(&["-l", "-f", &file]), shown);
    }
    let error = home.try_run(&[&path]).unwrap_err();
    assert!(
        error.contains(&path) && error.contains("hint: choose another name"),
        "{error}"
    );
    assert!(error.contains("255"), "{error}");
    assert_eq!(home.run(&["-y", &path]), public);
}

#[test]
fn the_habits_of_ssh_keygen_are_understood() {
    let home = Home::new();
    let path = home.path("key");
    assert_eq!(
        home.run(&["-q", "-t", "ed25519", "-N", "", "-f", &path]),
        ""
    );
    let error = home
        .try_run(&["-t", "rsa", "-f", &home.path("rsa")])
        .unwrap_err();
    assert!(error.contains("ed25519"), "{error}");
    assert!(home.try_run(&["-l"]).is_err());
    assert!(home.try_run(&["-l", "-y", &path]).is_err());
}

#[test]
fn passphrases_by_option_protect_and_are_never_shown() {
    let home = Home::new();
    let path = home.path("key");
    home.run(&[&path, "-N", PASSPHRASE, "-C", "me@here"]);
    let public = fs::read_to_string(format!("{path}.pub")).unwrap();
    assert_eq!(home.run(&["-y", "-P", PASSPHRASE, &path]), public);
    // The public half, and the comment of the public file, need no passphrase.
    assert!(home.run(&["-l", &path]).ends_with(" me@here (ED25519)\n"));

    let missing = home.try_run(&["-y", &path]).unwrap_err();
    assert!(missing.contains("protected by a passphrase"), "{missing}");
    assert!(missing.contains("hint: give it with -P"), "{missing}");
    let wrong = home
        .try_run(&["-vv", "-y", "-P", OTHER, &path])
        .unwrap_err();
    assert!(wrong.contains("the passphrase is wrong"), "{wrong}");
    assert!(!wrong.contains(OTHER), "{wrong}");
    let damaged = fs::read_to_string(&path).unwrap().replace("AA", "A");
    let copy = home.path("copy");
    fs::write(&copy, damaged).unwrap();
    let damaged = home.try_run(&["-y", "-P", PASSPHRASE, &copy]).unwrap_err();
    assert!(damaged.contains("copy: is damaged"), "{damaged}");

    home.run(&["-p", "-P", PASSPHRASE, "-N", OTHER, &path]);
    assert_eq!(mode(&path), 0o600);
    assert!(home.try_run(&["-y", "-P", PASSPHRASE, &path]).is_err());
    home.run(&["-p", "-P", OTHER, "-N", "", &path]);
    assert_eq!(home.run(&["-y", &path]), public);
    let left: Vec<_> = fs::read_dir(home.0.path()).unwrap().collect();
    assert_eq!(left.len(), 3, "no file is left behind: {left:?}");
}

#[test]
fn a_new_passphrase_is_asked_for_twice_and_not_shown() {
    let home = Home::new();
    let path = home.path("key");
    let person = home.start(&[&path]);
    for again in [OTHER, PASSPHRASE] {
        person.sees("New passphrase");
        person.says(PASSPHRASE);
        person.sees("again: ");
        person.says(again);
    }
    let (code, shown) = ending(person);
    assert_eq!(code, 0, "{shown}");
    assert!(
        !shown.contains("fixture") && shown.contains("SHA256:"),
        "{shown}"
    );
    home.run(&["-y", "-P", PASSPHRASE, &path]);
}

#[test]
fn a_wrong_passphrase_may_be_given_again() {
    let home = Home::new();
    let path = home.path("key");
    home.run(&[&path, "-N", PASSPHRASE]);
    let person = home.start(&["-y", &path]);
    person.sees("Passphrase of");
    person.says(OTHER);
    person.sees("Wrong, try again.");
    person.sees("Passphrase of");
    person.says(PASSPHRASE);
    person.sees("ssh-ed25519 AAAA");
    assert_eq!(ending(person).0, 0);
}

#[test]
fn keys_that_edit_a_line_edit_a_passphrase() {
    let home = Home::new();
    let path = home.path("key");
    home.run(&[&path, "-N", PASSPHRASE]);
    let person = home.start(&["-y", &path]);
    person.sees("Passphrase of");
    let (start, last) = PASSPHRASE.split_at(PASSPHRASE.len() - 1);
    person.says(&format!("mistaken\x15{start}ä\x7f{last}"));
    person.sees("ssh-ed25519 AAAA");
    assert_eq!(ending(person).0, 0);

    let person = home.start(&["-y", &path]);
    person.sees("Passphrase of");
    person.says("half a pass\x03");
    let (code, shown) = ending(person);
    assert_eq!(code, 255);
    assert!(
        shown.contains("interrupted") && !shown.contains("half"),
        "{shown}"
    );
}

#[test]
fn what_is_shown_is_what_ssh_keygen_shows() {
    let Some(theirs) = openssh::program("ssh-keygen") else {
        return;
    };
    let home = Home::new();
    let path = home.path("key");
    home.run(&[&path, "-N", PASSPHRASE, "-C", "a comment of three words"]);
    for arguments in [
        vec!["-y", "-P", PASSPHRASE, "-f", &path],
        vec!["-l", "-f", &path],
    ] {
        let expected = openssh::run(&theirs, &arguments).unwrap();
        assert_eq!(home.run(&arguments), expected);
    }
}
