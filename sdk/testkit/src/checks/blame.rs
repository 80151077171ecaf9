//! Checks that an error names the record at fault. The host excludes a name that is blamed and continues with the
//! others, so a wrong name stops a record that is right, and the one at fault is never found.

use linecamp_provider::{Change, ProviderError};

use crate::fake_host::FaultPlan;
use crate::fault::Fault;
use crate::harness::{Harness, NotPassed, Outcome, describe, ensure};
use crate::under_test::CallResult;

/// Two creations. In the first part of the check, another owner has the second name.
fn changes(harness: &Harness<'_>) -> [Change; 2] {
    ["free", "taken"].map(|label| Change::create(harness.set(label, "A", &["192.0.2.1"])))
}

pub(super) fn names_the_record_at_fault(harness: &Harness<'_>) -> Outcome {
    names_the_conflict(harness)?;
    let count = blames_nothing_written(harness)?;
    let totals = harness.totals.borrow();
    let wrong: Vec<_> = totals.wrong_names.iter().map(String::as_str).collect();
    ensure(wrong.is_empty(), || wrong.join("; "))?;
    Ok(format!("2 conflicts, {count} rejections, and every other failed call"))
}

/// One of two changes conflicts: in both orders, the error names that one.
fn names_the_conflict(harness: &Harness<'_>) -> Result<(), NotPassed> {
    let [free, taken] = changes(harness);
    for changes in [[free.clone(), taken.clone()], [taken.clone(), free]] {
        let fixture = harness.fixture();
        fixture.seed(&harness.set("taken", "A", &["198.51.100.9"]));
        let call = fixture.applying(&changes);
        let (result, _) = fixture.call(FaultPlan::NoFault, &call);
        let CallResult::Failed(ProviderError::Conflict { name, found }) = &result else {
            return Err(NotPassed::Failed(format!("{}: expected a conflict, got {result:?}", describe(&call))));
        };
        let is_named = name == taken.name() || found.contains(taken.name());
        ensure(is_named, || format!("{} exists, and the conflict names `{name}`", taken.name()))?;
    }
    Ok(())
}

/// The service rejects each request in turn: the error names no record that was already written. Returns the number of
/// rejections.
fn blames_nothing_written(harness: &Harness<'_>) -> Result<usize, NotPassed> {
    /// The number of requests per call that are rejected in turn. Later requests are not tested.
    const REQUESTS_MAX: usize = 50;
    let changes = changes(harness);
    let mut count = 0;
    for status in [400, 422] {
        for at in 0..REQUESTS_MAX {
            let fixture = harness.fixture();
            let call = fixture.applying(&changes);
            let (result, stats) = fixture.call(FaultPlan::At(at, Fault::status(status)), &call);
            if !stats.is_injected {
                break;
            }
            count += 1;
            let CallResult::Failed(ProviderError::Invalid { name: Some(name), .. }) = &result else { continue };
            let is_written = fixture.truth().iter().any(|set| set.name == *name);
            ensure(!is_written, || {
                format!("status {status} at request {}: the error names {name}, which was written before", at + 1)
            })?;
        }
    }
    Ok(count)
}
