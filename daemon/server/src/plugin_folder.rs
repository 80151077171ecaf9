//! The components of uploaded plugins: a folder with one file each, named by its digest.
//!
//! A component is written to a temporary file (`….part`) while it arrives, and renamed when all of it is on disk: a
//! file named by a digest is complete. The fleet database is the list of plugins. A file that it does not list was left
//! behind by a process that ended in between, and is removed at the next start.
//!
//! This module does not check what a component does, nor whether its digest is the one that a site wants: the site does
//! that.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use data_encoding::HEXLOWER;
use linecamp_model::limits::{PLUGIN_BYTES_MAX, PLUGIN_PIECE_BYTES_MAX};
use linecamp_model::{PluginDigest, PluginPiece, PluginWant};
use sha2::{Digest as _, Sha256};

use crate::error::ServerError;

/// The first bytes of a component: the WebAssembly magic, version 13, layer 1 (a component, not a module).
const COMPONENT_HEAD: [u8; 8] = *b"\0asm\x0d\0\x01\0";

/// The first bytes of a module: the same magic, version 1, layer 0.
const MODULE_HEAD: [u8; 8] = *b"\0asm\x01\0\0\0";

const COMPONENT_EXTENSION: &str = "wasm";
const PARTIAL_EXTENSION: &str = "part";

/// The folder of components.
#[derive(Debug)]
pub(crate) struct PluginFolder {
    dir: PathBuf,
    parts: AtomicU64,
}

/// Why an upload failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    /// The file is not a component.
    #[error("the file is {what}, not a WebAssembly component (build it for wasm32-wasip2)")]
    NotComponent { what: &'static str },
    /// The file is too large.
    #[error("plugin too large (maximum {PLUGIN_BYTES_MAX} bytes)")]
    TooLong,
    /// The file could not be written.
    #[error(transparent)]
    Disk(#[from] ServerError),
}

impl PluginFolder {
    /// Creates the folder if it does not exist, and removes files that no `listed` plugin needs.
    pub(crate) fn open(dir: PathBuf, listed: impl IntoIterator<Item = PluginDigest>) -> Result<Self, ServerError> {
        let folder = Self { dir, parts: AtomicU64::new(0) };
        match fs::create_dir(&folder.dir) {
            Ok(()) => folder.sync_above()?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // A server with an unwritable disk keeps its sites linked; an upload reports the failure.
            Err(error) => {
                tracing::warn!(path = %folder.dir.display(), %error, "failed to create the plugin folder");
                return Ok(folder);
            }
        }
        let kept: Vec<_> = listed.into_iter().map(|digest| folder.path(digest)).collect();
        folder.sweep(&kept)?;
        for path in kept.iter().filter(|path| !path.exists()) {
            tracing::warn!(path = %path.display(), "the file of a plugin is missing: push the plugin again");
        }
        Ok(folder)
    }

    /// Begins an upload.
    pub(crate) fn begin(&self) -> Result<PartialUpload, ServerError> {
        let number = self.parts.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!("{number}.{PARTIAL_EXTENSION}"));
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = file.map_err(|source| ServerError::Create { path: path.clone(), source })?;
        Ok(PartialUpload { at: Temporary(path), file, head: Vec::new(), bytes: 0, hash: Sha256::new() })
    }

    /// Renames a complete upload to its digest. An existing file of that digest is replaced: it is identical or
    /// corrupt.
    pub(crate) fn keep(&self, upload: &CompleteUpload) -> Result<(), ServerError> {
        let path = self.path(upload.digest);
        fs::rename(&upload.at.0, &path).map_err(|source| plugin_error("rename to", &path, source))?;
        self.sync()
    }

    /// Removes a component if it exists.
    pub(crate) fn remove(&self, digest: PluginDigest) -> Result<(), ServerError> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Ok(()) => self.sync(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(plugin_error("remove", &path, source)),
        }
    }

    /// Reads a piece of at most [`PLUGIN_PIECE_BYTES_MAX`] bytes; the piece is empty at and beyond the end.
    pub(crate) fn read(&self, want: PluginWant) -> Result<PluginPiece, ServerError> {
        let path = self.path(want.digest);
        let read = || -> io::Result<PluginPiece> {
            let mut file = linecamp_files::open(&path)?;
            let total = file.metadata()?.len();
            let mut bytes = Vec::new();
            if want.offset < total {
                file.seek(SeekFrom::Start(want.offset))?;
                file.take(PLUGIN_PIECE_BYTES_MAX as u64).read_to_end(&mut bytes)?;
            }
            Ok(PluginPiece { digest: want.digest, offset: want.offset, total, bytes })
        };
        read().map_err(|source| plugin_error("read", &path, source))
    }

    fn path(&self, digest: PluginDigest) -> PathBuf {
        self.dir.join(format!("{}.{COMPONENT_EXTENSION}", HEXLOWER.encode(digest.as_bytes())))
    }

    /// Removes partial uploads and components that are not `kept`. Other files are left alone.
    fn sweep(&self, kept: &[PathBuf]) -> Result<(), ServerError> {
        let failed = |source| plugin_error("list", &self.dir, source);
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            if matches!(ending, Some(COMPONENT_EXTENSION | PARTIAL_EXTENSION)) && !kept.contains(&path) {
                match fs::remove_file(&path) {
                    Ok(()) => tracing::info!(path = %path.display(), "removed an unused plugin file"),
                    Err(error) => {
                        tracing::warn!(path = %path.display(), %error, "failed to remove an unused plugin file");
                    }
                }
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), ServerError> {
        sync_dir(&self.dir)
    }

    fn sync_above(&self) -> Result<(), ServerError> {
        self.dir.parent().map_or(Ok(()), sync_dir)
    }
}

/// A file that is removed on drop, unless it was renamed.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Files that remain are removed at the next start.
        drop(fs::remove_file(&self.0));
    }
}

/// An upload in progress. Dropping it removes its file.
#[derive(Debug)]
pub(crate) struct PartialUpload {
    at: Temporary,
    file: File,
    /// The first bytes, which identify the file type.
    head: Vec<u8>,
    bytes: u64,
    hash: Sha256,
}

/// A complete upload: on disk, not renamed yet. Dropping it removes its file.
#[derive(Debug)]
pub(crate) struct CompleteUpload {
    at: Temporary,
    /// The digest of the component.
    pub(crate) digest: PluginDigest,
    /// The size in bytes.
    pub(crate) bytes: u64,
}

impl PartialUpload {
    /// Appends a chunk. A file that is not a component is rejected as soon as its first bytes have arrived.
    pub(crate) fn append(&mut self, chunk: &[u8]) -> Result<(), UploadError> {
        self.bytes = self.bytes.saturating_add(chunk.len() as u64);
        if PLUGIN_BYTES_MAX < self.bytes {
            return Err(UploadError::TooLong);
        }
        let missing = COMPONENT_HEAD.len() - self.head.len();
        self.head.extend(chunk.iter().take(missing));
        if self.head.len() == COMPONENT_HEAD.len() && self.head != COMPONENT_HEAD {
            return Err(not_component(&self.head));
        }
        self.hash.update(chunk);
        self.file.write_all(chunk).map_err(|source| plugin_error("write", &self.at.0, source).into())
    }

    /// Finishes the upload and syncs it to disk.
    pub(crate) fn finish(self) -> Result<CompleteUpload, UploadError> {
        let Self { at, file, head, bytes, hash } = self;
        if head != COMPONENT_HEAD {
            return Err(not_component(&head));
        }
        file.sync_all().map_err(|source| plugin_error("write", &at.0, source))?;
        Ok(CompleteUpload { at, digest: PluginDigest::from_bytes(hash.finalize().into()), bytes })
    }
}

fn not_component(head: &[u8]) -> UploadError {
    let what = match head {
        [] => "empty",
        head if head == MODULE_HEAD => "a core WebAssembly module",
        _ => "of another type",
    };
    UploadError::NotComponent { what }
}

fn plugin_error(operation: &'static str, path: &Path, source: io::Error) -> ServerError {
    ServerError::Plugin { operation, path: path.into(), source }
}

fn sync_dir(dir: &Path) -> Result<(), ServerError> {
    linecamp_files::sync_dir(dir).map_err(|source| plugin_error("sync", dir, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(dir: &tempfile::TempDir) -> PluginFolder {
        PluginFolder::open(dir.path().join("plugins"), []).unwrap()
    }

    fn kept(folder: &PluginFolder, chunks: &[&[u8]]) -> Result<PluginDigest, UploadError> {
        let mut part = folder.begin()?;
        chunks.iter().try_for_each(|chunk| part.append(chunk))?;
        let upload = part.finish()?;
        folder.keep(&upload)?;
        Ok(upload.digest)
    }

    fn files(folder: &PluginFolder) -> usize {
        fs::read_dir(&folder.dir).unwrap().count()
    }

    #[test]
    fn a_component_is_read_in_pieces_from_any_offset() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(&dir);
        let component = [&COMPONENT_HEAD[..], &[7; PLUGIN_PIECE_BYTES_MAX]].concat();
        let digest = kept(&folder, &[&component[..3], &component[3..20], &component[20..]]).unwrap();
        assert_eq!(digest, PluginDigest::of(&component));
        let check = |offset: u64, expected: &[u8]| {
            let piece = folder.read(PluginWant { digest, offset }).unwrap();
            assert_eq!((piece.total, piece.offset, &piece.bytes[..]), (component.len() as u64, offset, expected));
        };
        check(0, &component[..PLUGIN_PIECE_BYTES_MAX]);
        check(PLUGIN_PIECE_BYTES_MAX as u64, &component[PLUGIN_PIECE_BYTES_MAX..]);
        check(component.len() as u64, &[]);
        check(u64::MAX, &[]);
        assert_eq!(files(&folder), 1);
    }

    #[test]
    fn a_rejected_upload_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(&dir);
        let check = |chunks: &[&[u8]], words: &str| {
            let error = kept(&folder, chunks).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
            assert_eq!(files(&folder), 0);
        };
        check(&[], "is empty");
        check(&[&COMPONENT_HEAD[..7]], "of another type");
        check(&[b"#!/bin/sh"], "of another type");
        check(&[&MODULE_HEAD], "a core WebAssembly module");
        let many = vec![0; usize::try_from(PLUGIN_BYTES_MAX).unwrap()];
        check(&[&COMPONENT_HEAD, &many], "maximum 33554432 bytes");
    }

    #[test]
    fn leftover_uploads_are_deleted_and_known_plugins_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let before = folder(&dir);
        let [known, unknown] = [[1; 4], [2; 4]].map(|tail| kept(&before, &[&COMPONENT_HEAD, &tail]).unwrap());
        std::mem::forget(before.begin().unwrap());
        fs::write(before.dir.join("README"), "mine").unwrap();
        assert_eq!(files(&before), 4);

        let after = PluginFolder::open(before.dir, [known]).unwrap();
        assert_eq!(files(&after), 2);
        assert!(after.read(PluginWant { digest: known, offset: 0 }).is_ok());
        let error = after.read(PluginWant { digest: unknown, offset: 0 }).unwrap_err();
        assert!(error.to_string().starts_with("failed to read "), "{error}");
        after.remove(known).unwrap();
        after.remove(known).unwrap();
        assert_eq!(files(&after), 1);
    }
}
