//! An independent reader of our connections: tshark, in a container, decrypts a capture with our key
//! log and checks the tag of every packet. Skipped loudly without a container engine, or failed if
//! `SSHDRILL_REQUIRE` names containers.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use crate::openssh::{Home, Sshd, skip};
use crate::program::output;
use crate::tap::Tap;
use sha2::{Digest as _, Sha256};

const DOCKERFILE: &str = include_str!("../../../docker/tshark/Dockerfile");

/// What is sent through the connections: more than a few exchanges' worth at [`REKEY_LIMIT`].
const SENT_BYTES: usize = 400 << 10;

const REKEY_LIMIT: &str = "64K";

/// Makes a capture of what came by tar, and shows what SSH packets are in it: direction, message
/// numbers, whether the tags are right, lengths of channel data, and what could not be read.
const READ: &str = "tar -x && text2pcap -q -D -T 40000,22022 dump capture.pcapng >&2 \
    && exec tshark -r capture.pcapng -d tcp.port==22022,ssh -o ssh.keylog_file:keys -Y ssh \
       -T fields -e tcp.dstport -e ssh.message_code -e ssh.mac.status -e ssh.channel_data_length \
       -e ssh.encrypted_packet -e _ws.malformed";

fn docker(arguments: &[&str]) -> Output {
    let ran = Command::new("docker").args(arguments).output();
    ran.unwrap_or_else(|error| panic!("docker {arguments:?}: {error}"))
}

/// The image's name, once it is there; built once for all runs to come, under the name that the
/// harness gives it too.
fn image() -> Option<&'static str> {
    static IMAGE: OnceLock<Option<String>> = OnceLock::new();
    let image = IMAGE.get_or_init(|| {
        if !Command::new("docker")
            .arg("version")
            .output()
            .is_ok_and(|ran| ran.status.success())
        {
            return None;
        }
        let mut hash = Sha256::new();
        hash.update((DOCKERFILE.len() as u64).to_be_bytes());
        hash.update(DOCKERFILE);
        let hash = hash
            .finalize()
            .iter()
            .take(6)
            .fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").unwrap();
                hex
            });
        let name = format!("sshdrill-tshark:sid-{hash}");
        if !docker(&["image", "inspect", &name]).status.success() {
            build(&name);
        }
        Some(name)
    });
    if image.is_none() {
        skip("containers", "no container engine answers `docker version`");
    }
    image.as_deref()
}

fn build(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker");
    output(Command::new(folder.join("make-base")).arg("sid"));
    let context = folder.join("tshark");
    let context = context.to_str().unwrap();
    let built = docker(&["build", "--build-arg", "SUITE=sid", "-t", name, context]);
    assert!(built.status.success(), "{built:?}");
}

/// What tshark reads in one direction of a connection.
#[derive(Debug, Default)]
struct Reading {
    /// The numbers of the messages, in their order.
    messages: Vec<u32>,
    /// How many had a tag that is right.
    verified: usize,
    /// How much data of channels was in them.
    data_bytes: usize,
}

impl Reading {
    fn count(&self, message: u32) -> usize {
        self.messages.iter().filter(|m| **m == message).count()
    }
}

/// What tshark reads in a capture with the key log `keys` in `folder`: to the server, to the client.
fn read(image: &str, folder: &Path, tap: Tap) -> [Reading; 2] {
    std::fs::write(folder.join("dump"), tap.hexdump()).unwrap();
    let mut tar = Command::new("tar");
    let tar = tar
        .arg("-C")
        .arg(folder)
        .args(["-c", "dump", "keys"])
        .output()
        .unwrap();
    let mut tshark = Command::new("docker")
        .args([
            "run",
            "--rm",
            "-i",
            "--network",
            "none",
            image,
            "sh",
            "-c",
            READ,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    tshark.stdin.take().unwrap().write_all(&tar.stdout).unwrap();
    let read = tshark.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{said}");
    let mut readings = [Reading::default(), Reading::default()];
    for line in String::from_utf8(read.stdout).unwrap().lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [port, messages, tags, data, unread @ ..] = &fields[..] else {
            panic!("{line:?} has other fields");
        };
        assert!(
            unread.iter().all(|field| field.is_empty()),
            "cannot be read: {line}"
        );
        let numbers = |field: &str| -> Vec<u32> {
            let words = field.split(',').filter(|word| !word.is_empty());
            words.map(|word| word.parse().unwrap()).collect()
        };
        let reading = &mut readings[usize::from(*port != "22022")];
        reading.messages.extend(numbers(messages));
        reading.verified += numbers(tags).iter().filter(|tag| **tag == 1).count();
        reading.data_bytes += numbers(data).iter().sum::<u32>() as usize;
    }
    readings
}

const KEXINIT: u32 = 20;
const NEWKEYS: u32 = 21;

/// Everything was decrypted, from the first exchange through every later one. The session may end
/// within the last exchange: then a side began it and has no keys of it, or has not used them.
fn check(readings: &[Reading; 2], keys: &str) {
    let exchanges = keys.lines().count();
    assert!(exchanges > 4, "{exchanges} exchanges are several");
    for reading in readings {
        let (begun, ended) = (reading.count(KEXINIT), reading.count(NEWKEYS));
        assert!(
            ended <= exchanges && exchanges <= begun && begun <= ended + 1,
            "{begun} exchanges begun, {ended} ended, {exchanges} with keys"
        );
        assert_eq!(reading.data_bytes, SENT_BYTES);
        let first = reading.messages.iter().position(|m| *m == NEWKEYS).unwrap();
        let encrypted = reading.messages.len() - (first + 1);
        assert_eq!(
            reading.verified, encrypted,
            "each of them has a tag that is right"
        );
    }
}

/// Text of that length, of which each line is another.
fn text(bytes: usize) -> Vec<u8> {
    let lines = (0..).flat_map(|number: u32| format!("{number}\n").into_bytes());
    lines.take(bytes).collect()
}

/// Sends [`SENT_BYTES`] through `client`, which must bring them back.
fn send_through(client: &mut Command) {
    let input = text(SENT_BYTES);
    let mut child = client
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let sender = std::thread::spawn({
        let input = input.clone();
        move || stdin.write_all(&input).unwrap()
    });
    let output = child.wait_with_output().unwrap();
    sender.join().unwrap();
    assert!(output.status.success() && output.stdout == input);
}

#[test]
fn tshark_reads_a_session_of_ssh_by_the_servers_key_log() {
    let home = Home::new();
    let keys = home.path("keys");
    let path = keys.to_str().unwrap();
    let server = home.serve(&["--key-log", path]);
    let tap = Tap::on(server.port);
    let (Some(image), Some(mut ssh)) = (image(), home.ssh(tap.port)) else {
        return;
    };
    // The client begins all exchanges: behind one that the server begins, tshark 4.6 reads nothing.
    send_through(ssh.args(["-o", "RekeyLimit=100K", "cat"]));
    let readings = read(image, home.folder(), tap);
    let keys = std::fs::read_to_string(keys).unwrap();
    check(&readings, &keys);
}

#[test]
fn tshark_reads_a_session_with_sshd_by_the_clients_key_log() {
    let home = Home::new();
    let (Some(image), Some(sshd)) = (image(), Sshd::start_with_user(&home)) else {
        return;
    };
    let tap = Tap::on(sshd.port);
    let mut exec = home.minissh("exec", tap.port);
    exec.args(["--rekey-limit", REKEY_LIMIT, "cat"])
        .env("SSHKEYLOGFILE", home.path("keys"));
    send_through(&mut exec);
    let readings = read(image, home.folder(), tap);
    let keys = std::fs::read_to_string(home.path("keys")).unwrap();
    check(&readings, &keys);
}
