//! A database that can be read but not written: its disk is full or read-only, or it belongs to another user.
//!
//! Its owner gets the content and continues with a store that fails every write and tries the disk again with each.
//! Reading writes nothing, neither to the database nor beside it. Without a write-ahead log the file is opened as
//! immutable. With one, as after a crash, SQLite keeps the log's index in memory and takes no locks; the lock on the
//! directory is held.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::{FaultKind, StoreError, StoreFault};
use crate::file::{self, Document, OnCorruption, OpenedFile, check, failed_open, load};
use crate::kind::Kind;
use crate::migrate::LATEST;

/// SQLite's VFS without locks.
const WITHOUT_LOCKS: &str = "unix-none";

/// What is needed to reopen a database that could not be opened for writing.
#[derive(Debug)]
pub(crate) struct Unwritable {
    path: PathBuf,
    kind: Kind,
    on_corruption: OnCorruption,
    /// Digest of the content that the owner got. The content found on reopening must match it.
    contents: u64,
}

impl Unwritable {
    /// Reads the database that could not be opened because of `problem`.
    ///
    /// # Errors
    /// `problem`, if it does not concern writing, or if the database cannot be read either. A missing or corrupt
    /// database that [`OnCorruption::Quarantine`] would replace with an empty one reads as empty.
    pub(crate) fn read(
        (path, kind, on_corruption): (&Path, Kind, OnCorruption),
        problem: StoreError,
    ) -> Result<(Self, Vec<Document>, StoreError), StoreError> {
        if !problem.is_write_failure() {
            return Err(problem);
        }
        let documents = match (read_all(path, kind), on_corruption) {
            (Ok(documents), _) => documents,
            // A missing or corrupt file would have been replaced by an empty one.
            (Err(StoreError::Corrupt { .. }), OnCorruption::Quarantine) => Vec::new(),
            (Err(_), OnCorruption::Quarantine) if !path.exists() => Vec::new(),
            (Err(_), _) => return Err(problem),
        };
        let contents = digest(&documents);
        Ok((Self { path: path.to_owned(), kind, on_corruption, contents }, documents, problem))
    }

    /// Tries to open the database for writing.
    pub(crate) fn reopen(&self) -> Result<Connection, StoreFault> {
        match file::open(&self.path, self.kind, self.on_corruption) {
            Ok(OpenedFile { connection, documents, .. }) if digest(&documents) == self.contents => Ok(connection),
            Ok(_) => {
                let path = self.path.display();
                let text = format!("{path} was changed since startup; restart this program");
                Err(StoreFault { kind: FaultKind::Other, text: text.into() })
            }
            Err(error) => Err(StoreFault::of_open(&error)),
        }
    }
}

/// Opens the database at `path` read-only, without leaving a trace.
pub(crate) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match log_bytes(path) {
        0 => Connection::open_with_flags(immutable(path), flags | OpenFlags::SQLITE_OPEN_URI)?,
        _ => {
            let connection = Connection::open_with_flags_and_vfs(path, flags, WITHOUT_LOCKS)?;
            // Must happen before the log is read, so that its index is kept in memory ("Write-Ahead Logging", 8).
            connection.pragma_update_and_check(None, "locking_mode", "exclusive", |_| Ok(()))?;
            connection
        }
    };
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    Ok(connection)
}

/// Returns the size of the write-ahead log beside `path` in bytes.
pub(crate) fn log_bytes(path: &Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(PathBuf::from(log)).map_or(0, |metadata| metadata.len())
}

/// Reads the documents of a database that no process is using, ordered by key, without changing anything.
///
/// # Errors
/// [`StoreError`], as when opening it for writing.
pub fn read_stopped(path: &Path, kind: Kind) -> Result<Vec<Document>, StoreError> {
    read_all(path, kind)
}

fn read_all(path: &Path, kind: Kind) -> Result<Vec<Document>, StoreError> {
    let failed = |source| failed_open(path, source);
    if std::fs::metadata(path).is_ok_and(|found| found.len() == 0 && log_bytes(path) == 0) {
        return Ok(Vec::new());
    }
    let connection = connect(path).map_err(failed)?;
    match check(&connection, path, kind)? {
        0 => Ok(Vec::new()),
        LATEST => load(&connection).map_err(failed),
        // An older version would have to be migrated first, which requires writing.
        found => Err(StoreError::TooNew { path: path.to_owned(), found, supported: LATEST }),
    }
}

fn digest(documents: &[Document]) -> u64 {
    let mut hasher = DefaultHasher::new();
    documents.hash(&mut hasher);
    hasher.finish()
}

/// Returns a URI that makes SQLite take no lock on the file and create no file beside it.
fn immutable(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;

    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(*byte)),
            _ => uri += &format!("%{byte:02X}"),
        }
    }
    uri + "?immutable=1"
}

#[cfg(test)]
mod tests;
