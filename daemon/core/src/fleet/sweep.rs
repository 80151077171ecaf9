//! Periodic cleanup: purges removed sites after their keep time, long-expired tokens, and surplus revoked keys.

use linecamp_model::limits::REMOVED_KEYS_MAX;
use linecamp_model::{FleetChange, Now, Phase, PhaseEvent};

use super::config::{REMOVED_KEEP_DEFAULT, SWEEP_PERIOD, TOKEN_KEEP};
use super::{Fleet, FleetTimer};

impl Fleet {
    /// Removes expired records.
    pub(super) fn sweep(&mut self, now: Now) {
        self.timers.set(FleetTimer::Sweep, now.instant + SWEEP_PERIOD);
        self.unassign_all(None);
        let state = self.ledger.state();
        let keep = |of: &linecamp_model::Registration| {
            state.environments.get(&of.environment).map_or(REMOVED_KEEP_DEFAULT, |rules| rules.removed_keep)
        };
        let is_over = |of: &linecamp_model::Registration| {
            of.life.phase.after(PhaseEvent::KeepOver) == Some(Phase::Purged) && of.life.since + keep(of) <= now.wall
        };
        let purged: Vec<_> = state.registered().filter(|(_, _, of)| is_over(of)).map(|(id, _, _)| id).collect();
        let mut changes: Vec<_> = purged.iter().flat_map(|id| state.purge_changes(*id)).collect();
        let is_stale = |token: &linecamp_model::Token| {
            token.expires_at + TOKEN_KEEP <= now.wall || token.revoked_at.is_some_and(|at| at + TOKEN_KEEP <= now.wall)
        };
        let stale = state.tokens.iter().filter(|(_, token)| is_stale(token));
        changes.extend(stale.flat_map(|(id, _)| state.token_purge_changes(*id)));
        let surplus = state.revoked_keys.len().saturating_sub(REMOVED_KEYS_MAX);
        if 0 < surplus {
            let mut removed: Vec<_> = state.revoked_keys.iter().map(|(key, at)| (*at, *key)).collect();
            removed.sort_unstable();
            changes.extend(removed.into_iter().take(surplus).map(|(_, key)| FleetChange::RevokedKey(key, None)));
        }
        for id in purged {
            self.downlink.links.remove(&id);
        }
        if !changes.is_empty() {
            self.stage(changes, Vec::new());
        }
    }
}
