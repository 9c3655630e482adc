//! What the user tells us and not the remote shell: `~` at the start of a line, as in `ssh`.

/// What `~?` shows, for a raw terminal.
pub(super) const HELP: &str = "~?\r\n\
    At the start of a line:\r\n  \
    ~.   end the connection\r\n  \
    ~R   change the keys of the connection\r\n  \
    ~^Z  suspend minissh\r\n  \
    ~?   this\r\n  \
    ~~   a ~ for the remote shell\r\n";

const ESCAPE: u8 = b'~';

const CTRL_Z: u8 = 0x1a;

/// What to do, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    Send(Vec<u8>),
    Help,
    Leave,
    Rekey,
    Suspend,
}

impl Act {
    /// What a key after the escape stands for; `None` for keys that are the remote shell's.
    fn of(key: u8) -> Option<Self> {
        match key {
            b'.' => Some(Self::Leave),
            b'?' => Some(Self::Help),
            b'R' => Some(Self::Rekey),
            CTRL_Z => Some(Self::Suspend),
            _ => None,
        }
    }
}

/// Where in the line the keys are.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    #[default]
    LineStart,
    /// After a `~` at the start of a line, which is kept back.
    Escape,
    Within,
}

/// Finds the escapes in what is typed, however it is cut.
#[derive(Debug, Default)]
pub(super) struct Escapes {
    at: At,
}

impl Escapes {
    pub(super) fn read(&mut self, keys: &[u8]) -> Vec<Act> {
        let (mut acts, mut plain) = (Vec::new(), Vec::new());
        for &key in keys {
            let act = self.read_key(key, &mut plain);
            if let Some(act) = act {
                acts.extend(taken(&mut plain));
                acts.push(act);
            }
        }
        acts.extend(taken(&mut plain));
        acts
    }

    fn read_key(&mut self, key: u8, plain: &mut Vec<u8>) -> Option<Act> {
        match (self.at, key) {
            (At::LineStart, ESCAPE) => {
                self.at = At::Escape;
                return None;
            }
            (At::Escape, ESCAPE) => plain.push(ESCAPE),
            (At::Escape, key) => match Act::of(key) {
                None => plain.extend([ESCAPE, key]),
                act => {
                    self.at = At::LineStart;
                    return act;
                }
            },
            (At::LineStart | At::Within, key) => plain.push(key),
        }
        self.at = match key {
            b'\r' | b'\n' => At::LineStart,
            _ => At::Within,
        };
        None
    }
}

fn taken(plain: &mut Vec<u8>) -> Option<Act> {
    (!plain.is_empty()).then(|| Act::Send(std::mem::take(plain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(bytes: &[u8]) -> Act {
        Act::Send(bytes.to_vec())
    }

    #[test]
    fn escapes_count_at_the_start_of_a_line_only() {
        let read = |keys: &[u8]| Escapes::default().read(keys);
        assert_eq!(read(b"~."), [Act::Leave]);
        assert_eq!(read(b"ls\r~."), [sent(b"ls\r"), Act::Leave]);
        assert_eq!(read(b"a~.b"), [sent(b"a~.b")]);
        assert_eq!(read(b"~?x"), [Act::Help, sent(b"x")]);
        assert_eq!(
            read(b"\r~R~\x1a~."),
            [sent(b"\r"), Act::Rekey, Act::Suspend, Act::Leave]
        );
        assert_eq!(read(b"~~."), [sent(b"~.")]);
        assert_eq!(read(b"~x\r"), [sent(b"~x\r")]);
    }

    #[test]
    fn escapes_are_found_key_by_key() {
        let mut escapes = Escapes::default();
        assert_eq!(escapes.read(b"\r"), [sent(b"\r")]);
        assert_eq!(escapes.read(b"~"), []);
        assert_eq!(escapes.read(b"."), [Act::Leave]);
    }
}
