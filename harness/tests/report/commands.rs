//! The commands that work on reports, and the forms that other programs read.

use boon::{Compiler, SchemaIndex, Schemas};
use quick_xml::events::Event;
use quick_xml::reader::Reader;
use serde_json::Value;

use crate::made_up::{FAILS, PASSES};
use crate::stage::{Stage, stderr, stdout};

/// Elements of the schema that Jenkins' xUnit plugin publishes as `junit-10.xsd`, and the
/// attributes that each may have; GitLab reads a part of them.
const JUNIT: &[(&str, &[&str])] = &[
    (
        "testsuites",
        &["name", "time", "tests", "failures", "errors"],
    ),
    (
        "testsuite",
        &[
            "name",
            "tests",
            "failures",
            "errors",
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
            "log",
            "url",
        ],
    ),
    ("properties", &[]),
    ("property", &["name", "value"]),
    ("testcase", &["name", "time", "classname", "group"]),
    ("skipped", &["type", "message"]),
    ("failure", &["type", "message"]),
    ("error", &["type", "message"]),
    ("flakyFailure", &["type", "message"]),
    ("flakyError", &["type", "message"]),
    ("system-out", &[]),
    ("system-err", &[]),
];

/// Of which elements each may be a part.
const INSIDE: &[(&str, &str)] = &[
    ("testsuite", "testsuites"),
    ("properties", "testsuite"),
    ("property", "properties"),
    ("testcase", "testsuite"),
    ("skipped", "testcase"),
    ("failure", "testcase"),
    ("error", "testcase"),
    ("flakyFailure", "testcase"),
    ("flakyError", "testcase"),
    ("system-out", "testcase"),
];

fn assert_is_junit(xml: &str) {
    let mut reader = Reader::from_str(xml);
    let mut open: Vec<String> = Vec::new();
    loop {
        let event = reader.read_event().expect("well-formed");
        let (element, is_empty) = match &event {
            Event::Start(element) => (element, false),
            Event::Empty(element) => (element, true),
            Event::End(_) => {
                open.pop();
                continue;
            }
            Event::Eof => break,
            _ => continue,
        };
        let name = String::from_utf8_lossy(element.name().as_ref()).into_owned();
        let known = JUNIT.iter().find(|(known, _)| *known == name);
        let (_, attributes) = known.unwrap_or_else(|| panic!("{name} is no element"));
        for attribute in element.attributes() {
            let attribute = attribute.expect("well-formed");
            let key = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
            assert!(attributes.contains(&&*key), "{name} has no {key}");
        }
        if let Some(parent) = open.last() {
            assert!(INSIDE.contains(&(&name, parent)), "{name} is in {parent}");
        }
        if !is_empty {
            open.push(name);
        }
    }
}

/// The published schema, ready to check with.
struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Schema {
    fn load() -> Self {
        let text = include_str!("../../schema/report.json");
        let schema: Value = serde_json::from_str(text).expect("JSON");
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler
            .add_resource("report.json", schema)
            .expect("an address");
        let index = compiler.compile("report.json", &mut schemas);
        let index = index.unwrap_or_else(|error| panic!("it is no schema: {error:#}"));
        Self { schemas, index }
    }

    fn accepts(&self, report: &Value) -> bool {
        self.schemas.validate(report, self.index).is_ok()
    }

    fn assert_accepts(&self, text: &str) {
        let report: Value = serde_json::from_str(text).expect("JSON");
        if let Err(error) = self.schemas.validate(&report, self.index) {
            panic!("{error:#}");
        }
    }
}

#[test]
fn a_run_is_told_in_every_form_and_each_is_made_again_from_the_json() {
    let stage = Stage::with(&[PASSES, FAILS]);
    let forms = "--json run.json --junit 1.xml --markdown 1.md --html 1.html";
    let ran = stage.run(&format!("--pairing minissh:minissh --repeat 2 {forms}"));
    assert_eq!(ran.status.code(), Some(1), "{}", stderr(&ran));
    Schema::load().assert_accepts(&stage.text("run.json"));
    assert_is_junit(&stage.text("1.xml"));
    assert!(
        stage
            .text("1.md")
            .contains("## sshdrill: some cases failed")
    );

    let again = stage.sshdrill("report run.json --junit 2.xml --markdown 2.md --html 2.html");
    assert!(again.status.success(), "{}", stderr(&again));
    for form in ["xml", "md", "html"] {
        let [first, second] = ["1", "2"].map(|name| stage.text(&format!("{name}.{form}")));
        assert!(first == second, "the {form} is another");
    }
}

#[test]
fn junit_has_a_word_for_what_only_another_try_showed() {
    let marker = tempfile::tempdir().expect("a temporary folder");
    let marker = marker.path().join("been-here");
    let marker = marker.display();
    let command = format!("test -e {marker} || {{ touch {marker}; exit 1; }}; echo hello");
    let stage = Stage::with(&[&PASSES.replace("echo hello", &command)]);
    let ran = stage.run("--pairing minissh:minissh --retries 1 --junit run.xml");
    assert!(ran.status.success(), "{}", stderr(&ran));
    let junit = stage.text("run.xml");
    assert_is_junit(&junit);
    assert!(junit.contains("<flakyFailure"), "{junit}");
    assert!(
        junit.contains("message=\"a try before ended in fail"),
        "{junit}"
    );
}

/// The record of a real run with everything in it that can be: the example of other programs.
#[test]
fn the_schema_refuses_what_is_not_a_report() {
    let stage = Stage::with(&[FAILS]);
    stage.run("--pairing minissh:minissh --json run.json");
    let report: Value = serde_json::from_str(&stage.text("run.json")).expect("JSON");
    let schema = Schema::load();
    assert!(schema.accepts(&report));
    for (place, wrong) in [
        ("/schema", Value::from(1)),
        ("/seed", Value::from(7)),
        ("/cases/0/verdict", Value::from("passed")),
        ("/cases/0/packets/shown/0/from", Value::from("peer")),
    ] {
        let mut report = report.clone();
        *report.pointer_mut(place).expect("it is there") = wrong;
        assert!(!schema.accepts(&report), "{place}");
    }
}

#[test]
fn shards_are_merged_and_compared() {
    let stage = Stage::with(&[PASSES, FAILS]);
    stage.run("--pairing minissh:minissh --json whole.json --seed 7");
    for shard in ["1", "2"] {
        let ran = stage.run(&format!(
            "--pairing minissh:minissh --json {shard}.json --seed 7 --shard {shard}/2"
        ));
        assert_ne!(ran.status.code(), Some(2), "{}", stderr(&ran));
    }
    let merged = stage.sshdrill("merge 1.json 2.json -o merged.json");
    assert_eq!(
        merged.status.code(),
        Some(1),
        "a case failed: {}",
        stderr(&merged)
    );
    Schema::load().assert_accepts(&stage.text("merged.json"));
    let part = stage.text("1.json");
    assert!(part.contains("\"shard\": {\n    \"number\": 1,"), "{part}");
    Schema::load().assert_accepts(&part);

    let half = stage.sshdrill("merge 1.json -o half.json");
    assert_eq!(half.status.code(), Some(2), "{}", stderr(&half));
    let said = stderr(&half);
    assert!(said.contains("no report of shard 2/2 is there"), "{said}");
    assert!(said.contains("hint: give all shards"), "{said}");
    assert!(!stage.path("half.json").exists());

    let same = stage.sshdrill("diff whole.json merged.json");
    assert_eq!(same.status.code(), Some(0), "{}", stdout(&same));
    assert!(stdout(&same).contains("2 cases compared: 0 worse, 0 better, 0 new, 0 gone"));

    let report = stage.text("whole.json");
    std::fs::write(
        stage.path("old.json"),
        report.replace("\"fail\",", "\"pass\","),
    )
    .expect("writable");
    let worse = stage.sshdrill("diff old.json whole.json");
    assert_eq!(worse.status.code(), Some(1), "{}", stdout(&worse));
    assert!(stdout(&worse).contains("made-up/fails minissh→minissh: pass → fail"));
}

/// As after a run that somebody stopped; a list of cases is one that never began.
#[test]
fn cases_that_were_not_run_are_said_and_not_forgotten() {
    let stage = Stage::with(&[PASSES]);
    stage.run("--pairing minissh:minissh --list --json run.json");
    let merged = stage.sshdrill("merge run.json -o merged.json");
    assert_eq!(merged.status.code(), Some(130), "{}", stderr(&merged));
    let said = stderr(&merged);
    let what = "1 of 1 cases were not run, such as made-up/passes minissh→minissh";
    assert!(said.contains(what) && said.contains("hint: "), "{said}");
    Schema::load().assert_accepts(&stage.text("merged.json"));
}

#[test]
fn what_is_no_report_is_refused_with_the_place_and_a_hint() {
    let stage = Stage::with(&[]);
    std::fs::write(stage.path("old.json"), r#"{"schema": 1}"#).expect("writable");
    std::fs::write(stage.path("text.json"), "hello").expect("writable");
    for (words, said) in [
        ("diff old.json old.json", "old.json: it has schema 1"),
        (
            "merge text.json -o x.json",
            "text.json: it is not the JSON report of a run",
        ),
        ("report none.json --html x.html", "cannot read none.json"),
    ] {
        let refused = stage.sshdrill(words);
        assert_eq!(refused.status.code(), Some(3), "{words}");
        assert!(stderr(&refused).contains(said), "{}", stderr(&refused));
    }
    let nothing_wanted = stage.sshdrill("report old.json");
    assert_eq!(nothing_wanted.status.code(), Some(2));
}
