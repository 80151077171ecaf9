//! Calls to a DNS provider.

use std::collections::BTreeSet;

use super::{DomainName, RecordChange, RecordSet, Ttl};
use crate::name::Text;

/// A request to a DNS provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsRequest {
    /// List the records of a zone at these names; without names, all records.
    Observe {
        /// The zone.
        zone: DomainName,
        /// The names.
        names: BTreeSet<DomainName>,
    },
    /// Change records.
    Apply {
        /// The zone.
        zone: DomainName,
        /// Idempotency key of this change set: a retry of the same change set has the same key.
        key: Text,
        /// The changes, in order.
        changes: Vec<RecordChange>,
    },
}

/// The result of a request to a DNS provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsReply {
    /// The records of the zone at the requested names.
    Observed(Vec<RecordSet>),
    /// The changes were applied.
    Applied,
}

/// The capabilities of a DNS provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsCapabilities {
    /// Whether a change set is applied atomically.
    pub atomic: bool,
    /// Whether the whole zone can be listed.
    pub can_list_records: bool,
    /// The lowest TTL it accepts.
    pub ttl_min: Ttl,
    /// The highest TTL it accepts.
    pub ttl_max: Ttl,
    /// The maximum number of changes in one change set; at least two, so that a claim is written together with its
    /// record.
    pub max_batch_size: u32,
}

impl DnsCapabilities {
    /// Returns the TTL that the service stores for a configured one.
    pub fn ttl_within(&self, ttl: Ttl) -> Ttl {
        ttl.max(self.ttl_min).min(self.ttl_max)
    }
}
