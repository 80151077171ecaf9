//! How a zone is observed: searched for leftover records, then queried by name, a few names per call.
//!
//! A zone without ownership notes may hold records that an earlier run of this site left, for example because its
//! database was lost. If the provider can list zones, the first observation searches a listing for this site's
//! ownership TXT records, and for nothing else. A listing may fail because of other owners' records; then the
//! observation continues without it, the zone's status says so, and the search is retried after
//! [`QUARANTINE`](super::QUARANTINE).
//!
//! Desired, owned and leftover records are queried by name, [`LOOK_NAMES_MAX`] names per call. A call that exceeded its
//! limit of requests or time is repeated with half as many names, and later calls keep that size; changes are reduced
//! to one record per call. No number of records can therefore block a provider. The plan uses the answers of all calls
//! together.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::{Claim, DomainName, OwnedRecord, ProviderFailure, ProviderRequest, RecordKey, RecordSet, Text};

use super::act::Act;
use super::zone::Zone;
use super::{Provider, Scope, State};
use crate::dns::names_of;

/// Names per observe call: eight records with their ownership TXT records. At a name server without a listing a record
/// takes four queries, and twice as many behind a wildcard, of the 64 that a call may make.
pub(super) const LOOK_NAMES_MAX: usize = 16;

/// The results of the calls of one observation so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gathered {
    /// Names that were queried and answered.
    asked: BTreeSet<DomainName>,
    seen: Vec<RecordSet>,
    /// Record sets that carry this site's ownership TXT record, from the search.
    leftovers: BTreeSet<RecordKey>,
    /// Whether the zone could be searched, or why not; `None` if no search was made.
    searched: Option<Result<(), Text>>,
}

impl Provider {
    /// Starts observing a zone; `None` if nothing in it concerns this site.
    pub(super) fn look(&mut self, name: &DomainName, scope: &mut Scope<'_>) -> Option<Vec<Act>> {
        let held = scope.held_in(self.id, name);
        let zone = self.zones.get(name)?;
        let lists_zones = self.abilities.is_some_and(|abilities| abilities.lists_zones);
        if lists_zones && !zone.is_swept && (held.is_empty() || zone.is_sweep_due) {
            return Some(self.ask(name.clone(), BTreeSet::new(), Gathered::default(), scope));
        }
        match zone.wanted.sets.is_empty() && held.is_empty() {
            true => None,
            false => Some(self.look_on(name.clone(), Gathered::default(), scope)),
        }
    }

    /// Queries the next names, or plans once all are answered. Names that became desired meanwhile are queried too: a
    /// name that was not queried is not known to be absent.
    fn look_on(&mut self, name: DomainName, mut gathered: Gathered, scope: &mut Scope<'_>) -> Vec<Act> {
        let held = scope.held_in(self.id, &name);
        let zone = self.zones.entry(name.clone()).or_default();
        let names = names_to_observe(zone, &held, &gathered.leftovers);
        let open = names.iter().filter(|name| !gathered.asked.contains(*name));
        let batch: BTreeSet<_> = open.take(self.look_names_max).cloned().collect();
        if !batch.is_empty() {
            return self.ask(name, batch, gathered, scope);
        }
        gathered.seen.retain(|set| names.contains(&set.key.name));
        zone.searched(gathered.searched, scope.now);
        self.decide(name, &gathered.seen, scope)
    }

    fn ask(
        &mut self,
        zone: DomainName,
        names: BTreeSet<DomainName>,
        gathered: Gathered,
        scope: &mut Scope<'_>,
    ) -> Vec<Act> {
        let call = scope.next_call();
        let request = ProviderRequest::Observe { zone: zone.clone(), names: names.clone() };
        self.state = State::Observing { call, zone, names, gathered };
        vec![Act::Call { call, request }]
    }

    /// Handles observed record sets: those at the queried names or, for a listing, those with this site's ownership TXT
    /// record.
    pub(super) fn observed(
        &mut self,
        zone: DomainName,
        names: BTreeSet<DomainName>,
        mut gathered: Gathered,
        observed: Vec<RecordSet>,
        scope: &mut Scope<'_>,
    ) -> Vec<Act> {
        if names.is_empty() {
            let claim = Claim { owner: self.spec.dns.owner.clone(), site: scope.site };
            let others = scope.of_others(self.id, &zone);
            let ours = observed.iter().filter(|set| Claim::read(set).as_ref() == Some(&claim));
            let ours = ours.filter_map(|set| Claim::key_of(&set.key.name)).filter(|key| !others.contains(key));
            gathered.leftovers = ours.collect();
            gathered.searched = Some(Ok(()));
        } else {
            gathered.seen.extend(observed);
            gathered.asked.extend(names);
        }
        self.look_on(zone, gathered, scope)
    }

    /// Handles a failed call. Names that cannot be observed are quarantined, and the zone is observed without them.
    pub(super) fn look_failed(
        &mut self,
        zone: DomainName,
        names: &BTreeSet<DomainName>,
        mut gathered: Gathered,
        failure: &ProviderFailure,
        scope: &mut Scope<'_>,
    ) -> Vec<Act> {
        match failure {
            _ if names.is_empty() && self.goes_without_search(&zone, failure, scope) => {
                gathered.searched = Some(Err(failure.reason().clone()));
                return self.look_on(zone, gathered, scope);
            }
            ProviderFailure::LimitExceeded { .. } if 1 < names.len() => {
                self.look_names_max = names.len() / 2;
                return self.look_on(zone, gathered, scope);
            }
            ProviderFailure::Refused { reason, name: Some(name) }
                if self.hide(&zone, name, reason, &mut gathered, scope) =>
            {
                return self.look_on(zone, gathered, scope);
            }
            _ => {}
        }
        self.zone_failed(&zone, failure, &format!("looking at zone {zone}"), scope)
    }

    /// Whether the observation continues by name after its listing failed in this way. If there are no names to query,
    /// an unreachable service and a missing zone are ordinary failures.
    fn goes_without_search(&self, zone: &DomainName, failure: &ProviderFailure, scope: &Scope<'_>) -> bool {
        match failure {
            ProviderFailure::Unauthorized { .. }
            | ProviderFailure::Missing { .. }
            | ProviderFailure::Retry { after: Some(_), .. } => false,
            ProviderFailure::Retry { after: None, .. }
            | ProviderFailure::Refused { .. }
            | ProviderFailure::Conflict { .. } => {
                let held = scope.held_in(self.id, zone);
                let is_asked = |zone: &Zone| !names_to_observe(zone, &held, &BTreeSet::new()).is_empty();
                self.zones.get(zone).is_some_and(is_asked)
            }
            ProviderFailure::LimitExceeded { .. } | ProviderFailure::Broken { .. } => true,
        }
    }

    /// Quarantines the records at a name that cannot be observed. Returns whether there were any.
    fn hide(
        &mut self,
        zone: &DomainName,
        name: &DomainName,
        reason: &Text,
        gathered: &mut Gathered,
        scope: &Scope<'_>,
    ) -> bool {
        let held = scope.held_in(self.id, zone);
        let zone = self.zones.entry(zone.clone()).or_default();
        let is_meant = |key: &RecordKey| key.name == *name || Claim::name_of(key).as_ref() == Ok(name);
        let keys = zone.wanted.sets.keys().chain(held.keys());
        let keys: Vec<_> = keys.filter(|key| !zone.is_hidden(key) && is_meant(key)).cloned().collect();
        let leftovers = gathered.leftovers.len();
        gathered.leftovers.retain(|key| !is_meant(key));
        let is_any = !keys.is_empty() || gathered.leftovers.len() < leftovers;
        keys.into_iter().for_each(|key| zone.hide(key, reason, scope.time()));
        is_any
    }

    /// Handles a step that exceeded a call's limits: steps have one record each from now on. Returns false if they
    /// already did.
    pub(super) fn makes_steps_smaller(&mut self, failure: &ProviderFailure) -> bool {
        let is_too_large = matches!(failure, ProviderFailure::LimitExceeded { .. }) && !self.has_small_steps;
        self.has_small_steps |= is_too_large;
        is_too_large
    }
}

/// Returns the names to observe, without those that cannot be observed. The name of a record and that of its ownership
/// TXT record are adjacent, so that one call queries both.
fn names_to_observe(
    zone: &Zone,
    held: &BTreeMap<RecordKey, OwnedRecord>,
    leftovers: &BTreeSet<RecordKey>,
) -> Vec<DomainName> {
    let keys: BTreeSet<_> = zone.wanted.sets.keys().chain(held.keys()).chain(leftovers).collect();
    let mut taken = BTreeSet::new();
    let keys = keys.into_iter().filter(|key| !zone.is_hidden(key));
    let names = keys.flat_map(|key| names_of(std::iter::once(key)));
    names.filter(|name| taken.insert(name.clone())).collect()
}
