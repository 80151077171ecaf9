//! What a restore holds: the changes to a restored database before its server starts.

use std::collections::BTreeSet;

use linecamp_model::{
    EventKind, FleetChange, FleetOrigin, HeldSite, Identity, Incarnation, Instant, Name, Now, ReplicationCursor,
    RestoredFrom, Text, TokenState, User,
};

use crate::fleet::audit::console_entry;
use crate::fleet::config::SavedFleet;
use crate::fleet::event_log::event;
use crate::fleet::registry::token_state;
use crate::fleet::state::FleetState;

/// How to hold the contents of a restored database.
#[derive(Clone, Copy, Debug)]
pub struct Hold<'a> {
    /// The backup.
    pub from: RestoredFrom,
    /// The names of the API keys of the server's console that stay usable.
    pub kept_keys: &'a [Name],
    /// The new incarnation of all specs, drawn by the caller; not zero.
    pub spec_incarnation: Incarnation,
}

/// What is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldSummary {
    /// The number of sites.
    pub sites: usize,
    /// The number of join tokens.
    pub tokens: usize,
    /// The names of the API keys. Keys of several users may have the same name.
    pub api_keys: Vec<Name>,
    /// The users that the restore disabled. One that was disabled before is not among them.
    pub disabled_users: Vec<Name>,
}

/// No API key of the server's console has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey(pub Name);

/// Returns the changes that hold everything that may have been removed or revoked after the backup, and what that is:
/// registered sites, usable join tokens, and API keys that are not kept. Removed sites and revoked tokens stay as they
/// are. Users may have been removed or have lost roles, so all are disabled, and their sessions end: an admin enables
/// those that are still right.
///
/// # Errors
/// A kept key does not exist.
pub fn hold_restored(saved: &SavedFleet, hold: Hold<'_>) -> Result<(Vec<FleetChange>, HoldSummary), UnknownKey> {
    let state = FleetState::from_records(saved.readable());
    let of_console = state.api_keys.values().filter(|key| key.user.is_none());
    let known: BTreeSet<&Name> = of_console.map(|key| &key.name).collect();
    if let Some(unknown) = hold.kept_keys.iter().find(|name| !known.contains(name)) {
        return Err(UnknownKey(unknown.clone()));
    }
    let now = Now { instant: Instant::ORIGIN, wall: hold.from.restored_at };
    // A backup of a server that is itself restored and waiting: what was lost then is still lost.
    let taken_at = state.restored.map_or(hold.from.taken_at, |earlier| earlier.taken_at.min(hold.from.taken_at));
    let from = RestoredFrom { taken_at, ..hold.from };
    let mut changes = vec![FleetChange::Restored(Some(from))];
    // A server that never ran has none, and draws one at its first start.
    if state.origin.is_some() {
        let origin = FleetOrigin { spec_incarnation: hold.spec_incarnation };
        changes.push(FleetChange::Origin(Some(origin)));
    }
    let mut summary = HoldSummary::default();
    hold_sites(&state, &mut changes, &mut summary);
    for (id, token) in &state.tokens {
        if matches!(token_state(&state, *id, token, now), TokenState::Valid | TokenState::Held) {
            changes.push(FleetChange::HeldToken(*id, Some(now.wall)));
            summary.tokens += 1;
        }
    }
    for (hash, key) in &state.api_keys {
        let is_kept = key.user.is_none() && hold.kept_keys.contains(&key.name);
        changes.push(FleetChange::HeldApiKey(*hash, (!is_kept).then_some(now.wall)));
        summary.api_keys.extend((!is_kept).then(|| key.name.clone()));
    }
    summary.api_keys.sort();
    summary.api_keys.dedup();
    for (name, user) in state.users.iter().filter(|(_, user)| user.disabled_at.is_none()) {
        let disabled = User { disabled_at: Some(now.wall), ..user.clone() };
        changes.push(FleetChange::User(name.clone(), Some(disabled)));
        summary.disabled_users.push(name.clone());
    }
    changes.extend(state.user_sessions.keys().map(|secret| FleetChange::UserSession(*secret, None)));
    let text = format!(
        "the server was restored from a backup taken at {taken_at}; {} sites, {} join tokens and {} API keys are held, \
         and {} users are disabled",
        summary.sites,
        summary.tokens,
        summary.api_keys.len(),
        summary.disabled_users.len()
    );
    let actor = Some(Text::lossy(&Identity::Console.to_string()));
    changes
        .extend(state.events.event_changes(vec![event(EventKind::ServerRestored, None, &text, now)], actor.as_ref()));
    changes.extend(console_entry(state, "server.restore", &changes, now.wall));
    Ok((changes, summary))
}

fn hold_sites(state: &FleetState, changes: &mut Vec<FleetChange>, summary: &mut HoldSummary) {
    for (id, record, registration) in state.registered() {
        if let Some(cursor) = record.cursor.filter(|cursor| cursor.spec_incarnation.is_some()) {
            let cursor = ReplicationCursor { spec_incarnation: None, ..cursor };
            changes.push(FleetChange::ReplicationCursor(id, Some(cursor)));
        }
        if registration.life.phase.is_gone() {
            continue;
        }
        // No spec was sent to a site that was held before.
        let held = state.held.sites.get(&id).copied().unwrap_or_else(|| HeldSite {
            spec_incarnation: state.spec_incarnation(id),
            spec_generation: record.spec.head(),
        });
        changes.push(FleetChange::HeldSite(id, Some(held)));
        summary.sites += 1;
    }
}
