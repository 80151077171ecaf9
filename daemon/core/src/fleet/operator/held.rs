//! Commands on what is held since a restore.

use std::collections::BTreeSet;

use linecamp_model::{EventKind, FleetChange, KeyId, Now, PhaseEvent, SecretHash, SiteId, Token};

use super::subjects::transition;
use crate::fleet::command::{FleetCommandError, HeldItems};
use crate::fleet::decision::{Decided, Decision};
use crate::fleet::state::FleetState;
use crate::fleet::subject::Subject;

/// How many sites an event names. The rest is counted.
const NAMED_MAX: usize = 8;

/// Accepts what is held. What is not held, or not any more, stays as it is.
pub(super) fn accept_held(state: &FleetState, items: &HeldItems) -> Decided {
    check_known(state, items)?;
    Ok(decision(releases(state, items), EventKind::HeldAccepted, describe(state, items)))
}

/// Rejects what is held: removes sites, as by force, revokes tokens and deletes keys. What is not held, or not any
/// more, stays as it is.
pub(super) fn reject_held(state: &FleetState, items: &HeldItems, now: Now) -> Decided {
    check_known(state, items)?;
    let mut changes = releases(state, items);
    for id in items.tokens.iter().filter(|id| state.held.tokens.contains_key(id)) {
        let revoked = state.tokens.get(id).map(|token| Token { revoked_at: Some(now.wall), ..token.clone() });
        changes.extend(revoked.map(|token| FleetChange::Token(*id, Some(token))));
    }
    changes.extend(held_keys(state, items).map(|hash| FleetChange::ApiKey(hash, None)));
    let mut decided = decision(changes, EventKind::HeldRejected, describe(state, items));
    for site in held_sites(state, items) {
        decided.join(transition(state, Subject::Site(site), PhaseEvent::RemoveForced, now)?);
    }
    Ok(decided)
}

/// Returns those sites of `items` that are held, each once.
fn held_sites(state: &FleetState, items: &HeldItems) -> BTreeSet<SiteId> {
    items.sites.iter().filter(|site| state.held.sites.contains_key(site)).copied().collect()
}

fn decision(changes: Vec<FleetChange>, kind: EventKind, text: String) -> Decision {
    match changes.is_empty() {
        true => Decision::default(),
        false => Decision::of(changes).noted(kind, None, text),
    }
}

/// Returns the changes that end the hold of `items`.
fn releases(state: &FleetState, items: &HeldItems) -> Vec<FleetChange> {
    let sites = items.sites.iter().filter(|site| state.held.sites.contains_key(site));
    let tokens = items.tokens.iter().filter(|id| state.held.tokens.contains_key(id));
    sites
        .map(|site| FleetChange::HeldSite(*site, None))
        .chain(tokens.map(|id| FleetChange::HeldToken(*id, None)))
        .chain(held_keys(state, items).map(|hash| FleetChange::HeldApiKey(hash, None)))
        .collect()
}

fn held_keys(state: &FleetState, items: &HeldItems) -> impl Iterator<Item = SecretHash> {
    let is_named = |id: &KeyId| items.api_keys.contains(id);
    let held = state.held.api_keys.keys();
    held.filter(move |hash| state.api_keys.get(hash).is_some_and(|key| is_named(&key.id))).copied()
}

fn check_known(state: &FleetState, items: &HeldItems) -> Result<(), FleetCommandError> {
    let not_found = |what: String| {
        Err(FleetCommandError::NotFound(format!("there is no {what}; `linecamp restore ls` lists what is held")))
    };
    if let Some(site) = items.sites.iter().find(|site| state.site(**site).is_none()) {
        return not_found(format!("site {site}"));
    }
    if let Some(token) = items.tokens.iter().find(|token| !state.tokens.contains_key(token)) {
        return not_found(format!("join token {token}"));
    }
    let is_known = |id: &KeyId| state.api_keys.values().any(|key| key.id == *id);
    match items.api_keys.iter().find(|id| !is_known(id)) {
        Some(id) => not_found(format!("API key {id}")),
        None => Ok(()),
    }
}

/// Describes `items` for the event.
fn describe(state: &FleetState, items: &HeldItems) -> String {
    let sites = held_sites(state, items);
    let mut parts = Vec::new();
    if !sites.is_empty() {
        let specs = sites.iter().filter_map(|site| state.sites.get(site)?.site_spec());
        let named: Vec<_> = specs.take(NAMED_MAX).map(|spec| spec.name.as_str()).collect();
        let more = sites.len().saturating_sub(NAMED_MAX);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        parts.push(format!("sites {}{more}", named.join(", ")));
    }
    let tokens = items.tokens.iter().filter(|id| state.held.tokens.contains_key(id)).count();
    if 0 < tokens {
        parts.push(format!("{tokens} join tokens"));
    }
    let keys: Vec<_> = held_keys(state, items).filter_map(|hash| state.api_keys.get(&hash)).collect();
    if !keys.is_empty() {
        let names: Vec<_> = keys.iter().take(NAMED_MAX).map(|key| key.name.as_str()).collect();
        parts.push(format!("{} API keys: {}", keys.len(), names.join(", ")));
    }
    parts.join("; ")
}
