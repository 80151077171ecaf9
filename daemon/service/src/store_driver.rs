//! A store and its answers, as the loop of a state machine uses them.
//!
//! The loop passes the machine's writes to [`commit`](StoreDriver::commit) and its trials to
//! [`try_room`](StoreDriver::try_room). Each is answered once: by [`answer`](StoreDriver::answer), or, if the store
//! rejects it on submission, by [`take_rejected`](StoreDriver::take_rejected). The loop takes rejected writes after it
//! has performed the outputs that the machine produced before it could know of the failure.
//!
//! A failure is logged once until the store recovers, because one cause fails thousands of writes.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use linecamp_model::WriteId;
use linecamp_store::{
    Answer, Change, Document, FaultKind, Kind, OnCorruption, Opened, QUEUE_WRITES_MAX, Store, StoreError, StoreFault,
};
use tokio::sync::mpsc;

use crate::write_metrics::Commits;

/// Maximum number of answers queued for the loop. At this limit the store's thread waits for the loop, its queue fills,
/// and further writes are rejected.
const ANSWERS_MAX: usize = 2 * QUEUE_WRITES_MAX;

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteResult {
    /// The write.
    pub write: WriteId,
    /// Durable, or why it is not known to be durable.
    pub result: Result<(), FaultKind>,
}

/// An open store with its answers.
#[derive(Debug)]
pub struct StoreDriver {
    // Before `store`: without a receiver, the store's thread does not wait for the loop when it closes.
    answers: mpsc::Receiver<Answer>,
    store: Store,
    kind: Kind,
    rejected: VecDeque<WriteResult>,
    /// Writes that the store has not answered.
    in_flight: usize,
    is_failing: bool,
    /// The trial write that checks whether the disk has space again.
    trial: Option<WriteId>,
    /// The counters of writes.
    pub commits: Commits,
}

/// An opened store and its contents.
#[derive(Debug)]
pub struct OpenedStore {
    /// The store.
    pub driver: StoreDriver,
    /// Every document, ordered by key.
    pub documents: Vec<Document>,
    /// The path of a corrupt file that was moved aside.
    pub quarantined: Option<PathBuf>,
    /// Why nothing can be written, if so.
    pub unwritable: Option<StoreError>,
}

impl StoreDriver {
    /// Opens the database at `path`, or creates it.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn open(path: &Path, kind: Kind, on_corruption: OnCorruption) -> Result<OpenedStore, StoreError> {
        let (sender, answers) = mpsc::channel(ANSWERS_MAX);
        let Opened { store, documents, quarantined, unwritable } =
            Store::open(path, kind, on_corruption, move |answer| {
                // The loop, which receives the answers, may have ended.
                drop(sender.blocking_send(answer));
            })?;
        let mut driver = Self::new(store, kind, answers);
        driver.is_failing = unwritable.is_some();
        Ok(OpenedStore { driver, documents, quarantined, unwritable })
    }

    /// Creates the driver of an open store whose answers arrive at `answers`.
    pub fn new(store: Store, kind: Kind, answers: mpsc::Receiver<Answer>) -> Self {
        Self {
            answers,
            store,
            kind,
            rejected: VecDeque::new(),
            in_flight: 0,
            is_failing: false,
            trial: None,
            commits: Commits::default(),
        }
    }

    /// Submits a write of keys and bodies; `None` deletes a key.
    pub fn commit(&mut self, write: WriteId, records: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>) {
        let changes: Vec<_> = records.into_iter().map(|(key, body)| Change { key, body }).collect();
        let bytes = changes.iter().map(|change| change.key.len() + change.body.as_ref().map_or(0, Vec::len)).sum();
        self.commits.submitted(write.0, bytes);
        let submitted = self.store.submit(write.0, changes);
        self.submitted(write, submitted);
    }

    /// Checks whether the disk has space for the write that failed. Answered like [`commit`](Self::commit).
    pub fn try_room(&mut self, write: WriteId) {
        self.commits.submitted(write.0, 0);
        self.trial = Some(write);
        let submitted = self.store.submit_trial(write.0);
        self.submitted(write, submitted);
    }

    fn submitted(&mut self, write: WriteId, submitted: Result<(), StoreFault>) {
        match submitted {
            Ok(()) => self.in_flight += 1,
            Err(fault) => {
                let rejected = self.completed(write, Err(fault));
                self.rejected.push_back(rejected);
            }
        }
    }

    /// Resumes the store after `write` and all later writes were rolled back.
    pub fn resume(&self, write: WriteId) {
        self.store.resume(write.0);
    }

    /// Makes the store's thread call `alive` after it has processed its queue.
    pub fn probe(&self, alive: impl FnOnce() + Send + 'static) {
        self.store.probe(alive);
    }

    /// Returns the next write that was rejected on submission.
    pub fn take_rejected(&mut self) -> Option<WriteResult> {
        self.rejected.pop_front()
    }

    /// Waits for the next answer of the store. Cancel-safe.
    pub async fn answer(&mut self) -> WriteResult {
        match self.answers.recv().await {
            Some(answer) => {
                self.in_flight -= 1;
                self.completed(WriteId(answer.write), answer.result)
            }
            // Cannot happen: the store holds the sender, and `self` holds the store.
            None => std::future::pending().await,
        }
    }

    /// Returns whether a write failed, or the database could not be opened for writing, and no trial write has
    /// succeeded since.
    pub const fn is_failing(&self) -> bool {
        self.is_failing
    }

    /// Returns whether the store has answered every write.
    pub const fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    /// Commits queued writes and closes the database. Blocks.
    pub fn close(self) {
        drop(self.answers);
        self.store.close();
    }

    fn completed(&mut self, write: WriteId, result: Result<(), StoreFault>) -> WriteResult {
        self.commits.completed(write.0, result.is_ok());
        match &result {
            Err(fault) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    let kind = self.kind;
                    tracing::warn!(problem = %fault, "cannot write to the {kind} database; changes are rejected until it recovers");
                }
            }
            // Only a trial write clears the failure: a smaller write may fit where the failed one does not.
            Ok(()) if self.is_failing && self.trial == Some(write) => {
                self.is_failing = false;
                tracing::info!("{} database writable again", self.kind);
            }
            Ok(()) => {}
        }
        WriteResult { write, result: result.map_err(|fault| fault.kind) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use linecamp_store::QUEUE_BYTES_MAX;

    use super::*;

    fn record() -> [(Vec<u8>, Option<Vec<u8>>); 1] {
        [(b"key".to_vec(), Some(b"body".to_vec()))]
    }

    #[tokio::test]
    async fn every_write_is_answered_and_a_trial_ends_a_failure() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("site.db");
        let mut driver = StoreDriver::open(&path, Kind::Site, OnCorruption::Refuse).unwrap().driver;
        driver.commit(WriteId(1), record());
        assert!(!driver.is_idle());
        assert_eq!(driver.answer().await, WriteResult { write: WriteId(1), result: Ok(()) });
        assert!(driver.is_idle());

        // The store's thread waits in the probe while the queue fills.
        let ((entered, has_entered), (release, released)) = (sync_channel(1), sync_channel::<()>(1));
        driver.probe(move || {
            entered.send(()).unwrap();
            released.recv().unwrap();
        });
        has_entered.recv().unwrap();
        driver.commit(WriteId(2), [(b"key".to_vec(), Some(vec![0; QUEUE_BYTES_MAX]))]);
        driver.commit(WriteId(3), record());
        driver.commit(WriteId(4), record());
        let rejected = |write| Some(WriteResult { write, result: Err(FaultKind::Overloaded) });
        assert_eq!(driver.take_rejected(), rejected(WriteId(3)));
        assert_eq!(driver.take_rejected(), rejected(WriteId(4)));
        assert_eq!(driver.take_rejected(), None);
        release.send(()).unwrap();
        assert_eq!(driver.answer().await, WriteResult { write: WriteId(2), result: Ok(()) });
        assert!(driver.is_failing() && driver.is_idle());

        driver.resume(WriteId(3));
        driver.commit(WriteId(5), record());
        assert_eq!(driver.answer().await.result, Ok(()));
        assert!(driver.is_failing(), "only a trial shows that there is room");
        driver.try_room(WriteId(6));
        assert_eq!(driver.answer().await.result, Ok(()));
        assert!(!driver.is_failing());
        driver.close();
        let again = StoreDriver::open(&path, Kind::Site, OnCorruption::Refuse).unwrap();
        assert_eq!(again.documents.len(), 1);
    }
}
