//! The durable state of a site.

use std::collections::BTreeMap;
use std::net::IpAddr;

use linecamp_model::limits::{COUNTER_MAX, OUTBOX_EVENTS_MAX};
use linecamp_model::{
    Event, LabelSet, Level, LinkRecord, OwnedRecord, OwnedRecordKey, SiteChange, SiteOrigin, SpecBody, StatusBody,
};

use super::hosts::LanState;
use crate::document_sync::Documents;
use crate::staging::{Replay, set};

/// The in-memory image of the site database.
#[derive(Clone, Debug, Default)]
pub(crate) struct SiteState {
    pub(crate) origin: Option<SiteOrigin>,
    pub(crate) spec: Documents<SpecBody>,
    pub(crate) status: Documents<StatusBody>,
    pub(crate) local: BTreeMap<Level, LabelSet>,
    /// Labels of drop-in files as last read.
    pub(crate) file_labels: BTreeMap<Level, LabelSet>,
    pub(crate) events: BTreeMap<u64, Event>,
    /// The site's address as last observed by the server.
    pub(crate) observed: Option<IpAddr>,
    /// DNS record sets the site owns, or has started to create or delete.
    pub(crate) held: BTreeMap<OwnedRecordKey, OwnedRecord>,
    /// What is noted of the link.
    pub(crate) link_record: Option<Box<LinkRecord>>,
    /// The hosts of the LAN.
    pub(crate) lan: LanState,
}

impl SiteState {
    /// Builds the state from database records.
    pub(crate) fn from_records(records: Vec<SiteChange>) -> Self {
        let mut state = Self::default();
        for record in records {
            state.apply(record);
        }
        state
    }

    /// Returns the changes that add `events` to the outbox under numbers above `floor`; none if there are no events. At
    /// the limit the oldest events are dropped and counted.
    pub(crate) fn outbox_changes(&self, events: Vec<Event>, floor: u64) -> Vec<SiteChange> {
        if events.is_empty() {
            return Vec::new();
        }
        let mut origin = self.origin.unwrap_or_default();
        let surplus = (self.events.len() + events.len()).saturating_sub(OUTBOX_EVENTS_MAX);
        let mut changes = Vec::new();
        for event in events {
            origin.events_made = (origin.events_made.max(floor) + 1).min(COUNTER_MAX);
            changes.push(SiteChange::Event(origin.events_made, Some(event)));
        }
        for seq in self.events.keys().take(surplus) {
            origin.events_dropped = (origin.events_dropped + 1).min(COUNTER_MAX);
            changes.push(SiteChange::Event(*seq, None));
        }
        changes.push(SiteChange::Origin(Some(origin)));
        changes
    }
}

impl Replay for SiteState {
    type Change = SiteChange;

    fn apply(&mut self, change: SiteChange) -> SiteChange {
        match change {
            SiteChange::Origin(origin) => {
                self.status.set_floor(origin.unwrap_or_default().status_floor);
                SiteChange::Origin(std::mem::replace(&mut self.origin, origin))
            }
            SiteChange::Spec(key, document) => SiteChange::Spec(key, self.spec.set(key, document)),
            SiteChange::Status(key, document) => SiteChange::Status(key, self.status.set(key, document)),
            SiteChange::LocalLabels(level, labels) => {
                SiteChange::LocalLabels(level, set(&mut self.local, level, labels))
            }
            SiteChange::FileLabels(level, labels) => {
                SiteChange::FileLabels(level, set(&mut self.file_labels, level, labels))
            }
            SiteChange::Event(seq, event) => SiteChange::Event(seq, set(&mut self.events, seq, event)),
            SiteChange::ObservedAddress(address) => {
                SiteChange::ObservedAddress(std::mem::replace(&mut self.observed, address))
            }
            SiteChange::OwnedRecord(key, record) => {
                let before = set(&mut self.held, key.clone(), record);
                SiteChange::OwnedRecord(key, before)
            }
            SiteChange::LinkRecord(record) => SiteChange::LinkRecord(std::mem::replace(&mut self.link_record, record)),
            SiteChange::Host(host, change) => self.lan.apply_to_host(host, change),
            SiteChange::RevokedHostKey(key, at) => {
                SiteChange::RevokedHostKey(key, set(&mut self.lan.revoked_keys, key, at))
            }
            SiteChange::HostToken(id, token) => SiteChange::HostToken(id, set(&mut self.lan.tokens, id, token)),
            SiteChange::HostTokenUse(token, host, at) => {
                SiteChange::HostTokenUse(token, host, self.lan.set_token_use(token, host, at))
            }
        }
    }
}
