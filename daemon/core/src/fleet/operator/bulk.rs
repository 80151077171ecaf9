//! Bulk actions: one change to many sites, decided as one write.
//!
//! A caller names the sites of a list that it has read, with the spec generation that it has seen of each. A site that
//! has changed since, or does not allow the change, stays as it is, and the others change. The outcome of each site is
//! kept with the action; its progress follows from what the sites report.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use linecamp_model::limits::{BULK_ACTIONS_MAX, SITES_PER_BULK_ACTION_MAX};
use linecamp_model::{
    BulkAction, BulkActionId, BulkActionSite, BulkOutcome, BulkRejection, CallerAccount, FleetChange, Generation,
    Identity, Now, PhaseEvent, SiteAction, Text,
};

use super::subjects::{patch_labels, transition};
use crate::fleet::command::{FleetCommandError, NewBulkAction};
use crate::fleet::command_check::check_generation;
use crate::fleet::decision::{Decided, Decision};
use crate::fleet::state::FleetState;
use crate::fleet::subject::Subject;

/// Changes many sites. The record of the action comes first, so that it comes first in the audit log.
pub(super) fn act_on_sites(state: &FleetState, new: NewBulkAction, caller: &Identity, now: Now) -> Decided {
    if new.sites.is_empty() || SITES_PER_BULK_ACTION_MAX < new.sites.len() {
        let text = format!("a bulk action has 1 to {SITES_PER_BULK_ACTION_MAX} sites, not {}", new.sites.len());
        return Err(FleetCommandError::Invalid(text));
    }
    let mut decided = Decision::default();
    let mut sites = Vec::with_capacity(new.sites.len());
    for (site, seen) in &new.sites {
        let not_found = || FleetCommandError::NotFound(format!("site {site} has no spec; nothing was changed"));
        let (record, of) = state.site(*site).ok_or_else(not_found)?;
        let spec = record.site_spec().ok_or_else(not_found)?;
        let outcome = match act(state, Subject::Site(*site), *seen, &new, now) {
            Ok(decision) => {
                // A site that has, or is requested to have, what is asked for has it once it is up to date.
                let requested = decision.spec_generation().unwrap_or_else(|| record.spec.head());
                decided.join(decision);
                BulkOutcome::Requested(requested)
            }
            Err(error) => BulkOutcome::Rejected(BulkRejection {
                code: Text::lossy(error.code()),
                text: Text::lossy(&error.to_string()),
            }),
        };
        let (environment, name) = (of.environment.clone(), spec.name.clone());
        sites.push(BulkActionSite { site: *site, environment, name, outcome });
    }
    sites.sort_by(|a, b| (&a.environment, &a.name, a.site).cmp(&(&b.environment, &b.name, b.site)));
    let (actor, account) = (Text::lossy(&caller.to_string()), caller.account());
    let dropped = surplus(state, &account).into_iter().map(|id| FleetChange::BulkAction(id, None));
    let action = BulkAction { action: new.action, labels: new.labels, actor, account, at: now.wall, sites };
    let kept = FleetChange::BulkAction(new.id, Some(Arc::new(action)));
    let changes = [kept].into_iter().chain(decided.changes).chain(dropped).collect();
    Ok(Decision { changes, ..decided })
}

/// Decides the change of one site.
fn act(state: &FleetState, subject: Subject, seen: Option<Generation>, new: &NewBulkAction, now: Now) -> Decided {
    if let Some(seen) = seen {
        check_generation(state, subject, seen)?;
    }
    match new.action {
        SiteAction::Label => patch_labels(state, subject, &new.labels, now),
        SiteAction::Deactivate => transition(state, subject, PhaseEvent::DeactivateRequested, now),
        SiteAction::Activate => transition(state, subject, PhaseEvent::ActivateRequested, now),
        SiteAction::Accept => transition(state, subject, PhaseEvent::Accepted, now),
        SiteAction::Remove => transition(state, subject, PhaseEvent::RemoveRequested, now),
        SiteAction::ForceRemove => transition(state, subject, PhaseEvent::RemoveForced, now),
    }
}

/// Returns the actions that make room for another one of an account: the oldest of the account that has the most.
fn surplus(state: &FleetState, account: &CallerAccount) -> Vec<BulkActionId> {
    let mut accounts = BTreeMap::<&CallerAccount, BTreeSet<_>>::new();
    for (id, action) in state.bulk_actions.iter() {
        accounts.entry(&action.account).or_default().insert((action.at, *id));
    }
    let mut dropped = Vec::new();
    for _ in BULK_ACTIONS_MAX..=state.bulk_actions.len() {
        // The new one counts, too.
        let most = accounts.iter_mut().max_by_key(|(of, kept)| kept.len() + usize::from(**of == account));
        dropped.extend(most.and_then(|(_, kept)| kept.pop_first()).map(|(_, id)| id));
    }
    dropped
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use linecamp_model::{Access, Phase, Requirement, Role, SiteId, UserSessionId};

    use super::*;
    use crate::fleet::authorization::{Authorization, IssuedCommand};
    use crate::fleet::command::FleetCommand;
    use crate::fleet::operator::decide;
    use crate::fleet::testing::{NOW, apply, join, join_in, state_with_site};
    use crate::testing::{name, patch};

    fn new(id: u8, action: SiteAction, sites: &[(SiteId, Option<Generation>)]) -> NewBulkAction {
        let sites = sites.iter().copied().collect();
        NewBulkAction { id: BulkActionId::from_bytes([id; 8]), action, labels: patch(&["rack=r7"]), sites }
    }

    fn act(state: &FleetState, new: NewBulkAction) -> Decided {
        decide(state, IssuedCommand::of_console(FleetCommand::ActOnSites(Box::new(new))), NOW)
    }

    /// Returns the codes of the rejections, and nothing for a site that is changed.
    fn rejections(decision: &Decision) -> Vec<String> {
        let Some(FleetChange::BulkAction(_, Some(action))) = decision.changes.first() else { panic!("{decision:?}") };
        let code = |site: &BulkActionSite| match &site.outcome {
            BulkOutcome::Rejected(rejection) => rejection.code.to_string(),
            BulkOutcome::Requested(_) => String::new(),
        };
        action.sites.iter().map(code).collect()
    }

    fn phase(state: &FleetState, site: SiteId) -> Option<Phase> {
        state.site(site).map(|(_, registration)| registration.life.phase)
    }

    #[test]
    fn a_site_that_rejects_the_change_does_not_stop_the_others() {
        let (mut state, first) = state_with_site();
        let (second, third) = (join(&mut state, 2), join(&mut state, 3));
        let head = state.sites[&first].spec.head();
        apply(&mut state, |state| act(state, new(1, SiteAction::ForceRemove, &[(third, None)])).unwrap().changes);
        assert_eq!(phase(&state, third), Some(Phase::Removed));

        let label = new(2, SiteAction::Label, &[(first, Some(head)), (second, Some(head.next())), (third, None)]);
        let decision = act(&state, label).expect("decided");
        assert_eq!(rejections(&decision), ["", "stale", "not-possible"]);
        assert_eq!((&decision.sites[..], decision.events.len()), (&[first][..], 1));
        apply(&mut state, |_| decision.changes);
        let label = |site| state.sites[&site].site_spec().and_then(|spec| spec.assigned.value("rack"));
        assert_eq!((label(first), label(second)), (Some("r7"), None));
        let again = act(&state, new(3, SiteAction::Label, &[(first, None)])).expect("it has the label");
        assert_eq!((rejections(&again), again.sites.len(), again.events.len()), (vec![String::new()], 0, 0));
    }

    #[test]
    fn a_list_with_a_site_that_the_caller_may_not_change_changes_nothing() {
        let (mut state, first) = state_with_site();
        let other = join_in(&mut state, "lab", 1, 20);
        let check = |access: &[(&str, Role)], sites: &[SiteId]| {
            let environments = access.iter().map(|(environment, role)| (name(environment), *role)).collect();
            let access = Access { everywhere: None, environments };
            let authorization =
                Authorization { access, requirement: Requirement::Role(Role::Operator), ..Authorization::console() };
            let sites: Vec<_> = sites.iter().map(|site| (*site, None)).collect();
            let command = FleetCommand::ActOnSites(Box::new(new(1, SiteAction::Deactivate, &sites)));
            let issued = IssuedCommand { authorization, ..IssuedCommand::of_console(command) };
            decide(&state, issued, NOW).map(drop).map_err(|error| error.code())
        };
        let unknown = SiteId::from_bytes([9; 16]);
        assert_eq!(check(&[("default", Role::Operator)], &[first]), Ok(()));
        assert_eq!(check(&[("default", Role::Operator)], &[first, other]), Err("not-found"));
        assert_eq!(check(&[("default", Role::Operator)], &[first, unknown]), Err("not-found"));
        assert_eq!(check(&[("default", Role::Operator), ("lab", Role::Viewer)], &[first, other]), Err("forbidden"));
        assert_eq!(check(&[("default", Role::Operator), ("lab", Role::Operator)], &[first, other]), Ok(()));
    }

    #[test]
    fn a_list_has_sites_and_is_bounded() {
        let (mut state, first) = state_with_site();
        let others = (2..).map(|number| join(&mut state, number)).take(SITES_PER_BULK_ACTION_MAX);
        let many: Vec<_> = [first].into_iter().chain(others).map(|site| (site, None)).collect();
        assert!(act(&state, new(1, SiteAction::Deactivate, &many[1..])).is_ok());
        for sites in [&[][..], &many] {
            let refused = act(&state, new(1, SiteAction::Deactivate, sites));
            assert!(matches!(refused, Err(FleetCommandError::Invalid(_))), "{refused:?}");
        }
    }

    #[test]
    fn the_account_with_the_most_actions_makes_room_with_its_oldest() {
        let (mut state, first) = state_with_site();
        let mut act_as = |number: u8, by: Option<&str>| {
            let new = new(number, SiteAction::Deactivate, &[(first, None)]);
            let mut issued = IssuedCommand::of_console(FleetCommand::ActOnSites(Box::new(new)));
            if let Some(user) = by {
                issued.authorization.caller.identity = Identity::User(name(user), UserSessionId::from_bytes([1; 8]));
            }
            let now = Now { wall: NOW.wall + Duration::from_secs(number.into()), ..NOW };
            apply(&mut state, |state| decide(state, issued, now).expect("decided").changes);
            state.bulk_actions.values().map(|action| (action.account.clone(), action.at)).collect::<Vec<_>>()
        };
        act_as(0, Some("anna"));
        let full = u8::try_from(BULK_ACTIONS_MAX).expect("few");
        let mut kept = Vec::new();
        for number in 1..full + 5 {
            kept = act_as(number, None);
        }
        assert_eq!(kept.len(), BULK_ACTIONS_MAX);
        assert!(kept.contains(&(CallerAccount::User(name("anna")), NOW.wall)), "another account has more");
        assert!(!kept.contains(&(CallerAccount::Console, NOW.wall + Duration::from_secs(5))));
        assert!(kept.contains(&(CallerAccount::Console, NOW.wall + Duration::from_secs(6))));
    }
}
