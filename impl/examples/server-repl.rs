//! A prompt that edits its line on the user's terminal: a small calculator that adds.
//!
//! Backspace, the arrows up and down for what was typed before, Ctrl-C to start the line anew, and
//! Ctrl-D to leave. Try it with any OpenSSH client, from another terminal:
//!
//!     cargo run --example server-repl -- 22022
//!     ssh -p 22022 127.0.0.1

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::thread;

use minissh::blocking::{self, Channel, Reader, Server, Ssh, Writer};
use minissh::engine::Config;
use minissh::net::{self, AuthPolicy, Exit, Options};

const PROMPT: &str = "add> ";

fn main() -> Result<(), Box<dyn Error>> {
    let Some(port) = std::env::args().nth(1) else {
        return Err("usage: server-repl PORT".into());
    };
    let host_key = blocking::keygen()?;
    let server = Server::bind(("127.0.0.1", port.parse()?))?;
    println!("listening on {}", server.local_addr()?);
    server.serve(
        move |_| Options::new(Config::server(host_key.clone())),
        |ssh| {
            if let Err(end) = attend(&ssh) {
                println!("{end}");
            }
        },
    )?;
    Ok(())
}

fn attend(ssh: &Ssh) -> Result<(), net::Error> {
    ssh.userauth_accept(AuthPolicy::publickey(|_, _, _| true).or_password(|_, _| true))?;
    loop {
        let channel = ssh.channel_accept()?;
        thread::spawn(move || converse(&channel));
    }
}

fn converse(channel: &Channel) -> Result<(), Box<dyn Error + Send + Sync>> {
    if channel.pty().is_none() {
        channel.write(b"This needs a terminal: ssh -t\n")?;
    } else {
        let mut prompt = Prompt::new(channel);
        while let Some(line) = prompt.read_line()? {
            let sum = line
                .split_whitespace()
                .map(str::parse::<f64>)
                .sum::<Result<f64, _>>();
            match sum {
                Ok(sum) => write!(prompt.writer, "{sum}\r\n")?,
                Err(error) => write!(prompt.writer, "{error}\r\n")?,
            }
        }
        write!(prompt.writer, "bye\r\n")?;
    }
    channel.send_exit(&Exit::Status(0))?;
    channel.close()?;
    Ok(())
}

/// The client's terminal is raw: it sends each key, and shows only what we send back.
struct Prompt {
    reader: Reader,
    writer: Writer,
    line: String,
    history: Vec<String>,
    /// Which line of the history is shown; one past its end for a new one.
    at: usize,
}

enum Key {
    Text(char),
    Backspace,
    Cancel,
    Down,
    End,
    Enter,
    Up,
    Other,
}

impl Prompt {
    fn new(channel: &Channel) -> Self {
        Self {
            reader: channel.reader(),
            writer: channel.writer(),
            line: String::new(),
            history: Vec::new(),
            at: 0,
        }
    }

    /// The next line, or nothing when the user leaves.
    fn read_line(&mut self) -> std::io::Result<Option<String>> {
        self.line.clear();
        self.at = self.history.len();
        self.show()?;
        while let Some(key) = self.read_key()? {
            match key {
                Key::Text(character) => {
                    self.line.push(character);
                    write!(self.writer, "{character}")?;
                }
                Key::Backspace => {
                    self.line.pop();
                    self.show()?;
                }
                Key::Cancel => {
                    self.line.clear();
                    write!(self.writer, "^C\r\n")?;
                    self.show()?;
                }
                Key::Up => self.recall(self.at.saturating_sub(1))?,
                Key::Down => self.recall(self.at + 1)?,
                Key::Enter => {
                    write!(self.writer, "\r\n")?;
                    self.history.push(self.line.clone());
                    return Ok(Some(self.line.clone()));
                }
                Key::End if self.line.is_empty() => break,
                Key::End | Key::Other => {}
            }
        }
        Ok(None)
    }

    fn recall(&mut self, at: usize) -> std::io::Result<()> {
        self.at = at.min(self.history.len());
        self.line = self.history.get(self.at).cloned().unwrap_or_default();
        self.show()
    }

    /// Draws the line anew.
    fn show(&mut self) -> std::io::Result<()> {
        write!(self.writer, "\r\x1b[K{PROMPT}{}", self.line)
    }

    fn read_key(&mut self) -> std::io::Result<Option<Key>> {
        let Some(byte) = self.read_byte()? else {
            return Ok(None);
        };
        Ok(Some(match byte {
            0x03 => Key::Cancel,
            0x04 => Key::End,
            0x08 | 0x7f => Key::Backspace,
            b'\r' | b'\n' => Key::Enter,
            0x1b => self.read_escape()?,
            0x20..=0x7e => Key::Text(byte.into()),
            _ => Key::Other,
        }))
    }

    /// What follows ESC: the arrows send `[A` and `[B`.
    fn read_escape(&mut self) -> std::io::Result<Key> {
        Ok(match (self.read_byte()?, self.read_byte()?) {
            (Some(b'[' | b'O'), Some(b'A')) => Key::Up,
            (Some(b'[' | b'O'), Some(b'B')) => Key::Down,
            _ => Key::Other,
        })
    }

    fn read_byte(&mut self) -> std::io::Result<Option<u8>> {
        let mut byte = [0];
        Ok((self.reader.read(&mut byte)? == 1).then_some(byte[0]))
    }
}
