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

    /// Checks the capabilities that a plugin describes: a TTL range, and room for a record with its ownership TXT
    /// record.
    ///
    /// # Errors
    /// [`CapabilitiesError`] describes what is invalid.
    pub fn described(
        (atomic, can_list_records): (bool, bool),
        (ttl_min, ttl_max): (u32, u32),
        max_batch_size: u32,
    ) -> Result<Self, CapabilitiesError> {
        if max_batch_size < 2 {
            return Err(CapabilitiesError::BatchSize { found: max_batch_size });
        }
        match (Ttl::of(ttl_min), Ttl::of(ttl_max)) {
            (Some(ttl_min), Some(ttl_max)) if ttl_min <= ttl_max => {
                Ok(Self { atomic, can_list_records, ttl_min, ttl_max, max_batch_size })
            }
            (_, _) => Err(CapabilitiesError::TtlRange { ttl_min, ttl_max }),
        }
    }
}

/// Why the capabilities that a plugin describes are invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CapabilitiesError {
    /// A change set has no room for a record and its ownership TXT record.
    #[error("max-batch-size is {found}; a record and its ownership TXT record need 2")]
    BatchSize {
        /// The described size.
        found: u32,
    },
    /// Not a range of TTLs.
    #[error("invalid TTL range: {ttl_min} to {ttl_max} s")]
    TtlRange {
        /// The lowest TTL, in seconds.
        ttl_min: u32,
        /// The highest TTL, in seconds.
        ttl_max: u32,
    },
}
