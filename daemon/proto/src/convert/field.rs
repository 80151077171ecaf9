//! Checks of single fields, and the error that holds the path to the field.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use linecamp_model::{Generation, Text, WallTime};

use crate::convert::{Wire, WireEnum};
use crate::error::ProtoError;
use crate::limits::COUNTER_MAX;

/// What is wrong with a field, and its path so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldError {
    path: String,
    problem: Text,
}

impl FieldError {
    /// Creates the error of the field `name`. `problem` may quote the field: it is made safe for a log here.
    pub(crate) fn new(name: &str, problem: impl fmt::Display) -> Self {
        Self { path: name.to_owned(), problem: Text::lossy(&problem.to_string()) }
    }

    /// Prepends the message field `name` to the path.
    #[must_use]
    pub(crate) fn within(self, name: &str) -> Self {
        Self { path: format!("{name}.{}", self.path), ..self }
    }

    /// Prepends an element of the list field `name` to the path.
    #[must_use]
    pub(crate) fn within_element(self, name: &str, index: usize) -> Self {
        self.within(&format!("{name}[{index}]"))
    }

    /// Completes the error with the message or record it belongs to.
    pub(crate) fn of(self, what: impl fmt::Display) -> ProtoError {
        ProtoError::Field { what: what.to_string(), path: self.path, problem: self.problem }
    }
}

/// Attaches the field's name to a parse error.
pub(crate) fn field<T, E: fmt::Display>(name: &str, parsed: Result<T, E>) -> Result<T, FieldError> {
    parsed.map_err(|problem| FieldError::new(name, problem))
}

/// Decodes a required message field.
pub(crate) fn message<W: Wire>(name: &str, found: Option<W>) -> Result<W::Model, FieldError> {
    match found {
        Some(wire) => wire.into_model().map_err(|error| error.within(name)),
        None => Err(FieldError::new(name, "is absent")),
    }
}

/// Decodes a message field that may be absent.
pub(crate) fn optional_message<W: Wire>(name: &str, found: Option<W>) -> Result<Option<W::Model>, FieldError> {
    found.map(|wire| message(name, Some(wire))).transpose()
}

/// Rejects a oneof that is unset, or set to a kind that this build does not know.
pub(crate) fn kind<T>(name: &str, found: Option<T>) -> Result<T, FieldError> {
    found.ok_or_else(|| FieldError::new(name, "is absent, or of a kind that this build does not know"))
}

/// Decodes a list without duplicates.
pub(crate) fn set<T: Ord, E: fmt::Display>(
    name: &str,
    found: &[String],
    count_max: usize,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<BTreeSet<T>, FieldError> {
    count(name, found.len(), count_max)?;
    let mut set = BTreeSet::new();
    for (index, text) in found.iter().enumerate() {
        let place = || format!("{name}[{index}]");
        let one = parse(text).map_err(|problem| FieldError::new(&place(), problem))?;
        if !set.insert(one) {
            return Err(FieldError::new(&place(), format!("`{text}` comes twice")));
        }
    }
    Ok(set)
}

/// Decodes the elements of a list, after checking its length.
pub(crate) fn list<W: Wire>(name: &str, found: Vec<W>, count_max: usize) -> Result<Vec<W::Model>, FieldError> {
    count(name, found.len(), count_max)?;
    let elements = found.into_iter().enumerate();
    elements.map(|(index, wire)| wire.into_model().map_err(|error| error.within_element(name, index))).collect()
}

/// Checks the length of a list.
pub(crate) fn count(name: &str, found: usize, count_max: usize) -> Result<(), FieldError> {
    match found {
        found if count_max < found => {
            let problem = format!("has {found} elements; at most {count_max} are allowed");
            Err(FieldError::new(name, problem))
        }
        _ => Ok(()),
    }
}

/// Checks the length of an id, a secret or a digest.
pub(crate) fn bytes<const N: usize>(name: &str, found: &[u8]) -> Result<[u8; N], FieldError> {
    found.try_into().map_err(|_| FieldError::new(name, format!("has {} bytes, not {N}", found.len())))
}

/// Checks the length of an id that may be absent. Empty: it is.
pub(crate) fn optional_bytes<const N: usize>(name: &str, found: &[u8]) -> Result<Option<[u8; N]>, FieldError> {
    match found {
        [] => Ok(None),
        _ => bytes(name, found).map(Some),
    }
}

/// Checks a counter that only increases.
pub(crate) fn counter(name: &str, found: u64) -> Result<u64, FieldError> {
    match found {
        ..=COUNTER_MAX => Ok(found),
        _ => Err(FieldError::new(name, format!("{found} cannot be: nothing counts so far"))),
    }
}

/// Checks a generation.
pub(crate) fn generation(name: &str, found: u64) -> Result<Generation, FieldError> {
    counter(name, found).map(Generation)
}

/// Decodes an enum.
pub(crate) fn word<W: WireEnum>(name: &str, found: i32) -> Result<W, FieldError> {
    W::of_number(found).ok_or_else(|| FieldError::new(name, format!("number {found} has no meaning in this build")))
}

/// Returns a duration in milliseconds, rounded down.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Decodes an optional timestamp.
pub(crate) fn moment(found: Option<u64>) -> Option<WallTime> {
    found.map(WallTime::from_unix_millis)
}
