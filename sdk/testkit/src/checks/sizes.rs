//! Checks of the sizes of record sets: from one value to the most that the host writes.

use linecamp_provider::{Change, RecordSet};

use super::applying::apply;
use super::expect::same;
use crate::harness::{Harness, Outcome};

/// The maximum number of values of a record set that the host writes. A test compares it with the host's own.
pub(crate) const VALUES_MAX: usize = 16;

pub(super) fn writes_large_sets(harness: &Harness<'_>) -> Outcome {
    let address = |index: usize| format!("192.0.2.{}", index + 1);
    let text = |index: usize| format!("value {index} of several, with \"quotes\"");
    let fixture = harness.fixture();
    for (rtype, value) in [("A", &address as &dyn Fn(usize) -> String), ("TXT", &text)] {
        let set = |values: std::ops::Range<usize>| {
            RecordSet::new(harness.setup.name("sizes"), rtype, harness.ttl(), values.map(value))
        };
        // One value, all values, all others, and one again.
        let sets = [set(0..1), set(0..VALUES_MAX), set(VALUES_MAX..2 * VALUES_MAX), set(VALUES_MAX..VALUES_MAX + 1)];
        apply(&fixture, &[Change::create(sets[0].clone())])?;
        for pair in sets.windows(2) {
            apply(&fixture, &[Change::replace(pair[0].clone(), pair[1].clone())])?;
            same(&fixture, &["sizes"])?;
        }
        apply(&fixture, &[Change::delete(sets[3].clone())])?;
    }
    Ok(format!("1 and {VALUES_MAX} values, {} writes", fixture.writes()))
}
