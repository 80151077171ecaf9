//! The site's own storage while it takes nothing: what waits, what is tried again, and how the server hears of it.
//!
//! Trouble of the storage ([`ConditionKind::is_of_storage`]) is no part of the status, which has to be durable before
//! it is sent. It goes over the link as it is, whole, at the start of each session and whenever it changes. No event
//! of the site tells of it either: the server makes one when it hears of it.
//!
//! While the store fails, the machine undoes what was not kept and goes on from what is durable. It acknowledges
//! nothing new. Providers observe and change nothing. Events that tell of something that happened all the same wait
//! in memory (`WAITING_EVENTS_MAX`). Every [`STORE_RETRY`], all of it is tried again, and after it the store itself
//! ([`SiteOutput::TryStore`]): the condition ends when everything that waited is durable and the store has room for
//! what it refused. A smaller write that is kept meanwhile does not end it: it may fit where that one does not.
//!
//! A local socket that could not be opened is tried again and again; the link does not wait for it.
//!
//! A certificate that could not be saved is used from memory and saved again and again. That condition ends when it was
//! saved, and by nothing else.

use std::collections::VecDeque;

use linecamp_model::limits::COUNTER_MAX;
use linecamp_model::{
    Condition, ConditionKind, DialId, Event, EventKind, FromSite, IdentityGrant, Incarnation, Now, SiteChange,
    SiteOrigin, Text,
};

use super::uplink::State;
use super::{LossReason, Purpose, Release, STORE_RETRY, Site, SiteIdentity, SiteOutput, Timer};
use crate::StoreFault;

/// Events that wait in memory for a disk that takes nothing: one message's worth. Past it the oldest goes and is
/// counted as dropped.
const WAITING_EVENTS_MAX: usize = linecamp_model::limits::EVENTS_PER_MESSAGE_MAX;

/// What is not kept while the store fails, in words.
const NOT_KEPT: &str = "label changes, DNS changes, events, status and what the server sends are not kept";

/// What the storage has not taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Storage {
    /// Events that wait for the disk, oldest first.
    events: VecDeque<Event>,
    /// Events that had no place among them.
    lost: u64,
    /// A certificate that is used and not saved.
    unsaved: Option<IdentityGrant>,
    /// What the server was told, and on which dial.
    told: Option<(DialId, Vec<Condition>)>,
}

/// A certificate that is used from here on and could not be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsavedIdentity {
    /// What the server sent.
    pub grant: IdentityGrant,
    /// Who the site is with it.
    pub identity: SiteIdentity,
    /// Why it could not be saved.
    pub problem: Text,
}

impl Storage {
    /// Takes events that could not be kept, before those that wait already.
    fn put_back(&mut self, events: Vec<Event>) {
        for event in events.into_iter().rev() {
            self.events.push_front(event);
        }
        self.drop_surplus();
    }

    fn drop_surplus(&mut self) {
        let surplus = self.events.len().saturating_sub(WAITING_EVENTS_MAX);
        self.events.drain(..surplus);
        self.lost += surplus as u64;
    }

    /// How many events wait for the disk.
    pub(super) fn events(&self) -> usize {
        self.events.len()
    }
}

impl Site {
    /// Takes what became of a certificate that was to be saved.
    pub fn handle_identity_saved(&mut self, saved: Result<SiteIdentity, Text>, now: Now) {
        match saved {
            Ok(identity) => {
                self.storage.unsaved = None;
                self.timers.clear(Timer::SaveIdentity);
                self.clear(ConditionKind::IdentityNotSaved, now);
                self.use_identity(identity, now);
            }
            Err(problem) => {
                self.raise(ConditionKind::IdentityNotSaved, not_saved(&problem), now);
                if self.uplink.state == State::Saving {
                    self.lose(&LossReason::Failed(problem), now);
                }
            }
        }
        self.is_status_stale = true;
        self.settle_down(now);
    }

    /// Takes a certificate that could not be saved and is used all the same. It is saved again later.
    pub fn handle_identity_unsaved(&mut self, unsaved: UnsavedIdentity, now: Now) {
        let UnsavedIdentity { grant, identity, problem } = unsaved;
        self.storage.unsaved = Some(grant);
        self.timers.set(Timer::SaveIdentity, now.instant + STORE_RETRY);
        self.raise(ConditionKind::IdentityNotSaved, not_saved(&problem), now);
        self.use_identity(identity, now);
        self.is_status_stale = true;
        self.settle_down(now);
    }

    fn use_identity(&mut self, identity: SiteIdentity, now: Now) {
        let before = self.identity.replace(identity);
        self.config.join = None;
        self.uplink.purpose = Purpose::Link;
        if before.is_some_and(|before| before != identity) {
            let text = format!("the new certificate holds until {}", identity.not_after);
            self.record(EventKind::CertificateRenewed, &text, now);
        }
        self.set_renewal(now);
        if self.uplink.state == State::Saving {
            self.dial(now);
        }
    }

    /// It is time to save a certificate again.
    pub(super) fn save_identity_again(&mut self) {
        if let Some(grant) = &self.storage.unsaved {
            self.outputs.push_back(SiteOutput::SaveIdentity(grant.clone()));
        }
    }

    /// Takes what became of opening the local socket: done, or why not. It is tried again later.
    pub fn handle_local_socket(&mut self, opened: Result<(), Text>, now: Now) {
        match opened {
            Ok(()) => self.clear(ConditionKind::LocalSocketFailed, now),
            Err(problem) => {
                self.timers.set(Timer::LocalSocket, now.instant + STORE_RETRY);
                let directory = &self.config.directory;
                let detail = format!(
                    "local commands do not reach the daemon: {problem}; free space or inodes there, or make the disk \
                     writable (df -h {directory}, df -i {directory}, dmesg), and the daemon opens its socket by itself"
                );
                self.raise(ConditionKind::LocalSocketFailed, Text::lossy(&detail), now);
            }
        }
        self.settle_down(now);
    }

    /// Takes the store's word that a write failed. It and all later ones are undone.
    pub fn handle_persist_failed(&mut self, write: linecamp_model::WriteId, fault: StoreFault, now: Now) {
        let Some(settled) = self.ledger.settle(write, false) else {
            self.ignored += 1;
            return;
        };
        let (kind, detail) = trouble(fault, &self.config.directory);
        let other = if kind == ConditionKind::DiskFull { ConditionKind::StoreFailed } else { ConditionKind::DiskFull };
        self.clear(other, now);
        self.raise(kind, detail, now);
        // Further failures do not put the next try off.
        if self.timers.deadline(Timer::StoreRetry).is_none() {
            self.timers.set(Timer::StoreRetry, now.instant + STORE_RETRY);
        }
        self.outputs.push_back(SiteOutput::ResumeStore(write));
        let mut events = Vec::new();
        for release in settled.releases {
            match release {
                // The retry timer tells the server what is held, and is sent the rest again.
                Release::SpecAck { .. } | Release::GreetAgain { .. } | Release::StoreTried => {}
                Release::Noted(provider) => self.provider_noted(provider, false, now),
                Release::Recorded(event) => events.push(event),
                Release::CountedLost(lost) => self.storage.lost += lost,
                Release::Reply(command) => {
                    let result = Err(super::SiteCommandError::Store(fault));
                    self.outputs.push_back(SiteOutput::Reply { command, result });
                }
            }
        }
        self.storage.put_back(events);
        self.settle_down(now);
    }

    /// Whether the store has failed, and has not shown since that it takes as much as it refused.
    pub(super) fn is_store_failing(&self) -> bool {
        self.conditions.has(ConditionKind::DiskFull) || self.conditions.has(ConditionKind::StoreFailed)
    }

    /// The store has taken everything that waited and has room for what it refused: the trouble is over.
    pub(super) fn store_is_well(&mut self, now: Now) {
        self.clear(ConditionKind::DiskFull, now);
        self.clear(ConditionKind::StoreFailed, now);
        self.timers.clear(Timer::StoreRetry);
        self.is_status_stale = true;
        self.providers.begin_again();
        self.stage_waiting_events();
    }

    /// Tries again what could not be kept, and then the store itself. It does so again unless the store is well then.
    pub(super) fn retry_store(&mut self, now: Now) {
        self.timers.set(Timer::StoreRetry, now.instant + STORE_RETRY);
        if let State::Up { dial, .. } = self.uplink.state {
            let held = self.spec_held();
            self.stage(&[], vec![Release::SpecAck { dial, held }]);
        }
        let needs_incarnation = self.following.as_ref().map(|following| following.needs_incarnation);
        match (self.ledger.state().origin, needs_incarnation) {
            (Some(_), Some(true)) | (None, Some(_)) => self.begin_incarnation(),
            (None, None) => self.begin_origin(),
            (Some(_), _) => {}
        }
        self.forget_events();
        self.stage_waiting_events();
        // The last: if it is kept, so is all before it.
        let write = self.ledger.stage(&[], vec![Release::StoreTried]);
        self.outputs.push_back(SiteOutput::TryStore(write));
    }

    fn stage_waiting_events(&mut self) {
        let lost = std::mem::take(&mut self.storage.lost);
        if 0 < lost {
            let origin = self.ledger.state().origin.unwrap_or_default();
            let origin = SiteOrigin { events_dropped: (origin.events_dropped + lost).min(COUNTER_MAX), ..origin };
            self.stage(&[SiteChange::Origin(Some(origin))], vec![Release::CountedLost(lost)]);
        }
        for event in std::mem::take(&mut self.storage.events) {
            self.stage_event(event);
        }
    }

    /// Names the history of a new database.
    pub(super) fn begin_origin(&mut self) {
        let origin = SiteOrigin { status_incarnation: Incarnation(self.rng.next_u64() | 1), ..SiteOrigin::default() };
        self.stage(&[SiteChange::Origin(Some(origin))], Vec::new());
    }

    /// Puts an event into the outbox; while the store fails, into memory.
    pub(super) fn record(&mut self, kind: EventKind, text: &str, now: Now) {
        let event = Event { at: now.wall, kind, site: None, text: Text::lossy(text) };
        if self.is_store_failing() {
            self.storage.events.push_back(event);
            self.storage.drop_surplus();
        } else {
            self.stage_event(event);
        }
    }

    fn stage_event(&mut self, event: Event) {
        let changes = self.event_changes(event.clone());
        self.stage(&changes, vec![Release::Recorded(event)]);
    }

    /// Returns the changes that put an event into the outbox.
    pub(super) fn event_changes(&self, event: Event) -> Vec<SiteChange> {
        // A number that the server holds already would be taken for known.
        let held = self.following.as_ref().filter(|following| !following.needs_incarnation);
        let held = held.map_or(0, |following| following.events_held);
        self.ledger.state().outbox_changes(event, held)
    }

    /// Tells the server of the storage, unless it knows. Waits for no disk.
    pub(super) fn tell_storage(&mut self) {
        let State::Up { dial, .. } = self.uplink.state else { return };
        // A pending site may do nothing but wait.
        if self.following.as_ref().is_some_and(|following| following.is_pending) {
            return;
        }
        let told = (dial, self.conditions.of_storage());
        if self.storage.told.as_ref() != Some(&told) {
            self.send(dial, FromSite::Storage(told.1.clone()));
            self.storage.told = Some(told);
        }
    }
}

fn trouble(fault: StoreFault, directory: &Text) -> (ConditionKind, Text) {
    let (kind, words) = match fault {
        StoreFault::DiskFull => (
            ConditionKind::DiskFull,
            format!(
                "the disk of {directory} is full: {NOT_KEPT}; free space there (df -h {directory}, df -i {directory})"
            ),
        ),
        StoreFault::ReadOnly => (
            ConditionKind::StoreFailed,
            format!("{directory} cannot be written: {NOT_KEPT}; see its mount and permissions (dmesg, ls -l)"),
        ),
        StoreFault::Failed => (
            ConditionKind::StoreFailed,
            format!("the database in {directory} cannot be written: {NOT_KEPT}; the daemon's log says why"),
        ),
    };
    (kind, Text::lossy(&words))
}

fn not_saved(problem: &Text) -> Text {
    Text::lossy(&format!("a new certificate is not kept, and a restart goes back to the one before: {problem}"))
}
