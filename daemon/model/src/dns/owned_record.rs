//! Ownership notes: what a site remembers of the record sets it owns.

use std::collections::BTreeSet;
use std::fmt;

use super::{Claim, DomainName, RecordKey, RecordSet, Ttl};
use crate::condition::words;
use crate::id::ProviderId;

/// Identifies a record set that a site owns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnedRecordKey {
    /// The provider.
    pub provider: ProviderId,
    /// The zone.
    pub zone: DomainName,
    /// The record set.
    pub record: RecordKey,
}

/// A record set that a site owns, or has started to create or delete. The site stores this before the first call. A
/// crash in the middle of a change therefore loses nothing, and a record can be deleted even where it cannot be
/// observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRecord {
    /// The claim it was written with.
    pub claim: Claim,
    /// The state of the ownership.
    pub state: Ownership,
    /// The TTL written last.
    pub ttl: Ttl,
    /// The values written last or about to be written; empty if the site wrote none.
    pub values: BTreeSet<Box<str>>,
}

impl OwnedRecord {
    /// Returns the record set written last; `None` if the site wrote nothing.
    pub fn written(&self, key: &RecordKey) -> Option<RecordSet> {
        let set = || RecordSet { key: key.clone(), ttl: self.ttl, values: self.values.clone() };
        (!self.values.is_empty()).then(set)
    }
}

words! {
    /// The state of a record set's ownership.
    Ownership {
        /// The site was about to create it. An existing record set may belong to another owner.
        Pending = "pending",
        /// It was observed with the site's own claim.
        Owned = "owned",
        /// It is to be taken over from its current owner, as explicitly requested.
        Adopting = "adopting",
    }
}
