//! What changed of the sites since operators were told: links, phases and conditions.
//!
//! What may have changed is only a hint. The state of a site is computed from everything that is known of it, and a
//! change is what differs from the state that was told last. A state may be one commit ahead of the disk, as every view
//! is; if that commit fails, the state before it is told again.
//!
//! A condition that is raised by the passage of time alone (`phase-late`) has a deadline here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use linecamp_model::{HostId, HostState, Instant, LinkState, Now, Phase, SiteId, SiteState, WallTime};

use super::Fleet;
use super::config::PHASE_DEADLINE;
use super::downlink_members::site_of;

/// The least time that a clock counts. A phase is late when it lasted longer than its deadline.
const TICK: Duration = Duration::from_millis(1);

/// A state that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateChange {
    /// Of a site.
    Site(SiteState),
    /// Of a host, and its site.
    Host(SiteId, HostState),
}

/// The states that operators were told last.
#[derive(Clone, Debug, Default)]
pub(super) struct SiteWatch {
    /// `None` until the first call, which tells nothing: everything is told by lists.
    told: Option<BTreeMap<SiteId, Told>>,
    /// Sites whose state may have changed.
    touched: BTreeSet<SiteId>,
    /// When a condition is raised by the passage of time.
    late: BTreeSet<(WallTime, SiteId)>,
}

#[derive(Clone, Debug)]
struct Told {
    site: SiteState,
    hosts: BTreeMap<HostId, HostState>,
}

impl Fleet {
    /// Returns the states that changed since the last call, of at most `limit` sites. The first call returns nothing.
    pub fn take_state_changes(&mut self, limit: usize, now: Now) -> Vec<StateChange> {
        if self.watch.told.is_none() {
            let sites: Vec<_> = self.effects.state().sites.keys().copied().collect();
            self.watch.told = Some(BTreeMap::new());
            sites.into_iter().for_each(|site| drop(self.state_changes_of(site, now)));
            drop((self.effects.take_touched(), self.downlink.take_touched()));
            return Vec::new();
        }
        self.watch.touched.append(&mut self.effects.take_touched());
        self.watch.touched.extend(self.downlink.take_touched().into_iter().filter_map(site_of));
        let not_yet = self.watch.late.split_off(&(now.wall + TICK, SiteId::from_bytes([0; 16])));
        let late = std::mem::replace(&mut self.watch.late, not_yet);
        self.watch.touched.extend(late.into_iter().map(|(_, site)| site));
        let mut changes = Vec::new();
        for _ in 0..limit {
            let Some(site) = self.watch.touched.pop_first() else { break };
            changes.extend(self.state_changes_of(site, now));
        }
        changes
    }

    /// Returns when to call [`Fleet::take_state_changes`] next, if nothing else happens.
    pub fn state_changes_deadline(&self, now: Now) -> Option<Instant> {
        if !self.watch.touched.is_empty() {
            return Some(now.instant);
        }
        let (late, _) = self.watch.late.first()?;
        Some(now.instant + late.saturating_since(now.wall))
    }

    fn state_changes_of(&mut self, id: SiteId, now: Now) -> Vec<StateChange> {
        let found = self.view().states(id, now);
        let Some(told) = &mut self.watch.told else { return Vec::new() };
        let Some((site, hosts)) = found else {
            let gone = told.remove(&id).map(|Told { site, .. }| StateChange::Site(purged(site, now)));
            return gone.into_iter().collect();
        };
        let late_at = site.phase_since + PHASE_DEADLINE + TICK;
        if site.phase.is_transitional() && site.phase != Phase::Pending && now.wall < late_at {
            self.watch.late.insert((late_at, id));
        }
        let hosts = hosts.into_iter().map(|host| (host.id, host)).collect();
        let now_told = Told { site, hosts };
        let before = told.insert(id, now_told.clone());
        now_told.changes_since(before)
    }
}

impl Told {
    fn changes_since(self, before: Option<Self>) -> Vec<StateChange> {
        let (site_before, mut hosts_before) = match before {
            Some(Self { site, hosts }) => (Some(site), hosts),
            None => (None, BTreeMap::new()),
        };
        let id = self.site.id;
        let site = Some(self.site).filter(|site| Some(site) != site_before.as_ref()).map(StateChange::Site);
        let mut changes: Vec<_> = site.into_iter().collect();
        for (host, state) in self.hosts {
            if hosts_before.remove(&host).as_ref() != Some(&state) {
                changes.push(StateChange::Host(id, state));
            }
        }
        let gone = |host| StateChange::Host(id, HostState { phase: Phase::Purged, ..host });
        changes.extend(hosts_before.into_values().map(gone));
        changes
    }
}

/// Returns the last state of a site that does not exist any more.
fn purged(site: SiteState, now: Now) -> SiteState {
    let mut link = site.link;
    if link.state != LinkState::Disconnected {
        (link.state, link.since) = (LinkState::Disconnected, now.wall);
    }
    SiteState { phase: Phase::Purged, phase_since: now.wall, waits_for: None, conditions: Vec::new(), link, ..site }
}
