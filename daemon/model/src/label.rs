//! Labels of a site or a host.
//!
//! A label has one of three owners, and each owner has exactly one writer. The site writes what a machine detects about
//! itself (`reported`) and what was set locally (`local`). The server writes what was set centrally (`assigned`). There
//! is therefore nothing to merge: the [`effective`] view is computed from the three and never stored.

mod effective_value;
mod query;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::limits::{LABEL_KEY_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_PER_OWNER_MAX};
use crate::printable::{character_name, first_invisible, printable};
use crate::time::WallTime;

pub use self::effective_value::{effective_value, effective_value_of_site};
pub use self::query::InvalidLabel;
use self::query::query_label;

/// A label key, such as `rack` or `io.linecamp.host.os`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelKey(Box<str>);

impl LabelKey {
    /// Parses 1 to [`LABEL_KEY_BYTES_MAX`] of `A-Z a-z 0-9 . _ / : -`, with a letter or digit at both ends.
    ///
    /// # Errors
    /// [`LabelError`] describes the problem and its position.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        if text.is_empty() {
            return Err(LabelError::EmptyKey);
        }
        if LABEL_KEY_BYTES_MAX < text.len() {
            return Err(LabelError::KeyTooLong { bytes: text.len() });
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | ':' | '-');
        let is_end = |c: char| c.is_ascii_alphanumeric();
        let last = text.chars().count() - 1;
        let bad =
            text.chars().enumerate().find(|(index, c)| !fits(*c) || ((*index == 0 || *index == last) && !is_end(*c)));
        match bad {
            Some((index, found)) => Err(LabelError::BadKeyCharacter { key: text.into(), found, column: index + 1 }),
            None => Ok(Self(text.into())),
        }
    }

    /// Returns the key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A label value: text without invisible characters, possibly empty.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelValue(Box<str>);

impl LabelValue {
    /// Parses at most [`LABEL_VALUE_BYTES_MAX`] bytes without [invisible](first_invisible) characters; surrounding
    /// spaces are trimmed.
    ///
    /// # Errors
    /// [`LabelError`] describes the problem.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        let text = text.trim();
        if LABEL_VALUE_BYTES_MAX < text.len() {
            return Err(LabelError::ValueTooLong { bytes: text.len() });
        }
        match first_invisible(text) {
            Some((index, found)) => Err(LabelError::InvisibleCharacter { found, column: index + 1 }),
            None => Ok(Self(text.into())),
        }
    }

    /// Returns the value as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

as_text!(LabelKey);
as_text!(LabelValue);

/// One label in the form `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The key.
    pub key: LabelKey,
    /// The value.
    pub value: LabelValue,
}

impl Label {
    /// Parses `key=value`; the value may contain further `=`.
    ///
    /// # Errors
    /// [`LabelError`] describes the problem.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        let (key, value) =
            text.split_once('=').ok_or_else(|| LabelError::NoEquals { text: text.chars().take(80).collect() })?;
        Ok(Self { key: LabelKey::parse(key.trim())?, value: LabelValue::parse(value)? })
    }
}

/// Why a text is not a valid label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// The key is empty.
    #[error("a label's key cannot be empty")]
    EmptyKey,
    /// The key is too long.
    #[error("a label's key has at most {LABEL_KEY_BYTES_MAX} characters, not {bytes}")]
    KeyTooLong {
        /// The actual length.
        bytes: usize,
    },
    /// The key has a character that is not allowed at its position.
    #[error("label key `{}`: column {column} is {}; a key has letters, digits and . _ / : -, with a letter or digit at both ends", printable(key), character_name(*found))]
    BadKeyCharacter {
        /// The key as given.
        key: Box<str>,
        /// The first invalid character.
        found: char,
        /// Its position, starting at 1.
        column: usize,
    },
    /// The value is too long.
    #[error("a label's value has at most {LABEL_VALUE_BYTES_MAX} bytes, not {bytes}")]
    ValueTooLong {
        /// The actual length.
        bytes: usize,
    },
    /// The value has an invisible character, such as a line feed or a zero-width joiner.
    #[error("a label's value has no control or format characters: column {column} of the value is {}", character_name(*found))]
    InvisibleCharacter {
        /// The first one.
        found: char,
        /// Its position, starting at 1.
        column: usize,
    },
    /// The text is not of the form `key=value`.
    #[error("`{}` is not a label; write KEY=VALUE", printable(text))]
    NoEquals {
        /// The text, truncated to 80 characters.
        text: String,
    },
    /// A `%` that is not followed by two hexadecimal digits.
    #[error("`%` at column {column} is not followed by two hexadecimal digits")]
    BadEscape {
        /// Its position, starting at 1.
        column: usize,
    },
    /// The percent-decoded bytes are not valid UTF-8.
    #[error("what begins at column {column} does not decode to UTF-8 text")]
    NotText {
        /// Where the key or value starts, counted from 1.
        column: usize,
    },
    /// More labels than allowed for one owner.
    #[error("one owner has at most {LABELS_PER_OWNER_MAX} labels on a site or host; this would make {count}")]
    TooMany {
        /// The number of labels the change would result in.
        count: usize,
    },
}

/// Labels parsed from one input: the last value of each key, and the keys given more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelInput {
    /// The labels.
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// Keys given more than once, for a warning; the last value wins.
    pub repeated: BTreeSet<LabelKey>,
}

impl LabelInput {
    /// Parses a list of `key=value`, as from a repeated `--label`.
    ///
    /// # Errors
    /// [`LabelError`] for the first invalid label.
    pub fn parse_list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, LabelError> {
        let mut input = Self::default();
        for text in texts {
            input.add(Label::parse(text.as_ref())?);
        }
        input.check_count()
    }

    /// Parses the format of `LINECAMP_HOST_LABELS`: `foo=bar&hello=world`, percent-encoded, with `+` for a space. A key
    /// without `=` has an empty value. Invalid entries are skipped; they are returned with the reason.
    pub fn parse_query(text: &str) -> (Self, Vec<InvalidLabel>) {
        let (mut input, mut invalid) = (Self::default(), Vec::new());
        let mut column = 1;
        for entry in text.split('&') {
            if !entry.trim().is_empty() {
                match query_label(entry, column) {
                    Ok(label) => input.add(label),
                    Err(error) => {
                        invalid.push(InvalidLabel::of(entry, error));
                    }
                }
            }
            column += entry.chars().count() + 1;
        }
        (input, invalid)
    }

    /// Adds a label, replacing an earlier one with the same key.
    pub fn add(&mut self, label: Label) {
        if self.labels.insert(label.key.clone(), label.value).is_some() {
            self.repeated.insert(label.key);
        }
    }

    fn check_count(self) -> Result<Self, LabelError> {
        match self.labels.len() {
            count if LABELS_PER_OWNER_MAX < count => Err(LabelError::TooMany { count }),
            _ => Ok(self),
        }
    }
}

/// A change to one owner's labels. Keys that are not listed are unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelPatch {
    /// Labels to set.
    pub set: BTreeMap<LabelKey, LabelValue>,
    /// Keys to remove; a missing key is not an error.
    pub remove: BTreeSet<LabelKey>,
}

/// A label value, and when its owner set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelEntry {
    /// The value.
    pub value: LabelValue,
    /// When the value was set, by the writer's clock.
    pub since: WallTime,
}

/// The labels of one owner on one site or host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSet(BTreeMap<LabelKey, LabelEntry>);

impl LabelSet {
    /// Creates a set from labels that were stored or received.
    ///
    /// # Errors
    /// [`LabelError::TooMany`].
    pub fn from_map(labels: BTreeMap<LabelKey, LabelEntry>) -> Result<Self, LabelError> {
        match labels.len() {
            count if LABELS_PER_OWNER_MAX < count => Err(LabelError::TooMany { count }),
            _ => Ok(Self(labels)),
        }
    }

    /// Returns this set with `patch` applied. A label whose value is unchanged keeps its `since`.
    ///
    /// # Errors
    /// [`LabelError::TooMany`].
    pub fn patched(&self, patch: &LabelPatch, now: WallTime) -> Result<Self, LabelError> {
        let mut labels = self.0.clone();
        labels.retain(|key, _| !patch.remove.contains(key));
        for (key, value) in &patch.set {
            match labels.get(key) {
                Some(held) if held.value == *value => {}
                Some(_) | None => {
                    labels.insert(key.clone(), LabelEntry { value: value.clone(), since: now });
                }
            }
        }
        Self::from_map(labels)
    }

    /// Returns a set of exactly `labels`. A label whose value is unchanged keeps its `since`.
    ///
    /// # Errors
    /// [`LabelError::TooMany`].
    pub fn replaced(&self, labels: &BTreeMap<LabelKey, LabelValue>, now: WallTime) -> Result<Self, LabelError> {
        let remove = self.0.keys().filter(|key| !labels.contains_key(*key)).cloned().collect();
        self.patched(&LabelPatch { set: labels.clone(), remove }, now)
    }

    /// Returns the labels ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&LabelKey, &LabelEntry)> {
        self.0.iter()
    }

    /// Returns the value of `key`.
    pub fn get(&self, key: &LabelKey) -> Option<&LabelValue> {
        self.0.get(key).map(|entry| &entry.value)
    }

    /// Returns the value of `key`.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(held, _)| held.as_str() == key).map(|(_, held)| held.value.as_str())
    }

    /// Returns whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of labels.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// The owner of a label, in order of precedence: for one key, a later owner overrides an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// Reported by the machine about itself.
    Reported,
    /// Set locally at the site.
    Local,
    /// Set centrally at the server.
    Assigned,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reported => "reported",
            Self::Local => "local",
            Self::Assigned => "assigned",
        })
    }
}

/// Whether a label applies to the site or to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Applies to the whole site.
    Site,
    /// Applies to one host.
    Host,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Site => "site",
            Self::Host => "host",
        })
    }
}

/// The labels of the three owners at one level.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnedLabels<'a> {
    /// Reported by the machine.
    pub reported: Option<&'a LabelSet>,
    /// Set locally.
    pub local: Option<&'a LabelSet>,
    /// Set centrally.
    pub assigned: Option<&'a LabelSet>,
}

impl<'a> OwnedLabels<'a> {
    fn in_order(self) -> impl Iterator<Item = (Owner, &'a LabelSet)> {
        [(Owner::Reported, self.reported), (Owner::Local, self.local), (Owner::Assigned, self.assigned)]
            .into_iter()
            .filter_map(|(owner, labels)| labels.map(|labels| (owner, labels)))
    }
}

/// A label after precedence is resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveLabel {
    /// The value.
    pub value: LabelValue,
    /// The owner that set it.
    pub owner: Owner,
    /// The level at which it is set.
    pub level: Level,
    /// When it was set.
    pub since: WallTime,
}

/// The effective labels by key.
pub type EffectiveLabels = BTreeMap<LabelKey, EffectiveLabel>;

/// Returns the effective labels of a host: those of its site, overridden by its own. At one level `assigned` overrides
/// `local`, which overrides `reported`.
pub fn effective(site: OwnedLabels<'_>, host: OwnedLabels<'_>) -> EffectiveLabels {
    overlay([(Level::Site, site), (Level::Host, host)])
}

/// Returns the effective labels of a site: those its gateway reports about itself, overridden by those of the site. A
/// selector such as `docker_version>=24` therefore matches sites as well as hosts.
pub fn effective_of_site(site: OwnedLabels<'_>, gateway: OwnedLabels<'_>) -> EffectiveLabels {
    let facts = OwnedLabels { reported: gateway.reported, ..OwnedLabels::default() };
    overlay([(Level::Host, facts), (Level::Site, site)])
}

fn overlay(levels: [(Level, OwnedLabels<'_>); 2]) -> EffectiveLabels {
    let mut view = EffectiveLabels::new();
    for (level, owned) in levels {
        for (owner, labels) in owned.in_order() {
            for (key, held) in labels.iter() {
                let label = EffectiveLabel { value: held.value.clone(), owner, level, since: held.since };
                view.insert(key.clone(), label);
            }
        }
    }
    view
}

#[cfg(test)]
mod tests;
