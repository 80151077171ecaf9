//! The data directory: what lies where.

use std::path::{Path, PathBuf};

use linecamp_store::DirectoryLock;

use crate::error::ServerError;

/// The data directory of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    dir: PathBuf,
}

impl Layout {
    /// Takes the directory, which need not exist.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Returns the directory itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns where the certificate authority lives.
    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca")
    }

    /// Returns where the fleet's database is.
    pub fn database(&self) -> PathBuf {
        self.dir.join("fleet.db")
    }

    /// Returns where the configuration is, unless another file is named.
    pub fn config(&self) -> PathBuf {
        self.dir.join("server.toml")
    }

    /// Returns where the components of pushed plugins are.
    pub fn plugins(&self) -> PathBuf {
        self.dir.join("plugins")
    }

    /// Takes the directory for this process.
    ///
    /// # Errors
    /// [`ServerError::NotInitialised`] if nobody has made a server there; [`ServerError::Store`] if another
    /// process works on it.
    pub(crate) fn lock(&self) -> Result<DirectoryLock, ServerError> {
        if !self.ca().exists() && !self.database().exists() {
            return Err(ServerError::NotInitialised { dir: self.dir.clone() });
        }
        Ok(DirectoryLock::acquire(&self.dir)?)
    }
}
