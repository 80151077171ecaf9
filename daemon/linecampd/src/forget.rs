//! Forgetting: the site that lived in a data directory is no more.

use linecamp_transport::SiteIdentity;

use crate::directory::DataDirectory;
use crate::error::DaemonError;

/// Forgets the site of `directory`, at the wish of whoever runs the machine.
///
/// The server does not hear of it: the site stays there, disconnected, until an operator removes it.
///
/// # Errors
/// [`DaemonError`] if a daemon runs there, or a file cannot be removed.
pub fn forget(directory: &DataDirectory) -> Result<(), DaemonError> {
    if !directory.path().is_dir() {
        let problem = format!("{} is no directory", directory.path().display());
        return Err(DaemonError::Argument(problem));
    }
    let _lock = directory.lock()?;
    forget_locked(directory)
}

/// Removes what the site held and then who it was: whoever dies between the two is told again to forget.
pub(crate) fn forget_locked(directory: &DataDirectory) -> Result<(), DaemonError> {
    directory.remove_database()?;
    SiteIdentity::forget(&directory.identity())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgetting_leaves_labels_alone_and_nothing_of_the_site() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::new(directory.path());
        linecamp_transport::SiteKey::load_or_create(&data.identity()).unwrap();
        std::fs::create_dir(data.labels()).unwrap();
        std::fs::write(data.database(), "database").unwrap();

        forget(&data).unwrap();

        assert!(!data.database().exists());
        assert!(!data.identity().join("key.pem").exists());
        assert!(data.labels().exists());
        forget(&data).unwrap();
    }
}
