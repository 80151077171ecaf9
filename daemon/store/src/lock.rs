//! One process for one data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process;

use rustix::process::geteuid;

use crate::error::StoreError;

/// The lock file's name inside the data directory.
const LOCK_FILE: &str = "lock";

/// Bytes read of a lock file: a process number and a line feed, with room. The rest is ignored.
const PID_BYTES_MAX: u64 = 16;

/// The exclusive right to a data directory, held until dropped.
///
/// The lock is the operating system's and ends with the process, however it ends. The file stays where it is: its
/// text, the number of the last process that held it, is there for people and for [`StoreError::InUse`].
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Locks `directory`, which must exist, without waiting.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another process, or this one, holds it; [`StoreError::ForeignDirectory`] if we are root
    /// and it is somebody else's; [`StoreError::Lock`] if the lock file cannot be made, locked or written.
    pub fn acquire(directory: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Lock { directory: directory.to_owned(), source };
        // What root writes here, its owner could not read: a service that runs as somebody else would be locked out.
        let owner = std::fs::metadata(directory).map_err(failed)?.uid();
        if geteuid().is_root() && owner != 0 {
            return Err(StoreError::ForeignDirectory { directory: directory.to_owned(), owner });
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(directory.join(LOCK_FILE))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse { directory: directory.to_owned(), pid: read_pid(&file) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        write_pid(&mut file).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", process::id())
}

fn read_pid(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_and_names_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let held = DirectoryLock::acquire(directory.path()).unwrap();

        let refused = DirectoryLock::acquire(directory.path()).unwrap_err();
        assert!(matches!(refused, StoreError::InUse { pid, .. } if pid == Some(process::id())), "{refused}");

        drop(held);
        DirectoryLock::acquire(directory.path()).unwrap();
    }

    #[test]
    fn root_does_not_write_into_somebody_elses_directory() {
        if !geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(directory.path(), Some(65_534), None).unwrap();
        let refused = DirectoryLock::acquire(directory.path()).unwrap_err();
        assert!(refused.to_string().contains("belongs to user 65534"), "{refused}");
        assert!(!directory.path().join(LOCK_FILE).exists());
    }

    #[test]
    fn a_lock_file_that_a_dead_process_left_is_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(LOCK_FILE), "4194304\nrubbish").unwrap();

        let _held = DirectoryLock::acquire(directory.path()).unwrap();

        let text = std::fs::read_to_string(directory.path().join(LOCK_FILE)).unwrap();
        assert_eq!(text, format!("{}\n", process::id()));
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let refused = DirectoryLock::acquire(Path::new("/nowhere/at-all")).unwrap_err();
        assert_eq!(refused.to_string(), "failed to lock data directory /nowhere/at-all");
    }
}
