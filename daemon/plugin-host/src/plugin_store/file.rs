//! Component files: their paths, their identity, their signatures.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use linecamp_files::ReadError;
use linecamp_model::limits::PLUGIN_BYTES_MAX;
use linecamp_model::{Name, PluginRef};
use minisign_verify::Signature;

use crate::error::PluginHostError;
use crate::limits::PLUGINS_KNOWN_MAX;
use crate::settings::PublisherKey;

/// Bytes of a signature file, which has four lines. A longer file is not a signature.
const SIGNATURE_BYTES_MAX: u64 = 4 * 1024;

/// The extension of component files.
const EXTENSION: &str = ".wasm";

/// The extension of signature files, appended to that of the component.
const SIGNATURE_EXTENSION: &str = ".minisig";

/// Creates the plugin directory if it is missing, and rejects one that is world-writable.
pub(super) fn prepare(directory: &Path) -> Result<(), PluginHostError> {
    let error = |source| PluginHostError::Directory { path: directory.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(error)?;
    let mode = fs::metadata(directory).map_err(error)?.mode();
    if mode & 0o002 != 0 {
        let problem = "is world-writable";
        return Err(PluginHostError::Exposed { path: directory.to_owned(), problem });
    }
    Ok(())
}

/// Returns the path of a plugin.
pub(super) fn path(directory: &Path, plugin: &PluginRef) -> PathBuf {
    match plugin.digest {
        Some(digest) => directory.join("pushed").join(format!("{}{EXTENSION}", HEXLOWER.encode(digest.as_bytes()))),
        None => directory.join(format!("{}{EXTENSION}", plugin.name)),
    }
}

/// Returns the stamp of the component file and of the signature next to it.
pub(super) fn stamp(path: &Path) -> Result<Stamp, PluginHostError> {
    let component = fs::metadata(path).map_err(|source| read_error(path, source))?;
    let signature = fs::metadata(signature_path(path)).ok();
    Ok(Stamp { component: FileStamp::of(&component), signature: signature.as_ref().map(FileStamp::of) })
}

/// Identifies a component file and its signature, to detect that either was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    component: FileStamp,
    signature: Option<FileStamp>,
}

/// Identifies a file, to detect that another one took its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileStamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileStamp {
    fn of(file: &Metadata) -> Self {
        Self {
            inode: file.ino(),
            bytes: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

/// Returns the components in the directory by name. Files whose names are not valid plugin names are only logged.
///
/// # Errors
/// [`PluginHostError`] if the directory or a file in it cannot be read. The set of components is then unknown, and none
/// of them counts as deleted.
pub(super) fn list(directory: &Path) -> Result<BTreeMap<Name, Stamp>, PluginHostError> {
    let mut found = BTreeMap::new();
    let error = |source| read_error(directory, source);
    for entry in fs::read_dir(directory).map_err(error)? {
        let entry = entry.map_err(error)?;
        let file_name = entry.file_name();
        let Some(stem) = file_name.to_str().and_then(|name| name.strip_suffix(EXTENSION)) else { continue };
        let Ok(name) = Name::parse(stem) else {
            let file = entry.path();
            tracing::warn!(file = %file.display(), "file ignored: plugin names are a-z, 0-9 and `-`, then .wasm");
            continue;
        };
        if PLUGINS_KNOWN_MAX <= found.len() {
            let directory = directory.display();
            tracing::warn!(%directory, "more than {PLUGINS_KNOWN_MAX} plugins; not all of them are watched");
            break;
        }
        match stamp(&entry.path()) {
            Ok(stamp) => drop(found.insert(name, stamp)),
            // The file was deleted between being listed and being examined.
            Err(PluginHostError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Reads a component file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, PluginHostError> {
    linecamp_files::read(path, PLUGIN_BYTES_MAX).map_err(|error| match error {
        ReadError::TooLarge { bytes_max } => PluginHostError::TooLarge { plugin: path.to_owned(), limit: bytes_max },
        error => read_error(path, error.into()),
    })
}

/// Checks that one of the publishers signed the component, if there are any publishers.
pub(super) fn verify(path: &Path, bytes: &[u8], publishers: &[PublisherKey]) -> Result<(), PluginHostError> {
    if publishers.is_empty() {
        return Ok(());
    }
    let unsigned = |problem: String| PluginHostError::Unsigned { plugin: path.to_owned(), problem };
    let place = signature_path(path);
    let text = linecamp_files::read_text(&place, SIGNATURE_BYTES_MAX);
    let text = text.map_err(|error| unsigned(format!("{}: {error}", place.display())))?;
    let signature = Signature::decode(&text).map_err(|error| unsigned(format!("{}: {error}", place.display())))?;
    match publishers.iter().any(|PublisherKey(key)| key.verify(bytes, &signature, false).is_ok()) {
        true => Ok(()),
        false => Err(unsigned(format!(
            "{} is not from a trusted publisher, or is the signature of another file",
            place.display()
        ))),
    }
}

fn signature_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SIGNATURE_EXTENSION);
    name.into()
}

fn read_error(path: &Path, source: io::Error) -> PluginHostError {
    let plugin = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound if path.parent().is_some_and(|parent| parent.ends_with("pushed")) => {
            PluginHostError::Missing {
                plugin,
                remedy: "it comes from the server: push it there, or wait until the site is connected",
            }
        }
        io::ErrorKind::NotFound => PluginHostError::Missing { plugin, remedy: "copy the component there" },
        _ => PluginHostError::Read { plugin, source },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_that_cannot_be_listed_or_has_a_file_that_cannot_be_examined_is_not_known() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("dns-fake.wasm"), b"component").unwrap();
        assert_eq!(list(directory.path()).unwrap().len(), 1);
        // A link to itself cannot be examined, not even by root.
        let link = directory.path().join("loop.wasm");
        symlink("loop.wasm", &link).unwrap();
        list(directory.path()).expect_err("one of the files is not known");
        fs::remove_file(&link).unwrap();
        assert_eq!(list(directory.path()).unwrap().len(), 1);
        list(&directory.path().join("dns-fake.wasm")).expect_err("a file is not a folder");
    }
}
