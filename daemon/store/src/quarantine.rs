//! A damaged database is renamed aside, not deleted: somebody may want to know what happened to it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::StoreError;

/// How many damaged files are kept beside one database. Past it the newest takes the place of the one before it:
/// the early ones tell most about the cause, and a dying disk must not fill itself with copies.
pub const QUARANTINED_FILES_MAX: u32 = 4;

/// The database itself first: if we die between two renames, SQLite finds a log without a database beside the
/// fresh file and deletes it. The other order would leave an older state of the database, and it might look sound.
const SUFFIXES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Renames a database and its logs to `<name>.damaged-<n>` and returns that path. The next open starts empty.
///
/// [`Store::open`](crate::Store::open) does this by itself with [`OnDamage::Quarantine`](crate::OnDamage::Quarantine).
/// It is for an owner who finds, after a successful open, that the documents make no sense; the store must be
/// closed by then.
///
/// # Errors
/// [`StoreError::Quarantine`] if a file cannot be renamed.
pub fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let numbered = |number| with_suffix(path, &format!(".damaged-{number}"));
    let number = (1..QUARANTINED_FILES_MAX).find(|&number| !numbered(number).exists());
    let aside = numbered(number.unwrap_or(QUARANTINED_FILES_MAX));
    for suffix in SUFFIXES {
        replace(&with_suffix(path, suffix), &with_suffix(&aside, suffix))
            .map_err(|source| StoreError::Quarantine { path: path.to_owned(), source })?;
    }
    Ok(aside)
}

/// Makes `to` what `from` is, also if that is nothing.
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::remove_file(to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        },
        renamed => renamed,
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_goes_aside_with_its_logs() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("site.db"), "database").unwrap();
        fs::write(at("site.db-wal"), "log").unwrap();

        assert_eq!(set_aside(&at("site.db")).unwrap(), at("site.db.damaged-1"));

        assert_eq!(fs::read(at("site.db.damaged-1")).unwrap(), b"database");
        assert_eq!(fs::read(at("site.db.damaged-1-wal")).unwrap(), b"log");
        assert!(!at("site.db").exists() && !at("site.db-wal").exists());
    }

    #[test]
    fn no_more_than_the_limit_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("site.db");
        for round in 1..=QUARANTINED_FILES_MAX + 2 {
            fs::write(&path, round.to_string()).unwrap();
            let last = set_aside(&path).unwrap();
            assert_eq!(fs::read_to_string(last).unwrap(), round.to_string());
        }
        let kept = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(kept, usize::try_from(QUARANTINED_FILES_MAX).unwrap());
        assert_eq!(fs::read_to_string(directory.path().join("site.db.damaged-1")).unwrap(), "1");
    }
}
