//! Checks of names in a delegated child zone.

use linecamp_provider::{Change, ProviderError};

use super::applying::claimed;
use super::expect::same;
use crate::fake_host::FaultPlan;
use crate::harness::{Fixture, Harness, NotPassed, Outcome, describe, ensure};
use crate::under_test::{Call, CallResult};

/// The child zone, as a label of the zone.
const CHILD: &str = "sub";

pub(super) fn names_the_zone(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    fixture.seed(&harness.set("one", "A", &["192.0.2.1"]));
    fixture.seed(&harness.set("www.sub", "A", &["192.0.2.1"]));
    delegated(&fixture)?;
    // At the delegated name and below it, with and without records.
    let hidden = [CHILD, "www.sub", "_linecamp-a.www.sub", "a.b.sub"];
    for label in hidden {
        in_child_zone(harness, &fixture, &fixture.observing(&[label]))?;
        in_child_zone(harness, &fixture, &fixture.observing(&["one", label]))?;
        let create = Change::create(harness.set(label, "TXT", &["x"]));
        in_child_zone(harness, &fixture, &fixture.applying(std::slice::from_ref(&create)))?;
        if harness.described.capabilities.atomic {
            let beside = Change::create(harness.set("two", "A", &["192.0.2.1"]));
            in_child_zone(harness, &fixture, &fixture.applying(&[beside, create]))?;
        }
    }
    let (there, next) = (harness.set("www.sub", "A", &["192.0.2.1"]), harness.set("www.sub", "A", &["192.0.2.2"]));
    in_child_zone(harness, &fixture, &fixture.applying(&[Change::replace(there, next)]))?;
    // Names that only look similar belong to the zone.
    same(&fixture, &["one", "notsub", "sub.one"])?;
    Ok(format!("{} names", hidden.len()))
}

pub(super) fn deletes_hidden_records(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    let [claim, record] = claimed(harness).map(|change| {
        let mut set = change.after.unwrap_or_else(|| unreachable!("both are created"));
        set.name = set.name.replace("www", "www.sub");
        set
    });
    fixture.seed_all(&[claim.clone(), record.clone()]);
    delegated(&fixture)?;
    let other = harness.set("www.sub", "A", &["192.0.2.77"]);
    let call = fixture.applying(&[Change::delete(other)]);
    let (result, _) = fixture.call(FaultPlan::NoFault, &call);
    ensure(matches!(result, CallResult::Failed(ProviderError::Conflict { .. })), || {
        format!("{}: {result:?}", describe(&call))
    })?;
    // One change per change set if the provider is not atomic.
    let all = [Change::delete(record), Change::delete(claim)];
    let size = if harness.described.capabilities.atomic { all.len() } else { 1 };
    for apply in all.chunks(size) {
        let call = fixture.applying(apply);
        fixture.done(&call)?;
        let writes = fixture.writes();
        fixture.done(&call)?;
        ensure(fixture.writes() == writes, || format!("{}: it wrote a second time", describe(&call)))?;
    }
    let left = fixture.truth_at(&["www.sub", "_linecamp-a.www.sub"]);
    ensure(left.is_empty(), || format!("{left:?} still exists"))?;
    Ok("a record and its ownership TXT record".to_owned())
}

fn delegated(fixture: &Fixture<'_>) -> Result<(), NotPassed> {
    match fixture.delegate(CHILD) {
        true => Ok(()),
        false => Err(NotPassed::Skipped("the fake server does not implement `delegate`".to_owned())),
    }
}

/// Checks that the call fails because of the one name in the child zone, that the message names the child zone, and
/// that nothing is written.
fn in_child_zone(harness: &Harness<'_>, fixture: &Fixture<'_>, call: &Call) -> Result<(), NotPassed> {
    let (before, writes) = (fixture.truth(), fixture.writes());
    let (result, _) = fixture.call(FaultPlan::NoFault, call);
    let CallResult::Failed(ProviderError::Invalid { reason, name: Some(name), .. }) = &result else {
        return Err(NotPassed::Failed(format!("{}: expected `Invalid` with a name, got {result:?}", describe(call))));
    };
    let child_zone = harness.setup.name(CHILD);
    let is_below = *name == child_zone || name.ends_with(&format!(".{child_zone}"));
    ensure(is_below, || format!("{}: the error names `{name}`", describe(call)))?;
    let is_named = reason.split([' ', ',', ':']).any(|word| word == child_zone);
    ensure(is_named, || {
        format!("{}: the message does not name the child zone {child_zone}: {reason}", describe(call))
    })?;
    ensure(fixture.truth() == before && fixture.writes() == writes, || format!("{}: it wrote", describe(call)))
}
