//! Failures of the site's own storage: what is queued, what is retried, and how the server learns of it.
//!
//! Storage conditions ([`ConditionKind::is_of_storage`]) are not part of the status, which must be durable before it is
//! sent. The site sends the complete list directly, at the start of each session and whenever it changes. The site
//! records no events for these conditions either: the server records them when it receives the list.
//!
//! While the store fails, the machine undoes what was not persisted and continues from the durable state. It
//! acknowledges nothing new. Providers observe and change nothing. Events about things that happened anyway are queued
//! in memory (`WAITING_EVENTS_MAX`). Every [`STORE_RETRY`] the machine retries all of it and then probes the store
//! itself ([`SiteOutput::TryStore`]). The condition clears when everything queued is durable and the store has room for
//! what it refused. A smaller write that succeeds meanwhile does not clear it: it may fit where the refused one does
//! not.
//!
//! A local socket that could not be opened is retried until it opens; the link does not wait for it.
//!
//! A certificate that could not be saved is used from memory, and saving is retried. That condition clears only when
//! the certificate was saved.

use std::collections::VecDeque;

use linecamp_model::limits::COUNTER_MAX;
use linecamp_model::{
    Condition, ConditionKind, DialId, Event, EventKind, FromSite, IdentityGrant, Incarnation, Now, SiteChange,
    SiteOrigin, Text,
};

use super::uplink::State;
use super::{LossReason, Purpose, Release, STORE_RETRY, Site, SiteIdentity, SiteOutput, Timer};
use crate::StoreFault;

/// Events queued in memory while the disk accepts no writes: one message's worth. Beyond it the oldest is dropped and
/// counted.
const WAITING_EVENTS_MAX: usize = linecamp_model::limits::EVENTS_PER_MESSAGE_MAX;

/// What is not persisted while the store fails, as text.
const NOT_KEPT: &str = "label changes, DNS changes, events, status and what the server sends are not kept";

/// What the storage has not accepted.
#[derive(Clone, Debug, Default)]
pub(super) struct Storage {
    /// Events that wait for the disk, oldest first.
    events: VecDeque<Event>,
    /// Events dropped from that queue.
    lost: u64,
    /// A certificate in use that is not saved.
    unsaved: Option<IdentityGrant>,
    /// The conditions sent to the server, and on which dial.
    told: Option<(DialId, Vec<Condition>)>,
}

/// A certificate that is in use but could not be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsavedIdentity {
    /// The certificate from the server.
    pub grant: IdentityGrant,
    /// The site's identity under this certificate.
    pub identity: SiteIdentity,
    /// Why it could not be saved.
    pub problem: Text,
}

impl Storage {
    /// Requeues events that could not be persisted, ahead of those already queued.
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

    /// Returns the number of events that wait for the disk.
    pub(super) fn events(&self) -> usize {
        self.events.len()
    }
}

impl Site {
    /// Handles the outcome of saving a certificate.
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

    /// Handles a certificate that is in use although it could not be saved. Saving is retried later.
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

    /// Retries saving a certificate.
    pub(super) fn save_identity_again(&mut self) {
        if let Some(grant) = &self.storage.unsaved {
            self.outputs.push_back(SiteOutput::SaveIdentity(grant.clone()));
        }
    }

    /// Handles the outcome of opening the local socket. A failure is retried later.
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

    /// Handles the store's report that a write failed. It and all later ones are undone.
    pub fn handle_persist_failed(&mut self, write: linecamp_model::WriteId, fault: StoreFault, now: Now) {
        let Some(settled) = self.ledger.settle(write, false) else {
            self.ignored += 1;
            return;
        };
        let (kind, detail) = failure(fault, &self.config.directory);
        let other = if kind == ConditionKind::DiskFull { ConditionKind::StoreFailed } else { ConditionKind::DiskFull };
        self.clear(other, now);
        self.raise(kind, detail, now);
        // Further failures do not postpone the retry.
        if self.timers.deadline(Timer::StoreRetry).is_none() {
            self.timers.set(Timer::StoreRetry, now.instant + STORE_RETRY);
        }
        self.outputs.push_back(SiteOutput::ResumeStore(write));
        let mut events = Vec::new();
        for release in settled.releases {
            match release {
                // The retry timer reports to the server what is held, and the server sends the rest again.
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

    /// Whether the store has failed and has not yet accepted a write as large as it refused.
    pub(super) fn is_store_failing(&self) -> bool {
        self.conditions.has(ConditionKind::DiskFull) || self.conditions.has(ConditionKind::StoreFailed)
    }

    /// Ends the store failure: everything queued is durable and the store has room for what it refused.
    pub(super) fn store_is_well(&mut self, now: Now) {
        self.clear(ConditionKind::DiskFull, now);
        self.clear(ConditionKind::StoreFailed, now);
        self.timers.clear(Timer::StoreRetry);
        self.is_status_stale = true;
        self.providers.request_rounds();
        self.stage_waiting_events();
    }

    /// Retries what could not be persisted, then probes the store. Repeats until the store recovers.
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
        // Staged last: if it succeeds, so did everything before it.
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

    /// Creates the incarnation of a new database.
    pub(super) fn begin_origin(&mut self) {
        let origin = SiteOrigin { status_incarnation: Incarnation(self.rng.next_u64() | 1), ..SiteOrigin::default() };
        self.stage(&[SiteChange::Origin(Some(origin))], Vec::new());
    }

    /// Adds an event to the outbox, or to the queue in memory while the store fails.
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

    /// Returns the changes that add an event to the outbox.
    pub(super) fn event_changes(&self, event: Event) -> Vec<SiteChange> {
        // The server would discard an event with a number it already holds.
        let held = self.following.as_ref().filter(|following| !following.needs_incarnation);
        let held = held.map_or(0, |following| following.events_held);
        self.ledger.state().outbox_changes(event, held)
    }

    /// Sends the storage conditions to the server if they changed. Does not wait for the disk.
    pub(super) fn tell_storage(&mut self) {
        let State::Up { dial, .. } = self.uplink.state else { return };
        // A pending site may only wait.
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

fn failure(fault: StoreFault, directory: &Text) -> (ConditionKind, Text) {
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
