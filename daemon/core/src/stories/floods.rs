//! Floods: how much of each kind of message a site can impose on the server, and a server on a site.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use linecamp_model::limits::{
    HOSTS_PER_SITE_MAX, PROVIDERS_PER_SITE_MAX, REPORTED_RECORDS_BYTES_MAX, TOMBSTONES_PER_DELTA_MAX,
};
use linecamp_model::{
    Condition, ConditionKind, DnsStatus, Document, DocumentKey, DomainName, EventKind, FleetChange, FleetProvider,
    FromMember, FromParent, Generation, PluginDigest, PluginWant, ProviderId, ProviderStatus, RecordKey, RecordState,
    RecordStatus, RecordType, Salvage, Selector, SiteChange, SpecBody, SpecDelta, StatusBody, StatusDelta, Text,
};

use super::hostile::provider_status;
use super::parts::{host_key, host_spec};
use super::plugins::push;
use super::provider;
use crate::testing::{Pair, name};
use crate::{FleetCommand, Force};

const MINUTE: Duration = Duration::from_secs(60);

/// Returns a provider's status with `records` record sets of 4 KiB.
fn status(base: Generation, number: u64, records: usize) -> FromMember {
    let record = |record: usize| RecordStatus {
        zone: DomainName::parse("example.org").unwrap(),
        key: RecordKey { name: DomainName::parse(&format!("r{record}.example.org")).unwrap(), rtype: RecordType::Txt },
        values: BTreeSet::from(["x".repeat(4_096).into()]),
        ttl: None,
        observed: None,
        state: RecordState::InSync,
        detail: Text::default(),
    };
    let status = ProviderStatus {
        kind: DnsStatus { records: (0..records).map(record).collect() }.into(),
        ..provider_status(number)
    };
    let (key, to) = (DocumentKey::Provider(ProviderId::of(&status.name)), base.next());
    let documents = BTreeMap::from([(key, Document { generation: to, body: Some(StatusBody::Provider(status)) })]);
    FromMember::Status(StatusDelta { base, to, snapshot: false, documents, more: false })
}

/// Repeats a message as fast as the link accepts it, until the server hangs up because of the rate limit. Returns the
/// number of messages sent.
fn flood(pair: &mut Pair, message: impl Fn(&Pair, usize) -> FromMember) -> usize {
    pair.impersonate(0);
    let dial = pair.dial_of(0);
    for number in 0..5_000 {
        let message = message(pair, number);
        pair.say(0, message);
        pair.run_for(Duration::from_millis(1));
        if pair.dial_of(0) != dial {
            let why = pair.hangup_of(0).unwrap_or_default();
            assert!(why.ends_with("(busy)"), "{why}");
            return number;
        }
    }
    panic!("5,000 messages in five seconds were accepted");
}

#[test]
fn the_records_of_one_status_are_limited_across_messages() {
    let mut pair = Pair::linked(1);
    pair.impersonate(0);
    let mut accepted = 0_usize;
    while pair.hangup_of(0).is_none() {
        let base = pair.status_head();
        pair.say(0, status(base, accepted as u64, 8));
        pair.run_for(10 * MINUTE);
        accepted += 1;
        assert!(accepted * 8 * 4_096 < 2 * REPORTED_RECORDS_BYTES_MAX, "{accepted} messages were accepted");
    }
    assert!(2 < accepted, "one message is within the limit");
    let why = pair.hangup_of(0).expect("the limit is exceeded");
    assert!(why.contains("bytes of DNS records"), "{why}");
}

#[test]
fn status_and_storage_reports_are_rate_limited_like_events() {
    let mut pair = Pair::linked(2);
    assert!(flood(&mut pair, |pair, _| status(pair.status_head(), 1, 0)) < 2_000);

    let mut pair = Pair::linked(3);
    let condition =
        |pair: &Pair| Condition { kind: ConditionKind::DiskFull, since: pair.now().wall, detail: Text::lossy("full") };
    let reports = flood(&mut pair, |pair, number| {
        FromMember::Storage((number % 2 == 0).then(|| condition(pair)).into_iter().collect())
    });
    assert!(reports < 500, "{reports}");
}

#[test]
fn a_new_session_does_not_reset_the_rate_limit() {
    let mut pair = Pair::linked(4);
    let first = flood(&mut pair, |pair, _| status(pair.status_head(), 1, 0));
    // It is admitted again once its overdraft is paid off, and has gained nothing by reconnecting.
    pair.run_until(|pair| pair.dial_of(0).is_some() && pair.is_linked());
    let second = flood(&mut pair, |pair, _| status(pair.status_head(), 1, 0));
    assert!(second < first * 3 / 4, "{first} messages, and {second} in the next session");
}

#[test]
fn plugin_pieces_wait_for_the_rate_limit() {
    let component = b"a component";
    let digest = PluginDigest::of(component);
    let mut pair = Pair::linked(8);
    push(&mut pair, digest, component);
    pair.run_for(60 * MINUTE);
    pair.impersonate(0);
    // An overdraft of half a minute.
    for _ in 0..800 {
        pair.say(0, status(pair.status_head(), 1, 0));
    }
    pair.run_for(Duration::from_millis(500));
    let sent = pair.pieces_sent;
    pair.say(0, FromMember::WantPlugin(PluginWant { digest, offset: 0 }));
    pair.run_for(Duration::from_secs(10));
    assert_eq!(pair.pieces_sent, sent, "not while the rate limit is overdrawn");
    pair.run_for(MINUTE);
    assert_eq!(pair.pieces_sent, sent + 1);
    assert_eq!(pair.hangup_of(0), None);
}

#[test]
fn a_spec_with_too_many_documents_is_rejected() {
    let too_many_providers = (0..=PROVIDERS_PER_SITE_MAX).map(|number| {
        let name = name(&format!("p{number}"));
        let spec = linecamp_model::ProviderSpec { name: name.clone(), ..provider() };
        (DocumentKey::Provider(ProviderId::of(&name)), SpecBody::Provider(Box::new(spec)))
    });
    check_spec_rejected(too_many_providers.collect());
    // With the gateway, one too many.
    let too_many_hosts = (0..HOSTS_PER_SITE_MAX).map(|number| (host_key(number), host_spec()));
    check_spec_rejected(too_many_hosts.collect());
}

fn check_spec_rejected(bodies: Vec<(DocumentKey, SpecBody)>) {
    let mut pair = Pair::linked(5);
    let (dial, base) = (pair.dial_of(0), pair.view().spec_generation);
    let held =
        |pair: &Pair| pair.nodes[0].disk.values().filter(|change| matches!(change, SiteChange::Spec(..))).count();
    let before = held(&pair);
    let to = Generation(base.0 + 1);
    let documents =
        bodies.into_iter().map(|(key, body)| (key, Document { generation: to, body: Some(body) })).collect();
    pair.tell(0, FromParent::Spec(SpecDelta { base, to, snapshot: false, documents, more: false }));
    pair.run_for(Duration::from_secs(1));
    assert_ne!(pair.dial_of(0), dial, "it ends the session");
    assert_eq!(held(&pair), before, "nothing of it was stored");
}

#[test]
fn the_tombstones_of_spec_and_status_are_limited() {
    let mut pair = Pair::linked(6);
    for number in 0..TOMBSTONES_PER_DELTA_MAX + 8 {
        let mut spec = provider();
        spec.name = name(&format!("p{number}"));
        let provider = FleetProvider { sites: Selector::default(), matches_facts: false, spec };
        pair.ask(FleetCommand::SetProvider(name("default"), Box::new(provider), false)).expect("set");
        pair.run_for(5 * MINUTE);
        let remove = FleetCommand::RemoveProvider(name("default"), name(&format!("p{number}")), Force::Yes);
        pair.ask(remove).expect("removed");
        pair.run_for(5 * MINUTE);
    }
    let is_spec = |change: &&FleetChange| matches!(change, FleetChange::Spec(_, _, Some(Document { body: None, .. })));
    let of_spec = pair.backup_fleet().values().filter(is_spec).count();
    let bound = TOMBSTONES_PER_DELTA_MAX..=TOMBSTONES_PER_DELTA_MAX + 1;
    assert!(bound.contains(&of_spec), "{of_spec} at the server");
    let is_status = |change: &&SiteChange| matches!(change, SiteChange::Status(_, Some(Document { body: None, .. })));
    let of_status = pair.nodes[0].disk.values().filter(is_status).count();
    assert!(bound.contains(&of_status), "{of_status} at the site");
}

#[test]
fn many_unreadable_records_record_few_events() {
    let mut pair = Pair::linked(7);
    for number in 0..40_u8 {
        let environment = name(&format!("e{number}"));
        pair.ask(FleetCommand::CreateEnvironment(environment, crate::EnvironmentEdit::default())).expect("created");
    }
    pair.start_fleet_without(|change| match change {
        FleetChange::Environment(of, _) if *of != name("default") => Some(Salvage::Ignore),
        _ => None,
    });
    pair.run_for(MINUTE);
    let events = pair.events().into_iter().filter(|event| event.kind == EventKind::RecordUnreadable);
    let texts: Vec<_> = events.map(|event| event.text.to_string()).collect();
    assert_eq!(texts.len(), 17, "{texts:?}");
    assert!(texts.iter().any(|text| text.starts_with("24 more records")), "{texts:?}");
}
