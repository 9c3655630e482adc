//! The fixture keys and the fixture user, linked in so that the program runs from any folder. They
//! are published and protect nothing.

use std::path::Path;

use minissh::crypto::SigningKey;
use minissh::keyfile::KeyFile;

use super::Broken;

/// The host key of every server, as an OpenSSH private key file.
pub const HOST: &str = include_str!("../../../fixtures/keys/host_ed25519");
/// The public half of [`HOST`], as an OpenSSH line.
pub const HOST_PUBLIC: &str = include_str!("../../../fixtures/keys/host_ed25519.pub");
/// A host key that no server has, as an OpenSSH private key file.
pub const OTHER_HOST: &str = include_str!("../../../fixtures/keys/other_host_ed25519");
/// The public half of [`OTHER_HOST`], as an OpenSSH line.
pub const OTHER_HOST_PUBLIC: &str = include_str!("../../../fixtures/keys/other_host_ed25519.pub");
/// The key that logs in, as an OpenSSH private key file.
pub const USER: &str = include_str!("../../../fixtures/keys/user_ed25519");
/// The public half of [`USER`], as an OpenSSH line.
pub const USER_PUBLIC: &str = include_str!("../../../fixtures/keys/user_ed25519.pub");

/// The user that every server lets in that can choose.
pub const LOGIN: &str = "drill";
/// The password of [`LOGIN`], also in `docker/openssh/Dockerfile`.
pub const PASSWORD: &str = "drill-fixture-password";

/// The key in one of the private key files above.
///
/// # Panics
/// When given anything else; the fixtures are part of this program.
#[must_use]
pub fn signing_key(file: &str) -> SigningKey {
    let parsed = KeyFile::parse(file, Path::new("fixtures/keys"));
    parsed.expect("a fixture is a whole key file").key
}

/// The key in a private key file of the user's, without a passphrase.
///
/// # Errors
/// [`Broken`] when there is none, or it is no such file.
pub fn read(path: &Path) -> Result<SigningKey, Broken> {
    let file = KeyFile::read(path).map_err(|e| {
        Broken::while_doing("cannot use the key", e).hint(
            "a file that ssh-keygen or minissh keygen made, of an Ed25519 key without passphrase",
        )
    })?;
    Ok(file.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_halves_belong_to_the_public_ones() {
        for (secret, public) in [
            (HOST, HOST_PUBLIC),
            (OTHER_HOST, OTHER_HOST_PUBLIC),
            (USER, USER_PUBLIC),
        ] {
            let line = signing_key(secret).public_key();
            assert!(
                public.contains(&minissh::keyfile::public_line(&line, "")),
                "{public}"
            );
        }
    }
}
