//! A person at a terminal: types, and waits for what is shown.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use pty_process::Size;
use pty_process::blocking::{self, Pty};

use crate::facade::soon;

pub(crate) struct Person {
    terminal: Arc<Pty>,
    shown: Arc<Mutex<String>>,
    /// Reads until nobody has the terminal open any more.
    reader: JoinHandle<()>,
    child: Child,
    /// The modes of the terminal before anything ran on it.
    pub(crate) modes_before: Vec<(u8, u32)>,
}

impl Person {
    /// Starts a program on a terminal of 100 columns and 30 rows.
    pub(crate) fn start(command: Command) -> Self {
        let (terminal, pts) = blocking::open().unwrap();
        terminal.resize(Size::new(30, 100)).unwrap();
        let modes_before = minissh::tty::modes(&terminal).unwrap();
        let child = blocking::Command::from(command).spawn(pts).unwrap();
        let (terminal, shown) = (Arc::new(terminal), Arc::<Mutex<String>>::default());
        let reader = std::thread::spawn({
            let (terminal, shown) = (Arc::clone(&terminal), Arc::clone(&shown));
            move || {
                let mut buffer = [0; 4_096];
                while let Ok(count @ 1..) = (&*terminal).read(&mut buffer) {
                    let text = String::from_utf8_lossy(&buffer[..count]);
                    shown.lock().unwrap().push_str(&text);
                }
            }
        });
        Self {
            terminal,
            shown,
            reader,
            child,
            modes_before,
        }
    }

    pub(crate) fn types(&self, keys: &str) {
        (&*self.terminal).write_all(keys.as_bytes()).unwrap();
    }

    /// Types a line.
    pub(crate) fn says(&self, line: &str) {
        self.types(&format!("{line}\n"));
    }

    pub(crate) fn resizes(&self, columns: u16, rows: u16) {
        self.terminal.resize(Size::new(rows, columns)).unwrap();
    }

    pub(crate) fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    /// Waits until this is shown, after what was waited for before; what was shown up to its end.
    pub(crate) fn sees(&self, text: &str) -> String {
        assert!(
            soon(|| self.shown().contains(text)),
            "no {text:?} in:\n{}",
            self.shown()
        );
        let mut shown = self.shown.lock().unwrap();
        let end = shown.find(text).unwrap() + text.len();
        shown.drain(..end).collect()
    }

    /// Types this again and again until that is shown.
    pub(crate) fn asks_until(&self, keys: &str, text: &str) {
        let shows = || {
            self.types(keys);
            std::thread::sleep(std::time::Duration::from_millis(100));
            self.shown().contains(text)
        };
        assert!(soon(shows), "no {text:?} in:\n{}", self.shown());
    }

    pub(crate) fn modes(&self) -> Vec<(u8, u32)> {
        minissh::tty::modes(&*self.terminal).unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Presses Ctrl-C until the program ends. A shell that is hit just as a command of its own ends
    /// takes the signal for that command's and goes on, as it would for a person.
    pub(crate) fn interrupts(&mut self) -> ExitStatus {
        let mut status = None;
        let ended = soon(|| {
            // In vain if the program has left the terminal and is still about to end.
            let _ = (&*self.terminal).write_all(b"\x03");
            std::thread::sleep(std::time::Duration::from_millis(100));
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(ended, "still running, having shown:\n{}", self.shown());
        status.unwrap()
    }

    /// Waits for the program to end.
    pub(crate) fn ends(&mut self) -> ExitStatus {
        let mut status = None;
        let ended = soon(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(ended, "still running, having shown:\n{}", self.shown());
        status.unwrap()
    }
}

/// Everything that a program shows from now to its end, and its exit code.
pub(crate) fn ending(mut person: Person) -> (i32, String) {
    let status = person.ends();
    // What it wrote before its end is still on its way through the terminal.
    soon(|| person.reader.is_finished());
    (status.code().expect("nobody kills it"), person.shown())
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
