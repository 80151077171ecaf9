//! Placement: which sites have which centrally configured providers in their spec.
//!
//! A provider belongs to an environment and selects sites by their labels. Each selected site has it in its spec. A
//! site that is no longer selected keeps it there as *withdrawing* until the site reports that none of its records is
//! left, so a provider is never removed from a site that could not withdraw its records. Forced removal tells the site
//! to abandon the records without deleting them: this needs no name server, and the site reports what remains. A site
//! has room for [`PROVIDERS_PER_SITE_MAX`] providers: existing ones keep their place, and one that finds no room is
//! counted as left out. The assignment is computed from the full state, for every site whose labels, spec or status
//! changed, and for all sites at each sweep.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::limits::PROVIDERS_PER_SITE_MAX;
use linecamp_model::{
    Document, DocumentKey, FleetChange, FleetProvider, Incarnation, Name, Phase, ProviderId, ProviderSpec,
    Registration, SiteId, SpecBody,
};

use super::decision::surplus_tombstones;
use super::labels::placement_labels;
use super::site_record::SiteRecord;
use super::state::FleetState;

/// The sites whose assignment must be computed again.
#[derive(Clone, Debug, Default)]
pub(super) struct Unassigned(BTreeSet<SiteId>);

impl Unassigned {
    /// Marks the sites whose assignment the changes may affect. `state` includes the changes.
    pub(super) fn note(&mut self, changes: &[FleetChange], state: &FleetState) {
        for change in changes {
            match change {
                FleetChange::Spec(site, ..) | FleetChange::Status(site, ..) | FleetChange::Site(site, _) => {
                    self.0.insert(*site);
                }
                FleetChange::Provider(environment, ..) => self.mark(state, |of| of == environment),
                _ => {}
            }
        }
    }

    /// Marks the sites of all environments that have providers.
    pub(super) fn mark_all(&mut self, state: &FleetState) {
        self.mark(state, |environment| state.providers_of(environment).next().is_some());
    }

    /// Removes and returns the marked sites.
    pub(super) fn take(&mut self) -> BTreeSet<SiteId> {
        std::mem::take(&mut self.0)
    }

    /// Marks no site: the specs just assigned need no further assignment.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn mark(&mut self, state: &FleetState, is_meant: impl Fn(&Name) -> bool) {
        self.0.extend(state.registered().filter(|(_, _, of)| is_meant(&of.environment)).map(|(id, _, _)| id));
    }
}

/// Returns the changes that assign the providers that select a site and make the others leave.
pub(super) fn assignment(state: &FleetState, site: SiteId) -> Vec<FleetChange> {
    let Some((record, registration)) = state.site(site) else { return Vec::new() };
    let is_idle =
        state.providers_of(&registration.environment).next().is_none() && provider_specs(record).next().is_none();
    if is_idle || !takes_providers(registration) {
        return Vec::new();
    }
    let held: BTreeMap<_, _> = provider_specs(record).collect();
    let selecting = state.providers_of(&registration.environment).filter(|provider| is_placed(record, provider));
    let selecting = selecting.map(|provider| (ProviderId::of(&provider.spec.name), &provider.spec));
    let mut room = room_for_providers(record);
    // A site's existing providers stay; new ones are added while there is room, and none is evicted.
    let wanted: BTreeMap<_, _> = selecting
        .filter(|(id, _)| {
            let is_held = held.contains_key(id);
            let fits = is_held || 0 < room;
            room -= usize::from(fits && !is_held);
            fits
        })
        .collect();
    let incarnation = state.spec_incarnation(site);
    let mut bodies: Vec<(ProviderId, Option<ProviderSpec>)> = Vec::new();
    for (id, spec) in &wanted {
        if held.get(id) != Some(spec) {
            bodies.push((*id, Some((*spec).clone())));
        }
    }
    for (id, spec) in held.iter().filter(|(id, _)| !wanted.contains_key(id)) {
        if !spec.is_withdrawing {
            bodies.push((*id, Some(ProviderSpec { is_withdrawing: true, ..(*spec).clone() })));
        } else if has_left(record, incarnation, *id) {
            bodies.push((*id, None));
        }
    }
    let mut generation = record.spec.head();
    let change = |(id, body): (ProviderId, Option<ProviderSpec>)| {
        generation = generation.next();
        let body = body.map(|spec| SpecBody::Provider(Box::new(spec)));
        FleetChange::Spec(site, DocumentKey::Provider(id), Some(Document { generation, body }))
    };
    let mut changes = surplus_tombstones(record, site);
    changes.extend(bodies.into_iter().map(change));
    changes
}

/// Whether providers are assigned to a site in its phase.
pub(super) const fn takes_providers(site: &Registration) -> bool {
    !site.life.phase.is_gone() && !matches!(site.life.phase, Phase::Pending)
}

/// Returns how many more providers a site has room for, counting its own as last reported and withdrawing ones.
pub(super) fn room_for_providers(record: &SiteRecord) -> usize {
    let own = record.providers().filter(|status| status.is_local).count();
    PROVIDERS_PER_SITE_MAX.saturating_sub(provider_specs(record).count() + own)
}

/// Whether a provider selects a site.
pub(super) fn is_placed(record: &SiteRecord, provider: &FleetProvider) -> bool {
    provider.sites.matches(&placement_labels(record, provider.matches_facts))
}

/// Returns the providers in a site's spec.
pub(super) fn provider_specs(record: &SiteRecord) -> impl Iterator<Item = (ProviderId, &ProviderSpec)> {
    record.spec.keys().filter_map(|key| match (key, record.spec.body(key)) {
        (DocumentKey::Provider(id), Some(SpecBody::Provider(spec))) => Some((id, &**spec)),
        _ => None,
    })
}

/// Whether a site has confirmed that nothing is left of a withdrawing provider, whatever the state of the others.
fn has_left(record: &SiteRecord, incarnation: Incarnation, id: ProviderId) -> bool {
    let requested_at = record.spec.generation(DocumentKey::Provider(id));
    match record.providers().find(|status| ProviderId::of(&status.name) == id) {
        Some(status) if !status.is_local => requested_at <= status.converged.min(record.applied(incarnation)),
        // The site has its own provider of this name, or none.
        Some(_) | None => requested_at <= record.applied(incarnation),
    }
}
