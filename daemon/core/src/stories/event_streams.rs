//! What streams are told of sites.

use std::time::Duration;

use linecamp_model::{ConditionKind, HostState, LinkState, Phase, SiteState};

use crate::testing::{Pair, patch, site_ref};
use crate::{DISCONNECTED_AFTER, Edit, FleetCommand, PHASE_DEADLINE, StateChange};

const MINUTE: Duration = Duration::from_secs(60);

/// Returns a pair whose changes so far were told.
fn watched(seed: u64) -> Pair {
    let mut pair = Pair::linked(seed);
    pair.run_for(MINUTE);
    assert_eq!(take(&mut pair), [], "the first call tells nothing");
    pair
}

fn take(pair: &mut Pair) -> Vec<StateChange> {
    let now = pair.server_now();
    pair.fleet.take_state_changes(usize::MAX, now)
}

fn sites(pair: &mut Pair) -> Vec<SiteState> {
    let site = |change| match change {
        StateChange::Site(site) => Some(site),
        StateChange::Host(..) => None,
    };
    take(pair).into_iter().filter_map(site).collect()
}

fn hosts(pair: &mut Pair) -> Vec<HostState> {
    let host = |change| match change {
        StateChange::Host(_, host) => Some(host),
        StateChange::Site(_) => None,
    };
    take(pair).into_iter().filter_map(host).collect()
}

#[test]
fn a_site_at_rest_causes_no_message() {
    let mut pair = watched(1);
    pair.run_for(60 * MINUTE);
    assert_eq!(take(&mut pair), []);
    let labels = patch(&["rack=r7"]);
    pair.ask(FleetCommand::PatchLabels(site_ref("camp").into(), labels)).expect("labels");
    pair.run_for(MINUTE);
    assert_eq!(take(&mut pair), [], "a label is no part of the state; its event tells");
}

#[test]
fn a_lost_link_and_its_return_are_told() {
    let mut pair = watched(2);
    pair.cut(0);
    pair.run_for(MINUTE);
    let [site] = &sites(&mut pair)[..] else { panic!("one change") };
    assert_eq!((site.link.state, site.phase), (LinkState::Reconnecting, Phase::Active));
    pair.run_for(DISCONNECTED_AFTER);
    let [site] = &sites(&mut pair)[..] else { panic!("one change") };
    assert_eq!(site.link.state, LinkState::Disconnected);
    pair.heal(0);
    pair.run_for(10 * MINUTE);
    let last = sites(&mut pair).pop().expect("a change");
    assert_eq!((last.link.state, last.conditions), (LinkState::Connected, pair.view().conditions));
}

#[test]
fn phases_of_sites_and_hosts_are_told_once() {
    let mut pair = watched(3);
    pair.ask(FleetCommand::Deactivate(site_ref("camp").into())).expect("asked");
    let told: Vec<_> = sites(&mut pair).into_iter().map(|site| site.phase).collect();
    assert_eq!(told, [Phase::Deactivating]);
    pair.run_for(MINUTE);
    let told: Vec<_> = sites(&mut pair).into_iter().map(|site| (site.phase, site.waits_for)).collect();
    assert_eq!(told, [(Phase::Inactive, None)]);
    pair.ask(FleetCommand::Deactivate(crate::testing::host_ref("camp").into())).expect("asked");
    pair.run_for(MINUTE);
    let told: Vec<_> = hosts(&mut pair).into_iter().map(|host| (host.name.to_string(), host.phase)).collect();
    assert_eq!(told, [("camp".to_owned(), Phase::Inactive)]);
    let edit = Edit { name: Some(crate::testing::name("other")), description: None };
    pair.ask(FleetCommand::Edit(site_ref("camp").into(), edit)).expect("renamed");
    assert_eq!(sites(&mut pair)[0].name.as_str(), "other");
}

#[test]
fn a_condition_that_time_alone_raises_is_told_at_its_deadline() {
    let mut pair = watched(4);
    pair.cut(0);
    pair.run_for(10 * MINUTE);
    pair.ask(FleetCommand::Deactivate(site_ref("camp").into())).expect("asked");
    drop(take(&mut pair));
    let now = pair.server_now();
    let deadline = pair.fleet.state_changes_deadline(now).expect("a deadline");
    let wait = deadline.saturating_since(now.instant);
    assert!(PHASE_DEADLINE <= wait + MINUTE && wait <= PHASE_DEADLINE + MINUTE, "{wait:?}");
    pair.run_for(wait - Duration::from_secs(1));
    assert_eq!(take(&mut pair), []);
    pair.run_for(Duration::from_secs(2));
    let [site] = &sites(&mut pair)[..] else { panic!("one change") };
    assert!(site.conditions.iter().any(|condition| condition.kind == ConditionKind::PhaseLate));
    let now = pair.server_now();
    assert_eq!(pair.fleet.state_changes_deadline(now), None);
}

#[test]
fn a_site_that_is_purged_is_told_and_many_changes_come_in_parts() {
    let mut pair = watched(5);
    let second = pair.add_node("second");
    pair.run_for(MINUTE);
    let now = pair.server_now();
    assert!(!pair.fleet.take_state_changes(1, now).is_empty());
    let told = sites(&mut pair);
    assert!(told.iter().chain(&[]).all(|site| site.name.as_str() == "second" || site.name.as_str() == "camp"));
    assert_eq!(pair.nodes.len(), second + 1);
    pair.ask(FleetCommand::Remove(site_ref("second").into(), crate::Force::Yes)).expect("removed");
    pair.run_for(MINUTE);
    assert_eq!(sites(&mut pair).last().map(|site| site.phase), Some(Phase::Removed));
    pair.run_for(crate::REMOVED_KEEP_DEFAULT + 60 * MINUTE);
    let last = sites(&mut pair).pop().expect("a change");
    assert_eq!((last.name.as_str(), last.phase, last.link.state), ("second", Phase::Purged, LinkState::Disconnected));
}

#[test]
fn a_change_that_a_full_disk_undoes_is_told_again_as_it_was() {
    let mut pair = watched(6);
    pair.fleet_disk_fault = crate::testing::DiskFault::Full;
    assert!(pair.ask(FleetCommand::Deactivate(site_ref("camp").into())).is_err());
    let last = sites(&mut pair).pop();
    assert!(last.is_none_or(|site| site.phase == Phase::Active));
    assert_eq!(pair.view().phase, Phase::Active);
}
