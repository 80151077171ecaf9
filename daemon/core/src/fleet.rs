//! Fleet: the state machine of the server.
//!
//! It wires parts together; each part has its own state and its own rules.
//!
//! | part | rules |
//! |---|---|
//! | [`downlink`](crate::downlink) | sessions, presence, rate limits, spec down, status and events up |
//! | [`registry`] | join, membership, recovery, certificates |
//! | [`authentication`] | who presents a secret |
//! | [`authorization`], [`command_check`], [`account_check`] | what a caller may see and do |
//! | [`operator`], [`perform`] | operator commands: what they change, and how that is carried out |
//! | [`audit`] | the audit log: entries, their chain, refusals, retention |
//! | [`kept_answers`] | answers that are kept for requests that are sent again |
//! | [`joined_hosts`] | hosts that joined the gateway of their site |
//! | [`direct_hosts`] | hosts that joined the server |
//! | [`lifecycle`] | phases that a site's reports confirm |
//! | [`provider_assignment`] | which sites have which providers |
//! | [`unreadable_records`] | records that cannot be read |
//! | [`restore`] | what is held after a restore from a backup |
//! | [`status_limits`], [`transfer_access`] | what a site may report and read |
//! | [`server_addresses`] | the numbered set of addresses that sites are told |
//! | [`authorities`] | the numbered set of authorities that sites are told, and what they have stored of it |
//! | [`store_health`], [`sweep`] | the server's own store; expired records |
//! | [`view`], [`conditions`] | what operators see; lists also from a snapshot, on another thread |
//! | [`site_watch`] | what changed of the sites since operators were told |
//! | [`lookup`] | which site or host an operator means |
//! | [`event_log`], [`names`] | parts of the [state](state) with limits and indexes of their own |
//!
//! How a part works: a rule that only decides is a function of [`FleetState`] and `now` that returns its decision. A
//! part with state has methods that take what they read, `now`, and `&mut` [`Effects`], into which they put outputs and
//! staged changes with their releases. The downlink is a machine of its own: it reads the state through the
//! [`Directory`] and returns outputs, which [`downlink_outputs`] carries out in order after each call. Only
//! `Fleet` calls more than one part.
//!
//! Invariants, asserted in debug builds: generations only rise; nothing is released or sent that is not durable
//! ([`staging`](crate::staging)); a session, a write and a command have one owner; the session of a link is up.

mod account_check;
mod account_command;
#[cfg(test)]
mod account_testing;
mod audit;
mod audit_note;
mod authentication;
mod authorities;
mod authorization;
mod command;
mod command_check;
mod conditions;
mod config;
mod decision;
mod direct_hosts;
mod downlink_members;
mod downlink_outputs;
mod effects;
mod event_log;
mod held;
mod joined_hosts;
mod kept_answers;
mod labels;
mod lifecycle;
#[cfg(test)]
mod limit_tests;
mod lookup;
mod names;
mod operator;
mod output;
mod perform;
mod provider_assignment;
mod registry;
mod restore;
mod server_addresses;
mod site_record;
mod site_watch;
mod spec_size;
mod spec_writes;
mod state;
mod status_limits;
mod store_health;
mod subject;
mod sweep;
#[cfg(test)]
mod testing;
mod transfer_access;
mod unreadable_records;
mod view;

use std::sync::Arc;

use linecamp_model::{
    AuthorityRotation, FleetChange, FleetOrigin, Incarnation, Instant, Name, Now, Parent, Refusal, RefusalCode,
    ServerAddress, SessionId, SiteId, Text, WriteId,
};

pub use self::account_command::{
    AccountCommand, LoginProof, NewKey, NewSession, NewUser, OidcLogin, PasswordChange, UserEdit,
};
pub use self::audit::{AUDIT_RETENTION_DEFAULT, AuditCounters, console_changes};
pub use self::audit_note::{AuditNote, AuditedRequest};
pub use self::authentication::{
    ApiCredential, AuthenticationError, PendingSetup, Principal, SESSION_IDLE_MAX, SESSION_LIFE, Standing,
};
pub use self::authorities::{AuthorityStatus, Lack, WaitingSite};
pub use self::authorization::{Authorization, IssuedCommand};
pub use self::command::{
    Edit, EnvironmentEdit, FleetCommand, FleetCommandError, Force, HeldItems, InvalidSettings, JoinsAs, NewBulkAction,
    NewToken,
};
pub use self::config::{
    ENVIRONMENT_DEFAULT, FleetConfig, PHASE_DEADLINE, REMOVED_KEEP_DEFAULT, SWEEP_PERIOD, SavedFleet, UnreadableRecord,
};
pub use self::kept_answers::{AnswerBuilder, KeyedRequest};
pub use self::output::{FleetOutput, FleetTimer};
pub use self::restore::{Hold, HoldSummary, UnknownKey, hold_restored};
pub use self::site_watch::StateChange;
pub use self::subject::{HostRef, SiteRef, SubjectRef};
pub use self::view::{
    ApiKeyView, BulkProgress, BulkSiteState, BulkSiteView, Candidate, EventFilter, FleetSnapshot, FleetView,
    HeldCounts, HostOrder, LinkCounts, LinkFilter, ListView, ListedRecord, Obstacle, ProviderSummary, RecordFilter,
    SeenLabels, SiteFilter, SiteOrder, UserSessionView, UserView,
};

use self::audit::AuditLog;
use self::authentication::{Activity, authenticate, standing};
use self::config::STORE_RETRY;
use self::decision::Decision;
use self::effects::{Effects, Release};
use self::restore::Contacts;
use self::site_watch::SiteWatch;
use self::state::FleetState;
use self::store_health::StoreHealth;
use self::subject::Subject;
use self::unreadable_records::Quarantine;
use crate::StoreFault;
use crate::downlink::{self, Downlink, Link, SessionEvent};
use crate::rng::Rng;

/// The state machine of the server. The [crate] docs describe how to drive it.
#[derive(Clone, Debug)]
pub struct Fleet {
    config: FleetConfig,
    effects: Effects,
    downlink: Downlink,
    quarantine: Quarantine,
    store: StoreHealth,
    contacts: Arc<Contacts>,
    audit: AuditLog,
    /// When API keys and sessions were used last.
    activity: Activity,
    /// The server's addresses, as configured.
    servers: Vec<ServerAddress>,
    /// The authorities in the server's data directory; `None` until the driver has reported them.
    rotation: Option<AuthorityRotation>,
    watch: SiteWatch,
    /// Where the ids of new sites and hosts come from.
    ids: Rng,
    sweep_at: Instant,
    ignored: u64,
}

/// Inputs.
impl Fleet {
    /// Starts from saved state. The [crate] docs describe how to drive it.
    pub fn new(config: FleetConfig, saved: SavedFleet, mut rng: Rng, now: Now) -> Self {
        let mut effects = Effects::new(FleetState::from_records(saved.readable()));
        let quarantine = Quarantine::new(&saved.unreadable, &mut effects, now);
        if effects.state().origin.is_none() {
            let origin = FleetOrigin { spec_incarnation: Incarnation(rng.next_u64() | 1) };
            let default = Name::parse("default").expect("`default` is a name");
            let environment = FleetChange::Environment(default, Some(ENVIRONMENT_DEFAULT));
            effects.stage(vec![FleetChange::Origin(Some(origin)), environment], Vec::new());
        }
        let ids = Rng::new(rng.next_u64());
        let mut downlink = Downlink::new(Parent::Server, config.versions, rng, now);
        for (id, _, of) in effects.state().registered().filter(|(_, _, of)| !of.life.phase.is_gone()) {
            downlink.expect(id.into(), of.offline_since, now);
        }
        for (host, offline_since) in direct_hosts::expected(effects.state()) {
            downlink.expect(host.into(), offline_since, now);
        }
        let sweep_at = now.instant + SWEEP_PERIOD;
        let (store, contacts, activity) = (StoreHealth::default(), Arc::default(), Activity::new(now));
        let (servers, rotation, ignored) = (Vec::new(), None, 0);
        Self {
            config,
            effects,
            downlink,
            quarantine,
            store,
            contacts,
            audit: AuditLog::default(),
            activity,
            servers,
            rotation,
            watch: SiteWatch::default(),
            ids,
            sweep_at,
            ignored,
        }
    }

    /// Handles a session event. The driver numbers sessions in ascending order and never reuses a number.
    pub fn handle_session(&mut self, id: SessionId, event: SessionEvent, now: Now) {
        self.with_downlink(now, |downlink, members| downlink.handle_session(id, event, members, now));
        self.assign_providers(now);
    }

    /// Returns who presents a credential and what they may do, and notes its use.
    ///
    /// # Errors
    /// [`AuthenticationError`] if the credential is not valid.
    pub fn authenticate(&mut self, credential: ApiCredential, now: Now) -> Result<Principal, AuthenticationError> {
        authenticate(self.effects.state(), &mut self.activity, credential, now)
    }

    /// Returns who presents a credential and what they may do, and how long that holds at most if nothing else changes;
    /// this is no use of it.
    ///
    /// # Errors
    /// [`AuthenticationError`] if the credential is not valid.
    pub fn standing(&self, credential: ApiCredential, now: Now) -> Result<Standing, AuthenticationError> {
        standing(self.effects.state(), &self.activity, credential, now)
    }

    /// Handles the store's confirmation that a write is durable.
    pub fn handle_persisted(&mut self, write: WriteId, now: Now) {
        let Some(releases) = self.effects.settle(write, true) else {
            self.ignored += 1;
            return;
        };
        releases.into_iter().for_each(|release| self.release(release, now));
        self.assign_providers(now);
    }

    /// Handles the store's report that a write failed. It and all later ones are undone.
    pub fn handle_persist_failed(&mut self, write: WriteId, fault: StoreFault, now: Now) {
        let Some(releases) = self.effects.settle(write, false) else {
            self.ignored += 1;
            return;
        };
        self.store.failed(fault, now);
        self.effects.output(FleetOutput::ResumeStore(write));
        releases.into_iter().for_each(|release| self.release_failed(release, fault, now));
    }

    /// Handles the store's report at startup that it is readable only.
    pub fn handle_store_unwritable(&mut self, fault: StoreFault, now: Now) {
        self.store.failed(fault, now);
    }

    /// Handles expired timers.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((_, timer)) = self.next_deadline().filter(|(deadline, _)| *deadline <= now.instant) {
            match timer {
                FleetTimer::Downlink(_) => {
                    self.with_downlink(now, |downlink, members| downlink.handle_timeout(members, now));
                }
                FleetTimer::Refusals => self.write_refusals(now),
                FleetTimer::Sweep => self.sweep(now),
                FleetTimer::StoreRetry => {
                    self.store.retried(now);
                    self.effects.try_store();
                }
            }
        }
        self.assign_providers(now);
    }

    /// Stops the machine: closes every session and assigns each site its own retry slot.
    pub fn handle_stop(&mut self, now: Now) {
        for (id, refusal) in self.downlink.stop_refusals(now) {
            self.refuse(id, refusal, now);
        }
    }

    /// Returns the next output, or `None` if there is none.
    pub fn poll_output(&mut self) -> Option<FleetOutput> {
        self.effects.next_output()
    }

    /// Returns when to call `handle_timeout` next, and for which timer.
    pub fn next_deadline(&self) -> Option<(Instant, FleetTimer)> {
        let downlink = self.downlink.next_deadline().map(|(at, timer)| (at, FleetTimer::Downlink(timer)));
        let retry = self.store.retry_at().map(|at| (at, FleetTimer::StoreRetry));
        let refusals = self.audit.deadline().map(|at| (at, FleetTimer::Refusals));
        [downlink, refusals, Some((self.sweep_at, FleetTimer::Sweep)), retry].into_iter().flatten().min()
    }
}

/// Queries.
impl Fleet {
    /// Returns what drivers and operators read. It may be one commit ahead of the disk; replies never are.
    pub fn view(&self) -> FleetView<'_> {
        FleetView::new(self.effects.state(), self.downlink.links(), &self.contacts, &self.activity)
    }

    /// Returns what lists are made of, for another thread. This takes microseconds, whatever the size of the fleet.
    pub fn snapshot(&self) -> FleetSnapshot {
        FleetSnapshot::new(self.effects.state(), self.downlink.links(), &self.contacts)
    }

    /// Returns the sites whose records cannot be read, and why.
    pub fn quarantined(&self) -> impl Iterator<Item = (SiteId, &Text)> {
        self.quarantine.sites()
    }

    /// Returns why the server's own store fails to commit, if it does.
    pub const fn store_fault(&self) -> Option<StoreFault> {
        self.store.fault()
    }

    /// Whether everything decided so far is durable.
    pub fn is_durable(&self) -> bool {
        self.effects.is_durable()
    }

    /// Returns the number of unexpected answers that were ignored.
    pub const fn ignored(&self) -> u64 {
        self.ignored + self.downlink.ignored()
    }
}

/// Decisions and releases.
impl Fleet {
    /// Stages a decision together with its events; `then` is released when it is durable.
    fn carry_out(&mut self, decision: Decision, then: Vec<Release>, now: Now) {
        if decision.changes.is_empty() && !self.effects.has_accompanying() {
            return self.when_durable(then, now);
        }
        // Before the reply, so that the operator reads the new URL.
        let urls = decision.changes.iter().filter_map(|change| match change {
            FleetChange::Settings(Some(settings)) => Some(FleetOutput::ServerUrlChanged(settings.server_url.clone())),
            _ => None,
        });
        let mut releases: Vec<_> = urls.map(Release::Output).chain(then).collect();
        decision.sites.iter().for_each(|site| releases.extend(self.spec_staged(*site)));
        for host in decision.removed_hosts() {
            let session = self.downlink.links().get(host).and_then(Link::session);
            let refuse = |session| downlink::Release::Refuse { session, refusal: direct_hosts::removed() };
            releases.extend(session.map(refuse).map(Release::Downlink));
        }
        for site in decision.removed_sites() {
            releases.insert(0, Release::Output(FleetOutput::Removed { site }));
            let session = self.downlink.links().get(site).and_then(Link::session);
            let refuse = |session| downlink::Release::Refuse { session, refusal: registry::removed() };
            releases.extend(session.map(refuse).map(Release::Downlink));
        }
        self.effects.stage_noted(decision.changes, decision.events, releases, now);
    }

    /// Releases once everything staged so far is durable.
    fn when_durable(&mut self, releases: Vec<Release>, now: Now) {
        if self.effects.is_durable() {
            releases.into_iter().for_each(|release| self.release(release, now));
        } else {
            self.effects.stage(Vec::new(), releases);
        }
    }

    fn release(&mut self, release: Release, now: Now) {
        match release {
            Release::Output(output) => self.effects.emit(output),
            Release::Downlink(release) => {
                self.with_downlink(now, |downlink, members| downlink.release(release, members, now));
            }
            Release::SpecDurable(site) => self.spec_settled(site, now),
            Release::HostSpecsDurable(hosts) => self.host_specs_settled(&hosts, now),
            Release::Servers => self.tell_servers(now),
            Release::Authorities => self.tell_authorities(now),
            Release::StoreTried => {
                self.store.recovered();
                self.number_servers();
                self.number_authorities(now);
                self.write_unwritten(now);
            }
            Release::Audited(_) | Release::Commanded(_) => {}
        }
    }

    /// Reports a failed write to the operator or session that waited for it.
    fn release_failed(&mut self, release: Release, fault: StoreFault, now: Now) {
        match release {
            Release::Output(FleetOutput::Reply { command, .. }) => {
                self.effects.reply(command, Err(FleetCommandError::Store(fault)));
            }
            Release::Output(FleetOutput::Issue { session, .. }) => {
                let text = "the server cannot write to its store; nothing was changed";
                self.refuse(session, Refusal::new(RefusalCode::StoreFailed, text).retry_after(STORE_RETRY), now);
            }
            Release::Downlink(release) => self.with_downlink(now, |downlink, members| {
                downlink.release_failed(release, STORE_RETRY, members, now);
            }),
            Release::SpecDurable(site) => self.spec_settled(site, now),
            Release::HostSpecsDurable(hosts) => self.host_specs_settled(&hosts, now),
            Release::Audited(entry) => self.keep_entry(*entry),
            Release::Commanded(note) => self.note_refusal(note.refused(&FleetCommandError::Store(fault)), now),
            // Addresses and authorities are numbered again when the store has recovered.
            Release::Output(_) | Release::Servers | Release::Authorities | Release::StoreTried => {}
        }
    }

    /// Registers the hosts that a site reports, and advances the site and its hosts to the next phase if what was
    /// requested was reported or confirmed.
    fn confirm(&mut self, site: SiteId, now: Now) {
        if let Some(decision) = joined_hosts::follow(self.effects.state(), site, now) {
            self.carry_out(decision, Vec::new(), now);
        }
        if let Some(decision) = direct_hosts::follow(self.effects.state(), site) {
            self.carry_out(decision, Vec::new(), now);
        }
        let subjects = self.effects.state().sites.get(&site).map(|record| Subject::all_of(site, record));
        for subject in subjects.unwrap_or_default() {
            if let Some(confirmed) = lifecycle::confirm(self.effects.state(), subject, now) {
                self.carry_out(confirmed, Vec::new(), now);
            }
        }
    }

    /// Updates the specs of changed sites to match the providers that select them.
    fn assign_providers(&mut self, now: Now) {
        for site in self.effects.unassigned().take() {
            let changes = provider_assignment::assignment(self.effects.state(), site);
            if !changes.is_empty() {
                self.carry_out(Decision { changes, events: Vec::new(), sites: vec![site] }, Vec::new(), now);
            }
        }
        self.effects.unassigned().clear();
    }
}
