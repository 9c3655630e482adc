//! The driver's part in channels: what waits to be written, requests, and sessions on offer.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Driver, Offer};
use crate::engine::{ApiMisuse, LocalChannelId, ReceivedRequest};
use crate::msg::{OpenFailureReason, Request};
use crate::net::channel::Channel;
use crate::net::clock::now;
use crate::net::error::Error;
use crate::net::inbox::{Exit, Inbox, Start, State};
use crate::net::terminal::{ChannelEvent, Pty, TerminalSize};

/// Variables that a peer may set for one program, our bound.
const ENV_MAX: usize = 64;

/// Longest name and value of such a variable together, in bytes, our bound.
const ENV_BYTES_MAX: usize = 4_096;

/// Bytes of commands, variables and terminals that are kept for the channels of one connection, our
/// bound. Requests past it are refused.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// Longest name of a signal, in bytes, our bound; the RFC's have 4.
const SIGNAL_BYTES_MAX: usize = 64;

type Done = oneshot::Sender<Result<(), Error>>;

/// What waits its turn on one channel, in order.
enum Parked {
    Write {
        code: Option<u32>,
        data: Vec<u8>,
        written: usize,
        done: Done,
    },
    Eof,
    Close,
}

/// What the driver keeps for one channel.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) inbox: Arc<Inbox>,
    answers: VecDeque<oneshot::Sender<bool>>,
    parked: VecDeque<Parked>,
    /// What was asked for so far, on a session of the peer's that has not started its program.
    start: Option<Start>,
    /// Opened by the peer, so that programs run on our side.
    is_theirs: bool,
    /// Of [`KEPT_BYTES_MAX`].
    kept_bytes: usize,
    wants_eof: bool,
    wants_close: bool,
}

impl Driver {
    // What handles ask for.

    pub(in crate::net) fn open_session(&mut self, reply: oneshot::Sender<Result<Channel, Error>>) {
        match self.engine.open_session(now()) {
            Ok(id) => {
                self.channels.insert(id, Entry::default());
                self.opening.insert(id, reply);
            }
            Err(misuse) => drop(reply.send(Err(misuse.into()))),
        }
    }

    pub(in crate::net) fn request(
        &mut self,
        id: LocalChannelId,
        request: Request<'_>,
        reply: Option<oneshot::Sender<bool>>,
    ) -> Result<(), ApiMisuse> {
        self.engine.request(now(), id, request, reply.is_some())?;
        if let (Some(entry), Some(reply)) = (self.channels.get_mut(&id), reply) {
            entry.answers.push_back(reply);
        }
        Ok(())
    }

    pub(in crate::net) fn write(
        &mut self,
        id: LocalChannelId,
        code: Option<u32>,
        data: Vec<u8>,
        done: Done,
    ) {
        let misuse = match self.channels.get(&id) {
            None => Some(ApiMisuse::UsedClosedChannel(id)),
            Some(entry) if entry.wants_close => Some(ApiMisuse::UsedClosedChannel(id)),
            Some(entry) if entry.wants_eof => Some(ApiMisuse::WroteAfterEof(id)),
            Some(_) => None,
        };
        match misuse {
            Some(misuse) => drop(done.send(Err(misuse.into()))),
            None => self.park(
                id,
                Parked::Write {
                    code,
                    data,
                    written: 0,
                    done,
                },
            ),
        }
    }

    pub(in crate::net) fn eof(&mut self, id: LocalChannelId) -> Result<(), ApiMisuse> {
        let entry = self
            .channels
            .get_mut(&id)
            .filter(|entry| !entry.wants_close);
        let entry = entry.ok_or(ApiMisuse::UsedClosedChannel(id))?;
        if !std::mem::replace(&mut entry.wants_eof, true) {
            self.park(id, Parked::Eof);
        }
        Ok(())
    }

    /// A second close is nothing.
    pub(in crate::net) fn close(&mut self, id: LocalChannelId) {
        if let Some(entry) = self.channels.get_mut(&id)
            && !std::mem::replace(&mut entry.wants_close, true)
        {
            entry.inbox.lock().is_closed_by_us = true;
            self.park(id, Parked::Close);
        }
    }

    fn park(&mut self, id: LocalChannelId, parked: Parked) {
        if let Some(entry) = self.channels.get_mut(&id) {
            entry.parked.push_back(parked);
            if entry.parked.len() == 1 {
                self.unpark(id);
            }
        }
    }

    /// Does what waits, in order, as far as there is room.
    pub(super) fn unpark(&mut self, id: LocalChannelId) {
        let now = now();
        let Some(entry) = self.channels.get_mut(&id) else {
            return;
        };
        while let Some(mut parked) = entry.parked.pop_front() {
            match &mut parked {
                Parked::Write {
                    code,
                    data,
                    written,
                    ..
                } => {
                    let rest = data.get(*written..).unwrap_or_default();
                    let result = self.engine.write(now, id, *code, rest);
                    if let Ok(count) = result
                        && count < rest.len()
                    {
                        *written += count;
                        entry.parked.push_front(parked);
                        return;
                    }
                    if let Parked::Write { done, .. } = parked {
                        let _ = done.send(result.map(drop).map_err(Error::from));
                    }
                }
                // The peer may have closed in between; then there is nobody to tell.
                Parked::Eof => drop(self.engine.eof(now, id)),
                Parked::Close => self.engine.close(now, id),
            }
        }
    }

    pub(super) fn parked_bytes(&self) -> usize {
        let parked = self.channels.values().flat_map(|entry| &entry.parked);
        parked
            .map(|parked| match parked {
                Parked::Write { data, written, .. } => data.len() - written,
                Parked::Eof | Parked::Close => 0,
            })
            .sum()
    }

    // What the peer does.

    pub(super) fn on_channel_opened(&mut self, id: LocalChannelId) {
        let (Some(reply), Some(entry), Some(mailbox)) = (
            self.opening.remove(&id),
            self.channels.get(&id),
            self.mailbox.upgrade(),
        ) else {
            return;
        };
        let offer = Offer {
            id,
            inbox: Arc::clone(&entry.inbox),
            start: Start::default(),
        };
        // Nobody waits any more: dropping the handle closes the channel.
        drop(reply.send(Ok(Channel::new(offer, mailbox, Arc::clone(&self.shared)))));
    }

    pub(super) fn on_channel_refused(
        &mut self,
        id: LocalChannelId,
        reason: OpenFailureReason,
        description: &[u8],
    ) {
        self.channels.remove(&id);
        if let Some(reply) = self.opening.remove(&id) {
            let description = description.escape_ascii().to_string();
            let _ = reply.send(Err(Error::ChannelRefused {
                reason,
                description,
            }));
        }
    }

    pub(super) fn on_session_offered(&mut self, id: LocalChannelId) {
        let entry = Entry {
            start: Some(Start::default()),
            is_theirs: true,
            ..Entry::default()
        };
        self.channels.insert(id, entry);
    }

    pub(super) fn on_answer(&mut self, id: LocalChannelId, accepted: bool) {
        let entry = self.channels.get_mut(&id);
        if let Some(reply) = entry.and_then(|entry| entry.answers.pop_front()) {
            let _ = reply.send(accepted);
        }
    }

    pub(super) fn on_data(&mut self, id: LocalChannelId, code: Option<u32>, data: Vec<u8>) {
        let bytes = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let is_kept = self.update(id, |state| state.push(code, data));
        if is_kept == Some(false) {
            self.engine.consume(now(), id, bytes);
        }
    }

    pub(super) fn on_channel_closed(&mut self, id: LocalChannelId) {
        let Some(entry) = self.channels.remove(&id) else {
            return;
        };
        self.kept_bytes -= entry.kept_bytes;
        entry.inbox.update(State::close);
        // An offer that nobody accepted is gone with its channel.
        self.shared
            .offers
            .update(|offers| offers.queue.retain(|offer| offer.id != id));
        for parked in entry.parked {
            if let Parked::Write { done, .. } = parked {
                let _ = done.send(Err(ApiMisuse::UsedClosedChannel(id).into()));
            }
        }
    }

    pub(super) fn on_request(
        &mut self,
        id: LocalChannelId,
        request: &ReceivedRequest,
        want_reply: bool,
    ) {
        let bytes = request.bytes();
        let accept = match request.get() {
            Request::Env { name, value } => {
                self.keep(id, bytes, |driver| driver.on_env(id, name, value))
            }
            Request::Exec { command } => {
                self.keep(id, bytes, |driver| driver.offer(id, Some(command.to_vec())))
            }
            Request::ExitSignal { signal, .. } | Request::Signal { signal }
                if signal.len() > SIGNAL_BYTES_MAX =>
            {
                false
            }
            Request::ExitSignal { signal, .. } => {
                let signal = String::from_utf8_lossy(signal).into_owned();
                self.set_exit(id, Exit::Signal(signal))
            }
            Request::ExitStatus { status } => self.set_exit(id, Exit::Status(status)),
            request @ Request::PtyReq { .. } => {
                self.keep(id, bytes, |driver| driver.on_pty_req(id, &request))
            }
            Request::Shell => self.offer(id, None),
            Request::Signal { signal } => {
                let signal = String::from_utf8_lossy(signal).into_owned();
                self.tell(id, ChannelEvent::Signalled(signal))
            }
            Request::WindowChange { size } => {
                self.tell(id, ChannelEvent::Resized(TerminalSize::from_wire(size)))
            }
            // Agents, X11 and subsystems are none of ours; `xon-xoff` is advice that a client
            // may ignore (RFC 4254 §6.8).
            Request::Subsystem { .. } | Request::Other { .. } => false,
        };
        if want_reply {
            drop(self.engine.answer_request(now(), id, accept));
        }
    }

    /// Counts what is kept of a request, if it is taken and there is room for it.
    fn keep(
        &mut self,
        id: LocalChannelId,
        bytes: usize,
        take: impl FnOnce(&mut Self) -> bool,
    ) -> bool {
        let is_taken = self.kept_bytes + bytes <= KEPT_BYTES_MAX && take(self);
        if let Some(entry) = self.channels.get_mut(&id).filter(|_| is_taken) {
            entry.kept_bytes += bytes;
            self.kept_bytes += bytes;
        }
        is_taken
    }

    /// What was asked for before the program starts; afterwards it is too late.
    fn start(&mut self, id: LocalChannelId) -> Option<&mut Start> {
        self.channels.get_mut(&id)?.start.as_mut()
    }

    fn on_env(&mut self, id: LocalChannelId, name: &[u8], value: &[u8]) -> bool {
        let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else {
            return false;
        };
        let is_taken = self.sessions.takes_env(name)
            && name.len() + value.len() <= ENV_BYTES_MAX
            && !name.contains(['=', '\0'])
            && !value.contains('\0');
        let Some(start) = self
            .start(id)
            .filter(|start| is_taken && start.env.len() < ENV_MAX)
        else {
            return false;
        };
        start.env.push((name.to_owned(), value.to_owned()));
        true
    }

    fn on_pty_req(&mut self, id: LocalChannelId, request: &Request<'_>) -> bool {
        let takes_pty = self.sessions.takes_pty;
        let (Some(pty), Some(start)) = (Pty::from_request(request), self.start(id)) else {
            return false;
        };
        let is_taken = takes_pty && start.pty.is_none();
        if is_taken {
            start.pty = Some(pty);
        }
        is_taken
    }

    /// Hands a session that now knows what it runs to whoever accepts; a second program on the
    /// same channel is refused.
    fn offer(&mut self, id: LocalChannelId, command: Option<Vec<u8>>) -> bool {
        let Some(entry) = self.channels.get_mut(&id) else {
            return false;
        };
        let Some(start) = entry.start.take() else {
            return false;
        };
        let offer = Offer {
            id,
            inbox: Arc::clone(&entry.inbox),
            start: Start { command, ..start },
        };
        self.shared
            .offers
            .update(|offers| offers.queue.push_back(offer));
        true
    }

    /// Only the side that runs the program says how it ended.
    fn set_exit(&mut self, id: LocalChannelId, exit: Exit) -> bool {
        let is_ours = self.channels.get(&id).is_some_and(|entry| !entry.is_theirs);
        is_ours && self.update(id, |state| state.exit = Some(exit)).is_some()
    }

    /// Only the side that asked for the program has news for it.
    fn tell(&mut self, id: LocalChannelId, event: ChannelEvent) -> bool {
        let is_theirs = self.channels.get(&id).is_some_and(|entry| entry.is_theirs);
        is_theirs && self.update(id, |state| state.push_event(event)) == Some(true)
    }

    pub(super) fn update<R>(
        &self,
        id: LocalChannelId,
        update: impl FnOnce(&mut State) -> R,
    ) -> Option<R> {
        Some(self.channels.get(&id)?.inbox.update(update))
    }
}
