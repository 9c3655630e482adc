//! A capture opens decrypted in Wireshark, with nothing but the file: an independent reader says
//! that framing, keys and numbers are right.

use std::time::Duration;

use sshdrill::peer::catalogue::{Part, Required};
use sshdrill::peer::container::{Engine, Image};
use testcontainers::core::ExecCommand;
use testcontainers::runners::SyncRunner;
use testcontainers::{Container, GenericImage, ImageExt};

use crate::made_up::PASSES;
use crate::stage::{REKEYS, Stage, stdout};

/// Earlier ones lose their place at NEWKEYS under strict key exchange.
const SUITE: &str = "sid";

/// tshark in a container, or nothing with a loud reason; fails when containers are required.
fn tshark(captures: &[(&str, Vec<u8>)]) -> Option<Container<GenericImage>> {
    let required = Required::from_env().expect("a list of parts");
    let engine = match Engine::connect() {
        Ok(engine) => engine,
        Err(why) => {
            assert!(
                !required.has(Part::Containers),
                "containers must be here: {why:?}"
            );
            eprintln!("SKIPPED: captures in tshark: {why:?}");
            return None;
        }
    };
    let image = Image::new("tshark", SUITE, None).expect("it is in the tree");
    for built in Image::build_all(&engine, std::slice::from_ref(&image), &|what| {
        eprintln!("{what}");
    }) {
        built.unwrap_or_else(|broken| panic!("{broken}"));
    }
    let (name, tag) = image.name_and_tag();
    let mut request = GenericImage::new(name, tag)
        .with_network("none")
        .with_startup_timeout(Duration::from_secs(180));
    for (path, bytes) in captures {
        request = request.with_copy_to(*path, bytes.clone());
    }
    Some(request.start().expect("it starts"))
}

fn read(tshark: &Container<GenericImage>, words: &str) -> String {
    let mut ran = tshark
        .exec(ExecCommand::new(["sh", "-c", words]))
        .expect("the engine runs it");
    let said = ran.stdout_to_vec().expect("it can be read");
    let text = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(
        ran.exit_code().expect("it ended"),
        Some(0),
        "{words}: {text}"
    );
    text
}

/// What tshark says of the SSH packets of a capture, each in one line.
fn fields(tshark: &Container<GenericImage>, path: &str, fields: &[&str]) -> Vec<String> {
    let fields: Vec<String> = fields.iter().map(|field| format!("-e {field}")).collect();
    let words = format!(
        "tshark -r {path} -Y ssh -T fields -E occurrence=a {}",
        fields.join(" ")
    );
    read(tshark, &words).lines().map(str::to_owned).collect()
}

#[test]
fn tshark_decrypts_every_packet_of_a_session_with_three_rekeys() {
    let stage = Stage::with(&[REKEYS, PASSES]);
    let ran = stage.run("--pairing minissh:minissh --pairing scripted:minissh --captures all");
    assert_eq!(ran.status.code(), Some(0), "{}", stdout(&ran));
    let capture = |case: &str| {
        let path = stage.path("out/made-up").join(case).join("capture.pcapng");
        std::fs::read(path).expect("written")
    };
    let (scripted, pair) = ("/tmp/scripted.pcapng", "/tmp/pair.pcapng");
    let Some(tshark) = tshark(&[
        (scripted, capture("rekeys/scripted-to-minissh")),
        (pair, capture("passes/minissh-to-minissh")),
    ]) else {
        return;
    };

    let log = stage.text("out/made-up/rekeys/scripted-to-minissh/packets.txt");
    assert_decrypted(&tshark, scripted, &log);
    let all = read(&tshark, &format!("tshark -r {scripted} -V"));
    for text in ["text one", "text two", "text three", "text four"] {
        assert_eq!(
            all.matches(&format!("{text}\\n")).count(),
            2,
            "{text}, there and back: {all}"
        );
    }
    assert_eq!(log.matches("NEWKEYS").count(), 8);

    let log = stage.text("out/made-up/passes/minissh-to-minissh/packets.txt");
    assert_decrypted(&tshark, pair, &log);
    let all = read(&tshark, &format!("tshark -r {pair} -V"));
    assert!(
        all.contains("hello\\n") && all.contains("exit-status"),
        "{all}"
    );
}

/// Everything that our packet log has after NEWKEYS, tshark has too, with a tag that is right.
fn assert_decrypted(tshark: &Container<GenericImage>, path: &str, log: &str) {
    let sealed = log.lines().filter(|line| {
        let number = line.split_whitespace().nth(2).unwrap_or_default();
        number
            .split_once(':')
            .is_some_and(|(epoch, _)| epoch != "0")
    });
    let right = fields(tshark, path, &["ssh.mac.status"]);
    let statuses: Vec<&str> = right
        .iter()
        .flat_map(|line| line.split(','))
        .filter(|s| !s.is_empty())
        .collect();
    assert_eq!(statuses.len(), sealed.count(), "{right:?}\n{log}");
    assert!(statuses.iter().all(|status| *status == "1"), "{statuses:?}");
    let lost = read(tshark, &format!("tshark -r {path} -Y _ws.malformed"));
    assert_eq!(lost, "", "malformed");
}
