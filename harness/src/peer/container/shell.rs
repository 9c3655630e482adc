//! A shell that stays in a container and runs one script after the other: a new process costs the
//! engine a tenth of a second, a line to a shell that is there next to nothing.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use testcontainers::bollard::Docker;
use testcontainers::bollard::container::LogOutput;
use testcontainers::bollard::errors::Error as EngineError;
use testcontainers::bollard::exec::{CreateExecOptions, StartExecResults};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite,
    AsyncWriteExt as _,
};
use tokio_util::io::StreamReader;

use crate::peer::process::Ran;

/// What the shell does. It is sent a line of a limit in seconds and two lengths, a script, and what
/// the script finds on its stdin; it answers with a line of the exit status and two lengths, stdout
/// and stderr. Its own complaints come where the line should.
///
/// What a script leaves behind in the background keeps its own files: they are made anew each time. Of
/// one that was stopped, which may have written for a minute, a megabyte has to do.
const LOOP: &str = r#"exec 2>&1
files=$(mktemp -d) || exit
while read -r limit script stdin; do
    head -c "$script" >"$files/script"
    head -c "$stdin" >"$files/stdin"
    timeout --kill-after=1 "$limit" \
        sh "$files/script" <"$files/stdin" >"$files/stdout" 2>"$files/stderr"
    code=$?
    case $code in
    124 | 137) truncate --size='<1M' "$files/stdout" "$files/stderr" ;;
    esac
    echo "$code $(wc -c <"$files/stdout") $(wc -c <"$files/stderr")"
    cat "$files/stdout" "$files/stderr"
    rm "$files/stdout" "$files/stderr"
done"#;

/// What timeout(1) says of a program that it had to stop, and of one it had to kill.
const STOPPED: [i32; 2] = [124, 137];

/// Longest line that is waited for, in bytes.
const LINE_BYTES_MAX: u64 = 4 << 10;

pub(super) struct Shell {
    input: Pin<Box<dyn AsyncWrite + Send>>,
    output: Pin<Box<dyn AsyncBufRead + Send>>,
}

impl Shell {
    pub(super) async fn start(docker: &Docker, container: &str) -> Result<Self, EngineError> {
        let options = CreateExecOptions {
            cmd: Some(vec!["sh", "-c", LOOP]),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            ..CreateExecOptions::default()
        };
        let id = docker.create_exec(container, options).await?.id;
        match docker.start_exec(&id, None).await? {
            StartExecResults::Attached { output, input } => {
                let output =
                    output.map(|piece| piece.map(LogOutput::into_bytes).map_err(io::Error::other));
                Ok(Self {
                    input,
                    output: Box::pin(StreamReader::new(output)),
                })
            }
            StartExecResults::Detached => unreachable!("we asked to be attached"),
        }
    }

    /// Runs a script, at most for `limit`; one that is stopped is stopped with all processes that it
    /// started. After an error the shell is of no use any more.
    pub(super) async fn run(
        &mut self,
        script: &str,
        stdin: &[u8],
        limit: Duration,
    ) -> io::Result<Ran> {
        let limit = limit.as_secs_f64();
        let head = format!("{limit} {} {}\n", script.len(), stdin.len());
        for part in [head.as_bytes(), script.as_bytes(), stdin] {
            self.input.write_all(part).await?;
        }
        self.input.flush().await?;
        let mut line = String::new();
        let mut start = self.output.as_mut().take(LINE_BYTES_MAX);
        start.read_line(&mut line).await?;
        let numbers: Option<Vec<u32>> = line.split(' ').map(|n| n.trim().parse().ok()).collect();
        let Some(&[code, stdout, stderr]) = numbers.as_deref() else {
            let said = line.trim();
            return Err(io::Error::other(match said {
                "" => "its shell has ended".to_owned(),
                said => format!("its shell says: {said}"),
            }));
        };
        let stdout = take(&mut self.output, stdout).await?;
        let stderr = take(&mut self.output, stderr).await?;
        Ok(Ran {
            stdout,
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            code: i32::try_from(code)
                .ok()
                .filter(|code| !STOPPED.contains(code)),
        })
    }
}

async fn take(from: &mut (impl AsyncRead + Unpin), length: u32) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(length.into()).read_to_end(&mut bytes).await?;
    Ok(bytes)
}
