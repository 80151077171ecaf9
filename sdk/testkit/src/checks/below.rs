//! Checks of names that lie in a delegated zone below the zone.

use linecamp_provider::{Change, Failure};

use super::applying::claimed;
use super::observing::same;
use crate::bench::{Bench, Outcome, Room, Trouble, ensure, words};
use crate::subject::{Ask, Ending};
use crate::world::Plan;

/// The zone below, as a label of the zone.
const BELOW: &str = "sub";

pub(super) fn names_the_zone(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    room.plant(&bench.set("one", "A", &["192.0.2.1"]));
    room.plant(&bench.set("www.sub", "A", &["192.0.2.1"]));
    delegated(&room)?;
    // At the delegated name and below it, with and without records.
    let hidden = [BELOW, "www.sub", "_linecamp-a.www.sub", "a.b.sub"];
    for label in hidden {
        in_zone_below(bench, &room, &room.observing(&[label]))?;
        in_zone_below(bench, &room, &room.observing(&["one", label]))?;
        let create = Change::create(bench.set(label, "TXT", &["x"]));
        in_zone_below(bench, &room, &room.applying(std::slice::from_ref(&create)))?;
        if bench.described.abilities.atomic {
            let beside = Change::create(bench.set("two", "A", &["192.0.2.1"]));
            in_zone_below(bench, &room, &room.applying(&[beside, create]))?;
        }
    }
    let (there, next) = (bench.set("www.sub", "A", &["192.0.2.1"]), bench.set("www.sub", "A", &["192.0.2.2"]));
    in_zone_below(bench, &room, &room.applying(&[Change::replace(there, next)]))?;
    // Names that only look similar belong to the zone.
    same(&room, &["one", "notsub", "sub.one"])?;
    Ok(format!("{} names", hidden.len()))
}

pub(super) fn deletes_what_is_hidden(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    let [claim, record] = claimed(bench).map(|change| {
        let mut set = change.after.unwrap_or_else(|| unreachable!("both are created"));
        set.name = set.name.replace("www", "www.sub");
        set
    });
    room.plant_all(&[claim.clone(), record.clone()]);
    delegated(&room)?;
    let other = bench.set("www.sub", "A", &["192.0.2.77"]);
    let ask = room.applying(&[Change::delete(other)]);
    let (ending, _) = room.call(Plan::Calm, &ask);
    ensure(matches!(ending, Ending::Failed(Failure::Conflict { .. })), || format!("{}: {ending:?}", words(&ask)))?;
    // One change per change set if the provider is not atomic.
    let all = [Change::delete(record), Change::delete(claim)];
    let size = if bench.described.abilities.atomic { all.len() } else { 1 };
    for step in all.chunks(size) {
        let ask = room.applying(step);
        room.done(&ask)?;
        let writes = room.writes();
        room.done(&ask)?;
        ensure(room.writes() == writes, || format!("{}: it wrote a second time", words(&ask)))?;
    }
    let left = room.truth_at(&["www.sub", "_linecamp-a.www.sub"]);
    ensure(left.is_empty(), || format!("{left:?} is left"))?;
    Ok("a record and its claim, hidden by then".to_owned())
}

fn delegated(room: &Room<'_>) -> Result<(), Trouble> {
    match room.delegate(BELOW) {
        true => Ok(()),
        false => Err(Trouble::Skipped("its model has no zones below the zone: `delegate`".to_owned())),
    }
}

/// Checks that the call is refused because of the one name below, that the refusal names the zone, and that nothing is
/// written.
fn in_zone_below(bench: &Bench<'_>, room: &Room<'_>, ask: &Ask) -> Result<(), Trouble> {
    let (before, writes) = (room.truth(), room.writes());
    let (ending, _) = room.call(Plan::Calm, ask);
    let Ending::Failed(Failure::Refused { reason, name: Some(name), .. }) = &ending else {
        return Err(Trouble::Failed(format!("{}: no name is refused, but {ending:?}", words(ask))));
    };
    let below = bench.setup.name(BELOW);
    let is_below = *name == below || name.ends_with(&format!(".{below}"));
    ensure(is_below, || format!("{}: the refusal names `{name}`", words(ask)))?;
    let is_said = reason.split([' ', ',', ':']).any(|word| word == below);
    ensure(is_said, || format!("{}: the zone {below} is not named: {reason}", words(ask)))?;
    ensure(room.truth() == before && room.writes() == writes, || format!("{}: it wrote", words(ask)))
}
