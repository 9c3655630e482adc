//! Every scenario of the tree, every sample of the reference, and a museum of mistakes.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::requirement::Catalogue;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn catalogue() -> Catalogue {
    Catalogue::load(&root().join("fixtures/requirements")).expect("ours are well-formed")
}

fn mistakes_of(text: &str) -> String {
    let path = Path::new("scenarios/area/name.scn");
    let errors = parse(path, "area/name", text.as_bytes(), &catalogue()).expect_err("it is wrong");
    // The excerpts end in blanks that editors and diffs do not keep.
    errors
        .to_string()
        .lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn every_scenario_of_the_tree_loads() {
    let scenarios =
        load_dir(&root().join("scenarios"), &catalogue()).unwrap_or_else(|e| panic!("{e}"));
    assert!(scenarios.len() >= 14);
}

/// A clause that nothing cites would look tested in a list.
#[test]
fn every_clause_is_cited() {
    let scenarios = load_dir(&root().join("scenarios"), &catalogue()).expect("see the test above");
    for clause in catalogue().iter() {
        assert!(
            scenarios
                .iter()
                .any(|scenario| scenario.cites.contains(&clause.id)),
            "nothing cites {}",
            clause.id
        );
    }
}

#[test]
fn level_and_consequence_come_from_the_first_clause_unless_said() {
    let text = "# t\nscenario area/name\nsubject server\ncites rfc4253-11.2/ignore\nhandshake\n";
    let read = |text: &str| {
        parse(
            Path::new("a.scn"),
            "area/name",
            text.as_bytes(),
            &catalogue(),
        )
        .expect("well-formed")
    };
    assert_eq!(read(text).level, Level::Must);
    assert!(read(text).consequence.starts_with("Peers that send it"));

    let said = text.replace(
        "handshake",
        "level may\nconsequence None at all.\nhandshake",
    );
    assert_eq!(
        (read(&said).level, read(&said).consequence.as_str()),
        (Level::May, "None at all.")
    );
}

#[test]
fn unknown_words_are_refused_with_what_was_meant() {
    insta::assert_snapshot!(mistakes_of(
        "# Words that nobody knows.
scenario  area/name
subject   sever
needs     strickt-kex
cites     rfc4253-11.2/ingore
levle     must

> idnet     SSH-2.0-scripted
> kexinit   kx=curve25519-sha256
< kexinit   kex~a optinal
< closed    withn=2s
handshaek
"
    ));
}

#[test]
fn wrong_values_are_refused_with_what_would_do() {
    insta::assert_snapshot!(mistakes_of(
        "# Values that cannot be.
scenario  area/name
subject   server
cites     rfc4253-11.2/ignore

> disconnect  reason=two
> raw         payload=#012
> ignore      data=\"a\\qb\"
> kexinit     cookie=#00 first-kex-packet-follows=maybe
> ecdh-reply  shared-secret=leading-zeros
< disconnect  reason=1|x|4294967296
< closed      within=2 reason=two
> ignore      data=\"never closed
"
    ));
}

#[test]
fn what_does_not_fit_together_is_refused() {
    insta::assert_snapshot!(mistakes_of(
        "# Lines in the wrong file.
scenario  other/name
subject   client
cites     rfc4253-11.2/ignore
cites     rfc4253-11.2/ignore

client login publickey
< ecdh-reply
< disconnect | closed
< disconnect |
> ignore data~x
> ignore data=a data=b
< ecdh-init  signed-by=other-key
needs     strict-kex
>ident
"
    ));
}

#[test]
fn a_pair_has_acts_in_their_order() {
    insta::assert_snapshot!(mistakes_of(
        "# Acts in the wrong order.
scenario  area/name
subject   pair
cites     rfc4253-11.2/ignore

expect stdout \"early\"
client exec sha256sum stdin=sec:10 chanels=0
client login passwort
handshake
expect login accepted
expect exit-status 256
"
    ));
}

#[test]
fn an_empty_file_lacks_everything() {
    insta::assert_snapshot!(mistakes_of(""));
}

/// Each fenced block of the reference that begins with `# ` and has a header is a whole scenario;
/// every other is a few lines of a body.
#[test]
fn every_sample_of_the_reference_parses() {
    let reference =
        std::fs::read_to_string(root().join("scenarios/README.md")).expect("it is there");
    let mut samples = 0;
    for block in reference.split("```scenario\n").skip(1) {
        let sample = block.split("```").next().unwrap_or_default();
        let text = if sample.contains("scenario  ") {
            sample.to_owned()
        } else {
            let subject = if sample.starts_with("client ") {
                "pair"
            } else {
                "server"
            };
            format!("# t\nscenario x/y\nsubject {subject}\ncites rfc4253-11.2/ignore\n{sample}")
        };
        let name = text
            .lines()
            .find_map(|line| line.strip_prefix("scenario"))
            .map_or("", str::trim);
        parse(Path::new("README.md"), name, text.as_bytes(), &catalogue())
            .unwrap_or_else(|errors| panic!("{errors}"));
        samples += 1;
    }
    assert!(samples >= 3);
}

/// The reference lists what the table knows, no less and no more.
#[test]
fn the_reference_lists_every_verb_with_its_fields() {
    let reference =
        std::fs::read_to_string(root().join("scenarios/README.md")).expect("it is there");
    for verb in verbs::VERBS {
        let mut fields: Vec<&str> = verb.fields.iter().map(|field| field.name).collect();
        fields.dedup();
        if fields.is_empty() {
            fields.push("–");
        }
        let row = format!("| `{}` | {} |", verb.name, fields.join(", "));
        assert!(reference.contains(&row), "scenarios/README.md lacks\n{row}");
    }
}

proptest! {
    /// A file is somebody's typing; it may be refused but not crash the run.
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(Path::new("x.scn"), "x", &bytes, &Catalogue::default());
    }

    /// Random bytes seldom reach the inner rules; lines made of the notation's own pieces do.
    #[test]
    fn no_line_of_known_pieces_makes_the_parser_panic(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..60),
    ) {
        let text = pieces.concat();
        if let Err(errors) = parse(Path::new("x.scn"), "x", text.as_bytes(), &Catalogue::default()) {
            prop_assert!(errors.iter().count() > 0);
            prop_assert!(!errors.render(true).is_empty());
        }
    }
}

const PIECES: &[&str] = &[
    " ",
    " ",
    " ",
    "\n",
    "\n",
    "\r",
    "\t",
    "> ",
    "< ",
    "ident",
    "kexinit",
    "ignore",
    "closed",
    "raw",
    "data",
    "payload",
    "kex",
    "=",
    "~",
    "|",
    " | ",
    "#",
    "#0",
    "#01ff",
    "\"",
    "\\",
    "\\x",
    "é",
    "x",
    "within=",
    "2s",
    "99999999999999999999m",
    "reason=",
    "2|3",
    "optional",
    "strict",
    "handshake",
    "client ",
    "expect ",
    "exec ",
    "login ",
    "stdin=",
    "seq:",
    "18446744073709551615",
    "0x",
    "channels=",
    "scenario ",
    "subject ",
    "pair",
    "server",
    "cites ",
    "needs ",
    "level ",
    "consequence ",
];
