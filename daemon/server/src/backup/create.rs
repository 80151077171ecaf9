//! Takes a backup.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, BufWriter, Read, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use linecamp_backup::{Lock, Manifest, ManifestEntry, MemberName, Unlock, checksum};
use linecamp_core::SavedFleet;
use linecamp_model::PluginDigest;
use linecamp_store::{DirectoryLock, Kind, read_snapshot, snapshot};
use linecamp_transport::{Authority, SystemClock, WallClock as _, error_chain};
use rustix::fs::OFlags;
use rustix::process::geteuid;
use sha2::{Digest as _, Sha256};

use super::BackupFile;
use super::contents::{CheckedBackup, FILE_MODE, check, listed_plugins};
use super::members::{DATABASE, DATABASE_BYTES_MAX, SMALL_BYTES_MAX, config_name, plugin_name};
use crate::config::{Config, FILE_DEFAULT};
use crate::data_directory::{DATA_DIR_DEFAULT, Layout};
use crate::drivers::store;
use crate::error::ServerError;

/// How often the database is copied because a plugin was removed meanwhile. Then its component is left out, with a
/// warning.
const COPIES_MAX: usize = 5;

/// What to back up, and where to.
#[derive(Debug)]
pub struct BackupRequest<'a> {
    /// The server.
    pub layout: &'a Layout,
    /// Its configuration file, if specified.
    pub config: Option<&'a Path>,
    /// The backup.
    pub file: &'a BackupFile,
    /// How to encrypt it.
    pub lock: &'a Lock,
}

/// A backup that was taken.
#[derive(Debug)]
pub struct BackupReport {
    /// Its contents, as read back; as collected, if it was written to standard output.
    pub checked: CheckedBackup,
    /// Its size; `None` if it was written to standard output, which cannot be read back.
    pub bytes: Option<u64>,
    /// What could not be included.
    pub warnings: Vec<String>,
}

/// Takes a backup. The server may be running. Reports progress through `progress`.
///
/// # Errors
/// [`ServerError`]; no file is left behind, and an earlier one under the same name is not changed.
pub fn back_up(request: &BackupRequest<'_>, progress: &mut dyn FnMut(&str)) -> Result<BackupReport, ServerError> {
    let BackupRequest { layout, config, file, lock } = request;
    if !layout.ca().exists() && !layout.database().exists() {
        return Err(ServerError::NotInitialized { dir: layout.dir().to_owned() });
    }
    DirectoryLock::check_owner(layout.dir())?;
    progress("copying the database");
    let collected = Collected::of(layout, *config)?;
    match file {
        BackupFile::Standard => {
            // It cannot be read back, so its contents are checked before.
            let is_encrypted = !matches!(lock, Lock::Open);
            let checked = CheckedBackup { is_encrypted, ..collected.checked(file)? };
            let output = BufWriter::new(io::stdout().lock());
            collected.write(output, lock, progress).map_err(|error| file.failed("write", error))?;
            Ok(BackupReport { checked, bytes: None, warnings: collected.warnings })
        }
        BackupFile::Path(path) => {
            let (checked, bytes) = write_file(&collected, path, lock, progress)?;
            Ok(BackupReport { checked, bytes: Some(bytes), warnings: collected.warnings })
        }
    }
}

/// The contents of a backup.
#[derive(Debug)]
struct Collected {
    manifest: Manifest,
    /// The members that are in memory.
    small: Vec<(MemberName, Vec<u8>)>,
    plugins: Vec<(MemberName, File)>,
    warnings: Vec<String>,
}

impl Collected {
    fn of(layout: &Layout, config: Option<&Path>) -> Result<Self, ServerError> {
        // At the start: everything that was acknowledged before is in the backup.
        let taken_at = SystemClock.now();
        let mut warnings = Vec::new();
        let (database, components) = copy_database(layout)?;
        Authority::load(&layout.ca())?;
        let name = |text: &str| MemberName::parse(text).expect("a constant that is a name");
        let mut small = vec![(name(DATABASE), database)];
        read_authority(layout, &mut small, &mut warnings)?;
        for path in config_files(layout, config, &mut warnings) {
            include(&path, config_name(layout.dir(), &path), &mut small, &mut warnings)?;
        }
        let mut members: Vec<_> = small.iter().map(|(name, bytes)| entry(name, bytes)).collect();
        let mut plugins = Vec::new();
        for (digest, file) in components {
            let member = MemberName::parse(&plugin_name(digest)).expect("a digest makes a name");
            match hash(&file).map_err(|source| unreadable(layout, digest, source))? {
                (bytes, sha256) if sha256 == *digest.as_bytes() => {
                    members.push(ManifestEntry { name: member.clone(), bytes, sha256 });
                    plugins.push((member, file));
                }
                // `check` reports that its component is missing.
                _ => warnings.push(format!("the component of plugin {digest} is corrupt and not included")),
            }
        }
        let manifest = Manifest { server: env!("CARGO_PKG_VERSION").to_owned(), taken_at, members };
        Ok(Self { manifest, small, plugins, warnings })
    }

    /// Writes the backup. Returns what verifies it.
    fn write(
        &self,
        out: impl io::Write,
        lock: &Lock,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Unlock, linecamp_backup::BackupError> {
        let count = self.manifest.members.len();
        let mut written = 0;
        let key = linecamp_backup::write(out, &self.manifest, lock, |entry| {
            written += 1;
            progress(&format!("writing {} ({written} of {count})", entry.name));
            self.contents(entry)
        })?;
        Ok(key.map_or(Unlock::Open, Unlock::FileKey))
    }

    fn contents(&self, entry: &ManifestEntry) -> io::Result<Box<dyn Read + '_>> {
        if let Some((_, bytes)) = self.small.iter().find(|(name, _)| *name == entry.name) {
            return Ok(Box::new(&bytes[..]));
        }
        let found = self.plugins.iter().find(|(name, _)| *name == entry.name);
        let mut file = &found.ok_or_else(|| io::Error::other("a member without contents"))?.1;
        file.rewind()?;
        Ok(Box::new(file))
    }

    /// Checks what was collected, for a backup that cannot be read back.
    fn checked(&self, file: &BackupFile) -> Result<CheckedBackup, ServerError> {
        let (reader, writer) = io::pipe().map_err(|error| file.failed("write", error.into()))?;
        std::thread::scope(|scope| {
            let written = scope.spawn(|| self.write(writer, &Lock::Open, &mut |_| {}));
            let checked = check(file, reader, &Unlock::Open, None)?;
            let written = written.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            written.map(|_| checked).map_err(|error| file.failed("write", error))
        })
    }
}

/// A plugin, and its component.
type OpenPlugin = (PluginDigest, File);

/// Copies the database, and opens the components of the plugins that the copy lists.
fn copy_database(layout: &Layout) -> Result<(Vec<u8>, Vec<OpenPlugin>), ServerError> {
    let path = layout.database();
    if !path.exists() {
        return Err(ServerError::DatabaseMissing { path });
    }
    let mut missing_before = BTreeSet::new();
    for _ in 0..COPIES_MAX - 1 {
        let (database, opened, missing) = copy_once(layout)?;
        // What is missing in two copies was not removed in between.
        if missing.is_subset(&missing_before) {
            return Ok((database, opened));
        }
        missing_before = missing;
    }
    copy_once(layout).map(|(database, opened, _)| (database, opened))
}

type Copy = (Vec<u8>, Vec<(PluginDigest, File)>, BTreeSet<PluginDigest>);

fn copy_once(layout: &Layout) -> Result<Copy, ServerError> {
    let path = layout.database();
    let bytes = fs::metadata(&path).map_or(0, |found| found.len());
    if DATABASE_BYTES_MAX < bytes {
        return Err(ServerError::DatabaseTooLarge { path, bytes, bytes_max: DATABASE_BYTES_MAX });
    }
    let database = snapshot(&path, Kind::Fleet)?;
    let saved: SavedFleet = store::read(&read_snapshot(&database, Kind::Fleet, &path)?);
    let (mut opened, mut missing) = (Vec::new(), BTreeSet::new());
    for (digest, _) in listed_plugins(&saved) {
        match linecamp_files::open(&layout.dir().join(plugin_name(digest))) {
            Ok(file) => opened.push((digest, file)),
            Err(error) if error.is_not_found() => drop(missing.insert(digest)),
            Err(error) => return Err(unreadable(layout, digest, error.into())),
        }
    }
    Ok((database, opened, missing))
}

fn unreadable(layout: &Layout, digest: PluginDigest, source: io::Error) -> ServerError {
    ServerError::Plugin { operation: "read", path: layout.dir().join(plugin_name(digest)), source }
}

/// Returns the size and the SHA-256 of a file.
fn hash(mut file: &File) -> io::Result<(u64, [u8; 32])> {
    let (mut hash, mut total, mut buffer) = (Sha256::new(), 0, vec![0; 64 * 1024]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((total, hash.finalize().into())),
            read => {
                hash.update(&buffer[..read]);
                total += read as u64;
            }
        }
    }
}

fn files_of(dir: &Path) -> Result<Vec<PathBuf>, ServerError> {
    let failed = |source| ServerError::Directory { operation: "list", path: dir.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Returns the configuration files of the server. One that cannot be parsed does not prevent a backup.
fn config_files(layout: &Layout, config: Option<&Path>, warnings: &mut Vec<String>) -> Vec<PathBuf> {
    let base = Some(layout.config()).filter(|base| base.exists() || base.with_extension("d").exists());
    let is_installed = layout.dir() == Path::new(DATA_DIR_DEFAULT);
    let installed = Some(PathBuf::from(FILE_DEFAULT)).filter(|path| is_installed && path.exists());
    let file = config.map(Path::to_owned).or(installed);
    match Config::read_layers(base.as_deref(), file.as_deref()) {
        Ok(layers) => layers.files().to_vec(),
        Err(error) => {
            warnings.push(format!(
                "drop-ins are not included, because the configuration is invalid: {}",
                error_chain(&error)
            ));
            base.into_iter().chain(file).filter(|path| path.is_file()).collect()
        }
    }
}

/// Adds the files of the authority. A step of a rotation renames one: then all are read again.
fn read_authority(
    layout: &Layout,
    small: &mut Vec<(MemberName, Vec<u8>)>,
    warnings: &mut Vec<String>,
) -> Result<(), ServerError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (mut found, mut notes) = (Vec::new(), Vec::new());
        let read = files_of(&layout.ca())?.iter().try_for_each(|path| {
            let named = path.file_name().and_then(|name| name.to_str()).map(|name| format!("ca/{name}"));
            include(path, named.and_then(|name| MemberName::parse(&name)), &mut found, &mut notes)
        });
        match read {
            Err(ServerError::Directory { source, .. })
                if source.kind() == io::ErrorKind::NotFound && attempts < COPIES_MAX => {}
            read => {
                small.append(&mut found);
                warnings.append(&mut notes);
                return read;
            }
        }
    }
}

/// Adds a small file, unless its name cannot be a member's.
fn include(
    path: &Path,
    name: Option<MemberName>,
    small: &mut Vec<(MemberName, Vec<u8>)>,
    warnings: &mut Vec<String>,
) -> Result<(), ServerError> {
    let Some(name) = name else {
        let text = "a path in a backup has only letters, digits, `/`, `.`, `_` and `-`, and at most 100 bytes";
        warnings.push(format!("{} is not included: {text}", path.display()));
        return Ok(());
    };
    let bytes = linecamp_files::read(path, SMALL_BYTES_MAX).map_err(|error| ServerError::Directory {
        operation: "read",
        path: path.to_owned(),
        source: error.into(),
    })?;
    small.push((name, bytes));
    Ok(())
}

fn entry(name: &MemberName, bytes: &[u8]) -> ManifestEntry {
    ManifestEntry { name: name.clone(), bytes: bytes.len() as u64, sha256: checksum(bytes) }
}

/// Writes the backup under a temporary name, reads it back, and renames it.
fn write_file(
    collected: &Collected,
    path: &Path,
    lock: &Lock,
    progress: &mut dyn FnMut(&str),
) -> Result<(CheckedBackup, u64), ServerError> {
    let file = BackupFile::Path(path.to_owned());
    let failed = |error: io::Error| file.failed("write", error.into());
    let named = path.file_name().ok_or_else(|| failed(io::Error::from(io::ErrorKind::IsADirectory)))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(named);
    temporary.push(".partial");
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let partial = Partial::create(dir.join(temporary)).map_err(failed)?;
    let mut out = BufWriter::new(&partial.file);
    let unlock = collected.write(&mut out, lock, progress).map_err(|error| file.failed("write", error))?;
    out.flush().map_err(failed)?;
    drop(out);
    partial.file.sync_all().map_err(failed)?;
    progress("reading the backup back");
    let written = linecamp_files::open(&partial.path).map_err(|error| failed(error.into()))?;
    let bytes = written.metadata().map_err(failed)?.len();
    let checked = check(&file, written, &unlock, None)?;
    partial.rename(path).and_then(|()| linecamp_files::sync_dir(dir)).map_err(failed)?;
    Ok((checked, bytes))
}

/// A file under a temporary name, which is removed unless it is renamed.
#[derive(Debug)]
struct Partial {
    file: File,
    path: PathBuf,
    is_renamed: bool,
}

impl Partial {
    /// Creates the file, or takes over one that an interrupted backup has left. A lock tells the two apart.
    fn create(path: PathBuf) -> io::Result<Self> {
        // A symbolic link is not followed: the directory may be writable by others.
        let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE).custom_flags(flags);
        for _ in 0..COPIES_MAX {
            let file = options.open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another backup writes this file"));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let (opened, named) = (file.metadata()?, fs::symlink_metadata(&path));
            if opened.uid() != geteuid().as_raw() || opened.nlink() > 1 {
                return Err(io::Error::other(format!("{} belongs to another user; remove it", path.display())));
            }
            // Between opening and locking, another backup may have renamed it.
            if named.is_ok_and(|named| (named.dev(), named.ino()) == (opened.dev(), opened.ino())) {
                file.set_permissions(Permissions::from_mode(FILE_MODE))?;
                file.set_len(0)?;
                return Ok(Self { file, path, is_renamed: false });
            }
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "other backups write this file"))
    }

    fn rename(mut self, to: &Path) -> io::Result<()> {
        fs::rename(&self.path, to)?;
        self.is_renamed = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_renamed {
            // A file that remains is taken over by the next backup.
            drop(fs::remove_file(&self.path));
        }
    }
}
