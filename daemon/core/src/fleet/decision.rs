//! Decisions: changes that belong together, and what refers to the objects they change.

use linecamp_model::{Document, DocumentKey, EventKind, FleetChange, Name, SiteId, SpecBody};

use super::command::FleetCommandError;
use super::site_record::SiteRecord;
use super::state::FleetState;
use super::subject::{SiteRef, Subject};

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
    /// Whether the changes remove a site for good.
    pub(super) fn removes_site(&self) -> bool {
        self.changes.iter().any(|change| matches!(change, FleetChange::RevokedKey(..)))
    }
}

/// A decision, or why a command fails.
pub(super) type Decided = Result<Decision, FleetCommandError>;

/// Resolves a reference to exactly one site.
pub(crate) fn find(state: &FleetState, subject: Subject, site: &SiteRef) -> Result<SiteId, FleetCommandError> {
    match state.named(subject, site.environment.as_ref(), &site.name)[..] {
        [id] => Ok(id),
        [] => {
            let place = site
                .environment
                .as_ref()
                .map_or_else(String::new, |environment| format!(" in environment {environment}"));
            Err(FleetCommandError::NotFound(format!("there is no {} {}{place}", subject.as_str(), site.name)))
        }
        [id, ..] if state.site(id).is_some_and(|(_, registration)| registration.life.phase.is_gone()) => Ok(id),
        ref several => {
            let environments =
                several.iter().filter_map(|id| state.site(*id)).map(|(_, of)| of.environment.to_string());
            let environments = environments.collect::<Vec<_>>().join(", ");
            Err(FleetCommandError::Ambiguous(format!(
                "several environments have a {} {}: say which with --environment ({environments})",
                subject.as_str(),
                site.name
            )))
        }
    }
}

/// Checks that an environment exists.
pub(super) fn check_environment(state: &FleetState, name: &Name) -> Result<(), FleetCommandError> {
    if state.environments.contains_key(name) {
        return Ok(());
    }
    let known: Vec<_> = state.environments.keys().map(Name::as_str).collect();
    Err(FleetCommandError::NotFound(format!("there is no environment {name}; there are: {}", known.join(", "))))
}

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
