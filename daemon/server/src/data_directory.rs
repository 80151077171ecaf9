//! The layout of the data directory.

use std::path::{Path, PathBuf};

use linecamp_store::DirectoryLock;

use crate::error::ServerError;

/// The data directory of the packaged service.
pub const DATA_DIR_DEFAULT: &str = "/var/lib/linecamp-server";

/// The systemd unit of the packaged service.
pub(crate) const UNIT: &str = "linecamp-server";

/// The data directory of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    dir: PathBuf,
}

impl Layout {
    /// Creates the layout of `dir`, which need not exist.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Returns the directory itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the path of the certificate authority.
    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca")
    }

    /// Returns the path of the fleet database.
    pub fn database(&self) -> PathBuf {
        self.dir.join("fleet.db")
    }

    /// Returns the path of the configuration file, unless another file is specified.
    pub fn config(&self) -> PathBuf {
        self.dir.join("server.toml")
    }

    /// Returns the folder of the components of uploaded plugins.
    pub fn plugins(&self) -> PathBuf {
        self.dir.join("plugins")
    }

    /// Locks the directory for this process. Waits for a process that is ending.
    ///
    /// # Errors
    /// [`ServerError::NotInitialized`] if the directory contains no server; [`ServerError::Store`] if another process
    /// has locked it.
    pub(crate) fn lock(&self) -> Result<DirectoryLock, ServerError> {
        if !self.ca().exists() && !self.database().exists() {
            return Err(ServerError::NotInitialized { dir: self.dir.clone() });
        }
        Ok(DirectoryLock::acquire(&self.dir, UNIT)?)
    }
}
