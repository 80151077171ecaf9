//! Selectors: choose sites or hosts by their labels. The same grammar is used everywhere.
//!
//! ```text
//! selector = [ term { "," term } ]            all terms must hold; an empty selector selects everything
//! term     = key                              the label exists
//!          | "!" key                          it does not exist
//!          | key ("=" | "==" | "!=") value    its text equals, or does not equal, the value
//!          | key ("<" | "<=" | ">" | ">=") value
//!          | key ("in" | "notin") "(" value { "," value } ")"
//! value    = word | '"' text '"'              in quotes, \" and \\ are escapes for " and \
//! ```
//!
//! Spaces between tokens are optional. A word has no spaces, no invisible characters, none of
//! `, ( ) " ' \ = ! < > & | *`, and does not start with `~`: text that might be meant as syntax is rejected, not
//! compared. The empty value is written `""`, so that an unset shell variable is an error.
//!
//! If a key is missing, `!key`, `!=` and `notin` are true and everything else is false.
//!
//! `=` and `in` compare text, so `24` does not equal `24.0`. Ordering compares versions, as described in the `version`
//! module: `5.9 < 5.10-rc1 < 5.10 < 6.18.5-amd64`.
//!
//! A selector does not know whose labels it is evaluated against, nor whether a key it names exists anywhere.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;

use crate::label::{EffectiveLabels, LabelError, LabelKey, LabelValue};
use crate::limits::{SELECTOR_BYTES_MAX, SELECTOR_TERMS_MAX};
use crate::printable::{character_name, first_invisible, is_invisible};
use crate::version::compare_versions;

const KEY: &str = "a key of letters, digits and . _ / : - with a letter or digit at both ends";
const OPERATOR: &str = "one of = == != < <= > >= in notin, or `,`, or the end";
const VALUE: &str = "a value (an empty or unusual one in double quotes)";
const QUOTE: &str = "a closing `\"` (and no control or format character before it)";
const ESCAPED: &str = "`\"` or `\\` after `\\`";
const AFTER_TERM: &str = "`,` or the end (other characters of a value need double quotes around it)";
const IN_LIST: &str = "`,` or `)` (other characters of a value need double quotes around it)";

/// Chooses sites or hosts: a list of terms over labels, all of which must hold. The default selects everything.
///
/// Its text is canonical: `in` and `notin` with one value become `=` and `!=`, lists are sorted, and only values that
/// need quotes have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    terms: Vec<Term>,
}

impl Selector {
    /// Parses at most [`SELECTOR_TERMS_MAX`] terms in at most [`SELECTOR_BYTES_MAX`] bytes. The limits apply to the
    /// text as written and to its canonical form, so that a stored selector can be parsed again.
    ///
    /// # Errors
    /// [`SelectorError`] describes what was expected, what was found, and where.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        check_length(text)?;
        let mut terms = Vec::new();
        let mut rest = Tokens { rest: text, column: 1 };
        rest.pass(0);
        while !rest.token().is_empty() {
            if !terms.is_empty() {
                rest.expect(",", AFTER_TERM)?;
            }
            if terms.len() == SELECTOR_TERMS_MAX {
                return Err(error_at(rest.column, SelectorProblem::TooManyTerms));
            }
            terms.push(rest.term()?);
        }
        let selector = Self { terms };
        check_length(&selector.to_string())?;
        Ok(selector)
    }

    /// Returns whether every term holds for `labels`.
    pub fn matches(&self, labels: &EffectiveLabels) -> bool {
        self.matches_values(|key| labels.get(key).map(|label| &label.value))
    }

    /// Returns whether every term holds for the labels of which `value` returns the values.
    pub fn matches_values<'a>(&self, value: impl Fn(&LabelKey) -> Option<&'a LabelValue>) -> bool {
        self.terms.iter().all(|Term(key, rule)| rule.holds(value(key)))
    }

    /// Describes the first term that does not hold, and what its label is instead; `None` if all hold.
    pub fn unmet<'a>(&self, value: impl Fn(&LabelKey) -> Option<&'a LabelValue>) -> Option<String> {
        let term = self.terms.iter().find(|Term(key, rule)| !rule.holds(value(key)))?;
        let Term(key, _) = term;
        Some(match value(key) {
            Some(found) => format!("{term}: the label is {}", written(found)),
            None => format!("{term}: there is no such label"),
        })
    }

    /// Returns whether there are no terms, so that everything is selected.
    pub fn is_all(&self) -> bool {
        self.terms.is_empty()
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms: Vec<_> = self.terms.iter().map(Term::to_string).collect();
        f.write_str(&terms.join(", "))
    }
}

/// Why a text is not a valid [`Selector`], and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("selector, column {column}: {problem}")]
pub struct SelectorError {
    /// The position in characters, starting at 1.
    pub column: usize,
    /// The problem at that position.
    pub problem: SelectorProblem,
}

/// A syntax error in a selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorProblem {
    /// The text is too long. The column is 1.
    #[error("a selector has at most {SELECTOR_BYTES_MAX} bytes, not {bytes}")]
    TooLong {
        /// The actual length.
        bytes: usize,
    },
    /// More than [`SELECTOR_TERMS_MAX`] terms.
    #[error("a selector has at most {SELECTOR_TERMS_MAX} terms")]
    TooManyTerms,
    /// An unexpected token.
    #[error("expected {expected}, found {}", shown(found))]
    Unexpected {
        /// What would be valid there.
        expected: &'static str,
        /// The token, truncated if it is long; empty at the end of the text.
        found: Box<str>,
    },
    /// An invalid label key or value.
    #[error(transparent)]
    Label(LabelError),
}

/// Maximum number of characters of the unexpected token that an error shows.
const FOUND_CHARS_MAX: usize = 24;

fn shown(found: &str) -> String {
    match found {
        "" => "the end".into(),
        found => match first_invisible(found) {
            Some((_, invisible)) => character_name(invisible),
            None => format!("`{found}`"),
        },
    }
}

fn error_at(column: usize, problem: SelectorProblem) -> SelectorError {
    SelectorError { column, problem }
}

fn unexpected(column: usize, expected: &'static str, found: &str) -> SelectorError {
    let found = found.chars().take(FOUND_CHARS_MAX).collect();
    error_at(column, SelectorProblem::Unexpected { expected, found })
}

fn check_length(text: &str) -> Result<(), SelectorError> {
    match text.len() {
        0..=SELECTOR_BYTES_MAX => Ok(()),
        bytes => Err(error_at(1, SelectorProblem::TooLong { bytes })),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term(LabelKey, Rule);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Present,
    Absent,
    In(BTreeSet<LabelValue>),
    NotIn(BTreeSet<LabelValue>),
    Ordered(Order, LabelValue),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Order {
    fn symbol(self) -> &'static str {
        match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        }
    }

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Below => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::Above => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
        }
    }
}

impl Rule {
    fn holds(&self, found: Option<&LabelValue>) -> bool {
        match (self, found) {
            (Self::Present, found) => found.is_some(),
            (Self::Absent, found) => found.is_none(),
            (Self::In(values), Some(found)) => values.contains(found),
            (Self::NotIn(values), Some(found)) => !values.contains(found),
            (Self::Ordered(order, bound), Some(found)) => order.holds(compare_versions(found.as_str(), bound.as_str())),
            (Self::NotIn(_), None) => true,
            (Self::In(_) | Self::Ordered(..), None) => false,
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(key, rule) = self;
        let list = |values: &BTreeSet<_>| values.iter().map(written).collect::<Vec<_>>().join(",");
        match rule {
            Rule::Present => write!(f, "{key}"),
            Rule::Absent => write!(f, "!{key}"),
            Rule::In(values) if values.len() == 1 => write!(f, "{key}={}", list(values)),
            Rule::In(values) => write!(f, "{key} in ({})", list(values)),
            Rule::NotIn(values) if values.len() == 1 => write!(f, "{key}!={}", list(values)),
            Rule::NotIn(values) => write!(f, "{key} notin ({})", list(values)),
            Rule::Ordered(order, bound) => write!(f, "{key}{}{}", order.symbol(), written(bound)),
        }
    }
}

fn written(value: &LabelValue) -> String {
    let text = value.as_str();
    if begins_word(text) && text.chars().all(is_word) {
        return text.into();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn is_word(c: char) -> bool {
    !c.is_whitespace() && !is_invisible(c) && !",()\"'\\=!<>&|*".contains(c)
}

fn begins_word(text: &str) -> bool {
    text.starts_with(|c| is_word(c) && c != '~')
}

/// The unparsed rest of a text, starting at a token: a word, a run of `= ! < > ~`, or any other single character. A run
/// is one token and includes `~`, so that `=~` and `=!` are rejected, not read as `=`.
struct Tokens<'a> {
    rest: &'a str,
    column: usize,
}

impl<'a> Tokens<'a> {
    fn term(&mut self) -> Result<Term, SelectorError> {
        if self.token() == "!" {
            return Ok(Term(self.skip().key()?, Rule::Absent));
        }
        let key = self.key()?;
        let rule = match self.token() {
            "" | "," => Rule::Present,
            "=" | "==" => Rule::In([self.skip().value()?].into()),
            "!=" => Rule::NotIn([self.skip().value()?].into()),
            "in" => Rule::In(self.skip().list()?),
            "notin" => Rule::NotIn(self.skip().list()?),
            "<" => Rule::Ordered(Order::Below, self.skip().value()?),
            "<=" => Rule::Ordered(Order::AtMost, self.skip().value()?),
            ">" => Rule::Ordered(Order::Above, self.skip().value()?),
            ">=" => Rule::Ordered(Order::AtLeast, self.skip().value()?),
            other => return Err(unexpected(self.column, OPERATOR, other)),
        };
        Ok(Term(key, rule))
    }

    fn key(&mut self) -> Result<LabelKey, SelectorError> {
        let key = LabelKey::parse(self.token()).map_err(|error| match error {
            LabelError::EmptyKey => unexpected(self.column, KEY, ""),
            LabelError::BadKeyCharacter { found, column, .. } => {
                unexpected(self.column + column - 1, KEY, found.encode_utf8(&mut [0; 4]))
            }
            other => error_at(self.column, SelectorProblem::Label(other)),
        })?;
        self.skip();
        Ok(key)
    }

    fn list(&mut self) -> Result<BTreeSet<LabelValue>, SelectorError> {
        self.expect("(", "`(` and a list of values")?;
        let mut values = BTreeSet::from([self.value()?]);
        while self.token() == "," {
            values.insert(self.skip().value()?);
        }
        self.expect(")", IN_LIST)?;
        Ok(values)
    }

    fn value(&mut self) -> Result<LabelValue, SelectorError> {
        let start = self.column;
        let text = match self.token() {
            "\"" => self.quoted()?,
            word if begins_word(word) => {
                self.skip();
                word.to_owned()
            }
            other => return Err(unexpected(start, VALUE, other)),
        };
        LabelValue::parse(&text).map_err(|error| error_at(start, SelectorProblem::Label(error)))
    }

    fn quoted(&mut self) -> Result<String, SelectorError> {
        let mut text = String::new();
        let mut is_escaped = false;
        for (column, (byte, c)) in (self.column..).zip(self.rest.char_indices()).skip(1) {
            match c {
                '"' | '\\' if is_escaped => {
                    text.push(c);
                    is_escaped = false;
                }
                _ if is_escaped => return Err(unexpected(column, ESCAPED, c.encode_utf8(&mut [0; 4]))),
                '"' => {
                    self.pass(byte + 1);
                    return Ok(text);
                }
                '\\' => is_escaped = true,
                _ if is_invisible(c) => return Err(unexpected(column, QUOTE, c.encode_utf8(&mut [0; 4]))),
                _ => text.push(c),
            }
        }
        Err(unexpected(self.column + self.rest.chars().count(), QUOTE, ""))
    }

    fn expect(&mut self, wanted: &str, expected: &'static str) -> Result<(), SelectorError> {
        if self.token() != wanted {
            return Err(unexpected(self.column, expected, self.token()));
        }
        self.skip();
        Ok(())
    }

    /// Returns the current token; empty at the end of the text.
    fn token(&self) -> &'a str {
        let is_symbol = |c: char| "=!<>~".contains(c);
        let end = match self.rest.chars().next() {
            Some(c) if is_symbol(c) => self.rest.find(|c| !is_symbol(c)),
            Some(c) if is_word(c) => self.rest.find(|c| !is_word(c)),
            other => other.map(char::len_utf8),
        };
        &self.rest[..end.unwrap_or(self.rest.len())]
    }

    fn skip(&mut self) -> &mut Self {
        self.pass(self.token().len());
        self
    }

    fn pass(&mut self, bytes: usize) {
        let rest = self.rest[bytes..].trim_start();
        let passed = &self.rest[..self.rest.len() - rest.len()];
        self.column += passed.chars().count();
        self.rest = rest;
    }
}

#[cfg(test)]
mod tests;
