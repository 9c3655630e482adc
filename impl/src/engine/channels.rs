//! Channels (RFC 4254 §5): numbers, windows, requests in order, EOF and CLOSE.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use super::event::{Event, Opaque, ReceivedRequest};
use super::outbox::Outbox;
use super::{ApiMisuse, Limits, PeerFault};
use crate::msg::names::SESSION;
use crate::msg::{
    ChannelData, ChannelExtendedData, ChannelOpen, ChannelOpenConfirmation, ChannelOpenFailure,
    ChannelRequest, ChannelWindowAdjust, Message, MessageId, OnChannel, OpenFailureReason, Request,
};

/// The window that we grant and restore, in bytes, as long as [`Limits::unread_bytes_max`] has room.
pub const WINDOW_BYTES_MAX: u32 = 2 << 20;

/// What a whole window does not fall below while the program reads, in bytes.
pub const WINDOW_BYTES_MIN: u32 = 1 << 20;

/// The window of a channel that is opened when [`Limits::unread_bytes_max`] has no room for a whole
/// one, in bytes: two messages, so that one may be under way while the other is read.
pub const WINDOW_BYTES_NARROW: u32 = 64 << 10;

/// What is left of such a window when it is time to restore it, in bytes: more than half, as a program may
/// have read what the engine has not heard of yet.
pub(crate) const fn restored_below(window_bytes_max: u32) -> u32 {
    window_bytes_max / 8 * 5
}

/// The most data we take in one message, in bytes: with its header it stays below the 35 000 that
/// everybody must take (RFC 4253 §6.1).
pub const DATA_PACKET_BYTES_MAX: u32 = 32_768;

/// The longest request that we send, in bytes of its payload: the longest packet that OpenSSH
/// takes, less what surrounds a payload.
const REQUEST_BYTES_MAX: usize = 262_144 - 256;

/// Our number for a channel. Never used twice on one connection, so that a late handle cannot
/// reach a later channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalChannelId(pub(super) u32);

impl fmt::Display for LocalChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The peer's number for a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RemoteChannelId(u32);

/// What the peer may send us on one channel.
#[derive(Debug)]
struct InboundWindow {
    /// What is granted at first and restored.
    window_bytes_max: u32,
    /// Granted and not used.
    window_bytes: u32,
    /// Received and not consumed by the application.
    unconsumed_bytes: u32,
    /// The most data in one message, as we announced it.
    packet_bytes_max: u32,
}

impl InboundWindow {
    fn new(window_bytes_max: u32, packet_bytes_max: u32) -> Self {
        Self {
            window_bytes_max,
            window_bytes: window_bytes_max,
            unconsumed_bytes: 0,
            packet_bytes_max,
        }
    }

    fn take(&mut self, sent_bytes: u32) -> Result<(), PeerFault> {
        if sent_bytes > self.packet_bytes_max {
            return Err(PeerFault::OverranPacketMax {
                sent_bytes,
                packet_bytes_max: self.packet_bytes_max,
            });
        }
        let window_bytes = self.window_bytes;
        self.window_bytes =
            window_bytes
                .checked_sub(sent_bytes)
                .ok_or(PeerFault::OverranWindow {
                    sent_bytes,
                    window_bytes,
                })?;
        self.unconsumed_bytes += sent_bytes;
        Ok(())
    }

    /// How much to grant anew; what is not consumed is not granted again.
    fn consume(&mut self, bytes: u32) -> Option<u32> {
        self.unconsumed_bytes = self.unconsumed_bytes.saturating_sub(bytes);
        let missing = self.window_bytes_max - self.window_bytes - self.unconsumed_bytes;
        (self.window_bytes < restored_below(self.window_bytes_max) && missing > 0).then(|| {
            self.window_bytes += missing;
            missing
        })
    }
}

/// What we may send on one channel, and what waits to be sent.
#[derive(Debug, Default)]
struct OutboundWindow {
    window_bytes: u32,
    packet_bytes_max: u32,
    staged: VecDeque<Staged>,
    staged_bytes: usize,
    /// A write was cut short; say when there is room.
    wants_room: bool,
}

/// Bytes of one stream, in one run. Small writes in a row become one run and then one packet.
#[derive(Debug)]
struct Staged {
    code: Option<u32>,
    data: Vec<u8>,
    sent: usize,
}

impl OutboundWindow {
    fn stage(&mut self, code: Option<u32>, data: &[u8], staged_bytes_max: usize) -> usize {
        let room = staged_bytes_max.saturating_sub(self.staged_bytes);
        let (taken, cut) = data.split_at(room.min(data.len()));
        self.wants_room |= !cut.is_empty();
        if taken.is_empty() {
            return 0;
        }
        self.staged_bytes += taken.len();
        match self.staged.back_mut() {
            Some(last) if last.code == code => last.data.extend_from_slice(taken),
            _ => self.staged.push_back(Staged {
                code,
                data: taken.to_vec(),
                sent: 0,
            }),
        }
        taken.len()
    }

    fn can_send(&self) -> bool {
        !self.staged.is_empty() && self.window_bytes.min(self.packet_bytes_max) > 0
    }

    /// Sends one message's worth if there is anything and the window allows.
    fn send_one(&mut self, recipient_channel: u32, out: &mut Outbox) -> bool {
        let bytes_max = self.window_bytes.min(self.packet_bytes_max);
        let Some(run) = self.staged.front_mut() else {
            return false;
        };
        let rest = run.data.get(run.sent..).unwrap_or_default();
        let data = rest.get(..bytes_max as usize).unwrap_or(rest);
        if data.is_empty() {
            return false;
        }
        out.send(&match run.code {
            None => Message::ChannelData(ChannelData {
                recipient_channel,
                data,
            }),
            Some(code) => Message::ChannelExtendedData(ChannelExtendedData {
                recipient_channel,
                code,
                data,
            }),
        });
        let sent = data.len();
        run.sent += sent;
        self.staged_bytes -= sent;
        // Bounded by the window, which is a u32.
        self.window_bytes -= u32::try_from(sent).unwrap_or(self.window_bytes);
        if run.sent == run.data.len() {
            self.staged.pop_front();
        } else if run.sent > run.data.len() / 2 {
            // A run that is refilled before it is empty would otherwise keep all it ever held.
            run.data.drain(..run.sent);
            run.sent = 0;
        }
        true
    }
}

/// How far one direction of a channel has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    Open,
    /// EOF is wanted, once what is staged is sent. Outbound only.
    WantsEof,
    Eof,
    /// EOF is wanted as before, and CLOSE behind it. Outbound only.
    WantsEofAndClose,
    /// CLOSE is wanted, once what is staged is sent. Outbound only.
    WantsClose,
    Closed,
}

#[derive(Debug)]
struct Channel {
    /// `None` until the peer has confirmed.
    remote: Option<RemoteChannelId>,
    inbound: InboundWindow,
    outbound: OutboundWindow,
    they: Progress,
    we: Progress,
    /// Their requests that we owe a reply.
    owed: usize,
    /// Our requests that they owe a reply.
    awaited: usize,
    /// It waits for its turn to send.
    is_in_line: bool,
}

impl Channel {
    /// Messages hold at most `packet_bytes_max` of data, in either direction.
    fn new(inbound: InboundWindow) -> Self {
        let outbound = OutboundWindow {
            packet_bytes_max: inbound.packet_bytes_max,
            ..OutboundWindow::default()
        };
        Self {
            remote: None,
            inbound,
            outbound,
            is_in_line: false,
            they: Progress::Open,
            we: Progress::Open,
            owed: 0,
            awaited: 0,
        }
    }

    /// Takes the peer's number, its window, and the most data that it takes in one message.
    fn connect(&mut self, number: u32, window_bytes: u32, packet_bytes_max: u32) {
        self.remote = Some(RemoteChannelId(number));
        self.outbound.window_bytes = window_bytes;
        self.outbound.packet_bytes_max = self.inbound.packet_bytes_max.min(packet_bytes_max);
    }
}

/// All channels of a connection.
#[derive(Debug)]
pub(super) struct Channels {
    open: BTreeMap<u32, Channel>,
    next_id: u32,
    /// Who has something to send and may, in turn, so that no channel starves the others and those
    /// that are silent cost nothing.
    line: VecDeque<u32>,
    /// The windows of all channels together.
    granted_bytes: usize,
    pub(super) accepts_sessions: bool,
    is_server: bool,
    limits: Limits,
}

impl Channels {
    pub(super) fn new(accepts_sessions: bool, is_server: bool, limits: Limits) -> Self {
        Self {
            open: BTreeMap::new(),
            next_id: 0,
            line: VecDeque::new(),
            granted_bytes: 0,
            accepts_sessions,
            is_server,
            limits,
        }
    }

    fn packet_bytes_max(&self) -> u32 {
        self.limits.data_packet_bytes_max.min(DATA_PACKET_BYTES_MAX)
    }

    fn insert(&mut self, channel: Channel) -> LocalChannelId {
        let id = self.next_id;
        self.next_id += 1;
        self.granted_bytes += channel.inbound.window_bytes_max as usize;
        self.open.insert(id, channel);
        LocalChannelId(id)
    }

    fn remove(&mut self, number: u32) {
        if let Some(channel) = self.open.remove(&number) {
            self.granted_bytes -= channel.inbound.window_bytes_max as usize;
        }
    }

    /// A whole window while there is room for it.
    fn window(&self) -> InboundWindow {
        let with_whole = self.granted_bytes + WINDOW_BYTES_MAX as usize;
        let window_bytes = match with_whole <= self.limits.unread_bytes_max {
            true => WINDOW_BYTES_MAX,
            false => WINDOW_BYTES_NARROW,
        };
        InboundWindow::new(window_bytes, self.packet_bytes_max())
    }

    // What the application wants.

    pub(super) fn open_session(&mut self, out: &mut Outbox) -> LocalChannelId {
        let window = self.window();
        let (window_bytes, packet_bytes_max) = (window.window_bytes, window.packet_bytes_max);
        let id = self.insert(Channel::new(window));
        out.send(&Message::ChannelOpen(ChannelOpen {
            kind: SESSION,
            sender_channel: id.0,
            window_bytes,
            packet_bytes_max,
            body: b"",
        }));
        id
    }

    /// The channel and the peer's number, as long as we may still send on it.
    fn ours(&mut self, id: LocalChannelId) -> Result<(&mut Channel, u32), ApiMisuse> {
        let misuse = ApiMisuse::UsedClosedChannel(id);
        let channel = self.open.get_mut(&id.0).ok_or(misuse.clone())?;
        let Some(RemoteChannelId(remote)) = channel.remote else {
            return Err(misuse);
        };
        if channel.we >= Progress::WantsEofAndClose {
            return Err(misuse);
        }
        Ok((channel, remote))
    }

    pub(super) fn request(
        &mut self,
        id: LocalChannelId,
        request: Request<'_>,
        want_reply: bool,
        out: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        let (channel, recipient_channel) = self.ours(id)?;
        let message = Message::ChannelRequest(ChannelRequest {
            recipient_channel,
            want_reply,
            request,
        });
        if message.to_payload().len() > REQUEST_BYTES_MAX {
            let bytes_max = REQUEST_BYTES_MAX;
            return Err(ApiMisuse::AskedTooMuch { bytes_max });
        }
        channel.awaited += usize::from(want_reply);
        out.send(&message);
        Ok(())
    }

    pub(super) fn answer_request(
        &mut self,
        id: LocalChannelId,
        accept: bool,
        out: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        let channel = self.open.get_mut(&id.0);
        // Owed until CLOSE is out, also while staged data holds it up.
        let Some((channel, RemoteChannelId(recipient_channel))) = channel
            .filter(|channel| channel.we != Progress::Closed)
            .and_then(|channel| channel.remote.map(|remote| (channel, remote)))
        else {
            return Err(ApiMisuse::UsedClosedChannel(id));
        };
        channel.owed = channel
            .owed
            .checked_sub(1)
            .ok_or(ApiMisuse::AnsweredNothing)?;
        let on_channel = OnChannel { recipient_channel };
        out.send(&match accept {
            true => Message::ChannelSuccess(on_channel),
            false => Message::ChannelFailure(on_channel),
        });
        Ok(())
    }

    /// Takes as much of `data` as may be staged, and returns how much.
    pub(super) fn write(
        &mut self,
        id: LocalChannelId,
        code: Option<u32>,
        data: &[u8],
    ) -> Result<usize, ApiMisuse> {
        let staged_bytes_max = self.limits.staged_bytes_max;
        let (channel, _) = self.ours(id)?;
        if channel.we != Progress::Open {
            return Err(ApiMisuse::WroteAfterEof(id));
        }
        let count = channel.outbound.stage(code, data, staged_bytes_max);
        self.line_up(id.0);
        Ok(count)
    }

    /// Puts a channel in line if it may send and is not there yet.
    fn line_up(&mut self, number: u32) {
        if let Some(channel) = self.open.get_mut(&number)
            && channel.outbound.can_send()
            && !std::mem::replace(&mut channel.is_in_line, true)
        {
            self.line.push_back(number);
        }
    }

    /// Data of all channels that waits to be sent.
    pub(super) fn staged_bytes(&self) -> usize {
        let staged = |channel: &Channel| channel.outbound.staged_bytes;
        self.open.values().map(staged).sum()
    }

    pub(super) fn consume(&mut self, id: LocalChannelId, bytes: u32, out: &mut Outbox) {
        // The channel may be gone by the time its last data is used up.
        let Some(channel) = self.open.get_mut(&id.0) else {
            return;
        };
        let Some(RemoteChannelId(recipient_channel)) = channel.remote else {
            return;
        };
        let granted = channel.inbound.consume(bytes);
        if let Some(bytes_to_add) = granted
            && channel.they == Progress::Open
            && channel.we != Progress::Closed
        {
            out.send(&Message::ChannelWindowAdjust(ChannelWindowAdjust {
                recipient_channel,
                bytes_to_add,
            }));
        }
    }

    pub(super) fn eof(&mut self, id: LocalChannelId, out: &mut Outbox) -> Result<(), ApiMisuse> {
        let (channel, remote) = self.ours(id)?;
        if channel.we == Progress::Open {
            channel.we = Progress::WantsEof;
        }
        settle(channel, remote, out);
        Ok(())
    }

    /// A second close is nothing.
    pub(super) fn close(&mut self, id: LocalChannelId, out: &mut Outbox) {
        if let Ok((channel, remote)) = self.ours(id) {
            channel.we = match channel.we {
                // Dropbear's client waits for ever for an EOF that never came.
                Progress::WantsEof => Progress::WantsEofAndClose,
                _ => Progress::WantsClose,
            };
            settle(channel, remote, out);
        }
    }

    /// Sends staged data, a message for each channel in turn, while `may_go_on` agrees.
    pub(super) fn flush(
        &mut self,
        out: &mut Outbox,
        events: &mut impl Extend<Event>,
        may_go_on: impl Fn(&Outbox) -> bool,
    ) {
        while may_go_on(out) {
            let Some(number) = self.line.pop_front() else {
                return;
            };
            let Some(channel) = self.open.get_mut(&number) else {
                continue;
            };
            channel.is_in_line = false;
            let Some(RemoteChannelId(remote)) = channel.remote else {
                continue;
            };
            channel.outbound.send_one(remote, out);
            settle(channel, remote, out);
            let has_room = channel.outbound.staged_bytes <= self.limits.staged_bytes_max / 2;
            if has_room && std::mem::take(&mut channel.outbound.wants_room) {
                events.extend([Event::ChannelWritable(LocalChannelId(number))]);
            }
            self.line_up(number);
        }
    }

    // What the peer sent.

    pub(super) fn on_message(
        &mut self,
        message: &Message<'_>,
        payload: &[u8],
        out: &mut Outbox,
        events: &mut impl Extend<Event>,
    ) -> Result<(), PeerFault> {
        match message {
            Message::ChannelOpen(m) => self.on_open(m, out, events),
            Message::ChannelOpenConfirmation(m) => self.on_confirmation(m, events)?,
            Message::ChannelOpenFailure(m) => self.on_open_failure(m, events)?,
            Message::ChannelWindowAdjust(m) => self.on_window_adjust(*m)?,
            Message::ChannelData(m) => {
                self.on_data(m.recipient_channel, None, m.data, events)?;
            }
            Message::ChannelExtendedData(m) => {
                self.on_data(m.recipient_channel, Some(m.code), m.data, events)?;
            }
            Message::ChannelEof(m) => self.on_eof(*m, events)?,
            Message::ChannelClose(m) => self.on_close(*m, out, events)?,
            Message::ChannelRequest(m) => self.on_request(m, payload, events)?,
            Message::ChannelSuccess(m) => self.on_answer(*m, true, events)?,
            Message::ChannelFailure(m) => self.on_answer(*m, false, events)?,
            _ => {}
        }
        Ok(())
    }

    /// The channel that the peer names, confirmed and not yet closed by it.
    fn theirs(&mut self, number: u32, got: MessageId) -> Result<&mut Channel, PeerFault> {
        self.open
            .get_mut(&number)
            .filter(|channel| channel.remote.is_some())
            .ok_or(PeerFault::ReferredToUnknownChannel {
                got,
                channel: number,
            })
    }

    fn on_open(
        &mut self,
        open: &ChannelOpen<'_>,
        out: &mut Outbox,
        events: &mut impl Extend<Event>,
    ) {
        if let Some((reason, description)) = self.refusal(open.kind) {
            out.send(&Message::ChannelOpenFailure(ChannelOpenFailure {
                recipient_channel: open.sender_channel,
                reason,
                description: description.as_bytes(),
                language: b"",
            }));
            return;
        }
        let window = self.window();
        let (window_bytes, packet_bytes_max) = (window.window_bytes, window.packet_bytes_max);
        let mut channel = Channel::new(window);
        channel.connect(
            open.sender_channel,
            open.window_bytes,
            open.packet_bytes_max,
        );
        let id = self.insert(channel);
        out.send(&Message::ChannelOpenConfirmation(ChannelOpenConfirmation {
            recipient_channel: open.sender_channel,
            sender_channel: id.0,
            window_bytes,
            packet_bytes_max,
            body: b"",
        }));
        events.extend([Event::SessionOffered(id)]);
    }

    fn refusal(&self, kind: &str) -> Option<(OpenFailureReason, &'static str)> {
        if kind != SESSION {
            return Some((
                OpenFailureReason::UNKNOWN_CHANNEL_TYPE,
                "unknown channel type",
            ));
        }
        if !self.accepts_sessions {
            let why = match self.is_server {
                true => "no more sessions",
                false => "a client offers no sessions",
            };
            return Some((OpenFailureReason::ADMINISTRATIVELY_PROHIBITED, why));
        }
        (self.open.len() >= self.limits.channels_max)
            .then_some((OpenFailureReason::RESOURCE_SHORTAGE, "too many channels"))
    }

    /// The channel that we opened and that the peer has not answered yet.
    fn unanswered(&mut self, number: u32, got: MessageId) -> Result<&mut Channel, PeerFault> {
        self.open
            .get_mut(&number)
            .filter(|channel| channel.remote.is_none())
            .ok_or(PeerFault::ReferredToUnknownChannel {
                got,
                channel: number,
            })
    }

    fn on_confirmation(
        &mut self,
        m: &ChannelOpenConfirmation<'_>,
        events: &mut impl Extend<Event>,
    ) -> Result<(), PeerFault> {
        let got = MessageId::CHANNEL_OPEN_CONFIRMATION;
        let channel = self.unanswered(m.recipient_channel, got)?;
        channel.connect(m.sender_channel, m.window_bytes, m.packet_bytes_max);
        events.extend([Event::ChannelOpened(LocalChannelId(m.recipient_channel))]);
        Ok(())
    }

    fn on_open_failure(
        &mut self,
        m: &ChannelOpenFailure<'_>,
        events: &mut impl Extend<Event>,
    ) -> Result<(), PeerFault> {
        self.unanswered(m.recipient_channel, MessageId::CHANNEL_OPEN_FAILURE)?;
        self.remove(m.recipient_channel);
        events.extend([Event::ChannelRefused {
            channel: LocalChannelId(m.recipient_channel),
            reason: m.reason,
            description: m.description.to_vec(),
        }]);
        Ok(())
    }

    fn on_window_adjust(&mut self, m: ChannelWindowAdjust) -> Result<(), PeerFault> {
        let channel = self.theirs(m.recipient_channel, MessageId::CHANNEL_WINDOW_ADJUST)?;
        let window_bytes = channel.outbound.window_bytes;
        channel.outbound.window_bytes =
            window_bytes
                .checked_add(m.bytes_to_add)
                .ok_or(PeerFault::OverflowedWindow {
                    window_bytes,
                    added_bytes: m.bytes_to_add,
                })?;
        self.line_up(m.recipient_channel);
        Ok(())
    }

    fn on_data(
        &mut self,
        number: u32,
        code: Option<u32>,
        data: &[u8],
        events: &mut impl Extend<Event>,
    ) -> Result<(), PeerFault> {
        let channel = self.theirs(number, MessageId::CHANNEL_DATA)?;
        if channel.they != Progress::Open {
            return Err(PeerFault::SentAfterEof { channel: number });
        }
        channel
            .inbound
            .take(u32::try_from(data.len()).unwrap_or(u32::MAX))?;
        // After our CLOSE nobody reads any more; the peer may not have seen it yet.
        if channel.we != Progress::Closed && !data.is_empty() {
            let channel = LocalChannelId(number);
            events.extend([Event::DataReceived {
                channel,
                code,
                data: Opaque(data.to_vec()),
            }]);
        }
        Ok(())
    }

    fn on_eof(&mut self, m: OnChannel, events: &mut impl Extend<Event>) -> Result<(), PeerFault> {
        let channel = self.theirs(m.recipient_channel, MessageId::CHANNEL_EOF)?;
        if channel.they == Progress::Open {
            channel.they = Progress::Eof;
            events.extend([Event::EofReceived(LocalChannelId(m.recipient_channel))]);
        }
        Ok(())
    }

    /// Their CLOSE is answered with ours if that is not out already; what is staged is moot.
    fn on_close(
        &mut self,
        m: OnChannel,
        out: &mut Outbox,
        events: &mut impl Extend<Event>,
    ) -> Result<(), PeerFault> {
        let channel = self.theirs(m.recipient_channel, MessageId::CHANNEL_CLOSE)?;
        if let (Some(RemoteChannelId(recipient_channel)), true) =
            (channel.remote, channel.we != Progress::Closed)
        {
            out.send(&Message::ChannelClose(OnChannel { recipient_channel }));
        }
        self.remove(m.recipient_channel);
        events.extend([Event::ChannelClosed(LocalChannelId(m.recipient_channel))]);
        Ok(())
    }

    fn on_request(
        &mut self,
        m: &ChannelRequest<'_>,
        payload: &[u8],
        events: &mut impl Extend<Event>,
    ) -> Result<(), PeerFault> {
        let requests_max = self.limits.requests_in_flight_max;
        let channel = self.theirs(m.recipient_channel, MessageId::CHANNEL_REQUEST)?;
        // After our CLOSE no reply can be sent any more; an exit status is still news.
        let want_reply = m.want_reply && channel.we != Progress::Closed;
        if want_reply {
            channel.owed += 1;
            if channel.owed > requests_max {
                return Err(PeerFault::FloodedRequests { requests_max });
            }
        }
        events.extend([Event::ChannelRequested {
            channel: LocalChannelId(m.recipient_channel),
            request: ReceivedRequest(payload.get(1..).unwrap_or_default().to_vec()),
            want_reply,
        }]);
        Ok(())
    }

    /// A reply that nobody waits for is ignored, as OpenSSH ignores it.
    fn on_answer(
        &mut self,
        m: OnChannel,
        accepted: bool,
        events: &mut impl Extend<Event>,
    ) -> Result<(), PeerFault> {
        let got = if accepted {
            MessageId::CHANNEL_SUCCESS
        } else {
            MessageId::CHANNEL_FAILURE
        };
        let channel = self.theirs(m.recipient_channel, got)?;
        if channel.awaited > 0 {
            channel.awaited -= 1;
            let channel = LocalChannelId(m.recipient_channel);
            events.extend([Event::RequestAnswered { channel, accepted }]);
        }
        Ok(())
    }
}

/// Sends EOF and CLOSE once nothing is staged before them.
fn settle(channel: &mut Channel, recipient_channel: u32, out: &mut Outbox) {
    if !channel.outbound.staged.is_empty() {
        return;
    }
    let on_channel = OnChannel { recipient_channel };
    match channel.we {
        Progress::WantsEof => {
            out.send(&Message::ChannelEof(on_channel));
            channel.we = Progress::Eof;
        }
        Progress::WantsEofAndClose => {
            out.send(&Message::ChannelEof(on_channel));
            out.send(&Message::ChannelClose(on_channel));
            channel.we = Progress::Closed;
        }
        Progress::WantsClose => {
            out.send(&Message::ChannelClose(on_channel));
            channel.we = Progress::Closed;
        }
        Progress::Open | Progress::Eof | Progress::Closed => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Refilled before it is ever empty, a run must not keep what it has sent.
    #[test]
    fn a_run_that_is_never_empty_does_not_grow() {
        let now = std::time::Instant::now();
        let mut out = Outbox::new(crate::crypto::from_seed(1), None, now);
        let mut window = OutboundWindow {
            window_bytes: u32::MAX,
            packet_bytes_max: 1_000,
            ..OutboundWindow::default()
        };
        for _ in 0..1_000 {
            window.stage(None, &[0; 1_000], 10_000);
            window.send_one(0, &mut out);
        }
        let held: usize = window.staged.iter().map(|run| run.data.len()).sum();
        assert!(held <= 20_000, "{held} bytes held where at most 10000 wait");
    }
}
