//! Checks of an ownership TXT record (the "claim") that is unchanged in a change set with a real change: it names the
//! record's owner and must still exist.

use std::slice;

use linecamp_provider::{Change, RecordSet};

use super::applying::{apply, claimed};
use super::expect::conflict;
use super::recovery::finishes;
use crate::fault::Fault;
use crate::harness::{Harness, NotPassed, Outcome, ensure};

pub(super) fn keeps_an_unchanged_claim(harness: &Harness<'_>) -> Outcome {
    let claim = claim(harness);
    let [first, second] = ["192.0.2.1", "192.0.2.2"].map(|address| harness.set("www", "A", &[address]));
    let steps = [
        vec![kept(&claim), Change::create(first.clone())],
        vec![Change::replace(first, second.clone()), kept(&claim)],
        vec![kept(&claim), Change::delete(second.clone())],
        vec![Change::create(second.clone()), kept(&claim)],
    ];
    let fixture = harness.fixture();
    fixture.seed(&claim);
    for changes in &steps {
        apply(&fixture, changes)?;
    }
    let writes = fixture.writes();
    apply(&fixture, &[kept(&claim)])?;
    apply(&fixture, &[kept(&claim), Change::create(second)])?;
    ensure(fixture.writes() == writes, || "it wrote although nothing changes".to_owned())?;
    conflicts_without_the_claim(harness, &claim)?;
    let count = finishes_with_a_claim(harness, &claim)?;
    Ok(format!("{} change sets, {count} of them interrupted", steps.len() + 4 + count))
}

/// If another owner has the ownership TXT record, or it no longer exists, the call is a conflict: the record beside it
/// stays as it is.
fn conflicts_without_the_claim(harness: &Harness<'_>, claim: &RecordSet) -> Result<(), NotPassed> {
    let [_, record] = claimed(harness);
    let theirs = RecordSet { values: vec!["linecamp-claim owner=another".to_owned()], ..claim.clone() };
    for there in [vec![theirs], Vec::new()] {
        let fixture = harness.fixture();
        fixture.seed_all(&there);
        conflict(&fixture, &[kept(claim), record.clone()])?;
    }
    Ok(())
}

/// An interrupted change set with an unchanged ownership TXT record is finished too; returns the number of
/// interruptions.
fn finishes_with_a_claim(harness: &Harness<'_>, claim: &RecordSet) -> Result<usize, NotPassed> {
    let [_, record] = claimed(harness);
    let mut count = 0;
    for fault in [Fault::status(500), Fault::Lost] {
        count += finishes(harness, &fault, (slice::from_ref(claim), &[kept(claim), record.clone()]))?;
    }
    Ok(count)
}

fn claim(harness: &Harness<'_>) -> RecordSet {
    let [claim, _] = claimed(harness);
    claim.after.expect("an ownership TXT record is created")
}

fn kept(set: &RecordSet) -> Change {
    Change::replace(set.clone(), set.clone())
}
