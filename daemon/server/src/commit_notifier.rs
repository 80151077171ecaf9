//! Announces what became durable, to requests that wait for events and to the log.
//!
//! The state machine's state is ahead of the disk. Events are shown, and joins and removals of sites are logged, only
//! after the write that holds them is durable: a write that fails never happened.

use std::collections::BTreeMap;

use linecamp_model::{DocumentKey, FleetChange, SiteId, SpecBody, WriteId};
use tokio::sync::watch;

/// Writes in progress that contain events or milestones, and the newest durable event.
#[derive(Debug)]
pub(crate) struct CommitNotifier {
    staged: BTreeMap<WriteId, Staged>,
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Staged {
    newest: Option<u64>,
    milestones: Vec<Milestone>,
}

/// A change worth an entry in the log.
#[derive(Debug, PartialEq, Eq)]
enum Milestone {
    Joined { site: SiteId, name: String },
    Removed { site: SiteId },
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

    /// Records the events and milestones of a write that is submitted to the store.
    pub(crate) fn stage(&mut self, write: WriteId, changes: &[FleetChange]) {
        let newest = changes.iter().filter_map(|change| match change {
            FleetChange::Event(seq, Some(_)) => Some(*seq),
            _ => None,
        });
        let staged = Staged {
            newest: newest.max(),
            milestones: changes.iter().filter_map(|change| milestone(change, changes)).collect(),
        };
        if staged.newest.is_some() || !staged.milestones.is_empty() {
            self.staged.insert(write, staged);
        }
    }

    /// Announces the contents of a write that is durable.
    pub(crate) fn announce(&mut self, write: WriteId) {
        let Some(staged) = self.staged.remove(&write) else {
            return;
        };
        for milestone in staged.milestones {
            match milestone {
                Milestone::Joined { site, name } => tracing::info!(site = name, site_id = %site, "site joined"),
                Milestone::Removed { site } => tracing::info!(site_id = %site, "site removed"),
            }
        }
        self.newest.send_if_modified(|newest| match staged.newest {
            Some(seq) if *newest < seq => {
                *newest = seq;
                true
            }
            Some(_) | None => false,
        });
    }

    /// Discards a write that failed and all later ones, which are rolled back with it.
    pub(crate) fn discard(&mut self, write: WriteId) {
        self.staged.split_off(&write);
    }
}

fn milestone(change: &FleetChange, all: &[FleetChange]) -> Option<Milestone> {
    match change {
        FleetChange::TokenUse(_, site, Some(_)) => Some(Milestone::Joined { site: *site, name: name_in(all, *site) }),
        FleetChange::RevokedKey(fingerprint, Some(_)) => Some(Milestone::Removed { site: SiteId::of_key(fingerprint) }),
        _ => None,
    }
}

fn name_in(changes: &[FleetChange], site: SiteId) -> String {
    let name = changes.iter().find_map(|change| match change {
        FleetChange::Spec(of, DocumentKey::Site, Some(document)) if *of == site => match &document.body {
            Some(SpecBody::Site(spec)) => Some(spec.name.to_string()),
            Some(SpecBody::Host(_) | SpecBody::Provider(_)) | None => None,
        },
        _ => None,
    });
    name.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use linecamp_model::{Event, EventKind, LoggedEvent, Text, WallTime};

    use super::*;

    fn event(seq: u64) -> Vec<FleetChange> {
        let event = Event { at: WallTime::EPOCH, kind: EventKind::Edited, site: None, text: Text::default() };
        vec![FleetChange::Event(seq, Some(LoggedEvent { event, received_at: None }))]
    }

    #[test]
    fn an_event_is_told_when_it_is_durable_and_never_if_it_failed() {
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
