//! The other side of a recorded connection: says again what it said, when it said it, and compares
//! what it is told with what it was told.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use minissh::trace::Direction;

use super::Stream;
use crate::verdict::Capture;
use crate::verdict::capture::Carried;

/// Bytes that are shown from the first difference on.
const SHOWN_BYTES: usize = 16;

/// A recorded connection as a stream. Clones are the same connection.
///
/// Time is not waited for: where a deadline passed before something came, it passes at once.
#[derive(Clone)]
pub struct Tape(Arc<Mutex<State>>);

struct State {
    /// What came, in order.
    to_come: VecDeque<Arrival>,
    /// All that was sent.
    recorded: Vec<u8>,
    /// How much of it was sent again.
    sent_bytes: usize,
    /// For so long nothing came, since what came last.
    waited: Duration,
    difference: Option<Difference>,
}

/// Something that came.
struct Arrival {
    what: Carried,
    /// So much had been sent before it.
    after_bytes: usize,
    /// The time since whatever was sent or came before it.
    pause: Duration,
}

/// How what is sent departs from what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// Other bytes.
    #[error("byte {at} of what our side sends is another: recorded {recorded}, now {now}")]
    Other {
        /// The first of them, counted from 0.
        at: usize,
        /// What was sent from there on, in hex.
        recorded: String,
        /// What is sent from there on, in hex.
        now: String,
    },
    /// More bytes.
    #[error("our side sends more than the {recorded} bytes that were recorded")]
    More {
        /// How many were recorded.
        recorded: usize,
    },
    /// Fewer bytes.
    #[error("our side sends {now} of the {recorded} bytes that were recorded")]
    Fewer {
        /// How many are sent.
        now: usize,
        /// How many were recorded.
        recorded: usize,
    },
}

impl Tape {
    /// The connection from its beginning.
    #[must_use]
    pub fn of(capture: &Capture) -> Self {
        let mut state = State {
            to_come: VecDeque::new(),
            recorded: Vec::new(),
            sent_bytes: 0,
            waited: Duration::ZERO,
            difference: None,
        };
        let mut before = Duration::ZERO;
        for segment in &capture.segments {
            match (&segment.what, segment.direction) {
                (Carried::Bytes(bytes), Direction::Outbound) => {
                    state.recorded.extend_from_slice(bytes);
                }
                (_, Direction::Outbound) => {}
                (what, Direction::Inbound) => {
                    state.to_come.push_back(Arrival {
                        what: what.clone(),
                        after_bytes: state.recorded.len(),
                        pause: segment.at.saturating_sub(before),
                    });
                }
            }
            before = segment.at;
        }
        Self(Arc::new(Mutex::new(state)))
    }

    /// How many bytes were sent, all as recorded.
    ///
    /// # Errors
    /// The first [`Difference`].
    pub fn compared(&self) -> Result<usize, Difference> {
        let state = self.lock();
        match &state.difference {
            Some(difference) => Err(difference.clone()),
            None if state.sent_bytes < state.recorded.len() => Err(Difference::Fewer {
                now: state.sent_bytes,
                recorded: state.recorded.len(),
            }),
            None => Ok(state.recorded.len()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream for Tape {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.lock().compare(bytes);
        Ok(())
    }

    fn receive(&mut self, room: &mut [u8], deadline: Instant) -> io::Result<Option<usize>> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.lock().arrive(room, left)
    }

    /// Everything that came is recorded, ends as well; what we did to the socket is not looked at.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn reset(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

impl State {
    fn compare(&mut self, bytes: &[u8]) {
        let at = self.sent_bytes;
        let recorded = self.recorded.get(at..).unwrap_or_default();
        let same = bytes.iter().zip(recorded).take_while(|(a, b)| a == b);
        let same = same.count();
        self.sent_bytes += bytes.len();
        let (rest, now) = (&recorded[same..], &bytes[same..]);
        if now.is_empty() || self.difference.is_some() {
            return;
        }
        if !rest.is_empty() {
            self.difference = Some(Difference::Other {
                at: at + same,
                recorded: shown(rest),
                now: shown(now),
            });
        } else if self.has_more_to_say() {
            self.difference = Some(Difference::More {
                recorded: self.recorded.len(),
            });
        }
    }

    /// After the last of their words our own may have gone to nobody, and those are not recorded.
    fn has_more_to_say(&self) -> bool {
        let mut to_come = self.to_come.iter();
        to_come.any(|arrival| matches!(arrival.what, Carried::Bytes(_)))
    }

    fn arrive(&mut self, room: &mut [u8], left: Duration) -> io::Result<Option<usize>> {
        let Some(next) = self.to_come.front_mut() else {
            return Ok(None);
        };
        // What came only after our word, or too late for this deadline, does not come now.
        if next.after_bytes > self.sent_bytes {
            return Ok(None);
        }
        if next.pause > self.waited + left {
            self.waited += left;
            return Ok(None);
        }
        self.waited = Duration::ZERO;
        let count = match &mut next.what {
            Carried::End => 0,
            Carried::Reset => return Err(ErrorKind::ConnectionReset.into()),
            Carried::Bytes(bytes) => {
                let count = bytes.len().min(room.len());
                room[..count].copy_from_slice(&bytes[..count]);
                bytes.drain(..count);
                next.pause = Duration::ZERO;
                if bytes.is_empty() {
                    self.to_come.pop_front();
                }
                count
            }
        };
        Ok(Some(count))
    }
}

fn shown(bytes: &[u8]) -> String {
    let end = bytes.len().min(SHOWN_BYTES);
    let more = if end < bytes.len() { "…" } else { "" };
    hex::encode(&bytes[..end]) + more
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::capture::Side;

    /// In milliseconds.
    const HOUR: u64 = 60 * 60 * 1000;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A greeting each, a pause of two hours, a word, and the end. Nobody waits for them, and no
    /// pause of this machine comes near.
    fn tape() -> Tape {
        let mut capture = Capture::by(Side::Client);
        capture.carry(ms(0), Direction::Outbound, b"hello");
        capture.carry(ms(1), Direction::Inbound, b"hi");
        capture.carry(ms(2 * HOUR + 1), Direction::Inbound, b"late");
        capture.end(ms(2 * HOUR + 2), Direction::Inbound);
        Tape::of(&capture)
    }

    fn heard(tape: &mut Tape, limit: Duration) -> Option<Vec<u8>> {
        let mut room = [0; 8];
        let count = tape.receive(&mut room, Instant::now() + limit);
        count.expect("no reset").map(|count| room[..count].to_vec())
    }

    #[test]
    fn what_came_comes_again_after_the_same_words_and_never_earlier() {
        let mut tape = tape();
        assert_eq!(heard(&mut tape, ms(HOUR)), None);
        tape.send(b"hel").unwrap();
        assert_eq!(heard(&mut tape, ms(HOUR)), None);
        tape.send(b"lo").unwrap();
        assert_eq!(heard(&mut tape, ms(HOUR)).as_deref(), Some(&b"hi"[..]));
        assert_eq!(heard(&mut tape, ms(3 * HOUR / 2)), None);
        let late = heard(&mut tape, ms(3 * HOUR / 2));
        assert_eq!(late.as_deref(), Some(&b"late"[..]));
        assert_eq!(heard(&mut tape, ms(HOUR)).as_deref(), Some(&b""[..]));
        assert_eq!(tape.compared(), Ok(5));
    }

    #[test]
    fn other_bytes_are_told_with_their_place() {
        let mut tape = tape();
        assert_eq!(
            tape.compared(),
            Err(Difference::Fewer {
                now: 0,
                recorded: 5
            })
        );
        tape.send(b"help!").unwrap();
        assert_eq!(
            tape.compared(),
            Err(Difference::Other {
                at: 3,
                recorded: "6c6f".to_owned(),
                now: "7021".to_owned(),
            })
        );
    }

    /// What is written to somebody who is gone is on no recording.
    #[test]
    fn more_bytes_are_a_difference_unless_all_was_said() {
        for (hears_all, compared) in [
            (false, Err(Difference::More { recorded: 5 })),
            (true, Ok(5)),
        ] {
            let mut tape = tape();
            tape.send(b"hello").unwrap();
            while hears_all && heard(&mut tape, ms(3 * HOUR)) != Some(Vec::new()) {}
            tape.send(b" again").unwrap();
            assert_eq!(tape.compared(), compared);
        }
    }
}
