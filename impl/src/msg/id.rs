//! Message numbers (RFC 4250 §4.1.2, RFC 5656 §7.1, RFC 8308 §2.3, OpenSSH PROTOCOL §1.8).

use std::fmt;

/// A message number; unknown ones survive.
///
/// Prints as the registered name with its number: `KEXINIT(20)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub u8);

/// Declares the known numbers once, so that constants and names cannot drift apart.
macro_rules! message_ids {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        impl MessageId {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// Every number with a name, ascending.
            pub const KNOWN: &'static [Self] = &[$(Self::$name),*];

            /// The registered name without `SSH_MSG_`, if we know the number.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

message_ids! {
    /// RFC 4253 §11.1.
    DISCONNECT = 1,
    /// RFC 4253 §11.2.
    IGNORE = 2,
    /// RFC 4253 §11.4.
    UNIMPLEMENTED = 3,
    /// RFC 4253 §11.3.
    DEBUG = 4,
    /// RFC 4253 §10.
    SERVICE_REQUEST = 5,
    /// RFC 4253 §10.
    SERVICE_ACCEPT = 6,
    /// RFC 8308 §2.3.
    EXT_INFO = 7,
    /// RFC 4253 §7.1.
    KEXINIT = 20,
    /// RFC 4253 §7.3.
    NEWKEYS = 21,
    /// RFC 5656 §4, as RFC 8731 §3 uses it.
    KEX_ECDH_INIT = 30,
    /// RFC 5656 §4, as RFC 8731 §3 uses it.
    KEX_ECDH_REPLY = 31,
    /// RFC 4252 §5.
    USERAUTH_REQUEST = 50,
    /// RFC 4252 §5.1.
    USERAUTH_FAILURE = 51,
    /// RFC 4252 §5.1.
    USERAUTH_SUCCESS = 52,
    /// RFC 4252 §5.4.
    USERAUTH_BANNER = 53,
    /// RFC 4252 §7; as a reply to the password method the same number is `PASSWD_CHANGEREQ` (§8).
    USERAUTH_PK_OK = 60,
    /// RFC 4254 §4.
    GLOBAL_REQUEST = 80,
    /// RFC 4254 §4.
    REQUEST_SUCCESS = 81,
    /// RFC 4254 §4.
    REQUEST_FAILURE = 82,
    /// RFC 4254 §5.1.
    CHANNEL_OPEN = 90,
    /// RFC 4254 §5.1.
    CHANNEL_OPEN_CONFIRMATION = 91,
    /// RFC 4254 §5.1.
    CHANNEL_OPEN_FAILURE = 92,
    /// RFC 4254 §5.2.
    CHANNEL_WINDOW_ADJUST = 93,
    /// RFC 4254 §5.2.
    CHANNEL_DATA = 94,
    /// RFC 4254 §5.2.
    CHANNEL_EXTENDED_DATA = 95,
    /// RFC 4254 §5.3.
    CHANNEL_EOF = 96,
    /// RFC 4254 §5.3.
    CHANNEL_CLOSE = 97,
    /// RFC 4254 §5.4.
    CHANNEL_REQUEST = 98,
    /// RFC 4254 §5.4.
    CHANNEL_SUCCESS = 99,
    /// RFC 4254 §5.4.
    CHANNEL_FAILURE = 100,
    /// OpenSSH PROTOCOL §1.8.
    PING = 192,
    /// OpenSSH PROTOCOL §1.8.
    PONG = 193,
}

impl MessageId {
    /// Transport messages that may cross at any time, also while keys are exchanged: 1 to 4.
    #[must_use]
    pub fn is_generic(self) -> bool {
        (1..=4).contains(&self.0)
    }

    /// Messages of the key exchange itself: 20 to 49 (RFC 4253 §7.1).
    #[must_use]
    pub fn is_kex(self) -> bool {
        (20..=49).contains(&self.0)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name().unwrap_or("UNKNOWN"), self.0)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
