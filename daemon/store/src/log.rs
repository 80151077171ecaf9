//! The part of the map that is read on request: the keys that begin with [`LOG_PREFIX`](crate::LOG_PREFIX). They are
//! written and deleted with all others, in the same transactions, and are not loaded when the store is opened: a log
//! may be much larger than what its owner holds in memory.

use std::ops::Range;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};

use crate::error::StoreError;
use crate::file::{BUSY_TIMEOUT, Document, failed_open};
use crate::read_only;

/// Which end of a range to read first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// The lowest keys.
    Start,
    /// The highest keys.
    End,
}

/// Reads the log of a store that may be open. Writes never wait for it.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    connection: Connection,
}

impl LogReader {
    /// Opens the database at `path`, which an open store has created. Nothing is written.
    ///
    /// # Errors
    /// [`StoreError::Open`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            // Opening reads nothing: a file that needs a lock that cannot be created fails here.
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            Ok(connection)
        });
        let opened = opened.or_else(|_| read_only::connect(path));
        let connection = opened.map_err(|source| failed_open(path, source))?;
        Ok(Self { path: path.to_owned(), connection })
    }

    /// Runs several reads at one revision: what is written meanwhile is in none of them.
    ///
    /// # Errors
    /// Those of the reads.
    pub fn at_one_revision<T>(&self, read: impl FnOnce(&Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let failed = |source| failed_open(&self.path, source);
        self.connection.execute_batch("BEGIN").map_err(failed)?;
        let result = read(self);
        self.connection.execute_batch("COMMIT").map_err(failed)?;
        result
    }

    /// Returns at most `count_max` documents of `keys` that are durable, ordered by key, from one end of the range.
    ///
    /// # Errors
    /// [`StoreError::Open`] if the file cannot be read.
    pub fn read(&self, keys: Range<&[u8]>, from: ReadFrom, count_max: usize) -> Result<Vec<Document>, StoreError> {
        let order = match from {
            ReadFrom::Start => "ASC",
            ReadFrom::End => "DESC",
        };
        let query =
            format!("SELECT key, body FROM documents WHERE ?1 <= key AND key < ?2 ORDER BY key {order} LIMIT ?3");
        let limit = i64::try_from(count_max).unwrap_or(i64::MAX);
        let read = || -> rusqlite::Result<Vec<Document>> {
            let mut statement = self.connection.prepare_cached(&query)?;
            let rows =
                statement.query_map(params![keys.start, keys.end, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        let mut documents = read().map_err(|source| failed_open(&self.path, source))?;
        if from == ReadFrom::End {
            documents.reverse();
        }
        Ok(documents)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::file::AFTER_LOG;
    use crate::{Change, Kind, LOG_PREFIX, OnCorruption, Store, read_snapshot, read_stopped, snapshot};

    fn key(number: u8) -> Vec<u8> {
        [LOG_PREFIX, b"x/", &[number]].concat()
    }

    #[test]
    fn a_log_is_read_while_the_store_is_open_and_not_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fleet.db");
        let (done, answers) = sync_channel(64);
        let opened = Store::open(&path, Kind::Fleet, OnCorruption::Refuse, move |answer| drop(done.send(answer)));
        let store = opened.unwrap().store;
        for number in 1..=9 {
            let beside = ["a", "log", "log0", "z"].map(|key| key.as_bytes().to_vec());
            let put = |key| Change { key, body: Some(vec![number]) };
            let changes = beside.into_iter().chain([key(number)]).map(put).collect();
            store.submit(u64::from(number), changes).unwrap();
            assert_eq!(answers.recv().unwrap().result, Ok(()));
        }
        let reader = LogReader::open(&path).unwrap();
        let check = |keys: Range<u8>, from, count_max, expected: &[u8]| {
            let found = reader.read(&*key(keys.start)..&*key(keys.end), from, count_max).unwrap();
            let numbers: Vec<_> = found.iter().map(|(_, body)| body[0]).collect();
            assert_eq!(numbers, expected);
        };
        check(1..10, ReadFrom::Start, 100, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        check(3..10, ReadFrom::Start, 2, &[3, 4]);
        check(1..8, ReadFrom::End, 2, &[6, 7]);
        store.submit(10, vec![Change { key: key(1), body: None }]).unwrap();
        assert_eq!(answers.recv().unwrap().result, Ok(()));
        check(1..10, ReadFrom::Start, 1, &[2]);

        let is_without_log = |documents: &[Document]| {
            let keys: Vec<_> = documents.iter().map(|(key, _)| key.as_slice()).collect();
            assert_eq!(keys, [&b"a"[..], b"log", b"log0", b"z"]);
        };
        let copy = snapshot(&path, Kind::Fleet).unwrap();
        is_without_log(&read_snapshot(&copy, Kind::Fleet, &path).unwrap());
        drop(reader);
        store.close();
        is_without_log(&read_stopped(&path, Kind::Fleet).unwrap());
        // A copy has the log.
        std::fs::write(&path, copy).unwrap();
        let again = Store::open(&path, Kind::Fleet, OnCorruption::Refuse, |_| {}).unwrap();
        is_without_log(&again.documents);
        let reader = LogReader::open(&path).unwrap();
        assert_eq!(reader.read(LOG_PREFIX..AFTER_LOG, ReadFrom::Start, 100).unwrap().len(), 8);
    }

    #[test]
    fn a_log_is_read_beside_a_closed_store() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fleet.db");
        drop(Store::open(&path, Kind::Fleet, OnCorruption::Refuse, |_| {}).unwrap());
        let reader = LogReader::open(&path).unwrap();
        assert_eq!(reader.read(LOG_PREFIX..AFTER_LOG, ReadFrom::End, 1).unwrap(), []);
        assert!(LogReader::open(&directory.path().join("absent")).is_err());
    }
}
