//! Commands on sites and their gateways: labels, names, and the requests of their lifecycle.

use linecamp_model::{
    DocumentKey, EventKind, LabelPatch, LabelSet, Life, Now, Phase, PhaseEvent, SiteId, SpecBody, Target,
};

use crate::fleet::command::{Edit, FleetCommandError};
use crate::fleet::decision::{Decided, Decision, find, spec_change};
use crate::fleet::lifecycle::life_changes;
use crate::fleet::site_record::SiteRecord;
use crate::fleet::state::FleetState;
use crate::fleet::subject::{SiteRef, Subject};
use crate::site::describe_patch;

/// Changes assigned labels.
pub(super) fn patch_labels(
    state: &FleetState,
    subject: Subject,
    site: &SiteRef,
    patch: &LabelPatch,
    now: Now,
) -> Decided {
    let id = find(state, subject, site)?;
    let record = live_record(state, id, site)?;
    let (key, body) = subject_spec(record, subject, site)?;
    let patched = |labels: &LabelSet| labels.patched(patch, now.wall).map_err(FleetCommandError::Labels);
    let after = match body.clone() {
        SpecBody::Site(spec) => SpecBody::Site(linecamp_model::SiteSpec { assigned: patched(&spec.assigned)?, ..spec }),
        SpecBody::Host(spec) => SpecBody::Host(linecamp_model::HostSpec { assigned: patched(&spec.assigned)?, ..spec }),
        provider @ SpecBody::Provider(_) => provider,
    };
    let event = (EventKind::LabelsAssigned, format!("{}: {}", subject.as_str(), describe_patch(patch)));
    Ok(spec_change(record, id, key, (body, after), event))
}

/// Changes the name or the description.
pub(super) fn edit_subject(state: &FleetState, subject: Subject, site: &SiteRef, edit: Edit) -> Decided {
    let id = find(state, subject, site)?;
    let record = live_record(state, id, site)?;
    let (key, body) = subject_spec(record, subject, site)?;
    if let (Some(name), Some(spec)) = (&edit.name, record.site_spec())
        && state.is_name_taken(subject, &spec.environment, name, Some(id))
    {
        let text = format!("environment {} has a {} {name} already", spec.environment, subject.as_str());
        return Err(FleetCommandError::NameTaken(text));
    }
    let words = format!("{}: name and description edited", subject.as_str());
    let after = match body.clone() {
        SpecBody::Site(mut spec) => {
            spec.name = edit.name.unwrap_or(spec.name);
            spec.description = edit.description.unwrap_or(spec.description);
            SpecBody::Site(spec)
        }
        SpecBody::Host(mut spec) => {
            spec.name = edit.name.unwrap_or(spec.name);
            spec.description = edit.description.unwrap_or(spec.description);
            SpecBody::Host(spec)
        }
        provider @ SpecBody::Provider(_) => provider,
    };
    Ok(spec_change(record, id, key, (body, after), (EventKind::Edited, words)))
}

/// Moves a site or its gateway to another phase and updates its spec.
pub(super) fn transition(state: &FleetState, subject: Subject, site: &SiteRef, asked: PhaseEvent, now: Now) -> Decided {
    let id = find(state, subject, site)?;
    let not_found = || FleetCommandError::NotFound(format!("there is no {} {}", subject.as_str(), site.name));
    let record = state.sites.get(&id).ok_or_else(not_found)?;
    let life = subject.life(record).ok_or_else(not_found)?;
    let Some(phase) = life.phase.after(asked) else {
        return if is_noop(life.phase, asked) {
            Ok(Decision::default())
        } else {
            Err(cannot(subject, site, life.phase, asked))
        };
    };
    let (key, body) = subject_spec(record, subject, site)?;
    let target = match phase {
        Phase::Pending => Target::Pending,
        Phase::Registering | Phase::Active | Phase::Activating => Target::Active,
        Phase::Deactivating | Phase::Inactive => Target::Inactive,
        Phase::Removing | Phase::Removed | Phase::Purged => Target::Removed,
    };
    let after = match body.clone() {
        SpecBody::Site(spec) => SpecBody::Site(linecamp_model::SiteSpec { target, ..spec }),
        SpecBody::Host(spec) => SpecBody::Host(linecamp_model::HostSpec { target, ..spec }),
        provider @ SpecBody::Provider(_) => provider,
    };
    let mut decision = spec_change(record, id, key, (body, after), (EventKind::PhaseChanged, String::new()));
    let head = record.spec.head();
    let requested_at = if decision.changes.is_empty() { head } else { head.next() };
    let life = Life { phase, since: now.wall, requested_at };
    decision.changes.extend(life_changes(id, record, subject, life, now));
    decision.site = Some(id);
    let kind = if asked == PhaseEvent::Accepted { EventKind::SiteAccepted } else { EventKind::PhaseChanged };
    decision.event = Some((kind, Some(id), format!("{} is {phase}", subject.as_str())));
    Ok(decision)
}

/// Returns the records of a site that was not removed.
pub(super) fn live_record<'a>(
    state: &'a FleetState,
    id: SiteId,
    site: &SiteRef,
) -> Result<&'a SiteRecord, FleetCommandError> {
    match state.site(id) {
        Some((record, registration)) if !registration.life.phase.is_gone() => Ok(record),
        Some(_) | None => Err(FleetCommandError::NotPossible(format!("site {} was removed", site.name))),
    }
}

fn subject_spec<'a>(
    record: &'a SiteRecord,
    subject: Subject,
    site: &SiteRef,
) -> Result<(DocumentKey, &'a SpecBody), FleetCommandError> {
    let key = match subject {
        Subject::Site => Some(DocumentKey::Site),
        Subject::Gateway => record.gateway(),
    };
    let found = key.and_then(|key| Some((key, record.spec.body(key)?)));
    found.ok_or_else(|| FleetCommandError::NotFound(format!("{} has no spec", site.name)))
}

/// Whether the requested transition has already happened or is in progress.
const fn is_noop(phase: Phase, asked: PhaseEvent) -> bool {
    match asked {
        PhaseEvent::Accepted => matches!(phase, Phase::Registering | Phase::Active),
        PhaseEvent::DeactivateRequested => matches!(phase, Phase::Deactivating | Phase::Inactive),
        PhaseEvent::ActivateAsked => matches!(phase, Phase::Registering | Phase::Activating | Phase::Active),
        PhaseEvent::RemoveAsked => matches!(phase, Phase::Removing | Phase::Removed),
        PhaseEvent::RemoveForced => phase.is_gone(),
        PhaseEvent::Reported | PhaseEvent::Confirmed | PhaseEvent::KeepOver => false,
    }
}

fn cannot(subject: Subject, site: &SiteRef, phase: Phase, asked: PhaseEvent) -> FleetCommandError {
    let name = &site.name;
    let way_out = match (asked, phase) {
        (PhaseEvent::RemoveAsked, Phase::Active | Phase::Registering | Phase::Activating) => {
            format!(": deactivate it first (`linecamp site deactivate {name}`), or remove it with --force")
        }
        (PhaseEvent::RemoveAsked, Phase::Deactivating) => {
            ": wait until it is inactive, or remove it with --force".to_owned()
        }
        (_, Phase::Pending) => format!(": accept it first (`linecamp site accept {name}`)"),
        (_, Phase::Removing | Phase::Removed) => ": it is being removed".to_owned(),
        (_, _) => String::new(),
    };
    let what = match asked {
        PhaseEvent::Accepted => "accepted",
        PhaseEvent::DeactivateRequested => "deactivated",
        PhaseEvent::ActivateAsked => "activated",
        PhaseEvent::RemoveAsked | PhaseEvent::RemoveForced => "removed",
        PhaseEvent::Reported | PhaseEvent::Confirmed | PhaseEvent::KeepOver => "changed",
    };
    FleetCommandError::NotPossible(format!("{} {name} is {phase} and cannot be {what}{way_out}", subject.as_str()))
}
