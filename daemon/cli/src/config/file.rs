//! The file a login is kept in: nobody but its owner may read it, and it is replaced whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{ApiKey, ConfigError};

/// Who else may read the file: nobody.
const FILE_MODE: u32 = 0o600;

/// Who else may look into a directory made for it: nobody.
const DIR_MODE: u32 = 0o700;

/// Exactly what was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigFile {
    /// Where the server is.
    pub(crate) url: Option<String>,
    /// ServerTargets to trust, by pin.
    pub(crate) pin: Option<String>,
    /// ServerTargets to trust, by a file of authorities.
    pub(crate) ca: Option<PathBuf>,
    /// Which key.
    pub(crate) key: Option<ApiKey>,
}

impl ConfigFile {
    /// Reads the file; `None` if there is none.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>, ConfigError> {
        let failed = |source| ConfigError::Read { path: path.into(), source };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let file: Self = toml::from_str(&text)
            .map_err(|error| ConfigError::Parse { path: path.into(), problem: error.message().into() })?;
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
        if file.key.is_some() && mode & 0o077 != 0 {
            return Err(ConfigError::Exposed { path: path.into(), mode });
        }
        Ok(Some(file))
    }

    /// Writes the file in place of what was there.
    pub(crate) fn save(&self, path: &Path) -> Result<(), ConfigError> {
        self.write(path).map_err(|source| ConfigError::Write { path: path.into(), source })
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let text = toml::to_string(self).map_err(io::Error::other)?;
        let dir = match path.parent() {
            Some(dir) if dir != Path::new("") => dir,
            Some(_) | None => Path::new("."),
        };
        DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir)?;
        let fresh = path.with_extension("toml.new");
        // What a crash left behind may be readable by others: the mode counts only for a file that is made.
        remove_if_there(&fresh)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        File::open(dir)?.sync_all()
    }

    /// Takes the file away; returns whether there was one.
    pub(crate) fn remove(path: &Path) -> Result<bool, ConfigError> {
        remove_if_there(path).map_err(|source| ConfigError::Write { path: path.into(), source })
    }
}

fn remove_if_there(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> ConfigFile {
        ConfigFile {
            url: Some("https://camp.example".into()),
            pin: Some(format!("sha256:{}", "0".repeat(64))),
            ca: None,
            key: ApiKey::parse("lck_abc").ok(),
        }
    }

    #[test]
    fn a_login_is_kept_for_its_owner_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a/b/config.toml");
        assert_eq!(ConfigFile::load(&path).expect("absence is no error"), None);
        for _ in 0..2 {
            written().save(&path).expect("writes");
            assert_eq!(ConfigFile::load(&path).expect("reads"), Some(written()));
        }
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().expect("below"))), (0o600, 0o700));
        assert!(ConfigFile::remove(&path).expect("removes"));
        assert!(!ConfigFile::remove(&path).expect("nothing there"));
    }

    #[test]
    fn a_login_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.toml");
        written().save(&path).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changes");
        assert!(matches!(ConfigFile::load(&path), Err(ConfigError::Exposed { mode: 0o644, .. })));
    }

    #[test]
    fn a_login_that_does_not_read_is_named_without_its_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.toml");
        fs::write(&path, "key = \"lck_secret\" oops\nkeys = 1").expect("writes");
        let error = ConfigFile::load(&path).expect_err("does not read").to_string();
        assert!(error.contains("config.toml") && !error.contains("secret"), "{error}");
    }
}
