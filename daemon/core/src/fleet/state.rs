//! The durable state of the server, and the indexes derived from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use linecamp_model::{
    ApiKey, AuditBlock, BulkAction, BulkActionId, Environment, FleetAuthorities, FleetChange, FleetOrigin,
    FleetProvider, HeldSite, HostId, HostMemberChange, IdempotencyKeyHash, Incarnation, KeptAnswer, KeyFingerprint,
    MemberId, Name, PluginDigest, PluginFile, Registration, ReplicationCursor, RestoredFrom, SecretHash, ServerSet,
    ServerSettings, SiteId, Token, TokenId, User, UserSession, WallTime,
};
use rpds::RedBlackTreeMapSync;

use super::event_log::EventLog;
use super::names::NameIndex;
use super::site_record::SiteRecord;
use super::subject::{HostRef, SiteRef};
use crate::host_record::HostRecord;
use crate::staging::{Replay, set};

/// The in-memory image of the fleet database. What lists are made of is shared with the snapshots that were taken of it
/// ([`FleetSnapshot`](super::FleetSnapshot)).
#[derive(Clone, Debug, Default)]
pub(crate) struct FleetState {
    pub(crate) origin: Option<FleetOrigin>,
    pub(crate) environments: BTreeMap<Name, Environment>,
    pub(crate) users: BTreeMap<Name, User>,
    pub(crate) api_keys: BTreeMap<SecretHash, ApiKey>,
    pub(crate) user_sessions: BTreeMap<SecretHash, UserSession>,
    pub(crate) settings: Option<ServerSettings>,
    pub(crate) tokens: BTreeMap<TokenId, Token>,
    pub(crate) token_uses: BTreeMap<TokenId, BTreeMap<MemberId, WallTime>>,
    pub(crate) sites: RedBlackTreeMapSync<SiteId, SiteRecord>,
    pub(crate) revoked_keys: BTreeMap<KeyFingerprint, WallTime>,
    pub(crate) events: EventLog,
    /// Providers, by environment and name.
    pub(crate) providers: Arc<BTreeMap<(Name, Name), Box<FleetProvider>>>,
    pub(crate) plugins: Arc<BTreeMap<PluginDigest, PluginFile>>,
    pub(crate) servers: Option<ServerSet>,
    pub(crate) authorities: Option<FleetAuthorities>,
    /// The backup it was restored from, while something is held.
    pub(crate) restored: Option<RestoredFrom>,
    pub(crate) held: Held,
    /// The blocks of the audit log. Its entries are in the database only.
    pub(crate) audit: BTreeMap<u64, AuditBlock>,
    /// The answers to requests with an idempotency key.
    pub(crate) kept_answers: BTreeMap<IdempotencyKeyHash, Box<KeptAnswer>>,
    pub(crate) bulk_actions: Arc<BTreeMap<BulkActionId, Arc<BulkAction>>>,
    /// The site or host that each key belongs to. Derived.
    key_owners: BTreeMap<KeyFingerprint, MemberId>,
    /// The site of each host that joined the server. Derived.
    sites_of_hosts: BTreeMap<HostId, SiteId>,
    /// Derived.
    names: NameIndex,
}

/// What is held since the server was restored from a backup. An object that was removed since may still be listed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) sites: Arc<BTreeMap<SiteId, HeldSite>>,
    pub(crate) tokens: BTreeMap<TokenId, WallTime>,
    pub(crate) api_keys: BTreeMap<SecretHash, WallTime>,
}

impl Held {
    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.sites.is_empty() && self.tokens.is_empty() && self.api_keys.is_empty()
    }
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

    /// Returns the site that a key belongs to.
    pub(crate) fn site_of_key(&self, key: &KeyFingerprint) -> Option<SiteId> {
        match self.key_owners.get(key)? {
            MemberId::Site(site) => Some(*site),
            MemberId::Host(_) => None,
        }
    }

    /// Returns the host that joined the server with this key.
    pub(crate) fn host_of_key(&self, key: &KeyFingerprint) -> Option<HostId> {
        match self.key_owners.get(key)? {
            MemberId::Host(host) => Some(*host),
            MemberId::Site(_) => None,
        }
    }

    /// Returns the site or host that a key belongs to.
    pub(crate) fn member_of_key(&self, key: &KeyFingerprint) -> Option<MemberId> {
        self.key_owners.get(key).copied()
    }

    /// Returns the site that a member is, or belongs to.
    pub(crate) fn site_of(&self, member: MemberId) -> Option<SiteId> {
        match member {
            MemberId::Site(site) => Some(site),
            MemberId::Host(host) => self.sites_of_hosts.get(&host).copied(),
        }
    }

    /// Returns a host that joined the server, with its site.
    pub(crate) fn direct_host(&self, host: HostId) -> Option<(SiteId, &SiteRecord, &HostRecord)> {
        let site = *self.sites_of_hosts.get(&host)?;
        let record = self.sites.get(&site)?;
        Some((site, record, record.direct_hosts.get(&host)?))
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

    /// Returns the sites that a reference may mean: live ones, or if there is none, removed ones.
    pub(crate) fn sites_named(&self, site: &SiteRef, sees: &dyn Fn(&Name) -> bool) -> Vec<SiteId> {
        let is_meant = |of: &Name| site.environment.as_ref().is_none_or(|wanted| wanted == of) && sees(of);
        let live = self.names.sites(&site.name).iter().filter(|(of, _)| is_meant(of)).map(|(_, id)| *id);
        let live: Vec<_> = live.collect();
        if !live.is_empty() {
            return live;
        }
        let is_named = |record: &SiteRecord| record.site_spec().is_some_and(|spec| spec.name == site.name);
        let gone = self.registered().filter(|(_, record, of)| is_named(record) && is_meant(&of.environment));
        gone.map(|(id, _, _)| id).collect()
    }

    /// Returns the hosts that a reference may mean, with their sites: those of live sites, or if there is none, those
    /// of removed ones.
    pub(crate) fn hosts_named(&self, host: &HostRef, sees: &dyn Fn(&Name) -> bool) -> Vec<(SiteId, HostId)> {
        let is_in = |of: &Name| host.environment.as_ref().is_none_or(|wanted| wanted == of) && sees(of);
        let is_at = |record: &SiteRecord| {
            let is_named = |site: &Name| record.site_spec().is_some_and(|spec| spec.name == *site);
            host.site.as_ref().is_none_or(is_named)
        };
        let is_at_site = |site: &SiteId| self.sites.get(site).is_some_and(is_at);
        let live = self.names.hosts(&host.name).iter().filter(|(of, site, _)| is_in(of) && is_at_site(site));
        let live: Vec<_> = live.map(|(_, site, id)| (*site, *id)).collect();
        if !live.is_empty() {
            return live;
        }
        let gone = self.registered().filter(|(_, record, of)| is_at(record) && is_in(&of.environment));
        let hosts = gone.flat_map(|(site, record, _)| record.host_specs().map(move |(id, spec)| (site, id, spec)));
        hosts.filter(|(_, _, spec)| spec.name == host.name).map(|(site, id, _)| (site, id)).collect()
    }

    /// Whether another live site of the environment has this name.
    pub(crate) fn is_site_name_taken(&self, environment: &Name, name: &Name, except: Option<SiteId>) -> bool {
        self.names.sites(name).iter().any(|(of, id)| of == environment && Some(*id) != except)
    }

    /// Returns the number of live sites in the environment.
    pub(crate) fn sites_in(&self, environment: &Name) -> usize {
        self.names.population(environment)
    }

    /// Returns the providers of an environment.
    pub(crate) fn providers_of(&self, environment: &Name) -> impl Iterator<Item = &FleetProvider> {
        let of = environment.clone();
        self.providers.iter().filter(move |((meant, _), _)| *meant == of).map(|(_, provider)| &**provider)
    }

    /// Returns a site's replication cursor; an empty one if it has none.
    pub(crate) fn cursor_of(&self, site: SiteId) -> ReplicationCursor {
        self.sites.get(&site).and_then(|record| record.cursor).unwrap_or_default()
    }

    /// Returns how many members the token has created.
    pub(crate) fn uses(&self, token: TokenId) -> u32 {
        self.token_uses.get(&token).map_or(0, |uses| u32::try_from(uses.len()).unwrap_or(u32::MAX))
    }

    /// Returns the incarnation of a site's spec: the fleet's, unless the site once claimed more spec than there was.
    pub(crate) fn spec_incarnation(&self, site: SiteId) -> Incarnation {
        match self.sites.get(&site) {
            Some(record) => record.spec_incarnation(self.origin),
            None => self.origin.unwrap_or_default().spec_incarnation,
        }
    }

    /// Returns the changes that delete everything of a removed site except its revoked keys.
    pub(crate) fn purge_changes(&self, id: SiteId) -> Vec<FleetChange> {
        let Some(record) = self.sites.get(&id) else {
            return Vec::new();
        };
        let specs = record.spec.keys().map(|key| FleetChange::Spec(id, key, None));
        let statuses = record.status.keys().map(|key| FleetChange::Status(id, key, None));
        let keys = record.keys.keys().map(|key| FleetChange::SiteKey(id, *key, None));
        let hosts = record.hosts.keys().map(|host| FleetChange::Host(id, *host, None));
        let gaps = record.gaps.keys().map(|began_at| FleetChange::LinkGap(id, *began_at, None));
        let direct = record.direct_hosts.iter().flat_map(|(host, of)| {
            of.purge_changes().into_iter().map(|change| FleetChange::HostMember(id, *host, change))
        });
        keys.chain(hosts)
            .chain(direct)
            .chain(specs)
            .chain(statuses)
            .chain(gaps)
            .chain(record.trust.as_ref().map(|_| FleetChange::SiteTrust(id, None)))
            .chain([FleetChange::ReplicationCursor(id, None), FleetChange::Site(id, None)])
            .collect()
    }

    /// Returns the changes that delete a token and its uses.
    pub(crate) fn token_purge_changes(&self, id: TokenId) -> Vec<FleetChange> {
        let uses = self.token_uses.get(&id).into_iter().flat_map(BTreeMap::keys);
        uses.map(|member| FleetChange::TokenUse(id, *member, None)).chain([FleetChange::Token(id, None)]).collect()
    }

    /// Sets when a member used a token. Returns the previous time.
    fn set_token_use(&mut self, token: TokenId, member: MemberId, at: Option<WallTime>) -> Option<WallTime> {
        let uses = self.token_uses.entry(token).or_default();
        let before = set(uses, member, at);
        if uses.is_empty() {
            self.token_uses.remove(&token);
        }
        before
    }

    /// Changes the part of a site's record that has its names and those of its hosts.
    fn change_names(&mut self, id: SiteId, change: impl FnOnce(&mut SiteRecord) -> FleetChange) -> FleetChange {
        if let Some(record) = self.sites.get(&id) {
            self.names.set(id, record, false);
        }
        let undo = self.change_site(id, change);
        if let Some(record) = self.sites.get(&id) {
            self.names.set(id, record, true);
        }
        undo
    }

    /// Changes what is stored of a host that joined the server.
    fn change_direct_host(&mut self, id: SiteId, host: HostId, change: HostMemberChange) -> FleetChange {
        if let HostMemberChange::Key(key, at) = &change {
            set(&mut self.key_owners, *key, at.map(|_| MemberId::Host(host)));
        }
        let undo =
            self.change_site(id, |record| FleetChange::HostMember(id, host, record.change_direct_host(host, change)));
        let is_there = self.sites.get(&id).is_some_and(|record| record.direct_hosts.contains_key(&host));
        set(&mut self.sites_of_hosts, host, is_there.then_some(id));
        undo
    }

    /// Changes one site's record.
    fn change_site(&mut self, id: SiteId, change: impl FnOnce(&mut SiteRecord) -> FleetChange) -> FleetChange {
        if !self.sites.contains_key(&id) {
            self.sites.insert_mut(id, SiteRecord::default());
        }
        let record = self.sites.get_mut(&id).expect("it is there");
        let undo = change(record);
        if record.is_empty() {
            self.sites.remove_mut(&id);
        }
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
            Change::User(name, body) => {
                let before = set(&mut self.users, name.clone(), body);
                Change::User(name, before)
            }
            Change::UserSession(hash, body) => Change::UserSession(hash, set(&mut self.user_sessions, hash, body)),
            Change::Settings(body) => Change::Settings(std::mem::replace(&mut self.settings, body)),
            Change::Token(id, body) => Change::Token(id, set(&mut self.tokens, id, body)),
            Change::TokenUse(token, of, at) => Change::TokenUse(token, of, self.set_token_use(token, of, at)),
            Change::Site(id, body) => {
                self.change_names(id, |record| Change::Site(id, std::mem::replace(&mut record.registration, body)))
            }
            Change::SiteKey(id, key, body) => {
                set(&mut self.key_owners, key, body.map(|_| MemberId::Site(id)));
                self.change_site(id, |record| Change::SiteKey(id, key, set(&mut record.keys, key, body)))
            }
            Change::Host(id, host, body) => {
                self.change_names(id, |record| Change::Host(id, host, set(&mut record.hosts, host, body)))
            }
            Change::HostMember(id, host, change) => self.change_direct_host(id, host, change),
            Change::Spec(id, key, body) => {
                self.change_names(id, |record| Change::Spec(id, key, record.spec.set(key, body)))
            }
            Change::Status(id, key, body) => {
                self.change_site(id, |record| Change::Status(id, key, record.status.set(key, body)))
            }
            Change::ReplicationCursor(id, body) => self.change_site(id, |record| {
                record.spec.set_floor(body.unwrap_or_default().spec_floor);
                Change::ReplicationCursor(id, std::mem::replace(&mut record.cursor, body))
            }),
            Change::Event(seq, event) => Change::Event(seq, self.events.set(seq, event)),
            Change::RevokedKey(key, at) => Change::RevokedKey(key, set(&mut self.revoked_keys, key, at)),
            Change::Provider(environment, name, body) => {
                let key = (environment.clone(), name.clone());
                Change::Provider(environment, name, set(Arc::make_mut(&mut self.providers), key, body))
            }
            Change::Plugin(digest, body) => Change::Plugin(digest, set(Arc::make_mut(&mut self.plugins), digest, body)),
            Change::Servers(body) => Change::Servers(std::mem::replace(&mut self.servers, body)),
            Change::LinkGap(id, began_at, gap) => {
                self.change_site(id, |record| Change::LinkGap(id, began_at, set(&mut record.gaps, began_at, gap)))
            }
            Change::Authorities(body) => Change::Authorities(std::mem::replace(&mut self.authorities, body)),
            Change::SiteTrust(id, body) => {
                self.change_site(id, |record| Change::SiteTrust(id, std::mem::replace(&mut record.trust, body)))
            }
            Change::Restored(body) => Change::Restored(std::mem::replace(&mut self.restored, body)),
            Change::HeldSite(id, body) => Change::HeldSite(id, set(Arc::make_mut(&mut self.held.sites), id, body)),
            Change::HeldToken(id, at) => Change::HeldToken(id, set(&mut self.held.tokens, id, at)),
            Change::AuditBlock(index, block) => Change::AuditBlock(index, set(&mut self.audit, index, block)),
            // The inverse is never written.
            Change::AuditEntry(number, _) => Change::AuditEntry(number, None),
            Change::KeptAnswer(key, answer) => Change::KeptAnswer(key, set(&mut self.kept_answers, key, answer)),
            Change::BulkAction(id, body) => {
                Change::BulkAction(id, set(Arc::make_mut(&mut self.bulk_actions), id, body))
            }
            Change::HeldApiKey(hash, at) => Change::HeldApiKey(hash, set(&mut self.held.api_keys, hash, at)),
        }
    }
}
