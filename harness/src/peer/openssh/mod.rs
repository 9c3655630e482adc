//! OpenSSH as a peer: on this machine and in containers. What is said to `ssh` and `sshd`, and how
//! their words are read, is the same for both and lies here; where and how a command is run is a
//! `Place` and the only difference.

mod build;
mod client;
mod container;
mod dialect;
mod local;
mod sshd;
mod view;

pub use container::ContainerOpenSsh;
pub use local::LocalOpenSsh;

use super::RekeyLimit;

/// What every server is told; `docker/openssh/Dockerfile` copies the same file.
pub(super) const SSHD_CONFIG: &str = include_str!("../../../../docker/openssh/sshd_config");

/// The option that makes either side begin key exchanges.
fn rekey_option(limit: RekeyLimit) -> Option<String> {
    let bytes = limit.bytes.map_or("default".to_owned(), |n| n.to_string());
    match limit.seconds {
        Some(seconds) => Some(format!("RekeyLimit={bytes} {seconds}")),
        None => limit.bytes.map(|_| format!("RekeyLimit={bytes}")),
    }
}

/// Product and version from what `ssh -V` printed: `OpenSSH 9.2p1 Debian-2+deb12u10`.
fn product(printed: &str) -> Option<String> {
    let at = printed.find("OpenSSH_")?;
    let words = printed[at..].split([',', '\n']).next()?;
    Some(words.replacen('_', " ", 1).trim().to_owned())
}

/// Major and minor version from a [`product`].
fn version(product: &str) -> Option<(u32, u32)> {
    let (major, rest) = product.strip_prefix("OpenSSH ")?.split_once('.')?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    Some((major.parse().ok()?, rest[..digits].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::keys;

    #[test]
    fn versions_are_read_from_what_each_release_prints() {
        let debian = "OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19 27 Jan 2026\n";
        assert_eq!(
            product(debian).as_deref(),
            Some("OpenSSH 9.2p1 Debian-2+deb12u10")
        );
        // sshd before 9.0 or so does not know -V and prints the version above its usage.
        let usage =
            "unknown option -- V\nOpenSSH_8.4p1 Debian-5, OpenSSL 1.1.1\nusage: sshd [-46D]";
        assert_eq!(product(usage).as_deref(), Some("OpenSSH 8.4p1 Debian-5"));

        assert_eq!(version("OpenSSH 9.2p1 Debian-2"), Some((9, 2)));
        assert_eq!(version("OpenSSH 10.0"), Some((10, 0)));
        assert_eq!(version("Dropbear 2026.94"), None);
    }

    #[test]
    fn a_limit_is_said_as_rekey_limit_takes_it() {
        let option = |bytes, seconds| rekey_option(RekeyLimit { bytes, seconds });
        assert_eq!(option(None, None), None);
        assert_eq!(
            option(Some(65536), None).as_deref(),
            Some("RekeyLimit=65536")
        );
        assert_eq!(
            option(None, Some(1)).as_deref(),
            Some("RekeyLimit=default 1")
        );
        assert_eq!(
            option(Some(16), Some(2)).as_deref(),
            Some("RekeyLimit=16 2")
        );
    }

    #[test]
    fn the_image_has_the_user_and_password_that_clients_use() {
        let dockerfile = include_str!("../../../../docker/openssh/Dockerfile");
        assert!(dockerfile.contains(&format!(
            "echo '{}:{}' | chpasswd",
            keys::LOGIN,
            keys::PASSWORD
        )));
    }
}
