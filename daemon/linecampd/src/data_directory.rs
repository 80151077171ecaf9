//! The data directory and the names of its files.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use linecamp_store::DirectoryLock;

use crate::error::DaemonError;

/// Permissions of a data directory that we create: it contains the site's private key.
const DIRECTORY_MODE: u32 = 0o700;

/// The database's name inside the data directory.
const DATABASE: &str = "site.db";

/// The data directory of the installed service.
pub const DATA_DEFAULT: &str = "/var/lib/linecamp";

/// The systemd unit of the installed service.
pub(crate) const UNIT: &str = "linecampd";

/// The directory that the service manager creates for that service's socket while the service runs.
const RUNTIME_DIRECTORY: &str = "/run/linecamp";

/// The local socket's name.
const SOCKET: &str = "linecampd.sock";

/// The suffixes of an SQLite database's files.
const DATABASE_SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// The data directory of a site.
#[derive(Clone, Debug)]
pub struct DataDirectory(PathBuf);

impl DataDirectory {
    /// Refers to a directory, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the path of the local socket: in the data directory, where only users with access to it can reach the
    /// socket; for the installed service in the runtime directory, which the service's group can access too.
    pub fn socket(&self) -> PathBuf {
        let runtime = Path::new(RUNTIME_DIRECTORY);
        let is_service = self.0 == Path::new(DATA_DEFAULT) && runtime.is_dir();
        if is_service { runtime.join(SOCKET) } else { self.0.join(SOCKET) }
    }

    /// Whether this is the data directory of the installed service.
    pub(crate) fn is_installed(&self) -> bool {
        self.0 == Path::new(DATA_DEFAULT)
    }

    pub(crate) fn identity(&self) -> PathBuf {
        self.0.join("identity")
    }

    /// Returns the directory of the authority for the hosts of the LAN.
    pub(crate) fn lan(&self) -> PathBuf {
        self.0.join("lan")
    }

    pub(crate) fn labels(&self) -> PathBuf {
        self.0.join("labels.d")
    }

    /// Returns the plugin directory.
    pub fn plugins(&self) -> PathBuf {
        self.0.join("plugins")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join(DATABASE)
    }

    /// Creates the directory if it does not exist, and locks it. Waits for a process that is ending.
    pub(crate) fn lock(&self) -> Result<DirectoryLock, DaemonError> {
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(&self.0)
            .map_err(DaemonError::file("create", &self.0))?;
        Ok(DirectoryLock::acquire(&self.0, UNIT)?)
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
