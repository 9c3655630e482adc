//! What a call can come back with instead of its result.

use std::io;

use thiserror::Error;

use crate::engine::{ApiMisuse, End};
use crate::msg::OpenFailureReason;

/// Why a call did not do what it was asked.
#[derive(Debug, Error)]
pub enum Error {
    /// The operating system, at what we were doing.
    #[error("{doing}: {source}")]
    Io {
        /// What we were doing.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// The verifier refused the server's host key.
    #[error("the host key was refused")]
    HostKeyRefused,
    /// The connection is over.
    #[error("{0}")]
    Ended(End),
    /// The peer did not open the channel.
    #[error("the peer refused the channel (reason {}): {description}", reason.0)]
    ChannelRefused {
        /// Why, for machines.
        reason: OpenFailureReason,
        /// Why, for people, escaped.
        description: String,
    },
    /// The peer closed the channel, so that nothing more can be said on it.
    #[error("the peer closed the channel")]
    ChannelClosed,
    /// The peer answered a request on a channel with no.
    #[error("the peer refused the request {name:?}")]
    RequestRefused {
        /// The request.
        name: &'static str,
    },
    /// The caller's mistake.
    #[error("{0}")]
    Misuse(#[from] ApiMisuse),
}

impl Error {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

/// For the readers and writers of a channel, which speak `std::io`.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Io { source, .. } => source.kind(),
            Error::ChannelClosed
            | Error::Misuse(ApiMisuse::UsedClosedChannel(_) | ApiMisuse::WroteAfterEof(_)) => {
                io::ErrorKind::BrokenPipe
            }
            Error::Ended(_) => io::ErrorKind::ConnectionAborted,
            Error::ChannelRefused { .. }
            | Error::HostKeyRefused
            | Error::Misuse(_)
            | Error::RequestRefused { .. } => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
