//! Staging: state that runs ahead of the disk but is never visible ahead of it.
//!
//! A machine decides on its in-memory state at once: it *stages* changes, which take effect in memory and go to the
//! store under a [`WriteId`]. Everything the outside may learn from them (an acknowledgement, a reply, a grant) is
//! staged with them as a *release* and emitted only when the store confirms that the write is durable. If the store
//! reports a failure, the changes are undone, newest first, and their releases come back as failed. This enforces law 3
//! by construction: the only way to acknowledge something is through a confirmed write.
//!
//! The store answers in order. After a failed write it fails every later one until it is told to resume, because those
//! were decided on top of the failed one. Undoing from the newest back to the failed write is therefore exact.

use std::collections::{BTreeMap, VecDeque};

use linecamp_model::WriteId;

/// State whose changes can be undone.
pub(crate) trait Replay {
    /// A single change.
    type Change: Clone;

    /// Applies the change and returns its inverse.
    fn apply(&mut self, change: Self::Change) -> Self::Change;
}

/// Changes an entry of a map: inserts or removes it. Returns the previous value, which undoes the change.
pub(crate) fn set<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) -> Option<V> {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    }
}

/// State plus the changes that are not durable yet.
#[derive(Clone, Debug)]
pub(crate) struct StagedState<S: Replay, R> {
    state: S,
    staged: VecDeque<Staged<S::Change, R>>,
    next_write: WriteId,
}

#[derive(Clone, Debug)]
struct Staged<C, R> {
    write: WriteId,
    undo: Vec<C>,
    releases: Vec<R>,
}

/// The outcome of a write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settled<R> {
    /// The releases staged with it.
    pub(crate) releases: Vec<R>,
    /// Whether the write is durable.
    pub(crate) durable: bool,
}

impl<S: Replay, R> StagedState<S, R> {
    /// Starts from durable state.
    pub(crate) const fn new(state: S) -> Self {
        Self { state, staged: VecDeque::new(), next_write: WriteId(1) }
    }

    /// Returns the state, including staged changes.
    pub(crate) const fn state(&self) -> &S {
        &self.state
    }

    /// Applies `changes` in memory and returns the write that must carry them to the store. [`settle`](Self::settle)
    /// returns `releases` once the store has answered.
    pub(crate) fn stage(&mut self, changes: &[S::Change], releases: Vec<R>) -> WriteId {
        let write = self.next_write;
        self.next_write = write.next();
        let mut undo: Vec<_> = changes.iter().map(|change| self.state.apply(change.clone())).collect();
        undo.reverse();
        self.staged.push_back(Staged { write, undo, releases });
        write
    }

    /// Returns what each of `changes` would replace, if they were applied in this order. Nothing changes.
    pub(crate) fn replaced(&mut self, changes: &[S::Change]) -> Vec<S::Change> {
        let replaced: Vec<_> = changes.iter().map(|change| self.state.apply(change.clone())).collect();
        for undo in replaced.iter().rev() {
            self.state.apply(undo.clone());
        }
        replaced
    }

    /// Reads the state as it would be after `changes`. Nothing changes.
    pub(crate) fn preview<T>(&mut self, changes: &[S::Change], read: impl FnOnce(&S) -> T) -> T {
        let undo: Vec<_> = changes.iter().map(|change| self.state.apply(change.clone())).collect();
        let found = read(&self.state);
        for undo in undo.into_iter().rev() {
            self.state.apply(undo);
        }
        found
    }

    /// Handles the store's answer to `write`. Returns `None` for an unknown write.
    ///
    /// A failure undoes this write and all later ones and settles them together: their releases come back in one list,
    /// oldest first.
    pub(crate) fn settle(&mut self, write: WriteId, durable: bool) -> Option<Settled<R>> {
        let index = self.staged.iter().position(|staged| staged.write == write)?;
        if durable {
            debug_assert_eq!(index, 0, "the store answers in order: what is durable rests on durable writes only");
            let staged = self.staged.remove(index)?;
            return Some(Settled { releases: staged.releases, durable });
        }
        let mut failed: Vec<_> = self.staged.drain(index..).collect();
        for staged in failed.iter_mut().rev() {
            for change in staged.undo.drain(..) {
                self.state.apply(change);
            }
        }
        let releases = failed.into_iter().flat_map(|staged| staged.releases).collect();
        Some(Settled { releases, durable })
    }

    /// Loads a change that the store is known to hold, before anything is staged.
    pub(crate) fn restore(&mut self, change: S::Change) {
        debug_assert!(self.staged.is_empty(), "nothing may have to be undone on top of it");
        self.state.apply(change);
    }

    /// Returns the number of writes the store has not answered.
    pub(crate) fn in_flight(&self) -> usize {
        self.staged.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    impl Replay for BTreeMap<char, u32> {
        type Change = (char, Option<u32>);

        fn apply(&mut self, (key, value): Self::Change) -> Self::Change {
            let before = match value {
                Some(value) => self.insert(key, value),
                None => self.remove(&key),
            };
            (key, before)
        }
    }

    #[test]
    fn nothing_is_released_before_it_is_durable() {
        let mut staged = StagedState::new(BTreeMap::new());
        let first = staged.stage(&[('a', Some(1))], vec!["first"]);
        let second = staged.stage(&[('a', Some(2))], vec!["second"]);
        assert_eq!(staged.state().get(&'a'), Some(&2));
        assert_eq!(staged.settle(first, true), Some(Settled { releases: vec!["first"], durable: true }));
        assert_eq!(staged.settle(first, true), None, "an answer nobody waits for");
        assert_eq!(staged.settle(second, true), Some(Settled { releases: vec!["second"], durable: true }));
    }

    #[test]
    fn what_changes_would_replace_is_known_before_they_are_made() {
        let mut staged: StagedState<_, ()> = StagedState::new(BTreeMap::from([('a', 0)]));
        let replaced = staged.replaced(&[('a', Some(1)), ('b', Some(2)), ('a', None)]);
        assert_eq!(replaced, [('a', Some(0)), ('b', None), ('a', Some(1))]);
        let after = staged.preview(&[('b', Some(2)), ('a', None)], Clone::clone);
        assert_eq!(after, BTreeMap::from([('b', 2)]));
        assert_eq!(staged.state(), &BTreeMap::from([('a', 0)]));
    }

    #[test]
    fn a_failed_write_fails_the_later_ones() {
        let mut staged = StagedState::new(BTreeMap::from([('a', 0), ('b', 0)]));
        let first = staged.stage(&[('a', Some(1))], vec![1]);
        let second = staged.stage(&[('a', Some(2)), ('b', None), ('a', Some(3))], vec![2]);
        let third = staged.stage(&[('c', Some(9))], vec![3]);
        assert!(staged.settle(first, true).is_some());
        assert_eq!(staged.settle(second, false), Some(Settled { releases: vec![2, 3], durable: false }));
        assert_eq!(staged.state(), &BTreeMap::from([('a', 1), ('b', 0)]));
        assert_eq!(staged.settle(third, false), None, "it went with the second");
    }
}
