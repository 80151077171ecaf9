//! A decision: the changes and the events that one command or report causes, committed in one write.

use linecamp_model::{
    Document, DocumentKey, EventKind, FleetChange, Generation, HostId, ReplicationCursor, SiteId, SpecBody,
};

use super::command::FleetCommandError;
use super::site_record::SiteRecord;

/// The parts of an event: its kind, its site, and its text.
pub(crate) type Note = (EventKind, Option<SiteId>, String);

/// The outcome of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) changes: Vec<FleetChange>,
    /// The events to record.
    pub(crate) events: Vec<Note>,
    /// The sites whose spec or life changed.
    pub(crate) sites: Vec<SiteId>,
}

impl Decision {
    /// Makes a decision without an event.
    pub(super) fn of(changes: impl IntoIterator<Item = FleetChange>) -> Self {
        Self { changes: changes.into_iter().collect(), ..Self::default() }
    }

    /// Adds an event of the server, or of a site.
    #[must_use]
    pub(super) fn noted(mut self, kind: EventKind, site: Option<SiteId>, text: String) -> Self {
        self.events.push((kind, site, text));
        self
    }

    /// Adds another decision, on other records.
    pub(super) fn join(&mut self, other: Self) {
        self.changes.extend(other.changes);
        self.events.extend(other.events);
        self.sites.extend(other.sites);
    }

    /// Returns the highest generation of the spec documents that change.
    pub(super) fn spec_generation(&self) -> Option<Generation> {
        let documents = self.changes.iter().filter_map(|change| match change {
            FleetChange::Spec(_, _, document) => document.as_ref(),
            _ => None,
        });
        documents.map(|document| document.generation).max()
    }

    /// Returns the hosts that the changes remove for good.
    pub(super) fn removed_hosts(&self) -> impl Iterator<Item = HostId> {
        self.changes.iter().filter_map(|change| match change {
            FleetChange::Host(_, host, Some(registration)) if registration.life.phase.is_gone() => Some(*host),
            _ => None,
        })
    }

    /// Returns the sites that the changes remove for good.
    pub(super) fn removed_sites(&self) -> impl Iterator<Item = SiteId> {
        self.changes.iter().filter_map(|change| match change {
            FleetChange::Site(site, Some(registration)) if registration.life.phase.is_gone() => Some(*site),
            _ => None,
        })
    }
}

/// Returns the changes that drop the oldest tombstones of a site's spec, if it has too many. They come before other
/// changes to the spec, because a dropped key may be written again.
pub(super) fn surplus_tombstones(record: &SiteRecord, site: SiteId) -> Vec<FleetChange> {
    let Some((keys, spec_floor)) = record.spec.surplus_tombstones() else { return Vec::new() };
    let cursor = ReplicationCursor { spec_floor, ..record.cursor.unwrap_or_default() };
    let dropped = keys.into_iter().map(|key| FleetChange::Spec(site, key, None));
    dropped.chain([FleetChange::ReplicationCursor(site, Some(cursor))]).collect()
}

/// A decision, or why a command fails.
pub(super) type Decided = Result<Decision, FleetCommandError>;

/// Returns the decision to replace a document of a site's spec; an empty one if it stays the same.
pub(super) fn spec_change(
    record: &SiteRecord,
    id: SiteId,
    key: DocumentKey,
    (before, after): (&SpecBody, SpecBody),
    (kind, text): (EventKind, String),
) -> Decision {
    if *before == after {
        return Decision::default();
    }
    let document = Document { generation: record.spec.head().next(), body: Some(after) };
    Decision {
        changes: vec![FleetChange::Spec(id, key, Some(document))],
        events: vec![(kind, Some(id), text)],
        sites: vec![id],
    }
}
