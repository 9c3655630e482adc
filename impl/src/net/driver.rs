//! The task that owns one socket and one engine.
//!
//! It reads when the engine wants input, writes what the engine gives, wakes when the engine asks,
//! and does the jobs that handles send it. A job that must wait leaves a reply behind; when the
//! connection ends, replies are dropped, and whoever waits learns the end from [`Shared`].

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot, watch};

use super::channel::Channel;
use super::error::Error;
use super::inbox::{Exit, Inbox};
use super::{AuthPolicy, Verifier};
use crate::crypto::PublicKey;
use crate::engine::{
    ApiMisuse, AuthQuestion, End, Engine, Event, LocalChannelId, Output, ReceivedRequest,
};
use crate::msg::{DisconnectReason, Request};

/// How much sealed data waits for the socket before the engine is asked for no more.
const PENDING_BYTES_MAX: usize = 256 << 10;

/// How much is read at once.
const READ_BYTES: usize = 64 << 10;

/// How long the last words may take to leave, and how long we listen after them. Closing with
/// unread input would reset the connection and take our DISCONNECT with it.
const LINGER: Duration = Duration::from_secs(1);

/// What a handle asks the driver to do.
pub(super) type Job = Box<dyn FnOnce(&mut Driver) + Send>;

/// What handles can see without asking.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) end: OnceLock<End>,
    pub(super) host_key_refused: OnceLock<()>,
    /// Our last words are sent.
    pub(super) is_finished: watch::Sender<bool>,
}

/// A write that waits for room.
struct ParkedWrite {
    code: Option<u32>,
    data: Vec<u8>,
    written: usize,
    done: oneshot::Sender<Result<(), Error>>,
}

/// What the driver keeps for one channel.
#[derive(Default)]
struct Entry {
    inbox: Arc<Inbox>,
    answers: VecDeque<oneshot::Sender<bool>>,
    writes: VecDeque<ParkedWrite>,
    /// A session of the peer's that has not said yet what it runs.
    is_fresh: bool,
}

pub(super) struct Driver {
    pub(super) engine: Engine,
    shared: Arc<Shared>,
    /// For the channels that it hands out.
    mailbox: mpsc::WeakSender<Job>,
    channels: HashMap<LocalChannelId, Entry>,
    verifier: Option<Verifier>,
    ready: Option<oneshot::Sender<()>>,
    pub(super) verdict: Option<oneshot::Sender<bool>>,
    banners: Vec<Vec<u8>>,
    policy: Option<(AuthPolicy, oneshot::Sender<String>)>,
    question: Option<AuthQuestion>,
    opening: HashMap<LocalChannelId, oneshot::Sender<Result<Channel, Error>>>,
    offered: VecDeque<(LocalChannelId, Option<Vec<u8>>)>,
    acceptors: VecDeque<oneshot::Sender<Channel>>,
    pending: Vec<u8>,
}

impl Driver {
    pub(super) fn new(
        engine: Engine,
        shared: Arc<Shared>,
        mailbox: mpsc::WeakSender<Job>,
        verifier: Option<Verifier>,
        ready: oneshot::Sender<()>,
    ) -> Self {
        Self {
            engine,
            shared,
            mailbox,
            channels: HashMap::new(),
            verifier,
            ready: Some(ready),
            verdict: None,
            banners: Vec::new(),
            policy: None,
            question: None,
            opening: HashMap::new(),
            offered: VecDeque::new(),
            acceptors: VecDeque::new(),
            pending: Vec::new(),
        }
    }

    /// Runs the connection to its end.
    pub(super) async fn run<S>(mut self, stream: S, mut jobs: mpsc::Receiver<Job>)
    where
        S: AsyncRead + AsyncWrite + Send,
    {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut buffer = vec![0; READ_BYTES];
        let mut has_handles = true;
        while self.shared.end.get().is_none() {
            let deadline = self.drain().map(tokio::time::Instant::from_std);
            if self.shared.end.get().is_some() {
                break;
            }
            tokio::select! {
                job = jobs.recv(), if has_handles => match job {
                    Some(job) => {
                        job(&mut self);
                        // Writes that wait together leave together.
                        while let Ok(job) = jobs.try_recv() {
                            job(&mut self);
                        }
                    }
                    None => {
                        has_handles = false;
                        self.disconnect();
                    }
                },
                read = reader.read(&mut buffer), if self.engine.wants_input() => {
                    self.on_read(buffer.get(..read.unwrap_or(0)).unwrap_or_default());
                }
                written = writer.write(&self.pending), if !self.pending.is_empty() => {
                    self.on_written(written.ok());
                }
                () = sleep_until(deadline) => self.engine.handle_timeout(Instant::now()),
            }
        }
        jobs.close();
        let shared = Arc::clone(&self.shared);
        let last_words = std::mem::take(&mut self.pending);
        drop(self);
        let _ = tokio::time::timeout(LINGER, async {
            writer.write_all(&last_words).await?;
            writer.shutdown().await?;
            while reader.read(&mut buffer).await? > 0 {}
            std::io::Result::Ok(())
        })
        .await;
        shared.is_finished.send_replace(true);
    }

    pub(super) fn disconnect(&mut self) {
        let reason = DisconnectReason::BY_APPLICATION;
        self.engine
            .disconnect(Instant::now(), reason, "disconnected by application");
    }

    /// Nothing read is the end of the stream; so is an error, which will not get better.
    fn on_read(&mut self, bytes: &[u8]) {
        let now = Instant::now();
        if bytes.is_empty() {
            self.engine.handle_eof(now);
        } else {
            // Nobody asked between `wants_input` and here: this task is the only one.
            drop(self.engine.handle_input(now, bytes));
        }
    }

    fn on_written(&mut self, count: Option<usize>) {
        if let Some(count) = count {
            self.pending.drain(..count);
        } else {
            self.pending.clear();
            self.engine.handle_eof(Instant::now());
        }
    }

    /// Does what the engine says until it says wait.
    fn drain(&mut self) -> Option<Instant> {
        loop {
            let room = PENDING_BYTES_MAX.saturating_sub(self.pending.len());
            match self.engine.poll_output(room) {
                Output::Transmit(bytes) if self.pending.is_empty() => self.pending = bytes,
                Output::Transmit(bytes) => self.pending.extend(bytes),
                Output::Event(event) => self.on_event(event),
                Output::Wait(until) => return until,
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::HostKeyOffered(key) => self.on_host_key(&key),
            Event::KeysChanged => drop(self.ready.take().map(|ready| ready.send(()))),
            Event::BannerReceived(text) => self.banners.push(text),
            Event::AuthSucceeded => self.on_verdict(true),
            Event::AuthFailed { .. } => self.on_verdict(false),
            Event::AuthAsked(question) => {
                self.question = Some(question);
                self.consult_policy();
            }
            Event::ChannelOpened(id) => self.on_channel_opened(id),
            Event::ChannelRefused {
                channel,
                reason,
                description,
            } => {
                self.channels.remove(&channel);
                let description = description.escape_ascii().to_string();
                if let Some(reply) = self.opening.remove(&channel) {
                    let _ = reply.send(Err(Error::ChannelRefused {
                        reason,
                        description,
                    }));
                }
            }
            Event::SessionOffered(id) => {
                self.channels.insert(
                    id,
                    Entry {
                        is_fresh: true,
                        ..Entry::default()
                    },
                );
            }
            Event::ChannelRequested {
                channel,
                request,
                want_reply,
            } => {
                self.on_request(channel, &request, want_reply);
            }
            Event::RequestAnswered { channel, accepted } => {
                let entry = self.channels.get_mut(&channel);
                if let Some(reply) = entry.and_then(|entry| entry.answers.pop_front()) {
                    let _ = reply.send(accepted);
                }
            }
            Event::DataReceived {
                channel,
                code,
                data,
            } => {
                self.update(channel, |inbox| inbox.push(code, data));
            }
            Event::EofReceived(channel) => {
                self.update(channel, |inbox| {
                    inbox.update(|state| state.is_finished = true);
                });
            }
            Event::ChannelWritable(channel) => self.unpark(channel),
            Event::ChannelClosed(channel) => {
                if let Some(entry) = self.channels.remove(&channel) {
                    close(&entry.inbox);
                }
            }
            Event::Ended(end) => self.on_end(end),
        }
    }

    fn on_host_key(&mut self, key: &PublicKey) {
        let accept = self.verifier.take().is_some_and(|verifier| verifier(key));
        if !accept {
            let _ = self.shared.host_key_refused.set(());
        }
        drop(self.engine.answer_host_key(Instant::now(), accept));
    }

    fn on_verdict(&mut self, accepted: bool) {
        if let Some(reply) = self.verdict.take() {
            let _ = reply.send(accepted);
        }
    }

    /// What the server said before its verdict, oldest first.
    pub(super) fn take_banners(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.banners)
    }

    pub(super) fn set_policy(&mut self, policy: AuthPolicy, done: oneshot::Sender<String>) {
        self.policy = Some((policy, done));
        self.consult_policy();
    }

    /// Answers the open question if there is somebody to ask.
    fn consult_policy(&mut self) {
        let (Some(question), Some((policy, _))) = (&self.question, &mut self.policy) else {
            return;
        };
        let (answer, is_final) = policy.judge(question);
        drop(self.engine.answer_auth(Instant::now(), &answer));
        let question = self.question.take();
        if answer.accept
            && is_final
            && let (Some(question), Some((_, done))) = (question, self.policy.take())
        {
            let _ = done.send(question.user);
        }
    }

    // Channels.

    pub(super) fn open_session(&mut self, reply: oneshot::Sender<Result<Channel, Error>>) {
        match self.engine.open_session(Instant::now()) {
            Ok(id) => {
                self.channels.insert(id, Entry::default());
                self.opening.insert(id, reply);
            }
            Err(misuse) => drop(reply.send(Err(misuse.into()))),
        }
    }

    fn on_channel_opened(&mut self, id: LocalChannelId) {
        if let (Some(reply), Some(channel)) = (self.opening.remove(&id), self.channel(id, None)) {
            let _ = reply.send(Ok(channel));
        }
    }

    fn channel(&self, id: LocalChannelId, command: Option<Vec<u8>>) -> Option<Channel> {
        let inbox = Arc::clone(&self.channels.get(&id)?.inbox);
        Some(Channel::new(
            id,
            self.mailbox.upgrade()?,
            Arc::clone(&self.shared),
            inbox,
            command,
        ))
    }

    pub(super) fn accept_session(&mut self, reply: oneshot::Sender<Channel>) {
        self.acceptors.push_back(reply);
        self.match_sessions();
    }

    /// Brings sessions and those who accept them together, oldest first.
    fn match_sessions(&mut self) {
        self.acceptors.retain(|reply| !reply.is_closed());
        while !self.acceptors.is_empty()
            && let Some((id, command)) = self.offered.pop_front()
        {
            // The peer may have closed it again by now.
            if let Some(channel) = self.channel(id, command)
                && let Some(reply) = self.acceptors.pop_front()
            {
                let _ = reply.send(channel);
            }
        }
    }

    fn on_request(&mut self, id: LocalChannelId, request: &ReceivedRequest, want_reply: bool) {
        let accept = match request.get() {
            Request::Exec { command } => self.offer(id, Some(command.to_vec())),
            Request::Shell => self.offer(id, None),
            Request::ExitStatus { status } => {
                self.set_exit(id, Exit::Status(status));
                true
            }
            Request::ExitSignal { signal, .. } => {
                self.set_exit(
                    id,
                    Exit::Signal(String::from_utf8_lossy(signal).into_owned()),
                );
                true
            }
            _ => false,
        };
        if want_reply {
            drop(self.engine.answer_request(Instant::now(), id, accept));
        }
    }

    /// Hands a session that now knows what it runs to whoever accepts; a second command on the
    /// same channel is refused.
    fn offer(&mut self, id: LocalChannelId, command: Option<Vec<u8>>) -> bool {
        let is_fresh = self
            .channels
            .get_mut(&id)
            .is_some_and(|entry| std::mem::take(&mut entry.is_fresh));
        if is_fresh {
            self.offered.push_back((id, command));
            self.match_sessions();
        }
        is_fresh
    }

    fn set_exit(&mut self, id: LocalChannelId, exit: Exit) {
        self.update(id, |inbox| inbox.update(|state| state.exit = Some(exit)));
    }

    fn update(&self, id: LocalChannelId, update: impl FnOnce(&Inbox)) {
        if let Some(entry) = self.channels.get(&id) {
            update(&entry.inbox);
        }
    }

    pub(super) fn request(
        &mut self,
        id: LocalChannelId,
        request: Request<'_>,
        reply: Option<oneshot::Sender<bool>>,
    ) -> Result<(), ApiMisuse> {
        self.engine
            .request(Instant::now(), id, request, reply.is_some())?;
        if let (Some(entry), Some(reply)) = (self.channels.get_mut(&id), reply) {
            entry.answers.push_back(reply);
        }
        Ok(())
    }

    pub(super) fn write(
        &mut self,
        id: LocalChannelId,
        code: Option<u32>,
        data: Vec<u8>,
        done: oneshot::Sender<Result<(), Error>>,
    ) {
        let Some(entry) = self.channels.get_mut(&id) else {
            drop(done.send(Err(ApiMisuse::UsedClosedChannel(id).into())));
            return;
        };
        entry.writes.push_back(ParkedWrite {
            code,
            data,
            written: 0,
            done,
        });
        if entry.writes.len() == 1 {
            self.unpark(id);
        }
    }

    /// Writes what waits, in order, as far as there is room.
    fn unpark(&mut self, id: LocalChannelId) {
        let Some(entry) = self.channels.get_mut(&id) else {
            return;
        };
        while let Some(write) = entry.writes.front_mut() {
            let rest = write.data.get(write.written..).unwrap_or_default();
            let result = match self.engine.write(Instant::now(), id, write.code, rest) {
                Ok(count) if count < rest.len() => {
                    write.written += count;
                    return;
                }
                Ok(_) => Ok(()),
                Err(misuse) => Err(misuse.into()),
            };
            if let Some(write) = entry.writes.pop_front() {
                let _ = write.done.send(result);
            }
        }
    }

    fn on_end(&mut self, end: End) {
        let _ = self.shared.end.set(end);
        for entry in self.channels.values() {
            close(&entry.inbox);
        }
        // What was sealed last, our DISCONNECT above all, still goes out.
        while let Output::Transmit(bytes) = self.engine.poll_output(usize::MAX) {
            self.pending.extend(bytes);
        }
    }
}

fn close(inbox: &Inbox) {
    inbox.update(|state| {
        state.is_finished = true;
        state.is_closed = true;
    });
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
