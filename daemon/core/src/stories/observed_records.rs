//! Observed next to desired values: in the status, and in what a site remembers of its records.

use linecamp_model::{
    ConditionKind, DnsSettings, DomainName, Level, NameTemplate, ProviderSpec, RecordState, RecordStatus, RecordType,
    Ttl,
};

use super::providers::listed_records;
use super::records::{
    GATEWAY, MINUTE, ZONE, conditions, configure, is_converged, label, plain_site, provider, remove, shown, site_with,
    state_of,
};
use crate::testing::{NameServerFault, Pair, patch};
use crate::{QUARANTINE, RECHECK_DELAY, RECONCILE_INTERVAL, SiteCommand, WITHDRAW_MAX};

const FIXED: &str = "io.linecamp.host.external_dns_ip";

fn record(pair: &Pair) -> RecordStatus {
    let providers = pair.site().view(pair.now()).providers;
    let mut records = providers.iter().flat_map(|provider| provider.records());
    records.find(|record| record.key.rtype == RecordType::A).expect("there is a record").clone()
}

fn seen(record: &RecordStatus) -> Vec<&str> {
    let observed = record.observed.as_ref().expect("it was observed");
    observed.values.iter().map(|value| &**value).collect()
}

/// The credentials are no longer accepted, and then the address changes.
#[test]
fn a_record_that_could_not_be_updated_is_not_shown_as_in_sync() {
    let mut pair = site_with(40, provider());
    pair.run_for(MINUTE);
    let kept = record(&pair);
    assert!(kept.state == RecordState::InSync && seen(&kept) == ["192.0.2.1"], "{kept:?}");
    pair.name_server.fault = NameServerFault::Locked;
    label(&mut pair, &format!("{FIXED}=192.0.2.7"));
    pair.run_for(MINUTE);
    let after = record(&pair);
    assert_eq!(after.state, RecordState::Update);
    assert_eq!((after.observed, after.values), (kept.observed, ["192.0.2.7".into()].into()), "with its age");
    let central = listed_records(&pair);
    assert_eq!(central[0].record.state, RecordState::Update, "the operator sees it");
    assert!(central[0].provider.failure.as_ref().expect("it failed").as_str().contains("wrong key"));
    label(&mut pair, &format!("{FIXED}=192.0.2.1"));
    pair.run_for(MINUTE);
    assert_eq!(
        state_of(&pair, &RecordType::A),
        Some(RecordState::InSync),
        "the observation matches the desired state again"
    );
}

/// A daemon that restarts while its name server is unreachable keeps its earlier observations.
#[test]
fn a_restart_keeps_earlier_observations() {
    let mut pair = site_with(41, provider());
    pair.name_server.fault = NameServerFault::Away;
    pair.crash_site();
    pair.run_for(MINUTE);
    assert_eq!(state_of(&pair, &RecordType::A), Some(RecordState::InSync));
    label(&mut pair, &format!("{FIXED}=192.0.2.7"));
    pair.run_for(MINUTE);
    assert_eq!(state_of(&pair, &RecordType::A), Some(RecordState::Update));
}

fn domain(name: &str) -> DomainName {
    DomainName::parse(name).unwrap()
}

/// A delegated zone starts below the zone, for all names of the template, and the plugin reports it.
#[test]
fn a_name_in_a_child_zone_is_quarantined_and_blocks_no_other() {
    let mut pair = plain_site(42);
    pair.name_server.hidden.insert(domain("default.example.org"));
    let good = linecamp_model::ExtraRecord {
        template: NameTemplate::parse("good").unwrap(),
        rtype: RecordType::Txt,
        values: vec![linecamp_model::Text::lossy("x")],
    };
    configure(
        &mut pair,
        Some(ProviderSpec { kind: DnsSettings { extra: vec![good], ..provider().dns().clone() }.into(), ..provider() }),
    );
    pair.run_for(5 * MINUTE);
    assert_eq!(shown(&pair), ["good.example.org TXT 300 x"]);
    assert_eq!(state_of(&pair, &RecordType::A), Some(RecordState::Quarantined));
    let found = conditions(&pair);
    assert!(found.len() == 1 && found[0].0 == ConditionKind::RecordQuarantined, "{found:?}");
    assert!(found[0].1.contains("zone below"), "{found:?}");
    assert!(is_converged(&pair), "a quarantined record does not block convergence");
}

/// Records that a later delegation hides can no longer be observed. They are deleted all the same: because they are not
/// served, when their name changes, or when the provider leaves.
#[test]
fn records_hidden_by_a_new_child_zone_are_deleted() {
    for atomic in [true, false] {
        let mut pair = site_with(43, provider());
        pair.name_server.atomic = atomic;
        pair.run_for(MINUTE);
        pair.name_server.hidden.insert(domain("default.example.org"));
        pair.run_for(2 * RECONCILE_INTERVAL);
        assert!(pair.name_server.zone(ZONE).is_empty(), "{:?}", pair.name_server.zone(ZONE));
        assert_eq!(state_of(&pair, &RecordType::A), Some(RecordState::Quarantined));
        pair.name_server.hidden.clear();
        pair.run_for(QUARANTINE + 2 * RECONCILE_INTERVAL);
        assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1")]);
        assert_eq!(conditions(&pair), []);
    }
}

/// A name server answers for a hidden name as if it were empty: what was written is not observed, and its note stays
/// until it was deleted.
#[test]
fn an_unobserved_record_is_deleted_when_no_longer_desired() {
    for restarts in [false, true] {
        let mut pair = plain_site(44);
        pair.name_server.hidden.insert(domain("default.example.org"));
        pair.name_server.names_hidden = false;
        configure(&mut pair, Some(provider()));
        pair.run_for(5 * MINUTE);
        assert_eq!(pair.name_server.zone(ZONE).len(), 2, "written, and not observed");
        if restarts {
            pair.crash_site();
        }
        let dns = DnsSettings { template: NameTemplate::parse("{host}").unwrap(), ..provider().dns().clone() };
        configure(&mut pair, Some(ProviderSpec { kind: dns.into(), ..provider() }));
        pair.run_for(2 * RECONCILE_INTERVAL);
        assert_eq!(shown(&pair), ["camp.example.org A 300 192.0.2.1"]);
        assert_eq!(pair.name_server.zone(ZONE).len(), 2, "{:?}", pair.name_server.zone(ZONE));
        assert!(is_converged(&pair));
    }
}

/// The same if the address changed meanwhile and the provider leaves.
#[test]
fn an_unobserved_record_is_deleted_when_its_provider_is_removed() {
    let mut pair = plain_site(45);
    pair.name_server.hidden.insert(domain("default.example.org"));
    pair.name_server.names_hidden = false;
    configure(&mut pair, Some(provider()));
    pair.run_for(5 * MINUTE);
    configure(&mut pair, Some(ProviderSpec { is_withdrawing: true, ..provider() }));
    pair.run_for(2 * RECONCILE_INTERVAL);
    assert!(pair.name_server.zone(ZONE).is_empty(), "{:?}", pair.name_server.zone(ZONE));
    configure(&mut pair, None);
    pair.run_for(MINUTE);
    assert_eq!(conditions(&pair), [], "no note is left");
}

/// Records that were written and cannot be deleted are reported when their site is removed.
#[test]
fn a_removed_site_reports_hidden_records_it_could_not_delete() {
    let mut pair = site_with(46, provider());
    pair.run_for(RECHECK_DELAY);
    pair.name_server.hidden.insert(domain("default.example.org"));
    // The hidden record was changed by another writer: it is not deleted, because it is not what was written.
    pair.name_server.pluck(ZONE, &format!("_linecamp-a.{GATEWAY}"), "TXT");
    pair.name_server.plant(ZONE, &format!("_linecamp-a.{GATEWAY}"), "TXT", &["something else"]);
    remove(&mut pair);
    pair.run_for(WITHDRAW_MAX + 2 * MINUTE);
    assert!(pair.nodes[0].ended.is_some());
    let left = super::providers::left(&pair);
    assert!(left.len() == 1 && left[0].contains(GATEWAY) && left[0].contains("dns"), "{left:?}");
}

/// A second address becomes desired during a call that did not query its claim.
#[test]
fn a_name_that_was_not_queried_is_not_considered_absent() {
    let mut pair = site_with(47, provider());
    pair.run_for(MINUTE);
    pair.local_command(SiteCommand::PlanRecords);
    pair.local_command(SiteCommand::PatchLabels(Level::Host, patch(&[&format!("{FIXED}=192.0.2.1,2001:db8::1")])));
    while state_of(&pair, &RecordType::Aaaa).is_none() {
        pair.step();
    }
    let looks = pair.name_server.looks;
    assert_eq!(state_of(&pair, &RecordType::Aaaa), Some(RecordState::Unknown));
    while state_of(&pair, &RecordType::Aaaa) == Some(RecordState::Unknown) {
        pair.step();
    }
    assert!(looks < pair.name_server.looks, "it was queried by another observation");
}

/// A service stores no TTL below an hour, and the settings have five minutes: what is written is shown, also after a
/// restart and while the service does not answer.
#[test]
fn the_ttl_shown_is_the_one_that_is_written_and_observed() {
    let mut pair = plain_site(79);
    pair.name_server.ttl_min = 3_600;
    configure(&mut pair, Some(provider()));
    pair.run_for(MINUTE);
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 3600 192.0.2.1")]);
    let ttls = |pair: &Pair| {
        let record = record(pair);
        [record.ttl, record.observed.and_then(|observed| observed.ttl)].map(|ttl| ttl.map(Ttl::seconds))
    };
    assert_eq!(ttls(&pair), [Some(3_600), Some(3_600)]);
    pair.name_server.fault = NameServerFault::Away;
    pair.crash_site();
    pair.run_for(MINUTE);
    assert_eq!(ttls(&pair), [Some(3_600), Some(3_600)]);
    pair.name_server.fault = NameServerFault::Well;
    pair.name_server.ttl_min = 1;
    // The changed limit is known after the next validation.
    pair.crash_site();
    pair.run_for(MINUTE);
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1")]);
    assert_eq!(ttls(&pair), [Some(300), Some(300)]);
}
