//! A handle to one channel.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::clock::now;
use super::driver::{Driver, Job, Mailbox, Offer, Shared, TcpPath};
use super::error::Error;
use super::inbox::{Data, Exit, Inbox, Start};
use super::stream::{Reader, Writer};
use super::terminal::{ChannelEvent, Pty, TerminalSize};
use super::{ask, ended};
use crate::engine::{ApiMisuse, LocalChannelId};
use crate::msg::{ChannelExtendedData, Request};

/// A session channel. All calls take `&self` and may be made from many tasks at once; clones are
/// the same channel. When the last of them and of its [`Reader`]s and [`Writer`]s goes, the channel
/// is closed, once what was written is sent.
///
/// # The window is shared
///
/// All streams of a channel share one window. Who reads only one of them must say what becomes of
/// the other: data that nobody reads is kept, and 2 MiB of it stop the whole channel. Either read
/// both, in any order and on different tasks, or [`Self::discard`] one.
#[derive(Debug, Clone)]
pub struct Channel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: LocalChannelId,
    mailbox: Mailbox,
    shared: Arc<Shared>,
    inbox: Arc<Inbox>,
    start: Start,
}

impl Channel {
    pub(super) fn new(offer: Offer, mailbox: Mailbox, shared: Arc<Shared>) -> Self {
        let Offer { id, inbox, start } = offer;
        Self(Arc::new(Inner {
            id,
            mailbox,
            shared,
            inbox,
            start,
        }))
    }

    /// The connection that the channel is on.
    pub(crate) fn path(&self) -> Option<TcpPath> {
        self.0.shared.path
    }

    // What the peer asked for.

    /// What the peer wants to run here; `None` for a shell.
    #[must_use]
    pub fn command(&self) -> Option<&[u8]> {
        self.0.start.command.as_deref()
    }

    /// The terminal that the peer wants its program to have.
    #[must_use]
    pub fn pty(&self) -> Option<&Pty> {
        self.0.start.pty.as_ref()
    }

    /// The variables that the peer set and that [`super::SessionPolicy`] accepts, in order.
    #[must_use]
    pub fn env(&self) -> &[(String, String)] {
        &self.0.start.env
    }

    /// The next size or signal for the running program; `None` once the channel is closed. Of
    /// sizes that come faster than they are looked at, only the last is kept.
    pub async fn next_event(&self) -> Option<ChannelEvent> {
        self.0
            .inbox
            .wait_for(|state| match state.pop_event() {
                Some(event) => Some(Some(event)),
                None => state.is_closed.then_some(None),
            })
            .await
    }

    /// The same if there is one already.
    pub(crate) async fn waiting_event(&self) -> Option<ChannelEvent> {
        let inbox = &self.0.inbox;
        inbox.wait_for(|state| Some(state.pop_event())).await
    }

    // Data.

    /// The next data of any stream; `None` once the peer has sent EOF or closed and everything is
    /// read. What is read opens the window for more. Many tasks that read get distinct data.
    ///
    /// # Errors
    /// [`Error::Ended`] when the connection ended before the channel did.
    pub async fn read(&self) -> Result<Option<Data>, Error> {
        let (data, report) = self
            .0
            .inbox
            .wait_for(|state| match state.pop() {
                Some(data) => {
                    let report = state.count_read(data.bytes.len());
                    Some((Ok(Some(data)), report))
                }
                None if state.is_cut => Some((Err(ended(&self.0.shared)), None)),
                None => state.is_finished.then_some((Ok(None), None)),
            })
            .await;
        self.report(report);
        data
    }

    /// The normal stream alone, as [`tokio::io::AsyncRead`]: stdout to a client, stdin to a server.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(self.clone(), None)
    }

    /// Stderr alone, as [`tokio::io::AsyncRead`].
    #[must_use]
    pub fn stderr_reader(&self) -> Reader {
        Reader::new(self.clone(), Some(ChannelExtendedData::STDERR))
    }

    /// Into the normal stream, as [`tokio::io::AsyncWrite`]: stdin from a client, stdout from a
    /// server. Dropping it sends EOF.
    #[must_use]
    pub fn writer(&self) -> Writer {
        Writer::new(self.clone(), None)
    }

    /// Into stderr, as [`tokio::io::AsyncWrite`]. Dropping it sends nothing: EOF is for the channel
    /// as a whole.
    #[must_use]
    pub fn stderr_writer(&self) -> Writer {
        Writer::new(self.clone(), Some(ChannelExtendedData::STDERR))
    }

    /// Drops the data of one stream that is here, and from now on what comes, so that it cannot
    /// use up the window.
    pub fn discard(&self, code: Option<u32>) {
        let report = self.0.inbox.update(|state| {
            let bytes = state.discard(code);
            state.count_read(bytes)
        });
        self.report(report);
    }

    /// What has arrived of one stream, at once: how many bytes are in `room` now, 0 at its end, and
    /// `None` when it must be waited for.
    pub(super) fn try_fill(
        &self,
        code: Option<u32>,
        room: &mut [u8],
    ) -> Option<Result<usize, Error>> {
        let mut state = self.0.inbox.lock();
        let count = state.fill(code, room);
        if count == 0 {
            return match (state.is_cut, state.is_finished) {
                (true, _) => Some(Err(ended(&self.0.shared))),
                (false, is_finished) => is_finished.then_some(Ok(0)),
            };
        }
        let report = state.count_read(count);
        drop(state);
        self.report(report);
        Some(Ok(count))
    }

    /// Waits until [`Self::try_fill`] has something to say.
    pub(super) async fn readable(&self, code: Option<u32>) {
        self.0
            .inbox
            .wait_for(|state| (state.is_finished || state.has(code)).then_some(()))
            .await;
    }

    /// Tells the engine what was read.
    fn report(&self, bytes: Option<u32>) {
        let id = self.0.id;
        if let Some(bytes) = bytes {
            self.post(Box::new(move |driver| {
                driver.engine.consume(now(), id, bytes);
            }));
        }
    }

    /// Writes all of `data` to the normal stream; waits for the peer's window as needed. What a
    /// dropped future has handed over is sent all the same.
    ///
    /// # Errors
    /// [`Error::Misuse`] after our close or EOF, [`Error::ChannelClosed`], [`Error::Ended`].
    pub async fn write(&self, data: &[u8]) -> Result<(), Error> {
        self.write_to(None, data).await
    }

    /// Writes all of `data` to stderr.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_stderr(&self, data: &[u8]) -> Result<(), Error> {
        self.write_extended(ChannelExtendedData::STDERR, data).await
    }

    /// Writes all of `data` to the stream with this extended data code.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_extended(&self, code: u32, data: &[u8]) -> Result<(), Error> {
        self.write_to(Some(code), data).await
    }

    async fn write_to(&self, code: Option<u32>, data: &[u8]) -> Result<(), Error> {
        let (id, data) = (self.0.id, data.to_vec());
        self.ask(move |driver, done| driver.write(id, code, data, done))
            .await?
            .map_err(|error| self.explain(error))
    }

    /// What writes `data`, and what is told once it is written.
    pub(super) fn write_job(
        &self,
        code: Option<u32>,
        data: Vec<u8>,
    ) -> (Job, oneshot::Receiver<Result<(), Error>>) {
        let id = self.0.id;
        let (done, is_done) = oneshot::channel();
        let job: Job = Box::new(move |driver| driver.write(id, code, data, done));
        (job, is_done)
    }

    pub(super) fn eof_job(&self) -> Job {
        let id = self.0.id;
        // On a channel that is closed there is nothing to end.
        Box::new(move |driver| drop(driver.eof(id)))
    }

    /// No more data from us, once what was written is sent. Where the peer has closed the channel
    /// there is nothing to end.
    ///
    /// # Errors
    /// [`Error::Misuse`] after our close, [`Error::Ended`].
    pub async fn eof(&self) -> Result<(), Error> {
        match self.tell(Driver::eof).await {
            Err(Error::ChannelClosed) => Ok(()),
            told => told,
        }
    }

    /// Closes the channel, once what was written is sent. A second close is nothing.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn close(&self) -> Result<(), Error> {
        let id = self.0.id;
        self.ask(move |driver, done| {
            driver.close(id);
            let _ = done.send(());
        })
        .await
    }

    // What we ask of the peer.

    /// Sets a variable for the program to come. Servers accept few: LANG and LC_*, as a rule.
    ///
    /// # Errors
    /// [`Error::RequestRefused`], [`Error::Misuse`] after our close, [`Error::ChannelClosed`],
    /// [`Error::Ended`].
    pub async fn set_env(&self, name: &str, value: &str) -> Result<(), Error> {
        let (id, name, value) = (self.0.id, name.to_owned(), value.to_owned());
        self.request("env", move |driver, reply| {
            let (name, value) = (name.as_bytes(), value.as_bytes());
            driver.request(id, Request::Env { name, value }, Some(reply))
        })
        .await
    }

    /// The same without an answer, for who does not mind a no and would wait for it.
    pub(crate) async fn offer_env(&self, name: &str, value: &str) -> Result<(), Error> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.tell(move |driver, id| {
            let (name, value) = (name.as_bytes(), value.as_bytes());
            driver.request(id, Request::Env { name, value }, None)
        })
        .await
    }

    /// Asks for a terminal for the program to come.
    ///
    /// # Errors
    /// As [`Self::set_env`].
    pub async fn request_pty(&self, pty: &Pty) -> Result<(), Error> {
        let (id, pty) = (self.0.id, pty.clone());
        self.request("pty-req", move |driver, reply| {
            let modes = pty.encoded_modes();
            let request = Request::PtyReq {
                term: pty.term.as_bytes(),
                size: pty.size.to_wire(),
                modes: &modes,
            };
            driver.request(id, request, Some(reply))
        })
        .await
    }

    /// Runs a command at the other end.
    ///
    /// # Errors
    /// As [`Self::set_env`].
    pub async fn exec(&self, command: &[u8]) -> Result<(), Error> {
        let (id, command) = (self.0.id, command.to_vec());
        self.request("exec", move |driver, reply| {
            driver.request(id, Request::Exec { command: &command }, Some(reply))
        })
        .await
    }

    /// Runs the login shell at the other end.
    ///
    /// # Errors
    /// As [`Self::set_env`].
    pub async fn shell(&self) -> Result<(), Error> {
        let id = self.0.id;
        self.request("shell", move |driver, reply| {
            driver.request(id, Request::Shell, Some(reply))
        })
        .await
    }

    /// Says that our terminal has another size. Nobody answers that.
    ///
    /// # Errors
    /// [`Error::Misuse`] after our close, [`Error::ChannelClosed`], [`Error::Ended`].
    pub async fn window_change(&self, size: TerminalSize) -> Result<(), Error> {
        let size = size.to_wire();
        self.tell(move |driver, id| driver.request(id, Request::WindowChange { size }, None))
            .await
    }

    /// Sends the program at the other end a signal, named without `SIG`. Nobody answers that.
    ///
    /// # Errors
    /// As [`Self::window_change`].
    pub async fn signal(&self, signal: &str) -> Result<(), Error> {
        let signal = signal.to_owned();
        self.tell(move |driver, id| {
            let signal = signal.as_bytes();
            driver.request(id, Request::Signal { signal }, None)
        })
        .await
    }

    /// Says how the program at our end ended.
    ///
    /// # Errors
    /// As [`Self::window_change`].
    pub async fn send_exit(&self, exit: &Exit) -> Result<(), Error> {
        let exit = exit.clone();
        self.tell(move |driver, id| {
            let request = match &exit {
                Exit::Status(status) => Request::ExitStatus { status: *status },
                Exit::Signal(signal) => Request::ExitSignal {
                    signal: signal.as_bytes(),
                    core_dumped: false,
                    message: b"",
                    language: b"",
                },
            };
            driver.request(id, request, None)
        })
        .await
    }

    /// Waits until the channel is closed, and says how the program at the other end ended, if the
    /// peer said so.
    pub async fn wait(&self) -> Option<Exit> {
        self.0
            .inbox
            .wait_for(|state| state.is_closed.then(|| state.exit.clone()))
            .await
    }

    /// A request that the peer answers.
    async fn request(
        &self,
        name: &'static str,
        send: impl FnOnce(&mut Driver, oneshot::Sender<bool>) -> Result<(), ApiMisuse> + Send + 'static,
    ) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.tell(|driver, _| send(driver, reply)).await?;
        match answer.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::RequestRefused { name }),
            Err(_) if self.0.shared.end.get().is_some() => Err(ended(&self.0.shared)),
            // The peer, or we on another task, closed the channel instead.
            Err(_) => Err(self.explain(ApiMisuse::UsedClosedChannel(self.0.id).into())),
        }
    }

    /// A request that nobody answers.
    async fn tell(
        &self,
        send: impl FnOnce(&mut Driver, LocalChannelId) -> Result<(), ApiMisuse> + Send + 'static,
    ) -> Result<(), Error> {
        let id = self.0.id;
        self.ask(move |driver, done| drop(done.send(send(driver, id))))
            .await?
            .map_err(|misuse| self.explain(misuse.into()))
    }

    /// A channel that the peer closed cannot be used either, but that is not the caller's mistake:
    /// the CLOSE may have come a moment ago.
    pub(super) fn explain(&self, error: Error) -> Error {
        match error {
            Error::Misuse(ApiMisuse::UsedClosedChannel(_))
                if !self.0.inbox.lock().is_closed_by_us =>
            {
                Error::ChannelClosed
            }
            error => error,
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Driver, oneshot::Sender<T>) + Send + 'static,
    ) -> Result<T, Error> {
        ask(&self.0.mailbox, &self.0.shared, job).await
    }

    pub(super) fn ended(&self) -> Error {
        ended(&self.0.shared)
    }

    /// Has the driver do something, without waiting.
    pub(super) fn post(&self, job: Job) {
        self.0.post(job);
    }
}

impl Inner {
    fn post(&self, job: Job) {
        // Refused only when the connection is over.
        let _ = self.mailbox.send(job);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let id = self.id;
        self.post(Box::new(move |driver| driver.close(id)));
    }
}
