//! Component files: where they lie, what they are, who signed them.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use linecamp_model::limits::PLUGIN_BYTES_MAX;
use linecamp_model::{Name, PluginRef};
use minisign_verify::Signature;
use rustix::fs::OFlags;

use crate::error::PluginHostError;
use crate::limits::PLUGINS_KNOWN_MAX;
use crate::settings::PublisherKey;

/// Bytes of a signature file: it has four lines. A longer one is none.
const SIGNATURE_BYTES_MAX: u64 = 4 * 1024;

/// What a component's file ends in.
const ENDING: &str = ".wasm";

/// What the file of its signature ends in, behind that.
const SIGNATURE_ENDING: &str = ".minisig";

/// Makes the plugin directory, if it is not there, and refuses one that anybody may write to.
pub(super) fn prepare(directory: &Path) -> Result<(), PluginHostError> {
    let error = |source| PluginHostError::Directory { path: directory.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(error)?;
    let mode = fs::metadata(directory).map_err(error)?.mode();
    if mode & 0o002 != 0 {
        let problem = "can be written to by everybody";
        return Err(PluginHostError::Exposed { path: directory.to_owned(), problem });
    }
    Ok(())
}

/// Returns where a plugin lies.
pub(super) fn path(directory: &Path, plugin: &PluginRef) -> PathBuf {
    match plugin.digest {
        Some(digest) => directory.join("pushed").join(format!("{}{ENDING}", HEXLOWER.encode(digest.as_bytes()))),
        None => directory.join(format!("{}{ENDING}", plugin.name)),
    }
}

/// Returns which file lies there, and which signature beside it.
pub(super) fn stamp(path: &Path) -> Result<Stamp, PluginHostError> {
    let component = fs::metadata(path).map_err(|source| read_error(path, source))?;
    let signature = fs::metadata(signature_path(path)).ok();
    Ok(Stamp { component: FileStamp::of(&component), signature: signature.as_ref().map(FileStamp::of) })
}

/// What tells a component's file, and its signature's, from those that were there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    component: FileStamp,
    signature: Option<FileStamp>,
}

/// What tells a file from another one under its name.
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

/// Returns the components in the directory, by name; those whose file is not named like a plugin are only logged.
///
/// # Errors
/// [`PluginHostError`] if the directory or a file in it cannot be read: it is not known which components there are,
/// and none of them counts as gone.
pub(super) fn list(directory: &Path) -> Result<BTreeMap<Name, Stamp>, PluginHostError> {
    let mut found = BTreeMap::new();
    let error = |source| read_error(directory, source);
    for entry in fs::read_dir(directory).map_err(error)? {
        let entry = entry.map_err(error)?;
        let file_name = entry.file_name();
        let Some(stem) = file_name.to_str().and_then(|name| name.strip_suffix(ENDING)) else { continue };
        let Ok(name) = Name::parse(stem) else {
            tracing::warn!(file = %entry.path().display(), "no plugin is named so: a-z, 0-9 and `-`, then .wasm");
            continue;
        };
        if PLUGINS_KNOWN_MAX <= found.len() {
            tracing::warn!(directory = %directory.display(), "more than {PLUGINS_KNOWN_MAX} plugins: some are not watched");
            break;
        }
        match stamp(&entry.path()) {
            Ok(stamp) => drop(found.insert(name, stamp)),
            // It went between the two looks at it.
            Err(PluginHostError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Reads a component's file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, PluginHostError> {
    let error = |source| read_error(path, source);
    let file = open(path).map_err(error)?;
    let metadata = file.metadata().map_err(error)?;
    if !metadata.is_file() {
        return Err(error(io::Error::other("it is not a file")));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(PLUGIN_BYTES_MAX)).unwrap_or_default());
    file.take(PLUGIN_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(error)?;
    if PLUGIN_BYTES_MAX < bytes.len() as u64 {
        return Err(PluginHostError::TooBig { plugin: path.to_owned(), most: PLUGIN_BYTES_MAX });
    }
    Ok(bytes)
}

/// Checks that one of the publishers signed a component, if there are any.
pub(super) fn verify(path: &Path, bytes: &[u8], publishers: &[PublisherKey]) -> Result<(), PluginHostError> {
    if publishers.is_empty() {
        return Ok(());
    }
    let unsigned = |problem: String| PluginHostError::Unsigned { plugin: path.to_owned(), problem };
    let place = signature_path(path);
    let mut text = String::new();
    let read = open(&place).and_then(|file| file.take(SIGNATURE_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|error| unsigned(format!("{}: {error}", place.display())))?;
    let signature = Signature::decode(&text).map_err(|error| unsigned(format!("{}: {error}", place.display())))?;
    match publishers.iter().any(|PublisherKey(key)| key.verify(bytes, &signature, false).is_ok()) {
        true => Ok(()),
        false => Err(unsigned(format!("{} is by none of the publishers, or of another file", place.display()))),
    }
}

/// Opens a file that may be anything: one that is a pipe is not waited for.
fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn signature_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SIGNATURE_ENDING);
    name.into()
}

fn read_error(path: &Path, source: io::Error) -> PluginHostError {
    let plugin = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound if path.parent().is_some_and(|parent| parent.ends_with("pushed")) => {
            PluginHostError::Missing { plugin, remedy: "it comes from the server: push it there, or wait for the link" }
        }
        io::ErrorKind::NotFound => PluginHostError::Missing { plugin, remedy: "put the component there" },
        _ => PluginHostError::Read { plugin, source },
    }
}
