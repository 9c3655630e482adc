//! The packet log of a connection, through `tracing`.

use crate::trace::{Recorder, TraceEntry};

/// The target of what is logged.
const TARGET: &str = "minissh::packets";

/// How much of what crosses the wire is logged through `tracing`, under the target
/// `minissh::packets`. Secrets are in no level: passwords, keys and signatures are redacted where
/// the entries are made, and of what a channel carries only the length is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PacketLog {
    /// Nothing.
    #[default]
    Off,
    /// For each packet a line at level `DEBUG`: time, direction, key epoch, sequence number,
    /// message, channel, length.
    Packets,
    /// For each packet a line at level `TRACE`, with the fields of the message.
    Payloads,
}

impl PacketLog {
    /// As much as somebody listens to.
    #[must_use]
    pub fn as_enabled() -> Self {
        if tracing::enabled!(target: TARGET, tracing::Level::TRACE) {
            Self::Payloads
        } else if tracing::enabled!(target: TARGET, tracing::Level::DEBUG) {
            Self::Packets
        } else {
            Self::Off
        }
    }

    fn log(self, entry: &TraceEntry) {
        match self {
            Self::Off => {}
            Self::Packets => tracing::debug!(target: TARGET, "{}", entry.brief()),
            Self::Payloads => tracing::trace!(target: TARGET, "{entry}"),
        }
    }

    /// Logs, and lets `recorder` record as well.
    pub(super) fn recorder(
        self,
        mut recorder: Option<Box<dyn Recorder>>,
    ) -> Option<Box<dyn Recorder>> {
        if self == Self::Off {
            return recorder;
        }
        Some(Box::new(move |entry: TraceEntry| {
            self.log(&entry);
            if let Some(recorder) = &mut recorder {
                recorder.record(entry);
            }
        }))
    }
}
