//! Small private files that are always either complete or absent, even after a power failure.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use linecamp_files::ReadError;
use rcgen::{KeyPair, PKCS_ED25519};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;

use crate::error::TransportError;

/// Maximum bytes of an identity file: many times what keys and a few certificates need. A longer file is reported as
/// corrupt.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Bytes encoded in one line of PEM: 64 characters.
const PEM_LINE_BYTES: usize = 48;

/// Creates `dir` and its parents with access for the owner only; an existing directory is kept.
pub(super) fn create_dir(dir: &Path) -> Result<(), TransportError> {
    linecamp_files::create_dir(dir).map_err(write_error(dir))
}

/// Creates or replaces the file at `path` atomically: it has either the old content or the new.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), TransportError> {
    let temporary = path.with_extension("new");
    write_and_sync(&temporary, bytes).map_err(write_error(&temporary))?;
    rename(&temporary, path)
}

/// Renames a file or directory, durably.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), TransportError> {
    fs::rename(from, to).map_err(write_error(to))?;
    sync_parent(to)
}

/// Reads a complete file; `None` if it does not exist.
pub(super) fn read_file(path: &Path, remedy: &str) -> Result<Option<Vec<u8>>, TransportError> {
    match linecamp_files::read(path, FILE_BYTES_MAX) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(ReadError::TooLarge { bytes_max }) => Err(TransportError::Corrupt {
            path: path.to_owned(),
            problem: format!("too large (maximum {bytes_max} bytes)"),
            remedy: remedy.to_owned(),
        }),
        Err(error) => Err(read_error(path)(error.into())),
    }
}

/// Reads a file that must exist.
pub(super) fn read_required(path: &Path, remedy: &str) -> Result<Vec<u8>, TransportError> {
    read_file(path, remedy)?.ok_or_else(|| TransportError::Missing { path: path.to_owned(), remedy: remedy.to_owned() })
}

/// Reads the Ed25519 key pair at `path`; `None` if the file does not exist.
pub(super) fn read_key(path: &Path, remedy: &str) -> Result<Option<KeyPair>, TransportError> {
    let Some(pem) = read_file(path, remedy)? else {
        return Ok(None);
    };
    let corrupt = |problem: String| {
        let remedy = remedy.to_owned();
        TransportError::Corrupt { path: path.to_owned(), problem, remedy }
    };
    let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|error| corrupt(error.to_string()))?;
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ED25519).map(Some).map_err(|error| corrupt(error.to_string()))
}

/// Encodes a DER certificate as PEM (RFC 7468).
pub(super) fn certificate_pem(der: &[u8]) -> String {
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in der.chunks(PEM_LINE_BYTES) {
        text += &BASE64.encode(line);
        text.push('\n');
    }
    text + "-----END CERTIFICATE-----\n"
}

/// Removes a file durably; a missing file is not an error.
pub(super) fn remove_file(path: &Path) -> Result<(), TransportError> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(write_error(path)(source)),
    }
}

/// Removes everything in `dir` durably and keeps the directory; a missing directory is not an error.
pub(super) fn empty_dir(dir: &Path) -> Result<(), TransportError> {
    for path in entries(dir)? {
        let removed =
            if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(write_error(&path))?;
    }
    match linecamp_files::sync_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(write_error(dir)),
    }
}

/// Lists the entries of `dir`; empty if it does not exist.
pub(super) fn entries(dir: &Path) -> Result<Vec<PathBuf>, TransportError> {
    let listing = match fs::read_dir(dir) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(read_error(dir)(source)),
    };
    listing.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>().map_err(read_error(dir))
}

fn write_and_sync(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A file left by an interrupted write may have another mode, so it is removed first.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    linecamp_files::write_new(path, bytes)
}

fn sync_parent(path: &Path) -> Result<(), TransportError> {
    linecamp_files::sync_parent(path).map_err(write_error(path))
}

fn read_error(path: &Path) -> impl FnOnce(io::Error) -> TransportError {
    move |source| TransportError::Read { path: path.to_owned(), source }
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> TransportError {
    move |source| TransportError::Write { path: path.to_owned(), source }
}
