//! Did-you-mean: the known word nearest to one that is not known.

/// Below this likeness a suggestion confuses more than it helps.
const LIKENESS_MIN: f64 = 0.72;

/// The word of `known` that was most likely meant by `word`.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// The help line for an unknown word: the nearest one, or all when there are few.
pub(super) fn help(word: &str, known: &[&str]) -> Option<String> {
    /// More than this is a wall, not a help.
    const LISTED_MAX: usize = 14;

    if let Some(meant) = nearest(word, known.iter().copied()) {
        return Some(format!("did you mean `{meant}`?"));
    }
    (!known.is_empty() && known.len() <= LISTED_MAX)
        .then(|| format!("one of {}", quoted(known.iter().copied())))
}

/// Words for a sentence: `` `a`, `b`, `c` ``.
pub(super) fn quoted<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words
        .into_iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
