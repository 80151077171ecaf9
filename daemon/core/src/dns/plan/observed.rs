//! The observed record sets of a zone, by name and type.

use std::collections::BTreeMap;

use linecamp_model::{Claim, RecordKey, RecordSet, RecordType};

/// Types that DNSSEC adds next to any other: they do not conflict with a CNAME.
const SIGNATURES: [&str; 3] = ["RRSIG", "NSEC", "NSEC3"];

/// The observed record sets, by name and type.
pub(super) struct ObservedSets<'a> {
    sets: BTreeMap<&'a RecordKey, &'a RecordSet>,
}

impl<'a> ObservedSets<'a> {
    pub(super) fn of(observed: &'a [RecordSet]) -> Self {
        Self { sets: observed.iter().map(|set| (&set.key, set)).collect() }
    }

    pub(super) fn set(&self, key: &RecordKey) -> Option<&'a RecordSet> {
        self.sets.get(key).copied()
    }

    /// Returns the record sets that carry our claim.
    pub(super) fn claimed_by(&self, claim: &Claim) -> Vec<RecordKey> {
        let ours = self.sets.values().filter(|set| Claim::read(set).as_ref() == Some(claim));
        ours.filter_map(|set| Claim::key_of(&set.key.name)).collect()
    }

    /// Returns a record set that cannot share a name with `key`: any next to a CNAME, or a CNAME next to any.
    pub(super) fn neighbour(&self, key: &RecordKey) -> Option<&'a RecordKey> {
        let is_signature = |other: &RecordKey| SIGNATURES.contains(&other.rtype.as_str());
        let hinders = |other: &RecordKey| {
            other.name == key.name
                && other.rtype != key.rtype
                && (key.rtype == RecordType::Cname || other.rtype == RecordType::Cname)
                && !is_signature(other)
        };
        self.sets.keys().copied().find(|other| hinders(other))
    }
}
