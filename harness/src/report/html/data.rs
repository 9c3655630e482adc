//! What the page reads: an index of all cases, and of each the rest.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::report::files::CAPTURE;
use crate::report::matrix;
use crate::report::record::{Case, Clause, Log, Packets, Record, Seed, Step};
use crate::report::sign::Sign;
use crate::report::summary::reasons;
use crate::report::tint::harmless;
use crate::requirement::Level;
use crate::run::event::Tally;
use crate::scenario::Subject;
use crate::verdict::{Failure, Verdict};

/// So many cases are packed, and so unpacked, together.
pub(super) const CASES_PACKED: usize = 100;

/// How much of what came instead is in the index, in characters.
const TOLD_CHARS_MAX: usize = 300;

/// Captures up to so many bytes are put into the page.
const CAPTURE_BYTES_MAX: usize = 64 * 1024;

/// All of them together have so many bytes at most.
const CAPTURES_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What in a path needs no escape in an address.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'@')
    .remove(b'=')
    .remove(b',');

/// What the page needs before anything is opened.
#[derive(Serialize)]
pub(super) struct Index<'a> {
    tool: &'a str,
    seed: Seed,
    took_ms: u64,
    tally: Tally,
    peers: Vec<IndexedPeer<'a>>,
    participants: Vec<&'a str>,
    /// Ids of the peers that have columns, in order.
    columns: Vec<&'a str>,
    scenarios: Vec<IndexedScenario<'a>>,
    cases: Vec<IndexedCase>,
    left_out: Vec<Left<'a>>,
    chunk: usize,
}

#[derive(Serialize)]
struct IndexedPeer<'a> {
    id: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
struct IndexedScenario<'a> {
    name: &'a str,
    title: &'a str,
    subject: Option<Subject>,
    level: Level,
}

/// Scenario, client and server by their places; how it ended; whether there are notes, and whether it is
/// flaky; how long it took; what came instead.
#[derive(Serialize)]
struct IndexedCase(
    usize,
    usize,
    usize,
    Option<Sign>,
    u8,
    u8,
    u64,
    Option<String>,
);

#[derive(Serialize)]
struct Left<'a> {
    why: &'a str,
    hint: Option<&'a str>,
    whats: Vec<&'a str>,
}

impl<'a> Index<'a> {
    pub(super) fn of(record: &'a Record) -> Self {
        let sides = record
            .cases
            .iter()
            .flat_map(|case| [&*case.client, &*case.server]);
        let listed = record.participants.iter().map(|peer| &*peer.id);
        let peers = places(listed.chain(sides));
        let scenarios = scenarios(record);
        let place = |places: &Places<'_>, id: &str| places.0.get(id).copied().unwrap_or_default();
        let cases = record.cases.iter().map(|case| {
            let scenario = place(&scenarios, &case.scenario);
            let (client, server) = (place(&peers, &case.client), place(&peers, &case.server));
            let (noted, flaky) = (u8::from(!case.notes.is_empty()), u8::from(case.is_flaky()));
            IndexedCase(
                scenario,
                client,
                server,
                Sign::of(case),
                noted,
                flaky,
                case.took_ms,
                told(case),
            )
        });
        let reasons = reasons(&record.left_out).into_iter();
        Self {
            tool: &record.tool,
            seed: record.seed,
            took_ms: record.took_ms,
            tally: record.tally,
            participants: record.participants.iter().map(|peer| &*peer.id).collect(),
            columns: matrix::peers(record),
            cases: cases.collect(),
            left_out: reasons
                .map(|r| Left {
                    why: r.why,
                    hint: r.hint,
                    whats: r.whats,
                })
                .collect(),
            chunk: CASES_PACKED,
            peers: peers
                .1
                .iter()
                .map(|id| IndexedPeer {
                    id,
                    version: record.version(id),
                })
                .collect(),
            scenarios: scenarios
                .1
                .iter()
                .map(|name| indexed(record, name))
                .collect(),
        }
    }
}

/// Names by their places, and in order.
struct Places<'a>(BTreeMap<&'a str, usize>, Vec<&'a str>);

fn places<'a>(names: impl Iterator<Item = &'a str>) -> Places<'a> {
    let mut places = Places(BTreeMap::new(), Vec::new());
    for name in names {
        places.0.entry(name).or_insert_with(|| {
            places.1.push(name);
            places.1.len() - 1
        });
    }
    places
}

/// The scenarios in the order of the plan.
fn scenarios(record: &Record) -> Places<'_> {
    places(record.cases.iter().map(|case| &*case.scenario))
}

fn indexed<'a>(record: &'a Record, name: &'a str) -> IndexedScenario<'a> {
    let known = record.scenarios.get(name);
    IndexedScenario {
        name,
        title: known.map_or("", |scenario| &scenario.title),
        subject: known.map(|scenario| scenario.subject),
        level: known.map_or(Level::Must, |scenario| scenario.level),
    }
}

/// What came and what was expected, for the list of what did not pass, which cuts it behind two lines.
fn told(case: &Case) -> Option<String> {
    let failure = case.failure.as_ref()?;
    let told = format!("{}; expected {}", failure.actual, failure.expected);
    let line = harmless(&told).replace('\n', " ");
    Some(line.chars().take(TOLD_CHARS_MAX).collect())
}

/// What many cases share, and none needs before it is opened.
#[derive(Serialize)]
pub(super) struct Texts<'a> {
    clauses: &'a BTreeMap<String, Clause>,
    /// In the order of the index.
    scenarios: Vec<ScenarioText<'a>>,
}

#[derive(Serialize)]
struct ScenarioText<'a> {
    cites: &'a [String],
    consequence: &'a str,
    path: &'a str,
    steps: &'a [Step],
}

impl<'a> Texts<'a> {
    pub(super) fn of(record: &'a Record) -> Self {
        let text = |name: &&str| match record.scenarios.get(*name) {
            Some(scenario) => ScenarioText {
                cites: &scenario.cites,
                consequence: &scenario.consequence,
                path: &scenario.path,
                steps: &scenario.steps,
            },
            None => ScenarioText {
                cites: &[],
                consequence: "",
                path: "",
                steps: &[],
            },
        };
        Self {
            clauses: &record.clauses,
            scenarios: scenarios(record).1.iter().map(text).collect(),
        }
    }
}

/// What is only shown of a case that is opened.
#[derive(Serialize)]
pub(super) struct Detail<'a> {
    seed: Seed,
    rerun: &'a str,
    failure: Option<&'a Failure>,
    known: Option<String>,
    notes: &'a [String],
    runs: &'a [Verdict],
    packets: &'a Packets,
    logs: &'a [Log],
    capture: Option<Capture>,
    files: Option<Files<'a>>,
}

/// A capture file, in the page or beside it.
#[derive(Serialize)]
struct Capture {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    href: Option<String>,
}

/// The folder of a case, and where it is from the page if it is there.
#[derive(Serialize)]
struct Files<'a> {
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    href: Option<String>,
}

/// Makes the details, and knows where the page is and how much it holds.
pub(super) struct Details {
    from: PathBuf,
    captures_bytes: usize,
}

impl Details {
    /// For a page at that path.
    pub(super) fn seen_from(page: &Path) -> io::Result<Self> {
        let page = std::path::absolute(page)?;
        Ok(Self {
            from: page.parent().unwrap_or(&page).to_owned(),
            captures_bytes: 0,
        })
    }

    pub(super) fn of<'a>(&mut self, case: &'a Case) -> io::Result<Detail<'a>> {
        let folder = case.files.as_ref().map(std::path::absolute).transpose()?;
        let capture = match &folder {
            Some(folder) => self.capture(case, &folder.join(CAPTURE))?,
            None => None,
        };
        let href = folder
            .filter(|folder| folder.is_dir())
            .and_then(|folder| self.href(&folder));
        Ok(Detail {
            seed: case.seed,
            rerun: &case.rerun,
            failure: case.failure.as_ref(),
            known: case.known.as_ref().map(ToString::to_string),
            notes: &case.notes,
            runs: &case.runs,
            packets: &case.packets,
            logs: &case.logs,
            capture,
            files: case.files.as_ref().map(|path| Files { path, href }),
        })
    }

    /// A capture that is there: in the page when it is small, else linked.
    fn capture(&mut self, case: &Case, path: &Path) -> io::Result<Option<Capture>> {
        let Ok(metadata) = fs::metadata(path) else {
            return Ok(None);
        };
        let bytes = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
        let scenario = case.scenario.replace('/', "-");
        let name = format!("{scenario}-{}-to-{}.pcapng", case.client, case.server);
        let is_small =
            bytes <= CAPTURE_BYTES_MAX && self.captures_bytes + bytes <= CAPTURES_BYTES_MAX;
        if !is_small {
            return Ok(self.href(path).map(|href| Capture {
                name,
                bytes: None,
                href: Some(href),
            }));
        }
        self.captures_bytes += bytes;
        let bytes = Some(BASE64.encode(fs::read(path)?));
        Ok(Some(Capture {
            name,
            bytes,
            href: None,
        }))
    }

    /// The address of a file or folder, relative to the page.
    fn href(&self, path: &Path) -> Option<String> {
        let relative = pathdiff::diff_paths(path, &self.from)?;
        let parts = relative
            .iter()
            .map(|part| part.to_string_lossy().into_owned());
        let parts: Vec<String> = parts
            .map(|p| utf8_percent_encode(&p, PATH).to_string())
            .collect();
        Some(parts.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_relative_to_the_page_and_escaped() {
        let details = Details::seen_from(Path::new("/ci/out/report.html")).expect("absolute");
        let href = |path| details.href(Path::new(path)).expect("both are absolute");
        assert_eq!(href("/ci/out/drill/kex/a@b=c,d=e"), "drill/kex/a@b=c,d=e");
        assert_eq!(href("/ci/a b#c/x"), "../a%20b%23c/x");
    }
}
