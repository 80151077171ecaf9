//! Private files and directories that are on the disk when a function here returns, also after a power failure.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Permissions of a private directory.
const DIR_MODE: u32 = 0o700;

/// Permissions of a private file.
const FILE_MODE: u32 = 0o600;

/// Makes the names in a directory durable.
///
/// # Errors
/// The directory cannot be opened or synced.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes the name of a file or directory durable: syncs the directory it is in.
///
/// # Errors
/// As [`sync_dir`].
pub fn sync_parent(path: &Path) -> io::Result<()> {
    sync_dir(parent(path))
}

/// Creates a directory and the parents it lacks, with access for the owner only. One that exists is kept as it is.
///
/// # Errors
/// It cannot be created or synced, or something else has the name.
pub fn create_dir(dir: &Path) -> io::Result<()> {
    if !dir.is_dir() {
        match DirBuilder::new().mode(DIR_MODE).create(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create_dir(parent(dir))?;
                DirBuilder::new().mode(DIR_MODE).create(dir)?;
            }
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
            created => created?,
        }
    }
    sync_parent(dir)
}

/// Writes a new file, readable by its owner only. [`sync_parent`] makes its name durable.
///
/// # Errors
/// A file has the name already, or it cannot be written.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn directories_and_files_are_private_and_nothing_is_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        create_dir(&dir).unwrap();
        create_dir(&dir).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&root.path().join("a")), mode(&dir)), (DIR_MODE, DIR_MODE));
        let file = dir.join("file");
        write_new(&file, b"one").unwrap();
        assert_eq!(write_new(&file, b"two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((fs::read(&file).unwrap(), mode(&file)), (b"one".to_vec(), FILE_MODE));
        assert_eq!(create_dir(&file).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(create_dir(&file.join("below")).unwrap_err().kind(), io::ErrorKind::NotADirectory);
    }
}
