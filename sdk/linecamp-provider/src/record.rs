//! Record sets, and changes to them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::error::ProviderError;
use crate::{names, txt};

/// All records of one name and type. As JSON: `{"name": "…", "type": "A", "ttl": 300, "values": ["192.0.2.1"]}`.
///
/// `==` compares literally; [`equivalent`](Self::equivalent) compares the canonical forms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordSet {
    /// Absolute, lower case, ASCII (IDNA A-labels), without the trailing dot. A wildcard begins with `*.`.
    pub name: String,
    /// `A`, `AAAA`, `CNAME` or `TXT`; any other type in observed sets.
    #[serde(rename = "type")]
    pub rtype: String,
    /// Seconds.
    pub ttl: u32,
    /// In any order. A: `192.0.2.1`. AAAA: in RFC 5952 form. CNAME: a name. TXT: see [`txt`](crate::txt).
    pub values: Vec<String>,
}

/// A compare-and-swap from `before` to `after`. Both have the same name and type, and at least one is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The set that must exist for the change to be applied. `None`: no set of this name and type.
    pub before: Option<RecordSet>,
    /// The set to write. `None`: delete.
    pub after: Option<RecordSet>,
}

impl RecordSet {
    /// Makes a record set.
    pub fn new<V: Into<String>>(
        name: impl Into<String>,
        rtype: impl Into<String>,
        ttl: u32,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        Self { name: name.into(), rtype: rtype.into(), ttl, values }
    }

    /// Returns the canonical form: the name in lower case without the trailing dot, the type in upper case, addresses
    /// and targets in their shortest form, values sorted and without duplicates.
    ///
    /// A value without a canonical form is unchanged. A TXT value must already be in the contract's form, not quoted.
    #[must_use]
    pub fn canonical(&self) -> Self {
        let rtype = self.rtype.to_ascii_uppercase();
        let mut values: Vec<_> = self.values.iter().map(|value| canonical(&rtype, value)).collect();
        values.sort_unstable();
        values.dedup();
        Self { name: names::canonical(&self.name), rtype, ttl: self.ttl, values }
    }

    /// Whether both are equal in their [`canonical`](Self::canonical) form.
    pub fn equivalent(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl Change {
    /// Creates a set that does not exist yet.
    pub const fn create(after: RecordSet) -> Self {
        Self { before: None, after: Some(after) }
    }

    /// Replaces `before` by `after`.
    pub const fn replace(before: RecordSet, after: RecordSet) -> Self {
        Self { before: Some(before), after: Some(after) }
    }

    /// Deletes an existing set.
    pub const fn delete(before: RecordSet) -> Self {
        Self { before: Some(before), after: None }
    }

    /// Returns the name that changes; empty for a change from nothing to nothing, which never occurs.
    pub fn name(&self) -> &str {
        self.set().map_or("", |set| &set.name)
    }

    /// Returns the type that changes.
    pub fn rtype(&self) -> &str {
        self.set().map_or("", |set| &set.rtype)
    }

    /// Whether it only removes values. Such a change is applied even where the name is in a child zone of the
    /// configured zone: records written before the child zone existed must be removable.
    pub fn only_removes(&self) -> bool {
        let (Some(before), after) = (&self.before, &self.after) else { return false };
        let before = before.canonical();
        let Some(after) = after.as_ref().map(RecordSet::canonical) else { return true };
        after.values.len() < before.values.len() && after.values.iter().all(|value| before.values.contains(value))
    }

    fn set(&self) -> Option<&RecordSet> {
        self.after.as_ref().or(self.before.as_ref())
    }

    pub(crate) fn key(&self) -> (String, String) {
        (names::canonical(self.name()), self.rtype().to_ascii_uppercase())
    }
}

/// Compares the changes with the record sets found at their names, and returns the remaining changes, in order.
///
/// For a service that writes whole sets and does not compare by itself: observe, `remaining_changes`, write. Changes by
/// others between the two are not detected; if the service can compare (an `If-Match`, a prerequisite, deleting by
/// exact value), let it. A service that writes value by value needs [`per_record`](crate::per_record) instead, which
/// recognizes a half-written set.
///
/// `found` must contain everything that exists at the names of the changes: whatever is missing from it counts as
/// absent.
///
/// `found` may list a set in pieces: sets of one name and type are merged, and the lowest of their TTLs is the set's.
///
/// # Errors
/// [`ProviderError::Conflict`] if the set found equals neither the `before` nor the `after` of a change: write nothing
/// in that case.
pub fn remaining_changes<'a>(changes: &'a [Change], found: &[RecordSet]) -> Result<Vec<&'a Change>, ProviderError> {
    let mut current_sets = merge(found);
    let mut remaining = Vec::new();
    for change in changes {
        let key = change.key();
        let current = current_sets.get(&key);
        let is = |side: &Option<RecordSet>| side.as_ref().map(RecordSet::canonical).as_ref() == current;
        if is(&change.after) {
            continue;
        }
        if !is(&change.before) {
            return Err(conflict_error(change, current));
        }
        match &change.after {
            Some(after) => current_sets.insert(key, after.canonical()),
            None => current_sets.remove(&key),
        };
        remaining.push(change);
    }
    Ok(remaining)
}

/// Converts sets to canonical form and merges those of one name and type. The lowest TTL is that of the merged set:
/// resolvers treat a set with several TTLs as one with the lowest (RFC 2181, 5.2). A set without values counts as
/// absent.
pub(crate) fn merge(sets: &[RecordSet]) -> BTreeMap<(String, String), RecordSet> {
    // Inserted one by one: collecting into a map sorts, and the sort code is a tenth of a small component.
    let mut merged = BTreeMap::<_, RecordSet>::new();
    for set in sets.iter().map(RecordSet::canonical).filter(|set| !set.values.is_empty()) {
        let key = (set.name.clone(), set.rtype.clone());
        match merged.get_mut(&key) {
            None => {
                merged.insert(key, set);
            }
            Some(first) => {
                first.ttl = first.ttl.min(set.ttl);
                first.values.extend(set.values);
                *first = first.canonical();
            }
        }
    }
    merged
}

pub(crate) fn conflict_error(change: &Change, current: Option<&RecordSet>) -> ProviderError {
    /// The most values named in a message. A foreign set may have hundreds.
    const VALUES_NAMED: usize = 3;
    let found = match current {
        None => format!("no {} record exists", change.rtype()),
        Some(set) => {
            let values: Vec<_> = set.values.iter().take(VALUES_NAMED).map(String::as_str).collect();
            let more = if VALUES_NAMED < set.values.len() { " …" } else { "" };
            format!("found {} {} {}{more}", set.rtype, set.ttl, values.join(" "))
        }
    };
    ProviderError::conflict(change.name(), found)
}

fn canonical(rtype: &str, value: &str) -> String {
    let address = match rtype {
        "A" => value.parse::<Ipv4Addr>().ok().map(|address| address.to_string()),
        "AAAA" => value.parse::<Ipv6Addr>().ok().map(|address| address.to_string()),
        "CNAME" => Some(names::canonical(value)),
        "TXT" => Some(txt::canonical(value)),
        _ => None,
    };
    address.unwrap_or_else(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(rtype: &str, values: &[&str]) -> RecordSet {
        RecordSet::new("a.example", rtype, 300, values.iter().copied())
    }

    #[test]
    fn what_is_meant_is_compared() {
        let written = RecordSet::new("A.Example.", "aaaa", 300, ["2001:DB8::1", "::2", "0:0::2"]);
        assert!(written.equivalent(&set("AAAA", &["::2", "2001:db8::1"])));
        assert!(set("CNAME", &["B.Example."]).equivalent(&set("CNAME", &["b.example"])));
        assert!(set("TXT", &["é\\"]).equivalent(&set("TXT", &["\\195\\169\\092"])));
        assert!(!set("A", &["192.0.2.1"]).equivalent(&set("A", &["192.0.2.2"])));
    }

    #[test]
    fn what_is_done_is_not_pending() {
        let (old, new) = (set("A", &["192.0.2.1"]), set("A", &["192.0.2.2"]));
        let changes = [Change::replace(old.clone(), new.clone())];
        assert_eq!(remaining_changes(&changes, std::slice::from_ref(&old)).unwrap().len(), 1);
        assert_eq!(remaining_changes(&changes, &[new]).unwrap().len(), 0);
        assert_eq!(remaining_changes(&[Change::delete(old)], &[]).unwrap().len(), 0);
    }

    #[test]
    fn what_is_neither_before_nor_after_is_a_conflict() {
        let (old, new) = (set("A", &["192.0.2.1"]), set("A", &["192.0.2.2"]));
        let foreign = set("A", &["198.51.100.7"]);
        let check = |change: Change, found: &[RecordSet], words: &str| {
            let Err(ProviderError::Conflict { name, found: reason }) = remaining_changes(&[change], found) else {
                panic!("no conflict")
            };
            assert_eq!(name, "a.example");
            assert!(reason.contains(words), "{reason}");
        };
        check(Change::create(new.clone()), std::slice::from_ref(&foreign), "198.51.100.7");
        check(Change::delete(old.clone()), std::slice::from_ref(&foreign), "198.51.100.7");
        check(Change::replace(old.clone(), new), &[], "no A record exists");
        let longer_lived = RecordSet { ttl: 600, ..old.clone() };
        check(Change::delete(old), &[longer_lived], "600");
    }

    #[test]
    fn a_set_that_comes_in_pieces_is_one_set_with_the_least_time_to_live() {
        let whole = set("A", &["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
        let piece = |ttl, value: &str| RecordSet { ttl, ..set("a", &[value]) };
        let pieces = [piece(600, "192.0.2.3"), piece(300, "192.0.2.1"), piece(900, "192.0.2.2"), set("A", &[])];
        assert_eq!(remaining_changes(&[Change::delete(whole.clone())], &pieces).unwrap().len(), 1);
        assert_eq!(remaining_changes(&[Change::create(whole)], &pieces).unwrap().len(), 0);
    }

    #[test]
    fn a_change_that_adds_a_value_does_not_only_remove() {
        let (one, two) = (set("A", &["192.0.2.1"]), set("A", &["192.0.2.1", "192.0.2.2"]));
        assert!(Change::delete(one.clone()).only_removes());
        assert!(Change::replace(two.clone(), one.clone()).only_removes());
        assert!(!Change::replace(one.clone(), one.clone()).only_removes());
        assert!(!Change::replace(one, two.clone()).only_removes());
        assert!(!Change::create(two).only_removes());
    }

    #[test]
    fn changes_build_on_each_other() {
        let (old, new) = (set("A", &["192.0.2.1"]), set("CNAME", &["b.example"]));
        let changes = [Change::delete(old.clone()), Change::create(new)];
        assert_eq!(remaining_changes(&changes, &[old]).unwrap().len(), 2);
    }
}
