//! What a parent stores of a host that joined it.

use std::collections::BTreeMap;

use linecamp_model::{
    DocumentKey, HostMemberChange, HostMemberRegistration, HostStatus, KeyFingerprint, LinkGap, ReplicationCursor,
    StatusBody, WallTime,
};

use crate::document_sync::Documents;
use crate::staging::set;

/// The records of one host, at its parent.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostRecord {
    pub(crate) registration: Option<HostMemberRegistration>,
    /// The keys that the host may present, and when each was added.
    pub(crate) keys: BTreeMap<KeyFingerprint, WallTime>,
    pub(crate) status: Documents<StatusBody>,
    pub(crate) cursor: Option<ReplicationCursor>,
    /// The times without a session, by when they began.
    pub(crate) gaps: BTreeMap<WallTime, LinkGap>,
}

impl HostRecord {
    /// Applies a change and returns its inverse.
    pub(crate) fn apply(&mut self, change: HostMemberChange) -> HostMemberChange {
        use HostMemberChange as Change;
        match change {
            Change::Registration(body) => Change::Registration(std::mem::replace(&mut self.registration, body)),
            Change::Key(key, at) => Change::Key(key, set(&mut self.keys, key, at)),
            Change::Status(key, body) => Change::Status(key, self.status.set(key, body)),
            Change::Cursor(body) => Change::Cursor(std::mem::replace(&mut self.cursor, body)),
            Change::LinkGap(began_at, gap) => Change::LinkGap(began_at, set(&mut self.gaps, began_at, gap)),
        }
    }

    /// Whether there are no records.
    pub(crate) fn is_empty(&self) -> bool {
        self.registration.is_none()
            && self.keys.is_empty()
            && self.status.is_empty()
            && self.cursor.is_none()
            && self.gaps.is_empty()
    }

    /// Returns the changes that delete all records.
    pub(crate) fn purge_changes(&self) -> Vec<HostMemberChange> {
        let keys = self.keys.keys().map(|key| HostMemberChange::Key(*key, None));
        let statuses = self.status.keys().map(|key| HostMemberChange::Status(key, None));
        let gaps = self.gaps.keys().map(|began_at| HostMemberChange::LinkGap(*began_at, None));
        let last = [HostMemberChange::Cursor(None), HostMemberChange::Registration(None)];
        keys.chain(statuses).chain(gaps).chain(last).collect()
    }

    /// Returns what the host has reported about itself.
    pub(crate) fn reported(&self) -> Option<&HostStatus> {
        self.status.live().find_map(|(key, body)| match (key, body) {
            (DocumentKey::Host(_), StatusBody::Host(status)) => Some(status),
            _ => None,
        })
    }
}
