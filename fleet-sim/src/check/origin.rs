//! `own-words`, `waits`: who said an event, whose place it takes, and what a site may say before it was accepted.

use std::collections::BTreeMap;

use linecamp_model::limits::{SERVER_EVENTS_MAX, SERVER_EVENTS_PER_SITE_MAX};
use linecamp_model::{DocumentKey, Event, EventKind, FleetChange, Phase, SiteId, StatusBody};

use super::{Watch, registration};
use crate::disk::Disk;
use crate::lie::FORGED;

/// What a site may say happened. Everything else is for the server to say.
const SAID_BY_SITES: [EventKind; 8] = [
    EventKind::DaemonStarted,
    EventKind::LabelsSetLocally,
    EventKind::ConditionRaised,
    EventKind::ConditionCleared,
    EventKind::CertificateRenewed,
    EventKind::RecordsChanged,
    EventKind::RecordsLeft,
    EventKind::PluginChanged,
];

/// Events of the server's own that its disk holds.
pub(super) type OwnEvents = BTreeMap<u64, Option<SiteId>>;

impl Watch {
    /// The server is about to write a change.
    pub(crate) fn server_writes_event(&mut self, change: &FleetChange, disk: &Disk<FleetChange>) {
        match change {
            FleetChange::Event(number, Some(event)) => {
                if !SAID_BY_SITES.contains(&event.kind) && !event.text.as_str().starts_with(FORGED) {
                    self.own_events.insert(*number, event.site);
                }
                self.check_words(event, disk);
            }
            FleetChange::Event(number, None) => self.check_ring(*number),
            _ => {}
        }
    }

    fn check_words(&mut self, event: &Event, disk: &Disk<FleetChange>) {
        let node = event.site.and_then(|site| self.node_of(site));
        let text = event.text.as_str();
        let is_of_site = SAID_BY_SITES.contains(&event.kind);
        if let Some(words) = text.strip_prefix(FORGED) {
            let is_of_teller = event.site.is_some_and(|site| words.starts_with(&site.to_string()));
            if !is_of_site || !is_of_teller {
                let what = format!("a hostile member's words are kept as a {} of {:?}", event.kind, event.site);
                return self.find("own-words", node, what);
            }
        }
        let is_pending =
            event.site.and_then(|site| registration(disk, site)).is_some_and(|of| of.life.phase == Phase::Pending);
        if is_of_site && is_pending {
            self.find("waits", node, format!("an event of a site that nobody has accepted is kept: {event:?}"));
        }
    }

    /// An event goes: one of the server's own makes place for its own kind only.
    fn check_ring(&mut self, number: u64) {
        let Some(site) = self.own_events.remove(&number) else { return };
        if SERVER_EVENTS_MAX <= self.own_events.len() + 1 {
            return;
        }
        let of_site = self.own_events.values().filter(|of| **of == site).count() + 1;
        if site.is_none() || of_site < SERVER_EVENTS_PER_SITE_MAX {
            let what = format!("event {number} of the server's own is gone, and there were {of_site} about {site:?}");
            self.find("own-words", site.and_then(|site| self.node_of(site)), what);
        }
    }

    /// The server is about to write a change: of a site that waits it keeps facts, and nothing else.
    pub(crate) fn server_writes_of_pending(&mut self, change: &FleetChange, disk: &Disk<FleetChange>) {
        let (site, is_allowed) = match change {
            FleetChange::Status(site, key, Some(document)) => {
                let is_facts = match (key, &document.body) {
                    (DocumentKey::Host(host), Some(StatusBody::Host(status))) => {
                        *host == site.gateway() && status.local.is_empty()
                    }
                    _ => false,
                };
                (site, is_facts)
            }
            FleetChange::Mark(site, Some(mark)) => (site, mark.events_held == 0),
            _ => return,
        };
        let is_pending = || registration(disk, *site).is_some_and(|of| of.life.phase == Phase::Pending);
        if !is_allowed && is_pending() {
            let what = format!("of a site that nobody has accepted the server keeps {change:?}");
            self.find("waits", self.node_of(*site), what);
        }
    }
}
