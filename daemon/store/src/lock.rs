//! The lock that gives one process exclusive use of a data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process;
use std::thread;
use std::time::Duration;

use rustix::process::geteuid;

use crate::error::{DIRECTORY_BYTES_MAX, StoreError};

/// The name of the lock file in the data directory.
const LOCK_FILE: &str = "lock";

/// Where the kernel lists held locks.
const LOCKS: &str = "/proc/locks";

/// Maximum bytes read of that list: 10,000 locks. A holder listed after them is not found.
const LOCKS_BYTES_MAX: u64 = 1024 * 1024;

/// Maximum bytes read of a lock file: a PID and a line feed, with headroom. The rest is ignored.
const PID_BYTES_MAX: u64 = 16;

/// How long to wait for a process that holds the lock: the kernel releases the locks of a killed process only when it
/// has freed its memory, while its service manager may already start the next one. Then [`StoreError::InUse`].
const WAIT_MAX: Duration = Duration::from_secs(2);

/// How often a waiting process tries to take the lock.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The exclusive lock on a data directory, held until dropped.
///
/// Both locks are operating system locks, which end with the process however it ends. One is on the directory itself
/// and works where nothing can be written; the other is on a file in the directory. The file is never deleted: it
/// contains the PID of the last process that held it, for people and for [`StoreError::InUse`].
#[derive(Debug)]
pub struct DirectoryLock {
    _directory: File,
    /// `None` where the file could not be created: the lock on the directory is sufficient.
    _file: Option<File>,
}

impl DirectoryLock {
    /// Locks `directory`, which must exist, for `service`: the name of this program and of its systemd unit. Blocks for
    /// up to two seconds while another process holds the lock.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if this or another process still holds the lock; [`StoreError::ForeignDirectory`] if this
    /// process runs as root and another user owns the directory; [`StoreError::LongPath`]; [`StoreError::Lock`] if it
    /// cannot be locked. A full or read-only disk is not an error.
    pub fn acquire(directory: &Path, service: &'static str) -> Result<Self, StoreError> {
        Self::acquire_with(directory, service, thread::sleep)
    }

    /// Waits with `pause` between two attempts.
    fn acquire_with(
        directory: &Path,
        service: &'static str,
        mut pause: impl FnMut(Duration),
    ) -> Result<Self, StoreError> {
        check_path(directory)?;
        let mut waited = Duration::ZERO;
        loop {
            match Self::try_acquire(directory, service) {
                Err(StoreError::InUse { .. }) if waited < WAIT_MAX => {
                    pause(POLL_INTERVAL);
                    waited += POLL_INTERVAL;
                }
                result => return result,
            }
        }
    }

    fn try_acquire(directory: &Path, service: &'static str) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Lock { directory: directory.to_owned(), source };
        Self::check_owner(directory)?;
        let path = directory.join(LOCK_FILE);
        let in_use = || {
            let pid = File::open(&path).ok().and_then(|file| read_pid(&file));
            StoreError::InUse { directory: directory.to_owned(), service, pid }
        };
        let itself = File::open(directory).map_err(failed)?;
        let is_held = match itself.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => return Err(in_use()),
            // Not every file system supports locks on directories.
            Err(TryLockError::Error(_)) => false,
        };
        let (file, problem) = open_lock_file(&path).map_err(failed)?;
        match (&file, problem) {
            (None, Some(problem)) if !is_held => return Err(failed(problem)),
            (Some(file), _) => match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(in_use()),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            },
            (None, _) => {}
        }
        if let Some(mut file) = file.as_ref() {
            // Only for people; a full or read-only disk has no room for it.
            let _ = write_pid(&mut file);
        }
        Ok(Self { _directory: itself, _file: file })
    }

    /// Checks that this process may write into `directory`: root does not write into a directory of another user, who
    /// could not read the files, so a service that runs as that user would fail.
    ///
    /// # Errors
    /// [`StoreError::ForeignDirectory`]; [`StoreError::Lock`] if the directory cannot be examined.
    pub fn check_owner(directory: &Path) -> Result<(), StoreError> {
        let failed = |source| StoreError::Lock { directory: directory.to_owned(), source };
        match std::fs::metadata(directory).map_err(failed)?.uid() {
            owner if geteuid().is_root() && owner != 0 => {
                Err(StoreError::ForeignDirectory { directory: directory.to_owned(), owner })
            }
            _ => Ok(()),
        }
    }

    /// Returns the process that holds the lock on `directory`, without trying to take it: a process that starts
    /// meanwhile never fails because of this check. Also `None` where the holder cannot be determined, as across a
    /// container boundary.
    pub fn holder(directory: &Path) -> Option<u32> {
        let mut locks = String::new();
        File::open(LOCKS).ok()?.take(LOCKS_BYTES_MAX).read_to_string(&mut locks).ok()?;
        // If the disk was full or read-only when the holder started, the file is missing or names an earlier process.
        named_holder(&locks, directory).or_else(|| {
            let found = std::fs::metadata(directory).ok()?;
            holder_of(&locks, found.dev(), found.ino())
        })
    }
}

/// Rejects a directory whose path is too long for a database in it.
fn check_path(directory: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Lock { directory: directory.to_owned(), source };
    let directory = directory.canonicalize().map_err(failed)?;
    match directory.as_os_str().len() {
        bytes if DIRECTORY_BYTES_MAX < bytes => Err(StoreError::LongPath { directory, bytes }),
        _ => Ok(()),
    }
}

/// Returns the process named in the lock file, if it holds the lock.
fn named_holder(locks: &str, directory: &Path) -> Option<u32> {
    let file = File::open(directory.join(LOCK_FILE)).ok()?;
    let inode = file.metadata().ok()?.ino();
    read_pid(&file).filter(|pid| holds(locks, *pid, inode))
}

/// Returns the process that holds a lock on the file `inode` of `device`.
fn holder_of(locks: &str, device: u64, inode: u64) -> Option<u32> {
    let inode_field = format!("{:02x}:{:02x}:{inode}", rustix::fs::major(device), rustix::fs::minor(device));
    locks.lines().find_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [_, "FLOCK", _, "WRITE", holder, found, ..] if found == inode_field => holder.parse().ok(),
        _ => None,
    })
}

/// Returns whether process `pid` holds a lock on the file `inode`, according to a list in the kernel's format:
/// `1: FLOCK  ADVISORY  WRITE 713 fe:01:1572866 0 EOF`.
fn holds(locks: &str, pid: u32, inode: u64) -> bool {
    locks.lines().any(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", holder, inode_field, ..] = fields[..] else { return false };
        let found = inode_field.rsplit(':').next().and_then(|inode| inode.parse().ok());
        holder.parse() == Ok(pid) && found == Some(inode)
    })
}

/// Opens the lock file, read-only where it cannot be written. `None` and the reason if it cannot be created.
fn open_lock_file(path: &Path) -> io::Result<(Option<File>, Option<io::Error>)> {
    match OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path) {
        Ok(file) => Ok((Some(file), None)),
        Err(error) if is_about_writing(&error) => match File::open(path) {
            Ok(file) => Ok((Some(file), Some(error))),
            Err(_) => Ok((None, Some(error))),
        },
        Err(error) => Err(error),
    }
}

fn is_about_writing(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ReadOnlyFilesystem | Kind::PermissionDenied | Kind::StorageFull | Kind::QuotaExceeded)
}

/// Overwrites in place: a full disk still has room for the existing content.
fn write_pid(file: &mut &File) -> io::Result<()> {
    let line = format!("{}\n", process::id());
    file.write_all(line.as_bytes())?;
    file.set_len(line.len() as u64)
}

fn read_pid(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::OnCorruption;
    use crate::kind::Kind;

    const SERVICE: &str = "linecampd";

    fn acquire(directory: &Path) -> Result<DirectoryLock, StoreError> {
        DirectoryLock::acquire(directory, SERVICE)
    }

    #[test]
    fn a_lock_held_for_longer_than_the_wait_is_an_error_that_names_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let held = acquire(directory.path()).unwrap();

        let mut waited = Duration::ZERO;
        let refused =
            DirectoryLock::acquire_with(directory.path(), SERVICE, |pause| waited += pause).unwrap_err().to_string();

        assert_eq!(waited, WAIT_MAX);
        let (path, pid) = (directory.path().display(), process::id());
        let expected = format!(
            "data directory {path} is locked by linecampd (pid {pid}). Stop it first: systemctl stop linecampd"
        );
        assert_eq!(refused, expected);
        drop(held);
        acquire(directory.path()).unwrap();
    }

    /// The limit is SQLite's: at the limit, a database with the longest name and its log can still be used.
    #[test]
    fn a_directory_whose_path_is_too_long_for_a_database_is_rejected_before_anything_is_written() {
        let top = tempfile::tempdir().unwrap();
        let with_length = |bytes: usize| {
            let half = top.path().join("a".repeat(200));
            let rest = bytes - half.as_os_str().len() - 1;
            let path = half.join("b".repeat(rest / 2)).join("c".repeat(rest - rest / 2 - 1));
            std::fs::create_dir_all(&path).unwrap();
            assert_eq!(path.as_os_str().len(), bytes);
            path
        };
        let longest = with_length(DIRECTORY_BYTES_MAX);
        let _held = acquire(&longest).unwrap();
        let opened = crate::file::open(&longest.join("fleet.db"), Kind::Fleet, OnCorruption::Refuse).unwrap();
        opened.connection.execute("INSERT INTO documents VALUES (?1, ?2)", (vec![1_u8], vec![2_u8])).unwrap();
        let longer = with_length(DIRECTORY_BYTES_MAX + 1);
        let refused = acquire(&longer).unwrap_err().to_string();
        assert!(refused.ends_with("has 481 bytes (maximum 480). Use a directory with a shorter path"), "{refused}");
        assert_eq!(std::fs::read_dir(longer).unwrap().count(), 0);
    }

    #[test]
    fn a_lock_released_after_half_a_second_is_acquired() {
        let directory = tempfile::tempdir().unwrap();
        let mut held = Some(acquire(directory.path()).unwrap());
        let (mut waited, released_after) = (Duration::ZERO, Duration::from_millis(500));

        let acquired = DirectoryLock::acquire_with(directory.path(), SERVICE, |pause| {
            waited += pause;
            if waited >= released_after {
                held = None;
            }
        });

        acquired.unwrap();
        assert_eq!(waited, released_after);
    }

    #[test]
    fn the_holder_is_found_without_trying_to_lock() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(DirectoryLock::holder(directory.path()), None);
        let held = acquire(directory.path()).unwrap();
        assert_eq!(DirectoryLock::holder(directory.path()), Some(process::id()));
        drop(held);
        assert_eq!(DirectoryLock::holder(directory.path()), None);
    }

    #[test]
    fn the_holder_is_found_although_it_could_not_write_its_pid() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(LOCK_FILE);
        let held = acquire(directory.path()).unwrap();
        std::fs::write(&path, "4194304\n").unwrap();
        assert_eq!(DirectoryLock::holder(directory.path()), Some(process::id()));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(DirectoryLock::holder(directory.path()), Some(process::id()));
        drop(held);
        assert_eq!(DirectoryLock::holder(directory.path()), None);
    }

    #[test]
    fn a_holder_is_found_by_its_pid_and_its_file() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 fe:01:22 0 EOF\n2: FLOCK  ADVISORY  WRITE 7 fe:01:23 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 9 fe:01:23 0 EOF\nrubbish";
        assert!(holds(locks, 7, 23));
        for (pid, inode) in [(7, 22), (9, 23), (8, 23)] {
            assert!(!holds(locks, pid, inode), "{pid} {inode}");
        }
    }

    #[test]
    fn root_does_not_write_into_a_directory_of_another_user() {
        if !geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(directory.path(), Some(65_534), None).unwrap();
        let refused = acquire(directory.path()).unwrap_err();
        assert!(refused.to_string().contains("belongs to user 65534"), "{refused}");
        assert!(!directory.path().join(LOCK_FILE).exists());
    }

    #[test]
    fn a_lock_file_of_a_dead_process_is_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(LOCK_FILE), "4194304\nrubbish").unwrap();

        let _held = acquire(directory.path()).unwrap();

        let text = std::fs::read_to_string(directory.path().join(LOCK_FILE)).unwrap();
        assert_eq!(text, format!("{}\n", process::id()));
    }

    #[test]
    fn a_missing_directory_is_named() {
        let refused = acquire(Path::new("/nowhere/at-all")).unwrap_err();
        assert_eq!(refused.to_string(), "failed to lock data directory /nowhere/at-all");
    }
}
