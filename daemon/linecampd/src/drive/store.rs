//! `site.db` ↔ the state machine's `Persist`, `TryStore` and `ResumeStore`.

use std::path::{Path, PathBuf};

use linecamp_core::StoreFault;
use linecamp_model::{SiteChange, Text, WriteId};
use linecamp_proto::record;
use linecamp_service::Commits;
use linecamp_store::{
    Answer, Change, FaultKind, Kind, OnDamage, Opened, QUEUE_WRITES_MAX, Store, StoreError, set_aside,
};
use linecamp_transport::error_chain;
use tokio::sync::mpsc;

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WriteResult {
    pub(crate) write: WriteId,
    pub(crate) result: Result<(), StoreFault>,
}

/// The open database.
#[derive(Debug)]
pub(crate) struct StoreDriver {
    store: Store,
    answers: mpsc::Receiver<Answer>,
    /// Writes without an answer so far.
    waiting: usize,
    is_failing: bool,
    /// The trial write that tests whether the disk has room again.
    trial: Option<WriteId>,
    /// Whether the database could not be opened for writing, and no trial write has succeeded since.
    pub(crate) is_unwritable: bool,
    pub(crate) commits: Commits,
}

/// An opened database and its contents.
#[derive(Debug)]
pub(crate) struct OpenedStore {
    pub(crate) driver: StoreDriver,
    pub(crate) records: Vec<SiteChange>,
    /// Where a corrupt database was moved, if it was corrupt.
    pub(crate) damaged: Option<Text>,
}

impl StoreDriver {
    /// Opens the database at `path`. A corrupt database, or one with unreadable records, is moved aside.
    pub(crate) fn open(path: &Path) -> Result<OpenedStore, StoreError> {
        let opened = Self::open_file(path)?;
        match read_all(&opened.1.documents) {
            Ok(records) => Ok(opened.0.with(records, opened.1.quarantined)),
            Err(problem) => {
                tracing::warn!(problem, "the site database has an invalid record");
                if opened.0.is_unwritable {
                    // It cannot be moved aside now; the next start on a writable disk does that.
                    return Ok(opened.0.with(Vec::new(), None));
                }
                drop(opened);
                let moved_to = set_aside(path)?;
                let (driver, _) = Self::open_file(path)?;
                Ok(driver.with(Vec::new(), Some(moved_to)))
            }
        }
    }

    fn open_file(path: &Path) -> Result<(Self, LoadedDocuments), StoreError> {
        // As many as the store can queue, so that its thread never blocks on us.
        let (sender, answers) = mpsc::channel(QUEUE_WRITES_MAX);
        let Opened { store, documents, quarantined, unwritable } =
            Store::open(path, Kind::Site, OnDamage::Quarantine, move |answer| {
                // The receiver is gone once the daemon has stopped.
                let _ = sender.blocking_send(answer);
            })?;
        if let Some(problem) = &unwritable {
            let problem = error_chain(problem);
            tracing::warn!(problem, "site database not writable; continuing with the stored state");
        }
        let is_unwritable = unwritable.is_some();
        let driver = Self {
            store,
            answers,
            waiting: 0,
            is_failing: is_unwritable,
            trial: None,
            is_unwritable,
            commits: Commits::default(),
        };
        Ok((driver, LoadedDocuments { documents, quarantined }))
    }

    fn with(self, records: Vec<SiteChange>, damaged: Option<PathBuf>) -> OpenedStore {
        let damaged = damaged.map(|path| {
            tracing::warn!(moved_to = %path.display(), "site database corrupt: moved aside, starting empty");
            Text::lossy(&path.display().to_string())
        });
        OpenedStore { driver: self, records, damaged }
    }

    /// Submits a write to the disk. Returns the result only if the store rejects the write at once.
    pub(crate) fn commit(&mut self, write: WriteId, changes: &[SiteChange]) -> Option<WriteResult> {
        let changes = changes.iter().map(|change| {
            let (key, body) = record::site_change(change);
            Change { key, body }
        });
        let changes: Vec<_> = changes.collect();
        let bytes = changes.iter().map(|change| change.key.len() + change.body.as_ref().map_or(0, Vec::len)).sum();
        self.commits.submitted(write.0, bytes);
        let submitted = self.store.submit(write.0, changes);
        self.submitted(write, submitted)
    }

    /// Tests whether the disk has room again after a failed write. Returns as [`commit`](Self::commit) does.
    pub(crate) fn try_room(&mut self, write: WriteId) -> Option<WriteResult> {
        self.commits.submitted(write.0, 0);
        self.trial = Some(write);
        let submitted = self.store.submit_trial(write.0);
        self.submitted(write, submitted)
    }

    fn submitted(&mut self, write: WriteId, submitted: Result<(), linecamp_store::StoreFault>) -> Option<WriteResult> {
        match submitted {
            Ok(()) => {
                self.waiting += 1;
                None
            }
            Err(fault) => Some(self.write_result(write, Err(fault))),
        }
    }

    /// Tells the store that the state machine has rolled back `write` and all later writes.
    pub(crate) fn resume(&self, write: WriteId) {
        self.store.resume(write.0);
    }

    /// Makes the store's thread call `alive` after it has processed its queue.
    pub(crate) fn probe(&self, alive: impl FnOnce() + Send + 'static) {
        self.store.probe(alive);
    }

    /// Returns the next result from the disk. Cancel-safe.
    pub(crate) async fn answer(&mut self) -> WriteResult {
        match self.answers.recv().await {
            Some(answer) => {
                self.waiting -= 1;
                self.write_result(WriteId(answer.write), answer.result)
            }
            // Cannot happen: the store holds the sender, and `self` holds the store.
            None => std::future::pending().await,
        }
    }

    /// Whether a write failed and no trial write has succeeded since.
    pub(crate) const fn is_failing(&self) -> bool {
        self.is_failing
    }

    /// Whether every write has been answered.
    pub(crate) const fn is_idle(&self) -> bool {
        self.waiting == 0
    }

    /// Flushes queued writes and closes the database. Blocks.
    pub(crate) fn close(self) {
        // Without a receiver, the store's thread does not block on sending answers.
        drop(self.answers);
        self.store.close();
    }

    fn write_result(&mut self, write: WriteId, result: Result<(), linecamp_store::StoreFault>) -> WriteResult {
        match &result {
            Err(fault) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(problem = %fault, "cannot write to the site database");
                }
            }
            // Only a trial write clears the failure: a smaller write may fit where the failed one does not.
            Ok(()) if self.trial == Some(write) => {
                tracing::info!("site database writable again");
                (self.is_failing, self.is_unwritable) = (false, false);
            }
            Ok(()) => {}
        }
        self.commits.completed(write.0, result.is_ok());
        let result = result.map_err(|fault| match fault.kind {
            FaultKind::DiskFull => StoreFault::DiskFull,
            FaultKind::ReadOnly => StoreFault::ReadOnly,
            FaultKind::DiskFailing | FaultKind::Overloaded | FaultKind::Other => StoreFault::Failed,
        });
        WriteResult { write, result }
    }
}

struct LoadedDocuments {
    documents: Vec<linecamp_store::Document>,
    quarantined: Option<PathBuf>,
}

fn read_all(documents: &[linecamp_store::Document]) -> Result<Vec<SiteChange>, String> {
    let records = documents.iter().map(|(key, body)| record::site_record(key, body));
    records.collect::<Result<_, _>>().map_err(|error| error_chain(&error))
}

#[cfg(test)]
mod tests {
    use linecamp_model::{LabelKey, LabelPatch, LabelSet, LabelValue, Level, WallTime};

    use super::*;

    fn labels() -> SiteChange {
        let patch = LabelPatch {
            set: [(LabelKey::parse("rack").unwrap(), LabelValue::parse("r7").unwrap())].into(),
            ..LabelPatch::default()
        };
        let labels = LabelSet::default().patched(&patch, WallTime::EPOCH).unwrap();
        SiteChange::LocalLabels(Level::Site, Some(labels))
    }

    async fn commit(driver: &mut StoreDriver, change: SiteChange) -> WriteResult {
        assert_eq!(driver.commit(WriteId(1), &[change]), None);
        driver.answer().await
    }

    #[tokio::test]
    async fn committed_records_are_loaded_at_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("site.db");
        let mut opened = StoreDriver::open(&path).unwrap();
        let write_result = commit(&mut opened.driver, labels()).await;
        assert_eq!(write_result.result, Ok(()));
        assert!(opened.driver.is_idle());
        opened.driver.close();

        let again = StoreDriver::open(&path).unwrap();
        assert_eq!(again.records, [labels()]);
        assert_eq!(again.damaged, None);
    }

    #[tokio::test]
    async fn a_corrupt_database_is_moved_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("site.db");
        std::fs::write(&path, "rubbish".repeat(1000)).unwrap();
        let opened = StoreDriver::open(&path).unwrap();
        assert_eq!(opened.records, []);
        let moved_to = opened.damaged.unwrap();
        assert!(moved_to.as_str().ends_with("site.db.damaged-1"), "{moved_to}");
    }

    #[test]
    fn an_invalid_record_moves_the_database_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("site.db");
        let store = Store::open(&path, Kind::Site, OnDamage::Refuse, |_| {}).unwrap().store;
        let change = Change { key: b"nobody/knows".to_vec(), body: Some(vec![1]) };
        store.submit(1, vec![change]).unwrap();
        store.close();

        let opened = StoreDriver::open(&path).unwrap();
        assert_eq!(opened.records, []);
        assert!(opened.damaged.is_some());
    }
}
