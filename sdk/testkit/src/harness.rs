//! The test environment of a check: the provider, and fixtures, each with its own fake service.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;

use linecamp_provider::{Change, ProviderError, RecordSet, names};
use serde_json::Value;

use crate::endpoint::Endpoint;
use crate::fake_host::{CallStats, FakeHost, FaultPlan};
use crate::fake_service::Request;
use crate::schema::Schema;
use crate::setup::Setup;
use crate::under_test::{Call, CallResult, ProviderDescription, ProviderUnderTest};

/// The TTL of the kit's records, in seconds, unless the provider's limits require another.
const TTL: u32 = 300;

/// The result of a check: its evidence, or why it did not pass.
pub(crate) type Outcome = Result<String, NotPassed>;

/// Why a check did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotPassed {
    Failed(String),
    Skipped(String),
    Noted(String),
}

/// The calls that must succeed without a fault before a check counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Baseline {
    Nothing,
    Validate,
    EveryCall,
}

/// Fails with this message unless the condition holds.
pub(crate) fn ensure(is_so: bool, message: impl FnOnce() -> String) -> Result<(), NotPassed> {
    if is_so { Ok(()) } else { Err(NotPassed::Failed(message())) }
}

/// The provider under test, and the observations from all fixtures.
pub(crate) struct Harness<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) under_test: &'a dyn ProviderUnderTest,
    pub(crate) described: &'a ProviderDescription,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) totals: RefCell<Totals>,
    /// Why each kind of call fails without a fault, in the order of `all_calls`; `None` if it succeeds.
    pub(crate) failures: OnceCell<Vec<Option<String>>>,
}

/// The observations from all fixtures.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) violations: BTreeSet<String>,
    pub(crate) fixtures: usize,
    pub(crate) foreign_changed: BTreeSet<String>,
    pub(crate) broken: BTreeSet<String>,
    /// Errors that name something that is not part of the call.
    pub(crate) wrong_names: BTreeSet<String>,
    pub(crate) inexact_urls: BTreeSet<String>,
    pub(crate) calls: usize,
    pub(crate) requests_max: usize,
}

impl<'a> Harness<'a> {
    pub(crate) fn new(
        setup: &'a Setup,
        under_test: &'a dyn ProviderUnderTest,
        described: &'a ProviderDescription,
    ) -> Self {
        let endpoints = described.endpoints.iter();
        let config = completed(setup, described);
        let endpoints =
            endpoints.flat_map(|text| Endpoint::from_description(text, &config).unwrap_or_default()).collect();
        Self { setup, under_test, described, endpoints, totals: RefCell::default(), failures: OnceCell::new() }
    }

    /// Opens a fixture: a new service, seeded with the foreign records, that sends unusual responses if it can.
    pub(crate) fn fixture(&self) -> Fixture<'_> {
        let fake_host = FakeHost::new(self.setup, self.endpoints.clone());
        let foreign = fake_host.with_service(|service| {
            service.send_unusual_responses();
            for set in self.setup.foreign() {
                service.seed(&set);
            }
            in_order(service.records())
        });
        Fixture { harness: self, fake_host, foreign, keys: Cell::new(0) }
    }

    /// Returns a record set in the zone, with the kit's TTL.
    pub(crate) fn set(&self, label: &str, rtype: &str, values: &[&str]) -> RecordSet {
        RecordSet::new(self.setup.name(label), rtype, self.ttl(), values.iter().copied())
    }

    /// Returns how many foreign record sets each fixture has.
    pub(crate) fn foreign_count(&self) -> usize {
        self.fixture().foreign.len()
    }

    /// Returns the kit's TTL, within the provider's limits.
    pub(crate) fn ttl(&self) -> u32 {
        TTL.max(self.described.capabilities.ttl_min).min(self.described.capabilities.ttl_max)
    }
}

/// Returns the setup's config, completed with the schema's defaults.
pub(crate) fn completed(setup: &Setup, described: &ProviderDescription) -> Value {
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
pub(crate) struct Fixture<'a> {
    harness: &'a Harness<'a>,
    fake_host: FakeHost,
    /// The foreign record sets, as the service returns them.
    foreign: Vec<RecordSet>,
    keys: Cell<u32>,
}

impl Fixture<'_> {
    /// Calls the provider.
    pub(crate) fn call(&self, plan: FaultPlan, call: &Call) -> (CallResult, CallStats) {
        self.call_with(&self.harness.setup.config, plan, call)
    }

    /// Calls the provider with another config.
    pub(crate) fn call_with(&self, config: &str, plan: FaultPlan, call: &Call) -> (CallResult, CallStats) {
        self.fake_host.begin(plan);
        let result = self.harness.under_test.call(&self.fake_host, config, call);
        let stats = self.fake_host.end();
        let mut totals = self.harness.totals.borrow_mut();
        totals.calls += 1;
        totals.requests_max = totals.requests_max.max(stats.requests());
        match &result {
            CallResult::Done(_) => {}
            CallResult::Failed(failure) => {
                self.fake_host.scan("a failure", &failure.to_string());
                totals.wrong_names.extend(wrong_name(call, failure));
            }
            CallResult::Broken(why) => {
                totals.broken.insert(why.clone());
                self.fake_host.scan("its panic message", why);
            }
        }
        (result, stats)
    }

    /// Returns the HTTP requests of the last call that the service answered with success.
    pub(crate) fn answered_requests(&self) -> Vec<Request> {
        self.fake_host.answered_requests()
    }

    /// Sends a request to the service and returns the status.
    pub(crate) fn status(&self, request: &Request) -> u16 {
        self.fake_host.with_service(|service| service.handle(request)).status
    }

    /// Returns a request to observe the records at these names.
    pub(crate) fn observing(&self, labels: &[&str]) -> Call {
        let names = labels.iter().map(|label| self.harness.setup.name(label)).collect();
        Call::Observe { zone: self.harness.setup.zone.clone(), names }
    }

    /// Returns a request to apply these changes, with a new key.
    pub(crate) fn applying(&self, changes: &[Change]) -> Call {
        self.keys.set(self.keys.get() + 1);
        let key = format!("change-set-{}", self.keys.get());
        Call::Apply { zone: self.harness.setup.zone.clone(), key, changes: changes.to_vec() }
    }

    /// Calls the provider without faults, and fails unless the call succeeds.
    pub(crate) fn done(&self, call: &Call) -> Result<Vec<RecordSet>, NotPassed> {
        match self.call(FaultPlan::NoFault, call).0 {
            CallResult::Done(sets) => Ok(sets),
            CallResult::Failed(failure) => Err(NotPassed::Failed(format!("{}: {failure}", describe(call)))),
            CallResult::Broken(why) => Err(NotPassed::Failed(format!("{}: {why}", describe(call)))),
        }
    }

    /// Seeds a foreign set; `false` if the service cannot store it.
    pub(crate) fn seed(&self, set: &RecordSet) -> bool {
        self.fake_host.with_service(|service| service.seed(set))
    }

    /// Seeds a foreign set that is disabled; `false` if the service does not support that.
    pub(crate) fn seed_disabled(&self, set: &RecordSet) -> bool {
        self.fake_host.with_service(|service| service.seed_disabled(set))
    }

    /// Returns the sets that the zone contains but does not serve.
    pub(crate) fn disabled(&self) -> Vec<RecordSet> {
        compared(self.fake_host.with_service(|service| service.disabled()))
    }

    /// Seeds sets that every service can store.
    pub(crate) fn seed_all(&self, sets: &[RecordSet]) {
        for set in sets {
            self.seed(set);
        }
    }

    /// Asks for unusual responses, which every fixture has if its service can send them; `false` if it cannot.
    pub(crate) fn sends_unusual_responses(&self) -> bool {
        self.fake_host.with_service(|service| service.send_unusual_responses())
    }

    /// Delegates a label to a zone of its own; `false` if the service does not support that.
    pub(crate) fn delegate(&self, label: &str) -> bool {
        let name = self.harness.setup.name(label);
        self.fake_host.with_service(|service| service.delegate(&name))
    }

    /// Sets a small page size.
    pub(crate) fn set_page_size(&self, records: usize) {
        self.fake_host.with_service(|service| service.set_page_size(records));
    }

    /// Returns the zone's contents in canonical form, sorted, without the zone's own records.
    pub(crate) fn truth(&self) -> Vec<RecordSet> {
        compared(self.fake_host.with_service(|service| service.records()))
    }

    /// Returns the zone's contents at these labels.
    pub(crate) fn truth_at(&self, labels: &[&str]) -> Vec<RecordSet> {
        let names: Vec<_> = labels.iter().map(|label| self.harness.setup.name(label)).collect();
        self.truth().into_iter().filter(|set| names.contains(&set.name)).collect()
    }

    /// Returns the number of writes to the zone.
    pub(crate) fn writes(&self) -> u64 {
        self.fake_host.with_service(|service| service.writes())
    }

    fn settle(&self) {
        let zone = in_order(self.fake_host.with_service(|service| service.records()));
        let mut totals = self.harness.totals.borrow_mut();
        totals.fixtures += 1;
        for lost in self.foreign.iter().filter(|set| !zone.contains(set)) {
            totals.foreign_changed.insert(format!("{} {}", lost.name, lost.rtype));
        }
        totals.violations.extend(self.fake_host.violations());
        totals.inexact_urls.extend(self.fake_host.inexact_urls());
    }
}

impl Drop for Fixture<'_> {
    fn drop(&mut self) {
        self.settle();
    }
}

/// Describes an error that names something that is not part of the call. A listing of a whole zone may name anything
/// in it.
fn wrong_name(call: &Call, failure: &ProviderError) -> Option<String> {
    let name = match failure {
        ProviderError::Invalid { name, .. } => name.as_deref()?,
        ProviderError::Conflict { name, .. } if !name.is_empty() => name,
        _ => return None,
    };
    let is_part = match call {
        Call::Validate => false,
        Call::Observe { zone, names } if names.is_empty() => names::is_within(name, zone),
        Call::Observe { names, .. } => names.iter().any(|asked| names::canonical(name) == *asked),
        Call::Apply { changes, .. } => changes.iter().any(|change| names::canonical(name) == change.name()),
    };
    (!is_part).then(|| format!("{}: the error names `{name}`, which is not part of the call", describe(call)))
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
        (None, Some(other)) => format!("unexpected {other}"),
        (None, None) => "no difference".to_owned(),
    }
}

fn shown(set: &RecordSet) -> String {
    format!("{} {} {} {:?}", set.name, set.ttl, set.rtype, set.values)
}

/// Describes a request.
pub(crate) fn describe(call: &Call) -> String {
    match call {
        Call::Validate => "validate".to_owned(),
        Call::Observe { names, .. } if names.is_empty() => "observe all".to_owned(),
        Call::Observe { names, .. } => format!("observe {}", names.first().map_or("", String::as_str)),
        Call::Apply { changes, .. } => {
            let verb = |change: &Change| match (&change.before, &change.after) {
                (None, _) => "create",
                (_, None) => "delete",
                (before, after) if before == after => "keep",
                (_, _) => "replace",
            };
            let Some(first) = changes.first() else { return "apply no change".to_owned() };
            format!("{} {} {}", verb(first), first.name(), first.rtype())
        }
    }
}
