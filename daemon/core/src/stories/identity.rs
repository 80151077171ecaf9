//! Certificates, cloned disks, and recovery.

use std::time::Duration;

use linecamp_model::{ConditionKind, EventKind, LinkState, Phase, RefusalCode};

use crate::testing::{DAY, Pair, site_ref};
use crate::{FleetCommand, Force, RECOVERIES_PER_DAY_DEFAULT};

const MINUTE: Duration = Duration::from_secs(60);

fn has_condition(pair: &Pair, kind: ConditionKind) -> bool {
    pair.view().conditions.iter().any(|condition| condition.kind == kind)
}

fn count(pair: &Pair, kind: EventKind) -> usize {
    pair.events().iter().filter(|event| event.kind == kind).count()
}

#[test]
fn a_certificate_is_renewed_at_two_thirds_of_its_lifetime() {
    let mut pair = Pair::linked(1);
    let expires = |pair: &Pair| pair.site().view(pair.now()).certificate_expires_at.expect("joined");
    let first = expires(&pair);
    pair.run_for(19 * DAY);
    assert_eq!(expires(&pair), first);
    pair.run_for(2 * DAY);
    assert!(first < expires(&pair), "renewed without losing the link");
    pair.run_for(100 * DAY);
    assert!(pair.is_linked());
    assert_eq!(pair.view().recoveries, 0);
}

/// Even a certificate with a lifetime of a few minutes is renewed in time.
#[test]
fn a_short_lived_certificate_is_renewed_in_time() {
    for minutes in [3, 10, 60, 24 * 60] {
        let mut pair = Pair::with_certificate_life(9, minutes * MINUTE);
        pair.run_for(20 * minutes * MINUTE);
        assert!(pair.is_linked());
        pair.crash_site();
        pair.run_for(MINUTE);
        assert!(pair.is_linked());
        assert_eq!(pair.view().recoveries, 0, "of {minutes} minutes");
    }
}

/// Offline for 400 days: the certificate expired long ago, and the site recovers without manual intervention.
#[test]
fn a_site_recovers_after_a_year_offline() {
    let mut pair = Pair::linked(2);
    pair.cut(0);
    pair.run_for(400 * DAY);
    assert_eq!(pair.view().link.state, LinkState::Disconnected);
    pair.heal(0);
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked());
    assert_eq!(pair.view().recoveries, 1, "counted, and visible");
    assert_eq!((count(&pair, EventKind::SiteRecovered), count(&pair, EventKind::SiteReturned)), (1, 1));
}

#[test]
fn recoveries_are_limited_per_day() {
    let mut pair = Pair::linked(3);
    for day in 0..=RECOVERIES_PER_DAY_DEFAULT {
        // A daemon that cannot persist its new certificate recovers repeatedly.
        let stale = pair.clone_disk();
        pair.cut(0);
        pair.run_for(if day == 0 { 40 * DAY } else { Duration::from_secs(600) });
        pair.cut(stale);
    }
    let stale = pair.nodes.len() - RECOVERIES_PER_DAY_DEFAULT as usize - 1;
    for index in stale..pair.nodes.len() {
        pair.heal(index);
        pair.run_for(5 * MINUTE);
        pair.cut(index);
        pair.run_for(5 * MINUTE);
    }
    assert!(pair.view().recoveries <= RECOVERIES_PER_DAY_DEFAULT);
}

#[test]
fn a_cloned_disk_is_rejected_with_both_addresses() {
    let mut pair = Pair::linked(4);
    let copy = pair.clone_disk();
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked(), "the established one keeps its session");
    assert!(!pair.is_linked_node(copy));
    let view = pair.view();
    let condition = view.conditions.iter().find(|one| one.kind == ConditionKind::DuplicateIdentity).expect("raised");
    for address in ["10.0.0.0:7000", "10.0.0.1:7000"] {
        assert!(condition.detail.as_str().contains(address), "{}", condition.detail);
    }
    assert_eq!(count(&pair, EventKind::DuplicateRefused), 1, "one problem, one event");
    pair.cut(copy);
    pair.run_for(30 * MINUTE);
    assert!(!has_condition(&pair, ConditionKind::DuplicateIdentity), "it clears when the clone is gone");
}

#[test]
fn a_rebooted_machine_replaces_its_old_session_immediately() {
    let mut pair = Pair::linked(5);
    pair.crash_site();
    pair.run_for(Duration::from_secs(8));
    assert!(pair.is_linked(), "long before the server's idle timeout: {}", pair.trace());
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked(), "the late close of the old session does not affect the new one");
    assert_eq!(pair.view().link.state, LinkState::Connected);
    assert!(!has_condition(&pair, ConditionKind::DuplicateIdentity));
}

#[test]
fn a_reconnecting_daemon_is_not_a_duplicate_of_itself() {
    let mut pair = Pair::linked(6);
    for _ in 0..10 {
        pair.cut(0);
        pair.heal(0);
        pair.run_for(2 * MINUTE);
        assert!(pair.is_linked());
    }
    assert!(!has_condition(&pair, ConditionKind::DuplicateIdentity));
}

#[test]
fn a_removed_site_erases_its_identity_and_cannot_return() {
    let mut pair = Pair::linked(7);
    let copy = pair.clone_disk();
    pair.cut(copy);
    pair.ask(FleetCommand::Remove(site_ref("camp").into(), Force::Yes)).expect("removed");
    pair.run_for(MINUTE);
    assert_eq!(pair.nodes[0].ended.as_ref().map(|refusal| refusal.code), Some(RefusalCode::Removed));
    pair.run_for(30 * DAY);
    assert!(
        pair.fleet.view().sites(&crate::SiteFilter::default(), pair.now()).is_empty(),
        "purged after its keep time"
    );
    pair.heal(copy);
    pair.run_for(10 * MINUTE);
    assert_eq!(
        pair.nodes[copy].ended.as_ref().map(|refusal| refusal.code),
        Some(RefusalCode::Removed),
        "also after the purge"
    );
}

#[test]
fn a_site_removed_while_offline_learns_it_on_reconnect() {
    let mut pair = Pair::linked(8);
    pair.cut(0);
    pair.run_for(DAY);
    pair.ask(FleetCommand::Remove(site_ref("camp").into(), Force::Yes)).expect("removed");
    assert_eq!(pair.view().phase, Phase::Removed);
    pair.run_for(DAY);
    pair.heal(0);
    pair.run_for(5 * MINUTE);
    assert!(pair.nodes[0].ended.is_some());
}
