//! Checks of what a provider does when someone else's records already exist.

use linecamp_provider::{Change, Failure, RecordSet};

use super::applying::claimed;
use crate::bench::{Bench, Outcome, Room, Trouble, difference, ensure, words};
use crate::subject::Ending;
use crate::world::Plan;

pub(super) fn respects_others(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    let theirs = bench.set("taken", "A", &["198.51.100.9"]);
    let ours = bench.set("taken", "A", &["192.0.2.1"]);
    room.plant(&theirs);
    let longer =
        RecordSet { ttl: bench.ttl().saturating_add(60).min(bench.described.abilities.ttl_max), ..theirs.clone() };
    let more = bench.set("taken", "A", &["198.51.100.9", "192.0.2.1"]);
    let next = bench.set("taken", "A", &["192.0.2.2"]);
    let absent = bench.set("absent", "A", &["192.0.2.1"]);
    let steps = [
        Change::create(ours.clone()),
        Change::replace(ours.clone(), next.clone()),
        Change::replace(more, next.clone()),
        Change::delete(ours),
        Change::replace(absent, bench.set("absent", "A", &["192.0.2.2"])),
    ];
    for change in &steps {
        conflict(&room, std::slice::from_ref(change))?;
    }
    if longer != theirs {
        conflict(&room, &[Change::delete(longer)])?;
    }
    Ok(format!("{} steps, nothing written", steps.len() + 1))
}

pub(super) fn leaves_a_step_undone(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    room.plant(&bench.set("www", "A", &["198.51.100.9"]));
    let [claim, record] = claimed(bench);
    if bench.described.abilities.atomic {
        conflict(&room, &[claim.clone(), record.clone()])?;
        conflict(&room, &[record, claim])?;
        return Ok("claim and record, in both orders".to_owned());
    }
    let before = room.truth_at(&["www"]);
    let ask = room.applying(&[claim, record]);
    let (ending, _) = room.call(Plan::Calm, &ask);
    ensure(matches!(ending, Ending::Failed(Failure::Conflict { .. })), || format!("{}: {ending:?}", words(&ask)))?;
    ensure(room.truth_at(&["www"]) == before, || "it wrote over what was there".to_owned())?;
    match room.truth_at(&["_linecamp-a.www"]).is_empty() {
        true => Ok("nothing written".to_owned()),
        false => Err(Trouble::Noted("not atomic: the claim was written, and the host takes it back".to_owned())),
    }
}

pub(super) fn compares_at_the_service(bench: &Bench<'_>) -> Outcome {
    let theirs = bench.set("www", "A", &["198.51.100.9"]);
    let create = [Change::create(bench.set("www", "A", &["192.0.2.1"]))];
    let calm = bench.room();
    let (_, seen) = calm.call(Plan::Calm, &calm.applying(&create));
    for at in 0..seen.requests() {
        let room = bench.room();
        let (ending, seen) = room.call(Plan::Race(at, vec![theirs.clone()]), &room.applying(&create));
        let is_kept = room.truth_at(&["www"]).iter().any(|set| set.is(&theirs));
        if seen.is_struck && !is_kept {
            let why = "no: what somebody writes between its look and its write is lost";
            return Err(Trouble::Noted(why.to_owned()));
        }
        let is_conflict = matches!(ending, Ending::Failed(Failure::Conflict { .. }));
        ensure(is_conflict || !seen.is_struck, || format!("overtaken at request {}: {ending:?}", at + 1))?;
    }
    Ok("overtaken before each request: a conflict, nothing lost".to_owned())
}

/// Checks that the changes end in a conflict with the right name, and that nothing is written.
pub(super) fn conflict(room: &Room<'_>, changes: &[Change]) -> Result<(), Trouble> {
    let (before, writes) = (room.truth(), room.writes());
    let ask = room.applying(changes);
    let (ending, _) = room.call(Plan::Calm, &ask);
    let Ending::Failed(Failure::Conflict { name, owner }) = ending else {
        return Err(Trouble::Failed(format!("{}: not a conflict, but {ending:?}", words(&ask))));
    };
    let is_named = changes.iter().any(|change| change.name() == name || owner.contains(change.name()));
    ensure(is_named, || format!("{}: the conflict names `{name}`", words(&ask)))?;
    let after = room.truth();
    ensure(after == before, || format!("{}: {}", words(&ask), difference(&before, &after)))?;
    ensure(room.writes() == writes, || format!("{}: it wrote", words(&ask)))
}
