//! The registered strings, each once.

/// RFC 8731.
pub const CURVE25519_SHA256: &str = "curve25519-sha256";
/// The same method under the name it had before RFC 8731; the only one that OpenSSH knew up to 7.3.
pub const CURVE25519_SHA256_LIBSSH: &str = "curve25519-sha256@libssh.org";
/// RFC 8709.
pub const SSH_ED25519: &str = "ssh-ed25519";
/// OpenSSH's cipher description; draft-ietf-sshm-chacha20-poly1305.
pub const CHACHA20_POLY1305_OPENSSH: &str = "chacha20-poly1305@openssh.com";
/// RFC 4253 §6.2.
pub const NONE: &str = "none";

/// Marker, not an algorithm: the client takes EXT_INFO (RFC 8308 §2.1).
pub const EXT_INFO_C: &str = "ext-info-c";
/// Marker: the server takes EXT_INFO (RFC 8308 §2.1).
pub const EXT_INFO_S: &str = "ext-info-s";
/// Marker: the client keeps strict key exchange (OpenSSH PROTOCOL §1.9).
pub const KEX_STRICT_C: &str = "kex-strict-c-v00@openssh.com";
/// Marker: the server keeps strict key exchange (OpenSSH PROTOCOL §1.9).
pub const KEX_STRICT_S: &str = "kex-strict-s-v00@openssh.com";

/// Service of RFC 4252.
pub const SSH_USERAUTH: &str = "ssh-userauth";
/// Service of RFC 4254.
pub const SSH_CONNECTION: &str = "ssh-connection";

/// Extension of RFC 8308 §3.1.
pub const SERVER_SIG_ALGS: &str = "server-sig-algs";
/// Extension of OpenSSH PROTOCOL §1.8.
pub const PING_OPENSSH: &str = "ping@openssh.com";

/// Channel type of RFC 4254 §6.1.
pub const SESSION: &str = "session";

/// Global request of OpenSSH, used to see whether the peer is alive; any reply will do.
pub const KEEPALIVE_OPENSSH: &str = "keepalive@openssh.com";
/// Global request of OpenSSH PROTOCOL §2.2.
pub const NO_MORE_SESSIONS_OPENSSH: &str = "no-more-sessions@openssh.com";
/// Global request of OpenSSH PROTOCOL §2.5.
pub const HOSTKEYS_OPENSSH: &str = "hostkeys-00@openssh.com";
