//! The lifecycle of sites and hosts: the transitions that a site's reports confirm.

use linecamp_model::{
    DocumentKey, EventKind, FleetChange, Generation, HostId, HostRegistration, KeyFingerprint, Life, Now, Phase,
    PhaseEvent, Registration,
};

use super::decision::{Decision, Note};
use super::site_record::SiteRecord;
use super::state::FleetState;
use super::subject::Subject;

/// Returns the next phase of a site or a host if the site reported or confirmed what was requested.
pub(super) fn confirm(state: &FleetState, subject: Subject, now: Now) -> Option<Decision> {
    let site = subject.site();
    let (record, _) = state.site(site)?;
    let life = subject.life(record)?;
    let reports = Reports::of(state, record, subject, life.requested_at);
    let event = match life.phase {
        Phase::Registering if reports.has_reported => PhaseEvent::Reported,
        // An unreachable name server does not block activation or deactivation; a site being removed withdraws its
        // records.
        Phase::Deactivating | Phase::Activating if reports.has_applied => PhaseEvent::Confirmed,
        Phase::Removing if reports.is_gone => PhaseEvent::Confirmed,
        _ => return None,
    };
    let phase = life.phase.after(event)?;
    let life = Life { phase, since: now.wall, ..life };
    let changes = life_changes(record, subject, life, now);
    let event = (EventKind::PhaseChanged, Some(site), format!("{} is {phase}", subject.noun_in_site(record)));
    let left = if phase.is_gone() { left_records(record, subject) } else { Vec::new() };
    Some(Decision { changes, events: [event].into_iter().chain(left).collect(), sites: vec![site] })
}

/// What was reported of a site or a host, as far as its phase depends on it.
#[derive(Clone, Copy, Debug)]
struct Reports {
    /// Whether it has reported anything.
    has_reported: bool,
    /// Whether it has applied what was requested.
    has_applied: bool,
    /// Whether nothing is left of it where it was registered.
    is_gone: bool,
}

impl Reports {
    fn of(state: &FleetState, record: &SiteRecord, subject: Subject, requested_at: Generation) -> Self {
        let incarnation = state.spec_incarnation(subject.site());
        let is_applied_by_site = requested_at <= record.applied(incarnation);
        match subject {
            // A host with a daemon of its own.
            Subject::Host(_, host) if record.host_member(host).is_some() => {
                let daemon = record.host_daemon(host, incarnation);
                let applied = daemon.as_ref().filter(|daemon| daemon.spec_incarnation == incarnation);
                Self {
                    has_reported: daemon.is_some(),
                    has_applied: applied.is_some_and(|daemon| requested_at <= daemon.applied),
                    is_gone: is_applied_by_site && record.has_let_go(host),
                }
            }
            Subject::Site(_) | Subject::Host(..) => Self {
                has_reported: record.status.body(DocumentKey::Site).is_some(),
                has_applied: is_applied_by_site,
                is_gone: requested_at <= record.converged(incarnation),
            },
        }
    }
}

/// Returns the events about the DNS records that a removed site leaves behind: one for each provider. `record` is the
/// record of the site.
pub(super) fn left_records(record: &SiteRecord, subject: Subject) -> Vec<Note> {
    let Subject::Site(site) = subject else { return Vec::new() };
    let text = |records: &String| format!("the removed site left DNS records behind: {records}");
    record.records_left().iter().map(|records| (EventKind::RecordsLeft, Some(site), text(records))).collect()
}

/// Returns the changes that set the lifecycle state of a site or a host. `record` is the record of the site. A removed
/// site takes its hosts with it. The keys of what is removed are revoked.
pub(super) fn life_changes(record: &SiteRecord, subject: Subject, life: Life, now: Now) -> Vec<FleetChange> {
    let id = subject.site();
    let revoked = |key: &KeyFingerprint| FleetChange::RevokedKey(*key, Some(now.wall));
    let host = |host: HostId| {
        let direct = record.direct_hosts.get(&host).filter(|_| life.phase.is_gone());
        let keys = direct.into_iter().flat_map(|of| of.keys.keys()).map(revoked);
        [FleetChange::Host(id, host, Some(HostRegistration { life }))].into_iter().chain(keys).collect::<Vec<_>>()
    };
    if let Subject::Host(_, of) = subject {
        return host(of);
    }
    let Some(registration) = &record.registration else { return Vec::new() };
    let mut changes = vec![FleetChange::Site(id, Some(Registration { life, ..registration.clone() }))];
    if life.phase.is_gone() {
        changes.extend(record.hosts.keys().copied().flat_map(host));
        changes.extend(record.keys.keys().map(revoked));
    }
    changes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use linecamp_model::{Document, Generation, LabelSet, SiteId, SiteStatus, StatusBody};

    use super::*;
    use crate::fleet::testing::{NOW, add_host, apply, state_with_site};

    fn report(state: &mut FleetState, site: SiteId, generation: u64, applied: u64) {
        let status = SiteStatus {
            spec_incarnation: state.spec_incarnation(site),
            applied: Generation(applied),
            converged: Generation(applied),
            daemon_version: linecamp_model::Text::default(),
            local: LabelSet::default(),
            conditions: Vec::new(),
        };
        let document = Document { generation: Generation(generation), body: Some(StatusBody::Site(status)) };
        apply(state, |_| vec![FleetChange::Status(site, DocumentKey::Site, Some(document))]);
    }

    fn phase(state: &FleetState, site: SiteId) -> Option<Phase> {
        state.site(site).map(|(_, registration)| registration.life.phase)
    }

    #[test]
    fn a_site_is_active_after_its_first_report_and_removed_once_converged() {
        let (mut state, site) = state_with_site();
        assert!(confirm(&state, Subject::Site(site), NOW).is_none(), "nothing was reported");
        report(&mut state, site, 1, 0);
        apply(&mut state, |state| confirm(state, Subject::Site(site), NOW).expect("reported").changes);
        assert_eq!(phase(&state, site), Some(Phase::Active));
        assert!(confirm(&state, Subject::Site(site), NOW).is_none(), "there is nothing to confirm");

        let leave = Life { phase: Phase::Removing, since: NOW.wall, requested_at: Generation(3) };
        apply(&mut state, |state| {
            let (record, _) = state.site(site).expect("it is registered");
            life_changes(record, Subject::Site(site), leave, NOW)
        });
        report(&mut state, site, 2, 2);
        assert!(confirm(&state, Subject::Site(site), NOW).is_none(), "it has not converged");
        report(&mut state, site, 3, 3);
        let confirmed = confirm(&state, Subject::Site(site), NOW).expect("it has converged");
        assert_eq!(confirmed.removed_sites().collect::<Vec<_>>(), [site]);
        apply(&mut state, |_| confirmed.changes);
        assert_eq!(phase(&state, site), Some(Phase::Removed));
    }

    #[test]
    fn each_host_of_a_site_has_a_phase_of_its_own_until_the_site_is_removed() {
        let (mut state, site) = state_with_site();
        let second = add_host(&mut state, site, "box");
        report(&mut state, site, 1, 1);
        let subjects = Subject::all_of(site, &state.sites[&site]);
        assert_eq!(subjects.len(), 3, "the site, its gateway and the other host");
        for subject in &subjects {
            apply(&mut state, |state| confirm(state, *subject, NOW).expect("reported").changes);
        }
        let phases = |state: &FleetState| {
            let record = &state.sites[&site];
            subjects.iter().filter_map(|subject| subject.life(record)).map(|life| life.phase).collect::<BTreeSet<_>>()
        };
        assert_eq!(phases(&state), BTreeSet::from([Phase::Active]));

        let host = Subject::Host(site, second);
        let out = Life { phase: Phase::Deactivating, since: NOW.wall, requested_at: Generation(1) };
        apply(&mut state, |state| life_changes(&state.sites[&site], host, out, NOW));
        apply(&mut state, |state| confirm(state, host, NOW).expect("it is applied").changes);
        assert_eq!(phases(&state), BTreeSet::from([Phase::Active, Phase::Inactive]));
        assert!(subjects.iter().all(|subject| confirm(&state, *subject, NOW).is_none()), "there is nothing to confirm");

        let gone = Life { phase: Phase::Removed, ..out };
        apply(&mut state, |state| life_changes(&state.sites[&site], Subject::Site(site), gone, NOW));
        assert_eq!(phases(&state), BTreeSet::from([Phase::Removed]));
    }
}
