//! What each release understands: an option that it does not know keeps it from starting, so it is
//! not said to it.

/// A release: major and minor version.
pub(super) type Release = (u32, u32);

/// Options of `sshd` and the release that took them first. All others that we use are older than
/// what we support, which begins with 6.5.
const SERVER_SINCE: &[(&str, Release)] = &[
    // Its value `any`, which is the default anyway.
    ("AuthenticationMethods", (7, 3)),
    ("HostKeyAlgorithms", (7, 2)),
    ("PerSourcePenalties", (9, 8)),
    ("PubkeyAcceptedKeyTypes", (6, 9)),
    ("SshdAuthPath", (10, 0)),
    ("SshdSessionPath", (9, 8)),
];
/// Likewise of `ssh`.
const CLIENT_SINCE: &[(&str, Release)] = &[("UpdateHostKeys", (6, 9))];

/// Before this release curve25519 has only the name with a domain.
const NEW_NAME_SINCE: Release = (7, 4);
const BOTH_NAMES: &str = "curve25519-sha256,curve25519-sha256@libssh.org";
const OLD_NAME: &str = "curve25519-sha256@libssh.org";
/// The last release that can do without separate privileges, and so without their folder.
const UNSEPARATED_UNTIL: Release = (7, 4);

/// The lines of a configuration that a server of this release takes, and those that only it needs.
pub(super) fn server_config(all: &str, release: Release) -> String {
    let lines = all
        .lines()
        .filter(|line| takes(SERVER_SINCE, line, release));
    let mut text: String = lines.map(|line| named(line, release) + "\n").collect();
    if release <= UNSEPARATED_UNTIL {
        text.push_str("UsePrivilegeSeparation no\n");
    }
    text
}

/// What a server of this release is told on its command line beside options: before 9.8 each connection
/// ran the program anew, unless told otherwise, which takes longer than a login.
pub(super) fn flags(release: Release) -> Vec<String> {
    let runs_anew = release < (9, 8);
    runs_anew.then(|| "-r".to_owned()).into_iter().collect()
}

/// The `-o` options that a server of this release takes.
pub(super) fn server_options(all: Vec<String>, release: Release) -> Vec<String> {
    let is_taken = |option: &String| takes(SERVER_SINCE, option, release);
    all.into_iter().filter(is_taken).collect()
}

/// The `-o` options that a client of this release takes.
pub(super) fn client_options(all: &[&str], release: Release) -> Vec<String> {
    let taken = all
        .iter()
        .filter(|option| takes(CLIENT_SINCE, option, release));
    taken.map(|option| named(option, release)).collect()
}

fn takes(since: &[(&str, Release)], line: &str, release: Release) -> bool {
    let name = line.split([' ', '=']).next().unwrap_or_default();
    let known = since.iter().find(|(option, _)| *option == name);
    known.is_none_or(|(_, since)| release >= *since)
}

fn named(line: &str, release: Release) -> String {
    match release < NEW_NAME_SINCE {
        true => line.replace(BOTH_NAMES, OLD_NAME),
        false => line.to_owned(),
    }
}

/// The option that a server refused, in its own words.
pub(super) fn refused(printed: &str) -> Option<&str> {
    let (_, rest) = printed.split_once("Bad configuration option: ")?;
    rest.split_whitespace().next()
}

/// The configuration without an option.
pub(super) fn without(config: &str, option: &str) -> String {
    let is_it = |line: &&str| {
        let name = line.split_whitespace().next().unwrap_or_default();
        name.eq_ignore_ascii_case(option)
    };
    let lines = config.lines().filter(|line| !is_it(line));
    lines.map(|line| line.to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::openssh::SSHD_CONFIG;

    #[test]
    fn an_old_server_is_told_nothing_that_it_does_not_know() {
        let config = server_config(SSHD_CONFIG, (6, 5));
        for option in [
            "AuthenticationMethods",
            "PubkeyAcceptedKeyTypes",
            "HostKeyAlgorithms",
            "curve25519-sha256,",
        ] {
            assert!(!config.contains(option), "{option} in\n{config}");
        }
        for option in [
            "KexAlgorithms curve25519-sha256@libssh.org",
            "UsePrivilegeSeparation no",
        ] {
            assert!(config.contains(option), "{option} in\n{config}");
        }
        let penalties = || vec!["PerSourcePenalties=no".to_owned(), "Port=22".to_owned()];
        assert_eq!(server_options(penalties(), (9, 7)), ["Port=22"]);
        assert_eq!(server_options(penalties(), (9, 8)).len(), 2);
        assert_eq!(
            (flags((9, 7)), flags((9, 8))),
            (vec!["-r".to_owned()], vec![])
        );
    }

    #[test]
    fn a_new_server_is_told_everything() {
        assert_eq!(server_config(SSHD_CONFIG, (10, 0)), SSHD_CONFIG);
    }

    #[test]
    fn an_option_that_is_refused_is_left_out() {
        let printed = "/x/sshd_config: line 3: Bad configuration option: usepam\nterminating";
        assert_eq!(refused(printed), Some("usepam"));
        assert_eq!(without("Port 1\nUsePAM no\n", "usepam"), "Port 1\n");
    }
}
