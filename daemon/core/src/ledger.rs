//! State that runs ahead of the disk, and never shows it.
//!
//! A machine decides on what it knows, at once: it *stages* changes, which take hold in memory and go to
//! the store under a [`WriteId`]. Whatever somebody outside is to learn of them (an acknowledgement, a
//! reply, a grant) is staged with them as a *release*, and comes out only when the store says that the
//! write is durable. If the store says it failed, the changes are undone, the newest first, and the
//! releases come back as failed. That is law 3, by construction: there is no way to acknowledge
//! something here except through a write that was confirmed.
//!
//! The store answers in order, and after a failed write fails every later one until it is told to go on,
//! because those were decided on top of it. So undoing from the newest back to the failed one is exact.

use std::collections::VecDeque;

use linecamp_model::WriteId;

/// State that can be changed and changed back.
pub(crate) trait Replay {
    /// One change.
    type Change: Clone;

    /// Makes the change and returns the one that undoes it.
    fn apply(&mut self, change: Self::Change) -> Self::Change;
}

/// State with the changes that are not durable yet.
#[derive(Clone, Debug)]
pub(crate) struct Ledger<S: Replay, R> {
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

/// What became of a write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settled<R> {
    /// What was to come out with it.
    pub(crate) releases: Vec<R>,
    /// Whether it is durable.
    pub(crate) durable: bool,
}

impl<S: Replay, R> Ledger<S, R> {
    /// Starts from state that is durable.
    pub(crate) const fn new(state: S) -> Self {
        Self { state, staged: VecDeque::new(), next_write: WriteId(1) }
    }

    /// Returns the state, with everything staged.
    pub(crate) const fn state(&self) -> &S {
        &self.state
    }

    /// Makes `changes` take hold in memory and returns the write that must carry them to the store.
    /// `releases` come out of [`settle`](Self::settle) when the store has answered.
    pub(crate) fn stage(&mut self, changes: &[S::Change], releases: Vec<R>) -> WriteId {
        let write = self.next_write;
        self.next_write = write.next();
        let mut undo: Vec<_> = changes.iter().map(|change| self.state.apply(change.clone())).collect();
        undo.reverse();
        self.staged.push_back(Staged { write, undo, releases });
        write
    }

    /// Takes the store's answer to `write`. `None` for an answer nobody waits for.
    ///
    /// A failure undoes this write and all later ones, and settles them all: their releases come back
    /// together, oldest first.
    pub(crate) fn settle(&mut self, write: WriteId, durable: bool) -> Option<Settled<R>> {
        let index = self.staged.iter().position(|staged| staged.write == write)?;
        if durable {
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

    /// Brings the state to what the store is known to hold, before anything is staged.
    pub(crate) fn restore(&mut self, change: S::Change) {
        debug_assert!(self.staged.is_empty(), "nothing may have to be undone on top of it");
        self.state.apply(change);
    }

    /// Returns how many writes the store has not answered.
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
        let mut ledger = Ledger::new(BTreeMap::new());
        let first = ledger.stage(&[('a', Some(1))], vec!["first"]);
        let second = ledger.stage(&[('a', Some(2))], vec!["second"]);
        assert_eq!(ledger.state().get(&'a'), Some(&2));
        assert_eq!(ledger.settle(first, true), Some(Settled { releases: vec!["first"], durable: true }));
        assert_eq!(ledger.settle(first, true), None, "an answer nobody waits for");
        assert_eq!(ledger.settle(second, true), Some(Settled { releases: vec!["second"], durable: true }));
    }

    #[test]
    fn a_failed_write_takes_the_later_ones_with_it() {
        let mut ledger = Ledger::new(BTreeMap::from([('a', 0), ('b', 0)]));
        let first = ledger.stage(&[('a', Some(1))], vec![1]);
        let second = ledger.stage(&[('a', Some(2)), ('b', None), ('a', Some(3))], vec![2]);
        let third = ledger.stage(&[('c', Some(9))], vec![3]);
        assert!(ledger.settle(first, true).is_some());
        assert_eq!(ledger.settle(second, false), Some(Settled { releases: vec![2, 3], durable: false }));
        assert_eq!(ledger.state(), &BTreeMap::from([('a', 1), ('b', 0)]));
        assert_eq!(ledger.settle(third, false), None, "it went with the second");
    }
}
