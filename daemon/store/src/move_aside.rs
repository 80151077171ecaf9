//! Moves a corrupt database aside instead of deleting it, so that the cause can be investigated.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::StoreError;

/// How many corrupt files are kept beside one database. After that the newest replaces the previous one: the earliest
/// ones say most about the cause, and a failing disk must not fill up with copies.
pub const QUARANTINED_FILES_MAX: u32 = 4;

/// The database itself comes first: after a crash between two renames, SQLite finds a log without a database beside the
/// new file and deletes it. In the other order an older state of the database would remain, which might pass the check.
const SUFFIXES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Renames a database and its logs to `<name>.corrupt-<n>` and returns that path. The next open starts empty.
///
/// [`Store::open`](crate::Store::open) does this itself with
/// [`OnCorruption::Quarantine`](crate::OnCorruption::Quarantine). This function is for an owner that finds, after a
/// successful open, that the documents are invalid. The store must be closed first.
///
/// # Errors
/// [`StoreError::Quarantine`] if a file cannot be renamed.
pub fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let numbered = |number| with_suffix(path, &format!(".corrupt-{number}"));
    let number = (1..QUARANTINED_FILES_MAX).find(|&number| !numbered(number).exists());
    let aside = numbered(number.unwrap_or(QUARANTINED_FILES_MAX));
    for suffix in SUFFIXES {
        replace(&with_suffix(path, suffix), &with_suffix(&aside, suffix))
            .map_err(|source| StoreError::Quarantine { path: path.to_owned(), source })?;
    }
    Ok(aside)
}

/// Moves `from` to `to`; if `from` does not exist, removes `to`.
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
    fn a_database_is_moved_aside_with_its_logs() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("site.db"), "database").unwrap();
        fs::write(at("site.db-wal"), "log").unwrap();

        assert_eq!(set_aside(&at("site.db")).unwrap(), at("site.db.corrupt-1"));

        assert_eq!(fs::read(at("site.db.corrupt-1")).unwrap(), b"database");
        assert_eq!(fs::read(at("site.db.corrupt-1-wal")).unwrap(), b"log");
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
        assert_eq!(fs::read_to_string(directory.path().join("site.db.corrupt-1")).unwrap(), "1");
    }
}
