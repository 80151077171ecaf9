//! The troubles that hold, one of a kind.

use std::collections::BTreeMap;

use linecamp_model::{Condition, ConditionKind, Text, WallTime};

/// The conditions of one site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions(BTreeMap<ConditionKind, Condition>);

impl Conditions {
    /// Raises `kind`, or corrects its detail. Returns whether it is new.
    pub(crate) fn raise(&mut self, kind: ConditionKind, detail: Text, now: WallTime) -> bool {
        let since = self.0.get(&kind).map(|condition| condition.since);
        self.0.insert(kind, Condition { kind, since: since.unwrap_or(now), detail });
        since.is_none()
    }

    /// Clears `kind`. Returns whether it was there.
    pub(crate) fn clear(&mut self, kind: ConditionKind) -> bool {
        self.0.remove(&kind).is_some()
    }

    /// Returns since when `kind` holds, if it does.
    pub(crate) fn since(&self, kind: ConditionKind) -> Option<WallTime> {
        self.0.get(&kind).map(|condition| condition.since)
    }

    /// Whether `kind` holds.
    pub(crate) fn has(&self, kind: ConditionKind) -> bool {
        self.0.contains_key(&kind)
    }

    /// Returns those that belong into the status: all but those about the storage that keeps the status.
    pub(crate) fn of_status(&self) -> Vec<Condition> {
        self.0.values().filter(|condition| !condition.kind.is_of_storage()).cloned().collect()
    }

    /// Returns those about the storage.
    pub(crate) fn of_storage(&self) -> Vec<Condition> {
        self.0.values().filter(|condition| condition.kind.is_of_storage()).cloned().collect()
    }

    /// Returns them in the order of the catalogue.
    pub(crate) fn list(&self) -> Vec<Condition> {
        self.0.values().cloned().collect()
    }
}
