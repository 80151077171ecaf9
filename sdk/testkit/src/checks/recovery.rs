//! Checks that a failed change set is finished by repeating the call.

use linecamp_provider::{Change, Failure, RecordSet};

use super::applying::claimed;
use super::fault::sweep_one;
use crate::bench::{Bench, Outcome, Room, Trouble, changed, difference, ensure, words};
use crate::fault::Fault;
use crate::subject::{Ask, Ending};
use crate::world::{Plan, Seen};

/// The number of requests per attempt at which the fault is injected. Later requests are not tested.
const REQUESTS_CUT_MAX: usize = 50;

pub(super) fn finishes_what_was_cut(bench: &Bench<'_>) -> Outcome {
    let mut count = 0;
    for fault in [Fault::status(500), Fault::Timeout] {
        count += finishes_a_life(bench, &fault)?;
    }
    count += finishes_sets(bench, &Fault::Timeout)?;
    Ok(format!("{count} steps cut off, once or twice"))
}

pub(super) fn finishes_what_was_lost(bench: &Bench<'_>) -> Outcome {
    let count = finishes_a_life(bench, &Fault::Lost)? + finishes_sets(bench, &Fault::Lost)?;
    Ok(format!("{count} answers lost, once or twice"))
}

/// Interrupts changes between record sets of one and of several values; returns the number of interruptions. A service
/// that cannot write a whole set leaves it half written, and the next attempt must recognize that.
fn finishes_sets(bench: &Bench<'_>, fault: &Fault) -> Result<usize, Trouble> {
    let ttls = [bench.ttl(), bench.ttl().saturating_add(60).min(bench.described.abilities.ttl_max)];
    let set = |ttl: usize, values: &[&str]| RecordSet { ttl: ttls[ttl], ..bench.set("half", "A", values) };
    let three = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    let others = ["192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"];
    let claim = |text: &str| bench.set("_linecamp-a.half", "TXT", &[text]);
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
        count += finishes(bench, fault, (change.before.as_slice(), std::slice::from_ref(change)))?;
    }
    Ok(count)
}

pub(super) fn is_atomic(bench: &Bench<'_>) -> Outcome {
    if !bench.described.abilities.atomic {
        return Err(Trouble::Skipped("it says it is not atomic".to_owned()));
    }
    let changes = claimed(bench);
    let mut count = 0;
    for fault in [Fault::status(500), Fault::Unreachable, Fault::Timeout, Fault::Lost, Fault::TooLarge] {
        sweep_one(bench, &fault, &|room| room.applying(&changes), |_, ending, _, room| {
            count += 1;
            let there = room.truth_at(&["_linecamp-a.www"]).len() + usize::from(has_record(room));
            ensure(there != 1, || format!("{}: half of it is there ({ending:?})", fault.words()))
        })?;
    }
    Ok(format!("{count} steps cut off or lost"))
}

fn has_record(room: &Room<'_>) -> bool {
    room.truth_at(&["www"]).iter().any(|set| set.rtype == "A")
}

/// Interrupts the creation of an ownership TXT record and its record and the deletion of an old record; returns the
/// number of interruptions.
pub(super) fn finishes_a_life(bench: &Bench<'_>, fault: &Fault) -> Result<usize, Trouble> {
    let old = bench.set("old", "A", &["192.0.2.7"]);
    let mut changes = claimed(bench).to_vec();
    if 3 <= bench.described.abilities.changes_max {
        changes.push(Change::delete(old.clone()));
    }
    finishes(bench, fault, (&[old], &changes))
}

/// With these sets in the zone, interrupts a change set at each of its requests, and its second attempt again at each
/// of its own, then applies it with the same key; returns the number of interruptions.
pub(super) fn finishes(
    bench: &Bench<'_>,
    fault: &Fault,
    (there, changes): (&[RecordSet], &[Change]),
) -> Result<usize, Trouble> {
    let room = bench.room();
    room.plant_all(there);
    let expected = changed(&room.truth(), changes);
    let mut count = 0;
    for first in 0..REQUESTS_CUT_MAX {
        for second in 0..REQUESTS_CUT_MAX {
            let room = bench.room();
            room.plant_all(there);
            let ask = room.applying(changes);
            let seen = attempt(&room, (&ask, &expected), Plan::At(first, fault.clone()))?;
            if seen.requests() <= first {
                return Ok(count);
            }
            if !seen.is_struck {
                break;
            }
            count += 1;
            let again = attempt(&room, (&ask, &expected), Plan::At(second, fault.clone()))?;
            attempt(&room, (&ask, &expected), Plan::Calm)?;
            if again.requests() <= second {
                break;
            }
        }
    }
    Ok(count)
}

/// Attempts a change set. It must not conflict with its own partial result; if it reports success, it must be applied;
/// and without a fault it must succeed.
fn attempt(room: &Room<'_>, (ask, expected): (&Ask, &[RecordSet]), plan: Plan) -> Result<Seen, Trouble> {
    let trouble = match &plan {
        Plan::At(index, fault) => format!("{} at request {}", fault.words(), index + 1),
        _ => "after trouble".to_owned(),
    };
    let is_calm = matches!(plan, Plan::Calm);
    let failed = |why: String| Err(Trouble::Failed(format!("{}, {trouble}: {why}", words(ask))));
    let (ending, seen) = room.call(plan, ask);
    match ending {
        Ending::Broken(why) => failed(why),
        Ending::Failed(Failure::Conflict { name, owner }) => {
            failed(format!("a conflict with its own half: {name}: {owner}"))
        }
        Ending::Failed(failure) if is_calm => failed(failure.to_string()),
        Ending::Failed(_) => Ok(seen),
        Ending::Done(_) => {
            let truth = room.truth();
            match truth == expected {
                true => Ok(seen),
                false => failed(format!("it says it is done, and {}", difference(expected, &truth))),
            }
        }
    }
}
