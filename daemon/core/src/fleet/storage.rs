//! What sites say of their own storage: kept in memory beside the link, shown, and told once as events.
//!
//! A report is whole and takes the place of the one before. It outlasts its session: while a site is away, the last
//! that was heard is shown; the next session begins with a report, so trouble that ended meanwhile ends here, too,
//! and trouble that outlasts a link is told once. A server that starts knows nothing and is told again.
//!
//! Memory: one condition of each kind for each site, as `proto` lets in.
//!
//! And the server's own: while its store fails, sites stay linked, changes are refused, and the store is tried again
//! every [`STORE_RETRY`], also without a request. It is well when it has room for what it refused
//! ([`FleetOutput::TryStore`]): a smaller write may fit where that one does not.

use linecamp_model::{Condition, ConditionKind, Event, EventKind, Now, SessionId, SiteId, Text};

use super::config::STORE_RETRY;
use super::{Fleet, FleetOutput, FleetTimer, Release};
use crate::StoreFault;

impl Fleet {
    /// Takes what a site says of its storage.
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
        // Its own words, so they are among what sites have said.
        let events: Vec<_> = raised.chain(cleared).collect();
        if !events.is_empty() {
            let changes = self.ledger.state().site_event_changes(site, events, now);
            self.stage(changes, Vec::new());
        }
    }

    /// Takes the store's word, at the start, that it cannot write what it has read.
    pub fn handle_store_unwritable(&mut self, fault: StoreFault, now: Now) {
        self.store_failed(fault, now);
    }

    /// Returns why the server's own store does not commit, if it does not.
    pub const fn store_fault(&self) -> Option<StoreFault> {
        self.store_fault
    }

    pub(super) fn store_failed(&mut self, fault: StoreFault, now: Now) {
        self.store_fault = Some(fault);
        // Further failures do not put the next try off.
        if self.timers.deadline(FleetTimer::StoreRetry).is_none() {
            self.timers.set(FleetTimer::StoreRetry, now.instant + STORE_RETRY);
        }
    }

    pub(super) fn store_is_well(&mut self) {
        self.store_fault = None;
        self.timers.clear(FleetTimer::StoreRetry);
    }

    /// Tries the store. It does so again unless the store is well then.
    pub(super) fn retry_store(&mut self, now: Now) {
        self.timers.set(FleetTimer::StoreRetry, now.instant + STORE_RETRY);
        let write = self.ledger.stage(&[], vec![Release::StoreTried]);
        self.outputs.push_back(FleetOutput::TryStore(write));
    }

    /// Returns how many sites have said that their storage is in trouble, and not that it is well again.
    pub fn storage_trouble_count(&self) -> usize {
        self.downlink.links.values().filter(|link| !link.storage.is_empty()).count()
    }

    /// Returns what a site has said of its storage.
    pub(super) fn storage_of(&self, site: SiteId) -> Vec<Condition> {
        self.downlink.links.get(&site).map(|link| link.storage.clone()).unwrap_or_default()
    }
}

fn has(conditions: &[Condition], kind: ConditionKind) -> bool {
    conditions.iter().any(|condition| condition.kind == kind)
}
