//! A zone that cannot be listed, because it is too large or for any other reason, is managed by name.

use std::time::Duration;

use linecamp_model::{ConditionKind, DnsSettings, FleetProvider, ProviderFailure, ProviderSpec, Selector, Text};

use super::records::{GATEWAY, MINUTE, ZONE, conditions, is_converged, plain_site, provider, shown};
use crate::testing::{Pair, name};
use crate::{FleetCommand, Force};

fn add(pair: &mut Pair, spec: ProviderSpec) {
    let provider = FleetProvider { sites: Selector::parse("").unwrap(), spec, matches_facts: false };
    pair.ask(FleetCommand::SetProvider(name("default"), Box::new(provider), true)).expect("added");
}

fn remove(pair: &mut Pair) {
    pair.ask(FleetCommand::RemoveProvider(name("default"), name("dns"), Force::No)).expect("removed");
    pair.run_for(5 * MINUTE);
    assert_eq!(pair.site().view(pair.now()).providers, [], "the removed provider is gone");
    assert_eq!(conditions(pair), []);
}

/// Returns a provider that selects no host, and so wants no record.
fn without_records() -> ProviderSpec {
    let hosts = Selector::parse("rack=none").unwrap();
    ProviderSpec { kind: DnsSettings { hosts, ..provider().dns().clone() }.into(), ..provider() }
}

fn why(pair: &Pair) -> String {
    pair.site().why(pair.now()).into_iter().map(|why| why.detail).collect()
}

/// Every failure of a service or plugin that can answer other calls.
fn failures() -> [ProviderFailure; 7] {
    let reason = Text::lossy("the listing has more than 4194304 bytes");
    [
        ProviderFailure::Retry { after: Some(MINUTE), reason: reason.clone() },
        ProviderFailure::Retry { after: None, reason: reason.clone() },
        ProviderFailure::Refused { reason: reason.clone(), part: None },
        ProviderFailure::Conflict { reason: reason.clone(), part: None },
        ProviderFailure::Unauthorized { reason: reason.clone() },
        ProviderFailure::LimitExceeded { reason: reason.clone() },
        ProviderFailure::Broken { reason },
    ]
}

#[test]
fn records_are_written_and_removed_in_a_zone_of_any_size() {
    for others in [10_001, 200_000] {
        let mut pair = plain_site(70);
        (0..others).for_each(|n| pair.name_server.plant(ZONE, &format!("n{n}.{ZONE}"), "A", &["198.51.100.9"]));
        pair.name_server.listed_max = 10_000;
        let ours =
            |pair: &Pair| pair.name_server.zone(ZONE).keys().filter(|key| key.name.as_str().contains(GATEWAY)).count();
        add(&mut pair, provider());
        pair.run_for(2 * MINUTE);
        assert_eq!((ours(&pair), conditions(&pair), is_converged(&pair)), (2, Vec::new(), true), "{others}");
        assert!(why(&pair).contains("cannot be searched for records left by an earlier run"), "{}", why(&pair));
        remove(&mut pair);
        assert_eq!(pair.name_server.zone(ZONE).len(), others);
    }
}

#[test]
fn a_listing_may_fail_in_any_way() {
    for failure in failures() {
        let mut pair = plain_site(71);
        pair.name_server.listing_fails = Some(failure.clone());
        add(&mut pair, provider());
        pair.run_for(5 * MINUTE);
        assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1")], "{failure:?}");
        assert_eq!((conditions(&pair), is_converged(&pair)), (Vec::new(), true), "{failure:?}");
        remove(&mut pair);
        assert_eq!(shown(&pair), [""; 0], "{failure:?}");
    }
}

#[test]
fn a_provider_without_records_settles_and_is_removed_where_a_listing_fails() {
    for failure in failures() {
        let mut pair = plain_site(72);
        pair.name_server.listing_fails = Some(failure.clone());
        add(&mut pair, without_records());
        pair.run_for(5 * MINUTE);
        assert_eq!((conditions(&pair), is_converged(&pair)), (Vec::new(), true), "{failure:?}");
        remove(&mut pair);
    }
}

/// A service that limits the rate of a long listing is not asked again at once, and raises no alarm.
#[test]
fn a_listing_that_exceeds_a_rate_limit_delays_the_records_and_raises_nothing() {
    let mut pair = plain_site(73);
    let reason = Text::lossy("too many requests");
    pair.name_server.listing_fails = Some(ProviderFailure::Retry { after: Some(3 * MINUTE), reason });
    add(&mut pair, provider());
    pair.run_for(MINUTE);
    assert_eq!((shown(&pair).len(), conditions(&pair)), (0, Vec::new()), "it waits as long as the service asked");
    pair.run_for(3 * MINUTE);
    assert_eq!((shown(&pair).len(), conditions(&pair)), (1, Vec::new()));
    pair.run_for(Duration::from_secs(24 * 3600));
    let raised = pair.events().into_iter().filter(|event| event.text.as_str().contains("provider-failed"));
    assert_eq!((raised.count(), conditions(&pair)), (0, Vec::new()));
}

/// A quota per hour or day for listings delays the records once, and no longer than a service may ask to wait.
#[test]
fn a_listing_that_is_limited_for_hours_does_not_block_its_zone() {
    for hours in [1, 24] {
        let mut pair = plain_site(75);
        let reason = Text::lossy("the quota of listings is used up");
        pair.name_server.listing_fails = Some(ProviderFailure::Retry { after: Some(hours * 60 * MINUTE), reason });
        add(&mut pair, provider());
        pair.run_for(65 * MINUTE);
        assert_eq!((shown(&pair).len(), conditions(&pair)), (1, Vec::new()), "{hours} h");
    }
}

/// A zone that does not exist is reported, also if nothing is wanted in it.
#[test]
fn a_missing_zone_is_reported_although_no_record_is_wanted() {
    let mut pair = plain_site(74);
    let zones = [linecamp_model::DomainName::parse("absent.example").unwrap()].into();
    let kind = DnsSettings { zones, ..without_records().dns().clone() }.into();
    add(&mut pair, ProviderSpec { kind, ..without_records() });
    pair.run_for(2 * MINUTE);
    let found = conditions(&pair);
    assert!(found.len() == 1 && found[0].0 == ConditionKind::ProviderFailed, "{found:?}");
    assert!(found[0].1.contains("there is no zone absent.example"), "{found:?}");
}
