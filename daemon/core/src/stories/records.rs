//! DNS records, from a provider's settings to a zone, until they are withdrawn.

use std::time::Duration;

use linecamp_model::{
    ConditionKind, DnsSettings, DomainName, FleetProvider, Grant, LabelValue, Level, NameTemplate, OwnedRecordKey,
    OwnerId, PluginRef, ProviderConfig, ProviderId, ProviderSpec, RecordKey, RecordState, RecordType, Selector, Ttl,
};

use crate::testing::{DiskFault, NameServerFault, Pair, host_ref, key, name, patch, site_ref};
use crate::{
    FleetCommand, Force, OWN_ADDRESS_LABEL, QUARANTINE, RECHECK_DELAY, RECONCILE_INTERVAL, RETRY_MAX, SiteCommand,
};

pub(super) const ZONE: &str = "example.org";
pub(super) const GATEWAY: &str = "camp.camp.default.example.org";
pub(super) const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn provider() -> ProviderSpec {
    ProviderSpec {
        name: name("dns"),
        plugin: PluginRef { name: name("dns-fake"), digest: None },
        config: ProviderConfig::default(),
        secrets: Default::default(),
        grant: Grant::default(),
        kind: DnsSettings {
            owner: OwnerId::parse("acme").unwrap(),
            zones: [DomainName::parse(ZONE).unwrap()].into(),
            template: NameTemplate::parse(NameTemplate::DEFAULT).unwrap(),
            ttl: Ttl::DEFAULT,
            hosts: Selector::default(),
            observed_address: false,
            allow_deletes: true,
            withdraw_inactive: false,
            extra: Vec::new(),
        }
        .into(),
        is_dry_run: false,
        is_withdrawing: false,
    }
}

pub(super) fn central(sites: &str) -> FleetCommand {
    let provider = FleetProvider { sites: Selector::parse(sites).unwrap(), spec: provider(), matches_facts: false };
    FleetCommand::SetProvider(name("default"), Box::new(provider), true)
}

/// Returns a connected site without a provider.
pub(super) fn plain_site(seed: u64) -> Pair {
    let mut pair = Pair::new(seed);
    pair.nodes[0].facts.insert(key(OWN_ADDRESS_LABEL), LabelValue::parse("192.0.2.1").unwrap());
    pair.run_for(2 * MINUTE);
    pair
}

/// Returns a connected site with a provider in its own configuration and a gateway that knows its address.
pub(super) fn site_with(seed: u64, provider: ProviderSpec) -> Pair {
    let mut pair = Pair::new(seed);
    configure(&mut pair, Some(provider));
    let address = LabelValue::parse("192.0.2.1").unwrap();
    pair.nodes[0].facts.insert(key(OWN_ADDRESS_LABEL), address);
    pair.run_for(2 * MINUTE);
    pair
}

pub(super) fn configure(pair: &mut Pair, provider: Option<ProviderSpec>) {
    pair.nodes[0].config.providers = provider.into_iter().collect();
    pair.crash_site();
}

pub(super) fn label(pair: &mut Pair, label: &str) {
    pair.ask(FleetCommand::PatchLabels(host_ref("camp").into(), patch(&[label]))).expect("labeled");
}

pub(super) fn remove(pair: &mut Pair) {
    pair.ask(FleetCommand::Deactivate(site_ref("camp").into())).expect("deactivated");
    pair.run_for(MINUTE);
    assert_eq!(shown(pair).len(), 1, "an inactive site keeps its records");
    pair.ask(FleetCommand::Remove(site_ref("camp").into(), Force::No)).expect("removal requested");
}

pub(super) fn shown(pair: &Pair) -> Vec<String> {
    let is_claim = |key: &RecordKey| key.name.as_str().starts_with("_linecamp");
    let zone = pair.name_server.zone(ZONE);
    zone.values().filter(|set| !is_claim(&set.key)).map(ToString::to_string).collect()
}

pub(super) fn conditions(pair: &Pair) -> Vec<(ConditionKind, String)> {
    let conditions = pair.site().view(pair.now()).conditions;
    conditions.into_iter().map(|condition| (condition.kind, condition.detail.to_string())).collect()
}

pub(super) fn is_converged(pair: &Pair) -> bool {
    let view = pair.view();
    view.spec_generation == view.converged_generation
}

pub(super) fn state_of(pair: &Pair, rtype: &RecordType) -> Option<RecordState> {
    let providers = pair.site().view(pair.now()).providers;
    let mut records = providers.iter().flat_map(|provider| provider.records());
    records.find(|record| record.key.rtype == *rtype).map(|record| record.state)
}

#[test]
fn a_gateway_gets_a_record_that_follows_its_address() {
    let mut pair = site_with(1, provider());
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1")]);
    assert!(is_converged(&pair), "the operator sees it");
    label(&mut pair, "io.linecamp.host.external_dns_ip=192.0.2.7");
    pair.run_for(Duration::from_secs(2));
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.7")]);
    label(&mut pair, "io.linecamp.host.external_dns=false");
    pair.run_for(Duration::from_secs(2));
    assert!(pair.name_server.zone(ZONE).is_empty(), "with its claim");
}

#[test]
fn an_idle_site_observes_periodically_and_writes_nothing() {
    let mut pair = site_with(2, provider());
    let (writes, commits, looks) = (pair.name_server.writes.len(), pair.nodes[0].writes, pair.name_server.looks);
    pair.run_for(24 * 60 * MINUTE);
    assert_eq!((pair.name_server.writes.len(), pair.nodes[0].writes), (writes, commits));
    let looks = pair.name_server.looks - looks;
    assert!((140..200).contains(&looks), "each {RECONCILE_INTERVAL:?} or a little sooner, not {looks} times a day");
}

#[test]
fn records_are_maintained_while_the_server_is_down_and_across_a_restart() {
    let mut pair = site_with(3, provider());
    pair.cut(0);
    pair.crash_site();
    pair.local_command(SiteCommand::PatchLabels(Level::Host, patch(&["io.linecamp.host.external_dns_ip=192.0.2.9"])));
    pair.run_for(MINUTE);
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.9")]);
    pair.name_server.pluck(ZONE, GATEWAY, "A");
    pair.run_for(2 * RECONCILE_INTERVAL);
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.9")], "drift is repaired");
}

#[test]
fn a_late_change_of_the_service_after_a_crash_is_observed_soon() {
    let mut pair = site_with(3, provider());
    pair.run_for(MINUTE);
    pair.crash_site();
    pair.run_for(Duration::from_secs(10));
    pair.name_server.pluck(ZONE, GATEWAY, "A");
    pair.run_for(RECHECK_DELAY);
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1")]);
}

#[test]
fn the_observed_address_is_kept_while_the_server_is_down() {
    let spec =
        ProviderSpec { kind: DnsSettings { observed_address: true, ..provider().dns().clone() }.into(), ..provider() };
    let mut pair = site_with(4, spec);
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 10.0.0.0")]);
    pair.stop_fleet();
    pair.crash_site();
    pair.name_server.pluck(ZONE, GATEWAY, "A");
    pair.run_for(2 * RECONCILE_INTERVAL);
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 10.0.0.0")]);
}

/// The daemon is killed at every step between desired state, note, claim, record and answer. Nothing is left over,
/// records of other owners are untouched, and the zone converges.
#[test]
fn a_crash_at_any_step_leaves_no_record_behind() {
    for atomic in [true, false] {
        for steps in 0..60 {
            let mut pair = Pair::new(5);
            pair.name_server.atomic = atomic;
            pair.name_server.plant(ZONE, "other.example.org", "A", &["198.51.100.1"]);
            pair.nodes[0].facts.insert(key(OWN_ADDRESS_LABEL), LabelValue::parse("192.0.2.1").unwrap());
            configure(&mut pair, Some(provider()));
            pair.run_for(Duration::from_millis(3_500));
            for _ in 0..steps {
                pair.step();
            }
            pair.crash_site();
            pair.run_for(20 * MINUTE);
            let expected = [format!("{GATEWAY} A 300 192.0.2.1"), "other.example.org A 300 198.51.100.1".to_owned()];
            assert_eq!(shown(&pair), expected, "after {steps} steps: {}", pair.trace());
            label(&mut pair, "io.linecamp.host.external_dns=false");
            for _ in 0..steps % 20 {
                pair.step();
            }
            pair.crash_site();
            pair.run_for(20 * MINUTE);
            assert_eq!(pair.name_server.zone(ZONE).len(), 1, "after {steps} steps: {}", pair.trace());
        }
    }
}

#[test]
fn lost_busy_and_stale_answers_converge_to_the_same_zone() {
    for (seed, fault) in [
        (6, NameServerFault::Mute),
        (7, NameServerFault::HalfDone),
        (8, NameServerFault::Away),
        (9, NameServerFault::Busy(3 * MINUTE)),
    ] {
        for atomic in [true, false] {
            let mut pair = Pair::new(seed);
            pair.name_server.atomic = atomic;
            pair.name_server.fault = fault;
            pair.nodes[0].facts.insert(key(OWN_ADDRESS_LABEL), LabelValue::parse("192.0.2.1").unwrap());
            configure(&mut pair, Some(provider()));
            pair.run_for(5 * MINUTE);
            let found = conditions(&pair);
            assert!(found.iter().any(|(kind, _)| *kind == ConditionKind::ProviderFailed), "{fault:?}: {found:?}");
            pair.name_server.fault = NameServerFault::Well;
            pair.name_server.is_stale = true;
            pair.run_for(2 * RETRY_MAX);
            pair.name_server.is_stale = false;
            pair.run_for(2 * RETRY_MAX);
            assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1")], "{fault:?}");
            assert_eq!(conditions(&pair), [], "{fault:?}");
            assert!(is_converged(&pair), "{fault:?}");
        }
    }
}

/// Another writer deletes a record and its claim, and the name server still reports the claim for a while.
#[test]
fn a_record_is_not_created_beside_a_deleted_claim() {
    for atomic in [true, false] {
        let mut pair = site_with(24, provider());
        pair.name_server.atomic = atomic;
        let claim_name = format!("_linecamp-a.{GATEWAY}");
        pair.name_server.pluck(ZONE, GATEWAY, "A");
        // Another writer's change: answers show the state before it.
        pair.name_server.is_stale = true;
        pair.name_server.remember(ZONE);
        pair.name_server.pluck(ZONE, &claim_name, "TXT");
        pair.run_for(RECONCILE_INTERVAL);
        assert!(pair.name_server.zone(ZONE).is_empty(), "{:?}", pair.name_server.zone(ZONE));
        pair.name_server.is_stale = false;
        pair.run_for(2 * RETRY_MAX);
        assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1")]);
        assert_eq!(conditions(&pair), []);
    }
}

#[test]
fn a_retry_delay_requested_by_the_service_is_respected() {
    let mut pair = site_with(10, provider());
    pair.name_server.fault = NameServerFault::Busy(30 * MINUTE);
    pair.run_for(RECONCILE_INTERVAL);
    let looks = pair.name_server.looks;
    pair.name_server.fault = NameServerFault::Well;
    pair.run_for(15 * MINUTE);
    assert_eq!(pair.name_server.looks, looks);
    pair.run_for(20 * MINUTE);
    assert!(looks < pair.name_server.looks);
}

#[test]
fn one_rejected_name_is_quarantined_and_blocks_no_other() {
    let extra = |text: &str| linecamp_model::ExtraRecord {
        template: NameTemplate::parse(text).unwrap(),
        rtype: RecordType::Txt,
        values: vec![linecamp_model::Text::lossy("x")],
    };
    let spec = ProviderSpec {
        kind: DnsSettings { extra: vec![extra("bad"), extra("good")], ..provider().dns().clone() }.into(),
        ..provider()
    };
    let mut pair = Pair::new(11);
    pair.name_server.refused.insert(DomainName::parse("bad.example.org").unwrap());
    pair.nodes[0].facts.insert(key(OWN_ADDRESS_LABEL), LabelValue::parse("192.0.2.1").unwrap());
    configure(&mut pair, Some(spec));
    pair.run_for(5 * MINUTE);
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1"), "good.example.org TXT 300 x".to_owned()]);
    let found = conditions(&pair);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0 == ConditionKind::RecordQuarantined && found[0].1.contains("bad.example.org TXT"), "{found:?}");
    assert!(is_converged(&pair), "a quarantined record does not block convergence");
    pair.name_server.refused.clear();
    pair.run_for(QUARANTINE + 2 * RECONCILE_INTERVAL);
    assert_eq!(shown(&pair).len(), 3, "and it is retried");
}

#[test]
fn a_foreign_record_raises_a_condition_until_it_is_adopted() {
    let mut pair = Pair::new(12);
    pair.name_server.plant(ZONE, GATEWAY, "A", &["198.51.100.7"]);
    pair.nodes[0].facts.insert(key(OWN_ADDRESS_LABEL), LabelValue::parse("192.0.2.1").unwrap());
    configure(&mut pair, Some(provider()));
    pair.run_for(5 * MINUTE);
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 198.51.100.7")]);
    assert_eq!(conditions(&pair)[0].0, ConditionKind::RecordConflict);
    let record = RecordKey { name: DomainName::parse(GATEWAY).unwrap(), rtype: RecordType::A };
    let held = |rtype| OwnedRecordKey {
        provider: ProviderId::of(&name("dns")),
        zone: DomainName::parse(ZONE).unwrap(),
        record: RecordKey { rtype, ..record.clone() },
    };
    pair.local_command(SiteCommand::AdoptRecord(held(RecordType::Txt)));
    pair.local_command(SiteCommand::AdoptRecord(held(RecordType::A)));
    pair.run_for(MINUTE);
    assert!(pair.nodes[0].replies[0].is_err(), "there is no foreign record");
    assert_eq!(pair.nodes[0].replies[1], Ok(()));
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1")]);
    assert_eq!(conditions(&pair), []);
}

#[test]
fn a_dry_run_plans_and_changes_nothing() {
    let mut pair = site_with(13, ProviderSpec { is_dry_run: true, ..provider() });
    assert_eq!(pair.name_server.zone(ZONE).len(), 0);
    assert_eq!(state_of(&pair, &RecordType::A), Some(RecordState::Create));
    configure(&mut pair, Some(provider()));
    pair.run_for(MINUTE);
    assert_eq!(state_of(&pair, &RecordType::A), Some(RecordState::InSync));
}

#[test]
fn a_requested_plan_starts_immediately_and_is_answered_when_complete() {
    let mut pair = site_with(14, provider());
    pair.name_server.pluck(ZONE, GATEWAY, "A");
    pair.local_command(SiteCommand::PlanRecords);
    pair.run_for(Duration::from_millis(500));
    assert_eq!(pair.nodes[0].replies, [Ok(())]);
    assert_eq!(state_of(&pair, &RecordType::A), Some(RecordState::Create));
    assert_eq!(shown(&pair), [""; 0], "a plan changes nothing");
}

/// Two providers of a site share its claim and a zone: the one that lists the whole zone leaves the other's records
/// alone.
#[test]
fn a_second_provider_leaves_the_records_of_the_first_alone() {
    let mut pair = site_with(26, provider());
    let writes = pair.name_server.writes.len();
    let template = NameTemplate::parse("other.{host}").unwrap();
    let second = ProviderSpec {
        name: name("second"),
        kind: DnsSettings { template, ..provider().dns().clone() }.into(),
        ..provider()
    };
    pair.nodes[0].config.providers = vec![provider(), second];
    pair.crash_site();
    pair.run_for(2 * RECONCILE_INTERVAL);
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1"), "other.camp.example.org A 300 192.0.2.1".into()]);
    assert_eq!(pair.name_server.writes.len(), writes + 2, "a claim and a record");
}

#[test]
fn a_full_disk_delays_records_whose_note_cannot_be_stored() {
    let mut pair = Pair::new(18);
    pair.nodes[0].facts.insert(key(OWN_ADDRESS_LABEL), LabelValue::parse("192.0.2.1").unwrap());
    pair.run_for(2 * MINUTE);
    pair.nodes[0].disk_fault = DiskFault::Full;
    configure(&mut pair, Some(provider()));
    pair.run_for(10 * MINUTE);
    assert!(pair.name_server.zone(ZONE).is_empty(), "nothing is written without a note");
    pair.nodes[0].disk_fault = DiskFault::Well;
    pair.run_for(2 * RETRY_MAX);
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1")]);
}

#[test]
fn a_central_provider_follows_its_label_selector() {
    let mut pair = plain_site(20);
    pair.ask(central("tier=web")).expect("added");
    pair.run_for(MINUTE);
    assert_eq!(shown(&pair), [""; 0], "not selected");
    pair.ask(FleetCommand::PatchLabels(site_ref("camp").into(), patch(&["tier=web"]))).expect("labeled");
    pair.run_for(MINUTE);
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1")]);
    assert_eq!(pair.fleet.view().providers(None)[0].sites, 1, "one site has it");
    pair.ask(FleetCommand::PatchLabels(site_ref("camp").into(), patch(&["tier=lab"]))).expect("labeled");
    pair.run_for(MINUTE);
    assert!(pair.name_server.zone(ZONE).is_empty(), "the provider is removed with its records");
    assert_eq!(pair.fleet.view().providers(None)[0].sites, 0);
    assert_eq!(pair.site().view(pair.now()).providers.len(), 0);
    assert!(is_converged(&pair));
}

#[test]
fn a_removed_central_provider_deletes_its_records_first() {
    let mut pair = plain_site(21);
    pair.ask(central("")).expect("added");
    pair.run_for(MINUTE);
    pair.cut(0);
    pair.ask(FleetCommand::RemoveProvider(name("default"), name("dns"), Force::No)).expect("removed");
    pair.run_for(10 * MINUTE);
    assert_eq!(shown(&pair).len(), 1, "the site does not know yet");
    pair.heal(0);
    pair.run_for(5 * MINUTE);
    assert!(pair.name_server.zone(ZONE).is_empty());
    assert_eq!(pair.site().view(pair.now()).providers.len(), 0);
    let again = pair.ask(FleetCommand::RemoveProvider(name("default"), name("dns"), Force::No));
    assert!(again.is_err(), "it does not exist");
}

#[test]
fn a_local_provider_overrides_a_central_one_of_the_same_name() {
    let mut pair = site_with(22, ProviderSpec { is_dry_run: true, ..provider() });
    pair.ask(central("")).expect("added");
    pair.run_for(5 * MINUTE);
    let providers = pair.site().view(pair.now()).providers;
    assert!(providers.len() == 1 && providers[0].is_local);
    assert_eq!(shown(&pair), [""; 0]);
}

/// Access to secrets depends on it.
#[test]
fn every_call_states_whether_its_provider_is_local() {
    let mut pair = site_with(23, ProviderSpec { is_dry_run: true, ..provider() });
    pair.ask(central("")).expect("added");
    pair.run_for(5 * MINUTE);
    let called = |pair: &Pair| pair.nodes[0].called.clone();
    assert_eq!(
        called(&pair),
        [(name("dns"), true)].into(),
        "the local one, although there is a central one of the same name"
    );
    configure(&mut pair, None);
    pair.run_for(5 * MINUTE);
    assert_eq!(called(&pair), [(name("dns"), false)].into(), "the central one, once there is no local one");
}

#[test]
fn a_changed_secret_is_tried_immediately() {
    let mut pair = site_with(24, provider());
    pair.name_server.fault = NameServerFault::Locked;
    label(&mut pair, "io.linecamp.host.external_dns_ip=192.0.2.7");
    pair.run_for(2 * RETRY_MAX);
    assert!(conditions(&pair).iter().any(|(kind, _)| *kind == ConditionKind::ProviderFailed));
    pair.name_server.fault = NameServerFault::Well;
    let now = pair.now();
    pair.nodes[0].site.handle_secrets_changed(now);
    pair.run_for(Duration::from_secs(5));
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.7")]);
    assert_eq!(conditions(&pair), []);
}
