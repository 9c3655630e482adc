//! Keys as OpenSSH keeps them: private key files, public lines, `authorized_keys`, `known_hosts`,
//! fingerprints.
//!
//! Files are read whole, a broken line never hides the others, and what cannot be honoured is
//! refused and named. Nobody is asked anything here: a file with a passphrase is a [`StoredKey`]
//! until somebody who knows the passphrase unlocks it. The `ssh-key` crate does the encryption of
//! private key files.

mod authorized;
mod error;
mod known_hosts;
mod lines;
mod passphrase;
mod pattern;
mod private;
mod public;
mod store;

pub use authorized::{AuthorizedKey, AuthorizedKeys};
pub use error::{KeyFileError, LineFault, Place, SkippedLine};
pub use known_hosts::{Known, KnownHosts, known_host_line, known_host_name, remember};
pub use passphrase::Passphrase;
pub use private::{BCRYPT_ROUNDS, BCRYPT_ROUNDS_MAX, KeyFile, StoredKey, public_path};
pub use public::{
    NamedKey, fingerprint, fingerprint_line, parse_public_line, public_line, read_public_file,
};
