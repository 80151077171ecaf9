//! Checks of what a provider writes.

use linecamp_provider::{Change, Failure, RecordSet};

use super::observing::{is_more_than_text, seen_or_noted, txt_values};
use crate::bench::{Bench, Outcome, Room, Trouble, changed, compared, difference, ensure, words};
use crate::subject::{Ask, Ending};
use crate::world::Plan;

/// Changes per change set in the check with many changes, if the provider accepts that many.
const MANY: u32 = 20;

pub(super) fn does_each_change(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    let lives = [
        (bench.set("www", "A", &["192.0.2.1"]), bench.set("www", "A", &["192.0.2.2"])),
        (bench.set("two", "A", &["192.0.2.1", "192.0.2.2"]), bench.set("two", "A", &["192.0.2.2", "192.0.2.3"])),
        (bench.set("v6", "AAAA", &["2001:db8::1"]), bench.set("v6", "AAAA", &["2001:db8::2", "2001:db8::"])),
        (bench.set("alias", "CNAME", &["a.elsewhere.example"]), bench.set("alias", "CNAME", &["b.elsewhere.example"])),
        (bench.set("note", "TXT", &["one"]), bench.set("note", "TXT", &["one", "two"])),
        (bench.set("*.any", "A", &["192.0.2.1"]), bench.set("*.any", "A", &["192.0.2.2"])),
        (bench.set("_linecamp-a.www", "TXT", &["claim a"]), bench.set("_linecamp-a.www", "TXT", &["claim b"])),
    ];
    for (first, second) in &lives {
        step(&room, &[Change::create(first.clone())])?;
        step(&room, &[Change::replace(first.clone(), second.clone())])?;
    }
    for (_, second) in &lives {
        step(&room, &[Change::delete(second.clone())])?;
    }
    // From one type to another at the same name, in one change set.
    let (address, alias) =
        (bench.set("moves", "A", &["192.0.2.1"]), bench.set("moves", "CNAME", &["a.elsewhere.example"]));
    step(&room, &[Change::create(address.clone())])?;
    step(&room, &[Change::delete(address), Change::create(alias)])?;
    Ok(format!("{} record sets through their lives, {} writes", lives.len(), room.writes()))
}

pub(super) fn writes_txt(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    let values = txt_values();
    let (mut kept, mut left_out): (Vec<&str>, Vec<&str>) = Default::default();
    let mut before: Option<RecordSet> = None;
    for value in &values {
        let after = bench.set("note", "TXT", &[value]);
        let changes = [Change { before: before.clone(), after: Some(after.clone()) }];
        if is_more_than_text(value) && is_refused(&room, &changes)? {
            left_out.push(value);
            continue;
        }
        step(&room, &changes)?;
        kept.push(value);
        before = Some(after);
    }
    let all = bench.set("all", "TXT", &kept);
    step(&room, &[Change::create(all.clone())])?;
    step(&room, &[Change::delete(all)])?;
    seen_or_noted(values.len(), &left_out)
}

/// Whether the changes are refused because of their name. If so, none of them may have been applied.
fn is_refused(room: &Room<'_>, changes: &[Change]) -> Result<bool, Trouble> {
    let before = room.truth();
    let ask = room.applying(changes);
    let (Ending::Failed(Failure::Refused { name: Some(name), .. }), _) = room.call(Plan::Calm, &ask) else {
        return Ok(false);
    };
    let truth = room.truth();
    ensure(truth == before, || format!("{}: refused, and {}", words(&ask), difference(&before, &truth)))?;
    Ok(changes.iter().any(|change| change.name() == name))
}

pub(super) fn keeps_ttls(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    let abilities = bench.described.abilities;
    let first = RecordSet { ttl: abilities.ttl_min, ..bench.set("ttl", "A", &["192.0.2.1"]) };
    let last = RecordSet { ttl: abilities.ttl_max, ..first.clone() };
    step(&room, &[Change::create(first.clone())])?;
    if first != last {
        step(&room, &[Change::replace(first, last)])?;
    }
    Ok(format!("{} to {} s", abilities.ttl_min, abilities.ttl_max))
}

pub(super) fn does_many(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    let count = MANY.min(bench.described.abilities.changes_max);
    let sets: Vec<_> = (0..count).map(|index| bench.set(&format!("m{index:02}"), "A", &["192.0.2.1"])).collect();
    step(&room, &sets.iter().cloned().map(Change::create).collect::<Vec<_>>())?;
    step(&room, &sets.into_iter().map(Change::delete).collect::<Vec<_>>())?;
    Ok(format!("{count} changes"))
}

pub(super) fn writes_nothing_twice(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    let (old, new) = (bench.set("www", "A", &["192.0.2.1", "192.0.2.3"]), bench.set("www", "A", &["192.0.2.2"]));
    let claim = bench.set("_linecamp-a.www", "TXT", &["claim \"a\"; \\195\\188"]);
    step(&room, &[Change::create(old.clone()), Change::create(claim.clone())])?;
    step(&room, &[Change::replace(old.clone(), new.clone())])?;
    // Repeated changes that are already done: in other change sets, with another order of values, and for deleted sets.
    let twice = [
        vec![Change::replace(old.clone(), new.clone())],
        vec![Change::create(new.clone())],
        vec![Change::create(new), Change::create(claim)],
        vec![Change::delete(bench.set("gone", "A", &["192.0.2.1"]))],
    ];
    let writes = room.writes();
    for changes in &twice {
        let ask = room.applying(changes);
        room.done(&ask)?;
        ensure(room.writes() == writes, || format!("{}: it wrote again", words(&ask)))?;
    }
    Ok(format!("{} steps, no write", twice.len()))
}

pub(super) fn does_a_step_once(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    let changes = [
        Change::create(bench.set("_linecamp-a.www", "TXT", &["claim"])),
        Change::create(bench.set("www", "A", &["192.0.2.1"])),
    ];
    let ask = room.applying(&changes);
    room.done(&ask)?;
    let (truth, writes) = (room.truth(), room.writes());
    room.done(&ask)?;
    room.done(&ask)?;
    ensure(room.truth() == truth && room.writes() == writes, || "the second time changed something".to_owned())?;
    Ok("three times under one key".to_owned())
}

/// Applies changes, and checks that exactly these were applied.
pub(super) fn step(room: &Room<'_>, changes: &[Change]) -> Result<(), Trouble> {
    let expected = changed(&room.truth(), changes);
    let ask = room.applying(changes);
    let known = compared(room.done(&ask)?);
    let truth = room.truth();
    ensure(truth == expected, || format!("{}: {}", words(&ask), difference(&expected, &truth)))?;
    let untrue = known.iter().find(|set| !truth.contains(set));
    ensure(untrue.is_none(), || format!("{}: it says {untrue:?} is there", words(&ask)))
}

/// Returns the creation of an ownership TXT record (the "claim") and of its record.
pub(super) fn claimed(bench: &Bench<'_>) -> [Change; 2] {
    let claim = bench.set("_linecamp-a.www", "TXT", &["linecamp-claim owner=acme site=7"]);
    [Change::create(claim), Change::create(bench.set("www", "A", &["192.0.2.1"]))]
}

/// Returns one call of each kind that the checks make under faults.
pub(super) fn all_asks(bench: &Bench<'_>, room: &Room<'_>) -> Vec<Ask> {
    vec![Ask::Check, room.observing(&["foreign", "www"]), room.applying(&claimed(bench))]
}
