//! Inspection of a database that no process is using, without changing it.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use crate::error::StoreError;
use crate::file::{check, failed_open};
use crate::kind::Kind;
use crate::read_only::{connect, log_bytes};

/// The header of an SQLite file ("Database File Format", 1.2).
const MAGIC: &[u8] = b"SQLite format 3\0";

/// The result of an inspection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// The schema version.
    pub version: u32,
    /// The number of documents.
    pub documents: u64,
    /// The size in bytes, without the write-ahead log.
    pub bytes: u64,
    /// The size of the write-ahead log, which the next open replays: after a crash it is not empty.
    pub log_bytes: u64,
}

/// Checks the database at `path`, which must exist and must not be in use by any process: while another process writes,
/// what is read may look corrupt. Writes nothing.
///
/// # Errors
/// [`StoreError`], as when opening it for writing.
pub fn examine(path: &Path, kind: Kind) -> Result<Examined, StoreError> {
    let file_error = |source| StoreError::File { path: path.to_owned(), source };
    let bytes = fs::metadata(path).map_err(file_error)?.len();
    let mut start = Vec::new();
    let opened = fs::File::open(path).map_err(file_error)?;
    opened.take(MAGIC.len() as u64).read_to_end(&mut start).map_err(file_error)?;
    if start != MAGIC {
        return Err(StoreError::Corrupt { path: path.to_owned(), detail: "not an SQLite database".to_owned() });
    }
    let failed = |source| failed_open(path, source);
    let connection = connect(path).map_err(failed)?;
    let version = check(&connection, path, kind)?;
    let documents: i64 = match version {
        0 => 0,
        _ => connection.query_row("SELECT count(*) FROM documents", [], |row| row.get(0)).map_err(failed)?,
    };
    Ok(Examined { version, documents: documents.cast_unsigned(), bytes, log_bytes: log_bytes(path) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::LATEST;
    use crate::{Change, OnCorruption, Store};

    #[test]
    fn a_database_is_examined_without_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a b?.db");
        let (done, answered) = std::sync::mpsc::sync_channel(1);
        let opened =
            Store::open(&path, Kind::Fleet, OnCorruption::Refuse, move |answer| drop(done.send(answer))).unwrap();
        opened.store.submit(1, vec![Change { key: b"k".to_vec(), body: Some(b"v".to_vec()) }]).unwrap();
        answered.recv().unwrap();
        opened.store.close();
        let before: Vec<_> = names(directory.path());
        let bytes = fs::read(&path).unwrap();

        let examined = examine(&path, Kind::Fleet).unwrap();
        assert_eq!((examined.version, examined.documents, examined.log_bytes), (LATEST, 1, 0));
        assert_eq!(names(directory.path()), before);
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert!(matches!(examine(&path, Kind::Site), Err(StoreError::OtherKind { .. })));
    }

    #[test]
    fn a_file_that_is_not_a_database_is_corrupt() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fleet.db");
        assert!(matches!(examine(&path, Kind::Fleet), Err(StoreError::File { .. })));
        fs::write(&path, "garbage").unwrap();
        assert!(matches!(examine(&path, Kind::Fleet), Err(StoreError::Corrupt { .. })));
    }

    fn names(directory: &Path) -> Vec<std::ffi::OsString> {
        let mut names: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }
}
