//! How many streams there are at a time.
//!
//! A user has at most [`STREAMS_PER_USER_MAX`]; another one ends the user's oldest, whose client has often disappeared.
//! All users together have at most [`STREAMS_MAX`]. At that limit, another stream ends the oldest one of the user who
//! has the most, if that user then still has as many as the other; otherwise it is rejected.

use std::collections::BTreeMap;

/// Maximum streams of all users: each open page of a browser has one. At the limit, see the module.
pub const STREAMS_MAX: usize = 64;

/// Maximum streams of one user, over all sessions and keys: a browser, a phone and two terminals. At the limit, the
/// oldest one is ended.
pub const STREAMS_PER_USER_MAX: usize = 4;

/// Identifies a stream; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(u64);

/// The streams that are open, with their owners.
#[derive(Clone, Debug)]
pub struct StreamShares<S> {
    last: u64,
    open: BTreeMap<StreamId, S>,
}

impl<S> Default for StreamShares<S> {
    fn default() -> Self {
        Self { last: 0, open: BTreeMap::new() }
    }
}

impl<S: Ord + Clone> StreamShares<S> {
    /// Opens a stream. Returns it and the one that ends for it, if one does; `None` if there is no room.
    pub fn open(&mut self, owner: S) -> Option<(StreamId, Option<StreamId>)> {
        let ended = self.make_room(&owner)?;
        if let Some(ended) = ended {
            self.open.remove(&ended);
        }
        self.last += 1;
        let id = StreamId(self.last);
        self.open.insert(id, owner);
        Some((id, ended))
    }

    /// Removes a stream that has ended.
    pub fn close(&mut self, id: StreamId) {
        self.open.remove(&id);
    }

    /// Returns the number of open streams.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether no stream is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Returns the stream that ends for another one of `owner`, if one has to; `None` if there is no room.
    fn make_room(&self, owner: &S) -> Option<Option<StreamId>> {
        let mut counts = BTreeMap::<&S, usize>::new();
        for one in self.open.values() {
            *counts.entry(one).or_default() += 1;
        }
        let own = counts.get(owner).copied().unwrap_or_default();
        if STREAMS_PER_USER_MAX <= own {
            return Some(self.oldest_of(owner));
        }
        if self.open.len() < STREAMS_MAX {
            return Some(None);
        }
        let (most, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        (own + 1 < count).then(|| self.oldest_of(most))
    }

    fn oldest_of(&self, owner: &S) -> Option<StreamId> {
        self.open.iter().find(|(_, of)| *of == owner).map(|(id, _)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_who_has_four_streams_loses_the_oldest_to_another_one() {
        let mut shares = StreamShares::default();
        let ids: Vec<_> = (0..4).map(|_| shares.open("anna").unwrap()).collect();
        assert!(ids.iter().all(|(_, ended)| ended.is_none()));
        let (_, ended) = shares.open("anna").unwrap();
        assert_eq!((ended, shares.len()), (Some(ids[0].0), 4));
        assert_eq!(shares.open("bert").unwrap().1, None);
        shares.close(ids[1].0);
        assert_eq!(shares.open("anna").unwrap().1, None, "one has ended");
    }

    #[test]
    fn at_the_limit_of_all_streams_those_who_have_more_make_room() {
        let mut shares = StreamShares::default();
        for user in 0..16 {
            (0..4).for_each(|_| assert!(shares.open(user).is_some()));
        }
        assert_eq!(shares.len(), STREAMS_MAX);
        for round in 0..3 {
            for newcomer in 16..18 {
                let opened = shares.open(newcomer);
                assert!(matches!(opened, Some((_, Some(_)))), "{round}");
                assert_eq!(shares.len(), STREAMS_MAX);
            }
        }
        let one = (0..STREAMS_MAX).fold(StreamShares::default(), |mut shares, user| {
            shares.open(user);
            shares
        });
        assert_eq!(one.clone().open(STREAMS_MAX), None, "everybody has one");
        assert_eq!(one.clone().open(0), None);
        let mut two = one;
        two.close(StreamId(1));
        assert!(two.open(7).is_some());
        assert!(matches!(two.open(STREAMS_MAX), Some((_, Some(_)))), "who has two gives one");
        assert_eq!((two.open(STREAMS_MAX + 1), two.len()), (None, STREAMS_MAX));
    }
}
