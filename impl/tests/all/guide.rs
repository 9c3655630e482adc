//! What the pages of the guide say, held against the sources.

use std::fmt::Write as _;

use crate::tidy::{code, sources};

/// A bound as a page names it, with its number if that is written in a way that is read here.
type Bound = (String, Option<u64>);

/// The number of `1_024`, `1 << 10`, `1_024 - 8` or `Duration::from_secs(8)`.
fn number(expression: &str) -> Option<u64> {
    let number = |digits: &str| digits.trim().replace('_', "").parse::<u64>().ok();
    let seconds = expression.strip_prefix("Duration::from_secs(");
    let expression = seconds.map_or(expression, |rest| rest.trim_end_matches(')'));
    if let Some((left, right)) = expression.split_once("<<") {
        return Some(number(left)? << number(right)?);
    }
    match expression.split_once('-') {
        Some((left, right)) => Some(number(left)? - number(right)?),
        None => number(expression),
    }
}

/// The type that an `impl` is for.
fn owner(line: &str) -> Option<String> {
    let named = line.strip_suffix('{')?.split_whitespace().next_back()?;
    named.split('<').next().map(str::to_owned)
}

/// All constants `*_MAX`, as `Type::NAME` or `NAME`.
fn constants() -> Vec<Bound> {
    let mut found = Vec::new();
    for (path, text) in sources() {
        if path.ends_with("tests.rs") {
            continue;
        }
        let mut of = None;
        for line in code(&text).lines() {
            match line {
                "}" => of = None,
                _ if line.starts_with("impl") => of = owner(line),
                _ => {}
            }
            let line = line.trim_start();
            let declared = line
                .strip_prefix("pub ")
                .or(line.strip_prefix("pub(super) "))
                .or(line.strip_prefix("pub(crate) "))
                .unwrap_or(line);
            let Some((name, rest)) = declared
                .strip_prefix("const ")
                .and_then(|declared| declared.split_once(':'))
                .filter(|(name, _)| name.ends_with("_MAX"))
            else {
                continue;
            };
            let name = of
                .iter()
                .fold(name.to_owned(), |name, of| format!("{of}::{name}"));
            let value = rest.split_once('=').map(|(_, value)| value.trim());
            found.push((
                name,
                value.and_then(|value| number(value.trim_end_matches(';'))),
            ));
        }
    }
    found
}

/// The fields `*_max` of `Limits`, with their defaults.
fn limits() -> Vec<Bound> {
    let text = include_str!("../../src/engine/config.rs");
    let defaults = text.split("impl Default for Limits {").nth(1).unwrap();
    let fields = defaults
        .lines()
        .filter_map(|line| line.trim().split_once(": "));
    fields
        .filter(|(name, _)| name.ends_with("_max"))
        .map(|(name, value)| (name.to_owned(), number(value.trim_end_matches(','))))
        .collect()
}

/// The number of a cell such as `2 MiB`, `1,024` or `60 s`.
fn number_of_cell(cell: &str) -> Option<u64> {
    let (digits, unit) = cell.split_once(' ').unwrap_or((cell, ""));
    let shift = match unit {
        "KiB" => 10,
        "MiB" => 20,
        _ => 0,
    };
    digits
        .replace(',', "")
        .parse::<u64>()
        .ok()
        .map(|number| number << shift)
}

/// A bound that is not written down surprises whoever runs into it, and so does another number.
#[test]
fn every_bound_is_on_the_page_of_limits_with_its_number() {
    let page = include_str!("../../src/guide/limits.md");
    let bounds = [constants(), limits()].concat();
    assert!(bounds.len() > 50, "the bounds were found: {bounds:?}");
    let mut wrong = String::new();
    for (name, value) in bounds {
        let row = page
            .lines()
            .find(|line| line.contains(&format!("`{name}`")));
        let cell = row
            .and_then(|row| row.split('|').nth(2))
            .unwrap_or("")
            .trim();
        let says = number_of_cell(cell);
        if row.is_none() || value.is_some() && says != value {
            writeln!(wrong, "{name} is {value:?}, and the page says {says:?}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Nor may the page name what is gone.
#[test]
fn every_bound_on_the_page_of_limits_is_there() {
    let page = include_str!("../../src/guide/limits.md");
    let bounds = [constants(), limits()].concat();
    let in_code = page.split('`').skip(1).step_by(2);
    let named: Vec<&str> = in_code
        .filter(|name| name.ends_with("_MAX") || name.ends_with("_max"))
        .collect();
    assert!(named.len() > 50, "the names were found: {named:?}");
    for name in named {
        assert!(bounds.iter().any(|(bound, _)| bound == name), "{name}");
    }
}

/// What is not in `net` under the same name; the page of rows says what is there instead.
const WITHOUT_TWIN: [&str; 9] = [
    "bind",
    "connect_with",
    "local_addr",
    "run_command",
    "serve",
    "server",
    "stop",
    "stopper",
    "with_unauthenticated_max",
];

#[test]
fn every_other_call_has_an_async_twin() {
    let public = |text: &str, keyword: &str| -> Vec<String> {
        let calls = text.split(keyword).skip(1);
        let name = |rest: &str| rest.split(['(', '<']).next().unwrap().to_owned();
        calls.map(name).collect()
    };
    let net = [
        include_str!("../../src/net/mod.rs"),
        include_str!("../../src/net/channel.rs"),
    ]
    .concat();
    let twins = [public(&net, "pub fn "), public(&net, "pub async fn ")].concat();
    let mut without = public(include_str!("../../src/blocking.rs"), "pub fn ");
    assert!(without.len() > 40, "the calls were found: {without:?}");
    without.retain(|name| !twins.contains(name));
    without.sort();
    assert_eq!(without, WITHOUT_TWIN);
}
