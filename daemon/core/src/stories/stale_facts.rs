//! A fact that could not be observed keeps its last value and causes no deletes.

use std::collections::BTreeMap;

use linecamp_model::{Condition, ConditionKind, FleetProvider, LabelKey, LabelValue, Level, Selector, Text, WallTime};

use super::records::{MINUTE, plain_site, provider, shown};
use crate::testing::{Pair, key, name, patch};
use crate::{
    DropIns, FACTS_PERIOD, FIRST_FACTS_MAX, Fact, FleetCommand, LabelLayer, OWN_ADDRESS_LABEL, RECONCILE_INTERVAL,
};

const DOCKER: &str = "io.linecamp.host.docker_version";
const GATEWAY: &str = "camp.camp.default.example.org A 300 192.0.2.1";

/// Returns a connected site with Docker, and a central provider that selects it.
fn site_with_docker(seed: u64) -> Pair {
    let mut pair = plain_site(seed);
    pair.nodes[0].facts.insert(key(DOCKER), LabelValue::parse("29.1.3").unwrap());
    pair.run_for(2 * FACTS_PERIOD);
    let provider = FleetProvider { sites: Selector::parse(DOCKER).unwrap(), spec: provider(), matches_facts: true };
    pair.ask(FleetCommand::SetProvider(name("default"), Box::new(provider), true)).expect("added");
    pair.run_for(MINUTE);
    assert_eq!(shown(&pair), [GATEWAY]);
    pair
}

fn stale(pair: &Pair) -> Option<Condition> {
    let conditions = pair.site().view(pair.now()).conditions;
    conditions.into_iter().find(|condition| condition.kind == ConditionKind::FactsStale)
}

fn is_stale_at_the_server(pair: &Pair) -> bool {
    pair.view().conditions.iter().any(|condition| condition.kind == ConditionKind::FactsStale)
}

fn since_of(pair: &Pair, label: &str) -> WallTime {
    pair.view().labels[&key(label)].since
}

#[test]
fn a_slow_docker_keeps_its_label_provider_and_record() {
    let mut pair = site_with_docker(31);
    let (since, writes) = (since_of(&pair, DOCKER), pair.name_server.writes.len());
    pair.nodes[0].not_observed.insert(key(DOCKER));
    pair.run_for(FACTS_PERIOD * 3 / 2);
    assert_eq!(pair.seen_label(DOCKER).as_deref(), Some("29.1.3"), "the last value is kept");
    assert!(is_stale_at_the_server(&pair), "and the operator sees that it is old");
    let detail = stale(&pair).expect("also at the site").detail.to_string();
    assert!(detail.contains(DOCKER) && detail.contains("no answer") && detail.contains("since"), "{detail}");

    pair.nodes[0].not_observed.clear();
    pair.run_for(FACTS_PERIOD);
    assert_eq!((stale(&pair), is_stale_at_the_server(&pair)), (None, false));
    pair.run_for(2 * RECONCILE_INTERVAL);
    assert_eq!(since_of(&pair, DOCKER), since, "it was never removed");
    assert_eq!(shown(&pair), [GATEWAY]);
    assert_eq!(pair.name_server.writes.len(), writes, "nothing was deleted and recreated");
}

#[test]
fn an_absent_fact_is_removed_with_its_provider_and_record() {
    let mut pair = site_with_docker(32);
    pair.nodes[0].facts.remove(&key(DOCKER));
    pair.run_for(FACTS_PERIOD + 2 * MINUTE);
    assert_eq!((pair.seen_label(DOCKER), stale(&pair)), (None, None));
    assert!(shown(&pair).is_empty(), "the provider was removed with its record");
}

#[test]
fn an_unobserved_fact_keeps_its_value_and_age_across_restarts() {
    let mut pair = site_with_docker(33);
    pair.nodes[0].not_observed = [key(DOCKER), key(OWN_ADDRESS_LABEL)].into();
    pair.run_for(FACTS_PERIOD);
    let since = stale(&pair).expect("not observed").since;
    for _ in 0..3 {
        pair.run_for(20 * MINUTE);
        pair.crash_site();
        assert_eq!(stale(&pair).expect("also before the first facts").since, since);
        pair.run_for(2 * MINUTE);
        let now = stale(&pair).expect("not observed yet");
        assert_eq!(now.since, since);
        assert!(now.detail.as_str().contains(&format!("{DOCKER} not observed since {since}")), "{}", now.detail);
    }
    assert_eq!(shown(&pair), [GATEWAY], "neither the provider nor the address was removed");
    let writes = pair.nodes[0].writes;
    pair.run_for(60 * MINUTE);
    assert_eq!(pair.nodes[0].writes, writes, "repeated failures write nothing");
}

#[test]
fn a_fact_that_was_never_observed_raises_no_condition() {
    let mut pair = Pair::new(34);
    pair.nodes[0].not_observed.insert(key(DOCKER));
    pair.run_for(2 * MINUTE);
    assert_eq!((pair.seen_label(DOCKER), stale(&pair)), (None, None));
    let whys = pair.site().why(pair.now());
    let facts = whys.iter().find(|why| why.part == "facts").expect("every part is listed");
    assert!(facts.detail.contains(&format!("{DOCKER} not observed since")), "{}", facts.detail);
}

/// A site that lost its database has no reported facts: it connects only after the first collection.
#[test]
fn a_site_that_lost_its_database_collects_facts_before_connecting() {
    let mut pair = site_with_docker(35);
    let (writes, spec) = (pair.name_server.writes.len(), pair.view().spec_generation);
    pair.cut(0);
    pair.run_for(MINUTE);
    pair.heal(0);
    pair.facts_take = FIRST_FACTS_MAX / 2;
    pair.lose_site_database();
    pair.run_for(2 * RECONCILE_INTERVAL);
    assert_eq!(pair.seen_label(DOCKER).as_deref(), Some("29.1.3"));
    assert_eq!(pair.view().spec_generation, spec, "the provider was not removed and added again");
    assert_eq!((shown(&pair), pair.name_server.writes.len()), (vec![GATEWAY.to_owned()], writes));
}

/// A daemon that starts with an unreadable label file does not know its earlier contents.
#[test]
fn labels_of_a_file_that_is_unreadable_at_startup_are_kept() {
    let mut pair = plain_site(36);
    let layer = |labels: &[&str]| -> LabelLayer { [(Level::Site, patch(labels).set)].into() };
    let now = pair.now();
    let whole = DropIns { labels: layer(&["rack=r7", "tier=lab"]), ..DropIns::default() };
    pair.nodes[0].site.handle_drop_ins(whole.clone(), now);
    pair.run_for(MINUTE);
    let invalid = Some(Text::lossy("a.toml: permission denied"));
    let partial = DropIns { labels: layer(&["tier=lab"]), invalid, is_partial: true, ..DropIns::default() };
    for _ in 0..2 {
        pair.nodes[0].drop_ins = partial.clone();
        pair.crash_site();
        pair.run_for(2 * MINUTE);
        assert_eq!(pair.seen_label("rack").as_deref(), Some("r7"));
    }
    let now = pair.now();
    pair.nodes[0].site.handle_drop_ins(DropIns { labels: layer(&["tier=lab"]), ..DropIns::default() }, now);
    pair.run_for(MINUTE);
    assert_eq!(pair.seen_label("rack"), None, "it was read, and the label is not there");
    assert_eq!(pair.seen_label("tier").as_deref(), Some("lab"));
}

#[test]
fn a_collection_reports_observed_unobserved_and_absent_facts() {
    let mut pair = plain_site(37);
    let round = |facts: &[(&str, Fact)]| -> BTreeMap<LabelKey, Fact> {
        facts.iter().map(|(label, fact)| (key(label), fact.clone())).collect()
    };
    let one = Fact::Observed(LabelValue::parse("1").unwrap());
    let check = |pair: &mut Pair, fact: Fact, expected: Option<&str>| {
        let now = pair.now();
        pair.nodes[0].site.handle_facts(round(&[("a", fact)]), now);
        assert_eq!(pair.label_entry("a").as_deref(), expected);
    };
    check(&mut pair, Fact::NotObserved(Text::lossy("why")), None);
    check(&mut pair, one, Some("1"));
    check(&mut pair, Fact::NotObserved(Text::lossy("why")), Some("1"));
    check(&mut pair, Fact::NotObserved(Text::lossy("another why")), Some("1"));
    check(&mut pair, Fact::Absent, None);
    check(&mut pair, Fact::NotObserved(Text::lossy("why")), None);
}
