//! The login file: readable by its owner only, and written atomically.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{ApiKey, ConfigError};

/// File mode: owner only.
const FILE_MODE: u32 = 0o600;

/// The largest login file, in bytes. A larger file is not a login.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Mode of a created directory: owner only.
const DIR_MODE: u32 = 0o700;

/// The contents of the login file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct ConfigFile {
    /// Server URL.
    pub(crate) url: Option<String>,
    /// Pin of the server's certificate authority.
    pub(crate) pin: Option<String>,
    /// CA file.
    pub(crate) ca: Option<PathBuf>,
    /// API key.
    pub(crate) key: Option<ApiKey>,
}

impl ConfigFile {
    /// Reads the file. Returns `None` if it does not exist.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>, ConfigError> {
        let failed = |source| ConfigError::Read { path: path.into(), source };
        let text = match linecamp_files::read_text(path, FILE_BYTES_MAX) {
            Ok(text) => text,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(failed(error.into())),
        };
        let file: Self = toml::from_str(&text)
            .map_err(|error| ConfigError::Parse { path: path.into(), problem: error.message().into() })?;
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
        if file.key.is_some() && mode & 0o077 != 0 {
            return Err(ConfigError::InsecurePermissions { path: path.into(), mode });
        }
        Ok(Some(file))
    }

    /// Replaces the file.
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
        let temporary = path.with_extension("toml.new");
        // A file left by a crash may have another mode: the mode is applied only when a file is created.
        remove_if_exists(&temporary)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(dir)?.sync_all()
    }

    /// Deletes the file. Returns whether it existed.
    pub(crate) fn remove(path: &Path) -> Result<bool, ConfigError> {
        remove_if_exists(path).map_err(|source| ConfigError::Write { path: path.into(), source })
    }
}

fn remove_if_exists(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> ConfigFile {
        ConfigFile {
            url: Some("https://camp.example".into()),
            pin: Some(format!("sha256:{}", "0".repeat(64))),
            ca: None,
            key: ApiKey::parse("lck_abc").ok(),
        }
    }

    #[test]
    fn a_login_is_readable_by_its_owner_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a/b/config.toml");
        assert_eq!(ConfigFile::load(&path).expect("absence is no error"), None);
        for _ in 0..2 {
            sample().save(&path).expect("writes");
            assert_eq!(ConfigFile::load(&path).expect("reads"), Some(sample()));
        }
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().expect("below"))), (0o600, 0o700));
        assert!(ConfigFile::remove(&path).expect("removes"));
        assert!(!ConfigFile::remove(&path).expect("nothing there"));
    }

    #[test]
    fn a_login_readable_by_others_is_rejected() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.toml");
        sample().save(&path).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changes");
        assert!(matches!(ConfigFile::load(&path), Err(ConfigError::InsecurePermissions { mode: 0o644, .. })));
    }

    #[test]
    fn a_pipe_instead_of_a_login_is_rejected_without_waiting() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.toml");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("runs").success());
        let Err(ConfigError::Read { source, .. }) = ConfigFile::load(&path) else { panic!("it is not read") };
        assert_eq!(source.to_string(), "not a regular file but a pipe");
    }

    #[test]
    fn an_invalid_login_is_reported_without_its_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.toml");
        fs::write(&path, "key = \"lck_secret\" oops\nkeys = 1").expect("writes");
        let error = ConfigFile::load(&path).expect_err("does not read").to_string();
        assert!(error.contains("config.toml") && !error.contains("secret"), "{error}");
    }
}
