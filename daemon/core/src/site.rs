//! Site: the state machine of one daemon.
//!
//! It wires together [`uplink`](self::uplink) (the connection to the server), [`sync`](crate::sync) (spec down, status
//! up), the event outbox, and the [`ledger`](crate::ledger), which releases nothing before it is durable. Those modules
//! hold the rules; this one dispatches inputs to them.
//!
//! Status is never written directly. It is computed from spec, labels, facts and conditions after every input, and
//! becomes a new document only where it differs. In steady state nothing is written, and a restart needs no recovery
//! step.

mod config;
mod facts;
mod fetch;
mod labels;
mod output;
mod providers;
mod session;
mod state;
mod status;
mod storage;
mod uplink;
mod view;

use std::collections::{BTreeMap, VecDeque};

use linecamp_model::{
    CommandId, ConditionKind, DialId, Event, EventKind, FromSite, Generation, Instant, LabelPatch, Now, PluginDigest,
    ProviderId, Refusal, SiteChange, Text, WallTime, WriteId,
};

pub use self::config::{
    CLOCK_SKEW_MAX, DIAL_MAX, FACTS_PERIOD, FIRST_FACTS_MAX, GREETING_MAX, JoinWish, REDIAL_MAX, REDIAL_MAX_SPREADS,
    REDIAL_SPREAD_DEFAULT, RENEW_RETRY_MAX, RENEW_RETRY_MIN, RETRY_SLOT_MAX, STORE_RETRY, SavedSite, SiteConfig,
    SiteIdentity, WITHDRAW_MAX,
};
pub use self::facts::{Fact, Facts};
pub use self::labels::{DropIns, LabelLayer};
pub use self::output::{LinkEvent, SiteCommand, SiteCommandError, SiteOutput, Timer};
pub use self::storage::UnsavedIdentity;
pub use self::uplink::{Dial, LossReason, Purpose};

pub(crate) use self::state::set;

use self::facts::Observation;
use self::fetch::Fetch;
use self::session::SessionProgress;
use self::state::SiteState;
use self::storage::Storage;
use self::uplink::{State, Uplink, is_removed, stopping};
use crate::conditions::Conditions;
use crate::ledger::Ledger;
use crate::mutants::{Mutant, planted};
use crate::providers::Providers;
use crate::rng::Rng;
use crate::timers::Timers;

/// What is released when a write is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Release {
    SpecAck {
        dial: DialId,
        held: Generation,
    },
    /// Repeat the handshake under the incarnation that this write makes durable.
    GreetAgain {
        dial: DialId,
    },
    Reply(CommandId),
    /// The ownership notes that a provider's changes wait for.
    Noted(ProviderId),
    /// Releases nothing; a failed write gives the event back.
    Recorded(Event),
    /// Releases nothing; a failed write gives the count of lost events back.
    CountedLost(u64),
    /// Ends the store failure.
    StoreTried,
}

/// The state machine of one daemon. The [crate] docs describe how to drive it.
#[derive(Clone, Debug)]
pub struct Site {
    config: SiteConfig,
    identity: Option<SiteIdentity>,
    ledger: Ledger<SiteState, Release>,
    uplink: Uplink,
    following: Option<SessionProgress>,
    /// The facts observed about this host.
    facts: Observation,
    drop_ins: DropIns,
    /// Labels from drop-in files of an earlier run, kept while one of these files cannot be read.
    kept_labels: LabelLayer,
    providers: Providers,
    /// Plugins being fetched from the server.
    fetches: BTreeMap<PluginDigest, Fetch>,
    conditions: Conditions,
    storage: Storage,
    /// Whether an input of the status may have changed.
    is_status_stale: bool,
    server_ahead: (WallTime, WallTime),
    rng: Rng,
    timers: Timers<Timer>,
    outputs: VecDeque<SiteOutput>,
    ignored: u64,
    is_stopped: bool,
}

impl Site {
    /// Starts from saved state. The [crate] docs describe how to drive it.
    pub fn new(config: SiteConfig, saved: SavedSite, rng: Rng, now: Now) -> Self {
        let purpose = match (&saved.identity, &config.join) {
            (Some(_), _) => Some(Purpose::Link),
            (None, Some(_)) => Some(Purpose::Join),
            (None, None) => None,
        };
        let uplink = Uplink::new(config.servers.clone(), purpose, now);
        let mut site = Self {
            uplink,
            config,
            identity: saved.identity,
            ledger: Ledger::new(SiteState::from_records(saved.records)),
            following: None,
            facts: Observation::default(),
            drop_ins: DropIns::default(),
            kept_labels: LabelLayer::new(),
            providers: Providers::default(),
            fetches: BTreeMap::new(),
            conditions: Conditions::default(),
            storage: Storage::default(),
            is_status_stale: true,
            server_ahead: (WallTime::EPOCH, WallTime::EPOCH),
            rng,
            timers: Timers::default(),
            outputs: VecDeque::new(),
            ignored: 0,
            is_stopped: false,
        };
        if site.ledger.state().origin.is_none() {
            site.begin_origin();
        }
        if let Some(place) = saved.damaged {
            let detail = format!("the site database was damaged and put aside as {place}; the site went on without it");
            site.raise(ConditionKind::StoreDamaged, Text::lossy(&detail), now);
        }
        if site.identity.is_some() {
            site.record(EventKind::DaemonStarted, &format!("daemon {} started", site.config.daemon_version), now);
        }
        site.restore_stale_facts();
        if saved.drop_ins.is_partial {
            site.keep_labels();
        }
        site.take_drop_ins(saved.drop_ins, now);
        site.timers.set(Timer::Facts, now.instant);
        if purpose.is_some() {
            // The first dial has a random delay too: after a power cut a whole region starts at once.
            let delay = site.rng.delay_up_to(REDIAL_SPREAD_DEFAULT / 4);
            // The server treats missing facts as removed.
            site.facts.holds_up_dial = site.identity.is_some() && site.held_reported().is_empty();
            let delay = if site.facts.holds_up_dial { FIRST_FACTS_MAX } else { delay };
            site.timers.set(Timer::Redial, now.instant + delay);
        }
        site.settle_down(now);
        site
    }

    /// Handles a link event.
    pub fn handle_link(&mut self, event: LinkEvent, now: Now) {
        match event {
            LinkEvent::Dialed(dial) if self.uplink.handle_dialed(dial, &mut self.timers, now) => self.greet(dial, now),
            LinkEvent::Received(dial, message) if self.uplink.current() == Some(dial) => {
                self.receive(dial, message, now)
            }
            LinkEvent::Lost(dial, reason) if self.uplink.current() == Some(dial) => self.lose(&reason, now),
            LinkEvent::Dialed(_) | LinkEvent::Received(..) | LinkEvent::Lost(..) => self.ignored += 1,
        }
        self.settle_down(now);
    }

    /// Handles the store's confirmation that a write is durable.
    pub fn handle_persisted(&mut self, write: WriteId, now: Now) {
        let Some(settled) = self.ledger.settle(write, true) else {
            self.ignored += 1;
            return;
        };
        for release in settled.releases {
            self.release(release, now);
        }
        self.settle_down(now);
    }

    /// Handles new contents of the drop-in files.
    pub fn handle_drop_ins(&mut self, drop_ins: DropIns, now: Now) {
        self.take_drop_ins(drop_ins, now);
        self.settle_down(now);
    }

    /// Handles a command from the local socket.
    pub fn handle_command(&mut self, id: CommandId, command: SiteCommand, now: Now) {
        match command {
            SiteCommand::PatchLabels(level, patch) => self.patch_labels(id, (level, &patch), now),
            SiteCommand::PlanRecords => self.plan_records(id, now),
            SiteCommand::AdoptRecord(key) => self.adopt_record(id, key),
        }
        self.settle_down(now);
    }

    fn patch_labels(&mut self, id: CommandId, (level, patch): (linecamp_model::Level, &LabelPatch), now: Now) {
        match self.patched(level, patch, now) {
            Ok(labels) => {
                // One write: if the change is not persisted, neither is its event.
                let text = format!("{level} labels set on the spot: {}", describe_patch(patch));
                let event =
                    Event { at: now.wall, kind: EventKind::LabelsSetLocally, site: None, text: Text::lossy(&text) };
                let mut changes = vec![SiteChange::LocalLabels(level, Some(labels))];
                changes.extend(self.event_changes(event));
                self.stage(&changes, vec![Release::Reply(id)]);
            }
            Err(error) => {
                let result = Err(SiteCommandError::Labels(error));
                self.outputs.push_back(SiteOutput::Reply { command: id, result });
            }
        }
    }

    /// Handles expired timers.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(timer) = self.timers.pop_expired(now.instant) {
            match timer {
                Timer::DialLate | Timer::GreetingLate => self.give_up(now),
                Timer::Redial => {
                    self.facts.holds_up_dial = false;
                    self.dial(now);
                }
                Timer::Facts => {
                    self.outputs.push_back(SiteOutput::CollectFacts);
                    self.timers.set(Timer::Facts, now.instant + FACTS_PERIOD);
                }
                Timer::StoreRetry => {
                    self.retry_store(now);
                    self.settle_down(now);
                }
                Timer::Renew => self.renew(now),
                Timer::Fetch(digest) => self.retry_fetch(digest, now),
                Timer::SaveIdentity => self.save_identity_again(),
                Timer::LocalSocket => self.outputs.push_back(SiteOutput::OpenLocalSocket),
                Timer::Round(provider) => self.handle_round_due(provider, now),
                Timer::CallLate(provider) => self.handle_call_late(provider, now),
                Timer::Withdraw => self.handle_withdraw_expired(now),
            }
        }
    }

    /// Stops the machine: closes the session with the server.
    pub fn handle_stop(&mut self) {
        self.is_stopped = true;
        if let Some(dial) = self.uplink.current() {
            self.outputs.push_back(SiteOutput::Hangup { dial, refusal: stopping() });
        }
    }

    /// Returns the next output, or `None` if there is none.
    pub fn poll_output(&mut self) -> Option<SiteOutput> {
        self.outputs.pop_front()
    }

    /// Returns when to call `handle_timeout` next, and for which timer.
    pub fn next_deadline(&self) -> Option<(Instant, Timer)> {
        if self.is_stopped { None } else { self.timers.next() }
    }

    /// Returns the number of unexpected answers that were ignored.
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }

    fn take_drop_ins(&mut self, drop_ins: DropIns, now: Now) {
        self.level(ConditionKind::LabelsInvalid, drop_ins.invalid.clone(), now);
        self.level(ConditionKind::LabelsRepeated, drop_ins.repeated.clone(), now);
        if !drop_ins.is_partial {
            self.kept_labels.clear();
        }
        self.drop_ins = drop_ins;
        self.is_status_stale = true;
    }

    fn lose(&mut self, reason: &LossReason, now: Now) {
        self.following = None;
        if let (LossReason::Closed(refusal), true) = (reason, is_removed(reason)) {
            let output = match self.uplink.purpose {
                Purpose::Link => SiteOutput::Forget(refusal.clone()),
                Purpose::Join => SiteOutput::JoinRefused(refusal.clone()),
            };
            self.uplink.state = State::Stopped(refusal.clone());
            self.outputs.push_back(output);
            self.is_stopped = true;
            return;
        }
        self.uplink.lose(reason, &mut self.rng, &mut self.timers, now);
        if let State::Stopped(refusal) = &self.uplink.state {
            self.outputs.push_back(SiteOutput::JoinRefused(refusal.clone()));
        }
    }

    fn give_up(&mut self, now: Now) {
        let Some(dial) = self.uplink.current() else { return };
        let server = self.uplink.server().map_or_else(String::new, ToString::to_string);
        let text = Text::lossy(&format!("{server} did not answer in time"));
        self.outputs.push_back(SiteOutput::Hangup { dial, refusal: stopping() });
        self.lose(&LossReason::Failed(text), now);
    }

    fn dial(&mut self, now: Now) {
        if let Some(dial) = self.uplink.dial(&mut self.timers, now) {
            self.outputs.push_back(SiteOutput::Dial(dial));
        }
    }

    /// Recomputes a stale status and sends what the server lacks.
    fn settle_down(&mut self, now: Now) {
        if self.is_status_stale && self.identity.is_some() {
            self.reconcile_providers(now);
            // While the store fails, only the retry timer touches it: status stays stale.
            if self.timers.deadline(Timer::StoreRetry).is_none() {
                self.is_status_stale = false;
                self.refresh_status(now);
            }
        }
        self.tell_storage();
        self.pump();
    }

    fn level(&mut self, kind: ConditionKind, detail: Option<Text>, now: Now) {
        match detail {
            Some(detail) => self.raise(kind, detail, now),
            None => self.clear(kind, now),
        }
    }

    fn raise(&mut self, kind: ConditionKind, detail: Text, now: Now) {
        self.is_status_stale = true;
        if self.conditions.raise(kind, detail.clone(), now.wall) && !kind.is_of_storage() {
            self.record(EventKind::ConditionRaised, &format!("{kind}: {detail}"), now);
        }
    }

    fn clear(&mut self, kind: ConditionKind, now: Now) {
        if self.conditions.clear(kind) {
            self.is_status_stale = true;
            if !kind.is_of_storage() {
                self.record(EventKind::ConditionCleared, kind.as_str(), now);
            }
        }
    }

    fn stage(&mut self, changes: &[SiteChange], mut releases: Vec<Release>) {
        if planted(Mutant::AcknowledgeBeforePersist) {
            for release in std::mem::take(&mut releases) {
                self.release(release, Now::default());
            }
        }
        self.is_status_stale |= !changes.is_empty();
        let write = self.ledger.stage(changes, releases);
        self.outputs.push_back(SiteOutput::Persist { write, changes: changes.to_vec() });
    }

    fn release(&mut self, release: Release, now: Now) {
        match release {
            Release::GreetAgain { dial } if self.uplink.current() == Some(dial) => {
                let refusal = Refusal::new(linecamp_model::RefusalCode::Done, "greeting again under a new history");
                let reason = LossReason::Failed(refusal.text.clone());
                self.outputs.push_back(SiteOutput::Hangup { dial, refusal });
                self.lose(&reason, now);
            }
            Release::GreetAgain { .. } | Release::Recorded(_) | Release::CountedLost(_) => {}
            Release::SpecAck { dial, held } => self.send(dial, FromSite::SpecAck(held)),
            Release::Reply(command) => self.outputs.push_back(SiteOutput::Reply { command, result: Ok(()) }),
            Release::Noted(provider) => self.provider_noted(provider, true, now),
            Release::StoreTried => self.store_is_well(now),
        }
    }

    fn send(&mut self, dial: DialId, message: FromSite) {
        if self.uplink.current() == Some(dial) {
            self.outputs.push_back(SiteOutput::Send { dial, message });
        }
    }
}

/// Formats a patch: `rack=r7, gpu-`.
pub(crate) fn describe_patch(patch: &LabelPatch) -> String {
    let set = patch.set.iter().map(|(key, value)| format!("{key}={value}"));
    let removed = patch.remove.iter().map(|key| format!("{key}-"));
    set.chain(removed).collect::<Vec<_>>().join(", ")
}

/// Formats a duration in its largest unit, so that the text stays stable between two observations.
pub(crate) fn coarse(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=119 => format!("{seconds} seconds"),
        120..=7_199 => format!("{} minutes", seconds / 60),
        7_200..=172_799 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
