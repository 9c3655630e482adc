//! One connection of an end of ours, kept so that it can be played again without the other side.
//!
//! Our side draws everything random from a seed and takes time and bytes from outside, so that the
//! bytes that came make it send the same bytes again. A transcript is what that takes, in a file:
//! who played what with which seed, what came and went, and how it ended.

mod stream;
mod tape;

use std::time::Duration;

use minissh::trace::Direction;
use serde::{Deserialize, Serialize};

use crate::verdict::capture::{Carried, Side};
use crate::verdict::{Capture, Verdict};

pub use stream::{Stream, ready};
pub use tape::{Difference, Tape};

/// The version of the format.
const SCHEMA: u32 = 1;

/// Why some text is no transcript.
#[derive(Debug, thiserror::Error)]
pub enum NotATranscript {
    /// Not the form of one.
    #[error("{0}")]
    Malformed(#[from] toml::de::Error),
    /// The form of another version.
    #[error("it has schema {0}, and this program reads {SCHEMA}")]
    OtherSchema(u32),
    /// A segment that says nothing.
    #[error("segment {number} is none: `{text}`")]
    NoSegment {
        /// From 1.
        number: usize,
        /// Its beginning.
        text: String,
    },
    /// Something that no transcript is made of.
    #[error("{0}")]
    Unusable(&'static str),
}

/// A recorded connection, and what it was about.
#[derive(Debug, Clone)]
pub struct Transcript {
    /// The scenario's name.
    pub scenario: String,
    /// Id of the client.
    pub client: String,
    /// Id of the server.
    pub server: String,
    /// Product and version of the side that is not ours.
    pub peer: String,
    /// What all randomness of our side was derived from.
    pub seed: u64,
    /// Who logged in.
    pub user: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What came and went.
    pub capture: Capture,
}

/// The same as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: u32,
    scenario: String,
    client: String,
    server: String,
    peer: String,
    /// All 64 bits, more than a TOML number keeps.
    seed: String,
    user: String,
    verdict: Verdict,
    recorder: Recorder,
    segments: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Recorder {
    Client,
    Server,
}

impl Transcript {
    /// The extension of such files.
    pub const EXTENSION: &str = "transcript";

    /// As it goes into a file.
    ///
    /// # Errors
    /// [`NotATranscript::Unusable`] when there is too much of it, so that its end is missing.
    pub fn to_text(&self) -> Result<String, NotATranscript> {
        if self.capture.is_cut {
            return Err(NotATranscript::Unusable(
                "so much came and went that the end was not kept",
            ));
        }
        let file = File {
            schema: SCHEMA,
            scenario: self.scenario.clone(),
            client: self.client.clone(),
            server: self.server.clone(),
            peer: self.peer.clone(),
            seed: format!("{:#x}", self.seed),
            user: self.user.clone(),
            verdict: self.verdict,
            recorder: match self.capture.recorder {
                Side::Client => Recorder::Client,
                Side::Server => Recorder::Server,
            },
            segments: self.capture.segments.iter().map(written).collect(),
        };
        toml::to_string_pretty(&file)
            .map_err(|_| NotATranscript::Unusable("it holds what TOML cannot say"))
    }

    /// From what a file holds.
    ///
    /// # Errors
    /// [`NotATranscript`].
    pub fn parse(text: &str) -> Result<Self, NotATranscript> {
        let file: File = toml::from_str(text)?;
        if file.schema != SCHEMA {
            return Err(NotATranscript::OtherSchema(file.schema));
        }
        let seed = file.seed.strip_prefix("0x");
        let seed = seed.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let mut capture = Capture::by(match file.recorder {
            Recorder::Client => Side::Client,
            Recorder::Server => Side::Server,
        });
        for (number, text) in (1..).zip(&file.segments) {
            read_into(&mut capture, text).ok_or_else(|| NotATranscript::NoSegment {
                number,
                text: text.chars().take(40).collect(),
            })?;
        }
        Ok(Self {
            scenario: file.scenario,
            client: file.client,
            server: file.server,
            peer: file.peer,
            seed: seed.ok_or(NotATranscript::Unusable("its seed is no number in hex"))?,
            user: file.user,
            verdict: file.verdict,
            capture,
        })
    }
}

/// `> 0.312 5353482d`: the direction as we see it, milliseconds, and the bytes.
fn written(segment: &crate::verdict::capture::Segment) -> String {
    let arrow = match segment.direction {
        Direction::Outbound => '>',
        Direction::Inbound => '<',
    };
    let what = match &segment.what {
        Carried::Bytes(bytes) => hex::encode(bytes),
        Carried::End => "end".to_owned(),
        Carried::Reset => "reset".to_owned(),
    };
    let micros = segment.at.as_micros();
    format!("{arrow} {}.{:03} {what}", micros / 1000, micros % 1000)
}

fn read_into(capture: &mut Capture, text: &str) -> Option<()> {
    let mut words = text.split(' ');
    let direction = match words.next()? {
        ">" => Direction::Outbound,
        "<" => Direction::Inbound,
        _ => return None,
    };
    let (whole, parts) = words.next()?.split_once('.')?;
    let micros: u64 = (parts.len() == 3).then(|| parts.parse().ok())??;
    let at = Duration::from_millis(whole.parse().ok()?) + Duration::from_micros(micros);
    match words.next()? {
        "end" => capture.end(at, direction),
        "reset" => capture.reset(at, direction),
        bytes => capture.carry(at, direction, &hex::decode(bytes).ok()?),
    }
    words.next().is_none().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript() -> Transcript {
        let mut capture = Capture::by(Side::Server);
        let at = Duration::from_micros;
        capture.carry(at(12), Direction::Outbound, b"SSH-2.0-scripted\r\n");
        capture.carry(at(1_012), Direction::Inbound, &[0, 255]);
        capture.end(at(2_000_000), Direction::Inbound);
        Transcript {
            scenario: "auth/password".to_owned(),
            client: "openssh-sid".to_owned(),
            server: "scripted".to_owned(),
            peer: "OpenSSH 10.0p1".to_owned(),
            seed: u64::MAX,
            user: "drill".to_owned(),
            verdict: Verdict::Pass,
            capture,
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = transcript().to_text().expect("it is small");
        assert!(text.contains("\"< 1.012 00ff\""), "{text}");
        let again = Transcript::parse(&text).expect("we wrote it");
        assert_eq!(again.capture, transcript().capture);
        assert_eq!(again.to_text().expect("it is small"), text);
    }

    #[test]
    fn what_is_no_transcript_is_refused_with_the_place() {
        let text = transcript().to_text().expect("it is small");
        for (right, wrong, why) in [
            ("< 1.012 00ff", "< 1.012 00f", "segment 2 is none"),
            ("< 1.012 00ff", "< 1.12 00ff", "segment 2 is none"),
            ("schema = 1", "schema = 9", "schema 9"),
            ("0xffffffffffffffff", "many", "its seed"),
            ("user =", "usr =", "usr"),
        ] {
            let error = Transcript::parse(&text.replace(right, wrong)).expect_err(wrong);
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
