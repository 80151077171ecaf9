//! The status of the records of a DNS provider.

use std::collections::BTreeSet;
use std::fmt;

use super::{DomainName, RecordKey, RecordSet, Ttl};
use crate::condition::words;
use crate::limits::{RECORD_VALUE_BYTES_MAX, RECORD_VALUES_MAX};
use crate::name::Text;
use crate::printable::printable;
use crate::time::WallTime;

/// The status of what a DNS provider provides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsStatus {
    /// Its records, ordered by zone and key; at most
    /// [`RECORDS_PER_PROVIDER_MAX`](crate::limits::RECORDS_PER_PROVIDER_MAX).
    pub records: Vec<RecordStatus>,
}

/// The status of one record set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordStatus {
    /// Its zone.
    pub zone: DomainName,
    /// Its name and type.
    pub key: RecordKey,
    /// The desired values; empty if the record set is not desired.
    pub values: BTreeSet<Box<str>>,
    /// The TTL to write: that of the settings, within the limits of the service. `None` if the record set is not
    /// desired, or the limits are not known yet.
    pub ttl: Option<Ttl>,
    /// The result of the last successful observation; `None` before the first.
    pub observed: Option<Observed>,
    /// Its state as of the last observation.
    pub state: RecordState,
    /// Why it is not in sync; empty if there is nothing to report.
    pub detail: Text,
}

/// The result of observing one record set. A failed observation leaves it unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// When it was observed. Refreshed whenever a status is sent for another reason; a change of this time alone does
    /// not cause one to be sent.
    pub at: WallTime,
    /// Its values; empty if it was absent.
    pub values: BTreeSet<Box<str>>,
    /// Its TTL; `None` if it was absent or cannot be parsed.
    pub ttl: Option<Ttl>,
}

impl Observed {
    /// Creates the result of an observation at `at`. Values that others wrote are truncated to what a status may hold
    /// ([`RECORD_VALUES_MAX`], [`RECORD_VALUE_BYTES_MAX`]), and made [`printable`].
    pub fn new(at: WallTime, set: Option<&RecordSet>) -> Self {
        let values = set.into_iter().flat_map(|set| &set.values).take(RECORD_VALUES_MAX);
        let ttl = set.filter(|set| set.why_unreadable().is_none()).map(|set| set.ttl);
        Self { at, values: values.map(|value| shown(value)).collect(), ttl }
    }
}

fn shown(value: &str) -> Box<str> {
    let value = printable(value);
    value[..value.floor_char_boundary(RECORD_VALUE_BYTES_MAX)].into()
}

words! {
    /// The state of a record set.
    RecordState {
        /// In sync when last observed.
        InSync = "in-sync",
        /// To be created: a change set is planned, and applied unless this is a dry run.
        Create = "create",
        /// To be updated.
        Update = "update",
        /// To be deleted.
        Delete = "delete",
        /// In conflict: another owner has the name and keeps it.
        Conflict = "conflict",
        /// Cannot be written, and is quarantined.
        Quarantined = "quarantined",
        /// No longer desired but retained, because deletes are not enabled or the limit per reconcile is reached.
        Retained = "retained",
        /// Desired, and not observed yet.
        Unknown = "unknown",
    }
}

impl RecordState {
    /// Returns whether the record set exists and the site owns it.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::InSync | Self::Update | Self::Delete | Self::Retained)
    }
}
