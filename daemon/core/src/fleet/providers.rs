//! Centrally configured providers: their assignment to sites, and their removal.
//!
//! A provider belongs to an environment and selects sites by their labels. Each selected site has it in its spec. A
//! site that is no longer selected keeps it there as *leaving* until the site reports that none of its records is left,
//! so a provider is never removed from a site that could not withdraw its records. Forced removal tells the site to
//! abandon the records without deleting them: this needs no name server, and the site reports what remains. A site has
//! room for [`PROVIDERS_PER_SITE_MAX`] providers: existing ones keep their place, and one that finds no room is counted
//! as left out. The assignment is computed from the full state, for every site whose labels, spec or status changed,
//! and for all sites at each sweep.

use std::collections::BTreeMap;

use linecamp_model::limits::{PLUGIN_BYTES_MAX, PLUGINS_MAX, PROVIDERS_PER_ENVIRONMENT_MAX, PROVIDERS_PER_SITE_MAX};
use linecamp_model::{
    DnsSettings, Document, DocumentKey, EffectiveLabels, EventKind, FleetChange, FleetProvider, FromServer,
    Incarnation, Name, Now, OwnedLabels, Phase, PluginDigest, PluginFile, PluginPiece, PluginWant, ProviderId,
    ProviderSpec, ProviderStatus, ReplicationCursor, Selector, SessionId, SiteId, SpecBody, effective_of_site,
};

use super::operator::{Decided, Decision, Force, check_environment, find};
use super::state::{FleetState, SiteRecord, event};
use super::subject::Subject;
use super::view::owned;
use super::{Fleet, FleetCommand, FleetCommandError, FleetOutput, SiteFilter};

impl Fleet {
    /// Updates the specs of changed sites to match the providers that select them.
    pub(super) fn settle_providers(&mut self, now: Now) {
        for site in std::mem::take(&mut self.unassigned) {
            let changes = assignment(self.ledger.state(), site);
            if !changes.is_empty() {
                self.carry_out(Decision { changes, event: None, site: Some(site) }, Vec::new(), now);
            }
        }
        // The specs just assigned need no further assignment.
        self.unassigned.clear();
    }

    /// Marks the sites whose assignment the changes may affect.
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

    /// Marks sites for reassignment: those of an environment, or of all environments that have providers.
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

    /// Handles a request for a plugin piece: a site gets only plugins that its spec names.
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

    /// Returns the providers, by environment and name, including removed ones that some site still has.
    pub fn providers(&self, environment: Option<&Name>) -> Vec<ProviderSummary> {
        let state = self.ledger.state();
        let is_meant = |of: &Name| environment.is_none_or(|meant| meant == of);
        let providers = state.providers.iter().filter(|((of, _), _)| is_meant(of));
        let mut found: BTreeMap<_, _> = providers
            .map(|(key, provider)| (key.clone(), ProviderSummary::new(key.0.clone(), (**provider).clone())))
            .collect();
        for (site_id, record, site) in state.registered().filter(|(_, _, site)| is_meant(&site.environment)) {
            if room_for_providers(record) == 0 {
                let of = found.iter_mut().filter(|((of, _), _)| *of == site.environment);
                of.for_each(|(_, summary)| summary.count_if_left_out(site_id, record));
            }
            for (id, spec) in provider_specs(record) {
                let key = (site.environment.clone(), spec.name.clone());
                let leaving = || FleetProvider { sites: Selector::default(), spec: spec.clone(), matches_facts: false };
                let new = || ProviderSummary::new(site.environment.clone(), leaving());
                found.entry(key).or_insert_with(new).count(record, id);
            }
        }
        found.into_values().collect()
    }

    /// Applies the effect of a forced command on records: a provider is abandoned at every site that has it, and those
    /// sites report what remains; for a removed site, the event is recorded here.
    pub(super) fn force(&mut self, forced: Forced, now: Now) {
        match forced {
            Forced::Nothing => {}
            Forced::Provider(changes) => {
                for (site, change) in changes {
                    self.carry_out(Decision { changes: vec![change], event: None, site: Some(site) }, Vec::new(), now);
                }
            }
            Forced::Site(site, left) => self.name_left(site, &left, now),
        }
    }

    /// Adds an event for each provider about the records that a removed site has left behind.
    pub(super) fn name_left(&mut self, site: SiteId, left: &[String], now: Now) {
        for records in left {
            let text = format!("the site could not take these records along: {records}");
            let event = event(EventKind::RecordsLeft, Some(site), &text, now);
            let changes = self.ledger.state().event_changes(event);
            self.stage(changes, Vec::new());
        }
    }

    /// Returns the plugins that were pushed.
    pub fn plugins(&self) -> impl Iterator<Item = (PluginDigest, &PluginFile)> {
        self.ledger.state().plugins.iter().map(|(digest, file)| (*digest, file))
    }

    /// Returns the last reported provider statuses of the selected sites, with the site's name.
    pub fn provider_statuses(&self, filter: &SiteFilter) -> Vec<(Name, &ProviderStatus)> {
        let state = self.ledger.state();
        let sites = self.selected(filter).filter_map(|id| state.site(id));
        let statuses = sites.filter_map(|(record, _)| Some((record.site_spec()?.name.clone(), record)));
        statuses.flat_map(|(name, record)| record.providers().map(move |status| (name.clone(), status))).collect()
    }
}

/// The effect of a forced command on records.
pub(super) enum Forced {
    Nothing,
    /// A provider is abandoned at these sites.
    Provider(Vec<(SiteId, FleetChange)>),
    /// A site is removed and leaves these records.
    Site(SiteId, Vec<String>),
}

impl Forced {
    pub(super) fn of(state: &FleetState, command: &FleetCommand) -> Self {
        match command {
            FleetCommand::RemoveProvider(environment, name, Force::Yes) => {
                Self::Provider(letting_go(state, environment, name))
            }
            FleetCommand::Remove(site, Force::Yes) => match find(state, Subject::Site, site) {
                Ok(id) => Self::Site(id, state.sites.get(&id).map(SiteRecord::records_left).unwrap_or_default()),
                Err(_) => Self::Nothing,
            },
            _ => Self::Nothing,
        }
    }
}

/// A centrally configured provider and its state across sites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSummary {
    /// Its environment.
    pub environment: Name,
    /// Its configuration; leaving, if it was removed and some site still has it.
    pub provider: FleetProvider,
    /// How many sites have it in their spec.
    pub sites: usize,
    /// At how many of those all of its records were last seen in sync.
    pub converged: usize,
    /// At how many of those it fails.
    pub failed: usize,
    /// How many sites it selects that have no room for another provider and therefore lack it.
    pub left_out: usize,
}

impl ProviderSummary {
    const fn new(environment: Name, provider: FleetProvider) -> Self {
        Self { environment, provider, sites: 0, converged: 0, failed: 0, left_out: 0 }
    }

    fn count_if_left_out(&mut self, site: SiteId, record: &SiteRecord) {
        let key = DocumentKey::Provider(ProviderId::of(&self.provider.spec.name));
        if record.spec.body(key).is_none() && is_placed(site, record, &self.provider) {
            self.left_out += 1;
        }
    }

    fn count(&mut self, record: &SiteRecord, id: ProviderId) {
        let requested_at = record.spec.generation(DocumentKey::Provider(id));
        let status = record.providers().find(|status| ProviderId::of(&status.name) == id);
        self.sites += 1;
        match status {
            Some(status) if status.failure.is_some() => self.failed += 1,
            Some(status) if !status.is_local && requested_at <= status.converged => self.converged += 1,
            Some(_) | None => {}
        }
    }
}

/// Returns, for each site that has a provider, the change that makes it leave without its records.
fn letting_go(state: &FleetState, environment: &Name, name: &Name) -> Vec<(SiteId, FleetChange)> {
    let key = DocumentKey::Provider(ProviderId::of(name));
    let sites = state.registered().filter(|(_, _, site)| site.environment == *environment);
    let change = |(id, record, _): (SiteId, &SiteRecord, _)| {
        let Some(SpecBody::Provider(before)) = record.spec.body(key) else { return None };
        let dns = DnsSettings { allow_deletes: false, ..before.dns().clone() };
        let after = ProviderSpec { is_withdrawing: true, kind: dns.into(), ..(**before).clone() };
        let body = Some(SpecBody::Provider(Box::new(after.clone())));
        let document = Document { generation: record.spec.head().next(), body };
        (**before != after).then_some((id, FleetChange::Spec(id, key, Some(document))))
    };
    sites.filter_map(change).collect()
}

/// Returns the records of a provider that its sites reported last.
fn records_known(state: &FleetState, environment: &Name, name: &Name) -> Vec<String> {
    let sites = state.registered().filter(|(_, _, site)| site.environment == *environment);
    let statuses = sites.flat_map(|(_, record, _)| record.providers().filter(|status| status.name == *name));
    let ours = statuses.flat_map(|status| status.records().iter().filter(|record| record.state.is_ours()));
    ours.map(|record| record.key.to_string()).collect()
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

/// Returns the changes that assign the providers that select a site and make the others leave.
fn assignment(state: &FleetState, site: SiteId) -> Vec<FleetChange> {
    let Some((record, registration)) = state.site(site) else { return Vec::new() };
    let is_idle = !state.has_providers(&registration.environment) && provider_specs(record).next().is_none();
    if is_idle || registration.life.phase.is_gone() || registration.life.phase == Phase::Pending {
        return Vec::new();
    }
    let held: BTreeMap<_, _> = provider_specs(record).collect();
    let selecting = state.providers_of(&registration.environment).filter(|provider| is_placed(site, record, provider));
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
    // Placed first, because a dropped key may be written again.
    let surplus = record.spec.surplus_tombstones();
    let mut changes: Vec<_> =
        surplus.iter().flat_map(|(keys, _)| keys).map(|key| FleetChange::Spec(site, *key, None)).collect();
    changes.extend(bodies.into_iter().map(change));
    if let Some((_, spec_floor)) = surplus {
        changes.push(FleetChange::ReplicationCursor(
            site,
            Some(ReplicationCursor { spec_floor, ..record.cursor.unwrap_or_default() }),
        ));
    }
    changes
}

/// Returns the labels that providers are placed by: those assigned to a site and, with `matches_facts`, those its
/// gateway reports. Labels the site sets itself are never read: no site can assign itself a provider and the secrets
/// that come with it.
pub(super) fn placement_labels(site: SiteId, record: &SiteRecord, matches_facts: bool) -> EffectiveLabels {
    let assigned = OwnedLabels { assigned: owned(record, DocumentKey::Site).assigned, ..OwnedLabels::default() };
    let reported = owned(record, DocumentKey::Host(site.gateway())).reported.filter(|_| matches_facts);
    effective_of_site(assigned, OwnedLabels { reported, ..OwnedLabels::default() })
}

/// Returns how many more providers a site has room for, counting its own as last reported and those that are leaving.
fn room_for_providers(record: &SiteRecord) -> usize {
    let own = record.providers().filter(|status| status.is_local).count();
    PROVIDERS_PER_SITE_MAX.saturating_sub(provider_specs(record).count() + own)
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

/// Whether a site has confirmed that nothing is left of a leaving provider. Failures of other providers do not matter.
fn has_left(record: &SiteRecord, incarnation: Incarnation, id: ProviderId) -> bool {
    let requested_at = record.spec.generation(DocumentKey::Provider(id));
    match record.providers().find(|status| ProviderId::of(&status.name) == id) {
        Some(status) if !status.is_local => requested_at <= status.converged.min(record.applied(incarnation)),
        // The site has its own provider of this name, or none.
        Some(_) | None => requested_at <= record.applied(incarnation),
    }
}

/// Adds a provider to an environment or replaces one.
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

/// Removes a provider: its sites withdraw its records and drop it; with force, they abandon the records.
///
/// A provider that was removed before and is still at some site can be abandoned by force.
pub(super) fn remove_provider(state: &FleetState, environment: Name, name: Name, force: Force) -> Decided {
    let key = DocumentKey::Provider(ProviderId::of(&name));
    let mut sites = state.registered().filter(|(_, _, site)| site.environment == environment);
    let is_configured = state.providers.contains_key(&(environment.clone(), name.clone()));
    if !is_configured && !sites.any(|(_, record, _)| record.spec.body(key).is_some()) {
        let text = format!("environment {environment} has no provider {name}; `linecamp provider ls` lists them");
        return Err(FleetCommandError::NotFound(text));
    }
    let text = match (force, records_known(state, &environment, &name)) {
        (Force::No, _) if !is_configured => return Ok(Decision::default()),
        (Force::No, _) => format!("provider {name} of environment {environment} is leaving"),
        (Force::Yes, records) if records.is_empty() => {
            format!("provider {name} of environment {environment} was removed by force")
        }
        (Force::Yes, records) => {
            let (count, records) = (records.len(), records.join(", "));
            format!(
                "provider {name} of environment {environment} was removed by force, and {count} records stay: {records}"
            )
        }
    };
    let changes = vec![FleetChange::Provider(environment, name, None)];
    Ok(Decision { changes, event: Some((EventKind::ProviderChanged, None, text)), site: None })
}

/// Registers a plugin whose component has been stored. Registering it again changes nothing.
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

/// Removes a plugin that no provider uses.
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
