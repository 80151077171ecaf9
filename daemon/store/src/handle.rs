//! The handle of the store's owner.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::error::{StoreError, StoreFault};
use crate::file::{self, Document, OnCorruption, OpenedFile};
use crate::kind::Kind;
use crate::queue::{Change, Probe, Queue, Write};
use crate::read_only::Unwritable;
use crate::writer::{self, Answer, Counters, Database, LiveCounters};

/// An open database and the thread that writes it. The crate documentation describes its phases and invariants.
///
/// Dropping it closes it.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    /// `None` only during drop.
    writer: Option<JoinHandle<()>>,
}

/// The result of opening a store.
#[derive(Debug)]
pub struct Opened {
    /// The store, ready for writes.
    pub store: Store,
    /// Every document, ordered by key.
    pub documents: Vec<Document>,
    /// The path of a corrupt file that was moved aside; `documents` is empty then.
    pub quarantined: Option<PathBuf>,
    /// Why nothing can be written, if so: the disk is full or read-only, or the file belongs to another user. Each
    /// write tries again, so the store recovers without a restart.
    pub unwritable: Option<StoreError>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Queue,
    counters: LiveCounters,
}

impl Store {
    /// Opens the database at `path`, or creates it with permissions 0600. The directory must exist, and the caller must
    /// have locked it ([`DirectoryLock`](crate::DirectoryLock)).
    ///
    /// `answer` is called on the writer thread, once for each accepted write, in the order of submission. It delays all
    /// later commits, so it should only forward the answer. It must not drop the store.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::needs_operator`] identifies those that a retry cannot fix.
    pub fn open(
        path: &Path,
        kind: Kind,
        on_corruption: OnCorruption,
        answer: impl FnMut(Answer) + Send + 'static,
    ) -> Result<Opened, StoreError> {
        match file::open(path, kind, on_corruption) {
            Ok(OpenedFile { connection, documents, quarantined }) => {
                let store = Self::start(path, Database::Open(connection), answer)?;
                Ok(Opened { store, documents, quarantined, unwritable: None })
            }
            Err(problem) => {
                let (unwritable, documents, problem) = Unwritable::read((path, kind, on_corruption), problem)?;
                let store = Self::start(path, Database::Unwritable(unwritable), answer)?;
                Ok(Opened { store, documents, quarantined: None, unwritable: Some(problem) })
            }
        }
    }

    fn start(path: &Path, database: Database, answer: impl FnMut(Answer) + Send + 'static) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared::default());
        let writer = thread::Builder::new()
            .name("store".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || writer::run(database, &shared.queue, &shared.counters, answer)
            })
            .map_err(|source| StoreError::Thread { path: path.to_owned(), source })?;
        Ok(Self { shared, writer: Some(writer) })
    }

    /// Submits a write and returns immediately; the answer follows. The owner uses each number `write` only once.
    /// Changes of one key take effect in order.
    ///
    /// # Errors
    /// A rejected write counts as a failed write and has no further answer. Either the queue is full
    /// ([`FaultKind::Overloaded`](crate::FaultKind::Overloaded)), or an earlier write failed and [`Store::resume`] has
    /// not been called for it (the fault is that of the earlier write).
    pub fn submit(&self, write: u64, changes: Vec<Change>) -> Result<(), StoreFault> {
        self.shared.queue.submit(Write { number: write, changes, is_trial: false })
    }

    /// Checks for free space, as a write without changes that is answered like any other. It succeeds if the disk
    /// accepts and syncs as many bytes as the largest group of writes that failed since the last successful trial, and
    /// at least 64 KiB. Nothing of it is kept.
    ///
    /// # Errors
    /// As for [`submit`](Self::submit).
    pub fn submit_trial(&self, write: u64) -> Result<(), StoreFault> {
        self.shared.queue.submit(Write { number: write, changes: Vec::new(), is_trial: true })
    }

    /// Reports that the owner has rolled back `failed` and every write it submitted after it up to this call.
    ///
    /// Call it for each failed or rejected write, or at least for the earliest one not yet rolled back. The queue is
    /// resumed once the write that suspended it has been named; any other number has no effect.
    pub fn resume(&self, failed: u64) {
        self.shared.queue.resume(failed);
    }

    /// Calls `alive` on the writer thread once the writes queued so far have been answered; a disk that hangs delays
    /// it. Causes no disk I/O. A new probe replaces one that is still pending.
    pub fn probe(&self, alive: impl FnOnce() + Send + 'static) {
        self.shared.queue.probe(Probe(Box::new(alive)));
    }

    /// Returns what has become durable since the store was opened. A write is counted before it is answered.
    pub fn counters(&self) -> Counters {
        self.shared.counters.counters()
    }

    /// Commits and answers the queued writes, then closes the database. Blocks until done.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.take() {
            // The thread panics only if `answer` does, which has already been reported.
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
mod tests;
