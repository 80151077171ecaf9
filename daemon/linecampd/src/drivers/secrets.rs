//! The site's secrets: files, and systemd credentials.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use linecamp_model::SecretName;
use linecamp_plugin_host::{Secret, SecretError, Secrets, SiteSecret};

use crate::config::DeclaredSecret;

/// The largest secret file, in bytes: a private key fits. A longer file is not a secret.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// The prefix of systemd credentials loaded from a directory: `LoadCredential=secret:DIR` creates a credential
/// `secret_NAME` for each file NAME in it.
const CREDENTIAL_PREFIX: &str = "secret_";

/// The secrets that the configuration declares. Read on each use, so that a rotated secret applies from the next call
/// on.
#[derive(Debug)]
pub(crate) struct SecretFiles {
    /// Locked, because plugin calls read it from their own threads.
    declared: RwLock<BTreeMap<SecretName, DeclaredSecret>>,
    credentials: Option<PathBuf>,
}

impl SecretFiles {
    pub(crate) const fn new(declared: BTreeMap<SecretName, DeclaredSecret>, credentials: Option<PathBuf>) -> Self {
        Self { declared: RwLock::new(declared), credentials }
    }

    /// Replaces the declared secrets from the next call on. Returns whether anything changed.
    pub(crate) fn set(&self, declared: BTreeMap<SecretName, DeclaredSecret>) -> bool {
        let mut place = self.declared.write().unwrap_or_else(PoisonError::into_inner);
        let is_changed = *place != declared;
        *place = declared;
        is_changed
    }

    /// Returns the path of a declared secret; the error describes where the secret is expected.
    fn path(&self, name: &SecretName, declared: &DeclaredSecret) -> Result<PathBuf, String> {
        if let Some(file) = &declared.file {
            return if file.exists() { Ok(file.clone()) } else { Err(format!("{}", file.display())) };
        }
        let names = [name.to_string(), format!("{CREDENTIAL_PREFIX}{name}")];
        let credentials = self.credentials.iter().flat_map(|directory| names.iter().map(|name| directory.join(name)));
        credentials.into_iter().find(|path| path.exists()).ok_or_else(|| {
            format!(
                "a systemd credential (with the packaged unit: create /etc/linecamp/secrets/{name} and restart the \
                 service), or a file named by `file` in [secrets.{name}] of linecampd.toml"
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
            Ok(path) => linecamp_files::read(&path, SECRET_BYTES_MAX).map(Secret::new).map_err(|error| {
                SecretError::Unreadable { name: name.clone(), problem: format!("{}: {error}", path.display()) }
            }),
            Err(place) => Err(SecretError::Missing { name: name.clone(), place }),
        };
        SiteSecret { scope: declared.scope, content }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use linecamp_plugin_host::SecretScope;

    use super::*;

    fn name(text: &str) -> SecretName {
        SecretName::parse(text).unwrap()
    }

    /// A declared secret: in `file` or, with `None`, a systemd credential.
    fn declared(file: Option<PathBuf>) -> DeclaredSecret {
        DeclaredSecret { file, scope: SecretScope::LocalProviders }
    }

    fn problem(secrets: &SecretFiles, secret: &str) -> String {
        secrets.find(&name(secret)).content.unwrap_err().to_string()
    }

    #[test]
    fn a_secret_is_found_in_its_file_or_credential_and_a_missing_one_names_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        fs::write(file("own"), "one\n").unwrap();
        fs::write(file("given"), "two\n").unwrap();
        fs::write(file("secret_of-folder"), "three\n").unwrap();
        let declared_secrets = BTreeMap::from([
            (name("own"), declared(Some(file("own")))),
            (name("given"), declared(None)),
            (name("of-folder"), declared(None)),
            (name("none"), declared(None)),
            (name("lost"), declared(Some(file("lost")))),
        ]);
        let secrets = SecretFiles::new(declared_secrets, Some(directory.path().to_owned()));
        for found in ["own", "given", "of-folder"] {
            assert!(secrets.find(&name(found)).content.is_ok(), "{found}");
        }
        let said = problem(&secrets, "none");
        assert!(said.contains("/etc/linecamp/secrets/none") && said.contains("[secrets.none]"), "{said}");
        assert!(problem(&secrets, "lost").contains(&file("lost").display().to_string()));
        let moved = BTreeMap::from([(name("none"), declared(Some(file("given"))))]);
        assert!(secrets.set(moved.clone()), "the locations can change");
        assert!(secrets.find(&name("none")).content.is_ok());
        assert!(!secrets.set(moved));
    }

    /// Root keeps credentials there that are not provider secrets, such as a join token.
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
    fn a_pipe_or_an_oversized_file_is_rejected_without_blocking() {
        let directory = tempfile::tempdir().unwrap();
        let (pipe, long) = (directory.path().join("pipe"), directory.path().join("long"));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        fs::write(&long, vec![b'a'; 64 * 1024 + 1]).unwrap();
        let declared_secrets =
            [("pipe", pipe), ("long", long)].map(|(secret, file)| (name(secret), declared(Some(file))));
        let secrets = SecretFiles::new(BTreeMap::from(declared_secrets), None);
        assert!(problem(&secrets, "pipe").contains("not a regular file"));
        assert!(problem(&secrets, "long").contains("larger than 65536 bytes"));
    }
}
