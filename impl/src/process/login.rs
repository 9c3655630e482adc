//! What a login on this machine has around it. Whoever logs in, it is that of the user we run as.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::net::TcpPath;

/// Where programs are found when we do not know ourselves.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Variables of ours that describe the machine. Everything else is our own affair: where keys are
/// logged, what terminal we were started from, what connection we came by.
const OF_THE_MACHINE: [&str; 3] = ["LANG", "PATH", "TZ"];

/// The variables of a login, as sshd sets them.
pub(super) fn environment() -> Vec<(&'static str, OsString)> {
    let mut variables = vec![("PATH", PATH.into()), ("SHELL", shell())];
    let ours = |name| Some((name, std::env::var_os(name)?));
    variables.extend(OF_THE_MACHINE.into_iter().filter_map(ours));
    variables.extend(home().map(|home| ("HOME", home.into())));
    if let Some(user) = user_name() {
        variables.extend(["LOGNAME", "USER"].map(|name| (name, user.clone().into())));
    }
    variables
}

/// The variables that tell where a user came from: address and port of them and of us.
pub(super) fn connection(TcpPath { ours, theirs }: TcpPath) -> [(&'static str, String); 2] {
    // An IPv4 address is one, also where it came in by a socket for both kinds.
    let [them, us] = [theirs, ours].map(|end| (end.ip().to_canonical(), end.port()));
    [
        ("SSH_CLIENT", format!("{} {} {}", them.0, them.1, us.1)),
        (
            "SSH_CONNECTION",
            format!("{} {} {} {}", them.0, them.1, us.0, us.1),
        ),
    ]
}

/// The shell that runs commands.
pub(super) fn shell() -> OsString {
    variable("SHELL").unwrap_or_else(|| "/bin/sh".into())
}

/// The home directory.
pub(super) fn home() -> Option<PathBuf> {
    std::env::home_dir()
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The name of the user we run as.
pub(crate) fn user_name() -> Option<String> {
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    let find = || {
        let known = variable("USER").or_else(|| variable("LOGNAME"));
        known
            .as_deref()
            .and_then(OsStr::to_str)
            .map(str::to_owned)
            .or_else(asked)
    };
    NAME.get_or_init(find).clone()
}

/// Without libc nobody else knows the names of users.
fn asked() -> Option<String> {
    let said = Command::new("id").arg("-un").output().ok()?.stdout;
    let name = String::from_utf8(said).ok()?.trim().to_owned();
    Some(name).filter(|name| !name.is_empty())
}
