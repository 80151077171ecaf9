//! The data directory: what is called how.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use linecamp_store::DirectoryLock;

use crate::error::DaemonError;

/// Permissions of a data directory that we make: it holds the key that is the site.
const DIRECTORY_MODE: u32 = 0o700;

/// The database's name inside the data directory.
const DATABASE: &str = "site.db";

/// The data directory of the service that the packages install.
pub const DATA_DEFAULT: &str = "/var/lib/linecamp";

/// Where the service manager makes room for that service's socket, for as long as the service runs.
const RUNTIME_DIRECTORY: &str = "/run/linecamp";

/// The local socket's name.
const SOCKET: &str = "linecampd.sock";

/// What SQLite keeps beside a database.
const DATABASE_SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// Where a site keeps everything.
#[derive(Clone, Debug)]
pub struct DataDirectory(PathBuf);

impl DataDirectory {
    /// Names a directory, whether or not it is there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Returns the directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the path of the local socket: beside the data, where only who may read that gets; for the installed
    /// service where its group gets, too.
    pub fn socket(&self) -> PathBuf {
        let runtime = Path::new(RUNTIME_DIRECTORY);
        let is_service = self.0 == Path::new(DATA_DEFAULT) && runtime.is_dir();
        if is_service { runtime.join(SOCKET) } else { self.0.join(SOCKET) }
    }

    /// Says whether it is that of the service which the packages install.
    pub(crate) fn is_installed(&self) -> bool {
        self.0 == Path::new(DATA_DEFAULT)
    }

    pub(crate) fn identity(&self) -> PathBuf {
        self.0.join("identity")
    }

    pub(crate) fn labels(&self) -> PathBuf {
        self.0.join("labels.d")
    }

    /// Returns where plugins lie.
    pub fn plugins(&self) -> PathBuf {
        self.0.join("plugins")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join(DATABASE)
    }

    /// Makes the directory if it is not there, and takes the right to work on it.
    pub(crate) fn lock(&self) -> Result<DirectoryLock, DaemonError> {
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(&self.0)
            .map_err(DaemonError::file("create", &self.0))?;
        Ok(DirectoryLock::acquire(&self.0)?)
    }

    /// Removes the database, which must be closed.
    pub(crate) fn remove_database(&self) -> Result<(), DaemonError> {
        for suffix in DATABASE_SUFFIXES {
            let path = self.0.join(format!("{DATABASE}{suffix}"));
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                removed => removed.map_err(DaemonError::file("remove", path))?,
            }
        }
        Ok(())
    }
}
