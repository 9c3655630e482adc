//! What two KEXINITs agree on (RFC 4253 §7.1).

use super::PeerFault;
use crate::msg::KexInit;
use crate::msg::names::{
    CHACHA20_POLY1305_OPENSSH, CURVE25519_SHA256, CURVE25519_SHA256_LIBSSH, EXT_INFO_C, EXT_INFO_S,
    KEX_STRICT_C, KEX_STRICT_S, NONE, SSH_ED25519,
};
use crate::wire::NameList;

/// Longest offer that is quoted in an error, in characters.
const QUOTED_MAX: usize = 120;

/// Both names of the one method.
const METHOD_NAMES: [&str; 2] = [CURVE25519_SHA256, CURVE25519_SHA256_LIBSSH];

/// Our `kex_algorithms`: both names of the one method, and in the first KEXINIT our markers, last,
/// so that no marker is ever the first name, which alone decides about guesses.
pub(super) fn our_kex(is_server: bool, is_first: bool) -> String {
    let mut names = METHOD_NAMES.to_vec();
    if is_first && is_server {
        names.extend([EXT_INFO_S, KEX_STRICT_S]);
    } else if is_first {
        names.extend([EXT_INFO_C, KEX_STRICT_C]);
    }
    names.join(",")
}

/// Our KEXINIT.
pub(super) fn our_kex_init(cookie: [u8; 16], kex: &str) -> KexInit<'_> {
    KexInit {
        cookie,
        kex: NameList(kex),
        host_key: NameList(SSH_ED25519),
        cipher_c2s: NameList(CHACHA20_POLY1305_OPENSSH),
        cipher_s2c: NameList(CHACHA20_POLY1305_OPENSSH),
        // The cipher authenticates by itself, and MAC lists are then not looked at. Old peers want
        // to see a name all the same.
        mac_c2s: NameList("hmac-sha2-256"),
        mac_s2c: NameList("hmac-sha2-256"),
        compression_c2s: NameList(NONE),
        compression_s2c: NameList(NONE),
        ..KexInit::default()
    }
}

/// What the peer's KEXINIT means for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Agreement {
    /// The key exchange method, under one of its names.
    pub(super) kex: &'static str,
    /// Its marker of strict key exchange is there. Counts in the first KEXINIT only.
    pub(super) offers_strict: bool,
    /// Its marker for EXT_INFO is there. Counts in the first KEXINIT only.
    pub(super) takes_ext_info: bool,
    /// It guessed, and wrongly: its next key exchange packet is to be dropped unread.
    pub(super) drops_guess: bool,
}

/// Checks that there is one algorithm for everything. With one choice of each, preference cannot
/// matter: it is ours or none.
pub(super) fn agree(
    ours: &KexInit<'_>,
    theirs: &KexInit<'_>,
    peer_is_server: bool,
) -> Result<Agreement, PeerFault> {
    need_one("key exchange method", theirs.kex, &METHOD_NAMES)?;
    need_one("host key algorithm", theirs.host_key, &[SSH_ED25519])?;
    let cipher = [CHACHA20_POLY1305_OPENSSH];
    need_one("client to server cipher", theirs.cipher_c2s, &cipher)?;
    need_one("server to client cipher", theirs.cipher_s2c, &cipher)?;
    need_one(
        "client to server compression",
        theirs.compression_c2s,
        &[NONE],
    )?;
    need_one(
        "server to client compression",
        theirs.compression_s2c,
        &[NONE],
    )?;

    let (strict, ext_info) = match peer_is_server {
        true => (KEX_STRICT_S, EXT_INFO_S),
        false => (KEX_STRICT_C, EXT_INFO_C),
    };
    let guessed_right =
        theirs.kex.first() == ours.kex.first() && theirs.host_key.first() == ours.host_key.first();
    Ok(Agreement {
        kex: match peer_is_server {
            true => method_name(ours.kex, theirs.kex),
            false => method_name(theirs.kex, ours.kex),
        },
        offers_strict: theirs.kex.has(strict),
        takes_ext_info: theirs.kex.has(ext_info),
        drops_guess: theirs.first_kex_packet_follows && !guessed_right,
    })
}

/// The first name of the client's that the server has too (RFC 4253 §7.1).
fn method_name(client: NameList<'_>, server: NameList<'_>) -> &'static str {
    let agreed = client
        .iter()
        .find(|name| METHOD_NAMES.contains(name) && server.has(name));
    METHOD_NAMES
        .into_iter()
        .find(|name| agreed == Some(name))
        .unwrap_or(CURVE25519_SHA256)
}

fn need_one(list: &'static str, offered: NameList<'_>, ours: &[&str]) -> Result<(), PeerFault> {
    if ours.iter().any(|name| offered.has(name)) {
        return Ok(());
    }
    Err(PeerFault::OfferedNoCommon {
        list,
        offered: offered.0.chars().take(QUOTED_MAX).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(kex: &str, host_key: &str, guesses: bool) -> Result<Agreement, PeerFault> {
        let our_names = our_kex(true, true);
        let ours = our_kex_init([0; 16], &our_names);
        let theirs = KexInit {
            kex: NameList(kex),
            host_key: NameList(host_key),
            first_kex_packet_follows: guesses,
            ..ours.clone()
        };
        agree(&ours, &theirs, false)
    }

    #[test]
    fn a_guess_is_right_only_when_both_first_names_are() {
        let drops = |kex, host_key| agreement(kex, host_key, true).unwrap().drops_guess;
        assert!(!drops("curve25519-sha256", "ssh-ed25519"));
        assert!(drops("curve25519-sha256@libssh.org", "ssh-ed25519"));
        assert!(drops("curve25519-sha256", "ssh-rsa,ssh-ed25519"));
        assert!(
            !agreement("curve25519-sha256@libssh.org", "ssh-ed25519", false)
                .unwrap()
                .drops_guess
        );
    }

    #[test]
    fn the_name_of_the_method_is_the_clients_first_that_the_server_has() {
        let name = |kex| agreement(kex, "ssh-ed25519", false).unwrap().kex;
        let (new, old) = (CURVE25519_SHA256, CURVE25519_SHA256_LIBSSH);
        assert_eq!(name("curve25519-sha256,curve25519-sha256@libssh.org"), new);
        assert_eq!(
            name("x,curve25519-sha256@libssh.org,curve25519-sha256"),
            old
        );
        assert_eq!(
            method_name(NameList("a,b,curve25519-sha256"), NameList(old)),
            new
        );
        assert_eq!(
            method_name(NameList(&our_kex(false, true)), NameList(old)),
            old
        );
    }

    #[test]
    fn markers_count_for_the_role_that_may_send_them_and_are_never_chosen() {
        let agreed = agreement(
            "curve25519-sha256,kex-strict-c-v00@openssh.com",
            "ssh-ed25519",
            false,
        );
        assert!(agreed.unwrap().offers_strict);
        let agreed = agreement(
            "curve25519-sha256,kex-strict-s-v00@openssh.com",
            "ssh-ed25519",
            false,
        );
        assert!(!agreed.unwrap().offers_strict);
        assert!(matches!(
            agreement(
                "ext-info-s,kex-strict-s-v00@openssh.com",
                "ssh-ed25519",
                false
            ),
            Err(PeerFault::OfferedNoCommon {
                list: "key exchange method",
                ..
            })
        ));
    }
}
