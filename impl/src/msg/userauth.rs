//! Messages of user authentication (RFC 4252).

use std::fmt;

use super::transport::Service;
use crate::wire::{DecodeError, NameList, Reader, Writer};

/// `SSH_MSG_USERAUTH_REQUEST` (50): let me in as this user, by this method (RFC 4252 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserauthRequest<'a> {
    /// UTF-8 by the RFC, arbitrary bytes in practice.
    pub user: &'a [u8],
    /// The service to start once authenticated.
    pub service: &'a str,
    /// How.
    pub method: AuthMethod<'a>,
}

/// How a user proves who they are.
#[derive(Clone, PartialEq, Eq)]
pub enum AuthMethod<'a> {
    /// `none`: tell me what would do (RFC 4252 §5.2).
    None,
    /// `publickey` (RFC 4252 §7).
    Publickey {
        /// The signature algorithm.
        algorithm: &'a str,
        /// The key.
        key_blob: &'a [u8],
        /// Without it, a question whether the key would do.
        signature_blob: Option<&'a [u8]>,
    },
    /// `password` (RFC 4252 §8).
    Password {
        /// In the clear inside the encrypted packet.
        password: &'a [u8],
        /// The new one, when the request changes it.
        new_password: Option<&'a [u8]>,
    },
    /// Some other method.
    Other {
        /// Its name.
        name: &'a str,
        /// What followed, unread.
        body: &'a [u8],
    },
}

impl<'a> UserauthRequest<'a> {
    /// Longest user name that is looked at, in bytes. Our bound; longer ones are read and refused.
    pub const USER_BYTES_MAX: usize = 4_096;
    /// Longest password that is looked at, in bytes. Our bound and OpenSSH's; longer ones are read
    /// and refused.
    pub const PASSWORD_BYTES_MAX: usize = 1_024;
    /// What a packet can hold, in bytes.
    const TEXT_BYTES_MAX: usize = 262_144;
    /// Our bound for keys and signatures, in bytes.
    pub const BLOB_BYTES_MAX: usize = 32_768;

    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let message = Self {
            user: r.string("user name", Self::TEXT_BYTES_MAX)?,
            service: r.name("service name", Service::NAME_BYTES_MAX)?,
            method: AuthMethod::decode(&mut r)?,
        };
        r.finish("USERAUTH_REQUEST")?;
        Ok(message)
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.string(self.user).string(self.service.as_bytes());
        self.method.encode(w);
    }

    /// What a publickey signature covers: the session id, then this request up to the signature
    /// (RFC 4252 §7).
    #[must_use]
    pub fn signed_bytes(&self, session_id: &[u8; 32], algorithm: &str, key_blob: &[u8]) -> Vec<u8> {
        let mut w = Writer::new();
        w.string(session_id)
            .u8(super::MessageId::USERAUTH_REQUEST.0)
            .string(self.user)
            .string(self.service.as_bytes())
            .string(AuthMethod::PUBLICKEY.as_bytes())
            .bool(true)
            .string(algorithm.as_bytes())
            .string(key_blob);
        w.into_bytes()
    }
}

impl<'a> AuthMethod<'a> {
    /// Method name of RFC 4252 §5.2.
    pub const NONE: &'static str = "none";
    /// Method name of RFC 4252 §7.
    pub const PUBLICKEY: &'static str = "publickey";
    /// Method name of RFC 4252 §8.
    pub const PASSWORD: &'static str = "password";

    /// The method's name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        match self {
            Self::None => Self::NONE,
            Self::Publickey { .. } => Self::PUBLICKEY,
            Self::Password { .. } => Self::PASSWORD,
            Self::Other { name, .. } => name,
        }
    }

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        match r.name("method name", Service::NAME_BYTES_MAX)? {
            Self::NONE => Ok(Self::None),
            Self::PUBLICKEY => Self::decode_publickey(r),
            Self::PASSWORD => Self::decode_password(r),
            name => Ok(Self::Other {
                name,
                body: r.rest(),
            }),
        }
    }

    fn decode_publickey(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let signed = r.bool("has signature")?;
        let algorithm = r.name("public key algorithm", Service::NAME_BYTES_MAX)?;
        let key_blob = r.string("public key blob", UserauthRequest::BLOB_BYTES_MAX)?;
        let signature_blob = match signed {
            true => Some(r.string("signature", UserauthRequest::BLOB_BYTES_MAX)?),
            false => None,
        };
        Ok(Self::Publickey {
            algorithm,
            key_blob,
            signature_blob,
        })
    }

    fn decode_password(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let changes = r.bool("changes password")?;
        let password = r.string("password", UserauthRequest::TEXT_BYTES_MAX)?;
        let new_password = match changes {
            true => Some(r.string("new password", UserauthRequest::TEXT_BYTES_MAX)?),
            false => None,
        };
        Ok(Self::Password {
            password,
            new_password,
        })
    }

    fn encode(&self, w: &mut Writer) {
        w.string(self.name().as_bytes());
        match self {
            Self::None => {}
            Self::Publickey {
                algorithm,
                key_blob,
                signature_blob,
            } => {
                w.bool(signature_blob.is_some())
                    .string(algorithm.as_bytes())
                    .string(key_blob);
                if let Some(blob) = signature_blob {
                    w.string(blob);
                }
            }
            Self::Password {
                password,
                new_password,
            } => {
                w.bool(new_password.is_some()).string(password);
                if let Some(new) = new_password {
                    w.string(new);
                }
            }
            Self::Other { body, .. } => {
                w.raw(body);
            }
        }
    }
}

impl fmt::Debug for AuthMethod<'_> {
    /// Passwords never print; what an unknown method carries may be one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publickey {
                algorithm,
                signature_blob,
                ..
            } => f
                .debug_struct("Publickey")
                .field("algorithm", algorithm)
                .field("signed", &signature_blob.is_some())
                .finish_non_exhaustive(),
            _ => write!(f, "{}", self.name()),
        }
    }
}

/// `SSH_MSG_USERAUTH_FAILURE` (51): not so, but these may (RFC 4252 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserauthFailure<'a> {
    /// Methods that may go on.
    pub methods: NameList<'a>,
    /// The request was right and is not enough.
    pub partial_success: bool,
}

impl<'a> UserauthFailure<'a> {
    /// Our bound, in bytes.
    pub const METHODS_BYTES_MAX: usize = 4_096;

    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let message = Self {
            methods: r.name_list("authentications that can continue", Self::METHODS_BYTES_MAX)?,
            partial_success: r.bool("partial success")?,
        };
        r.finish("USERAUTH_FAILURE")?;
        Ok(message)
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.name_list(self.methods).bool(self.partial_success);
    }
}

/// `SSH_MSG_USERAUTH_BANNER` (53): text for the user before the verdict (RFC 4252 §5.4).
///
/// `text` comes from the peer: print it escaped, never raw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserauthBanner<'a> {
    /// The text.
    pub text: &'a [u8],
    /// An RFC 3066 tag, usually empty.
    pub language: &'a [u8],
}

impl<'a> UserauthBanner<'a> {
    /// Our bound, in bytes; a packet cannot hold more.
    pub const TEXT_BYTES_MAX: usize = 262_144;

    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let message = Self {
            text: r.string("message", Self::TEXT_BYTES_MAX)?,
            language: r.string("language tag", super::Disconnect::LANGUAGE_BYTES_MAX)?,
        };
        r.finish("USERAUTH_BANNER")?;
        Ok(message)
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.string(self.text).string(self.language);
    }
}

/// `SSH_MSG_USERAUTH_PK_OK` (60): that key would do (RFC 4252 §7).
///
/// As the reply to a password request the same number is `PASSWD_CHANGEREQ` with two strings of
/// its own (RFC 4252 §8); the client's authentication knows what it asked and takes it as that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserauthPkOk<'a> {
    /// As asked. (As `PASSWD_CHANGEREQ`: the prompt.)
    pub algorithm: &'a [u8],
    /// As asked. (As `PASSWD_CHANGEREQ`: the language tag.)
    pub key_blob: &'a [u8],
}

impl<'a> UserauthPkOk<'a> {
    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let message = Self {
            algorithm: r.string("public key algorithm", UserauthRequest::BLOB_BYTES_MAX)?,
            key_blob: r.string("public key blob", UserauthRequest::BLOB_BYTES_MAX)?,
        };
        r.finish("USERAUTH_PK_OK")?;
        Ok(message)
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.string(self.algorithm).string(self.key_blob);
    }
}
