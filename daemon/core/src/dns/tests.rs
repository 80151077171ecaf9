//! Tests of the rules that protect other owners, and of convergence.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::{
    Capabilities, Claim, DnsCapabilities, DnsReply, DnsRequest, DomainName, Name, OwnedRecord, OwnerId, Ownership,
    ProviderReply, ProviderRequest, RecordKey, RecordSet, RecordState, RecordType, SiteId, Text, Ttl,
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

fn of(sets: &[RecordSet]) -> DesiredRecords {
    DesiredRecords {
        sets: sets.iter().map(|set| (set.key.clone(), set.clone())).collect(),
        ..DesiredRecords::default()
    }
}

/// A site with persistent state that manages one zone.
struct Keeper {
    server: NameServer,
    claim: Claim,
    owned: BTreeMap<RecordKey, OwnedRecord>,
    desired: DesiredRecords,
    deletes: Option<usize>,
    quarantined: BTreeMap<RecordKey, Rejection>,
    deleted: BTreeSet<RecordKey>,
    rivals: BTreeMap<RecordKey, Vec<Rival>>,
}

impl Keeper {
    fn new(sets: &[RecordSet]) -> Self {
        let server = NameServer::new(&[ZONE]);
        Self {
            server,
            claim: claim("acme", 1),
            owned: BTreeMap::new(),
            desired: of(sets),
            deletes: Some(99),
            quarantined: BTreeMap::new(),
            deleted: BTreeSet::new(),
            rivals: BTreeMap::new(),
        }
    }

    fn capabilities(&mut self) -> DnsCapabilities {
        match self.server.answer(&ProviderRequest::Validate) {
            ProviderReply::Validated(Capabilities::Dns(capabilities)) => capabilities,
            other => panic!("{other:?}"),
        }
    }

    fn plan(&mut self) -> Plan {
        let capabilities = self.capabilities();
        let observed: Vec<_> = self.server.zone(ZONE).into_values().collect();
        plan(&PlanInput {
            claim: &self.claim,
            capabilities,
            desired: &self.desired,
            quarantined: &self.quarantined,
            deleted: &self.deleted,
            owned: &self.owned,
            others: &BTreeSet::new(),
            rivals: &self.rivals,
            observed: &observed,
            deletes: self.deletes,
            one_change_per_call: false,
        })
    }

    /// Runs one round and stops after a number of changes, as a crash would.
    fn round(&mut self, max_batch_size: usize) -> Plan {
        let plan = self.plan();
        self.owned.extend(plan.notes.clone());
        plan.forget.iter().for_each(|key| drop(self.owned.remove(key)));
        for changes in plan.steps.iter().take(max_batch_size) {
            let request = DnsRequest::Apply { zone: name(ZONE), key: Text::default(), changes: changes.clone() };
            let request = ProviderRequest::Dns(request);
            assert_eq!(self.server.answer(&request), ProviderReply::Dns(DnsReply::Applied), "{changes:?}");
            track_deleted(&mut self.deleted, changes);
        }
        plan
    }

    fn state(&mut self, of: &RecordKey) -> (RecordState, String) {
        let (state, detail) = self.plan().states.get(of).cloned().expect("it has a states");
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
fn a_claim_is_created_before_its_record_and_deleted_after_it() {
    let mut keeper = Keeper::new(&[set("gw.example.org", "A", &["192.0.2.1"])]);
    let plan = keeper.plan();
    assert_eq!(plan.steps.len(), 1, "in one change, as the provider can");
    let names: Vec<_> = plan.steps[0].iter().map(|change| change.key().unwrap().to_string()).collect();
    assert_eq!(names, ["_linecamp-a.gw.example.org TXT", "gw.example.org A"]);
    keeper.settle();
    keeper.desired = DesiredRecords::default();
    let names: Vec<_> = keeper.plan().steps[0].iter().map(|change| change.key().unwrap().to_string()).collect();
    assert_eq!(names, ["gw.example.org A", "_linecamp-a.gw.example.org TXT"], "unclaimed last");
    keeper.settle();
    assert!(keeper.server.zone(ZONE).is_empty() && keeper.owned.is_empty());
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
fn foreign_records_are_kept_and_reported() {
    let desired = set("gw.example.org", "A", &["192.0.2.1"]);
    let check = |plant: &dyn Fn(&mut NameServer), words: &str| {
        let mut keeper = Keeper::new(std::slice::from_ref(&desired));
        plant(&mut keeper.server);
        let before = keeper.server.zone(ZONE);
        keeper.settle();
        let (state, detail) = keeper.state(&desired.key);
        assert_eq!(state, RecordState::Conflict);
        assert!(detail.contains(words), "{detail}");
        keeper.desired = DesiredRecords::default();
        keeper.settle();
        assert_eq!(keeper.server.zone(ZONE), before, "to the last byte");
    };
    check(
        &|server| server.plant(ZONE, "gw.example.org", "A", &["198.51.100.7"]),
        "without an ownership TXT record: 198.51.100.7",
    );
    check(&|server| server.plant(ZONE, "gw.example.org", "A", &["192.0.2.1"]), "without an ownership TXT record");
    check(&|server| server.plant(ZONE, "gw.example.org", "CNAME", &["other.example"]), "CNAME");
    check(&|server| server.plant(ZONE, "_linecamp-a.gw.example.org", "TXT", &["hello"]), "not an ownership record");
    let other = claim("acme", 2).to_string();
    check(&|server| server.plant(ZONE, "_linecamp-a.gw.example.org", "TXT", &[&other]), "for site 0202");
    let other = claim("other", 1).to_string();
    check(&|server| server.plant(ZONE, "_linecamp-a.gw.example.org", "TXT", &[&other]), "owner other");
}

#[test]
fn a_foreign_name_is_adopted_only_on_request() {
    let desired = set("gw.example.org", "A", &["192.0.2.1"]);
    let mut keeper = Keeper::new(std::slice::from_ref(&desired));
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
    keeper.owned.insert(desired.key.clone(), note);
    keeper.settle();
    assert_eq!(keeper.server.zone(ZONE)[&desired.key], desired);
    assert_eq!(keeper.owned[&desired.key].state, Ownership::Owned, "it is adopted once");
    keeper.server.plant(ZONE, "_linecamp-a.gw.example.org", "TXT", &[&other]);
    keeper.settle();
    assert_eq!(keeper.state(&desired.key).0, RecordState::Conflict, "and not for ever");
}

#[test]
fn records_are_deleted_only_if_enabled_and_a_few_at_a_time() {
    let sets: Vec<_> = (1..=5).map(|n| set(&format!("h{n}.example.org"), "A", &["192.0.2.1"])).collect();
    let mut keeper = Keeper::new(&sets);
    keeper.settle();
    keeper.desired = DesiredRecords::default();
    keeper.deletes = None;
    assert!(keeper.plan().steps.is_empty());
    let (state, detail) = keeper.state(&sets[0].key);
    assert_eq!((state, detail.contains("not enabled")), (RecordState::Retained, true));
    keeper.deletes = Some(2);
    let plan = keeper.round(usize::MAX);
    let states: Vec<_> = plan.states.values().map(|(state, _)| *state).collect();
    assert_eq!(states.iter().filter(|state| **state == RecordState::Delete).count(), 2);
    assert_eq!(states.iter().filter(|state| **state == RecordState::Retained).count(), 3);
    assert_eq!(keeper.server.zone(ZONE).len(), 6, "three records and their claims are left");
}

#[test]
fn drift_is_repaired_and_another_text_at_the_claim_is_kept() {
    let desired = set("gw.example.org", "A", &["192.0.2.1"]);
    let mut keeper = Keeper::new(std::slice::from_ref(&desired));
    keeper.settle();
    keeper.server.plant(ZONE, "gw.example.org", "A", &["198.51.100.7"]);
    keeper.settle();
    assert_eq!(keeper.server.zone(ZONE)[&desired.key], desired, "changed by hand");
    keeper.server.pluck(ZONE, "_linecamp-a.gw.example.org", "TXT");
    keeper.settle();
    assert_eq!(keeper.server.zone(ZONE).len(), 2, "the claim was lost, and what stood was ours");
    let ours = keeper.claim.to_string();
    keeper.server.plant(ZONE, "_linecamp-a.gw.example.org", "TXT", &[&ours, "note"]);
    keeper.desired = DesiredRecords::default();
    keeper.settle();
    let left: Vec<_> = keeper.server.zone(ZONE).into_values().map(|set| set.to_string()).collect();
    assert_eq!(left, ["_linecamp-a.gw.example.org TXT 300 note"]);
}

#[test]
fn a_record_that_matches_its_note_is_owned_without_its_claim() {
    let desired = set("gw.example.org", "A", &["192.0.2.1"]);
    let mut keeper = Keeper::new(std::slice::from_ref(&desired));
    keeper.settle();
    keeper.server.pluck(ZONE, "_linecamp-a.gw.example.org", "TXT");
    let changed = set("gw.example.org", "A", &["192.0.2.2"]);
    keeper.desired = of(std::slice::from_ref(&changed));
    keeper.settle();
    assert_eq!(keeper.server.zone(ZONE)[&desired.key], changed, "also where another value is desired");
    keeper.server.pluck(ZONE, "_linecamp-a.gw.example.org", "TXT");
    keeper.desired = DesiredRecords::default();
    keeper.deletes = None;
    assert_eq!(keeper.state(&desired.key).0, RecordState::Retained, "not before deletes are enabled");
    keeper.deletes = Some(9);
    keeper.settle();
    assert!(keeper.server.zone(ZONE).is_empty() && keeper.owned.is_empty());
}

/// Two name servers may have zones with the same name, for example the internal and external view of a network.
#[test]
fn providers_with_one_name_on_two_servers_do_not_conflict() {
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
    keeper.desired = DesiredRecords::default();
    keeper.settle();
    assert!(keeper.server.zone(ZONE).is_empty());
}

#[test]
fn records_of_a_lost_database_are_found_by_their_claims() {
    let mut keeper = Keeper::new(&[set("old.example.org", "A", &["192.0.2.1"])]);
    keeper.settle();
    keeper.owned.clear();
    keeper.desired = DesiredRecords::default();
    keeper.settle();
    assert!(keeper.server.zone(ZONE).is_empty());
}

#[test]
fn a_changed_owner_id_keeps_the_sites_records() {
    let desired = set("gw.example.org", "A", &["192.0.2.1"]);
    let mut keeper = Keeper::new(std::slice::from_ref(&desired));
    keeper.settle();
    keeper.claim = claim("acme-two", 1);
    keeper.settle();
    let claimed = &keeper.server.zone(ZONE)[&key("_linecamp-a.gw.example.org", "TXT")];
    assert_eq!(Claim::read(claimed), Some(keeper.claim.clone()));
    assert_eq!(keeper.owned[&desired.key].claim, keeper.claim);
}

proptest! {
    /// For any records of other owners, any desired records and a crash anywhere: the zone converges, the records of
    /// other owners are untouched, and once nothing is desired none of our records is left.
    #[test]
    fn every_plan_converges_and_leaves_foreign_records_alone(
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
        for desired_set in wishes {
            let mut desired = DesiredRecords::default();
            for (n, rtype, v) in desired_set {
                let set = set(names[n.min(2)], types[rtype], &[&value(rtype, v)]);
                desired.sets.insert(set.key.clone(), set);
            }
            let aliases: Vec<_> = desired.sets.keys().filter(|key| key.rtype == RecordType::Cname).cloned().collect();
            for alias in aliases {
                desired.sets.retain(|key, _| key.name != alias.name || key.rtype == RecordType::Cname);
            }
            keeper.desired = desired;
            if let Some(crash) = crashes.next() {
                keeper.round(crash);
            }
            keeper.settle();
            let after = keeper.server.zone(ZONE);
            for (key, set) in &planted {
                prop_assert_eq!(after.get(key), Some(set), "foreign");
            }
        }
        keeper.desired = DesiredRecords::default();
        keeper.settle();
        prop_assert_eq!(keeper.server.zone(ZONE), planted);
        prop_assert!(keeper.owned.is_empty());
    }
}

#[test]
fn an_unobserved_record_is_deleted_before_its_replacement_is_created() {
    let (old, new) = (set("a.example.org", "A", &["192.0.2.1"]), set("a.example.org", "A", &["192.0.2.2"]));
    let mut keeper = Keeper::new(std::slice::from_ref(&new));
    let note = OwnedRecord {
        claim: keeper.claim.clone(),
        state: Ownership::Pending,
        ttl: old.ttl,
        values: old.values.clone(),
    };
    keeper.owned.insert(old.key.clone(), note);
    let plan = keeper.plan();
    let first = &plan.steps[0];
    assert!(first.iter().all(|change| change.after.is_none()), "{first:?}");
    assert!(plan.unobserved.contains(&old.key), "{:?}", plan.unobserved);
    keeper.deleted.insert(old.key.clone());
    let made = keeper.plan().steps.into_iter().flatten().filter_map(|change| change.after);
    assert!(made.into_iter().any(|set| set == new), "once it is gone the new one is made");
}
