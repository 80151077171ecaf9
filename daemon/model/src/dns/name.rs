//! Names of records and zones.

use std::fmt;

/// Maximum bytes of a name as text: 255 on the wire (RFC 1035, 3.1) minus the length bytes of the first and the root
/// label.
const DOMAIN_NAME_BYTES_MAX: usize = 253;

/// Maximum bytes of one label (RFC 1035, 3.1).
const LABEL_BYTES_MAX: usize = 63;

/// A DNS name: absolute, lower case, ASCII, without the trailing dot. The first label of a wildcard is `*`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(Box<str>);

impl DomainName {
    /// Parses labels of `a-z 0-9 - _`, or `*` as the first. Upper case is converted to lower case; one trailing dot is
    /// removed.
    ///
    /// # Errors
    /// [`DomainNameError`] describes the problem and the label.
    pub fn parse(text: &str) -> Result<Self, DomainNameError> {
        let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if DOMAIN_NAME_BYTES_MAX < text.len() {
            return Err(DomainNameError::TooLong { bytes: text.len() });
        }
        for (index, label) in text.split('.').enumerate() {
            check_label(label, index == 0)?;
        }
        Ok(Self(text.into()))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the name is `zone` or below it.
    pub fn is_within(&self, zone: &Self) -> bool {
        self.0.strip_suffix(&*zone.0).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// Returns the name without its first label; `None` if it has only one label.
    pub fn parent(&self) -> Option<Self> {
        self.0.split_once('.').map(|(_, rest)| Self(rest.into()))
    }

    /// Returns the first label.
    pub fn first_label(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }

    /// Returns `labels` prepended to this name.
    ///
    /// # Errors
    /// [`DomainNameError`] if `labels` are invalid, or the result is too long.
    pub fn below(&self, labels: &str) -> Result<Self, DomainNameError> {
        Self::parse(&format!("{labels}.{}", self.0))
    }
}

fn check_label(label: &str, is_first: bool) -> Result<(), DomainNameError> {
    let problem = |why| Err(DomainNameError::Label { label: label.escape_debug().to_string(), why });
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    match label {
        "" => Err(DomainNameError::EmptyLabel),
        "*" if is_first => Ok(()),
        _ if LABEL_BYTES_MAX < label.len() => problem("has more than 63 bytes"),
        _ if label.contains('*') => problem("has a `*`, which can only be the whole first label"),
        _ if !label.is_ascii() => problem("is not ASCII: write its IDNA form, `xn--…`"),
        _ if !label.bytes().all(is_inner) => problem("has something else than a-z, 0-9, `-` and `_`"),
        _ if label.starts_with('-') || label.ends_with('-') => problem("begins or ends with `-`"),
        _ => Ok(()),
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a valid [`DomainName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainNameError {
    /// An empty label, or an empty text.
    #[error("a DNS name has no empty label")]
    EmptyLabel,
    /// The name is too long.
    #[error("a DNS name has at most {DOMAIN_NAME_BYTES_MAX} bytes, not {bytes}")]
    TooLong {
        /// The actual length.
        bytes: usize,
    },
    /// An invalid label.
    #[error("the label `{label}` {why}")]
    Label {
        /// The label.
        label: String,
        /// Why it is invalid.
        why: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_name_has_one_canonical_form() {
        let check = |text: &str, form: &str| assert_eq!(DomainName::parse(text).unwrap().as_str(), form);
        check("Camp-042.Example.ORG.", "camp-042.example.org");
        check("*.example.org", "*.example.org");
        check("_linecamp-a.camp.example", "_linecamp-a.camp.example");
        check("xn--bcher-kva.example", "xn--bcher-kva.example");
    }

    #[test]
    fn an_invalid_name_is_rejected_with_its_label() {
        let check = |text: &str, words: &str| {
            let error = DomainName::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        };
        check("", "no empty label");
        check("a..b", "no empty label");
        check(".", "no empty label");
        check("a.*.b", "`*`");
        check("a*.b", "`*`");
        check("bücher.example", "xn--");
        check("a b.example", "`a b`");
        check("-a.example", "begins or ends");
        check(&format!("{}.example", "a".repeat(64)), "63 bytes");
        check(&"a.".repeat(128), "253 bytes");
    }

    #[test]
    fn a_zone_contains_the_names_below_it() {
        let name = |text: &str| DomainName::parse(text).unwrap();
        assert!(name("a.example.org").is_within(&name("example.org")));
        assert!(name("example.org").is_within(&name("example.org")));
        assert!(!name("badexample.org").is_within(&name("example.org")));
        assert_eq!(name("a.b").parent(), Some(name("b")));
        assert_eq!(name("b").parent(), None);
    }
}
