//! Views for operators.

use std::collections::BTreeMap;

use linecamp_model::{
    Condition, ConditionKind, DocumentKey, EffectiveLabel, EffectiveLabels, Environment, EventView, HostView,
    KeyFingerprint, Level, LinkState, LinkView, LoggedEvent, Name, Now, OwnedLabels, Owner, Phase, Registration,
    SecretHash, Selector, SessionId, SiteId, SiteView, SpecBody, StatusBody, Text, TokenId, TokenView, effective,
    effective_of_site,
};

use super::config::PHASE_DEADLINE;
use super::operator::find;
use super::providers::placement_labels;
use super::registry::token_state;
use super::state::SiteRecord;
use super::subject::Subject;
use super::{Fleet, FleetCommandError, SiteRef};
use crate::site::coarse;

/// Selects sites or hosts.
#[derive(Clone, Debug, Default)]
pub struct SiteFilter {
    /// The environment; `None` for all.
    pub environment: Option<Name>,
    /// The label selector.
    pub selector: Selector,
    /// The labels of a site that the selector matches. For hosts, always the effective ones.
    pub labels: SeenLabels,
    /// The site, for hosts; `None` for all.
    pub site: Option<Name>,
}

/// The labels of a site that a selector matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeenLabels {
    /// All effective labels, of every owner: for lists and views.
    #[default]
    Effective,
    /// The assigned labels: for placing a provider.
    Assigned,
    /// The assigned labels and those its gateway reports: for placing a provider that matches facts.
    AssignedAndReported,
}

/// Selects events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The site; `None` for all.
    pub site: Option<SiteId>,
    /// `true` for events reported by sites, `false` for events of the server; `None` for both.
    pub is_reported: Option<bool>,
}

impl EventFilter {
    fn matches(&self, logged: &LoggedEvent) -> bool {
        (self.site.is_none() || logged.event.site == self.site)
            && self.is_reported.is_none_or(|is_reported| is_reported == logged.received_at.is_some())
    }
}

/// The number of links in each state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkCounts {
    /// Links with a session.
    pub connected: usize,
    /// Links lost recently.
    pub reconnecting: usize,
    /// Links lost for longer.
    pub disconnected: usize,
}

impl Fleet {
    /// Returns the sites that `filter` selects, by environment and name.
    pub fn sites(&self, filter: &SiteFilter, now: Now) -> Vec<SiteView> {
        let mut sites: Vec<_> = self.selected(filter).filter_map(|id| self.site_view(id, now)).collect();
        sites.retain(|site| self.is_selected(site, filter));
        sites.sort_by(|a, b| (&a.environment, &a.name).cmp(&(&b.environment, &b.name)));
        sites
    }

    /// Returns the hosts that `filter` selects, by environment and name.
    pub fn hosts(&self, filter: &SiteFilter, now: Now) -> Vec<HostView> {
        let is_of_site = |host: &HostView| filter.site.as_ref().is_none_or(|site| *site == host.site);
        let mut hosts: Vec<_> = self.selected(filter).filter_map(|id| self.host_view(id, now)).collect();
        hosts.retain(|host| is_of_site(host) && filter.selector.matches(&host.labels));
        hosts.sort_by(|a, b| (&a.environment, &a.name).cmp(&(&b.environment, &b.name)));
        hosts
    }

    /// Returns a site.
    ///
    /// # Errors
    /// No site or several sites have the name.
    pub fn site(&self, site: &SiteRef, now: Now) -> Result<SiteView, FleetCommandError> {
        let id = find(self.ledger.state(), Subject::Site, site)?;
        self.site_view(id, now).ok_or_else(|| FleetCommandError::NotFound(format!("there is no site {}", site.name)))
    }

    /// Returns a host.
    ///
    /// # Errors
    /// No host or several hosts have the name.
    pub fn host(&self, host: &SiteRef, now: Now) -> Result<HostView, FleetCommandError> {
        let id = find(self.ledger.state(), Subject::Gateway, host)?;
        self.host_view(id, now).ok_or_else(|| FleetCommandError::NotFound(format!("there is no host {}", host.name)))
    }

    /// Returns the join tokens, newest first.
    pub fn tokens(&self, now: Now) -> Vec<TokenView> {
        let state = self.ledger.state();
        let mut tokens: Vec<_> = state.tokens.keys().filter_map(|id| self.token(*id, now)).collect();
        tokens.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(a.id.cmp(&b.id)));
        tokens
    }

    /// Returns a join token.
    pub fn token(&self, id: TokenId, now: Now) -> Option<TokenView> {
        let state = self.ledger.state();
        let token = state.tokens.get(&id)?;
        let labels = token.labels.iter().map(|(key, held)| {
            let label = EffectiveLabel {
                value: held.value.clone(),
                owner: Owner::Assigned,
                level: Level::Site,
                since: held.since,
            };
            (key.clone(), label)
        });
        Some(TokenView {
            id,
            environment: token.environment.clone(),
            created_at: token.created_at,
            expires_at: token.expires_at,
            uses_max: token.uses_max,
            uses_left: token.uses_max.saturating_sub(state.uses(id)),
            labels: labels.collect::<EffectiveLabels>(),
            state: token_state(state, id, token, now),
        })
    }

    /// Returns the environments, with the number of sites in each.
    pub fn environments(&self) -> Vec<(Name, Environment, usize)> {
        let state = self.ledger.state();
        state.environments.iter().map(|(name, rules)| (name.clone(), *rules, state.sites_in(name))).collect()
    }

    /// Returns at most `limit` events after number `after` that match `filter`, oldest first.
    pub fn events(&self, after: u64, filter: EventFilter, limit: usize) -> Vec<EventView> {
        let events = self.ledger.state().events.range(after.saturating_add(1)..);
        let events = events.filter(|(_, logged)| filter.matches(logged));
        events.take(limit).map(|(seq, event)| self.event_view(*seq, event)).collect()
    }

    /// Returns the newest events up to and including number `last` that match `filter`, at most `limit`, oldest first.
    pub fn newest_events(&self, last: u64, filter: EventFilter, limit: usize) -> Vec<EventView> {
        let events = self.ledger.state().events.range(..=last).rev();
        let events = events.filter(|(_, logged)| filter.matches(logged)).take(limit);
        let mut events: Vec<_> = events.map(|(seq, event)| self.event_view(*seq, event)).collect();
        events.reverse();
        events
    }

    fn event_view(&self, seq: u64, logged: &LoggedEvent) -> EventView {
        let spec_of = |id| self.ledger.state().sites.get(&id).and_then(SiteRecord::site_spec);
        let LoggedEvent { event, received_at } = logged.clone();
        let site = event.site.and_then(spec_of).map(|spec| spec.name.clone());
        EventView { seq, site, event, received_at }
    }

    /// Returns a site by its id.
    pub fn site_by_id(&self, id: SiteId, now: Now) -> Option<SiteView> {
        self.site_view(id, now)
    }

    /// Returns the number of the newest event.
    pub fn last_event(&self) -> u64 {
        self.ledger.state().events.keys().next_back().copied().unwrap_or(0)
    }

    /// Whether an API key with this hash exists.
    pub fn knows_api_key(&self, hash: SecretHash) -> bool {
        self.ledger.state().api_keys.contains_key(&hash)
    }

    /// Returns the number of links in each state.
    pub fn link_counts(&self) -> LinkCounts {
        let [connected, reconnecting, disconnected] = self.downlink.counts();
        LinkCounts { connected, reconnecting, disconnected }
    }

    /// Returns the number of sites by environment, phase and link state.
    pub fn site_counts(&self) -> BTreeMap<(Name, Phase, LinkState), usize> {
        let mut counts = BTreeMap::new();
        for (id, _, of) in self.ledger.state().registered() {
            let link = self.downlink.links.get(&id).map_or(LinkState::Disconnected, |link| link.state);
            *counts.entry((of.environment.clone(), of.life.phase, link)).or_default() += 1;
        }
        counts
    }

    /// Returns the state of a site's link and its session; `None` for a site that never connected.
    pub fn link(&self, id: SiteId) -> Option<(LinkState, Option<SessionId>)> {
        self.downlink.links.get(&id).map(|link| (link.state, link.session))
    }

    /// Returns the number of converged sites, without removed ones.
    pub fn converged_count(&self) -> usize {
        let here = self.ledger.state().registered().filter(|(_, _, of)| !of.life.phase.is_gone());
        let incarnation = |id| self.ledger.state().spec_incarnation(id);
        here.filter(|(id, record, _)| record.spec.head() <= record.converged(incarnation(*id))).count()
    }

    /// Whether a key was revoked.
    pub fn is_revoked(&self, key: &KeyFingerprint) -> bool {
        self.ledger.state().revoked_keys.contains_key(key)
    }

    fn is_selected(&self, site: &SiteView, filter: &SiteFilter) -> bool {
        let matches_facts = match filter.labels {
            SeenLabels::Effective => return filter.selector.matches(&site.labels),
            SeenLabels::Assigned => false,
            SeenLabels::AssignedAndReported => true,
        };
        let record = self.ledger.state().sites.get(&site.id);
        record.is_some_and(|record| filter.selector.matches(&placement_labels(site.id, record, matches_facts)))
    }

    pub(super) fn selected<'a>(&'a self, filter: &'a SiteFilter) -> impl Iterator<Item = SiteId> + 'a {
        let is_meant = |of: &Registration| filter.environment.as_ref().is_none_or(|wanted| *wanted == of.environment);
        self.ledger.state().registered().filter(move |(_, _, of)| is_meant(of)).map(|(id, _, _)| id)
    }

    fn site_view(&self, id: SiteId, now: Now) -> Option<SiteView> {
        let (record, registration) = self.ledger.state().site(id)?;
        let spec = record.site_spec()?;
        let incarnation = self.ledger.state().spec_incarnation(id);
        let link = self.link_view(id, registration);
        let status = match record.status.body(DocumentKey::Site) {
            Some(StatusBody::Site(status)) => Some(status),
            Some(StatusBody::Host(_) | StatusBody::Provider(_)) | None => None,
        };
        let mut conditions = status.map(|status| status.conditions.clone()).unwrap_or_default();
        let storage = self.storage_of(id);
        conditions.retain(|condition| storage.iter().all(|newer| newer.kind != condition.kind));
        conditions.extend(storage);
        conditions.extend(self.downlink.links.get(&id).map(|link| link.conditions.clone()).unwrap_or_default());
        conditions.extend(late(registration.life, &link, now));
        Some(SiteView {
            id,
            name: spec.name.clone(),
            environment: registration.environment.clone(),
            description: spec.description.clone(),
            phase: registration.life.phase,
            phase_since: registration.life.since,
            waits_for: waits_for(registration.life.phase, &link),
            labels: effective_of_site(owned(record, DocumentKey::Site), self.gateway_labels(id, record)),
            spec_generation: record.spec.head(),
            applied_generation: record.applied(incarnation),
            converged_generation: record.converged(incarnation),
            daemon_version: status.map(|status| status.daemon_version.clone()).unwrap_or_default(),
            joined_at: registration.joined_at,
            token: registration.token,
            recoveries: registration.recoveries,
            hosts: self.host_view(id, now).into_iter().collect(),
            conditions,
            link,
        })
    }

    fn host_view(&self, site: SiteId, _now: Now) -> Option<HostView> {
        let (record, registration) = self.ledger.state().site(site)?;
        let spec = record.gateway_spec(site)?;
        let link = self.link_view(site, registration);
        Some(HostView {
            id: site.gateway(),
            name: spec.name.clone(),
            site: record.site_spec()?.name.clone(),
            environment: registration.environment.clone(),
            origin: spec.origin,
            description: spec.description.clone(),
            phase: registration.gateway.phase,
            phase_since: registration.gateway.since,
            waits_for: waits_for(registration.gateway.phase, &link),
            labels: effective(owned(record, DocumentKey::Site), self.gateway_labels(site, record)),
            link,
        })
    }

    /// Returns the labels of a site's gateway; while the site is pending, the facts from its handshake.
    fn gateway_labels<'a>(&'a self, site: SiteId, record: &'a SiteRecord) -> OwnedLabels<'a> {
        let owned = owned(record, DocumentKey::Host(site.gateway()));
        let facts = self.downlink.links.get(&site).map(|link| &link.facts).filter(|facts| !facts.is_empty());
        OwnedLabels { reported: owned.reported.or(facts), ..owned }
    }

    fn link_view(&self, site: SiteId, registration: &Registration) -> LinkView {
        match self.downlink.links.get(&site) {
            Some(link) => LinkView { state: link.state, since: link.since, address: link.address.clone() },
            None => {
                LinkView { state: LinkState::Disconnected, since: registration.life.since, address: Text::default() }
            }
        }
    }
}

pub(super) fn owned(record: &SiteRecord, key: DocumentKey) -> OwnedLabels<'_> {
    let assigned = match record.spec.body(key) {
        Some(SpecBody::Site(spec)) => Some(&spec.assigned),
        Some(SpecBody::Host(spec)) => Some(&spec.assigned),
        Some(SpecBody::Provider(_)) | None => None,
    };
    match record.status.body(key) {
        Some(StatusBody::Site(status)) => OwnedLabels { reported: None, local: Some(&status.local), assigned },
        Some(StatusBody::Host(status)) => {
            OwnedLabels { reported: Some(&status.reported), local: Some(&status.local), assigned }
        }
        Some(StatusBody::Provider(_)) | None => OwnedLabels { assigned, ..OwnedLabels::default() },
    }
}

/// Describes what a transitional phase waits for.
fn waits_for(phase: Phase, link: &LinkView) -> Option<Text> {
    let way_out = match phase {
        Phase::Pending => "an operator to accept it (`linecamp site accept`)",
        Phase::Registering => "the site's first report",
        Phase::Deactivating | Phase::Activating => "the site to confirm",
        Phase::Removing => "the site to confirm; `linecamp site rm --force` does not wait",
        Phase::Active | Phase::Inactive | Phase::Removed | Phase::Purged => return None,
    };
    let link = match link.state {
        LinkState::Connected => String::new(),
        LinkState::Reconnecting | LinkState::Disconnected => format!("; it is {} since {}", link.state, link.since),
    };
    Some(Text::lossy(&format!("{way_out}{link}")))
}

/// Returns the condition of a transitional phase past its deadline.
fn late(life: linecamp_model::Life, link: &LinkView, now: Now) -> Option<Condition> {
    let waited = now.wall.saturating_since(life.since);
    let is_late = life.phase.is_transitional() && life.phase != Phase::Pending && PHASE_DEADLINE < waited;
    let waits_for = waits_for(life.phase, link).filter(|_| is_late)?;
    let detail = format!("{} for {}, waiting for {waits_for}", life.phase, coarse(waited));
    Some(Condition { kind: ConditionKind::PhaseLate, since: life.since + PHASE_DEADLINE, detail: Text::lossy(&detail) })
}
