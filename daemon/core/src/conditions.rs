//! The active conditions, at most one of each kind.

use std::collections::BTreeMap;

use linecamp_model::{Condition, ConditionKind, Text, WallTime};

/// The conditions of one site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions(BTreeMap<ConditionKind, Condition>);

impl Conditions {
    /// Raises `kind` or updates its detail. Returns whether it is new.
    pub(crate) fn raise(&mut self, kind: ConditionKind, detail: Text, now: WallTime) -> bool {
        let since = self.0.get(&kind).map(|condition| condition.since);
        self.0.insert(kind, Condition { kind, since: since.unwrap_or(now), detail });
        since.is_none()
    }

    /// Clears `kind`. Returns whether it was active.
    pub(crate) fn clear(&mut self, kind: ConditionKind) -> bool {
        self.0.remove(&kind).is_some()
    }

    /// Returns since when `kind` is active, if it is.
    pub(crate) fn since(&self, kind: ConditionKind) -> Option<WallTime> {
        self.0.get(&kind).map(|condition| condition.since)
    }

    /// Whether `kind` is active.
    pub(crate) fn has(&self, kind: ConditionKind) -> bool {
        self.0.contains_key(&kind)
    }

    /// Returns the conditions to report in the status: all but those of the storage that persists the status.
    pub(crate) fn of_status(&self) -> Vec<Condition> {
        self.0.values().filter(|condition| !condition.kind.is_of_storage()).cloned().collect()
    }

    /// Returns the storage conditions.
    pub(crate) fn of_storage(&self) -> Vec<Condition> {
        self.0.values().filter(|condition| condition.kind.is_of_storage()).cloned().collect()
    }

    /// Returns all conditions, ordered by kind.
    pub(crate) fn list(&self) -> Vec<Condition> {
        self.0.values().cloned().collect()
    }
}
