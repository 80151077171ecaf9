//! Logins that have begun and not ended: a bounded table in memory.
//!
//! The key is a secret that only the person who began has, and the table holds its hash, so that finding it takes no
//! time that says something about the others. Each entry ends after a time of its own. The table is bounded: at the
//! limit, the origin with the most entries loses its oldest, so that one that begins many logins only loses its own.

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_model::{Instant, SecretHash};

/// Maximum number of entries. At the limit, the origin with the most entries loses its oldest.
pub const PENDING_MAX: usize = 1_000;

/// What has begun, by its secret. `O` says where it came from, `T` is what to remember.
#[derive(Clone, Debug)]
pub struct Pending<O, T>(BTreeMap<SecretHash, Entry<O, T>>);

#[derive(Clone, Debug)]
struct Entry<O, T> {
    origin: O,
    began: Instant,
    ends: Instant,
    value: T,
}

impl<O, T> Default for Pending<O, T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<O: Ord + Clone, T> Pending<O, T> {
    /// Remembers `value` for `life` under the hash of a secret.
    pub fn insert(&mut self, secret: SecretHash, origin: O, value: T, life: Duration, now: Instant) {
        if PENDING_MAX <= self.0.len() {
            self.0.retain(|_, entry| now < entry.ends);
        }
        if PENDING_MAX <= self.0.len() {
            self.make_room(&origin);
        }
        self.0.insert(secret, Entry { origin, began: now, ends: now + life, value });
    }

    /// Removes and returns what was remembered under a secret; `None` if there is nothing, or its time is over.
    pub fn take(&mut self, secret: &SecretHash, now: Instant) -> Option<T> {
        self.0.remove(secret).filter(|entry| now < entry.ends).map(|entry| entry.value)
    }

    /// Returns what is remembered under a secret; `None` if there is nothing, or its time is over.
    pub fn get_mut(&mut self, secret: &SecretHash, now: Instant) -> Option<&mut T> {
        self.0.get_mut(secret).filter(|entry| now < entry.ends).map(|entry| &mut entry.value)
    }

    /// Returns the number of entries, with those whose time is over.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops the oldest entry of the origin that has the most, counted with the one that is added.
    fn make_room(&mut self, newcomer: &O) {
        let mut counts: BTreeMap<&O, usize> = [(newcomer, 1)].into();
        for entry in self.0.values() {
            *counts.entry(&entry.origin).or_default() += 1;
        }
        let most = counts.values().copied().max().unwrap_or_default();
        let crowded = self.0.iter().filter(|(_, entry)| counts.get(&entry.origin) == Some(&most));
        let oldest = crowded.min_by_key(|(_, entry)| entry.began).map(|(secret, _)| *secret);
        oldest.map(|secret| self.0.remove(&secret));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn secret(number: usize) -> SecretHash {
        SecretHash::of(&number.to_be_bytes())
    }

    #[test]
    fn an_entry_is_taken_once_and_ends_in_time() {
        let (mut pending, begin) = (Pending::default(), Instant::ORIGIN);
        pending.insert(secret(1), "here", 1, MINUTE, begin);
        pending.insert(secret(2), "here", 2, MINUTE, begin);
        assert_eq!(pending.take(&secret(1), begin + MINUTE / 2), Some(1));
        assert_eq!(pending.take(&secret(1), begin + MINUTE / 2), None, "it is taken once");
        assert_eq!(pending.get_mut(&secret(2), begin + MINUTE / 2), Some(&mut 2));
        assert_eq!(pending.get_mut(&secret(2), begin + MINUTE), None);
        assert_eq!(pending.take(&secret(2), begin + MINUTE), None, "its time is over");
        assert!(pending.is_empty());
    }

    #[test]
    fn one_that_begins_many_logins_loses_its_own_only() {
        let (mut pending, begin) = (Pending::default(), Instant::ORIGIN);
        pending.insert(secret(0), "anna", 0, MINUTE, begin);
        for number in 1..2 * PENDING_MAX {
            pending.insert(secret(number), "attacker", number, MINUTE, begin + Duration::from_millis(number as u64));
            assert!(pending.len() <= PENDING_MAX);
        }
        pending.insert(secret(9_999), "bob", 9_999, MINUTE, begin + Duration::from_secs(10));
        let now = begin + Duration::from_secs(11);
        assert_eq!((pending.take(&secret(0), now), pending.take(&secret(9_999), now)), (Some(0), Some(9_999)));
        assert_eq!(pending.take(&secret(PENDING_MAX), now), None, "the oldest of the attacker");
    }

    #[test]
    fn entries_that_are_over_make_room_first() {
        let (mut pending, begin) = (Pending::default(), Instant::ORIGIN);
        for number in 0..PENDING_MAX {
            pending.insert(secret(number), "here", number, MINUTE, begin);
        }
        pending.insert(secret(PENDING_MAX), "there", PENDING_MAX, MINUTE, begin + MINUTE);
        assert_eq!(pending.len(), 1);
    }
}
