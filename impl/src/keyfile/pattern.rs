//! Host patterns of `known_hosts`: `*`, `?`, lists, negation.

/// Whether a comma-separated list of patterns names `host_name`, which is in lower case. A negated
/// pattern that matches outweighs every other of its list.
pub(super) fn list_matches(list: &str, host_name: &str) -> bool {
    let mut is_named = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(&pattern.to_lowercase(), host_name) => return false,
            Some(_) => {}
            None => is_named |= matches(&pattern.to_lowercase(), host_name),
        }
    }
    is_named
}

/// `*` is any run of bytes, the empty one too; `?` is one byte. Takes at most the product of both
/// lengths in steps, whatever the pattern.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to try again if what follows the last star does not fit: after the star, one on.
    let mut retry = None;
    while let Some(byte) = name.get(n) {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n + 1));
                p += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                None => return false,
                Some((after_star, next)) => {
                    (p, n) = (after_star, next);
                    retry = Some((after_star, next + 1));
                }
            },
        }
    }
    pattern
        .get(p..)
        .unwrap_or_default()
        .iter()
        .all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_and_question_marks_match_as_in_a_shell() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "any"),
            ("a*c", "abbc"),
            ("a*b*c", "aXbXbc"),
            ("?b", "ab"),
            ("*.example.org", "a.b.example.org"),
            ("[*]:2222", "[host]:2222"),
            ("**a", "bca"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("", "a"),
            ("?", ""),
            ("a*c", "abcd"),
            ("*.example.org", "example.org"),
            ("a?", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_negation_outweighs_its_list_and_names_nobody_by_itself() {
        assert!(list_matches("*.org,!bad.org", "good.org"));
        assert!(!list_matches("*.org,!bad.org", "bad.org"));
        assert!(!list_matches("!bad.org,*.org", "bad.org"));
        assert!(!list_matches("!bad.org", "good.org"));
        assert!(list_matches("a,HOST,b", "host"));
    }

    /// The definition, at the cost of time.
    fn matches_by_definition(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, rest) => rest.is_none(),
            (Some((b'*', pattern)), rest) => {
                matches_by_definition(pattern, name)
                    || rest.is_some_and(|(_, name)| {
                        matches_by_definition(&[b"*", pattern].concat(), name)
                    })
            }
            (Some((wanted, pattern)), Some((byte, name))) => {
                (*wanted == b'?' || wanted == byte) && matches_by_definition(pattern, name)
            }
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn matching_is_what_its_definition_says(pattern in "[ab?*]{0,8}", name in "[ab]{0,8}") {
            prop_assert_eq!(
                matches(&pattern, &name),
                matches_by_definition(pattern.as_bytes(), name.as_bytes())
            );
        }
    }
}
