//! Fleet: the state machine of the server.
//!
//! It wires together the [`registry`] (membership), the [`downlink`] (sessions and presence), [`sync`](crate::sync)
//! (spec down, status up), [`operator`] commands, and the [`ledger`](crate::ledger), which releases nothing before it
//! is durable. Those modules hold the rules; this one dispatches inputs to them.
//!
//! Presence lives in memory: a link that drops and reconnects causes no write. Only a site that is away for longer than
//! [`DISCONNECTED_AFTER`] is recorded as disconnected, and recorded again when it returns.

#[cfg(test)]
mod bounds;
mod config;
mod downlink;
mod handshake;
mod members;
mod operator;
mod output;
mod pace;
mod providers;
mod registry;
mod replication;
mod state;
mod storage;
mod subject;
mod sweep;
mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use linecamp_model::limits::SITES_PER_ENVIRONMENT_MAX;
use linecamp_model::{
    CommandId, Environment, EventKind, FleetChange, FleetOrigin, FromServer, FromSite, Incarnation, Instant, LinkState,
    Name, Now, Refusal, RefusalCode, ReplicationCursor, SessionId, SiteId, Text, WallTime, WriteId,
};

pub use self::config::{
    CERTIFICATE_LIFE, DUPLICATE_CLEARS_AFTER, DUPLICATE_RETRY, FIRST_MESSAGE_MAX, FleetConfig, PHASE_DEADLINE,
    PROBE_MAX, RECOVERIES_PER_DAY_DEFAULT, REDIALS_PER_SECOND, REMOVED_KEEP_DEFAULT, START_GRACE, SWEEP_PERIOD,
    SavedFleet, UnreadableRecord,
};
pub use self::downlink::{Credential, Peer};
pub use self::operator::{Edit, EnvironmentEdit, FleetCommand, FleetCommandError, Force, NewToken};
pub use self::output::{FleetOutput, FleetTimer, IssueRequest, SessionEvent};
pub use self::pace::{PACE_BURST, PACE_OVERDRAFT_MAX, PACE_PER_SECOND};
pub use self::providers::ProviderSummary;
pub use self::subject::{SiteRef, Subject};
pub use self::view::{EventFilter, LinkCounts, SeenLabels, SiteFilter};

use self::config::{
    CERTIFICATE_BACKDATE_MAX, CERTIFICATE_BACKDATE_PART, OPENING_SESSIONS_MAX, RESTART_ALLOWANCE, STORE_RETRY,
};
use self::downlink::{Downlink, Link, Session, Slots, Stage, Waits};
use self::operator::{Decision, Note, decide};
use self::providers::Forced;
use self::registry::Membership;
use self::state::{FleetState, event};
use crate::ledger::Ledger;
use crate::mutants::{Mutant, planted};
use crate::rng::Rng;
use crate::timers::Timers;
use crate::{DISCONNECTED_AFTER, StoreFault};

/// The rules of an environment that was never edited.
pub const ENVIRONMENT_DEFAULT: Environment = Environment {
    approval: false,
    recoveries_per_day_max: RECOVERIES_PER_DAY_DEFAULT,
    removed_keep: REMOVED_KEEP_DEFAULT,
};

/// What is released when a write is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Release {
    Output(FleetOutput),
    SpecDurable(SiteId),
    /// Ends the store failure.
    StoreTried,
}

/// The state machine of the server. The [crate] docs describe how to drive it.
#[derive(Clone, Debug)]
pub struct Fleet {
    config: FleetConfig,
    ledger: Ledger<FleetState, Release>,
    downlink: Downlink,
    slots: Slots,
    started: Now,
    timers: Timers<FleetTimer>,
    outputs: VecDeque<FleetOutput>,
    /// Sites whose provider assignment must be recomputed.
    unassigned: BTreeSet<SiteId>,
    /// Sites whose records cannot be read, and why.
    quarantined: BTreeMap<SiteId, Text>,
    rng: Rng,
    /// Why the store fails to commit, if it does.
    store_fault: Option<StoreFault>,
    ignored: u64,
}

impl Fleet {
    /// Starts from saved state. The [crate] docs describe how to drive it.
    pub fn new(config: FleetConfig, saved: SavedFleet, rng: Rng, now: Now) -> Self {
        let mut fleet = Self {
            config,
            ledger: Ledger::new(FleetState::from_records(saved.readable())),
            downlink: Downlink::default(),
            slots: Slots::new(REDIALS_PER_SECOND),
            started: now,
            timers: Timers::default(),
            outputs: VecDeque::new(),
            unassigned: BTreeSet::new(),
            quarantined: BTreeMap::new(),
            rng,
            store_fault: None,
            ignored: 0,
        };
        fleet.quarantine(saved.unreadable, now);
        if fleet.ledger.state().origin.is_none() {
            let origin = FleetOrigin { spec_incarnation: Incarnation(fleet.rng.next_u64() | 1) };
            let default = Name::parse("default").expect("`default` is a name");
            let environment = FleetChange::Environment(default, Some(ENVIRONMENT_DEFAULT));
            fleet.stage(vec![FleetChange::Origin(Some(origin)), environment], Vec::new());
        }
        fleet.timers.set(FleetTimer::Sweep, now.instant + SWEEP_PERIOD);
        fleet.expect_everybody(now);
        fleet
    }

    /// Handles a session event. The driver numbers sessions in ascending order and never reuses a number.
    pub fn handle_session(&mut self, id: SessionId, event: SessionEvent, now: Now) {
        match event {
            SessionEvent::Opened(peer) => self.open(id, peer, now),
            SessionEvent::Received(message) => self.receive(id, message, now),
            SessionEvent::Moved(address) => self.relocate(id, address),
            SessionEvent::Closed(_) => self.close(id, now),
        }
        self.settle_providers(now);
    }

    /// Handles an operator command.
    pub fn handle_command(&mut self, id: CommandId, command: FleetCommand, now: Now) {
        let forced = Forced::of(self.ledger.state(), &command);
        match decide(self.ledger.state(), command, now) {
            Ok(decision) => {
                if !decision.changes.is_empty() {
                    self.force(forced, now);
                }
                self.carry_out(decision, vec![FleetOutput::Reply { command: id, result: Ok(()) }], now);
            }
            Err(error) => self.outputs.push_back(FleetOutput::Reply { command: id, result: Err(error) }),
        }
        self.settle_providers(now);
    }

    /// Handles the store's confirmation that a write is durable.
    pub fn handle_persisted(&mut self, write: WriteId, now: Now) {
        let Some(settled) = self.ledger.settle(write, true) else {
            self.ignored += 1;
            return;
        };
        for release in settled.releases {
            match release {
                Release::Output(FleetOutput::Hangup { session, refusal }) => self.refuse(session, refusal, now),
                Release::Output(FleetOutput::Send {
                    session,
                    message: message @ (FromServer::StatusAck(_) | FromServer::EventsAck(_)),
                }) => self.acknowledge(session, message, now),
                Release::Output(output) => self.outputs.push_back(output),
                Release::SpecDurable(site) => self.spec_settled(site, now),
                Release::StoreTried => self.store_is_well(),
            }
        }
        self.settle_providers(now);
    }

    /// Handles the store's report that a write failed. It and all later ones are undone.
    pub fn handle_persist_failed(&mut self, write: WriteId, fault: StoreFault, now: Now) {
        let Some(settled) = self.ledger.settle(write, false) else {
            self.ignored += 1;
            return;
        };
        self.store_failed(fault, now);
        self.outputs.push_back(FleetOutput::ResumeStore(write));
        for release in settled.releases {
            match release {
                Release::Output(output) => self.take_back(output, fault, now),
                Release::SpecDurable(site) => self.spec_settled(site, now),
                Release::StoreTried => {}
            }
        }
    }

    /// Handles expired timers.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(timer) = self.timers.pop_expired(now.instant) {
            match timer {
                FleetTimer::Late(session) => self.too_late(session, now),
                FleetTimer::ProbeLate(session) => self.probe_unanswered(session, now),
                FleetTimer::Acknowledge(session) => self.acknowledge_held(session, now),
                FleetTimer::Pieces(session) => self.read_waiting_pieces(session),
                FleetTimer::Resend(session) => self.resend(session),
                FleetTimer::Disconnect(site) => self.disconnect(site, now),
                FleetTimer::DuplicateClears(site) => self.duplicate_clears(site),
                FleetTimer::Sweep => self.sweep(now),
                FleetTimer::StoreRetry => self.retry_store(now),
            }
        }
        self.settle_providers(now);
    }

    /// Stops the machine: closes every session and assigns each site its own retry slot.
    pub fn handle_stop(&mut self, now: Now) {
        let mut slots = Slots::new(REDIALS_PER_SECOND);
        let sessions: Vec<_> = self.downlink.sessions.keys().copied().collect();
        for session in sessions {
            let slot = RESTART_ALLOWANCE + slots.take(now.instant);
            let refusal = Refusal::new(RefusalCode::ServerStopping, "the server is stopping").retry_after(slot);
            self.refuse(session, refusal, now);
        }
    }

    /// Returns the next output, or `None` if there is none.
    pub fn poll_output(&mut self) -> Option<FleetOutput> {
        self.outputs.pop_front()
    }

    /// Returns when to call `handle_timeout` next, and for which timer.
    pub fn next_deadline(&self) -> Option<(Instant, FleetTimer)> {
        self.timers.next()
    }

    /// Whether everything decided so far is durable. Views for operators may be one commit ahead of the disk; replies
    /// never are.
    pub fn is_durable(&self) -> bool {
        self.ledger.in_flight() == 0
    }

    /// Returns the number of unexpected answers that were ignored.
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Marks every site as reconnecting at startup, unless it was disconnected before.
    fn expect_everybody(&mut self, now: Now) {
        let sites = self.ledger.state().registered().filter(|(_, _, of)| !of.life.phase.is_gone());
        let sites: Vec<_> = sites.map(|(id, _, of)| (id, of.offline_since)).collect();
        for (id, offline_since) in sites {
            let link = match offline_since {
                Some(since) => Link::new(LinkState::Disconnected, since, Text::default()),
                None => Link::new(LinkState::Reconnecting, now.wall, Text::default()),
            };
            if offline_since.is_none() {
                self.timers.set(FleetTimer::Disconnect(id), now.instant + START_GRACE.max(DISCONNECTED_AFTER));
            }
            self.downlink.links.insert(id, link);
        }
    }

    fn open(&mut self, id: SessionId, peer: Peer, now: Now) {
        self.downlink.sessions.insert(id, Session { peer, stage: Stage::Opened, waits: Waits::default() });
        self.downlink.opening += 1;
        self.timers.set(FleetTimer::Late(id), now.instant + FIRST_MESSAGE_MAX);
        if OPENING_SESSIONS_MAX < self.downlink.opening {
            let slot = self.slots.take(now.instant);
            self.refuse(
                id,
                Refusal::new(RefusalCode::Busy, "the server has too many newcomers").retry_after(slot),
                now,
            );
        }
    }

    fn receive(&mut self, id: SessionId, message: FromSite, now: Now) {
        if let Err(refusal) = self.admit_message(id, &message, now) {
            return self.refuse(id, refusal, now);
        }
        let Some(session) = self.downlink.sessions.get(&id) else {
            self.ignored += 1;
            return;
        };
        match (&session.stage, message) {
            (Stage::Opened, FromSite::Join(request)) => self.join(id, &request, now),
            (Stage::Opened, FromSite::Hello(hello)) => self.greet(id, hello, now),
            (Stage::Up { .. }, FromSite::SpecAck(held)) => self.handle_spec_ack(id, held, now),
            (Stage::Up { .. }, FromSite::Status(delta)) => self.handle_status(id, delta, now),
            (Stage::Up { .. }, FromSite::Events(batch)) => self.handle_events(id, batch, now),
            (Stage::Up { site, .. }, FromSite::Renew) => self.renew(id, *site, now),
            (Stage::Up { site, .. }, FromSite::Alive) => self.probe_answered(*site, now),
            (Stage::Up { site, .. }, FromSite::WantPlugin(want)) => self.want_plugin(id, *site, want, now),
            (Stage::Up { .. }, FromSite::Storage(conditions)) => self.handle_storage(id, conditions, now),
            (Stage::Closing, _) => self.ignored += 1,
            (Stage::Opened | Stage::Probing { .. } | Stage::Up { .. }, _) => {
                self.refuse(id, Refusal::new(RefusalCode::Protocol, "a message out of order"), now);
            }
        }
    }

    fn relocate(&mut self, id: SessionId, address: Text) {
        if let Some(session) = self.downlink.sessions.get_mut(&id) {
            session.peer.address = address.clone();
        }
        let site = self.downlink.up(id).map(|(site, _)| site);
        if let Some(link) = site.and_then(|site| self.downlink.links.get_mut(&site)) {
            link.address = address;
        }
    }

    fn close(&mut self, id: SessionId, now: Now) {
        let Some(session) = self.downlink.remove(id) else {
            self.ignored += 1;
            return;
        };
        self.clear_session_timers(id);
        match session.stage {
            Stage::Up { site, .. } => self.lose(site, id, now),
            Stage::Probing { site, .. } => {
                if let Some(link) = self.downlink.links.get_mut(&site) {
                    link.probing = None;
                }
            }
            Stage::Opened | Stage::Closing if planted(Mutant::CloseBySite) => {
                let site = SiteId::of_key(&session.peer.fingerprint);
                if let Some(current) = self.downlink.links.get(&site).and_then(|link| link.session) {
                    self.lose(site, current, now);
                }
            }
            Stage::Opened | Stage::Closing => {}
        }
    }

    /// Handles the end of a site's session. A session that waits for its place takes over.
    fn lose(&mut self, site: SiteId, session: SessionId, now: Now) {
        let Some(link) = self.downlink.links.get_mut(&site).filter(|link| link.session == Some(session)) else {
            return;
        };
        link.session = None;
        link.state = LinkState::Reconnecting;
        link.since = now.wall;
        let grace_ends = self.started.instant + START_GRACE;
        self.timers.set(FleetTimer::Disconnect(site), (now.instant + DISCONNECTED_AFTER).max(grace_ends));
        if let Some(waiting) = link.probing.take() {
            self.probe_unanswered(waiting, now);
        }
    }

    fn disconnect(&mut self, site: SiteId, now: Now) {
        if self.ledger.state().site(site).is_none_or(|(_, registration)| registration.life.phase.is_gone()) {
            self.downlink.links.remove(&site);
            return;
        }
        let Some(link) = self.downlink.links.get_mut(&site).filter(|link| link.session.is_none()) else {
            return;
        };
        link.state = LinkState::Disconnected;
        let since = link.since;
        let changes = self.offline_changes(site, Some(since));
        let note = (EventKind::SiteDisconnected, Some(site), format!("no link since {since}"));
        self.stage_noted(changes, note, Vec::new(), now);
    }

    /// Returns the changes that record since when a site is offline, or that it is online.
    fn offline_changes(&self, site: SiteId, offline_since: Option<WallTime>) -> Vec<FleetChange> {
        let known = self.ledger.state().site(site).map(|(_, registration)| registration);
        let changed = known.filter(|registration| registration.offline_since != offline_since);
        let after = changed.map(|before| linecamp_model::Registration { offline_since, ..before.clone() });
        after.into_iter().map(|after| FleetChange::Site(site, Some(after))).collect()
    }

    /// Handles a session that missed its deadline to send its first message or to close.
    fn too_late(&mut self, id: SessionId, now: Now) {
        let is_done = self.downlink.sessions.get(&id).is_some_and(|session| matches!(session.stage, Stage::Closing));
        let refusal = match is_done {
            true => Refusal::new(RefusalCode::Done, "there is nothing more to say on this session"),
            false => Refusal::new(RefusalCode::Protocol, "no greeting in time"),
        };
        self.refuse(id, refusal, now);
    }

    /// Closes a session; if it was the site's current one, the site has lost its link.
    fn refuse(&mut self, id: SessionId, refusal: Refusal, now: Now) {
        let site = self.downlink.up(id).map(|(site, _)| site);
        self.downlink.set_stage(id, Stage::Closing);
        self.outputs.push_back(FleetOutput::Hangup { session: id, refusal });
        if let Some(site) = site {
            self.lose(site, id, now);
        }
    }

    /// Stages a decision together with its event; `then` is released when it is durable.
    fn carry_out(&mut self, decision: Decision, then: Vec<FleetOutput>, now: Now) {
        if decision.changes.is_empty() {
            return self.release_when_durable(then);
        }
        let mut releases: Vec<_> = then.into_iter().map(Release::Output).collect();
        if let Some(site) = decision.site {
            releases.push(Release::SpecDurable(site));
            if let Some(link) = self.downlink.links.get_mut(&site) {
                link.specs_in_flight += 1;
            }
            if let Some(removed) = self.farewell(site, &decision.changes) {
                releases.push(Release::Output(removed));
            }
        }
        match decision.event {
            Some(note) => self.stage_noted(decision.changes, note, releases, now),
            None => self.stage(decision.changes, releases),
        }
    }

    /// Returns the hang-up that tells a connected site it was removed, if `changes` remove it.
    fn farewell(&self, site: SiteId, changes: &[FleetChange]) -> Option<FleetOutput> {
        let is_removal = changes.iter().any(|change| matches!(change, FleetChange::RevokedKey(..)));
        let session = self.downlink.links.get(&site)?.session.filter(|_| is_removal)?;
        let text = "this site was removed at the server; to bring the machine back, join it again with a new token";
        Some(FleetOutput::Hangup { session, refusal: Refusal::new(RefusalCode::Removed, text) })
    }

    /// Releases `outputs` once everything staged so far is durable.
    fn release_when_durable(&mut self, outputs: Vec<FleetOutput>) {
        if self.ledger.in_flight() == 0 {
            self.outputs.extend(outputs);
        } else {
            self.stage(Vec::new(), outputs.into_iter().map(Release::Output).collect());
        }
    }

    /// Reports a failed write to the operator or session that waited for it.
    fn take_back(&mut self, output: FleetOutput, fault: StoreFault, now: Now) {
        match output {
            FleetOutput::Reply { command, .. } => {
                let result = Err(FleetCommandError::Store(fault));
                self.outputs.push_back(FleetOutput::Reply { command, result });
            }
            FleetOutput::Issue { session, .. } => {
                let text = "the server cannot write to its store; nothing was changed";
                self.refuse(session, Refusal::new(RefusalCode::StoreFailed, text).retry_after(STORE_RETRY), now);
            }
            FleetOutput::Send { session, message: FromServer::Welcome(_) } => {
                let text = "the server cannot write to its store";
                self.refuse(session, Refusal::new(RefusalCode::StoreFailed, text).retry_after(STORE_RETRY), now);
            }
            FleetOutput::Send { session, .. } => {
                self.timers.set(FleetTimer::Acknowledge(session), now.instant + STORE_RETRY);
            }
            FleetOutput::Hangup { .. }
            | FleetOutput::Persist { .. }
            | FleetOutput::TryStore(_)
            | FleetOutput::ResumeStore(_)
            | FleetOutput::ReadPlugin { .. } => {}
        }
    }

    fn spec_settled(&mut self, site: SiteId, now: Now) {
        if let Some(link) = self.downlink.links.get_mut(&site) {
            link.specs_in_flight = link.specs_in_flight.saturating_sub(1);
        }
        self.confirm(site, now);
        self.pump(site);
    }

    /// Stages changes and their event as one write.
    fn stage_noted(&mut self, mut changes: Vec<FleetChange>, note: Note, releases: Vec<Release>, now: Now) {
        let (kind, site, text) = note;
        changes.extend(self.ledger.state().event_changes(event(kind, site, &text, now)));
        self.stage(changes, releases);
    }

    fn stage(&mut self, changes: Vec<FleetChange>, mut releases: Vec<Release>) {
        if planted(Mutant::AcknowledgeBeforePersist) {
            let is_output = |release: &mut Release| matches!(release, Release::Output(_));
            for release in releases.extract_if(.., is_output) {
                if let Release::Output(output) = release {
                    self.outputs.push_back(output);
                }
            }
        }
        let write = self.ledger.stage(&changes, releases);
        self.note_unassigned(&changes);
        self.outputs.push_back(FleetOutput::Persist { write, changes });
    }

    fn clear_session_timers(&mut self, id: SessionId) {
        use FleetTimer as Timer;
        for timer in
            [Timer::Late(id), Timer::ProbeLate(id), Timer::Acknowledge(id), Timer::Pieces(id), Timer::Resend(id)]
        {
            self.timers.clear(timer);
        }
    }

    /// Returns the interval over which this fleet should spread its redials.
    fn redial_spread(&self) -> Duration {
        let sites = u32::try_from(self.downlink.links.len().min(SITES_PER_ENVIRONMENT_MAX * 100)).unwrap_or(u32::MAX);
        Duration::from_secs(1) * sites / REDIALS_PER_SECOND
    }

    fn issue_request(&self, member: Membership, now: Now) -> IssueRequest {
        let life = self.config.certificate_life;
        let backdate = CERTIFICATE_BACKDATE_MAX.min(life / CERTIFICATE_BACKDATE_PART);
        let backdate = u64::try_from(backdate.as_millis()).unwrap_or(u64::MAX);
        IssueRequest {
            site: member.site,
            name: member.name,
            environment: member.environment,
            not_before: WallTime::from_unix_millis(now.wall.unix_millis().saturating_sub(backdate)),
            not_after: now.wall + life,
        }
    }

    fn cursor_of(&self, site: SiteId) -> ReplicationCursor {
        self.ledger.state().sites.get(&site).and_then(|record| record.cursor).unwrap_or_default()
    }
}
