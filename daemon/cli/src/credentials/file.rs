//! The login file: readable by its owner only, and written atomically.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use linecamp_model::Name;
use serde::{Deserialize, Serialize};

use super::{ApiKey, CONTEXT_DEFAULT, ConfigError, Env};

/// The environment variable that names the context to use.
const CONTEXT: &str = "LINECAMP_CONTEXT";

/// File mode: owner only.
const FILE_MODE: u32 = 0o600;

/// The largest login file, in bytes. A larger file is not a login.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Mode of a created directory: owner only.
const DIR_MODE: u32 = 0o700;

/// A login to one server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct ConfigFile {
    /// Server URL.
    pub(crate) url: Option<String>,
    /// Pin of the server's certificate authority.
    pub(crate) pin: Option<String>,
    /// CA file.
    pub(crate) ca: Option<PathBuf>,
    /// API key, or secret of a session.
    pub(crate) key: Option<ApiKey>,
}

/// The contents of the login file: a login for each context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LoginFile {
    /// The context that is used if none is named.
    pub(crate) current: Option<String>,
    /// The logins, by the name of their context.
    pub(crate) contexts: BTreeMap<String, ConfigFile>,
}

/// The file as written. Before there were contexts, it had the keys of one login at its top.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct WrittenFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<ApiKey>,
    #[serde(default)]
    contexts: BTreeMap<String, ConfigFile>,
}

impl From<WrittenFile> for LoginFile {
    fn from(written: WrittenFile) -> Self {
        let WrittenFile { current, url, pin, ca, key, mut contexts } = written;
        let single = ConfigFile { url, pin, ca, key };
        if single != ConfigFile::default() || contexts.is_empty() {
            contexts.entry(CONTEXT_DEFAULT.to_owned()).or_insert(single);
        }
        Self { current, contexts }
    }
}

impl LoginFile {
    /// Reads the file. Returns `None` if it does not exist.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>, ConfigError> {
        let failed = |source| ConfigError::Read { path: path.into(), source };
        let text = match linecamp_files::read_text(path, FILE_BYTES_MAX) {
            Ok(text) => text,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(failed(error.into())),
        };
        let written: WrittenFile = toml::from_str(&text)
            .map_err(|error| ConfigError::Parse { path: path.into(), problem: error.message().into() })?;
        let file = Self::from(written);
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
        let has_key = file.contexts.values().any(|login| login.key.is_some());
        if has_key && mode & 0o077 != 0 {
            return Err(ConfigError::InsecurePermissions { path: path.into(), mode });
        }
        Ok(Some(file))
    }

    /// Returns the name of the context to use: the one given, or that of the environment, or the current one.
    pub(crate) fn context_name(&self, given: Option<&Name>, env: &dyn Env) -> Result<String, ConfigError> {
        if let Some(given) = given {
            return Ok(given.to_string());
        }
        if let Some(text) = env.var(CONTEXT) {
            let name = Name::parse(&text);
            let name = name.map_err(|source| ConfigError::ContextName { origin: CONTEXT.to_owned(), source })?;
            return Ok(name.to_string());
        }
        Ok(self.current.clone().unwrap_or_else(|| CONTEXT_DEFAULT.to_owned()))
    }

    /// Replaces the file; deletes it if it has no context any more.
    pub(crate) fn save(&self, path: &Path) -> Result<(), ConfigError> {
        let failed = |source| ConfigError::Write { path: path.into(), source };
        match self.contexts.is_empty() {
            true => remove_if_exists(path).map(drop).map_err(failed),
            false => self.write(path).map_err(failed),
        }
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let (current, contexts) = (self.current.clone(), self.contexts.clone());
        let written = WrittenFile { current, contexts, ..WrittenFile::default() };
        let text = toml::to_string(&written).map_err(io::Error::other)?;
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

    fn sample() -> LoginFile {
        let login = ConfigFile {
            url: Some("https://camp.example".into()),
            pin: Some(format!("sha256:{}", "0".repeat(64))),
            ca: None,
            key: ApiKey::parse("lck_abc").ok(),
        };
        LoginFile { current: Some("camp".into()), contexts: [("camp".to_owned(), login)].into() }
    }

    #[test]
    fn a_file_with_one_login_is_read_as_the_default_context() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.toml");
        fs::write(&path, "url = \"https://camp.example\"\nkey = \"lck_abc\"\n").expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changes");
        let file = LoginFile::load(&path).expect("reads").expect("exists");
        assert_eq!(file.contexts["default"].url.as_deref(), Some("https://camp.example"));
        file.save(&path).expect("writes");
        assert_eq!(LoginFile::load(&path).expect("reads"), Some(file));
    }

    #[test]
    fn a_login_is_readable_by_its_owner_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a/b/config.toml");
        assert_eq!(LoginFile::load(&path).expect("absence is no error"), None);
        for _ in 0..2 {
            sample().save(&path).expect("writes");
            assert_eq!(LoginFile::load(&path).expect("reads"), Some(sample()));
        }
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().expect("below"))), (0o600, 0o700));
        LoginFile::default().save(&path).expect("removes");
        assert!(!path.exists());
    }

    #[test]
    fn a_login_readable_by_others_is_rejected() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.toml");
        sample().save(&path).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changes");
        assert!(matches!(LoginFile::load(&path), Err(ConfigError::InsecurePermissions { mode: 0o644, .. })));
    }

    #[test]
    fn a_pipe_instead_of_a_login_is_rejected_without_waiting() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.toml");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("runs").success());
        let Err(ConfigError::Read { source, .. }) = LoginFile::load(&path) else { panic!("it is not read") };
        assert_eq!(source.to_string(), "not a regular file but a pipe");
    }

    #[test]
    fn an_invalid_login_is_reported_without_its_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.toml");
        fs::write(&path, "key = \"lck_secret\" oops\nkeys = 1").expect("writes");
        let error = LoginFile::load(&path).expect_err("does not read").to_string();
        assert!(error.contains("config.toml") && !error.contains("secret"), "{error}");
    }
}
