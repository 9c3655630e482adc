//! Who said what, side by side, as the RFCs draw it: the client left, the server right, time down.

use std::fmt::Write as _;
use std::time::Duration;

use super::record::{Case, Packet, Record, Sender};
use super::tint::harmless;

/// Columns between the two sides. What does not fit is in the packet log.
const LANE_CHARS: usize = 84;

/// Renders the packets of a case.
#[must_use]
pub fn render(record: &Record, case: &Case, packets: &[Packet]) -> String {
    let name = |id: &str| match record.version(id) {
        version if version == id => id.to_owned(),
        version => format!("{id} ({version})"),
    };
    let (client, server) = (name(&case.client), name(&case.server));
    let between = (LANE_CHARS + 2).saturating_sub(client.chars().count() + server.chars().count());
    let mut text = format!("{:12}{client}{:between$}{server}\n", "", "");
    for packet in packets {
        let by_client = (packet.from == Sender::Us) == case.client_recorded();
        let at = Duration::from_micros(packet.at_us).as_secs_f64() * 1e3;
        let _ = writeln!(text, "{at:>9.3}ms {}", arrow(&said(packet), by_client));
    }
    text
}

fn said(packet: &Packet) -> String {
    let text = harmless(&packet.text).replace('\n', " ");
    match packet.number {
        Some(number) => format!("{}:{} {text}", number.epoch, number.sequence),
        None => text,
    }
}

/// `├─ text ────▶│` or `│◀─ text ────┤`.
fn arrow(said: &str, by_client: bool) -> String {
    let room = LANE_CHARS - 5;
    let mut label: String = said.chars().take(room).collect();
    if said.chars().count() > room {
        label.pop();
        label.push('…');
    }
    let line = "─".repeat(room - label.chars().count());
    match by_client {
        true => format!("├─ {label} {line}▶│"),
        false => format!("│◀─ {label} {line}┤"),
    }
}
