//! Registration of hosts at their gateway. The rules are those of sites at a server: a join is idempotent on the key, a
//! token is counted exactly, and the key of a removed host is never accepted again.
//!
//! The gateway registers hosts by itself, also while the server is away, and reports them in its status. The server
//! answers with a spec for each. A gateway whose machine was replaced has lost its registrations, and takes them from
//! the spec.

use std::time::Duration;

use linecamp_model::limits::HOSTS_PER_SITE_MAX;
use linecamp_model::{
    DocumentKey, HostId, HostLink, HostMember, HostMemberChange, HostMemberRegistration, HostSpec, JoinRequest,
    KeyFingerprint, MemberKind, Name, Now, Parent, Recoveries, Refusal, RefusalCode, SiteChange, SpecBody, Target,
    TokenId,
};

use crate::membership::{TokenTerms, unknown_token};
use crate::rng::Rng;
use crate::site::state::SiteState;

/// Maximum keys of removed hosts that a gateway keeps. Above it the oldest is dropped: that machine is still rejected,
/// because it is not registered.
const REVOKED_KEYS_MAX: usize = 4 * HOSTS_PER_SITE_MAX;

/// When a host may retry that joins a gateway before the server has answered it.
const JOIN_RETRY: Duration = Duration::from_secs(10);

/// The outcome of a join.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joining {
    /// The key is already registered: issue another certificate.
    Again(HostId),
    /// A new host, once these changes are durable.
    New(HostId, Vec<SiteChange>),
}

/// Decides the join of the holder of `key`. The id of a new host comes from `rng`.
pub(super) fn join(
    (state, rng): (&SiteState, &mut Rng),
    key: KeyFingerprint,
    request: &JoinRequest,
    now: Now,
) -> Result<Joining, Refusal> {
    let site = match state.spec.body(DocumentKey::Site) {
        Some(SpecBody::Site(spec)) => Some(&spec.name),
        _ => None,
    };
    let refuse = |code, text: &str| Err(Refusal::new(code, text));
    if request.kind != MemberKind::Host {
        let text = "this is the gateway of a site, and only hosts join it: use --host, or the address of a server";
        return refuse(RefusalCode::TokenUnknown, text);
    }
    if state.lan.revoked_keys.contains_key(&key) {
        return Err(removed(state, &key));
    }
    if let Some(host) = state.lan.owner_of(&key) {
        return Ok(Joining::Again(host));
    }
    if let (Some(wanted), Some(site)) = (&request.site, site)
        && wanted != site
    {
        return refuse(RefusalCode::TokenUnknown, &format!("this is the gateway of site {site}, not of {wanted}"));
    }
    if site.is_none() {
        let text = "the gateway has not heard from its server yet";
        return Err(Refusal::new(RefusalCode::Busy, text).retry_after(JOIN_RETRY));
    }
    check_token(state, request, now)?;
    if names(state).any(|name| *name == request.name) {
        let text = format!("the name {} is taken at this site: choose another with --name", request.name);
        return refuse(RefusalCode::NameTaken, &text);
    }
    if HOSTS_PER_SITE_MAX <= count_hosts(state) {
        let text = format!("the site has {HOSTS_PER_SITE_MAX} hosts, the maximum: remove one");
        return refuse(RefusalCode::SiteFull, &text);
    }
    let host = HostId::from_bytes(rng.bytes());
    let registration = HostMemberRegistration {
        name: request.name.clone(),
        token: request.token,
        joined_at: now.wall,
        link: HostLink { is_disconnected: false, since: now.wall },
        recoveries: Recoveries { day: now.wall, ..Recoveries::default() },
        in_spec: false,
        removed_at: None,
    };
    let changes = vec![
        SiteChange::Host(host, HostMemberChange::Registration(Some(registration))),
        SiteChange::Host(host, HostMemberChange::Key(key, Some(now.wall))),
        SiteChange::HostTokenUse(request.token, host, Some(now.wall)),
    ];
    Ok(Joining::New(host, changes))
}

/// Returns the permanent refusal of the holder of a key whose host was removed.
pub(super) fn removed(state: &SiteState, key: &KeyFingerprint) -> Refusal {
    let name = state.lan.owner_of(key).and_then(|host| name_of(state, host)).map_or("-", Name::as_str);
    let text =
        format!("host {name} was removed from its site; to bring the machine back, join it again with a new token");
    Refusal::new(RefusalCode::Removed, &text)
}

/// Returns the changes that end the registration of a host. While the spec has the host, its registration stays and
/// says so, and the server learns it from the status.
pub(super) fn remove(state: &SiteState, host: HostId, now: Now) -> Vec<SiteChange> {
    let Some(record) = state.lan.hosts.get(&host) else { return Vec::new() };
    let Some(registration) = record.registration.as_ref().filter(|of| of.removed_at.is_none()) else {
        return Vec::new();
    };
    let surplus = (state.lan.revoked_keys.len() + record.keys.len()).saturating_sub(REVOKED_KEYS_MAX);
    let mut oldest: Vec<_> = state.lan.revoked_keys.iter().map(|(key, at)| (*at, *key)).collect();
    oldest.sort_unstable();
    let dropped = oldest.into_iter().take(surplus).map(|(_, key)| SiteChange::RevokedHostKey(key, None));
    let revoked = record.keys.keys().map(|key| SiteChange::RevokedHostKey(*key, Some(now.wall)));
    let mut changes: Vec<_> = dropped.chain(revoked).collect();
    if host_spec(state, host).is_some() {
        let gone = HostMemberRegistration { in_spec: true, removed_at: Some(now.wall), ..registration.clone() };
        changes.push(SiteChange::Host(host, HostMemberChange::Registration(Some(gone))));
    } else {
        changes.extend(forget(state, host));
    }
    changes
}

/// Returns the changes that delete everything of a host but its revoked keys.
pub(super) fn forget(state: &SiteState, host: HostId) -> Vec<SiteChange> {
    let record = state.lan.hosts.get(&host);
    let changes = record.into_iter().flat_map(|record| record.purge_changes());
    changes.map(|change| SiteChange::Host(host, change)).collect()
}

/// Returns the changes that make the registrations agree with the spec, and the hosts that are removed by them.
pub(super) fn follow_spec(state: &SiteState, now: Now) -> (Vec<SiteChange>, Vec<HostId>) {
    let (mut changes, mut gone) = (Vec::new(), Vec::new());
    if state.spec.body(DocumentKey::Site).is_none() {
        return (changes, gone);
    }
    for (host, spec, member) in members_in_spec(state) {
        match state.lan.hosts.get(&host).and_then(|record| record.registration.as_ref()) {
            None => changes.extend(adopt(state, host, (spec, member), now)),
            Some(registration) if registration.removed_at.is_none() && spec.target == Target::Removed => {
                changes.extend(remove(state, host, now));
                gone.push(host);
            }
            Some(registration) => changes.extend(note_in_spec(host, registration)),
        }
    }
    for (host, record) in &state.lan.hosts {
        let was_in_spec = record.registration.as_ref().is_some_and(|of| of.in_spec);
        if was_in_spec && host_spec(state, *host).is_none() {
            let left = remove(state, *host, now);
            changes.extend(if left.is_empty() { forget(state, *host) } else { left });
            gone.push(*host);
        }
    }
    (changes, gone)
}

fn note_in_spec(host: HostId, registration: &HostMemberRegistration) -> Option<SiteChange> {
    let noted = HostMemberRegistration { in_spec: true, ..registration.clone() };
    (!registration.in_spec).then_some(SiteChange::Host(host, HostMemberChange::Registration(Some(noted))))
}

/// Returns the changes that register a host of the spec that this gateway does not know: it took the place of another
/// machine. A host that was removed here is not registered again, but reported as removed.
fn adopt(state: &SiteState, host: HostId, (spec, member): (&HostSpec, &HostMember), now: Now) -> Vec<SiteChange> {
    let revoked_at = member.keys.iter().find_map(|key| state.lan.revoked_keys.get(key).copied());
    let is_removed = spec.target == Target::Removed;
    let removed_at = revoked_at.or_else(|| is_removed.then_some(now.wall));
    let registration = HostMemberRegistration {
        name: spec.name.clone(),
        token: member.token,
        joined_at: member.joined_at,
        link: HostLink { is_disconnected: true, since: now.wall },
        recoveries: Recoveries { day: now.wall, ..Recoveries::default() },
        in_spec: true,
        removed_at,
    };
    let keys = member.keys.iter().flat_map(|key| {
        let revoked = removed_at.map(|at| SiteChange::RevokedHostKey(*key, Some(at)));
        [SiteChange::Host(host, HostMemberChange::Key(*key, Some(now.wall)))].into_iter().chain(revoked)
    });
    [SiteChange::Host(host, HostMemberChange::Registration(Some(registration)))].into_iter().chain(keys).collect()
}

/// Returns the hosts of the spec that are registered with the gateway.
fn members_in_spec(state: &SiteState) -> impl Iterator<Item = (HostId, &HostSpec, &HostMember)> {
    state.spec.live().filter_map(|(key, body)| match (key, body) {
        (DocumentKey::Host(host), SpecBody::Host(spec)) => {
            let member = spec.member.as_ref().filter(|member| member.parent == Parent::Gateway)?;
            Some((host, spec, member))
        }
        _ => None,
    })
}

/// Returns the spec of a host.
pub(super) fn host_spec(state: &SiteState, host: HostId) -> Option<&HostSpec> {
    match state.spec.body(DocumentKey::Host(host)) {
        Some(SpecBody::Host(spec)) => Some(spec),
        _ => None,
    }
}

/// Returns the name of a host: its present one, or the one that it joined with.
pub(super) fn name_of(state: &SiteState, host: HostId) -> Option<&Name> {
    let registration = || state.lan.hosts.get(&host).and_then(|record| record.registration.as_ref());
    host_spec(state, host).map(|spec| &spec.name).or_else(|| registration().map(|of| &of.name))
}

/// Returns the names of the hosts that are not removed, some of them twice.
fn names(state: &SiteState) -> impl Iterator<Item = &Name> {
    let is_live = |of: &&HostMemberRegistration| of.removed_at.is_none();
    let live = state.lan.hosts.iter().filter(move |(_, record)| record.registration.as_ref().filter(is_live).is_some());
    let here = live.filter_map(|(host, _)| name_of(state, *host));
    here.chain(state.spec.live().filter_map(|(_, body)| match body {
        SpecBody::Host(spec) if spec.target != Target::Removed => Some(&spec.name),
        _ => None,
    }))
}

/// Returns the number of hosts of the site, with its gateway: those that are registered here, and those of the spec.
fn count_hosts(state: &SiteState) -> usize {
    let here = state.lan.hosts.keys().filter(|host| host_spec(state, **host).is_none()).count();
    here + state.spec.live().filter(|(key, _)| matches!(key, DocumentKey::Host(_))).count()
}

fn check_token(state: &SiteState, request: &JoinRequest, now: Now) -> Result<(), Refusal> {
    let terms = token_terms(state, request.token).ok_or_else(unknown_token)?;
    terms.check(&request.secret, "linecamp host add --custom` or `linecampd token create", now.wall)
}

/// Returns what a token allows that was created here, or that the spec has.
fn token_terms(state: &SiteState, id: TokenId) -> Option<TokenTerms> {
    let token = state.lan.tokens.get(&id).or_else(|| match state.spec.body(DocumentKey::HostToken(id)) {
        Some(SpecBody::HostToken(token)) => Some(token),
        _ => None,
    })?;
    Some(TokenTerms {
        secret: token.secret,
        expires_at: token.expires_at,
        is_revoked: false,
        is_held: false,
        uses_max: token.uses_max,
        uses: state.lan.uses(id),
    })
}
