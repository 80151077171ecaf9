//! Labels: who says what about a site or a host.
//!
//! Each label has one of three owners, and each owner exactly one writer: what a machine finds out about
//! itself (`reported`) and what was set on the spot (`local`) are written by the site, what was set
//! centrally (`assigned`) by the server. So nothing is ever merged by guess: the [`effective`] view is
//! computed from the three and stored nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::limits::{LABEL_KEY_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_PER_OWNER_MAX};
use crate::time::WallTime;

/// A label's key, such as `rack` or `io.linecamp.host.os`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelKey(Box<str>);

impl LabelKey {
    /// Parses 1 to [`LABEL_KEY_BYTES_MAX`] of `A-Z a-z 0-9 . _ / : -`, with a letter or digit at both ends.
    ///
    /// # Errors
    /// [`LabelError`] says what is wrong, and where.
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

/// A label's value: any text without control characters, possibly empty.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelValue(Box<str>);

impl LabelValue {
    /// Parses at most [`LABEL_VALUE_BYTES_MAX`] bytes without control characters; spaces at the ends are cut.
    ///
    /// # Errors
    /// [`LabelError`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        let text = text.trim();
        if LABEL_VALUE_BYTES_MAX < text.len() {
            return Err(LabelError::ValueTooLong { bytes: text.len() });
        }
        match text.chars().position(char::is_control) {
            Some(index) => Err(LabelError::ControlCharacter { column: index + 1 }),
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

/// One label as it is written: `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The key.
    pub key: LabelKey,
    /// The value.
    pub value: LabelValue,
}

impl Label {
    /// Parses `key=value`; further `=` belong to the value.
    ///
    /// # Errors
    /// [`LabelError`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        let (key, value) =
            text.split_once('=').ok_or_else(|| LabelError::NoEquals { text: text.chars().take(80).collect() })?;
        Ok(Self { key: LabelKey::parse(key.trim())?, value: LabelValue::parse(value)? })
    }
}

/// Why a text is not a label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Nothing before the `=`.
    #[error("a label's key cannot be empty")]
    EmptyKey,
    /// The key is too long.
    #[error("a label's key has at most {LABEL_KEY_BYTES_MAX} characters, not {bytes}")]
    KeyTooLong {
        /// The length found.
        bytes: usize,
    },
    /// The key has a character it cannot have there.
    #[error("label key `{key}`: column {column} is `{}`; a key has letters, digits and . _ / : -, with a letter or digit at both ends", found.escape_default())]
    BadKeyCharacter {
        /// The key as given.
        key: Box<str>,
        /// The first character that does not fit.
        found: char,
        /// Its place, from 1.
        column: usize,
    },
    /// The value is too long.
    #[error("a label's value has at most {LABEL_VALUE_BYTES_MAX} bytes, not {bytes}")]
    ValueTooLong {
        /// The length found.
        bytes: usize,
    },
    /// The value has a line feed, an escape, or the like.
    #[error("a label's value has no control characters: column {column} of the value is one")]
    ControlCharacter {
        /// Its place, from 1.
        column: usize,
    },
    /// Not `key=value`.
    #[error("`{text}` is not a label; write KEY=VALUE")]
    NoEquals {
        /// What was found, cut at 80 characters.
        text: String,
    },
    /// A `%` without two hexadecimal digits.
    #[error("`%` at column {column} is not followed by two hexadecimal digits")]
    BadEscape {
        /// Its place, from 1.
        column: usize,
    },
    /// Percent-decoded bytes that are no text.
    #[error("what begins at column {column} does not decode to UTF-8 text")]
    NotText {
        /// Where the key or value begins, from 1.
        column: usize,
    },
    /// More labels than one owner may have.
    #[error("one owner has at most {LABELS_PER_OWNER_MAX} labels on a site or host; this would make {count}")]
    TooMany {
        /// How many there would be.
        count: usize,
    },
}

/// Labels read from one input, the last of each key, and the keys that came twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelInput {
    /// What holds.
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// Keys that came more than once, for a warning: the last one won.
    pub repeated: BTreeSet<LabelKey>,
}

impl LabelInput {
    /// Reads a list of `key=value`, as of a repeated `--label`.
    ///
    /// # Errors
    /// [`LabelError`] of the first bad one.
    pub fn parse_list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, LabelError> {
        let mut input = Self::default();
        for text in texts {
            input.add(Label::parse(text.as_ref())?);
        }
        input.check_count()
    }

    /// Reads the form of `LINECAMP_HOST_LABELS`: `foo=bar&hello=world`, percent-decoded, `+` for a space;
    /// a key without `=` has an empty value.
    ///
    /// # Errors
    /// [`LabelError`] of the first bad one.
    pub fn parse_query(text: &str) -> Result<Self, LabelError> {
        let mut input = Self::default();
        let mut column = 1;
        for part in text.split('&') {
            if !part.trim().is_empty() {
                let (key, value) = part.split_once('=').unwrap_or((part, ""));
                let value_column = column + key.chars().count() + 1;
                let key = percent_decode(key, column)?;
                let value = percent_decode(value, value_column)?;
                input.add(Label { key: LabelKey::parse(key.trim())?, value: LabelValue::parse(&value)? });
            }
            column += part.chars().count() + 1;
        }
        input.check_count()
    }

    /// Adds a label; one of the same key that came before gives way.
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

fn percent_decode(text: &str, column: usize) -> Result<String, LabelError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter().copied().enumerate();
    while let Some((index, byte)) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut digit = || rest.next().and_then(|(_, byte)| char::from(byte).to_digit(16));
                let decoded = digit().zip(digit()).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                bytes.push(decoded.ok_or(LabelError::BadEscape { column: column + index })?);
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| LabelError::NotText { column })
}

/// A change of one owner's labels, key by key: what is not named stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelPatch {
    /// Labels to set.
    pub set: BTreeMap<LabelKey, LabelValue>,
    /// Keys to take away; one that is not there is no error.
    pub remove: BTreeSet<LabelKey>,
}

/// A label's value, and since when its owner says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLabel {
    /// The value.
    pub value: LabelValue,
    /// When this value was set, by the clock of its writer.
    pub since: WallTime,
}

/// The labels of one owner on one site or host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSet(BTreeMap<LabelKey, HeldLabel>);

impl LabelSet {
    /// Takes labels that were stored or received.
    ///
    /// # Errors
    /// [`LabelError::TooMany`].
    pub fn from_map(labels: BTreeMap<LabelKey, HeldLabel>) -> Result<Self, LabelError> {
        match labels.len() {
            count if LABELS_PER_OWNER_MAX < count => Err(LabelError::TooMany { count }),
            _ => Ok(Self(labels)),
        }
    }

    /// Returns this set after `patch`. A label that keeps its value keeps its `since`.
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
                    labels.insert(key.clone(), HeldLabel { value: value.clone(), since: now });
                }
            }
        }
        Self::from_map(labels)
    }

    /// Returns the set that holds exactly `labels`. A label that keeps its value keeps its `since`.
    ///
    /// # Errors
    /// [`LabelError::TooMany`].
    pub fn replaced(&self, labels: &BTreeMap<LabelKey, LabelValue>, now: WallTime) -> Result<Self, LabelError> {
        let remove = self.0.keys().filter(|key| !labels.contains_key(*key)).cloned().collect();
        self.patched(&LabelPatch { set: labels.clone(), remove }, now)
    }

    /// Returns the labels in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&LabelKey, &HeldLabel)> {
        self.0.iter()
    }

    /// Returns the value of `key`.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(held, _)| held.as_str() == key).map(|(_, held)| held.value.as_str())
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Who says so. In the order of precedence: for one key, a later owner beats an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The machine, about itself.
    Reported,
    /// Somebody on the spot.
    Local,
    /// Somebody at the server.
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

/// Whether a label is the site's or a host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Said of the whole site.
    Site,
    /// Said of one host.
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

/// What the three owners say at one level.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnedLabels<'a> {
    /// Found out by the machine.
    pub reported: Option<&'a LabelSet>,
    /// Set on the spot.
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

/// A label as everybody sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveLabel {
    /// The value.
    pub value: LabelValue,
    /// Who says so.
    pub owner: Owner,
    /// Where it is said.
    pub level: Level,
    /// Since when.
    pub since: WallTime,
}

/// The labels that hold, by key.
pub type EffectiveLabels = BTreeMap<LabelKey, EffectiveLabel>;

/// Returns the labels of a host: its site's, overlaid by its own; at one level `assigned` beats `local`
/// beats `reported`.
pub fn effective(site: OwnedLabels<'_>, host: OwnedLabels<'_>) -> EffectiveLabels {
    overlay([(Level::Site, site), (Level::Host, host)])
}

/// Returns the labels of a site: what its gateway reports of itself, overlaid by what is said of the site.
/// So `docker_version>=24` finds sites as well as hosts.
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
mod tests {
    use super::*;

    fn set(labels: &[(&str, &str)]) -> LabelSet {
        let input = LabelInput::parse_list(labels.iter().map(|(key, value)| format!("{key}={value}"))).expect("valid");
        LabelSet::default().replaced(&input.labels, WallTime::EPOCH).expect("few")
    }

    #[test]
    fn the_last_of_a_repeated_key_wins_and_is_named() {
        let input = LabelInput::parse_query("foo=bar&test=1&foo=pick&novalue").expect("valid");
        let held: Vec<_> = input.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(held, ["foo=pick", "novalue=", "test=1"]);
        assert_eq!(input.repeated.iter().map(LabelKey::as_str).collect::<Vec<_>>(), ["foo"]);
    }

    #[test]
    fn a_label_query_is_percent_decoded() {
        let check = |text, expected: Result<&str, LabelError>| {
            let value =
                LabelInput::parse_query(text).map(|input| input.labels.values().next().cloned().unwrap_or_default());
            assert_eq!(value.as_ref().map(LabelValue::as_str).map_err(Clone::clone), expected, "{text}");
        };
        check("a=b%26c+d", Ok("b&c d"));
        check("a=%C3%A9", Ok("é"));
        check("x=1&a=%2", Err(LabelError::BadEscape { column: 7 }));
        check("a=%ff", Err(LabelError::NotText { column: 3 }));
        check("a=%0a%00x", Err(LabelError::ControlCharacter { column: 1 }));
        check("a b=c", Err(LabelError::BadKeyCharacter { key: "a b".into(), found: ' ', column: 2 }));
    }

    #[test]
    fn at_one_level_assigned_beats_local_beats_reported() {
        let (reported, local, assigned) =
            (set(&[("a", "r"), ("b", "r"), ("c", "r")]), set(&[("a", "l"), ("b", "l")]), set(&[("a", "x")]));
        let host = OwnedLabels { reported: Some(&reported), local: Some(&local), assigned: Some(&assigned) };
        let site_label = set(&[("a", "site"), ("d", "site")]);
        let site = OwnedLabels { assigned: Some(&site_label), ..OwnedLabels::default() };
        let view = effective(site, host);
        let seen: Vec<_> =
            view.iter().map(|(key, label)| format!("{key}={} {} {}", label.value, label.owner, label.level)).collect();
        assert_eq!(seen, ["a=x assigned host", "b=l local host", "c=r reported host", "d=site assigned site"]);
    }

    #[test]
    fn a_patch_keeps_what_it_does_not_name() {
        let before = set(&[("a", "1"), ("b", "1")]);
        let later = WallTime::from_unix_millis(5);
        let patch = LabelPatch {
            set: LabelInput::parse_list(["a=1", "c=3"]).expect("valid").labels,
            remove: [LabelKey::parse("b").expect("valid")].into(),
        };
        let after = before.patched(&patch, later).expect("few");
        let seen: Vec<_> = after.iter().map(|(key, held)| (key.as_str(), held.since.unix_millis())).collect();
        assert_eq!(seen, [("a", 0), ("c", 5)], "an unchanged value keeps its since");
    }

    #[test]
    fn too_many_labels_are_refused_whole() {
        let many: Vec<_> = (0..=LABELS_PER_OWNER_MAX).map(|index| format!("k{index}=v")).collect();
        assert_eq!(LabelInput::parse_list(many), Err(LabelError::TooMany { count: LABELS_PER_OWNER_MAX + 1 }));
    }
}
