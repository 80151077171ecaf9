//! Checks of what a provider does with records that the zone contains but does not serve.

use linecamp_provider::{Change, RecordSet};

use super::conflict::conflict;
use crate::bench::{Bench, Outcome, Room, Trouble, difference, ensure, words};
use crate::subject::Ask;

pub(super) fn sees_what_is_disabled(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    let sets = [
        bench.set("off", "A", &["198.51.100.9"]),
        bench.set("_linecamp-a.claimed", "TXT", &["of others"]),
        bench.set("alias", "CNAME", &["target.elsewhere.example"]),
        bench.set("*.off", "A", &["198.51.100.9"]),
    ];
    for set in &sets {
        if !room.plant_disabled(set) {
            let why = "its model has no records that are not served: `plant_disabled`";
            return Err(Trouble::Skipped(why.to_owned()));
        }
    }
    let before = room.disabled();
    let names: Vec<_> = sets.iter().map(|set| set.name.clone()).chain([bench.setup.name("absent")]).collect();
    let zone = &bench.setup.zone;
    let observing = |names: &[String]| Ask::Observe { zone: zone.clone(), names: names.to_vec() };
    for name in &names[..sets.len()] {
        sees(&room, &sets, &observing(std::slice::from_ref(name)))?;
    }
    sees(&room, &sets, &observing(&names))?;
    if bench.described.abilities.lists_zones {
        sees(&room, &sets, &observing(&[]))?;
    }
    for set in &sets {
        let values = match &*set.rtype {
            "A" => "192.0.2.1",
            "CNAME" => "other.elsewhere.example",
            _ => "x",
        };
        conflict(&room, &[Change::create(RecordSet { values: vec![values.to_owned()], ..set.clone() })])?;
        let after = room.disabled();
        ensure(after == before, || format!("create {} {}: {}", set.name, set.rtype, difference(&before, &after)))?;
    }
    Ok(format!("{} sets, nothing written over them", sets.len()))
}

/// Checks that each requested set is observed, whatever its values.
fn sees(room: &Room<'_>, sets: &[RecordSet], ask: &Ask) -> Result<(), Trouble> {
    let found = room.done(ask)?;
    let Ask::Observe { names, .. } = ask else { return Ok(()) };
    let asked = sets.iter().filter(|set| names.is_empty() || names.contains(&set.name));
    for set in asked {
        let is_it = |found: &&RecordSet| {
            let found = found.canonical();
            found.name == set.name && found.rtype == set.rtype && !found.values.is_empty()
        };
        ensure(found.iter().any(|found| is_it(&found)), || {
            format!("{}: {} {} is there and not served, and not seen", words(ask), set.name, set.rtype)
        })?;
    }
    Ok(())
}
