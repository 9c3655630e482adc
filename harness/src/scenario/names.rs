//! The names that a file may give: to parameters, their values, and variables.

/// What a name looks like, for errors.
pub(super) const RULE: &str = "small letters and digits, with `-` between words";

/// The longest beginning that is a name. A `-` belongs to it only before a letter, so that
/// `$window-1` is one less than `$window`.
pub(super) fn leading(text: &str) -> &str {
    let bytes = text.as_bytes();
    if !bytes.first().is_some_and(u8::is_ascii_lowercase) {
        return "";
    }
    let belongs = |at: usize| match bytes.get(at) {
        Some(b'-') => bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase),
        Some(byte) => byte.is_ascii_lowercase() || byte.is_ascii_digit(),
        None => false,
    };
    let end = (0..bytes.len()).find(|at| !belongs(*at));
    text.get(..end.unwrap_or(bytes.len())).unwrap_or_default()
}

/// Whether the text may stand in a scenario's name: safe in a shell, a glob and a path.
pub(super) fn is_label(text: &str) -> bool {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
    text.bytes().all(is_safe) && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_where_arithmetic_begins() {
        for (text, name) in [
            ("window-1", "window"),
            ("packet-max-1", "packet-max"),
            ("a1+1", "a1"),
            ("Window", ""),
            ("-a", ""),
            ("a-", "a"),
        ] {
            assert_eq!(leading(text), name, "{text}");
        }
    }

    #[test]
    fn a_label_is_safe_everywhere() {
        assert!(is_label("curve25519-sha256"));
        for text in ["", "#00", "a b", "a/b", "a*", "-x", "a=b", "a,b", "$a"] {
            assert!(!is_label(text), "{text}");
        }
    }
}
