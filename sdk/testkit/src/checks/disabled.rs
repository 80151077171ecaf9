//! Checks of what a provider does with records that the zone contains but does not serve.

use linecamp_provider::{Change, RecordSet};

use super::expect::conflict;
use crate::harness::{Fixture, Harness, NotPassed, Outcome, describe, difference, ensure};
use crate::under_test::Call;

pub(super) fn observes_disabled(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    let sets = [
        harness.set("off", "A", &["198.51.100.9"]),
        harness.set("_linecamp-a.claimed", "TXT", &["of others"]),
        harness.set("alias", "CNAME", &["target.elsewhere.example"]),
        harness.set("*.off", "A", &["198.51.100.9"]),
    ];
    for set in &sets {
        if !fixture.seed_disabled(set) {
            let why = "the fake server does not implement `seed_disabled`";
            return Err(NotPassed::Skipped(why.to_owned()));
        }
    }
    let before = fixture.disabled();
    let names: Vec<_> = sets.iter().map(|set| set.name.clone()).chain([harness.setup.name("absent")]).collect();
    let zone = &harness.setup.zone;
    let observing = |names: &[String]| Call::Observe { zone: zone.clone(), names: names.to_vec() };
    for name in &names[..sets.len()] {
        sees(&fixture, &sets, &observing(std::slice::from_ref(name)))?;
    }
    sees(&fixture, &sets, &observing(&names))?;
    if harness.described.capabilities.can_list_records {
        sees(&fixture, &sets, &observing(&[]))?;
    }
    for set in &sets {
        let values = match &*set.rtype {
            "A" => "192.0.2.1",
            "CNAME" => "other.elsewhere.example",
            _ => "x",
        };
        conflict(&fixture, &[Change::create(RecordSet { values: vec![values.to_owned()], ..set.clone() })])?;
        let after = fixture.disabled();
        ensure(after == before, || format!("create {} {}: {}", set.name, set.rtype, difference(&before, &after)))?;
    }
    Ok(format!("{} sets, none overwritten", sets.len()))
}

/// Checks that each requested set is observed, whatever its values.
fn sees(fixture: &Fixture<'_>, sets: &[RecordSet], call: &Call) -> Result<(), NotPassed> {
    let found = fixture.done(call)?;
    let Call::Observe { names, .. } = call else { return Ok(()) };
    let requested = sets.iter().filter(|set| names.is_empty() || names.contains(&set.name));
    for set in requested {
        let is_it = |found: &&RecordSet| {
            let found = found.canonical();
            found.name == set.name && found.rtype == set.rtype && !found.values.is_empty()
        };
        ensure(found.iter().any(|found| is_it(&found)), || {
            format!("{}: {} {} exists but is not served, and was not observed", describe(call), set.name, set.rtype)
        })?;
    }
    Ok(())
}
