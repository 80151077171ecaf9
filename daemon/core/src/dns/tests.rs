//! Tests of the rules that protect other owners, and of convergence.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::{
    Claim, DnsAbilities, DnsSpec, DomainName, EffectiveLabel, EffectiveLabels, ExtraRecord, LabelKey, LabelValue,
    Level, Name, NameTemplate, OwnedRecord, Owner, OwnerId, Ownership, ProviderReply, ProviderRequest, RecordKey,
    RecordSet, RecordState, RecordType, Selector, SiteId, Target, Text, Ttl, WallTime,
};
use proptest::prelude::*;

use super::*;
use crate::testing::NameServer;

const ZONE: &str = "example.org";

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn key(text: &str, rtype: &str) -> RecordKey {
    RecordKey { name: name(text), rtype: RecordType::of(rtype) }
}

fn set(text: &str, rtype: &str, values: &[&str]) -> RecordSet {
    RecordSet::parse(key(text, rtype), Ttl::DEFAULT, values).unwrap()
}

fn claim(owner: &str, site: u8) -> Claim {
    Claim { owner: OwnerId::parse(owner).unwrap(), site: SiteId::from_bytes([site; 16]) }
}

fn of(sets: &[RecordSet]) -> Wanted {
    Wanted { sets: sets.iter().map(|set| (set.key.clone(), set.clone())).collect(), ..Wanted::default() }
}

/// A site with persistent state that manages one zone.
struct Keeper {
    server: NameServer,
    claim: Claim,
    held: BTreeMap<RecordKey, OwnedRecord>,
    wanted: Wanted,
    deletes: Option<usize>,
    refused: BTreeMap<RecordKey, Refusal>,
    undone: BTreeSet<RecordKey>,
    rivals: BTreeMap<RecordKey, Vec<Rival>>,
}

impl Keeper {
    fn new(sets: &[RecordSet]) -> Self {
        let server = NameServer::new(&[ZONE]);
        Self {
            server,
            claim: claim("acme", 1),
            held: BTreeMap::new(),
            wanted: of(sets),
            deletes: Some(99),
            refused: BTreeMap::new(),
            undone: BTreeSet::new(),
            rivals: BTreeMap::new(),
        }
    }

    fn abilities(&mut self) -> DnsAbilities {
        match self.server.answer(&ProviderRequest::Check) {
            ProviderReply::Checked(abilities) => abilities,
            other => panic!("{other:?}"),
        }
    }

    fn plan(&mut self) -> Plan {
        let abilities = self.abilities();
        let observed: Vec<_> = self.server.zone(ZONE).into_values().collect();
        plan(&PlanInput {
            claim: &self.claim,
            abilities,
            wanted: &self.wanted,
            refused: &self.refused,
            undone: &self.undone,
            held: &self.held,
            others: &BTreeSet::new(),
            rivals: &self.rivals,
            observed: &observed,
            deletes: self.deletes,
            one_change_per_call: false,
        })
    }

    /// Runs one round and stops after a number of changes, as a crash would.
    fn round(&mut self, changes_max: usize) -> Plan {
        let plan = self.plan();
        self.held.extend(plan.notes.clone());
        plan.forget.iter().for_each(|key| drop(self.held.remove(key)));
        for changes in plan.steps.iter().take(changes_max) {
            let request = ProviderRequest::Apply { zone: name(ZONE), key: Text::default(), changes: changes.clone() };
            assert_eq!(self.server.answer(&request), ProviderReply::Applied, "{changes:?}");
            note_undone(&mut self.undone, changes);
        }
        plan
    }

    fn state(&mut self, of: &RecordKey) -> (RecordState, String) {
        let (state, detail) = self.plan().standing.get(of).cloned().expect("it has a standing");
        (state, detail.to_string())
    }

    fn settle(&mut self) {
        for _ in 0..5 {
            if self.round(usize::MAX).steps.is_empty() && self.plan().notes.is_empty() {
                return;
            }
        }
        panic!("it goes on writing: {:?}", self.plan());
    }
}

#[test]
fn a_claim_goes_first_and_with_its_record() {
    let mut keeper = Keeper::new(&[set("gw.example.org", "A", &["192.0.2.1"])]);
    let plan = keeper.plan();
    assert_eq!(plan.steps.len(), 1, "in one change, as the provider can");
    let names: Vec<_> = plan.steps[0].iter().map(|change| change.key().unwrap().to_string()).collect();
    assert_eq!(names, ["_linecamp-a.gw.example.org TXT", "gw.example.org A"]);
    keeper.settle();
    keeper.wanted = Wanted::default();
    let names: Vec<_> = keeper.plan().steps[0].iter().map(|change| change.key().unwrap().to_string()).collect();
    assert_eq!(names, ["gw.example.org A", "_linecamp-a.gw.example.org TXT"], "unclaimed last");
    keeper.settle();
    assert!(keeper.server.zone(ZONE).is_empty() && keeper.held.is_empty());
}

#[test]
fn a_second_round_writes_nothing() {
    let mut keeper = Keeper::new(&[
        set("gw.example.org", "A", &["192.0.2.1", "192.0.2.2"]),
        set("gw.example.org", "AAAA", &["2001:db8::1"]),
        set("*.gw.example.org", "CNAME", &["GW.example.org."]),
        set("t.example.org", "TXT", &["v=1 \"é\\"]),
    ]);
    keeper.settle();
    let writes = keeper.server.writes.len();
    keeper.settle();
    assert_eq!(keeper.server.writes.len(), writes);
}

#[test]
fn what_is_foreign_stays_and_is_named() {
    let wanted = set("gw.example.org", "A", &["192.0.2.1"]);
    let check = |plant: &dyn Fn(&mut NameServer), words: &str| {
        let mut keeper = Keeper::new(std::slice::from_ref(&wanted));
        plant(&mut keeper.server);
        let before = keeper.server.zone(ZONE);
        keeper.settle();
        let (state, detail) = keeper.state(&wanted.key);
        assert_eq!(state, RecordState::Conflict);
        assert!(detail.contains(words), "{detail}");
        keeper.wanted = Wanted::default();
        keeper.settle();
        assert_eq!(keeper.server.zone(ZONE), before, "to the last byte");
    };
    check(&|server| server.plant(ZONE, "gw.example.org", "A", &["198.51.100.7"]), "without a claim: 198.51.100.7");
    check(&|server| server.plant(ZONE, "gw.example.org", "A", &["192.0.2.1"]), "without a claim");
    check(&|server| server.plant(ZONE, "gw.example.org", "CNAME", &["other.example"]), "alias");
    check(&|server| server.plant(ZONE, "_linecamp-a.gw.example.org", "TXT", &["hello"]), "no claim");
    let other = claim("acme", 2).to_string();
    check(&|server| server.plant(ZONE, "_linecamp-a.gw.example.org", "TXT", &[&other]), "for site 0202");
    let other = claim("other", 1).to_string();
    check(&|server| server.plant(ZONE, "_linecamp-a.gw.example.org", "TXT", &[&other]), "owner other");
}

#[test]
fn a_name_is_taken_over_only_by_explicit_wish() {
    let wanted = set("gw.example.org", "A", &["192.0.2.1"]);
    let mut keeper = Keeper::new(std::slice::from_ref(&wanted));
    keeper.server.plant(ZONE, "gw.example.org", "A", &["198.51.100.7"]);
    let other = claim("acme", 2).to_string();
    keeper.server.plant(ZONE, "_linecamp-a.gw.example.org", "TXT", &[&other]);
    keeper.settle();
    let note = OwnedRecord {
        claim: keeper.claim.clone(),
        state: Ownership::Adopting,
        ttl: Ttl::DEFAULT,
        values: BTreeSet::new(),
    };
    keeper.held.insert(wanted.key.clone(), note);
    keeper.settle();
    assert_eq!(keeper.server.zone(ZONE)[&wanted.key], wanted);
    assert_eq!(keeper.held[&wanted.key].state, Ownership::Owned, "the wish is fulfilled once");
    keeper.server.plant(ZONE, "_linecamp-a.gw.example.org", "TXT", &[&other]);
    keeper.settle();
    assert_eq!(keeper.state(&wanted.key).0, RecordState::Conflict, "and not for ever");
}

#[test]
fn nothing_is_deleted_before_deletes_are_enabled_and_then_not_too_much_at_once() {
    let sets: Vec<_> = (1..=5).map(|n| set(&format!("h{n}.example.org"), "A", &["192.0.2.1"])).collect();
    let mut keeper = Keeper::new(&sets);
    keeper.settle();
    keeper.wanted = Wanted::default();
    keeper.deletes = None;
    assert!(keeper.plan().steps.is_empty());
    let (state, detail) = keeper.state(&sets[0].key);
    assert_eq!((state, detail.contains("not enabled")), (RecordState::Retained, true));
    keeper.deletes = Some(2);
    let plan = keeper.round(usize::MAX);
    let states: Vec<_> = plan.standing.values().map(|(state, _)| *state).collect();
    assert_eq!(states.iter().filter(|state| **state == RecordState::Delete).count(), 2);
    assert_eq!(states.iter().filter(|state| **state == RecordState::Retained).count(), 3);
    assert_eq!(keeper.server.zone(ZONE).len(), 6, "three records and their claims are left");
}

#[test]
fn drift_is_repaired_and_a_text_beside_the_claim_stays() {
    let wanted = set("gw.example.org", "A", &["192.0.2.1"]);
    let mut keeper = Keeper::new(std::slice::from_ref(&wanted));
    keeper.settle();
    keeper.server.plant(ZONE, "gw.example.org", "A", &["198.51.100.7"]);
    keeper.settle();
    assert_eq!(keeper.server.zone(ZONE)[&wanted.key], wanted, "changed by hand");
    keeper.server.pluck(ZONE, "_linecamp-a.gw.example.org", "TXT");
    keeper.settle();
    assert_eq!(keeper.server.zone(ZONE).len(), 2, "the claim was lost, and what stood was ours");
    let ours = keeper.claim.to_string();
    keeper.server.plant(ZONE, "_linecamp-a.gw.example.org", "TXT", &[&ours, "note"]);
    keeper.wanted = Wanted::default();
    keeper.settle();
    let left: Vec<_> = keeper.server.zone(ZONE).into_values().map(|set| set.to_string()).collect();
    assert_eq!(left, ["_linecamp-a.gw.example.org TXT 300 note"]);
}

#[test]
fn what_stands_as_it_was_noted_is_ours_without_its_claim() {
    let wanted = set("gw.example.org", "A", &["192.0.2.1"]);
    let mut keeper = Keeper::new(std::slice::from_ref(&wanted));
    keeper.settle();
    keeper.server.pluck(ZONE, "_linecamp-a.gw.example.org", "TXT");
    let changed = set("gw.example.org", "A", &["192.0.2.2"]);
    keeper.wanted = of(std::slice::from_ref(&changed));
    keeper.settle();
    assert_eq!(keeper.server.zone(ZONE)[&wanted.key], changed, "also where another value is wanted");
    keeper.server.pluck(ZONE, "_linecamp-a.gw.example.org", "TXT");
    keeper.wanted = Wanted::default();
    keeper.deletes = None;
    assert_eq!(keeper.state(&wanted.key).0, RecordState::Retained, "not before deletes are enabled");
    keeper.deletes = Some(9);
    keeper.settle();
    assert!(keeper.server.zone(ZONE).is_empty() && keeper.held.is_empty());
}

/// Two name servers may have zones with the same name, for example the internal and external view of a network.
#[test]
fn providers_that_write_one_name_to_two_places_do_not_disturb_each_other() {
    let (inside, outside) = (set("gw.example.org", "A", &["10.0.0.5"]), set("gw.example.org", "A", &["192.0.2.1"]));
    let mut keeper = Keeper::new(std::slice::from_ref(&outside));
    let (claim, state) = (keeper.claim.clone(), Ownership::Owned);
    let note = OwnedRecord { claim, state, ttl: inside.ttl, values: inside.values.clone() };
    let rival =
        Rival { name: Name::parse("inside").unwrap(), goes_first: true, is_same_place: false, note: Some(note) };
    keeper.rivals.insert(inside.key.clone(), vec![rival]);
    keeper.settle();
    assert_eq!(keeper.server.zone(ZONE)[&outside.key], outside);
    keeper.server.plant(ZONE, "gw.example.org", "A", &["198.51.100.7"]);
    keeper.settle();
    assert_eq!(keeper.server.zone(ZONE)[&outside.key], outside, "drift is repaired");
    keeper.wanted = Wanted::default();
    keeper.settle();
    assert!(keeper.server.zone(ZONE).is_empty());
}

#[test]
fn records_of_a_lost_database_are_found_by_their_claims() {
    let mut keeper = Keeper::new(&[set("old.example.org", "A", &["192.0.2.1"])]);
    keeper.settle();
    keeper.held.clear();
    keeper.wanted = Wanted::default();
    keeper.settle();
    assert!(keeper.server.zone(ZONE).is_empty());
}

#[test]
fn another_owner_id_takes_its_own_records_along() {
    let wanted = set("gw.example.org", "A", &["192.0.2.1"]);
    let mut keeper = Keeper::new(std::slice::from_ref(&wanted));
    keeper.settle();
    keeper.claim = claim("acme-two", 1);
    keeper.settle();
    let claimed = &keeper.server.zone(ZONE)[&key("_linecamp-a.gw.example.org", "TXT")];
    assert_eq!(Claim::read(claimed), Some(keeper.claim.clone()));
    assert_eq!(keeper.held[&wanted.key].claim, keeper.claim);
}

proptest! {
    /// For any records of other owners, any desired records and a crash anywhere: the zone converges, the records of
    /// other owners are untouched, and once nothing is desired none of our records is left.
    #[test]
    fn every_plan_comes_to_rest_and_leaves_others_alone(
        atomic in any::<bool>(),
        foreign in prop::collection::vec((0_usize..4, 0_usize..4), 0..6),
        wishes in prop::collection::vec(prop::collection::vec((0_usize..4, 0_usize..4, 0_u8..3), 0..6), 1..4),
        crashes in prop::collection::vec(0_usize..4, 0..6),
    ) {
        let names = ["a.example.org", "b.example.org", "*.example.org", "_linecamp-a.a.example.org"];
        let types = ["A", "AAAA", "CNAME", "TXT"];
        let value = |rtype: usize, n: u8| match types[rtype] {
            "A" => format!("192.0.2.{n}"),
            "AAAA" => format!("2001:db8::{n}"),
            "CNAME" => format!("t{n}.example"),
            _ => format!("text {n}"),
        };
        let mut keeper = Keeper::new(&[]);
        keeper.server.atomic = atomic;
        for (n, rtype) in foreign {
            keeper.server.plant(ZONE, names[n], types[rtype], &[&value(rtype, 77)]);
        }
        let planted = keeper.server.zone(ZONE);
        let mut crashes = crashes.into_iter();
        for wish in wishes {
            let mut wanted = Wanted::default();
            for (n, rtype, v) in wish {
                let set = set(names[n.min(2)], types[rtype], &[&value(rtype, v)]);
                wanted.sets.insert(set.key.clone(), set);
            }
            let aliases: Vec<_> = wanted.sets.keys().filter(|key| key.rtype == RecordType::Cname).cloned().collect();
            for alias in aliases {
                wanted.sets.retain(|key, _| key.name != alias.name || key.rtype == RecordType::Cname);
            }
            keeper.wanted = wanted;
            if let Some(crash) = crashes.next() {
                keeper.round(crash);
            }
            keeper.settle();
            let after = keeper.server.zone(ZONE);
            for (key, set) in &planted {
                prop_assert_eq!(after.get(key), Some(set), "foreign");
            }
        }
        keeper.wanted = Wanted::default();
        keeper.settle();
        prop_assert_eq!(keeper.server.zone(ZONE), planted);
        prop_assert!(keeper.held.is_empty());
    }
}

fn host(labels: &[(&str, &str)]) -> HostInput {
    let label = |value: &str| EffectiveLabel {
        value: LabelValue::parse(value).unwrap(),
        owner: Owner::Assigned,
        level: Level::Host,
        since: WallTime::EPOCH,
    };
    let labels: EffectiveLabels =
        labels.iter().map(|(key, value)| (LabelKey::parse(key).unwrap(), label(value))).collect();
    HostInput { name: Name::parse("gw").unwrap(), target: Target::Active, labels, observed: None }
}

fn dns_spec() -> DnsSpec {
    DnsSpec {
        owner: OwnerId::parse("acme").unwrap(),
        zones: [name(ZONE)].into(),
        template: NameTemplate::parse(NameTemplate::DEFAULT).unwrap(),
        ttl: Ttl::DEFAULT,
        hosts: Selector::default(),
        observed_address: false,
        allow_deletes: false,
        withdraw_inactive: false,
        extra: Vec::new(),
    }
}

fn wanted_of(spec: &DnsSpec, hosts: &[HostInput]) -> Wanted {
    let (site, environment) = (Name::parse("camp").unwrap(), Name::parse("retail").unwrap());
    wanted(spec, At { site: &site, environment: &environment, zone: &name(ZONE) }, hosts)
}

fn shown(wanted: &Wanted) -> Vec<String> {
    wanted.sets.values().map(RecordSet::to_string).collect()
}

#[test]
fn the_address_is_the_label_then_the_observed_one_then_its_own() {
    let own = ("io.linecamp.host.address", "10.0.0.5,fd00::5");
    let check = |labels: &[(&str, &str)], observed: Option<&str>, expected: &[&str]| {
        let spec = DnsSpec { observed_address: true, ..dns_spec() };
        let host = HostInput { observed: observed.map(|text| text.parse().unwrap()), ..host(labels) };
        assert_eq!(shown(&wanted_of(&spec, &[host])), expected);
    };
    check(&[own], None, &["gw.camp.retail.example.org A 300 10.0.0.5", "gw.camp.retail.example.org AAAA 300 fd00::5"]);
    check(&[own], Some("203.0.113.9"), &["gw.camp.retail.example.org A 300 203.0.113.9"]);
    let label = ("io.rancher.host.external_dns_ip", "192.0.2.1");
    check(&[own, label], Some("203.0.113.9"), &["gw.camp.retail.example.org A 300 192.0.2.1"]);
    let ours = ("io.linecamp.host.external_dns_ip", "192.0.2.2, 2001:DB8::2");
    let both = ["gw.camp.retail.example.org A 300 192.0.2.2", "gw.camp.retail.example.org AAAA 300 2001:db8::2"];
    check(&[own, label, ours], None, &both);
}

#[test]
fn an_invalid_address_is_set_aside_and_never_published() {
    let host = host(&[("io.linecamp.host.external_dns_ip", "not-an-ip"), ("io.linecamp.host.address", "10.0.0.5")]);
    let wanted = wanted_of(&dns_spec(), &[host]);
    assert!(wanted.sets.is_empty());
    let (key, reason) = wanted.set_aside.first_key_value().expect("set aside");
    assert_eq!(key.to_string(), "gw.camp.retail.example.org A");
    assert!(reason.as_str().contains("external_dns_ip is `not-an-ip`"), "{reason}");
}

#[test]
fn hosts_are_left_out_by_label_selector_and_phase() {
    let address = ("io.linecamp.host.address", "10.0.0.5");
    let count = |spec: &DnsSpec, host: HostInput| wanted_of(spec, &[host]).sets.len();
    assert_eq!(count(&dns_spec(), host(&[address])), 1);
    assert_eq!(count(&dns_spec(), host(&[address, ("io.linecamp.host.external_dns", "False")])), 0);
    let selective = DnsSpec { hosts: Selector::parse("tier=web").unwrap(), ..dns_spec() };
    assert_eq!(count(&selective, host(&[address])), 0);
    assert_eq!(count(&selective, host(&[address, ("tier", "web")])), 1);
    let inactive = HostInput { target: Target::Inactive, ..host(&[address]) };
    assert_eq!(count(&dns_spec(), inactive.clone()), 1, "what runs goes on");
    assert_eq!(count(&DnsSpec { withdraw_inactive: true, ..dns_spec() }, inactive), 0);
    assert_eq!(count(&dns_spec(), HostInput { target: Target::Pending, ..host(&[address]) }), 0);
}

#[test]
fn hosts_that_share_a_name_share_the_set_and_extra_records_are_filled_in() {
    let extra = |template: &str, rtype, value: &str| ExtraRecord {
        template: NameTemplate::parse(template).unwrap(),
        rtype,
        values: vec![Text::parse(value).unwrap()],
    };
    let spec = DnsSpec {
        template: NameTemplate::parse("{site}").unwrap(),
        extra: vec![
            extra("*.{site}", RecordType::Cname, "{site}.{zone}"),
            extra("{site}", RecordType::Cname, "elsewhere.example"),
            extra("i.{site}", RecordType::A, "nonsense"),
        ],
        ..dns_spec()
    };
    let address = |address| host(&[("io.linecamp.host.address", address)]);
    let wanted = wanted_of(&spec, &[address("10.0.0.5"), address("10.0.0.6")]);
    assert_eq!(
        shown(&wanted),
        ["*.camp.example.org CNAME 300 camp.example.org", "camp.example.org A 300 10.0.0.5 10.0.0.6"]
    );
    let aside: Vec<_> = wanted.set_aside.keys().map(RecordKey::to_string).collect();
    assert_eq!(aside, ["camp.example.org CNAME", "i.camp.example.org A"]);
}

#[test]
fn a_record_that_was_begun_and_never_seen_is_deleted_before_one_with_another_value_is_made() {
    let (old, new) = (set("a.example.org", "A", &["192.0.2.1"]), set("a.example.org", "A", &["192.0.2.2"]));
    let mut keeper = Keeper::new(std::slice::from_ref(&new));
    let note = OwnedRecord {
        claim: keeper.claim.clone(),
        state: Ownership::Pending,
        ttl: old.ttl,
        values: old.values.clone(),
    };
    keeper.held.insert(old.key.clone(), note);
    let plan = keeper.plan();
    let first = &plan.steps[0];
    assert!(first.iter().all(|change| change.after.is_none()), "{first:?}");
    assert!(plan.blind.contains(&old.key), "{:?}", plan.blind);
    keeper.undone.insert(old.key.clone());
    let made = keeper.plan().steps.into_iter().flatten().filter_map(|change| change.after);
    assert!(made.into_iter().any(|set| set == new), "once it is gone the new one is made");
}
