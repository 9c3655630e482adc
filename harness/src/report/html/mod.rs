//! The run as one page that needs nothing beside itself: no server, no network, no second file.
//!
//! It stays usable with ten thousand cases: what the matrix needs is a short index, and what was
//! said in the cases is packed and is unpacked by the page when one of them is opened.

mod data;

use std::io::{self, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use super::record::Record;
use data::{CASES_PACKED, Details, Index, Texts};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Renders the page that will be at `path`: links to the files of cases are made from there, and
/// small captures are put into the page.
///
/// # Errors
/// The system's, when a capture that is there cannot be read.
pub fn render(record: &Record, path: &Path) -> io::Result<String> {
    let mut packed = packed("texts", &Texts::of(record))?;
    let mut details = Details::seen_from(path)?;
    for (number, cases) in record.cases.chunks(CASES_PACKED).enumerate() {
        let cases: Vec<_> = cases
            .iter()
            .map(|case| details.of(case))
            .collect::<Result<_, _>>()?;
        packed.push_str(&self::packed(&format!("cases-{number}"), &cases)?);
    }
    let index = serde_json::to_string(&Index::of(record))?;
    // In this order: what is put in is never looked at for what is to be replaced.
    let parts = [
        ("{{style}}", STYLE),
        ("{{index}}", &without_tags(&index)),
        ("{{packed}}", &packed),
        ("{{script}}", SCRIPT),
    ];
    let mut page =
        String::with_capacity(PAGE.len() + STYLE.len() + SCRIPT.len() + packed.len() + index.len());
    let mut rest = PAGE;
    for (marker, part) in parts {
        let (before, after) = rest.split_once(marker).unwrap_or((rest, ""));
        page.push_str(before);
        page.push_str(part);
        rest = after;
    }
    page.push_str(rest);
    Ok(page)
}

/// Nothing in a JSON text can end the element that it is in.
fn without_tags(json: &str) -> String {
    json.replace('<', "\\u003c")
}

/// An element that holds data of which the page has no need yet.
fn packed(id: &str, data: &impl Serialize) -> io::Result<String> {
    let mut zip = GzEncoder::new(Vec::new(), Compression::default());
    zip.write_all(&serde_json::to_vec(data)?)?;
    let text = BASE64.encode(zip.finish()?);
    Ok(format!(
        "<script type=\"text/plain\" id=\"{id}\">{text}</script>\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_place_for_everything_and_asks_the_world_for_nothing() {
        let page = render(&Record::default(), Path::new("report.html")).expect("nothing to read");
        assert!(!page.contains("{{"), "a marker is left");
        for part in [STYLE, SCRIPT] {
            assert!(page.contains(part));
            for outside in [
                "http://",
                "https://",
                "//cdn",
                "@import",
                "fetch(",
                "XMLHttpRequest",
            ] {
                assert!(!part.contains(outside), "{outside}");
            }
        }
    }

    #[test]
    fn what_a_peer_says_cannot_leave_its_place() {
        assert_eq!(
            without_tags(r#"{"a":"</script>"}"#),
            r#"{"a":"\u003c/script>"}"#
        );
    }
}
