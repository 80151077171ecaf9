//! The durable state of the server, and the indexes derived from it.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::limits::{COUNTER_MAX, SERVER_EVENTS_MAX, SERVER_EVENTS_PER_SITE_MAX};
use linecamp_model::{
    ApiKey, DocumentKey, Environment, Event, EventKind, FleetChange, FleetOrigin, FleetProvider, Generation, HostSpec,
    Incarnation, KeyFingerprint, LoggedEvent, Name, Now, PluginDigest, PluginFile, ProviderStatus, RecordStatus,
    Registration, ReplicationCursor, SecretHash, SiteId, SiteSpec, SiteStatus, SpecBody, StatusBody, Text, Token,
    TokenId, WallTime,
};

use super::subject::Subject;
use crate::ledger::Replay;
use crate::mutants::{Mutant, planted};
use crate::site::set;
use crate::sync::Documents;

/// The in-memory image of the fleet database.
#[derive(Clone, Debug, Default)]
pub(crate) struct FleetState {
    pub(crate) origin: Option<FleetOrigin>,
    pub(crate) environments: BTreeMap<Name, Environment>,
    pub(crate) api_keys: BTreeMap<SecretHash, ApiKey>,
    pub(crate) tokens: BTreeMap<TokenId, Token>,
    pub(crate) token_uses: BTreeMap<TokenId, BTreeMap<SiteId, WallTime>>,
    pub(crate) sites: BTreeMap<SiteId, SiteRecord>,
    pub(crate) revoked_keys: BTreeMap<KeyFingerprint, WallTime>,
    pub(crate) events: BTreeMap<u64, LoggedEvent>,
    /// Providers, by environment and name.
    pub(crate) providers: BTreeMap<(Name, Name), Box<FleetProvider>>,
    pub(crate) plugins: BTreeMap<PluginDigest, PluginFile>,
    /// The numbers of the events, by origin. Derived.
    rings: BTreeMap<Ring, BTreeSet<u64>>,
    /// The numbers of the events about each site, by origin. Derived.
    site_events: BTreeMap<(Ring, SiteId), BTreeSet<u64>>,
    /// The live sites that have a name, with their environment, in that order. Derived.
    names: BTreeMap<(Subject, Name), Vec<(Name, SiteId)>>,
    /// The number of live sites in each environment. Derived.
    population: BTreeMap<Name, usize>,
}

/// The origin of an event. Each origin has its own limits, so that neither evicts the other's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ring {
    Server,
    Sites,
}

impl Ring {
    const fn of(logged: &LoggedEvent) -> Self {
        if logged.received_at.is_some() { Self::Sites } else { Self::Server }
    }
}

/// All records of one site.
#[derive(Clone, Debug, Default)]
pub(crate) struct SiteRecord {
    pub(crate) registration: Option<Registration>,
    pub(crate) spec: Documents<SpecBody>,
    pub(crate) status: Documents<StatusBody>,
    pub(crate) cursor: Option<ReplicationCursor>,
}

impl SiteRecord {
    /// Returns the spec of the site.
    pub(crate) fn site_spec(&self) -> Option<&SiteSpec> {
        match self.spec.body(DocumentKey::Site) {
            Some(SpecBody::Site(spec)) => Some(spec),
            Some(SpecBody::Host(_) | SpecBody::Provider(_)) | None => None,
        }
    }

    /// Returns the spec of its gateway.
    pub(crate) fn gateway_spec(&self, site: SiteId) -> Option<&HostSpec> {
        match self.spec.body(DocumentKey::Host(site.gateway())) {
            Some(SpecBody::Host(spec)) => Some(spec),
            Some(SpecBody::Site(_) | SpecBody::Provider(_)) | None => None,
        }
    }

    /// Returns the newest spec generation of `incarnation` that the site reported as converged.
    pub(crate) fn converged(&self, incarnation: Incarnation) -> Generation {
        self.site_status(incarnation).map_or(Generation::ZERO, |status| status.converged)
    }

    /// Returns the newest spec generation of `incarnation` that the site reported as applied.
    pub(crate) fn applied(&self, incarnation: Incarnation) -> Generation {
        self.site_status(incarnation).map_or(Generation::ZERO, |status| status.applied)
    }

    fn site_status(&self, incarnation: Incarnation) -> Option<&SiteStatus> {
        match self.status.body(DocumentKey::Site) {
            Some(StatusBody::Site(status)) if status.spec_incarnation == incarnation => Some(status),
            Some(_) | None => None,
        }
    }

    /// Returns the status of the site's providers.
    pub(crate) fn providers(&self) -> impl Iterator<Item = &ProviderStatus> {
        self.status.keys().filter_map(|key| match self.status.body(key) {
            Some(StatusBody::Provider(status)) => Some(status),
            Some(StatusBody::Site(_) | StatusBody::Host(_)) | None => None,
        })
    }

    /// Describes, for each provider, the DNS records of the site it has not deleted, and why, as last reported.
    pub(crate) fn records_left(&self) -> Vec<String> {
        self.providers().filter_map(records_of).collect()
    }

    fn is_empty(&self) -> bool {
        self.registration.is_none() && self.cursor.is_none() && self.spec.is_empty() && self.status.is_empty()
    }
}

/// Describes the DNS records of a site that a provider has, and the provider's failure; `None` if it has none.
pub(crate) fn records_of(provider: &ProviderStatus) -> Option<String> {
    let ours = provider.records().iter().filter(|record: &&RecordStatus| record.state.is_ours());
    let mut zones = BTreeMap::<_, Vec<String>>::new();
    for record in ours {
        zones.entry(&record.zone).or_default().push(record.key.to_string());
    }
    let ours: Vec<_> = zones.iter().map(|(zone, keys)| format!("zone {zone}: {}", keys.join(", "))).collect();
    let failure = provider.failure.as_ref().map_or_else(String::new, |failure| format!(" ({failure})"));
    (!ours.is_empty()).then(|| format!("provider {}, {}{failure}", provider.name, ours.join("; ")))
}

impl FleetState {
    /// Builds the state from database records.
    pub(crate) fn from_records(records: Vec<FleetChange>) -> Self {
        let mut state = Self::default();
        for record in records {
            state.apply(record);
        }
        state
    }

    /// Returns a registered site.
    pub(crate) fn site(&self, id: SiteId) -> Option<(&SiteRecord, &Registration)> {
        let record = self.sites.get(&id)?;
        Some((record, record.registration.as_ref()?))
    }

    /// Returns the registered sites.
    pub(crate) fn registered(&self) -> impl Iterator<Item = (SiteId, &SiteRecord, &Registration)> {
        self.sites.iter().filter_map(|(id, record)| Some((*id, record, record.registration.as_ref()?)))
    }

    /// Returns the sites with this name, for themselves or for their gateway, in the given environment or in any;
    /// removed sites only if no live site has it.
    pub(crate) fn named(&self, subject: Subject, environment: Option<&Name>, name: &Name) -> Vec<SiteId> {
        let is_meant = |of: &Name| environment.is_none_or(|wanted| wanted == of);
        let live: Vec<_> = self.bearers(subject, name).filter(|(of, _)| is_meant(of)).map(|(_, id)| id).collect();
        if !live.is_empty() {
            return live;
        }
        let is_named = |id, record: &SiteRecord| match subject {
            Subject::Site => record.site_spec().is_some_and(|spec| spec.name == *name),
            Subject::Gateway => record.gateway_spec(id).is_some_and(|spec| spec.name == *name),
        };
        let gone = self.registered().filter(|(id, record, of)| is_named(*id, record) && is_meant(&of.environment));
        gone.map(|(id, _, _)| id).collect()
    }

    /// Whether another live site of the environment has this name, for itself or for its gateway.
    pub(crate) fn is_name_taken(
        &self,
        subject: Subject,
        environment: &Name,
        name: &Name,
        except: Option<SiteId>,
    ) -> bool {
        self.bearers(subject, name).any(|(of, id)| of == environment && Some(id) != except)
    }

    /// Returns the live sites with this name, with their environment.
    fn bearers(&self, subject: Subject, name: &Name) -> impl Iterator<Item = (&Name, SiteId)> {
        let of_name = self.names.get(&(subject, name.clone())).into_iter().flatten();
        of_name.map(|(environment, id)| (environment, *id))
    }

    /// Returns the number of live sites in the environment.
    pub(crate) fn sites_in(&self, environment: &Name) -> usize {
        self.population.get(environment).copied().unwrap_or(0)
    }

    /// Returns how many sites the token has created.
    pub(crate) fn uses(&self, token: TokenId) -> u32 {
        let uses = self.token_uses.get(&token).map_or(0, |uses| u32::try_from(uses.len()).unwrap_or(u32::MAX));
        if planted(Mutant::TokenUsedTwice) { uses.saturating_sub(1) } else { uses }
    }

    /// Returns the changes that record an event of the server.
    pub(crate) fn event_changes(&self, event: Event) -> Vec<FleetChange> {
        let site = event.site;
        self.log_changes(Ring::Server, site, vec![LoggedEvent { event, received_at: None }])
    }

    /// Returns the changes that record events sent by a site.
    pub(crate) fn site_event_changes(&self, site: SiteId, events: Vec<Event>, now: Now) -> Vec<FleetChange> {
        let received_at = Some(now.wall).filter(|_| !planted(Mutant::ForgedOrigin));
        let logged = |event| LoggedEvent { event: Event { site: Some(site), ..event }, received_at };
        self.log_changes(Ring::Sites, Some(site), events.into_iter().map(logged).collect())
    }

    /// Returns the changes that record events about one site. At the limit per site, its own oldest events are dropped,
    /// so that a noisy site cannot evict the events of others; at the total limit, the oldest of the same origin.
    fn log_changes(&self, ring: Ring, site: Option<SiteId>, events: Vec<LoggedEvent>) -> Vec<FleetChange> {
        let of_site = site.and_then(|site| self.site_events.get(&(ring, site)));
        let of_ring = self.rings.get(&ring);
        let surplus =
            |seqs: Option<&BTreeSet<u64>>, limit| (seqs.map_or(0, BTreeSet::len) + events.len()).saturating_sub(limit);
        let own = of_site.into_iter().flatten().take(surplus(of_site, SERVER_EVENTS_PER_SITE_MAX));
        let mut over: BTreeSet<u64> = own.copied().collect();
        let more = surplus(of_ring, SERVER_EVENTS_MAX).saturating_sub(over.len());
        let oldest: Vec<_> = of_ring.into_iter().flatten().filter(|seq| !over.contains(seq)).take(more).collect();
        over.extend(oldest);
        let first = self.events.keys().next_back().map_or(1, |last| last.saturating_add(1));
        let new = (first..=COUNTER_MAX).zip(events).map(|(seq, event)| FleetChange::Event(seq, Some(event)));
        over.into_iter().map(|seq| FleetChange::Event(seq, None)).chain(new).collect()
    }

    /// Returns the incarnation of a site's spec: the fleet's, unless the site once claimed more spec than there was.
    pub(crate) fn spec_incarnation(&self, site: SiteId) -> Incarnation {
        let own = self.sites.get(&site).and_then(|record| record.cursor).and_then(|cursor| cursor.spec_incarnation);
        own.unwrap_or_else(|| self.origin.unwrap_or_default().spec_incarnation)
    }

    /// Returns the changes that delete everything of a removed site except its key.
    pub(crate) fn purge_changes(&self, id: SiteId) -> Vec<FleetChange> {
        let Some(record) = self.sites.get(&id) else {
            return Vec::new();
        };
        let specs = record.spec.keys().map(|key| FleetChange::Spec(id, key, None));
        let statuses = record.status.keys().map(|key| FleetChange::Status(id, key, None));
        specs.chain(statuses).chain([FleetChange::ReplicationCursor(id, None), FleetChange::Site(id, None)]).collect()
    }

    /// Returns the changes that delete a token and its uses.
    pub(crate) fn token_purge_changes(&self, id: TokenId) -> Vec<FleetChange> {
        let uses = self.token_uses.get(&id).into_iter().flat_map(BTreeMap::keys);
        uses.map(|site| FleetChange::TokenUse(id, *site, None)).chain([FleetChange::Token(id, None)]).collect()
    }

    /// Adds an event to the indexes or removes it.
    fn index_event(&mut self, seq: u64, logged: &LoggedEvent, is_there: bool) {
        let ring = Ring::of(logged);
        let of_ring = self.rings.entry(ring).or_default();
        let _ = if is_there { of_ring.insert(seq) } else { of_ring.remove(&seq) };
        let Some(site) = logged.event.site else { return };
        let of_site = self.site_events.entry((ring, site)).or_default();
        let _ = if is_there { of_site.insert(seq) } else { of_site.remove(&seq) };
        if of_site.is_empty() {
            self.site_events.remove(&(ring, site));
        }
    }

    /// Adds a site to the index of names or removes it.
    fn index(&mut self, id: SiteId, is_there: bool) {
        let Some((record, registration)) = self.site(id).filter(|(_, of)| !of.life.phase.is_gone()) else {
            return;
        };
        let environment = registration.environment.clone();
        let site = record.site_spec().map(|spec| (Subject::Site, spec.name.clone()));
        let gateway = record.gateway_spec(id).map(|spec| (Subject::Gateway, spec.name.clone()));
        let population = self.population.entry(environment.clone()).or_default();
        match is_there {
            true => *population += 1,
            false => *population -= 1,
        }
        for name in site.into_iter().chain(gateway) {
            let bearer = (environment.clone(), id);
            let bearers = self.names.entry(name.clone()).or_default();
            match (bearers.binary_search(&bearer), is_there) {
                (Err(place), true) => bearers.insert(place, bearer),
                (Ok(place), false) => drop(bearers.remove(place)),
                (Ok(_), true) | (Err(_), false) => {}
            }
            if bearers.is_empty() {
                self.names.remove(&name);
            }
        }
    }

    /// Changes one site's record and keeps the index of names consistent.
    fn change_site(&mut self, id: SiteId, change: impl FnOnce(&mut SiteRecord) -> FleetChange) -> FleetChange {
        self.index(id, false);
        let record = self.sites.entry(id).or_default();
        let undo = change(record);
        if record.is_empty() {
            self.sites.remove(&id);
        }
        self.index(id, true);
        undo
    }
}

impl Replay for FleetState {
    type Change = FleetChange;

    fn apply(&mut self, change: FleetChange) -> FleetChange {
        use FleetChange as Change;
        match change {
            Change::Origin(origin) => Change::Origin(std::mem::replace(&mut self.origin, origin)),
            Change::Environment(name, body) => {
                let before = set(&mut self.environments, name.clone(), body);
                Change::Environment(name, before)
            }
            Change::ApiKey(hash, body) => Change::ApiKey(hash, set(&mut self.api_keys, hash, body)),
            Change::Token(id, body) => Change::Token(id, set(&mut self.tokens, id, body)),
            Change::TokenUse(token, site, at) => {
                let uses = self.token_uses.entry(token).or_default();
                let before = set(uses, site, at);
                if uses.is_empty() {
                    self.token_uses.remove(&token);
                }
                Change::TokenUse(token, site, before)
            }
            Change::Site(id, body) => {
                self.change_site(id, |record| Change::Site(id, std::mem::replace(&mut record.registration, body)))
            }
            Change::Spec(id, key, body) => {
                self.change_site(id, |record| Change::Spec(id, key, record.spec.set(key, body)))
            }
            Change::Status(id, key, body) => {
                self.change_site(id, |record| Change::Status(id, key, record.status.set(key, body)))
            }
            Change::ReplicationCursor(id, body) => self.change_site(id, |record| {
                record.spec.set_floor(body.unwrap_or_default().spec_floor);
                Change::ReplicationCursor(id, std::mem::replace(&mut record.cursor, body))
            }),
            Change::Event(seq, event) => {
                let before = self.events.remove(&seq);
                if let Some(logged) = &before {
                    self.index_event(seq, logged, false);
                }
                if let Some(logged) = event {
                    self.index_event(seq, &logged, true);
                    self.events.insert(seq, logged);
                }
                Change::Event(seq, before)
            }
            Change::RevokedKey(key, at) => Change::RevokedKey(key, set(&mut self.revoked_keys, key, at)),
            Change::Provider(environment, name, body) => {
                let key = (environment.clone(), name.clone());
                Change::Provider(environment, name, set(&mut self.providers, key, body))
            }
            Change::Plugin(digest, body) => Change::Plugin(digest, set(&mut self.plugins, digest, body)),
        }
    }
}

/// Creates an event of `site`, or of the server.
pub(crate) fn event(kind: EventKind, site: Option<SiteId>, text: &str, now: Now) -> Event {
    Event { at: now.wall, kind, site, text: Text::lossy(text) }
}
