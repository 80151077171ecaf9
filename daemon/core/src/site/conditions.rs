//! The active conditions, at most one of each kind.

use std::collections::BTreeMap;

use linecamp_model::{Condition, ConditionKind, Text, WallTime};

/// The conditions of one site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions(BTreeMap<ConditionKind, Condition>);

/// A condition that became active or inactive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Transition {
    /// It was not active before; this is its detail.
    Raised(Text),
    /// It was active before.
    Cleared,
}

impl Conditions {
    /// Raises `kind` with this detail, or clears it. A condition that is active keeps its start. Returns the
    /// transition, if it is one.
    pub(super) fn set(&mut self, kind: ConditionKind, detail: Option<Text>, now: WallTime) -> Option<Transition> {
        match detail {
            Some(detail) => {
                let since = self.since(kind);
                self.0.insert(kind, Condition { kind, since: since.unwrap_or(now), detail: detail.clone() });
                since.is_none().then_some(Transition::Raised(detail))
            }
            None => self.0.remove(&kind).map(|_| Transition::Cleared),
        }
    }

    /// Returns since when `kind` is active, if it is.
    pub(super) fn since(&self, kind: ConditionKind) -> Option<WallTime> {
        self.0.get(&kind).map(|condition| condition.since)
    }

    /// Whether `kind` is active.
    pub(super) fn has(&self, kind: ConditionKind) -> bool {
        self.0.contains_key(&kind)
    }

    /// Returns the conditions to report in the status: all but those of the storage that persists the status.
    pub(super) fn of_status(&self) -> Vec<Condition> {
        self.0.values().filter(|condition| !condition.kind.is_of_storage()).cloned().collect()
    }

    /// Returns the storage conditions.
    pub(super) fn of_storage(&self) -> Vec<Condition> {
        self.0.values().filter(|condition| condition.kind.is_of_storage()).cloned().collect()
    }

    /// Returns all conditions, ordered by kind.
    pub(super) fn list(&self) -> Vec<Condition> {
        self.0.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_condition_keeps_its_start_while_its_detail_changes() {
        let (mut conditions, start) = (Conditions::default(), WallTime::EPOCH);
        let later = start + Duration::from_secs(1);
        let raised = conditions.set(ConditionKind::DiskFull, Some(Text::lossy("a")), start);
        assert_eq!(raised, Some(Transition::Raised(Text::lossy("a"))));
        assert_eq!(conditions.set(ConditionKind::DiskFull, Some(Text::lossy("b")), later), None);
        assert_eq!(conditions.since(ConditionKind::DiskFull), Some(start));
        assert_eq!(conditions.set(ConditionKind::DiskFull, None, later), Some(Transition::Cleared));
        assert_eq!(conditions.set(ConditionKind::DiskFull, None, later), None);
    }

    #[test]
    fn a_status_omits_conditions_of_the_storage_that_persists_it() {
        let mut conditions = Conditions::default();
        for kind in [ConditionKind::DiskFull, ConditionKind::ClockSkew] {
            conditions.set(kind, Some(Text::lossy("x")), WallTime::EPOCH);
        }
        let kinds = |list: Vec<Condition>| list.into_iter().map(|condition| condition.kind).collect::<Vec<_>>();
        assert_eq!(kinds(conditions.of_status()), [ConditionKind::ClockSkew]);
        assert_eq!(kinds(conditions.of_storage()), [ConditionKind::DiskFull]);
    }
}
