//! Names of sites, hosts and environments, and the free text that describes them.

use std::fmt;

use crate::limits::{NAME_BYTES_MAX, TEXT_BYTES_MAX};
use crate::printable::{character_name, first_invisible, printable};

/// The name of a site, host or environment: a DNS label, because it becomes part of a DNS name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// Parses 1 to 63 characters of `a-z 0-9 -`, with a letter or digit at both ends.
    ///
    /// # Errors
    /// [`NameError`] describes the problem and its position.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if NAME_BYTES_MAX < text.len() {
            return Err(NameError::TooLong { bytes: text.len() });
        }
        let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if let Some((index, found)) = text.char_indices().find(|(_, c)| !is_inner(*c)) {
            return Err(NameError::BadCharacter { found, column: index + 1 });
        }
        if text.starts_with('-') || text.ends_with('-') {
            return Err(NameError::HyphenAtEnd);
        }
        Ok(Self(text.into()))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a valid [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is empty.
    #[error("a name cannot be empty")]
    Empty,
    /// The name is longer than a DNS label.
    #[error("a name has at most {NAME_BYTES_MAX} characters, not {bytes}")]
    TooLong {
        /// The actual length.
        bytes: usize,
    },
    /// A character that is not allowed in a DNS label.
    #[error("a name has only a-z, 0-9 and `-`: column {column} is {}", character_name(*found))]
    BadCharacter {
        /// The first invalid character.
        found: char,
        /// Its position, starting at 1.
        column: usize,
    },
    /// A hyphen where DNS requires a letter or digit.
    #[error("a name begins and ends with a letter or digit, not `-`")]
    HyphenAtEnd,
}

/// Bytes kept of the beginning of a text that is too long; the rest is kept of its end.
const BEGINNING_BYTES_MAX: usize = 320;

/// What stands for the middle of a text that is too long.
const CUT: &str = " … ";

/// Free text for people, such as a description: limited in length, and without invisible characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(Box<str>);

impl Text {
    /// Parses at most [`TEXT_BYTES_MAX`] bytes without [invisible](first_invisible) characters.
    ///
    /// # Errors
    /// [`TextError`] describes the problem.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        if TEXT_BYTES_MAX < text.len() {
            return Err(TextError::TooLong { bytes: text.len() });
        }
        if let Some((index, found)) = first_invisible(text) {
            return Err(TextError::InvisibleCharacter { found, column: index + 1 });
        }
        Ok(Self(text.into()))
    }

    /// Converts `text` without failing: it is made [`printable`], and the middle of a text that is too long is cut out:
    /// its beginning says what happened, and its end what to do. For generated messages that quote text from elsewhere.
    pub fn lossy(text: &str) -> Self {
        let kept = printable(text);
        if kept.len() <= TEXT_BYTES_MAX {
            return Self(kept.into());
        }
        let end_bytes = TEXT_BYTES_MAX - BEGINNING_BYTES_MAX - CUT.len();
        let beginning = &kept[..kept.floor_char_boundary(BEGINNING_BYTES_MAX)];
        let end = &kept[kept.ceil_char_boundary(kept.len() - end_bytes)..];
        // A cut may leave a variation selector without its symbol.
        Self(printable(&[beginning, CUT, end].concat()).into())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a text is not a valid [`Text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The text is too long.
    #[error("a text has at most {TEXT_BYTES_MAX} bytes, not {bytes}")]
    TooLong {
        /// The actual length.
        bytes: usize,
    },
    /// An invisible character, such as a line feed or a change of the writing direction.
    #[error("a text has no control or format characters: column {column} is {}", character_name(*found))]
    InvisibleCharacter {
        /// The first one.
        found: char,
        /// Its position, starting at 1.
        column: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_dns_label() {
        let check = |text: &str, error| assert_eq!(Name::parse(text).err(), error);
        check("camp-042", None);
        check("", Some(NameError::Empty));
        check("Camp", Some(NameError::BadCharacter { found: 'C', column: 1 }));
        check("a_b", Some(NameError::BadCharacter { found: '_', column: 2 }));
        check("-a", Some(NameError::HyphenAtEnd));
        check(&"a".repeat(64), Some(NameError::TooLong { bytes: 64 }));
    }

    #[test]
    fn a_lossy_text_is_always_valid() {
        let long = "é\n".repeat(TEXT_BYTES_MAX);
        assert!(Text::lossy(&long).as_str().len() <= TEXT_BYTES_MAX);
        let cause = "x".repeat(TEXT_BYTES_MAX);
        let text = Text::lossy(&format!("cannot write: {cause}. Free space on /var"));
        assert_eq!(text.as_str().len(), TEXT_BYTES_MAX);
        assert!(text.as_str().starts_with("cannot write: x"), "{text}");
        assert!(text.as_str().contains("x … x") && text.as_str().ends_with("x. Free space on /var"), "{text}");
        assert_eq!(Text::lossy("a\tb").as_str(), "a b");
        assert_eq!(Text::lossy("a\u{202e}b\u{2066}c\u{feff}é").as_str(), "a\u{fffd}b\u{fffd}c\u{fffd}é");
        assert!(Text::parse(Text::lossy(&"\u{1b}\u{2028}".repeat(TEXT_BYTES_MAX)).as_str()).is_ok());
    }

    #[test]
    fn an_invisible_character_is_rejected_with_its_code_point_and_column() {
        let error = |text: &str| Text::parse(text).unwrap_err().to_string();
        assert_eq!(error("né\u{202e}x"), "a text has no control or format characters: column 3 is U+202E");
        assert_eq!(error("a\nb"), "a text has no control or format characters: column 2 is U+000A");
        let error = Name::parse("camp\u{200b}").unwrap_err().to_string();
        assert_eq!(error, "a name has only a-z, 0-9 and `-`: column 5 is U+200B");
        let error = Name::parse("cаmp").unwrap_err().to_string();
        assert_eq!(error, "a name has only a-z, 0-9 and `-`: column 2 is `а` (U+0430)");
    }
}
