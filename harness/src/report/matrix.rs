//! Scenarios down, peers and their roles across; short enough to be read, however much ran.
//!
//! A long run shows an area in which everything passed as one row, and of the others the scenarios
//! that did not. Columns have names where these fit, and numbers with a key where they do not; what
//! still does not fit comes in parts, one below the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::record::{Case, Record};
use super::sign::Sign;
use crate::run::event::subjects;
use crate::verdict::capture::Side;

/// A case that was planned and did not end.
const UNFINISHED: char = '?';

/// So many scenarios are shown one by one, whatever became of them.
const SCENARIOS_SHOWN: usize = 40;

/// Columns that the names of scenarios get at most, as long as there is anything beside them.
const NAME_CHARS_MAX: usize = 60;

/// A column of the matrix: a peer in a role. It faces minissh when two whole implementations meet,
/// else the scripted endpoint; and in a run of every pair, all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Column<'a> {
    pub(super) peer: &'a str,
    pub(super) role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Server,
    Client,
}

impl Role {
    const ALL: [Self; 2] = [Self::Server, Self::Client];

    fn letter(self) -> char {
        match self {
            Self::Server => 's',
            Self::Client => 'c',
        }
    }
}

/// The columns that a case stands in.
pub(super) fn columns(case: &Case) -> Vec<Column<'_>> {
    let sides = subjects(&case.client, &case.server).into_iter();
    let column = |(side, peer)| Column {
        peer,
        role: match side {
            Side::Server => Role::Server,
            Side::Client => Role::Client,
        },
    };
    sides.map(column).collect()
}

/// The peers that have a column, in the order of the participants.
pub(super) fn peers(record: &Record) -> Vec<&str> {
    let columns = record.cases.iter().flat_map(columns);
    let used: BTreeSet<&str> = columns.map(|column| column.peer).collect();
    let listed = record.participants.iter().map(|peer| peer.id.as_str());
    let listed: Vec<&str> = listed.filter(|id| used.contains(id)).collect();
    let unlisted = used.iter().filter(|id| !listed.contains(*id)).copied();
    listed.iter().copied().chain(unlisted).collect()
}

/// Renders the matrix for a terminal of so many columns.
pub(super) fn render(record: &Record, width: usize) -> String {
    let rows = rows(record);
    let longest = rows.iter().map(|row| row.label.chars().count()).max();
    let name_width = longest
        .unwrap_or(0)
        .min(NAME_CHARS_MAX)
        .min((width / 2).max(18));
    let room = width.saturating_sub(name_width);
    let peers = peers(record);
    let named: Vec<Heading> = peers.iter().map(|peer| Heading::named(peer)).collect();
    let fits = named.iter().map(Heading::wanted).sum::<usize>() <= room;
    let headings = match fits || peers.len() < 4 {
        true => named,
        false => (1..)
            .zip(&peers)
            .map(|(number, peer)| Heading::numbered(number, peer))
            .collect(),
    };
    let mut text = String::new();
    for group in side_by_side(&headings, room) {
        for line in Heading::lines(group) {
            let _ = writeln!(text, "{}", format!("{:name_width$}{line}", "").trim_end());
        }
        for row in &rows {
            let cells: String = group.iter().map(|heading| row.cells_of(heading)).collect();
            let label = shortened(&row.label, name_width);
            let _ = writeln!(text, "{}", format!("{label:name_width$}{cells}").trim_end());
        }
        text.push('\n');
    }
    text.push_str(&key(record, &headings));
    let _ = writeln!(text, "{}", legend(record));
    text
}

/// One line of the matrix: a scenario, or an area of which there is nothing more to say.
struct Row<'a> {
    label: String,
    /// The worst that happened in a column; nothing is worse than a case that did not end.
    cells: BTreeMap<Column<'a>, Option<Sign>>,
}

impl<'a> Row<'a> {
    fn new(label: String, cases: &[&'a Case]) -> Self {
        let mut cells = BTreeMap::new();
        for case in cases {
            let sign = Sign::of(case);
            let badness = |sign: Option<Sign>| (sign.is_none(), sign);
            for column in columns(case) {
                let worst = cells.entry(column).or_insert(sign);
                if badness(sign) > badness(*worst) {
                    *worst = sign;
                }
            }
        }
        Self { label, cells }
    }

    fn cells_of(&self, heading: &Heading<'_>) -> String {
        let cell = |role| {
            let peer = heading.peer;
            match self.cells.get(&Column { peer, role }) {
                Some(Some(sign)) => sign.tinted_mark(),
                Some(None) => UNFINISHED.to_string(),
                None => " ".to_owned(),
            }
        };
        // Colours count as characters, so that no padding of the format would be right.
        let cells = Role::ALL.map(cell).join(heading.gap);
        let padding = heading.width - Role::ALL.len() - heading.gap.len();
        format!("  {cells}{:padding$}", "")
    }
}

fn rows(record: &Record) -> Vec<Row<'_>> {
    let mut names: Vec<(&str, Vec<&Case>)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for case in &record.cases {
        let place = *places.entry(&case.scenario).or_insert_with(|| {
            names.push((&case.scenario, Vec::new()));
            names.len() - 1
        });
        names[place].1.push(case);
    }
    if names.len() <= SCENARIOS_SHOWN {
        let rows = names
            .iter()
            .map(|(name, cases)| Row::new((*name).to_owned(), cases));
        return rows.collect();
    }
    let mut rows = Vec::new();
    for area in names.chunk_by(|(a, _), (b, _)| area_of(a) == area_of(b)) {
        let mut loud: Vec<_> = area.iter().collect();
        for (word, has_run) in [("pass", true), ("not run", false)] {
            let is_quiet = |case: &Case| match has_run {
                true => case.is_plain_pass(),
                false => case.verdict.is_none(),
            };
            let all = |cases: &[&Case]| cases.iter().all(|case| is_quiet(case));
            let (quiet, rest): (Vec<_>, Vec<_>) =
                loud.into_iter().partition(|(_, cases)| all(cases));
            loud = rest;
            let cases: Vec<&Case> = quiet
                .iter()
                .flat_map(|(_, cases)| cases.iter().copied())
                .collect();
            if !cases.is_empty() {
                let name = area_of(area[0].0);
                rows.push(Row::new(format!("{name}/  {} {word}", quiet.len()), &cases));
            }
        }
        rows.extend(
            loud.iter()
                .map(|(name, cases)| Row::new((*name).to_owned(), cases)),
        );
    }
    rows
}

/// The first part of a scenario's name.
pub(super) fn area_of(name: &str) -> &str {
    name.split_once('/').map_or(name, |(area, _)| area)
}

/// A name of which the beginning and the end are there: what differs is at either.
fn shortened(name: &str, width: usize) -> String {
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= width {
        return name.to_owned();
    }
    let kept = width.saturating_sub(1);
    let (head, tail) = (kept - kept / 2, kept / 2);
    let mut text: String = chars[..head].iter().collect();
    text.push('…');
    text.extend(&chars[chars.len() - tail..]);
    text
}

/// What stands above a peer's columns.
struct Heading<'a> {
    peer: &'a str,
    upper: String,
    lower: String,
    /// Between the two roles.
    gap: &'static str,
    width: usize,
}

impl<'a> Heading<'a> {
    /// An id is cut at its first dash, so that columns are narrow.
    fn named(peer: &'a str) -> Self {
        let (upper, lower) = peer.split_once('-').unwrap_or((peer, ""));
        Self {
            peer,
            upper: upper.to_owned(),
            lower: lower.to_owned(),
            gap: " ",
            width: upper.len().max(lower.len()).max(2 * Role::ALL.len() - 1),
        }
    }

    fn numbered(number: usize, peer: &'a str) -> Self {
        Self {
            peer,
            upper: number.to_string(),
            lower: String::new(),
            gap: "",
            width: Role::ALL.len(),
        }
    }

    /// With the space before it.
    fn wanted(&self) -> usize {
        self.width + 2
    }

    /// The parts of the names, and the roles.
    fn lines(group: &[Self]) -> Vec<String> {
        let line = |part: &dyn Fn(&Self) -> String| {
            let cells = group.iter().map(|h| format!("  {:<1$}", part(h), h.width));
            cells.collect::<String>().trim_end().to_owned()
        };
        let roles = |h: &Self| Role::ALL.map(Role::letter).map(String::from).join(h.gap);
        let lines = [
            line(&|h| h.upper.clone()),
            line(&|h| h.lower.clone()),
            line(&roles),
        ];
        lines.into_iter().filter(|line| !line.is_empty()).collect()
    }
}

/// The peers in groups that fit into so many columns; at least one in each.
fn side_by_side<'h, 'a>(headings: &'h [Heading<'a>], room: usize) -> Vec<&'h [Heading<'a>]> {
    let mut groups = Vec::new();
    let mut rest = headings;
    while !rest.is_empty() {
        let mut used = 0;
        let fitting = rest.iter().take_while(|heading| {
            used += heading.wanted();
            used <= room
        });
        let (group, others) = rest.split_at(fitting.count().max(1));
        groups.push(group);
        rest = others;
    }
    groups
}

/// What the numbers of columns stand for, where they have some.
fn key(record: &Record, headings: &[Heading<'_>]) -> String {
    let mut text = String::new();
    for heading in headings.iter().filter(|heading| heading.gap.is_empty()) {
        let Heading { peer, upper, .. } = heading;
        let _ = writeln!(text, "{upper:>3} {peer:<22} {}", record.version(peer));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// What the marks mean, those that appear.
fn legend(record: &Record) -> String {
    let appears = |sign: &Sign| sign.count(&record.cases) > 0;
    let mut parts: Vec<String> = Sign::ALL
        .into_iter()
        .filter(appears)
        .map(|sign| format!("{} {}", sign.tinted_mark(), sign.words()))
        .collect();
    if record.unfinished() > 0 {
        parts.push(format!("{UNFINISHED} did not run to its end"));
    }
    format!("{}\ns the peer as server   c as client", parts.join("   "))
}
