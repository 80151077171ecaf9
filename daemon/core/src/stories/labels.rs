//! Labels in both directions.

use std::time::Duration;

use linecamp_model::{LabelValue, Level, Owner};

use crate::testing::{DAY, Pair, host_ref, key, patch, site_ref};
use crate::{DropIns, FleetCommand, FleetCommandError, SiteCommand};

const MINUTE: Duration = Duration::from_secs(60);

fn assign(labels: &[&str]) -> FleetCommand {
    FleetCommand::PatchLabels(site_ref("camp").into(), patch(labels))
}

fn settled(pair: &Pair) -> bool {
    let view = pair.view();
    view.spec_generation == view.converged_generation && pair.is_linked()
}

/// The basic story: from the operator to the site, durable on both sides, and confirmed.
#[test]
fn a_centrally_assigned_label_reaches_the_site() {
    let mut pair = Pair::linked(1);
    pair.ask(assign(&["rack=r7"])).expect("assigned");
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.label_entry("rack").as_deref(), Some("r7"));
    assert!(settled(&pair), "the operator sees that it converged");
    pair.crash_site();
    assert_eq!(pair.label_entry("rack").as_deref(), Some("r7"), "it is on the site's disk");
}

/// The link is cut at every step; the same steps run again later, and there is no other code path.
#[test]
fn a_label_arrives_despite_a_cut_at_any_step() {
    for steps in 0..40 {
        let mut pair = Pair::linked(2);
        pair.operator(assign(&["rack=r7"]));
        for _ in 0..steps {
            pair.step();
        }
        pair.cut(0);
        pair.run_for(10 * MINUTE);
        pair.heal(0);
        pair.run_for(3 * MINUTE);
        assert_eq!(pair.label_entry("rack").as_deref(), Some("r7"), "after {steps} steps: {}", pair.trace());
        assert!(settled(&pair), "after {steps} steps");
    }
}

/// Either side is killed at every step: nothing acknowledged is lost, and both sides converge.
#[test]
fn nothing_acknowledged_is_lost_in_a_crash_at_any_step() {
    for steps in 0..40 {
        for kill in [Pair::crash_site, Pair::crash_fleet] {
            let mut pair = Pair::linked(3);
            let first = pair.operator(assign(&["rack=r7"]));
            pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&["door=3"])));
            for _ in 0..steps {
                pair.step();
            }
            let (assigned, set) = (pair.replies.contains_key(&first), !pair.nodes[0].replies.is_empty());
            kill(&mut pair);
            pair.run_for(10 * MINUTE);
            assert!(settled(&pair), "after {steps} steps: {}", pair.trace());
            assert_eq!(pair.label_entry("rack"), pair.seen_label("rack"), "both sides agree");
            assert_eq!(pair.label_entry("door"), pair.seen_label("door"), "both sides agree");
            assert!(!assigned || pair.seen_label("rack").is_some(), "acknowledged to the operator: {steps}");
            assert!(!set || pair.seen_label("door").is_some(), "acknowledged locally: {steps}");
        }
    }
}

#[test]
fn a_label_set_offline_arrives_once() {
    let mut pair = Pair::linked(7);
    pair.cut(0);
    pair.run_for(10 * MINUTE);
    let before = pair.deltas_delivered;
    for rack in ["rack=r5", "rack=r6", "rack=r7"] {
        pair.ask(assign(&[rack])).expect("assigned");
    }
    pair.run_for(DAY);
    pair.heal(0);
    pair.run_for(3 * MINUTE);
    assert_eq!(pair.label_entry("rack").as_deref(), Some("r7"));
    assert_eq!(pair.deltas_delivered, before + 1);
}

#[test]
fn edits_on_both_sides_of_a_partition_never_conflict() {
    let mut pair = Pair::linked(8);
    pair.cut(0);
    pair.run_for(MINUTE);
    pair.ask(assign(&["rack=central", "tier=gold"])).expect("assigned");
    pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&["rack=local", "door=3"])));
    pair.run_for(Duration::from_secs(7 * 24 * 3600));
    assert_eq!(pair.label_entry("rack").as_deref(), Some("local"), "the site uses its own value");
    pair.heal(0);
    pair.run_for(3 * MINUTE);
    for (label, value) in [("rack", "central"), ("tier", "gold"), ("door", "3")] {
        assert_eq!(pair.label_entry(label).as_deref(), Some(value));
        assert_eq!(pair.seen_label(label).as_deref(), Some(value));
    }
    assert_eq!(pair.view().labels[&key("rack")].owner, Owner::Assigned);
    pair.ask(assign(&["rack-"])).expect("removed");
    pair.run_for(MINUTE);
    assert_eq!(pair.seen_label("rack").as_deref(), Some("local"), "the local value is effective again");
}

#[test]
fn facts_are_reported_only_when_they_change() {
    let mut pair = Pair::linked(9);
    let fact = key("io.linecamp.host.os");
    pair.nodes[0].facts.insert(fact.clone(), LabelValue::parse("linux").expect("valid"));
    pair.run_for(2 * MINUTE);
    assert_eq!(pair.view().labels[&fact].owner, Owner::Reported);
    assert_eq!(pair.view().hosts[0].labels[&fact].value.as_str(), "linux");
    let before = (pair.nodes[0].writes, pair.fleet_writes);
    pair.run_for(10 * DAY);
    assert_eq!((pair.nodes[0].writes, pair.fleet_writes), before, "steady state writes nothing");
    pair.crash_site();
    pair.run_for(Duration::from_millis(1));
    assert_eq!(pair.label_entry(fact.as_str()).as_deref(), Some("linux"), "kept over a restart");
}

#[test]
fn too_many_labels_are_rejected_and_nothing_changes() {
    let mut pair = Pair::linked(10);
    let many = |from: usize| (from..from + 40).map(|index| format!("k{index}=v")).collect::<Vec<_>>();
    let (some, more) = (many(0), many(40));
    let (some, more): (Vec<_>, Vec<_>) =
        (some.iter().map(String::as_str).collect(), more.iter().map(String::as_str).collect());
    pair.ask(assign(&some)).expect("these fit");
    assert!(matches!(pair.ask(assign(&more)), Err(FleetCommandError::Labels(_))));
    pair.local_command(SiteCommand::PatchLabels(Level::Host, patch(&some)));
    pair.local_command(SiteCommand::PatchLabels(Level::Host, patch(&more)));
    pair.run_for(MINUTE);
    assert!(pair.nodes[0].replies[0].is_err(), "rejected before any write");
    assert_eq!(pair.nodes[0].replies[1], Ok(()));
    assert_eq!(pair.seen_label("k40"), None);
}

#[test]
fn a_host_label_overrides_that_of_its_site() {
    let mut pair = Pair::linked(11);
    pair.ask(assign(&["tier=gold", "region=eu"])).expect("assigned");
    let command = FleetCommand::PatchLabels(host_ref("camp").into(), patch(&["tier=silver"]));
    pair.ask(command).expect("assigned");
    pair.run_for(MINUTE);
    let host = pair.fleet.view().host(&host_ref("camp"), pair.now()).expect("known");
    assert_eq!(host.labels[&key("tier")].value.as_str(), "silver");
    assert_eq!(host.labels[&key("region")].value.as_str(), "eu");
    assert_eq!(pair.seen_label("tier").as_deref(), Some("gold"), "the site keeps its own");
}

/// Labels from drop-in files are loaded before the machine starts, so that a restart changes nothing.
#[test]
fn a_restart_keeps_drop_in_labels_and_their_timestamps() {
    let mut pair = Pair::linked(12);
    let drop_ins = DropIns { labels: [(Level::Site, patch(&["shelf=4"]).set)].into(), ..DropIns::default() };
    let now = pair.now();
    pair.nodes[0].drop_ins = drop_ins.clone();
    pair.nodes[0].site.handle_drop_ins(drop_ins, now);
    pair.run_for(MINUTE);
    let before = pair.view().labels[&key("shelf")].clone();
    pair.run_for(DAY);
    pair.crash_site();
    pair.run_for(5 * MINUTE);
    assert_eq!(pair.view().labels[&key("shelf")], before);
}

/// Only labels set by hand are stored: what the environment no longer has is gone with the next start.
#[test]
fn a_label_that_leaves_the_environment_leaves_the_site() {
    let mut pair = Pair::linked(13);
    let mut start_with = |labels: &[&str]| {
        pair.nodes[0].config.labels.labels = [(Level::Site, patch(labels).set)].into();
        pair.crash_site();
        pair.run_for(5 * MINUTE);
        ["rack", "shelf"].map(|label| pair.view().labels.get(&key(label)).map(|label| label.value.to_string()))
    };
    assert_eq!(start_with(&["rack=r7", "shelf=4"]), [Some("r7".into()), Some("4".into())]);
    assert_eq!(start_with(&["rack=r7"]), [Some("r7".into()), None]);
    assert_eq!(start_with(&[]), [None, None]);
}

/// While a drop-in file cannot be read at the start, its last labels are kept, and only its labels.
#[test]
fn an_unreadable_file_keeps_no_label_of_the_environment() {
    let mut pair = Pair::linked(14);
    let labels = |labels: &[&str]| [(Level::Site, patch(labels).set)].into();
    pair.nodes[0].config.labels.labels = labels(&["rack=r7", "both=env"]);
    pair.nodes[0].drop_ins.labels = labels(&["shelf=4", "both=file"]);
    pair.crash_site();
    pair.run_for(5 * MINUTE);
    let seen = |pair: &Pair| {
        let label = |label| pair.view().labels.get(&key(label)).map(|label| label.value.to_string());
        ["rack", "shelf", "both"].map(label)
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(seen(&pair), [some("r7"), some("4"), some("file")]);

    // The file is unreadable over several starts, in which the environment loses its labels.
    pair.nodes[0].config.labels.labels.clear();
    pair.nodes[0].drop_ins = DropIns { is_partial: true, ..DropIns::default() };
    for _ in 0..3 {
        pair.crash_site();
        pair.run_for(5 * MINUTE);
        assert_eq!(seen(&pair), [None, some("4"), some("file")]);
    }
    let now = pair.now();
    pair.nodes[0].drop_ins = DropIns::default();
    pair.nodes[0].site.handle_drop_ins(DropIns::default(), now);
    pair.run_for(5 * MINUTE);
    assert_eq!(seen(&pair), [None, None, None]);
    pair.nodes[0].drop_ins.is_partial = true;
    pair.crash_site();
    pair.run_for(5 * MINUTE);
    assert_eq!(seen(&pair), [None, None, None], "the file was read in between");
}
