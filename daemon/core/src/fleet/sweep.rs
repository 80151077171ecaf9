//! Periodic cleanup: purges removed sites after their keep time, long-expired tokens, and surplus revoked keys.

use linecamp_model::limits::REMOVED_KEYS_MAX;
use linecamp_model::{FleetChange, Now, Phase, PhaseEvent, Registration, SiteId, Token};

use super::config::{REMOVED_KEEP_DEFAULT, TOKEN_KEEP};
use super::state::FleetState;

/// What a sweep removes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Swept {
    /// The sites whose keep time is over.
    pub(super) sites: Vec<SiteId>,
    /// The changes that remove the expired records.
    pub(super) changes: Vec<FleetChange>,
}

/// Returns the records that have expired.
pub(super) fn sweep(state: &FleetState, now: Now) -> Swept {
    let keep = |of: &Registration| {
        state.environments.get(&of.environment).map_or(REMOVED_KEEP_DEFAULT, |rules| rules.removed_keep)
    };
    let is_over = |of: &Registration| {
        of.life.phase.after(PhaseEvent::KeepOver) == Some(Phase::Purged) && of.life.since + keep(of) <= now.wall
    };
    let sites: Vec<_> = state.registered().filter(|(_, _, of)| is_over(of)).map(|(id, _, _)| id).collect();
    let mut changes: Vec<_> = sites.iter().flat_map(|id| state.purge_changes(*id)).collect();
    let is_stale = |token: &Token| {
        token.expires_at + TOKEN_KEEP <= now.wall || token.revoked_at.is_some_and(|at| at + TOKEN_KEEP <= now.wall)
    };
    let stale = state.tokens.iter().filter(|(_, token)| is_stale(token));
    changes.extend(stale.flat_map(|(id, _)| state.token_purge_changes(*id)));
    changes.extend(surplus_keys(state));
    Swept { sites, changes }
}

/// Returns the changes that forget the oldest revoked keys beyond the limit.
fn surplus_keys(state: &FleetState) -> Vec<FleetChange> {
    let surplus = state.revoked_keys.len().saturating_sub(REMOVED_KEYS_MAX);
    if surplus == 0 {
        return Vec::new();
    }
    let mut removed: Vec<_> = state.revoked_keys.iter().map(|(key, at)| (*at, *key)).collect();
    removed.sort_unstable();
    removed.into_iter().take(surplus).map(|(_, key)| FleetChange::RevokedKey(key, None)).collect()
}
