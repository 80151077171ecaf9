//! Bulk actions: one write, and progress as the sites report it.

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_model::{
    BulkActionId, DocumentKey, EventKind, FleetChange, Generation, Phase, Salvage, SiteAction, SiteId,
};

use super::records::{provider, site_with};
use crate::testing::{DiskFault, Pair, patch, site_ref};
use crate::{BulkProgress, DISCONNECTED_AFTER, FleetCommand, FleetCommandError, NewBulkAction};

const MINUTE: Duration = Duration::from_secs(60);
const ID: BulkActionId = BulkActionId::from_bytes([7; 8]);

/// Three sites: `camp`, `s1` and `s2`; the last one is offline.
fn three_sites(seed: u64) -> Pair {
    let mut pair = Pair::linked(seed);
    for name in ["s1", "s2"] {
        pair.add_node(name);
        pair.run_for(MINUTE);
    }
    pair.cut(2);
    pair.run_for(DISCONNECTED_AFTER + MINUTE);
    pair
}

/// The sites as a list shows them.
fn listed(pair: &Pair) -> BTreeMap<SiteId, Option<Generation>> {
    let site = |name| {
        let site = pair.fleet.view().site(&site_ref(name), pair.now()).expect("it exists");
        (site.id, Some(site.spec_generation))
    };
    ["camp", "s1", "s2"].map(site).into()
}

fn act(action: SiteAction, sites: BTreeMap<SiteId, Option<Generation>>) -> FleetCommand {
    FleetCommand::ActOnSites(Box::new(NewBulkAction { id: ID, action, labels: patch(&[]), sites }))
}

fn progress(pair: &Pair) -> Option<BulkProgress> {
    let view = pair.fleet.view();
    view.bulk_action(ID).map(|action| view.bulk_progress(action))
}

fn phases(pair: &Pair) -> Vec<Phase> {
    let phase = |name| pair.fleet.view().site(&site_ref(name), pair.now()).expect("it exists").phase;
    ["camp", "s1", "s2"].map(phase).into()
}

#[test]
fn progress_is_what_the_sites_report() {
    let mut pair = three_sites(1);
    let seen = listed(&pair);
    pair.ask(FleetCommand::PatchLabels(site_ref("s1").into(), patch(&["rack=r7"]))).expect("labelled");
    pair.ask(act(SiteAction::Deactivate, seen)).expect("requested");
    let requested = BulkProgress { sites: 3, applied: 0, waiting: 2, offline: 1, rejected: 1 };
    assert_eq!(progress(&pair), Some(requested), "s1 has changed since it was listed");
    pair.run_for(MINUTE);
    assert_eq!(progress(&pair), Some(BulkProgress { applied: 1, waiting: 1, ..requested }));
    pair.crash_fleet();
    pair.heal(2);
    pair.run_for(10 * MINUTE);
    assert_eq!(progress(&pair), Some(BulkProgress { applied: 2, waiting: 0, offline: 0, ..requested }));
    assert_eq!(phases(&pair), [Phase::Inactive, Phase::Active, Phase::Inactive]);
    let seen = listed(&pair);
    pair.ask(act(SiteAction::ForceRemove, seen)).expect("requested");
    assert_eq!(progress(&pair), Some(BulkProgress { sites: 3, applied: 3, ..BulkProgress::default() }));
}

#[test]
fn a_removal_is_applied_when_the_site_is_gone() {
    let mut pair = three_sites(2);
    pair.ask(act(SiteAction::Deactivate, listed(&pair))).expect("requested");
    pair.run_for(MINUTE);
    pair.ask(act(SiteAction::Remove, listed(&pair))).expect("requested");
    let requested = BulkProgress { sites: 3, applied: 0, waiting: 2, offline: 0, rejected: 1 };
    assert_eq!(progress(&pair), Some(requested), "s2 is not inactive yet");
    pair.run_for(10 * MINUTE);
    assert_eq!(progress(&pair), Some(BulkProgress { applied: 2, waiting: 0, ..requested }));
}

#[test]
fn a_crash_at_any_step_loses_nothing_acknowledged_and_changes_all_sites_or_none() {
    for steps in 0..30 {
        let mut pair = three_sites(3);
        let command = act(SiteAction::Deactivate, listed(&pair));
        let command = pair.operator(command);
        for _ in 0..steps {
            pair.step();
        }
        let is_acknowledged = pair.replies.contains_key(&command);
        pair.crash_fleet();
        let kept = progress(&pair);
        let changed = phases(&pair).iter().filter(|phase| **phase != Phase::Active).count();
        assert_eq!(changed, if kept.is_some() { 3 } else { 0 }, "after {steps} steps: {}", pair.trace());
        assert!(kept.is_some() || !is_acknowledged, "acknowledged after {steps} steps: {}", pair.trace());
    }
}

/// A forced removal is one write with all that belongs to it, and each site is told.
#[test]
fn sites_that_are_removed_by_force_end_their_sessions_and_report_their_records() {
    let mut pair = site_with(5, provider());
    pair.add_node("s1");
    pair.run_for(MINUTE);
    let sites = ["camp", "s1"].map(|name| {
        let site = pair.fleet.view().site(&site_ref(name), pair.now()).expect("it exists");
        (site.id, None)
    });
    pair.ask(act(SiteAction::ForceRemove, sites.into())).expect("removed");
    let left: Vec<_> = pair.events().into_iter().filter(|event| event.kind == EventKind::RecordsLeft).collect();
    assert!(left.len() == 1 && left[0].site == Some(sites[0].0), "{left:?}");
    pair.run_for(MINUTE);
    assert!(pair.nodes.iter().all(|node| node.ended.is_some()), "both daemons were told");
}

/// The keys of a site whose record cannot be read are known, and what it has applied is not.
#[test]
fn a_site_whose_record_cannot_be_read_has_applied_nothing() {
    let mut pair = three_sites(6);
    pair.ask(act(SiteAction::Deactivate, listed(&pair))).expect("requested");
    pair.run_for(MINUTE);
    let before = progress(&pair).expect("kept");
    assert_eq!((before.applied, before.offline), (2, 1));
    let site = pair.fleet.view().site(&site_ref("camp"), pair.now()).expect("it exists").id;
    pair.start_fleet_without(|change| match change {
        FleetChange::Spec(of, DocumentKey::Site, _) if *of == site => Some(Salvage::Quarantine(site)),
        _ => None,
    });
    assert_eq!(progress(&pair).map(|now| (now.applied, now.rejected)), Some((1, 0)));
}

#[test]
fn a_store_that_fails_changes_no_site() {
    let mut pair = three_sites(4);
    let (command, before) = (act(SiteAction::Deactivate, listed(&pair)), phases(&pair));
    pair.fleet_disk_fault = DiskFault::Full;
    assert!(matches!(pair.ask(command), Err(FleetCommandError::Store(_))));
    assert_eq!((progress(&pair), phases(&pair)), (None, before));
}
