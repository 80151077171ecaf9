//! Checks of what a provider does when someone else's records already exist.

use linecamp_provider::{Change, ProviderError, RecordSet};

use super::applying::claimed;
use super::expect::conflict;
use crate::fake_host::FaultPlan;
use crate::harness::{Harness, NotPassed, Outcome, describe, ensure};
use crate::under_test::CallResult;

pub(super) fn respects_others(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    let theirs = harness.set("taken", "A", &["198.51.100.9"]);
    let ours = harness.set("taken", "A", &["192.0.2.1"]);
    fixture.seed(&theirs);
    let longer = RecordSet {
        ttl: harness.ttl().saturating_add(60).min(harness.described.capabilities.ttl_max),
        ..theirs.clone()
    };
    let more = harness.set("taken", "A", &["198.51.100.9", "192.0.2.1"]);
    let next = harness.set("taken", "A", &["192.0.2.2"]);
    let absent = harness.set("absent", "A", &["192.0.2.1"]);
    let steps = [
        Change::create(ours.clone()),
        Change::replace(ours.clone(), next.clone()),
        Change::replace(more, next.clone()),
        Change::delete(ours),
        Change::replace(absent, harness.set("absent", "A", &["192.0.2.2"])),
    ];
    for change in &steps {
        conflict(&fixture, std::slice::from_ref(change))?;
    }
    if longer != theirs {
        conflict(&fixture, &[Change::delete(longer)])?;
    }
    Ok(format!("{} changes, nothing written", steps.len() + 1))
}

pub(super) fn writes_nothing_on_a_conflict(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    fixture.seed(&harness.set("www", "A", &["198.51.100.9"]));
    let [claim, record] = claimed(harness);
    if harness.described.capabilities.atomic {
        conflict(&fixture, &[claim.clone(), record.clone()])?;
        conflict(&fixture, &[record, claim])?;
        return Ok("ownership TXT record and record, in both orders".to_owned());
    }
    let before = fixture.truth_at(&["www"]);
    let call = fixture.applying(&[claim, record]);
    let (result, _) = fixture.call(FaultPlan::NoFault, &call);
    ensure(matches!(result, CallResult::Failed(ProviderError::Conflict { .. })), || {
        format!("{}: {result:?}", describe(&call))
    })?;
    ensure(fixture.truth_at(&["www"]) == before, || "it overwrote the existing record".to_owned())?;
    match fixture.truth_at(&["_linecamp-a.www"]).is_empty() {
        true => Ok("nothing written".to_owned()),
        false => {
            Err(NotPassed::Noted("not atomic: the ownership TXT record was written; the host deletes it".to_owned()))
        }
    }
}

pub(super) fn compares_at_the_service(harness: &Harness<'_>) -> Outcome {
    let theirs = harness.set("www", "A", &["198.51.100.9"]);
    let create = [Change::create(harness.set("www", "A", &["192.0.2.1"]))];
    let baseline = harness.fixture();
    let (_, stats) = baseline.call(FaultPlan::NoFault, &baseline.applying(&create));
    for at in 0..stats.requests() {
        let fixture = harness.fixture();
        let (result, stats) = fixture.call(FaultPlan::Race(at, vec![theirs.clone()]), &fixture.applying(&create));
        let is_kept = fixture.truth_at(&["www"]).iter().any(|set| set.equivalent(&theirs));
        if stats.is_injected && !is_kept {
            let why = "no: a change between its read and its write is lost";
            return Err(NotPassed::Noted(why.to_owned()));
        }
        let is_conflict = matches!(result, CallResult::Failed(ProviderError::Conflict { .. }));
        ensure(is_conflict || !stats.is_injected, || format!("concurrent change at request {}: {result:?}", at + 1))?;
    }
    Ok("concurrent change before each request: a conflict, nothing lost".to_owned())
}
