//! The conditions of a member that the server knows itself: those it raised, and the storage conditions that the member
//! reported.
//!
//! A storage report is complete and replaces the previous one. It outlives its session: while a site is offline, its
//! last report is shown. The next session starts with a report, so a condition that cleared meanwhile is cleared here
//! too, and a condition that outlives a link is recorded once. A restarted server knows nothing and gets new reports.
//!
//! Memory: one condition of each kind per member, as limited by `proto`.

use linecamp_model::{Condition, ConditionKind, Event, EventKind, Text, WallTime};

/// The conditions of one member.
#[derive(Clone, Debug, Default)]
pub(crate) struct LinkConditions {
    raised: Vec<Condition>,
    storage: Vec<Condition>,
}

impl LinkConditions {
    /// Raises a condition or updates its detail. Returns whether it is new.
    pub(super) fn raise(&mut self, kind: ConditionKind, detail: Text, now: WallTime) -> bool {
        match self.raised.iter_mut().find(|condition| condition.kind == kind) {
            Some(condition) => {
                condition.detail = detail;
                false
            }
            None => {
                self.raised.push(Condition { kind, since: now, detail });
                true
            }
        }
    }

    /// Clears a condition.
    pub(super) fn clear(&mut self, kind: ConditionKind) {
        self.raised.retain(|condition| condition.kind != kind);
    }

    /// Replaces the storage report. Returns the events of what was raised and cleared since the previous one.
    pub(super) fn report_storage(&mut self, report: Vec<Condition>, now: WallTime) -> Vec<Event> {
        let before = std::mem::replace(&mut self.storage, report);
        let event = |kind, at, text: &str| Event { at, kind, site: None, host: None, text: Text::lossy(text) };
        let raised = self
            .storage
            .iter()
            .filter(|one| !has(&before, one.kind))
            .map(|one| event(EventKind::ConditionRaised, one.since, &format!("{}: {}", one.kind, one.detail)));
        let cleared = before.iter().filter(|one| !has(&self.storage, one.kind));
        raised.chain(cleared.map(|one| event(EventKind::ConditionCleared, now, one.kind.as_str()))).collect()
    }

    /// Returns the conditions that the server raised.
    pub(crate) fn raised(&self) -> &[Condition] {
        &self.raised
    }

    /// Returns the last storage report.
    pub(crate) fn storage(&self) -> &[Condition] {
        &self.storage
    }
}

fn has(conditions: &[Condition], kind: ConditionKind) -> bool {
    conditions.iter().any(|condition| condition.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: WallTime = WallTime::from_unix_millis(1_000);

    #[test]
    fn a_condition_is_raised_once_and_keeps_its_start() {
        let mut conditions = LinkConditions::default();
        assert!(conditions.raise(ConditionKind::DuplicateIdentity, Text::lossy("a"), WallTime::EPOCH));
        assert!(!conditions.raise(ConditionKind::DuplicateIdentity, Text::lossy("b"), AT));
        let [condition] = conditions.raised() else { panic!("one condition") };
        assert_eq!((condition.since, condition.detail.as_str()), (WallTime::EPOCH, "b"));
        conditions.clear(ConditionKind::DuplicateIdentity);
        assert_eq!(conditions.raised(), []);
    }

    #[test]
    fn a_storage_report_records_events_only_for_changes() {
        let mut conditions = LinkConditions::default();
        let full = Condition { kind: ConditionKind::DiskFull, since: WallTime::EPOCH, detail: Text::lossy("full") };
        let mut kinds = |report| {
            let events = conditions.report_storage(report, AT);
            events.into_iter().map(|event| (event.kind, event.at)).collect::<Vec<_>>()
        };
        assert_eq!(kinds(vec![full.clone()]), [(EventKind::ConditionRaised, WallTime::EPOCH)]);
        assert_eq!(kinds(vec![full]), []);
        assert_eq!(kinds(Vec::new()), [(EventKind::ConditionCleared, AT)]);
    }
}
