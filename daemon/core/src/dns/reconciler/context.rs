//! What an input of a reconciler needs from the site: its ownership notes, its other providers, randomness and the
//! time.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::{
    CallId, DomainName, Now, OwnedRecord, OwnedRecordKey, ProviderId, ProviderSpec, RecordKey, RunId, SiteId,
};

use super::Reconciler;
use crate::dns::Rival;
use crate::rng::Rng;

/// The context of one input of the machine.
pub(crate) struct Context<'a> {
    pub(crate) site: SiteId,
    pub(crate) run: RunId,
    /// The ownership notes of all providers of the site.
    pub(crate) owned: &'a BTreeMap<OwnedRecordKey, OwnedRecord>,
    /// The other providers of the site. They share its claim and manage their own records.
    pub(crate) others: &'a BTreeMap<ProviderId, Reconciler>,
    pub(crate) last_call: &'a mut CallId,
    pub(crate) rng: &'a mut Rng,
    pub(crate) now: Now,
    /// Whether changes may be started: not while the site's store cannot persist notes.
    pub(crate) may_change: bool,
}

impl Context<'_> {
    pub(super) fn next_call(&mut self) -> CallId {
        *self.last_call = self.last_call.next();
        *self.last_call
    }

    /// Returns the record sets of a zone that other providers of the site own or want.
    pub(super) fn of_others(&self, provider: ProviderId, zone: &DomainName) -> BTreeSet<RecordKey> {
        let owned = self.owned.keys().filter(|key| key.provider != provider && key.zone == *zone);
        let desired = self.others.values().flat_map(|other| other.desired_in(zone)).cloned();
        owned.map(|key| key.record.clone()).chain(desired).collect()
    }

    /// Returns which other providers want which record sets of a zone under the owner id of `spec`.
    pub(super) fn rivals(&self, spec: &ProviderSpec, zone: &DomainName) -> BTreeMap<RecordKey, Vec<Rival>> {
        let mut rivals = BTreeMap::<_, Vec<_>>::new();
        let is_rival = |other: &ProviderSpec| !other.is_dry_run && other.dns().owner == spec.dns().owner;
        for (id, other) in self.others.iter().filter(|(_, other)| is_rival(&other.spec)) {
            for record in other.desired_in(zone) {
                let note = OwnedRecordKey { provider: *id, zone: zone.clone(), record: record.clone() };
                rivals.entry(record.clone()).or_default().push(Rival {
                    name: other.spec.name.clone(),
                    goes_first: other.spec.name < spec.name,
                    is_same_place: other.spec.plugin.name == spec.plugin.name && other.spec.config == spec.config,
                    note: self.owned.get(&note).cloned(),
                });
            }
        }
        rivals
    }

    /// Returns the ownership notes of a provider in a zone.
    pub(super) fn owned_in(&self, provider: ProviderId, zone: &DomainName) -> BTreeMap<RecordKey, OwnedRecord> {
        let is_meant = |key: &OwnedRecordKey| key.provider == provider && key.zone == *zone;
        let owned = self.owned.iter().filter(|(key, _)| is_meant(key));
        owned.map(|(key, record)| (key.record.clone(), record.clone())).collect()
    }
}
