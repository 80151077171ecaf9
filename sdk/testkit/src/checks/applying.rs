//! Checks of what a provider writes.

use linecamp_provider::{Change, ProviderError, RecordSet};

use super::observing::{has_other_bytes, observed_or_noted, txt_values};
use crate::fake_host::FaultPlan;
use crate::harness::{Fixture, Harness, NotPassed, Outcome, changed, compared, describe, difference, ensure};
use crate::under_test::{Call, CallResult};

/// Changes per change set in the check with many changes, if the provider accepts that many.
const MANY: u32 = 20;

/// Changes in a large change set of an atomic provider, unless it declares fewer.
const MANY_ATOMIC: u32 = 200;

pub(super) fn applies_each_change(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    let lives = [
        (harness.set("www", "A", &["192.0.2.1"]), harness.set("www", "A", &["192.0.2.2"])),
        (harness.set("two", "A", &["192.0.2.1", "192.0.2.2"]), harness.set("two", "A", &["192.0.2.2", "192.0.2.3"])),
        (harness.set("v6", "AAAA", &["2001:db8::1"]), harness.set("v6", "AAAA", &["2001:db8::2", "2001:db8::"])),
        (
            harness.set("alias", "CNAME", &["a.elsewhere.example"]),
            harness.set("alias", "CNAME", &["b.elsewhere.example"]),
        ),
        (harness.set("note", "TXT", &["one"]), harness.set("note", "TXT", &["one", "two"])),
        (harness.set("*.any", "A", &["192.0.2.1"]), harness.set("*.any", "A", &["192.0.2.2"])),
        (harness.set("_linecamp-a.www", "TXT", &["claim a"]), harness.set("_linecamp-a.www", "TXT", &["claim b"])),
    ];
    for (first, second) in &lives {
        apply(&fixture, &[Change::create(first.clone())])?;
        apply(&fixture, &[Change::replace(first.clone(), second.clone())])?;
    }
    for (_, second) in &lives {
        apply(&fixture, &[Change::delete(second.clone())])?;
    }
    // From one type to another at the same name, in one change set.
    let (address, alias) =
        (harness.set("moves", "A", &["192.0.2.1"]), harness.set("moves", "CNAME", &["a.elsewhere.example"]));
    apply(&fixture, &[Change::create(address.clone())])?;
    apply(&fixture, &[Change::delete(address), Change::create(alias)])?;
    Ok(format!("{} record sets created, replaced and deleted, {} writes", lives.len(), fixture.writes()))
}

pub(super) fn writes_txt(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    let values = txt_values();
    let (mut supported, mut unsupported): (Vec<&str>, Vec<&str>) = Default::default();
    let mut before: Option<RecordSet> = None;
    for value in &values {
        let after = harness.set("note", "TXT", &[value]);
        let changes = [Change { before: before.clone(), after: Some(after.clone()) }];
        if has_other_bytes(value) && is_rejected(&fixture, &changes)? {
            unsupported.push(value);
            continue;
        }
        apply(&fixture, &changes)?;
        supported.push(value);
        before = Some(after);
    }
    let all = harness.set("all", "TXT", &supported);
    apply(&fixture, &[Change::create(all.clone())])?;
    apply(&fixture, &[Change::delete(all)])?;
    observed_or_noted(values.len(), &unsupported)
}

/// Whether the changes are refused because of their name. If so, none of them may have been applied.
fn is_rejected(fixture: &Fixture<'_>, changes: &[Change]) -> Result<bool, NotPassed> {
    let before = fixture.truth();
    let call = fixture.applying(changes);
    let (CallResult::Failed(ProviderError::Invalid { name: Some(name), .. }), _) =
        fixture.call(FaultPlan::NoFault, &call)
    else {
        return Ok(false);
    };
    let truth = fixture.truth();
    ensure(truth == before, || format!("{}: rejected, but {}", describe(&call), difference(&before, &truth)))?;
    Ok(changes.iter().any(|change| change.name() == name))
}

pub(super) fn keeps_ttls(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    let capabilities = harness.described.capabilities;
    let first = RecordSet { ttl: capabilities.ttl_min, ..harness.set("ttl", "A", &["192.0.2.1"]) };
    let last = RecordSet { ttl: capabilities.ttl_max, ..first.clone() };
    apply(&fixture, &[Change::create(first.clone())])?;
    if first != last {
        apply(&fixture, &[Change::replace(first, last)])?;
    }
    Ok(format!("{} to {} s", capabilities.ttl_min, capabilities.ttl_max))
}

pub(super) fn applies_many(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    let capabilities = harness.described.capabilities;
    // The host sends an atomic provider as many changes at once as it declares.
    let count = capabilities.max_batch_size.min(if capabilities.atomic { MANY_ATOMIC } else { MANY });
    let sets: Vec<_> = (0..count).map(|index| harness.set(&format!("m{index:02}"), "A", &["192.0.2.1"])).collect();
    apply(&fixture, &sets.iter().cloned().map(Change::create).collect::<Vec<_>>())?;
    apply(&fixture, &sets.into_iter().map(Change::delete).collect::<Vec<_>>())?;
    Ok(format!("{count} changes"))
}

pub(super) fn writes_nothing_twice(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    let (old, new) = (harness.set("www", "A", &["192.0.2.1", "192.0.2.3"]), harness.set("www", "A", &["192.0.2.2"]));
    let claim = harness.set("_linecamp-a.www", "TXT", &["claim \"a\"; \\195\\188"]);
    apply(&fixture, &[Change::create(old.clone()), Change::create(claim.clone())])?;
    apply(&fixture, &[Change::replace(old.clone(), new.clone())])?;
    // Repeated changes that are already done: in other change sets, with another order of values, and for deleted sets.
    let twice = [
        vec![Change::replace(old.clone(), new.clone())],
        vec![Change::create(new.clone())],
        vec![Change::create(new), Change::create(claim)],
        vec![Change::delete(harness.set("gone", "A", &["192.0.2.1"]))],
    ];
    let writes = fixture.writes();
    for changes in &twice {
        let call = fixture.applying(changes);
        fixture.done(&call)?;
        ensure(fixture.writes() == writes, || format!("{}: it wrote again", describe(&call)))?;
    }
    Ok(format!("{} change sets, no write", twice.len()))
}

pub(super) fn applies_a_change_set_once(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    let changes = [
        Change::create(harness.set("_linecamp-a.www", "TXT", &["claim"])),
        Change::create(harness.set("www", "A", &["192.0.2.1"])),
    ];
    let call = fixture.applying(&changes);
    fixture.done(&call)?;
    let (truth, writes) = (fixture.truth(), fixture.writes());
    fixture.done(&call)?;
    fixture.done(&call)?;
    ensure(fixture.truth() == truth && fixture.writes() == writes, || {
        "the repeated call changed something".to_owned()
    })?;
    Ok("three times with one idempotency key".to_owned())
}

/// Applies changes, and checks that exactly these were applied.
pub(super) fn apply(fixture: &Fixture<'_>, changes: &[Change]) -> Result<(), NotPassed> {
    let expected = changed(&fixture.truth(), changes);
    let call = fixture.applying(changes);
    let known = compared(fixture.done(&call)?);
    let truth = fixture.truth();
    ensure(truth == expected, || format!("{}: {}", describe(&call), difference(&expected, &truth)))?;
    let untrue = known.iter().find(|set| !truth.contains(set));
    ensure(untrue.is_none(), || format!("{}: it returned {untrue:?}, which does not exist", describe(&call)))
}

/// Returns the creation of an ownership TXT record (the "claim") and of its record.
pub(super) fn claimed(harness: &Harness<'_>) -> [Change; 2] {
    let claim = harness.set("_linecamp-a.www", "TXT", &["linecamp-claim owner=acme site=7"]);
    [Change::create(claim), Change::create(harness.set("www", "A", &["192.0.2.1"]))]
}

/// Returns one call of each kind that the checks make under faults.
pub(crate) fn all_calls(harness: &Harness<'_>, fixture: &Fixture<'_>) -> Vec<Call> {
    vec![Call::Validate, fixture.observing(&["foreign", "www"]), fixture.applying(&claimed(harness))]
}
