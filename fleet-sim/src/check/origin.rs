//! `event-origin`, `pending-members-wait`: the origin of an event, the event that it displaces, and what a site may
//! send before it is accepted.

use std::collections::BTreeMap;

use linecamp_model::limits::{SERVER_EVENTS_MAX, SERVER_EVENTS_PER_SITE_MAX};
use linecamp_model::{EventKind, FleetChange, LoggedEvent, Phase, SiteId, WallTime};

use super::{Watch, registration};
use crate::disk::Disk;
use crate::hostile_messages::FORGED;

/// Event kinds that a site may report. All others are reserved for the server.
const REPORTED_BY_SITES: [EventKind; 14] = [
    EventKind::DaemonStarted,
    EventKind::LabelsSetLocally,
    EventKind::ConditionRaised,
    EventKind::ConditionCleared,
    EventKind::CertificateRenewed,
    EventKind::RecordsChanged,
    EventKind::RecordsLeft,
    EventKind::PluginChanged,
    EventKind::HostJoined,
    EventKind::HostRemoved,
    EventKind::HostDisconnected,
    EventKind::HostReturned,
    EventKind::HostRecovered,
    EventKind::DuplicateRefused,
];

/// The server's own events on its disk.
pub(super) type OwnEvents = BTreeMap<u64, Option<SiteId>>;

impl Watch {
    /// Checks an event that the server is about to write.
    pub(crate) fn server_writes_event(&mut self, change: &FleetChange, disk: &Disk<FleetChange>) {
        match change {
            FleetChange::Event(number, Some(logged)) => {
                if logged.received_at.is_none() {
                    self.own_events.insert(*number, logged.event.site);
                }
                self.check_event_origin(logged, disk);
            }
            FleetChange::Event(number, None) => self.check_displaced(*number),
            _ => {}
        }
    }

    fn check_event_origin(&mut self, logged: &LoggedEvent, disk: &Disk<FleetChange>) {
        let LoggedEvent { event, received_at, .. } = logged;
        let node = event.site.and_then(|site| self.node_of(site));
        let words = event.text.as_str().strip_prefix(FORGED);
        let names_its_sender = |words: &str| event.site.is_some_and(|site| words.starts_with(&site.to_string()));
        let is_own = received_at.is_none();
        let is_forged = match (words, is_own) {
            (Some(words), false) => !names_its_sender(words) || !REPORTED_BY_SITES.contains(&event.kind),
            (None, false) => !REPORTED_BY_SITES.contains(&event.kind),
            (words, true) => words.is_some(),
        };
        if is_forged {
            return self.find("event-origin", node, format!("an event is stored with the wrong origin: {logged:?}"));
        }
        let registration = event.site.and_then(|site| registration(disk, site));
        if !is_own && registration.is_some_and(|of| of.life.phase == Phase::Pending) {
            self.find("pending-members-wait", node, format!("an event of a pending site is stored: {logged:?}"));
        }
    }

    /// The server requests durable writes: events it received must carry its own clock's time.
    pub(crate) fn check_received(&mut self, changes: &[FleetChange], now: WallTime) {
        for change in changes {
            let FleetChange::Event(_, Some(logged)) = change else { continue };
            if let Some(at) = logged.received_at.filter(|at| *at != now) {
                let node = logged.event.site.and_then(|site| self.node_of(site));
                return self.find(
                    "event-origin",
                    node,
                    format!("an event received at {now} is stored with the receipt time {at}"),
                );
            }
        }
    }

    /// An event is deleted: one of the server's own may be displaced only by its own kind.
    fn check_displaced(&mut self, number: u64) {
        let Some(site) = self.own_events.remove(&number) else { return };
        if SERVER_EVENTS_MAX <= self.own_events.len() + 1 {
            return;
        }
        let of_site = self.own_events.values().filter(|of| **of == site).count() + 1;
        if site.is_none() || of_site < SERVER_EVENTS_PER_SITE_MAX {
            let what = format!("event {number} of the server was deleted, with {of_site} of its events about {site:?}");
            self.find("event-origin", site.and_then(|site| self.node_of(site)), what);
        }
    }

    /// Checks a change that the server is about to write: for a site that is not accepted yet, it stores no status and
    /// no replication progress.
    pub(crate) fn server_writes_of_pending(&mut self, change: &FleetChange, disk: &Disk<FleetChange>) {
        let site = match change {
            FleetChange::Status(site, _, Some(_)) => site,
            FleetChange::ReplicationCursor(site, Some(cursor))
                if 0 < cursor.events_held || cursor.status_run.is_some() =>
            {
                site
            }
            _ => return,
        };
        if registration(disk, *site).is_some_and(|of| of.life.phase == Phase::Pending) {
            let what = format!("the server stores {change:?} of a pending site");
            self.find("pending-members-wait", self.node_of(*site), what);
        }
    }
}
