//! A decision: the changes and the event that one command or report causes, committed in one write.

use linecamp_model::{Document, DocumentKey, EventKind, FleetChange, SiteId, SpecBody};

use super::command::FleetCommandError;
use super::site_record::SiteRecord;

/// The parts of an event: its kind, its site, and its text.
pub(crate) type Note = (EventKind, Option<SiteId>, String);

/// The outcome of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) changes: Vec<FleetChange>,
    /// The event to record.
    pub(crate) event: Option<Note>,
    /// The site whose spec or life changed.
    pub(crate) site: Option<SiteId>,
}

impl Decision {
    /// Makes a decision without an event.
    pub(super) fn of(changes: impl IntoIterator<Item = FleetChange>) -> Self {
        Self { changes: changes.into_iter().collect(), ..Self::default() }
    }

    /// Whether the changes remove a site for good.
    pub(super) fn removes_site(&self) -> bool {
        self.changes.iter().any(|change| matches!(change, FleetChange::RevokedKey(..)))
    }
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
        event: Some((kind, Some(id), text)),
        site: Some(id),
    }
}
