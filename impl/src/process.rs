//! Runs programs of this machine on session channels: what a server needs to be of use.

use std::io;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};

use crate::msg::ChannelExtendedData;
use crate::net::{Channel, Error, Exit};

/// How much of a program's output is read at once.
const READ_BYTES: usize = 32 << 10;

/// The exit status of a shell that could not start a program.
const CANNOT_RUN: u32 = 127;

/// Runs what the peer asked for on this channel with `/bin/sh -c` (a shell reading its input, if
/// nothing was named), with our own rights and environment, to its end: output and stderr go out,
/// input comes in, and the exit status, EOF and CLOSE follow. A program whose channel is closed
/// by the peer is killed.
///
/// # Errors
/// [`Error::Ended`] when the connection ended first.
pub async fn run_on(channel: &Channel) -> Result<Exit, Error> {
    let exit = match spawn(channel.command()) {
        Ok(child) => attend(channel, child).await?,
        Err(error) => {
            channel
                .write_stderr(format!("cannot run /bin/sh: {error}\n").as_bytes())
                .await?;
            Exit::Status(CANNOT_RUN)
        }
    };
    channel.send_exit(&exit).await?;
    channel.eof().await?;
    channel.close().await?;
    Ok(exit)
}

fn spawn(command: Option<&[u8]>) -> io::Result<Child> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut shell = Command::new("/bin/sh");
    if let Some(command) = command {
        shell.arg("-c").arg(std::ffi::OsStr::from_bytes(command));
    }
    shell
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    shell.spawn()
}

async fn attend(channel: &Channel, mut child: Child) -> Result<Exit, Error> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let speak = async {
        tokio::try_join!(
            pump_out(channel, None, stdout),
            pump_out(channel, Some(ChannelExtendedData::STDERR), stderr),
        )?;
        child.wait().await.map(exit_of).map_err(|source| Error::Io {
            doing: "cannot wait for the program".to_owned(),
            source,
        })
    };
    let listen = async {
        pump_in(channel, stdin).await;
        // The peer may say no more and still listen; only its CLOSE ends the program.
        channel.wait().await;
    };
    tokio::select! {
        exit = speak => exit,
        () = listen => Ok(Exit::Signal("HUP".to_owned())),
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

async fn pump_in(channel: &Channel, stdin: Option<ChildStdin>) {
    let Some(mut stdin) = stdin else { return };
    while let Ok(Some(data)) = channel.read().await {
        // A program that does not read its input is not an error.
        if data.code.is_none() && stdin.write_all(&data.bytes).await.is_err() {
            break;
        }
    }
    drop(stdin);
    // Whatever else comes is read, so that the window does not close on the peer.
    while let Ok(Some(_)) = channel.read().await {}
}

fn exit_of(status: ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Status(u32::try_from(code).unwrap_or(CANNOT_RUN)),
        (None, signal) => Exit::Signal(signal_name(signal.unwrap_or(0)).to_owned()),
    }
}

/// The names of RFC 4254 §6.10 for the numbers that POSIX systems agree on.
fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        6 => "ABRT",
        8 => "FPE",
        9 => "KILL",
        11 => "SEGV",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        _ => "UNKNOWN@minissh",
    }
}
