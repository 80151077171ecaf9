//! The events of the fleet, and their limits.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::limits::{COUNTER_MAX, SERVER_EVENTS_MAX, SERVER_EVENTS_PER_SITE_MAX};
use linecamp_model::{Event, EventKind, FleetChange, LoggedEvent, Now, SiteId, Text};

/// The events of the server and of all sites, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventLog {
    events: BTreeMap<u64, LoggedEvent>,
    /// The numbers of the events, by origin. Derived.
    rings: BTreeMap<Ring, BTreeSet<u64>>,
    /// The numbers of the events about each site, by origin. Derived.
    site_events: BTreeMap<(Ring, SiteId), BTreeSet<u64>>,
}

/// The origin of an event. Each origin has its own limits, so that neither evicts the other's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ring {
    Server,
    Sites,
}

impl Ring {
    const fn of(logged: &LoggedEvent) -> Self {
        if logged.received_at.is_some() { Self::Sites } else { Self::Server }
    }
}

impl EventLog {
    /// Returns the events after number `after`, with their numbers, oldest first.
    pub(crate) fn after(&self, after: u64) -> impl DoubleEndedIterator<Item = (u64, &LoggedEvent)> {
        self.events.range(after.saturating_add(1)..).map(|(seq, logged)| (*seq, logged))
    }

    /// Returns the events up to and including number `last`, with their numbers, oldest first.
    pub(crate) fn up_to(&self, last: u64) -> impl DoubleEndedIterator<Item = (u64, &LoggedEvent)> {
        self.events.range(..=last).map(|(seq, logged)| (*seq, logged))
    }

    /// Returns the number of the newest event; zero if there is none.
    pub(crate) fn last(&self) -> u64 {
        self.events.keys().next_back().copied().unwrap_or(0)
    }

    /// Replaces the event with this number. Returns the previous one.
    pub(crate) fn set(&mut self, seq: u64, event: Option<LoggedEvent>) -> Option<LoggedEvent> {
        let before = self.events.remove(&seq);
        if let Some(logged) = &before {
            self.index_event(seq, logged, false);
        }
        if let Some(logged) = event {
            self.index_event(seq, &logged, true);
            self.events.insert(seq, logged);
        }
        before
    }

    /// Returns the changes that record events of the server, and who caused them.
    pub(crate) fn event_changes(&self, events: Vec<Event>, actor: Option<&Text>) -> Vec<FleetChange> {
        let logged = |event| LoggedEvent { event, received_at: None, actor: actor.cloned() };
        self.log_changes(Ring::Server, events.into_iter().map(logged).collect())
    }

    /// Returns the changes that record events sent by a site.
    pub(crate) fn site_event_changes(&self, site: SiteId, events: Vec<Event>, now: Now) -> Vec<FleetChange> {
        let received_at = Some(now.wall);
        let logged = |event| LoggedEvent { event: Event { site: Some(site), ..event }, received_at, actor: None };
        self.log_changes(Ring::Sites, events.into_iter().map(logged).collect())
    }

    /// Returns the changes that record events. At the limit per site, its own oldest events are dropped, so that a
    /// noisy site cannot evict the events of others; at the total limit, the oldest of the same origin.
    fn log_changes(&self, ring: Ring, events: Vec<LoggedEvent>) -> Vec<FleetChange> {
        let mut new_of_sites = BTreeMap::<SiteId, usize>::new();
        events
            .iter()
            .filter_map(|logged| logged.event.site)
            .for_each(|site| *new_of_sites.entry(site).or_default() += 1);
        let surplus = |seqs: Option<&BTreeSet<u64>>, new: usize, limit| {
            (seqs.map_or(0, BTreeSet::len) + new).saturating_sub(limit)
        };
        let mut over = BTreeSet::<u64>::new();
        for (site, new) in new_of_sites {
            let of_site = self.site_events.get(&(ring, site));
            over.extend(of_site.into_iter().flatten().take(surplus(of_site, new, SERVER_EVENTS_PER_SITE_MAX)));
        }
        let of_ring = self.rings.get(&ring);
        let more = surplus(of_ring, events.len(), SERVER_EVENTS_MAX).saturating_sub(over.len());
        let oldest: Vec<_> = of_ring.into_iter().flatten().filter(|seq| !over.contains(seq)).take(more).collect();
        over.extend(oldest);
        let first = self.last().saturating_add(1);
        let new = (first..=COUNTER_MAX).zip(events).map(|(seq, event)| FleetChange::Event(seq, Some(event)));
        over.into_iter().map(|seq| FleetChange::Event(seq, None)).chain(new).collect()
    }

    /// Adds an event to the indexes or removes it.
    fn index_event(&mut self, seq: u64, logged: &LoggedEvent, is_there: bool) {
        let ring = Ring::of(logged);
        let of_ring = self.rings.entry(ring).or_default();
        let _ = if is_there { of_ring.insert(seq) } else { of_ring.remove(&seq) };
        let Some(site) = logged.event.site else { return };
        let of_site = self.site_events.entry((ring, site)).or_default();
        let _ = if is_there { of_site.insert(seq) } else { of_site.remove(&seq) };
        if of_site.is_empty() {
            self.site_events.remove(&(ring, site));
        }
    }
}

/// Creates an event of `site`, or of the server.
pub(crate) fn event(kind: EventKind, site: Option<SiteId>, text: &str, now: Now) -> Event {
    Event { at: now.wall, kind, site, host: None, text: Text::lossy(text) }
}
