//! The task that owns one socket and one engine.
//!
//! It reads when the engine wants input, writes what the engine gives, wakes when the engine asks,
//! and does the jobs that handles send it. A job that must wait leaves a reply behind; when the
//! connection ends, replies are dropped, and whoever waits learns the end from [`Shared`].

mod channels;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot, watch};

use super::channel::Channel;
use super::error::Error;
use super::inbox::{Inbox, Start, State, Watched};
use super::terminal::SessionPolicy;
use super::{AuthPolicy, Verifier};
use crate::crypto::PublicKey;
use crate::engine::{ApiMisuse, AuthQuestion, End, Engine, Event, LocalChannelId, Output};
use crate::msg::DisconnectReason;
use channels::Entry;

/// How much sealed data waits for the socket before the engine is asked for no more.
const PENDING_BYTES_MAX: usize = 256 << 10;

/// How much is read at once.
const READ_BYTES: usize = 64 << 10;

/// How long the last words may take to leave, and how long we listen after them. Closing with
/// unread input would reset the connection and take our DISCONNECT with it.
const LINGER: Duration = Duration::from_secs(1);

/// How long we go on without progress, once asked to leave, to send what was written before.
const FLUSH: Duration = Duration::from_secs(2);

/// How long that may take even with progress.
const FLUSH_MAX: Duration = Duration::from_secs(60);

/// What a handle asks the driver to do.
pub(super) type Job = Box<dyn FnOnce(&mut Driver) + Send>;

/// What handles can see without asking.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) end: OnceLock<End>,
    pub(super) host_key_refused: OnceLock<()>,
    /// Our last words are sent.
    pub(super) is_finished: watch::Sender<bool>,
    pub(super) offers: Watched<Offers>,
    /// For what handles leave behind when they are dropped outside of a task.
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) peer_addr: Option<std::net::SocketAddr>,
    pub(super) is_server: bool,
    pub(super) accepts_sessions: bool,
}

/// Sessions of the peer's that say what they run and that nobody has accepted yet.
#[derive(Debug, Default)]
pub(super) struct Offers {
    pub(super) queue: VecDeque<Offer>,
    /// No more will come: the connection is over.
    pub(super) is_over: bool,
}

/// What becomes a [`super::Channel`] in the hands of whoever accepts it. Without a mailbox of its
/// own: a connection that nobody holds must not keep itself alive.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) id: LocalChannelId,
    pub(super) inbox: Arc<Inbox>,
    pub(super) start: Start,
}

/// We are asked to leave and send what was written before.
struct Leaving {
    unsent_bytes: usize,
    progress_until: Instant,
    until: Instant,
}

pub(super) struct Driver {
    pub(super) engine: Engine,
    shared: Arc<Shared>,
    /// For the channels that it hands out.
    mailbox: mpsc::WeakSender<Job>,
    channels: HashMap<LocalChannelId, Entry>,
    sessions: SessionPolicy,
    verifier: Option<Verifier>,
    ready: Option<oneshot::Sender<()>>,
    pub(super) verdict: Option<oneshot::Sender<bool>>,
    /// Who waits for the end of a key exchange.
    rekeyed: Vec<oneshot::Sender<()>>,
    banners: Vec<Vec<u8>>,
    policy: Option<(AuthPolicy, oneshot::Sender<Result<String, Error>>)>,
    question: Option<AuthQuestion>,
    user_is_in: bool,
    opening: HashMap<LocalChannelId, oneshot::Sender<Result<Channel, Error>>>,
    pending: Vec<u8>,
    leaving: Option<Leaving>,
}

impl Driver {
    pub(super) fn new(
        engine: Engine,
        shared: Arc<Shared>,
        mailbox: mpsc::WeakSender<Job>,
        sessions: SessionPolicy,
        verifier: Option<Verifier>,
        ready: oneshot::Sender<()>,
    ) -> Self {
        Self {
            engine,
            shared,
            mailbox,
            channels: HashMap::new(),
            sessions,
            verifier,
            ready: Some(ready),
            verdict: None,
            rekeyed: Vec::new(),
            banners: Vec::new(),
            policy: None,
            question: None,
            user_is_in: false,
            opening: HashMap::new(),
            pending: Vec::new(),
            leaving: None,
        }
    }

    /// Runs the connection to its end.
    pub(super) async fn run<S>(mut self, stream: S, mut jobs: mpsc::Receiver<Job>)
    where
        S: AsyncRead + AsyncWrite + Send,
    {
        let _finish = Finish(Arc::clone(&self.shared));
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut buffer = vec![0; READ_BYTES];
        let mut has_handles = true;
        while self.shared.end.get().is_none() {
            let deadline = self.drain();
            if self.shared.end.get().is_some() {
                break;
            }
            if self.may_leave() {
                self.say_goodbye();
                continue;
            }
            let deadline = self.leaving.as_ref().map_or(deadline, |leaving| {
                deadline.into_iter().chain([leaving.progress_until]).min()
            });
            let deadline = deadline.map(tokio::time::Instant::from_std);
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
                        self.leave();
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
        let last_words = std::mem::take(&mut self.pending);
        drop(self);
        let _ = tokio::time::timeout(LINGER, async {
            writer.write_all(&last_words).await?;
            writer.shutdown().await?;
            while reader.read(&mut buffer).await? > 0 {}
            std::io::Result::Ok(())
        })
        .await;
    }

    /// Leaves, once what was written is sent.
    pub(super) fn leave(&mut self) {
        let now = Instant::now();
        self.leaving.get_or_insert(Leaving {
            unsent_bytes: usize::MAX,
            progress_until: now + FLUSH,
            until: now + FLUSH_MAX,
        });
    }

    /// Whether we are asked to leave and everything is sent, or does not get any further.
    fn may_leave(&mut self) -> bool {
        let unsent_bytes = self.pending.len() + self.engine.unsent_bytes() + self.parked_bytes();
        let Some(leaving) = &mut self.leaving else {
            return false;
        };
        let now = Instant::now();
        if unsent_bytes < leaving.unsent_bytes {
            leaving.unsent_bytes = unsent_bytes;
            leaving.progress_until = leaving.until.min(now + FLUSH);
        }
        unsent_bytes == 0 || now >= leaving.progress_until
    }

    fn say_goodbye(&mut self) {
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
            Event::KeysChanged => self.on_keys_changed(),
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
            } => self.on_channel_refused(channel, reason, &description),
            Event::SessionOffered(id) => self.on_session_offered(id),
            Event::ChannelRequested {
                channel,
                request,
                want_reply,
            } => self.on_request(channel, &request, want_reply),
            Event::RequestAnswered { channel, accepted } => self.on_answer(channel, accepted),
            Event::DataReceived {
                channel,
                code,
                data,
            } => self.on_data(channel, code, data.0),
            Event::EofReceived(channel) => {
                self.update(channel, |state| state.is_finished = true);
            }
            Event::ChannelWritable(channel) => self.unpark(channel),
            Event::ChannelClosed(channel) => self.on_channel_closed(channel),
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

    pub(super) fn set_policy(
        &mut self,
        policy: AuthPolicy,
        done: oneshot::Sender<Result<String, Error>>,
    ) {
        let is_asking = matches!(&self.policy, Some((_, earlier)) if !earlier.is_closed());
        let misuse = match () {
            () if !self.shared.is_server => Some(ApiMisuse::CalledOnWrongRole("server")),
            () if self.user_is_in => Some(ApiMisuse::AuthenticatedAgain),
            () if is_asking => Some(ApiMisuse::AuthenticatedTwiceAtOnce),
            () => None,
        };
        if let Some(misuse) = misuse {
            drop(done.send(Err(misuse.into())));
            return;
        }
        self.engine.set_auth_methods(policy.methods());
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
            self.user_is_in = true;
            let _ = done.send(Ok(question.user));
        }
    }

    /// Starts a key exchange unless one is under way, and replies when it is complete.
    pub(super) fn rekey(&mut self, done: oneshot::Sender<Result<oneshot::Receiver<()>, Error>>) {
        let (rekeyed, is_rekeyed) = oneshot::channel();
        let started = self.engine.start_kex(Instant::now());
        if started.is_ok() {
            self.rekeyed.push(rekeyed);
        }
        let _ = done.send(started.map(|()| is_rekeyed).map_err(Error::from));
    }

    fn on_keys_changed(&mut self) {
        if let Some(ready) = self.ready.take() {
            let _ = ready.send(());
        }
        for rekeyed in self.rekeyed.drain(..) {
            let _ = rekeyed.send(());
        }
    }

    fn on_end(&mut self, end: End) {
        let _ = self.shared.end.set(end);
        for entry in self.channels.values() {
            entry.inbox.update(State::cut);
        }
        self.shared.offers.update(|offers| {
            offers.queue.clear();
            offers.is_over = true;
        });
        // What was sealed last, our DISCONNECT above all, still goes out.
        loop {
            match self.engine.poll_output(usize::MAX) {
                Output::Transmit(bytes) => self.pending.extend(bytes),
                Output::Event(_) => {}
                Output::Wait(_) => return,
            }
        }
    }
}

impl Drop for Driver {
    /// A callback that panicked took this task with it: nobody may wait for it any longer.
    fn drop(&mut self) {
        if self.shared.end.get().is_none() {
            self.on_end(End::WeFailed);
        }
    }
}

/// Says that the task is over, however it ended.
struct Finish(Arc<Shared>);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.is_finished.send_replace(true);
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
