//! Compiled artifacts on disk, mapped into memory when they are used.
//!
//! A mapped artifact is native code, so the directory belongs to the host alone, and a directory that others can write
//! to is rejected. An artifact is named after the digest of its component and the engine that accepts it. A checksum
//! next to it detects disk corruption before the code runs. It is a checksum rather than a cryptographic digest because
//! anyone who could write here could replace both, and because it cuts the time to load a plugin by a third. After a
//! power failure both files are either complete or absent: they are written under temporary names, flushed and renamed,
//! the checksum first. A mismatched artifact is deleted and compiled again.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use linecamp_model::PluginDigest;
use rustix::fs::{MemfdFlags, memfd_create};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::compiler::Compiler;
use crate::error::PluginHostError;
use crate::limits::CACHED_MAX;

/// The extension of compiled artifacts.
const EXTENSION: &str = ".cwasm";

/// The extension of checksum files, appended to that of the artifact.
const CHECKSUM_EXTENSION: &str = ".crc32";

/// The extension of files that are being written.
const TEMPORARY_EXTENSION: &str = ".aside";

/// Bytes read at a time when computing a checksum.
const CHUNK_BYTES: usize = 64 * 1024;

/// The directory of compiled artifacts.
pub(super) struct Cache {
    directory: PathBuf,
    /// The tag of the engine that accepts the artifacts.
    tag: String,
}

impl Cache {
    /// Opens the directory, and deletes files that an earlier process did not finish writing.
    pub(super) fn open(directory: PathBuf, tag: &str) -> Result<Self, PluginHostError> {
        let error = |source| PluginHostError::Directory { path: directory.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(error)?;
        let cache = Self { directory, tag: tag.to_owned() };
        cache.check_private()?;
        for file in cache.files() {
            if file.to_string_lossy().ends_with(TEMPORARY_EXTENSION) {
                remove(&file);
            }
        }
        Ok(cache)
    }

    /// Maps the compiled artifact of a component, compiling the component first if necessary.
    pub(super) async fn load(
        &self,
        engine: &Engine,
        plugin: Plugin<'_>,
        compiler: &Compiler,
    ) -> Result<Component, PluginHostError> {
        self.check_private()?;
        let path =
            self.directory.join(format!("{}-{}{EXTENSION}", HEXLOWER.encode(plugin.digest.as_bytes()), self.tag));
        match map(engine, &path) {
            Ok(Some(component)) => return Ok(component),
            Ok(None) => {}
            Err(why) => {
                tracing::info!(path = %path.display(), why, "compiled plugin is stale or corrupt; compiling it again");
                remove(&beside(&path, CHECKSUM_EXTENSION));
                remove(&path);
            }
        }
        self.compile(plugin, &path, compiler).await?;
        self.sweep(&path);
        match map(engine, &path) {
            Ok(Some(component)) => Ok(component),
            Ok(None) => Err(PluginHostError::Load {
                plugin: plugin.path.to_owned(),
                source: "the compiled artifact has disappeared".into(),
            }),
            Err(why) => Err(PluginHostError::Load { plugin: plugin.path.to_owned(), source: why.into() }),
        }
    }

    async fn compile(&self, plugin: Plugin<'_>, path: &Path, compiler: &Compiler) -> Result<(), PluginHostError> {
        let error = |source| PluginHostError::Cache { path: path.to_owned(), source };
        let temporary = beside(path, TEMPORARY_EXTENSION);
        remove(&temporary);
        let output = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&temporary);
        let output = output.map_err(error)?;
        let written = output.try_clone().map_err(error)?;
        let compiled = compiler.run(plugin.path, plugin.bytes, output).await;
        let kept = compiled.and_then(|()| keep(written, &temporary, path).map_err(error));
        if kept.is_err() {
            remove(&temporary);
        }
        kept
    }

    /// Rejects a directory in which another user could place native code.
    fn check_private(&self) -> Result<(), PluginHostError> {
        let error = |source| PluginHostError::Directory { path: self.directory.clone(), source };
        let metadata = fs::symlink_metadata(&self.directory).map_err(error)?;
        let problem = match () {
            () if !metadata.is_dir() => "is not a directory",
            () if metadata.uid() != rustix::process::geteuid().as_raw() => "belongs to another user",
            () if metadata.mode() & 0o022 != 0 => "is writable by other users",
            () => return Ok(()),
        };
        Err(PluginHostError::Exposed { path: self.directory.clone(), problem })
    }

    /// Deletes artifacts that this engine does not accept, and the oldest ones over the limit. Existing mappings stay
    /// valid.
    fn sweep(&self, newest: &Path) {
        let ours = format!("-{}{EXTENSION}", self.tag);
        let mut artifacts = Vec::new();
        for file in self.files() {
            let name = file.to_string_lossy();
            if name.ends_with(EXTENSION) && !name.ends_with(&ours) {
                remove(&beside(&file, CHECKSUM_EXTENSION));
                remove(&file);
            } else if name.ends_with(EXTENSION) && file != newest {
                let modified = fs::metadata(&file).and_then(|metadata| metadata.modified()).ok();
                artifacts.push((modified, file));
            }
        }
        artifacts.sort();
        for (_, file) in artifacts.iter().rev().skip(CACHED_MAX - 1) {
            remove(&beside(file, CHECKSUM_EXTENSION));
            remove(file);
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }
}

/// A component to compile.
#[derive(Clone, Copy)]
pub(super) struct Plugin<'a> {
    /// Used in errors.
    pub(super) path: &'a Path,
    pub(super) bytes: &'a [u8],
    pub(super) digest: PluginDigest,
}

/// Compiles a component without leaving anything on disk.
pub(super) async fn uncached(
    engine: &Engine,
    path: &Path,
    bytes: &[u8],
    compiler: &Compiler,
) -> Result<Component, PluginHostError> {
    let error = |source: io::Error| PluginHostError::Cache { path: path.to_owned(), source };
    let mut output = File::from(memfd_create("compiled", MemfdFlags::CLOEXEC).map_err(|errno| error(errno.into()))?);
    compiler.run(path, bytes, output.try_clone().map_err(error)?).await?;
    let mut compiled = Vec::new();
    output.rewind().and_then(|()| output.read_to_end(&mut compiled)).map_err(error)?;
    // SAFETY: the bytes were just written by our own compiler, to an anonymous memory file.
    #[expect(unsafe_code, reason = "native code is trusted because our own compiler wrote it")]
    let component = unsafe { Component::deserialize(engine, &compiled) };
    component.map_err(|source| PluginHostError::Load { plugin: path.to_owned(), source: source.into() })
}

/// Maps a compiled artifact if it exists. The error describes why the artifact cannot be used.
fn map(engine: &Engine, path: &Path) -> Result<Option<Component>, String> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let expected =
        fs::read_to_string(beside(path, CHECKSUM_EXTENSION)).map_err(|error| format!("its checksum: {error}"))?;
    let found = checksum(&mut file).map_err(|error| error.to_string())?;
    if expected.trim_end() != found {
        return Err("checksum mismatch".into());
    }
    // SAFETY: the file is in a directory that only this user can write to, which was checked, and its checksum matches
    // what our own compiler wrote. It is not modified while mapped: artifacts are replaced and deleted, never written
    // in place.
    #[expect(unsafe_code, reason = "native code is trusted because our own compiler wrote it")]
    let component = unsafe { Component::deserialize_file(engine, path) };
    component.map(Some).map_err(|error| format!("{error:#}"))
}

/// Makes a finished file durable and moves it into place, with its checksum.
fn keep(mut written: File, aside: &Path, path: &Path) -> io::Result<()> {
    written.rewind()?;
    let checksum = checksum(&mut written)?;
    written.sync_all()?;

    let (checksum_path, checksum_aside) =
        (beside(path, CHECKSUM_EXTENSION), beside(path, &format!("{CHECKSUM_EXTENSION}.aside")));
    remove(&checksum_aside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&checksum_aside)?;
    file.write_all(checksum.as_bytes())?;
    file.sync_all()?;
    fs::rename(&checksum_aside, &checksum_path)?;
    fs::rename(aside, path)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Returns the CRC-32 of a file (ISO 3309), in hexadecimal digits.
fn checksum(file: &mut File) -> io::Result<String> {
    let mut hasher = crc32fast::Hasher::new();
    let mut piece = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(format!("{:08x}", hasher.finalize())),
            bytes => hasher.update(&piece[..bytes]),
        }
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Deletes a file of the cache. If that fails, the file is later found stale again, or overwritten.
fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(path = %path.display(), %error, "failed to delete a compiled plugin");
    }
}
