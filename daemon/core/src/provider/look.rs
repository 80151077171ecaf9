//! How a zone is looked at: searched for what was left over, then asked for names, a few a call.
//!
//! A zone of which we have no note may hold records that an earlier run of this site left: its database was lost, say.
//! Where the provider lists zones, the first look searches a listing for our claims, and for nothing else. A listing
//! may fail for what others put into the zone; then the look goes on without it, the zone says so, and it is tried
//! again after [`QUARANTINE`].
//!
//! What is wanted, held or left over is asked for by name, [`LOOK_NAMES_MAX`] names a call. A call that used up its
//! requests or time is made again for half as many, and so are those after it; of changes, for one record at a time. So
//! no number of records keeps a provider from its work. What is decided on is all answers of the look together.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::{Claim, DomainName, OwnedRecord, ProviderFailure, ProviderRequest, RecordKey, RecordSet, Text};

use super::act::Act;
use super::zone::Zone;
use super::{Provider, Scope, State};
use crate::records::names_of;

/// Names that are asked for in one call: eight records with their claims. At a name server without a listing a record
/// takes four questions, and twice so many behind a wildcard, of the 64 of a call.
pub(super) const LOOK_NAMES_MAX: usize = 16;

/// What the calls of one look brought so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gathered {
    /// Names that were answered for.
    asked: BTreeSet<DomainName>,
    seen: Vec<RecordSet>,
    /// Record sets with our claim that the zone was found to hold.
    leftovers: BTreeSet<RecordKey>,
    /// Whether the zone could be searched, and if not, why; `None` if nobody tried.
    searched: Option<Result<(), Text>>,
}

impl Provider {
    /// Begins to look at a zone; `None` if there is nothing of ours to see.
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

    /// Asks for the next names, or decides on all that were answered for. What came to be desired during the look is
    /// asked for too: it is not known to be absent.
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

    /// Takes what a zone holds at the names that were asked for, or of a listing, what carries our claim.
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

    /// A call of a look failed. Names that cannot be observed are set aside, and the zone is observed without them.
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

    /// Whether a look goes on by names after its listing failed so. With nothing to ask for, a service that is away and
    /// a zone that is absent are failures like any other.
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

    /// Sets aside what is at a name that cannot be observed. Returns whether there was anything.
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

    /// A step used up what a call may. From here on steps are of one record each; `false` if this one was already.
    pub(super) fn makes_steps_smaller(&mut self, failure: &ProviderFailure) -> bool {
        let is_too_large = matches!(failure, ProviderFailure::LimitExceeded { .. }) && !self.has_small_steps;
        self.has_small_steps |= is_too_large;
        is_too_large
    }
}

/// Returns the names to observe: what cannot be observed is left out. A record's name and that of its claim stand
/// beside each other, so that they go into one call.
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
