//! Announces events that became durable to requests that wait for them.
//!
//! The state machine's state is ahead of the disk. Events are shown only after the write that holds them is durable: a
//! write that fails never happened.

use std::collections::BTreeMap;

use linecamp_model::{FleetChange, WriteId};
use tokio::sync::watch;

/// Writes in progress that contain events, and the newest durable event.
#[derive(Debug)]
pub(crate) struct CommitNotifier {
    /// The newest event of each write.
    staged: BTreeMap<WriteId, u64>,
    newest: watch::Sender<u64>,
}

impl CommitNotifier {
    /// Creates a notifier whose newest durable event is `newest`.
    pub(crate) fn new(newest: u64) -> Self {
        Self { staged: BTreeMap::new(), newest: watch::Sender::new(newest) }
    }

    /// Returns a receiver for the number of the newest durable event.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Returns the number of the newest durable event.
    pub(crate) fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// Records the events of a write that is submitted to the store.
    pub(crate) fn stage(&mut self, write: WriteId, changes: &[FleetChange]) {
        let newest = changes.iter().filter_map(|change| match change {
            FleetChange::Event(seq, Some(_)) => Some(*seq),
            _ => None,
        });
        if let Some(newest) = newest.max() {
            self.staged.insert(write, newest);
        }
    }

    /// Announces the events of a write that is durable.
    pub(crate) fn announce(&mut self, write: WriteId) {
        let Some(seq) = self.staged.remove(&write) else { return };
        self.newest.send_if_modified(|newest| {
            let is_newer = *newest < seq;
            *newest = seq.max(*newest);
            is_newer
        });
    }

    /// Discards a write that failed and all later ones, which are rolled back with it.
    pub(crate) fn discard(&mut self, write: WriteId) {
        self.staged.split_off(&write);
    }
}

#[cfg(test)]
mod tests {
    use linecamp_model::{Event, EventKind, LoggedEvent, Text, WallTime};

    use super::*;

    fn event(seq: u64) -> Vec<FleetChange> {
        let event =
            Event { at: WallTime::EPOCH, kind: EventKind::Edited, site: None, host: None, text: Text::default() };
        vec![FleetChange::Event(seq, Some(LoggedEvent { event, received_at: None, actor: None }))]
    }

    #[test]
    fn an_event_is_announced_when_it_is_durable_and_never_if_its_write_failed() {
        let mut commit_notifier = CommitNotifier::new(6);
        let watch = commit_notifier.watch();
        commit_notifier.stage(WriteId(1), &event(7));
        commit_notifier.stage(WriteId(2), &event(8));
        commit_notifier.stage(WriteId(3), &event(9));
        assert_eq!(*watch.borrow(), 6);
        commit_notifier.announce(WriteId(1));
        assert_eq!(*watch.borrow(), 7);
        commit_notifier.discard(WriteId(2));
        commit_notifier.announce(WriteId(2));
        commit_notifier.announce(WriteId(3));
        assert_eq!(*watch.borrow(), 7);
        commit_notifier.stage(WriteId(4), &event(8));
        commit_notifier.announce(WriteId(4));
        assert_eq!(*watch.borrow(), 8);
        assert!(commit_notifier.staged.is_empty());
    }
}
