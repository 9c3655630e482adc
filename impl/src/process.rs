//! Runs programs of this machine on session channels: what a server needs to be of use.
//!
//! A program on a terminal is the leader of a session of its own, a program on pipes the leader of
//! a process group: signals reach its children too, and when the channel is closed all of them get
//! `HUP`. Nothing is killed: what ignores the signal, as everything under `nohup` does, is meant to
//! run on, and users of sshd count on it.

mod login;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};
use std::time::Duration;

use pty_process::{Pty as Terminal, Size};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::termios::tcgetpgrp;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use crate::msg::ChannelExtendedData;
use crate::net::{Channel, ChannelEvent, Error, Exit, Pty, TerminalSize};
use crate::tty;

pub(crate) use login::user_name;

/// How much of a program's output is read at once.
const READ_BYTES: usize = 32 << 10;

/// The exit status of a shell that could not start a program.
const CANNOT_RUN: u32 = 127;

/// How long we wait for a program to end after `HUP`. What runs on then is none of ours any more.
const GRACE: Duration = Duration::from_secs(1);

/// How long the last words of a program that has ended may take to come. A process that it left in the
/// background may keep its output open for ever, and print for ever.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// More than a terminal holds of what was written to it and is not read: 64 KiB and a page on Linux.
const TERMINAL_BYTES: usize = 128 << 10;

/// The names of RFC 4254 §6.10.
const SIGNALS: [(&str, Signal); 13] = [
    ("ABRT", Signal::ABORT),
    ("ALRM", Signal::ALARM),
    ("FPE", Signal::FPE),
    ("HUP", Signal::HUP),
    ("ILL", Signal::ILL),
    ("INT", Signal::INT),
    ("KILL", Signal::KILL),
    ("PIPE", Signal::PIPE),
    ("QUIT", Signal::QUIT),
    ("SEGV", Signal::SEGV),
    ("TERM", Signal::TERM),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
];

/// Runs what the peer asked for on this channel, with our own rights, in our home directory: its
/// command by the shell that `$SHELL` names, or else that shell itself as a login shell. It runs on
/// a terminal if the peer asked for one, and has the environment of a login: `USER`, `LOGNAME`,
/// `HOME`, `SHELL`, `PATH`, our `LANG` and `TZ`, where the user came from (`SSH_CONNECTION`), what the
/// peer may set, and nothing else of ours. Output and stderr go out, input comes in, and the exit
/// status, EOF and CLOSE follow. Where a process that the program left behind still holds its output,
/// the status does not wait for the rest. A program whose channel is closed first is hung up on, as is
/// one whose future is dropped: that is [`Exit::Signal`] with `HUP`, whatever becomes of it.
///
/// # Errors
/// [`Error::Ended`] when the connection ended first.
pub async fn run_on(channel: &Channel) -> Result<Exit, Error> {
    let ended = match run(channel).await {
        Err(error) if is_closed(&error) => None,
        ended => ended?,
    };
    let Some(ended) = ended else {
        return Ok(Exit::Signal("HUP".to_owned()));
    };
    match tell(channel, &ended).await {
        // Closed in the moment in which the program ended.
        Err(error) if is_closed(&error) => {}
        told => told?,
    }
    Ok(ended.exit)
}

/// The end of a program.
struct Ended {
    exit: Exit,
    /// The peer knows.
    told: bool,
}

impl Ended {
    fn untold(exit: Exit) -> Self {
        Self { exit, told: false }
    }
}

/// Whether a channel was closed, by the peer or by another handle of ours.
fn is_closed(error: &Error) -> bool {
    matches!(error, Error::ChannelClosed | Error::Misuse(_))
}

/// To the end of the program, or `None` when the channel is closed first.
async fn run(channel: &Channel) -> Result<Option<Ended>, Error> {
    match Program::start(channel) {
        Ok(program) => program.attend(channel).await,
        Err(error) => {
            let text = format!("cannot run {}: {error}\n", login::shell().display());
            channel.write_stderr(text.as_bytes()).await?;
            Ok(Some(Ended::untold(Exit::Status(CANNOT_RUN))))
        }
    }
}

async fn tell(channel: &Channel, ended: &Ended) -> Result<(), Error> {
    if !ended.told {
        channel.send_exit(&ended.exit).await?;
    }
    channel.eof().await?;
    channel.close().await
}

/// What to run, on whatever input and output.
fn command(channel: &Channel) -> Command {
    let shell = login::shell();
    let mut command = Command::new(&shell);
    match channel.command() {
        Some(line) => drop(command.arg("-c").arg(OsStr::from_bytes(line))),
        None => {
            // The dash tells a shell that it is a login shell.
            let mut name = OsString::from("-");
            name.push(Path::new(&shell).file_name().unwrap_or(&shell));
            command.arg0(name);
        }
    }
    if let Some(home) = login::home().filter(|home| home.is_dir()) {
        command.current_dir(home);
    }
    command.env_clear().envs(login::environment());
    command.envs(channel.path().into_iter().flat_map(login::connection));
    command.envs(channel.env().iter().map(|(name, value)| (name, value)));
    command
}

/// A running program and where it talks.
struct Program {
    group: Group,
    streams: Streams,
}

/// Lets programs start with the signals as a login has them.
///
/// A server that was started in the background ignores some signals, and what is ignored stays so
/// in every program that it starts: nobody could press Ctrl-C in their shells. A handler that does
/// nothing is the same to us, and is gone in a program. (Setting the dispositions in the child
/// would need `unsafe`.)
fn stop_ignoring_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP] {
            if is_ignored(signal) {
                // Where it cannot be, programs ignore it as before.
                let _ = signal_hook::flag::register(signal, Arc::default());
            }
        }
    });
}

/// Whether this process ignores a signal, as Linux tells; no where it does not.
#[must_use]
pub fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}

enum Streams {
    Pipes,
    Terminal(Terminal),
}

impl Program {
    fn start(channel: &Channel) -> io::Result<Self> {
        /// A program that is started between the opening of a terminal and its close-on-exec mark
        /// would inherit it and keep it open.
        static STARTING: Mutex<()> = Mutex::new(());
        stop_ignoring_signals();
        let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        match channel.pty() {
            Some(pty) => Self::start_on_terminal(channel, pty),
            None => Self::start_on_pipes(channel),
        }
    }

    fn start_on_pipes(channel: &Channel) -> io::Result<Self> {
        let mut command = command(channel);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        Ok(Self {
            group: Group::new(command.spawn()?, None),
            streams: Streams::Pipes,
        })
    }

    fn start_on_terminal(channel: &Channel, pty: &Pty) -> io::Result<Self> {
        let (terminal, pts) = pty_process::open().map_err(io::Error::other)?;
        resize(&terminal, pty.size);
        // What the system does not take is not worth failing for.
        let _ = tty::set_modes(&terminal, &pty.modes);
        let mut command = command(channel);
        if !pty.term.is_empty() {
            command.env("TERM", &pty.term);
        }
        if let Ok(name) = rustix::pty::ptsname(&terminal, Vec::new()) {
            command.env("SSH_TTY", OsStr::from_bytes(name.as_bytes()));
        }
        let control = terminal.as_fd().try_clone_to_owned()?;
        let command = pty_process::Command::from(command);
        let child = command.spawn(pts).map_err(io::Error::other)?;
        Ok(Self {
            group: Group::new(child, Some(control)),
            streams: Streams::Terminal(terminal),
        })
    }

    /// To the end of the program, or `None` when the channel is closed first.
    async fn attend(self, channel: &Channel) -> Result<Option<Ended>, Error> {
        let Self {
            mut group,
            mut streams,
        } = self;
        let ended = match &mut streams {
            Streams::Pipes => attend_pipes(channel, &mut group).await,
            Streams::Terminal(terminal) => attend_terminal(channel, &mut group, terminal).await,
        };
        // Closing a terminal hangs up on its programs, so that it goes before we wait for them.
        drop(streams);
        if !matches!(ended, Ok(Some(_))) {
            group.hang_up().await;
        }
        ended
    }
}

fn resize(terminal: &Terminal, size: TerminalSize) {
    if let Some(size) = winsize(size) {
        let _ = terminal.resize(size);
    }
}

/// A size that is no terminal's is ignored.
fn winsize(size: TerminalSize) -> Option<Size> {
    let short = |length: u32| u16::try_from(length).ok();
    Some(Size::new_with_pixel(
        short(size.rows)?,
        short(size.columns)?,
        short(size.width_pixels)?,
        short(size.height_pixels)?,
    ))
}

async fn attend_pipes(channel: &Channel, group: &mut Group) -> Result<Option<Ended>, Error> {
    let child = &mut group.child;
    let (stdin, mut stdout, mut stderr) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let signals = group.signals();
    // Of a program that a process outlives which holds its output.
    let outlived = OnceLock::new();
    let obey = |event: ChannelEvent| match event {
        // The group's number may be another's by now.
        ChannelEvent::Signalled(_) if outlived.get().is_some() => {}
        ChannelEvent::Signalled(name) => signals.send(&name),
        ChannelEvent::Resized(_) => {}
    };
    let speak = async {
        let mut output = pin!(async {
            tokio::try_join!(
                pump_out(channel, None, stdout.as_mut()),
                pump_out(channel, Some(ChannelExtendedData::STDERR), stderr.as_mut()),
            )
        });
        let exit = tokio::select! {
            spoken = &mut output => {
                spoken?;
                return group.wait().await.map(|exit| Some(Ended::untold(exit)));
            }
            exit = group.wait() => exit?,
        };
        if let Ok(spoken) = tokio::time::timeout(LAST_WORDS, &mut output).await {
            return spoken.map(|_| Some(Ended::untold(exit)));
        }
        channel.send_exit(outlived.get_or_init(|| exit)).await?;
        // How it ended is in `outlived` from here on.
        output.await?;
        Ok(None)
    };
    let ended = tokio::select! {
        ended = speak => ended,
        () = pump_in(channel, stdin, &obey) => Ok(None),
        () = obey_all(channel, &obey) => Ok(None),
    };
    // Open until the program has ended: its last words must not kill it by `PIPE`.
    group.child.stdout = stdout;
    group.child.stderr = stderr;
    match outlived.into_inner() {
        Some(exit) => Ok(Some(Ended { exit, told: true })),
        None => ended,
    }
}

async fn attend_terminal(
    channel: &Channel,
    group: &mut Group,
    terminal: &mut Terminal,
) -> Result<Option<Ended>, Error> {
    let signals = group.signals();
    let dimensions = terminal.as_fd().try_clone_to_owned().ok();
    let (output, input) = terminal.split();
    let obey = |event: ChannelEvent| match event {
        ChannelEvent::Resized(size) => {
            if let (Some(terminal), Some(size)) = (&dimensions, winsize(size)) {
                let _ = rustix::termios::tcsetwinsize(terminal, size.into());
            }
        }
        ChannelEvent::Signalled(name) => signals.send(&name),
    };
    tokio::select! {
        exit = pump_terminal(channel, group, output) => exit.map(Ended::untold).map(Some),
        () = pump_in(channel, Some(input), &obey) => Ok(None),
        () = obey_all(channel, &obey) => Ok(None),
    }
}

/// Passes on sizes and signals until the channel is closed.
async fn obey_all(channel: &Channel, obey: impl Fn(ChannelEvent)) {
    while let Some(event) = channel.next_event().await {
        obey(event);
    }
}

async fn pump_out(
    channel: &Channel,
    code: Option<u32>,
    stream: Option<impl AsyncRead + Unpin>,
) -> Result<(), Error> {
    let Some(mut stream) = stream else {
        return Ok(());
    };
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        match (buffer.get(..count).unwrap_or_default(), code) {
            ([], _) => return Ok(()),
            (bytes, None) => channel.write(bytes).await?,
            (bytes, Some(code)) => channel.write_extended(code, bytes).await?,
        }
    }
}

/// Passes on what is written to the terminal until its program has ended, and what is in it then.
async fn pump_terminal(
    channel: &Channel,
    group: &mut Group,
    mut terminal: impl AsyncRead + Unpin,
) -> Result<Exit, Error> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = tokio::select! {
            exit = group.wait() => {
                channel.write(&last_words(terminal).await).await?;
                return exit;
            }
            count = terminal.read(&mut buffer) => count.unwrap_or(0),
        };
        match buffer.get(..count).unwrap_or_default() {
            // Reading fails once nobody has it open any more.
            [] => return group.wait().await,
            bytes => channel.write(bytes).await?,
        }
    }
}

/// What a terminal still holds. It is read before any of it is passed on, because a peer that takes
/// its time may not use up ours.
async fn last_words(terminal: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut words = Vec::with_capacity(READ_BYTES);
    let mut terminal = terminal.take(TERMINAL_BYTES as u64);
    let read = async { while let Ok(1..) = terminal.read_buf(&mut words).await {} };
    // An end, an error and too much time are all the same.
    let _ = tokio::time::timeout(LAST_WORDS, read).await;
    words
}

/// Input to the program, until the channel is closed: the peer may say no more and still listen.
async fn pump_in(
    channel: &Channel,
    stdin: Option<impl AsyncWrite + Unpin>,
    obey: impl Fn(ChannelEvent),
) {
    if let Some(mut stdin) = stdin {
        while let Ok(Some(data)) = channel.read().await {
            // A size that came before the data is the size when they are read.
            while let Some(event) = channel.waiting_event().await {
                obey(event);
            }
            // A program that does not read its input is not an error.
            if data.code.is_none() && stdin.write_all(&data.bytes).await.is_err() {
                break;
            }
        }
    }
    // Whatever else comes is read, so that the window does not close on the peer.
    while let Ok(Some(_)) = channel.read().await {}
    channel.wait().await;
}

/// A program with the process group that it leads. Dropped before it is waited for, it is hung up on.
struct Group {
    child: Child,
    /// Until the program was waited for: its number may be another's afterwards.
    leader: Option<Pid>,
    terminal: Option<OwnedFd>,
}

impl Group {
    fn new(child: Child, terminal: Option<OwnedFd>) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok());
        Self {
            leader: leader.and_then(Pid::from_raw),
            child,
            terminal,
        }
    }

    fn signals(&self) -> Signals {
        let terminal = self.terminal.as_ref();
        Signals {
            leader: self.leader,
            terminal: terminal.and_then(|terminal| terminal.try_clone().ok()),
        }
    }

    async fn wait(&mut self) -> Result<Exit, Error> {
        let status = self.child.wait().await.map_err(|source| Error::Io {
            doing: "cannot wait for the program".to_owned(),
            source,
        })?;
        self.leader = None;
        Ok(exit_of(status))
    }

    async fn hang_up(&mut self) {
        self.terminal = None;
        self.send_hup();
        let _ = tokio::time::timeout(GRACE, self.wait()).await;
        // Once is enough.
        self.leader = None;
    }

    fn send_hup(&self) {
        if let Some(leader) = self.leader {
            let _ = kill_process_group(leader, Signal::HUP);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.send_hup();
    }
}

/// Where the signals go that the peer sends.
struct Signals {
    leader: Option<Pid>,
    terminal: Option<OwnedFd>,
}

impl Signals {
    /// To what is in the foreground of the terminal, as a key would; without one, to the group.
    fn send(&self, name: &str) {
        let foreground = self.terminal.as_ref().and_then(|t| tcgetpgrp(t).ok());
        let known = SIGNALS.iter().find(|(known, _)| *known == name);
        if let (Some((_, signal)), Some(group)) = (known, foreground.or(self.leader)) {
            let _ = kill_process_group(group, *signal);
        }
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Status(u32::try_from(code).unwrap_or(CANNOT_RUN)),
        (None, signal) => Exit::Signal(signal_name(signal.unwrap_or(0)).to_owned()),
    }
}

fn signal_name(number: i32) -> &'static str {
    SIGNALS
        .iter()
        .find(|(_, signal)| signal.as_raw() == number)
        .map_or("UNKNOWN@minissh", |(name, _)| name)
}
