//! The queue of writes waiting for the disk, and its suspension after a failure.
//!
//! The queue is open, or suspended by one write: the earliest that failed and is not yet rolled back. A suspended queue
//! accepts no writes. It is suspended in two cases:
//!
//! - The writer failed a group: everything behind the group leaves the queue at the same moment and fails too.
//! - The queue is full: the new write is rejected. The queued writes are older and still go to the disk.
//!
//! It is resumed when the owner names the write that suspended it. Any other name has no effect, which makes late and
//! repeated calls harmless: if the owner has rolled back write 5 but not yet heard of the failure of write 3, it names
//! 5, and the queue stays suspended because of 3. All of this happens under one lock, so no write can slip in between
//! failure and suspension.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::{FaultKind, StoreFault};

/// Maximum number of queued writes. More are rejected with [`FaultKind::Overloaded`](crate::FaultKind::Overloaded). A
/// disk that needs 50 ms per commit falls behind only above 80,000 writes per second.
pub const QUEUE_WRITES_MAX: usize = 4096;

/// Maximum bytes of keys and bodies in the queue. While there are fewer, one more write of any size is accepted, so
/// that the largest write always fits. Above it a write is rejected as above. The largest write of a server is the
/// whole status of a site (4 MiB): the queue holds four of them.
pub const QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A document to put or delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key of the document.
    pub key: Vec<u8>,
    /// Its new body; `None` deletes it, which succeeds even if it does not exist.
    pub body: Option<Vec<u8>>,
}

impl Change {
    fn bytes(&self) -> usize {
        self.key.len() + self.body.as_ref().map_or(0, Vec::len)
    }
}

/// Changes that take effect together, with the owner's number.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) number: u64,
    pub(crate) changes: Vec<Change>,
    /// Whether it also checks that there is space for the writes that failed.
    pub(crate) is_trial: bool,
}

impl Write {
    pub(crate) fn bytes(&self) -> usize {
        self.changes.iter().map(Change::bytes).sum()
    }
}

/// A callback that confirms that the writer is alive.
pub(crate) struct Probe(pub(crate) Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Probe")
    }
}

/// What the writer takes from the queue.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) writes: VecDeque<Write>,
    /// Called after the writes have been answered.
    pub(crate) probe: Option<Probe>,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct State {
    writes: VecDeque<Write>,
    bytes: usize,
    suspension: Option<Suspension>,
    probe: Option<Probe>,
    closing: bool,
}

#[derive(Debug)]
struct Suspension {
    by: u64,
    fault: StoreFault,
}

impl Queue {
    /// Queues a write, or returns why it was rejected.
    pub(crate) fn submit(&self, write: Write) -> Result<(), StoreFault> {
        let mut state = self.state();
        if let Some(suspension) = &state.suspension {
            return Err(suspension.fault.clone());
        }
        if QUEUE_WRITES_MAX <= state.writes.len() || QUEUE_BYTES_MAX <= state.bytes {
            let fault = overloaded();
            state.suspension = Some(Suspension { by: write.number, fault: fault.clone() });
            return Err(fault);
        }
        state.bytes += write.bytes();
        state.writes.push_back(write);
        self.arrived.notify_one();
        Ok(())
    }

    /// Resumes the queue if `undone` is the write that suspended it.
    pub(crate) fn resume(&self, undone: u64) {
        let mut state = self.state();
        if state.suspension.as_ref().is_some_and(|suspension| suspension.by == undone) {
            state.suspension = None;
        }
    }

    /// Sets the probe, also while the queue is suspended. It replaces a pending one.
    pub(crate) fn probe(&self, probe: Probe) {
        self.state().probe = Some(probe);
        self.arrived.notify_one();
    }

    /// Waits for writes or a probe and takes everything; `None` once the queue is closed and empty.
    pub(crate) fn take(&self) -> Option<Batch> {
        let is_idle = |state: &mut State| state.writes.is_empty() && state.probe.is_none() && !state.closing;
        let mut state = self.arrived.wait_while(self.state(), is_idle).unwrap_or_else(PoisonError::into_inner);
        state.bytes = 0;
        let batch = Batch { writes: mem::take(&mut state.writes), probe: state.probe.take() };
        Some(batch).filter(|batch| !batch.writes.is_empty() || batch.probe.is_some())
    }

    /// Suspends the queue because of `failed`, the first write of a failed group, and returns the writes queued behind
    /// it.
    ///
    /// If the queue is already suspended, it was by a younger write that found it full: the older write replaces it.
    pub(crate) fn fail(&self, failed: u64, fault: StoreFault) -> VecDeque<Write> {
        let mut state = self.state();
        state.suspension = Some(Suspension { by: failed, fault });
        state.bytes = 0;
        mem::take(&mut state.writes)
    }

    /// Lets the writer exit after the queued writes.
    pub(crate) fn close(&self) {
        self.state().closing = true;
        self.arrived.notify_one();
    }

    /// No code panics while it holds the lock, so the state behind a poisoned lock is consistent.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn overloaded() -> StoreFault {
    let text = format!("write queue full ({QUEUE_WRITES_MAX} writes or {QUEUE_BYTES_MAX} bytes waiting for the disk)");
    StoreFault { kind: FaultKind::Overloaded, text: text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(number: u64) -> Write {
        Write { number, changes: Vec::new(), is_trial: false }
    }

    fn numbers(writes: &VecDeque<Write>) -> Vec<u64> {
        writes.iter().map(|write| write.number).collect()
    }

    fn fault() -> StoreFault {
        StoreFault { kind: FaultKind::DiskFull, text: "full".into() }
    }

    #[test]
    fn writes_submitted_while_a_group_fails_fail_too() {
        let queue = Queue::default();
        queue.submit(write(1)).unwrap();
        assert_eq!(numbers(&queue.take().unwrap().writes), [1]);
        queue.submit(write(2)).unwrap();
        queue.submit(write(3)).unwrap();

        assert_eq!(numbers(&queue.fail(1, fault())), [2, 3]);

        assert_eq!(queue.submit(write(4)), Err(fault()));
        queue.resume(1);
        queue.submit(write(5)).unwrap();
        assert_eq!(numbers(&queue.take().unwrap().writes), [5]);
    }

    #[test]
    fn a_late_resume_does_not_end_the_suspension_of_a_newer_failure() {
        let queue = Queue::default();
        for number in [1, 2] {
            queue.submit(write(number)).unwrap();
        }
        queue.take();
        queue.fail(1, fault());
        queue.resume(1);
        queue.submit(write(3)).unwrap();
        queue.take();
        queue.fail(3, fault());

        queue.resume(2);
        assert_eq!(queue.submit(write(4)), Err(fault()));
        queue.resume(3);
        queue.submit(write(5)).unwrap();
    }

    #[test]
    fn a_full_queue_is_suspended_until_the_rejected_write_is_rolled_back() {
        let queue = Queue::default();
        for number in 0..QUEUE_WRITES_MAX as u64 {
            queue.submit(write(number)).unwrap();
        }
        let refused = |number| queue.submit(write(number)).unwrap_err().kind;
        assert_eq!(refused(10_000), FaultKind::Overloaded);
        assert_eq!(queue.take().unwrap().writes.len(), QUEUE_WRITES_MAX);
        assert_eq!(refused(10_001), FaultKind::Overloaded, "it was decided on top of the first");

        queue.resume(10_001);
        assert_eq!(refused(10_002), FaultKind::Overloaded);
        queue.resume(10_000);
        queue.submit(write(10_003)).unwrap();
    }

    #[test]
    fn a_failed_group_is_older_than_a_rejected_write() {
        let queue = Queue::default();
        for number in 0..QUEUE_WRITES_MAX as u64 {
            queue.submit(write(number)).unwrap();
        }
        queue.submit(write(10_000)).unwrap_err();
        queue.take();
        queue.fail(0, fault());

        queue.resume(10_000);
        assert_eq!(queue.submit(write(10_001)), Err(fault()));
        queue.resume(0);
        queue.submit(write(10_002)).unwrap();
    }

    #[test]
    fn bytes_are_bounded_too_but_one_large_write_gets_through() {
        let queue = Queue::default();
        let change = || Change { key: vec![1], body: Some(vec![0; 2 * QUEUE_BYTES_MAX]) };
        let large = |number| Write { number, changes: vec![change()], is_trial: false };
        queue.submit(large(1)).unwrap();
        assert_eq!(queue.submit(write(2)).unwrap_err().kind, FaultKind::Overloaded);
        queue.resume(2);
        queue.take();
        queue.submit(large(3)).unwrap();
    }

    #[test]
    fn a_closed_queue_returns_its_writes_and_then_none() {
        let queue = Queue::default();
        queue.submit(write(1)).unwrap();
        queue.close();
        assert_eq!(numbers(&queue.take().unwrap().writes), [1]);
        assert!(queue.take().is_none());
    }

    #[test]
    fn a_probe_is_taken_while_the_queue_is_suspended_and_leaves_it_suspended() {
        let queue = Queue::default();
        queue.submit(write(1)).unwrap();
        queue.take();
        queue.fail(1, fault());
        for _ in 0..2 {
            queue.probe(Probe(Box::new(|| {})));
        }
        let batch = queue.take().unwrap();
        assert!(batch.writes.is_empty() && batch.probe.is_some());
        assert_eq!(queue.submit(write(2)), Err(fault()));
        queue.close();
        assert!(queue.take().is_none(), "one that was not answered went when the next came");
    }
}
