//! The owner's handle.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::error::{StoreError, StoreFault};
use crate::file::{self, Document, Kind, OnDamage, OpenedFile};
use crate::queue::{Change, Probe, Queue, Write};
use crate::unwritable::Unwritable;
use crate::writer::{self, Answer, Counters, Database, Tally};

/// An open database, and the thread that writes it. See the crate's page for its phases and promises.
///
/// Dropping it is closing it.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    /// `None` only while it is dropped.
    writer: Option<JoinHandle<()>>,
}

/// What opening gives.
#[derive(Debug)]
pub struct Opened {
    /// The store, ready for writes.
    pub store: Store,
    /// Every document, in the order of the keys.
    pub documents: Vec<Document>,
    /// Where a damaged file went, if there was one; `documents` is empty then.
    pub quarantined: Option<PathBuf>,
    /// Why nothing can be written, if that is so: the disk is full or read-only, or the file belongs to another user.
    /// Each write tries it again, so it heals by itself.
    pub unwritable: Option<StoreError>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Queue,
    tally: Tally,
}

impl Store {
    /// Opens the database at `path`, or creates it with permissions 0600 in a directory that exists and that the
    /// caller has locked ([`DirectoryLock`](crate::DirectoryLock)).
    ///
    /// `answer` is called on the writer thread, once for each accepted write, in the order of submission. It
    /// holds up every later commit, so it should only pass the answer on. It must not drop the store.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::needs_operator`] tells those that time does not heal.
    pub fn open(
        path: &Path,
        kind: Kind,
        on_damage: OnDamage,
        answer: impl FnMut(Answer) + Send + 'static,
    ) -> Result<Opened, StoreError> {
        match file::open(path, kind, on_damage) {
            Ok(OpenedFile { connection, documents, quarantined }) => {
                let store = Self::start(path, Database::Open(connection), answer)?;
                Ok(Opened { store, documents, quarantined, unwritable: None })
            }
            Err(problem) => {
                let (unwritable, documents, problem) = Unwritable::read((path, kind, on_damage), problem)?;
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
                move || writer::run(database, &shared.queue, &shared.tally, answer)
            })
            .map_err(|source| StoreError::Thread { path: path.to_owned(), source })?;
        Ok(Self { shared, writer: Some(writer) })
    }

    /// Hands over a write and returns at once; the answer follows. `write` is a number that the owner
    /// does not use twice. Changes of one key take effect in their order.
    ///
    /// # Errors
    /// A write that is refused is a failed write like any other, and has no further answer: the queue is full
    /// ([`FaultKind::Overloaded`](crate::FaultKind::Overloaded)), or an earlier write failed and
    /// [`Store::resume`] has not been called for it (then the fault is that write's).
    pub fn submit(&self, write: u64, changes: Vec<Change>) -> Result<(), StoreFault> {
        self.shared.queue.submit(Write { number: write, changes, is_trial: false })
    }

    /// Finds out whether there is room, as a write without changes that is answered like any other. It succeeds if the
    /// disk takes as much as the largest group of writes that failed since a trial succeeded last, and at least 64 KiB,
    /// and syncs. Nothing is kept of it.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn submit_trial(&self, write: u64) -> Result<(), StoreFault> {
        self.shared.queue.submit(Write { number: write, changes: Vec::new(), is_trial: true })
    }

    /// Says that the owner has undone `failed`, and every write that it submitted after it up to this call.
    ///
    /// To be called for each failed or refused write, or at least for the earliest of those that are not yet undone.
    /// Writes are taken again once the write that began the trouble has been named; any other number changes nothing.
    pub fn resume(&self, failed: u64) {
        self.shared.queue.resume(failed);
    }

    /// Has `alive` called on the writer thread, after what waits now has been answered: a disk that hangs keeps it
    /// from coming. Costs the disk nothing. A probe that has not been answered yet goes when the next one comes.
    pub fn probe(&self, alive: impl FnOnce() + Send + 'static) {
        self.shared.queue.probe(Probe(Box::new(alive)));
    }

    /// Returns what has become durable since the store was opened: a write is counted before it is answered.
    pub fn counters(&self) -> Counters {
        self.shared.tally.counters()
    }

    /// Commits and answers what waits, then closes the database. Blocks until that is done.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.take() {
            // It panics only if `answer` does, and that has been reported where it happened.
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
mod tests;
