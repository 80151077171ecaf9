//! Errors of opening a store ([`StoreError`]) and of committing a write ([`StoreFault`]).

use std::fmt;
use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

use crate::kind::Kind;

/// Maximum bytes of a data directory's path, without symbolic links: SQLite opens no file whose path is longer than 512
/// bytes. A directory with a longer path is rejected before anything is written or sent.
pub(crate) const DIRECTORY_BYTES_MAX: usize = 480;

/// Why a store could not be opened or a directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process uses the directory.
    #[error(
        "data directory {} is locked by {}. Stop it first: systemctl stop {service}",
        directory.display(),
        Holder(service, *pid)
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// The program that uses such directories, and its systemd unit.
        service: &'static str,
        /// The process that holds the lock; `None` if it has not written its PID yet.
        pid: Option<u32>,
    },
    /// This process runs as root, and another user owns the directory.
    #[error(
        "data directory {path} belongs to user {owner}, who could not read files created by root. Run the command as \
         that user: runuser -u \"$(stat -c %U {path})\" -- …",
        path = directory.display()
    )]
    ForeignDirectory {
        /// The directory.
        directory: PathBuf,
        /// The user ID of its owner.
        owner: u32,
    },
    /// The path of the directory is too long for a database in it.
    #[error(
        "the path of data directory {} has {bytes} bytes (maximum {DIRECTORY_BYTES_MAX}). Use a directory with a \
         shorter path",
        directory.display()
    )]
    LongPath {
        /// The directory, without symbolic links.
        directory: PathBuf,
        /// The length of its path.
        bytes: usize,
    },
    /// The lock file could not be created, locked or written.
    #[error("failed to lock data directory {}", directory.display())]
    Lock {
        /// The directory.
        directory: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The database file could not be created, or could not be opened for reading and writing.
    #[error("failed to create or open {}", path.display())]
    File {
        /// The database file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// SQLite could not set up, check or read the database, for a reason other than corruption.
    #[error("failed to open database {}", path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// The cause.
        source: rusqlite::Error,
    },
    /// The file system does not support a write-ahead log.
    #[error("failed to open database {}: its file system does not support a write-ahead log", path.display())]
    NoWriteAheadLog {
        /// The database file.
        path: PathBuf,
    },
    /// A schema migration failed; the database still has the previous version.
    #[error("failed to migrate database {} to schema v{version}", path.display())]
    Migrate {
        /// The database file.
        path: PathBuf,
        /// The migration that failed.
        version: u32,
        /// The cause.
        source: rusqlite::Error,
    },
    /// A newer build wrote the database. It was not changed.
    #[error(
        "database {} has schema v{found}, newer than v{supported}, which this version supports; upgrade this program",
        path.display()
    )]
    TooNew {
        /// The database file.
        path: PathBuf,
        /// The version of the file.
        found: u32,
        /// The newest version that this build supports.
        supported: u32,
    },
    /// An unreleased build wrote the database. It was not changed.
    #[error(
        "database {} has schema v{found} of an unreleased build, which this version cannot read; move the file away \
         and start over",
        path.display()
    )]
    TooOld {
        /// The database file.
        path: PathBuf,
        /// The version of the file.
        found: u32,
    },
    /// The file is a valid database of another kind. It was not changed.
    #[error("{} is not a {expected} database: its application id is {found:#010x}", path.display())]
    OtherKind {
        /// The database file.
        path: PathBuf,
        /// The expected kind.
        expected: Kind,
        /// The application ID of the file; 0 if it has none.
        found: u32,
    },
    /// The file is corrupt and must not be replaced. It was not changed.
    #[error("database {} is corrupt ({detail}); restore it from a backup", path.display())]
    Corrupt {
        /// The database file.
        path: PathBuf,
        /// The result of the check.
        detail: String,
    },
    /// A corrupt file could not be moved aside.
    #[error("failed to move corrupt database {} aside", path.display())]
    Quarantine {
        /// The corrupt file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The operating system could not start the writer thread.
    #[error("failed to start the writer thread of database {}", path.display())]
    Thread {
        /// The database file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl StoreError {
    /// Returns whether a retry is pointless until an operator intervenes: exit code 3.
    pub fn needs_operator(&self) -> bool {
        match self {
            Self::TooNew { .. }
            | Self::TooOld { .. }
            | Self::OtherKind { .. }
            | Self::Corrupt { .. }
            | Self::NoWriteAheadLog { .. } => true,
            Self::InUse { .. }
            | Self::ForeignDirectory { .. }
            | Self::LongPath { .. }
            | Self::Lock { .. }
            | Self::File { .. }
            | Self::Open { .. }
            | Self::Migrate { .. }
            | Self::Quarantine { .. }
            | Self::Thread { .. } => false,
        }
    }
}

impl StoreError {
    /// Returns whether the database may still be readable: only writing to it or beside it failed.
    pub(crate) fn is_write_failure(&self) -> bool {
        self.fault_kind() != FaultKind::Other
    }

    /// Returns the kind of fault that writes report while the database cannot be opened because of this error.
    pub fn fault_kind(&self) -> FaultKind {
        match self {
            Self::File { source, .. } | Self::Quarantine { source, .. } => kind_of_io(source),
            Self::Open { source, .. } | Self::Migrate { source, .. } => kind_of(source),
            _ => FaultKind::Other,
        }
    }
}

struct Holder(&'static str, Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(pid) => write!(f, "{} (pid {pid})", self.0),
            None => f.write_str("another process"),
        }
    }
}

/// Why a write failed or was rejected. Cloneable, because one fault may answer many writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct StoreFault {
    /// The kind, which determines the remedy.
    pub kind: FaultKind,
    /// A description for people.
    pub text: Box<str>,
}

/// Kinds of faults, by remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// The disk is full: free some space.
    DiskFull,
    /// The file or its file system is not writable: permissions, or a file system remounted read-only after errors.
    ReadOnly,
    /// Reading, writing or syncing the disk failed.
    DiskFailing,
    /// The queue was full: the disk is slower than the writes. A retry may succeed.
    Overloaded,
    /// Any other fault; the text describes it.
    Other,
}

impl StoreFault {
    pub(crate) fn of_commit(error: &rusqlite::Error) -> Self {
        Self { kind: kind_of(error), text: format!("failed to commit: {error}").into() }
    }

    /// Returns the fault of a write while the database cannot be opened for writing.
    pub(crate) fn of_open(error: &StoreError) -> Self {
        let kind = error.fault_kind();
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Self { kind, text: format!("{error}{cause}").into() }
    }
}

fn kind_of(error: &rusqlite::Error) -> FaultKind {
    match error.sqlite_error() {
        // SQLite's manual, "Result and Error Codes": the shared-memory file could not grow for lack of space.
        Some(cause) if cause.extended_code == SQLITE_IOERR_SHMSIZE => FaultKind::DiskFull,
        Some(cause) => match cause.code {
            ErrorCode::DiskFull => FaultKind::DiskFull,
            // The log or its index could not be created beside the database.
            ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => FaultKind::ReadOnly,
            ErrorCode::SystemIoFailure => FaultKind::DiskFailing,
            _ => FaultKind::Other,
        },
        None => FaultKind::Other,
    }
}

fn kind_of_io(error: &io::Error) -> FaultKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FaultKind::DiskFull,
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => FaultKind::ReadOnly,
        _ => FaultKind::Other,
    }
}

/// Returns whether `error`, raised while a file is checked or loaded, is caused by the file's content.
///
/// The SQL of this crate is known to be valid: if SQLite rejects it, or a row has another type, the schema is not ours.
pub(crate) fn is_corruption(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => matches!(code, ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn a_fault_has_the_kind_of_its_remedy() {
        let check = |code, kind| {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(StoreFault::of_commit(&error).kind, kind, "code {code}");
        };
        check(ffi::SQLITE_FULL, FaultKind::DiskFull);
        check(SQLITE_IOERR_SHMSIZE, FaultKind::DiskFull);
        check(ffi::SQLITE_READONLY, FaultKind::ReadOnly);
        check(ffi::SQLITE_READONLY_DBMOVED, FaultKind::ReadOnly);
        check(ffi::SQLITE_IOERR, FaultKind::DiskFailing);
        check(ffi::SQLITE_IOERR_FSYNC, FaultKind::DiskFailing);
        check(ffi::SQLITE_BUSY, FaultKind::Other);
    }

    #[test]
    fn an_error_names_the_file_once_and_says_what_to_do() {
        let check = |error: StoreError, text: &str, needs_operator| {
            assert_eq!(error.to_string(), text);
            assert_eq!(error.needs_operator(), needs_operator);
        };
        let path = PathBuf::from("/d/fleet.db");
        let directory = PathBuf::from("/d");
        check(
            StoreError::TooNew { path: path.clone(), found: 9, supported: 1 },
            "database /d/fleet.db has schema v9, newer than v1, which this version supports; upgrade this program",
            true,
        );
        check(
            StoreError::TooOld { path: path.clone(), found: 1 },
            "database /d/fleet.db has schema v1 of an unreleased build, which this version cannot read; move the file \
             away and start over",
            true,
        );
        check(
            StoreError::OtherKind { path: path.clone(), expected: Kind::Fleet, found: 0x1f },
            "/d/fleet.db is not a fleet database: its application id is 0x0000001f",
            true,
        );
        check(
            StoreError::Corrupt { path, detail: "bad page".to_owned() },
            "database /d/fleet.db is corrupt (bad page); restore it from a backup",
            true,
        );
        check(
            StoreError::InUse { directory: directory.clone(), service: "linecampd", pid: Some(7) },
            "data directory /d is locked by linecampd (pid 7). Stop it first: systemctl stop linecampd",
            false,
        );
        check(
            StoreError::InUse { directory, service: "linecamp-server", pid: None },
            "data directory /d is locked by another process. Stop it first: systemctl stop linecamp-server",
            false,
        );
    }
}
