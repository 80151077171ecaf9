//! Expectations that several checks share.

use linecamp_provider::{Change, ProviderError};

use crate::fake_host::FaultPlan;
use crate::harness::{Fixture, NotPassed, compared, describe, difference, ensure};
use crate::under_test::CallResult;

/// Checks that the changes end in a conflict with the right name, and that nothing is written.
pub(super) fn conflict(fixture: &Fixture<'_>, changes: &[Change]) -> Result<(), NotPassed> {
    let (before, writes) = (fixture.truth(), fixture.writes());
    let call = fixture.applying(changes);
    let (result, _) = fixture.call(FaultPlan::NoFault, &call);
    let CallResult::Failed(ProviderError::Conflict { name, found }) = result else {
        return Err(NotPassed::Failed(format!("{}: expected a conflict, got {result:?}", describe(&call))));
    };
    let is_named = changes.iter().any(|change| change.name() == name || found.contains(change.name()));
    ensure(is_named, || format!("{}: the conflict names `{name}`", describe(&call)))?;
    let after = fixture.truth();
    ensure(after == before, || format!("{}: {}", describe(&call), difference(&before, &after)))?;
    ensure(fixture.writes() == writes, || format!("{}: it wrote", describe(&call)))
}

/// Checks that the records observed at these labels are the zone's contents.
pub(super) fn same(fixture: &Fixture<'_>, labels: &[&str]) -> Result<(), NotPassed> {
    let found = compared(fixture.done(&fixture.observing(labels))?);
    let truth = fixture.truth_at(labels);
    ensure(found == truth, || difference(&truth, &found))
}
