//! Observing a zone with any number of records, whatever else the zone holds.

use linecamp_model::{
    ConditionKind, DnsSettings, DomainName, ExtraRecord, NameTemplate, ProviderFailure, ProviderSpec, RecordKey,
    RecordState, RecordType, Text,
};

use super::records::{
    GATEWAY, MINUTE, ZONE, conditions, configure, is_converged, label, plain_site, provider, shown, site_with, state_of,
};
use crate::{QUARANTINE, RECONCILE_INTERVAL};

fn with_extras(count: usize) -> ProviderSpec {
    let extra = |index| ExtraRecord {
        template: NameTemplate::parse(&format!("x{index}")).unwrap(),
        rtype: RecordType::Txt,
        values: vec![Text::lossy("x")],
    };
    ProviderSpec {
        kind: DnsSettings { extra: (0..count).map(extra).collect(), ..provider().dns().clone() }.into(),
        ..provider()
    }
}

/// A plugin call may make 64 requests, and a name takes several.
#[test]
fn observation_requests_few_names_per_call_and_fewer_after_a_rejection() {
    for names_max in [2, 3, 16] {
        let mut pair = plain_site(60);
        pair.name_server.names_max = names_max;
        configure(&mut pair, Some(with_extras(15)));
        pair.run_for(2 * MINUTE);
        assert_eq!((shown(&pair).len(), conditions(&pair)), (16, Vec::new()), "{names_max}");
        label(&mut pair, "io.linecamp.host.external_dns=false");
        pair.run_for(4 * RECONCILE_INTERVAL);
        assert!(pair.name_server.zone(ZONE).is_empty(), "{names_max}");
    }
}

/// A service that permits fewer requests per second than a round takes delays the records and does not prevent them: 14
/// record sets are in sync within two minutes at ten requests per second.
#[test]
fn a_service_with_a_limit_per_second_delays_the_records_and_prevents_none() {
    for (permitted, minutes) in [(20, 2), (10, 2), (4, 10)] {
        let mut pair = plain_site(75);
        pair.name_server.requests_per_second = Some(permitted);
        configure(&mut pair, Some(with_extras(13)));
        pair.run_for(minutes * MINUTE);
        assert_eq!((shown(&pair).len(), conditions(&pair)), (14, Vec::new()), "{permitted}: {}", pair.trace());
        assert!(is_converged(&pair), "{permitted}");
        // The rounds that find nothing to do continue where they had to wait: they raise nothing and validate nothing.
        let (validations, writes) = (pair.name_server.validations, pair.name_server.writes.len());
        pair.run_for(6 * RECONCILE_INTERVAL);
        assert_eq!((pair.name_server.validations, pair.name_server.writes.len()), (validations, writes), "{permitted}");
        assert_eq!(conditions(&pair), [], "{permitted}");
    }
}

#[test]
fn a_provider_with_the_maximum_number_of_records_works() {
    let mut pair = plain_site(61);
    pair.name_server.names_max = 16;
    configure(&mut pair, Some(with_extras(255)));
    pair.run_for(5 * MINUTE);
    assert_eq!((shown(&pair).len(), conditions(&pair)), (256, Vec::new()));
    assert!(is_converged(&pair));
}

fn failures() -> [ProviderFailure; 3] {
    let reason = Text::lossy("the listing has more than 4194304 bytes");
    [
        ProviderFailure::Broken { reason: reason.clone() },
        ProviderFailure::Refused { reason: reason.clone(), part: None },
        ProviderFailure::Retry { after: None, reason },
    ]
}

/// Other owners' records may make a zone too large to list, or make the service fail at it.
#[test]
fn a_zone_that_cannot_be_listed_is_observed_by_name() {
    for failure in failures() {
        let mut pair = plain_site(62);
        pair.name_server.listing_fails = Some(failure);
        configure(&mut pair, Some(provider()));
        pair.run_for(2 * MINUTE);
        assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1")]);
        assert_eq!((conditions(&pair), is_converged(&pair)), (Vec::new(), true));
        let why: Vec<_> = pair.site().why(pair.now()).into_iter().map(|why| why.detail).collect();
        assert!(why.concat().contains("example.org cannot be searched for records left"), "{why:?}");
    }
}

/// The site's database is lost with its records in the zone, and the search that would find them fails for an hour.
#[test]
fn leftover_records_are_found_once_the_zone_can_be_listed() {
    let mut pair = site_with(63, provider());
    pair.name_server.plant(ZONE, "old.example.org", "A", &["192.0.2.9"]);
    let claim = pair.name_server.zone(ZONE).into_values().find(|set| set.key.rtype == RecordType::Txt).unwrap();
    let claim: Vec<_> = claim.values.iter().map(|value| &**value).collect();
    let claim = claim.join("");
    pair.name_server.plant(ZONE, "_linecamp-a.old.example.org", "TXT", &[&claim]);
    pair.nodes[0].disk.retain(|key, _| !key.starts_with("owned"));
    pair.name_server.listing_fails = Some(failures()[0].clone());
    pair.crash_site();
    pair.run_for(2 * MINUTE);
    assert_eq!(shown(&pair).len(), 2);
    pair.name_server.listing_fails = None;
    pair.run_for(QUARANTINE + 2 * RECONCILE_INTERVAL);
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1")]);
}

/// Another owner has 300 addresses at a desired name.
#[test]
fn an_unreadable_record_set_is_left_alone_and_blocks_no_other() {
    let key = |name: &str, rtype| RecordKey { name: DomainName::parse(name).unwrap(), rtype };
    let claim = format!("_linecamp-a.{GATEWAY}");
    for (name, rtype) in [(GATEWAY, RecordType::A), (&*claim, RecordType::Txt)] {
        let mut pair = plain_site(64);
        pair.name_server.plant(ZONE, name, rtype.as_str(), &["198.51.100.9"]);
        pair.name_server.unreadable.insert(key(name, rtype.clone()));
        configure(&mut pair, Some(with_extras(1)));
        pair.run_for(2 * MINUTE);
        assert!(shown(&pair).contains(&"x0.example.org TXT 300 x".to_owned()), "{:?}", shown(&pair));
        let there = pair.name_server.zone(ZONE);
        assert_eq!(there[&key(name, rtype)].values, ["198.51.100.9".into()].into());
        let found = conditions(&pair);
        assert!(found.len() == 1 && found[0].0 == ConditionKind::RecordQuarantined, "{found:?}");
        assert!(found[0].1.contains(name) && found[0].1.contains("300 values"), "{found:?}");
        // Once fixed, it recovers.
        pair.name_server.unreadable.clear();
        pair.name_server.pluck(ZONE, name, if name == GATEWAY { "A" } else { "TXT" });
        pair.run_for(2 * RECONCILE_INTERVAL);
        assert_eq!((state_of(&pair, &RecordType::A), conditions(&pair)), (Some(RecordState::InSync), Vec::new()));
    }
}

/// Another writer puts 300 addresses into a record set of ours: it is not written, and stays when the site is removed.
#[test]
fn an_owned_record_set_that_becomes_unreadable_is_not_deleted() {
    let mut pair = site_with(65, provider());
    pair.name_server.unreadable.insert(RecordKey { name: DomainName::parse(GATEWAY).unwrap(), rtype: RecordType::A });
    label(&mut pair, "io.linecamp.host.external_dns=false");
    pair.run_for(2 * RECONCILE_INTERVAL);
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1")]);
    pair.name_server.unreadable.clear();
    pair.run_for(2 * RECONCILE_INTERVAL);
    assert_eq!(shown(&pair), [""; 0]);
    assert_eq!(conditions(&pair), []);
}
