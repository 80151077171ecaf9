//! The site's secrets: files, and what systemd hands to the service.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use linecamp_model::SecretName;
use linecamp_plugin_host::{Secret, SecretError, Secrets};

/// Bytes of a secret's file: a private key fits. A longer one is some other file.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// How systemd names what it hands over from a folder: `LoadCredential=secret:FOLDER` makes a credential `secret_NAME`
/// of each file NAME in it.
const FROM_FOLDER: &str = "secret_";

/// Where each secret is. Read at each use, so that a new one holds from the next call on.
#[derive(Debug)]
pub(crate) struct SecretFiles {
    /// Calls of plugins look from their own thread.
    files: RwLock<BTreeMap<SecretName, PathBuf>>,
    credentials: Option<PathBuf>,
}

impl SecretFiles {
    pub(crate) const fn new(files: BTreeMap<SecretName, PathBuf>, credentials: Option<PathBuf>) -> Self {
        Self { files: RwLock::new(files), credentials }
    }

    /// Looks elsewhere from the next call on.
    pub(crate) fn set(&self, files: BTreeMap<SecretName, PathBuf>) {
        *self.files.write().unwrap_or_else(PoisonError::into_inner) = files;
    }

    fn file(&self, name: &SecretName) -> Option<PathBuf> {
        self.files.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

impl Secrets for SecretFiles {
    fn read(&self, name: &SecretName) -> Result<Secret, SecretError> {
        let credentials = || {
            let directory = self.credentials.as_ref()?;
            let names = [name.to_string(), format!("{FROM_FOLDER}{name}")];
            names.into_iter().map(|name| directory.join(name)).find(|path| path.exists())
        };
        let path = self.file(name).or_else(credentials).filter(|path| path.exists());
        let Some(path) = path else {
            let place = format!(
                "the configuration's table [secrets] as `{name} = \"FILE\"`, the folder of secrets that systemd hands \
                 over (/etc/linecamp/secrets/{name} with the packaged unit; restart the service then), or systemd's \
                 LoadCredential={name}:FILE"
            );
            return Err(SecretError::Missing { name: name.clone(), place });
        };
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes));
        let problem = match read {
            Ok(_) if bytes.len() as u64 <= SECRET_BYTES_MAX => return Ok(Secret::new(bytes)),
            Ok(_) => format!("{} has more than {SECRET_BYTES_MAX} bytes; is it the right file?", path.display()),
            Err(error) => format!("{}: {error}", path.display()),
        };
        Err(SecretError::Unreadable { name: name.clone(), problem })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_its_file_or_among_the_credentials_and_a_missing_one_says_where_it_belongs() {
        let directory = tempfile::tempdir().unwrap();
        let name = |text: &str| SecretName::parse(text).unwrap();
        std::fs::write(directory.path().join("own"), "one\n").unwrap();
        std::fs::write(directory.path().join("given"), "two\n").unwrap();
        std::fs::write(directory.path().join("secret_of-folder"), "three\n").unwrap();
        let files = BTreeMap::from([(name("own"), directory.path().join("own"))]);
        let secrets = SecretFiles::new(files, Some(directory.path().to_owned()));
        assert!(secrets.read(&name("own")).is_ok());
        assert!(secrets.read(&name("given")).is_ok());
        assert!(secrets.read(&name("of-folder")).is_ok());
        let error = secrets.read(&name("none")).unwrap_err().to_string();
        assert!(error.contains("[secrets]") && error.contains("LoadCredential=none"), "{error}");
        secrets.set(BTreeMap::from([(name("none"), directory.path().join("given"))]));
        assert!(secrets.read(&name("none")).is_ok(), "the places can change");
    }
}
