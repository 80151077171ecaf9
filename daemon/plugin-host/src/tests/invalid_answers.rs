//! Answers from plugins that are false or invalid.

use std::collections::BTreeSet;
use std::time::Duration;

use linecamp_model::{
    DnsReply, DnsRequest, ProviderFailure, ProviderReply, ProviderRequest, RecordChange, RecordKey, RecordSet,
    RecordType, Text, Ttl,
};

use super::fixture::{Setup, domain, spec, spec_of};

fn observe(names: &[&str]) -> ProviderRequest {
    let names = names.iter().map(|name| domain(name)).collect();
    ProviderRequest::Dns(DnsRequest::Observe { zone: domain("zone.example"), names })
}

fn set(name: &str) -> RecordSet {
    let key = RecordKey { name: domain(name), rtype: RecordType::A };
    RecordSet::parse(key, Ttl::DEFAULT, &["192.0.2.1"]).unwrap()
}

fn apply() -> ProviderRequest {
    let changes = vec![RecordChange { before: None, after: Some(set("a.zone.example")) }];
    let key = Text::parse("key").unwrap();
    ProviderRequest::Dns(DnsRequest::Apply { zone: domain("zone.example"), key, changes })
}

#[tokio::test]
async fn an_observation_contains_only_the_requested_names() {
    let mut bench = Setup::default().start();
    let reply = bench.ask(&spec("honest"), observe(&["b.zone.example", "*.zone.example"])).await;
    let ProviderReply::Dns(DnsReply::Observed(sets)) = reply else { panic!("{reply:?}") };
    let names: BTreeSet<_> = sets.iter().map(|set| set.key.name.as_str()).collect();
    assert_eq!(names, ["*.zone.example", "b.zone.example"].into());
    assert_eq!(sets[0].values, set("a.zone.example").values);
}

#[tokio::test]
async fn a_zone_listing_omits_names_that_can_never_be_ours() {
    let mut bench = Setup::default().start();
    let reply = bench.ask(&spec("list"), observe(&[])).await;
    assert_eq!(reply, ProviderReply::Dns(DnsReply::Observed(vec![set("a.zone.example")])));
    let reply = bench.ask(&spec("list"), observe(&["a.zone.example"])).await;
    assert_eq!(reply, ProviderReply::Dns(DnsReply::Observed(vec![set("a.zone.example")])));
}

#[tokio::test]
async fn unusual_records_in_a_zone_do_not_fail_the_plugin() {
    let mut bench = Setup::default().start();
    for (lie, why) in [("ttl", "a TTL"), ("many-values", "1000 values"), ("long-value", "a value of more")] {
        assert_eq!(
            bench.ask(&spec(lie), observe(&[])).await,
            ProviderReply::Dns(DnsReply::Observed(Vec::new())),
            "{lie}"
        );
        let reply = bench.ask(&spec(lie), observe(&["a.zone.example"])).await;
        let ProviderReply::Dns(DnsReply::Observed(sets)) = reply else { panic!("{lie}: {reply:?}") };
        assert!(sets[0].why_unreadable().is_some_and(|found| found.starts_with(why)), "{lie}: {sets:?}");
    }
    assert_eq!(bench.ask(&spec("many"), observe(&[])).await, ProviderReply::Dns(DnsReply::Observed(Vec::new())));
}

#[tokio::test]
async fn an_invalid_observation_is_rejected() {
    let mut bench = Setup::default().start();
    let lies = [
        ("no-name", "empty label"),
        ("control-name", r"a\u{1b}[31m.zone.example"),
        ("long-name", "bytes"),
        ("outside", "not in the zone"),
        ("almost-inside", "not in the zone"),
        ("twice", "twice"),
        ("no-value", "no values"),
        ("no-type", "an invalid type"),
        ("huge", "passed more than 8 MiB in one host call"),
    ];
    for (lie, words) in lies {
        let reason = bench.broken(&spec(lie), observe(&[])).await;
        assert!(reason.contains(words), "{lie}: {reason}");
        assert!(reason.starts_with("the plugin malicious "), "{lie}: {reason}");
    }
    bench.goes_on().await;
}

#[tokio::test]
async fn changes_are_applied_or_rejected_with_a_reason() {
    let mut bench = Setup::default().start();
    assert_eq!(bench.ask(&spec("honest"), apply()).await, ProviderReply::Dns(DnsReply::Applied));
    let reason = bench.broken(&spec("outside"), apply()).await;
    assert!(reason.contains("not in the zone"), "{reason}");
    let reply = bench.ask(&spec("conflict"), apply()).await;
    let ProviderReply::Failed(ProviderFailure::Conflict { reason, part }) = reply else { panic!("{reply:?}") };
    assert_eq!(reason.as_str(), "a.zone.example: others key");
    assert_eq!(part, Some(Text::lossy("a.zone.example")));
}

#[tokio::test]
async fn only_a_name_in_the_zone_is_quarantined() {
    let mut bench = Setup::default().start();
    for (name, is_taken) in [("A.zone.example.", true), ("a.other.example", false), ("..", false)] {
        let config = format!(r#"{{"do":"blame","name":"{name}"}}"#);
        let reply = bench.ask(&spec_of(&config, &Default::default()), apply()).await;
        let ProviderReply::Failed(ProviderFailure::Refused { reason, part: found }) = reply else {
            panic!("{reply:?}")
        };
        assert_eq!(found, is_taken.then(|| Text::lossy("a.zone.example")), "{name}");
        assert!(reason.as_str().ends_with("setting `api`: no"), "{reason}");
        assert_eq!(reason.as_str().contains(name), !is_taken, "{reason}");
    }
}

#[tokio::test]
async fn retry_delays_and_messages_are_limited() {
    let mut bench = Setup::default().start();
    let reply = bench.ask(&spec("patience"), ProviderRequest::Validate).await;
    let ProviderReply::Failed(ProviderFailure::Retry { after, reason }) = reply else { panic!("{reply:?}") };
    assert_eq!(after, Some(Duration::from_secs(24 * 3600)));
    assert!(reason.as_str().len() <= 512 && reason.as_str().starts_with("a ba b"), "{reason}");
}
