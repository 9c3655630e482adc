//! Channels: whose number is whose, and how much each side may still send.

use std::collections::BTreeMap;

use super::message::Message;

/// Every channel of a connection, by our number.
#[derive(Debug, Default)]
pub(super) struct Flows {
    open: BTreeMap<u32, Flow>,
    /// What their opens granted that we have not answered, by their number.
    asked: BTreeMap<u32, Grant>,
    latest: u32,
}

/// How much one side may send.
#[derive(Debug, Clone, Copy, Default)]
struct Grant {
    window_bytes: u64,
    packet_bytes_max: u32,
}

impl Grant {
    fn of(message: &Message) -> Self {
        Self {
            window_bytes: message.number("window").unwrap_or_default().into(),
            packet_bytes_max: message.number("packet-max").unwrap_or_default(),
        }
    }
}

/// One channel.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flow {
    /// Their number for it.
    pub(super) remote: u32,
    /// What they grant us.
    theirs: Grant,
    /// What we grant them.
    ours: Grant,
    /// They said EOF.
    has_ended: bool,
    /// They said CLOSE.
    is_closed: bool,
}

impl Flow {
    /// How many bytes we may still send.
    pub(super) fn window_bytes(&self) -> u32 {
        u32::try_from(self.theirs.window_bytes).unwrap_or(u32::MAX)
    }

    /// The longest data that they take in one message.
    pub(super) fn packet_bytes_max(&self) -> u32 {
        self.theirs.packet_bytes_max
    }
}

impl Flows {
    /// The channel of that number of ours, or the one that was opened last.
    pub(super) fn get(&self, local: Option<u32>) -> Option<&Flow> {
        self.open.get(&local.unwrap_or(self.latest))
    }

    /// Takes in what we sent.
    pub(super) fn note_sent(&mut self, message: &Message) {
        let recipient = message.number("recipient").unwrap_or_default();
        match message.verb.name {
            "channel-open" => self.add(
                message,
                Flow {
                    ours: Grant::of(message),
                    ..Flow::default()
                },
            ),
            "channel-open-confirmation" => {
                let theirs = self.asked.remove(&recipient).unwrap_or_default();
                self.add(
                    message,
                    Flow {
                        remote: recipient,
                        theirs,
                        ours: Grant::of(message),
                        ..Flow::default()
                    },
                );
            }
            "channel-window-adjust" => {
                let add = u64::from(message.number("add").unwrap_or_default());
                for flow in self.with_remote(recipient) {
                    flow.ours.window_bytes = flow.ours.window_bytes.saturating_add(add);
                }
            }
            "channel-data" | "channel-extended-data" => {
                let bytes = length(message);
                for flow in self.with_remote(recipient) {
                    flow.theirs.window_bytes = flow.theirs.window_bytes.saturating_sub(bytes);
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, message: &Message, flow: Flow) {
        self.latest = message.number("sender").unwrap_or_default();
        self.open.insert(self.latest, flow);
    }

    fn with_remote(&mut self, remote: u32) -> impl Iterator<Item = &mut Flow> {
        self.open
            .values_mut()
            .filter(move |flow| flow.remote == remote)
    }

    /// Takes in what they sent.
    ///
    /// An error says how they overran what we grant, or what they sent behind the end of it.
    pub(super) fn note_received(&mut self, message: &Message) -> Result<(), String> {
        let recipient = message.number("recipient").unwrap_or_default();
        if message.is("channel-open") {
            let sender = message.number("sender").unwrap_or_default();
            self.asked.insert(sender, Grant::of(message));
        }
        let Some(flow) = self.open.get_mut(&recipient) else {
            return Ok(());
        };
        flow.go_on(message)?;
        match message.verb.name {
            "channel-open-confirmation" => {
                flow.remote = message.number("sender").unwrap_or_default();
                flow.theirs = Grant::of(message);
            }
            "channel-window-adjust" => {
                let add = u64::from(message.number("add").unwrap_or_default());
                flow.theirs.window_bytes = flow.theirs.window_bytes.saturating_add(add);
            }
            "channel-data" | "channel-extended-data" => return flow.take(length(message)),
            _ => {}
        }
        Ok(())
    }
}

impl Flow {
    /// RFC 4254 §5.3: there are no data behind EOF, and neither data nor EOF nor another CLOSE behind
    /// CLOSE.
    fn go_on(&mut self, message: &Message) -> Result<(), String> {
        let (is_eof, is_close) = (message.is("channel-eof"), message.is("channel-close"));
        let is_data = message.is("channel-data") || message.is("channel-extended-data");
        let behind = match (is_data, is_eof, is_close) {
            (false, false, false) => return Ok(()),
            (..) if self.is_closed => "CLOSE",
            (true, ..) if self.has_ended => "EOF",
            (..) => {
                self.has_ended |= is_eof;
                self.is_closed |= is_close;
                return Ok(());
            }
        };
        let name = message
            .verb
            .message
            .map_or_else(String::new, |id| id.to_string());
        Err(format!("{name} behind the {behind} of its channel"))
    }

    /// RFC 4254 §5.2: neither the window nor the longest packet may be overrun.
    fn take(&mut self, bytes: u64) -> Result<(), String> {
        let Grant {
            window_bytes,
            packet_bytes_max,
        } = self.ours;
        if bytes > window_bytes {
            return Err(format!(
                "{bytes} bytes of data, where the window has {window_bytes} left"
            ));
        }
        if bytes > packet_bytes_max.into() {
            return Err(format!(
                "{bytes} bytes of data in one message, where {packet_bytes_max} are the most"
            ));
        }
        self.ours.window_bytes -= bytes;
        Ok(())
    }
}

fn length(message: &Message) -> u64 {
    u64::try_from(message.bytes("data").len()).unwrap_or(u64::MAX)
}
