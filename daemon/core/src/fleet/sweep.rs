//! Periodic cleanup: purges removed sites after their keep time, long-expired tokens and API keys, ended sessions of
//! users, surplus revoked keys, old gaps of links, answers that are not kept any longer, old bulk actions, and what is
//! not kept of the audit log.

use std::time::Duration;

use linecamp_model::limits::{BULK_ACTION_KEEP, LINK_GAP_KEEP, REMOVED_KEYS_MAX};
use linecamp_model::{
    ApiKey, BulkAction, FleetChange, Life, LinkGap, Now, Phase, PhaseEvent, Registration, SiteId, Token,
};

use super::Fleet;
use super::config::{REMOVED_KEEP_DEFAULT, SWEEP_PERIOD, TOKEN_KEEP};
use super::decision::surplus_tombstones;
use super::joined_hosts::purge_changes;
use super::kept_answers;
use super::state::FleetState;

impl Fleet {
    /// Removes expired records.
    pub(super) fn sweep(&mut self, now: Now) {
        self.sweep_at = now.instant + SWEEP_PERIOD;
        self.effects.unassign_all();
        let mut swept = sweep(self.effects.state(), now);
        let ended = self.activity.ended_sessions(self.effects.state(), now);
        swept.changes.extend(ended.into_iter().map(|secret| FleetChange::UserSession(secret, None)));
        swept.changes.extend(self.audit_cut(now));
        self.activity.retain(self.effects.state());
        for change in &swept.changes {
            if let FleetChange::Host(_, host, None) = change {
                self.downlink.forget((*host).into());
            }
        }
        swept.sites.into_iter().for_each(|site| self.downlink.forget(site.into()));
        if !swept.changes.is_empty() {
            let releases = swept.sites_of_hosts.iter().flat_map(|site| self.spec_staged(*site)).collect();
            self.effects.stage(swept.changes, releases);
        }
        self.end_settled_holds(now);
    }
}

/// What a sweep removes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Swept {
    /// The sites whose keep time is over.
    pub(super) sites: Vec<SiteId>,
    /// The sites with hosts whose keep time is over: their specs change.
    pub(super) sites_of_hosts: Vec<SiteId>,
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
    let (hosts, sites_of_hosts) = removed_hosts(state, keep, now);
    changes.extend(hosts);
    let is_stale = |token: &Token| {
        token.expires_at + TOKEN_KEEP <= now.wall || token.revoked_at.is_some_and(|at| at + TOKEN_KEEP <= now.wall)
    };
    let stale = state.tokens.iter().filter(|(_, token)| is_stale(token));
    changes.extend(stale.flat_map(|(id, _)| state.token_purge_changes(*id)));
    changes.extend(surplus_keys(state));
    changes.extend(old_gaps(state, &sites, now));
    let is_over = |key: &ApiKey| {
        let keep = if key.is_replaced { Duration::ZERO } else { TOKEN_KEEP };
        key.expires_at.is_some_and(|at| at + keep <= now.wall)
    };
    let expired = state.api_keys.iter().filter(|(_, key)| is_over(key));
    changes.extend(expired.map(|(secret, _)| FleetChange::ApiKey(*secret, None)));
    changes.extend(kept_answers::expired(state, now));
    let is_old = |action: &BulkAction| action.at + BULK_ACTION_KEEP <= now.wall;
    let old = state.bulk_actions.iter().filter(|(_, action)| is_old(action));
    changes.extend(old.map(|(id, _)| FleetChange::BulkAction(*id, None)));
    Swept { sites, sites_of_hosts, changes }
}

/// Returns the changes that delete removed hosts of sites that are not removed, and these sites.
fn removed_hosts(
    state: &FleetState,
    keep: impl Fn(&Registration) -> Duration,
    now: Now,
) -> (Vec<FleetChange>, Vec<SiteId>) {
    let (mut changes, mut sites) = (Vec::new(), Vec::new());
    for (site, record, of) in state.registered().filter(|(_, _, of)| !of.life.phase.is_gone()) {
        let is_over = |life: Life| {
            life.phase.after(PhaseEvent::KeepOver) == Some(Phase::Purged) && life.since + keep(of) <= now.wall
        };
        let over = record.hosts.iter().filter(|(host, of)| is_over(of.life) && record.has_let_go(**host));
        let mut generation = record.spec.head();
        let over: Vec<_> = over.map(|(host, _)| *host).collect();
        if over.is_empty() {
            continue;
        }
        // Placed first, because a dropped key may be written again.
        changes.extend(surplus_tombstones(record, site));
        for host in over {
            generation = generation.next();
            changes.extend(purge_changes(record, site, host, generation));
        }
        sites.push(site);
    }
    (changes, sites)
}

/// Returns the changes that drop the gaps of links whose keep time is over. Those of purged sites go with the sites.
fn old_gaps(state: &FleetState, purged: &[SiteId], now: Now) -> Vec<FleetChange> {
    let kept = state.sites.iter().filter(|(id, _)| !purged.contains(id));
    kept.flat_map(|(id, record)| {
        let is_over = |gap: &LinkGap| gap.ended_at + LINK_GAP_KEEP <= now.wall;
        let old = record.gaps.iter().take_while(move |(_, gap)| is_over(gap));
        old.map(|(began_at, _)| FleetChange::LinkGap(*id, *began_at, None))
    })
    .collect()
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use linecamp_model::{BulkActionId, CallerAccount, Generation, LabelPatch, Life, SiteAction, Text, WallTime};

    use super::*;
    use crate::fleet::lifecycle::life_changes;
    use crate::fleet::subject::Subject;
    use crate::fleet::testing::{NOW, apply, state_with_site};

    fn later(time: Duration) -> Now {
        Now { instant: NOW.instant + time, wall: NOW.wall + time }
    }

    #[test]
    fn a_removed_site_is_purged_after_its_keep_time() {
        let (mut state, site) = state_with_site();
        let gone = Life { phase: Phase::Removed, since: NOW.wall, requested_at: Generation(1) };
        apply(&mut state, |state| {
            let (record, _) = state.site(site).expect("it is registered");
            life_changes(record, Subject::Site(site), gone, NOW)
        });
        assert_eq!(sweep(&state, later(REMOVED_KEEP_DEFAULT - Duration::from_secs(1))), Swept::default());
        let swept = sweep(&state, later(REMOVED_KEEP_DEFAULT));
        assert_eq!(swept.sites, [site]);
        apply(&mut state, |_| swept.changes);
        assert!(state.site(site).is_none());
        assert_eq!(state.revoked_keys.len(), 1, "its key stays revoked");
    }

    #[test]
    fn an_old_bulk_action_is_dropped() {
        let (mut state, _) = state_with_site();
        let (id, account) = (BulkActionId::from_bytes([7; 8]), CallerAccount::Console);
        let (action, labels, actor) = (SiteAction::Accept, LabelPatch::default(), Text::default());
        let action = Arc::new(BulkAction { action, labels, actor, account, at: NOW.wall, sites: Vec::new() });
        apply(&mut state, |_| vec![FleetChange::BulkAction(id, Some(action))]);
        let dropped = |time| sweep(&state, later(time)).changes.contains(&FleetChange::BulkAction(id, None));
        assert!(!dropped(BULK_ACTION_KEEP - Duration::from_secs(1)) && dropped(BULK_ACTION_KEEP));
    }

    #[test]
    fn an_expired_token_is_deleted_with_its_uses() {
        let (mut state, _) = state_with_site();
        let expired = state.tokens.values().map(|token| token.expires_at).max().unwrap_or(WallTime::EPOCH);
        let now = Now { wall: expired + TOKEN_KEEP, ..NOW };
        apply(&mut state, |state| sweep(state, now).changes);
        assert_eq!((state.tokens.len(), state.token_uses.len()), (0, 0));
    }
}
