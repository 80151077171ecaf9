//! What becomes of a step that went wrong: it is finished, by the same call again.

use linecamp_provider::{Change, Failure, RecordSet};

use super::applying::claimed;
use super::fault::sweep_one;
use crate::bench::{Bench, Outcome, Room, Trouble, changed, difference, ensure};
use crate::fault::Fault;
use crate::subject::{Ask, Ending};
use crate::world::Plan;

pub(super) fn finishes_what_was_cut(bench: &Bench<'_>) -> Outcome {
    let mut count = 0;
    for fault in [Fault::status(500), Fault::Timeout] {
        count += finishes_a_life(bench, &fault)?;
    }
    Ok(format!("{count} steps cut off"))
}

pub(super) fn finishes_what_was_lost(bench: &Bench<'_>) -> Outcome {
    Ok(format!("{} answers lost", finishes_a_life(bench, &Fault::Lost)?))
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

/// Has a claim, its record and the end of an old record go wrong; returns how often.
pub(super) fn finishes_a_life(bench: &Bench<'_>, fault: &Fault) -> Result<usize, Trouble> {
    let old = bench.set("old", "A", &["192.0.2.7"]);
    let mut changes = claimed(bench).to_vec();
    if 3 <= bench.described.abilities.changes_max {
        changes.push(Change::delete(old.clone()));
    }
    finishes(bench, fault, (&[old], &changes))
}

/// Has a step go wrong at each of its requests, and done again under the same key, where these sets are; returns how
/// often.
pub(super) fn finishes(
    bench: &Bench<'_>,
    fault: &Fault,
    (there, changes): (&[RecordSet], &[Change]),
) -> Result<usize, Trouble> {
    let mut count = 0;
    let prepare = |room: &Room<'_>| {
        room.plant_all(there);
        room.applying(changes)
    };
    let expected = {
        let room = bench.room();
        room.plant_all(there);
        changed(&room.truth(), changes)
    };
    sweep_one(bench, fault, &prepare, |ask, ending, _, room| {
        count += 1;
        let said = match ending {
            Ending::Broken(why) => return Err(Trouble::Failed(format!("{}: {why}", fault.words()))),
            Ending::Failed(Failure::Conflict { name, owner }) => {
                return Err(Trouble::Failed(format!("{}: a conflict with itself: {name}: {owner}", fault.words())));
            }
            Ending::Failed(failure) => failure.to_string(),
            Ending::Done(_) => "done".to_owned(),
        };
        let is_done = matches!(ending, Ending::Done(_));
        let truth = room.truth();
        ensure(!is_done || truth == expected, || {
            format!("{}: it says it is done, and {}", fault.words(), difference(&expected, &truth))
        })?;
        finish(bench, room, (ask, changes)).map_err(|trouble| match trouble {
            Trouble::Failed(why) => Trouble::Failed(format!("after {} ({said}): {why}", fault.words())),
            other => other,
        })?;
        let truth = room.truth();
        ensure(truth == expected, || format!("after {}: {}", fault.words(), difference(&expected, &truth)))
    })?;
    Ok(count)
}

/// Has a step done again. Where changes are not done all or none, a set may be left that is neither what was nor what
/// is to be; then the provider may call it a conflict, and the host looks again and plans anew.
fn finish(bench: &Bench<'_>, room: &Room<'_>, (ask, changes): (&Ask, &[Change])) -> Result<(), Trouble> {
    let is_conflict = match room.call(Plan::Calm, ask).0 {
        Ending::Done(_) => return Ok(()),
        Ending::Failed(Failure::Conflict { .. }) => !bench.described.abilities.atomic,
        Ending::Failed(_) | Ending::Broken(_) => false,
    };
    if !is_conflict {
        return room.done(ask).map(drop);
    }
    let names = changes.iter().map(|change| change.name().to_owned()).collect();
    let found = room.done(&Ask::Observe { zone: bench.setup.zone.clone(), names })?;
    let anew: Vec<_> = changes.iter().filter_map(|change| planned(change, &found)).collect();
    room.done(&room.applying(&anew)).map(drop)
}

/// Returns what is left of a change, seen what is there.
fn planned(change: &Change, found: &[RecordSet]) -> Option<Change> {
    let before = found.iter().find(|set| set.name == change.name() && set.rtype == change.rtype()).cloned();
    let is_done = match (&before, &change.after) {
        (Some(before), Some(after)) => before.is(after),
        (None, None) => true,
        (_, _) => false,
    };
    (!is_done).then(|| Change { before, after: change.after.clone() })
}
