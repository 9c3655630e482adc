//! The connection protocol: global requests, channels, windows, commands.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use minissh::wire::{Reader, Writer};

use super::command::{Op, parse};
use super::machine::{Handled, Machine, Malformed, STRING_MAX};
use super::wrong::Wrong;

const WINDOW: u32 = 2 * 1024 * 1024;
const PACKET: u32 = 32 * 1024;

/// Every channel, by our number.
#[derive(Default)]
pub(super) struct Channels {
    open: BTreeMap<u32, Channel>,
    /// As a client: the session was asked for and not answered.
    pending: bool,
    refused: u32,
    no_more_sessions: bool,
}

impl Channels {
    /// Whether a channel has more to send than it may.
    pub(super) fn are_blocked(&self) -> bool {
        self.open
            .values()
            .any(|channel| channel.window == 0 && !channel.output.is_empty())
    }
}

/// One channel.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not a state"
)]
struct Channel {
    /// Their number.
    remote: u32,
    /// What we may still send, and in packets of which size.
    window: u32,
    packet_max: u32,
    /// What the command has yet to do; `None` before there is one.
    ops: Option<VecDeque<Op>>,
    /// The next line of input says what to do.
    is_shell: bool,
    input: Vec<u8>,
    input_ended: bool,
    /// How much of the window that we granted is used.
    used: usize,
    /// With the extended code, if any.
    output: VecDeque<(Option<u32>, Vec<u8>)>,
    wakes: Option<Instant>,
    /// Columns and rows of its terminal.
    size: Option<(u32, u32)>,
    /// The status that it ends with at the signal USR1.
    trap: Option<u32>,
    sent_eof: bool,
    sent_close: bool,
    /// As a client: the request for the command has no reply yet.
    awaits_reply: bool,
}

/// A message about a channel of theirs.
fn about(id: u8, recipient: u32) -> Writer {
    let mut w = Writer::new();
    w.u8(id).u32(recipient);
    w
}

impl Machine {
    pub(super) fn on_connection_message(&mut self, id: u8, body: &[u8]) -> Handled {
        if !self.login.done && !self.is(Wrong::OpensBeforeLogin) {
            if self.is(Wrong::AnswersBeforeLogin) {
                self.unimplemented();
                return Ok(());
            }
            return Err(Malformed);
        }
        let mut r = Reader::new(body);
        match id {
            80 => self.on_global_request(&mut r),
            81 | 82 => {
                self.hangs |= self.is(Wrong::HangsAtStrayReply);
                Ok(())
            }
            90 => self.on_open(&mut r),
            91 => self.on_confirmation(&mut r),
            92 => self.on_open_failure(&mut r),
            93 => self.on_adjust(&mut r),
            94 | 95 => self.on_data(id == 95, &mut r),
            96 => self.on_eof(&mut r),
            97 => self.on_close(&mut r),
            98 => self.on_request_for_channel(&mut r),
            99 | 100 => self.on_reply_for_channel(id == 99, &mut r),
            _ => {
                self.on_unknown();
                Ok(())
            }
        }
    }

    fn boolean(&self, r: &mut Reader<'_>) -> Result<bool, Malformed> {
        let byte = r.u8("boolean")?;
        Ok(byte == 1 || byte != 0 && !self.is(Wrong::TakesOneForTrueOnly))
    }

    fn on_global_request(&mut self, r: &mut Reader<'_>) -> Handled {
        let name = r.string("request", STRING_MAX)?.to_vec();
        let wants = self.boolean(r)?;
        let hostkeys = name.starts_with(b"hostkeys-00");
        if hostkeys && !self.is_server && self.is(Wrong::EndsAtHostkeys) {
            return Err(Malformed);
        }
        self.channels.no_more_sessions |= name.starts_with(b"no-more-sessions");
        let keepalive = name.starts_with(b"keepalive");
        let ignores =
            self.is(Wrong::IgnoresGlobal) || !keepalive && self.is(Wrong::AnswersKeepaliveOnly);
        if self.is(Wrong::PingsUnasked) {
            self.send(&[192, 0, 0, 0, 0]);
        }
        if wants && !ignores || self.is(Wrong::AnswersUnwanted) {
            let granted = self.is(Wrong::GrantsAnyGlobal) || !self.login.done;
            self.send(if granted { &[81] } else { &[82] });
        }
        Ok(())
    }

    fn on_open(&mut self, r: &mut Reader<'_>) -> Handled {
        let kind = match r.string("type", STRING_MAX) {
            Ok(kind) => kind.to_vec(),
            Err(_) if self.is(Wrong::TakesMalformedOpen) => b"session".to_vec(),
            Err(_) => return Err(Malformed),
        };
        let fields = (r.u32("sender"), r.u32("window"), r.u32("packet"));
        let (remote, window, packet_max) = match fields {
            (Ok(remote), Ok(window), Ok(packet)) => (remote, window, packet),
            _ if self.is(Wrong::TakesMalformedOpen) => (0, 0, 0),
            _ => return Err(Malformed),
        };
        let session = self.is_server && kind == b"session";
        let closed = self.channels.no_more_sessions && !self.is(Wrong::OpensAfterNoMore);
        let large = remote >= 1 << 31 && self.is(Wrong::RefusesLargeNumbers);
        let grants = session && !closed && !large && !self.is(Wrong::OpensNothing)
            || self.is(Wrong::OpensAnything)
            || !self.login.done;
        if grants {
            self.confirm(remote, window, packet_max);
            return Ok(());
        }
        self.channels.refused += 1;
        let silent = self.is(Wrong::IgnoresUnknownTypes)
            || self.channels.refused > 1 && self.is(Wrong::RefusesOnce);
        if !silent {
            let reason = if self.is(Wrong::NamesOneReason) { 1 } else { 3 };
            let mut w = about(92, self.spoiled(remote));
            w.u32(reason).string(b"").string(b"");
            self.send(&w.into_bytes());
        }
        Ok(())
    }

    fn confirm(&mut self, remote: u32, window: u32, packet_max: u32) {
        let number = self.free_number();
        let window = self.as_taken(window);
        let channel = Channel {
            remote: self.spoiled(remote),
            window,
            packet_max,
            ..Channel::default()
        };
        let mut w = about(91, channel.remote);
        w.u32(number).u32(WINDOW).u32(PACKET);
        self.channels.open.insert(number, channel);
        self.send(&w.into_bytes());
    }

    fn free_number(&self) -> u32 {
        (0..=u32::MAX)
            .find(|number| !self.channels.open.contains_key(number))
            .unwrap_or(0)
    }

    fn spoiled(&self, remote: u32) -> u32 {
        if self.is(Wrong::MasksNumbers) {
            remote & 0x7fff_ffff
        } else if self.is(Wrong::UsesOwnNumbers) {
            0
        } else {
            remote
        }
    }

    pub(super) fn open_session(&mut self) {
        self.channels.pending = true;
        let mut w = Writer::new();
        w.u8(90).string(b"session").u32(0).u32(WINDOW).u32(PACKET);
        self.send(&w.into_bytes());
    }

    /// A window of theirs as it is kept.
    fn as_taken(&self, window: u32) -> u32 {
        match self.is(Wrong::TakesLargeWindowForNone) && window > i32::MAX as u32 {
            true => 0,
            false => window,
        }
    }

    fn on_confirmation(&mut self, r: &mut Reader<'_>) -> Handled {
        let recipient = r.u32("recipient")?;
        let (remote, window, packet_max) = (r.u32("sender")?, r.u32("window")?, r.u32("packet")?);
        let due = self.channels.pending && recipient == 0;
        if !due && self.is(Wrong::HangsAtStrayAnswer) {
            self.hangs = true;
        }
        let again = recipient == 0 && self.is(Wrong::ConfirmsTwice);
        if self.is_server || !(due || again) {
            return Ok(());
        }
        self.channels.pending = false;
        let channel = Channel {
            remote: self.spoiled(remote),
            window: self.as_taken(window),
            packet_max,
            awaits_reply: true,
            ..Channel::default()
        };
        let mut w = about(98, channel.remote);
        w.string(b"exec").bool(true).string(b"true");
        self.channels.open.insert(0, channel);
        self.send(&w.into_bytes());
        Ok(())
    }

    fn on_open_failure(&mut self, r: &mut Reader<'_>) -> Handled {
        r.u32("recipient")?;
        if !self.channels.pending {
            self.hangs |= self.is(Wrong::HangsAtStrayAnswer);
        } else if self.is(Wrong::StaysAfterRefusal) {
            self.hangs = true;
        } else {
            self.end(11);
        }
        Ok(())
    }

    /// Our number, if there is such a channel.
    fn known(&mut self, r: &mut Reader<'_>) -> Result<Option<u32>, Malformed> {
        let number = r.u32("recipient")?;
        if self.channels.open.contains_key(&number) {
            return Ok(Some(number));
        }
        self.hangs |= self.is(Wrong::HangsAtUnknownChannel);
        Ok(None)
    }

    fn on_adjust(&mut self, r: &mut Reader<'_>) -> Handled {
        let Some(number) = self.known(r)? else {
            return Ok(());
        };
        let add = r.u32("add")?;
        if add == 0 && self.is(Wrong::HangsAtIdleAdjust) || self.is(Wrong::HangsAtAdjust) {
            self.hangs = true;
        }
        let (wraps, stalls) = (
            self.is(Wrong::WrapsWindows),
            self.is(Wrong::LosesAdjustments),
        );
        let Some(channel) = self.channels.open.get_mut(&number) else {
            return Ok(());
        };
        match channel.window.checked_add(add) {
            _ if stalls && channel.window == 0 => {}
            Some(window) => channel.window = window,
            None if wraps => {
                channel.window = channel.window.wrapping_add(add);
                self.hangs |= !self.is_server;
            }
            None => return Err(Malformed),
        }
        self.run_commands();
        Ok(())
    }

    fn on_data(&mut self, extended: bool, r: &mut Reader<'_>) -> Handled {
        let Some(number) = self.known(r)? else {
            return Ok(());
        };
        let code = if extended { r.u32("code")? } else { 0 };
        let data = r.string("data", STRING_MAX)?.to_vec();
        if extended && code != 1 && self.is(Wrong::HangsAtUnknownStream) {
            self.hangs = true;
        }
        if data.is_empty() && self.is(Wrong::HangsAtEmptyData) || self.is(Wrong::HangsAtOutput) {
            self.hangs = true;
        }
        let ends = data.is_empty() && self.is(Wrong::TakesEmptyDataForEof);
        let takes = !extended;
        if extended && self.is_server && self.is(Wrong::HangsAtStderr) {
            self.hangs = true;
        }
        let late_is_bad = self.is(Wrong::HangsAfterEof);
        let overrun_is_bad = self.is(Wrong::HangsAtOverrun);
        if !self.is_server && takes {
            self.report.stdout.extend_from_slice(&data);
        }
        if self.is(Wrong::SendsEowToAll)
            && let Some(channel) = self.channels.open.get(&number)
            && matches!(
                channel.ops.as_ref().and_then(VecDeque::front),
                Some(Op::Sleep(_))
            )
        {
            let mut w = about(98, channel.remote);
            w.string(b"eow@openssh.com").bool(false);
            self.send(&w.into_bytes());
        }
        if let Some(channel) = self.channels.open.get_mut(&number) {
            channel.used += data.len();
            // What is above the window is dropped, as is allowed.
            let takes = takes && channel.used <= WINDOW as usize;
            self.hangs |= overrun_is_bad && channel.used > WINDOW as usize;
            if channel.input_ended {
                self.hangs |= late_is_bad;
            } else if takes {
                channel.input.extend_from_slice(&data);
                channel.input_ended |= ends;
            }
        }
        self.run_commands();
        Ok(())
    }

    fn on_eof(&mut self, r: &mut Reader<'_>) -> Handled {
        let Some(number) = self.known(r)? else {
            return Ok(());
        };
        let (forgets, leaves) = (self.is(Wrong::ForgetsEarlyEof), self.is(Wrong::LeavesAtEof));
        let hangs = self.is(Wrong::HangsAtSecondEof);
        if let Some(channel) = self.channels.open.get_mut(&number) {
            self.hangs |= hangs && channel.input_ended;
            channel.input_ended = self.is_server && channel.ops.is_some() || !forgets;
        }
        if leaves && !self.is_server {
            self.end(11);
        }
        self.run_commands();
        Ok(())
    }

    fn on_close(&mut self, r: &mut Reader<'_>) -> Handled {
        let Some(number) = self.known(r)? else {
            return Ok(());
        };
        if self.is(Wrong::IgnoresClose) {
            return Ok(());
        }
        let hangs = self.is(Wrong::HangsAfterClose);
        let waits = self.is(Wrong::WaitsForReply);
        let Some(channel) = self.channels.open.remove(&number) else {
            return Ok(());
        };
        if waits && channel.awaits_reply {
            self.hangs = true;
            return Ok(());
        }
        let close = about(97, channel.remote).into_bytes();
        if !channel.sent_close {
            self.send(&close);
        }
        if self.is(Wrong::ClosesTwice) {
            self.send(&close);
        }
        if self.is(Wrong::SpeaksAfterClose) {
            self.send(&about(96, channel.remote).into_bytes());
        }
        if !self.is_server && !self.is(Wrong::StaysAfterClose) {
            self.end(11);
        }
        self.hangs |= hangs;
        Ok(())
    }

    fn on_reply_for_channel(&mut self, success: bool, r: &mut Reader<'_>) -> Handled {
        let Some(number) = self.known(r)? else {
            return Ok(());
        };
        let stays = self.is(Wrong::StaysAfterRefusal);
        let hangs = self.is(Wrong::HangsAtStrayReply);
        let Some(channel) = self.channels.open.get_mut(&number) else {
            return Ok(());
        };
        let remote = channel.remote;
        if !std::mem::take(&mut channel.awaits_reply) {
            self.hangs |= hangs;
        } else if success {
            if !self.stdin.is_empty() {
                channel.output.push_back((None, self.stdin.clone()));
            }
            channel.ops = Some(VecDeque::from([Op::EndInput]));
            self.run_commands();
        } else if stays {
            self.hangs = true;
        } else {
            channel.sent_close = true;
            self.send(&about(97, remote).into_bytes());
        }
        Ok(())
    }

    fn on_request_for_channel(&mut self, r: &mut Reader<'_>) -> Handled {
        let known = self.known(r)?;
        let kind = r.string("type", STRING_MAX)?.to_vec();
        let wants = self.boolean(r)?;
        let Some(number) = known else {
            if self.is(Wrong::AnswersForUnknownChannels) {
                self.send(&about(100, 0).into_bytes());
            }
            return Ok(());
        };
        let Some(channel) = self.channels.open.get(&number) else {
            return Ok(());
        };
        let remote = channel.remote;
        let done = match &kind[..] {
            b"exec" | b"shell" if self.is_server => self.start(number, &kind, r)?,
            b"pty-req" if self.is_server => {
                r.string("TERM", STRING_MAX)?;
                let grants = channel.size.is_none() && channel.ops.is_none()
                    || self.is(Wrong::MakesTerminalsAgain);
                if grants {
                    self.resize(number, r, true)?;
                }
                grants
            }
            b"window-change" if self.is_server && !self.is(Wrong::EndsAtWindowChange) => {
                self.resize(number, r, false)?;
                false
            }
            b"signal" if self.is_server && !self.is(Wrong::DiesOfAnySignal) => {
                self.on_signal(number, r)?;
                false
            }
            b"subsystem" => self.is(Wrong::RunsAnySubsystem),
            b"env" => self.on_variable(r)?,
            b"signal" if self.is(Wrong::DiesOfAnySignal) => return Err(Malformed),
            b"window-change" if self.is(Wrong::EndsAtWindowChange) => return Err(Malformed),
            b"exit-status" if !self.is_server => {
                let mut status = r.u32("status")?;
                if let Some(first) = self.report.exit_status {
                    self.hangs |= self.is(Wrong::HangsAtSecondStatus);
                    if self.is(Wrong::AddsStatuses) {
                        status = status.wrapping_add(first);
                    }
                }
                self.report.exit_status = Some(status);
                true
            }
            b"exit-signal" if !self.is_server => {
                r.string("signal", STRING_MAX)?;
                self.hangs |= self.is(Wrong::HangsAtSecondStatus);
                true
            }
            b"xon-xoff" if self.is(Wrong::EndsAtFlowControl) => return Err(Malformed),
            b"eow@openssh.com" if self.is(Wrong::EndsAtEow) => return Err(Malformed),
            _ => self.is(Wrong::GrantsAnyRequest),
        };
        let keepalive = kind.starts_with(b"keepalive");
        let silent = !done && !keepalive && self.is(Wrong::IgnoresUnknownRequests)
            || keepalive && self.is(Wrong::IgnoresChannelKeepalive)
            || kind == b"exit-status" && self.is(Wrong::HangsAtSecondStatus);
        if wants && !silent || self.is(Wrong::AnswersUnwanted) {
            let id = if done { 99 } else { 100 };
            self.send(&about(id, remote).into_bytes());
        }
        self.run_commands();
        Ok(())
    }

    fn on_variable(&mut self, r: &mut Reader<'_>) -> Result<bool, Malformed> {
        let name = r.string("name", STRING_MAX)?;
        let value = r.string("value", STRING_MAX)?;
        let is_plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'=';
        let odd = name.is_empty() || !name.iter().all(is_plain) || value.len() > 8192;
        self.hangs |= odd && self.is(Wrong::HangsAtOddVariables);
        Ok(self.is(Wrong::TakesAnyVariable))
    }

    /// Makes a terminal, or gives the one that there is another size.
    fn resize(&mut self, number: u32, r: &mut Reader<'_>, is_new: bool) -> Handled {
        let size = (r.u32("columns")?, r.u32("rows")?);
        let ignores = self.is(Wrong::IgnoresNewSizes);
        if let Some(channel) = self.channels.open.get_mut(&number)
            && (is_new || channel.size.is_some() && !ignores)
        {
            channel.size = Some(size);
        }
        Ok(())
    }

    fn on_signal(&mut self, number: u32, r: &mut Reader<'_>) -> Handled {
        let is_trapped = r.string("signal", STRING_MAX)? == b"USR1";
        let ignores = self.is(Wrong::IgnoresSignals);
        if let Some(channel) = self.channels.open.get_mut(&number)
            && let Some(status) = channel.trap.filter(|_| is_trapped && !ignores)
        {
            channel.ops = Some(VecDeque::from([Op::Exit(status)]));
        }
        Ok(())
    }

    /// Starts a command or a shell; false if there is one.
    fn start(&mut self, number: u32, kind: &[u8], r: &mut Reader<'_>) -> Result<bool, Malformed> {
        let is_shell = kind == b"shell";
        let command = if is_shell {
            Vec::new()
        } else {
            r.string("command", STRING_MAX)?.to_vec()
        };
        let again = self.is(Wrong::RunsTwoCommands);
        let odd = command.is_empty() && !is_shell || command.iter().any(|b| *b >= 0x80 || *b == 0);
        if odd && self.is(Wrong::HangsAtOddCommands) {
            self.hangs = true;
        }
        let Some(channel) = self.channels.open.get_mut(&number) else {
            return Ok(false);
        };
        if channel.ops.is_some() && !again || command.contains(&0) {
            return Ok(false);
        }
        channel.is_shell = is_shell;
        channel.ops = Some(if is_shell {
            VecDeque::from([Op::ReadLine])
        } else {
            parse(&command)
        });
        Ok(true)
    }

    /// Lets every command go as far as it can, and sends what may be sent.
    pub(super) fn run_commands(&mut self) {
        let numbers: Vec<u32> = self.channels.open.keys().copied().collect();
        for number in numbers {
            let Some(mut channel) = self.channels.open.remove(&number) else {
                continue;
            };
            if !channel.sent_close {
                self.pump(&mut channel);
                while self.advance(&mut channel) {
                    self.pump(&mut channel);
                }
            }
            self.channels.open.insert(number, channel);
        }
    }

    /// One step of a command; false when it waits.
    fn advance(&self, channel: &mut Channel) -> bool {
        let Some(op) = channel.ops.as_ref().and_then(|ops| ops.front().cloned()) else {
            return false;
        };
        let swaps = self.is(Wrong::SwapsStreams);
        match op {
            Op::Print(bytes) => {
                let code = swaps.then_some(1);
                channel.output.push_back((code, bytes));
            }
            Op::Complain(bytes) => {
                let code = (!swaps).then_some(1);
                channel.output.push_back((code, bytes));
            }
            Op::Cat => {
                if !channel.input.is_empty() {
                    let mut bytes = std::mem::take(&mut channel.input);
                    if self.is(Wrong::KeepsSevenBits) {
                        for byte in &mut bytes {
                            *byte &= 0x7f;
                        }
                    }
                    channel.output.push_back((None, bytes));
                }
                if !channel.input_ended {
                    return false;
                }
            }
            Op::ReadLine => {
                let Some(end) = channel.input.iter().position(|byte| *byte == b'\n') else {
                    return false;
                };
                let line: Vec<u8> = channel.input.drain(..=end).collect();
                if std::mem::take(&mut channel.is_shell) {
                    channel.ops = Some(parse(&line[..end]));
                    return true;
                }
            }
            Op::LeaveBehind(_) if !self.is(Wrong::WaitsForLeftBehind) => {}
            Op::Sleep(time) | Op::LeaveBehind(time) => {
                let wakes = *channel.wakes.get_or_insert(self.now + time);
                if Instant::now() < wakes {
                    return false;
                }
                channel.wakes = None;
            }
            Op::Count(bytes) => {
                if channel.input.len() < bytes {
                    return false;
                }
                channel.input.drain(..bytes);
                let said = format!("{bytes}\n").into_bytes();
                channel.output.push_back((None, said));
            }
            Op::Flood => {
                if channel.output.is_empty() {
                    channel.output.push_back((None, b"y\n".repeat(1024)));
                }
                return false;
            }
            Op::PrintSize => {
                let (columns, rows) = channel.size.unwrap_or_default();
                let said = format!("{rows} {columns}\n").into_bytes();
                channel.output.push_back((None, said));
            }
            Op::Trap(status) => channel.trap = Some(status),
            Op::CloseOutput => {}
            Op::Exit(_) | Op::Die(_) | Op::EndInput => return false,
        }
        if let Some(ops) = &mut channel.ops {
            ops.pop_front();
        }
        true
    }

    /// Sends what the window allows, and the end once everything is sent.
    fn pump(&mut self, channel: &mut Channel) {
        if channel.packet_max == 0
            && self.is(Wrong::FloodsPacketsOfZero)
            && !channel.output.is_empty()
        {
            for _ in 0..100 {
                let mut w = about(94, channel.remote);
                w.string(b"");
                self.send(&w.into_bytes());
            }
        }
        while let Some((code, bytes)) = channel.output.pop_front() {
            let free = code.is_some() && self.is(Wrong::CountsNoStderr);
            let window = if self.is(Wrong::OverrunsWindows) || free {
                u32::MAX
            } else {
                channel.window
            };
            let packet = if self.is(Wrong::OverrunsPackets) && channel.packet_max > 0 {
                PACKET
            } else {
                channel.packet_max
            };
            let room = window.min(packet) as usize;
            if room == 0 && !bytes.is_empty() {
                channel.output.push_front((code, bytes));
                return;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            let mut w = about(if code.is_some() { 95 } else { 94 }, channel.remote);
            if let Some(code) = code {
                w.u32(code);
            }
            w.string(now);
            if !free {
                channel.window = channel
                    .window
                    .saturating_sub(u32::try_from(now.len()).unwrap_or(u32::MAX));
            }
            if !later.is_empty() {
                channel.output.push_front((code, later.to_vec()));
            }
            self.send(&w.into_bytes());
        }
        self.report_end(channel);
    }

    fn report_end(&mut self, channel: &mut Channel) {
        let end = channel.ops.as_ref().and_then(|ops| ops.front().cloned());
        if channel.sent_close {
            return;
        }
        if end == Some(Op::EndInput) && !std::mem::replace(&mut channel.sent_eof, true) {
            self.send(&about(96, channel.remote).into_bytes());
        }
        let mut w = about(98, channel.remote);
        match end {
            Some(Op::Exit(status)) => {
                let off = u32::from(self.is(Wrong::ReportsOtherStatus));
                w.string(b"exit-status").bool(false).u32(status + off);
            }
            Some(Op::Die(_)) if self.is(Wrong::ReportsSignalAsStatus) => {
                w.string(b"exit-status").bool(false).u32(137);
            }
            Some(Op::Die(signal)) => {
                w.string(b"exit-signal")
                    .bool(false)
                    .string(signal.as_bytes());
                w.bool(false).string(b"").string(b"");
            }
            _ => return,
        }
        let status = w.into_bytes();
        if !self.is(Wrong::ReportsNoStatus) {
            self.send(&status);
        }
        if !channel.sent_eof {
            channel.sent_eof = true;
            self.send(&about(96, channel.remote).into_bytes());
        }
        if self.is(Wrong::SpeaksAfterEof) {
            let mut w = about(94, channel.remote);
            w.string(b"late");
            self.send(&w.into_bytes());
        }
        channel.sent_close = true;
        if !self.is(Wrong::NeverCloses) {
            self.send(&about(97, channel.remote).into_bytes());
        }
    }
}
