//! The site's secrets: files, and what systemd hands to the service.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use linecamp_model::SecretName;
use linecamp_plugin_host::{Secret, SecretError, Secrets, SiteSecret};

use crate::config::DeclaredSecret;

/// Bytes of a secret's file: a private key fits. A longer one is some other file.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// How systemd names what it hands over from a folder: `LoadCredential=secret:FOLDER` makes a credential `secret_NAME`
/// of each file NAME in it.
const FROM_FOLDER: &str = "secret_";

/// The secrets that the configuration names. Read at each use, so that a new one holds from the next call on.
#[derive(Debug)]
pub(crate) struct SecretFiles {
    /// Calls of plugins look from their own thread.
    declared: RwLock<BTreeMap<SecretName, DeclaredSecret>>,
    credentials: Option<PathBuf>,
}

impl SecretFiles {
    pub(crate) const fn new(declared: BTreeMap<SecretName, DeclaredSecret>, credentials: Option<PathBuf>) -> Self {
        Self { declared: RwLock::new(declared), credentials }
    }

    /// Goes by these from the next call on. Returns whether something changes.
    pub(crate) fn set(&self, declared: BTreeMap<SecretName, DeclaredSecret>) -> bool {
        let mut place = self.declared.write().unwrap_or_else(PoisonError::into_inner);
        let is_changed = *place != declared;
        *place = declared;
        is_changed
    }

    /// Returns where a secret is that the configuration names, or where it belongs.
    fn path(&self, name: &SecretName, declared: &DeclaredSecret) -> Result<PathBuf, String> {
        if let Some(file) = &declared.file {
            return if file.exists() { Ok(file.clone()) } else { Err(format!("{}", file.display())) };
        }
        let names = [name.to_string(), format!("{FROM_FOLDER}{name}")];
        let credentials = self.credentials.iter().flat_map(|directory| names.iter().map(|name| directory.join(name)));
        credentials.into_iter().find(|path| path.exists()).ok_or_else(|| {
            format!(
                "the folder of secrets that systemd hands over (/etc/linecamp/secrets/{name} with the packaged unit; \
                 restart the service then), or name its `file` in [secrets.{name}] of linecampd.toml"
            )
        })
    }
}

impl Secrets for SecretFiles {
    fn find(&self, name: &SecretName) -> SiteSecret {
        let declared = self.declared.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let Some(declared) = declared else {
            return SiteSecret::missing(name, format!("a table [secrets.{name}] of linecampd.toml"));
        };
        let content = match self.path(name, &declared) {
            Ok(path) => read_bounded(&path, SECRET_BYTES_MAX).map(Secret::new).map_err(|error| {
                SecretError::Unreadable { name: name.clone(), problem: format!("{}: {error}", path.display()) }
            }),
            Err(place) => Err(SecretError::Missing { name: name.clone(), place }),
        };
        SiteSecret { scope: declared.scope, content }
    }
}

/// Reads a file that has at most so many bytes.
///
/// # Errors
/// What the file system says; also of what is no file, because a pipe or a device would keep the caller for ever, and
/// of a longer file.
pub(crate) fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes_max < bytes.len() as u64 {
        return Err(io::Error::other(format!("it has more than {bytes_max} bytes; is it the right file?")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use linecamp_plugin_host::SecretScope;

    use super::*;

    fn name(text: &str) -> SecretName {
        SecretName::parse(text).unwrap()
    }

    /// A secret in a file, or without one in a credential.
    fn declared(file: Option<PathBuf>) -> DeclaredSecret {
        DeclaredSecret { file, scope: SecretScope::LocalProviders }
    }

    fn problem(secrets: &SecretFiles, secret: &str) -> String {
        secrets.find(&name(secret)).content.unwrap_err().to_string()
    }

    #[test]
    fn a_secret_is_found_in_its_file_or_among_the_credentials_and_a_missing_one_says_where_it_belongs() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        fs::write(file("own"), "one\n").unwrap();
        fs::write(file("given"), "two\n").unwrap();
        fs::write(file("secret_of-folder"), "three\n").unwrap();
        let known = BTreeMap::from([
            (name("own"), declared(Some(file("own")))),
            (name("given"), declared(None)),
            (name("of-folder"), declared(None)),
            (name("none"), declared(None)),
            (name("lost"), declared(Some(file("lost")))),
        ]);
        let secrets = SecretFiles::new(known, Some(directory.path().to_owned()));
        for found in ["own", "given", "of-folder"] {
            assert!(secrets.find(&name(found)).content.is_ok(), "{found}");
        }
        let said = problem(&secrets, "none");
        assert!(said.contains("/etc/linecamp/secrets/none") && said.contains("[secrets.none]"), "{said}");
        assert!(problem(&secrets, "lost").contains(&file("lost").display().to_string()));
        let moved = BTreeMap::from([(name("none"), declared(Some(file("given"))))]);
        assert!(secrets.set(moved.clone()), "the places can change");
        assert!(secrets.find(&name("none")).content.is_ok());
        assert!(!secrets.set(moved));
    }

    /// Root keeps more there than secrets of providers, such as a token to join with.
    #[test]
    fn a_credential_that_the_configuration_does_not_name_is_not_found() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("join-token"), "a token").unwrap();
        fs::write(directory.path().join("secret_join-token"), "a token").unwrap();
        let secrets = SecretFiles::new(BTreeMap::new(), Some(directory.path().to_owned()));
        for there in ["join-token", "secret_join-token", "nothing"] {
            let found = secrets.find(&name(there));
            assert_eq!(found.scope, SecretScope::LocalProviders);
            assert!(matches!(found.content, Err(SecretError::Missing { .. })), "{there}");
        }
    }

    #[test]
    fn what_is_no_file_or_too_long_is_no_secret_and_nobody_waits_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let (pipe, long) = (directory.path().join("pipe"), directory.path().join("long"));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        fs::write(&long, vec![b'a'; 64 * 1024 + 1]).unwrap();
        let known = [("pipe", pipe), ("long", long)].map(|(secret, file)| (name(secret), declared(Some(file))));
        let secrets = SecretFiles::new(BTreeMap::from(known), None);
        assert!(problem(&secrets, "pipe").contains("it is no file"));
        assert!(problem(&secrets, "long").contains("more than 65536 bytes"));
    }
}
