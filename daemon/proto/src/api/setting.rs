//! Parsing settings: each error names the key.

use std::collections::BTreeSet;
use std::fmt;

use linecamp_model::Text;

/// Why a provider's configuration is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct SettingError {
    /// The path to the key, such as `records[1].values[0]`.
    pub key: String,
    /// What is wrong: short and without control characters, whatever the input contained.
    pub problem: Text,
}

/// Attaches the key to a parse error.
pub(super) fn setting<T, E: fmt::Display>(key: impl fmt::Display, parsed: Result<T, E>) -> Result<T, SettingError> {
    parsed.map_err(|problem| refuse(key, problem))
}

pub(super) fn refuse(key: impl fmt::Display, problem: impl fmt::Display) -> SettingError {
    SettingError { key: Text::lossy(&key.to_string()).to_string(), problem: Text::lossy(&problem.to_string()) }
}

pub(super) fn count(key: impl fmt::Display, found: usize, count_max: usize) -> Result<(), SettingError> {
    match found {
        _ if found <= count_max => Ok(()),
        _ => Err(refuse(key, format!("has {found} elements; at most {count_max} are allowed"))),
    }
}

/// Parses a list as a set: order and duplicates do not matter.
pub(super) fn set<T: Ord, E: fmt::Display>(
    key: &str,
    found: &[String],
    count_max: usize,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<BTreeSet<T>, SettingError> {
    count(key, found.len(), count_max)?;
    let one = |(index, text): (usize, &String)| setting(format_args!("{key}[{index}]"), parse(text));
    found.iter().enumerate().map(one).collect()
}
