//! Checks that a failed change set is finished by repeating the call.

use linecamp_provider::{Change, ProviderError, RecordSet};

use super::applying::claimed;
use super::fault::sweep_one;
use crate::fake_host::{CallStats, FaultPlan};
use crate::fault::Fault;
use crate::harness::{Fixture, Harness, NotPassed, Outcome, changed, describe, difference, ensure};
use crate::under_test::{Call, CallResult};

/// The number of requests per attempt at which the fault is injected. Later requests are not tested.
const REQUESTS_INTERRUPTED_MAX: usize = 50;

pub(super) fn finishes_interrupted(harness: &Harness<'_>) -> Outcome {
    let mut count = 0;
    for fault in [Fault::status(500), Fault::Timeout] {
        count += finishes_a_lifecycle(harness, &fault)?;
    }
    count += finishes_sets(harness, &Fault::Timeout)?;
    Ok(format!("{count} change sets interrupted, once or twice"))
}

pub(super) fn finishes_after_loss(harness: &Harness<'_>) -> Outcome {
    let count = finishes_a_lifecycle(harness, &Fault::Lost)? + finishes_sets(harness, &Fault::Lost)?;
    Ok(format!("{count} responses lost, once or twice"))
}

/// Interrupts changes between record sets of one and of several values; returns the number of interruptions. A service
/// that cannot write a whole set leaves it half written, and the next attempt must recognize that.
fn finishes_sets(harness: &Harness<'_>, fault: &Fault) -> Result<usize, NotPassed> {
    let ttls = [harness.ttl(), harness.ttl().saturating_add(60).min(harness.described.capabilities.ttl_max)];
    let set = |ttl: usize, values: &[&str]| RecordSet { ttl: ttls[ttl], ..harness.set("half", "A", values) };
    let three = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    let others = ["192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"];
    let claim = |text: &str| harness.set("_linecamp-a.half", "TXT", &[text]);
    let changes = [
        Change::create(set(0, &three)),
        Change::delete(set(0, &three)),
        Change::replace(set(0, &["192.0.2.1"]), set(0, &["192.0.2.2"])),
        Change::replace(set(0, &["192.0.2.2"]), set(0, &three)),
        Change::replace(set(0, &three), set(0, &["192.0.2.9"])),
        Change::replace(set(0, &three), set(0, &others)),
        Change::replace(set(0, &three), set(1, &three)),
        Change::replace(set(1, &three), set(0, &three)),
        Change::replace(set(0, &three), set(1, &others)),
        Change::replace(claim("claim a"), claim("claim b")),
    ];
    let mut count = 0;
    // If the TTL cannot vary, a change of only the TTL changes nothing.
    for change in changes.iter().filter(|change| change.before != change.after) {
        count += finishes(harness, fault, (change.before.as_slice(), std::slice::from_ref(change)))?;
    }
    Ok(count)
}

pub(super) fn is_atomic(harness: &Harness<'_>) -> Outcome {
    if !harness.described.capabilities.atomic {
        return Err(NotPassed::Skipped("it does not declare `atomic`".to_owned()));
    }
    let changes = claimed(harness);
    let mut count = 0;
    for fault in [Fault::status(500), Fault::Unreachable, Fault::Timeout, Fault::Lost, Fault::TooLarge] {
        sweep_one(harness, &fault, &|fixture| fixture.applying(&changes), |_, result, _, fixture| {
            count += 1;
            let there = fixture.truth_at(&["_linecamp-a.www"]).len() + usize::from(has_record(fixture));
            ensure(there != 1, || format!("{}: only half of it was applied ({result:?})", fault.describe()))
        })?;
    }
    Ok(format!("{count} change sets interrupted, or their response lost"))
}

fn has_record(fixture: &Fixture<'_>) -> bool {
    fixture.truth_at(&["www"]).iter().any(|set| set.rtype == "A")
}

/// Interrupts the creation of an ownership TXT record and its record and the deletion of an old record; returns the
/// number of interruptions.
pub(super) fn finishes_a_lifecycle(harness: &Harness<'_>, fault: &Fault) -> Result<usize, NotPassed> {
    let old = harness.set("old", "A", &["192.0.2.7"]);
    let mut changes = claimed(harness).to_vec();
    if 3 <= harness.described.capabilities.max_batch_size {
        changes.push(Change::delete(old.clone()));
    }
    finishes(harness, fault, (&[old], &changes))
}

/// With these sets in the zone, interrupts a change set at each of its requests, and its second attempt again at each
/// of its own, then applies it with the same key; returns the number of interruptions.
pub(super) fn finishes(
    harness: &Harness<'_>,
    fault: &Fault,
    (there, changes): (&[RecordSet], &[Change]),
) -> Result<usize, NotPassed> {
    let fixture = harness.fixture();
    fixture.seed_all(there);
    let expected = changed(&fixture.truth(), changes);
    let mut count = 0;
    for first in 0..REQUESTS_INTERRUPTED_MAX {
        for second in 0..REQUESTS_INTERRUPTED_MAX {
            let fixture = harness.fixture();
            fixture.seed_all(there);
            let call = fixture.applying(changes);
            let stats = attempt(&fixture, (&call, &expected), FaultPlan::At(first, fault.clone()))?;
            if stats.requests() <= first {
                return Ok(count);
            }
            if !stats.is_injected {
                break;
            }
            count += 1;
            let again = attempt(&fixture, (&call, &expected), FaultPlan::At(second, fault.clone()))?;
            attempt(&fixture, (&call, &expected), FaultPlan::NoFault)?;
            if again.requests() <= second {
                break;
            }
        }
    }
    Ok(count)
}

/// Attempts a change set. It must not conflict with its own partial result; if it reports success, it must be applied;
/// and without a fault it must succeed.
fn attempt(
    fixture: &Fixture<'_>,
    (call, expected): (&Call, &[RecordSet]),
    plan: FaultPlan,
) -> Result<CallStats, NotPassed> {
    let attempt = match &plan {
        FaultPlan::At(index, fault) => format!("{} at request {}", fault.describe(), index + 1),
        _ => "after the faults".to_owned(),
    };
    let is_fault_free = matches!(plan, FaultPlan::NoFault);
    let failed = |why: String| Err(NotPassed::Failed(format!("{}, {attempt}: {why}", describe(call))));
    let (result, stats) = fixture.call(plan, call);
    match result {
        CallResult::Broken(why) => failed(why),
        CallResult::Failed(ProviderError::Conflict { name, found }) => {
            failed(format!("a conflict with its own half-written set: {name}: {found}"))
        }
        CallResult::Failed(failure) if is_fault_free => failed(failure.to_string()),
        CallResult::Failed(_) => Ok(stats),
        CallResult::Done(_) => {
            let truth = fixture.truth();
            match truth == expected {
                true => Ok(stats),
                false => failed(format!("it reported success, but {}", difference(expected, &truth))),
            }
        }
    }
}
