//! Failing storage: the server learns of it at once, and nothing is done that could not be persisted.

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_model::{Condition, ConditionKind, EventKind, Level, Text};

use super::records::{GATEWAY, MINUTE, ZONE, provider, shown, site_with};
use crate::testing::{DAY, DiskFault, Pair, patch, site_ref};
use crate::{DropIns, FleetCommand, RECONCILE_INTERVAL, SiteCommand, SiteCommandError, StoreFault};

/// Returns the condition of this kind as shown to operators at the server.
fn seen(pair: &Pair, kind: ConditionKind) -> Option<Condition> {
    pair.view().conditions.into_iter().find(|condition| condition.kind == kind)
}

/// Returns the number of events of this kind at the server whose text contains `word`.
fn events_with(pair: &Pair, kind: EventKind, word: &str) -> usize {
    let events = pair.events().into_iter().filter(|event| event.kind == kind);
    events.filter(|event| event.text.as_str().contains(word)).count()
}

fn assign(label: &str) -> FleetCommand {
    FleetCommand::PatchLabels(site_ref("camp").into(), patch(&[label]))
}

/// Fills the site's disk and triggers a write, so that the site notices.
fn fill_disk(pair: &mut Pair) {
    pair.nodes[0].disk_fault = DiskFault::Full;
    pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&["door=3"])));
    pair.run_for(Duration::from_secs(1));
}

#[test]
fn the_server_shows_a_sites_full_disk_within_a_second() {
    let mut pair = Pair::linked(1);
    fill_disk(&mut pair);
    let shown = seen(&pair, ConditionKind::DiskFull).expect("it is reported without waiting for the disk");
    assert!(shown.detail.as_str().contains("not kept"), "it says what is lost: {}", shown.detail);
    assert_eq!(events_with(&pair, EventKind::ConditionRaised, "disk-full"), 1);
    pair.run_for(DAY);
    assert!(pair.is_linked());
    assert_eq!(events_with(&pair, EventKind::ConditionRaised, "disk-full"), 1, "reported once");
    assert_eq!(events_with(&pair, EventKind::ConditionCleared, "disk-full"), 0);
    pair.nodes[0].disk_fault = DiskFault::Well;
    pair.run_for(MINUTE);
    assert_eq!(seen(&pair, ConditionKind::DiskFull), None);
    assert_eq!(events_with(&pair, EventKind::ConditionCleared, "disk-full"), 1);
    let writes = pair.nodes[0].writes;
    pair.run_for(DAY);
    assert_eq!(pair.nodes[0].writes, writes, "a healthy disk is not probed");
}

/// Returns a label that a full disk rejects, although it accepts shorter ones.
fn long_label() -> String {
    format!("rack={}", "x".repeat(240))
}

/// Rewriting unchanged data costs a database nothing, so such a write proved nothing: the condition came and went every
/// 35 s, or was cleared for good.
#[test]
fn a_full_disk_condition_persists_while_short_writes_succeed() {
    for is_local in [true, false] {
        let mut pair = Pair::linked(14);
        pair.run_for(MINUTE);
        pair.nodes[0].disk_fault = DiskFault::Tight;
        match is_local {
            true => pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&[&long_label()]))),
            false => pair.ask(assign(&long_label())).expect("the server has room"),
        }
        pair.run_for(Duration::from_secs(1));
        for minute in 0..10 {
            assert!(seen(&pair, ConditionKind::DiskFull).is_some(), "local: {is_local}, minute {minute}");
            pair.run_for(MINUTE);
        }
        assert_eq!(events_with(&pair, EventKind::ConditionRaised, "disk-full"), 1, "local: {is_local}");
        assert_eq!(events_with(&pair, EventKind::ConditionCleared, "disk-full"), 0, "local: {is_local}");
        pair.nodes[0].disk_fault = DiskFault::Well;
        pair.run_for(2 * MINUTE);
        assert_eq!(seen(&pair, ConditionKind::DiskFull), None, "local: {is_local}");
        assert_eq!(events_with(&pair, EventKind::ConditionCleared, "disk-full"), 1, "local: {is_local}");
        assert_eq!(pair.view().spec_generation, pair.view().applied_generation, "local: {is_local}");
    }
}

/// The server acknowledges events once: the site kept the events it could not remove from the outbox until its next
/// link.
#[test]
fn acknowledged_events_leave_the_outbox_once_the_disk_has_space() {
    let mut pair = Pair::linked(17);
    pair.run_for(MINUTE);
    pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&["door=3"])));
    while pair.nodes[0].replies.is_empty() {
        pair.run_for(Duration::from_millis(1));
    }
    pair.nodes[0].disk_fault = DiskFault::Full;
    pair.run_for(MINUTE);
    assert_eq!(events_with(&pair, EventKind::LabelsSetLocally, "door=3"), 1);
    assert_eq!(pair.site().view(pair.now()).outbox_events, 1, "there was no room to remove it");
    pair.nodes[0].disk_fault = DiskFault::Well;
    pair.run_for(MINUTE);
    assert_eq!(pair.site().view(pair.now()).outbox_events, 0);
}

#[test]
fn a_successful_short_write_does_not_clear_a_full_disk() {
    let mut pair = Pair::linked(15);
    pair.run_for(MINUTE);
    pair.nodes[0].disk_fault = DiskFault::Tight;
    pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&[&long_label()])));
    pair.run_for(Duration::from_secs(1));
    pair.nodes[0].disk_fault = DiskFault::Well;
    pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&["a=b"])));
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.nodes[0].replies.last(), Some(&Ok(())), "there was room for it");
    pair.nodes[0].disk_fault = DiskFault::Tight;
    pair.run_for(10 * MINUTE);
    assert!(seen(&pair, ConditionKind::DiskFull).is_some());
    assert_eq!(events_with(&pair, EventKind::ConditionRaised, "disk-full"), 1);
}

#[test]
fn a_server_reports_a_full_disk_while_short_writes_succeed() {
    let mut pair = Pair::linked(16);
    pair.run_for(MINUTE);
    pair.fleet_disk_fault = DiskFault::Tight;
    assert_eq!(pair.ask(assign(&long_label())), Err(crate::FleetCommandError::Store(StoreFault::DiskFull)));
    for minute in 0..10 {
        assert_eq!(pair.fleet.store_fault(), Some(StoreFault::DiskFull), "minute {minute}");
        pair.run_for(MINUTE);
    }
    pair.fleet_disk_fault = DiskFault::Well;
    pair.run_for(MINUTE);
    assert_eq!(pair.fleet.store_fault(), None, "without a request");
}

#[test]
fn a_write_rejected_by_a_full_disk_leaves_no_event_and_no_acknowledgement() {
    let mut pair = Pair::linked(2);
    fill_disk(&mut pair);
    assert_eq!(pair.nodes[0].replies, [Err(SiteCommandError::Store(StoreFault::DiskFull))]);
    pair.ask(assign("rack=r7")).expect("the server has room");
    pair.run_for(10 * MINUTE);
    assert_ne!(pair.view().spec_generation, pair.view().applied_generation);
    pair.nodes[0].disk_fault = DiskFault::Well;
    pair.run_for(5 * MINUTE);
    assert_eq!(pair.view().spec_generation, pair.view().applied_generation);
    assert_eq!(events_with(&pair, EventKind::LabelsSetLocally, "door=3"), 0, "it was rejected");
}

#[test]
fn events_delayed_by_a_full_disk_arrive_once_it_has_space() {
    let mut pair = Pair::linked(3);
    fill_disk(&mut pair);
    let invalid = Some(Text::lossy("labels.d/10-rack.toml: line 3"));
    let now = pair.now();
    pair.nodes[0].site.handle_drop_ins(DropIns { invalid, ..DropIns::default() }, now);
    pair.run_for(10 * MINUTE);
    assert_eq!(events_with(&pair, EventKind::ConditionRaised, "labels-invalid"), 0);
    pair.nodes[0].disk_fault = DiskFault::Well;
    pair.run_for(5 * MINUTE);
    assert_eq!(events_with(&pair, EventKind::ConditionRaised, "labels-invalid"), 1);
    assert!(seen(&pair, ConditionKind::LabelsInvalid).is_some());
}

#[test]
fn a_site_that_cannot_write_observes_records_and_changes_none() {
    let mut pair = site_with(4, provider());
    let kept = shown(&pair);
    assert_eq!(kept.len(), 1);
    fill_disk(&mut pair);
    // The record is changed by hand: the site needs no new note to repair it.
    pair.name_server.plant(ZONE, GATEWAY, "A", &["192.0.2.99"]);
    let (writes, looks) = (pair.name_server.writes.len(), pair.name_server.looks);
    pair.run_for(3 * RECONCILE_INTERVAL);
    assert_eq!(pair.name_server.writes.len(), writes, "nothing is changed");
    assert!(looks < pair.name_server.looks, "and it keeps observing");
    pair.nodes[0].disk_fault = DiskFault::Well;
    pair.run_for(2 * MINUTE);
    assert_eq!(shown(&pair), kept, "it is repaired as soon as there is space");
}

#[test]
fn a_site_that_starts_with_a_full_disk_connects_and_reports_it() {
    let mut pair = Pair::linked(5);
    pair.ask(assign("rack=r7")).expect("assigned");
    pair.run_for(MINUTE);
    pair.nodes[0].disk_fault = DiskFault::Full;
    pair.crash_site();
    pair.run_for(2 * MINUTE);
    assert!(pair.is_linked());
    assert!(seen(&pair, ConditionKind::DiskFull).is_some());
    assert_eq!(pair.label_entry("rack").as_deref(), Some("r7"), "it keeps its stored state");
}

#[test]
fn a_condition_cleared_while_offline_is_not_shown_after_reconnecting() {
    let mut pair = Pair::linked(6);
    fill_disk(&mut pair);
    pair.cut(0);
    pair.run_for(2 * MINUTE);
    assert!(seen(&pair, ConditionKind::DiskFull).is_some(), "the last report");
    pair.nodes[0].disk_fault = DiskFault::Well;
    pair.run_for(2 * MINUTE);
    pair.heal(0);
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked());
    assert_eq!(seen(&pair, ConditionKind::DiskFull), None);
    assert_eq!(events_with(&pair, EventKind::ConditionCleared, "disk-full"), 1);
}

#[test]
fn a_condition_that_outlasts_the_link_is_reported_once() {
    let mut pair = Pair::linked(7);
    fill_disk(&mut pair);
    for _ in 0..3 {
        pair.cut(0);
        pair.run_for(2 * MINUTE);
        pair.heal(0);
        pair.run_for(5 * MINUTE);
        assert!(pair.is_linked());
    }
    assert!(seen(&pair, ConditionKind::DiskFull).is_some());
    assert_eq!(events_with(&pair, EventKind::ConditionRaised, "disk-full"), 1);
}

/// The event that reported the failure was committed, and that cleared the condition.
#[test]
fn an_unsaved_certificate_raises_a_condition_until_it_is_saved() {
    let mut pair = Pair::linked(8);
    pair.nodes[0].identity_disk_fault = DiskFault::Full;
    pair.run_for(21 * DAY);
    for _ in 0..20 {
        let shown = seen(&pair, ConditionKind::IdentityNotSaved).expect("the condition remains");
        assert!(shown.detail.as_str().contains("no space left"), "{}", shown.detail);
        pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&["door=3"])));
        pair.run_for(DAY);
    }
    assert!(pair.is_linked(), "the certificate in memory is used, also after the one on the disk has expired");
    assert_eq!(pair.view().recoveries, 0);
    assert_eq!(events_with(&pair, EventKind::ConditionRaised, "identity-not-saved"), 1);
    pair.nodes[0].identity_disk_fault = DiskFault::Well;
    pair.run_for(2 * MINUTE);
    assert_eq!(seen(&pair, ConditionKind::IdentityNotSaved), None);
    pair.crash_site();
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked());
    assert_eq!(pair.view().recoveries, 0, "the saved certificate is used");
}

#[test]
fn an_unsaved_first_certificate_is_requested_again() {
    let mut pair = Pair::new(9);
    pair.nodes[0].identity_disk_fault = DiskFault::Full;
    pair.run_for(5 * MINUTE);
    assert!(!pair.is_linked());
    let local: BTreeMap<_, _> =
        pair.site().view(pair.now()).conditions.into_iter().map(|one| (one.kind, one.detail)).collect();
    assert!(local.contains_key(&ConditionKind::IdentityNotSaved), "{local:?}");
    pair.nodes[0].identity_disk_fault = DiskFault::Well;
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked());
    assert_eq!(seen(&pair, ConditionKind::IdentityNotSaved), None);
}

#[test]
fn a_local_socket_that_cannot_be_opened_raises_a_condition_until_it_opens() {
    let mut pair = Pair::linked(17);
    let problem = || Text::lossy("failed to open the local socket /d/linecampd.sock: No space left on device");
    let now = pair.now();
    pair.nodes[0].socket_problem = Some(problem());
    pair.nodes[0].site.handle_local_socket(Err(problem()), now);
    pair.run_for(10 * MINUTE);
    let shown = seen(&pair, ConditionKind::LocalSocketFailed).expect("the server shows it");
    assert!(shown.detail.as_str().contains("No space left") && shown.detail.as_str().contains("df -i"), "{shown:?}");
    assert!(pair.is_linked());
    pair.nodes[0].socket_problem = None;
    pair.run_for(MINUTE);
    assert_eq!(seen(&pair, ConditionKind::LocalSocketFailed), None);
    assert_eq!(events_with(&pair, EventKind::ConditionRaised, "local-socket-failed"), 1);
    assert_eq!(events_with(&pair, EventKind::ConditionCleared, "local-socket-failed"), 1);
}

#[test]
fn a_corrupt_database_is_reported_while_the_disk_is_full() {
    let mut pair = Pair::linked(10);
    pair.nodes[0].disk_fault = DiskFault::Full;
    pair.nodes[0].corrupt_database = Some(Text::lossy("/d/site.db.corrupt-1"));
    pair.crash_site();
    pair.run_for(2 * MINUTE);
    assert!(pair.is_linked());
    assert!(seen(&pair, ConditionKind::StoreCorrupt).is_some());
}

#[test]
fn a_server_reports_its_full_disk_and_detects_free_space_by_itself() {
    let mut pair = Pair::linked(11);
    assert_eq!(pair.fleet.store_fault(), None);
    pair.fleet_disk_fault = DiskFault::Full;
    assert_eq!(pair.ask(assign("rack=r7")), Err(crate::FleetCommandError::Store(StoreFault::DiskFull)));
    pair.run_for(10 * MINUTE);
    assert_eq!(pair.fleet.store_fault(), Some(StoreFault::DiskFull));
    assert!(pair.is_linked());
    pair.fleet_disk_fault = DiskFault::Well;
    pair.run_for(MINUTE);
    assert_eq!(pair.fleet.store_fault(), None, "without a request");
    let writes = pair.fleet_writes;
    pair.run_for(DAY);
    assert_eq!(pair.fleet_writes, writes);
}

#[test]
fn a_sites_full_disk_is_shown_while_the_servers_disk_is_full() {
    let mut pair = Pair::linked(12);
    pair.fleet_disk_fault = DiskFault::Full;
    fill_disk(&mut pair);
    assert!(seen(&pair, ConditionKind::DiskFull).is_some());
    assert!(pair.is_linked());
}

#[test]
fn events_waiting_for_a_disk_are_limited_and_drops_are_counted() {
    let mut pair = Pair::linked(13);
    fill_disk(&mut pair);
    for line in 0..100 {
        let invalid = (line % 2 == 0).then(|| Text::lossy("labels.d/10-rack.toml: line 3"));
        let now = pair.now();
        pair.nodes[0].site.handle_drop_ins(DropIns { invalid, ..DropIns::default() }, now);
    }
    pair.run_for(10 * MINUTE);
    pair.nodes[0].disk_fault = DiskFault::Well;
    pair.run_for(5 * MINUTE);
    let received = events_with(&pair, EventKind::ConditionRaised, "labels-invalid")
        + events_with(&pair, EventKind::ConditionCleared, "labels-invalid");
    assert_eq!(received, 64);
    assert_eq!(pair.site().view(pair.now()).events_dropped, 36);
}
