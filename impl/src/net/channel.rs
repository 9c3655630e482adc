//! A handle to one channel.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::driver::{Driver, Job, Shared};
use super::error::Error;
use super::inbox::{Data, Exit, Inbox};
use super::{ask, ended};
use crate::engine::LocalChannelId;
use crate::msg::{ChannelExtendedData, Request};

/// A session channel. All calls take `&self` and may be made from many tasks at once. Dropping it
/// closes the channel.
#[derive(Debug)]
pub struct Channel {
    id: LocalChannelId,
    mailbox: mpsc::Sender<Job>,
    shared: Arc<Shared>,
    inbox: Arc<Inbox>,
    command: Option<Vec<u8>>,
    runtime: tokio::runtime::Handle,
}

impl Channel {
    /// Made by the driver, on its runtime.
    pub(super) fn new(
        id: LocalChannelId,
        mailbox: mpsc::Sender<Job>,
        shared: Arc<Shared>,
        inbox: Arc<Inbox>,
        command: Option<Vec<u8>>,
    ) -> Self {
        let runtime = tokio::runtime::Handle::current();
        Self {
            id,
            mailbox,
            shared,
            inbox,
            command,
            runtime,
        }
    }

    /// What the peer wants to run here; `None` for a shell.
    #[must_use]
    pub fn command(&self) -> Option<&[u8]> {
        self.command.as_deref()
    }

    /// The next data of any stream; `None` once the peer has sent EOF or closed and everything is
    /// read. What is read opens the window for more.
    ///
    /// # Errors
    /// [`Error::Ended`] when the connection ended before the channel did.
    pub async fn read(&self) -> Result<Option<Data>, Error> {
        let next = self
            .inbox
            .wait_for(|state| match state.data.pop_front() {
                Some(data) => Some(Some(data)),
                None => state.is_finished.then_some(None),
            })
            .await;
        let Some(data) = next else {
            return self
                .shared
                .end
                .get()
                .map_or(Ok(None), |_| Err(ended(&self.shared)));
        };
        let (id, bytes) = (self.id, u32::try_from(data.bytes.len()).unwrap_or(u32::MAX));
        let consume = move |driver: &mut Driver| driver.engine.consume(Instant::now(), id, bytes);
        // The connection may be over; the data is here all the same.
        let _ = self.mailbox.send(Box::new(consume)).await;
        Ok(Some(data))
    }

    /// Writes all of `data` to the normal stream; waits for the peer's window as needed.
    ///
    /// # Errors
    /// [`Error::Misuse`] on a closed channel or after EOF, [`Error::Ended`].
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
        let (id, data) = (self.id, data.to_vec());
        self.ask(move |driver, done| driver.write(id, code, data, done))
            .await?
    }

    /// No more data from us.
    ///
    /// # Errors
    /// [`Error::Misuse`] on a closed channel, [`Error::Ended`].
    pub async fn eof(&self) -> Result<(), Error> {
        let id = self.id;
        self.ask(move |driver, done| {
            let _ = done.send(driver.engine.eof(Instant::now(), id));
        })
        .await?
        .map_err(Error::from)
    }

    /// Closes the channel, once what was written is sent. A second close is nothing.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn close(&self) -> Result<(), Error> {
        let id = self.id;
        self.ask(move |driver, done| {
            driver.engine.close(Instant::now(), id);
            let _ = done.send(());
        })
        .await
    }

    /// Runs a command at the other end.
    ///
    /// # Errors
    /// [`Error::RequestRefused`], [`Error::Ended`].
    pub async fn exec(&self, command: &[u8]) -> Result<(), Error> {
        let (id, command) = (self.id, command.to_vec());
        let accepted = self
            .ask(move |driver, reply| {
                // On a channel that is gone the reply is dropped with the job.
                let _ = driver.request(id, Request::Exec { command: &command }, Some(reply));
            })
            .await?;
        if accepted {
            Ok(())
        } else {
            Err(Error::RequestRefused { name: "exec" })
        }
    }

    /// Says how the program at our end ended.
    ///
    /// # Errors
    /// [`Error::Misuse`] on a closed channel, [`Error::Ended`].
    pub async fn send_exit(&self, exit: &Exit) -> Result<(), Error> {
        let (id, exit) = (self.id, exit.clone());
        self.ask(move |driver, done| {
            let request = match &exit {
                Exit::Status(status) => Request::ExitStatus { status: *status },
                Exit::Signal(signal) => Request::ExitSignal {
                    signal: signal.as_bytes(),
                    core_dumped: false,
                    message: b"",
                    language: b"",
                },
            };
            let _ = done.send(driver.request(id, request, None));
        })
        .await?
        .map_err(Error::from)
    }

    /// Waits until the channel is closed, and says how the program at the other end ended, if the
    /// peer said so.
    pub async fn wait(&self) -> Option<Exit> {
        self.inbox
            .wait_for(|state| state.is_closed.then(|| state.exit.clone()))
            .await
    }

    async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Driver, oneshot::Sender<T>) + Send + 'static,
    ) -> Result<T, Error> {
        ask(&self.mailbox, &self.shared, job).await
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let id = self.id;
        let close: Job = Box::new(move |driver| driver.engine.close(Instant::now(), id));
        if let Err(mpsc::error::TrySendError::Full(close)) = self.mailbox.try_send(close) {
            let mailbox = self.mailbox.clone();
            self.runtime.spawn(async move {
                let _ = mailbox.send(close).await;
            });
        }
    }
}
