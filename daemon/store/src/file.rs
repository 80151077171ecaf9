//! The database file: creating, checking, migrating and loading it.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::{StoreError, is_corruption};
use crate::kind::Kind;
use crate::migrate::{self, FailedMigration, LATEST, OLDEST};
use crate::move_aside::set_aside;

/// Permissions of a new database: only the daemon may read it. SQLite gives its logs the same permissions.
const FILE_MODE: u32 = 0o600;

/// SQLite's page cache, negative because the unit is KiB. Documents are read once, so only the pages that commits touch
/// need to be cached. Dirty pages beyond it go to the write-ahead log early, which is slower but has no other effect.
const CACHE_SIZE: i32 = -256;

/// Pages of the write-ahead log (4 KiB each, 1 MiB in total) after which a commit checkpoints them into the database: a
/// quarter of SQLite's default, because a gateway's flash is small and a short log is recovered quickly.
const CHECKPOINT_PAGES: u32 = 256;

/// Bytes to which a write-ahead log is truncated after one large commit.
const LOG_BYTES_KEPT: u32 = 1024 * 1024;

/// How long to wait for another reader of the database, such as a person with `sqlite3`. Readers never block a commit,
/// only recovery and truncation of the log. After that the operation fails.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The beginning of the keys that are read on request only ([`LogReader`](crate::LogReader)).
pub const LOG_PREFIX: &[u8] = b"log/";

/// The first key after those of the log.
pub(crate) const AFTER_LOG: &[u8] = b"log0";

/// A stored document: its key and its body.
pub type Document = (Vec<u8>, Vec<u8>);

/// What to do with a corrupt file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCorruption {
    /// Move it aside and start empty: for a site, whose server sends everything again.
    Quarantine,
    /// Leave it unchanged and return an error: for a server, where an operator has to restore a backup.
    Refuse,
}

/// A valid database at this build's schema version, with its content.
#[derive(Debug)]
pub(crate) struct OpenedFile {
    pub(crate) connection: Connection,
    pub(crate) documents: Vec<Document>,
    pub(crate) quarantined: Option<PathBuf>,
}

/// Opens `path`, or creates it.
pub(crate) fn open(path: &Path, kind: Kind, on_corruption: OnCorruption) -> Result<OpenedFile, StoreError> {
    let (opened, quarantined) = match (open_checked(path, kind), on_corruption) {
        (Err(StoreError::Corrupt { .. }), OnCorruption::Quarantine) => {
            let aside = set_aside(path)?;
            (open_checked(path, kind), Some(aside))
        }
        (opened, _) => (opened, None),
    };
    let (connection, documents) = opened?;
    Ok(OpenedFile { connection, documents, quarantined })
}

fn open_checked(path: &Path, kind: Kind) -> Result<(Connection, Vec<Document>), StoreError> {
    let failed = |source: rusqlite::Error| failed_open(path, source);
    create_if_absent(path)?;
    let mut connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(failed)?;
    configure(&connection).map_err(failed)?;
    let version = check(&connection, path, kind)?;
    use_write_ahead_log(&connection, path)?;
    migrate::apply(&mut connection, kind, version).map_err(|step| migration_error(path, step))?;
    let documents = load(&connection).map_err(failed)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(failed)?;
    Ok((connection, documents))
}

/// Needed because SQLite would create the file with permissions that depend on the umask.
fn create_if_absent(path: &Path) -> Result<(), StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)
        .map(drop)
        .map_err(|source| StoreError::File { path: path.to_owned(), source })
}

/// Bounds SQLite's memory, distrusts functions named in the file's schema, and disables the checkpoint on close: it
/// would change a file that may yet be rejected.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", CACHE_SIZE)?;
    connection.pragma_update(None, "mmap_size", 0)
}

/// Returns the schema version of a valid file of this kind that is not newer than this build; 0 for a new file.
pub(crate) fn check(connection: &Connection, path: &Path, kind: Kind) -> Result<u32, StoreError> {
    let failed = |source: rusqlite::Error| failed_open(path, source);
    let corrupt = |detail: String| StoreError::Corrupt { path: path.to_owned(), detail };
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(failed);

    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if verdict != "ok" {
        return Err(corrupt(verdict));
    }
    let found_id = pragma("application_id")?.cast_unsigned();
    let found_version = pragma("user_version")?;
    let is_empty: bool = connection
        .query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))
        .map_err(failed)?;
    if (found_id, found_version, is_empty) == (0, 0, true) {
        return Ok(0);
    }
    if found_id != kind.application_id() {
        return Err(StoreError::OtherKind { path: path.to_owned(), expected: kind, found: found_id });
    }
    match u32::try_from(found_version) {
        Ok(0) | Err(_) => Err(corrupt(format!("invalid schema version {found_version}"))),
        Ok(found) if found < OLDEST => Err(StoreError::TooOld { path: path.to_owned(), found }),
        Ok(found) if LATEST < found => Err(StoreError::TooNew { path: path.to_owned(), found, supported: LATEST }),
        Ok(found) => Ok(found),
    }
}

/// Durable at every commit (`FULL`), with one `fdatasync` each.
fn use_write_ahead_log(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |source: rusqlite::Error| failed_open(path, source);
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        return Err(StoreError::NoWriteAheadLog { path: path.to_owned() });
    }
    connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(failed)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT).map_err(failed)
}

/// Returns all documents but those of the log, ordered by key.
pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Vec<Document>> {
    let read = |condition: &str, bound: &[u8]| -> rusqlite::Result<Vec<Document>> {
        connection
            .prepare(&format!("SELECT key, body FROM documents WHERE {condition} ORDER BY key"))?
            .query_map([bound], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    };
    let mut documents = read("key < ?1", LOG_PREFIX)?;
    documents.extend(read("?1 <= key", AFTER_LOG)?);
    Ok(documents)
}

pub(crate) fn failed_open(path: &Path, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    if is_corruption(&source) {
        return StoreError::Corrupt { path, detail: source.to_string() };
    }
    StoreError::Open { path, source }
}

pub(crate) fn migration_error(path: &Path, FailedMigration { version, cause }: FailedMigration) -> StoreError {
    StoreError::Migrate { path: path.to_owned(), version, source: cause }
}

#[cfg(test)]
mod tests;
