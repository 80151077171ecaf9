//! Registry: site registration and membership.
//!
//! A join is idempotent on the site's key: a peer that proves to hold a registered key is that site, regardless of what
//! happened to the token since. A lost answer is therefore harmless, and a token with one use left is never spent
//! twice. The key of a removed site is never accepted again.

use std::time::Duration;

use linecamp_model::limits::SITES_PER_ENVIRONMENT_MAX;
use linecamp_model::{
    Document, DocumentKey, Environment, FleetChange, Generation, HostId, HostRegistration, HostSpec, JoinRequest,
    KeyFingerprint, Life, Name, Now, Origin, Phase, Refusal, RefusalCode, Registration, SiteId, SiteSpec, SpecBody,
    Target, Text, Token, TokenId, TokenState, WallTime,
};

use super::config::{CERTIFICATE_BACKDATE_MAX, CERTIFICATE_BACKDATE_PART};
use super::held::held_refusal;
use super::output::IssueRequest;
use super::state::FleetState;
use crate::rng::Rng;

/// The window over which recoveries are counted.
const RECOVERY_SPAN: Duration = Duration::from_secs(24 * 3600);

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
    let token = valid_token(state, request, now)?;
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
    let added = [FleetChange::SiteKey(site, key, Some(now.wall)), FleetChange::TokenUse(token, site, Some(now.wall))];
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
    };
    let life = |phase| Life { phase, since: now.wall, requested_at: Generation(1) };
    let registration = Registration {
        gateway: member.gateway,
        environment: member.environment.clone(),
        token: id,
        joined_at: now.wall,
        life: life(phase),
        offline_since: None,
        recoveries: 0,
        recoveries_today: 0,
        recovery_day: now.wall,
    };
    let document = |generation, body| Some(Document { generation: Generation(generation), body: Some(body) });
    vec![
        FleetChange::Site(site, Some(registration)),
        FleetChange::SiteKey(site, key, Some(now.wall)),
        FleetChange::Host(site, member.gateway, Some(HostRegistration { life: life(Phase::Registering) })),
        FleetChange::Spec(site, DocumentKey::Site, document(1, SpecBody::Site(spec))),
        FleetChange::Spec(site, DocumentKey::Host(member.gateway), document(2, SpecBody::Host(gateway))),
        FleetChange::TokenUse(id, site, Some(now.wall)),
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
    let backdate = CERTIFICATE_BACKDATE_MAX.min(life / CERTIFICATE_BACKDATE_PART);
    let backdate = u64::try_from(backdate.as_millis()).unwrap_or(u64::MAX);
    IssueRequest {
        site: member.site,
        gateway: member.gateway,
        name: member.name,
        environment: member.environment,
        not_before: WallTime::from_unix_millis(now.wall.unix_millis().saturating_sub(backdate)),
        not_after: now.wall + life,
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
    let into_span = now.wall.saturating_since(registration.recovery_day);
    let is_new_span = RECOVERY_SPAN <= into_span || now.wall < registration.recovery_day;
    let today = if is_new_span { 0 } else { registration.recoveries_today };
    if max <= today {
        let environment = &registration.environment;
        let text = format!("the certificate has expired, and environment {environment} allows {max} recoveries a day");
        return Err(Refusal::new(RefusalCode::RecoverLimit, &text).retry_after(RECOVERY_SPAN.saturating_sub(into_span)));
    }
    let mut registration = registration.clone();
    registration.recoveries = registration.recoveries.saturating_add(1);
    registration.recoveries_today = today + 1;
    if is_new_span {
        registration.recovery_day = now.wall;
    }
    Ok(Some(FleetChange::Site(site, Some(registration))))
}

/// Returns whether a token is valid, or why not.
pub(crate) fn token_state(state: &FleetState, id: TokenId, token: &Token, now: Now) -> TokenState {
    if token.revoked_at.is_some() {
        TokenState::Revoked
    } else if token.expires_at <= now.wall {
        TokenState::Expired
    } else if token.uses_max <= state.uses(id) {
        TokenState::UsedUp
    } else if state.held.tokens.contains_key(&id) {
        TokenState::Held
    } else {
        TokenState::Valid
    }
}

fn valid_token<'a>(state: &'a FleetState, request: &JoinRequest, now: Now) -> Result<&'a Token, Refusal> {
    let known = state.tokens.get(&request.token).filter(|token| token.secret == request.secret.hash());
    let Some(token) = known else {
        let text =
            "the server does not know this join token: it may belong to another server, or be long past its time";
        return Err(Refusal::new(RefusalCode::TokenUnknown, text));
    };
    let (code, text) = match token_state(state, request.token, token, now) {
        TokenState::Valid => return Ok(token),
        TokenState::Held => return Err(held_refusal(state, "this join token")),
        TokenState::Revoked => (RefusalCode::TokenRevoked, "this join token was revoked".to_owned()),
        TokenState::Expired => (RefusalCode::TokenExpired, format!("this join token expired at {}", token.expires_at)),
        TokenState::UsedUp => {
            (RefusalCode::TokenUsedUp, format!("this join token has had its {} uses", token.uses_max))
        }
    };
    Err(Refusal::new(code, &format!("{text}; create another with `linecamp token create`")))
}
