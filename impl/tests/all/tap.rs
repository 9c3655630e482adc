//! A tap on a connection: passes everything on and keeps what crossed it.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Largest piece that is passed on at once; a capture holds it as one packet of TCP.
const PIECE_BYTES: usize = 16 << 10;

/// Who sent a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    Client,
    Server,
}

type Pieces = Arc<Mutex<Vec<(Sender, Vec<u8>)>>>;

/// Stands before a server for one connection.
pub(crate) struct Tap {
    pub(crate) port: u16,
    relay: JoinHandle<()>,
    pieces: Pieces,
}

impl Tap {
    pub(crate) fn on(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let pieces = Pieces::default();
        let relay = std::thread::spawn({
            let pieces = Arc::clone(&pieces);
            move || {
                let client = listener.accept().unwrap().0;
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).unwrap();
                // tshark 4.6 knows by the client's ident alone that this is SSH-2, so that the
                // KEXINIT of a server that does not wait for it would be unreadable before it.
                pass_on_line(Sender::Client, &client, &server, &pieces);
                std::thread::scope(|scope| {
                    scope.spawn(|| pass_on(Sender::Client, &client, &server, &pieces));
                    pass_on(Sender::Server, &server, &client, &pieces);
                });
            }
        });
        Self {
            port,
            relay,
            pieces,
        }
    }

    /// What crossed, once both sides have left, as the hexdump that `text2pcap -D` reads.
    pub(crate) fn hexdump(self) -> String {
        self.relay.join().unwrap();
        let mut text = String::new();
        for (sender, bytes) in self.pieces.lock().unwrap().iter() {
            text.push_str(match sender {
                Sender::Client => "I\n",
                Sender::Server => "O\n",
            });
            for (line, bytes) in bytes.chunks(16).enumerate() {
                write!(text, "{:06x}", line * 16).unwrap();
                for byte in bytes {
                    write!(text, " {byte:02x}").unwrap();
                }
                text.push('\n');
            }
        }
        text
    }
}

fn pass_on_line(sender: Sender, mut from: &TcpStream, mut to: &TcpStream, pieces: &Pieces) {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while !line.ends_with(b"\n") && from.read_exact(&mut byte).is_ok() {
        line.extend(byte);
    }
    pieces.lock().unwrap().push((sender, line.clone()));
    let _ = to.write_all(&line);
}

fn pass_on(sender: Sender, mut from: &TcpStream, mut to: &TcpStream, pieces: &Pieces) {
    let mut buffer = vec![0; PIECE_BYTES];
    // Whichever way a connection ends, there is nothing more to pass on.
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        // Kept before it is sent, so that no answer stands before its question.
        let piece = buffer[..count].to_vec();
        pieces.lock().unwrap().push((sender, piece));
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
