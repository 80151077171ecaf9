//! Change planning for a service that stores one record per value and writes one record at a time.
//!
//! At such a service, a set of three values is three records and takes three writes, and a call may be interrupted
//! between them. The same change set then comes again and finds neither its `before` nor its `after`, but a partial
//! result. [`plan`] always takes the same path from one set to the other, so it recognizes every intermediate state
//! of its own and continues from there; any other state was created by someone else and is a conflict.
//!
//! The path, with values in order: first, records that stay get their new TTL; then each record to remove is rewritten
//! to one to add, as long as there are both; the rest is created or deleted. So a set is never empty on its path, and a
//! set found empty was emptied by someone else.
//!
//! ```
//! use linecamp_provider::prelude::*;
//! use linecamp_provider::per_record::{Record, Write};
//!
//! let found = [Record::new("17", "www.example.org", "A", 300, "192.0.2.1")];
//! let before = RecordSet::new("www.example.org", "A", 300, ["192.0.2.1"]);
//! let after = RecordSet::new("www.example.org", "A", 300, ["192.0.2.2", "192.0.2.3"]);
//! let writes = per_record::plan(&[Change::replace(before, after)], &found)?;
//! assert_eq!(writes[0], Write::Update(Record::new("17", "www.example.org", "A", 300, "192.0.2.2")));
//! assert_eq!(writes[1], Write::Create(Record::new("", "www.example.org", "A", 300, "192.0.2.3")));
//! # Ok::<(), ProviderError>(())
//! ```
//!
//! Limits: it does not help if a service cannot update a record in place, and it does not detect a change by others
//! between the observation and the write.

use crate::error::ProviderError;
use crate::record::{Change, RecordSet, conflict_error, merge};

/// A record with one value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Absolute; in any case, with or without the trailing dot.
    pub name: String,
    /// `A`, `AAAA`, `CNAME` or `TXT`; any other type in records that were found.
    pub rtype: String,
    /// In the contract's form, see [`RecordSet::values`].
    pub value: String,
    /// Seconds.
    pub ttl: u32,
    /// The service's ID of the record; empty if it has not been created yet.
    pub id: String,
}

/// A write to one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Create this record. It has no ID.
    Create(Record),
    /// Set the value and TTL of the record with this ID. If it no longer exists, that is a conflict.
    Update(Record),
    /// Delete this record. If it no longer exists, the delete is done.
    Delete(Record),
}

impl Record {
    /// Makes a record.
    pub fn new(
        id: impl Into<String>,
        name: impl Into<String>,
        rtype: impl Into<String>,
        ttl: u32,
        value: impl Into<String>,
    ) -> Self {
        Self { name: name.into(), rtype: rtype.into(), value: value.into(), ttl, id: id.into() }
    }

    /// Returns the record as a set of one value. `observe` may return such sets: they are merged.
    pub fn set(&self) -> RecordSet {
        RecordSet::new(&self.name, &self.rtype, self.ttl, [&self.value])
    }

    /// Returns the records of a set, without IDs; empty for `None`.
    fn all(set: Option<&RecordSet>) -> Vec<Self> {
        let Some(RecordSet { name, rtype, ttl, values }) = set.map(RecordSet::canonical) else { return Vec::new() };
        values.into_iter().map(|value| Self::new("", &name, &rtype, ttl, value)).collect()
    }

    fn canonical(&self) -> Self {
        let RecordSet { name, rtype, ttl, mut values } = self.set().canonical();
        Self { name, rtype, value: values.remove(0), ttl, id: self.id.clone() }
    }

    fn has_same_data(&self, other: &Self) -> bool {
        (&self.value, self.ttl) == (&other.value, other.ttl)
    }
}

impl Write {
    /// Returns the record that is written or deleted.
    pub const fn record(&self) -> &Record {
        match self {
            Self::Create(record) | Self::Update(record) | Self::Delete(record) => record,
        }
    }
}

/// Compares the changes with the records found at their names, and returns the remaining writes, in the order in which
/// they must be done. No two changes may have the same name and type.
///
/// `found` must contain everything that exists at these names: whatever is missing from it counts as absent.
///
/// # Errors
/// [`ProviderError::Conflict`] if the records found are neither the `before` nor the `after` of a change, nor on the
/// path between them: write nothing in that case.
pub fn plan(changes: &[Change], found: &[Record]) -> Result<Vec<Write>, ProviderError> {
    let mut all = Vec::new();
    for change in changes {
        let (name, rtype) = change.key();
        let is_here = |record: &Record| record.name == name && record.rtype == rtype;
        let mut here: Vec<_> = found.iter().map(Record::canonical).filter(is_here).collect();
        here.sort_unstable();
        let sets: Vec<_> = here.iter().map(Record::set).collect();
        let whole = merge(&sets).into_values().next();
        let is = |side: &Option<RecordSet>| side.as_ref().map(RecordSet::canonical) == whole;
        if !is(&change.before) && !is(&change.after) && !is_intermediate(&here, change) {
            return Err(conflict_error(change, whole.as_ref()));
        }
        all.extend(path(&here, &Record::all(change.after.as_ref())));
    }
    Ok(all)
}

/// Returns the writes from one list of records to another. Both are sorted, and the path from any intermediate state is
/// the rest of the whole path.
fn path(from: &[Record], to: &[Record]) -> Vec<Write> {
    let mut to_remove = from.to_vec();
    let mut to_add = Vec::new();
    let mut writes = Vec::new();
    for record in to {
        // Prefer a record with the right TTL to one with another.
        let is_value = |other: &Record| other.value == record.value;
        let place = to_remove
            .iter()
            .position(|other| other.has_same_data(record))
            .or_else(|| to_remove.iter().position(is_value));
        match place.map(|place| to_remove.remove(place)) {
            None => to_add.push(record.clone()),
            Some(there) if there.ttl == record.ttl => {}
            Some(there) => writes.push(Write::Update(Record { id: there.id, ..record.clone() })),
        }
    }
    let both = to_remove.len().min(to_add.len());
    let rewritten = to_remove.iter().zip(&to_add).map(|(old, new)| Record { id: old.id.clone(), ..new.clone() });
    writes.extend(rewritten.map(Write::Update));
    writes.extend(to_add.drain(both..).map(Write::Create));
    writes.extend(to_remove.drain(both..).map(Write::Delete));
    writes
}

/// Whether the records are the state after some, but not all, of a change's writes.
fn is_intermediate(here: &[Record], change: &Change) -> bool {
    let mut state = Record::all(change.before.as_ref());
    for (index, record) in state.iter_mut().enumerate() {
        record.id = index.to_string();
    }
    path(&state.clone(), &Record::all(change.after.as_ref())).into_iter().any(|write| {
        state.retain(|record| matches!(write, Write::Create(_)) || record.id != write.record().id);
        if let Write::Create(record) | Write::Update(record) = write {
            state.push(record);
        }
        state.len() == here.len() && state.iter().all(|record| here.iter().any(|there| there.has_same_data(record)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ttl: u32, last_bytes: &[u8]) -> Option<RecordSet> {
        let values = last_bytes.iter().map(|byte| format!("192.0.2.{byte}"));
        (!last_bytes.is_empty()).then(|| RecordSet::new("www.example.org", "A", ttl, values))
    }

    /// Applies a write to a service's records.
    fn write(records: &mut Vec<Record>, write: Write) {
        match write {
            Write::Create(record) => records.push(Record { id: format!("new of {}", record.value), ..record }),
            Write::Update(record) => {
                let place = records.iter().position(|old| old.id == record.id).expect("the set exists");
                records[place] = record;
            }
            Write::Delete(record) => records.retain(|old| old.id != record.id),
        }
    }

    fn stored(set: Option<&RecordSet>) -> Vec<Record> {
        let mut records = Record::all(set);
        records.iter_mut().for_each(|record| record.id = format!("id of {}", record.value));
        records.reverse();
        records
    }

    fn is(records: &[Record], after: Option<&RecordSet>) -> bool {
        let mut values: Vec<_> = records.iter().map(|record| (record.value.clone(), record.ttl)).collect();
        values.sort_unstable();
        values == Record::all(after).into_iter().map(|record| (record.value, record.ttl)).collect::<Vec<_>>()
    }

    #[test]
    fn a_step_goes_on_from_wherever_it_was_cut_off() {
        let sides = [set(300, &[]), set(300, &[1]), set(300, &[2]), set(300, &[1, 2, 3]), set(600, &[1, 2, 3])];
        let sides = [&sides[..], &[set(600, &[2, 4]), set(300, &[3, 4, 5, 6])]].concat();
        for (before, after) in sides.iter().flat_map(|before| sides.iter().map(move |after| (before, after))) {
            let change = [Change { before: before.clone(), after: after.clone() }];
            let mut records = stored(before.as_ref());
            // One write per call: each intermediate state is one in which a call was interrupted.
            while let Some(first) = plan(&change, &records).expect("no conflict with itself").into_iter().next() {
                assert!(!is(&records, after.as_ref()), "{change:?}: a finished change is written again");
                write(&mut records, first);
                assert!(!records.is_empty() || after.is_none(), "{change:?}: the set is empty on its path");
            }
            assert!(is(&records, after.as_ref()), "{change:?}: {records:?}");
        }
    }

    #[test]
    fn what_lies_elsewhere_is_a_conflict() {
        let check = |change: Change, found: Option<RecordSet>| {
            let ending = plan(&[change], &stored(found.as_ref()));
            assert!(
                matches!(&ending, Err(ProviderError::Conflict { name, .. }) if name == "www.example.org"),
                "{ending:?}"
            );
        };
        let change = |before: &[u8], after: &[u8]| Change { before: set(300, before), after: set(300, after) };
        check(change(&[], &[1]), set(300, &[9]));
        check(change(&[1], &[2]), set(300, &[]));
        check(change(&[1, 9], &[2]), set(300, &[9]));
        check(change(&[1, 2, 3], &[]), set(300, &[1, 2]));
        check(change(&[1], &[]), set(600, &[1]));
        check(change(&[], &[1, 2]), set(300, &[1, 9]));
        // An ownership TXT record that is unchanged.
        check(change(&[1], &[1]), set(300, &[2]));
    }

    #[test]
    fn names_and_values_are_compared_in_form() {
        let found = [
            Record::new("7", "WWW.Example.org.", "aaaa", 300, "2001:DB8::1"),
            Record::new("8", "www.example.org", "A", 300, "192.0.2.1"),
        ];
        let here = RecordSet::new("www.example.org", "AAAA", 300, ["2001:db8::1"]);
        assert_eq!(plan(&[Change::replace(here.clone(), here.clone())], &found), Ok(Vec::new()));
        let left = plan(&[Change::delete(here)], &found).expect("the set exists");
        assert_eq!(left.iter().map(|write| &*write.record().id).collect::<Vec<_>>(), ["7"]);
    }

    #[test]
    fn a_set_with_several_times_to_live_gets_one() {
        let found = [3_u8, 1].map(|byte| {
            let ttl = u32::from(byte) * 100;
            Record::new(byte.to_string(), "www.example.org", "A", ttl, format!("192.0.2.{byte}"))
        });
        let (before, after) = (set(100, &[1, 3]).expect("values"), set(300, &[1, 3]).expect("values"));
        let left = plan(&[Change::replace(before, after)], &found).expect("no conflict");
        assert_eq!(left, [Write::Update(Record::new("1", "www.example.org", "A", 300, "192.0.2.1"))]);
    }
}
