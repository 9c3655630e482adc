//! Every scenario of the tree, every sample of the reference, and a museum of mistakes.

use std::path::{Path, PathBuf};
use std::time::Duration;

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
fn a_scenario_waits_for_its_pauses_in_each_round_and_for_what_need_not_come() {
    let header =
        "# T.\nscenario area/name\nsubject server\ncites rfc4253-11.1/stream-ends\n\nhandshake\n";
    let steps = "repeat 3\n  pause 100ms\nend\npause 1s\nquiet\n< debug optional within=2s\n< ignore within=9s\n";
    let path = Path::new("scenarios/area/name.scn");
    let text = format!("{header}{steps}");
    let scenarios = parse(path, "area/name", text.as_bytes(), &catalogue()).expect("it is right");
    assert_eq!(
        scenarios[0].waits(),
        Duration::from_millis(300 + 1_000 + 200 + 2_000)
    );
}

#[test]
fn every_scenario_of_the_tree_loads() {
    let scenarios =
        load_dir(&root().join("scenarios"), &catalogue()).unwrap_or_else(|e| panic!("{e}"));
    assert!(scenarios.len() >= 14);
}

/// No other run reads these.
#[test]
fn every_scenario_that_takes_too_long_for_every_run_loads() {
    let soak = load_dir(&root().join("fixtures/soak"), &catalogue());
    assert!(!soak.unwrap_or_else(|e| panic!("{e}")).is_empty());
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
        .remove(0)
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
fn what_is_told_to_peers_is_refused_where_it_makes_no_sense() {
    insta::assert_snapshot!(mistakes_of(
        "# Acts with values that cannot be, and needs that are not said.
scenario  area/name
subject   pair
cites     rfc4253-11.2/ignore

client rekeys-after 15
client rekeys-every 1500ms
server rekeys-often 1s
client login password
client shell env=\"1ST=x\" terminals
client exec \"true\" env=\"LC_A=b\" terminal channels=2
expect exit-signal SIGTERM
expect exit-signal KILL
"
    ));
    insta::assert_snapshot!(mistakes_of(
        "# Acts of a side that is ours, or too late.
scenario  area/name
subject   server
needs     rekey-limit
cites     rfc4253-11.2/ignore

client rekeys-every 1s
session
server rekeys-every 1s
rekeyed
rekeyed 0
"
    ));
}

#[test]
fn parameters_that_cannot_be_are_refused() {
    insta::assert_snapshot!(mistakes_of(
        "# Parameters in every wrong form.
scenario  area/name
subject   server
cites     rfc4253-11.2/ignore
param
param     Size 1
param     empty
param     odd a,b same same #00
param     unused 1
param     verb x={> ignore

handshake
> disconnect reason=$odd description=\"$HOME\" language=$empty$verb
> ignore     data=$same
"
    ));
}

#[test]
fn steps_that_cannot_be_are_refused() {
    insta::assert_snapshot!(mistakes_of(
        "# Steps of the later kinds, each wrong.
scenario  area/name
subject   server
cites     rfc4253-11.2/ignore

pause
pause long
quiet sometimes
release
repeat many
> ignore data=$nothing
> ignore data=\"a\"*x flip=tail:0 cut=x
> channel-data all=\"x\" size=$round
< channel-data size=1 data->window
< channel-data dta->x data->X
< fin
< tolerated closed
end
repeat 2
hold
rekey
"
    ));
}

#[test]
fn what_says_nothing_or_two_things_is_refused() {
    insta::assert_snapshot!(mistakes_of(
        "# Steps that are read as something else than they say.
scenario  area/name
subject   server
cites     rfc4253-11.2/ignore

session user=\"a\" user=\"b\"
> ignore data=\"x\" split=0
> ignore data=#0g
> userauth-request user=#0g
quiet 0s
quiet strict 1s 2s strict
pause 0ms
< ignore data=a data=b within=1s within=2s
< ignore data~a data~b data!~c
< ignore optional optional | closed within=0s
< closed reason=2 reason=3
"
    ));
}

/// Each mistake once, and at the place where it was written.
#[test]
fn a_mistake_of_many_variants_is_told_once() {
    insta::assert_snapshot!(mistakes_of(
        "# Reason $reason.
scenario  area/name
subject   server
cites     rfc4253-11.2/ignore
param     reason 1 two three
param     many 1..300

> disconnect reason=$reason
> ignore data=$many
"
    ));
    insta::assert_snapshot!(mistakes_of(
        "# Reason $reason.
scenario  area/name
subject   server
cites     rfc4253-11.2/ignore
param     reason 1 two three

> disconnect reason=$reason
> ignore dtaa=$reason
"
    ));
}

#[test]
fn a_file_with_parameters_is_several_scenarios() {
    let text = "# Reason $reason.\nscenario area/name\nsubject server\ncites rfc4253-11.2/ignore\n\
                param reason 1 2\nparam verb ignore x={debug text=\"a b\"}\n> disconnect reason=$reason\n> $verb\n";
    let path = Path::new("a.scn");
    let read = parse(path, "area/name", text.as_bytes(), &catalogue()).expect("well-formed");
    let seen: Vec<_> = read
        .iter()
        .map(|s| {
            (
                s.name.as_str(),
                s.title.as_str(),
                s.steps[1].source.as_str(),
            )
        })
        .collect();
    insta::assert_debug_snapshot!(seen);
    assert!(
        read.iter()
            .all(|scenario| scenario.file_name() == "area/name")
    );
}

#[test]
fn the_steps_of_another_file_stand_where_it_is_included() {
    let folder = tempfile::tempdir().expect("a folder");
    let write =
        |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("room");
    std::fs::create_dir(folder.path().join("area")).expect("room");
    write("area/open.steps", "# Opens.\nlogin\n> channel-open\n");
    write(
        "area/odd.steps",
        "login\n> chanel-open\nsubject server\ninclude area/open\n",
    );
    let read = |include: &str| {
        let text = format!(
            "# t\nscenario area/name\nsubject server\ncites rfc4253-11.2/ignore\n{include}\n> ignore\n"
        );
        let path = folder.path().join("area/name.scn");
        parse(&path, "area/name", text.as_bytes(), &catalogue())
    };
    let steps = &read("include area/open").expect("well-formed")[0].steps;
    let seen: Vec<_> = steps
        .iter()
        .map(|step| (step.line, step.source.as_str()))
        .collect();
    assert_eq!(seen, [(5, "login"), (5, "> channel-open"), (6, "> ignore")]);

    let messages = |include: &str| {
        let errors = read(include).expect_err("it is wrong");
        errors
            .iter()
            .map(|error| error.message().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        messages("include area/odd"),
        [
            "there is no verb `chanel-open`",
            "a header line belongs to a scenario, and this is included in many",
            "what is included cannot include in turn",
        ]
    );
    assert!(messages("include ../secret")[0].contains("is not the name"));
    assert!(messages("include area/none")[0].starts_with("cannot read"));
    assert_eq!(
        messages("include")[0],
        "after `include` there must be one name"
    );
}

/// Also one that only the whole scenario shows, and once however many include the file.
#[test]
fn a_mistake_of_an_included_file_is_shown_in_that_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let write =
        |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("room");
    for name in ["first", "second"] {
        let scenario = format!(
            "# t\nscenario {name}\nsubject server\ncites rfc4253-11.2/ignore\n\ninclude bad\n"
        );
        write(&format!("{name}.scn"), &scenario);
    }
    write(
        "bad.steps",
        "login\n> ignre\n> channel-close recipient=$peer\n",
    );

    let errors = load_dir(folder.path(), &catalogue()).expect_err("it is wrong");

    let told = errors.to_string();
    let told = told.replace(&folder.path().display().to_string(), "scenarios");
    let told: Vec<&str> = told.lines().map(str::trim_end).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
     × there is no verb `ignre`
      ╭─[scenarios/bad.steps:2:3]
    1 │ login
    2 │ > ignre
      ·   ─────
    3 │ > channel-close recipient=$peer
      ╰────
     help: did you mean `ignore`?
           included in line 6 of scenarios/first.scn

     × nothing above this line gives `$peer` a value
      ╭─[scenarios/bad.steps:3:1]
    2 │ > ignre
    3 │ > channel-close recipient=$peer
      · ───────────────────────────────
      ╰────
     help: one of `last`, `packet-max`, `round`, `window`
           included in line 6 of scenarios/first.scn
    ");
}

#[test]
fn an_empty_file_lacks_everything() {
    insta::assert_snapshot!(mistakes_of(""));
}

/// Whoever writes a scenario begins with another, or with a sample of the reference.
#[test]
fn every_scenario_and_every_sample_is_laid_out_as_fmt_does() {
    let mut texts = Vec::new();
    for folder in ["scenarios", "fixtures/soak"] {
        for path in scenario_files(&root().join(folder)).expect("readable") {
            let text = std::fs::read_to_string(&path).expect("readable");
            texts.push((path, text));
        }
    }
    assert!(!texts.is_empty());
    let reference = root().join("scenarios/README.md");
    let text = std::fs::read_to_string(&reference).expect("it is there");
    for block in text.split("```scenario\n").skip(1) {
        let sample = block.split("```").next().unwrap_or_default();
        texts.push((reference.clone(), sample.to_owned()));
    }
    let is_other = |(path, text): &&(PathBuf, String)| {
        format(path, text).is_ok_and(|formatted| formatted != *text)
    };
    let others: Vec<_> = texts.iter().filter(is_other).collect();
    assert!(others.is_empty(), "`cargo drill fmt` changes {others:#?}");
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
            let subject = match (sample.contains("client "), sample.contains("session")) {
                (true, true) => "client",
                (true, false) => "pair",
                (false, _) => "server",
            };
            format!(
                "# t\nscenario x/y\nsubject {subject}\nneeds multiplex\n\
                 cites rfc4253-11.2/ignore\n{sample}"
            )
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

/// An editor that leaves a word plain says that it is wrong.
#[test]
fn the_grammar_for_editors_knows_every_word() {
    let grammar = std::fs::read_to_string(root().join("harness/editors/sshdrill.tmLanguage.json"));
    let grammar: serde_json::Value =
        serde_json::from_str(&grammar.expect("it is there")).expect("it is JSON");
    let words_of = |rule: &str| {
        let pattern = grammar["repository"][rule]["match"]
            .as_str()
            .expect("a pattern");
        let groups = pattern.split(['(', ')']).flat_map(|group| group.split('|'));
        groups.map(str::to_owned).collect::<Vec<_>>()
    };
    let known = |rule: &str, words: Vec<&str>| {
        let rule_words = words_of(rule);
        for word in words {
            assert!(
                rule_words.iter().any(|known| known == word),
                "{rule} lacks {word}"
            );
        }
    };
    known(
        "arrow",
        verbs::VERBS
            .iter()
            .map(|verb| verb.name)
            .chain(["closed", "quiet"])
            .collect(),
    );
    known(
        "header",
        header::WORDS.into_iter().chain([expand::PARAM]).collect(),
    );
    let preludes = body::PRELUDES.map(|(name, _)| name);
    known(
        "step",
        preludes
            .into_iter()
            .chain(body::PLAIN)
            .chain(acts::ACTORS)
            .chain([parse::INCLUDE])
            .collect(),
    );
}

/// Each line of every scenario can be told in words.
#[test]
fn a_scenario_is_told_in_words() {
    let text = "# t\nscenario area/name\nsubject server\ncites rfc4253-11.2/ignore\nlogin\n\
                > ignore data=x flip=tag:0\n> fin\n< closed reason=2 within=2s\n< kexinit optional kex~a\n\
                < unimplemented sequence=last | closed | tolerated quiet\nrepeat 2\nquiet strict\nend\n";
    let read = parse(
        Path::new("a.scn"),
        "area/name",
        text.as_bytes(),
        &catalogue(),
    );
    let words: Vec<String> = read.expect("well-formed")[0]
        .steps
        .iter()
        .map(Step::in_words)
        .collect();
    insta::assert_snapshot!(words.join("\n"));
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
    "param ",
    "->",
    "$window+1",
    "repeat 2",
    "end",
    "hold",
    "quiet",
    "pause",
    "tolerated",
    "flip=tag:",
    "*9",
    "+",
    "string:",
    "size=",
    "total=",
    "$x",
    "${",
    "{",
    "}",
    "..",
    "1..9",
    "scenario ",
    "subject ",
    "pair",
    "server",
    "cites ",
    "needs ",
    "level ",
    "consequence ",
];
