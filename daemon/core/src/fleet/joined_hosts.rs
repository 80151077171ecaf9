//! Hosts that joined the gateway of their site: the server learns of them from the site's status, and answers with a
//! spec for each.
//!
//! The site says who is registered, with which keys, and whose registration ended; the server says what a host should
//! be. A host that the status does not have is not removed: the database of the site may be lost, and the site takes
//! its hosts from the spec again.

use linecamp_model::limits::{HOSTS_PER_SITE_MAX, NAME_BYTES_MAX};
use linecamp_model::{
    Document, DocumentKey, EventKind, FleetChange, Generation, HostId, HostMember, HostMembership, HostRegistration,
    HostSpec, LabelSet, Life, Name, Now, Origin, Parent, Phase, PhaseEvent, SiteId, SpecBody, Target, Text,
};

use super::decision::Decision;
use super::lifecycle::life_changes;
use super::site_record::SiteRecord;
use super::state::FleetState;
use super::subject::Subject;

/// Returns what the reports of a site about the hosts that joined its gateway change; `None` if nothing.
pub(super) fn follow(state: &FleetState, site: SiteId, now: Now) -> Option<Decision> {
    let (record, registration) = state.site(site)?;
    if registration.life.phase.is_gone() {
        return None;
    }
    let mut decision = Decision::default();
    let mut generation = record.spec.head();
    for (host, membership) in record.memberships() {
        match record.hosts.get(&host) {
            None => adopt((state, record), site, (host, membership), &mut generation, now, &mut decision),
            Some(known) => {
                follow_known(record, site, (host, known.life), (membership, now), &mut generation, &mut decision)
            }
        }
    }
    (!decision.changes.is_empty()).then_some(decision)
}

/// Registers a host that its site reports for the first time.
fn adopt(
    (state, record): (&FleetState, &SiteRecord),
    site: SiteId,
    (host, membership): (HostId, &HostMembership),
    generation: &mut Generation,
    now: Now,
    decision: &mut Decision,
) {
    let added = decision.changes.iter().filter(|change| matches!(change, FleetChange::Host(..))).count();
    if membership.removed_at.is_some() || HOSTS_PER_SITE_MAX <= record.hosts.len() + added {
        return;
    }
    let taken: Vec<&Name> = decision.changes.iter().filter_map(name_of_spec).collect();
    let Some(name) = free_name(record, &taken, &membership.name) else { return };
    let is_of_site = |token: &&linecamp_model::Token| token.hosts.is_some_and(|hosts| hosts.site == site);
    let token = state.tokens.get(&membership.token).filter(is_of_site);
    let spec = HostSpec {
        name,
        origin: Origin::Custom,
        description: Text::default(),
        target: Target::Active,
        assigned: token.map_or_else(LabelSet::default, |token| token.labels.clone()),
        member: Some(member_of(membership)),
    };
    *generation = generation.next();
    let life = Life { phase: Phase::Registering, since: now.wall, requested_at: *generation };
    decision.changes.push(FleetChange::Host(site, host, Some(HostRegistration { life })));
    decision.changes.push(spec_document(site, host, *generation, spec));
    if token.is_some() {
        decision.changes.push(FleetChange::TokenUse(membership.token, host.into(), Some(membership.joined_at)));
    }
    decision.sites = vec![site];
}

/// Follows what a site reports of a host that is registered.
fn follow_known(
    record: &SiteRecord,
    site: SiteId,
    (host, life): (HostId, Life),
    (membership, now): (&HostMembership, Now),
    generation: &mut Generation,
    decision: &mut Decision,
) {
    let Some(spec) = record.host_spec(host).filter(|spec| spec.origin != Origin::Gateway) else { return };
    let member = member_of(membership);
    let has_changed = membership.removed_at.is_none() && spec.member.as_ref() != Some(&member);
    if has_changed && !life.phase.is_gone() {
        *generation = generation.next();
        let spec = HostSpec { member: Some(member), ..spec.clone() };
        decision.changes.push(spec_document(site, host, *generation, spec));
        decision.sites = vec![site];
    }
    let event = match life.phase {
        Phase::Removing => PhaseEvent::Confirmed,
        _ => PhaseEvent::Left,
    };
    let Some(phase) = membership.removed_at.and_then(|_| life.phase.after(event)) else { return };
    ending(record, (site, host), Life { phase, since: now.wall, ..life }, now, generation, decision);
    let text = match event {
        PhaseEvent::Left => format!("host {} was removed at its site, or left it", spec.name),
        _ => format!("host {} is {phase}", spec.name),
    };
    decision.events.push((EventKind::PhaseChanged, Some(site), text));
}

/// Ends the registration of a host. Its spec says so: a machine that replaces the gateway takes its hosts from the
/// spec, without those that were removed.
pub(super) fn ending(
    record: &SiteRecord,
    (site, host): (SiteId, HostId),
    mut life: Life,
    now: Now,
    generation: &mut Generation,
    decision: &mut Decision,
) {
    if let Some(spec) = record.host_spec(host).filter(|spec| spec.target != Target::Removed) {
        *generation = generation.next();
        life.requested_at = *generation;
        let spec = HostSpec { target: Target::Removed, ..spec.clone() };
        decision.changes.push(spec_document(site, host, *generation, spec));
    }
    decision.changes.extend(life_changes(record, Subject::Host(site, host), life, now));
    decision.sites = vec![site];
}

/// Returns the changes that delete what is left of a removed host. Its site is told by a tombstone in the spec.
pub(super) fn purge_changes(
    record: &SiteRecord,
    site: SiteId,
    host: HostId,
    generation: Generation,
) -> Vec<FleetChange> {
    let direct = record.direct_hosts.get(&host).into_iter().flat_map(|of| of.purge_changes());
    let direct = direct.map(|change| FleetChange::HostMember(site, host, change));
    let tombstone = Document { generation, body: None };
    let spec = FleetChange::Spec(site, DocumentKey::Host(host), Some(tombstone));
    direct.chain([FleetChange::Host(site, host, None), spec]).collect()
}

fn member_of(membership: &HostMembership) -> HostMember {
    let (keys, joined_at) = (membership.keys.clone(), membership.joined_at);
    let (local, reported) = (LabelSet::default(), LabelSet::default());
    HostMember { parent: Parent::Gateway, token: membership.token, keys, joined_at, local, reported }
}

/// Returns the change of the spec of a host.
pub(super) fn spec_document(site: SiteId, host: HostId, generation: Generation, spec: HostSpec) -> FleetChange {
    let document = Document { generation, body: Some(SpecBody::Host(spec)) };
    FleetChange::Spec(site, DocumentKey::Host(host), Some(document))
}

fn name_of_spec(change: &FleetChange) -> Option<&Name> {
    match change {
        FleetChange::Spec(_, _, Some(Document { body: Some(SpecBody::Host(spec)), .. })) => Some(&spec.name),
        _ => None,
    }
}

/// Returns a name for a host that no other one of its site has: the one that it joined with, if it is free. Another
/// host may have got it while the site was offline.
fn free_name(record: &SiteRecord, taken: &[&Name], wanted: &Name) -> Option<Name> {
    let is_live = |host: &HostId| record.hosts.get(host).is_some_and(|of| !of.life.phase.is_gone());
    let live = |name: &Name| record.host_specs().any(|(host, spec)| is_live(&host) && spec.name == *name);
    let is_free = |name: &Name| !live(name) && !taken.contains(&name);
    let numbered = (2..=HOSTS_PER_SITE_MAX + 2).filter_map(|number| {
        let suffix = format!("-{number}");
        let cut = wanted.as_str().len().min(NAME_BYTES_MAX - suffix.len());
        Name::parse(&format!("{}{suffix}", wanted.as_str()[..cut].trim_end_matches('-'))).ok()
    });
    std::iter::once(wanted.clone()).chain(numbered).find(is_free)
}
