//! Disks that are full or lost, restored backups, and wrong clocks.

use std::time::Duration;

use linecamp_model::{ConditionKind, EventKind, Level};

use crate::testing::{DAY, DiskFault, Pair, host_ref, key, patch, site_ref};
use crate::{FleetCommand, FleetCommandError, SiteCommand, SiteCommandError, StoreFault};

const MINUTE: Duration = Duration::from_secs(60);

fn assign(labels: &[&str]) -> FleetCommand {
    FleetCommand::PatchLabels(site_ref("camp").into(), patch(labels))
}

#[test]
fn a_sites_full_disk_raises_a_condition_and_loses_nothing() {
    let mut pair = Pair::linked(1);
    pair.nodes[0].disk_fault = DiskFault::Full;
    pair.ask(assign(&["rack=r7"])).expect("the server has room");
    pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&["door=3"])));
    pair.run_for(10 * MINUTE);
    assert_eq!(pair.nodes[0].replies, [Err(SiteCommandError::Store(StoreFault::DiskFull))]);
    assert_eq!(pair.label_entry("rack"), None, "a label that was not stored is not effective");
    assert_ne!(pair.view().spec_generation, pair.view().applied_generation, "and is not acknowledged");
    let conditions = pair.site().view(pair.now()).conditions;
    assert!(conditions.iter().any(|condition| condition.kind == ConditionKind::DiskFull));
    assert!(pair.is_linked(), "the link stays");
    let before = pair.nodes[0].writes;
    pair.run_for(10 * MINUTE);
    assert!(pair.nodes[0].writes - before < 100, "and writes are retried rarely");
    pair.nodes[0].disk_fault = DiskFault::Well;
    pair.run_for(2 * MINUTE);
    assert_eq!(pair.label_entry("rack").as_deref(), Some("r7"));
    assert!(pair.site().view(pair.now()).conditions.is_empty());
}

#[test]
fn a_servers_full_disk_rejects_writes_and_keeps_sites_connected() {
    let mut pair = Pair::linked(2);
    pair.fleet_disk_fault = DiskFault::Full;
    assert_eq!(pair.ask(assign(&["rack=r7"])), Err(FleetCommandError::Store(StoreFault::DiskFull)));
    assert_eq!(pair.seen_label("rack"), None);
    pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&["door=3"])));
    let late = pair.add_node("late");
    pair.run_for(10 * MINUTE);
    assert!(pair.is_linked());
    assert_eq!(pair.seen_label("door"), None, "not stored, so not shown");
    pair.fleet_disk_fault = DiskFault::Well;
    pair.run_for(10 * MINUTE);
    assert_eq!(pair.seen_label("door").as_deref(), Some("3"));
    assert!(pair.is_linked_node(late), "and the late site has joined");
}

#[test]
fn a_lost_site_database_is_resynced_from_the_server() {
    let mut pair = Pair::linked(3);
    pair.ask(assign(&["rack=r7"])).expect("assigned");
    pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&["door=3"])));
    pair.run_for(MINUTE);
    pair.lose_site_database();
    assert_eq!(pair.label_entry("rack"), None);
    pair.run_for(5 * MINUTE);
    assert_eq!(pair.label_entry("rack").as_deref(), Some("r7"));
    assert_eq!(pair.seen_label("door"), None, "the label that was set locally is lost, also at the server");
    assert_eq!(pair.view().spec_generation, pair.view().converged_generation);
}

#[test]
fn a_restored_server_backup_overrides_newer_site_state() {
    let mut pair = Pair::linked(4);
    let backup = pair.backup_fleet();
    for rack in ["rack=r1", "rack=r2", "rack=r3"] {
        pair.ask(assign(&[rack])).expect("assigned");
    }
    pair.run_for(MINUTE);
    assert_eq!(pair.label_entry("rack").as_deref(), Some("r3"));
    pair.restore_fleet(backup);
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked());
    assert_eq!(pair.label_entry("rack"), None, "the site follows the server");
    pair.ask(assign(&["rack=r9"])).expect("assigned");
    pair.run_for(MINUTE);
    assert_eq!(pair.label_entry("rack").as_deref(), Some("r9"));
}

#[test]
fn a_site_that_booted_in_1970_connects_and_reports_clock_skew() {
    let mut pair = Pair::new(5);
    pair.nodes[0].clock_behind = Duration::from_secs(60 * 365 * 24 * 3600);
    pair.crash_site();
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked());
    assert!(has_clock_skew(&pair));
    pair.run_for(60 * DAY);
    assert_eq!(pair.view().recoveries, 0, "renewal uses the server's clock");
}

fn has_clock_skew(pair: &Pair) -> bool {
    pair.view().conditions.iter().any(|condition| condition.kind == ConditionKind::ClockSkew)
}

#[test]
fn a_clock_step_while_linked_raises_clock_skew_and_its_correction_clears_it() {
    let mut pair = Pair::linked(8);
    let since = pair.view().link.since;
    for step in [3 * MINUTE, 100 * DAY, 20 * 365 * DAY] {
        for (behind, ahead) in [(step, Duration::ZERO), (Duration::ZERO, step)] {
            (pair.nodes[0].clock_behind, pair.nodes[0].clock_ahead) = (behind, ahead);
            pair.run_for(MINUTE + Duration::from_secs(1));
            assert!(has_clock_skew(&pair), "within a minute of a step by {step:?}");
            (pair.nodes[0].clock_behind, pair.nodes[0].clock_ahead) = Default::default();
            pair.run_for(MINUTE + Duration::from_secs(1));
            assert!(!has_clock_skew(&pair), "the clock is right again");
        }
    }
    assert_eq!(pair.view().link.since, since, "all on one link");
    pair.run_for(60 * DAY);
    assert_eq!((pair.is_linked(), pair.view().recoveries), (true, 0));
}

#[test]
fn the_fleet_survives_a_jump_of_the_servers_clock() {
    let years = 20 * 365 * DAY;
    for (behind, ahead, recoveries) in [(years, Duration::ZERO, 0), (Duration::ZERO, years, 1)] {
        let mut pair = Pair::linked(9);
        (pair.fleet_clock_behind, pair.fleet_clock_ahead) = (behind, ahead);
        pair.crash_site();
        pair.run_for(10 * MINUTE);
        assert!(pair.is_linked() && has_clock_skew(&pair));
        (pair.fleet_clock_behind, pair.fleet_clock_ahead) = Default::default();
        pair.crash_site();
        pair.run_for(10 * MINUTE);
        assert!(pair.is_linked() && !has_clock_skew(&pair));
        pair.ask(assign(&["rack=r7"])).expect("assigned");
        pair.run_for(60 * DAY);
        assert!(pair.is_linked());
        assert_eq!(pair.label_entry("rack").as_deref(), Some("r7"));
        assert_eq!(pair.view().recoveries, recoveries);
    }
}

#[test]
fn events_recorded_offline_are_limited_and_drops_are_counted() {
    let mut pair = Pair::linked(6);
    pair.cut(0);
    pair.run_for(MINUTE);
    for value in 0..1_500 {
        pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&[&format!("door={value}")])));
        pair.run_for(Duration::from_secs(1));
    }
    let view = pair.site().view(pair.now());
    assert_eq!(view.outbox_events, 1_000);
    assert!(500 <= view.events_dropped);
    pair.heal(0);
    pair.run_for(5 * MINUTE);
    assert_eq!(pair.site().view(pair.now()).outbox_events, 0);
    assert_eq!(pair.seen_label("door").as_deref(), Some("1499"));
    let kept = pair.events().iter().filter(|event| event.kind == EventKind::LabelsSetLocally).count();
    assert!((1..=200).contains(&kept), "the server has its own limit per site: {kept}");
}

#[test]
fn a_site_works_for_a_week_without_its_server() {
    let mut pair = Pair::linked(7);
    pair.stop_fleet();
    pair.run_for(DAY);
    pair.crash_site();
    pair.local_command(SiteCommand::PatchLabels(Level::Host, patch(&["door=3"])));
    pair.run_for(6 * DAY);
    assert_eq!(pair.nodes[0].replies, [Ok(())]);
    assert_eq!(pair.site().view(pair.now()).name.expect("from its cache").as_str(), "camp");
    pair.start_fleet();
    pair.run_for(2 * MINUTE);
    assert!(pair.is_linked());
    let host = pair.fleet.view().host(&host_ref("camp"), pair.now()).expect("known");
    assert!(host.labels.keys().any(|key| key.as_str() == "door"));
}

/// Found by the simulator (`smoke seed=1`): the server held more of the status than the restored disk and discarded
/// everything after it as duplicates.
#[test]
fn the_status_of_a_restored_disk_is_accepted() {
    let mut pair = Pair::linked(9);
    let image = pair.nodes[0].disk.clone();
    for floor in 0..5 {
        pair.ask(assign(&[&format!("floor={floor}")])).expect("assigned");
        pair.run_for(MINUTE);
    }
    pair.restore_site(image);
    pair.run_for(MINUTE);
    pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&["door=back"])));
    pair.ask(assign(&["rack=r7"])).expect("assigned");
    pair.run_for(MINUTE);
    assert_eq!(pair.seen_label("door").as_deref(), Some("back"));
    assert_eq!(pair.view().converged_generation, pair.view().spec_generation);
}

/// The same for events: the server took new ones for the old ones with the same numbers.
#[test]
fn events_of_a_restored_disk_are_not_discarded_as_duplicates() {
    let mut pair = Pair::linked(11);
    let image = pair.nodes[0].disk.clone();
    for floor in 0..5 {
        pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&[&format!("floor={floor}")])));
        pair.run_for(MINUTE);
    }
    pair.restore_site(image);
    pair.run_for(MINUTE);
    pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&["floor=cellar"])));
    pair.run_for(MINUTE);
    let events = pair.events().into_iter().filter(|event| event.text.as_str().contains("floor=cellar"));
    assert_eq!(events.count(), 1);
}

/// Found by the simulator (`smoke seed=1`): a clone of the disk had sent data under the same numbers meanwhile.
#[test]
fn reports_of_a_clone_do_not_hide_those_of_the_original() {
    let mut pair = Pair::linked(10);
    pair.cut(0);
    let copy = pair.clone_disk();
    pair.nodes[copy].facts = [(key("cpus"), linecamp_model::LabelValue::parse("64").expect("a value"))].into();
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked_node(copy), "the original is offline");
    pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&["door=front"])));
    pair.cut(copy);
    pair.heal(0);
    pair.run_for(15 * MINUTE);
    assert!(pair.is_linked());
    assert_eq!(pair.seen_label("door").as_deref(), Some("front"));
    assert_eq!(pair.seen_label("cpus"), None);
}

/// Found by the simulator (`chaos seed=235`): a new incarnation for which the disk had no room was not retried.
#[test]
fn a_new_incarnation_starts_once_the_disk_has_space() {
    let mut pair = Pair::linked(12);
    pair.cut(0);
    let copy = pair.clone_disk();
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked_node(copy), "it records events with the same numbers");
    pair.cut(copy);
    pair.nodes[0].disk_fault = DiskFault::Full;
    pair.heal(0);
    pair.run_for(10 * MINUTE);
    pair.nodes[0].disk_fault = DiskFault::Well;
    pair.run_for(10 * MINUTE);
    assert!(pair.is_linked());
    assert_eq!(pair.site().view(pair.now()).outbox_events, 0, "every event is acknowledged");
}

/// Found by the simulator (`chaos seed=36`): a server whose disk had been full reported the original's data as the
/// clone's.
#[test]
fn a_servers_full_disk_does_not_mix_up_clone_and_original() {
    let mut pair = Pair::linked(13);
    pair.cut(0);
    let copy = pair.clone_disk();
    pair.nodes[copy].facts = [(key("cpus"), linecamp_model::LabelValue::parse("64").expect("a value"))].into();
    pair.fleet_disk_fault = DiskFault::Full;
    pair.run_for(5 * MINUTE);
    pair.fleet_disk_fault = DiskFault::Well;
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked_node(copy));
    assert_eq!(pair.seen_label("cpus").as_deref(), Some("64"), "the clone's report is accepted");
    pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&["door=front"])));
    pair.cut(copy);
    pair.heal(0);
    pair.run_for(15 * MINUTE);
    assert_eq!(pair.seen_label("door").as_deref(), Some("front"));
    assert_eq!(pair.seen_label("cpus"), None, "and then the original's");
}

/// Found by the simulator (`chaos seed=143`): an event was undone after the server had acknowledged its number, and the
/// next event reused that number.
#[test]
fn an_event_never_reuses_a_number_that_the_server_has() {
    for delay in 0..50 {
        let mut pair = Pair::linked(15);
        pair.cut(0);
        let copy = pair.clone_disk();
        pair.run_for(5 * MINUTE);
        assert!(pair.is_linked_node(copy), "it records an event");
        pair.cut(copy);
        pair.heal(0);
        while !pair.is_in_handshake() {
            pair.run_for(Duration::from_millis(1));
        }
        // The server first probes the previous session.
        pair.run_for(Duration::from_millis(5_000 + delay));
        pair.nodes[0].disk_fault = DiskFault::Full;
        pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&["door=front"])));
        pair.run_for(5 * MINUTE);
        pair.nodes[0].disk_fault = DiskFault::Well;
        pair.run_for(10 * MINUTE);
        assert!(pair.is_linked());
        assert_eq!(pair.site().view(pair.now()).outbox_events, 0, "after {delay} ms an event is never acknowledged");
    }
}

/// A batch has no gaps in its numbers. The numbers that the server already held are one.
#[test]
fn events_around_a_gap_in_numbers_arrive_once() {
    let mut pair = Pair::linked(16);
    let image = pair.nodes[0].disk.clone();
    for floor in 0..5 {
        pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&[&format!("floor={floor}")])));
        pair.run_for(MINUTE);
    }
    // Restored with a wrong clock: it records an event between the welcome and its new incarnation.
    pair.nodes[0].clock_behind = Duration::from_secs(6 * 3600);
    pair.restore_site(image);
    pair.run_for(10 * MINUTE);
    let events = pair.events().into_iter().filter(|event| event.text.as_str().contains("hours behind"));
    assert_eq!(events.count(), 1);
    assert_eq!(pair.site().view(pair.now()).outbox_events, 0);
}
