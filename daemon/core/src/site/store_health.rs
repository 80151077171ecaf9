//! Failures of the site's own storage: what is queued, what is retried, and how the server learns of it.
//!
//! Storage conditions ([`ConditionKind::is_of_storage`]) are not part of the status, which must be durable before it is
//! sent. The site sends the complete list directly, at the start of each session and whenever it changes. The site
//! records no events for these conditions either: the server records them when it receives the list.
//!
//! While the store fails, the machine undoes what was not persisted and continues from the durable state. It
//! acknowledges nothing new. Providers observe and change nothing. Events about things that happened anyway are queued
//! in memory ([`events`](super::events)). Every [`STORE_RETRY`] the machine retries all of it and then probes the store
//! itself ([`SiteOutput::TryStore`]). The condition clears when everything queued is durable and the store has room for
//! what it refused. A smaller write that succeeds meanwhile does not clear it: it may fit where the refused one does
//! not.
//!
//! A local socket that could not be opened is retried until it opens; the link does not wait for it.

use linecamp_model::{
    Condition, ConditionKind, DialId, FromMember, Incarnation, Now, SiteChange, SiteOrigin, Text, WriteId, shell_quoted,
};

use super::command::SiteCommandError;
use super::config::STORE_RETRY;
use super::effects::{Effects, Release};
use super::output::{SiteOutput, Timer};
use super::replication::Replication;
use crate::StoreFault;

/// What is not persisted while the store fails, as text.
const NOT_KEPT: &str = "label changes, DNS changes, events, status and what the server sends are not kept";

/// The storage of a site, as far as it fails.
#[derive(Clone, Debug)]
pub(super) struct StoreHealth {
    /// The path of the data directory, for messages.
    directory: Text,
    /// The conditions sent to the server, and on which dial.
    reported: Option<(DialId, Vec<Condition>)>,
}

impl StoreHealth {
    /// Starts without a failure.
    pub(super) const fn new(directory: Text) -> Self {
        Self { directory, reported: None }
    }

    /// Creates the incarnation of a new database. `moved_to` is where a corrupt database was moved; it raises
    /// `store-corrupt`.
    pub(super) fn start(moved_to: Option<&Text>, now: Now, effects: &mut Effects) {
        if effects.state().origin.is_none() {
            Self::begin_origin(effects);
        }
        if let Some(place) = moved_to {
            let detail = format!("the site database was corrupt: moved to {place}, started empty");
            effects.raise(ConditionKind::StoreCorrupt, Text::lossy(&detail), now);
        }
    }

    fn begin_origin(effects: &mut Effects) {
        let incarnation = Incarnation(effects.rng().next_u64() | 1);
        let origin = SiteOrigin { status_incarnation: incarnation, ..SiteOrigin::default() };
        effects.stage(&[SiteChange::Origin(Some(origin))], Vec::new());
    }

    /// Handles a failed write, which was undone together with all later ones: raises the condition and plans the retry.
    pub(super) fn handle_failed(&self, write: WriteId, fault: StoreFault, now: Now, effects: &mut Effects) {
        let (kind, detail) = describe_fault(fault, &self.directory);
        let other = if kind == ConditionKind::DiskFull { ConditionKind::StoreFailed } else { ConditionKind::DiskFull };
        effects.clear(other, now);
        effects.raise(kind, detail, now);
        // Further failures do not postpone the retry.
        if effects.deadline(Timer::StoreRetry).is_none() {
            effects.set_timer(Timer::StoreRetry, now, STORE_RETRY);
        }
        effects.output(SiteOutput::ResumeStore(write));
    }

    /// Takes back what failed writes carried. The releases of other parts are passed over.
    pub(super) fn take_back(releases: Vec<Release>, fault: StoreFault, effects: &mut Effects) {
        let mut events = Vec::new();
        for release in releases {
            match release {
                // The retry timer reports to the server what is held, and the server sends the rest again.
                Release::SpecAck { .. }
                | Release::GreetAgain { .. }
                | Release::StoreTried
                | Release::Noted(_)
                | Release::Host(_) => {}
                Release::Recorded(event) => events.push(event),
                Release::CountedLost(lost) => effects.events_mut().restore_lost(lost),
                Release::Reply(command) => effects.reply(command, Err(SiteCommandError::Store(fault))),
            }
        }
        effects.events_mut().requeue(events);
    }

    /// Retries what could not be persisted, then probes the store. Repeats until the store recovers. `session` is the
    /// dial of the session that is up.
    pub(super) fn retry(session: Option<DialId>, replication: &Replication, now: Now, effects: &mut Effects) {
        effects.set_timer(Timer::StoreRetry, now, STORE_RETRY);
        if let Some(dial) = session {
            replication.acknowledge(dial, effects);
        }
        let is_new = effects.state().origin.is_none();
        match session {
            Some(dial) if is_new || effects.events().needs_incarnation() => {
                replication.begin_incarnation(dial, effects);
            }
            None if is_new => Self::begin_origin(effects),
            Some(_) | None => {}
        }
        effects.forget_events();
        effects.stage_queued_events();
        // Staged last: if it succeeds, so did everything before it.
        effects.try_store();
    }

    /// Ends the store failure: everything queued is durable and the store has room for what it refused.
    pub(super) fn handle_recovered(now: Now, effects: &mut Effects) {
        effects.clear(ConditionKind::DiskFull, now);
        effects.clear(ConditionKind::StoreFailed, now);
        effects.clear_timer(Timer::StoreRetry);
        effects.touch_status();
    }

    /// Handles the outcome of opening the local socket. A failure is retried later.
    pub(super) fn handle_local_socket(&self, opened: Result<(), Text>, now: Now, effects: &mut Effects) {
        let detail = opened.err().map(|problem| {
            effects.set_timer(Timer::LocalSocket, now, STORE_RETRY);
            let directory = shell_quoted(self.directory.as_str());
            Text::lossy(&format!(
                "local commands do not reach the daemon: {problem}; free space or inodes there, or make the disk \
                 writable (df -h {directory}, df -i {directory}, dmesg), and the daemon opens its socket by itself"
            ))
        });
        effects.set_condition(ConditionKind::LocalSocketFailed, detail, now);
    }

    /// Sends the storage conditions to the server if they changed. Does not wait for the disk.
    pub(super) fn tell(&mut self, dial: DialId, effects: &mut Effects) {
        let report = (dial, effects.storage_conditions());
        if self.reported.as_ref() != Some(&report) {
            effects.send(dial, FromMember::Storage(report.1.clone()));
            self.reported = Some(report);
        }
    }
}

fn describe_fault(fault: StoreFault, directory: &Text) -> (ConditionKind, Text) {
    let quoted = shell_quoted(directory.as_str());
    let (kind, words) = match fault {
        StoreFault::DiskFull => (
            ConditionKind::DiskFull,
            format!("the disk of {directory} is full: {NOT_KEPT}; free space there (df -h {quoted}, df -i {quoted})"),
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

#[cfg(test)]
mod tests {
    use linecamp_model::EventKind;

    use super::*;
    use crate::site::effects::new_event;
    use crate::site::testing::{NOW, effects, outputs};

    const WRITE: WriteId = WriteId(1);

    fn failed() -> (StoreHealth, Effects) {
        let (storage, mut effects) = (StoreHealth::new(Text::lossy("/d")), effects());
        storage.handle_failed(WRITE, StoreFault::DiskFull, NOW, &mut effects);
        (storage, effects)
    }

    #[test]
    fn a_failure_is_retried_until_a_probe_succeeds() {
        let (_, mut effects) = failed();
        assert_eq!(outputs(&mut effects), [SiteOutput::ResumeStore(WRITE)]);
        assert_eq!(effects.deadline(Timer::StoreRetry), Some(NOW.instant + STORE_RETRY));
        effects.record(EventKind::DaemonStarted, "meanwhile", NOW);
        assert_eq!(outputs(&mut effects), [], "the event waits in memory");
        StoreHealth::retry(None, &Replication::default(), NOW, &mut effects);
        let retried = outputs(&mut effects);
        assert!(matches!(retried[..], [SiteOutput::Persist { .. }, SiteOutput::TryStore(_)]), "{retried:?}");
        StoreHealth::handle_recovered(NOW, &mut effects);
        assert!(!effects.is_store_failing() && effects.deadline(Timer::StoreRetry).is_none());
    }

    #[test]
    fn a_failure_that_changes_its_kind_raises_one_condition() {
        let (storage, mut effects) = failed();
        storage.handle_failed(WRITE, StoreFault::ReadOnly, NOW, &mut effects);
        let kinds: Vec<_> = effects.storage_conditions().into_iter().map(|condition| condition.kind).collect();
        assert_eq!(kinds, [ConditionKind::StoreFailed]);
    }

    #[test]
    fn the_changes_of_a_failed_write_are_queued_again() {
        let (_, mut effects) = failed();
        let event = new_event(EventKind::DaemonStarted, "started", NOW);
        let releases = vec![Release::CountedLost(2), Release::Recorded(event.clone())];
        StoreHealth::take_back(releases, StoreFault::DiskFull, &mut effects);
        assert_eq!(effects.events_mut().take_queue(), (2, [event].into()));
    }

    #[test]
    fn the_server_is_notified_once_per_session_and_change() {
        let (mut storage, mut effects) = failed();
        outputs(&mut effects);
        for (dial, messages) in [(DialId(1), 1), (DialId(1), 0), (DialId(2), 1)] {
            storage.tell(dial, &mut effects);
            assert_eq!(outputs(&mut effects).len(), messages);
        }
    }

    #[test]
    fn a_local_socket_that_does_not_open_is_retried() {
        let (storage, mut effects) = (StoreHealth::new(Text::lossy("/d")), effects());
        storage.handle_local_socket(Err(Text::lossy("no space")), NOW, &mut effects);
        assert!(effects.conditions().has(ConditionKind::LocalSocketFailed));
        assert_eq!(effects.deadline(Timer::LocalSocket), Some(NOW.instant + STORE_RETRY));
        storage.handle_local_socket(Ok(()), NOW, &mut effects);
        assert!(!effects.conditions().has(ConditionKind::LocalSocketFailed));
    }
}
