//! Several providers at a site: one that fails blocks no other, and each leaves independently.

use linecamp_model::limits::PROVIDERS_PER_SITE_MAX;
use linecamp_model::{
    ConditionKind, DnsSettings, DomainName, EventKind, FleetProvider, NameTemplate, ProviderSpec, Selector,
};

use super::records::{GATEWAY, MINUTE, ZONE, conditions, configure, plain_site, provider, shown, site_with};
use crate::testing::{NameServerFault, Pair, name};
use crate::{
    FleetCommand, Force, ListedRecord, PageRequest, RECONCILE_INTERVAL, RecordFilter, SiteCommand, WITHDRAW_MAX,
};

/// Returns a provider whose zone its service does not have.
pub(super) fn broken() -> ProviderSpec {
    let zones = [DomainName::parse("absent.example").unwrap()].into();
    ProviderSpec { name: name("broken"), kind: DnsSettings { zones, ..provider().dns().clone() }.into(), ..provider() }
}

fn add(pair: &mut Pair, spec: ProviderSpec) {
    let provider = FleetProvider { sites: Selector::parse("").unwrap(), spec, matches_facts: false };
    pair.ask(FleetCommand::SetProvider(name("default"), Box::new(provider), true)).expect("added");
}

/// Returns the texts of the events about records that were left.
pub(super) fn left(pair: &Pair) -> Vec<String> {
    let events = pair.events().into_iter().filter(|event| event.kind == EventKind::RecordsLeft);
    events.map(|event| event.text.to_string()).collect()
}

/// Returns the records that an operator sees.
pub(super) fn listed_records(pair: &Pair) -> Vec<ListedRecord<'_>> {
    let (filter, all) = (RecordFilter::default(), PageRequest::first(100));
    pair.fleet.view().record_page(&filter, &all, pair.now(), |listed| (listed, 1)).items
}

fn names(pair: &Pair) -> Vec<String> {
    pair.site().view(pair.now()).providers.iter().map(|provider| provider.name.to_string()).collect()
}

#[test]
fn a_removed_provider_withdraws_while_another_fails() {
    let mut pair = plain_site(60);
    add(&mut pair, broken());
    add(&mut pair, provider());
    pair.run_for(5 * MINUTE);
    assert_eq!(shown(&pair).len(), 1);
    assert_eq!(conditions(&pair)[0].0, ConditionKind::ProviderFailed);
    pair.ask(FleetCommand::RemoveProvider(name("default"), name("dns"), Force::No)).expect("removed");
    pair.run_for(MINUTE);
    assert!(pair.name_server.zone(ZONE).is_empty());
    assert_eq!(names(&pair), ["broken"], "the removed provider is gone");
}

/// A site has room for sixteen providers: a new one evicts none of them and is counted as left out until one is
/// removed.
#[test]
fn a_provider_beyond_a_sites_limit_displaces_none_and_is_counted() {
    let mut pair = plain_site(67);
    let named = |text: &str| ProviderSpec { name: name(text), ..provider() };
    for number in 0..PROVIDERS_PER_SITE_MAX {
        add(&mut pair, named(&format!("p{number:02}")));
    }
    pair.run_for(MINUTE);
    add(&mut pair, named("aaa"));
    pair.run_for(MINUTE);
    let has_aaa = |pair: &Pair| names(pair).contains(&"aaa".to_owned());
    assert!(names(&pair).len() == PROVIDERS_PER_SITE_MAX && !has_aaa(&pair), "{:?}", names(&pair));
    let left_out =
        |pair: &Pair| pair.fleet.view().providers(None).iter().map(|found| found.left_out).collect::<Vec<_>>();
    assert_eq!(left_out(&pair).iter().sum::<usize>(), 1, "{:?}", left_out(&pair));
    assert_eq!(left_out(&pair)[0], 1, "the provider named aaa");

    pair.ask(FleetCommand::RemoveProvider(name("default"), name("p03"), Force::No)).expect("removed");
    pair.run_for(5 * MINUTE);
    assert!(names(&pair).len() == PROVIDERS_PER_SITE_MAX && has_aaa(&pair), "{:?}", names(&pair));
    assert_eq!(left_out(&pair).iter().sum::<usize>(), 0, "none is left out");
}

/// A name server that does not answer blocks the removal of its provider until it is forced.
#[test]
fn a_provider_removed_by_force_does_not_wait() {
    let mut pair = plain_site(65);
    add(&mut pair, provider());
    pair.run_for(MINUTE);
    pair.name_server.fault = NameServerFault::Away;
    pair.ask(FleetCommand::RemoveProvider(name("default"), name("dns"), Force::No)).expect("removed");
    pair.run_for(RECONCILE_INTERVAL);
    assert_eq!(names(&pair), ["dns"], "it waits");
    let shown_withdrawing = pair.fleet.view().providers(None);
    assert!(shown_withdrawing.len() == 1 && shown_withdrawing[0].provider.spec.is_withdrawing, "and is shown");
    pair.ask(FleetCommand::RemoveProvider(name("default"), name("dns"), Force::Yes)).expect("removed by force");
    pair.run_for(MINUTE);
    assert_eq!(names(&pair), [""; 0]);
    assert_eq!(pair.fleet.view().providers(None), []);
    assert_eq!(shown(&pair).len(), 1, "nothing was deleted");
    assert!(left(&pair).len() == 1 && left(&pair)[0].contains(GATEWAY), "{:?}", left(&pair));
    assert_eq!(conditions(&pair), [], "and nothing is remembered");
    assert!(
        pair.ask(FleetCommand::RemoveProvider(name("default"), name("dns"), Force::Yes)).is_err(),
        "it does not exist"
    );
}

/// A site removed by force reports the records it leaves, per provider.
#[test]
fn a_site_removed_by_force_reports_its_records() {
    let mut pair = site_with(66, provider());
    pair.cut(0);
    pair.ask(FleetCommand::Remove(crate::testing::site_ref("camp").into(), Force::Yes)).expect("removed");
    pair.run_for(MINUTE);
    let left = left(&pair);
    assert!(left.len() == 1 && left[0].contains("provider dns") && left[0].contains(GATEWAY), "{left:?}");
}

/// A site's own provider overrides the central one of the same name: the central one has nothing to withdraw.
#[test]
fn a_central_provider_overridden_locally_is_removed_immediately() {
    let mut pair = site_with(61, provider());
    add(&mut pair, provider());
    pair.run_for(MINUTE);
    pair.ask(FleetCommand::RemoveProvider(name("default"), name("dns"), Force::No)).expect("removed");
    pair.run_for(MINUTE);
    assert_eq!(
        pair.fleet.view().providers(None),
        [],
        "the central provider is removed, and the local one keeps its records"
    );
    configure(&mut pair, None);
    pair.run_for(MINUTE);
    assert_eq!(names(&pair), [""; 0]);
}

/// The service lacks one zone of a provider: the other zones continue.
#[test]
fn one_failing_zone_blocks_no_other() {
    let zones = [DomainName::parse("absent.example").unwrap(), DomainName::parse(ZONE).unwrap()].into();
    let mut pair =
        site_with(62, ProviderSpec { kind: DnsSettings { zones, ..provider().dns().clone() }.into(), ..provider() });
    pair.run_for(5 * MINUTE);
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1")]);
    pair.name_server.pluck(ZONE, GATEWAY, "A");
    pair.run_for(2 * RECONCILE_INTERVAL);
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1")], "and drift is repaired");
    assert_eq!(conditions(&pair)[0].0, ConditionKind::ProviderFailed);
}

/// A plan does not wait for a provider that is in backoff.
#[test]
fn a_plan_does_not_wait_for_a_provider_in_backoff() {
    let mut pair = site_with(63, provider());
    pair.name_server.fault = NameServerFault::Busy(30 * MINUTE);
    pair.run_for(RECONCILE_INTERVAL);
    pair.local_command(SiteCommand::PlanRecords);
    pair.run_for(MINUTE);
    assert_eq!(pair.nodes[0].replies, [Ok(())]);
}

/// A removed site with one working provider and one whose service is unreachable.
#[test]
fn a_removed_site_reports_the_provider_whose_records_remain() {
    let mut pair = plain_site(64);
    let template = NameTemplate::parse("other.{host}").unwrap();
    let second = ProviderSpec {
        name: name("second"),
        kind: DnsSettings { template, ..provider().dns().clone() }.into(),
        ..provider()
    };
    pair.nodes[0].config.providers = vec![provider(), second];
    pair.crash_site();
    pair.run_for(5 * MINUTE);
    assert_eq!(shown(&pair).len(), 2);
    pair.name_server.frozen.insert(DomainName::parse("other.camp.example.org").unwrap());
    pair.ask(FleetCommand::Deactivate(crate::testing::site_ref("camp").into())).expect("deactivated");
    pair.run_for(MINUTE);
    pair.ask(FleetCommand::Remove(crate::testing::site_ref("camp").into(), Force::No)).expect("removal requested");
    pair.run_for(MINUTE);
    assert_eq!(
        shown(&pair),
        ["other.camp.example.org A 300 192.0.2.1"],
        "the other provider has withdrawn its records"
    );
    pair.run_for(WITHDRAW_MAX);
    assert!(pair.nodes[0].ended.is_some());
    let left = left(&pair);
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].contains("second") && left[0].contains("other.camp.example.org"), "{left:?}");
    assert!(!left[0].contains(GATEWAY), "{left:?}");
}

/// The log of the machine gets one line when a provider starts to fail, hourly lines while the reason changes, and one
/// line when the provider has recovered.
#[test]
fn the_failure_of_a_provider_is_told_once_and_so_is_its_recovery() {
    let mut pair = site_with(68, provider());
    add(&mut pair, broken());
    pair.run_for(RECONCILE_INTERVAL);
    let told = |pair: &mut Pair| std::mem::take(&mut pair.nodes[0].condition_notices);
    let first = told(&mut pair);
    assert!(first.len() == 1 && first[0].starts_with("provider-failed broken: "), "{first:?}");
    assert!(first[0].contains("there is no zone absent.example"), "{first:?}");
    // Another provider of the same site is told separately, whatever the condition names already.
    pair.name_server.fault = NameServerFault::Away;
    pair.run_for(2 * RECONCILE_INTERVAL);
    pair.name_server.fault = NameServerFault::Locked;
    pair.run_for(2 * RECONCILE_INTERVAL);
    let second = told(&mut pair);
    let of_dns: Vec<_> = second.iter().filter(|notice| notice.starts_with("provider-failed dns: ")).collect();
    assert!(of_dns.len() == 1 && of_dns[0].contains("connection refused"), "{second:?}");
    pair.name_server.fault = NameServerFault::Well;
    pair.run_for(2 * RECONCILE_INTERVAL);
    let third = told(&mut pair);
    assert_eq!(
        third.iter().filter(|notice| notice.contains(" dns: ")).collect::<Vec<_>>(),
        ["provider-failed dns: cleared"]
    );
    pair.run_for(24 * RECONCILE_INTERVAL);
    let rest = told(&mut pair);
    assert!(rest.len() <= 1, "the same cause is not repeated: {rest:?}");
}
