//! Phases, and the link state next to them.

use std::time::Duration;

use linecamp_model::{EventKind, LinkState, Phase, Target};

use crate::testing::{DAY, DiskFault, Pair, host_ref, patch, site_ref};
use crate::{DISCONNECTED_AFTER, FleetCommand, FleetCommandError, Force};

const MINUTE: Duration = Duration::from_secs(60);

fn deactivate() -> FleetCommand {
    FleetCommand::Deactivate(site_ref("camp").into())
}

fn activate() -> FleetCommand {
    FleetCommand::Activate(site_ref("camp").into())
}

fn remove(force: Force) -> FleetCommand {
    FleetCommand::Remove(site_ref("camp").into(), force)
}

#[test]
fn a_site_is_deactivated_and_activated_with_its_link_up() {
    let mut pair = Pair::linked(1);
    pair.ask(deactivate()).expect("asked");
    assert_eq!(pair.view().phase, Phase::Deactivating);
    pair.run_for(MINUTE);
    assert_eq!(pair.view().phase, Phase::Inactive);
    assert_eq!(pair.site().view(pair.now()).target, Some(Target::Inactive));
    assert!(pair.is_linked());
    pair.ask(deactivate()).expect("a repeated request is not an error");
    pair.ask(activate()).expect("asked");
    pair.run_for(MINUTE);
    assert_eq!(pair.view().phase, Phase::Active);
}

#[test]
fn a_host_is_deactivated_without_its_site() {
    let mut pair = Pair::linked(2);
    pair.ask(FleetCommand::Deactivate(host_ref("camp").into())).expect("asked");
    pair.run_for(MINUTE);
    assert_eq!((pair.view().phase, pair.view().hosts[0].phase), (Phase::Active, Phase::Inactive));
}

#[test]
fn a_deactivation_of_an_offline_site_applies_when_it_reconnects() {
    let mut pair = Pair::linked(3);
    pair.cut(0);
    pair.run_for(DAY);
    pair.ask(deactivate()).expect("asked");
    pair.run_for(DAY);
    let view = pair.view();
    assert_eq!(view.phase, Phase::Deactivating, "it is not assumed to be done");
    assert!(view.waits_for.expect("says why").as_str().contains("disconnected since"));
    assert!(!view.conditions.is_empty(), "and the long wait raises a condition");
    pair.heal(0);
    pair.run_for(5 * MINUTE);
    assert_eq!(pair.view().phase, Phase::Inactive);
}

#[test]
fn removal_requires_an_inactive_site_or_force() {
    let mut pair = Pair::linked(4);
    let refusal = pair.ask(remove(Force::No)).expect_err("it is active");
    assert!(
        matches!(&refusal, FleetCommandError::NotPossible(text) if text.contains("deactivate it first")),
        "{refusal:?}"
    );
    pair.ask(deactivate()).expect("asked");
    pair.run_for(MINUTE);
    pair.ask(remove(Force::No)).expect("asked");
    pair.run_for(MINUTE);
    assert_eq!(pair.view().phase, Phase::Removed, "the site confirmed: {}", pair.trace());
    assert!(pair.nodes[0].ended.is_some(), "and its daemon has ended");
    assert!(pair.ask(FleetCommand::PatchLabels(site_ref("camp").into(), patch(&["a=b"]))).is_err());
}

#[test]
fn a_name_can_be_reused_after_removal() {
    let mut pair = Pair::linked(5);
    pair.ask(remove(Force::Yes)).expect("removed");
    let second = pair.add_node("camp");
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked_node(second));
    assert_eq!(pair.view().phase, Phase::Active, "the name refers to the new site");
}

#[test]
fn a_lost_link_is_reconnecting_and_then_disconnected() {
    let mut pair = Pair::linked(6);
    pair.run_for(5 * MINUTE);
    pair.cut(0);
    pair.run_for(Duration::from_secs(44));
    assert_eq!(pair.view().link.state, LinkState::Connected, "the loss is not detected yet");
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.view().link.state, LinkState::Reconnecting);
    let since = pair.view().link.since;
    pair.run_for(DISCONNECTED_AFTER);
    assert_eq!((pair.view().link.state, pair.view().link.since), (LinkState::Disconnected, since));
    assert!(pair.events().iter().any(|event| event.kind == EventKind::SiteDisconnected));
    pair.crash_fleet();
    assert_eq!((pair.view().link.state, pair.view().link.since), (LinkState::Disconnected, since), "remembered");
}

#[test]
fn a_short_loss_of_the_link_writes_nothing_at_the_server() {
    let mut pair = Pair::linked(7);
    pair.run_for(10 * MINUTE);
    let before = pair.fleet_writes;
    pair.cut(0);
    pair.run_for(MINUTE);
    pair.heal(0);
    pair.run_for(3 * MINUTE);
    assert!(pair.is_linked());
    assert_eq!(pair.fleet_writes, before);
}

#[test]
fn sites_are_reconnecting_for_a_while_after_a_server_start() {
    let mut pair = Pair::linked(8);
    pair.run_for(10 * MINUTE);
    pair.stop_fleet();
    pair.run_for(DAY);
    pair.cut(0);
    pair.start_fleet();
    pair.run_for(Duration::from_secs(179));
    assert_eq!(pair.view().link.state, LinkState::Reconnecting);
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.view().link.state, LinkState::Disconnected);
}

#[test]
fn a_planned_stop_assigns_retry_slots() {
    let mut pair = Pair::linked(9);
    let now = pair.now();
    pair.fleet.handle_stop(now);
    pair.run_for(Duration::from_millis(100));
    pair.stop_fleet();
    let link = pair.site().why(now).into_iter().find(|why| why.part == "link").expect("always there");
    let slot = link
        .next
        .clone()
        .unwrap_or_else(|| panic!("a redial is set: {link:?} {}", pair.trace()))
        .0
        .saturating_since(now.wall);
    assert!(Duration::from_millis(900) < slot && slot < Duration::from_secs(2), "{slot:?}");
    pair.start_fleet();
    pair.run_for(Duration::from_secs(2));
    assert!(pair.is_linked());
}

/// Found by the simulator (`chaos seed=14`): a session that waited to replace the previous one was admitted when the
/// removal of its site ended the previous session.
#[test]
fn a_site_removed_while_its_session_waits_is_not_admitted() {
    let mut pair = Pair::linked(14);
    pair.crash_site();
    // It sends its hello within a second, and the server probes the previous session for five.
    pair.run_for(Duration::from_secs(3));
    assert!(!pair.is_linked(), "it waits");
    pair.ask(FleetCommand::Remove(site_ref("camp").into(), Force::Yes)).expect("removed");
    pair.run_for(Duration::from_secs(30));
    assert!(pair.nodes[0].ended.is_some(), "it was notified, and has erased its identity");
}

/// A site that connected during its removal was notified before the removal was durable. The disk then rejected the
/// removal: the site had deleted its identity and was still registered.
#[test]
fn a_site_is_notified_of_its_removal_only_when_it_is_durable() {
    for delay in 0..50 {
        let mut pair = Pair::linked(17);
        pair.crash_site();
        while !pair.is_in_handshake() {
            pair.run_for(Duration::from_millis(1));
        }
        // The previous session is probed; then it is admitted or refused.
        pair.run_for(Duration::from_millis(5_000 + delay));
        pair.fleet_disk_fault = DiskFault::Full;
        pair.operator(remove(Force::Yes));
        pair.run_for(Duration::from_secs(5));
        pair.fleet_disk_fault = DiskFault::Well;
        pair.run_for(10 * MINUTE);
        assert_eq!(pair.nodes[0].ended, None, "after {delay} ms");
        assert!(pair.is_linked(), "after {delay} ms");
    }
}
