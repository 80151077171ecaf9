//! The configuration as written ([`ConfigFile`]) and as resolved ([`Config`]).
//!
//! [`Config::resolve`] is the only place that reads the environment, which the caller passes in. A daemon that joined
//! with `linecampd join` needs no configuration file. [`Loaded`] covers the whole path from files to a resolved
//! configuration; its errors name the file, line and key.

mod error;
mod file;
mod secrets;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use linecamp_core::{EnvironmentLabels, LabelLayer};
use linecamp_model::limits::{PROVIDERS_PER_SITE_MAX, SERVERS_PER_SITE_MAX};
use linecamp_model::{
    JoinTarget, JoinToken, LabelInput, Level, MemberKind, Name, Parent, ProviderSpec, SecretName, ServerAddress, Text,
    TokenError,
};
use linecamp_plugin_host::PublisherKey;
use linecamp_proto::api::ProviderBody;
pub use linecamp_service::FILE_BYTES_MAX;
use tracing::level_filters::LevelFilter;

pub use self::error::ConfigError;
pub use self::file::{ConfigFile, Loaded};
use self::file::{HostsFile, JoinFile, PluginsFile};
pub use self::secrets::{DeclaredSecret, SecretTableError, SecretsError};

/// The default path of Docker's socket on every distribution.
pub const DOCKER_SOCKET_DEFAULT: &str = "/var/run/docker.sock";

/// Logs the changes that matter to an operator: a few lines a day.
pub const LOG_DEFAULT: LevelFilter = LevelFilter::INFO;

/// The daemon's log level; overrides the file.
pub const LOG_VARIABLE: &str = "LINECAMP_LOG";

/// Labels of the gateway host from the environment. If both variables set a key, `LINECAMP_HOST_LABELS` wins over the
/// Rancher variable, which scripts of former Rancher users still set.
pub const LABEL_VARIABLES: [&str; 2] = ["CATTLE_HOST_LABELS", "LINECAMP_HOST_LABELS"];

/// The variable with the directory where systemd puts `LoadCredential=` files.
pub const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// Every environment variable that the configuration reads.
pub const VARIABLES: [&str; 4] = [LOG_VARIABLE, LABEL_VARIABLES[0], LABEL_VARIABLES[1], CREDENTIALS_VARIABLE];

/// The upper limit for the memory of one plugin call, in MiB. For scale: a plugin that embeds Python uses 13 MiB idle.
pub const MEMORY_MIB_MAX: u32 = 256;

/// A sample configuration file that documents every key. As shipped it sets only defaults; packages install it.
pub const SAMPLE: &str = include_str!("../../../packaging/config/linecampd.toml");

/// The configuration path that packages install and that `config check` reads by default.
pub const FILE_DEFAULT: &str = "/etc/linecamp/linecampd.toml";

/// Looks up an environment variable.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The resolved configuration: complete and validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Servers to dial; if empty, the servers that the site joined.
    pub servers: Vec<ServerAddress>,
    /// Whether to also report the labels that former Rancher users expect.
    pub rancher_labels: bool,
    /// The Docker socket to query for Docker's version.
    pub docker_socket: PathBuf,
    /// The log level.
    pub log: LevelFilter,
    /// Whether the link is billed by the byte.
    pub is_metered: bool,
    /// How to join, if the configuration asks for it.
    pub join: Option<JoinConfig>,
    /// How hosts of the LAN reach this daemon.
    pub hosts: HostsConfig,
    /// Labels from the environment.
    pub labels: EnvironmentLabels,
    /// Providers from the site's own configuration.
    pub providers: Vec<ProviderSpec>,
    /// Plugin settings.
    pub plugins: PluginConfig,
    /// Problems that do not prevent a start.
    pub warnings: Vec<String>,
}

/// Plugin settings, and the locations of the site's secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginConfig {
    /// The plugin compiler; `None` for the one installed with the daemon.
    pub compiler: Option<PathBuf>,
    /// Certificate authorities of private services, PEM.
    pub ca_file: Option<PathBuf>,
    /// Keys whose signature a plugin needs; if empty, no signature is required.
    pub publishers: Vec<PublisherKey>,
    /// Memory limit of one call in MiB; `None` for the default.
    pub memory_mib: Option<u32>,
    /// The site's secrets: where each one is, and who may use it.
    pub secrets: BTreeMap<SecretName, DeclaredSecret>,
    /// The directory of systemd credentials.
    pub credentials: Option<PathBuf>,
}

/// The address that hosts of the LAN are listened for at, unless it is configured.
const HOSTS_LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 4433);

/// The directory where the install command of a site keeps its packages.
const HOSTS_PACKAGES_DEFAULT: &str = "/var/cache/linecamp/packages";

/// How to join: a token file and a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinConfig {
    /// Path of the token file; read only when needed.
    pub token_file: PathBuf,
    /// What joins.
    pub kind: MemberKind,
    /// The site of a host that joins the server.
    pub site: Option<Name>,
    /// The requested name.
    pub name: Name,
}

impl JoinConfig {
    /// Returns what is joined.
    pub fn parent(&self) -> Parent {
        parent_of_join(self.kind, self.site.as_ref())
    }
}

/// Returns what is joined: a host that names its site joins the server, another one its gateway.
pub(crate) const fn parent_of_join(kind: MemberKind, site: Option<&Name>) -> Parent {
    match (kind, site) {
        (MemberKind::Host, None) => Parent::Gateway,
        (MemberKind::Host, Some(_)) | (MemberKind::Site, _) => Parent::Server,
    }
}

/// How hosts of the LAN reach the daemon of their site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostsConfig {
    /// The address to listen on: UDP for hosts, TCP for machines that are installed.
    pub listen: SocketAddr,
    /// The addresses that host tokens have; if empty, those of this machine.
    pub addresses: Vec<ServerAddress>,
    /// The directory of the packages that machines of the LAN are installed from.
    pub packages: PathBuf,
}

impl Default for HostsConfig {
    fn default() -> Self {
        Self { listen: HOSTS_LISTEN_DEFAULT, addresses: Vec::new(), packages: HOSTS_PACKAGES_DEFAULT.into() }
    }
}

impl Config {
    /// Resolves `file` in this environment.
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
        let labels = environment_labels(env);
        warnings.extend([&labels.invalid, &labels.repeated].into_iter().flatten().map(ToString::to_string));
        Ok(Self {
            servers,
            rancher_labels: file.rancher_labels.unwrap_or(true),
            docker_socket: file.docker_socket.unwrap_or_else(|| DOCKER_SOCKET_DEFAULT.into()),
            log: log_level(file.log.as_deref(), env)?,
            is_metered: file.link.metered.unwrap_or(false),
            join: join(file.join)?,
            hosts: hosts(&file.hosts)?,
            labels,
            providers,
            plugins,
            warnings,
        })
    }
}

fn hosts(file: &HostsFile) -> Result<HostsConfig, ConfigError> {
    let listen = match &file.listen {
        Some(text) => text.parse().map_err(|_| ConfigError::Listen { found: text.clone() })?,
        None => HOSTS_LISTEN_DEFAULT,
    };
    if SERVERS_PER_SITE_MAX < file.addresses.len() {
        return Err(ConfigError::HostsAddresses { count: file.addresses.len() });
    }
    let addresses = file.addresses.iter().map(|text| ServerAddress::parse(text)).collect::<Result<_, _>>();
    let packages = file.packages.clone().unwrap_or_else(|| HOSTS_PACKAGES_DEFAULT.into());
    Ok(HostsConfig { listen, addresses: addresses.map_err(ConfigError::HostsAddress)?, packages })
}

fn join(file: JoinFile) -> Result<Option<JoinConfig>, ConfigError> {
    let (token_file, name) = match (file.token_file, file.name) {
        (Some(token_file), Some(name)) => (token_file, name),
        (Some(_), None) => return Err(ConfigError::HalfJoin { found: "join.token_file", missing: "join.name" }),
        (None, Some(_)) => return Err(ConfigError::HalfJoin { found: "join.name", missing: "join.token_file" }),
        (None, None) => return Ok(None),
    };
    let kind = if file.host == Some(true) { MemberKind::Host } else { MemberKind::Site };
    if kind == MemberKind::Site && file.site.is_some() {
        return Err(ConfigError::SiteOfSite);
    }
    let site = file.site.as_deref().map(Name::parse).transpose().map_err(ConfigError::Site)?;
    Ok(Some(JoinConfig { token_file, kind, site, name: Name::parse(&name).map_err(ConfigError::Name)? }))
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

/// Reads the gateway host's labels from the environment. Invalid entries are skipped and reported.
pub fn environment_labels(env: Env<'_>) -> EnvironmentLabels {
    let (mut labels, mut invalid, mut repeated) = (BTreeMap::new(), Vec::new(), Vec::new());
    for variable in LABEL_VARIABLES {
        let (input, skipped) = LabelInput::parse_query(&env(variable).unwrap_or_default());
        repeated.extend(repeated_warning(&format!("variable {variable}"), &input));
        invalid.extend(skipped.iter().map(|skipped| format!("variable {variable}: {skipped}")));
        labels.extend(input.labels);
    }
    let joined = |texts: &[String]| (!texts.is_empty()).then(|| Text::lossy(&texts.join("; ")));
    EnvironmentLabels {
        labels: LabelLayer::from([(Level::Host, labels)]),
        invalid: joined(&invalid),
        repeated: joined(&repeated),
    }
}

/// Returns a warning that names the keys `input` repeats, if any.
pub fn repeated_warning(source: &str, input: &LabelInput) -> Option<String> {
    let keys: Vec<_> = input.repeated.iter().map(ToString::to_string).collect();
    (!keys.is_empty()).then(|| format!("{source} sets {} more than once; the last value wins", keys.join(", ")))
}

/// Resolves the log level: the environment overrides the file, and the file overrides the default.
///
/// # Errors
/// [`ConfigError::Log`] names the key or variable.
pub fn log_level(written: Option<&str>, env: Env<'_>) -> Result<LevelFilter, ConfigError> {
    let from_env = env(LOG_VARIABLE).filter(|text| !text.is_empty());
    let found = match (&from_env, written) {
        (Some(text), _) => text.as_str(),
        (None, Some(text)) => text,
        (None, None) => return Ok(LOG_DEFAULT),
    };
    match found {
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        unknown => {
            let found = unknown.escape_debug().to_string();
            Err(if from_env.is_some() { ConfigError::LogVariable { found } } else { ConfigError::Log { found } })
        }
    }
}

/// Parses `TOKEN@HOST:PORT[,…]`, or a bare token if `servers` are known from elsewhere.
///
/// # Errors
/// [`TokenError`], which never contains the secret.
pub fn join_target(text: &str, servers: &[ServerAddress]) -> Result<JoinTarget, TokenError> {
    let text = text.trim();
    if servers.is_empty() {
        return JoinTarget::parse(text);
    }
    let token = text.split_once('@').map_or(text, |(token, _)| token);
    Ok(JoinTarget { token: JoinToken::parse(token)?, servers: servers.to_vec() })
}

/// Reads an entire small text file.
///
/// # Errors
/// [`ConfigError`] names the file.
pub fn read_text(path: &Path) -> Result<String, ConfigError> {
    Ok(linecamp_service::read_text(path)?)
}

#[cfg(test)]
mod tests;
