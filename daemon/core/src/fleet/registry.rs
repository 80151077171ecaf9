//! Registry: site registration and membership.
//!
//! A join is idempotent on the site's key: a peer that proves to hold a registered key is that site, regardless of what
//! happened to the token since. A lost answer is therefore harmless, and a token with one use left is never spent
//! twice. The key of a removed site is never accepted again.

use std::time::Duration;

use linecamp_model::limits::SITES_PER_ENVIRONMENT_MAX;
use linecamp_model::{
    Document, DocumentKey, Environment, FleetChange, Generation, HostId, HostRegistration, HostSpec, JoinRequest,
    KeyFingerprint, Life, MemberKind, Name, Now, Origin, Phase, Recoveries, Refusal, RefusalCode, Registration, SiteId,
    SiteSpec, SpecBody, Target, Text, Token, TokenId, TokenState,
};

use super::held::held_refusal;
use super::state::FleetState;
use crate::membership::{IssueRequest, TokenTerms, certificate_validity, count_recovery, unknown_token};
use crate::rng::Rng;

/// The outcome of a join.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Joining {
    /// The key is already registered: issue another certificate.
    Again(Membership),
    /// A new site, once these changes are durable.
    New(Membership, Vec<FleetChange>),
    /// A machine that takes over a registered site, once these changes are durable.
    Replacement(Membership, Vec<FleetChange>),
}

/// The ids, name and environment of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) site: SiteId,
    pub(crate) gateway: HostId,
    pub(crate) name: Name,
    pub(crate) environment: Name,
}

/// Decides the join of the holder of `key`. The ids of a new site come from `rng`.
pub(crate) fn join(
    state: &FleetState,
    key: KeyFingerprint,
    request: &JoinRequest,
    rng: &mut Rng,
    now: Now,
) -> Result<Joining, Refusal> {
    if let Some(member) = member(state, key)? {
        return Ok(Joining::Again(member));
    }
    if state.host_of_key(&key).is_some() {
        let text = "this machine is registered as a host: remove the host first, or join with --host";
        return Err(Refusal::new(RefusalCode::TokenUnknown, text));
    }
    let token = valid_token(state, request, now)?;
    if token.hosts.is_some() {
        let text = "this join token is for hosts: join with --host, or create one with `linecamp token create`";
        return Err(Refusal::new(RefusalCode::TokenUnknown, text));
    }
    if let Some(site) = token.replaces {
        return replace(state, site, key, request.token, now);
    }
    let environment = token.environment.clone();
    let Some(rules) = state.environments.get(&environment) else {
        let text = format!("the token's environment {environment} does not exist any more; create another token");
        return Err(Refusal::new(RefusalCode::TokenUnknown, &text));
    };
    if state.is_site_name_taken(&environment, &request.name, None) {
        let text =
            format!("the name {} is taken in environment {environment}: choose another with --name", request.name);
        return Err(Refusal::new(RefusalCode::NameTaken, &text));
    }
    if SITES_PER_ENVIRONMENT_MAX <= state.sites_in(&environment) {
        let text = format!("environment {environment} has {SITES_PER_ENVIRONMENT_MAX} sites, the maximum");
        return Err(Refusal::new(RefusalCode::EnvironmentFull, &text));
    }
    let (site, gateway) = (SiteId::from_bytes(rng.bytes()), HostId::from_bytes(rng.bytes()));
    let member = Membership { site, gateway, name: request.name.clone(), environment };
    let changes = newcomer(&member, key, request.token, (token, rules), now);
    Ok(Joining::New(member, changes))
}

/// Decides the join of a machine that takes over `site`. The site keeps everything but its keys, which are revoked.
fn replace(
    state: &FleetState,
    site: SiteId,
    key: KeyFingerprint,
    token: TokenId,
    now: Now,
) -> Result<Joining, Refusal> {
    let live = state.site(site).filter(|(_, registration)| !registration.life.phase.is_gone());
    let Some(((record, _), member)) = live.zip(membership(state, site)) else {
        let text = "the site that this join token is for was removed; create another with `linecamp token create`";
        return Err(Refusal::new(RefusalCode::TokenUnknown, text));
    };
    let revoked = record
        .keys
        .keys()
        .flat_map(|old| [FleetChange::SiteKey(site, *old, None), FleetChange::RevokedKey(*old, Some(now.wall))]);
    let added =
        [FleetChange::SiteKey(site, key, Some(now.wall)), FleetChange::TokenUse(token, site.into(), Some(now.wall))];
    // The machine that takes over has stored something else, and says so.
    let trust = record.trust.as_ref().map(|_| FleetChange::SiteTrust(site, None));
    Ok(Joining::Replacement(member, revoked.chain(added).chain(trust).collect()))
}

/// Returns the changes that create a new site.
fn newcomer(
    member: &Membership,
    key: KeyFingerprint,
    id: TokenId,
    (token, rules): (&Token, &Environment),
    now: Now,
) -> Vec<FleetChange> {
    let site = member.site;
    let (phase, target) = match rules.approval {
        true => (Phase::Pending, Target::Pending),
        false => (Phase::Registering, Target::Active),
    };
    let spec = SiteSpec {
        name: member.name.clone(),
        environment: member.environment.clone(),
        description: Text::default(),
        target,
        assigned: token.labels.clone(),
    };
    let gateway = HostSpec {
        name: member.name.clone(),
        origin: Origin::Gateway,
        description: Text::default(),
        target: Target::Active,
        assigned: linecamp_model::LabelSet::default(),
        member: None,
    };
    let life = |phase| Life { phase, since: now.wall, requested_at: Generation(1) };
    let registration = Registration {
        gateway: member.gateway,
        environment: member.environment.clone(),
        token: id,
        joined_at: now.wall,
        life: life(phase),
        offline_since: None,
        recoveries: Recoveries { day: now.wall, ..Recoveries::default() },
    };
    let document = |generation, body| Some(Document { generation: Generation(generation), body: Some(body) });
    vec![
        FleetChange::Site(site, Some(registration)),
        FleetChange::SiteKey(site, key, Some(now.wall)),
        FleetChange::Host(site, member.gateway, Some(HostRegistration { life: life(Phase::Registering) })),
        FleetChange::Spec(site, DocumentKey::Site, document(1, SpecBody::Site(spec))),
        FleetChange::Spec(site, DocumentKey::Host(member.gateway), document(2, SpecBody::Host(gateway))),
        FleetChange::TokenUse(id, site.into(), Some(now.wall)),
    ]
}

/// Returns the site that holds `key`, or `None` if it is not registered.
///
/// # Errors
/// The site was removed; the refusal is permanent.
pub(crate) fn member(state: &FleetState, key: KeyFingerprint) -> Result<Option<Membership>, Refusal> {
    if state.revoked_keys.contains_key(&key) {
        return Err(removed());
    }
    let site = state.site_of_key(&key).and_then(|site| Some((site, state.site(site)?)));
    let Some((site, (_, registration))) = site else { return Ok(None) };
    if registration.life.phase.is_gone() {
        return Err(removed());
    }
    Ok(membership(state, site))
}

/// Returns the permanent refusal of a machine whose site another machine has taken over.
pub(crate) fn replaced() -> Refusal {
    Refusal::new(RefusalCode::Removed, "another machine has taken over this site")
}

/// Returns the permanent refusal of a removed site.
pub(crate) fn removed() -> Refusal {
    let text = "this site was removed at the server; to bring the machine back, join it again with a new token";
    Refusal::new(RefusalCode::Removed, text)
}

/// Returns the ids, name and environment of a registered site.
pub(crate) fn membership(state: &FleetState, site: SiteId) -> Option<Membership> {
    let (record, registration) = state.site(site)?;
    let (gateway, environment) = (registration.gateway, registration.environment.clone());
    record.site_spec().map(|spec| Membership { site, gateway, name: spec.name.clone(), environment })
}

/// Returns the certificate to issue to a site.
pub(crate) fn issue_request(member: Membership, life: Duration, now: Now) -> IssueRequest {
    let [not_before, not_after] = certificate_validity(life, now.wall);
    IssueRequest {
        kind: MemberKind::Site,
        site: member.site,
        host: member.gateway,
        name: member.name,
        environment: member.environment,
        not_before,
        not_after,
    }
}

/// Counts a recovery of `site` with an expired certificate, if one is allowed.
///
/// # Errors
/// The environment's limit is reached, until the 24 hours are over.
pub(crate) fn recover(state: &FleetState, site: SiteId, now: Now) -> Result<Option<FleetChange>, Refusal> {
    let Some((_, registration)) = state.site(site) else {
        return Ok(None);
    };
    let max = state.environments.get(&registration.environment).map_or(0, |rules| rules.recoveries_per_day_max);
    let recoveries = count_recovery(registration.recoveries, max, now.wall).map_err(|left| {
        let environment = &registration.environment;
        let text = format!("the certificate has expired, and environment {environment} allows {max} recoveries a day");
        Refusal::new(RefusalCode::RecoverLimit, &text).retry_after(left)
    })?;
    Ok(Some(FleetChange::Site(site, Some(Registration { recoveries, ..registration.clone() }))))
}

/// Returns whether a token is valid, or why not.
pub(crate) fn token_state(state: &FleetState, id: TokenId, token: &Token, now: Now) -> TokenState {
    terms(state, id, token).state(now.wall)
}

fn terms(state: &FleetState, id: TokenId, token: &Token) -> TokenTerms {
    TokenTerms {
        secret: token.secret,
        expires_at: token.expires_at,
        is_revoked: token.revoked_at.is_some(),
        is_held: state.held.tokens.contains_key(&id),
        uses_max: token.uses_max,
        uses: state.uses(id),
    }
}

/// Returns the token of a join, if it is valid.
///
/// # Errors
/// The refusal that says why not.
pub(super) fn valid_token<'a>(state: &'a FleetState, request: &JoinRequest, now: Now) -> Result<&'a Token, Refusal> {
    let token = state.tokens.get(&request.token).ok_or_else(unknown_token)?;
    let terms = terms(state, request.token, token);
    terms.check(&request.secret, "linecamp token create", now.wall)?;
    match terms.is_held {
        true => Err(held_refusal(state, "this join token")),
        false => Ok(token),
    }
}
