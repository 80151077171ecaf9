//! Reads passphrases and identities.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use linecamp_backup::{Identity, Lock, Passphrase, Recipient, Unlock};

use super::BackupFile;
use crate::error::ServerError;

/// Maximum bytes of a file with a passphrase or with identities. A larger one is rejected.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Where the secrets of a backup are.
#[derive(Clone, Debug, Default)]
pub struct SecretFiles {
    /// The file whose first line is the passphrase; `-` is standard input.
    pub passphrase: Option<PathBuf>,
    /// The file with identities.
    pub identities: Option<PathBuf>,
}

/// Returns how to encrypt a backup: with a passphrase, or for public keys.
///
/// # Errors
/// [`ServerError::SecretFile`] if the passphrase cannot be read.
pub fn lock(passphrase: Option<&Path>, recipients: Vec<Recipient>) -> Result<Lock, ServerError> {
    match passphrase {
        Some(path) => read_passphrase(path).map(Lock::Passphrase),
        None if recipients.is_empty() => Ok(Lock::Open),
        None => Ok(Lock::Recipients(recipients)),
    }
}

/// Returns what decrypts `file`.
///
/// # Errors
/// [`ServerError::SecretFile`] if a file cannot be read.
pub fn unlock(file: &BackupFile, files: &SecretFiles) -> Result<Unlock, ServerError> {
    let is_standard = |path: &&PathBuf| path.as_os_str() == "-";
    if let (BackupFile::Standard, Some(path)) = (file, files.passphrase.as_ref().filter(is_standard)) {
        return Err(failed(path, "standard input is the backup already".to_owned()));
    }
    if let Some(path) = &files.passphrase {
        return read_passphrase(path).map(Unlock::Passphrase);
    }
    match &files.identities {
        Some(path) => {
            let identities = Identity::of_text(&read(path)?);
            identities.map(Unlock::Identities).map_err(|error| failed(path, error.to_string()))
        }
        None => Ok(Unlock::Open),
    }
}

fn read_passphrase(path: &Path) -> Result<Passphrase, ServerError> {
    Passphrase::of_text(&read(path)?).map_err(|error| failed(path, error.to_string()))
}

fn read(path: &Path) -> Result<String, ServerError> {
    let bytes = match path.as_os_str() == "-" {
        true => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes);
            read.map_err(|error| failed(path, error.to_string()))?;
            if SECRET_BYTES_MAX < bytes.len() as u64 {
                return Err(failed(path, format!("larger than {SECRET_BYTES_MAX} bytes")));
            }
            bytes
        }
        false => linecamp_files::read_given(path, SECRET_BYTES_MAX).map_err(|error| failed(path, error.to_string()))?,
    };
    String::from_utf8(bytes).map_err(|_| failed(path, "not UTF-8 text".to_owned()))
}

fn failed(path: &Path, problem: String) -> ServerError {
    ServerError::SecretFile { path: path.to_owned(), problem }
}
