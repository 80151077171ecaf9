//! Backups of the server, and restoring one.
//!
//! | module | purpose |
//! |---|---|
//! | [`members`] | which files a backup has, and how large they may be |
//! | [`create`] | collects them from a directory whose server may be running, and writes the file |
//! | [`contents`] | checks what a file contains: the database, the plugins, the authority |
//! | [`restore`] | puts a checked backup into an empty directory, and holds what may have been revoked since |
//! | [`secrets`] | reads passphrases and identities |
//!
//! The database decides which plugins a backup needs. It is copied at one revision, and the components are opened
//! before anything else is read, so that a plugin that is pushed or removed meanwhile makes no difference: a component
//! whose file is gone was removed after the copy, which is then taken again.
//!
//! Nothing that a backup contains is written to a disk unencrypted, except by `restore`.

mod contents;
mod create;
mod members;
mod restore;
mod secrets;

use std::io;
use std::path::{Path, PathBuf};

pub use self::contents::{CheckedBackup, verify};
pub use self::create::{BackupReport, BackupRequest, back_up};
pub use self::restore::{RestoreReport, RestoreRequest, restore};
pub use self::secrets::{SecretFiles, lock, unlock};

use crate::error::ServerError;

/// A backup: a file, or standard input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupFile {
    /// A file.
    Path(PathBuf),
    /// Standard input or output.
    Standard,
}

impl BackupFile {
    /// Parses an argument: `-` is standard input or output.
    pub fn of_argument(path: &Path) -> Self {
        match path.as_os_str() == "-" {
            true => Self::Standard,
            false => Self::Path(path.to_owned()),
        }
    }

    /// Opens the backup for reading.
    fn open(&self) -> Result<Box<dyn io::Read>, ServerError> {
        match self {
            Self::Standard => Ok(Box::new(io::stdin().lock())),
            Self::Path(path) => match linecamp_files::open(path) {
                Ok(file) => Ok(Box::new(file)),
                Err(error) => Err(self.failed("read", io::Error::from(error).into())),
            },
        }
    }

    fn failed(&self, operation: &'static str, source: linecamp_backup::BackupError) -> ServerError {
        ServerError::Backup { operation, file: self.to_string(), source: Box::new(source) }
    }

    fn rejected(&self, problem: impl Into<String>) -> ServerError {
        ServerError::BackupRejected { file: self.to_string(), problem: problem.into() }
    }
}

impl std::fmt::Display for BackupFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Standard => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests;
