//! Hosts that join the server directly: registration, certificates, what they may report, and the end of it.
//!
//! The server is their parent, with the rules of sites: a join is idempotent on the key, a token is counted exactly,
//! and the key of a removed host is never accepted again. Each belongs to a site, in whose spec it is what a host of
//! the site's LAN is. The spec also has the labels that the host sets and reports itself, because its site keeps its
//! DNS records and does not hear from it.

use std::collections::BTreeSet;

use linecamp_model::limits::HOSTS_PER_SITE_MAX;
use linecamp_model::{
    DocumentKey, EventKind, FleetChange, HostId, HostLink, HostMember, HostMemberChange, HostMemberRegistration,
    HostRegistration, HostSpec, HostStatus, JoinRequest, KeyFingerprint, LabelSet, Life, Name, Now, Origin, Parent,
    Phase, PhaseEvent, Recoveries, Refusal, RefusalCode, SiteId, SpecBody, Target, Text, Token, TokenId, WallTime,
};

use super::decision::Decision;
use super::joined_hosts::{ending, spec_document};
use super::registry::valid_token;
use super::site_record::SiteRecord;
use super::spec_size::{SITE_AND_HOSTS_BYTES_MAX, spec_size};
use super::state::FleetState;
use super::subject::Subject;
use crate::downlink::Standing;
use crate::membership::{IssueRequest, certificate_validity, count_recovery};
use crate::rng::Rng;

/// The outcome of a join.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joining {
    /// The key is already registered: issue another certificate.
    Again(HostId),
    /// A new host of a site, once this is durable.
    New((SiteId, HostId), Decision),
}

/// Decides the join of the holder of `key`. The id of a new host comes from `rng`.
pub(super) fn join(
    state: &FleetState,
    key: KeyFingerprint,
    request: &JoinRequest,
    rng: &mut Rng,
    now: Now,
) -> Result<Joining, Refusal> {
    if state.revoked_keys.contains_key(&key) {
        return Err(removed());
    }
    if let Some(host) = state.host_of_key(&key) {
        return Ok(Joining::Again(host));
    }
    let refuse = |code, text: &str| Err(Refusal::new(code, text));
    if state.site_of_key(&key).is_some() {
        return refuse(RefusalCode::TokenUnknown, "this machine is registered as a site: remove the site first");
    }
    let token = valid_token(state, request, now)?;
    let Some(of) = token.hosts.filter(|hosts| hosts.parent == Parent::Server) else {
        let text = "this join token is for sites: leave out --host, or create one with `linecamp host add --custom`";
        return refuse(RefusalCode::TokenUnknown, text);
    };
    let Some((record, site)) = live_site(state, of.site) else {
        return refuse(
            RefusalCode::TokenUnknown,
            "the site of this join token was removed; the host needs another one",
        );
    };
    if let Some(wanted) = request.site.as_ref().filter(|wanted| **wanted != site.name) {
        let text = format!("this join token is for hosts of site {}, not of {wanted}", site.name);
        return refuse(RefusalCode::TokenUnknown, &text);
    }
    let is_taken = |(host, spec): (HostId, &HostSpec)| is_live(record, host) && spec.name == request.name;
    if record.host_specs().any(is_taken) {
        let text = format!("site {} has a host {} already: choose another name with --name", site.name, request.name);
        return refuse(RefusalCode::NameTaken, &text);
    }
    if HOSTS_PER_SITE_MAX <= record.hosts.len() {
        let text = format!("site {} has {HOSTS_PER_SITE_MAX} hosts, the maximum: remove one", site.name);
        return refuse(RefusalCode::SiteFull, &text);
    }
    let host = HostId::from_bytes(rng.bytes());
    let spec = new_spec(key, (request, token), now);
    if SITE_AND_HOSTS_BYTES_MAX < spec_size(record, DocumentKey::Host(host), &SpecBody::Host(spec.clone())) {
        return refuse(RefusalCode::SiteFull, &too_large(&site.name));
    }
    let newcomer = newcomer((of.site, host), record, key, (request.token, spec), now);
    Ok(Joining::New((of.site, host), newcomer))
}

/// Returns the spec of a new host.
fn new_spec(key: KeyFingerprint, (request, token): (&JoinRequest, &Token), now: Now) -> HostSpec {
    let member = HostMember {
        parent: Parent::Server,
        token: request.token,
        keys: BTreeSet::from([key]),
        joined_at: now.wall,
        local: LabelSet::default(),
        reported: LabelSet::default(),
    };
    HostSpec {
        name: request.name.clone(),
        origin: Origin::Custom,
        description: Text::default(),
        target: Target::Active,
        assigned: token.labels.clone(),
        member: Some(member),
    }
}

/// Returns the decision that creates a host.
fn newcomer(
    (site, host): (SiteId, HostId),
    record: &SiteRecord,
    key: KeyFingerprint,
    (token, spec): (TokenId, HostSpec),
    now: Now,
) -> Decision {
    let text = format!("host {} joined the server", spec.name);
    let registration = HostMemberRegistration {
        name: spec.name.clone(),
        token,
        joined_at: now.wall,
        link: HostLink { is_disconnected: false, since: now.wall },
        recoveries: Recoveries { day: now.wall, ..Recoveries::default() },
        in_spec: true,
        removed_at: None,
    };
    let generation = record.spec.head().next();
    let life = Life { phase: Phase::Registering, since: now.wall, requested_at: generation };
    let changes = vec![
        FleetChange::Host(site, host, Some(HostRegistration { life })),
        FleetChange::HostMember(site, host, HostMemberChange::Registration(Some(registration))),
        FleetChange::HostMember(site, host, HostMemberChange::Key(key, Some(now.wall))),
        spec_document(site, host, generation, spec),
        FleetChange::TokenUse(token, host.into(), Some(now.wall)),
    ];
    Decision { changes, events: vec![(EventKind::HostJoined, Some(site), text)], sites: vec![site] }
}

/// Returns the hosts that may connect, and since when each is recorded as offline, if it is.
pub(super) fn expected(state: &FleetState) -> impl Iterator<Item = (HostId, Option<WallTime>)> {
    state.registered().flat_map(|(_, record, _)| {
        let live = record.direct_hosts.iter().filter(|(host, _)| is_live(record, **host));
        live.filter_map(|(host, of)| {
            let link = of.registration.as_ref()?.link;
            Some((*host, Some(link.since).filter(|_| link.is_disconnected)))
        })
    })
}

/// Returns the host that holds `key`, or `None` if it is not registered.
///
/// # Errors
/// The host was removed; the refusal is permanent.
pub(super) fn registered(state: &FleetState, key: &KeyFingerprint) -> Result<Option<HostId>, Refusal> {
    let Some(host) = state.host_of_key(key) else { return Ok(None) };
    match state.direct_host(host).map(|(_, record, _)| is_live(record, host)) {
        Some(true) => Ok(Some(host)),
        Some(false) | None => Err(removed()),
    }
}

/// Returns the standing of a host.
pub(super) fn standing(record: &SiteRecord, host: HostId) -> Standing {
    match is_live(record, host) {
        true => Standing::Accepted,
        false => Standing::Gone,
    }
}

fn is_live(record: &SiteRecord, host: HostId) -> bool {
    record.hosts.get(&host).is_some_and(|of| !of.life.phase.is_gone())
}

/// Returns the permanent refusal of a host that was removed.
pub(super) fn removed() -> Refusal {
    let text = "this host was removed from its site; to bring the machine back, join it again with a new token";
    Refusal::new(RefusalCode::Removed, text)
}

/// Checks that what a host says about itself has room in the spec of its site.
///
/// # Errors
/// The refusal that says what to do.
pub(super) fn check_size(state: &FleetState, host: HostId, status: &HostStatus) -> Result<(), Refusal> {
    let Some((_, record, _)) = state.direct_host(host) else { return Ok(()) };
    let Some(spec) = record.host_spec(host) else { return Ok(()) };
    let Some(after) = with_labels(spec, status) else { return Ok(()) };
    match spec_size(record, DocumentKey::Host(host), &SpecBody::Host(after)) <= SITE_AND_HOSTS_BYTES_MAX {
        true => Ok(()),
        false => {
            let name = record.site_spec().map_or("-", |site| site.name.as_str());
            Err(Refusal::new(RefusalCode::Protocol, &too_large(name)))
        }
    }
}

fn too_large(site: impl std::fmt::Display) -> String {
    format!(
        "the labels and descriptions of site {site} and its hosts have at most {SITE_AND_HOSTS_BYTES_MAX} bytes \
         together, and this host leaves no room: remove labels"
    )
}

/// Returns what the reports of the hosts of a site change in its spec; `None` if nothing.
pub(super) fn follow(state: &FleetState, site: SiteId) -> Option<Decision> {
    let record = state.sites.get(&site)?;
    let mut decision = Decision::default();
    let mut generation = record.spec.head();
    for (host, of) in record.direct_hosts.iter().filter(|(host, _)| is_live(record, **host)) {
        let reported = of.reported().zip(record.host_spec(*host));
        let Some(spec) = reported.and_then(|(status, spec)| with_labels(spec, status)) else { continue };
        generation = generation.next();
        decision.changes.push(spec_document(site, *host, generation, spec));
        decision.sites = vec![site];
    }
    (!decision.changes.is_empty()).then_some(decision)
}

/// Returns a spec with the labels that its host has reported; `None` if it has them.
fn with_labels(spec: &HostSpec, status: &HostStatus) -> Option<HostSpec> {
    let member = spec.member.as_ref()?;
    if (&member.local, &member.reported) == (&status.local, &status.reported) {
        return None;
    }
    let (local, reported) = (status.local.clone(), status.reported.clone());
    Some(HostSpec { member: Some(HostMember { local, reported, ..member.clone() }), ..spec.clone() })
}

/// Returns the decision to end the registration of a host that leaves.
pub(super) fn leave(state: &FleetState, host: HostId, now: Now) -> Option<Decision> {
    let (site, record, _) = state.direct_host(host)?;
    let life = Subject::Host(site, host).life(record)?;
    let phase = life.phase.after(PhaseEvent::Left)?;
    let (mut decision, mut generation) = (Decision::default(), record.spec.head());
    ending(record, (site, host), Life { phase, since: now.wall, ..life }, now, &mut generation, &mut decision);
    let name = record.host_spec(host).map_or("-", |spec| spec.name.as_str());
    decision.events = vec![(EventKind::HostRemoved, Some(site), format!("host {name} left the site"))];
    Some(decision)
}

/// Counts a recovery of a host with an expired certificate, if one is allowed.
///
/// # Errors
/// The limit of the site's environment is reached, until the 24 hours are over.
pub(super) fn recover(state: &FleetState, host: HostId, now: Now) -> Result<Option<FleetChange>, Refusal> {
    let Some((site, record, of)) = state.direct_host(host) else { return Ok(None) };
    let Some((registration, environment)) = of.registration.as_ref().zip(environment(record)) else { return Ok(None) };
    let max = state.environments.get(environment).map_or(0, |rules| rules.recoveries_per_day_max);
    let recoveries = count_recovery(registration.recoveries, max, now.wall).map_err(|left| {
        let text = format!("the certificate has expired, and environment {environment} allows {max} recoveries a day");
        Refusal::new(RefusalCode::RecoverLimit, &text).retry_after(left)
    })?;
    let counted = HostMemberRegistration { recoveries, ..registration.clone() };
    Ok(Some(FleetChange::HostMember(site, host, HostMemberChange::Registration(Some(counted)))))
}

/// Returns the certificate to issue to a host.
pub(super) fn issue_request(
    state: &FleetState,
    (site, host, name): (SiteId, HostId, &Name),
    life: std::time::Duration,
    now: Now,
) -> Option<IssueRequest> {
    let environment = environment(state.sites.get(&site)?)?.clone();
    let [not_before, not_after] = certificate_validity(life, now.wall);
    let (kind, name) = (linecamp_model::MemberKind::Host, name.clone());
    Some(IssueRequest { kind, site, host, name, environment, not_before, not_after })
}

fn environment(record: &SiteRecord) -> Option<&Name> {
    record.registration.as_ref().map(|of| &of.environment)
}

fn live_site(state: &FleetState, site: SiteId) -> Option<(&SiteRecord, &linecamp_model::SiteSpec)> {
    let (record, _) = state.site(site).filter(|(_, of)| !of.life.phase.is_gone())?;
    Some((record, record.site_spec()?))
}
