//! A view of this machine in which a user exists that exists nowhere else; the machine itself is not
//! touched. Needs root and mount namespaces.

use std::fs::File;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::peer::Broken;
use crate::peer::keys::{self, LOGIN};
use crate::peer::place::Folder;
use crate::peer::process::{self, Daemon};

/// Debian's directory for privilege separation; other systems install theirs.
pub(super) const PRIVSEP: &str = "/run/sshd";

/// The file with the user's public key.
pub(super) const AUTHORIZED_KEYS: &str = "/run/sshd/authorized_keys";

/// How long making it may take.
const OPEN_MAX: Duration = Duration::from_secs(60);

/// Gives what follows the view.
///
/// An empty `/run` also keeps name service caches out of it, which do not know the user.
const OPENING: &str = r#"set -e
umask 022
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -m 0755 /run/sshd
printf '%s' "$DRILL_KEYS" >/run/sshd/authorized_keys
for file in passwd shadow; do
    cp -p /etc/$file /run/$file
done
echo "$DRILL_PASSWD" >>/run/passwd
echo "$DRILL_SHADOW" >>/run/shadow
unset DRILL_KEYS DRILL_PASSWD DRILL_SHADOW
for file in passwd shadow; do
    mount --bind /run/$file /etc/$file
done
exec "$@""#;

/// Keeps the view, and says in the folder `$1` who does.
const KEEPING: &str = r#"echo $$ >"$1/new"
mv "$1/new" "$1/pid"
exec sleep 2147483647"#;

/// A number that no system hands out by itself, so that the user is nobody else.
const THROWAWAY_UID: u32 = 58_739;
/// The password's hash as crypt(3) understands it everywhere.
const PASSWORD_HASH: &str = "$6$sshdrill$hNrZGmwgEsh9e131R7O9IVi/98Xj33WmtTOIzUdayAWNX/pA4GVNG5O0.zrmUcHAVYPiEWhln6aGpLwpLyX/t1";

/// There as long as this is.
#[derive(Debug)]
pub(super) struct View {
    /// The process whose view it is.
    pid: String,
    #[expect(dead_code, reason = "held for what happens when it is dropped")]
    daemon: Daemon,
}

impl View {
    /// Makes one. `None` where this machine does not let us, as it does not let root in most
    /// containers.
    pub(super) fn open() -> Result<Option<Self>, Broken> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let trying = opening(&["id", LOGIN]);
        let tried = process::run(Command::new(&trying[0]).args(&trying[1..]), b"", OPEN_MAX);
        if !tried.is_ok_and(|ran| ran.code == Some(0)) {
            return Ok(None);
        }
        let folder = Folder::new()?;
        let keeping = opening(&["sh", "-c", KEEPING, "sh", &folder.path().to_string_lossy()]);
        let nowhere = File::options().write(true).open("/dev/null");
        let daemon = nowhere.and_then(|nowhere| Daemon::start(&keeping, nowhere));
        let daemon = daemon.map_err(|e| Broken::while_doing("cannot run sh", e))?;
        let start = Instant::now();
        while start.elapsed() < OPEN_MAX {
            if let Ok(pid) = std::fs::read_to_string(folder.path().join("pid")) {
                let pid = pid.trim().to_owned();
                return Ok(Some(Self { pid, daemon }));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(Broken::new(
            "the view of the machine for sshd was not made in time",
        ))
    }

    /// The start of a command line whose rest sees the machine so.
    pub(super) fn inside(&self) -> Vec<String> {
        let mount = format!("--mount=/proc/{}/ns/mnt", self.pid);
        vec!["nsenter".to_owned(), mount, "--".to_owned()]
    }
}

/// The command line that runs `command` in a view of its own.
fn opening(command: &[&str]) -> Vec<String> {
    let passwd = format!("{LOGIN}:x:{THROWAWAY_UID}:{THROWAWAY_UID}::/:/bin/sh");
    let shadow = format!("{LOGIN}:{PASSWORD_HASH}:19000:0:99999:7:::");
    let environment = [
        format!("DRILL_KEYS={}", keys::USER_PUBLIC),
        format!("DRILL_PASSWD={passwd}"),
        format!("DRILL_SHADOW={shadow}"),
    ];
    let unshare = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        OPENING,
        "sh",
    ];
    ["env".to_owned()]
        .into_iter()
        .chain(environment)
        .chain(unshare.map(str::to_owned))
        .chain(command.iter().copied().map(str::to_owned))
        .collect()
}
