//! Checks of an ownership TXT record (the "claim") that is unchanged in a change set with a real change: it names the
//! record's owner and must still exist.

use std::slice;

use linecamp_provider::{Change, RecordSet};

use super::applying::{claimed, step};
use super::conflict::conflict;
use super::recovery::finishes;
use crate::bench::{Bench, Outcome, Trouble, ensure};
use crate::fault::Fault;

pub(super) fn keeps_what_goes_along(bench: &Bench<'_>) -> Outcome {
    let claim = claim(bench);
    let [first, second] = ["192.0.2.1", "192.0.2.2"].map(|address| bench.set("www", "A", &[address]));
    let steps = [
        vec![kept(&claim), Change::create(first.clone())],
        vec![Change::replace(first, second.clone()), kept(&claim)],
        vec![kept(&claim), Change::delete(second.clone())],
        vec![Change::create(second.clone()), kept(&claim)],
    ];
    let room = bench.room();
    room.plant(&claim);
    for changes in &steps {
        step(&room, changes)?;
    }
    let writes = room.writes();
    step(&room, &[kept(&claim)])?;
    step(&room, &[kept(&claim), Change::create(second)])?;
    ensure(room.writes() == writes, || "nothing was to change, and it wrote".to_owned())?;
    heeds_who_claims(bench, &claim)?;
    let count = finishes_beside(bench, &claim)?;
    Ok(format!("{} steps, {count} of them cut off or lost", steps.len() + 4 + count))
}

/// If another owner has the ownership TXT record, or it no longer exists, the call is a conflict: the record beside it
/// stays as it is.
fn heeds_who_claims(bench: &Bench<'_>, claim: &RecordSet) -> Result<(), Trouble> {
    let [_, record] = claimed(bench);
    let theirs = RecordSet { values: vec!["linecamp-claim owner=somebody-else".to_owned()], ..claim.clone() };
    for there in [vec![theirs], Vec::new()] {
        let room = bench.room();
        room.plant_all(&there);
        conflict(&room, &[kept(claim), record.clone()])?;
    }
    Ok(())
}

/// An interrupted change set with an unchanged ownership TXT record is finished too; returns the number of
/// interruptions.
fn finishes_beside(bench: &Bench<'_>, claim: &RecordSet) -> Result<usize, Trouble> {
    let [_, record] = claimed(bench);
    let mut count = 0;
    for fault in [Fault::status(500), Fault::Lost] {
        count += finishes(bench, &fault, (slice::from_ref(claim), &[kept(claim), record.clone()]))?;
    }
    Ok(count)
}

fn claim(bench: &Bench<'_>) -> RecordSet {
    let [claim, _] = claimed(bench);
    claim.after.expect("a claim is made")
}

fn kept(set: &RecordSet) -> Change {
    Change::replace(set.clone(), set.clone())
}
