//! The task that owns one socket and one engine.
//!
//! It reads when the engine wants input, writes what the engine gives, wakes when the engine asks,
//! and does the jobs that handles send it. A job that must wait leaves a reply behind; when the
//! connection ends, replies are dropped, and whoever waits learns the end from [`Shared`].

mod channels;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinHandle};

use super::channel::Channel;
use super::clock::now;
use super::error::Error;
use super::inbox::{Inbox, Start, State, Watched};
use super::terminal::SessionPolicy;
use super::{AuthPolicy, Verdict, Verifier};
use crate::crypto::PublicKey;
use crate::engine::{
    ApiMisuse, AuthAnswer, AuthQuestion, End, Engine, Event, LocalChannelId, Output, Refusal,
};
use crate::msg::DisconnectReason;
use channels::Entry;

/// How much sealed data waits for the socket before the engine is asked for no more.
const PENDING_BYTES_MAX: usize = 256 << 10;

/// How much is read at once.
const READ_BYTES: usize = 64 << 10;

thread_local! {
    /// What is read passes through here, so that a connection that is silent holds no room for it.
    static READ_ROOM: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// How long the last words may take to leave, and how long we listen after them. Closing with
/// unread input would reset the connection and take our DISCONNECT with it.
const LINGER: Duration = Duration::from_secs(1);

/// How long we go on without progress, once asked to leave, to send what was written before.
const FLUSH: Duration = Duration::from_secs(2);

/// How long that may take even with progress.
const FLUSH_MAX: Duration = Duration::from_secs(60);

/// What a handle asks the driver to do.
pub(super) type Job = Box<dyn FnOnce(&mut Driver) + Send>;

/// How handles send jobs. It takes them without waiting, so that what one handle asks for stays in
/// order, also what it leaves behind when it is dropped. What bounds it is that callers wait for their
/// replies: a job for each call under way, and an EOF and a CLOSE for each channel.
pub(super) type Mailbox = mpsc::UnboundedSender<Job>;

/// How many jobs are done before the connection has its turn again.
const JOBS_TOGETHER: usize = 64;

/// How far a connection is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    #[default]
    BeforeLogin,
    /// As a server, the user is in.
    LoggedIn,
    /// Our last words are sent.
    Finished,
}

/// The two ends of a TCP connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TcpPath {
    pub(crate) ours: SocketAddr,
    pub(crate) theirs: SocketAddr,
}

/// What handles can see without asking.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) end: OnceLock<End>,
    pub(super) host_key_refused: OnceLock<()>,
    pub(super) stage: watch::Sender<Stage>,
    pub(super) offers: Watched<Offers>,
    pub(super) path: Option<TcpPath>,
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

/// What a callback of the program decided. They run on threads for such work: one that takes its
/// time must not hold up other connections.
enum Decision {
    HostKey(bool),
    Login(Box<Judged>),
}

/// What a policy says to a question.
struct Judged {
    policy: AuthPolicy,
    question: AuthQuestion,
    answer: AuthAnswer,
    is_final: bool,
}

/// Sealed bytes that wait for the socket.
#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    written: usize,
}

impl Pending {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    fn push(&mut self, bytes: Vec<u8>) {
        if self.rest().is_empty() {
            *self = Self { bytes, written: 0 };
        } else {
            self.bytes.extend(bytes);
        }
    }

    /// Moves what is left only when that is the lesser part, so that each byte moves once at most.
    fn advance(&mut self, count: usize) {
        self.written += count;
        if self.rest().is_empty() {
            *self = Self::default();
        } else if self.written > self.bytes.len() / 2 {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }
}

pub(super) struct Driver {
    pub(super) engine: Engine,
    shared: Arc<Shared>,
    /// For the channels that it hands out.
    mailbox: mpsc::WeakUnboundedSender<Job>,
    channels: HashMap<LocalChannelId, Entry>,
    /// What is kept of the peer's requests about programs, in bytes.
    kept_bytes: usize,
    sessions: SessionPolicy,
    verifier: Option<Verifier>,
    ready: Option<oneshot::Sender<()>>,
    pub(super) verdict: Option<oneshot::Sender<Verdict>>,
    /// What the server said when it last refused us.
    pub(super) refusal: Option<Refusal>,
    /// Who waits for the end of a key exchange.
    rekeyed: Vec<oneshot::Sender<()>>,
    banners: Vec<Vec<u8>>,
    policy: Option<AuthPolicy>,
    /// Who waits for a user to be let in.
    accepting: Option<oneshot::Sender<Result<String, Error>>>,
    question: Option<AuthQuestion>,
    deciding: Option<JoinHandle<Decision>>,
    opening: HashMap<LocalChannelId, oneshot::Sender<Result<Channel, Error>>>,
    pending: Pending,
    /// Something was written that the stream may keep in a buffer of its own.
    is_unflushed: bool,
    /// Writing failed. We listen until then for what the peer said before.
    mute_until: Option<Instant>,
    leaving: Option<Leaving>,
}

impl Driver {
    pub(super) fn new(
        engine: Engine,
        shared: Arc<Shared>,
        mailbox: mpsc::WeakUnboundedSender<Job>,
        sessions: SessionPolicy,
        verifier: Option<Verifier>,
        ready: oneshot::Sender<()>,
    ) -> Self {
        Self {
            engine,
            shared,
            mailbox,
            channels: HashMap::new(),
            kept_bytes: 0,
            sessions,
            verifier,
            ready: Some(ready),
            verdict: None,
            refusal: None,
            rekeyed: Vec::new(),
            banners: Vec::new(),
            policy: None,
            accepting: None,
            question: None,
            deciding: None,
            opening: HashMap::new(),
            pending: Pending::default(),
            is_unflushed: false,
            mute_until: None,
            leaving: None,
        }
    }

    /// Runs the connection to its end.
    pub(super) async fn run<S>(mut self, stream: S, mut jobs: mpsc::UnboundedReceiver<Job>)
    where
        S: AsyncRead + AsyncWrite + Send,
    {
        let _finish = Finish(Arc::clone(&self.shared));
        let (mut reader, mut writer) = tokio::io::split(stream);
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
            let leaving = self.leaving.as_ref().map(|leaving| leaving.progress_until);
            let deadlines = [deadline, leaving, self.mute_until];
            let deadline = deadlines.into_iter().flatten().min();
            let deadline = deadline.map(tokio::time::Instant::from_std);
            tokio::select! {
                job = jobs.recv(), if has_handles => match job {
                    Some(job) => {
                        job(&mut self);
                        // Writes that wait together leave together.
                        for _ in 1..JOBS_TOGETHER {
                            let Ok(job) = jobs.try_recv() else { break };
                            job(&mut self);
                        }
                    }
                    None => {
                        has_handles = false;
                        self.leave();
                    }
                },
                bytes = read(&mut reader), if self.engine.wants_input() => self.on_read(&bytes),
                written = pass_on(&mut writer, self.pending.rest()), if self.has_to_write() => {
                    self.on_written(written);
                }
                decision = join(&mut self.deciding) => self.on_decision(decision),
                () = sleep_until(deadline) => {
                    if self.may_read_on() {
                        // What is there counts: on a busy machine we may not have come to read it.
                        let there = tokio::time::timeout(Duration::ZERO, read(&mut reader)).await;
                        self.on_read(&there.unwrap_or_default());
                    } else {
                        self.on_deadline();
                    }
                }
            }
        }
        jobs.close();
        let last_words = std::mem::take(&mut self.pending);
        let is_mute = self.mute_until.is_some();
        drop(self);
        let _ = tokio::time::timeout(LINGER, async {
            if !is_mute {
                writer.write_all(last_words.rest()).await?;
                writer.shutdown().await?;
            }
            while !read(&mut reader).await.is_empty() {}
            std::io::Result::Ok(())
        })
        .await;
    }

    /// Leaves, once what was written is sent.
    pub(super) fn leave(&mut self) {
        let now = now();
        self.leaving.get_or_insert(Leaving {
            unsent_bytes: usize::MAX,
            progress_until: now + FLUSH,
            until: now + FLUSH_MAX,
        });
    }

    /// Whether we are asked to leave and everything is sent, or does not get any further.
    fn may_leave(&mut self) -> bool {
        if self.leaving.is_none() {
            return false;
        }
        let unsent_bytes =
            self.pending.rest().len() + self.engine.unsent_bytes() + self.parked_bytes();
        let Some(leaving) = &mut self.leaving else {
            return false;
        };
        let now = now();
        if unsent_bytes < leaving.unsent_bytes {
            leaving.unsent_bytes = unsent_bytes;
            leaving.progress_until = leaving.until.min(now + FLUSH);
        }
        unsent_bytes == 0 || now >= leaving.progress_until
    }

    fn say_goodbye(&mut self) {
        let reason = DisconnectReason::BY_APPLICATION;
        self.engine
            .disconnect(now(), reason, "disconnected by application");
    }

    /// Nothing read is the end of the stream.
    fn on_read(&mut self, bytes: &[u8]) {
        let now = now();
        if bytes.is_empty() {
            self.engine.handle_eof(now);
        } else {
            // Nobody asked between `wants_input` and here: this task is the only one.
            drop(self.engine.handle_input(now, bytes));
        }
    }

    fn has_to_write(&self) -> bool {
        self.is_unflushed || !self.pending.rest().is_empty()
    }

    /// After the end of writing, what the peer said before may still be there to be read, its
    /// DISCONNECT above all.
    fn on_written(&mut self, written: Written) {
        self.is_unflushed = matches!(written, Written::Some(_));
        match written {
            Written::Some(count) => self.pending.advance(count),
            Written::Flushed => {}
            Written::Ended => {
                self.pending = Pending::default();
                self.mute_until = Some(now() + LINGER);
            }
        }
    }

    /// Whether we cannot write, and have listened for long enough.
    fn has_listened(&self) -> bool {
        self.mute_until.is_some_and(|until| now() >= until)
    }

    /// Whether we have listened for long enough, but not for so long that nothing more counts.
    fn may_read_on(&self) -> bool {
        let is_late = self.mute_until.is_some_and(|until| now() >= until + LINGER);
        self.has_listened() && !is_late && self.engine.wants_input()
    }

    fn on_deadline(&mut self) {
        let now = now();
        if self.has_listened() {
            self.engine.handle_eof(now);
        } else {
            self.engine.handle_timeout(now);
        }
    }

    /// Does what the engine says until it says wait.
    fn drain(&mut self) -> Option<Instant> {
        loop {
            let room = PENDING_BYTES_MAX.saturating_sub(self.pending.rest().len());
            match self.engine.poll_output(room) {
                Output::Transmit(_) if self.mute_until.is_some() => {}
                Output::Transmit(bytes) => self.pending.push(bytes),
                Output::Event(event) => self.on_event(event),
                Output::Wait(until) => return until,
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::HostKeyOffered(key) => self.on_host_key(key),
            Event::KeysChanged => self.on_keys_changed(),
            Event::BannerReceived(text) => self.banners.push(text),
            Event::KeyAccepted => self.on_verdict(Verdict::KeyAccepted),
            Event::AuthSucceeded => self.on_verdict(Verdict::LetIn),
            Event::AuthFailed(refusal) => {
                self.refusal = Some(refusal);
                self.on_verdict(Verdict::Refused);
            }
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

    fn on_host_key(&mut self, key: PublicKey) {
        match self.verifier.take() {
            Some(verifier) => self.decide(move || Decision::HostKey(verifier(&key))),
            None => self.on_host_key_decided(false),
        }
    }

    fn decide(&mut self, decide: impl FnOnce() -> Decision + Send + 'static) {
        self.deciding = Some(tokio::task::spawn_blocking(decide));
    }

    fn on_decision(&mut self, decision: Decision) {
        self.deciding = None;
        match decision {
            Decision::HostKey(accept) => self.on_host_key_decided(accept),
            Decision::Login(judged) => self.on_login_decided(*judged),
        }
    }

    fn on_host_key_decided(&mut self, accept: bool) {
        if !accept {
            let _ = self.shared.host_key_refused.set(());
        }
        drop(self.engine.answer_host_key(now(), accept));
    }

    fn on_verdict(&mut self, verdict: Verdict) {
        if let Some(reply) = self.verdict.take() {
            let _ = reply.send(verdict);
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
        let is_asking = matches!(&self.accepting, Some(earlier) if !earlier.is_closed());
        let misuse = match () {
            () if !self.shared.is_server => Some(ApiMisuse::CalledOnWrongRole("server")),
            () if *self.shared.stage.borrow() == Stage::LoggedIn => {
                Some(ApiMisuse::AuthenticatedAgain)
            }
            () if is_asking => Some(ApiMisuse::AuthenticatedTwiceAtOnce),
            () => None,
        };
        if let Some(misuse) = misuse {
            drop(done.send(Err(misuse.into())));
            return;
        }
        self.engine.set_auth_methods(policy.methods());
        self.policy = Some(policy);
        self.accepting = Some(done);
        self.consult_policy();
    }

    /// Asks the program the open question, if there is somebody to ask and nobody is thinking.
    fn consult_policy(&mut self) {
        if self.deciding.is_some() || self.policy.is_none() {
            return;
        }
        let Some(question) = self.question.take() else {
            return;
        };
        if let Some(mut policy) = self.policy.take() {
            self.decide(move || {
                let (answer, is_final) = policy.judge(&question);
                Decision::Login(Box::new(Judged {
                    policy,
                    question,
                    answer,
                    is_final,
                }))
            });
        }
    }

    fn on_login_decided(&mut self, judged: Judged) {
        if self.policy.is_some() {
            // Another policy was set meanwhile, and it is the one that counts.
            self.question = Some(judged.question);
            return self.consult_policy();
        }
        let answer = &judged.answer;
        let is_answered = self.engine.answer_auth(now(), answer).is_ok();
        if answer.accept && judged.is_final && is_answered {
            self.shared.stage.send_replace(Stage::LoggedIn);
            if let Some(done) = self.accepting.take() {
                let _ = done.send(Ok(judged.question.user));
            }
        } else {
            self.policy = Some(judged.policy);
        }
    }

    /// Starts a key exchange unless one is under way, and replies when it is complete.
    pub(super) fn rekey(&mut self, done: oneshot::Sender<Result<oneshot::Receiver<()>, Error>>) {
        let (rekeyed, is_rekeyed) = oneshot::channel();
        let started = self.engine.start_kex(now());
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
                Output::Transmit(bytes) => self.pending.push(bytes),
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
        self.0.stage.send_replace(Stage::Finished);
    }
}

/// What has come; nothing at the end of the stream, and also at an error, which will not get better.
async fn read(reader: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    poll_fn(|context| {
        READ_ROOM.with_borrow_mut(|room| {
            let mut read = ReadBuf::new(room);
            let polled = Pin::new(&mut *reader).poll_read(context, &mut read);
            polled.map(|result| result.map_or(Vec::new(), |()| read.filled().to_vec()))
        })
    })
    .await
}

/// What became of an attempt to write.
#[derive(Clone, Copy)]
enum Written {
    Some(usize),
    Flushed,
    /// Nothing more can be written.
    Ended,
}

/// Writes some of the bytes, or has the stream pass on what it was given before.
async fn pass_on(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Written {
    let written = match bytes {
        [] => writer.flush().await.map(|()| Written::Flushed),
        bytes => writer.write(bytes).await.map(|count| match count {
            0 => Written::Ended,
            count => Written::Some(count),
        }),
    };
    written.unwrap_or(Written::Ended)
}

/// What was decided, once it is. A callback that panicked takes its connection with it.
async fn join(deciding: &mut Option<JoinHandle<Decision>>) -> Decision {
    let Some(deciding) = deciding else {
        return std::future::pending().await;
    };
    match deciding.await.map_err(JoinError::try_into_panic) {
        Ok(decision) => decision,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // The runtime is shutting down, and this task with it.
        Err(Err(_)) => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
