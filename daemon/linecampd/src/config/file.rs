//! The configuration as written, and how it is loaded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use linecamp_proto::api::ProviderBody;
use linecamp_service::LayeredConfig;
use serde::Deserialize;

use super::secrets::SecretFile;
use super::{Config, ConfigError, Env, VARIABLES};

/// Arrays of tables that are concatenated across files.
pub(super) const CONCATENATED: [&str; 1] = ["provider"];

/// The configuration as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct ConfigFile {
    pub(super) servers: Option<Vec<String>>,
    pub(super) rancher_labels: Option<bool>,
    pub(super) docker_socket: Option<PathBuf>,
    pub(super) log: Option<String>,
    pub(super) link: LinkFile,
    pub(super) join: JoinFile,
    pub(super) hosts: HostsFile,
    pub(super) plugins: PluginsFile,
    pub(super) secrets: BTreeMap<String, SecretFile>,
    pub(super) provider: Vec<ProviderBody>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct LinkFile {
    pub(super) metered: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct PluginsFile {
    pub(super) compiler: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) publishers: Vec<String>,
    pub(super) memory_mib: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct JoinFile {
    pub(super) token_file: Option<PathBuf>,
    pub(super) name: Option<String>,
    pub(super) host: Option<bool>,
    pub(super) site: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct HostsFile {
    pub(super) listen: Option<String>,
    pub(super) addresses: Vec<String>,
    pub(super) packages: Option<PathBuf>,
}

impl ConfigFile {
    /// Reads the file at `path` and its drop-ins.
    ///
    /// # Errors
    /// [`ConfigError`] names the file, the line and the key.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Ok(written(path)?.read()?)
    }
}

/// A resolved configuration and its sources.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The resolved configuration.
    pub config: Config,
    /// The files that contributed, in the order they were read.
    pub files: Vec<PathBuf>,
    /// The environment variables that contributed.
    pub variables: Vec<&'static str>,
}

impl Loaded {
    /// Reads the file at `path` and its drop-ins, or no file, and resolves the result in this environment.
    ///
    /// # Errors
    /// [`ConfigError`] names the file, the line and the key, or the variable.
    pub fn load(path: Option<&Path>, env: Env<'_>) -> Result<Self, ConfigError> {
        let written = path.map_or_else(|| Ok(LayeredConfig::default()), written)?;
        Self::of(&written, env)
    }

    pub(super) fn of(written: &LayeredConfig, env: Env<'_>) -> Result<Self, ConfigError> {
        let config = Config::resolve(written.read()?, env).map_err(|source| {
            let place = source.key().and_then(|key| written.place(&key).cloned());
            match place {
                Some(place) => ConfigError::At { path: place.path, line: place.line, source: Box::new(source) },
                None => source,
            }
        })?;
        let is_set = |variable: &&str| env(variable).is_some_and(|value| !value.is_empty());
        let variables = VARIABLES.into_iter().filter(is_set).collect();
        Ok(Self { config, files: written.files().to_vec(), variables })
    }
}

fn written(path: &Path) -> Result<LayeredConfig, ConfigError> {
    let mut written = LayeredConfig::new(&CONCATENATED);
    written.add::<ConfigFile>(path)?;
    Ok(written)
}
