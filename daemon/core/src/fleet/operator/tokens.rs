//! Commands on join tokens.

use linecamp_model::limits::{TOKEN_TTL_MAX, TOKEN_USES_MAX, TOKENS_MAX};
use linecamp_model::{EventKind, FleetChange, LabelSet, Now, Parent, Phase, SiteId, Token, TokenHosts, TokenId};

use super::subjects::live_record;
use crate::fleet::command::{FleetCommandError, JoinsAs, NewToken};
use crate::fleet::decision::{Decided, Decision};
use crate::fleet::lookup::find_site;
use crate::fleet::state::FleetState;
use crate::fleet::subject::SiteRef;

/// Creates a join token.
pub(super) fn create_token(state: &FleetState, new: NewToken, now: Now) -> Decided {
    if new.ttl.is_zero() || TOKEN_TTL_MAX < new.ttl {
        let days = TOKEN_TTL_MAX.as_secs() / 86_400;
        return Err(FleetCommandError::Invalid(format!("a token's time is more than 0 and at most {days} days")));
    }
    if new.uses == 0 || TOKEN_USES_MAX < new.uses {
        return Err(FleetCommandError::Invalid(format!("a token has 1 to {TOKEN_USES_MAX} uses, not {}", new.uses)));
    }
    if TOKENS_MAX <= state.tokens.len() {
        return Err(FleetCommandError::Limit(format!("the limit of {TOKENS_MAX} join tokens is reached: revoke some")));
    }
    let token = Token {
        secret: new.secret,
        environment: new.environment.clone(),
        created_at: now.wall,
        expires_at: now.wall + new.ttl,
        uses_max: new.uses,
        labels: LabelSet::default().patched(&new.labels, now.wall).map_err(FleetCommandError::Labels)?,
        hosts: match &new.joins_as {
            JoinsAs::Host(site) => Some(TokenHosts { site: site_of_hosts(state, site)?, parent: Parent::Server }),
            JoinsAs::Site | JoinsAs::Replacement(_) => None,
        },
        revoked_at: None,
        replaces: match &new.joins_as {
            JoinsAs::Replacement(site) => Some(replaced_site(state, &new, site)?),
            JoinsAs::Site | JoinsAs::Host(_) => None,
        },
    };
    let purpose = match &new.joins_as {
        JoinsAs::Replacement(site) => format!("the replacement of site {}", site.name),
        JoinsAs::Host(site) => format!("hosts of site {}, {} uses", site.name, new.uses),
        JoinsAs::Site => format!("environment {}, {} uses", new.environment, new.uses),
    };
    let text = format!("token {} for {purpose}, until {}", new.id, token.expires_at);
    Ok(Decision::of([FleetChange::Token(new.id, Some(token))]).noted(EventKind::TokenCreated, None, text))
}

/// Returns the site that hosts join.
fn site_of_hosts(state: &FleetState, site: &SiteRef) -> Result<SiteId, FleetCommandError> {
    let id = find_site(state, site)?;
    live_record(state, id)?;
    match state.site(id).map(|(_, of)| of.life.phase) {
        Some(Phase::Pending) => Err(FleetCommandError::NotPossible(format!(
            "site {site} is pending: accept it first (`linecamp site accept {site}`)"
        ))),
        _ => Ok(id),
    }
}

/// Returns the site that a replacement token is for.
fn replaced_site(state: &FleetState, new: &NewToken, site: &SiteRef) -> Result<SiteId, FleetCommandError> {
    let id = find_site(state, site)?;
    live_record(state, id)?;
    if new.uses != 1 || !new.labels.set.is_empty() {
        let text = "a token that replaces a machine has one use and assigns no labels: the site keeps its own";
        return Err(FleetCommandError::Invalid(text.to_owned()));
    }
    Ok(id)
}

/// Revokes a join token. Revoking it again changes nothing.
pub(super) fn revoke_token(state: &FleetState, id: TokenId, now: Now) -> Decided {
    let Some(token) = state.tokens.get(&id) else {
        return Err(FleetCommandError::NotFound(format!("there is no token {id}; `linecamp token ls` lists them")));
    };
    if token.revoked_at.is_some() {
        return Ok(Decision::default());
    }
    let revoked = Token { revoked_at: Some(now.wall), ..token.clone() };
    let change = FleetChange::Token(id, Some(revoked));
    Ok(Decision::of([change]).noted(EventKind::TokenRevoked, None, format!("token {id}")))
}
