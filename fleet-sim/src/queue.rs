//! Event queue, ordered by time; events at the same time keep their insertion order.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

/// A queue ordered by time.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Entry<T>>,
    next_number: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Duration,
    number: u64,
    what: T,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), next_number: 0 }
    }
}

impl<T> Queue<T> {
    /// Schedules `what` at `at`.
    pub(crate) fn push(&mut self, at: Duration, what: T) {
        self.heap.push(Entry { at, number: self.next_number, what });
        self.next_number += 1;
    }

    /// Returns the time of the next event.
    pub(crate) fn next_at(&self) -> Option<Duration> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// Pops the next event if it is due at `now` or earlier.
    pub(crate) fn pop(&mut self, now: Duration) -> Option<T> {
        if self.next_at()? <= now { self.heap.pop().map(|entry| entry.what) } else { None }
    }
}

// The heap pops its greatest entry first, so the earliest entry compares as the greatest.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simultaneous_events_keep_their_insertion_order() {
        let mut queue = Queue::default();
        for (at, what) in [(2, 'c'), (1, 'a'), (1, 'b')] {
            queue.push(Duration::from_secs(at), what);
        }
        assert_eq!(queue.pop(Duration::ZERO), None);
        let all: String = std::iter::from_fn(|| queue.pop(Duration::from_secs(9))).collect();
        assert_eq!(all, "abc");
    }
}
