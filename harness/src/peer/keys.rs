//! The fixture keys, linked in so that the program runs from any folder. They are published and
//! protect nothing.

/// The host key of every server, as an OpenSSH private key file.
pub const HOST: &str = include_str!("../../../fixtures/keys/host_ed25519");
/// The public half of [`HOST`], as an OpenSSH line.
pub const HOST_PUBLIC: &str = include_str!("../../../fixtures/keys/host_ed25519.pub");
/// A host key no server has, as an OpenSSH line.
pub const OTHER_HOST_PUBLIC: &str = include_str!("../../../fixtures/keys/other_host_ed25519.pub");
/// A host key that no server has, as an OpenSSH private key file.
pub const OTHER_HOST: &str = include_str!("../../../fixtures/keys/other_host_ed25519");
/// The key that logs in, as an OpenSSH private key file.
pub const USER: &str = include_str!("../../../fixtures/keys/user_ed25519");
/// The public half of [`USER`], as an OpenSSH line.
pub const USER_PUBLIC: &str = include_str!("../../../fixtures/keys/user_ed25519.pub");
