//! Restores a backup into an empty directory.
//!
//! Everything is checked in memory, and written to a folder inside the directory: it has the right file system and
//! owner whatever the directory is, a volume's root included. At the end its entries are renamed into place, the
//! database last: a directory without a database is no server. If anything fails before, the directory is empty again.
//! If the process is killed, the next restore clears what is left: before the database is in place, everything in the
//! directory is this restore's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use linecamp_backup::Unlock;
use linecamp_core::{Hold, HoldSummary, UnknownKey, hold_restored};
use linecamp_model::{Incarnation, Name, RestoredFrom};
use linecamp_store::DirectoryLock;
use linecamp_transport::{Authority, SystemClock, WallClock as _, random_bytes};

use super::BackupFile;
use super::contents::{CheckedBackup, check};
use super::members::{CONFIG_FROM_BACKUP, DATABASE, RESTORED, restored_path};
use crate::data_directory::{Layout, UNIT};
use crate::drivers::store;
use crate::error::ServerError;

/// The folder for a restore that is not complete.
const STAGING: &str = "restore.partial";

const LOCK: &str = "lock";

/// What an empty directory may contain: the lock file, and the folder that a new ext4 file system has.
const IGNORED: [&str; 2] = [LOCK, "lost+found"];

/// What to restore, and where to.
#[derive(Debug)]
pub struct RestoreRequest<'a> {
    /// The backup.
    pub file: &'a BackupFile,
    /// What decrypts it.
    pub unlock: &'a Unlock,
    /// The directory, which is empty or absent.
    pub layout: &'a Layout,
    /// The API keys that stay usable.
    pub kept_keys: &'a [Name],
}

/// A server that was restored.
#[derive(Debug)]
pub struct RestoreReport {
    /// The backup.
    pub checked: CheckedBackup,
    /// What is held.
    pub held: HoldSummary,
    /// Configuration that was not in the data directory, as restored for the operator.
    pub other_config: Vec<PathBuf>,
}

/// Restores a backup. Reports progress through `progress`.
///
/// # Errors
/// [`ServerError`]; nothing is left behind, except in a directory that another process uses.
pub fn restore(request: &RestoreRequest<'_>, progress: &mut dyn FnMut(&str)) -> Result<RestoreReport, ServerError> {
    let target = Target::prepare(request.layout)?;
    let restored = fill(request, &target.staging(), progress);
    match restored.and_then(|report| target.commit().map(|()| report)) {
        Ok(report) => Ok(report),
        Err(error) => {
            target.clear();
            Err(error)
        }
    }
}

/// Writes the checked contents of a backup to `staging`.
fn fill(
    request: &RestoreRequest<'_>,
    staging: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<RestoreReport, ServerError> {
    let failed = |source| ServerError::Create { path: staging.to_owned(), source };
    let plugins = staging.join("plugins");
    linecamp_files::create_dir(&plugins).map_err(failed)?;
    progress("reading and checking the backup");
    let checked = check(request.file, request.file.open()?, request.unlock, Some(&plugins))?;
    let mut other_config = Vec::new();
    for (name, bytes) in &checked.small {
        let path = restored_path(name);
        if path.starts_with(CONFIG_FROM_BACKUP) {
            other_config.push(request.layout.dir().join(&path));
        }
        write_file(&staging.join(path), bytes).map_err(failed)?;
    }
    Authority::load(&staging.join("ca"))
        .map_err(|error| request.file.rejected(linecamp_transport::error_chain(&error)))?;
    progress("writing the database");
    let database = staging.join(DATABASE);
    write_file(&database, &checked.database).map_err(failed)?;
    let held = hold(request, &checked, &database)?;
    sync_dirs(staging).map_err(failed)?;
    Ok(RestoreReport { checked, held, other_config })
}

/// Holds what may have been removed or revoked since.
fn hold(request: &RestoreRequest<'_>, checked: &CheckedBackup, database: &Path) -> Result<HoldSummary, ServerError> {
    let from = RestoredFrom { taken_at: checked.manifest.taken_at, restored_at: SystemClock.now() };
    let spec_incarnation = Incarnation(u64::from_ne_bytes(random_bytes()?) | 1);
    let hold = Hold { from, kept_keys: request.kept_keys, spec_incarnation };
    let (changes, summary) =
        hold_restored(&checked.saved, hold).map_err(|UnknownKey(name)| ServerError::KeptKeyUnknown { name })?;
    store::write_once(database, &changes)?;
    Ok(summary)
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    path.parent().map_or(Ok(()), linecamp_files::create_dir)?;
    linecamp_files::write_new(path, bytes)
}

/// Makes the names in a directory and in those below it durable.
fn sync_dirs(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_dirs(&entry.path())?;
        }
    }
    linecamp_files::sync_dir(dir)
}

/// The directory that a backup is restored into.
#[derive(Debug)]
struct Target {
    dir: PathBuf,
    /// Whether it was absent before.
    is_new: bool,
    /// Whether it had a lock file before.
    had_lock: bool,
    _lock: DirectoryLock,
}

impl Target {
    /// Creates and locks the directory.
    fn prepare(layout: &Layout) -> Result<Self, ServerError> {
        let dir = layout.dir().to_owned();
        let failed = |source| ServerError::Create { path: dir.clone(), source };
        let is_new = !dir.exists();
        if is_new {
            linecamp_files::create_dir(&dir).map_err(failed)?;
        }
        // Before anything is written into a directory that turns out to be in use.
        check_empty(&dir)?;
        let had_lock = dir.join(LOCK).exists();
        let lock = DirectoryLock::acquire(&dir, UNIT).inspect_err(|_| {
            if is_new {
                // Fails if another process uses it already.
                drop(fs::remove_dir(&dir));
            }
        })?;
        check_empty(&dir)?;
        let target = Self { is_new, had_lock, _lock: lock, dir: dir.clone() };
        let prepared = target.clear_interrupted().and_then(|()| linecamp_files::create_dir(&target.staging()));
        if let Err(source) = prepared {
            target.clear();
            return Err(failed(source));
        }
        Ok(target)
    }

    /// Removes what an interrupted restore has left: its folder last, because that tells what the rest is.
    fn clear_interrupted(&self) -> io::Result<()> {
        if is_interrupted(&self.dir) {
            for name in RESTORED {
                remove_if_present(&self.dir.join(name))?;
            }
        }
        remove_if_present(&self.staging())
    }

    fn staging(&self) -> PathBuf {
        self.dir.join(STAGING)
    }

    /// Moves everything into place, the database last.
    fn commit(&self) -> Result<(), ServerError> {
        let staging = self.staging();
        let failed = |source| ServerError::Create { path: self.dir.clone(), source };
        let entries = fs::read_dir(&staging).and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
        let mut names: Vec<_> = entries.map_err(failed)?;
        names.sort_by_key(|name| name == DATABASE);
        for name in names {
            if name == DATABASE {
                linecamp_files::sync_dir(&self.dir).map_err(failed)?;
            }
            fs::rename(staging.join(&name), self.dir.join(&name)).map_err(failed)?;
        }
        fs::remove_dir(&staging).and_then(|()| linecamp_files::sync_dir(&self.dir)).map_err(failed)
    }

    /// Empties the directory again after a failure. It was empty before, and this process has locked it.
    fn clear(&self) {
        let names = fs::read_dir(&self.dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
        for name in names.collect::<Vec<_>>() {
            let is_ours = !IGNORED.iter().any(|ignored| name == *ignored) || (name == LOCK && !self.had_lock);
            if is_ours {
                // What remains is reported by the next restore.
                drop(remove_if_present(&self.dir.join(name)));
            }
        }
        if self.is_new {
            drop(fs::remove_dir(&self.dir));
        }
    }
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    let removed = match path.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Whether a restore was killed while it moved everything into place: its database is not there yet.
fn is_interrupted(dir: &Path) -> bool {
    dir.join(STAGING).join(DATABASE).exists() && !dir.join(DATABASE).exists()
}

fn check_empty(dir: &Path) -> Result<(), ServerError> {
    let failed = |source| ServerError::Directory { operation: "list", path: dir.to_owned(), source };
    let is_interrupted = is_interrupted(dir);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let is_restored = is_interrupted && RESTORED.iter().any(|restored| name == *restored);
        if name != STAGING && !is_restored && !IGNORED.iter().any(|ignored| name == *ignored) {
            return Err(ServerError::NotEmpty { dir: dir.to_owned() });
        }
    }
    Ok(())
}
