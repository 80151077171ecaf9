//! Providers as they are configured centrally: which site gets which, and how one leaves again.
//!
//! A provider belongs to an environment and selects sites by their labels. Each site it selects has it in its spec; one
//! it selects no longer has it there as *leaving*, until the site has said that none of its records is left. So nothing
//! is taken from a site that could not take its records along. The assignment follows from whole state, for every site
//! whose labels, spec or status changed, and for all with each sweep.

use std::collections::BTreeMap;

use linecamp_model::limits::{PLUGIN_BYTES_MAX, PLUGINS_MAX, PROVIDERS_PER_ENVIRONMENT_MAX, PROVIDERS_PER_SITE_MAX};
use linecamp_model::{
    Document, DocumentKey, EffectiveLabels, EventKind, FleetChange, FleetProvider, FromServer, History, Mark, Name,
    Now, OwnedLabels, Phase, PluginDigest, PluginFile, PluginPiece, PluginWant, ProviderId, ProviderSpec,
    ProviderStatus, RecordStatus, SessionId, SiteId, SpecBody, effective_of_site,
};

use super::operator::{Decided, Decision, check_environment};
use super::state::{FleetState, SiteRecord};
use super::view::owned;
use super::{Fleet, FleetCommandError, FleetOutput, SiteFilter};

impl Fleet {
    /// Brings the specs of sites whose state changed up to the providers that select them.
    pub(super) fn settle_providers(&mut self, now: Now) {
        for site in std::mem::take(&mut self.unassigned) {
            let changes = assignment(self.ledger.state(), site);
            if !changes.is_empty() {
                self.carry_out(Decision { changes, event: None, site: Some(site) }, Vec::new(), now);
            }
        }
        // What was assigned just now is as it should be.
        self.unassigned.clear();
    }

    /// Notes whose assignment a change may touch.
    pub(super) fn note_unassigned(&mut self, changes: &[FleetChange]) {
        for change in changes {
            match change {
                FleetChange::Spec(site, ..) | FleetChange::Status(site, ..) | FleetChange::Site(site, _) => {
                    self.unassigned.insert(*site);
                }
                FleetChange::Provider(environment, ..) => self.unassign_all(Some(environment.clone())),
                _ => {}
            }
        }
    }

    /// Looks at every site again: of an environment, or of all that have providers.
    pub(super) fn unassign_all(&mut self, environment: Option<Name>) {
        let state = self.ledger.state();
        let is_meant = |of: &Name| match &environment {
            Some(meant) => meant == of,
            None => state.has_providers(of),
        };
        let sites = state.registered().filter(|(_, _, of)| is_meant(&of.environment)).map(|(id, _, _)| id);
        let sites: Vec<_> = sites.collect();
        self.unassigned.extend(sites);
    }

    /// A site asks for a piece of a plugin: it gets those that its spec names, and no others.
    pub(super) fn want_plugin(&mut self, session: SessionId, site: SiteId, want: PluginWant, now: Now) {
        let state = self.ledger.state();
        let is_named = state
            .sites
            .get(&site)
            .is_some_and(|record| provider_specs(record).any(|(_, spec)| spec.plugin.digest == Some(want.digest)));
        if is_named && state.plugins.contains_key(&want.digest) {
            return self.read_piece(session, want, now);
        }
        let piece = PluginPiece { digest: want.digest, offset: want.offset, total: 0, bytes: Vec::new() };
        self.outputs.push_back(FleetOutput::Send { session, message: FromServer::Plugin(piece) });
    }

    /// Returns the providers, by environment and name: each with how many sites have it, and in how many it does not
    /// work.
    pub fn providers(&self, environment: Option<&Name>) -> Vec<(Name, &FleetProvider, usize, usize)> {
        let state = self.ledger.state();
        let is_meant = |of: &Name| environment.is_none_or(|meant| meant == of);
        let providers = state.providers.iter().filter(|((of, _), _)| is_meant(of));
        let counted = providers.map(|((of, name), provider)| {
            let key = DocumentKey::Provider(ProviderId::of(name));
            let have = state
                .registered()
                .filter(|(_, record, site)| site.environment == *of && record.spec.body(key).is_some());
            let have: Vec<_> = have.map(|(_, record, _)| record).collect();
            let fails = |record: &&&SiteRecord| {
                record.providers().any(|status| status.name == *name && status.trouble.is_some())
            };
            (of.clone(), &**provider, have.len(), have.iter().filter(fails).count())
        });
        counted.collect()
    }

    /// Returns the plugins that were pushed.
    pub fn plugins(&self) -> impl Iterator<Item = (PluginDigest, &PluginFile)> {
        self.ledger.state().plugins.iter().map(|(digest, file)| (*digest, file))
    }

    /// Returns how the providers of the selected sites stand: with the site's name, as it last said.
    pub fn provider_statuses(&self, filter: &SiteFilter) -> Vec<(Name, &ProviderStatus)> {
        let state = self.ledger.state();
        let sites = self.selected(filter).filter_map(|id| state.site(id));
        let statuses = sites.filter_map(|(record, _)| Some((record.site_spec()?.name.clone(), record)));
        statuses.flat_map(|(name, record)| record.providers().map(move |status| (name.clone(), status))).collect()
    }
}

impl FleetState {
    fn has_providers(&self, environment: &Name) -> bool {
        self.providers_of(environment).next().is_some()
    }

    fn providers_of(&self, environment: &Name) -> impl Iterator<Item = &FleetProvider> {
        let of = environment.clone();
        self.providers.iter().filter(move |((meant, _), _)| *meant == of).map(|(_, provider)| &**provider)
    }
}

/// Returns the changes that give a site the providers that select it, and let the others leave.
fn assignment(state: &FleetState, site: SiteId) -> Vec<FleetChange> {
    let Some((record, registration)) = state.site(site) else { return Vec::new() };
    let is_idle = !state.has_providers(&registration.environment) && provider_specs(record).next().is_none();
    if is_idle || registration.life.phase.is_gone() || registration.life.phase == Phase::Pending {
        return Vec::new();
    }
    let selecting = state.providers_of(&registration.environment).filter(|provider| is_placed(site, record, provider));
    let selecting =
        selecting.take(PROVIDERS_PER_SITE_MAX).map(|provider| (ProviderId::of(&provider.spec.name), &provider.spec));
    let wanted: BTreeMap<_, _> = selecting.collect();
    let held: BTreeMap<_, _> = provider_specs(record).collect();
    let history = state.spec_history(site);
    let mut bodies: Vec<(ProviderId, Option<ProviderSpec>)> = Vec::new();
    for (id, spec) in &wanted {
        if held.get(id) != Some(spec) {
            bodies.push((*id, Some((*spec).clone())));
        }
    }
    for (id, spec) in held.iter().filter(|(id, _)| !wanted.contains_key(id)) {
        if !spec.is_leaving {
            bodies.push((*id, Some(ProviderSpec { is_leaving: true, ..(*spec).clone() })));
        } else if has_left(record, history, *id) {
            bodies.push((*id, None));
        }
    }
    let mut generation = record.spec.head();
    let change = |(id, body): (ProviderId, Option<ProviderSpec>)| {
        generation = generation.next();
        let body = body.map(|spec| SpecBody::Provider(Box::new(spec)));
        FleetChange::Spec(site, DocumentKey::Provider(id), Some(Document { generation, body }))
    };
    // First, so that one of them may come back.
    let surplus = record.spec.surplus_tombstones();
    let mut changes: Vec<_> =
        surplus.iter().flat_map(|(keys, _)| keys).map(|key| FleetChange::Spec(site, *key, None)).collect();
    changes.extend(bodies.into_iter().map(change));
    if let Some((_, spec_floor)) = surplus {
        changes.push(FleetChange::Mark(site, Some(Mark { spec_floor, ..record.mark.unwrap_or_default() })));
    }
    changes
}

/// Returns the labels that providers are placed by: what was assigned to a site, and with `matches_facts` what its
/// machine reports. What the site itself sets is never read: no site gives itself a provider, and the secrets that go
/// with it.
pub(super) fn placement_labels(site: SiteId, record: &SiteRecord, matches_facts: bool) -> EffectiveLabels {
    let assigned = OwnedLabels { assigned: owned(record, DocumentKey::Site).assigned, ..OwnedLabels::default() };
    let reported = owned(record, DocumentKey::Host(site.gateway())).reported.filter(|_| matches_facts);
    effective_of_site(assigned, OwnedLabels { reported, ..OwnedLabels::default() })
}

fn is_placed(site: SiteId, record: &SiteRecord, provider: &FleetProvider) -> bool {
    provider.sites.matches(&placement_labels(site, record, provider.matches_facts))
}

fn provider_specs(record: &SiteRecord) -> impl Iterator<Item = (ProviderId, &ProviderSpec)> {
    record.spec.keys().filter_map(|key| match (key, record.spec.body(key)) {
        (DocumentKey::Provider(id), Some(SpecBody::Provider(spec))) => Some((id, &**spec)),
        _ => None,
    })
}

/// Whether a site has said that nothing is left of a provider it was told to let go.
fn has_left(record: &SiteRecord, history: History, id: ProviderId) -> bool {
    let asked_at = record.spec.generation(DocumentKey::Provider(id));
    let status = record.providers().find(|status| ProviderId::of(&status.name) == id);
    let is_empty = |status: &ProviderStatus| {
        status.trouble.is_none() && status.records.iter().all(|record: &RecordStatus| !record.state.is_ours())
    };
    asked_at <= record.converged(history) && status.is_none_or(is_empty)
}

/// Adds a provider to an environment, or puts it in another's place.
pub(super) fn set_provider(state: &FleetState, environment: Name, provider: FleetProvider, replace: bool) -> Decided {
    check_environment(state, &environment)?;
    let name = provider.spec.name.clone();
    let key = (environment.clone(), name.clone());
    match (state.providers.contains_key(&key), replace) {
        (true, false) => {
            let text = format!("environment {environment} has a provider {name} already: use --replace to change it");
            return Err(FleetCommandError::NameTaken(text));
        }
        (false, _) if PROVIDERS_PER_ENVIRONMENT_MAX <= state.providers_of(&environment).count() => {
            let text =
                format!("there are {PROVIDERS_PER_ENVIRONMENT_MAX} providers in {environment}, as many as may be");
            return Err(FleetCommandError::Limit(text));
        }
        _ => {}
    }
    if let Some(digest) = provider.spec.plugin.digest
        && !state.plugins.contains_key(&digest)
    {
        let text = format!("there is no plugin {digest} at the server: push it with `linecamp plugin push FILE`");
        return Err(FleetCommandError::NotFound(text));
    }
    let text = format!("provider {name} of environment {environment}, for sites `{}`", provider.sites);
    let changes = vec![FleetChange::Provider(environment, name, Some(Box::new(provider)))];
    Ok(Decision { changes, event: Some((EventKind::ProviderChanged, None, text)), site: None })
}

/// Takes a provider away: its sites let its records go.
pub(super) fn remove_provider(state: &FleetState, environment: Name, name: Name) -> Decided {
    if !state.providers.contains_key(&(environment.clone(), name.clone())) {
        let text = format!("environment {environment} has no provider {name}; `linecamp provider ls` lists them");
        return Err(FleetCommandError::NotFound(text));
    }
    let text = format!("provider {name} of environment {environment} is leaving");
    let changes = vec![FleetChange::Provider(environment, name, None)];
    Ok(Decision { changes, event: Some((EventKind::ProviderChanged, None, text)), site: None })
}

/// Notes a plugin whose component has been stored. The same one again changes nothing.
pub(super) fn add_plugin(state: &FleetState, digest: PluginDigest, file: PluginFile) -> Decided {
    if state.plugins.contains_key(&digest) {
        return Ok(Decision::default());
    }
    if PLUGIN_BYTES_MAX < file.bytes {
        let text = format!("a plugin has at most {PLUGIN_BYTES_MAX} bytes, not {}", file.bytes);
        return Err(FleetCommandError::Invalid(text));
    }
    if PLUGINS_MAX <= state.plugins.len() {
        let text = format!("there are {PLUGINS_MAX} plugins, as many as may be: take some away");
        return Err(FleetCommandError::Limit(text));
    }
    let text = format!("plugin {} {digest}, {} bytes", file.name, file.bytes);
    let changes = vec![FleetChange::Plugin(digest, Some(file))];
    Ok(Decision { changes, event: Some((EventKind::PluginPushed, None, text)), site: None })
}

/// Forgets a plugin that no provider uses.
pub(super) fn remove_plugin(state: &FleetState, digest: PluginDigest) -> Decided {
    let Some(file) = state.plugins.get(&digest) else {
        let text = format!("there is no plugin {digest}; `linecamp plugin ls` lists them");
        return Err(FleetCommandError::NotFound(text));
    };
    let mut users = state.providers.iter().filter(|(_, provider)| provider.spec.plugin.digest == Some(digest));
    if let Some(((environment, name), _)) = users.next() {
        let text = format!("provider {name} of environment {environment} uses it: change or remove that one first");
        return Err(FleetCommandError::NotPossible(text));
    }
    let text = format!("plugin {} {digest} was taken away", file.name);
    let changes = vec![FleetChange::Plugin(digest, None)];
    Ok(Decision { changes, event: Some((EventKind::PluginPushed, None, text)), site: None })
}
