//! What was written ([`ConfigFile`]), and what was meant ([`Config`]).
//!
//! [`Config::resolve`] is the only place that reads the environment, and it is handed in. A daemon that was joined
//! with `linecampd join` needs no configuration file at all. [`Loaded`] is the whole way, from files to meaning, and
//! names file, line and key of whatever is wrong.

mod error;
mod secrets;
mod written;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use linecamp_core::LabelLayer;
use linecamp_model::limits::{PROVIDERS_PER_SITE_MAX, SERVERS_PER_SITE_MAX};
use linecamp_model::{
    JoinTarget, JoinToken, LabelInput, Level, Name, ProviderSpec, SecretName, ServerAddress, TokenError,
};
use linecamp_plugin_host::PublisherKey;
use linecamp_proto::api::ProviderBody;
pub use linecamp_service::FILE_BYTES_MAX;
use tracing::level_filters::LevelFilter;

pub use self::error::ConfigError;
pub use self::secrets::{DeclaredSecret, SecretTableError};
pub use self::written::{ConfigFile, Loaded};
use self::written::{JoinFile, PluginsFile};

/// Where Docker listens on every distribution.
pub const DOCKER_SOCKET_DEFAULT: &str = "/var/run/docker.sock";

/// Changes that an operator would mention: a few lines a day.
pub const LOG_DEFAULT: LevelFilter = LevelFilter::INFO;

/// The daemon's log level, above what the file says.
pub const LOG_VARIABLE: &str = "LINECAMP_LOG";

/// Labels of the gateway host from the environment. Of one key in both, ours wins over the one that
/// people who come from Rancher have in their scripts.
pub const LABEL_VARIABLES: [&str; 2] = ["CATTLE_HOST_LABELS", "LINECAMP_HOST_LABELS"];

/// Where systemd puts what `LoadCredential=` names.
pub const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// Every variable of the environment that has a part in the configuration.
pub const VARIABLES: [&str; 4] = [LOG_VARIABLE, LABEL_VARIABLES[0], LABEL_VARIABLES[1], CREDENTIALS_VARIABLE];

/// The most memory that a call of a plugin can be given: one with a whole Python in it takes 13 MiB at rest.
pub const MEMORY_MIB_MAX: u32 = 256;

/// A configuration file that says of every key what it means. As it stands it means the defaults; packages install it.
pub const SAMPLE: &str = include_str!("../../../packaging/config/linecampd.toml");

/// Where packages put the configuration, and `config check` looks without a word.
pub const FILE_DEFAULT: &str = "/etc/linecamp/linecampd.toml";

/// Looks a variable of the environment up.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What was meant: complete and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Servers to dial; empty for those that the site joined with.
    pub servers: Vec<ServerAddress>,
    /// Whether to report the labels that people who come from Rancher look for.
    pub rancher_labels: bool,
    /// Where to ask Docker for its version.
    pub docker_socket: PathBuf,
    /// The log level.
    pub log: LevelFilter,
    /// Whether the link is paid by the byte.
    pub is_metered: bool,
    /// A wish to join.
    pub join: Option<JoinConfig>,
    /// Labels from the environment.
    pub labels: LabelLayer,
    /// Providers of the site's own configuration.
    pub providers: Vec<ProviderSpec>,
    /// How plugins are run.
    pub plugins: PluginConfig,
    /// What is worth a look and no error.
    pub warnings: Vec<String>,
}

/// How plugins are run, and where the site's secrets are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginConfig {
    /// The program that compiles plugins; `None` for the one beside the daemon.
    pub compiler: Option<PathBuf>,
    /// Certificate authorities of private services, PEM.
    pub ca_file: Option<PathBuf>,
    /// Whose signature a plugin needs; none is asked for without any.
    pub publishers: Vec<PublisherKey>,
    /// Memory of one call; `None` for the default.
    pub memory_mib: Option<u32>,
    /// The site's secrets: where each is, and who may use it.
    pub secrets: BTreeMap<SecretName, DeclaredSecret>,
    /// Where systemd puts credentials.
    pub credentials: Option<PathBuf>,
}

/// A wish to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinConfig {
    /// Where the token is; read only when it is needed.
    pub token_file: PathBuf,
    /// The name the site would like.
    pub name: Name,
}

impl Config {
    /// Says what `file` means in this environment.
    ///
    /// # Errors
    /// [`ConfigError`] names the key or the variable.
    pub fn resolve(file: ConfigFile, env: Env<'_>) -> Result<Self, ConfigError> {
        let servers = file.servers.unwrap_or_default();
        if SERVERS_PER_SITE_MAX < servers.len() {
            return Err(ConfigError::Servers { count: servers.len() });
        }
        let servers = servers
            .iter()
            .map(|text| ServerAddress::parse(text))
            .collect::<Result<_, _>>()
            .map_err(ConfigError::Server)?;
        let providers = providers(&file.provider)?;
        let (secrets, mut warnings) = secrets::resolve(file.secrets, &providers)?;
        let plugins = plugins(file.plugins, secrets, env)?;
        let (labels, repeated) = environment_labels(env)?;
        warnings.extend(repeated);
        Ok(Self {
            servers,
            rancher_labels: file.rancher_labels.unwrap_or(true),
            docker_socket: file.docker_socket.unwrap_or_else(|| DOCKER_SOCKET_DEFAULT.into()),
            log: log_level(file.log.as_deref(), env)?,
            is_metered: file.link.metered.unwrap_or(false),
            join: join(file.join)?,
            labels: LabelLayer::from([(Level::Host, labels.labels)]),
            providers,
            plugins,
            warnings,
        })
    }
}

fn join(file: JoinFile) -> Result<Option<JoinConfig>, ConfigError> {
    let (token_file, name) = match (file.token_file, file.name) {
        (Some(token_file), Some(name)) => (token_file, name),
        (Some(_), None) => return Err(ConfigError::HalfJoin { found: "join.token_file", missing: "join.name" }),
        (None, Some(_)) => return Err(ConfigError::HalfJoin { found: "join.name", missing: "join.token_file" }),
        (None, None) => return Ok(None),
    };
    Ok(Some(JoinConfig { token_file, name: Name::parse(&name).map_err(ConfigError::Name)? }))
}

fn providers(written: &[ProviderBody]) -> Result<Vec<ProviderSpec>, ConfigError> {
    if PROVIDERS_PER_SITE_MAX < written.len() {
        return Err(ConfigError::Providers { count: written.len() });
    }
    let mut providers: Vec<ProviderSpec> = Vec::new();
    for (body, number) in written.iter().zip(1..) {
        let spec = body.to_spec().map_err(|source| ConfigError::Provider { number, source })?;
        if providers.iter().any(|other| other.name == spec.name) {
            return Err(ConfigError::ProviderTwice { name: spec.name, number });
        }
        providers.push(spec);
    }
    Ok(providers)
}

fn plugins(
    file: PluginsFile,
    secrets: BTreeMap<SecretName, DeclaredSecret>,
    env: Env<'_>,
) -> Result<PluginConfig, ConfigError> {
    if let Some(found) = file.memory_mib.filter(|mib| !(1..=MEMORY_MIB_MAX).contains(mib)) {
        return Err(ConfigError::Memory { found });
    }
    let publishers = file.publishers.iter().map(|key| PublisherKey::parse(key));
    Ok(PluginConfig {
        compiler: file.compiler,
        ca_file: file.ca_file,
        publishers: publishers.collect::<Result<_, _>>().map_err(ConfigError::Publisher)?,
        memory_mib: file.memory_mib,
        secrets,
        credentials: env(CREDENTIALS_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from),
    })
}

/// Reads the labels of the gateway host that the environment holds, and says which keys came twice.
///
/// # Errors
/// [`ConfigError::Labels`] names the variable.
pub fn environment_labels(env: Env<'_>) -> Result<(LabelInput, Vec<String>), ConfigError> {
    let mut all = LabelInput::default();
    let mut warnings = Vec::new();
    for variable in LABEL_VARIABLES {
        let text = env(variable).unwrap_or_default();
        let input = LabelInput::parse_query(&text).map_err(|source| ConfigError::Labels { variable, source })?;
        warnings.extend(repeated_warning(&format!("variable {variable}"), &input));
        all.labels.extend(input.labels);
    }
    Ok((all, warnings))
}

/// Says which keys `input` repeats, if any.
pub fn repeated_warning(whose: &str, input: &LabelInput) -> Option<String> {
    let keys: Vec<_> = input.repeated.iter().map(ToString::to_string).collect();
    (!keys.is_empty()).then(|| format!("{whose} gives {} more than once; the last one holds", keys.join(", ")))
}

/// Reads the log level: the environment's, or what was written, or the default.
///
/// # Errors
/// [`ConfigError::Log`] names the key or variable.
pub fn log_level(written: Option<&str>, env: Env<'_>) -> Result<LevelFilter, ConfigError> {
    let from_env = env(LOG_VARIABLE).filter(|text| !text.is_empty());
    let (whose, found) = match (&from_env, written) {
        (Some(text), _) => ("variable LINECAMP_LOG", text.as_str()),
        (None, Some(text)) => ("key `log`", text),
        (None, None) => return Ok(LOG_DEFAULT),
    };
    match found {
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err(ConfigError::Log { whose, found: found.escape_debug().to_string() }),
    }
}

/// Reads `TOKEN@HOST:PORT[,…]`, or a token alone if `servers` are known from elsewhere.
///
/// # Errors
/// [`TokenError`], which never repeats the secret.
pub fn join_target(text: &str, servers: &[ServerAddress]) -> Result<JoinTarget, TokenError> {
    let text = text.trim();
    if servers.is_empty() {
        return JoinTarget::parse(text);
    }
    let token = text.split_once('@').map_or(text, |(token, _)| token);
    Ok(JoinTarget { token: JoinToken::parse(token)?, servers: servers.to_vec() })
}

/// Reads a small text file whole.
///
/// # Errors
/// [`ConfigError`] names the file.
pub fn read_text(path: &Path) -> Result<String, ConfigError> {
    Ok(linecamp_service::read_text(path)?)
}

#[cfg(test)]
mod tests;
