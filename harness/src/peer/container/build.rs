//! Building an image, and the end of what the build said when it fails: the engine's error names the
//! command that failed, and only its output says why.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt;
use testcontainers::bollard::body_full;
use testcontainers::bollard::models::{BuildInfo, BuildInfoAux};
use testcontainers::bollard::query_parameters::{BuildImageOptionsBuilder, BuilderVersion};
use tokio_tar::{Builder, Header};

use super::Engine;
use super::engine::broken;
use crate::peer::Broken;

/// Lines of a build's output that are told when it fails.
const LINES_MAX: usize = 12;

/// How long such a line may get, in characters.
const LINE_CHARS_MAX: usize = 200;

impl Engine {
    /// Builds an image of `files` (name and content), one of which is the Dockerfile.
    ///
    /// # Errors
    /// [`Broken`] with the engine's words and the last lines of the build's output.
    pub(super) fn build(
        &self,
        (name, tag): (&str, &str),
        files: &[(&str, &str)],
        arguments: &HashMap<&str, &str>,
    ) -> Result<(), Broken> {
        static BUILDS: AtomicU64 = AtomicU64::new(0);
        let what = format!("cannot build {name}:{tag}");
        let number = BUILDS.fetch_add(1, Ordering::Relaxed);
        // Two builds of one session would be taken for one.
        let session = format!("sshdrill-{}-{number}", std::process::id());
        let options = BuildImageOptionsBuilder::new()
            .t(&format!("{name}:{tag}"))
            .rm(true)
            .version(BuilderVersion::BuilderBuildKit)
            .session(&session)
            .buildargs(arguments)
            .build();
        self.runtime.block_on(async {
            let context = tar(files).await.map_err(|e| broken(&what, &e))?;
            let context = Some(body_full(context.into()));
            let mut building = self.docker.build_image(options, None, context);
            let mut output = Tail::default();
            while let Some(told) = building.next().await {
                match told {
                    Ok(told) => output.push(&said(&told)),
                    Err(e) => return Err(output.added_to(broken(&what, &e))),
                }
            }
            Ok(())
        })
    }
}

async fn tar(files: &[(&str, &str)]) -> std::io::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, content.as_bytes())
            .await?;
    }
    tar.into_inner().await
}

/// What the programs of a build wrote.
fn said(told: &BuildInfo) -> Vec<u8> {
    match &told.aux {
        Some(BuildInfoAux::BuildKit(status)) => {
            let logs = status.logs.iter().map(|log| &*log.msg);
            logs.collect::<Vec<_>>().concat()
        }
        _ => told.stream.clone().unwrap_or_default().into_bytes(),
    }
}

/// The last lines of a text that comes in pieces.
#[derive(Default)]
struct Tail {
    lines: VecDeque<String>,
    unfinished: Vec<u8>,
}

impl Tail {
    fn push(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.unfinished.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.unfinished);
        let line = String::from_utf8_lossy(&line);
        // A progress bar writes one line again and again.
        let line = line.trim_end().rsplit('\r').next().unwrap_or_default();
        if line.trim().is_empty() {
            return;
        }
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines
            .push_back(line.chars().take(LINE_CHARS_MAX).collect());
    }

    fn added_to(mut self, mut broken: Broken) -> Broken {
        self.end_line();
        if !self.lines.is_empty() {
            broken.what.push_str("\nthe end of its output:");
        }
        for line in &self.lines {
            broken.what.push_str("\n  ");
            broken.what.push_str(line);
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::catalogue::{Part, Required};

    #[test]
    fn of_a_long_output_the_last_lines_are_told() {
        let mut output = Tail::default();
        output.push(b"0 %\r50 %\r100 %\n\n");
        for number in 0..100 {
            output.push(format!("line {number}").as_bytes());
            output.push(b"\r\n");
        }
        output.push("ä".repeat(1000).as_bytes());
        let told = output.added_to(Broken::new("it failed")).what;
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(
            lines[..3],
            ["it failed", "the end of its output:", "  line 89"]
        );
        assert_eq!(lines.len(), 2 + LINES_MAX);
        assert_eq!(lines[lines.len() - 1], format!("  {}", "ä".repeat(200)));

        let mut short = Tail::default();
        short.push(b"0 %\r100 %\nno");
        let told = short.added_to(Broken::new("it failed")).what;
        assert_eq!(told, "it failed\nthe end of its output:\n  100 %\n  no");
        let none = Tail::default().added_to(Broken::new("it failed"));
        assert_eq!(none.what, "it failed");
    }

    /// With the engine, as no other knows how it words a failure.
    #[test]
    fn a_build_that_fails_says_what_its_last_command_said() {
        const BASE: &str = "debian:bookworm-slim";
        let required = Required::from_env().expect("a list of parts");
        let engine = Engine::connect().map_err(|no| Broken::from(no).what);
        let engine = match engine {
            Ok(engine) if engine.has_image(BASE) => engine,
            other => {
                let why = other.err().unwrap_or_else(|| format!("no image {BASE}"));
                assert!(!required.has(Part::Containers), "{why}");
                return eprintln!("SKIPPED: a build that fails: {why}");
            }
        };
        let dockerfile = "ARG BASE\nFROM ${BASE}\nCOPY why /why\nRUN cat /why >&2; exit 7\n";
        let files = [
            ("Dockerfile", dockerfile),
            ("why", "one line\nand another\n"),
        ];
        let name = ("sshdrill-fails", "test");
        let broken = engine.build(name, &files, &HashMap::from([("BASE", BASE)]));
        let what = broken.expect_err("a command of it fails").what;
        for part in [
            "cannot build sshdrill-fails:test: ",
            "cat /why",
            "\n  one line\n  and another",
        ] {
            assert!(what.contains(part), "{part} in\n{what}");
        }
    }
}
