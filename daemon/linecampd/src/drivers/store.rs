//! Opens `site.db`, and converts records and faults between the state machine and the store.

use std::path::{Path, PathBuf};

use linecamp_core::StoreFault;
use linecamp_model::{SiteChange, Text};
use linecamp_proto::record;
use linecamp_service::{OpenedStore, StoreDriver};
use linecamp_store::{Document, FaultKind, Kind, OnCorruption, StoreError, set_aside};
use linecamp_transport::error_chain;

/// An opened database and its contents.
#[derive(Debug)]
pub(crate) struct OpenedDatabase {
    pub(crate) store: StoreDriver,
    pub(crate) records: Vec<SiteChange>,
    /// Where a corrupt database was moved, if it was corrupt.
    pub(crate) corrupt_database: Option<Text>,
}

/// Opens the database at `path`. A corrupt database, or one with unreadable records, is moved aside.
pub(crate) fn open(path: &Path) -> Result<OpenedDatabase, StoreError> {
    let OpenedStore { driver: store, documents, quarantined, .. } = open_file(path)?;
    match read_all(&documents) {
        Ok(records) => Ok(opened(store, records, quarantined)),
        Err(problem) => {
            tracing::warn!(problem, "the site database has an invalid record");
            if store.is_failing() {
                // It cannot be moved aside now; the next start on a writable disk does that.
                return Ok(opened(store, Vec::new(), None));
            }
            drop(store);
            let moved_to = set_aside(path)?;
            Ok(opened(open_file(path)?.driver, Vec::new(), Some(moved_to)))
        }
    }
}

fn open_file(path: &Path) -> Result<OpenedStore, StoreError> {
    let opened = StoreDriver::open(path, Kind::Site, OnCorruption::Quarantine)?;
    if let Some(problem) = &opened.unwritable {
        let problem = error_chain(problem);
        tracing::warn!(problem, "site database not writable; continuing with the stored state");
    }
    Ok(opened)
}

fn opened(store: StoreDriver, records: Vec<SiteChange>, corrupt_database: Option<PathBuf>) -> OpenedDatabase {
    let corrupt_database = corrupt_database.map(|path| {
        tracing::warn!(moved_to = %path.display(), "site database corrupt: moved aside, starting empty");
        Text::lossy(&path.display().to_string())
    });
    OpenedDatabase { store, records, corrupt_database }
}

fn read_all(documents: &[Document]) -> Result<Vec<SiteChange>, String> {
    let records = documents.iter().map(|(key, body)| record::site_record(key, body));
    records.collect::<Result<_, _>>().map_err(|error| error_chain(&error))
}

/// Converts a fault to what the state machine needs to know.
pub(crate) const fn fault_of(kind: FaultKind) -> StoreFault {
    match kind {
        FaultKind::DiskFull => StoreFault::DiskFull,
        FaultKind::ReadOnly => StoreFault::ReadOnly,
        FaultKind::DiskFailing | FaultKind::Overloaded | FaultKind::Other => StoreFault::Failed,
    }
}

#[cfg(test)]
mod tests {
    use linecamp_model::{LabelKey, LabelPatch, LabelSet, LabelValue, Level, WallTime, WriteId};
    use linecamp_service::WriteResult;
    use linecamp_store::{Change, Store};

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
        driver.commit(WriteId(1), [record::site_change(&change)]);
        assert_eq!(driver.take_rejected(), None);
        driver.answer().await
    }

    #[tokio::test]
    async fn committed_records_are_loaded_at_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("site.db");
        let mut opened = open(&path).unwrap();
        let write_result = commit(&mut opened.store, labels()).await;
        assert_eq!(write_result.result, Ok(()));
        assert!(opened.store.is_idle());
        opened.store.close();

        let again = open(&path).unwrap();
        assert_eq!(again.records, [labels()]);
        assert_eq!(again.corrupt_database, None);
    }

    #[tokio::test]
    async fn a_corrupt_database_is_moved_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("site.db");
        std::fs::write(&path, "rubbish".repeat(1000)).unwrap();
        let opened = open(&path).unwrap();
        assert_eq!(opened.records, []);
        let moved_to = opened.corrupt_database.unwrap();
        assert!(moved_to.as_str().ends_with("site.db.corrupt-1"), "{moved_to}");
    }

    #[test]
    fn an_invalid_record_moves_the_database_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("site.db");
        let store = Store::open(&path, Kind::Site, OnCorruption::Refuse, |_| {}).unwrap().store;
        let change = Change { key: b"nobody/knows".to_vec(), body: Some(vec![1]) };
        store.submit(1, vec![change]).unwrap();
        store.close();

        let opened = open(&path).unwrap();
        assert_eq!(opened.records, []);
        assert!(opened.corrupt_database.is_some());
    }
}
