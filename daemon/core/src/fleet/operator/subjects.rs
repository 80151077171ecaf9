//! Commands on sites and hosts: labels, names, and the requests of their lifecycle.

use linecamp_model::{
    DocumentKey, EventKind, LabelPatch, LabelSet, Life, Name, Now, Phase, PhaseEvent, SiteId, SpecBody, Target,
};

use crate::fleet::command::{Edit, FleetCommandError};
use crate::fleet::decision::{Decided, Decision, spec_change};
use crate::fleet::lifecycle::{left_records, life_changes};
use crate::fleet::site_record::SiteRecord;
use crate::fleet::spec_size::{SITE_AND_HOSTS_BYTES_MAX, spec_size};
use crate::fleet::state::FleetState;
use crate::fleet::subject::Subject;
use crate::site::describe_patch;

/// Changes assigned labels.
pub(super) fn patch_labels(state: &FleetState, subject: Subject, patch: &LabelPatch, now: Now) -> Decided {
    let record = live_record(state, subject.site())?;
    let body = spec_of(record, subject)?;
    let patched = |labels: &LabelSet| labels.patched(patch, now.wall).map_err(FleetCommandError::Labels);
    let after = match body.clone() {
        SpecBody::Site(spec) => SpecBody::Site(linecamp_model::SiteSpec { assigned: patched(&spec.assigned)?, ..spec }),
        SpecBody::Host(spec) => SpecBody::Host(linecamp_model::HostSpec { assigned: patched(&spec.assigned)?, ..spec }),
        other @ (SpecBody::Provider(_) | SpecBody::HostToken(_)) => other,
    };
    check_size(record, subject, &after)?;
    let event = (EventKind::LabelsAssigned, format!("{}: {}", subject.noun(), describe_patch(patch)));
    Ok(spec_change(record, subject.site(), subject.document(), (body, after), event))
}

/// Changes the name or the description.
pub(super) fn edit_subject(state: &FleetState, subject: Subject, edit: Edit) -> Decided {
    let record = live_record(state, subject.site())?;
    let body = spec_of(record, subject)?;
    if let Some(name) = &edit.name {
        check_name_free(state, record, subject, name)?;
    }
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
        other @ (SpecBody::Provider(_) | SpecBody::HostToken(_)) => other,
    };
    check_size(record, subject, &after)?;
    let event = (EventKind::Edited, format!("{}: name and description edited", subject.noun()));
    Ok(spec_change(record, subject.site(), subject.document(), (body, after), event))
}

/// Checks that the spec of a site and its hosts leaves room for the specs of providers: together they reach the site.
fn check_size(record: &SiteRecord, subject: Subject, after: &SpecBody) -> Result<(), FleetCommandError> {
    let bytes = spec_size(record, subject.document(), after);
    match bytes <= SITE_AND_HOSTS_BYTES_MAX {
        true => Ok(()),
        false => Err(FleetCommandError::Limit(format!(
            "the labels and descriptions of a site and its hosts may have {SITE_AND_HOSTS_BYTES_MAX} bytes together; with \
             this change they would have {bytes}"
        ))),
    }
}

/// Checks that no other site of the environment, or no other host of the site, has a name.
fn check_name_free(
    state: &FleetState,
    record: &SiteRecord,
    subject: Subject,
    name: &Name,
) -> Result<(), FleetCommandError> {
    let Some(site) = record.site_spec() else { return Ok(()) };
    let text = match subject {
        Subject::Site(id) if state.is_site_name_taken(&site.environment, name, Some(id)) => {
            format!("environment {} has a site {name} already", site.environment)
        }
        Subject::Host(_, id) if record.host_specs().any(|(other, spec)| other != id && spec.name == *name) => {
            format!("site {} has a host {name} already", site.name)
        }
        Subject::Site(_) | Subject::Host(..) => return Ok(()),
    };
    Err(FleetCommandError::NameTaken(text))
}

/// Moves a site or a host to another phase and updates its spec.
pub(super) fn transition(state: &FleetState, subject: Subject, event: PhaseEvent, now: Now) -> Decided {
    let id = subject.site();
    let not_found = || FleetCommandError::NotFound(format!("the {} is not registered", subject.noun()));
    let record = state.sites.get(&id).ok_or_else(not_found)?;
    let life = subject.life(record).ok_or_else(not_found)?;
    if let (Subject::Host(_, host), PhaseEvent::RemoveRequested | PhaseEvent::RemoveForced) = (subject, event)
        && record.gateway() == Some(DocumentKey::Host(host))
    {
        let text = format!("{} is the gateway of its site: remove the site", subject.describe(record));
        return Err(FleetCommandError::NotPossible(text));
    }
    let Some(phase) = life.phase.after(event) else {
        return if is_noop(life.phase, event) {
            Ok(Decision::default())
        } else {
            Err(invalid_transition(record, subject, life.phase, event))
        };
    };
    let body = spec_of(record, subject)?;
    let target = match phase {
        Phase::Pending => Target::Pending,
        Phase::Registering | Phase::Active | Phase::Activating => Target::Active,
        Phase::Deactivating | Phase::Inactive => Target::Inactive,
        Phase::Removing | Phase::Removed | Phase::Purged => Target::Removed,
    };
    let after = match body.clone() {
        SpecBody::Site(spec) => SpecBody::Site(linecamp_model::SiteSpec { target, ..spec }),
        SpecBody::Host(spec) => SpecBody::Host(linecamp_model::HostSpec { target, ..spec }),
        other @ (SpecBody::Provider(_) | SpecBody::HostToken(_)) => other,
    };
    let no_text = (EventKind::PhaseChanged, String::new());
    let mut decision = spec_change(record, id, subject.document(), (body, after), no_text);
    let head = record.spec.head();
    let requested_at = if decision.changes.is_empty() { head } else { head.next() };
    let life = Life { phase, since: now.wall, requested_at };
    decision.changes.extend(life_changes(record, subject, life, now));
    decision.sites = vec![id];
    let kind = if event == PhaseEvent::Accepted { EventKind::SiteAccepted } else { EventKind::PhaseChanged };
    decision.events = vec![(kind, Some(id), format!("{} is {phase}", subject.noun_in_site(record)))];
    if phase.is_gone() {
        decision.events.extend(left_records(record, subject));
    }
    Ok(decision)
}

/// Returns the record of a site that was not removed.
pub(super) fn live_record(state: &FleetState, site: SiteId) -> Result<&SiteRecord, FleetCommandError> {
    match state.site(site) {
        Some((record, registration)) if !registration.life.phase.is_gone() => Ok(record),
        Some((record, _)) => {
            Err(FleetCommandError::NotPossible(format!("{} was removed", Subject::Site(site).describe(record))))
        }
        None => Err(FleetCommandError::NotFound("the site is not registered".to_owned())),
    }
}

fn spec_of(record: &SiteRecord, subject: Subject) -> Result<&SpecBody, FleetCommandError> {
    let has_no_spec = || FleetCommandError::NotFound(format!("{} has no spec", subject.describe(record)));
    record.spec.body(subject.document()).ok_or_else(has_no_spec)
}

/// Whether the requested transition has already happened or is in progress.
const fn is_noop(phase: Phase, event: PhaseEvent) -> bool {
    match event {
        PhaseEvent::Accepted => matches!(phase, Phase::Registering | Phase::Active),
        PhaseEvent::DeactivateRequested => matches!(phase, Phase::Deactivating | Phase::Inactive),
        PhaseEvent::ActivateRequested => matches!(phase, Phase::Registering | Phase::Activating | Phase::Active),
        PhaseEvent::RemoveRequested => matches!(phase, Phase::Removing | Phase::Removed),
        PhaseEvent::RemoveForced => phase.is_gone(),
        PhaseEvent::Reported | PhaseEvent::Confirmed | PhaseEvent::Left | PhaseEvent::KeepOver => false,
    }
}

fn invalid_transition(record: &SiteRecord, subject: Subject, phase: Phase, event: PhaseEvent) -> FleetCommandError {
    let name = subject.address(record);
    let noun = subject.noun();
    let way_out = match (event, phase) {
        (PhaseEvent::RemoveRequested, Phase::Active | Phase::Registering | Phase::Activating) => {
            format!(": deactivate it first (`linecamp {noun} deactivate {name}`), or remove it with --force")
        }
        (PhaseEvent::RemoveRequested, Phase::Deactivating) => {
            ": wait until it is inactive, or remove it with --force".to_owned()
        }
        (_, Phase::Pending) => format!(": accept it first (`linecamp site accept {name}`)"),
        (_, Phase::Removing | Phase::Removed) => ": it is being removed".to_owned(),
        (_, _) => String::new(),
    };
    let what = match event {
        PhaseEvent::Accepted => "accepted",
        PhaseEvent::DeactivateRequested => "deactivated",
        PhaseEvent::ActivateRequested => "activated",
        PhaseEvent::RemoveRequested | PhaseEvent::RemoveForced => "removed",
        PhaseEvent::Reported | PhaseEvent::Confirmed | PhaseEvent::Left | PhaseEvent::KeepOver => "changed",
    };
    let subject = subject.describe(record);
    FleetCommandError::NotPossible(format!("{subject} is {phase} and cannot be {what}{way_out}"))
}

#[cfg(test)]
mod tests {
    use linecamp_model::limits::{
        HOSTS_PER_SITE_MAX, LABEL_KEY_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_PER_OWNER_MAX,
    };
    use linecamp_model::{LabelKey, LabelValue};

    use super::*;
    use crate::fleet::lookup::find;
    use crate::fleet::subject::SubjectRef;
    use crate::fleet::testing::{NOW, add_host, apply, join, state_with_site};
    use crate::testing::{host_ref, name, patch, site_ref};

    fn found(state: &FleetState, subject: impl Into<SubjectRef>) -> Subject {
        find(state, &subject.into()).expect("it exists")
    }

    fn rename(state: &FleetState, subject: impl Into<SubjectRef>, to: &str) -> Decided {
        edit_subject(state, find(state, &subject.into())?, Edit { name: Some(name(to)), description: None })
    }

    #[test]
    fn the_labels_of_a_site_and_its_hosts_leave_room_for_its_providers() {
        let (mut state, site) = state_with_site();
        let full = LabelPatch {
            set: (0..LABELS_PER_OWNER_MAX)
                .map(|index| {
                    let key = LabelKey::parse(&format!("{index:0LABEL_KEY_BYTES_MAX$}")).unwrap();
                    (key, LabelValue::parse(&"v".repeat(LABEL_VALUE_BYTES_MAX)).unwrap())
                })
                .collect(),
            ..LabelPatch::default()
        };
        let refused = (1..HOSTS_PER_SITE_MAX).find_map(|number| {
            let host = format!("box-{number}");
            add_host(&mut state, site, &host);
            match patch_labels(&state, found(&state, host_ref(&host)), &full, NOW) {
                Ok(decision) => {
                    apply(&mut state, |_| decision.changes);
                    None
                }
                Err(error) => Some(error),
            }
        });
        let Some(FleetCommandError::Limit(text)) = refused else { panic!("{refused:?}") };
        assert!(text.contains(&SITE_AND_HOSTS_BYTES_MAX.to_string()), "{text}");
        patch_labels(&state, Subject::Site(site), &patch(&["a=b"]), NOW).expect("a small change fits");
    }

    #[test]
    fn a_host_name_is_unique_within_its_site_only() {
        let (mut state, first) = state_with_site();
        add_host(&mut state, first, "box");
        join(&mut state, 2);
        let taken = rename(&state, host_ref("box"), "s1").expect_err("its gateway has that name");
        assert_eq!(taken, FleetCommandError::NameTaken("site s1 has a host s1 already".to_owned()));
        apply(&mut state, |state| rename(state, host_ref("s2/s2"), "box").expect("no host of its site has it").changes);
        assert!(matches!(rename(&state, host_ref("box"), "gw"), Err(FleetCommandError::Ambiguous(_))));
        apply(&mut state, |state| rename(state, host_ref("s1/box"), "box-2").expect("it is free").changes);
        assert_eq!(rename(&state, host_ref("box"), "box"), Ok(Decision::default()), "its own name is no conflict");

        let taken = rename(&state, site_ref("s2"), "s1").expect_err("another site has it");
        assert_eq!(taken, FleetCommandError::NameTaken("environment default has a site s1 already".to_owned()));
        rename(&state, site_ref("s2"), "box-2").expect("a host of that name is no conflict");
    }

    #[test]
    fn a_command_changes_the_host_that_is_named() {
        let (mut state, site) = state_with_site();
        let host = add_host(&mut state, site, "box");
        let labels = |state: &FleetState| patch_labels(state, Subject::Host(site, host), &patch(&["tier=gold"]), NOW);
        apply(&mut state, |state| labels(state).expect("labelled").changes);
        let record = &state.sites[&site];
        let tiers: Vec<_> = record.host_specs().map(|(id, spec)| (id == host, spec.assigned.value("tier"))).collect();
        assert!(tiers.contains(&(true, Some("gold"))) && tiers.contains(&(false, None)), "{tiers:?}");
        let refused = transition(&state, Subject::Host(site, host), PhaseEvent::RemoveRequested, NOW);
        let Err(FleetCommandError::NotPossible(text)) = refused else { panic!("not refused: {refused:?}") };
        assert!(text.starts_with("host s1/box is registering and cannot be removed"), "{text}");
    }
}
