//! The test environment of a check: the provider, and rooms, each with its own service.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use linecamp_provider::{Change, RecordSet};
use serde_json::Value;

use crate::reach::Reach;
use crate::schema::Schema;
use crate::setup::Setup;
use crate::subject::{Ask, Described, Ending, Subject};
use crate::world::{Plan, Seen, World};

/// The TTL of the kit's records, in seconds, unless the provider's limits require another.
const TTL: u32 = 300;

/// The result of a check: its evidence, or why it did not pass.
pub(crate) type Outcome = Result<String, Trouble>;

/// Why a check did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Failed(String),
    Skipped(String),
    Noted(String),
}

/// Fails with this message unless the condition holds.
pub(crate) fn ensure(is_so: bool, words: impl FnOnce() -> String) -> Result<(), Trouble> {
    if is_so { Ok(()) } else { Err(Trouble::Failed(words())) }
}

/// The provider under test, and the observations from all rooms.
pub(crate) struct Bench<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) subject: &'a dyn Subject,
    pub(crate) described: &'a Described,
    pub(crate) reaches: Vec<Reach>,
    pub(crate) tally: RefCell<Tally>,
}

/// The observations from all rooms.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) offences: BTreeSet<String>,
    pub(crate) foreign_rooms: usize,
    pub(crate) foreign_changed: BTreeSet<String>,
    pub(crate) broken: BTreeSet<String>,
    pub(crate) calls: usize,
    pub(crate) requests_max: usize,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(setup: &'a Setup, subject: &'a dyn Subject, described: &'a Described) -> Self {
        let reaches = described.reaches.iter();
        let config = completed(setup, described);
        let reaches = reaches.flat_map(|text| Reach::of_description(text, &config).unwrap_or_default()).collect();
        Self { setup, subject, described, reaches, tally: RefCell::default() }
    }

    /// Opens a room: a new service, seeded with the foreign records, that sends odd responses if it can.
    pub(crate) fn room(&self) -> Room<'_> {
        let world = World::new(self.setup, self.reaches.clone());
        let foreign = world.with_service(|service| {
            service.answer_oddly();
            for set in self.setup.foreign() {
                service.plant(&set);
            }
            in_order(service.zone())
        });
        Room { bench: self, world, foreign, keys: Cell::new(0) }
    }

    /// Returns a record set in the zone, with the kit's TTL.
    pub(crate) fn set(&self, label: &str, rtype: &str, values: &[&str]) -> RecordSet {
        RecordSet::new(self.setup.name(label), rtype, self.ttl(), values.iter().copied())
    }

    /// Returns how many foreign record sets each room has.
    pub(crate) fn room_size(&self) -> usize {
        self.room().foreign.len()
    }

    /// Returns the kit's TTL, within the provider's limits.
    pub(crate) fn ttl(&self) -> u32 {
        TTL.max(self.described.abilities.ttl_min).min(self.described.abilities.ttl_max)
    }
}

/// Returns the setup's config, completed with the schema's defaults.
pub(crate) fn completed(setup: &Setup, described: &Described) -> Value {
    let mut config: Value = serde_json::from_str(&setup.config).unwrap_or_default();
    let schema = Schema::parse(&described.config_schema).ok();
    let properties = schema.iter().flat_map(Schema::properties);
    for (name, default) in properties.filter_map(|(name, inner)| Some((name, inner.get("default")?))) {
        if let Value::Object(fields) = &mut config {
            fields.entry(name).or_insert_with(|| default.clone());
        }
    }
    config
}

/// A service of its own, and the calls to it.
pub(crate) struct Room<'a> {
    bench: &'a Bench<'a>,
    world: World,
    /// The foreign record sets, as the service returns them.
    foreign: Vec<RecordSet>,
    keys: Cell<u32>,
}

impl Room<'_> {
    /// Calls the provider.
    pub(crate) fn call(&self, plan: Plan, ask: &Ask) -> (Ending, Seen) {
        self.call_with(&self.bench.setup.config, plan, ask)
    }

    /// Calls the provider with another config.
    pub(crate) fn call_with(&self, config: &str, plan: Plan, ask: &Ask) -> (Ending, Seen) {
        self.world.begin(plan);
        let ending = self.bench.subject.call(&self.world, config, ask);
        let seen = self.world.end();
        let mut tally = self.bench.tally.borrow_mut();
        tally.calls += 1;
        tally.requests_max = tally.requests_max.max(seen.requests());
        match &ending {
            Ending::Done(_) => {}
            Ending::Failed(failure) => self.world.scan("a failure", &failure.to_string()),
            Ending::Broken(why) => {
                tally.broken.insert(why.clone());
                self.world.scan("its last words", why);
            }
        }
        (ending, seen)
    }

    /// Returns a request to observe the records at these names.
    pub(crate) fn observing(&self, labels: &[&str]) -> Ask {
        let names = labels.iter().map(|label| self.bench.setup.name(label)).collect();
        Ask::Observe { zone: self.bench.setup.zone.clone(), names }
    }

    /// Returns a request to apply these changes, with a new key.
    pub(crate) fn applying(&self, changes: &[Change]) -> Ask {
        self.keys.set(self.keys.get() + 1);
        let key = format!("step-{}", self.keys.get());
        Ask::Apply { zone: self.bench.setup.zone.clone(), key, changes: changes.to_vec() }
    }

    /// Calls the provider without faults, and fails unless the call succeeds.
    pub(crate) fn done(&self, ask: &Ask) -> Result<Vec<RecordSet>, Trouble> {
        match self.call(Plan::Calm, ask).0 {
            Ending::Done(sets) => Ok(sets),
            Ending::Failed(failure) => Err(Trouble::Failed(format!("{}: {failure}", words(ask)))),
            Ending::Broken(why) => Err(Trouble::Failed(format!("{}: {why}", words(ask)))),
        }
    }

    /// Seeds a foreign set; `false` if the service cannot store it.
    pub(crate) fn plant(&self, set: &RecordSet) -> bool {
        self.world.with_service(|service| service.plant(set))
    }

    /// Seeds a foreign set that is disabled; `false` if the service does not support that.
    pub(crate) fn plant_disabled(&self, set: &RecordSet) -> bool {
        self.world.with_service(|service| service.plant_disabled(set))
    }

    /// Returns the sets that the zone contains but does not serve.
    pub(crate) fn disabled(&self) -> Vec<RecordSet> {
        compared(self.world.with_service(|service| service.disabled()))
    }

    /// Seeds sets that every service can store.
    pub(crate) fn plant_all(&self, sets: &[RecordSet]) {
        for set in sets {
            self.plant(set);
        }
    }

    /// Asks for odd responses, which every room has if its service can send them; `false` if it cannot.
    pub(crate) fn answers_oddly(&self) -> bool {
        self.world.with_service(|service| service.answer_oddly())
    }

    /// Delegates a label to a zone of its own; `false` if the service does not support that.
    pub(crate) fn delegate(&self, label: &str) -> bool {
        let name = self.bench.setup.name(label);
        self.world.with_service(|service| service.delegate(&name))
    }

    /// Sets a small page size.
    pub(crate) fn turn_pages_at(&self, records: usize) {
        self.world.with_service(|service| service.turn_pages_at(records));
    }

    /// Returns the zone's contents in canonical form, sorted, without the zone's own records.
    pub(crate) fn truth(&self) -> Vec<RecordSet> {
        compared(self.world.with_service(|service| service.zone()))
    }

    /// Returns the zone's contents at these labels.
    pub(crate) fn truth_at(&self, labels: &[&str]) -> Vec<RecordSet> {
        let names: Vec<_> = labels.iter().map(|label| self.bench.setup.name(label)).collect();
        self.truth().into_iter().filter(|set| names.contains(&set.name)).collect()
    }

    /// Returns the number of writes to the zone.
    pub(crate) fn writes(&self) -> u64 {
        self.world.with_service(|service| service.writes())
    }

    fn settle(&self) {
        let zone = in_order(self.world.with_service(|service| service.zone()));
        let mut tally = self.bench.tally.borrow_mut();
        tally.foreign_rooms += 1;
        for lost in self.foreign.iter().filter(|set| !zone.contains(set)) {
            tally.foreign_changed.insert(format!("{} {}", lost.name, lost.rtype));
        }
        tally.offences.extend(self.world.offences());
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.settle();
    }
}

/// Sorts the sets and their values; nothing else changes.
fn in_order(mut sets: Vec<RecordSet>) -> Vec<RecordSet> {
    for set in &mut sets {
        set.values.sort_unstable();
    }
    sets.sort_by(|a, b| (&a.name, &a.rtype).cmp(&(&b.name, &b.rtype)));
    sets
}

/// Returns sets in the form in which they are compared: canonical and sorted, without the zone's own records, and
/// without the TTL and values of types that providers do not write, since each service has its own form of them.
pub(crate) fn compared(sets: Vec<RecordSet>) -> Vec<RecordSet> {
    const WRITTEN: [&str; 4] = ["A", "AAAA", "CNAME", "TXT"];
    let of_zone =
        |set: &RecordSet| ["SOA", "NS", "DNSKEY", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM"].contains(&&*set.rtype);
    let sets = sets.into_iter().map(|set| set.canonical()).filter(|set| !of_zone(set));
    let form = |set: RecordSet| match WRITTEN.contains(&&*set.rtype) {
        true => set,
        false => RecordSet { ttl: 0, values: Vec::new(), ..set },
    };
    in_order(sets.map(form).collect())
}

/// Returns the zone's contents after the changes.
pub(crate) fn changed(zone: &[RecordSet], changes: &[Change]) -> Vec<RecordSet> {
    let is_touched =
        |set: &RecordSet| changes.iter().any(|change| change.name() == set.name && change.rtype() == set.rtype);
    let kept = zone.iter().filter(|set| !is_touched(set)).cloned();
    compared(kept.chain(changes.iter().filter_map(|change| change.after.clone())).collect())
}

/// Describes the first difference in each direction between two zones.
pub(crate) fn difference(expected: &[RecordSet], found: &[RecordSet]) -> String {
    let first = |these: &[RecordSet], those: &[RecordSet]| these.iter().find(|set| !those.contains(set)).map(shown);
    match (first(expected, found), first(found, expected)) {
        (Some(missing), Some(other)) => format!("expected {missing}, found {other}"),
        (Some(missing), None) => format!("{missing} is missing"),
        (None, Some(other)) => format!("{other} is too much"),
        (None, None) => "they are the same".to_owned(),
    }
}

fn shown(set: &RecordSet) -> String {
    format!("{} {} {} {:?}", set.name, set.ttl, set.rtype, set.values)
}

/// Describes a request.
pub(crate) fn words(ask: &Ask) -> String {
    match ask {
        Ask::Check => "check".to_owned(),
        Ask::Observe { names, .. } if names.is_empty() => "observe all".to_owned(),
        Ask::Observe { names, .. } => format!("observe {}", names.first().map_or("", String::as_str)),
        Ask::Apply { changes, .. } => {
            let verb = |change: &Change| match (&change.before, &change.after) {
                (None, _) => "create",
                (_, None) => "delete",
                (before, after) if before == after => "keep",
                (_, _) => "replace",
            };
            let Some(first) = changes.first() else { return "apply nothing".to_owned() };
            format!("{} {} {}", verb(first), first.name(), first.rtype())
        }
    }
}
