//! A person at a terminal: types, and waits for what is shown.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};

use pty_process::Size;
use pty_process::blocking::{self, Pty};

use super::soon;

pub(crate) struct Person {
    terminal: Arc<Pty>,
    shown: Arc<Mutex<String>>,
    child: Child,
}

impl Person {
    /// Starts a program on a terminal of 100 columns and 30 rows.
    pub(crate) fn start(command: Command) -> Self {
        let (terminal, pts) = blocking::open().unwrap();
        terminal.resize(Size::new(30, 100)).unwrap();
        let child = blocking::Command::from(command).spawn(pts).unwrap();
        let (terminal, shown) = (Arc::new(terminal), Arc::<Mutex<String>>::default());
        std::thread::spawn({
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
            child,
        }
    }

    pub(crate) fn types(&self, keys: &str) {
        (&*self.terminal).write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn resizes(&self, columns: u16, rows: u16) {
        self.terminal.resize(Size::new(rows, columns)).unwrap();
    }

    pub(crate) fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    /// Waits until this is shown, after what was waited for before.
    pub(crate) fn sees(&self, text: &str) {
        assert!(
            soon(|| self.shown().contains(text)),
            "no {text:?} in:\n{}",
            self.shown()
        );
        let mut shown = self.shown.lock().unwrap();
        let end = shown.find(text).unwrap() + text.len();
        shown.drain(..end);
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
            self.types("\x03");
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

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
