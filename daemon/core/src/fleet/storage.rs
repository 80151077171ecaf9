//! Storage conditions reported by sites: kept in memory with the link, shown, and recorded once as events.
//!
//! A report is complete and replaces the previous one. It outlives its session: while a site is offline, its last
//! report is shown. The next session starts with a report, so a condition that cleared meanwhile is cleared here too,
//! and a condition that outlives a link is recorded once. A restarted server knows nothing and gets new reports.
//!
//! Memory: one condition of each kind per site, as limited by `proto`.
//!
//! The server's own store: while it fails, sites stay connected, changes are refused, and the store is retried every
//! [`STORE_RETRY`], even without a command. It has recovered when it has room for what it refused
//! ([`FleetOutput::TryStore`]): a smaller write may fit where that one does not.

use linecamp_model::{Condition, ConditionKind, Event, EventKind, Now, SessionId, SiteId, Text};

use super::config::STORE_RETRY;
use super::{Fleet, FleetOutput, FleetTimer, Release};
use crate::StoreFault;

impl Fleet {
    /// Handles a storage report.
    pub(super) fn handle_storage(&mut self, id: SessionId, conditions: Vec<Condition>, now: Now) {
        let Some((site, _)) = self.downlink.up(id) else { return };
        let Some(link) = self.downlink.links.get_mut(&site) else { return };
        let before = std::mem::replace(&mut link.storage, conditions.clone());
        let event = |kind, at, text: &str| Event { at, kind, site: Some(site), text: Text::lossy(text) };
        let raised = conditions
            .iter()
            .filter(|one| !has(&before, one.kind))
            .map(|one| event(EventKind::ConditionRaised, one.since, &format!("{}: {}", one.kind, one.detail)));
        let cleared = before.iter().filter(|one| !has(&conditions, one.kind));
        let cleared = cleared.map(|one| event(EventKind::ConditionCleared, now.wall, one.kind.as_str()));
        // Reported by the site, so they count as site events.
        let events: Vec<_> = raised.chain(cleared).collect();
        if !events.is_empty() {
            let changes = self.ledger.state().site_event_changes(site, events, now);
            self.stage(changes, Vec::new());
        }
    }

    /// Handles the store's report at startup that it is readable but not writable.
    pub fn handle_store_unwritable(&mut self, fault: StoreFault, now: Now) {
        self.store_failed(fault, now);
    }

    /// Returns why the server's own store fails to commit, if it does.
    pub const fn store_fault(&self) -> Option<StoreFault> {
        self.store_fault
    }

    pub(super) fn store_failed(&mut self, fault: StoreFault, now: Now) {
        self.store_fault = Some(fault);
        // Further failures do not postpone the retry.
        if self.timers.deadline(FleetTimer::StoreRetry).is_none() {
            self.timers.set(FleetTimer::StoreRetry, now.instant + STORE_RETRY);
        }
    }

    pub(super) fn store_is_well(&mut self) {
        self.store_fault = None;
        self.timers.clear(FleetTimer::StoreRetry);
    }

    /// Probes the store. Repeats until the store recovers.
    pub(super) fn retry_store(&mut self, now: Now) {
        self.timers.set(FleetTimer::StoreRetry, now.instant + STORE_RETRY);
        let write = self.ledger.stage(&[], vec![Release::StoreTried]);
        self.outputs.push_back(FleetOutput::TryStore(write));
    }

    /// Returns the number of sites whose last report contains a storage condition.
    pub fn storage_failure_count(&self) -> usize {
        self.downlink.links.values().filter(|link| !link.storage.is_empty()).count()
    }

    /// Returns the storage conditions a site reported last.
    pub(super) fn storage_of(&self, site: SiteId) -> Vec<Condition> {
        self.downlink.links.get(&site).map(|link| link.storage.clone()).unwrap_or_default()
    }
}

fn has(conditions: &[Condition], kind: ConditionKind) -> bool {
    conditions.iter().any(|condition| condition.kind == kind)
}
