//! Why a connection stands still: a window that was used up and never opened again.
//!
//! Read off the trace alone, so that it holds for any implementation at either end.

use minissh::msg::MessageId;
use minissh::trace::{Direction, Field, TraceEntry, Traced};

/// A window that stops the other side.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stall {
    /// Who grants the window: the recorder of the trace sent what it granted.
    pub(super) granted: Direction,
    /// The granter's number of the channel.
    pub(super) channel: u64,
    /// Bytes granted, all of them used.
    pub(super) bytes: u64,
}

/// What is known of one end of a channel.
#[derive(Debug, Default, Clone, Copy)]
struct End {
    number: Option<u64>,
    granted_bytes: u64,
    used_bytes: u64,
}

/// A channel: the recorder's end and the other.
#[derive(Debug, Default, Clone, Copy)]
struct Channel([End; 2]);

/// The first channel, if any, that was open to the last and whose window was used up.
pub(super) fn find(trace: &[TraceEntry]) -> Option<Stall> {
    let mut channels: Vec<Channel> = Vec::new();
    for entry in trace {
        if let Traced::Packet {
            message, fields, ..
        } = &entry.what
        {
            follow(&mut channels, entry.direction, *message, fields);
        }
    }
    channels.iter().find_map(Channel::stall)
}

impl Channel {
    fn stall(&self) -> Option<Stall> {
        [Direction::Outbound, Direction::Inbound]
            .into_iter()
            .find_map(|granted| {
                let end = self.0[index(granted)];
                let is_used_up = end.granted_bytes > 0 && end.used_bytes >= end.granted_bytes;
                is_used_up.then_some(Stall {
                    granted,
                    channel: end.number?,
                    bytes: end.granted_bytes,
                })
            })
    }
}

/// The end of a channel that belongs to whoever sent in this direction.
fn index(sent: Direction) -> usize {
    match sent {
        Direction::Outbound => 0,
        Direction::Inbound => 1,
    }
}

fn follow(channels: &mut Vec<Channel>, sent: Direction, message: MessageId, fields: &[Field]) {
    let (sender, receiver) = (index(sent), 1 - index(sent));
    let number = |name| number(fields, name);
    let recipient = number("recipient");
    let mut addressed = channels
        .iter_mut()
        .rev()
        .find(|channel| recipient.is_some() && channel.0[receiver].number == recipient);
    match message {
        MessageId::CHANNEL_OPEN => {
            let mut channel = Channel::default();
            channel.0[sender].number = number("sender");
            channel.0[sender].granted_bytes = number("window").unwrap_or(0);
            channels.push(channel);
        }
        MessageId::CHANNEL_OPEN_CONFIRMATION => {
            if let Some(channel) = &mut addressed {
                channel.0[sender].number = number("sender");
                channel.0[sender].granted_bytes = number("window").unwrap_or(0);
            }
        }
        MessageId::CHANNEL_WINDOW_ADJUST => {
            if let Some(channel) = &mut addressed {
                channel.0[sender].granted_bytes += number("add").unwrap_or(0);
            }
        }
        MessageId::CHANNEL_DATA | MessageId::CHANNEL_EXTENDED_DATA => {
            if let Some(channel) = &mut addressed {
                channel.0[receiver].used_bytes += number("data").unwrap_or(0);
            }
        }
        // Whoever closes needs no window any more.
        MessageId::CHANNEL_CLOSE => {
            channels.retain(|channel| recipient != channel.0[receiver].number);
        }
        _ => {}
    }
}

/// The number at the start of a field: `7`, or `11 bytes`.
fn number(fields: &[Field], name: &str) -> Option<u64> {
    let field = fields.iter().find(|field| field.name == name)?;
    field.value.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn packet(
        direction: Direction,
        message: MessageId,
        fields: &[(&'static str, &str)],
    ) -> TraceEntry {
        let field = |(name, value): &(&'static str, &str)| Field {
            name,
            value: (*value).to_owned(),
        };
        TraceEntry {
            at: Duration::ZERO,
            direction,
            what: Traced::Packet {
                sequence_number: 0,
                key_epoch: 1,
                message,
                fields: fields.iter().map(field).collect(),
                payload_bytes: 0,
            },
        }
    }

    /// We open our channel 3, they call it 9 and grant 100 bytes, and we send `sent`.
    fn conversation(sent: &str) -> Vec<TraceEntry> {
        use Direction::{Inbound, Outbound};
        vec![
            packet(
                Outbound,
                MessageId::CHANNEL_OPEN,
                &[("sender", "3"), ("window", "50")],
            ),
            packet(
                Inbound,
                MessageId::CHANNEL_OPEN_CONFIRMATION,
                &[("recipient", "3"), ("sender", "9"), ("window", "100")],
            ),
            packet(
                Outbound,
                MessageId::CHANNEL_DATA,
                &[("recipient", "9"), ("data", sent)],
            ),
        ]
    }

    #[test]
    fn a_window_that_is_used_up_is_found_with_who_granted_it() {
        let stall = Stall {
            granted: Direction::Inbound,
            channel: 9,
            bytes: 100,
        };
        assert_eq!(find(&conversation("100 bytes")), Some(stall));
        assert_eq!(find(&conversation("99 bytes")), None);
    }

    #[test]
    fn an_adjusted_or_closed_channel_does_not_stand_still() {
        for (message, fields) in [
            (
                MessageId::CHANNEL_WINDOW_ADJUST,
                &[("recipient", "3"), ("add", "1")][..],
            ),
            (MessageId::CHANNEL_CLOSE, &[("recipient", "3")][..]),
        ] {
            let mut trace = conversation("100 bytes");
            trace.push(packet(Direction::Inbound, message, fields));
            assert_eq!(find(&trace), None);
        }
    }
}
