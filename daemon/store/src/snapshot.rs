//! A consistent copy of a database that another process may be writing, and reading such a copy.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, OpenFlags};

use crate::error::StoreError;
use crate::file::{BUSY_TIMEOUT, Document, check, failed_open, load};
use crate::kind::Kind;
use crate::migrate;

/// The bytes of the header that state how the file is written and read ("Database File Format", 1.3.3): 1 is a rollback
/// journal, 2 a write-ahead log. A copy has no log beside it.
const JOURNAL_BYTES: std::ops::Range<usize> = 18..20;
const ROLLBACK_JOURNAL: u8 = 1;

/// Copies the database at `path`, which must exist, into memory: one file, at one revision, with every write that was
/// answered before. Another process may write it meanwhile, and never waits for the copy; its write-ahead log grows
/// until the copy is complete. Nothing is written but the index of the log, as by any reader.
///
/// # Errors
/// [`StoreError`], as when opening it for writing.
pub fn snapshot(path: &Path, kind: Kind) -> Result<Vec<u8>, StoreError> {
    let failed = |source| failed_open(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    // The first read fixes the revision that all later reads of the transaction see.
    connection.execute_batch("BEGIN").map_err(failed)?;
    check(&connection, path, kind)?;
    let mut copy = connection.serialize(MAIN_DB).map_err(failed)?.to_vec();
    if let Some(bytes) = copy.get_mut(JOURNAL_BYTES) {
        bytes.fill(ROLLBACK_JOURNAL);
    }
    Ok(copy)
}

/// Checks a copy and returns its documents, ordered by key. `name` is for errors. A copy of an older schema is migrated
/// in memory.
///
/// # Errors
/// [`StoreError`], as when opening it.
pub fn read_snapshot(copy: &[u8], kind: Kind, name: &Path) -> Result<Vec<Document>, StoreError> {
    let failed = |source| failed_open(name, source);
    let mut connection = Connection::open_in_memory().map_err(failed)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false).map_err(failed)?;
    connection.deserialize_read_exact(MAIN_DB, copy, copy.len(), false).map_err(failed)?;
    let version = check(&connection, name, kind)?;
    migrate::apply(&mut connection, kind, version).map_err(|step| crate::file::migration_error(name, step))?;
    load(&connection).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};

    use super::*;
    use crate::writer::Answer;
    use crate::{Change, OnCorruption, Store};

    fn opened(path: &Path) -> (Store, Receiver<Answer>) {
        let (done, answers) = sync_channel(64);
        let opened = Store::open(path, Kind::Fleet, OnCorruption::Refuse, move |answer| drop(done.send(answer)));
        (opened.unwrap().store, answers)
    }

    fn put(key: &[u8], body: Vec<u8>) -> Change {
        Change { key: key.to_vec(), body: Some(body) }
    }

    #[test]
    fn a_copy_has_every_answered_write_while_the_store_is_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fleet.db");
        let (store, answers) = opened(&path);
        for write in 1..=50_u8 {
            store.submit(write.into(), vec![put(b"a", vec![write; 5_000]), put(&[write], vec![write])]).unwrap();
            assert_eq!(answers.recv().unwrap().result, Ok(()));
            let documents = read_snapshot(&snapshot(&path, Kind::Fleet).unwrap(), Kind::Fleet, &path).unwrap();
            assert_eq!(documents.len(), usize::from(write) + 1);
            assert!(documents.contains(&(b"a".to_vec(), vec![write; 5_000])), "{write}");
        }
    }

    /// Both keys change together, in every write.
    #[test]
    fn a_copy_under_load_is_one_revision() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fleet.db");
        let (store, answers) = opened(&path);
        let (finished, finish) = sync_channel::<()>(1);
        let writing = std::thread::spawn(move || {
            for write in 1_u32.. {
                let body = write.to_be_bytes().repeat(1_000);
                store.submit(write.into(), vec![put(b"a", body.clone()), put(b"z", body)]).unwrap();
                assert_eq!(answers.recv().unwrap().result, Ok(()));
                if finish.try_recv().is_ok() {
                    return;
                }
            }
        });
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < 20 {
            let documents = read_snapshot(&snapshot(&path, Kind::Fleet).unwrap(), Kind::Fleet, &path).unwrap();
            if let [(_, a), (_, z)] = &documents[..] {
                assert_eq!(a, z);
                seen.insert(a[..4].to_vec());
            }
        }
        finished.send(()).unwrap();
        writing.join().unwrap();
    }

    #[test]
    fn a_copy_that_is_written_to_a_file_is_a_database() {
        let directory = tempfile::tempdir().unwrap();
        let (path, copied) = (directory.path().join("fleet.db"), directory.path().join("copy.db"));
        let (store, answers) = opened(&path);
        store.submit(1, vec![put(b"k", b"v".to_vec())]).unwrap();
        answers.recv().unwrap();
        std::fs::write(&copied, snapshot(&path, Kind::Fleet).unwrap()).unwrap();
        let again = Store::open(&copied, Kind::Fleet, OnCorruption::Refuse, |_| {}).unwrap();
        assert_eq!(again.documents, [(b"k".to_vec(), b"v".to_vec())]);
    }

    #[test]
    fn a_corrupt_or_foreign_copy_is_rejected() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fleet.db");
        drop(opened(&path));
        let copy = snapshot(&path, Kind::Fleet).unwrap();
        let check = |copy: &[u8], kind| read_snapshot(copy, kind, Path::new("fleet.db")).unwrap_err().to_string();
        assert!(check(&copy, Kind::Site).contains("not a site database"));
        assert!(check(&copy[..copy.len() / 2], Kind::Fleet).contains("corrupt"));
        assert!(check(b"#!/bin/sh", Kind::Fleet).contains("fleet.db"));
        assert!(snapshot(&directory.path().join("absent"), Kind::Fleet).is_err());
    }
}
