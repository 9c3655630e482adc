//! `authorized_keys` held against the real sshd: whom it keeps out, we keep out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::openssh::{self, Sshd};
use minissh::crypto::SigningKey;
use minissh::keyfile::{AuthorizedKeys, KeyFile, public_line, public_path};
use tempfile::TempDir;

/// Options before a key, and whether we let the key in.
const LINES: [(&str, bool); 24] = [
    ("", true),
    (
        "no-port-forwarding,no-X11-forwarding,no-agent-forwarding ",
        true,
    ),
    ("NO-USER-RC\t", true),
    ("permitopen=\"localhost:80\",permitlisten=\"8080\" ", true),
    ("tunnel=\"1\" ", true),
    ("no-touch-required ", true),
    ("restrict,pty ", true),
    ("restrict ", false),
    ("no-pty ", false),
    ("command=\"true\" ", false),
    ("command=\"true ", false),
    ("from=\"10.99.0.0/16\" ", false),
    ("from=\"127.0.0.1\" ", false),
    ("environment=\"A=b\" ", false),
    ("expiry-time=\"20010101\" ", false),
    ("cert-authority ", false),
    ("principals=\"me\" ", false),
    ("permitopen=localhost:80 ", false),
    ("permitopen ", false),
    ("pty=\"yes\" ", false),
    ("no-pty, ", false),
    (",no-pty ", false),
    ("never-heard-of ", false),
    ("# ", false),
];

struct Login {
    ssh: PathBuf,
    server: Sshd,
    folder: TempDir,
    key: PathBuf,
}

impl Login {
    /// `None` where OpenSSH is missing or lets nobody in as the user who runs this.
    fn find() -> Option<Self> {
        let ssh = openssh::program("ssh")?;
        let folder = tempfile::tempdir().unwrap();
        let [host, key] = [1, 2].map(|seed| {
            let path = folder.path().join(format!("key{seed}"));
            let key = SigningKey::from_seed(&[seed; 32]);
            let comment = String::new();
            KeyFile { key, comment }.write(&path).unwrap();
            path
        });
        let authorized = folder.path().join("authorized_keys");
        fs::copy(public_path(&key), &authorized).unwrap();
        let file = format!("AuthorizedKeysFile={}", authorized.display());
        let options = [&file, "StrictModes=no", "PasswordAuthentication=no"];
        let server = Sshd::start(folder.path(), &[host], &options)?;
        let login = Self {
            ssh,
            server,
            folder,
            key,
        };
        let works = login.is_let_in();
        if !works {
            eprintln!("SKIPPED: sshd lets nobody in as the user who runs this");
        }
        works.then_some(login)
    }

    fn authorize(&self, text: &str) {
        fs::write(self.folder.path().join("authorized_keys"), text).unwrap();
    }

    /// Whether sshd takes our key, whatever the session may then do.
    fn is_let_in(&self) -> bool {
        let output = Command::new(&self.ssh)
            .args(["-v", "-F", "none", "-o", "BatchMode=yes"])
            .args(["-o", "StrictHostKeyChecking=no"])
            .args(["-o", "UserKnownHostsFile=/dev/null"])
            .args(["-o", "IdentitiesOnly=yes", "-i"])
            .arg(&self.key)
            .args(["-p", &self.server.port.to_string(), "127.0.0.1", "true"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stderr).contains("Authenticated to ")
    }
}

fn lets_in(text: &str) -> bool {
    let key = SigningKey::from_seed(&[2; 32]).public_key();
    AuthorizedKeys::parse(text.as_bytes(), Path::new("keys")).has(&key)
}

#[test]
fn whom_sshd_keeps_out_we_keep_out() {
    let Some(login) = Login::find() else { return };
    let line = public_line(&SigningKey::from_seed(&[2; 32]).public_key(), "me@here");
    for (options, expected) in LINES {
        let text = format!("{options}{line}\n");
        assert_eq!(lets_in(&text), expected, "{options}");
        if expected {
            login.authorize(&text);
            assert!(login.is_let_in(), "sshd does not take {options}");
        }
    }
    // A broken line before it does no harm to either.
    let text = format!("nonsense\r\nssh-ed25519 AAAA\r\n{line}");
    login.authorize(&text);
    assert!(lets_in(&text) && login.is_let_in());
}
