//! How a zone is observed: searched for leftover records, then queried by name, a few names per call.
//!
//! A zone without ownership notes may hold records that an earlier run of this site left, for example because its
//! database was lost. If the provider can list zones, the first observation searches a listing for this site's
//! ownership TXT records, and for nothing else. A listing may fail because of other owners' records: a zone may be too
//! large for a call, or for the service's rate limit. Then the observation continues by name, `linecampd why` says so,
//! and the search is retried after [`QUARANTINE`](super::QUARANTINE). If there is no name to query, the name of the
//! zone is queried: it shows whether only the listing fails.
//!
//! Desired, owned and leftover records are queried by name, [`NAMES_PER_CALL_MAX`] names per call. A call that exceeded
//! its limit of requests or time is repeated with half as many names, and later calls keep that size; changes are
//! reduced to one record per call. No number of records can therefore block a provider. The plan uses the answers of
//! all calls together. A call that the service asked to repeat later interrupts the round
//! ([`interruption`](super::interruption)).

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::{
    Claim, DnsRequest, DomainName, OwnedRecord, ProviderFailure, ProviderRequest, RecordKey, RecordSet, Text,
};

use super::failure::is_at;
use super::zone::Zone;
use super::{Context, DnsEffect, Reconciler, Work};
use crate::dns::names_of;

/// Names per observe call: eight records with their ownership TXT records. At a name server without a listing a record
/// takes four queries, and twice as many behind a wildcard, of the 64 that a call may make.
pub(super) const NAMES_PER_CALL_MAX: usize = 16;

/// The results of the calls of one observation so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Observation {
    /// Names that were queried and answered.
    pub(super) queried: BTreeSet<DomainName>,
    seen: Vec<RecordSet>,
    /// Record sets that carry this site's ownership TXT record, from the search.
    leftovers: BTreeSet<RecordKey>,
    /// Whether the zone could be searched, or why not; `None` if no search was made.
    searched: Option<Result<(), Text>>,
}

impl Reconciler {
    /// Starts to observe a zone; `None` if nothing in it concerns this site.
    pub(super) fn observe(&mut self, name: &DomainName, context: &mut Context<'_>) -> Option<Vec<DnsEffect>> {
        let owned = context.owned_in(self.id, name);
        let zone = self.zones.get(name)?;
        let can_list_records = self.calls.capabilities().is_some_and(|capabilities| capabilities.can_list_records);
        if can_list_records && !zone.is_searched && (owned.is_empty() || zone.is_search_due) {
            return Some(self.call_observe(name.clone(), BTreeSet::new(), Observation::default(), context));
        }
        match zone.desired.sets.is_empty() && owned.is_empty() {
            true => None,
            false => Some(self.observe_next(name.clone(), Observation::default(), context)),
        }
    }

    /// Queries the next names, or plans once all are answered. Names that became desired meanwhile are queried too: a
    /// name that was not queried is not known to be absent.
    pub(super) fn observe_next(
        &mut self,
        name: DomainName,
        mut observation: Observation,
        context: &mut Context<'_>,
    ) -> Vec<DnsEffect> {
        let owned = context.owned_in(self.id, &name);
        let zone = self.zones.entry(name.clone()).or_default();
        let mut names = names_to_observe(zone, &owned, &observation.leftovers);
        if names.is_empty() && matches!(observation.searched, Some(Err(_))) {
            names.push(name.clone());
        }
        let open = names.iter().filter(|name| !observation.queried.contains(*name));
        let batch: BTreeSet<_> = open.take(self.pace.within(self.names_per_call)).cloned().collect();
        if !batch.is_empty() {
            return self.call_observe(name, batch, observation, context);
        }
        observation.seen.retain(|set| names.contains(&set.key.name));
        zone.handle_searched(observation.searched, context.now.instant);
        self.plan_zone(name, &observation.seen, context)
    }

    fn call_observe(
        &mut self,
        zone: DomainName,
        names: BTreeSet<DomainName>,
        observation: Observation,
        context: &mut Context<'_>,
    ) -> Vec<DnsEffect> {
        let request = DnsRequest::Observe { zone: zone.clone(), names: names.clone() };
        vec![self.calls.start(
            context.next_call(),
            Work::Observe { zone, names, observation },
            ProviderRequest::Dns(request),
        )]
    }

    /// Handles observed record sets: those at the queried names or, for a listing, those with this site's ownership TXT
    /// record.
    pub(super) fn handle_observed(
        &mut self,
        zone: DomainName,
        names: BTreeSet<DomainName>,
        mut observation: Observation,
        observed: Vec<RecordSet>,
        context: &mut Context<'_>,
    ) -> Vec<DnsEffect> {
        if names.is_empty() {
            let claim = Claim { owner: self.spec.dns().owner.clone(), site: context.site };
            let others = context.of_others(self.id, &zone);
            let ours = observed.iter().filter(|set| Claim::read(set).as_ref() == Some(&claim));
            let ours = ours.filter_map(|set| Claim::key_of(&set.key.name)).filter(|key| !others.contains(key));
            observation.leftovers = ours.collect();
            observation.searched = Some(Ok(()));
        } else {
            observation.seen.extend(observed);
            observation.queried.extend(names);
            self.pace.handle_answered();
        }
        self.observe_next(zone, observation, context)
    }

    /// Handles a failed call. Names that cannot be observed are quarantined, and the zone is observed without them.
    /// After a listing that failed, the zone is observed by name: immediately or, if the service asked to wait, in a
    /// round that starts after that time. If more than the listing fails, the calls by name report it.
    pub(super) fn handle_observe_failed(
        &mut self,
        zone: DomainName,
        names: &BTreeSet<DomainName>,
        mut observation: Observation,
        failure: &ProviderFailure,
        context: &mut Context<'_>,
    ) -> Vec<DnsEffect> {
        match failure {
            // Without the plugin, no call can succeed.
            ProviderFailure::Missing { .. } => {}
            ProviderFailure::Retry { after: Some(after), reason } if names.is_empty() => {
                // The next search is due a while after the pause: rounds by name come first.
                let searched = Some(Err(reason.clone()));
                self.zones.entry(zone).or_default().handle_searched(searched, context.now.instant + *after);
                self.todo.clear();
                return vec![self.calls.pause(*after)];
            }
            _ if names.is_empty() => {
                observation.searched = Some(Err(failure.reason().clone()));
                return self.observe_next(zone, observation, context);
            }
            ProviderFailure::Retry { after: Some(after), .. } if self.pace.may_wait(*after) => {
                return self.interrupt_round(zone, names.len(), observation, *after);
            }
            ProviderFailure::LimitExceeded { .. } if 1 < names.len() => {
                self.names_per_call = names.len() / 2;
                return self.observe_next(zone, observation, context);
            }
            ProviderFailure::Refused { reason, part: Some(name) }
                if self.quarantine_name(&zone, name, reason, &mut observation, context) =>
            {
                return self.observe_next(zone, observation, context);
            }
            _ => {}
        }
        self.zone_failed(&zone, failure, &format!("observing zone {zone}"), context)
    }

    /// Quarantines the records at a name that cannot be observed. Returns whether there were any.
    fn quarantine_name(
        &mut self,
        zone: &DomainName,
        name: &Text,
        reason: &Text,
        observation: &mut Observation,
        context: &Context<'_>,
    ) -> bool {
        let owned = context.owned_in(self.id, zone);
        let zone = self.zones.entry(zone.clone()).or_default();
        let is_meant = |key: &RecordKey| is_at(key, name);
        let keys = zone.desired.sets.keys().chain(owned.keys());
        let keys: Vec<_> = keys.filter(|key| !zone.is_unobservable(key) && is_meant(key)).cloned().collect();
        let leftovers = observation.leftovers.len();
        observation.leftovers.retain(|key| !is_meant(key));
        let is_any = !keys.is_empty() || observation.leftovers.len() < leftovers;
        keys.into_iter().for_each(|key| zone.set_unobservable(key, reason, context.now));
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
    owned: &BTreeMap<RecordKey, OwnedRecord>,
    leftovers: &BTreeSet<RecordKey>,
) -> Vec<DomainName> {
    let keys: BTreeSet<_> = zone.desired.sets.keys().chain(owned.keys()).chain(leftovers).collect();
    let mut seen = BTreeSet::new();
    let keys = keys.into_iter().filter(|key| !zone.is_unobservable(key));
    let names = keys.flat_map(|key| names_of(std::iter::once(key)));
    names.filter(|name| seen.insert(name.clone())).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_guide_states_how_many_names_a_call_has() {
        let guide = include_str!("../../../../../sdk/GUIDE.md");
        let row = format!("\n| names of an `observe` call | {} | ", super::NAMES_PER_CALL_MAX);
        assert!(guide.contains(&row), "{row}");
    }
}
