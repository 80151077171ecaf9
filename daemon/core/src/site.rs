//! Site: the state machine of one daemon.
//!
//! `Site` only wires. Each rule lives in a part, in a file of its own, with private state:
//!
//! | part | what it decides |
//! |---|---|
//! | [`uplink`] | when to dial which server, which addresses of it to keep, and what the end of a link means |
//! | [`handshake`] | the first message of a session |
//! | [`replication`] | spec down, status and events up, acknowledgements |
//! | [`events`] | numbering, queueing and acknowledgement of events |
//! | [`conditions`] | which conditions are active, and since when |
//! | [`condition_notices`] | what a log is told of conditions |
//! | [`certificate`] | use and renewal of the site's certificate |
//! | [`authorities`] | which authorities of the server are trusted |
//! | [`labels`] | the layers of the labels a site sets itself |
//! | [`facts`] | which facts are reported, and which could not be observed |
//! | [`status`] | the status documents, computed from all parts |
//! | [`hosts`] | the hosts of the LAN: their registration, sessions and status |
//! | [`store_health`] | retries while the store fails, and what the server learns of it |
//! | [`plugins`] | transfers of centrally pushed plugins |
//! | [`providers`] | the providers that run, and their desired records |
//! | [`documents`], [`view`] | reading, without a decision |
//!
//! All parts follow one convention. A method takes the input, what it reads of other parts (as values or shared
//! references), the time, and last a `&mut` [`Effects`]. Into that it puts everything it causes, in order: outputs,
//! staged changes with their releases, timers, conditions and events. A part never reaches into another one; what one
//! part has to know of another, `Site` passes on.
//!
//! Status is never written directly. It is computed from spec, labels, facts and conditions after every input, and
//! becomes a new document only where it differs. In steady state nothing is written, and a restart needs no recovery
//! step.
//!
//! Invariants, checked in every debug build: generations only rise; nothing is released before the write it was staged
//! with is durable; a dial, a write and a command that are not answered have one owner; a session is up exactly while
//! replication runs; whatever the link waits for ends by a timer.

mod authorities;
mod certificate;
mod command;
mod condition_notices;
mod conditions;
mod config;
mod documents;
mod effects;
mod events;
mod facts;
mod handshake;
mod host_inputs;
mod host_release;
mod hosts;
mod labels;
mod link_event;
mod output;
mod plugin_inputs;
mod plugins;
mod providers;
mod replication;
mod server_addresses;
mod server_clock;
mod state;
mod status;
mod store_health;
#[cfg(test)]
mod testing;
mod text;
mod uplink;
mod view;

use linecamp_model::{
    Actor, CallId, CommandId, DialId, EventKind, FromMember, FromParent, Instant, Level, MemberKind, Now,
    ProviderReply, Text, Welcome, WriteId,
};

pub use self::certificate::UnsavedIdentity;
pub use self::command::{HostCommand, SiteCommand, SiteCommandError};
pub use self::config::{
    CLOCK_SKEW_MAX, CLOCK_STEP_MIN, DIAL_MAX, FACTS_PERIOD, FIRST_FACTS_MAX, GREETING_MAX, PendingJoin, REDIAL_MAX,
    REDIAL_MAX_SPREADS, REDIAL_SPREAD_DEFAULT, RENEW_RETRY_MAX, RENEW_RETRY_MIN, RETRY_SLOT_MAX, STORE_RETRY,
    SavedSite, ServerSource, SiteConfig, SiteIdentity, WITHDRAW_MAX,
};
pub use self::facts::{Fact, Facts};
pub use self::labels::{DropIns, EnvironmentLabels, LabelLayer};
pub use self::link_event::{LinkEvent, LossReason};
pub use self::output::{Dial, HostOutput, Purpose, SiteOutput, Timer};

pub(crate) use self::labels::describe_patch;
pub(crate) use self::text::coarse;

use self::authorities::TrustedAuthorities;
use self::certificate::Certificate;
use self::documents::SiteDocuments;
use self::effects::{Effects, Release};
use self::facts::FactCollection;
use self::hosts::Hosts;
use self::labels::Labels;
use self::plugins::PluginTransfers;
use self::providers::{SiteProviders, note_observed_address};
use self::replication::Replication;
use self::state::SiteState;
use self::status::{StatusInputs, refresh_status};
use self::store_health::StoreHealth;
use self::uplink::Uplink;
use crate::StoreFault;
use crate::rng::Rng;

/// The state machine of one daemon. The [crate] docs describe how to drive it.
#[derive(Clone, Debug)]
pub struct Site {
    config: SiteConfig,
    effects: Effects,
    uplink: Uplink,
    replication: Replication,
    certificate: Certificate,
    authorities: TrustedAuthorities,
    facts: FactCollection,
    labels: Labels,
    providers: SiteProviders,
    plugins: PluginTransfers,
    hosts: Hosts,
    storage: StoreHealth,
    is_stopped: bool,
}

impl Site {
    /// Starts from saved state. The [crate] docs describe how to drive it.
    pub fn new(config: SiteConfig, saved: SavedSite, rng: Rng, now: Now) -> Self {
        let member = saved.identity.map(|identity| (identity.kind, identity.host));
        let state = SiteState::from_records(saved.records);
        let known = (saved.servers, state.link_record.as_deref());
        let mut rng = rng;
        let hosts = Hosts::new(config.versions, &state, &mut rng, now);
        let mut site = Self {
            uplink: Uplink::new(&config, saved.identity.is_some(), known, now),
            effects: Effects::new(state, rng),
            replication: Replication::default(),
            certificate: Certificate::new(saved.identity),
            authorities: TrustedAuthorities::new(saved.authorities),
            facts: FactCollection::default(),
            labels: Labels::new(config.labels.clone()),
            providers: SiteProviders::new(config.providers.clone(), config.run, saved.identity),
            plugins: PluginTransfers::default(),
            hosts,
            storage: StoreHealth::new(config.directory.clone()),
            config,
            is_stopped: false,
        };
        let effects = &mut site.effects;
        StoreHealth::start(saved.corrupt_database.as_ref(), now, effects);
        if saved.identity.is_some() {
            effects.record(EventKind::DaemonStarted, &format!("daemon {} started", site.config.daemon_version), now);
        }
        FactCollection::restore(now, effects);
        site.labels.start(saved.drop_ins, now, effects);
        if !site.uplink.is_idle() {
            site.uplink.start(now, effects);
            let documents = SiteDocuments::new(effects.state(), member);
            let lacks_facts = member.is_some() && documents.reported_facts().is_empty();
            site.facts.plan_first_dial(lacks_facts, now, effects);
        }
        site.settle_down(now);
        site
    }

    /// Handles a link event.
    pub fn handle_link(&mut self, event: LinkEvent, now: Now) {
        match event {
            LinkEvent::Dialed(dial) if self.uplink.handle_dialed(dial, now, &mut self.effects) => self.greet(dial, now),
            LinkEvent::Received(dial, message) if self.uplink.is_connected(dial) => self.receive(dial, message, now),
            LinkEvent::Lost(dial, reason) if self.uplink.current() == Some(dial) => {
                self.uplink.lose(&reason, now, &mut self.effects);
            }
            LinkEvent::Dialed(_) | LinkEvent::Received(..) | LinkEvent::Lost(..) => self.effects.ignore(),
        }
        self.settle_down(now);
    }

    /// Handles the store's confirmation that a write is durable.
    pub fn handle_persisted(&mut self, write: WriteId, now: Now) {
        for release in self.effects.settle(write, true).unwrap_or_default() {
            self.release(release, now);
        }
        self.settle_down(now);
    }

    /// Handles the store's report that a write failed. It and all later ones are undone.
    pub fn handle_persist_failed(&mut self, write: WriteId, fault: StoreFault, now: Now) {
        if let Some(releases) = self.effects.settle(write, false) {
            self.storage.handle_failed(write, fault, now, &mut self.effects);
            let releases = self.release_failed_to_hosts(releases, now);
            self.providers.handle_failed(&releases, now, &mut self.effects);
            StoreHealth::take_back(releases, fault, &mut self.effects);
            self.settle_down(now);
        }
    }

    /// Handles the outcome of saving a certificate.
    pub fn handle_identity_saved(&mut self, saved: Result<SiteIdentity, Text>, now: Now) {
        match saved {
            Ok(identity) => {
                self.certificate.handle_saved(identity, now, &mut self.effects);
                self.use_certificate(now);
            }
            Err(problem) => {
                Certificate::handle_failed(&problem, now, &mut self.effects);
                self.uplink.certificate_failed(problem, now, &mut self.effects);
            }
        }
        self.settle_down(now);
    }

    /// Handles a certificate that is in use although it could not be saved. Saving is retried later.
    pub fn handle_identity_unsaved(&mut self, unsaved: UnsavedIdentity, now: Now) {
        self.certificate.handle_unsaved(unsaved, now, &mut self.effects);
        self.use_certificate(now);
        self.settle_down(now);
    }

    fn use_certificate(&mut self, now: Now) {
        self.config.join = None;
        self.providers.set_identity(self.certificate.identity());
        self.uplink.use_certificate(now, &mut self.effects);
    }

    /// Handles the outcome of opening the local socket. A failure is retried later.
    pub fn handle_local_socket(&mut self, opened: Result<(), Text>, now: Now) {
        self.storage.handle_local_socket(opened, now, &mut self.effects);
        self.settle_down(now);
    }

    /// Handles a round of facts.
    pub fn handle_facts(&mut self, facts: Facts, now: Now) {
        let reported = self.documents().reported_facts();
        if self.facts.handle_round(facts, &reported, now, &mut self.effects) {
            self.settle_down(now);
        }
    }

    /// Handles new contents of the drop-in files.
    pub fn handle_drop_ins(&mut self, drop_ins: DropIns, now: Now) {
        self.labels.handle_drop_ins(drop_ins, now, &mut self.effects);
        self.settle_down(now);
    }

    /// Handles a local command. It is answered with one [`SiteOutput::Reply`].
    pub fn handle_command(&mut self, id: CommandId, actor: Actor, command: SiteCommand, now: Now) {
        self.effects.accept_command(id, actor);
        match command {
            SiteCommand::PatchLabels(Level::Site, _) if self.is_host() => {
                let text = "a host has labels of its own only: use --host; those of its site are set at the gateway";
                self.effects.reply(id, Err(SiteCommandError::Host(Text::lossy(text))));
            }
            SiteCommand::PatchLabels(level, patch) => {
                self.labels.handle_patch(id, (level, &patch), now, &mut self.effects);
            }
            SiteCommand::PlanRecords => self.providers.plan_records(id, now, &mut self.effects),
            SiteCommand::AdoptRecord(key) => self.providers.adopt_record(id, key, &mut self.effects),
            SiteCommand::Host(command) => self.handle_host_command(id, command, now),
        }
        self.settle_down(now);
    }

    /// Handles the answer to a provider call. An unexpected one is ignored and counted.
    pub fn handle_provider(&mut self, call: CallId, reply: ProviderReply, now: Now) {
        self.providers.handle_reply((call, reply), &mut self.plugins, now, &mut self.effects);
        self.settle_down(now);
    }

    /// Handles changed secrets or changed access to them: providers that failed without them retry.
    pub fn handle_secrets_changed(&mut self, now: Now) {
        self.providers.handle_secrets_changed(&mut self.effects);
        self.settle_down(now);
    }

    /// Handles expired timers.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(timer) = self.next_expired(now) {
            let effects = &mut self.effects;
            match timer {
                Timer::DialLate | Timer::GreetingLate => self.uplink.give_up(now, effects),
                Timer::Redial => {
                    self.facts.handle_dial();
                    self.uplink.dial(now, effects);
                }
                Timer::Facts => {
                    self.certificate.clock_mut().handle_tick(now, effects);
                    FactCollection::collect(now, effects);
                }
                Timer::StoreRetry => StoreHealth::retry(self.uplink.session(), &self.replication, now, effects),
                Timer::Renew => self.certificate.renew(self.uplink.session(), now, effects),
                Timer::Fetch(digest) => self.plugins.resume(digest, self.providers.needs(digest), now, effects),
                Timer::SaveIdentity => self.certificate.save_again(effects),
                Timer::SaveServers => self.uplink.save_servers(effects),
                Timer::SaveAuthorities => self.authorities.save(effects),
                Timer::LocalSocket => effects.output(SiteOutput::OpenLocalSocket),
                Timer::Round(provider) => self.providers.handle_round_due(provider, effects),
                Timer::CallLate(provider) => self.providers.handle_call_late(provider, now, effects),
                Timer::Withdraw => self.providers.handle_withdraw_expired(effects),
                Timer::NoteGap => self.uplink.note_gap(now, effects),
                Timer::ListenForHosts => self.hosts.listen_again(effects),
                Timer::Hosts(_) => self.handle_hosts_timeout(now),
            }
            self.settle_down(now);
        }
    }

    /// Stops the machine: closes the session with the server, and notes the stop.
    pub fn handle_stop(&mut self, now: Now) {
        if !std::mem::replace(&mut self.is_stopped, true) {
            self.hosts.stop(None, now, &mut self.effects);
            self.uplink.stop(now, &mut self.effects);
        }
    }

    /// Returns the next output, or `None` if there is none.
    pub fn poll_output(&mut self) -> Option<SiteOutput> {
        self.effects.next_output()
    }

    /// Returns when to call `handle_timeout` next, and for which timer.
    pub fn next_deadline(&self) -> Option<(Instant, Timer)> {
        if self.is_stopped { None } else { self.first_deadline() }
    }

    /// Returns the number of unexpected answers that were ignored.
    pub const fn ignored(&self) -> u64 {
        self.effects.ignored() + self.hosts.ignored()
    }

    /// Returns the value of one of the site's effective labels.
    pub fn label(&self, key: &str) -> Option<String> {
        self.documents().label(key)
    }

    /// Whether this machine has joined as a host.
    fn is_host(&self) -> bool {
        self.certificate.member().is_some_and(|(kind, _)| kind == MemberKind::Host)
    }

    fn documents(&self) -> SiteDocuments<'_> {
        SiteDocuments::new(self.effects.state(), self.certificate.member())
    }

    fn greet(&mut self, dial: DialId, now: Now) {
        let inputs = (self.effects.state(), &self.documents());
        let gaps = self.uplink.gaps(now);
        let message = handshake::first_message((self.uplink.purpose(), &self.config), inputs, (&self.facts, gaps), now);
        self.effects.send(dial, message);
    }

    fn receive(&mut self, dial: DialId, message: FromParent, now: Now) {
        let result = match message {
            FromParent::Welcome(welcome) => return self.handle_welcome(dial, &welcome, now),
            FromParent::Identity(grant) => return self.uplink.handle_certificate(grant, &mut self.effects),
            FromParent::Probe => return self.effects.send(dial, FromMember::Alive),
            FromParent::Plugin(piece) => {
                let failed = self.plugins.handle_piece(dial, piece, now, &mut self.effects);
                return failed.into_iter().for_each(|digest| self.providers.handle_plugin_arrived(digest));
            }
            FromParent::Servers(told) => return self.uplink.handle_servers(told, &mut self.effects),
            FromParent::Authorities(told) => return self.handle_authorities(told, now),
            FromParent::Spec(delta) => self.handle_spec(dial, delta, now),
            FromParent::StatusAck(held) => self.replication.handle_status_ack(held),
            FromParent::EventsAck(held) => self.replication.handle_events_ack(held, &mut self.effects),
        };
        if let Err(violation) = result {
            self.uplink.break_off(&violation, now, &mut self.effects);
        }
    }

    fn handle_welcome(&mut self, dial: DialId, welcome: &Welcome, now: Now) {
        let effects = &mut self.effects;
        self.uplink.handle_welcome(welcome, now, effects);
        let is_behind = self.replication.open(welcome, effects);
        self.certificate.clock_mut().handle_welcome(welcome.wall, now, effects);
        if is_behind {
            self.replication.begin_incarnation(dial, effects);
        } else {
            effects.forget_events();
        }
        note_observed_address(&welcome.observed_address, &mut self.effects);
        self.plugins.request(self.uplink.session(), &mut self.effects);
        self.certificate.plan_renewal(now, &mut self.effects);
    }

    /// Ends what depends on a link that has ended.
    fn follow_link(&mut self, now: Now) {
        if self.uplink.session().is_none() {
            self.replication.close(&mut self.effects);
            self.authorities.handle_session_ended(&mut self.effects);
        }
        if self.uplink.is_removed() && !std::mem::replace(&mut self.is_stopped, true) {
            self.dismiss_hosts(now);
        }
    }

    /// Follows up on an input: recomputes a stale status and sends what the server lacks.
    fn settle_down(&mut self, now: Now) {
        self.follow_link(now);
        if let (true, Some(member)) = (self.effects.is_status_stale(), self.certificate.member()) {
            self.providers.reconcile(now, &mut self.effects);
            // While the store fails, only the retry timer touches it: status stays stale.
            if self.effects.deadline(Timer::StoreRetry).is_none() {
                self.reconcile_hosts(now);
                let inputs = StatusInputs {
                    member,
                    daemon_version: &self.config.daemon_version,
                    labels: &self.labels,
                    facts: &self.facts,
                    hosts: Some(&self.hosts),
                    providers: self.providers.reported(self.effects.state()),
                    is_settled: self.providers.is_settled(),
                };
                refresh_status(inputs, now, &mut self.effects);
            }
        }
        if let Some(dial) = self.uplink.session().filter(|_| self.replication.may_send()) {
            self.storage.tell(dial, &mut self.effects);
            self.replication.pump(dial, &mut self.effects);
        }
        self.uplink.report_servers(&mut self.effects);
        self.report_authorities();
        debug_assert_eq!(self.uplink.session().is_some(), self.replication.is_open(), "they begin and end together");
        self.uplink.assert_timers(&self.effects);
    }

    fn release(&mut self, release: Release, now: Now) {
        match release {
            Release::GreetAgain { dial } => {
                self.uplink.greet_again(dial, now, &mut self.effects);
                self.follow_link(now);
            }
            Release::SpecAck { dial, held } if self.uplink.current() == Some(dial) => {
                self.effects.send(dial, FromMember::SpecAck(held));
            }
            Release::SpecAck { .. } | Release::Recorded(_) | Release::CountedLost(_) => {}
            Release::Reply(command) => self.effects.reply(command, Ok(())),
            Release::Host(release) => self.release_to_host(release, now),
            Release::Noted(provider) => self.providers.handle_noted(provider, true, now, &mut self.effects),
            Release::StoreTried => {
                StoreHealth::handle_recovered(now, &mut self.effects);
                self.providers.request_rounds();
                self.effects.stage_queued_events();
                self.uplink.save_record(now, &mut self.effects);
            }
        }
    }
}
