//! What protects a private key file.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A passphrase: wiped on drop, compared in constant time, never printed.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes the text over; an empty one is no passphrase.
    #[must_use]
    pub fn new(text: String) -> Option<Self> {
        let text = Zeroizing::new(text);
        (!text.is_empty()).then_some(Self(text))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Passphrase {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Passphrase {}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_does_not_print_and_an_empty_one_is_none() {
        let passphrase = Passphrase::new("hunter2".to_owned());
        assert_eq!(format!("{passphrase:?}"), "Some([redacted])");
        assert_eq!(Passphrase::new(String::new()), None);
        assert_ne!(passphrase, Passphrase::new("hunter3".to_owned()));
    }
}
