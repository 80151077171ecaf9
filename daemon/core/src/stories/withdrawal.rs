//! How records are withdrawn: with their site, or with their provider.

use std::time::Duration;

use linecamp_model::{ConditionKind, DnsSettings, EventKind, FleetProvider, ProviderSpec, Selector};

use super::records::{
    GATEWAY, MINUTE, ZONE, conditions, configure, is_converged, plain_site, provider, remove, shown, site_with,
};
use crate::testing::{NameServerFault, name};
use crate::{FleetCommand, Force, WITHDRAW_MAX};

#[test]
fn a_removed_site_deletes_its_records() {
    let mut pair = site_with(15, provider());
    remove(&mut pair);
    pair.run_for(MINUTE);
    assert!(pair.name_server.zone(ZONE).is_empty());
    assert!(pair.nodes[0].ended.is_some(), "and its daemon has ended");
}

#[test]
fn a_removed_site_reports_records_it_could_not_delete() {
    let mut pair = site_with(16, provider());
    pair.name_server.fault = NameServerFault::Away;
    remove(&mut pair);
    pair.run_for(WITHDRAW_MAX - MINUTE);
    assert!(pair.nodes[0].ended.is_none(), "it keeps trying");
    pair.run_for(2 * MINUTE);
    assert!(pair.nodes[0].ended.is_some());
    let left: Vec<_> = pair.events().into_iter().filter(|event| event.kind == EventKind::RecordsLeft).collect();
    assert_eq!(left.len(), 1);
    assert!(left[0].text.as_str().contains(GATEWAY), "{}", left[0].text);
}

/// The answer to a first write is lost, the daemon is killed, and the site is removed before it could observe again.
#[test]
fn a_removed_site_reports_records_it_may_have_created_unobserved() {
    let mut pair = plain_site(25);
    pair.name_server.fault = NameServerFault::Mute;
    configure(&mut pair, Some(provider()));
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.name_server.zone(ZONE).len(), 0, "the validation comes first, and its answer is lost");
    pair.name_server.fault = NameServerFault::Well;
    while pair.name_server.writes.is_empty() {
        pair.step();
    }
    pair.name_server.fault = NameServerFault::Away;
    pair.crash_site();
    pair.run_for(MINUTE);
    remove(&mut pair);
    pair.run_for(WITHDRAW_MAX + MINUTE);
    assert!(pair.nodes[0].ended.is_some());
    let left: Vec<_> = pair.events().into_iter().filter(|event| event.kind == EventKind::RecordsLeft).collect();
    assert_eq!(left.len(), 1);
    assert!(left[0].text.as_str().contains(GATEWAY), "{}", left[0].text);
}

#[test]
fn records_of_an_unconfigured_provider_are_reported() {
    let mut pair = site_with(17, provider());
    configure(&mut pair, None);
    pair.run_for(MINUTE);
    let found = conditions(&pair);
    assert!(found[0].0 == ConditionKind::RecordsRetained && found[0].1.contains(GATEWAY), "{found:?}");
    configure(&mut pair, Some(ProviderSpec { is_withdrawing: true, ..provider() }));
    pair.run_for(MINUTE);
    assert!(pair.name_server.zone(ZONE).is_empty());
    assert_eq!(conditions(&pair), []);
}

/// Without permission to delete, a withdrawing provider leaves its records in place, reports them, and is gone.
#[test]
fn a_provider_without_deletes_leaves_and_reports_its_records() {
    let mut pair = plain_site(27);
    let dns = DnsSettings { allow_deletes: false, ..provider().dns().clone() };
    let add = |dns: &DnsSettings| {
        let spec = ProviderSpec { kind: dns.clone().into(), ..provider() };
        let provider = FleetProvider { sites: Selector::parse("").unwrap(), spec, matches_facts: false };
        FleetCommand::SetProvider(name("default"), Box::new(provider), false)
    };
    pair.ask(add(&dns)).expect("added");
    pair.run_for(MINUTE);
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1")]);
    pair.name_server.fault = NameServerFault::Away;
    pair.ask(FleetCommand::RemoveProvider(name("default"), provider().name, Force::No)).expect("removed");
    pair.run_for(MINUTE);
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1")]);
    assert!(pair.site().view(pair.now()).providers.is_empty(), "the provider is removed");
    assert_eq!(conditions(&pair), []);
    let left: Vec<_> = pair.events().into_iter().filter(|event| event.kind == EventKind::RecordsLeft).collect();
    assert_eq!(left.len(), 1);
    assert!(left[0].text.as_str().contains(GATEWAY), "{}", left[0].text);
    pair.name_server.fault = NameServerFault::Well;
    pair.ask(add(&DnsSettings { allow_deletes: true, ..dns })).expect("added");
    pair.run_for(MINUTE);
    assert!(is_converged(&pair), "the site still owns its records");
}

#[test]
fn a_removed_site_without_deletes_reports_its_records() {
    let mut pair = site_with(
        28,
        ProviderSpec { kind: DnsSettings { allow_deletes: false, ..provider().dns().clone() }.into(), ..provider() },
    );
    remove(&mut pair);
    pair.run_for(MINUTE);
    assert!(pair.nodes[0].ended.is_some());
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1")]);
    let left: Vec<_> = pair.events().into_iter().filter(|event| event.kind == EventKind::RecordsLeft).collect();
    assert_eq!(left.len(), 1);
    assert!(left[0].text.as_str().contains(GATEWAY), "{}", left[0].text);
}
