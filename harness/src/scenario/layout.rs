//! The one layout of a scenario file. Words stay as they are and in their order; only the blanks
//! between them change, so that the meaning cannot.

use std::path::Path;

use super::diagnostic::{Mistakes, ScenarioErrors};
use super::lexer::{self, Line};

/// Columns of a header word with the blank behind it.
const WORD_COLUMNS: usize = 10;

/// Where a comment behind a line begins, if the line leaves room.
const COMMENT_COLUMN: usize = 40;

/// The text as it should be laid out.
///
/// # Errors
/// Quotes and braces that are never closed: where a word ends is then anybody's guess.
pub fn format(path: &Path, text: &str) -> Result<String, ScenarioErrors> {
    let mut mistakes = Mistakes::default();
    let lines = lexer::lines(text, &mut mistakes);
    if mistakes.is_empty() {
        Ok(laid_out(&lines))
    } else {
        Err(ScenarioErrors(mistakes.in_file(path, text)))
    }
}

fn laid_out(lines: &[Line<'_>]) -> String {
    let verb_columns = lines.iter().filter_map(verb_columns).max().unwrap_or(0);
    let mut formatted = String::new();
    let mut depth = 0_usize;
    let mut blank = false;
    for line in lines {
        let line = lay_out(line, verb_columns, &mut depth);
        if line.is_empty() {
            // One empty line is a pause, and two are no more than that.
            blank = !formatted.is_empty();
            continue;
        }
        if std::mem::take(&mut blank) {
            formatted.push('\n');
        }
        formatted.push_str(&line);
        formatted.push('\n');
    }
    formatted
}

/// How far the verb of a line goes that has fields behind it.
fn verb_columns(line: &Line<'_>) -> Option<usize> {
    match line.words.as_slice() {
        [arrow, verb, _, ..] if matches!(arrow.text, ">" | "<") => Some(verb.text.chars().count()),
        _ => None,
    }
}

fn lay_out(line: &Line<'_>, verb_columns: usize, depth: &mut usize) -> String {
    let words: Vec<&str> = line.words.iter().map(|word| word.text).collect();
    if words.first() == Some(&"end") {
        *depth = depth.saturating_sub(1);
    }
    let indent = "  ".repeat(*depth);
    let code = match words.as_slice() {
        [] => String::new(),
        [arrow @ (">" | "<"), verb] => format!("{indent}{arrow} {verb}"),
        [arrow @ (">" | "<"), verb, fields @ ..] => {
            format!("{indent}{arrow} {verb:verb_columns$}  {}", fields.join(" "))
        }
        [word] => format!("{indent}{word}"),
        // What it says is a sentence, whose blanks are its own.
        ["consequence", ..] => {
            let rest = line.source.split_once(char::is_whitespace);
            let rest = rest.map_or("", |(_, rest)| rest.trim());
            format!("{:WORD_COLUMNS$} {rest}", "consequence")
        }
        // As a verb and its fields: the name apart from what it stands for.
        ["param", name, values @ ..] if !values.is_empty() => {
            format!("{:WORD_COLUMNS$}{name}  {}", "param", values.join(" "))
        }
        [word, values @ ..] if super::header::WORDS.contains(word) || *word == "param" => {
            format!(
                "{:width$} {}",
                word,
                values.join(" "),
                width = WORD_COLUMNS - 1
            )
        }
        words => format!("{indent}{}", words.join(" ")),
    };
    if words.first() == Some(&"repeat") {
        *depth += 1;
    }
    match line.comment.map(str::trim) {
        Some("") if code.is_empty() => "#".to_owned(),
        None | Some("") => code,
        Some(comment) if code.is_empty() => format!("# {comment}"),
        Some(comment) => {
            let room = COMMENT_COLUMN.max(code.chars().count() + 2);
            format!("{code:room$}# {comment}")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn format(text: &str) -> Result<String, ScenarioErrors> {
        super::format(Path::new("x.scn"), text)
    }

    fn words(text: &str) -> Vec<Vec<String>> {
        let lines = lexer::lines(text, &mut Mistakes::default());
        let words = lines.iter().map(|line| {
            let words = line.words.iter().map(|word| word.text.to_owned());
            words.collect::<Vec<_>>()
        });
        words.filter(|words| !words.is_empty()).collect()
    }

    #[test]
    fn a_file_is_laid_out_in_columns() {
        let text = "#  Title  here.\n\n\nscenario a/b\nconsequence  Two  blanks\nparam x  1   2\n\
                    > ignore data=\"a  b\"    # why\n< channel-open  x=1\nrepeat 2\n> ping\nend\nlive #\n\n";
        insta::assert_snapshot!(format(text).expect("quotes are closed"), @r#"
        # Title  here.

        scenario  a/b
        consequence Two  blanks
        param     x  1 2
        > ignore        data="a  b"             # why
        < channel-open  x=1
        repeat 2
          > ping
        end
        live
        "#);
    }

    proptest! {
        /// Layout that changed under a second look would make every check fail in turn.
        #[test]
        fn laid_out_twice_is_laid_out_once_and_means_the_same(
            pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40),
        ) {
            let text = pieces.concat();
            let Ok(once) = format(&text) else { return Ok(()) };
            prop_assert_eq!(words(&once), words(&text));
            prop_assert_eq!(format(&once).expect("as before"), once);
        }
    }

    const PIECES: &[&str] = &[
        " ",
        "  ",
        "\n",
        "\n\n",
        "\t",
        "\r\n",
        "> ",
        "< ",
        "ignore ",
        "a=\"b  c\" ",
        "\"",
        "# x",
        "#",
        "#01",
        "repeat 2\n",
        "end\n",
        "consequence ",
        "scenario ",
        "param ",
        "{a b} ",
        "x ",
        "é ",
    ];
}
