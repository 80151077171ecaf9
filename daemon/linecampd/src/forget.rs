//! `linecampd forget`: deletes the site in a data directory.

use linecamp_transport::SiteIdentity;

use crate::data_directory::DataDirectory;
use crate::error::DaemonError;

/// Deletes the site in `directory`, at the request of the machine's administrator.
///
/// The server is not informed: the site stays listed there as disconnected until an operator removes it.
///
/// # Errors
/// [`DaemonError`] if a daemon is running there, or a file cannot be removed.
pub fn forget(directory: &DataDirectory) -> Result<(), DaemonError> {
    if !directory.path().is_dir() {
        let problem = format!("{} is not a directory", directory.path().display());
        return Err(DaemonError::Argument(problem));
    }
    let _lock = directory.lock()?;
    forget_locked(directory)
}

/// Deletes the database first and the identity last. After a crash in between, the identity remains, and the deletion
/// can be repeated.
pub(crate) fn forget_locked(directory: &DataDirectory) -> Result<(), DaemonError> {
    directory.remove_database()?;
    remove_lan(directory)?;
    SiteIdentity::forget(&directory.identity())?;
    Ok(())
}

/// Deletes the authority for the hosts of the LAN, which was for the site alone.
fn remove_lan(directory: &DataDirectory) -> Result<(), DaemonError> {
    match std::fs::remove_dir_all(directory.lan()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(DaemonError::file("remove", directory.lan())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgetting_deletes_the_site_and_keeps_labels() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::new(directory.path());
        linecamp_transport::SiteKey::load_or_create(&data.identity()).unwrap();
        std::fs::create_dir(data.labels()).unwrap();
        std::fs::write(data.database(), "database").unwrap();
        std::fs::create_dir(data.lan()).unwrap();

        forget(&data).unwrap();

        assert!(!data.database().exists());
        assert!(!data.lan().exists());
        assert!(!data.identity().join("key.pem").exists());
        assert!(data.labels().exists());
        forget(&data).unwrap();
    }
}
