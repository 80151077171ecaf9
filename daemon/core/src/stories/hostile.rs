//! Members that lie and flood: what a site with a valid certificate can cost the server, and other sites.

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_model::limits::{COUNTER_MAX, EVENTS_PER_MESSAGE_MAX, PROVIDERS_PER_SITE_MAX, SERVER_EVENTS_PER_SITE_MAX};
use linecamp_model::{
    DnsStatus, Document, DocumentKey, Event, EventBatch, EventKind, FleetChange, FleetProvider, FromMember, FromParent,
    Generation, PluginDigest, PluginWant, ProviderId, ProviderStatus, Salvage, Selector, SiteId, StatusBody,
    StatusDelta, Text, WallTime,
};

use proptest::prelude::*;

use crate::testing::{Pair, name, patch, site_ref};
use crate::{EnvironmentEdit, EventFilter, FleetCommand, SeenLabels, SiteFilter};

const MINUTE: Duration = Duration::from_secs(60);

/// Returns an event of a hostile site about another site.
fn event(kind: EventKind, at: u64) -> Event {
    Event {
        at: WallTime::from_unix_millis(at),
        kind,
        site: Some(SiteId::from_bytes([9; 16])),
        host: None,
        text: Text::lossy("hostile"),
    }
}

fn batch(first: u64, events: usize) -> FromMember {
    let events = vec![event(EventKind::DaemonStarted, 0); events];
    FromMember::Events(EventBatch { first, dropped: 0, events })
}

/// Returns the status of a provider without records.
pub(super) fn provider_status(number: u64) -> ProviderStatus {
    ProviderStatus {
        name: name(&format!("p{number}")),
        is_local: true,
        plugin: Text::default(),
        failure: None,
        converged: Generation::ZERO,
        kind: DnsStatus::default().into(),
    }
}

fn provider(number: u64) -> (DocumentKey, StatusBody) {
    let status = provider_status(number);
    (DocumentKey::Provider(ProviderId::of(&status.name)), StatusBody::Provider(status))
}

/// Returns a delta from `base` with the status of one provider.
fn status(base: Generation, number: u64, body: bool) -> (FromMember, Generation) {
    let to = base.next();
    let (key, status) = provider(number);
    let documents = BTreeMap::from([(key, Document { generation: to, body: body.then_some(status) })]);
    (FromMember::Status(StatusDelta { base, to, snapshot: false, documents, more: false }), to)
}

#[test]
fn an_event_number_near_the_maximum_is_rejected_and_the_server_restarts() {
    let mut pair = Pair::linked(1);
    pair.say(0, batch(COUNTER_MAX, EVENTS_PER_MESSAGE_MAX));
    pair.run_for(MINUTE);
    pair.assert_readable();
    assert!(pair.hangup_of(0).is_some_and(|refusal| refusal.contains("event number")), "{:?}", pair.hangup_of(0));
    pair.crash_fleet();
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked());
}

#[test]
fn a_site_that_claims_too_new_a_spec_gets_a_new_incarnation_and_no_other_does() {
    let mut pair = Pair::linked(2);
    let other = pair.add_node("other");
    pair.run_for(MINUTE);
    let deltas = pair.deltas_delivered;
    pair.greet_with(0, |hello| hello.spec_held = Generation(COUNTER_MAX));
    pair.run_for(5 * MINUTE);
    pair.assert_readable();
    assert!(pair.view().spec_generation < Generation(100), "{}", pair.view().spec_generation);
    assert!(pair.is_linked() && pair.is_linked_node(other));
    pair.ask(FleetCommand::PatchLabels(site_ref("camp").into(), patch(&["rack=r7"]))).expect("assigned");
    pair.run_for(MINUTE);
    assert_eq!(pair.label_entry("rack").as_deref(), Some("r7"));
    assert!(pair.deltas_delivered <= deltas + 4, "the other site received nothing again");
    pair.crash_fleet();
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked() && pair.is_linked_node(other));
    assert_eq!(pair.view().spec_generation, pair.view().converged_generation);
}

#[test]
fn an_acknowledgement_of_an_unsent_generation_ends_the_session() {
    let mut pair = Pair::linked(3);
    pair.say(0, FromMember::SpecAck(Generation(COUNTER_MAX)));
    pair.run_for(Duration::from_secs(1));
    assert!(pair.hangup_of(0).is_some_and(|refusal| refusal.contains("acknowledged")), "{:?}", pair.hangup_of(0));
    pair.run_for(5 * MINUTE);
    pair.ask(FleetCommand::PatchLabels(site_ref("camp").into(), patch(&["rack=r7"]))).expect("assigned");
    pair.run_for(MINUTE);
    assert_eq!(pair.label_entry("rack").as_deref(), Some("r7"));
}

#[test]
fn a_pending_site_can_only_wait() {
    let mut pair = Pair::new(4);
    let edit = EnvironmentEdit { approval: Some(true), ..EnvironmentEdit::default() };
    pair.ask(FleetCommand::EditEnvironment(name("default"), edit)).expect("edited");
    pair.nodes[0].facts = patch(&["io.linecamp.host.os=debian"]).set;
    pair.run_for(5 * MINUTE);
    assert_eq!(pair.seen_label("io.linecamp.host.os").as_deref(), Some("debian"), "its facts are in the hello");
    let writes = pair.fleet_writes;
    pair.say(0, batch(1, 1));
    pair.run_for(MINUTE);
    assert!(pair.hangup_of(0).is_some_and(|refusal| refusal.contains("pending")), "{:?}", pair.hangup_of(0));
    pair.run_for(MINUTE);
    pair.say(0, status(Generation::ZERO, 1, true).0);
    pair.run_for(5 * MINUTE);
    assert_eq!(pair.fleet_writes, writes, "none of it was written");
    for _ in 0..20 {
        pair.greet_with(0, |hello| hello.spec_held = Generation(COUNTER_MAX));
        pair.run_for(MINUTE);
    }
    assert_eq!(pair.fleet_writes, writes, "and nothing of what it claims to have");
    assert!(pair.is_linked());
    pair.ask(FleetCommand::Accept(site_ref("camp"))).expect("accepted");
    pair.run_for(5 * MINUTE);
    assert_eq!(pair.view().phase, linecamp_model::Phase::Active);
    assert_eq!(pair.view().spec_generation, pair.view().converged_generation);
}

#[test]
fn a_flood_of_documents_stays_within_the_limit_of_one_site() {
    let mut pair = Pair::linked(5);
    pair.impersonate(0);
    for number in 0..200 {
        let base = pair.status_head();
        pair.say(0, status(base, number, true).0);
        pair.run_for(10 * MINUTE);
        assert!(pair.status_documents() <= 2 + PROVIDERS_PER_SITE_MAX, "{} documents", pair.status_documents());
    }
}

#[test]
fn a_flood_of_deletions_leaves_at_most_one_tombstone() {
    let mut pair = Pair::linked(6);
    pair.impersonate(0);
    for number in 0..100 {
        for is_there in [true, false] {
            let base = pair.status_head();
            pair.say(0, status(base, number, is_there).0);
            pair.run_for(MINUTE);
        }
        assert!(pair.status_documents() <= 3, "{} documents after {number}", pair.status_documents());
    }
}

#[test]
fn a_flooding_member_is_throttled_and_disconnected() {
    let mut pair = Pair::linked(7);
    pair.impersonate(0);
    let (writes, before) = (pair.fleet_writes, pair.now());
    for number in 0..100_u64 {
        pair.say(0, batch(1_000 + number * 64, EVENTS_PER_MESSAGE_MAX));
        pair.run_for(Duration::from_millis(10));
        if pair.hangup_of(0).is_some() {
            break;
        }
    }
    assert!(pair.hangup_of(0).is_some_and(|refusal| refusal.ends_with("(busy)")), "{:?}", pair.hangup_of(0));
    assert!(pair.fleet_writes - writes < 40, "{} writes", pair.fleet_writes - writes);
    // A site that waits for each acknowledgement is slowed down instead.
    pair.run_for(30 * MINUTE);
    let (mut sent, start) = (0, pair.now());
    while pair.now().instant.saturating_since(start.instant) < 10 * MINUTE {
        pair.say(0, batch(100_000 + sent, EVENTS_PER_MESSAGE_MAX));
        sent += EVENTS_PER_MESSAGE_MAX as u64;
        pair.run_until(|pair| pair.events_acknowledged(0) == Some(100_000 + sent - 1));
    }
    assert!(sent < 600 * 64 + 4_096, "{sent} events in ten minutes; since {before:?}");
}

#[test]
fn constant_label_changes_by_an_operator_do_not_count_as_a_flood() {
    let mut pair = Pair::linked(14);
    for number in 0..20_000_u32 {
        let label = format!("rack=r{number}");
        pair.operator(FleetCommand::PatchLabels(site_ref("camp").into(), patch(&[&label])));
        pair.run_for(Duration::from_millis(10));
    }
    assert_eq!(pair.hangup_of(0), None);
    pair.run_for(5 * MINUTE);
    assert_eq!(pair.view().spec_generation, pair.view().converged_generation);
}

#[test]
fn events_of_a_site_are_marked_and_displace_none_of_the_servers() {
    let mut pair = Pair::linked(8);
    pair.impersonate(0);
    let sender = pair.site_id(0);
    let own = pair.server_events();
    for number in 0..20 {
        pair.say(0, batch(10 + number * 64, EVENTS_PER_MESSAGE_MAX));
        pair.run_for(2 * MINUTE);
    }
    assert_eq!(pair.server_events(), own, "the server's own events stay");
    let site: Vec<_> = pair
        .fleet
        .view()
        .events(0, EventFilter::default(), 10_000)
        .into_iter()
        .filter(|view| view.received_at.is_some())
        .collect();
    assert_eq!(site.len(), SERVER_EVENTS_PER_SITE_MAX);
    assert!(site.iter().all(|view| view.event.site == Some(sender)), "an event is about the site that sent it");
    assert!(
        site.iter()
            .all(|view| view.event.at == WallTime::from_unix_millis(0) && view.received_at > Some(view.event.at))
    );
}

#[test]
fn an_event_kind_reserved_for_the_server_is_rejected() {
    let mut pair = Pair::linked(9);
    let events = vec![event(EventKind::SiteAccepted, 0)];
    pair.say(0, FromMember::Events(EventBatch { first: 100, dropped: 0, events }));
    pair.run_for(MINUTE);
    assert!(pair.hangup_of(0).is_some_and(|refusal| refusal.contains("site-accepted")), "{:?}", pair.hangup_of(0));
    assert!(pair.events().iter().all(|event| event.kind != EventKind::SiteAccepted));
}

#[test]
fn a_site_disconnects_from_a_server_that_acknowledges_unsent_data() {
    let mut pair = Pair::linked(10);
    for claim in [FromParent::EventsAck(COUNTER_MAX), FromParent::StatusAck(Generation(COUNTER_MAX))] {
        let dial = pair.dial_of(0);
        pair.tell(0, claim.clone());
        pair.run_for(5 * MINUTE);
        pair.assert_readable();
        assert!(pair.is_linked() && pair.dial_of(0) != dial, "{claim:?} did not end the session");
    }
    pair.nodes[0].facts = patch(&["io.linecamp.host.os=debian"]).set;
    pair.run_for(crate::FACTS_PERIOD * 2);
    assert_eq!(pair.seen_label("io.linecamp.host.os").as_deref(), Some("debian"), "it still reports");
}

#[test]
fn a_site_restarts_after_a_server_claims_the_maximum_event_number() {
    let mut pair = Pair::linked(11);
    pair.welcome_with(0, |welcome| welcome.events_held = COUNTER_MAX);
    pair.run_for(5 * MINUTE);
    pair.assert_readable();
    pair.local_command(crate::SiteCommand::PatchLabels(linecamp_model::Level::Site, patch(&["door=3"])));
    pair.run_for(MINUTE);
    pair.assert_readable();
    pair.crash_site();
    pair.run_for(5 * MINUTE);
    assert_eq!(pair.seen_label("door").as_deref(), Some("3"));
    assert!(pair.events().iter().any(|event| event.kind == EventKind::LabelsSetLocally), "and its event arrived");
}

#[test]
fn a_site_cannot_assign_itself_a_provider_with_a_local_label() {
    let mut pair = Pair::linked(12);
    let central = |matches_facts| FleetProvider {
        sites: Selector::parse("dns=main").unwrap(),
        spec: super::records::provider(),
        matches_facts,
    };
    let set = |provider| FleetCommand::SetProvider(name("default"), Box::new(provider), true);
    pair.ask(set(central(false))).expect("set");
    for level in [linecamp_model::Level::Site, linecamp_model::Level::Host] {
        pair.local_command(crate::SiteCommand::PatchLabels(level, patch(&["dns=main"])));
    }
    pair.nodes[0].facts = patch(&["dns=main"]).set;
    pair.run_for(5 * MINUTE);
    assert_eq!(pair.seen_label("dns").as_deref(), Some("main"), "operators see it");
    let selected = |pair: &Pair, labels| {
        let selector = Selector::parse("dns=main").unwrap();
        pair.fleet.view().sites(&SiteFilter { selector, labels, ..SiteFilter::default() }, pair.now()).len()
    };
    assert_eq!(selected(&pair, SeenLabels::Effective), 1, "and can select by it");
    assert_eq!(selected(&pair, SeenLabels::Assigned), 0, "the preview of a provider does not match it");
    assert_eq!(selected(&pair, SeenLabels::AssignedAndReported), 1, "unless the provider matches facts");
    assert_eq!(pair.fleet.view().providers(None)[0].sites, 0, "and the provider has no site");
    pair.ask(set(central(true))).expect("set");
    pair.run_for(MINUTE);
    assert_eq!(pair.fleet.view().providers(None)[0].sites, 1, "reported facts match if the operator allows it");
}

#[test]
fn an_unreadable_record_affects_one_site_and_never_the_fleet() {
    let mut pair = Pair::linked(13);
    let other = pair.add_node("other");
    pair.nodes[0].facts = patch(&["io.linecamp.host.os=debian"]).set;
    pair.run_for(crate::FACTS_PERIOD * 2);
    let site = pair.site_id(0);
    // The document of the site is newer than that of its host.
    pair.ask(FleetCommand::PatchLabels(site_ref("camp").into(), patch(&["rack=r7"]))).expect("assigned");
    pair.run_for(MINUTE);
    // Status: the site is asked for a snapshot.
    pair.start_fleet_without(|change| match change {
        FleetChange::Status(of, DocumentKey::Site, _) if *of == site => {
            Some(Salvage::Remove(FleetChange::Status(site, DocumentKey::Site, None)))
        }
        _ => None,
    });
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked() && pair.is_linked_node(other));
    assert_eq!(pair.view().spec_generation, pair.view().converged_generation);
    // The same for a document that is older than the newest remaining one.
    pair.start_fleet_without(|change| match change {
        FleetChange::Status(of, key @ DocumentKey::Host(_), _) if *of == site => {
            Some(Salvage::Remove(FleetChange::Status(site, *key, None)))
        }
        _ => None,
    });
    pair.run_for(5 * MINUTE);
    assert_eq!(pair.seen_label("io.linecamp.host.os").as_deref(), Some("debian"), "the site sent it again");
    // Any other record: that site is refused, and the others continue.
    pair.start_fleet_without(|change| match change {
        FleetChange::Spec(of, DocumentKey::Site, _) if *of == site => Some(Salvage::Quarantine(site)),
        _ => None,
    });
    pair.run_for(5 * MINUTE);
    assert!(!pair.is_linked() && pair.is_linked_node(other));
    assert!(
        pair.hangup_of(0).is_some_and(|refusal| refusal.contains("cannot read its record")),
        "{:?}",
        pair.hangup_of(0)
    );
    assert_eq!(pair.fleet.quarantined().map(|(of, _)| of).collect::<Vec<_>>(), [site]);
    let unreadable = pair.events().into_iter().filter(|event| event.kind == EventKind::RecordUnreadable);
    assert_eq!(unreadable.count(), 3);
    assert_eq!(pair.nodes[0].ended, None, "and the site keeps its identity");
    // None of its records was changed: repairing the record is enough.
    pair.crash_fleet();
    pair.run_for(15 * MINUTE);
    assert!(pair.is_linked(), "{}", pair.trace());
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..9_u64, 990..1_010_u64, Just(COUNTER_MAX / 2), COUNTER_MAX - 70..=COUNTER_MAX]
}

/// Generates the next message of a hostile member.
fn lie() -> impl Strategy<Value = FromMember> {
    let kind = prop_oneof![Just(EventKind::DaemonStarted), Just(EventKind::RecordsLeft), Just(EventKind::SiteJoined)];
    let events = (number(), number(), kind, 0..EVENTS_PER_MESSAGE_MAX).prop_map(|(first, dropped, kind, count)| {
        FromMember::Events(EventBatch { first, dropped, events: vec![event(kind, first); count] })
    });
    let delta =
        (number(), number(), 0..30_u64, any::<[bool; 3]>()).prop_map(|(base, to, of, [snapshot, is_there, more])| {
            let (base, to) = (Generation(if snapshot { 0 } else { base.min(to) }), Generation(to));
            let (key, body) = provider(of);
            let documents = BTreeMap::from([(key, Document { generation: to, body: is_there.then_some(body) })]);
            FromMember::Status(StatusDelta { base, to, snapshot, documents, more })
        });
    let want =
        number().prop_map(|offset| FromMember::WantPlugin(PluginWant { digest: PluginDigest::of(b"x"), offset }));
    prop_oneof![
        3 => events,
        3 => delta,
        1 => number().prop_map(|held| FromMember::SpecAck(Generation(held))),
        1 => want,
        1 => Just(FromMember::Renew),
        1 => Just(FromMember::Alive),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a member sends, in any order: every staged write can be read back, its own share stays within its
    /// limits, and the server and the other sites keep working.
    #[test]
    fn staged_writes_are_readable_whatever_a_member_sends(
        seed in 0..1_000_u64,
        lies in prop::collection::vec((lie(), 1..5_000_u64), 1..60),
        claim in 0..3_usize,
    ) {
        let mut pair = Pair::linked(seed);
        let other = pair.add_node("other");
        pair.run_for(MINUTE);
        pair.impersonate(0);
        let claims: [fn(&mut linecamp_model::Hello); 3] = [
            |hello| hello.spec_held = Generation(COUNTER_MAX),
            |hello| hello.spec_incarnation = linecamp_model::Incarnation(1),
            |hello| hello.status_incarnation = linecamp_model::Incarnation(1),
        ];
        pair.greet_with(0, claims[claim]);
        for (lie, pause) in lies {
            pair.run_for(Duration::from_millis(pause));
            pair.say(0, lie);
            pair.assert_readable();
            prop_assert!(pair.status_documents() <= 3 + PROVIDERS_PER_SITE_MAX);
        }
        pair.crash_fleet();
        pair.run_for(10 * MINUTE);
        pair.assert_readable();
        prop_assert!(pair.is_linked_node(other), "{}", pair.trace());
    }
}
